//! What no kept revision needs is thrown away, and nothing else: every revision that is kept can be gone back to.

use std::collections::BTreeSet;

use althing_protocol::control::Command;
use althing_protocol::hash::Hash;
use althing_protocol::limits::REVISIONS_KEPT;
use althing_protocol::rollout::Wish;

use super::{WEB, answer, assert_holds, assert_rest, at_rest, deploy, revision, settled};
use crate::world::{Event, SECOND, World};

/// Longer than any collection takes to begin and end.
const COLLECTED: u64 = 60 * SECOND;

/// The roots that the entity keeps of the application.
fn kept(world: &World) -> BTreeSet<Hash> {
    let state = world.reference.state().expect("there is an entity");
    state.applications[WEB].revisions.iter().map(|revision| revision.root).collect()
}

/// Every host has exactly what these roots need.
fn assert_exactly(world: &World, roots: &BTreeSet<Hash>) {
    let wanted: BTreeSet<Hash> = roots.iter().flat_map(|root| world.library.pieces(root)).collect();
    for host in &world.hosts {
        let surplus = host.content.pieces().difference(&wanted).count();
        let lacking = wanted.difference(host.content.pieces()).count();
        assert_eq!((surplus, lacking), (0, 0), "surplus and lacking pieces of {}", host.name);
    }
}

#[test]
fn every_kept_revision_survives_and_nothing_else_does() {
    let mut world = at_rest(5);
    let first = settled(&world);
    for at in 0..REVISIONS_KEPT + 3 {
        let command = deploy(&mut world, at % 5);
        answer(&mut world, at % 5, command).expect("deployed");
    }
    assert_rest(&mut world, 30);
    world.run(COLLECTED);
    assert_holds(&world);
    assert!(!kept(&world).contains(&first));
    assert_exactly(&world, &kept(&world));

    // The oldest that is kept, again and again: in the end each of them was gone back to.
    for _ in 0..=REVISIONS_KEPT {
        let to = revision(&world) - REVISIONS_KEPT as u64;
        answer(&mut world, 3, Command::Rollback { application: WEB.into(), to, wish: Wish::default() })
            .expect("rolled back");
        assert_rest(&mut world, 30);
        world.run(COLLECTED);
        assert_holds(&world);
    }
    assert_exactly(&world, &kept(&world));
}

#[test]
fn what_an_aborted_window_staged_goes_and_what_is_staged_stays() {
    let mut world = at_rest(5);
    answer(&mut world, 2, super::open(600)).expect("opened");
    let source = crate::workload::source(&mut world, 2);
    answer(&mut world, 2, Command::Stage { application: WEB.into(), source }).expect("staged");
    world.run(COLLECTED);
    assert_holds(&world);
    let staged =
        world.hosts[2].keep.difference(&kept(&world)).copied().next().expect("the staged root is kept");
    for host in &world.hosts {
        assert!(host.content.lacking(&world.library, &staged).is_empty(), "{} holds it", host.name);
    }
    answer(&mut world, 4, Command::Abort { application: WEB.into() }).expect("aborted");
    assert_rest(&mut world, 30);
    world.run(COLLECTED);
    assert_holds(&world);
    assert_exactly(&world, &kept(&world));
}

/// Nobody can give it at once, and the process that found it is not there any more when somebody can.
#[test]
fn what_rotted_is_had_again_also_by_the_next_process() {
    let mut world = at_rest(3);
    let first = settled(&world);
    let command = deploy(&mut world, 1);
    answer(&mut world, 1, command).expect("deployed");
    assert_rest(&mut world, 30);
    world.cut(&[0], &[1, 2], false);
    let trees: BTreeSet<Hash> = world.library.pieces(&settled(&world)).into_iter().collect();
    let files = world.hosts[0].content.files(&world.library);
    let of_first: BTreeSet<Hash> = world.library.pieces(&first).into_iter().collect();
    let only = files.into_iter().find(|piece| of_first.contains(piece) && !trees.contains(piece));
    let piece = only.expect("the first revision has a file that the second has not");
    world.hosts[0].content.rot(piece);
    let life = world.hosts[0].life;
    world.schedule(SECOND, Event::Scrub { host: 0, life, piece });
    world.run(5 * SECOND);
    assert!(world.hosts[0].content.is_damaged(&piece) && !world.hosts[0].content.has(&piece));
    world.crash(0, "and starts again");
    world.start(0);
    world.mend();
    world.run(30 * SECOND);
    assert_holds(&world);
    assert!(world.hosts[0].content.has(&piece), "others keep the first revision too");
}
