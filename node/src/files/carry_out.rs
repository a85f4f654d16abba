//! The engine: carries out actions on the tree, one at a time, each through a directory opened anew.

mod error;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use althing_protocol::attributes::Attributes;
use althing_protocol::hash::Hash;
use althing_protocol::manifest::Item;
use althing_protocol::path::ItemPath;
use althing_protocol::repair::Action;
use rustix::fs::{AtFlags, FileType, Mode, RenameFlags};
use rustix::io::Errno;

pub(crate) use self::error::StepError;
use super::beneath::{self, Beneath};
use super::giving::Giving;
use super::job::{Job, Stage};
use super::modes::{self, Loosened, SetMode};
use super::place::{self, NewFile, PlaceError};
use super::stamp::{self, Stamp};
use super::swap;
use super::trash::Bin;
use super::walk::Walked;
use super::{Files, StoreFault};

/// How often a directory that is filled while it is emptied is emptied again.
const EMPTYINGS: u32 = 8;

/// From so many files on they are synced together.
const FEW_WRITES: usize = 8;
/// Files that are synced together, at most.
const BATCH_FILES: usize = 256;
/// Bytes that are synced together, unless a single file is larger.
const BATCH_BYTES: u64 = 64 << 20;

/// What the scan found at each path.
pub(crate) type Scanned = BTreeMap<ItemPath, (Stamp, Option<Hash>)>;

/// What a walk found, with the content of files.
pub(crate) fn scanned(walked: &Walked, have: &BTreeMap<ItemPath, Item>) -> Scanned {
    let content = |path: &ItemPath| match have.get(path) {
        Some(Item::File { content, .. }) => Some(*content),
        _ => None,
    };
    let entries = walked.found.iter();
    entries.map(|found| (found.path.clone(), (found.stamp, content(&found.path)))).collect()
}

/// Everything one apply needs while it changes the tree.
pub(crate) struct Engine<'a> {
    files: &'a Files,
    beneath: &'a Beneath,
    pub(crate) bin: Bin<'a>,
    scanned: Scanned,
    want: &'a BTreeMap<ItemPath, Item>,
    /// What is only removed and not taken to the trash, as long as it is still so: the store had it.
    forgo: BTreeMap<ItemPath, Item>,
    job: Job<'a>,
    /// Directories whose entries changed and were not synced yet.
    touched: BTreeSet<ItemPath>,
    /// Modes, and owners and the like, that directories get at the end.
    closing: BTreeMap<ItemPath, (u32, Attributes)>,
    giving: Giving<'a>,
    loosened: Loosened,
    /// Actions carried out.
    pub(crate) done: usize,
}

impl<'a> Engine<'a> {
    pub(crate) fn new(
        files: &'a Files,
        beneath: &'a Beneath,
        bin: Bin<'a>,
        want: &'a BTreeMap<ItemPath, Item>,
        job: Job<'a>,
    ) -> Self {
        let (touched, closing, loosened) = (BTreeSet::new(), BTreeMap::new(), Loosened::new());
        let (scanned, forgo, giving) = (Scanned::new(), BTreeMap::new(), Giving::of(files));
        Self { files, beneath, bin, scanned, want, forgo, job, touched, closing, giving, loosened, done: 0 }
    }

    /// The same, but what goes and is one of these items is not kept in the trash.
    pub(crate) fn forgoing(self, forgo: BTreeMap<ItemPath, Item>) -> Self {
        Self { forgo, ..self }
    }

    /// Carries out `actions`; on an error says at which path.
    pub(crate) fn run(&mut self, actions: &[Action], scanned: Scanned) -> Result<(), (ItemPath, StepError)> {
        self.scanned = scanned;
        let result = self.run_all(actions);
        // Whatever happened: what is in the trash is listed there, and no directory stays more open than it was.
        let at_root = |error| (ItemPath::root(), error);
        let saved = self.settle().map_err(at_root);
        let closed = self.close().map_err(at_root);
        result.and(saved).and(closed).and(self.settle().map_err(at_root))
    }

