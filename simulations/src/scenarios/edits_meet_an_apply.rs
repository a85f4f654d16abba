//! The same edit on every member while a new revision is applied: what comes of both is nobody's content, and is not
//! adopted although all show it (finding 2).

use althing_protocol::manifest::Item;

use super::{WEB, answer, assert_holds, assert_rest, at_rest, deploy, edited, revision, settled};
use crate::host::tree::Tree;
use crate::workload::edit;
use crate::world::{SECOND, World};

#[test]
fn half_an_apply_and_half_an_edit_are_repaired() {
    for pause in 0..12 {
        let mut world = at_rest(3);
        let tree = edited(&mut world);
        let command = deploy(&mut world, 1);
        answer(&mut world, 1, command).expect("deployed");
        let root = settled(&world);
        world.run_until(10 * SECOND, |world| world.hosts.iter().any(|host| host.live[WEB].journal.is_some()));
        // Early, late, and when it has just ended.
        world.run(pause * 12_000);
        edit(&mut world, &[0, 1, 2], WEB, Some(tree));
        assert_rest(&mut world, 60);
        let (number, now) = (revision(&world), settled(&world));
        let adopted = number == 3 && world.invariants.was_edited(WEB, &now);
        assert!(number == 2 && now == root || adopted, "revision {number} {}", now.short());
    }
}

#[test]
fn half_a_repair_is_no_vote_for_what_another_member_has() {
    let mut world = at_rest(3);
    let (root, number) = (settled(&world), revision(&world));
    let show = |world: &World| -> Tree { world.hosts[2].live[WEB].tree.clone().expect("there is content") };
    // What is in the way of a file is moved before there is need of room for it.
    let mut edit_of_one = show(&world);
    let file =
        edit_of_one.values_mut().find(|item| matches!(item, Item::File { .. })).expect("there is a file");
    *file = Item::directory(0o755);
    world.fill(2, true);
    edit(&mut world, &[2], WEB, Some(edit_of_one.clone()));
    assert!(world.run_until(30 * SECOND, |world| show(world) != edit_of_one), "it is being repaired");
    world.run(SECOND);
    let half = show(&world);
    assert!(world.hosts[2].live[WEB].root() != Some(root), "there is no room for the rest");
    edit(&mut world, &[1], WEB, Some(half));
    world.run(30 * SECOND);
    assert_holds(&world);
    assert_eq!(
        (revision(&world), settled(&world)),
        (number, root),
        "one of three was edited to be like that"
    );
    world.fill(2, false);
    assert_rest(&mut world, 60);
}
