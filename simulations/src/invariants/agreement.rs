//! §5.5.1 Agreement: no two certificates of one epoch name different records. §5.5.2 Chain: a settled record's
//! parent is the settled record before it, and it was valid. §5.5.11: no mute member and no non-voter has a vote in
//! any certificate. All of it is counted here anew, without the protocol's own check of certificates.

use std::collections::BTreeSet;

use althing_protocol::governance::QuorumRule;
use althing_protocol::hash::Hash;
use althing_protocol::identity::MemberId;
use althing_protocol::record::{Link, Record};
use althing_protocol::state::State;
use althing_protocol::statement::{Checked, Signed, Step};

use super::{holdings, service, undone, votes, windows};
use crate::host::Standing;
use crate::reference::Settled;
use crate::world::World;

/// A member says that this link is settled.
pub(super) fn settled(world: &mut World, at: usize, link: &Link) {
    let (epoch, value) = (link.certificate.epoch, link.certificate.value);
    let name = world.hosts[at].name.clone();
    if Record::hash_of(&link.record) != value {
        return world.violate("§5.5.2", format!("{name} settles a record under another's name"));
    }
    let Ok(record) = Record::decode(&link.record) else {
        return world.violate("§5.5.2", format!("{name} settles a record that cannot be read"));
    };
    let chain = world.reference.chain_of(&record.entity);
    let Some(parent) = chain.and_then(|chain| chain.get(&epoch.wrapping_sub(1))).cloned() else {
        return world
            .violate("§5.5.2", format!("{name} settles epoch {epoch} and nobody settled the one before"));
    };
    if let Err(why) = count(world, at, link, &parent) {
        return world.violate("§5.5.11", format!("{name} settles epoch {epoch}: {why}"));
    }
    let chain = world.reference.chain_of(&record.entity);
    if let Some(known) = chain.and_then(|chain| chain.get(&epoch)) {
        if known.record != value {
            let known = known.clone();
            fork(world, &name, &known, link, &parent);
        }
        return;
    }
    grow(world, &name, &record, link, &parent);
}

/// A second record of an epoch. With one liar, or one store that forgot, a bare majority cannot exclude that: then whoever
/// signed both is known by its signatures, or has prevoted both in one round, so that others left their locks for good
/// reasons. All that is left to demand is that everybody stops ([`crate::liveness`]).
fn fork(world: &mut World, name: &str, known: &Settled, link: &Link, parent: &Settled) {
    let signed = |votes: &[Signed]| votes.iter().map(|vote| vote.author).collect::<BTreeSet<_>>();
    let both =
        signed(&known.votes).intersection(&signed(&link.certificate.votes)).copied().collect::<Vec<_>>();
    let bad = |id: &MemberId| {
        world
            .by_id
            .get(id)
            .is_some_and(|at| world.hosts[*at].liar || world.hosts[*at].standing == Standing::Forgetful)
    };
    let majority = parent.state.governance.quorum == QuorumRule::Majority;
    let signers: Vec<MemberId> = if !both.is_empty() && both.iter().all(bad) {
        both
    } else {
        let place = (parent.state.entity, link.certificate.epoch);
        let values = (known.record, link.certificate.value);
        parent
            .state
            .voters()
            .map(|voter| voter.id)
            .filter(|id| bad(id) && votes::prevoted_both(world, id, place, values))
            .collect()
    };
    let proved = majority && !signers.is_empty();
    let (epoch, one, other) = (link.certificate.epoch, known.record.short(), link.certificate.value.short());
    if proved {
        let names: Vec<String> = signers.iter().map(|id| parent.state.name_of(id)).collect();
        world.count("a liar forked the entity");
        world.note(
            None,
            format!("epoch {epoch} is {one}, and {other} on {name}; {} signed both", names.join(" ")),
        );
        (world.forked, world.fork_epoch) = (true, epoch);
        return;
    }
    world.violate("§5.5.1", format!("epoch {epoch} is {one}, and {other} on {name}"));
}

