//! The state of the model: what every honest voter has ever sent, and what it remembers.

use super::guards::{Lock, Round, Signed};

/// The largest roster modelled, in honest voters.
pub const MAX_SEATS: usize = 5;
/// The most rounds modelled.
pub const MAX_ROUNDS: usize = 4;
/// The most values modelled.
pub const MAX_VALUES: usize = 3;

/// A value to decide on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(pub u8);

/// Prevotes one voter has sent in one round, as a set: bit 0 nil, then four bits per value, one for each round
/// it may say it relied on (0 for none, else round + 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prevotes(u16);

impl Prevotes {
    const PER_VALUE: u8 = MAX_ROUNDS as u8;

    /// Adds one vote to the set.
    pub fn add(&mut self, vote: Option<Value>, relied: Option<Round>) {
        let relied = relied.map_or(0, |round| round.0 as u16 + 1);
        self.0 |= vote.map_or(1, |value| 1 << (1 + u16::from(value.0 * Self::PER_VALUE) + relied));
    }

    /// Whether any vote for this value is in the set.
    pub const fn contain(self, value: Value) -> bool {
        self.of(value) != 0
    }

    /// Whether no vote at all is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The rounds relied on for a value, as bits.
    const fn of(self, value: Value) -> u16 {
        (self.0 >> (1 + value.0 * Self::PER_VALUE)) & 0xf
    }

    /// The same set with values renamed.
    fn renamed(self, names: &[u8]) -> Self {
        let mut set = self.0 & 1;
        for (value, name) in names.iter().enumerate() {
            set |= self.of(Value(value as u8)) << (1 + name * Self::PER_VALUE);
        }
        Self(set)
    }

    fn signed(self, round: Round) -> impl Iterator<Item = Signed<Value>> {
        let nil = (self.0 & 1 != 0).then_some(Signed::Prevote(round, None, None));
        let relied = |bit: u8| bit.checked_sub(1).map(|relied| Round(u32::from(relied)));
        let values = (0..MAX_VALUES as u8).map(Value);
        let pairs = values.flat_map(|value| (0..Self::PER_VALUE).map(move |bit| (value, bit)));
        let sent = pairs.filter(move |(value, bit)| self.of(*value) & (1 << bit) != 0);
        nil.into_iter().chain(sent.map(move |(value, bit)| Signed::Prevote(round, Some(value), relied(bit))))
    }
}

/// Precommits one voter has sent in one round, as a set: bit 0 nil, then one bit per value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Precommits(u8);

impl Precommits {
    /// Adds one vote to the set.
    pub fn add(&mut self, vote: Option<Value>) {
        self.0 |= vote.map_or(1, |value| 2 << value.0);
    }

    /// Whether a vote for this value is in the set.
    pub const fn contain(self, value: Value) -> bool {
        self.0 & (2 << value.0) != 0
    }

    /// Whether no vote at all is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn renamed(self, names: &[u8]) -> Self {
        let moved = |(value, name): (usize, &u8)| {
            if self.contain(Value(value as u8)) { 2 << name } else { 0 }
        };
        Self(names.iter().enumerate().map(moved).fold(self.0 & 1, |set, bit| set | bit))
    }

    fn signed(self, round: Round) -> impl Iterator<Item = Signed<Value>> {
        let nil = (self.0 & 1 != 0).then_some(Signed::Precommit(round, None));
        let values = (0..MAX_VALUES as u8).map(Value).filter(move |value| self.contain(*value));
        nil.into_iter().chain(values.map(move |value| Signed::Precommit(round, Some(value))))
    }
}

/// What a voter remembers of its own doing. With faithful disks it follows from what it sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Memory {
    /// Rounds prevoted in, as bits.
    pub prevoted: u8,
    /// Rounds precommitted in, as bits.
    pub precommitted: u8,
    /// The lock: 0 for none, else 1 + value * 4 + round.
    lock: u8,
    /// May not vote any more.
    pub mute: bool,
}

impl Memory {
    /// The current round: the highest one voted in. Entering a round without voting leaves no trace here.
    pub fn round(&self) -> Round {
        Round((self.prevoted | self.precommitted).checked_ilog2().unwrap_or(0))
    }

    /// The lock.
    pub fn lock(&self) -> Option<Lock<Value>> {
        let code = self.lock.checked_sub(1)?;
        let rounds = MAX_ROUNDS as u8;
        Some(Lock { value: Value(code / rounds), round: Round(u32::from(code % rounds)) })
    }

    /// Sets the lock.
    pub fn set_lock(&mut self, lock: Lock<Value>) {
        self.lock = 1 + lock.value.0 * MAX_ROUNDS as u8 + lock.round.0 as u8;
    }

    fn renamed(mut self, names: &[u8]) -> Self {
        if let Some(lock) = self.lock() {
            self.set_lock(Lock { value: Value(names[usize::from(lock.value.0)]), ..lock });
        }
        self
    }
}

/// One honest voter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seat {
    /// All prevotes it ever sent, per round.
    pub prevotes: [Prevotes; MAX_ROUNDS],
    /// All precommits it ever sent, per round.
    pub precommits: [Precommits; MAX_ROUNDS],
    /// What it remembers.
    pub memory: Memory,
    /// Its side of a partition.
    pub side: u8,
    /// Its store was put back.
    pub restored: bool,
}

impl Seat {
    /// The same with other names for the values.
    pub fn renamed(&self, names: &[u8]) -> Self {
        Self {
            prevotes: self.prevotes.map(|set| set.renamed(names)),
            precommits: self.precommits.map(|set| set.renamed(names)),
            memory: self.memory.renamed(names),
            ..*self
        }
    }

    /// Everything it ever signed.
    pub fn signed(&self) -> Vec<Signed<Value>> {
        let rounds = || (0..MAX_ROUNDS).map(|round| (round, Round(round as u32)));
        let prevotes = rounds().flat_map(|(at, round)| self.prevotes[at].signed(round));
        prevotes.chain(rounds().flat_map(|(at, round)| self.precommits[at].signed(round))).collect()
    }
}

/// The whole state. Seats beyond the honest voters stay empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Board {
    /// The honest voters.
    pub seats: [Seat; MAX_SEATS],
    /// A step was taken that the guards forbid, or a planted fault happened.
    pub fired: bool,
}

impl Board {
    /// The least of all states that differ only in the names of `VALUES` values and of the voters.
    pub fn representative<const VALUES: usize>(&self) -> Self {
        let names =
            |names: &&[u8; 3]| names[VALUES..].iter().zip(VALUES..).all(|(a, b)| usize::from(*a) == b);
        let orders = PERMUTATIONS.iter().filter(names);
        orders.map(|names| self.renamed(&names[..VALUES])).min().unwrap_or(*self)
    }

    fn renamed(&self, names: &[u8]) -> Self {
        let mut seats = self.seats.map(|seat| seat.renamed(names));
        seats.sort_unstable();
        Self { seats, fired: self.fired }
    }
}

const PERMUTATIONS: [[u8; 3]; 6] = [[0, 1, 2], [1, 0, 2], [0, 2, 1], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