    fn run_all(&mut self, actions: &[Action]) -> Result<(), (ItemPath, StepError)> {
        let mut at = 0;
        for phase in actions.chunk_by(|a, b| Phase::of(a) == Phase::of(b)) {
            let at_first = |error| (phase[0].path().clone(), error);
            let (directories, others): (Vec<&Action>, Vec<&Action>) =
                phase.iter().partition(|a| removes_directory(a));
            // Directories that go are listed in the trash, with the modes they have, durably, before anything in
            // them is touched; and they go after everything else, children before their parents.
            for action in &directories {
                if self.is_forgone_directory(action) {
                    continue;
                }
                self.list_directory(action.path()).map_err(|error| (action.path().clone(), error))?;
            }
            self.bin.save().map_err(|error| at_first(error.into()))?;
            self.run_steps(&others, &mut at, actions.len())?;
            self.run_steps(&directories, &mut at, actions.len())?;
            self.settle().map_err(at_first)?;
        }
        Ok(())
    }

    fn run_steps(
        &mut self,
        actions: &[&Action],
        at: &mut usize,
        total: usize,
    ) -> Result<(), (ItemPath, StepError)> {
        let writes = actions.iter().filter(|action| matches!(action, Action::WriteFile { .. })).count();
        let together = writes >= FEW_WRITES;
        let mut batch = Batch::default();
        for action in actions {
            let failed = |error| (action.path().clone(), error);
            self.job.check().map_err(StepError::from).map_err(failed)?;
            match action {
                // A directory is there before what lies in it: files may come a little later than their turn.
                Action::WriteFile { path, mode, size, content, attributes, .. } if together => {
                    let new = (*mode, *size, content, attributes);
                    self.prepare(&mut batch, path, new).map_err(failed)?;
                    if batch.is_full() {
                        self.put_batch(&mut batch, at, total)?;
                    }
                }
                action => {
                    self.step(action).map_err(failed)?;
                    self.count(at, total);
                }
            }
        }
        self.put_batch(&mut batch, at, total)
    }

    /// Puts a file that is durable under its temporary name into its place.
    fn place(&mut self, path: &ItemPath, unfinished: &[u8]) -> Result<(), StepError> {
        let (parent, name) = self.parent(path)?;
        let fresh = place::finish(&parent, unfinished, name)?;
        self.put(&parent, &fresh, path)
    }

    fn count(&mut self, at: &mut usize, total: usize) {
        self.done += 1;
        *at += 1;
        self.job.report(Stage::Apply, *at, total);
    }

    /// Writes a file under a temporary name; it is not durable yet.
    fn prepare(
        &mut self,
        batch: &mut Batch,
        path: &ItemPath,
        (mode, size, content, attributes): (u32, u64, &Hash, &Attributes),
    ) -> Result<(), StepError> {
        self.point()?;
        let source = self.source(content)?;
        let (parent, name) = self.parent(path)?;
        let new = NewFile { name, mode, size, content, path, attributes };
        let (_, unfinished) = place::write_unfinished(&parent, source, new, (&mut self.giving, self.job))
            .map_err(|error| place_error(error, content))?;
        batch.bytes += size;
        batch.files.push((path.clone(), unfinished));
        Ok(())
    }

    /// One sync for all files of the batch, which is many times cheaper than one for each, then each into its place.
    fn put_batch(
        &mut self,
        batch: &mut Batch,
        at: &mut usize,
        total: usize,
    ) -> Result<(), (ItemPath, StepError)> {
        let files = std::mem::take(batch).files;
        let Some((first, _)) = files.first() else { return Ok(()) };
        let root =
            self.beneath.directory(&ItemPath::root()).map_err(|error| (first.clone(), error.into()))?;
        let synced = self.point().and_then(|()| Ok(rustix::fs::syncfs(root)?));
        synced.map_err(|error| (first.clone(), error))?;
        for (path, unfinished) in files {
            let placed = self.point().and_then(|()| self.place(&path, &unfinished));
            placed.map_err(|error| (path, error))?;
            self.count(at, total);
        }
        Ok(())
    }

