//! A few seeds of the swarm with every change; `bin/swarm.rs` runs many.

use crate::{Options, seeds, simulate};

fn check(options: &Options) {
    let outcome = simulate(options);
    assert_eq!(outcome.violations, [], "{options}");
}

#[test]
fn cases_that_failed_once_hold() {
    for options in seeds::read(seeds::SEEDS).expect("seeds.txt holds cases") {
        check(&options);
    }
}

#[test]
fn small_entities_hold() {
    for seed in 1..=12 {
        check(&Options { seed, members: 1 + seed as usize % 5, hours: 3.0 / 60.0, ..Options::default() });
    }
}
