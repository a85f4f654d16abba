//! What must always hold (design §5.5), looked at after every step: one property a file.
//!
//! What the checks remember is kept apart from the members, so that no mistake of theirs can hide itself.

mod agreement;
mod applied;
mod chain;
mod electorate;
mod explained;
mod found;
mod holdings;
mod kept;
mod rules;
mod service;
mod undone;
mod votes;
mod whole;
mod windows;

use std::collections::{BTreeMap, BTreeSet};

use althing_protocol::effect::{Family, Input, Write};
use althing_protocol::event::Event;
use althing_protocol::hash::Hash;
use althing_protocol::identity::MemberId;
use althing_protocol::member::saved::read_link;
use althing_protocol::repair::Action;
use althing_protocol::rollout::Kind;
use althing_protocol::statement::{Position, Signed, Statement};
use althing_protocol::wire::Message;

use crate::host::Standing;
use crate::host::tree::Tree;
use crate::reading;
use crate::world::World;

/// What the checks remember.
#[derive(Default)]
pub(crate) struct Invariants {
    /// By host: votes it ever sent.
    sent: BTreeMap<usize, votes::Sent>,
    /// What was ever promised durably, by all.
    board: rules::Board,
    /// What each process heard of liars.
    heard: found::Heard,
    /// By host: names of statements signed with its key that others showed it.
    shown: BTreeMap<usize, BTreeSet<Hash>>,
    /// By host: the entity and epoch looked at last.
    epochs: BTreeMap<usize, (Hash, u64)>,
    /// By host and application: the tree before the apply under way.
    before: BTreeMap<(usize, String), Tree>,
    /// Roots that an administrator had captured, by host and application.
    captured: BTreeSet<(usize, String, Hash)>,
    /// Hosts whose live tree was made this root by an administrator.
    edited: BTreeMap<(String, Hash), BTreeSet<usize>>,
    /// Applied roots on which an after hook failed somewhere.
    failed: BTreeSet<(String, Hash)>,
    /// The test signs with members' keys: they may be accused.
    pub(crate) keys_stolen: bool,
    /// The epoch that the member whose step is carried out was deciding before it, if it might vote; until it tells why
    /// it may not any more.
    deciding: Option<u64>,
    /// By host: the last thing that it had said when it told why it does not vote any more.
    stopped: BTreeMap<usize, Position>,
    /// What was told of votes last: it leaves to each peer.
    told_last: Option<(usize, String)>,
    /// Settled links that were looked at, by their bytes.
    links: BTreeSet<Hash>,
    /// The last pushed bytes that were looked at.
    last_push: Vec<u8>,
}

/// A member is about to take a step. Its own vote may be the one that settles a record, or that shows that another machine
/// has its key: it might vote when that one left.
pub(crate) fn before_step(world: &mut World, at: usize, input: &Input) {
    let casts = matches!(input, Input::Persisted(_));
    let member = world.hosts[at].member.as_ref().filter(|member| casts && member.may_vote());
    world.invariants.deciding = member.and_then(|member| member.state()).map(|state| state.epoch + 1);
}

/// Everything that can be asked after any step of a member.
pub(crate) fn after_step(world: &mut World, at: usize) {
    if world.forked {
        return;
    }
    agreement::after_step(world, at);
    votes::after_step(world, at);
}

/// A member wants these writes durable.
pub(crate) fn written(world: &mut World, at: usize, writes: &[Write]) {
    if world.forked {
        return;
    }
    for write in writes.iter().filter(|write| write.family == Family::Chain) {
        let Some(bytes) = &write.value else { continue };
        // What was good from one member is good from another: the reference entity never changes an epoch.
        let name = Hash::of(bytes);
        if world.invariants.links.contains(&name) {
            continue;
        }
        match read_link(bytes) {
            Ok(link) => chain::settled(world, at, &link),
            Err(error) => world.violate("saved", format!("a link that cannot be read: {error}")),
        }
        if world.violations.is_empty() && !world.forked {
            world.invariants.links.insert(name);
        }
    }
    votes::written(world, at, writes);
}

