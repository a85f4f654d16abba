//! [`Bin`]: one batch of the trash while things are put into it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::DirBuilder;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::time::SystemTime;

use althing_protocol::codec;
use althing_protocol::hash::{Hash, hex};
use althing_protocol::path::ItemPath;
use rustix::fs::{FileType, Gid, Uid};
use rustix::io::Errno;

use super::transfer::{carry_over, ensure_directory, is_conflict, sync_item, weigh};
use super::{FORMAT, TrashId, Trashed, TrashedKind, layer_name, millis};
use crate::files::beneath::{self, Beneath};
use crate::files::journal::Journal;
use crate::files::modes;
use crate::files::place;
use crate::files::stamp::Stamp;
use crate::files::swap::{self, Temporary};
use crate::files::{Files, StoreFault};

/// Layers of one batch: how often one path may be taken away in one apply.
const LAYERS: u8 = 100;
/// Items whose records are written at once.
const RECORDS_AT_ONCE: usize = 256;
/// How deep what was moved in as a whole is weighed.
const WEIGH_DEPTH: usize = 256;

/// Why something was not taken. It is where it was.
#[derive(Debug)]
pub(crate) enum BinError {
    /// The quota.
    Quota,
    /// The disk.
    Full,
    Io(io::Error),
    Store(StoreFault),
}

impl<E: Into<io::Error>> From<E> for BinError {
    fn from(error: E) -> Self {
        let error = error.into();
        match Errno::from_io_error(&error) {
            Some(Errno::NOSPC | Errno::DQUOT) => Self::Full,
            _ => Self::Io(error),
        }
    }
}

/// What the scan knew of an item.
pub(crate) type Known<'a> = Option<(&'a Stamp, Option<Hash>)>;

/// One batch, open.
#[derive(Debug)]
pub(crate) struct Bin<'a> {
    files: &'a Files,
    journal: Journal,
    reason: String,
    time: u64,
    next: u32,
    room: u64,
    unsaved: Vec<Trashed>,
    taken: Vec<TrashId>,
    /// Directories of the trash to be synced before the records say what is in them.
    unsynced: BTreeSet<(u8, ItemPath)>,
    layers: BTreeMap<u8, Beneath>,
}

/// The name of a new batch: when it began, and something to tell it from any other.
pub(crate) fn new_batch() -> io::Result<String> {
    let mut random = [0; 3];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    Ok(format!("{:x}{}", millis(SystemTime::now()), hex(&random)))
}

impl<'a> Bin<'a> {
    /// Opens the batch of this apply; makes nothing yet.
    pub(crate) fn open(files: &'a Files, journal: &Journal, reason: &str) -> Result<Self, StoreFault> {
        let trashed = files.trash()?;
        let used: u64 = trashed.iter().map(|trashed| trashed.size).sum();
        let of_batch = trashed.iter().filter(|trashed| trashed.id.batch == journal.batch);
        Ok(Self {
            files,
            journal: journal.clone(),
            reason: reason.to_owned(),
            time: millis(SystemTime::now()),
            next: of_batch.map(|trashed| trashed.id.number + 1).max().unwrap_or(0),
            room: files.trash_quota().saturating_sub(used),
            unsaved: Vec::new(),
            taken: Vec::new(),
            unsynced: BTreeSet::new(),
            layers: BTreeMap::new(),
        })
    }

    /// Bytes that the quota leaves.
    pub(crate) fn room(&self) -> u64 {
        self.room
    }

    /// Takes `name` out of `parent`, which lay in the tree at `path`. It is either in the trash then, or where it was.
    pub(crate) fn take(
        &mut self,
        parent: &OwnedFd,
        name: &[u8],
        path: &ItemPath,
        known: Known<'_>,
    ) -> Result<(), BinError> {
        self.files.store.room().faults().point()?;
        let stamp = Stamp::of_entry(parent, name)?;
        let size = weigh(parent, name, &stamp, WEIGH_DEPTH);
        if size > self.room {
            return Err(BinError::Quota);
        }
        for layer in 0..LAYERS {
            let (directory, last) = match self.open_place(layer, path) {
                Ok(place) => place,
                Err(BinError::Io(error)) if is_conflict(&error) => continue,
                Err(error) => return Err(error),
            };
            match swap::move_to_free((parent, name), (&directory, last)) {
                Ok(()) => {}
                Err(Errno::EXIST) => continue,
                Err(Errno::XDEV) => {
                    // A copy counts only once the directories it lies in are durable.
                    self.sync()?;
                    match carry_over(parent, name, &directory, last) {
                        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                        result => result?,
                    }
                }
                Err(error) => return Err(error.into()),
            }
            let parent_path = path.split().map_or_else(ItemPath::root, |(parent, _)| parent);
            self.unsynced.insert((layer, parent_path));
            let content =
                known.and_then(|(scanned, content)| content.filter(|_| scanned.is_same_but_moved(&stamp)));
            sync_item(&directory, last);
            self.note(layer, path, &stamp, size, content);
            return self.save_if_many();
        }
        Err(BinError::Io(io::Error::other("taken away too often in one apply")))
    }

