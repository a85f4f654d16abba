//! A newcomer and two chains of one genesis: the one that its invitation names, and one that a key signed that was a
//! majority once (finding 36).

use serde_bytes::ByteBuf;

use super::*;
use crate::effect::{Input, Output};
use crate::identity::{Identity, Scheme};
use crate::invitation::Sponsor;
use crate::limits;
use crate::member::saved::{Beginning, Head, Saved};
use crate::member::{Config, Member};
use crate::order::Mandate;
use crate::record::{Certificate, Change, FORMAT, Genesis, Newcomer};
use crate::statement::{Address, Checked, Envelope, Id16, Intent, Position, Statement, Step, Vote};
use crate::time::{Instant, Now, WallTime};
use crate::trail::Trail;
use crate::wire::Message;

const SCHEME: Scheme = Scheme::SimulatedHash;
/// More than one answer of a catch-up has.
const LENGTH: u64 = limits::CHAIN_RECORDS as u64 + 20;

fn key(seed: u8) -> Identity {
    Identity::from_seed([seed; 32]).simulated()
}

fn address() -> Address {
    let control = std::net::SocketAddr::from(([10, 0, 0, 1], 7800));
    Address { control, bulk: control }
}

fn genesis() -> Genesis {
    let founder =
        Newcomer { member: key(1).id(), store: Id16([1; 16]), name: "web1".into(), address: address() };
    let (at, nonce) = (WallTime(0), Id16::default());
    Genesis {
        format: Genesis::NEWEST,
        name: "demo".into(),
        founder,
        at,
        nonce,
        inherited: None,
        governance: Box::default(),
    }
}

/// A chain that the founder alone settled; `what` makes chains differ from their first record on.
fn chain(what: u8) -> Vec<Link> {
    let (mut state, mut head) = (State::genesis(&genesis()), genesis().id());
    let mut links = Vec::new();
    for epoch in 1..=LENGTH {
        let sign = |sequence: u64, statement| {
            let position = Position { incarnation: 1, sequence };
            let envelope = Envelope { entity: state.entity, store: Id16([1; 16]), position, statement };
            Checked::sign(&key(1), envelope).signed().clone()
        };
        let mut id = [what; 16];
        id[..8].copy_from_slice(&epoch.to_be_bytes());
        let labels = std::collections::BTreeMap::from([("n".to_owned(), Some(epoch.to_string()))]);
        let change = Change::Label { member: key(1).id(), labels, keep_files: false };
        let (id, at, by) = (Id16(id), WallTime(1), "ada".into());
        let intent = Intent { id, seen: epoch - 1, at, by, change, mandate: Mandate::default() };
        let changes = vec![sign(2 * epoch, Statement::Intent(Box::new(intent)))];
        let next = state.with_changes(&changes, SCHEME).expect("valid");
        let record =
            Record { format: FORMAT, entity: state.entity, epoch, parent: head, changes, state: next.hash() };
        let value = Record::hash_of(&record.encode());
        let (parent, step) = (head, Step::Precommit);
        let vote = Vote { epoch, round: 0, parent, step, value: Some(value), relied: None };
        let votes = vec![sign(2 * epoch + 1, Statement::Vote(vote))];
        let certificate = Certificate { epoch, round: 0, value, votes };
        links.push(Link { record: ByteBuf::from(record.encode()), certificate });
        (state, head) = (next, value);
    }
    links
}

/// The newcomer, let in with an invitation whose checkpoint is the 70th record of the first chain.
struct Newcomer70 {
    member: Member,
    now: Now,
    told: Vec<String>,
    asked: Vec<u64>,
}

impl Newcomer70 {
    fn new() -> Self {
        let state = State::genesis(&genesis());
        let record = genesis().id();
        let checkpoint = Checkpoint { epoch: 70, record: chain(1)[69].certificate.value };
        let sponsor = Some(Sponsor { member: key(1).id(), address: address() });
        let beginning = Beginning { sponsor, checkpoint: Some(checkpoint), ..Beginning::of(genesis()) };
        let trail = Trail::begin(&state, record);
        let head = Some(Head { state, record, trail });
        let saved = Saved { head, beginning: Some(beginning), ..Saved::default() };
        let now = Now { mono: Instant(1), wall: WallTime(1000) };
        let member = Member::restore(key(2), Config::default(), [3; 32], saved, now);
        let mut newcomer = Self { member, now, told: Vec::new(), asked: Vec::new() };
        newcomer.step(Input::Tick);
        newcomer.step(Input::Connected(key(1).id()));
        newcomer
    }

    fn step(&mut self, input: Input) {
        self.now.mono.0 += 1000;
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut out = Vec::new();
            self.member.step(self.now, input, &mut out);
            for output in out {
                match output {
                    Output::Persist { batch, .. } => inputs.insert(0, Input::Persisted(batch)),
                    Output::Event(event) => self.told.push(event.kind),
                    Output::Send { bytes, .. } => {
                        if let Ok(Message::GetChain(after)) = Message::decode(&bytes) {
                            self.asked.push(after);
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// A peer answers what was asked last, from its chain.
    fn shown(&mut self, links: &[Link]) {
        let after = self.asked.last().copied().unwrap_or_default() as usize;
        let page = links[after..].iter().take(limits::CHAIN_RECORDS).cloned().collect();
        self.step(Input::Received { from: key(1).id(), bytes: Message::Chain(page).encode() });
    }

    fn epoch(&self) -> u64 {
        self.member.state().expect("in an entity").epoch
    }
}

#[test]
fn a_chain_without_the_checkpoint_is_refused_however_well_it_is_signed() {
    let (right, other) = (chain(1), chain(2));
    let mut newcomer = Newcomer70::new();
    newcomer.shown(&other);
    assert_eq!(newcomer.epoch(), 0, "nothing is executed before the checkpoint is seen");
    assert_eq!(newcomer.asked.last(), Some(&64), "it wants to see the rest");
    newcomer.shown(&other);
    assert_eq!(newcomer.epoch(), 0);
    assert!(newcomer.told.iter().any(|kind| kind == "chain.other"), "{:?}", newcomer.told);
    // The right one is taken all the same, from its beginning.
    newcomer.asked.clear();
    newcomer.shown(&right);
    newcomer.shown(&right);
    assert_eq!((newcomer.epoch(), newcomer.asked.last()), (0, Some(&0)), "seen, and asked for again");
    newcomer.shown(&right);
    newcomer.shown(&right);
    assert_eq!(newcomer.epoch(), LENGTH);
}

#[test]
fn what_was_seen_first_is_what_is_executed() {
    let (right, other) = (chain(1), chain(2));
    let mut newcomer = Newcomer70::new();
    newcomer.shown(&right);
    newcomer.shown(&right);
    // Another chain in its place, with certificates that hold.
    newcomer.shown(&other);
    assert_eq!(newcomer.epoch(), 0);
    newcomer.asked.push(0);
    newcomer.shown(&right);
    assert_eq!(newcomer.epoch(), limits::CHAIN_RECORDS as u64);
}
