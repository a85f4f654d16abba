//! Metric digests, first slice: what a member says of itself, small, signed and mergeable (design §7).
//!
//! All numbers are integers, so that every member computes the same entity from the same reports.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_tuple::{Deserialize_tuple, Serialize_tuple};

use crate::identity::MemberId;
use crate::statement::Address;
use crate::time::Millis;
use crate::trouble::Trouble;

/// Parts in ten thousand: 10,000 is all of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Ratio(pub u32);

impl Ratio {
    /// `part` of `whole`, at most 1; 0 of nothing.
    pub fn of(part: u64, whole: u64) -> Self {
        if whole == 0 {
            return Self(0);
        }
        Self((u128::from(part.min(whole)) * 10_000 / u128::from(whole)) as u32)
    }

    /// As a fraction between 0 and 1, for people.
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 10_000.0
    }
}

/// What the host measured just now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Readings {
    /// Share of all processors' time that was used since the last reading.
    pub cpu: Ratio,
    /// Bytes of memory in use (total less available).
    pub memory_used: u64,
    /// Bytes of memory.
    pub memory_total: u64,
    /// Bytes in use on the fullest file system that holds applications or the store.
    pub disk_used: u64,
    /// Bytes of that file system.
    pub disk_total: u64,
    /// Thousandths of a processor that this member can give (4 processors: 4,000).
    pub capacity: u64,
}

/// A member's signed digest of itself.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize_tuple, Deserialize_tuple)]
pub struct Report {
    /// Program version, `0.1.0`.
    pub version: String,
    /// Highest protocol version it speaks.
    pub protocol: u32,
    /// Where it listens now.
    pub addresses: Vec<Address>,
    /// Readings of the last minute.
    pub cpu: Sketch,
    /// Newest reading.
    pub cpu_now: Ratio,
    /// Bytes.
    pub memory_used: u64,
    /// Bytes.
    pub memory_total: u64,
    /// Bytes.
    pub disk_used: u64,
    /// Bytes.
    pub disk_total: u64,
    /// Thousandths of a processor.
    pub capacity: u64,
    /// Members it has not heard of lately.
    pub unheard: Vec<MemberId>,
    /// The newest epoch it holds.
    pub epoch: u64,
    /// Whether it may vote now: not while mute after a start, never again when its store id is burnt.
    pub votes: bool,
    /// What keeps it from doing its part.
    pub troubles: BTreeSet<Trouble>,
}

impl Report {
    /// A report of a small entity is said again after this, although nothing moved.
    const AGE: Millis = Millis::seconds(600);
    /// How long a reading that moved by one step may be told as it was; by two steps half of it.
    const STEP: Millis = Millis::seconds(60);
    /// Members of an entity that is small.
    const SMALL: u64 = 16;

    /// How long a report stands if nothing moves: reports of all cost each the same, whatever the size of the entity.
    pub fn age(members: usize) -> Millis {
        Millis(Self::AGE.0 * (members as u64).div_ceil(Self::SMALL))
    }

    /// How long at least between two that are only said because something moved.
    pub fn pause(members: usize) -> Millis {
        Millis(5_000 + 30 * members as u64)
    }

    /// How far a reading moved, in steps that others should know of: of memory or disk two parts in a hundred, of the
    /// processors, as nine in ten of the last minute's readings saw them, five.
    fn steps(&self, newer: &Self) -> u64 {
        let share = |used: u64, total: u64| u64::from(Ratio::of(used, total).0);
        let memory = |report: &Self| share(report.memory_used, report.memory_total);
        let disk = |report: &Self| share(report.disk_used, report.disk_total);
        let cpu = |report: &Self| report.cpu.quantile(900).unwrap_or_default();
        let shares = memory(self).abs_diff(memory(newer)).max(disk(self).abs_diff(disk(newer)));
        (shares / 200).max(cpu(self).abs_diff(cpu(newer)) / 500)
    }

    /// Whether a newer report is worth saying, so long after this one: the further a reading moved, the sooner.
    pub fn is_outdated(&self, newer: &Self, after: Millis) -> bool {
        let is_other = self.capacity != newer.capacity
            || self.version != newer.version
            || self.protocol != newer.protocol;
        is_other || self.steps(newer).saturating_mul(after.0) >= Self::STEP.0
    }
}

/// Buckets per doubling: a bucket is at most 1/32 of its value wide, so a quantile is off by at most 1.6 %.
const PER_DOUBLING: u32 = 32;

/// A mergeable quantile sketch of integers: log-linear buckets, exact counts. Merging is addition, so its result
/// does not depend on the order, and every member gets the same bytes (docs/decisions/0006-sketch.md).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Sketch(BTreeMap<u32, u64>);

