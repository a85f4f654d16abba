//! How an entity of many members gossips: real [`Member`]s without content on a network with a delay and a loss, at
//! rest, when one dies silently, when one starts, and when something is settled (goals G1 and G3 to G6 of the design's
//! figures). No faults beyond these and no checks: those are the business of [`crate::simulate`].

mod entity;
mod measured;
mod pool;
mod rested;
mod under_way;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::rc::Rc;

use althing_protocol::effect::{Family, Input, Output};
use althing_protocol::hash::Hash;
use althing_protocol::identity::MemberId;
use althing_protocol::limits;
use althing_protocol::member::Member;
use althing_protocol::metrics::{Ratio, Readings};
use althing_protocol::rng::Rng;
use althing_protocol::time::{Instant, Now, WallTime};
use althing_protocol::wire::Message;

pub use measured::{Bandwidth, Disturbed};

pub use under_way::UnderWay;

use entity::Roster;

use crate::host::disk::Disk;
use crate::world::{MS, SECOND};

/// Bytes of IP, TCP with time stamps, Noise, the multiplexer and the frame around one message: one packet.
const AROUND: u64 = 52 + 18 + 12 + 12;
/// A packet that only acknowledges.
const ACKNOWLEDGED: u64 = 52;
/// Dialing a peer to whom no connection is kept.
const DIAL: u64 = 60 * MS;
/// Readings that each member has taken when it begins.
const READINGS: u64 = 30;

/// What is tried.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Scale {
    /// How many members; the first nine of them vote.
    pub members: usize,
    /// Of a thousand messages, lost without a trace.
    pub lost: u64,
    /// Shortest and longest time of a message, in microseconds.
    pub delay: (u64, u64),
    /// Everything is drawn from it.
    pub seed: u64,
}

/// What a time at rest cost each member a second, on average.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rest {
    /// Messages.
    pub messages: f64,
    /// Bytes of messages.
    pub payload: f64,
    /// The same on the wire, computed: each message a packet and, unless it is answered at once, another one that
    /// acknowledges it.
    pub wire: f64,
}

/// How something spread, in milliseconds since it began.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Spread {
    /// When the first member knew, half of them, and the last.
    pub first: u64,
    /// Half of them.
    pub half: u64,
    /// All of them; none if some never did.
    pub all: Option<u64>,
}

impl Event {
    /// Whose process takes it.
    fn host(&self) -> Option<usize> {
        match self {
            Self::Start { .. } => None,
            Self::Deliver { to, .. } | Self::Give { to, .. } => Some(*to),
            Self::Synced { host, .. } | Self::Wake { host, .. } => Some(*host),
        }
    }
}

enum Event {
    Start { host: usize },
    Deliver { from: usize, to: usize, bytes: Rc<[u8]> },
    Give { to: usize, life: u64, input: Box<Input> },
    Synced { host: usize, life: u64 },
    Wake { host: usize, life: u64 },
}

/// An event and its time; the number keeps the order of equal times.
struct Due(u64, u64, Event);

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

struct Host {
    member: Option<Member>,
    life: u64,
    /// Where its clock stands when the world's is at zero, in milliseconds.
    clock: u64,
    wake: Option<u64>,
    connected: BTreeSet<usize>,
    epoch: u64,
    disk: Disk,
    /// Until then its process stands still.
    frozen: u64,
    /// Of a thousand messages that it sends or should hear, lost.
    deaf: u64,
    /// Bytes on the wire that it sent, since they were counted last.
    sent: u64,
}

/// Members and the network between them.
pub struct Entity {
    scale: Scale,
    now: u64,
    number: u64,
    queue: BinaryHeap<Reverse<Due>>,
    hosts: Vec<Host>,
    roster: Roster,
    numbers: BTreeMap<MemberId, usize>,
    rng: Rng,
    payload: u64,
    messages: u64,
    answered: u64,
    kinds: BTreeMap<[u8; 4], (u64, u64)>,
    under_way: UnderWay,
    /// Who was told to be unreachable, by whom, and when.
    told: Vec<(u64, usize, MemberId)>,
    steps: u64,
    requests: u64,
    out: Vec<Output>,
    /// Proposals that came to members, and their names, if they are counted.
    copies: Option<(u64, BTreeSet<Hash>)>,
    /// Messages that were sent and come to nobody, while members are brought to rest.
    hushed: Option<Vec<Vec<u8>>>,
}

