//! One seed is one world.

use crate::{Mutation, Options, simulate};

#[test]
fn equal_seeds_make_equal_worlds() {
    for seed in [3, 49] {
        let options = Options { seed, members: 5, hours: 1.0 / 60.0, ..Options::default() };
        let one = simulate(&options);
        for _ in 1..10 {
            assert_eq!(one, simulate(&options));
        }
        assert_ne!(one.trace, simulate(&Options { seed: seed + 1, ..options.clone() }).trace);
        assert_ne!(one.trace, simulate(&Options { variant: 1, ..options }).trace);
    }
}

/// Members look only at what may have changed. Those that look at everything do the same at the same moments.
#[test]
fn what_members_leave_out_would_change_nothing() {
    for seed in 1..=12 {
        let options = Options { seed, members: 5, hours: 3.0 / 60.0, ..Options::default() };
        let restless = Options { mutation: Some(Mutation::Restless), ..options.clone() };
        assert_eq!(simulate(&options).trace, simulate(&restless).trace, "seed {seed}");
    }
}
