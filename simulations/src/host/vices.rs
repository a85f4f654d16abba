//! What a host does that its program would not: how it lets its program be heard, and what is said with its key while
//! its program does not run.

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use althing_protocol::codec;
use althing_protocol::hash::Hash;
use althing_protocol::identity::Identity;
use althing_protocol::limits;
use althing_protocol::record::{Certificate, Change, FORMAT, Link, Record};
use althing_protocol::statement::{
    Checked, Envelope, Holds, Id16, Intent, Position, Proposal, Signed, Statement, Step, Vote,
};
use althing_protocol::time::WallTime;
use althing_protocol::wire::{Beat, Have, Highest, Message};

use crate::reference::Settled;
use crate::world::World;

/// Messages that a host remembers to say them again.
const PAST: usize = 64;
/// Lies in one second: enough to be found out, too few to be a flood.
const LIES: usize = 40;

/// What a host does that it should not.
#[derive(Default)]
pub(crate) struct Vices {
    pub(crate) silent: bool,
    /// Hosts that hear nothing of it.
    pub(crate) deaf_to: BTreeSet<usize>,
    pub(crate) stale: bool,
    pub(crate) garbage: bool,
    pub(crate) bad_content: bool,
    /// Speaks with its key.
    pub(crate) agent: Option<Agent>,
    pub(crate) past: VecDeque<Rc<[u8]>>,
}

impl Vices {
    /// The messages that leave instead of this one, or beside it.
    pub(crate) fn filter(
        &mut self,
        to: usize,
        bytes: Rc<[u8]>,
        rng: &mut althing_protocol::rng::Rng,
    ) -> Vec<Rc<[u8]>> {
        if self.silent || self.deaf_to.contains(&to) {
            return Vec::new();
        }
        if self.garbage && rng.chance(60) {
            return vec![spoil(&bytes, rng)];
        }
        let mut messages = vec![bytes.clone()];
        if self.stale {
            if rng.chance(60) {
                messages.extend(self.past.get(rng.below(PAST as u64) as usize).cloned());
            }
            if rng.chance(100) {
                self.past.truncate(PAST - 1);
                self.past.push_front(bytes);
            }
        }
        messages
    }
}

/// A message with one changed byte, or a part of it, or more than it.
fn spoil(bytes: &[u8], rng: &mut althing_protocol::rng::Rng) -> Rc<[u8]> {
    let mut bytes = bytes.to_vec();
    let at = rng.below(bytes.len() as u64) as usize;
    match rng.below(3) {
        0 => bytes.truncate(at),
        1 => bytes.extend_from_within(at..),
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << rng.below(8);
            }
        }
    }
    bytes.into()
}

/// Somebody with a member's key.
pub(crate) struct Agent {
    equivocates: bool,
    sequence: u64,
    said: BTreeSet<(usize, Hash)>,
    /// Lies since the last second.
    lies: usize,
    turn: u64,
}

impl Agent {
    pub(crate) fn new(equivocates: bool) -> Self {
        Self { equivocates, sequence: 0, said: BTreeSet::new(), lies: 0, turn: 0 }
    }
}

fn sign(world: &mut World, at: usize, statement: Statement) -> Option<Signed> {
    let state = world.reference.state()?;
    let store = state.member(&world.hosts[at].id)?.store;
    let entity = state.entity;
    let agent = world.hosts[at].vices.agent.as_mut()?;
    agent.sequence += 1;
    let position = Position { incarnation: 1_000_000, sequence: agent.sequence };
    let envelope = Envelope { entity, store, position, statement };
    Some(Checked::sign(&world.hosts[at].identity, envelope).signed().clone())
}

/// The agent of a host hears a message: whoever votes is told that it is right.
pub(crate) fn hear(world: &mut World, at: usize, from: usize, bytes: &[u8]) {
    if !world.hosts[at].vices.agent.as_ref().is_some_and(|agent| agent.equivocates) {
        return;
    }
    let Ok(Message::Push(statements)) = Message::decode(bytes) else { return };
    for signed in statements {
        let Ok(envelope) = codec::decode::<Envelope>(&signed.bytes, limits::RECORD_BYTES * 2) else {
            continue;
        };
        let Statement::Vote(vote) = envelope.statement else { continue };
        if vote.value.is_none() || signed.author == world.hosts[at].id {
            continue;
        }
        agree(world, at, from, &vote);
    }
}

/// Both votes for what a peer voted for, to that peer only; and to another one that it voted for nothing.
fn agree(world: &mut World, at: usize, to: usize, vote: &Vote) {
    let Some(agent) = world.hosts[at].vices.agent.as_mut() else { return };
    let place = Hash::of(&codec::encode(&(vote.epoch, vote.round, &vote.value)));
    if agent.lies > LIES || !agent.said.insert((to, place)) {
        return;
    }
    agent.lies += 1;
    let relied = |step| if step == Step::Prevote { vote.relied } else { None };
    let both =
        [Step::Prevote, Step::Precommit].map(|step| Vote { step, relied: relied(step), ..vote.clone() });
    let nothing = both.clone().map(|vote| Vote { value: None, relied: None, ..vote });
    let other = (to + 1..).map(|next| next % world.hosts.len()).find(|next| *next != at).unwrap_or(to);
    for (to, votes) in [(to, both), (other, nothing)] {
        let signed = votes.map(|vote| sign(world, at, Statement::Vote(vote)));
        world.utter(at, to, &Message::Push(signed.into_iter().flatten().collect()).encode());
    }
}