impl Sketch {
    /// Counts one value.
    pub fn add(&mut self, value: u64) {
        *self.0.entry(bucket(value)).or_default() += 1;
    }

    /// Takes one value away again, if it was counted.
    pub fn take(&mut self, value: u64) {
        if let Some(count) = self.0.get_mut(&bucket(value)) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&bucket(value));
            }
        }
    }

    /// Adds all of another's counts.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.0 {
            let sum = self.0.entry(*bucket).or_default();
            *sum = sum.saturating_add(*count);
        }
    }

    /// How many different ones are told apart.
    pub fn buckets(&self) -> usize {
        self.0.len()
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.0.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The value below or at which `per_mille` of a thousand values lie; `None` of an empty sketch.
    pub fn quantile(&self, per_mille: u64) -> Option<u64> {
        let wanted = (u128::from(self.count()) * u128::from(per_mille.min(1000))).div_ceil(1000).max(1);
        let mut seen = 0;
        for (bucket, count) in &self.0 {
            seen += u128::from(*count);
            if seen >= wanted {
                return Some(middle(*bucket));
            }
        }
        None
    }
}

fn bucket(value: u64) -> u32 {
    let first = u64::from(PER_DOUBLING);
    if value < first {
        return value as u32;
    }
    let shift = value.ilog2() - PER_DOUBLING.ilog2();
    shift * PER_DOUBLING + (value >> shift) as u32
}

fn middle(bucket: u32) -> u64 {
    if bucket < PER_DOUBLING * 2 {
        return u64::from(bucket);
    }
    let shift = bucket / PER_DOUBLING - 1;
    if shift > 58 {
        return u64::MAX;
    }
    let low = u64::from(bucket - shift * PER_DOUBLING) << shift;
    low + (1 << (shift - 1))
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;

    #[test]
    fn the_further_a_reading_moved_the_sooner_it_is_said() {
        let mut report = Report { memory_used: 5_000, memory_total: 10_000, ..Report::default() };
        (0..30).for_each(|_| report.cpu.add(300));
        let with = |memory_used: u64| Report { memory_used, ..report.clone() };
        let after = |seconds: u64, newer: &Report| report.is_outdated(newer, Millis::seconds(seconds));
        assert!(!after(3600, &with(5_199)), "not a step");
        assert!(!after(59, &with(5_200)) && after(60, &with(5_200)) && after(60, &with(4_800)));
        assert!(!after(29, &with(5_400)) && after(30, &with(5_400)));
        assert!(after(6, &with(7_000)), "ten steps are said at once");
        let mut peak = report.clone();
        peak.cpu.add(9_000);
        assert!(!after(3600, &peak), "one reading of thirty");
        (0..4).for_each(|_| peak.cpu.add(9_000));
        assert!(after(5, &peak));
        assert!(after(0, &Report { capacity: 4_000, ..report.clone() }));
        assert!(Report::age(9) < Report::age(1000) && Report::pause(9) < Report::pause(1000));
    }

    quickcheck! {
        fn quantiles_are_within_two_percent(values: Vec<u32>, per_mille: u64) -> bool {
            let per_mille = per_mille % 1001;
            let mut sketch = Sketch::default();
            values.iter().for_each(|value| sketch.add(u64::from(*value)));
            let mut sorted = values;
            sorted.sort_unstable();
            let at = (sorted.len() as u64 * per_mille).div_ceil(1000).max(1) as usize - 1;
            match (sketch.quantile(per_mille), sorted.get(at)) {
                (None, None) => true,
                (Some(got), Some(wanted)) => got.abs_diff(u64::from(*wanted)) * 50 <= u64::from(*wanted),
                _ => false,
            }
        }

        fn merging_is_counting_together(a: Vec<u64>, b: Vec<u64>) -> bool {
            let of = |values: &[u64]| {
                let mut sketch = Sketch::default();
                values.iter().for_each(|value| sketch.add(*value));
                sketch
            };
            let (mut ab, mut ba) = (of(&a), of(&b));
            ab.merge(&of(&b));
            ba.merge(&of(&a));
            ab == ba && ab == of(&[a, b].concat())
        }

        fn taking_undoes_adding(kept: Vec<u64>, gone: Vec<u64>) -> bool {
            let mut sketch = Sketch::default();
            kept.iter().chain(&gone).for_each(|value| sketch.add(*value));
            gone.iter().for_each(|value| sketch.take(*value));
            let mut wanted = Sketch::default();
            kept.iter().for_each(|value| wanted.add(*value));
            sketch == wanted
        }
    }
}
