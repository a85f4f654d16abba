//! §5.5.3: no member's durable vote contradicts one it sent; its round never decreases; it precommits only in its
//! current round. And what stands above all: a vote is durable before it is sent.

use std::collections::{BTreeMap, BTreeSet};

use althing_protocol::ballot::Promise;
use althing_protocol::codec;
use althing_protocol::effect::{Family, Write};
use althing_protocol::hash::Hash;
use althing_protocol::identity::MemberId;
use althing_protocol::member::Member;
use althing_protocol::member::saved::Life;
use althing_protocol::record::Record;
use althing_protocol::statement::{Envelope, Position, Statement, Step, Vote};

use crate::host::Standing;
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
pub(super) fn sent(world: &mut World, at: usize, envelope: &Envelope, vote: &Vote) {
    let entity = envelope.entity;
    let place = (entity, vote.epoch, vote.round, vote.step);
    let host = &world.hosts[at];
    let name = host.name.clone();
    let earlier = world.invariants.sent.entry(at).or_default().votes.insert(place, vote.value);
    if let Some(earlier) = earlier {
        if earlier != vote.value && world.hosts[at].standing == Standing::PutBack && !must_know(world, at) {
            // Whoever could tell is away (PROTOCOL M3): from now on it is as a member that signs anything.
            world.count("a disk that was put back voted where nobody remembered");
            world.hosts[at].spoil(Standing::Forgetful);
        }
        if earlier != vote.value && world.hosts[at].standing != Standing::Forgetful {
            world.violate(
                "§5.5.3",
                format!("{name} votes {:?} and voted {earlier:?} in {place:?}", vote.value),
            );
        }
        return;
    }
    // What a store cast that was burnt since is still on the member's board (PROTOCOL.md M4).
    let promise = host.disk.promise_of(&envelope.store, vote.epoch);
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
    let may = may_vote(world, at);
    // What it cast before it stopped is still on its board, and goes to whoever comes back and lacks it.
    let earlier = world.invariants.stopped.get(&at).is_some_and(|last| envelope.position <= *last);
    if !may && !earlier && world.invariants.deciding != Some(vote.epoch) {
        world.violate("§5.5.11", format!("{name} votes and may not: {vote:?}"));
    }
    if !earlier {
        super::found::voted(world, at, &entity);
    }
    if world.hosts[at].standing == Standing::PutBack && must_know(world, at) {
        world.violate("§5.5.11", format!("{name} votes from a disk that was put back: {vote:?}"));
    }
}

/// Whether hosts with one key have prevoted both of these values in one round of an epoch of an entity.
pub(super) fn prevoted_both(
    world: &World,
    id: &MemberId,
    (entity, epoch): (Hash, u64),
    (one, other): (Hash, Hash),
) -> bool {
    let hosts = (0..world.hosts.len()).filter(|at| world.hosts[*at].id == *id);
    let sent = hosts.filter_map(|at| world.invariants.sent.get(&at)).flat_map(|sent| &sent.votes);
    let cast = sent.filter(|((of, at, _, step), _)| (*of, *at, *step) == (entity, epoch, Step::Prevote));
    let cast: BTreeSet<(u32, Hash)> =
        cast.filter_map(|((.., round, _), value)| Some((*round, (*value)?))).collect();
    cast.iter().any(|(round, value)| *value == one && cast.contains(&(*round, other)))
}

/// A member stops to vote, and says why.
pub(super) fn stopped(world: &mut World, at: usize, why: &str) {
    if may_vote(world, at) {
        let text = format!("{} tells of {why}, and may vote", world.hosts[at].name);
        world.violate("§5.5.9", text);
    }
    let host = &world.hosts[at];
    let Some((member, state)) = host.member.as_ref().and_then(|member| Some((member, member.state()?)))
    else {
        return;
    };
    let last = state.member(&host.id).and_then(|own| member.remembers(&host.id, own.store));
    world.invariants.stopped.extend(last.map(|last| (at, last)));
}

/// A disk is put back: who could tell it what it said since.
pub(super) fn put_back(world: &mut World, at: usize) {
    let host = &world.hosts[at];
    let (id, stored) = (host.id, host.disk.stored());
    let beyond = |life: &Life, said: Position| {
        said.incarnation > life.incarnation
            || (said.incarnation == life.incarnation && said.sequence >= life.reserved)
    };
    let remembers = |member: &Member| {
        stored.is_some_and(|life| member.remembers(&id, life.store).is_some_and(|said| beyond(&life, said)))
    };
    let others = world.hosts.iter().enumerate();
    let who = others.filter(|(_, other)| other.member.as_ref().is_some_and(remembers));
    world.hosts[at].witnesses = who.map(|(other, host)| (other, host.life)).collect();
}

fn may_vote(world: &World, at: usize) -> bool {
    world.hosts[at].member.as_ref().is_some_and(|member| member.may_vote())
}

