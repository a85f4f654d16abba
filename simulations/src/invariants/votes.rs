//! §5.5.3: no member's durable vote contradicts one it sent; its round never decreases; it precommits only in its
//! current round. And what stands above all: a vote is durable before it is sent.

use std::collections::BTreeMap;

use althing_protocol::ballot::Promise;
use althing_protocol::codec;
use althing_protocol::effect::{Family, Write};
use althing_protocol::hash::Hash;
use althing_protocol::statement::{Step, Vote};

use crate::world::World;

/// Votes that left a host, over all its lives.
#[derive(Default)]
pub(crate) struct Sent {
    votes: BTreeMap<(Hash, u64, u32, Step), Option<Hash>>,
    /// The highest round of the newest epoch that was ever durable.
    round: (u64, u32),
    /// The promise that was written last.
    written: Option<Promise>,
}

/// A vote leaves.
pub(super) fn sent(world: &mut World, at: usize, entity: Hash, vote: &Vote) {
    let place = (entity, vote.epoch, vote.round, vote.step);
    let host = &world.hosts[at];
    let name = host.name.clone();
    let earlier = world.invariants.sent.entry(at).or_default().votes.insert(place, vote.value);
    if let Some(earlier) = earlier {
        if earlier != vote.value {
            world.violate(
                "§5.5.3",
                format!("{name} votes {:?} and voted {earlier:?} in {place:?}", vote.value),
            );
        }
        return;
    }
    let promise = host.disk.promise.as_ref().filter(|promise| promise.epoch == vote.epoch);
    let durable = promise.and_then(|promise| match vote.step {
        Step::Prevote => promise.prevotes.get(&vote.round).map(|(value, _)| *value),
        Step::Precommit => promise.precommits.get(&vote.round).copied(),
    });
    if durable != Some(vote.value) {
        world.violate(
            "§5.5.3",
            format!("{name} sends a vote that is not on its disk: {vote:?}, there is {durable:?}"),
        );
    }
    if !world.hosts[at].member.as_ref().is_some_and(|member| member.may_vote()) {
        world.violate("§5.5.11", format!("{name} votes and may not: {vote:?}"));
    }
    if world.hosts[at].restored {
        world.violate("§5.5.11", format!("{name} votes from a disk that was put back: {vote:?}"));
    }
}

fn read(writes: &[Write]) -> Option<Promise> {
    let is_promise = |write: &&Write| write.family == Family::Votes && write.key == b"promise";
    let value = writes.iter().filter(is_promise).filter_map(|write| write.value.as_ref()).next_back()?;
    codec::decode(value.get(1..)?, usize::MAX).ok()
}

/// A promise is on its way to the disk.
pub(super) fn written(world: &mut World, at: usize, writes: &[Write]) {
    let Some(promise) = read(writes) else { return };
    let same_epoch = |before: &Promise| before.epoch == promise.epoch;
    let durable = world.hosts[at].disk.promise.clone();
    let sent = world.invariants.sent.entry(at).or_default();
    let before = sent.written.replace(promise.clone()).or(durable).filter(same_epoch).unwrap_or_default();
    let fresh = promise.precommits.keys().filter(|round| !before.precommits.contains_key(round));
    let bad = fresh.filter(|round| **round < before.round || **round > promise.round).copied().next();
    if let Some(round) = bad {
        let name = world.hosts[at].name.clone();
        let text = format!("{name} precommits in round {round}, and is in round {}", promise.round);
        world.violate("§5.5.3", text);
    }
}

/// The member went over to another entity: nothing that it promised in the one before binds it there.
pub(super) fn entered(world: &mut World, at: usize) {
    let sent = world.invariants.sent.entry(at).or_default();
    sent.round = (0, 0);
    sent.written = None;
}

/// A crash: what was written and not durable never was.
pub(super) fn crashed(world: &mut World, at: usize) {
    world.invariants.sent.entry(at).or_default().written = None;
}

/// A promise is durable.
pub(super) fn synced(world: &mut World, at: usize) {
    let Some(promise) = world.hosts[at].disk.promise.as_ref() else { return };
    let now = (promise.epoch, promise.round);
    let name = world.hosts[at].name.clone();
    let sent = world.invariants.sent.entry(at).or_default();
    let before = std::mem::replace(&mut sent.round, now);
    if now < before && !world.hosts[at].restored {
        world.violate("§5.5.3", format!("{name} went from epoch and round {before:?} back to {now:?}"));
    }
}
