//! Removing what nobody needs any more: file bytes and directories of manifests that no kept root leads to.
//!
//! A [`Collection`] marks first, then sweeps in small steps. What is put into the store, or found to be there and
//! relied upon, after the marking began is *young* and stays, so nothing has to wait for a collection and no clock is
//! asked. What is young is forgotten when the next collection begins: until then its user must have had a root
//! named that leads to it, or hold an [`Unnamed`].

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use althing_protocol::hash::Hash;
use althing_protocol::manifest::Node;

use crate::Store;
use crate::error::{CollectError, ReadError};

/// Directories of manifests looked at in one step.
const PAGE: usize = 1_000;

/// Names that were put or relied upon since the last collection began, by their first eight bytes: a mistake only
/// keeps too much.
#[derive(Debug, Default)]
pub(crate) struct Young {
    names: HashSet<u64>,
    /// [`Unnamed`]s there are.
    unnamed: usize,
}

impl Young {
    /// This must not go before somebody has said that it is needed.
    pub(crate) fn add(&mut self, name: &Hash) {
        self.names.insert(name.low());
    }

    pub(crate) fn has(&self, name: &Hash) -> bool {
        self.names.contains(&name.low())
    }
}

/// Locks; what a panic of another thread left is whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// While it lives, nothing is forgotten to be young: for content that is complete only at the end, and that no root
/// can name before.
#[derive(Debug)]
pub struct Unnamed {
    files: Arc<Mutex<Young>>,
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        lock(&self.files).unnamed -= 1;
    }
}

/// What was removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Freed {
    /// Files.
    pub files: u64,
    /// Their bytes; less came free if blocks were shared.
    pub bytes: u64,
    /// Directories of manifests.
    pub directories: u64,
}

impl std::ops::AddAssign for Freed {
    fn add_assign(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.directories += other.directories;
    }
}

/// What the kept roots lead to, as far as it is in the store.
#[derive(Debug, Default)]
struct Marked {
    directories: BTreeSet<Hash>,
    /// By their first eight bytes, as what is young is.
    files: HashSet<u64>,
}

/// A collection under way. Dropping it ends it; the next one does what it left.
#[derive(Debug)]
pub struct Collection<'a> {
    store: &'a Store,
    marked: Marked,
    next: Next,
}

/// Where a collection goes on.
#[derive(Debug)]
enum Next {
    /// File bytes, by the number of their directory.
    Files(u16),
    /// Directories of manifests, from this name on.
    Manifests(Vec<u8>),
    End,
}

impl Store {
    /// Something is about to be put into the store that no root names yet.
    pub fn unnamed(&self) -> Unnamed {
        let files = self.content().young();
        lock(&files).unnamed += 1;
        Unnamed { files }
    }

    /// Begins a collection. `roots` is asked for what must stay after what was young is forgotten, so that what is
    /// named before it is asked is safe. An error has removed nothing.
    pub fn collection(&self, roots: impl FnOnce() -> Vec<Hash>) -> Result<Collection<'_>, ReadError> {
        {
            let files = self.content().young();
            let (mut files, mut directories) = (lock(&files), lock(&self.directories));
            if files.unnamed == 0 {
                files.names.clear();
                directories.names.clear();
            }
        }
        let marked = self.mark(roots())?;
        Ok(Collection { store: self, marked, next: Next::Files(0) })
    }

    /// Every directory is read once, however many roots share it. One that is not here is on its way: what lies
    /// below it and is found here then is young.
    fn mark(&self, mut open: Vec<Hash>) -> Result<Marked, ReadError> {
        let mut marked = Marked::default();
        while let Some(name) = open.pop() {
            if !marked.directories.insert(name) {
                continue;
            }
            let Some(directory) = self.directory(&name)? else { continue };
            for entry in &directory.entries {
                match &entry.node {
                    Node::Directory(_, below) => open.push(*below),
                    Node::File(_, _, content) => drop(marked.files.insert(content.low())),
                    Node::Symlink(_) => {}
                }
            }
        }
        Ok(marked)
    }
}

impl Collection<'_> {
    /// Does one small step; `None` when there is none left. A kill may bring back what was removed; the next
    /// collection removes it again.
    pub fn step(&mut self) -> Result<Option<Freed>, CollectError> {
        let (freed, next) = match &self.next {
            Next::Files(index) => {
                let keep = |content: &Hash| self.marked.files.contains(&content.low());
                match self.store.content().sweep(*index, &keep)? {
                    Some(freed) => (freed, Next::Files(index + 1)),
                    None => (Freed::default(), Next::Manifests(Vec::new())),
                }
            }
            Next::Manifests(from) => {
                let keep = |name: &Hash| self.marked.directories.contains(name);
                let (directories, next) = self.store.sweep_directories(from, PAGE, &keep)?;
                (Freed { directories, ..Freed::default() }, next.map_or(Next::End, Next::Manifests))
            }
            Next::End => return Ok(None),
        };
        self.next = next;
        Ok(Some(freed))
    }

    /// Does all of it.
    pub fn finish(mut self) -> Result<Freed, CollectError> {
        let mut all = Freed::default();
        while let Some(freed) = self.step()? {
            all += freed;
        }
        Ok(all)
    }
}