impl Entity {
    /// All members start within the same three seconds.
    pub fn new(scale: Scale) -> Self {
        let mut entity = Self::empty(scale);
        for host in 0..scale.members {
            let after = entity.rng.below(3 * SECOND);
            entity.schedule(after, Event::Start { host });
        }
        entity
    }

    /// Nobody has started yet.
    fn empty(scale: Scale) -> Self {
        pool::forget();
        let roster = Roster::new(scale.members);
        let mut entity = Self {
            scale,
            now: SECOND,
            number: 0,
            queue: BinaryHeap::new(),
            hosts: Vec::new(),
            numbers: roster.ids.iter().enumerate().map(|(at, id)| (*id, at)).collect(),
            roster,
            rng: crate::world::stream(scale.seed, "scale"),
            payload: 0,
            messages: 0,
            answered: 0,
            kinds: BTreeMap::new(),
            under_way: UnderWay::default(),
            told: Vec::new(),
            steps: 0,
            requests: 0,
            out: Vec::new(),
            copies: None,
            hushed: None,
        };
        for _ in 0..scale.members {
            let clock = entity.rng.below(1_000_000_000);
            let (member, connected, disk) = (None, BTreeSet::new(), Disk::default());
            let (frozen, deaf, sent) = (0, 0, 0);
            entity.hosts.push(Host {
                member,
                life: 0,
                clock,
                wake: None,
                connected,
                epoch: 0,
                disk,
                frozen,
                deaf,
                sent,
            });
        }
        entity
    }

