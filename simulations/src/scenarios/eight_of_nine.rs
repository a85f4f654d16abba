//! The source's example: eight of nine agree, so the ninth is updated from any of the eight.

use super::{WEB, assert_rest, at_rest, edited, revision, settled};
use crate::workload::edit;
use crate::world::SECOND;

#[test]
fn the_ninth_is_put_right_from_the_eight() {
    let mut world = at_rest(9);
    let (root, number) = (settled(&world), revision(&world));
    let other = edited(&mut world);
    edit(&mut world, &[4], WEB, Some(other));
    assert_ne!(world.hosts[4].live(WEB).root(), Some(root));
    assert_rest(&mut world, 10);
    assert_eq!(world.hosts[4].live(WEB).root(), Some(root));
    assert_eq!(revision(&world), number, "nothing was settled for it");
    assert!(!world.hosts[4].live(WEB).trash.is_empty(), "what it had is kept");
}

#[test]
fn a_tree_that_was_removed_comes_back() {
    let mut world = at_rest(9);
    let root = settled(&world);
    edit(&mut world, &[0, 1, 2, 3, 4, 5, 6, 7, 8], WEB, None);
    world.run(5 * SECOND);
    assert_rest(&mut world, 20);
    assert_eq!(settled(&world), root, "an absent root is nobody's vote");
}
