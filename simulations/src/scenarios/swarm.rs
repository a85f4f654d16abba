//! A few seeds of the swarm with every change; `bin/swarm.rs` runs many.

use crate::{Options, seeds, simulate};

fn check(options: &Options) {
    let outcome = simulate(options);
    assert_eq!(outcome.violations, [], "{options}");
}

/// Every fourth of the cases that failed once: they are many, and run beside each other.
fn cases_hold(quarter: usize) {
    let cases = seeds::read(seeds::SEEDS).expect("seeds.txt holds cases");
    cases.iter().skip(quarter).step_by(4).for_each(check);
}

#[test]
fn cases_that_failed_once_hold_first_quarter() {
    cases_hold(0);
}

#[test]
fn cases_that_failed_once_hold_second_quarter() {
    cases_hold(1);
}

#[test]
fn cases_that_failed_once_hold_third_quarter() {
    cases_hold(2);
}

#[test]
fn cases_that_failed_once_hold_fourth_quarter() {
    cases_hold(3);
}

#[test]
fn small_entities_hold() {
    for seed in 1..=12 {
        check(&Options { seed, members: 1 + seed as usize % 5, hours: 3.0 / 60.0, ..Options::default() });
    }
}