    /// A step that writes to the tree, where the disk may be full.
    fn point(&self) -> Result<(), StepError> {
        Ok(self.files.store.room().faults().point()?)
    }

    fn source(&self, content: &Hash) -> Result<File, StepError> {
        let source = self.files.store.content().open(content).map_err(StoreFault::from);
        source.map_err(StepError::Store)?.ok_or(StepError::Missing(*content))
    }

    /// Opens nothing for working in it: that might change the mode that is to be listed.
    fn list_directory(&mut self, path: &ItemPath) -> Result<(), StepError> {
        let stamp = match self.beneath.pin(path) {
            Err(error) if beneath::has_moved(&error) => return Ok(()),
            result => Stamp::of(result?)?,
        };
        if stamp.kind() != FileType::Directory {
            return Ok(());
        }
        let mode = self.loosened.get(path).copied().unwrap_or(stamp.permissions());
        Ok(self.bin.list_directory(path, &stamp.with_permissions(mode))?)
    }

    fn step(&mut self, action: &Action) -> Result<(), StepError> {
        self.point()?;
        match action {
            Action::Remove(path, item) => self.remove(path, matches!(item, Item::Directory { .. })),
            Action::MakeDirectory(path) => self.make_directory(path),
            Action::WriteFile { path, mode, size, content, attributes, .. } => {
                let source = self.source(content)?;
                self.write_file(path, source, (*mode, *size, content, attributes))
            }
            Action::MakeLink { path, target, attributes, .. } => self.make_link(path, target, attributes),
            Action::Set { path, mode, attributes } => self.set(path, *mode, attributes),
        }
    }

