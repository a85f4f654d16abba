//! One member by itself: its peers are keys that this test signs with, its disk is a map, and every batch is durable
//! at once.

mod admitting;
mod gathering;
mod rotting;
mod spreading;
mod standing;
mod stopping;
mod trusting;
mod undoing;

use std::collections::{BTreeMap, VecDeque};

use super::saved::Saved;
use super::*;
use crate::codec;
use crate::control::{Command, Reply};
use crate::effect::{Family, Want};
use crate::invitation::Answer;
use crate::limits;
use crate::record::{Certificate, Change, FORMAT, Genesis, Link, Newcomer, Record};
use crate::statement::{Holds, Intent, Signed, Step};
use crate::time::{Millis, WallTime};
use crate::wire::Message;

fn key(seed: u8) -> Identity {
    Identity::from_seed([seed; 32]).simulated()
}

fn id(seed: u8) -> MemberId {
    key(seed).id()
}

fn address(port: u16) -> Address {
    let control = std::net::SocketAddr::from(([10, 0, 0, 1], port));
    Address { control, bulk: control }
}

fn genesis() -> Genesis {
    let founder = Newcomer { member: id(1), store: Id16([1; 16]), name: "m1".into(), address: address(1) };
    Genesis {
        format: Genesis::NEWEST,
        name: "demo".into(),
        founder,
        at: WallTime(0),
        nonce: Id16::default(),
        inherited: None,
        governance: Default::default(),
    }
}

/// Members 1, 2 and 3 who vote; the test is the host of the first.
fn three() -> Head {
    let genesis = genesis();
    let mut state = State::genesis(&genesis);
    for seed in [2, 3] {
        state.members.push(crate::state::Member {
            id: id(seed),
            store: Id16([seed; 16]),
            name: format!("m{seed}"),
            role: Role::Voter,
            addresses: vec![address(seed.into())],
            since: 0,
            service: crate::state::Service::In,
            labels: std::collections::BTreeMap::new(),
        });
    }
    let record = genesis.id();
    let trail = Trail::begin(&state, record);
    Head { state, record, trail }
}

/// Signed by a member, from its store, at a place.
fn said(entity: Hash, by: u8, at: (u64, u64), statement: Statement) -> Signed {
    let position = Position { incarnation: at.0, sequence: at.1 };
    let envelope = Envelope { entity, store: Id16([by; 16]), position, statement };
    Checked::sign(&key(by), envelope).signed().clone()
}

/// A settled child of this state: an invitation, made by member 2, precommitted by these.
fn link(state: &State, parent: Hash, note: &str, voters: &[u8]) -> (Link, State) {
    let change = Change::Invite {
        key: Identity::from_seed(Hash::of(note.as_bytes()).0).id(),
        uses: 1,
        expires: WallTime(1000),
        note: note.into(),
        spare: false,
    };
    settle(state, parent, change, voters)
}

fn settle(state: &State, parent: Hash, change: Change, voters: &[u8]) -> (Link, State) {
    let seed = Hash::of(&codec::encode(&(parent, &change)));
    let mut id = [0; 16];
    id.copy_from_slice(&seed.0[..16]);
    let intent = Intent {
        id: Id16(id),
        seen: state.epoch,
        at: WallTime(1),
        by: "ada".into(),
        change,
        mandate: Default::default(),
    };
    let changes = vec![said(state.entity, 2, (9, state.epoch + 1), Statement::Intent(Box::new(intent)))];
    let next = state.with_changes(&changes, Scheme::SimulatedHash).expect("valid");
    let (entity, epoch) = (state.entity, next.epoch);
    let record = Record { format: FORMAT, entity, epoch, parent, changes, state: next.hash() };
    let bytes = record.encode();
    let value = Record::hash_of(&bytes);
    let vote = Vote { epoch, round: 0, parent, step: Step::Precommit, value: Some(value), relied: None };
    let votes = voters.iter().map(|by| said(entity, *by, (9, 100 + epoch), Statement::Vote(vote.clone())));
    let certificate = Certificate { epoch, round: 0, value, votes: votes.collect() };
    (Link { record: serde_bytes::ByteBuf::from(bytes), certificate }, next)
}

/// A member and what came of it.
struct Lone {
    member: Member,
    disk: BTreeMap<(Family, Vec<u8>), Vec<u8>>,
    mono: u64,
    /// By how much the civil clock is ahead of that.
    ahead: u64,
    events: Vec<Event>,
    replies: Vec<Reply>,
    sent: Vec<(MemberId, Message)>,
    captures: Vec<u64>,
    /// The disk takes its time: what was to be written since.
    slow: Option<VecDeque<(u64, Vec<Write>)>>,
    /// What was looked for, here or elsewhere.
    fetches: Vec<(u64, Vec<Want>)>,
    /// What strangers were answered.
    answers: Vec<Answer>,
    /// Who was asked to let this member in.
    joins: Vec<(u64, Address)>,
}

impl Lone {
    /// Member 1 of three, connected to the others, which remember nothing of it: it votes.
    fn voting() -> Self {
        let mut lone = Self::of(&three());
        lone.meet();
        assert!(lone.member.may_vote());
        lone
    }