    /// How many members.
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Messages that were sent and did not come yet.
    pub fn under_way(&mut self) -> &mut UnderWay {
        &mut self.under_way
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// Starts a member that knows the roster, and nothing else.
    pub fn start(&mut self, at: usize) {
        let (now, seed) = (self.time(at), self.rng.bytes());
        let host = &mut self.hosts[at];
        host.life += 1;
        host.member = Some(self.roster.member(at, host.life, seed, now));
        host.wake = None;
        host.disk = Disk::default();
        for peer in std::mem::take(&mut host.connected) {
            self.hosts[peer].connected.remove(&at);
        }
        self.give(at, Input::Tick);
        for number in 0..READINGS {
            let cpu = Ratio(200 + (number * 37 + at as u64 * 11) as u32 % 150);
            let (memory_used, disk_used) = (3 << 30, 40 << 30);
            let (memory_total, disk_total, capacity) = (8 << 30, 100 << 30, 4000);
            let readings = Readings { cpu, memory_used, memory_total, disk_used, disk_total, capacity };
            self.give(at, Input::Sampled(readings));
        }
    }

    /// The machine of a member is gone; its peers' connections do not break.
    pub fn kill(&mut self, at: usize) {
        self.hosts[at].member = None;
        self.hosts[at].life += 1;
    }

    /// Lets time pass, in microseconds.
    pub fn run(&mut self, span: u64) {
        let until = self.now + span;
        while self.step(until) {}
        self.now = until;
    }

    fn step(&mut self, until: u64) -> bool {
        if self.queue.peek().is_none_or(|due| due.0.0 > until) {
            return false;
        }
        let Some(Reverse(Due(at, _, event))) = self.queue.pop() else { return false };
        self.now = self.now.max(at);
        let wakes = event.host().map_or(0, |host| self.hosts[host].frozen);
        if wakes > at {
            self.schedule(wakes - at, event);
            return true;
        }
        self.steps += 1;
        match event {
            Event::Start { host } => self.start(host),
            Event::Deliver { from, to, bytes } => {
                self.under_way.left(kind_of(&bytes), bytes.len());
                self.count_copies(&bytes);
                let from = self.roster.ids[from];
                self.give(to, Input::Received { from, bytes: bytes.to_vec() });
            }
            Event::Give { to, life, input } => {
                if self.hosts[to].life == life {
                    self.give(to, *input);
                }
            }
            Event::Synced { host, life } => {
                if self.hosts[host].life == life
                    && let Some(batch) = self.hosts[host].disk.sync()
                {
                    self.give(host, Input::Persisted(batch.name));
                }
            }
            Event::Wake { host, life } => {
                if self.hosts[host].life == life && self.hosts[host].wake == Some(self.now) {
                    self.hosts[host].wake = None;
                    self.give(host, Input::Tick);
                }
            }
        }
        true
    }

    fn schedule(&mut self, after: u64, event: Event) {
        self.number += 1;
        self.queue.push(Reverse(Due(self.now + after, self.number, event)));
    }

    fn time(&self, at: usize) -> Now {
        let ms = self.now / MS;
        Now { mono: Instant(self.hosts[at].clock + ms), wall: WallTime(1_800_000_000_000 + ms) }
    }

    fn give(&mut self, at: usize, input: Input) {
        let (now, mut out) = (self.time(at), std::mem::take(&mut self.out));
        let Some(member) = &mut self.hosts[at].member else {
            self.out = out;
            return;
        };
        member.step(now, input, &mut out);
        for output in out.drain(..) {
            self.carry_out(at, output);
        }
        self.out = out;
        let host = &mut self.hosts[at];
        let Some(member) = &host.member else { return };
        host.epoch = member.state().map_or(host.epoch, |state| state.epoch);
        let Some(deadline) = member.deadline() else { return };
        let when = (deadline.0.saturating_sub(host.clock) * MS).max(self.now);
        if host.wake.is_none_or(|wake| when < wake || wake <= self.now) {
            host.wake = Some(when);
            let life = host.life;
            self.schedule(when - self.now, Event::Wake { host: at, life });
        }
    }

    fn carry_out(&mut self, at: usize, output: Output) {
        let life = self.hosts[at].life;
        match output {
            Output::Send { to, bytes } => self.send(at, self.numbers[&to], bytes),
            Output::Persist { batch, mut writes } => {
                // Nothing else is read again: who starts has only the roster.
                writes.retain(|write| write.family == Family::Chain);
                self.hosts[at].disk.enqueue(batch, writes, self.now, MS);
                self.schedule(MS, Event::Synced { host: at, life });
            }
            Output::SendChain { to, after } => {
                let links = self.hosts[at].disk.chain(after).take(limits::CHAIN_RECORDS).collect();
                self.send(at, self.numbers[&to], Message::Chain(links).encode());
            }
            Output::Peers(peers) => {
                for peer in peers.iter().filter(|peer| peer.linked) {
                    self.connect(at, self.numbers[&peer.id]);
                }
            }
            Output::Event(event) if event.kind == "member.unreachable" => {
                self.told.extend(event.subject.map(|subject| (self.now, at, subject)));
            }
            _ => {}
        }
    }

    fn connect(&mut self, a: usize, b: usize) {
        if a == b || self.hosts[a].member.is_none() || self.hosts[b].member.is_none() {
            return;
        }
        for (one, other) in [(a, b), (b, a)] {
            if self.hosts[one].connected.insert(other) {
                let input = Box::new(Input::Connected(self.roster.ids[other]));
                self.schedule(DIAL, Event::Give { to: one, life: self.hosts[one].life, input });
            }
        }
    }

    fn send(&mut self, from: usize, to: usize, bytes: Vec<u8>) {
        if let Some(hushed) = &mut self.hushed {
            return hushed.push(bytes);
        }
        if !self.hosts[from].connected.contains(&to) {
            // It comes to nothing, and the next one does not.
            return self.connect(from, to);
        }
        self.messages += 1;
        self.payload += bytes.len() as u64;
        let kind = kind_of(&bytes);
        self.answered += u64::from(kind == *b"Puls");
        let alone = if kind == *b"Puls" { 0 } else { ACKNOWLEDGED };
        self.hosts[from].sent += bytes.len() as u64 + AROUND + alone;
        let counted = self.kinds.entry(kind).or_default();
        *counted = (counted.0 + 1, counted.1 + bytes.len() as u64);
        let deaf = self.hosts[from].deaf.max(self.hosts[to].deaf);
        if self.rng.chance(self.scale.lost.max(deaf)) {
            return;
        }
        let (least, most) = self.scale.delay;
        let after = least + self.rng.below(most - least + 1);
        self.under_way.joined(kind, bytes.len());
        self.schedule(after, Event::Deliver { from, to, bytes: bytes.into() });
    }
}

/// The first letters of its name, after one or two bytes that say what they are.
fn kind_of(bytes: &[u8]) -> [u8; 4] {
    let letters = bytes.iter().position(u8::is_ascii_uppercase).unwrap_or_default();
    let mut kind = [b' '; 4];
    kind.iter_mut().zip(&bytes[letters..]).for_each(|(to, from)| *to = *from);
    kind
}

fn spread(begin: u64, mut times: Vec<u64>, wanted: usize) -> Spread {
    times.sort_unstable();
    let after = |time: &u64| (time - begin) / MS;
    Spread {
        first: times.first().map_or(0, after),
        half: times.get(times.len() / 2).map_or(0, after),
        all: if times.len() >= wanted { times.last().map(after) } else { None },
    }
}

#[cfg(test)]
mod tests;
