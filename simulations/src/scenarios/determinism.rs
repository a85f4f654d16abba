//! One seed is one world.

use crate::{Options, simulate};

#[test]
fn equal_seeds_make_equal_worlds() {
    for seed in [3, 49] {
        let options = Options { seed, members: 5, hours: 1.0 / 60.0, ..Options::default() };
        let (one, other) = (simulate(&options), simulate(&options));
        assert_eq!(one, other);
        assert_ne!(one.trace, simulate(&Options { seed: seed + 1, ..options }).trace);
    }
}
