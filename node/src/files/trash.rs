//! The trash: what apply replaced or removed, under `DIR/trash/<application>/<batch>/` with its relative path, and a
//! record of each item in the store. One batch is what one apply took away.

mod bin;
mod transfer;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use althing_protocol::codec;
use althing_protocol::hash::Hash;
use althing_protocol::path::ItemPath;
use rustix::fs::FileType;
use serde::{Deserialize, Serialize};

pub(crate) use self::bin::{Bin, BinError, new_batch};
use super::{Files, StoreFault, place};

/// How long the trash keeps things.
pub const TRASH_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// What is it now, for the age of what is in the trash: never further on than as much time as has really passed since the
/// daemon began. A machine without a battery for its clock begins in the past and is put right later; what was taken away
/// meanwhile is not a week old by that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrashClock {
    wall: SystemTime,
    steady: Instant,
}

impl TrashClock {
    /// Of a daemon that begins now.
    pub(crate) fn start() -> Self {
        Self { wall: SystemTime::now(), steady: Instant::now() }
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.now_at(SystemTime::now(), self.steady.elapsed())
    }

    fn now_at(&self, wall: SystemTime, passed: Duration) -> SystemTime {
        // What was taken away before the clock was put right is old enough by then, and what was since has the right time.
        if passed >= TRASH_KEPT { wall } else { wall.min(self.wall + passed) }
    }
}

/// How many bytes of one application the trash takes at most. When it is full, repair stops.
pub const TRASH_BYTES: u64 = 10 << 30;
/// The share of its disk that it takes at most: one part of so many.
const TRASH_SHARE: u64 = 10;

/// A record of an item: two paths and a few numbers.
const RECORD_BYTES: usize = 16 << 10;
/// Format of the records.
const FORMAT: u8 = 1;
/// Digits of an item's number, so that keys sort as numbers do.
const NUMBER_DIGITS: usize = 6;

/// Which item in the trash: `<batch>-<number>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct TrashId {
    batch: String,
    number: u32,
}

/// What kind of item lies in the trash.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrashedKind {
    /// A file.
    File,
    /// A directory. What was in it has records of its own, unless it appeared after the scan.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A socket, named pipe or device.
    Special,
}

/// An item in the trash.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Trashed {
    format: u8,
    /// How to name it to [`Files::restore`].
    pub id: TrashId,
    /// Whose it was.
    pub application: String,
    /// Where it lay in the tree.
    pub path: ItemPath,
    /// What it is.
    pub kind: TrashedKind,
    /// Its permission bits.
    pub mode: u32,
    /// Its bytes; of a directory the bytes of what is in it and has no records of its own.
    pub size: u64,
    /// BLAKE3 of a file's bytes, where it is certain.
    pub content: Option<Hash>,
    /// When it was taken away, in milliseconds since 1970 UTC.
    pub time: u64,
    /// Why.
    pub reason: String,
    /// The root that was applied.
    pub replaced_by: Hash,
    /// The epoch that settled that root.
    pub epoch: u64,
    /// Which layer of its batch it lies in: there is more than one only where one path was taken away twice.
    layer: u8,
}

/// What [`Files::prune`] removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pruned {
    /// Items.
    pub items: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// Why the trash could not be listed or pruned. What was not removed is still listed.
#[derive(Debug, thiserror::Error)]
pub enum TrashError {
    /// The records.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// The files.
    #[error("cannot remove {} from the trash: {source}", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Not the id of something in the trash: `<batch>-<number>` was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the id of something in the trash")]
pub struct NotATrashId;

impl fmt::Display for TrashId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.batch, self.number)
    }
}

impl FromStr for TrashId {
    type Err = NotATrashId;

    fn from_str(text: &str) -> Result<Self, NotATrashId> {
        let (batch, number) = text.rsplit_once('-').ok_or(NotATrashId)?;
        let is_batch = !batch.is_empty() && batch.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let number = number.parse().map_err(|_| NotATrashId)?;
        if is_batch { Ok(Self { batch: batch.to_owned(), number }) } else { Err(NotATrashId) }
    }
}

impl Trashed {
    fn key(&self) -> String {
        format!("{}{}-{:0NUMBER_DIGITS$}", prefix(&self.application), self.id.batch, self.id.number)
    }

    /// The directory of the trash that this lies below by its path.
    pub(crate) fn layer_name(&self) -> String {
        layer_name(&self.id.batch, self.layer)
    }
}

impl TrashedKind {
    fn of(kind: FileType) -> Self {
        match kind {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Symlink,
            _ => Self::Special,
        }
    }
}

