//! What an application asks for beside kind, mode and content of items: owners by name, extended attributes. Read from
//! the tree here; given in [`super::giving`].

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use althing_protocol::attributes::Attributes;
use althing_protocol::handling::Handling;
use althing_protocol::path::ItemPath;
use rustix::fs::FileType;
use rustix::io::Errno;
use serde_bytes::ByteBuf;

use super::beneath::{self, Beneath};
use super::names::Names;
use super::scan::ScanError;
use super::stamp::Stamp;
use super::unmanaged::Patterns;
use super::walk::unreadable;

/// How often a value that grows while it is read is read again.
const READS: u32 = 8;

/// What of a tree is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    /// Paths that are not.
    pub(crate) patterns: &'a Patterns,
    /// What of the others.
    pub(crate) handling: &'a Handling,
}

/// Reads what is asked for.
pub(crate) struct Asked<'a> {
    beneath: &'a Beneath,
    handling: &'a Handling,
    names: Names,
}

impl<'a> Asked<'a> {
    pub(crate) fn of(beneath: &'a Beneath, handling: &'a Handling) -> Self {
        Self { beneath, handling, names: Names::default() }
    }

    /// Of the item that has this stamp. Costs nothing where only owners are asked for.
    pub(crate) fn read(&mut self, path: &ItemPath, stamp: &Stamp) -> Result<Attributes, ScanError> {
        if !self.handling.asks() {
            return Ok(Attributes::default());
        }
        let failed = |source| unreadable(path, source);
        let mut attributes = Attributes::default();
        if self.handling.owners {
            attributes.owner = Some(self.names.user(stamp.user).map_err(failed)?);
            attributes.group = Some(self.names.group(stamp.group).map_err(failed)?);
        }
        if !self.handling.xattrs.is_empty() && stamp.kind() != FileType::Symlink {
            attributes.extended = self.extended(path, stamp)?;
        }
        if attributes.is_within_bounds() {
            Ok(attributes)
        } else {
            Err(ScanError::Attributes { path: path.clone() })
        }
    }

    fn extended(&self, path: &ItemPath, stamp: &Stamp) -> Result<BTreeMap<Box<str>, ByteBuf>, ScanError> {
        let unstable = || ScanError::Unstable { path: path.clone() };
        let item = match self.beneath.pin(path) {
            Err(error) if beneath::has_moved(&error) => return Err(unstable()),
            result => result.map_err(|source| unreadable(path, source))?,
        };
        let read = extended_of(&item, self.handling).map_err(|source| unreadable(path, source))?;
        // Every change of an attribute is in the ctime.
        match Stamp::of(&item) {
            Ok(now) if now.is_unchanged(stamp) => Ok(read),
            _ => Err(unstable()),
        }
    }
}

/// The extended attributes of an open or pinned item that are asked for.
pub(crate) fn extended_of(item: impl AsFd, handling: &Handling) -> io::Result<BTreeMap<Box<str>, ByteBuf>> {
    let at = path_of(&item);
    let mut read = BTreeMap::new();
    for name in names_at(&at)?.into_iter().filter(|name| handling.asks_for(name)) {
        if let Some(value) = value_at(&at, &name)? {
            read.insert(name.into(), ByteBuf::from(value));
        }
    }
    Ok(read)
}

/// All extended attributes that can be seen.
pub(crate) fn all_of(item: impl AsFd) -> io::Result<Vec<(String, Vec<u8>)>> {
    let at = path_of(&item);
    let mut read = Vec::new();
    for name in names_at(&at)? {
        if let Some(value) = value_at(&at, &name)? {
            read.push((name, value));
        }
    }
    Ok(read)
}

/// A descriptor that only pins an item cannot be asked; its `/proc` name leads to exactly that item, by no path.
pub(crate) fn path_of(item: impl AsFd) -> String {
    format!("/proc/self/fd/{}", item.as_fd().as_raw_fd())
}

/// Names that are text; none where the file system has no such attributes.
fn names_at(at: &str) -> io::Result<Vec<String>> {
    let list = grown(|| rustix::fs::listxattr_query(at), |buffer| rustix::fs::listxattr(at, buffer));
    let list = match list {
        Err(Errno::NOTSUP) => Vec::new(),
        result => result?,
    };
    let names = list.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.filter_map(|name| String::from_utf8(name.to_vec()).ok()).collect())
}

fn value_at(at: &str, name: &str) -> io::Result<Option<Vec<u8>>> {
    let query = || rustix::fs::getxattr_query(at, name);
    match grown(query, |buffer| rustix::fs::getxattr(at, name, buffer)) {
        Err(Errno::NODATA) => Ok(None),
        result => Ok(Some(result?)),
    }
}

/// Reads something whose size has to be asked first.
fn grown(
    query: impl Fn() -> rustix::io::Result<usize>,
    read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
) -> rustix::io::Result<Vec<u8>> {
    for _ in 0..READS {
        let mut buffer = vec![0; query()?.max(1)];
        match read(&mut buffer) {
            Err(Errno::RANGE) => {}
            result => {
                buffer.truncate(result?);
                return Ok(buffer);
            }
        }
    }
    Err(Errno::RANGE)
}
