//! §5.5.2 Chain: a settled record's parent is the settled record before it, and it was valid; no member goes back.

use althing_protocol::hash::Hash;
use althing_protocol::record::{Link, Record};
use althing_protocol::state::State;

use super::{agreement, electorate, holdings, service, undone, windows};
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
    if let Err(why) = electorate::count(world, at, link, &parent) {
        return world.violate("§5.5.11", format!("{name} settles epoch {epoch}: {why}"));
    }
    let chain = world.reference.chain_of(&record.entity);
    if let Some(known) = chain.and_then(|chain| chain.get(&epoch)) {
        if known.record != value {
            let known = known.clone();
            agreement::fork(world, &name, &known, link, &parent);
        }
        return;
    }
    grow(world, &name, &record, link, &parent);
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

/// A member was at one place of its chain before, and is at another one.
pub(super) fn goes_on(world: &mut World, name: &str, before: Option<(Hash, u64)>, now: (Hash, u64)) {
    if before.is_some_and(|(entity, epoch)| entity == now.0 && epoch > now.1) {
        world.violate("§5.5.2", format!("{name} went back to epoch {}", now.1));
    }
}
