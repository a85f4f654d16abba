//! §5.5.9: contradicting signatures are detected by who saw both; and who has detected one settles nothing before an
//! administrator has acknowledged it.

use std::collections::BTreeMap;

use althing_protocol::hash::Hash;
use althing_protocol::identity::MemberId;
use althing_protocol::statement::{Checked, Position, Statement, Step};
use althing_protocol::wire::Message;

use crate::world::World;

/// Votes of one liar for one place, as one process heard them.
type Place = (MemberId, Hash, u32, Step);

/// By host: what its process heard of liars since it started, on the head that it has.
#[derive(Default)]
pub(crate) struct Heard {
    of: BTreeMap<usize, Since>,
}

/// Since one start, and one head.
#[derive(Default)]
struct Since {
    life: u64,
    head: Hash,
    /// The first vote of each place.
    votes: BTreeMap<Place, (Option<Hash>, Position)>,
}

/// What a process is about to hear shows two votes of a liar in one place, and it may count both.
pub(super) fn contradicted(world: &mut World, at: usize, bytes: &[u8]) -> bool {
    if world.hosts.iter().all(|host| host.vices.agent.is_none()) || !crate::network::is_push(bytes) {
        return false;
    }
    let host = &world.hosts[at];
    let Some(member) = &host.member else { return false };
    let (Some(state), Some(head)) = (member.state(), member.head()) else { return false };
    if !state.is_voter(&host.id) || host.liar {
        return false;
    }
    let Ok(Message::Push(statements)) = Message::decode(bytes) else { return false };
    let (life, scheme, state) = (host.life, host.identity.scheme(), state.clone());
    let liar = |id: &MemberId| world.by_id.get(id).is_some_and(|at| world.hosts[*at].liar);
    let of_liars =
        statements.into_iter().filter(|signed| liar(&signed.author) && state.is_voter(&signed.author));
    let checked: Vec<Checked> =
        of_liars.filter_map(|signed| Checked::check(signed, &state.entity, scheme).ok()).collect();
    let heard = world.invariants.heard.of.entry(at).or_default();
    if (heard.life, heard.head) != (life, head) {
        *heard = Since { life, head, votes: BTreeMap::new() };
    }
    let mut found = false;
    for checked in checked.iter().filter(|checked| state.has(&checked.author(), &checked.store())) {
        let Statement::Vote(vote) = checked.statement() else { continue };
        if vote.epoch != state.epoch + 1 || vote.parent != head {
            continue;
        }
        let place = (checked.author(), head, vote.round, vote.step);
        let earlier = heard.votes.entry(place).or_insert((vote.value, checked.position()));
        // What comes in an earlier place than what is known of its author is not looked at.
        found |= earlier.0 != vote.value && earlier.1 < checked.position();
    }
    found
}

/// It has heard it.
pub(super) fn demand(world: &mut World, at: usize, head: Hash) {
    let host = &world.hosts[at];
    let Some(member) = &host.member else { return };
    let Some(entity) = member.state().map(|state| state.entity) else { return };
    // Where the epoch is settled with it, or the store does not count, the votes do not count any more.
    if member.head() != Some(head) || !member.may_vote() || host.disk.knows_contradiction(&entity) {
        return;
    }
    let text = format!("{} heard two votes of one member in one place, and goes on", host.name);
    world.violate("§5.5.9", text);
}

/// A vote leaves: not while a contradiction is known.
pub(super) fn voted(world: &mut World, at: usize, entity: &Hash) {
    if world.hosts[at].disk.stops(entity) {
        let text = format!("{} votes although it knows of a contradiction", world.hosts[at].name);
        world.violate("§5.5.9", text);
    }
}
