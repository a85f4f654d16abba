//! M7, the other half: those whom a record removes have settled it and stop. Can those who stay still learn it?
//!
//! A majority may be removed by its own votes (finding 13). If it stops as soon as it holds the certificate, those who
//! stay may be left with too few precommits. So whoever is removed goes on showing the certificate until a quorum of the
//! new roster holds it. Who has stopped says nothing more; the others re-send what they have.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::quorum::Electorate;

/// When somebody who was removed stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stops {
    /// When a quorum of the new roster holds the certificate.
    WhenKnown,
    /// As soon as it holds the certificate: a planted flaw.
    AtOnce,
}

/// So many stay and so many go, by one record.
#[derive(Clone, Copy, Debug)]
pub struct Parting {
    stay: usize,
    go: usize,
    stops: Stops,
}

/// What exploring it showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// States explored.
    pub explored: usize,
    /// States from which the new roster never learns that it is one.
    pub stuck: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Member {
    stays: bool,
    precommitted: bool,
    knows: bool,
    stopped: bool,
}

type Members = Vec<Member>;

impl Parting {
    /// The rule, or a planted flaw.
    pub const fn new(stay: usize, go: usize, stops: Stops) -> Self {
        Self { stay, go, stops }
    }

    /// Explores everything: from each state that can be reached, is one reachable where a quorum of the new roster knows?
    pub fn explore(&self) -> Report {
        let begin: Members = (0..self.stay + self.go)
            .map(|at| Member { stays: at < self.stay, precommitted: false, knows: false, stopped: false })
            .collect();
        let mut next = BTreeMap::new();
        let mut pending = vec![begin];
        while let Some(state) = pending.pop() {
            if let Entry::Vacant(place) = next.entry(state) {
                let after = self.next(place.key());
                pending.extend(after.iter().cloned());
                place.insert(after);
            }
        }
        let mut good: BTreeSet<&Members> = next.keys().filter(|state| self.is_known(state)).collect();
        loop {
            let more = next.iter().filter(|(_, after)| after.iter().any(|state| good.contains(state)));
            let more: Vec<&Members> =
                more.map(|(state, _)| state).filter(|state| !good.contains(state)).collect();
            if more.is_empty() {
                return Report { explored: next.len(), stuck: next.len() - good.len() };
            }
            good.extend(more);
        }
    }

    fn is_known(&self, state: &Members) -> bool {
        let know = state.iter().filter(|member| member.stays && member.knows).count();
        know >= Electorate::majority(self.stay).quorum
    }

    fn next(&self, state: &Members) -> Vec<Members> {
        let here = |member: &&Member| !member.stopped;
        let precommits = state.iter().filter(here).filter(|member| member.precommitted).count();
        let quorum = Electorate::majority(self.stay + self.go).quorum;
        let shown = precommits >= quorum || state.iter().filter(here).any(|member| member.knows);
        let may_stop = self.stops == Stops::AtOnce || self.is_known(state);
        let mut next = Vec::new();
        for (at, member) in state.iter().enumerate().filter(|(_, member)| !member.stopped) {
            let mut put = |after: Member| {
                let mut state = state.clone();
                state[at] = after;
                state.sort_unstable();
                next.push(state);
            };
            if !member.precommitted && !member.knows {
                put(Member { precommitted: true, ..*member });
            }
            if !member.knows && shown {
                put(Member { knows: true, ..*member });
            }
            if member.knows && !member.stays && may_stop {
                put(Member { stopped: true, ..*member });
            }
        }
        next
    }
}
