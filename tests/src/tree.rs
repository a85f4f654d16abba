//! What is on a disk, to the byte and the mode.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Differences that are named; the rest is counted.
const NAMED: usize = 8;

/// One item.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Entry {
    File { mode: u32, hash: blake3::Hash, size: u64 },
    Directory { mode: u32 },
    Symlink { target: PathBuf },
    Other,
}

/// Everything below a directory, but not the directory itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tree(BTreeMap<PathBuf, Entry>);

impl Tree {
    /// Reads every byte.
    pub fn read(root: &Path) -> Result<Self> {
        let mut tree = BTreeMap::new();
        let mut open = vec![root.to_owned()];
        while let Some(directory) = open.pop() {
            let listing = std::fs::read_dir(&directory);
            for entry in listing.with_context(|| format!("cannot list {}", directory.display()))? {
                let path = entry?.path();
                let found = read(&path).with_context(|| format!("cannot read {}", path.display()))?;
                if matches!(found, Entry::Directory { .. }) {
                    open.push(path.clone());
                }
                tree.insert(path.strip_prefix(root)?.to_owned(), found);
            }
        }
        Ok(Self(tree))
    }

    /// Items.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Paths of files, in order.
    pub fn files(&self) -> Vec<&Path> {
        let file = |(path, entry): (_, &Entry)| matches!(entry, Entry::File { .. }).then_some(path);
        self.0.iter().filter_map(file).map(PathBuf::as_path).collect()
    }

    /// Paths with a component that begins with these bytes.
    pub fn named(&self, prefix: &str) -> Vec<&Path> {
        let begins = |name: &OsStr| name.as_bytes().starts_with(prefix.as_bytes());
        self.0.keys().map(PathBuf::as_path).filter(|path| path.iter().any(begins)).collect()
    }

    /// What differs in `other`, for people; nothing if they are the same.
    pub fn differences(&self, other: &Self) -> Option<String> {
        let mut lines = Vec::new();
        for (path, entry) in &self.0 {
            match other.0.get(path) {
                None => lines.push(format!("{} is missing", path.display())),
                Some(found) if found != entry => {
                    lines.push(format!("{} is {found:?}, not {entry:?}", path.display()));
                }
                Some(_) => {}
            }
        }
        let surplus = other.0.keys().filter(|path| !self.0.contains_key(*path));
        lines.extend(surplus.map(|path| format!("{} is too many", path.display())));
        let more = lines.len().saturating_sub(NAMED);
        lines.truncate(NAMED);
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        (!lines.is_empty()).then(|| lines.join("; "))
    }

    /// Whether what is below `root` now is this.
    pub fn is_at(&self, root: &Path) -> Result<(), String> {
        let found = Self::read(root).map_err(|error| format!("{error:#}"))?;
        self.differences(&found).map_or(Ok(()), Err)
    }
}

fn read(path: &Path) -> Result<Entry> {
    let metadata = std::fs::symlink_metadata(path)?;
    let mode = metadata.permissions().mode() & 0o7777;
    Ok(if metadata.is_symlink() {
        Entry::Symlink { target: std::fs::read_link(path)? }
    } else if metadata.is_dir() {
        Entry::Directory { mode }
    } else if metadata.is_file() {
        let bytes = std::fs::read(path)?;
        Entry::File { mode, hash: blake3::hash(&bytes), size: bytes.len() as u64 }
    } else {
        Entry::Other
    })
}
