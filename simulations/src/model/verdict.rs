//! What a guard answers: the clauses a vote would break.

use std::fmt;

/// One condition of the rules of design §5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Clause {
    /// Rule 1: vote only in the current round.
    OtherRound,
    /// Rule 1: at most one prevote and one precommit in a round.
    SecondVote,
    /// Rule 1: a precommit comes after the member's own prevote of the round.
    NoPrevote,
    /// Rule 1: a vote for a value implies holding its record and evidence.
    RecordNotHeld,
    /// Rule 2: the record is valid, a pure function of the parent state and its bytes.
    Invalid,
    /// Rule 2: locked on another value, and no POL of a round at or above the lock is shown.
    Locked,
    /// Rule 2: the POL shown is not of an earlier round than the vote.
    PolNotEarlier,
    /// Rule 2: no POL is shown, and my clock, my lists or my disk do not agree.
    NotAgreeable,
    /// Rule 2: the prevote signs another round than the one it relied on.
    ReliedMisstated,
    /// Rule 4: no quorum of prevotes for the value in the round of the lock or precommit.
    NoPol,
    /// Rule 4: a lock is only ever raised.
    LockLowered,
    /// Rule 4: `valid` is only ever raised.
    ValidLowered,
    /// Rule 5: no quorum of any prevotes before a precommit of nil.
    TooFewPrevotes,
    /// Rule 6: no quorum of precommits for the value in one and the same round.
    TooFewPrecommits,
    /// Rule 7: the round never decreases.
    RoundLowered,
    /// Rule 7: neither a quorum of precommits of the round before nor n-q+1 messages of the round itself.
    NoEntryProof,
    /// Rule 10: a member is mute until others have told it the highest they hold from it.
    Mute,
}

impl Clause {
    /// Every clause, in the order of the rules.
    pub const ALL: [Self; 17] = [
        Self::OtherRound,
        Self::SecondVote,
        Self::NoPrevote,
        Self::RecordNotHeld,
        Self::Invalid,
        Self::Locked,
        Self::PolNotEarlier,
        Self::NotAgreeable,
        Self::ReliedMisstated,
        Self::NoPol,
        Self::LockLowered,
        Self::ValidLowered,
        Self::TooFewPrevotes,
        Self::TooFewPrecommits,
        Self::RoundLowered,
        Self::NoEntryProof,
        Self::Mute,
    ];

    /// The number of the rule in design §5.2.
    pub const fn rule(self) -> u8 {
        match self {
            Self::OtherRound | Self::SecondVote | Self::NoPrevote | Self::RecordNotHeld => 1,
            Self::Invalid | Self::Locked | Self::PolNotEarlier => 2,
            Self::NotAgreeable | Self::ReliedMisstated => 2,
            Self::NoPol | Self::LockLowered | Self::ValidLowered => 4,
            Self::TooFewPrevotes => 5,
            Self::TooFewPrecommits => 6,
            Self::RoundLowered | Self::NoEntryProof => 7,
            Self::Mute => 10,
        }
    }
}

/// The set of clauses a step would break; empty means allowed.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
#[must_use = "a verdict that nobody reads forbids nothing"]
pub struct Verdict(u32);

impl Verdict {
    /// Nothing broken.
    pub const ALLOWED: Self = Self(0);

    /// Whether the step keeps all the rules.
    pub const fn allowed(self) -> bool {
        self.0 == 0
    }

    /// Whether the step breaks this clause.
    pub const fn breaks(self, clause: Clause) -> bool {
        self.0 & (1 << clause as u8) != 0
    }

    /// The same verdict with one more clause broken, unless `kept`.
    pub const fn require(self, kept: bool, clause: Clause) -> Self {
        if kept { self } else { Self(self.0 | (1 << clause as u8)) }
    }

    /// The same verdict as if these clauses did not exist: how a planted bug is made.
    pub fn forgiving(self, clauses: &[Clause]) -> Self {
        clauses.iter().fold(self, |verdict, clause| Self(verdict.0 & !(1 << *clause as u8)))
    }

    /// The clauses broken, in the order of the rules.
    pub fn clauses(self) -> impl Iterator<Item = Clause> {
        Clause::ALL.into_iter().filter(move |clause| self.breaks(*clause))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.allowed() {
            return f.write_str("allowed");
        }
        for (place, clause) in self.clauses().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}rule {} ({clause:?})", clause.rule())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verdict[{self}]")
    }
}
