//! How an entity of many members gossips: real [`Member`]s without content on a network with a delay and a loss, at
//! rest, when one dies silently, when one starts, and when something is settled (goals G1 and G3 to G6 of the design's
//! figures). No faults beyond these and no checks: those are the business of [`crate::simulate`].

mod entity;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::rc::Rc;

use althing_protocol::control::Command;
use althing_protocol::effect::{Input, Output};
use althing_protocol::identity::MemberId;
use althing_protocol::limits;
use althing_protocol::member::Member;
use althing_protocol::metrics::{Ratio, Readings};
use althing_protocol::rng::Rng;
use althing_protocol::time::{Instant, Now, WallTime};
use althing_protocol::wire::Message;

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
    /// Who was told to be unreachable, by whom, and when.
    told: Vec<(u64, usize, MemberId)>,
    steps: u64,
    requests: u64,
    out: Vec<Output>,
}

impl Entity {
    /// All members start within the same three seconds.
    pub fn new(scale: Scale) -> Self {
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
            told: Vec::new(),
            steps: 0,
            requests: 0,
            out: Vec::new(),
        };
        for _ in 0..scale.members {
            let clock = entity.rng.below(1_000_000_000);
            let (member, connected, disk) = (None, BTreeSet::new(), Disk::default());
            entity.hosts.push(Host { member, life: 0, clock, wake: None, connected, epoch: 0, disk });
        }
        for host in 0..scale.members {
            let after = entity.rng.below(3 * SECOND);
            entity.schedule(after, Event::Start { host });
        }
        entity
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
        self.now = at;
        self.steps += 1;
        match event {
            Event::Start { host } => self.start(host),
            Event::Deliver { from, to, bytes } => {
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
            Output::Persist { batch, writes } => {
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
        if !self.hosts[from].connected.contains(&to) {
            // It comes to nothing, and the next one does not.
            return self.connect(from, to);
        }
        self.messages += 1;
        self.payload += bytes.len() as u64;
        let kind = kind_of(&bytes);
        self.answered += u64::from(kind == *b"Puls");
        let counted = self.kinds.entry(kind).or_default();
        *counted = (counted.0 + 1, counted.1 + bytes.len() as u64);
        if self.rng.chance(self.scale.lost) {
            return;
        }
        let (least, most) = self.scale.delay;
        let after = least + self.rng.below(most - least + 1);
        self.schedule(after, Event::Deliver { from, to, bytes: bytes.into() });
    }

    // --- what is measured ---------------------------------------------------------------------------------------

    /// What so many microseconds cost.
    pub fn rest(&mut self, span: u64) -> Rest {
        (self.payload, self.messages, self.answered) = (0, 0, 0);
        self.kinds.clear();
        self.run(span);
        let each = |sum: u64| sum as f64 / self.hosts.len() as f64 / (span as f64 / SECOND as f64);
        let alone = self.messages - self.answered;
        let wire = self.payload + self.messages * AROUND + alone * ACKNOWLEDGED;
        Rest { messages: each(self.messages), payload: each(self.payload), wire: each(wire) }
    }

    /// Messages of the last rest by their kind: how many, and their bytes.
    pub fn kinds(&self) -> Vec<(String, u64, u64)> {
        let kinds = self.kinds.iter();
        kinds
            .map(|(kind, (count, bytes))| (String::from_utf8_lossy(kind).into_owned(), *count, *bytes))
            .collect()
    }

    /// Inputs that members were given so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// How often a member was called unreachable that lives, so far.
    pub fn false_notices(&self) -> usize {
        let lives = |id: &MemberId| self.hosts[self.numbers[id]].member.is_some();
        self.told.iter().filter(|(_, _, subject)| lives(subject)).count()
    }

    /// Kills one, and waits until all others say so, at most half a minute.
    pub fn crash(&mut self, at: usize) -> Spread {
        let (begin, id) = (self.now, self.roster.ids[at]);
        self.told.clear();
        self.kill(at);
        self.run(30 * SECOND);
        let times = self.told.iter().filter(|(_, _, subject)| *subject == id).map(|(when, _, _)| *when);
        spread(begin, times.collect(), self.hosts.len() - 1)
    }

    /// Starts one that was killed long ago: how long until it has a report of everybody.
    pub fn newcomer(&mut self, at: usize) -> Option<u64> {
        let begin = self.now;
        self.start(at);
        let other = usize::from(at == 0);
        let knows = |entity: &Self| {
            let view = |at: usize| entity.hosts[at].member.as_ref().and_then(Member::members);
            let known = |at: usize| {
                view(at).map(|view| view.members.iter().filter(|member| member.version.is_some()).count())
            };
            known(at) >= known(other).map(|known| known - 1)
        };
        while self.now < begin + 30 * SECOND {
            if knows(self) {
                return Some((self.now - begin) / MS);
            }
            self.run(20 * MS);
        }
        None
    }

    /// A voter labels itself: how long from then, and from the first member that holds the certificate, until all hold
    /// it.
    pub fn settle(&mut self, at: usize) -> (Spread, Spread) {
        let (begin, epoch) = (self.now, self.hosts[at].epoch + 1);
        self.requests += 1;
        let labels = BTreeMap::from([("rack".to_owned(), Some(format!("r{}", self.requests)))]);
        let command = Command::Label { member: entity::name(at), labels, keep_files: false };
        self.give(at, Input::Requested { request: self.requests, by: "scale".into(), command });
        let mut times = vec![None; self.hosts.len()];
        while self.now < begin + 30 * SECOND && times.iter().any(Option::is_none) {
            let until = self.now + MS;
            while self.step(until) {}
            self.now = until;
            for (host, time) in self.hosts.iter().zip(&mut times) {
                if time.is_none() && (host.epoch >= epoch || host.member.is_none()) {
                    *time = Some(self.now);
                }
            }
        }
        let times: Vec<u64> = times.into_iter().flatten().collect();
        let first = times.iter().min().copied().unwrap_or(begin);
        let count = self.hosts.len();
        (spread(begin, times.clone(), count), spread(first, times, count))
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
