//! The network between hosts: connections that come and go, messages that are late, lost, doubled and reordered.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use althing_protocol::rng::Rng;

use crate::world::{MS, SECOND};

/// What a seed's network is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// Of a thousand messages.
    pub(crate) lost: u64,
    /// Of a thousand messages.
    pub(crate) doubled: u64,
    /// Of a thousand messages, that are held up for long and so overtaken.
    pub(crate) late: u64,
    /// Shortest delay, in microseconds.
    pub(crate) delay: u64,
    /// Added at random, in microseconds.
    pub(crate) jitter: u64,
    /// Bytes a second that a link carries in one direction; 0 for any number.
    pub(crate) rate: u64,
}

impl Weather {
    /// A quiet local network.
    pub(crate) const FINE: Self = Self { lost: 0, doubled: 0, late: 0, delay: 200, jitter: 800, rate: 0 };
}

/// What one direction of a link has that the weather is not.
#[derive(Clone, Copy, Debug)]
struct Way {
    /// Of a thousand messages.
    lost: u64,
    /// Added to the delay of each message, in microseconds.
    delay: u64,
    /// Added at random, in microseconds.
    jitter: u64,
}

impl Way {
    /// One as they are found between sites: in one room, in one country, between continents, or bad.
    fn any(rng: &mut Rng) -> Self {
        match rng.below(4) {
            0 => Self { lost: 0, delay: 0, jitter: 0 },
            1 => Self { lost: 0, delay: 2 * MS + rng.below(18 * MS), jitter: MS },
            2 => Self { lost: rng.below(10), delay: 40 * MS + rng.below(110 * MS), jitter: 10 * MS },
            _ => Self { lost: rng.below(250), delay: rng.below(40 * MS), jitter: rng.below(400 * MS) },
        }
    }
}

/// Bytes that wait for a narrow link; more are dropped, as the outbox of the daemon drops what a lane cannot take. Less
/// than there, as links here are narrower.
const LANE: u64 = 8 << 10;

/// Messages that are remembered for a replay.
const OVERHEARD: usize = 64;

/// The one kind of message that carries statements. What else is on a connection cannot be carried to another: it
/// is not signed, and a connection proves who speaks.
pub(crate) fn is_push(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xa1\x64Push")
}

/// What happens to the next message on a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Damage {
    /// Some of its bytes are others.
    Changed,
    /// It ends in the middle.
    Cut,
}

/// A connection of two hosts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Connection {
    /// Both may use it.
    pub(crate) up: bool,
    /// It is cut, and somebody has not noticed yet: everything on it is lost.
    pub(crate) broken: bool,
    /// Counts connections of this pair: what was sent on an earlier one does not arrive.
    pub(crate) generation: u64,
    /// The lives of the two hosts that connected.
    pub(crate) lives: (u64, u64),
    /// The next message is damaged on its way.
    pub(crate) damage: Option<Damage>,
    /// Until when each direction is busy with what was sent.
    busy: [u64; 2],
}

/// How many messages had which fate.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fates {
    lost: u64,
    doubled: u64,
    overtaken: u64,
    queued: u64,
    dropped: u64,
}

impl Fates {
    /// Each fate that messages had, and how many had it.
    pub(crate) fn marks(self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = [
            ("a message was lost", self.lost),
            ("a message came twice", self.doubled),
            ("a message was held up and overtaken", self.overtaken),
            ("a message waited for its link", self.queued),
            ("a queue was full", self.dropped),
        ];
        all.into_iter().filter(|(_, count)| *count > 0)
    }
}

/// A message that waits for a clogged host.
pub(crate) struct Held {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) generation: u64,
    pub(crate) bytes: Rc<[u8]>,
}

/// All connections.
pub(crate) struct Network {
    hosts: usize,
    /// Hosts whose links are narrow: bytes a second, and until when.
    narrow: BTreeMap<usize, (u64, u64)>,
    /// Hosts that nothing comes from or gets to now, and what waits for that to end.
    clogged: BTreeSet<usize>,
    held: Vec<Held>,
    /// From, to: nothing gets through.
    blocked: BTreeSet<(usize, usize)>,
    connections: Vec<Connection>,
    /// From, to; none if all links are alike.
    ways: Vec<Way>,
    pub(crate) weather: Weather,
    /// Some messages of statements, for a replay.
    overheard: VecDeque<Rc<[u8]>>,
    rng: Rng,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// What became of messages.
    pub(crate) fates: Fates,
}

impl Network {
    pub(crate) fn new(hosts: usize, rng: Rng) -> Self {
        Self {
            hosts,
            narrow: BTreeMap::new(),
            clogged: BTreeSet::new(),
            held: Vec::new(),
            blocked: BTreeSet::new(),
            connections: vec![Connection::default(); hosts * hosts],
            ways: Vec::new(),
            weather: Weather::FINE,
            overheard: VecDeque::new(),
            rng,
            messages: 0,
            bytes: 0,
            fates: Fates::default(),
        }
    }

    pub(crate) fn connection(&mut self, a: usize, b: usize) -> &mut Connection {
        &mut self.connections[a.min(b) * self.hosts + a.max(b)]
    }

    pub(crate) fn is_usable(&self, a: usize, b: usize) -> Option<u64> {
        let connection = &self.connections[a.min(b) * self.hosts + a.max(b)];
        (connection.up && !connection.broken).then_some(connection.generation)
    }

    /// Nothing gets from one host to another any more.
    pub(crate) fn block(&mut self, from: usize, to: usize) {
        self.blocked.insert((from, to));
    }

    /// Everything gets through again.
    pub(crate) fn unblock(&mut self) {
        self.blocked.clear();
    }

