//! The author dies between stage and commit: the old revision stays in force, the window ends, the next deployment
//! works.

use super::{WEB, answer, assert_holds, assert_rest, at_rest, deploy, revision, settled};
use crate::world::{MS, SECOND};

#[test]
fn the_old_revision_stays_in_force() {
    let mut world = at_rest(9);
    let (root, number) = (settled(&world), revision(&world));
    let command = deploy(&mut world, 3);
    world.request(3, command);
    let opened = world.run_until(5 * SECOND, |world| {
        world.reference.state().is_some_and(|state| state.applications[WEB].window.is_some())
    });
    assert!(opened, "the window of the deployment is open");
    world.run(10 * MS);
    world.crash(3, "between stage and commit");

    let closed = world.run_until(40 * SECOND, |world| {
        world.reference.state().is_some_and(|state| state.applications[WEB].window.is_none())
    });
    assert_holds(&world);
    assert!(closed, "the window of a dead author ends");
    assert_eq!((settled(&world), revision(&world)), (root, number));
    // It is settled as soon as one member knows it; all of them a little later.
    world.run(SECOND);

    let command = deploy(&mut world, 0);
    answer(&mut world, 0, command).expect("the next deployment works");
    world.start(3);
    assert_rest(&mut world, 30);
    assert_eq!(revision(&world), number + 1);
}

#[test]
fn an_author_that_starts_again_at_once_leaves_no_window_open() {
    let mut world = at_rest(9);
    let command = deploy(&mut world, 3);
    world.request(3, command);
    world.run_until(5 * SECOND, |world| {
        world.reference.state().is_some_and(|state| state.applications[WEB].window.is_some())
    });
    world.crash(3, "between stage and commit");
    world.run(500 * MS);
    world.start(3);
    assert_rest(&mut world, 60);
}