impl Files {
    /// Everything of this application in the trash, oldest first.
    pub fn trash(&self) -> Result<Vec<Trashed>, StoreFault> {
        let records = self.store.records_below(&prefix(&self.application))?;
        let mut trashed: Vec<Trashed> = records
            .iter()
            .filter_map(|(_, bytes)| codec::decode::<Trashed>(bytes, RECORD_BYTES).ok())
            .filter(|trashed| trashed.format == FORMAT && trashed.application == self.application)
            .collect();
        trashed.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
        Ok(trashed)
    }

    /// One item in the trash.
    pub(crate) fn trashed(&self, id: &TrashId) -> Result<Option<Trashed>, StoreFault> {
        Ok(self.trash()?.into_iter().find(|trashed| trashed.id == *id))
    }

    /// Removes for good the batches that are older than `kept` at `now`, and, where `down_to` is given because an
    /// administrator asked for it, the oldest ones until no more than so many bytes are left. Never called by
    /// apply: a full trash stops repair (settlement-review 38).
    pub fn prune(&self, now: SystemTime, kept: Duration, down_to: Option<u64>) -> Result<Pruned, TrashError> {
        let _exclusive = self.exclusive();
        let under_way = self.journal()?.map(|journal| journal.batch);
        let trashed = self.trash()?;
        let mut left: u64 = trashed.iter().map(|trashed| trashed.size).sum();
        let oldest_kept = millis(now).saturating_sub(u64::try_from(kept.as_millis()).unwrap_or(u64::MAX));
        let mut pruned = Pruned::default();
        for batch in trashed.chunk_by(|a, b| a.id.batch == b.id.batch) {
            let too_old = batch.iter().all(|trashed| trashed.time < oldest_kept);
            let too_much = down_to.is_some_and(|down_to| left > down_to);
            if under_way.as_ref() == Some(&batch[0].id.batch) || !(too_old || too_much) {
                continue;
            }
            self.remove_batch(batch)?;
            let bytes: u64 = batch.iter().map(|trashed| trashed.size).sum();
            pruned.items += batch.len() as u64;
            pruned.bytes += bytes;
            left = left.saturating_sub(bytes);
        }
        Ok(pruned)
    }

    /// Files first, then records: what a crash leaves is listed and pruned again.
    fn remove_batch(&self, batch: &[Trashed]) -> Result<(), TrashError> {
        let mut layers: Vec<String> = batch.iter().map(Trashed::layer_name).collect();
        layers.sort();
        layers.dedup();
        for layer in layers {
            let directory = self.trash_directory();
            let failed = |source| TrashError::Io { path: directory.join(&layer), source };
            let parent = match std::fs::File::open(&directory) {
                Ok(file) => file.into(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(source) => return Err(failed(source)),
            };
            match place::remove_item(&parent, layer.as_bytes()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
        }
        let keys: Vec<String> = batch.iter().map(Trashed::key).collect();
        let records: Vec<(&str, Option<&[u8]>)> = keys.iter().map(|key| (key.as_str(), None)).collect();
        Ok(self.store.put_records(&records).map_err(StoreFault::from)?)
    }

    /// How many bytes the trash of this application may hold.
    pub(crate) fn trash_quota(&self) -> u64 {
        let share = || {
            // What cannot be asked is found out when something is moved there.
            let disk = rustix::fs::statvfs(&self.directory).ok()?;
            Some(disk.f_blocks.saturating_mul(disk.f_frsize) / TRASH_SHARE)
        };
        self.trash_bytes.unwrap_or_else(|| share().unwrap_or(TRASH_BYTES).min(TRASH_BYTES))
    }

    /// `DIR/trash/<application>`.
    pub(crate) fn trash_directory(&self) -> PathBuf {
        self.directory.join("trash").join(&self.application)
    }
}

fn prefix(application: &str) -> String {
    format!("trash/{application}/")
}

fn layer_name(batch: &str, layer: u8) -> String {
    if layer == 0 { batch.to_owned() } else { format!("{batch}.{layer}") }
}

pub(crate) fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_put_right_ages_nothing() {
        let clock = TrashClock { wall: UNIX_EPOCH + TRASH_KEPT, steady: Instant::now() };
        let hour = Duration::from_secs(3600);
        assert_eq!(clock.now_at(clock.wall + hour, hour), clock.wall + hour);
        assert_eq!(clock.now_at(clock.wall + 2 * TRASH_KEPT, hour), clock.wall + hour, "it was in the past");
        assert_eq!(
            clock.now_at(clock.wall - hour, hour),
            clock.wall - hour,
            "it was ahead: nothing goes early"
        );
        let later = clock.wall + 9 * TRASH_KEPT;
        assert_eq!(clock.now_at(later, TRASH_KEPT), later, "what was there when it began has had its time");
    }
}
