//! A few seeds of the swarm with every change; `bin/swarm.rs` runs many.

use crate::{Options, simulate};

/// Seeds that failed once, with the members and minutes they failed with; they are replayed for ever.
const FAILED: [(u64, usize, f64); 6] =
    [(20, 9, 10.0), (1003, 4, 8.0), (1066, 4, 8.0), (1086, 3, 8.0), (1088, 4, 8.0), (1126, 3, 8.0)];

fn check(options: &Options) {
    let outcome = simulate(options);
    assert_eq!(outcome.violations, [], "seed {} of {} members", options.seed, options.members);
}

#[test]
fn seeds_that_failed_once_hold() {
    for (seed, members, minutes) in FAILED {
        check(&Options { seed, members, hours: minutes / 60.0, ..Options::default() });
    }
}

#[test]
fn small_entities_hold() {
    for seed in 1..=12 {
        check(&Options { seed, members: 1 + seed as usize % 5, hours: 3.0 / 60.0, ..Options::default() });
    }
}
