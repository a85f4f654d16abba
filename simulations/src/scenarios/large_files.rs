//! Large files come in parts, from everybody who has them; what came before a power cut and is on the disk is not asked
//! for again (F5).

use std::collections::BTreeSet;

use althing_protocol::control::Command;
use althing_protocol::effect::Source;
use althing_protocol::hash::Hash;
use althing_protocol::limits::PART_BYTES;
use althing_protocol::manifest::Item;

use super::{answer, assert_holds, assert_rest, at_rest, deploy, settled};
use crate::world::{Event, MS, SECOND, World};

const PARTS: u64 = 100;
const CAME: &str = "a part of a large file came";

/// A directory of member 0 whose first file is large: the command that deploys it, and what is in the file.
pub(super) fn large(world: &mut World) -> (Command, Hash) {
    let command = deploy(world, 0);
    let Command::Deploy { source: Source::Directory(path), .. } = &command else { panic!("{command:?}") };
    let tree = world.hosts[0].directories.get_mut(path).expect("it is there");
    let file = tree.values_mut().find_map(|item| match item {
        Item::File { size, content, .. } => Some((size, content)),
        _ => None,
    });
    let (size, content) = file.expect("there is a file");
    *size = PARTS * PART_BYTES - 1;
    let content = *content;
    (command, content)
}

pub(super) fn parts_that_came(world: &World) -> u64 {
    world.sometimes.get(CAME).copied().unwrap_or_default()
}

#[test]
fn what_came_of_a_large_file_before_a_power_cut_is_not_asked_for_again() {
    let mut world = at_rest(5);
    world.crash(4, "and is away");
    let (command, content) = large(&mut world);
    answer(&mut world, 0, command).expect("four of five");
    world.run(60 * SECOND);
    assert_holds(&world);
    let before = parts_that_came(&world);
    assert_eq!(before, 3 * PARTS, "three had it from others, and each part once");

    world.start(4);
    let many = world
        .run_until(60 * SECOND, |world| world.hosts[4].content.gathered(&content).len() as u64 > PARTS / 3);
    assert!(many, "it comes in parts");
    assert!(!world.hosts[4].content.has(&content));
    world.crash(4, "in the middle");
    let kept: BTreeSet<u32> = world.hosts[4].content.gathered(&content);
    assert!(!kept.is_empty() && (kept.len() as u64) < PARTS);
    let before = parts_that_came(&world);
    world.run(100 * MS);
    world.start(4);
    assert_rest(&mut world, 120);
    assert_eq!(parts_that_came(&world) - before, PARTS - kept.len() as u64);
    assert!(world.hosts[4].content.has(&content));
    let root = settled(&world);
    assert_eq!(world.hosts[4].content.lacking(&world.library, &root), []);
}

#[test]
fn what_rots_while_the_rest_is_on_its_way_is_fetched_again() {
    let mut world = at_rest(3);
    world.crash(2, "and is away");
    let (command, large) = large(&mut world);
    answer(&mut world, 0, command).expect("two of three");
    let root = settled(&world);
    // It is kept for rollback only: no apply looks at it.
    let next = deploy(&mut world, 0);
    answer(&mut world, 0, next).expect("two of three");
    world.run(30 * SECOND);
    world.start(2);
    let comes = |world: &World| world.hosts[2].content.gathered(&large).len() as u64 > PARTS / 10;
    assert!(world.run_until(60 * SECOND, comes), "it comes in parts");
    let host = &world.hosts[2];
    let (pieces, life) = (world.library.pieces(&root), host.life);
    let piece = host.content.files(&world.library).into_iter().find(|file| pieces.contains(file));
    let piece = piece.expect("the small files came first");
    world.hosts[2].content.rot(piece);
    world.schedule(0, Event::Scrub { host: 2, life, piece });
    world.run_until(60 * SECOND, |world| world.hosts[2].content.has(&large));
    world.run(30 * SECOND);
    assert_holds(&world);
    assert_eq!(world.hosts[2].content.lacking(&world.library, &root), []);
}
