//! The real machine before the guards: what changed in its promise, step by step, against all that was ever signed.
//!
//! The guards know no messages. Whoever asks counts what is on the board ([`Seen`]): a member may have heard any part of
//! it, so what is forbidden with all of it is forbidden.

use althing_protocol::ballot::Promise;
use althing_protocol::hash::Hash;
use althing_protocol::statement::Step;

use super::guards::{self, EntryProof, Lock, Pol, Prevote, Record, Round, Standing};
use super::quorum::Electorate;
use super::verdict::Verdict;

/// Which votes are counted: by round, step and value.
pub type Fits<'a> = &'a dyn Fn(u32, Step, Option<Hash>) -> bool;

/// One epoch, as a member may see it at most.
pub struct Seen<'a> {
    /// Who votes.
    pub roster: Electorate,
    /// How many distinct voters cast such a vote, or may have.
    pub count: &'a dyn Fn(Fits<'_>) -> usize,
    /// Whether a value is a valid child of the head.
    pub valid: &'a dyn Fn(&Hash) -> bool,
}

impl Seen<'_> {
    /// What the first step from one promise to the next is that the guards forbid, and why.
    pub fn judge(&self, before: &Promise, promise: &Promise) -> Option<(String, String)> {
        let votes = self.prevotes(before, promise).chain(self.precommits(before, promise));
        let mut steps = votes.chain(self.valid(before, promise)).chain(self.round(before, promise));
        let forbidden = steps.find(|(_, verdict)| !verdict.allowed());
        let forbidden = forbidden.map(|(what, verdict)| (what, verdict.to_string()));
        forbidden.or_else(|| lock(before, promise))
    }

    fn prevotes(&self, before: &Promise, promise: &Promise) -> impl Iterator<Item = (String, Verdict)> {
        let fresh = promise.prevotes.iter().filter(|(at, vote)| before.prevotes.get(at) != Some(vote));
        fresh.map(|(round, (value, relied))| {
            let standing = standing(before, promise, *round);
            let verdict = match value {
                None => guards::may_prevote_nil(&standing, Round(*round)),
                Some(value) => {
                    let locked = standing.lock.filter(|lock| lock.value == *value).map(|lock| lock.round.0);
                    let shown = relied.filter(|relied| Some(*relied) != locked);
                    let pol = shown.map(|shown| self.pol(shown, *value));
                    let (round, relied) = (Round(*round), relied.map(Round));
                    let vote = Prevote { round, value: *value, relied, pol, record: self.record(value) };
                    guards::may_prevote(&standing, &vote, self.roster.quorum)
                }
            };
            (format!("prevotes {} in round {round}", name(*value)), verdict)
        })
    }

    fn precommits(&self, before: &Promise, promise: &Promise) -> impl Iterator<Item = (String, Verdict)> {
        let fresh = promise.precommits.iter().filter(|(at, vote)| before.precommits.get(at) != Some(vote));
        fresh.map(|(round, value)| {
            // In one step with the prevote it comes after it.
            let prevoted = promise.prevotes.contains_key(round);
            let standing = Standing { prevoted, ..standing(before, promise, *round) };
            let quorum = self.roster.quorum;
            let verdict = match value {
                None => {
                    let prevotes = (self.count)(&|at, step, _| (at, step) == (*round, Step::Prevote));
                    guards::may_precommit_nil(&standing, Round(*round), prevotes, quorum)
                }
                Some(value) => {
                    guards::may_precommit(&standing, self.pol(*round, *value), self.record(value), quorum)
                }
            };
            (format!("precommits {} in round {round}", name(*value)), verdict)
        })
    }

    /// What it takes for valid.
    fn valid(&self, before: &Promise, promise: &Promise) -> Option<(String, Verdict)> {
        let pol = promise.valid.as_ref().filter(|pol| before.valid.as_ref() != Some(pol))?;
        let valid = before.valid.as_ref().map(|pol| Lock { value: pol.value, round: Round(pol.round) });
        let shown = self.pol(pol.round, pol.value);
        let verdict = guards::may_raise_valid(valid.as_ref(), shown, self.roster.quorum);
        Some((format!("takes {} of round {} for valid", name(Some(pol.value)), pol.round), verdict))
    }

    fn round(&self, before: &Promise, promise: &Promise) -> Option<(String, Verdict)> {
        let (from, to) = (before.round, promise.round);
        let proof = EntryProof {
            precommits_before: (self.count)(&|at, step, _| at + 1 == to && step == Step::Precommit),
            messages_of: (self.count)(&|at, _, _| at == to),
        };
        let verdict = guards::may_enter(Round(from), Round(to), proof, self.roster);
        (from != to).then(|| (format!("goes from round {from} to round {to}"), verdict))
    }

    fn pol(&self, round: u32, value: Hash) -> Pol {
        let fits = |at: u32, step: Step, named: Option<Hash>| {
            (at, step, named) == (round, Step::Prevote, Some(value))
        };
        Pol { round: Round(round), prevotes: (self.count)(&fits) }
    }

    /// Whether it agrees is a member's own business: nobody else sees its clock and its lists.
    fn record(&self, value: &Hash) -> Record {
        Record { valid: (self.valid)(value), ..Record::SOUND }
    }
}

/// What was held durably before the step. Going to a later round comes before a vote in it, and is judged by itself.
fn standing(before: &Promise, promise: &Promise, round: u32) -> Standing<Hash> {
    Standing {
        round: Round(before.round.max(round.min(promise.round))),
        prevoted: before.prevotes.contains_key(&round),
        precommitted: before.precommits.contains_key(&round),
        lock: before.lock.map(|(value, round)| Lock { value, round: Round(round) }),
        mute: false,
    }
}

/// Rule 4: a precommit for a value locks it, and nothing else does, or undoes it.
fn lock(before: &Promise, promise: &Promise) -> Option<(String, String)> {
    let fresh = promise.precommits.iter().filter(|(at, vote)| before.precommits.get(at) != Some(vote));
    let locked = fresh.filter_map(|(round, value)| Some((value.as_ref().copied()?, *round))).next_back();
    let should = locked.or(before.lock);
    let text = |lock: Option<(Hash, u32)>| {
        lock.map_or("nothing".to_owned(), |(value, at)| format!("{} of round {at}", value.short()))
    };
    let wrong = promise.lock != should;
    wrong.then(|| {
        (
            format!("is locked on {}", text(promise.lock)),
            format!("rule 4: its votes locked it on {}", text(should)),
        )
    })
}

fn name(value: Option<Hash>) -> String {
    value.map_or("nothing".to_owned(), |value| value.short())
}
