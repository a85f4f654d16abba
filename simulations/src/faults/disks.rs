//! What goes wrong with disks, and leaves what was synced as it was. What does not is in `stores.rs`.

use althing_protocol::hash::Hash;

use super::{any, span};
use crate::host::Host;
use crate::world::{Event, MS, SECOND, World};

/// No room for content for a while. (Votes have a reserve.)
pub(super) fn no_room(world: &mut World) {
    let Some(at) = any(world, false) else { return };
    world.count("a disk had no room for content");
    world.fill(at, true);
    world.note(Some(at), "its disk has no room for content");
    let after = span(world, 2 * SECOND, 60 * SECOND);
    world.schedule(after, Event::Room { host: at });
}

/// No room at all: batches wait.
pub(super) fn full(world: &mut World) {
    let Some(at) = any(world, true) else { return };
    world.count("a disk was full");
    let lasts = span(world, 2 * SECOND, 40 * SECOND);
    world.fill_disk(at, lasts);
}

/// A write fails: the process ends, and what it wrote is not there.
pub(super) fn write_error(world: &mut World) {
    let Some(at) = any(world, true) else { return };
    world.count("a write failed");
    world.crash_with(at, "as its disk cannot be written", Some(0));
    again(world, at);
}

/// A sync fails: the process ends, and nobody knows how much of what it wrote is there.
pub(super) fn sync_error(world: &mut World) {
    let Some(at) = any(world, true) else { return };
    world.count("a sync failed");
    let survive = world.faults.rng.below(4) as usize;
    world.crash_with(at, "as its disk cannot be synced", Some(survive));
    again(world, at);
}

/// Nothing can be read for a while: a start fails, and others get nothing from it.
pub(super) fn read_error(world: &mut World) {
    let Some(at) = any(world, false) else { return };
    world.count("a disk could not be read");
    world.hosts[at].unreadable_until = world.now + span(world, 5 * SECOND, 40 * SECOND);
    world.note(Some(at), "its disk cannot be read");
    if world.faults.rng.chance(500) {
        world.crash(at, "as it cannot read its disk");
        again(world, at);
    }
}

/// The process dies in the middle of its next write: a part of it is on the disk, and the log finds it incomplete.
pub(super) fn torn_write(world: &mut World) {
    let Some(at) = any(world, true) else { return };
    world.hosts[at].tear = true;
    again(world, at);
}

fn again(world: &mut World, at: usize) {
    let after = 100 * MS + span(world, 2 * SECOND, 20 * SECOND);
    world.schedule(after, Event::Start { host: at });
}

/// A file's content in the store is not what it was; sooner or later the member reads it again.
pub(super) fn bit_rot(world: &mut World) {
    let Some(at) = any(world, false) else { return };
    if rot(world, at) {
        world.count("content rotted");
    }
}

/// A write lands where something else lies: that is gone, and what was to be written is not there.
pub(super) fn misdirected(world: &mut World) {
    let Some(at) = any(world, false) else { return };
    if rot(world, at) && rot(world, at) {
        world.count("a write went to another place");
    }
}

/// Damages a piece that somebody else has too, who gives it: what rots everywhere at once is gone.
fn rot(world: &mut World, at: usize) -> bool {
    let entity =
        |host: &Host| host.member.as_ref().and_then(|member| member.state()).map(|state| state.entity);
    let own = entity(&world.hosts[at]);
    let elsewhere = |piece: &Hash| {
        // A copy goes for good in the end.
        let counts = |(other, host): &(usize, &Host)| *other != at && host.is_up() && !world.is_twin(*other);
        let others = world.hosts.iter().enumerate().filter(counts);
        let others = others.filter(|(_, host)| entity(host) == own);
        others.filter(|(_, host)| host.content.has(piece) && !host.liar).count() > 0
    };
    let files = world.hosts[at].content.files(&world.library);
    let files: Vec<Hash> = files.into_iter().filter(elsewhere).collect();
    let Some(piece) = world.faults.rng.pick(&files).copied() else { return false };
    world.hosts[at].content.rot(piece);
    world.hosts[at].has_rotted = true;
    world.note(Some(at), format!("its content {} rots", piece.short()));
    let after = span(world, 2 * SECOND, 30 * SECOND);
    let life = world.hosts[at].life;
    world.schedule(after, Event::Scrub { host: at, life, piece });
    true
}