/// These writes are durable.
pub(crate) fn synced(world: &mut World, at: usize, writes: &[Write]) {
    if world.forked {
        return;
    }
    if writes.iter().any(|write| write.family == Family::Votes) {
        votes::synced(world, at);
        rules::synced(world, at);
    }
    // With a settled record the records that were voted for go, and the promise counts no more.
    let is_promise = |write: &Write| write.family == Family::Votes && write.key == b"promise";
    if writes.iter().any(|write| is_promise(write) && write.value.is_some()) {
        let state = world.hosts[at].member.as_ref().and_then(|member| member.state());
        let entity = state.map(|state| state.entity);
        whole::promised(world, at, entity);
    }
}

/// A process is about to start from its disk.
pub(crate) fn starts(world: &mut World, at: usize) {
    if !world.forked {
        whole::started(world, at);
    }
}

/// A process has started: what it finds on its disk may have become durable in the crash, without anybody being told.
pub(crate) fn started(world: &mut World, at: usize) {
    if !world.forked {
        rules::synced(world, at);
    }
}

/// A process is about to hear this; whether it shows it two votes of one liar in one place, and on which head.
pub(crate) fn hears(world: &mut World, at: usize, bytes: &[u8]) -> Option<Hash> {
    remember_own(world, at, bytes);
    let shown = !world.forked && found::contradicted(world, at, bytes);
    world.hosts[at].member.as_ref().and_then(|member| member.head()).filter(|_| shown)
}

/// What others show a host that was signed with its key, where another hand may have signed it.
///
/// Nothing that a member passes on is a vote or a promise of the one that passes it on, whoever signed it. A member whose
/// key was in other hands finds two votes in its own name, and shows them like any evidence (V11); the copy of a machine
/// hears the original, and passes that on before it may vote itself (G5). It need not have those votes on its disk, and
/// may know of a contradiction. What it signs itself is in an envelope of its own, that nobody can have shown it before
/// it left; and what left here first was looked at then.
fn remember_own(world: &mut World, at: usize, bytes: &[u8]) {
    let host = &world.hosts[at];
    let in_other_hands = host.was_unsound || world.invariants.keys_stolen;
    if world.forked || !in_other_hands || !crate::network::is_push(bytes) {
        return;
    }
    let Ok(Message::Push(statements)) = Message::decode(bytes) else { return };
    let own = |signed: &&Signed| signed.author == host.id && may_bind(&signed.bytes);
    let names: BTreeSet<Hash> = statements.iter().filter(own).map(|signed| Hash::of(&signed.bytes)).collect();
    if !names.is_empty() {
        world.invariants.shown.entry(at).or_default().extend(names);
    }
}

/// It has heard what shows that.
pub(crate) fn has_heard(world: &mut World, at: usize, head: Hash) {
    found::demand(world, at, head);
}

/// A member sends this.
pub(crate) fn sent(world: &mut World, at: usize, bytes: &[u8]) {
    if world.forked || !crate::network::is_push(bytes) || world.invariants.last_push == bytes {
        return;
    }
    world.invariants.last_push = bytes.to_vec();
    let Ok(Message::Push(statements)) = Message::decode(bytes) else {
        return world.violate("wire", "a member sends what cannot be decoded");
    };
    let me = world.hosts[at].id;
    let looked_at = |signed: &Signed| signed.author == me && (world.options.votes || may_bind(&signed.bytes));
    let shown = world.invariants.shown.get(&at);
    let passed_on = |signed: &Signed| shown.is_some_and(|shown| shown.contains(&Hash::of(&signed.bytes)));
    let own: Vec<Signed> =
        statements.into_iter().filter(|signed| looked_at(signed) && !passed_on(signed)).collect();
    for signed in own {
        let Ok(envelope) = reading::read(&signed.bytes) else {
            return world.violate("wire", "a member signs what cannot be decoded");
        };
        if world.options.votes {
            votes::tell(world, at, &envelope.statement);
        }
        match &envelope.statement {
            Statement::Vote(vote) => votes::sent(world, at, &envelope, vote),
            Statement::Holding(holding) => holdings::sent(world, at, holding),
            _ => {}
        }
    }
}

/// Whether a statement may be a vote or a Holding: all others may say what they like, and are most of what is sent. Whoever
/// gets what cannot be decoded names its author.
fn may_bind(envelope: &[u8]) -> bool {
    let head = envelope.get(..80).unwrap_or(envelope);
    let names = |name: &[u8]| head.windows(name.len()).any(|window| window == name);
    names(b"\xa1\x64Vote") || names(b"\xa1\x67Holding")
}

