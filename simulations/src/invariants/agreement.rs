//! §5.5.1 Agreement: no two certificates of one epoch name different records, and what a member takes for the head is what
//! was settled.

use std::collections::BTreeSet;

use althing_protocol::governance::QuorumRule;
use althing_protocol::hash::Hash;
use althing_protocol::identity::MemberId;
use althing_protocol::record::Link;
use althing_protocol::statement::Signed;

use super::{chain, votes};
use crate::host::Standing;
use crate::reference::Settled;
use crate::world::World;

/// A second record of an epoch. With one liar, or one store that forgot, a bare majority cannot exclude that: then whoever
/// signed both is known by its signatures, or has prevoted both in one round, so that others left their locks for good
/// reasons. All that is left to demand is that everybody stops ([`crate::liveness`]).
pub(super) fn fork(world: &mut World, name: &str, known: &Settled, link: &Link, parent: &Settled) {
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
    chain::goes_on(world, &name, earlier, place);
}
