//! How much of something one peer may use: a bucket that refills (finding 43). Pure: the time is an argument.

use crate::time::Instant;

/// How much a bucket holds, and how fast it fills.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// At most so much at once.
    pub burst: u64,
    /// And so much in each second after that.
    pub per_second: u64,
}

/// What is left of a budget. It begins full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bucket {
    /// Thousandths, so that a refill of a millisecond is never lost to rounding.
    left: u64,
    at: Instant,
}

/// Thousandths in one.
const PARTS: u64 = 1000;

impl Bucket {
    /// A full one.
    pub fn full(rate: Rate, now: Instant) -> Self {
        Self { left: rate.burst.saturating_mul(PARTS), at: now }
    }

    /// Takes `cost` if it is there. A cost above the burst is taken from a full bucket.
    pub fn take(&mut self, rate: Rate, now: Instant, cost: u64) -> bool {
        self.refill(rate, now);
        let cost = cost.min(rate.burst).saturating_mul(PARTS);
        let enough = self.left >= cost;
        if enough {
            self.left -= cost;
        }
        enough
    }

    /// Whether anything is left.
    pub fn is_open(&mut self, rate: Rate, now: Instant) -> bool {
        self.refill(rate, now);
        self.left >= PARTS
    }

    /// Takes what turned out to be the cost, as far as it is there.
    pub fn spend(&mut self, cost: u64) {
        self.left = self.left.saturating_sub(cost.saturating_mul(PARTS));
    }

    fn refill(&mut self, rate: Rate, now: Instant) {
        // A second has a thousand milliseconds and one a thousand parts: so many a second are as many parts a millisecond.
        let more = (now - self.at).0.saturating_mul(rate.per_second);
        self.left = self.left.saturating_add(more).min(rate.burst.saturating_mul(PARTS));
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;

    const RATE: Rate = Rate { burst: 10, per_second: 2 };

    #[test]
    fn a_burst_passes_and_then_as_much_as_refills() {
        let mut bucket = Bucket::full(RATE, Instant(0));
        assert_eq!((0..20).filter(|_| bucket.take(RATE, Instant(0), 1)).count(), 10);
        assert!(!bucket.take(RATE, Instant(499), 1));
        assert!(bucket.take(RATE, Instant(500), 1));
        assert!(!bucket.is_open(RATE, Instant(500)));
    }

    #[test]
    fn what_is_larger_than_the_burst_needs_a_full_bucket() {
        let mut bucket = Bucket::full(RATE, Instant(0));
        assert!(bucket.take(RATE, Instant(0), 1000));
        assert!(!bucket.take(RATE, Instant(4999), 1000));
        assert!(bucket.take(RATE, Instant(5000), 1000));
    }

    quickcheck! {
        fn nobody_gets_more_than_burst_and_rate(costs: Vec<(u16, u8)>) -> bool {
            let mut bucket = Bucket::full(RATE, Instant(0));
            let (mut now, mut taken) = (0, 0);
            for (wait, cost) in costs {
                now += u64::from(wait);
                let cost = u64::from(cost % 11);
                taken += if bucket.take(RATE, Instant(now), cost) { cost } else { 0 };
            }
            taken <= RATE.burst + (now * RATE.per_second).div_ceil(1000)
        }

        fn a_clock_that_goes_back_gives_nothing(times: Vec<u16>) -> bool {
            let mut bucket = Bucket::full(RATE, Instant(0));
            let taken = times.iter().filter(|at| bucket.take(RATE, Instant(u64::from(**at)), 1)).count() as u64;
            let latest = times.iter().max().copied().unwrap_or(0);
            taken <= RATE.burst + (u64::from(latest) * RATE.per_second).div_ceil(1000)
        }
    }
}
