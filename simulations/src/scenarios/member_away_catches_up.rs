//! A member that was away for many records catches up, and has the content that is in force.

use super::{answer, assert_rest, at_rest, deploy, revision};
use crate::world::SECOND;

#[test]
fn forty_records_later() {
    let mut world = at_rest(9);
    let number = revision(&world);
    world.crash(8, "and is away for long");
    world.run(5 * SECOND);
    for at in 0..40 {
        let command = deploy(&mut world, at % 8);
        answer(&mut world, at % 8, command).expect("eight of nine are a majority");
        world.run(SECOND);
    }
    assert_eq!(revision(&world), number + 40);
    world.start(8);
    assert_rest(&mut world, 30);
}
