//! A creation that fails takes back what it had settled.

use super::*;
use crate::control::Code;
use crate::effect::{Captured, NotCaptured, Source};
use crate::manifest::{Extent, Manifest};
use crate::placement::Placement;
use crate::record::Policy;

/// The only member of an entity: it settles by itself.
pub(super) fn alone() -> Lone {
    let genesis = genesis();
    let state = State::genesis(&genesis);
    let record = genesis.id();
    let trail = Trail::begin(&state, record);
    let life = Life { store: Id16([1; 16]), incarnation: 0, reserved: 0 };
    let mut disk = BTreeMap::new();
    for write in [saved::put_life(&life), saved::put_head(&Head { state, record, trail })] {
        disk.insert((write.family, write.key), write.value.expect("a value"));
    }
    let mut lone = Lone::start(disk);
    lone.pass(2_000);
    lone
}

/// `app new shop --from DIR`, up to where the content is to be captured.
pub(super) fn creating(lone: &mut Lone) -> u64 {
    let command = Command::Create {
        application: "shop".into(),
        root: "/srv/shop".into(),
        policy: Policy::Majority,
        source: Some(Source::Directory("/tmp/site".into())),
        replace: false,
        unmanaged: Vec::new(),
        handling: Default::default(),
        placement: Default::default(),
        adopts: None,
        rollout: None,
    };
    lone.give(Input::Requested { request: 1, by: "ada".into(), command });
    for _ in 0..20 {
        if let Some(capture) = lone.captures.pop() {
            assert!(lone.state().applications.contains_key("shop"), "it is defined first");
            return capture;
        }
        lone.pass(100);
    }
    panic!("nothing is captured: {:?}", lone.replies);
}

pub(super) fn until_answered(lone: &mut Lone) -> Reply {
    for _ in 0..200 {
        if let Some(reply) = lone.replies.pop() {
            return reply;
        }
        lone.pass(100);
    }
    panic!("no answer");
}

#[test]
fn a_creation_whose_content_cannot_be_had_leaves_no_application() {
    let mut lone = alone();
    let capture = creating(&mut lone);
    let result = Err(NotCaptured::Changing("it changes".into()));
    lone.give(Input::Captured { capture, result });
    let refusal = until_answered(&mut lone).expect_err("refused");
    assert_eq!(refusal.code, Code::Changing);
    assert!(lone.state().applications.is_empty(), "taken back before the answer");
    assert!(refusal.facts.iter().all(|(name, _)| name != "left"), "{refusal:?}");
    assert_eq!(lone.told("application.removed"), 1);
    // The same name may be used again at once.
    creating(&mut lone);
}

#[test]
fn a_creation_that_cannot_be_taken_back_says_what_is_left() {
    let mut lone = alone();
    let capture = creating(&mut lone);
    // The disk takes no further record, so nothing more can be settled from here.
    lone.give(Input::Room(crate::effect::Room::Nothing("full".into())));
    lone.give(Input::Captured { capture, result: Err(NotCaptured::Failed("no".into())) });
    let refusal = until_answered(&mut lone).expect_err("refused");
    assert_eq!(refusal.code, Code::Failed);
    assert!(lone.state().applications.contains_key("shop"));
    assert!(refusal.facts.iter().any(|(name, _)| name == "left"), "{refusal:?}");
    let commands: Vec<String> = refusal.remedies.iter().map(|(_, words)| words.join(" ")).collect();
    assert!(commands.contains(&"althing deploy shop --from DIR".to_owned()), "{commands:?}");
}

#[test]
fn a_creation_that_goes_well_is_not_taken_back() {
    let mut lone = alone();
    let capture = creating(&mut lone);
    let captured = Captured { root: Manifest::empty().root, extent: Extent::default() };
    lone.give(Input::Captured { capture, result: Ok(captured) });
    until_answered(&mut lone).expect("settled");
    assert_eq!(lone.state().applications["shop"].revisions.len(), 1);
}

#[test]
fn a_repair_is_answered_when_its_application_goes_to_other_members() {
    let mut lone = alone();
    let capture = creating(&mut lone);
    let captured = Captured { root: Manifest::empty().root, extent: Extent::default() };
    lone.give(Input::Captured { capture, result: Ok(captured) });
    until_answered(&mut lone).expect("settled");
    let repair = Command::Repair { application: "shop".into() };
    lone.give(Input::Requested { request: 2, by: "ada".into(), command: repair });
    assert!(lone.replies.is_empty(), "the scan is not done");
    let (placement, definition) = (Some(Placement::of(["elsewhere"])), Default::default());
    let command = Command::Arrange {
        application: "shop".into(),
        placement,
        definition,
        keep_files: false,
        rollout: None,
    };
    lone.give(Input::Requested { request: 3, by: "ada".into(), command });
    (0..20).for_each(|_| lone.pass(100));
    let refused = |reply: &Reply| reply.as_ref().is_err_and(|refusal| refusal.code == Code::NotPlaced);
    assert!(lone.replies.iter().any(refused), "{:?}", lone.replies);
}
