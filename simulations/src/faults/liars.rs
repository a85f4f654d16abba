//! Members that break the protocol on purpose. Some run the program and let it be heard as they like; of others only
//! the key is left, in the hands of somebody who speaks the protocol.

use std::collections::BTreeSet;

use super::{any, stores};
use crate::host::Standing;
use crate::host::vices::{Agent, Vices};
use crate::world::{Event, SECOND, World};

fn victim(world: &mut World) -> Option<usize> {
    let at = any(world, true).filter(|at| stores::may_spoil(world, *at))?;
    // One liar is enough for one world.
    world.hosts.iter().all(|host| !host.liar).then_some(at)
}

fn corrupt(world: &mut World, mark: &'static str, vices: impl FnOnce(&mut World, usize) -> Vices) {
    let Some(at) = victim(world) else { return };
    world.count(mark);
    world.note(Some(at), mark);
    world.hosts[at].liar = true;
    world.hosts[at].vices = vices(world, at);
}

/// It hears everything and says nothing.
pub(super) fn silent(world: &mut World) {
    corrupt(world, "a member said nothing", |_, _| Vices { silent: true, ..Vices::default() });
}

/// It speaks to some and not to others.
pub(super) fn selective(world: &mut World) {
    corrupt(world, "a member spoke to some only", |world, at| {
        let mut all: Vec<usize> = (0..world.hosts.len()).filter(|other| *other != at).collect();
        world.faults.rng.shuffle(&mut all);
        all.truncate(all.len().div_ceil(2));
        Vices { deaf_to: all.into_iter().collect(), ..Vices::default() }
    });
}

/// It says again and again what it and others said long ago.
pub(super) fn stale(world: &mut World) {
    corrupt(world, "a member said old things again", |_, _| Vices { stale: true, ..Vices::default() });
}

/// It sends messages with changed bytes, and parts of messages.
pub(super) fn garbage(world: &mut World) {
    corrupt(world, "a member sent garbage", |_, _| Vices { garbage: true, ..Vices::default() });
}

/// It answers requests for content with something else: other bytes, too many, paths that lead elsewhere.
pub(super) fn bad_content(world: &mut World) {
    corrupt(world, "a member served other content", |_, _| Vices { bad_content: true, ..Vices::default() });
}

fn possess(world: &mut World, mark: &'static str, agent: Agent) {
    let Some(at) = victim(world) else { return };
    let peers: BTreeSet<_> = world.hosts[at].peers.clone();
    world.crash(at, "and its key is in other hands");
    world.count(mark);
    let host = &mut world.hosts[at];
    (host.liar, host.peers) = (true, peers);
    host.spoil(Standing::Forgetful);
    host.vices = Vices { agent: Some(agent), ..Vices::default() };
    for other in (0..world.hosts.len()).filter(|other| *other != at) {
        world.look_later(at, other);
    }
    world.schedule(SECOND, Event::Lie { host: at });
}

/// It votes for everything, and tells each what it wants to hear.
pub(super) fn equivocator(world: &mut World) {
    possess(world, "a member voted for everything", Agent::new(true));
}

/// It makes up votes, records, evidence and intents.
pub(super) fn forger(world: &mut World) {
    possess(world, "a member forged", Agent::new(false));
}

/// It is an honest program again, on the disk that it had.
pub(super) fn mend(world: &mut World, at: usize) {
    let vices = std::mem::take(&mut world.hosts[at].vices);
    if vices.agent.is_some() {
        world.hosts[at].peers.clear();
        world.break_connections(at);
    }
}
