//! Permission bits and owners of what is in the tree, changed through descriptors of exactly that item.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;

use althing_protocol::manifest::Item;
use althing_protocol::path::ItemPath;
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid};

use super::asked::path_of;
use super::beneath::{self, Beneath};
use super::stamp::Stamp;

/// What a member needs to list, enter and fill a directory of its own.
const PASSABLE: u32 = 0o700;

/// The bits of CAP_CHOWN and CAP_SETFCAP in the capabilities of a process.
const CAP_CHOWN: u32 = 0;
const CAP_SETFCAP: u32 = 31;

/// Directories that were made passable, and the mode each had before.
pub(crate) type Loosened = BTreeMap<ItemPath, u32>;

/// How setting the mode or owner of a file or link went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SetMode {
    /// Done.
    Done,
    /// It must be replaced, not changed: it has several names, one of which may lie outside of the tree; or it is to lend
    /// rights, and somebody may have it open.
    Shared,
}

/// Sets the mode of a directory. What is none any more, or is gone, is left as it is.
pub(crate) fn set_directory(beneath: &Beneath, path: &ItemPath, mode: u32) -> io::Result<()> {
    let item = match beneath.pin(path) {
        Err(error) if beneath::has_moved(&error) => return Ok(()),
        result => result?,
    };
    if Stamp::of(&item)?.kind() == FileType::Directory { set_open(&item, mode) } else { Ok(()) }
}

/// A descriptor that only pins an item has no `fchmod`; its `/proc` name leads to exactly that item, by no path.
pub(crate) fn set_open(item: impl AsFd, mode: u32) -> io::Result<()> {
    Ok(rustix::fs::chmodat(CWD, path_of(item), Mode::from_raw_mode(mode), AtFlags::empty())?)
}

/// Opens the directory at `path` to work in it. Where the member is not root and its own directories are in the
/// way by their modes, makes them passable and notes what they were.
pub(crate) fn open_passable(
    beneath: &Beneath,
    path: &ItemPath,
    loosened: &mut Loosened,
) -> io::Result<OwnedFd> {
    if is_root() {
        return beneath.directory(path);
    }
    let mut at = ItemPath::root();
    for component in path.components() {
        at = at.join(component).map_err(io::Error::other)?;
        let item = beneath.pin(&at)?;
        let stamp = Stamp::of(&item)?;
        let is_mine = stamp.user == rustix::process::geteuid().as_raw();
        if stamp.kind() == FileType::Directory && is_mine && stamp.mode & PASSABLE != PASSABLE {
            set_open(&item, stamp.permissions() | PASSABLE)?;
            loosened.entry(at.clone()).or_insert(stamp.permissions());
        }
    }
    beneath.directory(path)
}

/// Makes a directory of ours passable.
pub(crate) fn make_passable(parent: &OwnedFd, name: &[u8]) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::DIRECTORY;
    let item = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    set_open(&item, Stamp::of(&item)?.permissions() | PASSABLE)
}

/// Gives each item of `tree` the owner that the item of the same path has in `model`, where there is one. A tree that is
/// built anew is the application's users' as much as the one before.
pub(crate) fn take_owners(
    model: &Beneath,
    tree: &Beneath,
    items: &BTreeMap<ItemPath, Item>,
) -> io::Result<()> {
    if !may_give() {
        return Ok(());
    }
    for (path, item) in items {
        let Ok(stamp) = model.pin(path).and_then(Stamp::of) else { continue };
        let made = tree.pin(path)?;
        let is = Stamp::of(&made)?;
        if (is.user, is.group) == (stamp.user, stamp.group) {
            continue;
        }
        let (user, group) = (Uid::from_raw(stamp.user), Gid::from_raw(stamp.group));
        rustix::fs::chownat(&made, "", Some(user), Some(group), AtFlags::EMPTY_PATH)?;
        // Giving a file away takes its set-uid bit.
        if let Item::File { mode, .. } | Item::Directory { mode, .. } = item {
            set_open(&made, *mode)?;
        }
    }
    Ok(())
}

/// Whether modes are in nobody's way.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether files can be given to others.
pub(crate) fn may_give() -> bool {
    has_capability(CAP_CHOWN)
}

/// Whether files can be given capabilities.
pub(crate) fn may_set_capabilities() -> bool {
    has_capability(CAP_SETFCAP)
}

fn has_capability(bit: u32) -> bool {
    static EFFECTIVE: OnceLock<Option<u64>> = OnceLock::new();
    let effective = EFFECTIVE.get_or_init(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
    });
    effective.map_or_else(is_root, |bits| bits & (1 << bit) != 0)
}

/// Whose an item becomes that is put at `name`: whose the one it replaces is, or else the directory. Where the
/// application does not settle owners, this keeps a tree that belongs to an application's user that user's.
pub(crate) fn owner_for(parent: impl AsFd, name: &[u8]) -> io::Result<Option<(Uid, Gid)>> {
    if !may_give() {
        return Ok(None);
    }
    let stamp = match Stamp::of_entry(&parent, name) {
        Ok(stamp) if matches!(stamp.kind(), FileType::RegularFile | FileType::Directory) => stamp,
        _ => Stamp::of(&parent)?,
    };
    Ok(Some((Uid::from_raw(stamp.user), Gid::from_raw(stamp.group))))
}
