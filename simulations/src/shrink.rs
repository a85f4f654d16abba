//! Makes a failing seed small: the same violation with fewer acts, fewer members, less time and less that is wrong all
//! the time (delta debugging, Zeller and Hildebrandt 2002). The result is options again, which replay it.

use std::collections::BTreeSet;

use crate::options::Options;
use crate::plan::{CONDITIONS, Plan};
use crate::run::simulate;
use crate::timeline::Outcome;

/// Chance in the network is tried so often for each smaller case: what is left of a plan rarely fails at the first.
const VARIANTS: u64 = 3;

/// A failing seed, made small.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// What to run.
    pub options: Options,
    /// How it fails.
    pub outcome: Outcome,
    /// Acts that were planned at first.
    pub acts_before: usize,
    /// Acts that are left.
    pub acts: usize,
    /// Simulations that this took.
    pub runs: usize,
}

struct Search {
    clause: &'static str,
    best: Options,
    outcome: Outcome,
    runs: usize,
    most: usize,
}

/// Makes a failing case small, in at most so many simulations; what does not fail comes back as it is.
pub fn shrink(options: &Options, outcome: &Outcome, most: usize) -> Shrunk {
    let acts_before = Plan::new(options).acts.len();
    let Some(violation) = outcome.violations.first() else {
        let (options, outcome) = (options.clone(), outcome.clone());
        return Shrunk { options, outcome, acts_before, acts: acts_before, runs: 0 };
    };
    let (best, outcome) = (options.clone(), outcome.clone());
    let mut search = Search { clause: violation.clause, best, outcome, runs: 0, most };
    search.cut_time();
    search.drop_acts();
    search.drop_conditions();
    search.drop_members();
    search.drop_acts();
    search.cut_time();
    let acts = Plan::new(&search.best).acts.len();
    Shrunk { options: search.best, outcome: search.outcome, acts_before, acts, runs: search.runs }
}

impl Search {
    /// Keeps a smaller case if it fails in the same way.
    fn try_smaller(&mut self, options: &Options) -> bool {
        for variant in 0..VARIANTS {
            if self.runs >= self.most {
                return false;
            }
            self.runs += 1;
            let options = Options { variant: options.variant + variant, ..options.clone() };
            let outcome = simulate(&options);
            if outcome.violations.first().is_some_and(|violation| violation.clause == self.clause) {
                (self.best, self.outcome) = (options, outcome);
                return true;
            }
        }
        false
    }

    /// Nothing after the violation is needed.
    fn cut_time(&mut self) {
        let Some(violation) = self.outcome.violations.first() else { return };
        let needed = ((violation.seconds - self.outcome.begun) / 6.0).ceil().max(1.0) / 10.0;
        for minutes in [needed, self.best.minutes() / 2.0] {
            if minutes < self.best.minutes() {
                let options = Options { hours: minutes / 60.0, ..self.best.clone() };
                self.try_smaller(&options);
            }
        }
    }

    fn drop_acts(&mut self) {
        let mut names: Vec<String> = Plan::new(&self.best).acts.into_iter().map(|act| act.name).collect();
        let mut parts = 2;
        while !names.is_empty() && self.runs < self.most {
            let size = names.len().div_ceil(parts);
            let smaller = (0..names.len()).step_by(size).find_map(|from| {
                let rest: Vec<String> = names
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| *at < from || *at >= from + size)
                    .map(|(_, name)| name.clone())
                    .collect();
                let only = Some(rest.iter().cloned().collect::<BTreeSet<_>>());
                let options = Options { only, ..self.best.clone() };
                self.try_smaller(&options).then_some(rest)
            });
            match smaller {
                Some(rest) => {
                    names = rest;
                    parts = parts.saturating_sub(1).max(2);
                }
                None if size == 1 => break,
                None => parts = (parts * 2).min(names.len()),
            }
        }
    }

    fn drop_conditions(&mut self) {
        let all: BTreeSet<String> = CONDITIONS.iter().map(|(name, _)| (*name).to_owned()).collect();
        let options = Options { without: all, ..self.best.clone() };
        if self.try_smaller(&options) {
            return;
        }
        for name in Plan::new(&self.best).conditions {
            let mut options = self.best.clone();
            options.without.insert(name.to_owned());
            self.try_smaller(&options);
        }
    }

    fn drop_members(&mut self) {
        for members in 2..self.best.members {
            let options = Options { members, ..self.best.clone() };
            if self.try_smaller(&options) {
                return;
            }
        }
    }
}
