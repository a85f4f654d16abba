//! Disks that forget what was synced: lost, put back, lying, or copied. Such a store may never vote again before its
//! member is re-admitted, so it never happens to more than the others can do without.

use std::collections::BTreeSet;

use althing_protocol::hash::Hash;
use althing_protocol::identity::MemberId;
use althing_protocol::state::Application;

use super::{any, span};
use crate::host::{Host, Standing};
use crate::world::{Event, MS, SECOND, World};

/// An image is put back only when it is older than this: meanwhile the store was started, or it spoke.
const OLD: u64 = 20 * SECOND;

/// Voters of the entity that are what they seem. Of a machine and its copy nobody knows which one will be left.
fn sound(world: &World) -> (BTreeSet<MemberId>, usize) {
    let Some(state) = world.reference.state() else { return (BTreeSet::new(), 0) };
    let is_sound = |id: &MemberId| {
        world.by_id.get(id).is_some_and(|at| {
            let host = &world.hosts[*at];
            host.standing == Standing::Sound && !host.liar && !world.has_twin(*at)
        })
    };
    let sound = state.voters().map(|voter| voter.id).filter(is_sound).collect();
    (sound, state.quorum())
}

/// Whether the others can do without this host's vote for good.
pub(crate) fn may_spoil(world: &World, at: usize) -> bool {
    let (mut sound, quorum) = sound(world);
    let is_voter = sound.remove(&world.hosts[at].id);
    is_voter && sound.len() >= quorum && world.hosts[at].is_member() && !world.is_twin(at)
}

/// Whether a member may be let in again: if it is a machine with a copy, one of which goes for good in the end, the others
/// must be a quorum with it as well as without.
pub(crate) fn may_let_in(world: &World, who: usize) -> bool {
    let Some(state) = world.reference.state() else { return false };
    let id = world.hosts[who].id;
    let voters = state.voters().filter(|voter| voter.id != id).count() + 1;
    !world.has_twin(who) || sound(world).0.len() >= state.governance.quorum.of(voters)
}

/// Whether one voter less leaves a quorum of sound ones in a smaller roster.
pub(crate) fn may_shrink(world: &World) -> bool {
    let (sound, quorum) = sound(world);
    let voters = world.reference.state().map_or(0, |state| state.voters().count());
    voters > 3 && sound.len() > quorum
}

/// Whether something of what is in force is on this disk and on no other: what rotted elsewhere would be gone with it.
fn has_the_last(world: &World, at: usize) -> bool {
    let Some(state) = world.reference.state() else { return false };
    let (host, library) = (&world.hosts[at], &world.library);
    let has = |piece: &Hash| host.content.has(piece);
    let elsewhere = |piece: &Hash| {
        // A copy goes for good in the end.
        let counts = |(other, host): &(usize, &Host)| *other != at && !host.liar && !world.is_twin(*other);
        let others = world.hosts.iter().enumerate().filter(counts);
        others.into_iter().any(|(_, other)| other.content.has(piece))
    };
    let mut roots = state.applications.values().filter_map(Application::root_hash);
    roots.any(|root| library.pieces(&root).iter().any(|piece| has(piece) && !elsewhere(piece)))
}

fn victim(world: &mut World) -> Option<usize> {
    any(world, true).filter(|at| may_spoil(world, *at) && !has_the_last(world, *at))
}

fn start_later(world: &mut World, at: usize) {
    let after = 100 * MS + span(world, 2 * SECOND, 20 * SECOND);
    world.schedule(after, Event::Start { host: at });
}

/// Everything on the disk is gone, the key and the applications' trees are not.
pub(super) fn lost(world: &mut World) {
    let Some(at) = victim(world) else { return };
    world.count("a disk was lost");
    world.crash(at, "and its disk is new");
    world.put_back(at, Default::default());
    world.hosts[at].content.lose();
    start_later(world, at);
}

/// An image is taken; and an old one is put back.
pub(super) fn old(world: &mut World) {
    let meant = |at: &usize| world.faults.named.is_empty() || world.faults.named.contains(at);
    let aged = |at: &usize| world.hosts[*at].image.as_ref().is_some_and(|image| image.at + OLD < world.now);
    let mut hosts = (0..world.hosts.len()).filter(|at| meant(at) && aged(at));
    let found = hosts.find(|at| may_spoil(world, *at) && !has_the_last(world, *at));
    let Some(at) = found else {
        if let Some(at) = victim(world) {
            world.take_image(at);
        }
        return;
    };
    world.count("an old image of a disk was put back");
    world.crash(at, "and an old image of its disk is put back");
    if let Some(image) = world.hosts[at].image.take() {
        // Numbers tell an image of an earlier life. One of this life is a disk that forgot a little: others remind it.
        if image.life == world.hosts[at].life {
            world.rewind(at, image);
        } else {
            world.put_back(at, image.keys);
            world.hosts[at].content.put_back(image.content);
        }
    }
    start_later(world, at);
}

/// A disk says that it has synced and has not, and then the power fails.
pub(super) fn lying(world: &mut World) {
    let Some(at) = victim(world) else { return };
    world.note(Some(at), "its disk lies: nothing is synced any more");
    world.take_image(at);
    world.hosts[at].spoil(Standing::Forgetful);
    let after = span(world, SECOND, 10 * SECOND);
    let life = world.hosts[at].life;
    world.schedule(after, Event::Truth { host: at, life });
}

/// The power fails, and what the disk said it had is not there.
pub(crate) fn truth(world: &mut World, at: usize) {
    if has_the_last(world, at) {
        return;
    }
    let Some(image) = world.hosts[at].image.take() else { return };
    world.count("a disk had lied");
    world.crash(at, "and its disk had lied");
    world.rewind(at, image);
    start_later(world, at);
}

/// A machine is copied, key and disk, and both run.
pub(super) fn twin(world: &mut World) {
    let Some(at) = victim(world) else { return };
    if world.begin_twin(at) {
        world.count("a machine was copied");
    }
}

/// The copies are stopped for good.
pub(crate) fn part_twins(world: &mut World) {
    world.end_twin();
}
