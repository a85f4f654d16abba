//! What goes wrong with processes and their clocks.

use althing_protocol::control::Command;
use althing_protocol::identity::MemberId;
use althing_protocol::state::PROTOCOL;
use althing_protocol::statement::Address;

use super::{any, span};
use crate::host::Standing;
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

/// The older of the two versions that members may speak.
pub(crate) const OLDER: u32 = PROTOCOL - 1;

/// The version that the entity uses.
fn in_force(world: &World) -> u32 {
    world.reference.state().map_or(OLDER, |state| state.protocol)
}

/// From now on a host runs another program.
fn run(world: &mut World, at: usize, speaks: u32) {
    let was_up = world.hosts[at].is_up();
    world.crash(at, "to run another program");
    world.hosts[at].speaks = speaks;
    if was_up {
        start_later(world, at);
    }
}

/// A member's program is replaced by a newer one; sometimes that is taken back while it may be. When all are newer, an
/// administrator has the newer version used: from then on no older program comes back.
pub(super) fn upgrade(world: &mut World) {
    let hosts = (0..world.hosts.len()).filter(|at| !world.hosts[*at].absent && !world.is_twin(*at));
    let hosts: Vec<usize> = hosts.filter(|at| world.hosts[*at].vices.agent.is_none()).collect();
    let (older, newer): (Vec<usize>, Vec<usize>) =
        hosts.into_iter().partition(|at| world.hosts[*at].speaks < PROTOCOL);
    let may_go_back = in_force(world) < PROTOCOL && world.faults.rng.chance(150);
    if let Some(at) = world.faults.rng.pick(&newer).copied().filter(|_| may_go_back) {
        world.count("an upgrade was taken back");
        return run(world, at, OLDER);
    }
    if let Some(at) = world.faults.rng.pick(&older).copied() {
        world.count("a program was upgraded");
        return run(world, at, PROTOCOL);
    }
    if let Some(at) = any(world, true).filter(|_| in_force(world) < PROTOCOL) {
        world.request(at, Command::Raise { protocol: PROTOCOL });
    }
}

/// Whoever was left behind by what the entity uses gets the newer program.
pub(super) fn bring_up_to_date(world: &mut World, at: usize) {
    if world.hosts[at].speaks < in_force(world) {
        run(world, at, PROTOCOL);
    }
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
    let after = world.faults.lasts.unwrap_or_else(|| 60 * SECOND + world.faults.rng.below(180 * SECOND));
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

/// Whether a host has on its disk where enough others are for its move to be settled. Members that move before most of
/// them could tell each other find each other again by an administrator only, if they are silent after a start: else they
/// are found by their reports. Who has lost its disk is there, and counts for nothing.
fn knows_enough(world: &World, at: usize) -> bool {
    let Some(state) = world.hosts[at].member.as_ref().and_then(|member| member.state()) else { return true };
    let is_found = |id: &MemberId, addresses: &[Address]| {
        *id == world.hosts[at].id
            || world.by_id.get(id).is_some_and(|other| {
                let other = &world.hosts[*other];
                other.standing == Standing::Sound && addresses.contains(&other.address)
            })
    };
    state.voters().filter(|voter| is_found(&voter.id, &voter.addresses)).count() >= state.quorum()
}

/// Whether some member would find nobody once this one has moved, and nobody it: as when the others move one by one while it
/// is cut off. Only an administrator could tell it where they are.
fn strands(world: &World, at: usize) -> bool {
    let Some(state) = world.reference.state() else { return false };
    let in_roster = |one: &usize| state.member(&world.hosts[*one].id).is_some() && !world.is_twin(*one);
    let members: Vec<usize> = (0..world.hosts.len()).filter(in_roster).collect();
    let finds = |one: usize, other: usize| world.hosts[one].finds(&world.hosts[other]);
    let is_found = |one: usize| {
        let mut others = members.iter().copied().filter(|other| *other != one);
        others.any(|other| (other != at && finds(one, other)) || finds(other, one))
    };
    members.iter().any(|one| *one != at && !is_found(*one))
}

/// A machine comes back with another address.
pub(super) fn relocate(world: &mut World) {
    let Some(at) = any(world, true) else { return };
    if !knows_enough(world, at) || strands(world, at) {
        return;
    }
    world.crash(at, "and gets another address");
    world.count("a member came back with another address");
    world.hosts[at].relocate();
    start_later(world, at);
}
