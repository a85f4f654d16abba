//! The configurations that are quick enough for the dev profile; `prove` runs them all.

use std::collections::BTreeSet;

use stateright::{Checker, Model};

use super::board::Board;
use super::configurations::Cost;
use super::mutation::Mutation;
use super::quorum::Electorate;
use super::table::all;
use super::voting::{AGREEMENT, Voting};

#[test]
fn every_quick_configuration_shows_what_it_must() {
    for configuration in all().iter().filter(|one| one.cost == Cost::Test) {
        let finding = configuration.check();
        let name = configuration.name;
        assert!(finding.met, "{name}: {}\n{}", finding.result, finding.trace.join("\n"));
    }
}

#[test]
fn names_are_unique() {
    let configurations = all();
    let names: BTreeSet<_> = configurations.iter().map(|one| one.name).collect();
    assert_eq!(names.len(), configurations.len());
}

/// Every planted bug is in some configuration, so none is left that nobody saw fire.
#[test]
fn every_mutation_is_tried() {
    use super::configurations::Subject;
    let tried: Vec<_> = all()
        .iter()
        .filter_map(|one| match one.subject {
            Subject::Voting(voting) => voting.mutation,
            _ => None,
        })
        .collect();
    for mutation in Mutation::ALL {
        assert!(tried.contains(&mutation), "{mutation:?}");
    }
}

/// Exploring without symmetry finds the same classes of states, no more and no fewer.
#[test]
fn symmetry_loses_nothing() {
    let voting = Voting::new(Electorate::majority(3), 2, 2);
    let reduced = voting.checker().symmetry_fn(Board::representative::<2>).spawn_dfs().join();
    let mut known = BTreeSet::from([Board::default()]);
    let mut pending = vec![Board::default()];
    while let Some(board) = pending.pop() {
        for (_, after) in voting.next_steps(&board) {
            if known.insert(after) {
                pending.push(after);
            }
        }
    }
    let classes: BTreeSet<_> = known.iter().map(Board::representative::<2>).collect();
    assert_eq!(classes.len(), reduced.unique_state_count());
    assert!(known.iter().all(|board| voting.settled(board).len() <= 1));
}

/// Leaving nil votes out hides no fork: the planted bugs fork with them and without them.
#[test]
fn bugs_fork_with_nil_votes_too() {
    for mutation in [Mutation::LatePrecommit, Mutation::NoLocks, Mutation::StoreRestoredSingleSignature] {
        for nils in [Voting::casting_nils, |voting| voting] {
            let voting = nils(Voting::new(Electorate::majority(3), 2, 2).with(mutation));
            let checker = voting.checker().symmetry_fn(Board::representative::<2>).spawn_dfs().join();
            assert!(checker.discovery(AGREEMENT).is_some(), "{mutation:?}");
        }
    }
}
