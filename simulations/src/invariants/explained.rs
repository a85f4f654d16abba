//! §5.5.9 and design §10: nobody honest is accused, and nothing critical is told that no fault explains.

use althing_protocol::event::{Event, Severity};
use althing_protocol::hash::Hash;
use althing_protocol::identity::MemberId;

use crate::host::{Host, Standing};
use crate::world::{SECOND, World};

/// So long after the last fault the majority may still be missed.
const AFTERMATH: u64 = 120 * SECOND;

/// So long after one was left alone for the last time both may not hear each other yet.
const RECONNECTED: u64 = 10 * SECOND;

fn host<'a>(world: &'a World, who: &MemberId) -> Option<&'a Host> {
    world.by_id.get(who).map(|at| &world.hosts[*at])
}

/// The host is, or was, in the hands of a liar.
fn is_liar(world: &World, who: &MemberId) -> bool {
    host(world, who).is_some_and(|host| host.liar)
}

/// What the host signed is not what it knows that it signed.
fn is_unsound(world: &World, who: &MemberId) -> bool {
    world.invariants.keys_stolen
        || host(world, who)
            .is_some_and(|host| host.liar || host.standing != Standing::Sound || host.was_unsound)
}

/// The host's program is too old for what the entity uses: it does not understand what honest members say.
fn is_outdated(world: &World, at: usize) -> bool {
    world.reference.state().is_some_and(|state| state.protocol > world.hosts[at].speaks)
}

/// A member wants to be left alone by another.
pub(super) fn shunned(world: &mut World, at: usize, peer: &MemberId) {
    if is_liar(world, peer) {
        world.count("a liar was left alone");
    } else if !is_outdated(world, at) {
        world.violate("§10", format!("an honest member is left alone: {peer}"));
    }
}

/// A member logs something: whom does it accuse, and is anything wrong?
pub(super) fn told(world: &mut World, at: usize, event: &Event) {
    let me = world.hosts[at].id;
    let subject = event.subject.unwrap_or(me);
    if event.severity == Severity::Critical {
        world.count("something critical was told");
    }
    let wrong = match event.kind.as_str() {
        "peer.misbehaves" if is_liar(world, &subject) => {
            world.count("a liar was named");
            None
        }
        "peer.misbehaves" | "record.unknown" if is_outdated(world, at) => {
            world.count("a member's program was too old for what was settled");
            None
        }
        "peer.misbehaves" => Some("§10"),
        "vote.equivocation" if is_unsound(world, &subject) => None,
        // Whoever brings the other branch is no liar for that.
        "chain.fork" if world.forked || world.invariants.keys_stolen => None,
        // Whom a newcomer asked may show it a chain that is none.
        "chain.other" if is_liar(world, &subject) => None,
        "evidence.forged" if is_liar(world, &subject) || world.invariants.keys_stolen => None,
        "member.doubled" if is_unsound(world, &subject) || is_unsound(world, &me) => None,
        "vote.equivocation" | "chain.fork" | "evidence.forged" | "member.doubled" => Some("§5.5.9"),
        "record.unknown" => Some("§5.5.2"),
        "store.burnt" if is_unsound(world, &me) => {
            world.count("a restored store was found out");
            None
        }
        "store.burnt" => Some("§5.5.3"),
        _ if event.severity == Severity::Critical && !is_explained(world, at, event) => Some("unexplained"),
        _ => None,
    };
    if let Some(clause) = wrong {
        let name = world.hosts[at].name.clone();
        world.violate(clause, format!("{name} says {}: {}", event.kind, event.text));
    }
}

/// Whether of the voters that a host knows of so many do not count, or have nothing to do with it, that the others are no
/// quorum. Whoever hears what a machine sends whose key is in other hands leaves it alone for up to five minutes (B2), also
/// when that machine is put right meanwhile.
fn are_too_few(world: &World, at: usize) -> bool {
    let Some(state) = world.hosts[at].member.as_ref().and_then(|member| member.state()) else { return false };
    let shuns = |one: usize, other: usize| {
        world.hosts[one].shunned.get(&other).is_some_and(|until| *until + RECONNECTED > world.now)
    };
    let counts = |id: &MemberId| {
        world.by_id.get(id).is_some_and(|voter| {
            let sound = world.hosts[*voter].standing == Standing::Sound;
            sound && !shuns(at, *voter) && !shuns(*voter, at)
        })
    };
    state.voters().filter(|voter| counts(&voter.id)).count() < state.quorum()
}

/// Whether something that happened to this host, or to the world, explains what it tells.
fn is_explained(world: &World, at: usize, event: &Event) -> bool {
    let host = &world.hosts[at];
    match event.kind.as_str() {
        "majority.lost" => world.was_disturbed(AFTERMATH) || are_too_few(world, at),
        "disk.full" => host.full || host.full_until > 0,
        "apply.failed" => {
            host.full || host.full_until > 0 || host.has_rotted || world.was_disturbed(AFTERMATH)
        }
        "hook.after-failed" => {
            let about = |(name, _): &(String, Hash)| event.application.as_ref() == Some(name);
            world.invariants.failed.iter().any(about)
        }
        "content.beyond" => host.live.values().any(|live| !live.unknown_users.is_empty()),
        "application.not-cleared" => true,
        "trust.lapsed" => host.trusting_period.is_some(),
        "entity.superseded" => {
            world.sometimes.contains_key("the majority was lost for long") || world.by_hand
        }
        _ => false,
    }
}
