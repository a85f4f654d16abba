//! A rule that is broken on purpose is noticed: otherwise the checks would be worth nothing. `swarm --mutation NAME`
//! finds each; those here are found by few seeds (docs/proof.md has them all).

use crate::{Mutation, Options, simulate};

/// Each planted bug with members, the seeds that are tried, and the clauses that one of them must violate.
const PLANTED: [(Mutation, usize, u64, &[&str]); 5] = [
    (Mutation::EarlyAcknowledgement, 5, 5, &["§5.5.3", "§5.2"]),
    (Mutation::ForgottenPromise, 3, 60, &["§5.5.1", "§5.5.3", "§5.2"]),
    (Mutation::HalfQuorum, 4, 5, &["§5.5.1", "§5.5.11", "§5.2"]),
    (Mutation::TornBatch, 3, 20, &["§5.5.13", "§5.5.2", "§5.2"]),
    (Mutation::LostContent, 5, 10, &["§5.5.4", "§5.5.5"]),
];

#[test]
fn every_planted_bug_is_noticed() {
    for (mutation, members, most, clauses) in PLANTED {
        let found = (1..=most).find(|seed| {
            let hours = 4.0 / 60.0;
            let options =
                Options { seed: *seed, members, hours, mutation: Some(mutation), ..Options::default() };
            simulate(&options).violations.iter().any(|violation| clauses.contains(&violation.clause))
        });
        assert!(found.is_some(), "{mutation} was not noticed in {most} seeds");
    }
}

#[test]
fn mutations_are_known_by_their_names() {
    for (mutation, name) in Mutation::ALL {
        assert_eq!((name.parse(), mutation.to_string()), (Ok(mutation), name.to_owned()));
    }
    assert!("no such thing".parse::<Mutation>().is_err());
}
