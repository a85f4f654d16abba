//! §5.5.13: every vote's record can be served by its voter. Whoever is in a later round can show why (§5.2, rule 7).
//! And what a start finds belongs together: its batches are there as a whole or not at all, so no head is without the
//! record that led to it.

use std::collections::BTreeSet;

use althing_protocol::ballot::Promise;
use althing_protocol::hash::Hash;
use althing_protocol::identity::MemberId;
use althing_protocol::statement::{Statement, Step, Unverified, Vote};

use super::rules::electorate;
use crate::model::guards::{EntryProof, Round, may_enter};
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
pub(super) fn promised(world: &mut World, at: usize, entity: Option<Hash>) {
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
    if let Some(text) = entity.and_then(|entity| entered(world, at, &entity)) {
        world.violate("§5.2", text);
    }
}

/// The votes on which a round was entered are as durable as the round: when all lose power nobody else may have them.
fn entered(world: &World, at: usize, entity: &Hash) -> Option<String> {
    let host = &world.hosts[at];
    let promise = host.disk.promise.as_ref().filter(|promise| promise.round > 0)?;
    let parent = world.reference.chain_of(entity)?.get(&promise.epoch.wrapping_sub(1))?;
    let state = &parent.state;
    let store = host.disk.stored()?.store;
    if !state.is_voter(&host.id) || !state.has(&host.id, &store) {
        return None;
    }
    // Its own votes it shows only as its promise has them.
    let own = |vote: &Vote| match vote.step {
        Step::Prevote => promise.prevotes.contains_key(&vote.round),
        Step::Precommit => promise.precommits.contains_key(&vote.round),
    };
    let shown = host.disk.entry().into_iter().filter_map(|vote| Unverified::read(vote, entity).ok());
    let shown: Vec<(MemberId, Vote)> = shown
        .filter(|it| state.is_voter(&it.author()) && state.has(&it.author(), &it.envelope().store))
        .filter_map(|it| match &it.envelope().statement {
            Statement::Vote(vote) => Some((it.author(), vote.clone())),
            _ => None,
        })
        .filter(|(_, vote)| vote.epoch == promise.epoch && vote.parent == parent.record)
        .filter(|(author, vote)| *author != host.id || own(vote))
        .collect();
    let authors = |fits: &dyn Fn(&Vote) -> bool| {
        let fit = shown.iter().filter(|(_, vote)| fits(vote)).map(|(author, _)| author);
        fit.collect::<BTreeSet<_>>().len()
    };
    let proof = EntryProof {
        precommits_before: authors(&|vote| vote.round + 1 == promise.round && vote.step == Step::Precommit),
        messages_of: authors(&|vote| vote.round == promise.round),
    };
    let verdict = may_enter(Round(0), Round(promise.round), proof, electorate(state));
    let (name, round, epoch) = (&host.name, promise.round, promise.epoch);
    let text = || format!("{name} is in round {round} of epoch {epoch} and does not keep why: {verdict}");
    (!verdict.allowed()).then(text)
}

/// A process starts from this disk.
pub(super) fn started(world: &mut World, at: usize) {
    let host = &world.hosts[at];
    let Ok(saved) = host.disk.saved() else { return };
    let Some(head) = saved.head else { return };
    if saved.promise.as_ref().is_some_and(|promise| promise.epoch == head.state.epoch + 1) {
        promised(world, at, Some(head.state.entity));
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
