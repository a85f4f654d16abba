//! A member whose disk was put back to an earlier state must not vote again: it could contradict itself.

use super::{answer, assert_holds, at_rest, deploy, revision};
use crate::world::SECOND;

#[test]
fn a_store_that_was_put_back_never_votes_again() {
    let mut world = at_rest(5);
    let snapshot = world.snapshot(4);
    world.crash(4, "to be restored later");
    world.start(4);
    world.run(10 * SECOND);
    let command = deploy(&mut world, 1);
    answer(&mut world, 1, command).expect("settled");
    world.crash(4, "and its snapshot is put back");
    world.put_back(4, snapshot);
    world.start(4);
    world.run(30 * SECOND);
    assert_holds(&world);
    let member = world.hosts[4].member.as_ref().expect("it runs");
    assert!(!member.may_vote(), "others know more of it than it does itself");
    assert_eq!(member.head(), world.reference.head().map(|head| head.record), "and it follows the chain");

    let number = revision(&world);
    let command = deploy(&mut world, 0);
    answer(&mut world, 0, command).expect("the other four are a majority of five");
    assert_eq!(revision(&world), number + 1);
}
