//! Every vote, lock and round of the real machine is one that the model's guards allow ([`crate::model::guards`]).
//!
//! What was ever signed durably is a growing board, as in the model: a member may have heard any part of it, and a liar
//! anything at all. Whatever made the machine vote, with all that was ever said the guards must allow the vote.

use std::collections::{BTreeMap, BTreeSet};

use althing_protocol::ballot::Promise;
use althing_protocol::effect::Write;
use althing_protocol::governance::QuorumRule;
use althing_protocol::hash::Hash;
use althing_protocol::identity::MemberId;
use althing_protocol::record::Record;
use althing_protocol::state::State;
use althing_protocol::statement::Step;

use crate::host::disk::read_record;
use crate::model::judged::{Fits, Seen};
use crate::model::quorum::Electorate;
use crate::reference::Settled;
use crate::world::World;

/// What was ever promised durably, and by whom, in one epoch of one entity.
#[derive(Default)]
struct Epoch {
    votes: BTreeMap<(u32, Step), BTreeMap<Option<Hash>, BTreeSet<MemberId>>>,
}

/// The board of the whole world.
#[derive(Default)]
pub(crate) struct Board {
    epochs: BTreeMap<(Hash, u64), Epoch>,
    /// Records that lead somewhere from where they say.
    valid: BTreeSet<Hash>,
}

/// A promise is on its way to the disk: all that is new in it, against what was written before.
pub(super) fn written(world: &mut World, at: usize, before: &Promise, promise: &Promise, writes: &[Write]) {
    let Some(state) = world.hosts[at].member.as_ref().and_then(|member| member.state()) else { return };
    if world.invariants.keys_stolen {
        return;
    }
    let entity = state.entity;
    // Where nothing is settled there is nothing to vote on: `agreement` says so.
    let parent =
        world.reference.chain_of(&entity).and_then(|chain| chain.get(&promise.epoch.wrapping_sub(1)));
    let Some(parent) = parent.cloned() else { return };
    look_at_records(world, at, &parent, writes);
    let wrong = {
        let board = &world.invariants.board;
        let epoch = board.epochs.get(&(entity, promise.epoch));
        let voters: Vec<MemberId> = parent.state.voters().map(|voter| voter.id).collect();
        let lies = |id: &&MemberId| world.by_id.get(id).is_some_and(|at| world.hosts[*at].liar);
        let liars: BTreeSet<MemberId> = voters.iter().filter(lies).copied().collect();
        let count = |fits: Fits<'_>| {
            let cast = epoch.into_iter().flat_map(|epoch| &epoch.votes);
            let mut authors = liars.clone();
            for ((round, step), values) in cast {
                let fit = values.iter().filter(|(value, _)| fits(*round, *step, **value));
                authors.extend(fit.flat_map(|(_, authors)| authors));
            }
            voters.iter().filter(|voter| authors.contains(voter)).count()
        };
        Seen { roster: electorate(&parent.state), count: &count, valid: &|value| board.valid.contains(value) }
            .judge(before, promise)
    };
    world.count("a promise was judged by the model's guards");
    if let Some((what, why)) = wrong {
        let name = world.hosts[at].name.clone();
        world.violate("§5.2", format!("{name} {what} in epoch {}: {why}", promise.epoch));
    }
}

/// Who decides what comes after this state.
pub(super) fn electorate(state: &State) -> Electorate {
    match state.governance.quorum {
        QuorumRule::Majority => Electorate::majority(state.voters().count()),
        QuorumRule::Supermajority => Electorate::supermajority(state.voters().count()),
    }
}

/// Whether the records that become durable lead somewhere from the head, as a pure function of both.
fn look_at_records(world: &mut World, at: usize, parent: &Settled, writes: &[Write]) {
    let scheme = world.hosts[at].identity.scheme();
    for bytes in writes.iter().filter_map(read_record) {
        let value = Record::hash_of(&bytes);
        let leads = |record: Record| parent.state.after(&parent.record, &record, scheme).is_ok();
        if !world.invariants.board.valid.contains(&value) && Record::decode(&bytes).is_ok_and(leads) {
            world.invariants.board.valid.insert(value);
        }
    }
}

/// A promise is durable: everybody may have heard what it says.
pub(super) fn synced(world: &mut World, at: usize) {
    let host = &world.hosts[at];
    let Some(promise) = host.disk.promise.as_ref() else { return };
    let Some(entity) = host.member.as_ref().and_then(|member| member.state()).map(|state| state.entity)
    else {
        return;
    };
    let epoch = world.invariants.board.epochs.entry((entity, promise.epoch)).or_default();
    let prevotes = promise.prevotes.iter().map(|(round, (value, _))| ((*round, Step::Prevote), *value));
    let precommits = promise.precommits.iter().map(|(round, value)| ((*round, Step::Precommit), *value));
    for (place, value) in prevotes.chain(precommits) {
        epoch.votes.entry(place).or_default().entry(value).or_default().insert(host.id);
    }
}