    /// Lists a directory that is about to be removed, and makes its like in the trash. It counts once saved.
    pub(crate) fn list_directory(&mut self, path: &ItemPath, stamp: &Stamp) -> Result<(), BinError> {
        for layer in 0..LAYERS {
            match self.open_place(layer, path).and_then(|(parent, last)| Ok(ensure_directory(&parent, last)?))
            {
                Ok(_) => {
                    self.keep_owner(layer, path, stamp)?;
                    self.note(layer, path, stamp, 0, None);
                    return self.save_if_many();
                }
                Err(BinError::Io(error)) if is_conflict(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Err(BinError::Io(io::Error::other("taken away too often in one apply")))
    }

    /// A directory of the trash is whose it was in the tree, so that what is restored is, too.
    fn keep_owner(&mut self, layer: u8, path: &ItemPath, stamp: &Stamp) -> Result<(), BinError> {
        if modes::may_give() {
            let (user, group) = (Uid::from_raw(stamp.user), Gid::from_raw(stamp.group));
            rustix::fs::fchown(self.layer(layer)?.directory(path)?, Some(user), Some(group))?;
        }
        Ok(())
    }

    /// Makes durable what was taken, and the records of it.
    pub(crate) fn save(&mut self) -> Result<(), BinError> {
        self.sync()?;
        let encoded: Vec<(String, Vec<u8>)> =
            self.unsaved.iter().map(|trashed| (trashed.key(), codec::encode(trashed))).collect();
        if encoded.is_empty() {
            return Ok(());
        }
        let records: Vec<(&str, Option<&[u8]>)> =
            encoded.iter().map(|(key, value)| (key.as_str(), Some(&value[..]))).collect();
        self.files.store.put_records(&records).map_err(|error| BinError::Store(error.into()))?;
        self.unsaved.clear();
        Ok(())
    }

    /// Makes directories of the trash durable, with all above them.
    fn sync(&mut self) -> Result<(), BinError> {
        let mut all = BTreeSet::new();
        for (layer, path) in std::mem::take(&mut self.unsynced) {
            let mut at = Some(path);
            while let Some(path) = at {
                at = path.split().map(|(parent, _)| parent);
                if !all.insert((layer, path)) {
                    break;
                }
            }
        }
        for (layer, path) in all {
            rustix::fs::fsync(self.layer(layer)?.directory(&path)?)?;
        }
        Ok(())
    }

    /// What was taken so far.
    pub(crate) fn into_taken(self) -> Vec<TrashId> {
        self.taken
    }

    /// After a crash: finds what was moved here without a record of it, and writes the record.
    pub(crate) fn adopt(&mut self) -> Result<(), BinError> {
        let listed: BTreeSet<(u8, ItemPath)> = self
            .files
            .trash()
            .map_err(BinError::Store)?
            .into_iter()
            .filter(|trashed| trashed.id.batch == self.journal.batch)
            .map(|trashed| (trashed.layer, trashed.path))
            .collect();
        for layer in 0..LAYERS {
            let path = self.files.trash_directory().join(layer_name(&self.journal.batch, layer));
            match Beneath::open(&path) {
                Ok(found) => {
                    let directory = found.directory(&ItemPath::root())?;
                    self.adopt_from(&directory, &ItemPath::root(), layer, &listed)?;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.save()
    }

    fn adopt_from(
        &mut self,
        directory: &OwnedFd,
        path: &ItemPath,
        layer: u8,
        listed: &BTreeSet<(u8, ItemPath)>,
    ) -> Result<(), BinError> {
        for name in place::names_in(directory)? {
            if Temporary::parse(&name) == Some(Temporary::Unfinished) {
                place::remove_item(directory, &name)?;
                continue;
            }
            // What no path can name lies in a directory that was moved here as a whole.
            let Ok(path) = path.join(&name) else { continue };
            let stamp = Stamp::of_entry(directory, &name)?;
            if stamp.kind() == FileType::Directory {
                self.adopt_from(&beneath::enter(directory, &name)?, &path, layer, listed)?;
            } else if !listed.contains(&(layer, path.clone())) {
                self.note(layer, &path, &stamp, stamp.size, None);
                self.save_if_many()?;
            }
        }
        Ok(())
    }

    fn note(&mut self, layer: u8, path: &ItemPath, stamp: &Stamp, size: u64, content: Option<Hash>) {
        let id = TrashId { batch: self.journal.batch.clone(), number: self.next };
        self.next += 1;
        self.room = self.room.saturating_sub(size);
        self.taken.push(id.clone());
        self.unsaved.push(Trashed {
            format: FORMAT,
            id,
            application: self.files.application.clone(),
            path: path.clone(),
            kind: TrashedKind::of(stamp.kind()),
            mode: stamp.permissions(),
            size,
            content,
            time: self.time,
            reason: self.reason.clone(),
            replaced_by: self.journal.root,
            epoch: self.journal.epoch,
            layer,
        });
    }

    fn save_if_many(&mut self) -> Result<(), BinError> {
        if self.unsaved.len() >= RECORDS_AT_ONCE { self.save() } else { Ok(()) }
    }

    /// The directory that `path` goes into, made if need be, and its name there.
    fn open_place<'p>(&mut self, layer: u8, path: &'p ItemPath) -> Result<(OwnedFd, &'p [u8]), BinError> {
        let (parent, last) = path.split().ok_or(Errno::INVAL)?;
        let mut at = self.layer(layer)?.directory(&ItemPath::root())?;
        let mut made_in = ItemPath::root();
        for component in parent.components() {
            let below = made_in.join(component).map_err(io::Error::other)?;
            if ensure_directory(&at, component)? {
                self.unsynced.insert((layer, below.clone()));
            }
            at = beneath::enter(&at, component)?;
            made_in = below;
        }
        Ok((at, last))
    }

    fn layer(&mut self, layer: u8) -> Result<&Beneath, BinError> {
        if !self.layers.contains_key(&layer) {
            let directory = self.files.trash_directory();
            let path = directory.join(layer_name(&self.journal.batch, layer));
            DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
            for above in [&directory, &self.files.directory.join("trash"), &self.files.directory] {
                std::fs::File::open(above)?.sync_all()?;
            }
            self.layers.insert(layer, Beneath::open(&path)?);
        }
        self.layers.get(&layer).ok_or(BinError::Io(Errno::NOENT.into()))
    }
}
