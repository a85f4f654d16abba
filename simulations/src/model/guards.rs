//! Rules 1-8 of design §5.2 as pure guards, one small function each.
//!
//! A guard knows nothing of messages or time-outs: it is told what the member holds durably ([`Standing`]) and
//! what it can show (counts of signed votes), and answers with the clauses the step would break. The same
//! functions drive the model here and judge, step by step, the votes of the real machine in the simulator:
//! whatever made the machine vote, the vote must be allowed. `V` is what identifies a record (its hash).

use super::quorum::Electorate;
use super::verdict::{Clause, Verdict};

/// A round of one epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Round(pub u32);

/// The value a member is bound to, and the round of the quorum of prevotes that bound it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lock<V> {
    /// The value.
    pub value: V,
    /// The round of its POL.
    pub round: Round,
}

/// What a member holds durably about the epoch, before the step that is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing<V> {
    /// Its current round.
    pub round: Round,
    /// It has prevoted, a value or nil, in the round *of the step that is judged*.
    pub prevoted: bool,
    /// It has precommitted, a value or nil, in the round *of the step that is judged*.
    pub precommitted: bool,
    /// Its lock.
    pub lock: Option<Lock<V>>,
    /// It may not vote: just started, or its store id is burnt (rule 10).
    pub mute: bool,
}

/// A quorum of prevotes for one value in one round, as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pol {
    /// The round of the prevotes.
    pub round: Round,
    /// How many distinct voters signed them.
    pub prevotes: usize,
}

/// A prevote for a value, with what it stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prevote<V> {
    /// The round voted in.
    pub round: Round,
    /// The value voted for.
    pub value: V,
    /// The round of the POL the vote signs that it relied on.
    pub relied: Option<Round>,
    /// The POL that came with the proposal.
    pub pol: Option<Pol>,
    /// What the member knows of the record.
    pub record: Record,
}

/// What a member knows of the record it votes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The bytes and the evidence are held durably.
    pub held: bool,
    /// It is valid: the pure function of the parent state and the bytes.
    pub valid: bool,
    /// My clock, my lists and my disk agree with it.
    pub agreeable: bool,
}

impl Record {
    /// A record nobody objects to.
    pub const SOUND: Self = Self { held: true, valid: true, agreeable: true };
}

/// Rule 1 (and 10): a vote is cast in the current round, once, and not while mute.
fn may_vote<V>(standing: &Standing<V>, round: Round, already: bool) -> Verdict {
    Verdict::ALLOWED
        .require(!standing.mute, Clause::Mute)
        .require(round == standing.round, Clause::OtherRound)
        .require(!already, Clause::SecondVote)
}

/// Rule 2: prevote a value.
pub fn may_prevote<V: Eq>(standing: &Standing<V>, vote: &Prevote<V>, quorum: usize) -> Verdict {
    let pol = vote.pol.filter(|pol| pol.prevotes >= quorum);
    let other = standing.lock.as_ref().filter(|lock| lock.value != vote.value);
    let unlocked = other.is_none_or(|lock| pol.is_some_and(|pol| lock.round <= pol.round));
    let earlier = other.is_none() || pol.is_none_or(|pol| pol.round < vote.round);
    let settled_argument = pol.is_some_and(|pol| pol.round < vote.round);
    may_vote(standing, vote.round, standing.prevoted)
        .require(vote.record.held, Clause::RecordNotHeld)
        .require(vote.record.valid, Clause::Invalid)
        .require(unlocked, Clause::Locked)
        .require(earlier, Clause::PolNotEarlier)
        .require(vote.record.agreeable || settled_argument, Clause::NotAgreeable)
        .require(vote.relied == relies_on(standing, &vote.value, pol), Clause::ReliedMisstated)
}

/// Rule 2, last sentence: the round a prevote must sign. A lock on the value itself counts as the POL it came
/// from; otherwise a member that moved its lock properly from V to W looks as if it had broken its word to V.
pub fn relies_on<V: Eq>(standing: &Standing<V>, value: &V, pol: Option<Pol>) -> Option<Round> {
    let lock = standing.lock.as_ref().filter(|lock| lock.value == *value);
    lock.map(|lock| lock.round).max(pol.map(|pol| pol.round))
}

/// Rule 3: prevote nil, at a time-out that the guard does not see.
pub fn may_prevote_nil<V>(standing: &Standing<V>, round: Round) -> Verdict {
    may_vote(standing, round, standing.prevoted)
}

/// Rule 4: lock a value on a POL of the current round, not yet precommitted.
pub fn may_lock<V>(standing: &Standing<V>, pol: Pol, quorum: usize) -> Verdict {
    let raised = standing.lock.as_ref().is_none_or(|lock| lock.round <= pol.round);
    may_vote(standing, pol.round, standing.precommitted)
        .require(pol.prevotes >= quorum, Clause::NoPol)
        .require(raised, Clause::LockLowered)
}