    /// Member 1, with this head on its disk.
    fn of(head: &Head) -> Self {
        let life = Life { store: Id16([1; 16]), incarnation: 0, reserved: 0 };
        let mut disk = BTreeMap::new();
        let beginning = Beginning::of(genesis());
        for write in [saved::put_life(&life), saved::put_head(head), saved::put_beginning(&beginning)] {
            disk.insert((write.family, write.key), write.value.expect("a value"));
        }
        Self::start(disk)
    }

    fn start(disk: BTreeMap<(Family, Vec<u8>), Vec<u8>>) -> Self {
        Self::start_at(disk, 0, None)
    }

    fn start_at(
        disk: BTreeMap<(Family, Vec<u8>), Vec<u8>>,
        ahead: u64,
        trusting_period: Option<Millis>,
    ) -> Self {
        let family = |wanted: Family| {
            let entries = disk.iter().filter(move |((family, _), _)| *family == wanted);
            entries.map(|((_, key), value)| (key.clone(), value.clone())).collect::<Vec<_>>()
        };
        let mut saved = Saved::read(family(Family::Meta), family(Family::Votes)).expect("readable");
        family(Family::Chain).iter().for_each(|(_, link)| saved.learn_link(link));
        let config = Config { address: Some(address(1)), trusting_period, ..Config::default() };
        let now = Now { mono: Instant(1), wall: WallTime(1 + ahead) };
        let member = Member::restore(key(1), config, [7; 32], saved, now);
        let mut lone = Self {
            member,
            disk,
            mono: 1,
            ahead,
            events: Vec::new(),
            replies: Vec::new(),
            sent: Vec::new(),
            captures: Vec::new(),
            slow: None,
            fetches: Vec::new(),
            answers: Vec::new(),
            joins: Vec::new(),
        };
        lone.give(Input::Tick);
        lone
    }

    /// Connects to the others and has their answers to what they hold of this member.
    fn meet(&mut self) {
        [2, 3].into_iter().for_each(|seed| self.give(Input::Connected(id(seed))));
        self.pass(1_100);
        let incarnation = self.member.core.life.incarnation;
        for seed in [2, 3] {
            self.hear(seed, Message::Highest(crate::wire::Highest { incarnation, said: Vec::new() }));
        }
    }

    fn give(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let now = Now { mono: Instant(self.mono), wall: WallTime(self.mono + self.ahead) };
            let mut out = Vec::new();
            self.member.step(now, input, &mut out);
            for output in out {
                match output {
                    Output::Persist { batch, writes } => match &mut self.slow {
                        Some(later) => later.push_back((batch, writes)),
                        None => {
                            self.write(writes);
                            inputs.push_back(Input::Persisted(batch));
                        }
                    },
                    Output::Capture { capture, .. } => self.captures.push(capture),
                    Output::Fetch { fetch, wants, .. } => self.fetches.push((fetch, wants)),
                    Output::Clear { clear, .. } => inputs.push_back(Input::Cleared { clear, result: Ok(0) }),
                    Output::Event(event) => self.events.push(event),
                    Output::Reply { reply, .. } => self.replies.push(reply),
                    Output::Join { join, address, .. } => self.joins.push((join, address)),
                    Output::JoinAnswer { bytes, .. } => {
                        self.answers.push(codec::decode(&bytes, limits::MESSAGE_BYTES).expect("ours"));
                    }
                    Output::Send { to, bytes } => {
                        self.sent.push((to, Message::decode(&bytes).expect("ours")));
                    }
                    _ => {}
                }
            }
        }
    }

    fn write(&mut self, writes: Vec<Write>) {
        for write in writes {
            match write.value {
                Some(value) => self.disk.insert((write.family, write.key), value),
                None => self.disk.remove(&(write.family, write.key)),
            };
        }
    }

    /// The disk has taken everything, and is fast again.
    fn written(&mut self) {
        while let Some((batch, writes)) = self.slow.as_mut().and_then(VecDeque::pop_front) {
            self.write(writes);
            self.give(Input::Persisted(batch));
        }
        self.slow = None;
    }

    fn hear(&mut self, from: u8, message: Message) {
        self.give(Input::Received { from: id(from), bytes: message.encode() });
    }

    /// Time passes, and the others are heard.
    fn pass(&mut self, span: u64) {
        self.mono += span;
        self.give(Input::Tick);
    }

    fn ask(&mut self, command: Command) -> Reply {
        self.replies.clear();
        self.give(Input::Requested { request: 1, by: "ada".into(), command });
        assert_eq!(self.replies.len(), 1, "answered at once");
        self.replies.remove(0)
    }

    fn told(&self, kind: &str) -> usize {
        self.events.iter().filter(|event| event.kind == kind).count()
    }

    fn state(&self) -> &State {
        self.member.state().expect("in an entity")
    }

    fn head(&self) -> Hash {
        self.member.head().expect("in an entity")
    }
}

#[test]
fn the_harness_settles_what_a_quorum_signed() {
    let mut lone = Lone::voting();
    let (link, next) = link(lone.state(), lone.head(), "a", &[2, 3]);
    lone.hear(2, Message::Chain(vec![link.clone()]));
    assert_eq!((lone.state(), lone.head()), (&next, link.certificate.value));
    let holds = Statement::Holds(Holds { epoch: 1, head: lone.head() });
    assert!(Checked::check(said(next.entity, 2, (1, 1), holds), &next.entity, Scheme::SimulatedHash).is_ok());
    assert_eq!(Millis(0), Millis::default());
}
