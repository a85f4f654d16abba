//! [`Beneath`]: every access to an application's tree, confined to it.
//!
//! Each operation opens the directory it works in anew, from the root downward, with `openat2` and the kernel's own
//! confinement: no `..`, no symbolic link anywhere on the way, no `/proc` link, no other mount. A directory that is
//! swapped for a link to /etc between two steps is refused, not followed.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use althing_protocol::path::ItemPath;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// What every path below a root is resolved with.
const CONFINED: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);

/// How often the kernel may ask for another try because something was renamed meanwhile.
const RENAME_RETRIES: usize = 16;

/// For a directory that is listed, worked in and synced.
const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

/// For a file that is read: never waits for the other end of a fifo, never becomes our terminal.
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

/// For an item that is only looked at and named, of whatever kind and mode.
const PIN: OFlags = OFlags::PATH.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

/// A directory tree, entered only from its root downward.
#[derive(Debug)]
pub(crate) struct Beneath {
    root: OwnedFd,
}

impl Beneath {
    /// Opens the root. Links in the path *to* the root are the administrator's own and are followed; the root
    /// itself must be a directory.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        Ok(Self { root: rustix::fs::openat(CWD, root, DIRECTORY, Mode::empty())? })
    }

    /// The tree below a directory that is open.
    pub(crate) fn of(directory: &OwnedFd) -> io::Result<Self> {
        Ok(Self { root: directory.try_clone()? })
    }

    /// Opens a directory of the tree for listing and working in it.
    pub(crate) fn directory(&self, path: &ItemPath) -> io::Result<OwnedFd> {
        self.resolve(path, DIRECTORY)
    }

    /// Opens a file of the tree for reading. The caller checks that it is a regular one.
    pub(crate) fn file(&self, path: &ItemPath) -> io::Result<OwnedFd> {
        self.resolve(path, READ)
    }

    /// Opens an item of any kind without access to its content.
    pub(crate) fn pin(&self, path: &ItemPath) -> io::Result<OwnedFd> {
        self.resolve(path, PIN)
    }

    fn resolve(&self, path: &ItemPath, flags: OFlags) -> io::Result<OwnedFd> {
        let bytes = if path.is_root() { b"." } else { path.as_bytes() };
        match open_below(&self.root, bytes, flags) {
            Err(error) if error.raw_os_error() == Some(Errno::NOSYS.raw_os_error()) => {
                self.by_component(path, flags)
            }
            result => result,
        }
    }

    /// What `openat2` does, for kernels without it: as the path has no `..`, taking no link at any component
    /// confines as well. (A mount in the tree is noticed by the walk only.)
    fn by_component(&self, path: &ItemPath, flags: OFlags) -> io::Result<OwnedFd> {
        let mut at = rustix::fs::openat(&self.root, ".", PIN | OFlags::DIRECTORY, Mode::empty())?;
        let Some((parent, name)) = path.split() else {
            return Ok(rustix::fs::openat(&self.root, ".", flags, Mode::empty())?);
        };
        for component in parent.components() {
            at = rustix::fs::openat(&at, component, PIN | OFlags::DIRECTORY, Mode::empty())?;
        }
        Ok(rustix::fs::openat(&at, name, flags, Mode::empty())?)
    }
}

/// Opens the directory `name` that lies directly in `parent`, without leaving its mount.
pub(crate) fn enter(parent: impl AsFd, name: &[u8]) -> io::Result<OwnedFd> {
    match open_below(&parent, name, DIRECTORY) {
        Err(error) if error.raw_os_error() == Some(Errno::NOSYS.raw_os_error()) => {
            Ok(rustix::fs::openat(&parent, name, DIRECTORY, Mode::empty())?)
        }
        result => result,
    }
}

/// Opens the item `name` that lies directly in `parent`, for reading.
pub(crate) fn read_in(parent: impl AsFd, name: &[u8]) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(parent, name, READ, Mode::empty())?)
}

/// Opens the item `name` that lies directly in `parent`, of whatever kind, without access to its content.
pub(crate) fn pin_in(parent: impl AsFd, name: &[u8]) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(parent, name, PIN, Mode::empty())?)
}

/// Whether an error says that what was listed a moment ago is gone or something else by now.
pub(crate) fn has_moved(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO))
}

fn open_below(at: impl AsFd, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    for _ in 0..RENAME_RETRIES {
        match rustix::fs::openat2(&at, path, flags, Mode::empty(), CONFINED) {
            Err(Errno::AGAIN) => {}
            result => return Ok(result?),
        }
    }
    Err(Errno::AGAIN.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn path(text: &str) -> ItemPath {
        ItemPath::new(text.as_bytes()).expect("a good path")
    }

    #[test]
    fn no_link_is_taken_on_the_way_or_at_the_end() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "s").unwrap();
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir(tree.path().join("real")).unwrap();
        std::fs::write(tree.path().join("real/file"), "f").unwrap();
        symlink(outside.path(), tree.path().join("link")).unwrap();
        symlink("real", tree.path().join("inner")).unwrap();
        let beneath = Beneath::open(tree.path()).unwrap();
        for (name, opens) in
            [("link", false), ("link/secret", false), ("inner/file", false), ("real/file", true)]
        {
            assert_eq!(beneath.file(&path(name)).is_ok(), opens, "{name}");
            assert_eq!(beneath.by_component(&path(name), READ).is_ok(), opens, "{name}");
        }
        assert!(beneath.directory(&path("link")).is_err());
        assert!(beneath.directory(&path("real")).is_ok());
        assert!(beneath.directory(&ItemPath::root()).is_ok());
    }
}
