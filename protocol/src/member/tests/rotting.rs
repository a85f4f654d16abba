//! Content that rots while it is counted on: it is neither held nor settled before it is here again.

use super::undoing::{alone, creating, until_answered};
use super::*;
use crate::effect::{Captured, Fetched};
use crate::manifest::{self, Directory, Extent, Manifest};
use crate::record::Policy;

fn captured(lone: &mut Lone, capture: u64) {
    let captured = Captured { root: Manifest::empty().root, extent: Extent::default() };
    lone.give(Input::Captured { capture, result: Ok(captured) });
}

fn rots(lone: &mut Lone) {
    lone.give(Input::Damaged { content: Hash::of(b"a file"), aside: "damaged/".into() });
}

fn is_held(lone: &Lone) -> bool {
    let entry = saved::put_held("shop", &Manifest::empty().root, Extent::default());
    lone.disk.contains_key(&(entry.family, entry.key))
}

/// The capture had taken a file for held that was put aside before it ended.
#[test]
fn what_rots_while_something_is_captured_is_captured_again() {
    let mut lone = alone();
    let capture = creating(&mut lone);
    rots(&mut lone);
    rots(&mut lone);
    assert!(lone.captures.is_empty(), "one at a time");
    captured(&mut lone, capture);
    assert!(!is_held(&lone), "it may lack what rotted");
    let again = lone.captures.pop().expect("it is captured again");
    assert!(lone.captures.is_empty() && lone.replies.is_empty());
    captured(&mut lone, again);
    until_answered(&mut lone).expect("settled");
    assert!(is_held(&lone));
}

/// The capture was complete, and what follows from it was on its way to the disk.
#[test]
fn what_rots_before_a_root_is_durably_held_is_not_held() {
    let mut lone = alone();
    let capture = creating(&mut lone);
    lone.slow = Some(VecDeque::new());
    captured(&mut lone, capture);
    rots(&mut lone);
    lone.written();
    assert!(!is_held(&lone), "nor is it by the next process");
    let again = lone.captures.pop().expect("it is captured again");
    captured(&mut lone, again);
    until_answered(&mut lone).expect("settled");
    assert!(is_held(&lone));
}

/// What was captured again is held, whatever comes of what was written before.
#[test]
fn what_is_captured_again_is_held_though_the_first_is_not_written_yet() {
    let mut lone = alone();
    let capture = creating(&mut lone);
    lone.slow = Some(VecDeque::new());
    captured(&mut lone, capture);
    rots(&mut lone);
    let again = lone.captures.pop().expect("it is captured again");
    captured(&mut lone, again);
    lone.written();
    until_answered(&mut lone).expect("settled");
    assert!(is_held(&lone));
}

/// What is captured again may rot again: of all that is on its way to the disk, the last one decides.
#[test]
fn a_root_that_is_written_twice_is_held_if_nothing_rotted_since_the_second() {
    let mut lone = alone();
    let capture = creating(&mut lone);
    lone.slow = Some(VecDeque::new());
    captured(&mut lone, capture);
    rots(&mut lone);
    let again = lone.captures.pop().expect("it is captured again");
    captured(&mut lone, again);
    rots(&mut lone);
    lone.written();
    assert!(!is_held(&lone));
    let third = lone.captures.pop().expect("and once more");
    captured(&mut lone, third);
    until_answered(&mut lone).expect("settled");
    assert!(is_held(&lone));
}

/// A member of which a window is asked that adopts what is there, and which captures that.
fn opening() -> (Lone, u64) {
    let mut lone = alone();
    let capture = creating(&mut lone);
    captured(&mut lone, capture);
    until_answered(&mut lone).expect("settled");
    let (application, reason) = ("shop".to_owned(), "by hand".to_owned());
    let command = Command::Open { application, lasts: Millis(600_000), reason, adopt: true, auto: None };
    lone.give(Input::Requested { request: 2, by: "ada".into(), command });
    let capture = lone.captures.pop().expect("captured first");
    (lone, capture)
}