/// A process died.
pub(crate) fn crashed(world: &mut World, at: usize) {
    votes::crashed(world, at);
    world.invariants.epochs.remove(&at);
}

/// A disk was put back: what it said before does not bind what it says now, but it may say nothing that counts.
pub(crate) fn put_back(world: &mut World, at: usize) {
    world.invariants.epochs.remove(&at);
    votes::put_back(world, at);
    kept::put_back(world, at);
}

/// A member wants this root applied.
pub(crate) fn applies(world: &mut World, at: usize, application: &str, root: &Hash, epoch: u64) {
    if world.forked {
        return;
    }
    applied::applies(world, at, application, root, epoch);
    kept::applies(world, at, application);
}

/// An apply ended.
pub(crate) fn applied(world: &mut World, at: usize, application: &str, root: &Hash) {
    if world.forked {
        return;
    }
    kept::applied(world, at, application, root);
}

/// An apply does this next.
pub(crate) fn writes(world: &mut World, at: usize, application: &str, action: &Action) {
    if world.forked {
        return;
    }
    applied::writes(world, at, application, action);
}

/// A host threw content away.
pub(crate) fn swept(world: &mut World, at: usize) {
    if world.forked {
        return;
    }
    holdings::swept(world, at);
}

/// An administrator had a root captured.
pub(crate) fn captured(world: &mut World, at: usize, application: &str, root: Hash) {
    world.invariants.captured.insert((at, application.to_owned(), root));
}

/// A hook is to fail on this root.
pub(crate) fn hook_fails(world: &mut World, application: &str, kind: Kind, root: Hash) {
    if kind == Kind::After {
        world.invariants.failed.insert((application.to_owned(), root));
    }
}

#[cfg(test)]
impl Invariants {
    /// Whether an administrator put exactly this somewhere.
    pub(crate) fn was_edited(&self, application: &str, root: &Hash) -> bool {
        self.edited.contains_key(&(application.to_owned(), *root))
    }
}

/// An administrator changed a live tree.
pub(crate) fn meddled(world: &mut World, at: usize, application: &str) {
    kept::meddled(world, at, application);
    if let Some(root) = world.hosts[at].live(application).root() {
        world.invariants.edited.entry((application.to_owned(), root)).or_default().insert(at);
    }
}

/// A member wants to be left alone by another.
pub(crate) fn shunned(world: &mut World, at: usize, peer: &MemberId) {
    explained::shunned(world, at, peer);
}

/// A member logs something.
pub(crate) fn told(world: &mut World, at: usize, event: &Event) {
    let about = event.application.as_ref().map(|name| format!(" {name}:")).unwrap_or_default();
    if event.kind != "member.unreachable" || world.options.absences {
        world.note(Some(at), format!("{}:{about} {}", event.kind, event.text));
    }
    if matches!(event.kind.as_str(), "store.burnt" | "vote.equivocation" | "chain.fork" | "entity.superseded")
    {
        world.invariants.deciding = None;
        votes::stopped(world, at, &event.kind);
    }
    match event.kind.as_str() {
        "repair.done" => world.count("drift was repaired"),
        "revision.applied" => world.count("a revision was applied"),
        "content.differs" => world.count("drift was noticed"),
        "majority.lost" => world.count("the majority was lost"),
        "window.expired" => world.count("a window expired"),
        "revision.undone" => world.count("a revision was undone"),
        "hook.after-failed" => world.count("an after hook failed"),
        "hook.check-failed" => world.count("a check failed"),
        "window.aborted" => world.count("a window was aborted"),
        "apply.failed" => world.count("an apply failed"),
        "member.readmitted" => world.count("a member was re-admitted"),
        // Let in again while a copy of its machine ran on: it found that out, and has another store now.
        "store.burnt" if world.hosts[at].was_unsound => world.hosts[at].standing = Standing::Forgetful,
        "evidence.forged" => world.count("something forged was refused"),
        "entity.superseded" => world.count("a member learned that its entity was begun anew"),
        "vote.equivocation" => world.count("two votes in one place were found"),
        "chain.fork" => world.count("a fork was found"),
        _ => {}
    }
    explained::told(world, at, event);
}