    /// Both directions work again.
    pub(crate) fn open(&mut self, a: usize, b: usize) {
        self.blocked.remove(&(a, b));
        self.blocked.remove(&(b, a));
    }

    /// Somebody listens: every now and then a message of statements is remembered.
    pub(crate) fn overhear(&mut self, bytes: &Rc<[u8]>) {
        if self.messages.is_multiple_of(61) && is_push(bytes) {
            if self.overheard.len() == OVERHEARD {
                self.overheard.pop_front();
            }
            self.overheard.push_back(bytes.clone());
        }
    }

    /// Some of what was overheard.
    pub(crate) fn overheard(&mut self) -> Vec<Rc<[u8]>> {
        let from = self.rng.below(self.overheard.len() as u64) as usize;
        self.overheard.iter().skip(from).take(8).cloned().collect()
    }

    pub(crate) fn is_blocked(&self, from: usize, to: usize) -> bool {
        self.blocked.contains(&(from, to))
    }

    /// Whether anything is cut.
    pub(crate) fn is_partitioned(&self) -> bool {
        !self.blocked.is_empty()
    }

    /// Both directions work.
    pub(crate) fn is_open(&self, a: usize, b: usize) -> bool {
        !self.is_blocked(a, b) && !self.is_blocked(b, a)
    }

    /// From now on each direction of each link has a delay and losses of its own.
    pub(crate) fn differ(&mut self, mut rng: Rng) {
        self.ways = (0..self.hosts * self.hosts).map(|_| Way::any(&mut rng)).collect();
    }

    /// After how long the copies of a message arrive; none if it is lost.
    pub(crate) fn send(&mut self, from: usize, to: usize, bytes: usize) -> Vec<u64> {
        self.messages += 1;
        self.bytes += bytes as u64;
        let mut arrivals = Vec::new();
        let way = self.ways.get(from * self.hosts + to).copied();
        let lost = self.rng.chance(self.weather.lost);
        if lost || way.is_some_and(|way| self.rng.chance(way.lost)) {
            self.fates.lost += 1;
            return arrivals;
        }
        let copies = 1 + u64::from(self.rng.chance(self.weather.doubled));
        self.fates.doubled += copies - 1;
        for _ in 0..copies {
            let late = self.rng.chance(self.weather.late);
            self.fates.overtaken += u64::from(late);
            let held = if late { self.rng.below(2 * SECOND) } else { 0 };
            let further = way.map_or(0, |way| way.delay + self.rng.below(way.jitter + 1));
            arrivals.push(self.delay() + held + further);
        }
        arrivals
    }

    /// How long a message waits for its link; none if the lane is full.
    pub(crate) fn queue(&mut self, from: usize, to: usize, bytes: u64, now: u64) -> Option<u64> {
        let Some(rate) = self.rate(from, to, now) else { return Some(0) };
        let side = usize::from(from > to);
        let waits = self.connection(from, to).busy[side].saturating_sub(now);
        if waits.saturating_mul(rate) / SECOND > LANE {
            self.fates.dropped += 1;
            return None;
        }
        self.fates.queued += u64::from(waits > 0);
        let waits = waits + bytes * SECOND / rate;
        self.connection(from, to).busy[side] = now + waits;
        Some(waits)
    }

    /// Bytes a second from one host to another, if that is limited.
    pub(crate) fn rate(&self, from: usize, to: usize, now: u64) -> Option<u64> {
        let own =
            [from, to].into_iter().filter_map(|at| self.narrow.get(&at)).filter(|(_, until)| *until > now);
        let weather = (self.weather.rate > 0).then_some(self.weather.rate);
        own.map(|(rate, _)| *rate).chain(weather).min()
    }

    /// A host's links carry so little until then.
    pub(crate) fn narrow(&mut self, at: usize, rate: u64, until: u64) {
        self.narrow.insert(at, (rate, until));
    }

    /// Nothing is narrow any more, and all links are alike.
    pub(crate) fn clear(&mut self) {
        self.narrow.clear();
        self.ways.clear();
        for connection in &mut self.connections {
            (connection.damage, connection.busy) = (None, [0; 2]);
        }
    }

    /// Nothing comes from a host or gets to it.
    pub(crate) fn clog(&mut self, at: usize) {
        self.clogged.insert(at);
    }

    /// Whether a message must wait, and then it does.
    pub(crate) fn hold(&mut self, held: Held) -> Option<Held> {
        if !self.clogged.contains(&held.from) && !self.clogged.contains(&held.to) {
            return Some(held);
        }
        self.held.push(held);
        None
    }

    /// A host is let go, and with it what waited for nobody else.
    pub(crate) fn unclog(&mut self, at: usize) -> Vec<Held> {
        self.clogged.remove(&at);
        let all = std::mem::take(&mut self.held);
        let waits = |held: &Held| self.clogged.contains(&held.from) || self.clogged.contains(&held.to);
        let (waiting, free) = all.into_iter().partition(waits);
        self.held = waiting;
        free
    }

    /// How long something takes to get from one host to another.
    pub(crate) fn delay(&mut self) -> u64 {
        self.weather.delay + self.rng.below(self.weather.jitter + 1)
    }

    /// How long it takes to notice that a peer's process is gone.
    pub(crate) fn notice_crash(&mut self) -> u64 {
        MS + self.rng.below(300 * MS)
    }

    /// How long it takes to notice that nothing gets through.
    pub(crate) fn notice_cut(&mut self) -> u64 {
        SECOND + self.rng.below(9 * SECOND)
    }

    /// How long it takes to connect.
    pub(crate) fn dial(&mut self) -> u64 {
        5 * MS + self.rng.below(200 * MS)
    }
}