/// A repair may come between two captures: the settled tree would be taken for what was there.
#[test]
fn a_window_that_adopts_what_is_there_is_not_opened_with_what_is_there_later() {
    let (mut lone, capture) = opening();
    rots(&mut lone);
    captured(&mut lone, capture);
    let refusal = until_answered(&mut lone).expect_err("lost");
    assert_eq!(refusal.code, crate::control::Code::Failed);
    assert!(lone.captures.is_empty() && lone.state().applications["shop"].window.is_none());
}

/// It is what a commit settles from then on, and not what a repair may have made of the tree meanwhile.
#[test]
fn what_rots_while_a_window_is_being_opened_with_it_is_staged_there_all_the_same() {
    let (mut lone, capture) = opening();
    lone.slow = Some(VecDeque::new());
    captured(&mut lone, capture);
    let (batch, writes) = lone.slow.as_mut().and_then(VecDeque::pop_front).expect("what is held");
    lone.write(writes);
    lone.give(Input::Persisted(batch));
    rots(&mut lone);
    lone.written();
    until_answered(&mut lone).expect("opened");
    let entity = lone.member.entity.as_ref().expect("in an entity");
    assert_eq!(entity.locals["shop"].staged, Some(Manifest::empty().root));
}

/// Member 1 of three, with a root on its disk that member 2 stages in a window of its own.
fn asked_to_promise() -> (Lone, Signed) {
    let create = Change::Create {
        application: "shop".into(),
        root: "/srv/shop".into(),
        policy: Policy::Majority,
        unmanaged: Vec::new(),
        adopts: false,
        terms: Default::default(),
    };
    let open = Change::Open {
        application: "shop".into(),
        expires: WallTime(3_600_000),
        reason: "better".into(),
        implicit: false,
        root: None,
        auto: None,
    };
    let head = three();
    let (first, state) = settle(&head.state, head.record, create, &[2, 3]);
    let (second, state) = settle(&state, first.certificate.value, open, &[2, 3]);
    let record = second.certificate.value;
    let mut lone = Lone::of(&Head { trail: Trail::begin(&state, record), record, state });
    let (root, basis) = (Manifest::empty().root, lone.state().applications["shop"].basis);
    lone.write(vec![saved::put_held("shop", &root, Extent::default())]);
    let mut lone = Lone::start(lone.disk);
    lone.meet();
    let holding =
        crate::statement::Holding { application: "shop".into(), basis, root, extent: Extent::default() };
    let staged = said(lone.state().entity, 2, (9, 500), Statement::Holding(holding));
    (lone, staged)
}

fn promises(lone: &Lone) -> bool {
    lone.member.entity.as_ref().is_some_and(|entity| entity.holding_of(&id(1), "shop").is_some())
}

#[test]
fn what_is_held_is_promised() {
    let (mut lone, staged) = asked_to_promise();
    lone.hear(2, Message::Push(vec![staged]));
    assert!(promises(&lone));
}

#[test]
fn what_is_held_is_promised_only_once_it_was_looked_through_if_something_rotted() {
    let (mut lone, staged) = asked_to_promise();
    rots(&mut lone);
    lone.hear(2, Message::Push(vec![staged]));
    assert!(!promises(&lone));
    let empty = Directory { format: manifest::FORMAT, entries: Vec::new() };
    let fetched = |wants: Vec<Want>| Fetched {
        done: wants,
        directories: vec![(Manifest::empty().root, empty.clone())],
        ..Fetched::default()
    };
    rots(&mut lone);
    for (fetch, wants) in std::mem::take(&mut lone.fetches) {
        lone.give(Input::Fetched { fetch, result: fetched(wants) });
    }
    assert!(!promises(&lone), "something more rotted meanwhile");
    for (fetch, wants) in std::mem::take(&mut lone.fetches) {
        lone.give(Input::Fetched { fetch, result: fetched(wants) });
    }
    assert!(promises(&lone));
}