/// Rule 4: precommit a value; it goes with a lock on it, so whatever forbids the lock forbids the vote. The own prevote
/// comes first: of a quorum that only this member has seen one vote may be lost, and then the others cannot do without it.
pub fn may_precommit<V>(standing: &Standing<V>, pol: Pol, record: Record, quorum: usize) -> Verdict {
    may_lock(standing, pol, quorum)
        .require(standing.prevoted, Clause::NoPrevote)
        .require(record.held, Clause::RecordNotHeld)
        .require(record.valid, Clause::Invalid)
}

/// Rule 4: remember a value as something to propose, on a POL of any round; only ever raised.
pub fn may_raise_valid<V>(valid: Option<&Lock<V>>, pol: Pol, quorum: usize) -> Verdict {
    Verdict::ALLOWED
        .require(pol.prevotes >= quorum, Clause::NoPol)
        .require(valid.is_none_or(|valid| valid.round <= pol.round), Clause::ValidLowered)
}

/// Rule 5: precommit nil, on a quorum of prevotes of any kind in the round, and after the own one.
pub fn may_precommit_nil<V>(standing: &Standing<V>, round: Round, prevotes: usize, quorum: usize) -> Verdict {
    may_vote(standing, round, standing.precommitted)
        .require(standing.prevoted, Clause::NoPrevote)
        .require(prevotes >= quorum, Clause::TooFewPrevotes)
}

/// Rule 6: settle a value. `precommits` are those of distinct voters for it in one and the same round.
pub fn may_settle(precommits: usize, quorum: usize) -> Verdict {
    Verdict::ALLOWED.require(precommits >= quorum, Clause::TooFewPrecommits)
}

/// What a member can show for entering a round (rule 7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryProof {
    /// Distinct voters whose precommits, of any kind, of the round before are shown.
    pub precommits_before: usize,
    /// Distinct voters whose messages of the round itself are shown.
    pub messages_of: usize,
}

/// Rule 7: go from one round to a later one. Round 0 needs no proof.
pub fn may_enter(from: Round, to: Round, proof: EntryProof, roster: Electorate) -> Verdict {
    let proved =
        to == Round(0) || proof.precommits_before >= roster.quorum || proof.messages_of >= roster.jump();
    Verdict::ALLOWED.require(from <= to, Clause::RoundLowered).require(proved, Clause::NoEntryProof)
}

/// A signed vote as it can be laid beside another of the same key (rule 11, finding 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed<V> {
    /// A prevote for a value or nil, with the round of the POL it relied on.
    Prevote(Round, Option<V>, Option<Round>),
    /// A precommit for a value or nil.
    Precommit(Round, Option<V>),
}

