//! The network between hosts: connections that come and go, messages that are late, lost, doubled and reordered.

use std::collections::{BTreeSet, VecDeque};
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
}

impl Weather {
    /// A quiet local network.
    pub(crate) const FINE: Self = Self { lost: 0, doubled: 0, late: 0, delay: 200, jitter: 800 };
}

/// Messages that are remembered for a replay.
const OVERHEARD: usize = 64;

/// The one kind of message that carries statements. What else is on a connection cannot be carried to another: it
/// is not signed, and a connection proves who speaks.
pub(crate) fn is_push(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xa1\x64Push")
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
}

/// All connections.
pub(crate) struct Network {
    hosts: usize,
    /// From, to: nothing gets through.
    blocked: BTreeSet<(usize, usize)>,
    connections: Vec<Connection>,
    pub(crate) weather: Weather,
    /// Some messages of statements, for a replay.
    overheard: VecDeque<Rc<[u8]>>,
    rng: Rng,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl Network {
    pub(crate) fn new(hosts: usize, rng: Rng) -> Self {
        Self {
            hosts,
            blocked: BTreeSet::new(),
            connections: vec![Connection::default(); hosts * hosts],
            weather: Weather::FINE,
            overheard: VecDeque::new(),
            rng,
            messages: 0,
            bytes: 0,
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

    /// After how long the copies of a message arrive; none if it is lost.
    pub(crate) fn send(&mut self, bytes: usize) -> Vec<u64> {
        self.messages += 1;
        self.bytes += bytes as u64;
        let mut arrivals = Vec::new();
        if self.rng.chance(self.weather.lost) {
            return arrivals;
        }
        let copies = 1 + u64::from(self.rng.chance(self.weather.doubled));
        for _ in 0..copies {
            let late = self.rng.chance(self.weather.late);
            let held = if late { self.rng.below(2 * SECOND) } else { 0 };
            arrivals.push(self.delay() + held);
        }
        arrivals
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
