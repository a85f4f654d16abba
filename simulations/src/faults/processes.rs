//! What goes wrong with processes and their clocks.

use super::{any, span};
use crate::world::{Event, MS, SECOND, World};

fn start_later(world: &mut World, at: usize) {
    let after = span(world, SECOND, 40 * SECOND);
    world.schedule(after, Event::Start { host: at });
}

/// A process dies and comes back.
pub(super) fn crash(world: &mut World) {
    let Some(at) = any(world, true) else { return };
    world.crash(at, "");
    start_later(world, at);
}

/// A process will die between two of its outputs.
pub(super) fn die_between_outputs(world: &mut World) {
    let Some(at) = any(world, true) else { return };
    world.hosts[at].doomed = Some(1 + world.faults.rng.below(60));
    start_later(world, at);
}

/// The power fails for many at once.
pub(super) fn blackout(world: &mut World) {
    world.count("a blackout");
    for at in 0..world.hosts.len() {
        if world.faults.rng.chance(800) {
            world.crash(at, "as the power fails");
            let after = 100 * MS + world.faults.rng.below(10 * SECOND);
            world.schedule(after, Event::Start { host: at });
        }
    }
}

/// A process stands still, and its connections with it: a machine that is moved, or swaps.
pub(super) fn pause(world: &mut World) {
    let Some(at) = any(world, true) else { return };
    world.count("a process stood still");
    let until = world.now + span(world, 3 * SECOND, 30 * SECOND);
    world.hosts[at].frozen = until;
    world.note(Some(at), "stands still");
}

/// A civil clock jumps.
pub(super) fn jump(world: &mut World) {
    let Some(at) = any(world, false) else { return };
    world.hosts[at].skew = world.faults.rng.below(120_000) as i64 - 60_000;
    world.count("a clock jumped");
}