/// Whether two votes of one key prove that it broke its word, without any other message: two different votes
/// of one kind in a round, or a prevote against an earlier precommit that relied on nothing since.
pub fn contradict<V: Eq>(first: &Signed<V>, second: &Signed<V>) -> bool {
    match (first, second) {
        (Signed::Prevote(round, ..), Signed::Prevote(other, ..)) => round == other && first != second,
        (Signed::Precommit(round, value), Signed::Precommit(other, other_value)) => {
            round == other && value != other_value
        }
        (Signed::Precommit(bound, Some(value)), Signed::Prevote(round, Some(other), relied))
        | (Signed::Prevote(round, Some(other), relied), Signed::Precommit(bound, Some(value))) => {
            bound < round && value != other && relied.is_none_or(|relied| relied < *bound)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUORUM: usize = 2;

    fn standing(round: u32, lock: Option<(char, u32)>) -> Standing<char> {
        let lock = lock.map(|(value, round)| Lock { value, round: Round(round) });
        Standing { round: Round(round), prevoted: false, precommitted: false, lock, mute: false }
    }

    fn pol(round: u32) -> Pol {
        Pol { round: Round(round), prevotes: QUORUM }
    }

    fn check(verdict: Verdict, broken: &[Clause]) {
        assert_eq!(verdict.clauses().collect::<Vec<_>>(), broken);
    }

    fn prevote(
        lock: Option<(char, u32)>,
        shown: Option<u32>,
        relied: Option<u32>,
        record: Record,
    ) -> Verdict {
        let (round, relied) = (Round(2), relied.map(Round));
        let vote = Prevote { round, value: 'V', relied, pol: shown.map(pol), record };
        may_prevote(&standing(2, lock), &vote, QUORUM)
    }

    #[test]
    fn a_lock_yields_only_to_a_pol_between_it_and_the_round() {
        check(prevote(None, None, None, Record::SOUND), &[]);
        check(prevote(Some(('W', 1)), None, None, Record::SOUND), &[Clause::Locked]);
        check(prevote(Some(('W', 1)), Some(0), Some(0), Record::SOUND), &[Clause::Locked]);
        check(prevote(Some(('W', 1)), Some(1), Some(1), Record::SOUND), &[]);
        check(prevote(Some(('W', 1)), Some(2), Some(2), Record::SOUND), &[Clause::PolNotEarlier]);
    }

    #[test]
    fn a_prevote_signs_what_it_stands_on() {
        check(prevote(Some(('V', 1)), None, Some(1), Record::SOUND), &[]);
        check(prevote(Some(('V', 1)), Some(0), Some(1), Record::SOUND), &[]);
        check(prevote(Some(('V', 1)), None, None, Record::SOUND), &[Clause::ReliedMisstated]);
    }

    #[test]
    fn a_pol_ends_the_argument_about_the_clock_but_not_about_validity() {
        let late = Record { agreeable: false, ..Record::SOUND };
        check(prevote(None, None, None, late), &[Clause::NotAgreeable]);
        check(prevote(None, Some(1), Some(1), late), &[]);
        let bad = Record { valid: false, held: false, ..Record::SOUND };
        check(prevote(None, Some(1), Some(1), bad), &[Clause::RecordNotHeld, Clause::Invalid]);
    }

    #[test]
    fn locks_and_precommits_belong_to_the_current_round() {
        let prevoted = Standing { prevoted: true, ..standing(1, None) };
        check(may_precommit(&prevoted, pol(1), Record::SOUND, QUORUM), &[]);
        check(may_precommit(&prevoted, pol(0), Record::SOUND, QUORUM), &[Clause::OtherRound]);
        check(may_precommit(&standing(1, None), pol(1), Record::SOUND, QUORUM), &[Clause::NoPrevote]);
        let late = may_lock(&standing(2, Some(('W', 1))), pol(0), QUORUM);
        check(late, &[Clause::OtherRound, Clause::LockLowered]);
        let twice = Standing { precommitted: true, ..prevoted };
        check(may_precommit(&twice, pol(1), Record::SOUND, QUORUM), &[Clause::SecondVote]);
        check(
            may_precommit(&twice, Pol { prevotes: 1, ..pol(1) }, Record::SOUND, QUORUM),
            &[Clause::SecondVote, Clause::NoPol],
        );
        check(may_precommit_nil(&prevoted, Round(1), 1, QUORUM), &[Clause::TooFewPrevotes]);
        check(may_precommit_nil(&standing(1, None), Round(1), QUORUM, QUORUM), &[Clause::NoPrevote]);
    }

    #[test]
    fn a_mute_member_does_not_vote() {
        let mute = Standing { mute: true, ..standing(0, None) };
        check(may_prevote_nil(&mute, Round(0)), &[Clause::Mute]);
    }

    #[test]
    fn valid_is_raised_by_a_pol_of_any_round() {
        let valid = Lock { value: 'V', round: Round(1) };
        check(may_raise_valid(Some(&valid), pol(3), QUORUM), &[]);
        check(may_raise_valid(Some(&valid), pol(0), QUORUM), &[Clause::ValidLowered]);
        check(may_raise_valid::<char>(None, Pol { prevotes: 1, ..pol(0) }, QUORUM), &[Clause::NoPol]);
    }

    #[test]
    fn a_round_is_entered_on_a_proof() {
        let roster = Electorate::majority(5);
        let enter = |from, to, precommits_before, messages_of| {
            may_enter(Round(from), Round(to), EntryProof { precommits_before, messages_of }, roster)
        };
        check(enter(0, 1, 3, 0), &[]);
        check(enter(0, 7, 0, 3), &[]);
        check(enter(0, 1, 2, 2), &[Clause::NoEntryProof]);
        check(enter(2, 1, 3, 0), &[Clause::RoundLowered]);
    }

    #[test]
    fn two_signatures_prove_a_broken_word() {
        let bound = Signed::Precommit(Round(1), Some('V'));
        let later = |relied: Option<u32>| Signed::Prevote(Round(2), Some('W'), relied.map(Round));
        assert!(contradict(&bound, &later(None)));
        assert!(contradict(&later(Some(0)), &bound));
        assert!(!contradict(&bound, &later(Some(1))));
        assert!(!contradict(&bound, &Signed::Prevote(Round(0), Some('W'), None)));
        assert!(!contradict(&bound, &Signed::Prevote(Round(2), Some('V'), None)));
        assert!(contradict(&bound, &Signed::Precommit(Round(1), None)));
        assert!(contradict(&later(None), &Signed::Prevote(Round(2), None, None)));
    }
}
