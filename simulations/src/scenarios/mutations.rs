//! A rule that is broken on purpose is noticed: otherwise the checks would be worth nothing.

use crate::{Mutation, Options, simulate};

/// Some seed of the first `most` finds this mutation, as a violation of one of these clauses.
fn check(mutation: Mutation, members: usize, most: u64, clauses: &[&str]) {
    let found = (1..=most).find(|seed| {
        let hours = 4.0 / 60.0;
        let options = Options { seed: *seed, members, hours, mutation: Some(mutation), ..Options::default() };
        simulate(&options).violations.iter().any(|violation| clauses.contains(&violation.clause))
    });
    assert!(found.is_some(), "{mutation:?} was not noticed in {most} seeds");
}

#[test]
fn votes_that_leave_before_they_are_durable_are_noticed() {
    check(Mutation::EarlyAcknowledgement, 5, 5, &["§5.5.3"]);
}

#[test]
fn a_forgotten_promise_is_noticed() {
    check(Mutation::ForgottenPromise, 3, 60, &["§5.5.1", "§5.5.3"]);
}

#[test]
fn half_of_the_voters_are_not_enough() {
    check(Mutation::HalfQuorum, 4, 5, &["§5.5.1", "§5.5.11"]);
}

#[test]
fn promised_content_that_is_gone_is_noticed() {
    check(Mutation::LostContent, 5, 10, &["§5.5.4", "§5.5.5"]);
}
