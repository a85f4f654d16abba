//! A path that is changed as often as it is repaired: after three repairs it is left alone, and the rest is not.

use althing_protocol::control::Command;
use althing_protocol::manifest::Item;
use althing_protocol::path::ItemPath;

use super::{WEB, answer, assert_holds, assert_rest, at_rest, settled};
use crate::host::tree::Tree;
use crate::workload::edit;
use crate::world::{SECOND, World};

fn path(text: &str) -> ItemPath {
    ItemPath::new(text.as_bytes()).expect("a path")
}

/// The settled tree and one more file.
fn with_log(world: &World, line: u8) -> Tree {
    let mut tree = world.hosts[0].live[WEB].tree.clone().expect("there is content");
    let content = althing_protocol::hash::Hash::of(&[line]);
    tree.insert(path("debug.log"), Item::file(0o644, 1, content));
    tree
}

/// Member 4's tree gets a log that is repaired away, three times.
fn contest(world: &mut World) {
    for line in 0..3 {
        let tree = with_log(world, line);
        edit(world, &[4], WEB, Some(tree));
        world.run(5 * SECOND);
        assert_eq!(world.hosts[4].live(WEB).root(), Some(settled(world)), "repaired the {line}th time");
    }
    let tree = with_log(world, 9);
    edit(world, &[4], WEB, Some(tree));
    world.run(10 * SECOND);
    assert_holds(world);
}

fn left(world: &World) -> Vec<ItemPath> {
    world.hosts[4].member.as_ref().expect("it runs").left_alone(WEB)
}

#[test]
fn the_fourth_change_stays_and_what_else_changes_is_repaired() {
    let mut world = at_rest(5);
    contest(&mut world);
    assert_eq!(left(&world), [path("debug.log")]);
    let kept = with_log(&world, 9);
    assert_eq!(world.hosts[4].live(WEB).tree, Some(kept.clone()));

    let mut other = kept.clone();
    other.insert(path("evil.php"), Item::symlink(b"/etc"));
    edit(&mut world, &[4], WEB, Some(other));
    world.run(5 * SECOND);
    assert_eq!(world.hosts[4].live(WEB).tree, Some(kept), "the rest is put right");

    // Nobody is kept busy with it.
    let steps = world.steps;
    world.run(60 * SECOND);
    assert_holds(&world);
    assert!(world.steps - steps < 60 * 5 * 40, "{} steps in a minute", world.steps - steps);

    answer(&mut world, 4, Command::Repair { application: WEB.into() }).expect("repaired by hand");
    assert_rest(&mut world, 10);
    assert_eq!(left(&world), []);
}

#[test]
fn after_an_hour_it_is_repaired_again() {
    let mut world = at_rest(3);
    // Of three members, the last is number 2; the story above needs five.
    for line in 0..4 {
        let tree = with_log(&world, line);
        edit(&mut world, &[2], WEB, Some(tree));
        world.run(5 * SECOND);
    }
    assert_ne!(world.hosts[2].live(WEB).root(), Some(settled(&world)));
    world.run(3600 * SECOND);
    assert_holds(&world);
    assert_eq!(world.hosts[2].live(WEB).root(), Some(settled(&world)));
}
