//! A host's durable key space: batches become durable in order and late; a crash loses those that are not.

use std::collections::{BTreeMap, VecDeque};

use althing_protocol::ballot::Promise;
use althing_protocol::codec;
use althing_protocol::effect::{Family, Write};
use althing_protocol::evidence::Evidence;
use althing_protocol::hash::Hash;
use althing_protocol::member::saved::{self, Life, Saved, SavedError};
use althing_protocol::record::Link;
use althing_protocol::statement::{Id16, Signed};

/// Which part of a torn batch is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Half {
    Earlier,
    Later,
}

/// The bytes of a record that is voted for, if this is one.
pub(crate) fn read_record(write: &Write) -> Option<Vec<u8>> {
    let is_record = write.family == Family::Votes && write.key.starts_with(b"record/");
    write.value.as_ref().filter(|_| is_record).and_then(|value| saved::read_record(value).ok())
}

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
    /// What was promised durably by the store that this disk was before, and that was burnt.
    burnt: Option<(Id16, Promise)>,
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
        if batch.writes.iter().any(|write| is_promise(write) && write.value.is_none()) {
            self.burnt = self.stored().map(|life| life.store).zip(self.promise.clone()).or(self.burnt.take());
        }
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

    /// What a store of this disk, the present one or the one before, promised durably in an epoch.
    pub(crate) fn promise_of(&self, store: &Id16, epoch: u64) -> Option<&Promise> {
        let burnt = self.burnt.as_ref().filter(|(of, _)| of == store).map(|(_, promise)| promise);
        let present =
            self.promise.as_ref().filter(|_| self.stored().is_some_and(|life| life.store == *store));
        present.or(burnt).filter(|promise| promise.epoch == epoch)
    }

    fn read_promise(&self) -> Option<Promise> {
        let bytes = self.durable.get(&(Family::Votes, b"promise".to_vec()))?;
        codec::decode(bytes.get(1..)?, usize::MAX).ok()
    }

    /// Which store this disk is, and what was reserved of its life, durably.
    pub(crate) fn stored(&self) -> Option<Life> {
        let bytes = self.durable.get(&(Family::Meta, b"life".to_vec()))?;
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
        let mut saved = Saved::read(family(Family::Meta), family(Family::Votes))?;
        for epoch in saved.newest_epochs() {
            let link = self.durable.get(&(Family::Chain, epoch.to_be_bytes().to_vec()));
            link.into_iter().for_each(|link| saved.learn_link(link));
        }
        Ok(saved)
    }

    /// The record of a value that this host voted for.
    pub(crate) fn record(&self, value: &Hash) -> Option<Vec<u8>> {
        let key = format!("record/{}", value.hex()).into_bytes();
        saved::read_record(self.durable.get(&(Family::Votes, key))?).ok()
    }

    /// The votes on which the round of the promise was entered, as they were signed.
    pub(crate) fn entry(&self) -> Vec<Signed> {
        let entry = self.durable.get(&(Family::Votes, b"entry".to_vec()));
        let entry = entry.and_then(|value| saved::read_record(value).ok());
        entry.and_then(|votes| codec::decode(&votes, usize::MAX).ok()).unwrap_or_default()
    }

    /// Epochs of the settled records that are kept for others, in order.
    pub(crate) fn epochs(&self) -> impl Iterator<Item = u64> {
        let epochs =
            self.durable.range((Family::Chain, Vec::new())..).map(|((family, key), _)| (family, key));
        let chain = epochs.take_while(|(family, _)| **family == Family::Chain);
        chain.filter_map(|(_, key)| Some(u64::from_be_bytes(key[..].try_into().ok()?)))
    }

    /// A contradiction that nobody has acknowledged stops settling in this entity, as far as this disk knows.
    pub(crate) fn stops(&self, entity: &Hash) -> bool {
        let evidence = self.durable.range((Family::Meta, b"evidence/".to_vec())..);
        evidence
            .take_while(|((family, key), _)| *family == Family::Meta && key.starts_with(b"evidence/"))
            .filter_map(|(_, bytes)| codec::decode::<Evidence>(bytes.get(1..)?, usize::MAX).ok())
            .any(|evidence| evidence.stops(entity))
    }

    /// A contradiction of this entity is on this disk, or on its way there.
    pub(crate) fn knows_contradiction(&self, entity: &Hash) -> bool {
        let is_evidence =
            |write: &&Write| write.family == Family::Meta && write.key.starts_with(b"evidence/");
        let coming = self.queue.iter().flat_map(|batch| &batch.writes).filter(is_evidence);
        let there = self.durable.range((Family::Meta, b"evidence/".to_vec())..);
        let there =
            there.take_while(|((family, key), _)| *family == Family::Meta && key.starts_with(b"evidence/"));
        let values = coming.filter_map(|write| write.value.as_ref()).chain(there.map(|(_, value)| value));
        let mut evidence =
            values.filter_map(|bytes| codec::decode::<Evidence>(bytes.get(1..)?, usize::MAX).ok());
        evidence.any(|evidence| evidence.entity == *entity)
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
        self.burnt = None;
        self.durable = snapshot;
        self.promise = self.read_promise();
    }

    /// One half of the first batch on its way is found (a planted bug); whether there was one to be torn.
    pub(crate) fn tear(&mut self, found: Half) -> bool {
        let Some(mut batch) = self.queue.pop_front() else { return false };
        let later = batch.writes.split_off(batch.writes.len().div_ceil(2));
        let torn = !later.is_empty();
        if torn && found == Half::Later {
            batch.writes = later;
        }
        if torn {
            self.queue.push_front(batch);
            self.sync();
        }
        torn
    }

    /// Forgets what the store is called (a planted bug).
    pub(crate) fn forget_life(&mut self) -> bool {
        self.durable.remove(&(Family::Meta, b"life".to_vec())).is_some()
    }

    /// Every third record is not kept for others (a planted bug).
    pub(crate) fn skip_records(&mut self) -> bool {
        let skipped = |write: &Write| {
            write.family == Family::Chain && write.key.last().is_some_and(|byte| byte % 3 == 2)
        };
        let mut any = false;
        for batch in &mut self.queue {
            any |= batch.writes.iter().any(skipped);
            batch.writes.retain(|write| !skipped(write));
        }
        any
    }

    /// The newest batch is durable before the others (a planted bug).
    pub(crate) fn newest_first(&mut self) -> bool {
        let more = self.queue.len() > 1;
        if let Some(newest) = self.queue.pop_back() {
            self.queue.push_front(newest);
        }
        more
    }

    /// Forgets every promise (a planted bug).
    pub(crate) fn forget_promises(&mut self) -> bool {
        self.durable.retain(|(family, _), _| *family != Family::Votes);
        self.promise.take().is_some()
    }
}

fn is_promise(write: &Write) -> bool {
    write.family == Family::Votes && write.key == b"promise"
}