/// The agent of a host makes something up, for everybody.
pub(crate) fn lie(world: &mut World, at: usize) {
    let Some(agent) = world.hosts[at].vices.agent.as_mut() else { return };
    agent.lies = 0;
    agent.turn += 1;
    let (turn, forges) = (agent.turn, !agent.equivocates);
    if !forges {
        return;
    }
    let Some(head) = world.reference.head().cloned() else { return };
    let Some(message) = invent(world, at, turn, &head) else { return };
    let bytes = message.encode();
    for to in (0..world.hosts.len()).filter(|to| *to != at) {
        world.utter(at, to, &bytes);
    }
}

fn invent(world: &mut World, at: usize, turn: u64, head: &Settled) -> Option<Message> {
    let (epoch, parent) = (head.state.epoch, head.record);
    let other = world.hosts[(at + 1) % world.hosts.len()].id;
    let vote = |round, step, value| Vote { epoch: epoch + 1, round, parent, step, value, relied: None };
    let statement = match turn % 8 {
        0 => {
            // Words of somebody else, under a signature that is not theirs.
            let mut signed = sign(world, at, Statement::Vote(vote(0, Step::Prevote, None)))?;
            signed.author = other;
            return Some(Message::Push(vec![signed; 20]));
        }
        1 => {
            let (id, change) = (Id16([1; 16]), Change::Remove { member: other });
            let intent = Intent {
                id,
                seen: epoch,
                at: WallTime(1),
                by: "liar".into(),
                change,
                mandate: Default::default(),
            };
            let changes = vec![sign(world, at, Statement::Intent(Box::new(intent)))?];
            let (entity, state) = (head.state.entity, Hash::of(b"mine"));
            let record = Record { format: FORMAT, entity, epoch: epoch + 1, parent, changes, state };
            let record = record.encode().into();
            Statement::Proposal(Proposal { epoch: epoch + 1, round: 0, parent, record, pol: Vec::new() })
        }
        2 => {
            // A certificate of nobody for the record that is settled, and one for another.
            let link =
                if turn % 16 == 2 { next_link(world, at, turn, head) } else { forged_link(world, at, head) };
            return Some(Message::Chain(vec![link?]));
        }
        3 => {
            let said = vec![sign(world, at, Statement::Holds(Holds { epoch: u64::MAX, head: parent }))?];
            return Some(Message::Highest(Highest { incarnation: turn, said }));
        }
        4 => return Some(Message::Beat(Beat { epoch: u64::MAX, head: 1, knowledge: 1, round: u32::MAX })),
        5 => {
            let positions = vec![Position { incarnation: u64::MAX, sequence: u64::MAX }; 400];
            return Some(Message::Have(vec![Have { author: other, positions }]));
        }
        6 => Statement::Vote(vote(turn as u32, Step::Precommit, Some(Hash::of(&turn.to_le_bytes())))),
        _ => {
            let change = Change::Abort { application: "nowhere".into() };
            let id = Id16((u128::from(turn) << 64 | 7).to_be_bytes());
            let at = WallTime(1);
            Statement::Intent(Box::new(Intent {
                id,
                seen: epoch,
                at,
                by: "liar".into(),
                change,
                mandate: Default::default(),
            }))
        }
    };
    Some(Message::Push(vec![sign(world, at, statement)?]))
}

/// Another record for the epoch that is settled, with a certificate of the liar alone.
fn forged_link(world: &mut World, at: usize, head: &Settled) -> Option<Link> {
    let chain = &world.reference.chain;
    let (epoch, before) = (head.state.epoch, chain.get(&head.state.epoch.checked_sub(1)?)?.record);
    let (entity, state) = (head.state.entity, Hash::of(b"forged"));
    let record =
        Record { format: FORMAT, entity, epoch, parent: before, changes: Vec::new(), state }.encode();
    let value = Record::hash_of(&record);
    let vote =
        Vote { epoch, round: 0, parent: before, step: Step::Precommit, value: Some(value), relied: None };
    let votes = vec![sign(world, at, Statement::Vote(vote))?];
    Some(Link { record: record.into(), certificate: Certificate { epoch, round: 0, value, votes } })
}

/// A good record for the next epoch, with a certificate of the liar alone.
fn next_link(world: &mut World, at: usize, turn: u64, head: &Settled) -> Option<Link> {
    let (epoch, parent, scheme) = (head.state.epoch + 1, head.record, world.hosts[at].identity.scheme());
    let key = Identity::from_seed([9; 32]).id();
    let (id, note) = (Id16((u128::from(turn) << 64 | 11).to_be_bytes()), "forged".to_owned());
    let change = Change::Invite { key, uses: 1, expires: WallTime(1), note, spare: false };
    let (seen, by, mandate) = (epoch - 1, "liar".to_owned(), Default::default());
    let intent = Intent { id, seen, at: WallTime(1), by, change, mandate };
    let changes = vec![sign(world, at, Statement::Intent(Box::new(intent)))?];
    let next = head.state.with_changes(&changes, scheme).ok()?;
    let (entity, state) = (next.entity, next.hash());
    let record = Record { format: FORMAT, entity, epoch, parent, changes, state }.encode();
    let value = Record::hash_of(&record);
    let vote = Vote { epoch, round: 0, parent, step: Step::Precommit, value: Some(value), relied: None };
    let votes = vec![sign(world, at, Statement::Vote(vote))?];
    Some(Link { record: record.into(), certificate: Certificate { epoch, round: 0, value, votes } })
}
