//! Paths that are changed again as often as they are repaired (finding 23): somebody wants them otherwise, or a
//! program writes them. Their repair stops for a while, so that neither the trash nor anybody's patience is filled.
//! Kept in memory only: after a start they are repaired again.

use std::collections::{BTreeMap, VecDeque};

use crate::hash::Hash;
use crate::path::ItemPath;
use crate::time::{Instant, Millis};

/// A path that was repaired so often…
pub(super) const TIMES: usize = 3;
/// …within this time is left alone, until the oldest of these repairs is older.
const SPAN: Millis = Millis::seconds(3600);
/// Paths whose repairs are counted. Those beyond are repaired however often they change.
const PATHS: usize = 10_000;

/// What was repaired of one application lately.
#[derive(Default)]
pub(super) struct Contested {
    /// The newest repairs of each path.
    repaired: BTreeMap<ItemPath, VecDeque<Instant>>,
    /// A tree in which nothing differs but what is left alone, and how many paths that were.
    rest: Option<(Option<Hash>, usize)>,
}

impl Contested {
    /// These were repaired. Returns which of them are left alone from now on.
    pub(super) fn repaired(&mut self, paths: &[ItemPath], now: Instant) -> Vec<ItemPath> {
        self.repaired.retain(|_, times| times.back().is_some_and(|last| now < *last + SPAN));
        let mut left = Vec::new();
        for path in paths {
            if self.repaired.len() >= PATHS && !self.repaired.contains_key(path) {
                continue;
            }
            let times = self.repaired.entry(path.clone()).or_default();
            times.push_back(now);
            let surplus = times.len().saturating_sub(TIMES);
            times.drain(..surplus);
            if is_contested(times, now) {
                left.push(path.clone());
            }
        }
        left
    }

    /// What is not repaired now.
    pub(super) fn left_alone(&self, now: Instant) -> Vec<ItemPath> {
        let left = self.repaired.iter().filter(|(_, times)| is_contested(times, now));
        left.map(|(path, _)| path.clone()).collect()
    }

    /// This tree differs in nothing but what is left alone, which are so many paths.
    pub(super) fn nothing_else(&mut self, root: Option<Hash>, left: usize) {
        self.rest = Some((root, left));
    }

    /// Whether this tree is known to differ in nothing else.
    pub(super) fn is_all(&self, root: Option<Hash>, now: Instant) -> bool {
        self.rest.is_some_and(|(rest, left)| rest == root && left == self.left_alone(now).len())
    }

    /// An administrator wants it repaired, or something else is settled: counts anew.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// When something is repaired again that is left alone now.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let left = self.repaired.values().filter(|times| is_contested(times, now));
        left.filter_map(|times| times.front()).map(|first| *first + SPAN).min()
    }
}

fn is_contested(times: &VecDeque<Instant>, now: Instant) -> bool {
    times.len() >= TIMES && times.front().is_some_and(|first| now < *first + SPAN)
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;

    fn path(name: u8) -> ItemPath {
        ItemPath::new(&[b'a' + name % 3]).expect("a name")
    }

    quickcheck! {
        /// Whatever is repaired when: what is not left alone was repaired less than three times within the hour.
        fn no_path_is_repaired_more_than_three_times_an_hour(steps: Vec<(u8, u16)>) -> bool {
            let (mut contested, mut now) = (Contested::default(), Instant(0));
            let mut books: BTreeMap<ItemPath, Vec<Instant>> = BTreeMap::new();
            steps.into_iter().all(|(name, seconds)| {
                now = now + Millis::seconds(u64::from(seconds % 2000));
                let path = path(name);
                if contested.left_alone(now).contains(&path) {
                    return books[&path].iter().filter(|at| now < **at + SPAN).count() == TIMES;
                }
                contested.repaired(std::slice::from_ref(&path), now);
                let repairs = books.entry(path).or_default();
                repairs.push(now);
                repairs.iter().filter(|at| now < **at + SPAN).count() <= TIMES
            })
        }
    }

    #[test]
    fn the_third_repair_is_the_last_for_an_hour() {
        let mut contested = Contested::default();
        let [a, b] = [path(0), path(1)];
        assert!(contested.repaired(&[a.clone(), b.clone()], Instant(0)).is_empty());
        assert!(contested.repaired(std::slice::from_ref(&a), Instant(1_000)).is_empty());
        assert_eq!(contested.repaired(&[a.clone(), b], Instant(2_000)), std::slice::from_ref(&a));
        assert_eq!(contested.left_alone(Instant(3_000)), [a]);
        assert_eq!(contested.deadline(Instant(3_000)), Some(Instant(3_600_000)));
        assert!(contested.left_alone(Instant(3_600_000)).is_empty());
    }

    #[test]
    fn what_is_left_alone_is_all_until_that_changes() {
        let mut contested = Contested::default();
        let (a, root) = (path(0), Some(Hash::of(b"differs")));
        (0..3).for_each(|at| drop(contested.repaired(std::slice::from_ref(&a), Instant(at))));
        assert!(!contested.is_all(root, Instant(4)));
        contested.nothing_else(root, 1);
        assert!(contested.is_all(root, Instant(4)));
        assert!(!contested.is_all(None, Instant(4)), "something else changed");
        assert!(!contested.is_all(root, Instant(0) + SPAN), "its time is over");
        contested.forget();
        assert!(!contested.is_all(root, Instant(4)));
    }
}
