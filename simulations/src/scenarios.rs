//! Hand-written stories with readable assertions: each begins with nine members that run one application.

mod asked_for;
mod author_dies;
mod collection;
mod contested;
mod determinism;
mod edits_meet_an_apply;
mod eight_of_nine;
mod first_content;
mod five_against_four;
mod fork;
mod full_disks;
mod given_nothing;
mod kept_by_adopting;
mod large_files;
mod liar_among_five;
mod likeness;
mod long_away;
mod lost_majority;
mod majority_drift_is_adopted;
mod member_away_catches_up;
mod members_in_and_out_of_service;
mod mutations;
mod operators;
mod owners;
mod placement;
mod readmission;
mod removed_application;
mod restored_snapshot_goes_mute;
mod rolling_out;
mod rolling_upgrade;
mod supermajority;
mod swarm;
mod told_later;
mod window_in_a_partition;

use althing_protocol::control::{Command, Reply};
use althing_protocol::hash::Hash;
use althing_protocol::record::Policy;
use althing_protocol::rollout::Wish;
use althing_protocol::time::Millis;

use crate::host::tree::{self, Tree};
use crate::liveness;
use crate::options::Options;
use crate::run::{create, found};
use crate::workload;
use crate::world::{SECOND, World};

/// The application of every story.
const WEB: &str = "web";

/// Members that run one application, all of them at rest.
fn at_rest(members: usize) -> World {
    let mut world = World::new(Options { seed: 7, members, faults: false, ..Options::default() });
    world.by_hand = true;
    found(&mut world);
    create(&mut world, WEB, Policy::Majority);
    assert_holds(&world);
    world
}

/// Nothing that must never happen did.
fn assert_holds(world: &World) {
    let tail = world.timeline.iter().rev().take(60).rev();
    let told: Vec<String> =
        tail.map(|entry| format!("{:9.3} {:4} {}", entry.seconds, entry.host, entry.text)).collect();
    assert_eq!(world.violations, [], "{}", told.join("\n"));
}

/// Everything comes to rest within so many seconds.
fn assert_rest(world: &mut World, seconds: u64) {
    let rest = world.run_until(seconds * SECOND, |world| liveness::stuck(world).is_empty());
    assert_holds(world);
    assert!(rest, "not at rest after {seconds} s: {}", liveness::stuck(world).join("; "));
}

/// Asks, and waits for the answer.
fn answer(world: &mut World, at: usize, command: Command) -> Reply {
    let request = world.request(at, command);
    world.run_until(60 * SECOND, |world| world.replies.contains_key(&request));
    assert_holds(world);
    world.replies.get(&request).cloned().expect("every request is answered")
}

/// New content, deployed from a member's directory.
fn deploy(world: &mut World, at: usize) -> Command {
    let source = workload::source(world, at);
    Command::Deploy {
        application: WEB.into(),
        source,
        reason: "better".into(),
        replace: true,
        wish: Wish::default(),
    }
}

/// Opens a window by hand.
fn open(seconds: u64) -> Command {
    Command::Open {
        application: WEB.into(),
        lasts: Millis::seconds(seconds),
        reason: "by hand".into(),
        adopt: false,
        auto: None,
    }
}

/// The number of the revision in force, as the entity settled it.
fn revision(world: &World) -> u64 {
    let state = world.reference.state().expect("there is an entity");
    state.applications[WEB].settled().expect("something is settled").number
}

/// The root in force.
fn settled(world: &World) -> Hash {
    world.reference.state().expect("there is an entity").applications[WEB].root_hash().expect("settled")
}

/// The same edit of what is settled, for as many members as one likes.
fn edited(world: &mut World) -> Tree {
    let mut tree = world.hosts[0].live(WEB).tree.clone().expect("there is content");
    let extra = tree::random(&mut world.workload.rng);
    tree.extend(extra);
    tree
}
