//! How each configuration is explored: to the end, or to the counter-example it expects.

use std::collections::BTreeSet;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;
use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};

use super::address::{self, Addresses};
use super::board::Board;
use super::bound::{self, Bound};
use super::claims::{self, Acts};
use super::configurations::{Expectation, Finding};
use super::content::{self, Contents};
use super::parting::{self, Parting};
use super::progress::{self, Progress};
use super::roster::{Chain, Rosters};
use super::voting::{AGREEMENT, FIRES, FORK_PROVED, NO_FALSE_PROOF, Voting};

/// What the checker must find, what it must not, and when it may stop.
struct Wanted {
    found: BTreeSet<&'static str>,
    never: BTreeSet<&'static str>,
    finish: HasDiscoveries,
}

impl Wanted {
    fn new<M: Model>(model: &M, expectation: Expectation) -> Self {
        let names = |wanted: fn(&stateright::Expectation) -> bool| {
            let properties =
                model.properties().into_iter().filter(move |property| wanted(&property.expectation));
            properties.map(|property| property.name).collect::<BTreeSet<_>>()
        };
        let reached = names(|expectation| matches!(expectation, stateright::Expectation::Sometimes));
        match expectation {
            Expectation::Breaks(name) => {
                let fires = reached.get(FIRES).copied();
                let found: BTreeSet<_> = [name].into_iter().chain(fires).collect();
                Self { finish: HasDiscoveries::AllOf(found.clone()), found, never: BTreeSet::new() }
            }
            Expectation::Proved => {
                let found = reached.into_iter().chain([AGREEMENT]).collect();
                let never = BTreeSet::from([FORK_PROVED, NO_FALSE_PROOF]);
                Self { found, finish: HasDiscoveries::AnyOf(never.clone()), never }
            }
            _ => Self {
                found: reached,
                never: names(|expectation| matches!(expectation, stateright::Expectation::Always)),
                finish: HasDiscoveries::AnyFailures,
            },
        }
    }
}

/// Explores a model; `representative` is the least of the states that are alike.
fn explore<M>(model: M, representative: fn(&M::State) -> M::State, expectation: Expectation) -> Finding
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + Display + PartialEq + Send + Sync,
{
    let start = Instant::now();
    let wanted = Wanted::new(&model, expectation);
    let checker = model
        .checker()
        .threads(available_parallelism().map_or(1, NonZeroUsize::get))
        .symmetry_fn(representative)
        .finish_when(wanted.finish)
        .spawn_dfs()
        .join();
    let found = checker.discoveries();
    let missing = wanted.found.iter().filter(|name| !found.contains_key(**name)).copied();
    let broken: Vec<_> = wanted.never.iter().filter(|name| found.contains_key(**name)).copied().collect();
    let shown = broken.first().copied().or(expectation.property()).and_then(|name| found.get(name));
    let actions = shown.map(|path| path.clone().into_actions()).unwrap_or_default();
    let wrong: Vec<_> = broken.iter().copied().chain(missing).collect();
    let reached = wanted.found.iter().filter(|name| found.contains_key(**name)).copied().collect();
    Finding {
        unique: checker.unique_state_count(),
        elapsed: start.elapsed(),
        met: wrong.is_empty(),
        result: describe(expectation, &wrong, actions.len()),
        reached,
        trace: actions.iter().map(ToString::to_string).collect(),
    }
}

fn describe(expectation: Expectation, wrong: &[&str], steps: usize) -> String {
    match (expectation, wrong.is_empty()) {
        (_, false) => format!("UNEXPECTED: {} ({steps} steps)", wrong.join(", ")),
        (Expectation::Breaks(name), true) => format!("not \"{name}\": trace of {steps} steps"),
        (Expectation::Proved, true) => format!("forks ({steps} steps), each proved; exhausted"),
        (_, true) => "holds, exhausted".to_owned(),
    }
}

pub(super) fn voting(voting: Voting, expectation: Expectation) -> Finding {
    let representative = match voting.values {
        1 => Board::representative::<1>,
        2 => Board::representative::<2>,
        _ => Board::representative::<3>,
    };
    explore(voting, representative, expectation)
}

pub(super) fn rosters(rosters: Rosters, expectation: Expectation) -> Finding {
    explore(rosters, Chain::representative, expectation)
}

pub(super) fn contents(contents: Contents, expectation: Expectation) -> Finding {
    let representative = match contents.members {
        3 => content::Entity::representative::<3>,
        _ => content::Entity::representative::<4>,
    };
    explore(contents, representative, expectation)
}

pub(super) fn acts(acts: Acts, expectation: Expectation) -> Finding {
    explore(acts, claims::Entity::representative, expectation)
}

pub(super) fn addresses(addresses: Addresses, expectation: Expectation) -> Finding {
    explore(addresses, |entity: &address::Entity| *entity, expectation)
}

/// What was counted by hand instead of by the checker.
fn counted(start: Instant, unique: usize, met: bool, result: String) -> Finding {
    let word = if met { "" } else { "UNEXPECTED: " };
    let result = format!("{word}{result}");
    Finding { unique, elapsed: start.elapsed(), met, result, reached: Vec::new(), trace: Vec::new() }
}

pub(super) fn progress(progress: Progress, expectation: Expectation) -> Finding {
    let start = Instant::now();
    let progress::Report { starts, explored, stuck, reached } = progress.explore();
    let met = starts > 0 && reached > 0 && (stuck == 0) == (expectation == Expectation::Progress);
    counted(start, explored, met, format!("{stuck} of {starts} survivor states stuck"))
}

pub(super) fn parting(parting: Parting, expectation: Expectation) -> Finding {
    let start = Instant::now();
    let parting::Report { explored, stuck } = parting.explore();
    let met = explored > 1 && (stuck == 0) == (expectation == Expectation::Progress);
    counted(start, explored, met, format!("the new roster never learns of itself from {stuck} states"))
}

pub(super) fn bound(bound: Bound, expectation: Expectation) -> Finding {
    let start = Instant::now();
    let bound::Report { states, steps, asked, decided, wrong } = bound.explore();
    let met = wrong.is_some() == (expectation == Expectation::Caught) && (wrong.is_some() || decided > 0);
    let trace = wrong.clone().into_iter().collect();
    let given = format!("{steps} choices of what a ballot hears, {asked} that differ");
    let result = match wrong {
        Some(_) => format!("forbidden by the guards; {given}"),
        None => format!("all allowed; {given}; settles in {decided} states"),
    };
    Finding { trace, ..counted(start, states, met, result) }
}
