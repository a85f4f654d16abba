//! The scan: a tree as a manifest. Either the whole truth at one time, as far as stamps can tell, or an error;
//! never a list of what happened to be readable (design §6).

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use althing_protocol::attributes::Attributes;
use althing_protocol::limits;
use althing_protocol::manifest::{Directory, Item, Manifest, ManifestError, Node};
use althing_protocol::path::{ItemPath, PathError};

use super::asked::{Asked, Scope};
use super::beneath::Beneath;
use super::cache::Cache;
use super::hashing::{self, Hashed};
use super::job::{Cancelled, Job};
use super::stamp::Stamp;
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
    /// Why it is not what was applied last, where that is only because this member cannot make it so.
    pub beyond: Option<String>,
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
    /// The file system that the tree lies on is not mounted: what is at the root now is not the tree.
    #[error(
        "{} lies on a file system that was mounted at {} and is not any more",
        root.display(),
        mount.display()
    )]
    Vanished {
        /// The root.
        root: PathBuf,
        /// Where it was mounted.
        mount: PathBuf,
    },
    /// The trees of two applications lie in one another, by a link on the way to one of them.
    #[error("{} and {}, the root of {other}, lie in one another on this member", root.display(), theirs.display())]
    Shared {
        /// The root.
        root: PathBuf,
        /// The other application.
        other: String,
        /// Its root.
        theirs: PathBuf,
    },
    /// The application is switched by releases, and its root is not the link to one that an apply left there.
    #[error("{} is not a link to a release any more", root.display())]
    NoLink {
        /// The root.
        root: PathBuf,
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
    /// More extended attributes than a manifest takes.
    #[error(
        "{path:?} has more extended attributes that are asked for than a manifest takes: 32, of 64 KiB together"
    )]
    Attributes {
        /// Of what.
        path: ItemPath,
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
    scope: Scope<'_>,
    mode: ScanMode,
    job: Job<'_>,
) -> Result<(Scan, Walked), ScanError> {
    again(|| scan_once(beneath, cache, scope, mode, job))
}

/// The same of a tree in which nothing moved about meanwhile: what is published is one that was.
pub(crate) fn scan_still(
    beneath: &Beneath,
    cache: &mut Cache,
    scope: Scope<'_>,
    mode: ScanMode,
    job: Job<'_>,
) -> Result<(Scan, Walked), ScanError> {
    again(|| {
        let (scan, walked) = scan_once(beneath, cache, scope, mode, job)?;
        check_still_so(beneath, &walked)?;
        Ok((scan, walked))
    })
}

/// Tries a few times while what is read is being changed.
fn again<T>(mut attempt: impl FnMut() -> Result<T, ScanError>) -> Result<T, ScanError> {
    let mut pause = PAUSE;
    for _ in 1..SCANS {
        match attempt() {
            Err(ScanError::Unstable { .. }) => {}
            result => return result,
        }
        std::thread::sleep(pause);
        pause *= 2;
    }
    attempt()
}

fn scan_once(
    beneath: &Beneath,
    cache: &mut Cache,
    scope: Scope<'_>,
    mode: ScanMode,
    job: Job<'_>,
) -> Result<(Scan, Walked), ScanError> {
    let walked = walk::walk(beneath, scope.patterns, job)?;
    let mut asked = Asked::of(beneath, scope.handling);
    let mut items = BTreeMap::new();
    let mut unknown: Vec<&Found> = Vec::new();
    for found in &walked.found {
        match known_item(found, cache, mode) {
            Some(item) => {
                let attributes = asked.read(&found.path, &found.stamp)?;
                items.insert(found.path.clone(), item.with(attributes));
            }
            None => unknown.push(found),
        }
    }
    let paths: Vec<&ItemPath> = unknown.iter().map(|found| &found.path).collect();
    let read = paths.len() as u64;
    for (path, hashed) in paths.iter().zip(hashing::hash_all(beneath, &paths, mode, job)?) {
        learn(cache, path, &hashed);
        let Hashed { content, stamp, .. } = hashed;
        let attributes = asked.read(path, &stamp)?;
        let (mode, size) = (stamp.permissions(), stamp.size);
        items.insert((*path).clone(), Item::File { mode, size, content, attributes });
    }
    cache.retain(|path| matches!(items.get(path), Some(Item::File { .. })));
    let manifest = Manifest::from_items(&items)?;
    check_sizes(&manifest)?;
    let unmanaged = walked.unmanaged.clone();
    Ok((Scan { manifest, unmanaged, read, beyond: None }, walked))
}

/// A tree that was walked while things moved about in it may be one that never was: what moved from a directory that
/// was not listed yet to one that was is in neither (finding 41). Every directory must be as it was when it was listed.
fn check_still_so(beneath: &Beneath, walked: &Walked) -> Result<(), ScanError> {
    let below = walked.found.iter().filter(|found| found.kind == Kind::Directory);
    let below = below.map(|found| (&found.path, found.stamp));
    let root = ItemPath::root();
    for (path, listed) in walked.top.map(|top| (&root, top)).into_iter().chain(below) {
        let now = beneath.pin(path).and_then(Stamp::of);
        if !now.is_ok_and(|now| now.is_unchanged(&listed)) {
            return Err(ScanError::Unstable { path: path.clone() });
        }
    }
    Ok(())
}

/// Without what is asked for beside.
fn known_item(found: &Found, cache: &Cache, mode: ScanMode) -> Option<Item> {
    let (permissions, attributes) = (found.stamp.permissions(), Attributes::default());
    match &found.kind {
        Kind::Directory => Some(Item::Directory { mode: permissions, attributes }),
        Kind::Symlink(target) => Some(Item::Symlink { target: target.clone(), attributes }),
        Kind::File if mode == ScanMode::ReadAll => None,
        Kind::File => cache.content(&found.path, &found.stamp).map(|content| Item::File {
            mode: permissions,
            size: found.stamp.size,
            content,
            attributes,
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
            let Attributes { owner, group, extended } = &entry.attributes;
            let owners: usize = [owner, group].into_iter().flatten().map(|name| name.len()).sum();
            let extended: usize =
                extended.iter().map(|(name, value)| name.len() + value.len() + ENTRY_OVERHEAD).sum();
            entry.name.len() + target + owners + extended + ENTRY_OVERHEAD
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
