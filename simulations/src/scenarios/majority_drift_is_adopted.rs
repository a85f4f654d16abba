//! More than half show the same new content at the same time: policy `majority` settles it.

use althing_protocol::control::Command;
use althing_protocol::handling::Handling;
use althing_protocol::placement::Placement;
use althing_protocol::record::Policy;

use super::{WEB, answer, assert_rest, at_rest, edited, revision, settled};
use crate::options::Options;
use crate::run::found;
use crate::workload::{self, edit};
use crate::world::{SECOND, World};

#[test]
fn six_of_nine_with_the_same_edit_are_the_majority() {
    let mut world = at_rest(9);
    let number = revision(&world);
    let other = edited(&mut world);
    // Members notice it within half a second of each other: none repairs it before the others have said so.
    edit(&mut world, &[0, 2, 3, 5, 6, 8], WEB, Some(other.clone()));
    assert_rest(&mut world, 30);
    assert_eq!(revision(&world), number + 1);
    assert_eq!(world.hosts[0].live(WEB).root(), Some(settled(&world)));
    assert_eq!(world.hosts[1].live(WEB).tree, Some(other), "the others follow");
}

#[test]
fn four_of_nine_are_put_right() {
    let mut world = at_rest(9);
    let (root, number) = (settled(&world), revision(&world));
    let other = edited(&mut world);
    world.faults.prompt = true;
    edit(&mut world, &[0, 2, 3, 5], WEB, Some(other));
    assert_rest(&mut world, 30);
    assert_eq!((settled(&world), revision(&world)), (root, number));
}

#[test]
fn a_certified_application_is_put_right_on_however_many() {
    let mut world = certified(5);
    let root = settled(&world);
    let mut other = world.hosts[0].live(WEB).tree.clone().expect("there is content");
    other.extend(crate::host::tree::random(&mut world.workload.rng));
    world.faults.prompt = true;
    edit(&mut world, &[0, 1, 2, 3], WEB, Some(other));
    let began = world.now;
    assert_rest(&mut world, 10);
    assert!(world.now - began < 2 * SECOND, "without any delay: {} us", world.now - began);
    assert_eq!((settled(&world), revision(&world)), (root, 1));
}

/// Members that run a certified application.
fn certified(members: usize) -> World {
    let mut world = World::new(Options { seed: 11, members, faults: false, ..Options::default() });
    world.by_hand = true;
    found(&mut world);
    let source = Some(workload::source(&mut world, 1));
    let (application, root) = (WEB.to_owned(), format!("/srv/{WEB}"));
    let (policy, unmanaged) = (Policy::Certified, Vec::new());
    let create = Command::Create {
        application,
        root,
        policy,
        source,
        replace: false,
        unmanaged,
        handling: Handling::default(),
        placement: Placement::default(),
        adopts: None,
        rollout: None,
    };
    answer(&mut world, 1, create).expect("created");
    assert_rest(&mut world, 30);
    world
}
