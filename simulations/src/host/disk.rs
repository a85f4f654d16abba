//! A host's durable key space: batches become durable in order and late; a crash loses those that are not.

use std::collections::{BTreeMap, VecDeque};

use althing_protocol::ballot::Promise;
use althing_protocol::codec;
use althing_protocol::effect::{Family, Write};
use althing_protocol::member::saved::{Saved, SavedError};
use althing_protocol::record::Link;

/// A batch on its way.
pub(crate) struct Batch {
    pub(crate) name: u64,
    pub(crate) writes: Vec<Write>,
    /// When it is durable, in microseconds of the world.
    pub(crate) at: u64,
}

/// The key space.
#[derive(Default)]
pub(crate) struct Disk {
    durable: BTreeMap<(Family, Vec<u8>), Vec<u8>>,
    queue: VecDeque<Batch>,
    /// The version that a program must speak to open it.
    pub(crate) format: u32,
    /// What was promised durably, decoded.
    pub(crate) promise: Option<Promise>,
}

impl Disk {
    /// Puts a batch in the queue; says when it will be durable.
    pub(crate) fn enqueue(&mut self, name: u64, writes: Vec<Write>, now: u64, delay: u64) -> u64 {
        let at = self.queue.back().map_or(now, |last| last.at.max(now)) + delay;
        self.queue.push_back(Batch { name, writes, at });
        at
    }

    /// The next batch is durable.
    pub(crate) fn sync(&mut self) -> Option<Batch> {
        let batch = self.queue.pop_front()?;
        for write in &batch.writes {
            let key = (write.family, write.key.clone());
            match &write.value {
                Some(value) => self.durable.insert(key, value.clone()),
                None => self.durable.remove(&key),
            };
        }
        if batch.writes.iter().any(|write| write.family == Family::Votes) {
            self.promise = self.read_promise();
        }
        Some(batch)
    }

    fn read_promise(&self) -> Option<Promise> {
        let bytes = self.durable.get(&(Family::Votes, b"promise".to_vec()))?;
        codec::decode(bytes.get(1..)?, usize::MAX).ok()
    }

    /// A crash: what was not durable is lost, but for the first `survive` batches.
    pub(crate) fn crash(&mut self, survive: usize) {
        for _ in 0..survive {
            self.sync();
        }
        self.queue.clear();
    }

    /// Batches on their way.
    pub(crate) fn pending(&self) -> usize {
        self.queue.len()
    }

    /// What a start finds.
    pub(crate) fn saved(&self) -> Result<Saved, SavedError> {
        let family = |wanted: Family| {
            let entries = self.durable.iter().filter(move |((family, _), _)| *family == wanted);
            entries.map(|((_, key), value)| (key.clone(), value.clone()))
        };
        Saved::read(family(Family::Meta), family(Family::Votes))
    }

    /// Settled records after an epoch, in order.
    pub(crate) fn chain(&self, after: u64) -> impl Iterator<Item = Link> {
        let from = (Family::Chain, (after + 1).to_be_bytes().to_vec());
        self.durable
            .range(from..)
            .filter_map(|(_, bytes)| althing_protocol::member::saved::read_link(bytes).ok())
    }

    /// Everything durable, to put it back later.
    pub(crate) fn snapshot(&self) -> BTreeMap<(Family, Vec<u8>), Vec<u8>> {
        self.durable.clone()
    }

    /// Puts a snapshot back.
    pub(crate) fn restore(&mut self, snapshot: BTreeMap<(Family, Vec<u8>), Vec<u8>>) {
        self.queue.clear();
        self.durable = snapshot;
        self.promise = self.read_promise();
    }

    /// Half of the first batch on its way is found (a planted bug).
    pub(crate) fn tear(&mut self) {
        if let Some(batch) = self.queue.pop_front() {
            let half = batch.writes.len().div_ceil(2);
            let writes = batch.writes.into_iter().skip(half).collect();
            self.queue.push_front(Batch { writes, ..batch });
            self.sync();
        }
    }

    /// Forgets what the store is called (a planted bug).
    pub(crate) fn forget_life(&mut self) {
        self.durable.retain(|(family, key), _| *family != Family::Meta || key != b"life");
    }

    /// Every third record is not kept for others (a planted bug).
    pub(crate) fn skip_records(&mut self) {
        let skipped = |write: &Write| {
            write.family == Family::Chain && write.key.last().is_some_and(|byte| byte % 3 == 2)
        };
        for batch in &mut self.queue {
            batch.writes.retain(|write| !skipped(write));
        }
    }

    /// The newest batch is durable before the others (a planted bug).
    pub(crate) fn newest_first(&mut self) {
        if let Some(newest) = self.queue.pop_back() {
            self.queue.push_front(newest);
        }
    }

    /// Forgets every promise (a planted bug).
    pub(crate) fn forget_promises(&mut self) {
        self.durable.retain(|(family, _), _| *family != Family::Votes);
        self.promise = None;
    }
}
