//! §5.5.13: every vote's record can be served by its voter. And what a start finds belongs together: its batches are
//! there as a whole or not at all, so no head is without the record that led to it.

use std::collections::BTreeSet;

use althing_protocol::ballot::Promise;
use althing_protocol::hash::Hash;

use crate::world::World;

/// Values that a promise names.
fn named(promise: &Promise) -> BTreeSet<Hash> {
    let prevotes = promise.prevotes.values().filter_map(|(value, _)| *value);
    let precommits = promise.precommits.values().filter_map(|value| *value);
    let bound =
        promise.lock.map(|(value, _)| value).into_iter().chain(promise.valid.as_ref().map(|pol| pol.value));
    prevotes.chain(precommits).chain(bound).collect()
}

/// A promise is durable.
pub(super) fn promised(world: &mut World, at: usize) {
    let host = &world.hosts[at];
    let Some(promise) = host.disk.promise.as_ref() else { return };
    let lacking = named(promise).into_iter().find(|value| host.disk.record(value).is_none());
    if let Some(value) = lacking {
        let text = format!(
            "{} voted in epoch {} for {}, and does not have it",
            host.name,
            promise.epoch,
            value.short()
        );
        world.violate("§5.5.13", text);
    }
}

/// A process starts from this disk.
pub(super) fn started(world: &mut World, at: usize) {
    let host = &world.hosts[at];
    let Ok(saved) = host.disk.saved() else { return };
    let Some(head) = saved.head else { return };
    if saved.promise.as_ref().is_some_and(|promise| promise.epoch == head.state.epoch + 1) {
        promised(world, at);
    }
    let host = &world.hosts[at];
    let epochs: Vec<u64> = host.disk.epochs().collect();
    let gap = epochs.windows(2).find(|pair| pair[0] + 1 != pair[1]).map(|pair| pair[0] + 1);
    let last = epochs.last().copied().filter(|last| *last != head.state.epoch);
    if let Some(epoch) = gap.or(last.map(|_| head.state.epoch)) {
        let text =
            format!("{} starts at epoch {} without the record of epoch {epoch}", host.name, head.state.epoch);
        world.violate("§5.5.2", text);
    }
}
