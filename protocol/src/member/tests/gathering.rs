//! Reports that nobody waits for, in a large entity.

use super::*;
use crate::effect::Room;
use crate::metrics::Report;

/// Member 1 of so many, connected to twelve. Members 2 and 3 vote, and it does if `votes`.
fn one_of(members: u8, votes: bool) -> Lone {
    let mut head = three();
    head.state.members.extend((4..=members).map(|seed| crate::state::Member {
        id: id(seed),
        store: Id16([seed; 16]),
        name: format!("m{seed}"),
        role: Role::Follower,
        addresses: vec![address(seed.into())],
        since: 0,
        service: crate::state::Service::In,
        labels: BTreeMap::new(),
    }));
    if !votes {
        head.state.members[0].role = Role::Follower;
    }
    head.trail = Trail::begin(&head.state, head.record);
    let mut one = Lone::of(&head);
    (2..=13).for_each(|seed| one.give(Input::Connected(id(seed))));
    // With its next heartbeats it chooses whom it pushes to.
    (0..4).for_each(|_| one.pass(250));
    if votes {
        one.meet();
    }
    (0..20).for_each(|_| one.pass(250));
    one.sent.clear();
    one
}

fn report(one: &Lone, by: u8, at: u64, epoch: u64) -> Signed {
    said(one.state().entity, by, (1, at), Statement::Report(Box::new(Report { epoch, ..Report::default() })))
}

/// What was pushed to a peer, by author and sequence, a list for each message.
fn pushed(one: &Lone) -> BTreeMap<MemberId, Vec<Vec<(MemberId, u64)>>> {
    let mut pushed: BTreeMap<MemberId, Vec<Vec<(MemberId, u64)>>> = BTreeMap::new();
    for (to, message) in &one.sent {
        let Message::Push(statements) = message else { continue };
        let place = |signed: &Signed| {
            let checked = Checked::check(signed.clone(), &one.state().entity, Scheme::SimulatedHash);
            (signed.author, checked.expect("signed").position().sequence)
        };
        pushed.entry(*to).or_default().push(statements.iter().map(place).collect());
    }
    pushed
}

/// Epochs that it says it has, one for each report that it says of itself.
fn told(one: &Lone) -> Vec<u64> {
    let mut told = BTreeMap::new();
    for (_, message) in &one.sent {
        let Message::Push(statements) = message else { continue };
        for signed in statements.iter().filter(|signed| signed.author == id(1)) {
            let checked = Checked::check(signed.clone(), &one.state().entity, Scheme::SimulatedHash);
            let checked = checked.expect("signed");
            if let Statement::Report(report) = checked.statement() {
                told.insert(checked.position(), report.epoch);
            }
        }
    }
    told.into_values().collect()
}

fn announced(one: &Lone) -> BTreeSet<MemberId> {
    let announcements = one.sent.iter().filter(|(_, sent)| matches!(sent, Message::Announce(_)));
    announcements.map(|(to, _)| *to).collect()
}

/// One record is settled.
fn settle_one(one: &mut Lone) {
    let (link, _) = link(one.state(), one.head(), "a", &[2, 3]);
    one.hear(2, Message::Chain(vec![link]));
    assert_eq!(one.state().epoch, 1);
}

#[test]
fn reports_that_tell_only_an_epoch_wait_for_others_and_a_newer_one_takes_their_place() {
    let mut one = one_of(100, false);
    one.hear(2, Message::Push(vec![report(&one, 30, 1, 0), report(&one, 31, 1, 0)]));
    one.pass(10);
    assert!(!pushed(&one).is_empty(), "what is new goes on after a moment");
    one.pass(200);
    one.sent.clear();
    one.hear(2, Message::Push(vec![report(&one, 30, 2, 1)]));
    one.pass(20);
    one.hear(3, Message::Push(vec![report(&one, 31, 2, 1)]));
    one.hear(3, Message::Push(vec![report(&one, 30, 3, 2)]));
    one.pass(20);
    assert!(pushed(&one).is_empty(), "{:?}", pushed(&one));
    one.pass(10);
    let to = pushed(&one);
    assert!(to.len() > 2 && !to.contains_key(&id(3)), "{to:?}: not to who brought both");
    assert!(to.values().all(|messages| *messages == [[(id(31), 2), (id(30), 3)]]), "{to:?}");
    assert!(announced(&one).is_empty());
    one.pass(500);
    assert!((1..=3).contains(&announced(&one).len()), "{:?}", announced(&one));
}

#[test]
fn a_report_with_other_news_goes_on_before_those_that_wait_and_replaces_them() {
    let mut one = one_of(100, false);
    one.hear(2, Message::Push(vec![report(&one, 30, 1, 0)]));
    one.pass(200);
    one.hear(2, Message::Push(vec![report(&one, 30, 2, 1)]));
    one.sent.clear();
    let missing = Report { epoch: 1, unheard: vec![id(40)], ..Report::default() };
    let missing = said(one.state().entity, 30, (1, 3), Statement::Report(Box::new(missing)));
    one.hear(2, Message::Push(vec![missing]));
    one.pass(10);
    let to = pushed(&one);
    assert!(!to.is_empty() && to.values().all(|messages| *messages == [[(id(30), 3)]]), "{to:?}");
    one.sent.clear();
    one.pass(100);
    assert!(pushed(&one).is_empty(), "the older one is not said any more: {:?}", pushed(&one));
}

#[test]
fn among_few_a_report_that_tells_only_an_epoch_goes_on_as_any_other() {
    let mut one = one_of(40, false);
    one.hear(2, Message::Push(vec![report(&one, 30, 1, 0)]));
    one.pass(200);
    one.sent.clear();
    one.hear(2, Message::Push(vec![report(&one, 30, 2, 1)]));
    one.pass(10);
    assert!(!pushed(&one).is_empty());
    one.sent.clear();
    settle_one(&mut one);
    one.pass(10);
    assert_eq!(told(&one), [1]);
}

#[test]
fn a_follower_of_a_large_entity_tells_a_new_epoch_at_a_time_of_its_own() {
    let mut one = one_of(100, false);
    settle_one(&mut one);
    one.pass(60);
    assert_eq!(told(&one), [], "all others have it to tell as well");
    // Within 100 ms for each member, and 50 ms for those that wait with it.
    (0..101).for_each(|_| one.pass(100));
    assert_eq!(told(&one), [1]);
    (0..600).for_each(|_| one.pass(100));
    assert_eq!(told(&one), [1], "once");
}

#[test]
fn a_voter_of_a_large_entity_tells_a_new_epoch_at_once() {
    let mut one = one_of(100, true);
    settle_one(&mut one);
    one.pass(60);
    assert_eq!(told(&one), [1]);
}

#[test]
fn other_news_take_the_epoch_with_them() {
    let mut one = one_of(100, false);
    settle_one(&mut one);
    one.give(Input::Room(Room::Votes("no room".into())));
    // Troubles are told with the next heartbeat.
    (0..30).for_each(|_| one.pass(100));
    assert_eq!(told(&one), [1]);
    (0..100).for_each(|_| one.pass(100));
    assert_eq!(told(&one), [1], "there is nothing left to tell");
}
