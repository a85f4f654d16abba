//! Planted bugs: one variant per way to read or build the rules wrongly.
//!
//! Most of them are a clause forgiven for one kind of step, so the guards themselves stay as they are and the
//! model knows exactly when a bug fires: when a step was taken that the guards forbid.

use super::verdict::{Clause, Verdict};

/// A planted bug. Numbers in brackets name the finding of `settlement-review.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutation {
    /// A quorum of prevotes that comes late makes a member lock and precommit in a round it has left (finding 1).
    LatePrecommit,
    /// The same, but the lock is only ever raised: raising is not enough (finding 1).
    LatePrecommitLockRaised,
    /// A late quorum overwrites the lock with an older one; nothing is precommitted late (finding 1).
    LockLowered,
    /// Precommits for a value are counted over several rounds (finding 4).
    MixedRounds,
    /// A lock binds nobody (rule 2).
    NoLocks,
    /// A POL of a round below the lock is enough to leave it (rule 2).
    OldPolUnlocks,
    /// A store is put back once to a state before its votes (finding 3).
    StoreRestored,
    /// The same, and the member still never signs twice in a round (finding 3).
    StoreRestoredSingleSignature,
    /// The store is put back, noticed, and its voter is mute from then on: the cure of (finding 3), not a bug.
    StoreRestoredMute,
    /// A vote leaves before it is durable, and a crash forgets it (malachite #864, (finding 18)).
    VoteBeforeDurable,
    /// A quorum of the members reachable instead of the roster (design §5.1).
    QuorumOfReachable,
    /// A prevote signs "relied on none" although it stands on the lock of its own value [3(ii)].
    LockNotSigned,
    /// A prevote is allowed in a round below the current one: harmless, so not a bug.
    PrevoteInOldRound,
    /// The POL shown need not be of an earlier round than the vote: harmless, so not a bug.
    PolNotEarlier,
    /// A precommit without a prevote, which does not follow then: no fork, and nobody may be able to decide (seed 40571).
    LonePrecommit,
}

/// What kind of step a verdict is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A prevote.
    Prevote,
    /// A precommit, with the lock that goes with it.
    Precommit,
    /// A lock without a vote, which only a bug does.
    Lock,
}

impl Mutation {
    /// Every planted bug.
    pub const ALL: [Self; 15] = [
        Self::LatePrecommit,
        Self::LatePrecommitLockRaised,
        Self::LockLowered,
        Self::MixedRounds,
        Self::NoLocks,
        Self::OldPolUnlocks,
        Self::StoreRestored,
        Self::StoreRestoredSingleSignature,
        Self::StoreRestoredMute,
        Self::VoteBeforeDurable,
        Self::QuorumOfReachable,
        Self::LockNotSigned,
        Self::PrevoteInOldRound,
        Self::PolNotEarlier,
        Self::LonePrecommit,
    ];

    /// What is left of a verdict once the bug has forgiven its share.
    pub fn judge(self, kind: Kind, verdict: Verdict) -> Verdict {
        use Clause::{LockLowered, Locked, NoPrevote, OtherRound, PolNotEarlier, ReliedMisstated};
        let forgiven: &[Clause] = match (self, kind) {
            (Self::LatePrecommit | Self::LatePrecommitLockRaised, Kind::Precommit) => {
                &[OtherRound, LockLowered]
            }
            (Self::LockLowered, Kind::Lock) => &[OtherRound, LockLowered],
            (Self::NoLocks, Kind::Prevote) => &[Locked, PolNotEarlier],
            (Self::OldPolUnlocks, Kind::Prevote) => &[Locked],
            (Self::LockNotSigned, Kind::Prevote) => &[ReliedMisstated],
            (Self::PrevoteInOldRound, Kind::Prevote) => &[OtherRound],
            (Self::PolNotEarlier, Kind::Prevote) => &[PolNotEarlier],
            (Self::LonePrecommit, Kind::Precommit) => &[NoPrevote],
            _ => &[],
        };
        verdict.forgiving(forgiven)
    }

    /// Whether some member's store may be put back once.
    pub const fn restores(self) -> bool {
        matches!(self, Self::StoreRestored | Self::StoreRestoredSingleSignature | Self::StoreRestoredMute)
    }
}
