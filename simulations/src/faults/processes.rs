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

/// A machine is away for minutes.
pub(super) fn long_outage(world: &mut World) {
    let Some(at) = any(world, true) else { return };
    world.count("a long outage");
    world.crash(at, "and is away for long");
    let after = 60 * SECOND + world.faults.rng.below(180 * SECOND);
    world.schedule(after, Event::Start { host: at });
}

/// A process hangs, with its connections open, until a watchdog kills it.
pub(super) fn hang(world: &mut World) {
    let Some(at) = any(world, true) else { return };
    world.count("a process hung until its watchdog killed it");
    let after = span(world, 5 * SECOND, 30 * SECOND);
    world.hosts[at].frozen = world.now + after + SECOND;
    world.note(Some(at), "hangs");
    let life = world.hosts[at].life;
    world.schedule(after, Event::Kill { host: at, life });
}

/// A process gets little of its processor: each step takes long.
pub(super) fn throttle(world: &mut World) {
    let Some(at) = any(world, true) else { return };
    world.count("a process was slow");
    world.hosts[at].slow = 1 + world.faults.rng.below(12 * MS);
    world.note(Some(at), "is slow");
    let after = span(world, 5 * SECOND, 60 * SECOND);
    world.schedule(after, Event::Fast { host: at });
}

/// Whether a host has on its disk where somebody is. Members that move before they could tell each other never find each
/// other again by themselves.
fn knows_somebody(world: &World, at: usize) -> bool {
    let Some(state) = world.hosts[at].member.as_ref().and_then(|member| member.state()) else { return true };
    state.members.len() == 1
        || state.members.iter().any(|member| {
            let host = world.by_id.get(&member.id).map(|other| &world.hosts[*other]);
            member.id != world.hosts[at].id
                && host.is_some_and(|host| member.addresses.contains(&host.address))
        })
}

/// A machine comes back with another address.
pub(super) fn relocate(world: &mut World) {
    let Some(at) = any(world, true).filter(|at| knows_somebody(world, *at)) else { return };
    world.crash(at, "and gets another address");
    world.count("a member came back with another address");
    world.hosts[at].relocate();
    start_later(world, at);
}
