//! More than half show the same new content at the same time: policy `majority` settles it.

use super::{WEB, assert_rest, at_rest, edited, revision, settled};
use crate::workload::edit;

#[test]
fn six_of_nine_with_the_same_edit_are_the_majority() {
    let mut world = at_rest(9);
    let number = revision(&world);
    let other = edited(&mut world);
    world.faults.prompt = true;
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