    fn parent<'p>(&mut self, path: &'p ItemPath) -> Result<(OwnedFd, &'p [u8]), StepError> {
        let (parent, name) = path.split().ok_or(Errno::INVAL)?;
        let directory = modes::open_passable(self.beneath, &parent, &mut self.loosened)?;
        self.touched.insert(parent);
        Ok((directory, name))
    }

    fn remove(&mut self, path: &ItemPath, is_directory: bool) -> Result<(), StepError> {
        let (parent, name) = self.parent(path)?;
        for _ in 0..EMPTYINGS {
            let stamp = match Stamp::of_entry(&parent, name) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                result => result?,
            };
            if !is_directory || stamp.kind() != FileType::Directory {
                return self.take(&parent, name, path);
            }
            match rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => return Ok(()),
                Err(Errno::NOTEMPTY | Errno::EXIST) => self.empty(path)?,
                Err(Errno::NOTDIR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Errno::NOTEMPTY.into())
    }

    /// Takes out of a directory what no manifest knew: what appeared since the scan, sockets and the like.
    fn empty(&mut self, path: &ItemPath) -> Result<(), StepError> {
        let directory = modes::open_passable(self.beneath, path, &mut self.loosened)?;
        for name in place::names_in(&directory)? {
            let path = path.join(&name).map_err(io::Error::other)?;
            self.take(&directory, &name, &path)?;
        }
        Ok(())
    }

    /// Takes away whatever is left directly below the root.
    pub(crate) fn empty_all(&mut self) -> Result<(), StepError> {
        self.empty(&ItemPath::root())?;
        self.settle()
    }

    fn take(&mut self, parent: &OwnedFd, name: &[u8], path: &ItemPath) -> Result<(), StepError> {
        if self.is_forgone(parent, name, path)? {
            return Ok(rustix::fs::unlinkat(parent, name, AtFlags::empty())?);
        }
        let known = self.scanned.get(path).map(|(stamp, content)| (stamp, *content));
        Ok(self.bin.take(parent, name, path, known)?)
    }

    /// Whether this is what is not to be kept, and was not written to since it was looked at.
    fn is_forgone(&self, parent: &OwnedFd, name: &[u8], path: &ItemPath) -> Result<bool, StepError> {
        let Some(item) = self.forgo.get(path) else { return Ok(false) };
        let stamp = Stamp::of_entry(parent, name)?;
        Ok(match item {
            Item::File { mode, content, .. } => self.scanned.get(path).is_some_and(|(scanned, found)| {
                let same = stamp.is_unchanged(scanned) && !stamp.is_racy(stamp::now());
                same && *found == Some(*content) && stamp.permissions() == *mode
            }),
            Item::Symlink { target, .. } if stamp.kind() == FileType::Symlink => {
                rustix::fs::readlinkat(parent, name, Vec::new())?.as_bytes() == target.as_slice()
            }
            Item::Symlink { .. } | Item::Directory { .. } => false,
        })
    }

    fn is_forgone_directory(&self, action: &Action) -> bool {
        let Action::Remove(path, item) = action else { return false };
        self.forgo.get(path) == Some(item)
    }

    fn make_directory(&mut self, path: &ItemPath) -> Result<(), StepError> {
        let (parent, name) = self.parent(path)?;
        let owner = modes::owner_for(&parent, name)?;
        if let Err(error) = rustix::fs::mkdirat(&parent, name, Mode::RWXU) {
            if error != Errno::EXIST {
                return Err(error.into());
            }
            if Stamp::of_entry(&parent, name)?.kind() == FileType::Directory {
                return Ok(());
            }
            self.take(&parent, name, path)?;
            rustix::fs::mkdirat(&parent, name, Mode::RWXU)?;
        }
        if let Some((user, group)) = owner {
            rustix::fs::fchown(beneath::enter(&parent, name)?, Some(user), Some(group))?;
        }
        self.touched.insert(path.clone());
        Ok(())
    }

    fn write_file(
        &mut self,
        path: &ItemPath,
        source: File,
        (mode, size, content, attributes): (u32, u64, &Hash, &Attributes),
    ) -> Result<(), StepError> {
        let (parent, name) = self.parent(path)?;
        let new = NewFile { name, mode, size, content, path, attributes };
        let fresh = place::write_file(&parent, source, new, (&mut self.giving, self.job))
            .map_err(|error| place_error(error, content))?;
        self.put(&parent, &fresh, path)
    }

    fn make_link(
        &mut self,
        path: &ItemPath,
        target: &[u8],
        attributes: &Attributes,
    ) -> Result<(), StepError> {
        let (parent, _) = self.parent(path)?;
        let fresh = place::make_link(&parent, (path, target), attributes, &mut self.giving)?;
        self.put(&parent, &fresh, path)
    }

    /// Swaps `fresh` in, and what was there into the trash, whatever it was.
    fn put(&mut self, parent: &OwnedFd, fresh: &[u8], path: &ItemPath) -> Result<(), StepError> {
        let (_, name) = path.split().ok_or(Errno::INVAL)?;
        let stamp = Stamp::of_entry(parent, fresh)?;
        let swapped = swap::swap_in(parent, fresh, name);
        let aside = match swapped {
            Ok(None) => return Ok(()),
            Ok(Some(aside)) => aside,
            Err(error) => {
                let _ = rustix::fs::unlinkat(parent, fresh, AtFlags::empty());
                return Err(error.into());
            }
        };
        self.take(parent, &aside, path).inspect_err(|_| put_back(parent, &aside, name, &stamp))
    }

    fn set(&mut self, path: &ItemPath, mode: Option<u32>, attributes: &Attributes) -> Result<(), StepError> {
        if let (Some(Item::Directory { .. }), Some(mode)) = (self.want.get(path), mode) {
            self.closing.insert(path.clone(), (mode, attributes.clone()));
            return Ok(());
        }
        if self.giving.set(self.beneath, path, (mode, attributes))? == SetMode::Shared {
            return self.set_copy(path, mode, attributes);
        }
        self.touched.extend(path.split().map(|(parent, _)| parent));
        Ok(())
    }

    /// What may not be changed where it lies is replaced by a copy that nobody else has.
    fn set_copy(
        &mut self,
        path: &ItemPath,
        mode: Option<u32>,
        attributes: &Attributes,
    ) -> Result<(), StepError> {
        match (self.want.get(path), mode) {
            (Some(Item::File { size, content, .. }), Some(mode)) => {
                let source = File::from(self.beneath.file(path)?);
                match self.write_file(path, source, (mode, *size, content, attributes)) {
                    // Not the store: the file itself is not any more what it was when it was scanned.
                    Err(StepError::Corrupt(_)) => Err(Errno::AGAIN.into()),
                    result => result,
                }
            }
            (Some(Item::Symlink { target, .. }), None) => self.make_link(path, target, attributes),
            _ => Err(Errno::AGAIN.into()),
        }
    }

    /// Gives directories their modes, owners and the like, those furthest down first.
    fn close(&mut self) -> Result<(), StepError> {
        let loosened =
            std::mem::take(&mut self.loosened).into_iter().map(|(path, mode)| (path, (mode, None)));
        let mut closing: BTreeMap<ItemPath, (u32, Option<Attributes>)> = loosened.collect();
        let wanted = std::mem::take(&mut self.closing).into_iter();
        closing.extend(wanted.map(|(path, (mode, attributes))| (path, (mode, Some(attributes)))));
        let mut failed = None;
        for (path, (mode, attributes)) in closing.into_iter().rev() {
            let closed = match &attributes {
                Some(attributes) => self.giving.set_directory(self.beneath, &path, (mode, attributes)),
                None => modes::set_directory(self.beneath, &path, mode),
            };
            match closed {
                Ok(()) => self.touched.extend(path.split().map(|(parent, _)| parent)),
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Makes durable what was done since the last time: first the trash, then the tree.
    fn settle(&mut self) -> Result<(), StepError> {
        self.bin.save()?;
        for path in std::mem::take(&mut self.touched) {
            match self.beneath.directory(&path) {
                Ok(directory) => rustix::fs::fsync(directory)?,
                // Removed since, or closed since; its entries were synced before it was.
                Err(error)
                    if beneath::has_moved(&error) || error.kind() == io::ErrorKind::PermissionDenied => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Undoes a swap whose old item could not be taken. If even that fails, recovery finds it aside.
fn put_back(parent: &OwnedFd, aside: &[u8], name: &[u8], fresh: &Stamp) {
    let swapped = rustix::fs::renameat_with(parent, aside, parent, name, RenameFlags::EXCHANGE);
    let is_fresh = || Stamp::of_entry(parent, aside).is_ok_and(|stamp| stamp.is_same_but_moved(fresh));
    if swapped.is_ok() && is_fresh() {
        let _ = rustix::fs::unlinkat(parent, aside, AtFlags::empty());
    }
}

fn place_error(error: PlaceError, content: &Hash) -> StepError {
    match error {
        PlaceError::Corrupt => StepError::Corrupt(*content),
        PlaceError::Cancelled => StepError::Cancelled,
        PlaceError::Io(error) => error.into(),
    }
}

/// Files that are written and not in their places yet.
#[derive(Default)]
struct Batch {
    /// Path, and temporary name in the same directory.
    files: Vec<(ItemPath, Vec<u8>)>,
    bytes: u64,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.files.len() >= BATCH_FILES || self.bytes >= BATCH_BYTES
    }
}

fn removes_directory(action: &Action) -> bool {
    matches!(action, Action::Remove(_, Item::Directory { .. }))
}

/// Actions between which everything is made durable.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Remove,
    Make,
    Modes,
}

impl Phase {
    fn of(action: &Action) -> Self {
        match action {
            Action::Remove(..) => Self::Remove,
            Action::MakeDirectory(_) | Action::WriteFile { .. } | Action::MakeLink { .. } => Self::Make,
            Action::Set { .. } => Self::Modes,
        }
    }
}
