//! One seed is one world.

use crate::{Options, simulate};

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