/// A new epoch of the reference entity.
fn grow(world: &mut World, name: &str, record: &Record, link: &Link, parent: &Settled) {
    let (epoch, value) = (link.certificate.epoch, link.certificate.value);
    let scheme = world.hosts[0].identity.scheme();
    let state = match parent.state.after(&parent.record, record, scheme) {
        Ok(state) => state,
        Err(invalid) => {
            return world
                .violate("§5.5.2", format!("{name} settles an invalid record of epoch {epoch}: {invalid}"));
        }
    };
    if link.certificate.round > 0 {
        world.count("an epoch took more than one round");
    }
    let (were, are) = (parent.state.members.len(), state.members.len());
    if are > were && epoch > world.options.members as u64 * 2 {
        world.count("a member joined later");
    }
    if are < were {
        world.count("a member went");
    }
    if record.changes.len() > 1 {
        world.count("a record with several changes");
    }
    world.count("a record was settled");
    if state.protocol > parent.state.protocol {
        world.count("a newer protocol version came into force");
    }
    let before = parent.state.clone();
    readmitted(world, &before, &state);
    // Of an entity that was begun anew elsewhere only the chain counts any more.
    let counts = record.entity == world.reference.entity;
    if counts {
        service::settled(world, &before, &state, record);
    }
    let after = state.clone();
    if let Some(chain) = world.reference.chain_of_mut(&record.entity) {
        chain.insert(epoch, Settled { record: value, state, votes: link.certificate.votes.clone() });
    }
    if counts {
        windows::settled(world, &before, record);
        undone::settled(world, &before, record);
        holdings::settled(world, &before, &after, record);
    } else {
        holdings::left(world, &before, record);
    }
}

/// Whoever was re-admitted from a new store may vote again, from that one: another machine with the same key may not.
fn readmitted(world: &mut World, before: &State, after: &State) {
    for host in &mut world.hosts {
        let store = |state: &State| state.member(&host.id).map(|member| member.store);
        if let (Some(old), Some(new)) = (store(before), store(after))
            && old != new
        {
            if host.disk.stored().is_some_and(|life| life.store == new) {
                host.standing = Standing::Sound;
            } else if host.was_unsound {
                // Its copy was let in instead of it, perhaps after it had been let in itself.
                host.standing = Standing::Forgetful;
            }
        }
    }
}

/// Counts the votes of a certificate.
fn count(world: &World, at: usize, link: &Link, parent: &Settled) -> Result<(), String> {
    let state = &parent.state;
    let mut voters: BTreeSet<MemberId> = BTreeSet::new();
    for signed in &link.certificate.votes {
        let scheme = world.hosts[at].identity.scheme();
        let checked =
            Checked::check(signed.clone(), &state.entity, scheme).map_err(|fault| fault.to_string())?;
        let vote = checked.vote().ok_or("something else than a vote in a certificate")?;
        let about = vote.epoch == link.certificate.epoch
            && vote.round == link.certificate.round
            && vote.step == Step::Precommit
            && vote.parent == parent.record
            && vote.value == Some(link.certificate.value);
        if !about {
            return Err("a vote of another decision in a certificate".into());
        }
        let member = state.member(&checked.author()).ok_or("a vote of nobody in the roster")?;
        if !state.is_voter(&checked.author()) || member.store != checked.store() {
            return Err(format!("{} has no vote, and it counts", member.name));
        }
        voters.insert(checked.author());
    }
    let all = state.members.iter().filter(|member| state.is_voter(&member.id)).count();
    let enough = match state.governance.quorum {
        QuorumRule::Majority => voters.len() * 2 > all,
        QuorumRule::Supermajority => voters.len() * 3 > all * 2,
    };
    if !enough {
        return Err(format!("{} of {all} votes are no {}", voters.len(), state.governance.quorum));
    }
    Ok(())
}

/// What a member takes for the head is what was settled.
pub(super) fn after_step(world: &mut World, at: usize) {
    let Some(member) = &world.hosts[at].member else { return };
    let (Some(state), Some(head)) = (member.state(), member.head()) else { return };
    let epoch = state.epoch;
    let place = (state.entity, epoch);
    if world.invariants.epochs.get(&at) == Some(&place) {
        return;
    }
    if world.reference.chain_of(&state.entity).is_none() {
        world.reference.begin(Settled { record: head, state: state.clone(), votes: Vec::new() });
    }
    let same = |settled: &Settled| settled.record == head && settled.state == *state;
    let chain = world.reference.chain_of(&state.entity);
    let agrees = chain.and_then(|chain| chain.get(&epoch)).is_some_and(same);
    let earlier = world.invariants.epochs.insert(at, place);
    let name = world.hosts[at].name.clone();
    if earlier.is_some_and(|(entity, _)| entity != place.0) {
        votes::entered(world, at);
        world.hosts[at].standing = Standing::Sound;
    }
    if !agrees {
        let head: Hash = head;
        world.violate("§5.5.1", format!("{name} has {} at epoch {epoch}", head.short()));
    }
    if earlier.is_some_and(|(entity, earlier)| entity == place.0 && earlier > epoch) {
        world.violate("§5.5.2", format!("{name} went back to epoch {epoch}"));
    }
}