/// After a step: whoever runs from a disk that was put back must have been told, if enough could tell it.
pub(super) fn after_step(world: &mut World, at: usize) {
    if world.hosts[at].standing == Standing::PutBack && may_vote(world, at) && must_know(world, at) {
        let text = format!("{} may vote from a disk that was put back", world.hosts[at].name);
        world.violate("§5.5.11", text);
    }
}

/// Whether those who know nothing were too few to let it vote: the others that it has asked could tell (PROTOCOL M3).
fn must_know(world: &World, at: usize) -> bool {
    let Some(state) = world.hosts[at].member.as_ref().and_then(|member| member.state()) else { return false };
    let knows = |id: &MemberId| {
        let other = world.by_id.get(id).map(|other| (other, &world.hosts[*other]));
        other.is_some_and(|(other, host)| {
            host.is_up() && world.hosts[at].witnesses.get(other) == Some(&host.life)
        })
    };
    let ignorant = state.voters().filter(|voter| voter.id != world.hosts[at].id && !knows(&voter.id)).count();
    ignorant + 1 < state.quorum()
}

/// Who proposed and voted what, and why, for the timeline.
pub(super) fn tell(world: &mut World, at: usize, statement: &Statement) {
    let lock = world.hosts[at].disk.promise.as_ref().and_then(|promise| promise.lock);
    // A lock of the same round came with the precommit.
    let earlier = |vote: &Vote| lock.filter(|(_, since)| *since < vote.round);
    let text = match statement {
        Statement::Proposal(proposal) => {
            let value = Record::hash_of(&proposal.record).short();
            let pol = if proposal.pol.is_empty() { "fresh" } else { "with a POL" };
            format!("proposes {value} in epoch {} round {}, {pol}", proposal.epoch, proposal.round)
        }
        Statement::Vote(vote) => {
            let step = if vote.step == Step::Prevote { "prevotes" } else { "precommits" };
            let value = vote.value.map_or("nothing".to_owned(), |value| value.short());
            let why = match (vote.step, vote.value, earlier(vote)) {
                (Step::Prevote, None, Some((value, since))) => {
                    format!(
                        "locked on {} since round {since}, and nothing it may leave that for",
                        value.short()
                    )
                }
                (Step::Prevote, None, None) => "no proposal in time that it agrees with".to_owned(),
                (Step::Prevote, Some(_), _) => match vote.relied {
                    Some(relied) => format!("resting on the prevotes of round {relied}"),
                    None => "it agrees with it".to_owned(),
                },
                (Step::Precommit, Some(_), _) => "a quorum prevoted it".to_owned(),
                (Step::Precommit, None, _) => "no quorum prevoted one value in time".to_owned(),
            };
            format!("{step} {value} in epoch {} round {}: {why}", vote.epoch, vote.round)
        }
        _ => return,
    };
    let entry = (at, text.clone());
    if world.invariants.told_last.replace(entry.clone()) != Some(entry) {
        world.note(Some(at), text);
    }
}

fn read(writes: &[Write]) -> Option<Promise> {
    let is_promise = |write: &&Write| write.family == Family::Votes && write.key == b"promise";
    let value = writes.iter().filter(is_promise).filter_map(|write| write.value.as_ref()).next_back()?;
    codec::decode(value.get(1..)?, usize::MAX).ok()
}

/// A promise is dropped: only together with the store that it was made from (PROTOCOL M4), or with the entity that it was
/// made in (J10). No lock of it binds what comes after.
fn forgotten(world: &mut World, at: usize, writes: &[Write]) {
    let is = |write: &Write, family: Family, key: &[u8]| write.family == family && write.key == key;
    if !writes.iter().any(|write| is(write, Family::Votes, b"promise") && write.value.is_none()) {
        return;
    }
    let goes = |write: &Write| is(write, Family::Meta, b"life") || is(write, Family::Meta, b"beginning");
    if !writes.iter().any(goes) {
        let name = world.hosts[at].name.clone();
        return world.violate("§5.5.3", format!("{name} forgets what it promised, and keeps its store"));
    }
    world.invariants.sent.entry(at).or_default().written = Some(Promise::default());
}

/// A promise is on its way to the disk.
pub(super) fn written(world: &mut World, at: usize, writes: &[Write]) {
    forgotten(world, at, writes);
    let Some(promise) = read(writes) else { return };
    let same_epoch = |before: &Promise| before.epoch == promise.epoch;
    let durable = world.hosts[at].disk.promise.clone();
    let sent = world.invariants.sent.entry(at).or_default();
    let before = sent.written.replace(promise.clone()).or(durable).filter(same_epoch).unwrap_or_default();
    super::rules::written(world, at, &before, &promise, writes);
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
    if now < before && world.hosts[at].standing == Standing::Sound {
        world.violate("§5.5.3", format!("{name} went from epoch and round {before:?} back to {now:?}"));
    }
}
