//! The scan: a tree as a manifest. Either the whole truth at one time, as far as stamps can tell, or an error;
//! never a list of what happened to be readable (design §6).

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use althing_protocol::limits;
use althing_protocol::manifest::{Directory, Item, Manifest, ManifestError, Node};
use althing_protocol::path::{ItemPath, PathError};

use super::beneath::Beneath;
use super::cache::Cache;
use super::hashing::{self, Hashed};
use super::job::{Cancelled, Job};
use super::unmanaged::Patterns;
use super::walk::{self, Found, Kind, Unmanaged, Walked};
use super::{ScanMode, StoreFault};

/// How often a tree that changes while it is scanned is scanned again.
const SCANS: u32 = 3;
/// Pause before scanning again; doubles.
const PAUSE: Duration = Duration::from_millis(20);
/// More than the encoding of an entry takes beside its name and target.
const ENTRY_OVERHEAD: usize = 64;

/// A tree as it was found.
#[derive(Clone, Debug)]
pub struct Scan {
    /// Files, directories and links.
    pub manifest: Manifest,
    /// What is there and cannot be in a manifest.
    pub unmanaged: Vec<Unmanaged>,
    /// Files whose content was read, because nothing else proved what it is.
    pub read: u64,
}

/// Why there is no list. A scan changes nothing in the tree.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The root does not exist, and nothing was ever applied here.
    #[error("the root does not exist; the application was never applied here")]
    Absent,
    /// The root (the empty path) vanished, or something in it cannot be read: no list, not an empty one.
    #[error("cannot read {path:?} of the tree: {source}")]
    Unreadable {
        /// What could not be read.
        path: ItemPath,
        /// Why.
        source: io::Error,
    },
    /// Something is being changed again and again while it is read.
    #[error("{path:?} changes while it is read")]
    Unstable {
        /// What.
        path: ItemPath,
    },
    /// A path that no manifest may hold.
    #[error("cannot name {path:?} in a manifest: {reason}")]
    Unnameable {
        /// The path, as text.
        path: String,
        /// What is wrong with it.
        reason: PathError,
    },
    /// A directory with more entries than fit one directory of a manifest.
    #[error("directory {path:?} has too many entries for a manifest ({entries})")]
    TooLarge {
        /// Which.
        path: ItemPath,
        /// How many it has.
        entries: usize,
    },
    /// The tree cannot be a manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The cache could not be read or saved.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
}

impl From<Cancelled> for ScanError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

/// Scans a tree, again if it changes meanwhile.
pub(crate) fn scan_tree(
    beneath: &Beneath,
    cache: &mut Cache,
    patterns: &Patterns,
    mode: ScanMode,
    job: Job<'_>,
) -> Result<(Scan, Walked), ScanError> {
    let mut pause = PAUSE;
    for _ in 1..SCANS {
        match scan_once(beneath, cache, patterns, mode, job) {
            Err(ScanError::Unstable { .. }) => {}
            result => return result,
        }
        std::thread::sleep(pause);
        pause *= 2;
    }
    scan_once(beneath, cache, patterns, mode, job)
}

fn scan_once(
    beneath: &Beneath,
    cache: &mut Cache,
    patterns: &Patterns,
    mode: ScanMode,
    job: Job<'_>,
) -> Result<(Scan, Walked), ScanError> {
    let walked = walk::walk(beneath, patterns, job)?;
    let mut items = BTreeMap::new();
    let mut unknown: Vec<&Found> = Vec::new();
    for found in &walked.found {
        match known_item(found, cache, mode) {
            Some(item) => {
                items.insert(found.path.clone(), item);
            }
            None => unknown.push(found),
        }
    }
    let paths: Vec<&ItemPath> = unknown.iter().map(|found| &found.path).collect();
    let read = paths.len() as u64;
    for (path, hashed) in paths.iter().zip(hashing::hash_all(beneath, &paths, mode, job)?) {
        learn(cache, path, &hashed);
        let Hashed { content, stamp, .. } = hashed;
        items.insert((*path).clone(), Item::File { mode: stamp.permissions(), size: stamp.size, content });
    }
    cache.retain(|path| matches!(items.get(path), Some(Item::File { .. })));
    let manifest = Manifest::from_items(&items)?;
    check_sizes(&manifest)?;
    let unmanaged = walked.unmanaged.clone();
    Ok((Scan { manifest, unmanaged, read }, walked))
}

fn known_item(found: &Found, cache: &Cache, mode: ScanMode) -> Option<Item> {
    let permissions = found.stamp.permissions();
    match &found.kind {
        Kind::Directory => Some(Item::Directory { mode: permissions }),
        Kind::Symlink(target) => Some(Item::Symlink { target: target.clone() }),
        Kind::File if mode == ScanMode::ReadAll => None,
        Kind::File => cache.content(&found.path, &found.stamp).map(|content| Item::File {
            mode: permissions,
            size: found.stamp.size,
            content,
        }),
    }
}

fn learn(cache: &mut Cache, path: &ItemPath, hashed: &Hashed) {
    if hashed.racy {
        cache.forget(path);
    } else {
        cache.learn(path, &hashed.stamp, hashed.content);
    }
}

/// Refuses here what every other member would refuse to decode.
fn check_sizes(manifest: &Manifest) -> Result<(), ScanError> {
    let weight = |directory: &Directory| -> usize {
        let entry = |entry: &althing_protocol::manifest::Entry| {
            let target = if let Node::Symlink(target) = &entry.node { target.len() } else { 0 };
            entry.name.len() + target + ENTRY_OVERHEAD
        };
        directory.entries.iter().map(entry).sum()
    };
    for (name, directory) in &manifest.directories {
        if weight(directory) > limits::DIRECTORY_BYTES && directory.encode().len() > limits::DIRECTORY_BYTES {
            return Err(ScanError::TooLarge {
                path: path_of(manifest, name).unwrap_or_default(),
                entries: directory.entries.len(),
            });
        }
    }
    Ok(())
}

/// Where a directory lies.
fn path_of(manifest: &Manifest, wanted: &althing_protocol::hash::Hash) -> Option<ItemPath> {
    let mut open = vec![(ItemPath::root(), manifest.root)];
    while let Some((path, name)) = open.pop() {
        if name == *wanted {
            return Some(path);
        }
        for entry in &manifest.directory(&name).ok()?.entries {
            if let Node::Directory(_, below) = entry.node {
                open.push((path.join(&entry.name).ok()?, below));
            }
        }
    }
    None
}
