//! Messages that were sent and did not come yet: they need more memory than members do when all have something to say
//! at once.

use std::collections::BTreeMap;

/// Messages of one kind: how many, and their bytes.
type Sums = BTreeMap<[u8; 4], (u64, u64)>;

/// What is between members now, and what was when it was the most.
#[derive(Clone, Debug, Default)]
pub struct UnderWay {
    now: Sums,
    bytes: u64,
    most: u64,
    then: Sums,
}

impl UnderWay {
    pub(super) fn joined(&mut self, kind: [u8; 4], bytes: usize) {
        let sums = self.now.entry(kind).or_default();
        *sums = (sums.0 + 1, sums.1 + bytes as u64);
        self.bytes += bytes as u64;
        // By a hundredth more, so that few of the moments on the way there are kept.
        if self.bytes > self.most + self.most / 100 {
            (self.most, self.then) = (self.bytes, self.now.clone());
        }
    }

    pub(super) fn left(&mut self, kind: [u8; 4], bytes: usize) {
        let sums = self.now.entry(kind).or_default();
        *sums = (sums.0.saturating_sub(1), sums.1.saturating_sub(bytes as u64));
        self.bytes = self.bytes.saturating_sub(bytes as u64);
    }

    /// From now on the most is looked for anew.
    pub fn forget(&mut self) {
        (self.most, self.then) = (self.bytes, self.now.clone());
    }

    /// The most bytes that were under way at once.
    pub fn most(&self) -> u64 {
        self.most
    }

    /// Of these, by kind: how many messages, and their bytes; those of the most bytes first.
    pub fn kinds(&self) -> Vec<(String, u64, u64)> {
        let kinds = self.then.iter().filter(|(_, (count, _))| *count > 0);
        let mut kinds: Vec<(String, u64, u64)> = kinds
            .map(|(kind, (count, bytes))| (String::from_utf8_lossy(kind).trim().to_owned(), *count, *bytes))
            .collect();
        kinds.sort_by_key(|(_, _, bytes)| std::cmp::Reverse(*bytes));
        kinds
    }
}
