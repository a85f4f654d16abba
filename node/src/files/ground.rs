//! The ground: the mount that an application's tree lies on. When that is not mounted any more, what lies at the root
//! is not the tree: nothing is published of it, and nothing is repaired there (finding 40, decision 0018).
//!
//! A file system that is gone leaves its mount point behind, empty, or the root is missing altogether: both look as
//! if somebody had removed everything. What tells them apart is the *place* where the file system was mounted. It is
//! remembered once a tree was seen; the tree is where it was while that place is a mount point. Device numbers would
//! not do: after a restart, and for network file systems after each mount, they are others.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use althing_protocol::codec;
use althing_protocol::path::ItemPath;
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::beneath::Beneath;
use super::scan::ScanError;
use super::stamp::Stamp;
use super::walk::unreadable;
use super::{Files, StoreFault};

/// More than a path takes.
const RECORD_BYTES: usize = 16 << 10;
/// Format of the record.
const FORMAT: u8 = 1;

/// What is remembered of an application.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Ground {
    format: u8,
    /// The mount point that was nearest above the root, or the root itself, with every link resolved.
    #[serde(with = "serde_bytes")]
    mount: Vec<u8>,
}

impl Files {
    /// Opens the root, unless the file system that it lay on is gone.
    pub(crate) fn open_on_ground(&self) -> Result<Beneath, ScanError> {
        self.neighbours.check(&self.application, &self.root)?;
        let opened = self.open_tree();
        self.check_ground()?;
        let beneath = opened.map_err(|source| self.unopened(source))?;
        // Between opening and checking something may have been mounted, or moved.
        self.check_still_there(&beneath)?;
        self.remember_ground()?;
        Ok(beneath)
    }

    /// Whether what was mounted where the tree lies still is.
    pub(crate) fn check_ground(&self) -> Result<(), ScanError> {
        let Some(mount) = self.ground()? else { return Ok(()) };
        match is_mount_point(&mount) {
            Ok(true) => Ok(()),
            Ok(false) => Err(ScanError::Vanished { root: self.root.clone(), mount }),
            Err(source) => Err(unreadable(&ItemPath::root(), source)),
        }
    }

    /// Whether the root is still what was opened.
    pub(crate) fn check_still_there(&self, beneath: &Beneath) -> Result<(), ScanError> {
        let root = ItemPath::root();
        let open =
            beneath.directory(&root).and_then(Stamp::of).map_err(|source| unreadable(&root, source))?;
        let there = if self.has_releases() {
            std::fs::metadata(&self.root)
        } else {
            std::fs::symlink_metadata(&self.root)
        };
        match there {
            Ok(there) if (there.dev(), there.ino()) == (open.device, open.inode) => Ok(()),
            _ => Err(ScanError::Unstable { path: root }),
        }
    }

    /// Remembers where the tree lies. Only for a root that is there, on its ground.
    pub(crate) fn remember_ground(&self) -> Result<(), StoreFault> {
        // A root that vanishes just now is not remembered; the next scan sees it.
        let Ok(mount) = mount_of(&self.root) else { return Ok(()) };
        if self.ground()?.as_ref() == Some(&mount) {
            return Ok(());
        }
        let ground = Ground { format: FORMAT, mount: mount.as_os_str().as_bytes().to_vec() };
        match self.store.put_record(&self.ground_key(), Some(&codec::encode(&ground))) {
            // The next scan remembers it.
            Err(error) if error.is_full() => Ok(()),
            result => Ok(result?),
        }
    }

    /// Forgets which file system the tree lay on: an administrator says that it belongs to where the root is now.
    pub fn forget_ground(&self) -> Result<(), StoreFault> {
        Ok(self.store.put_record(&self.ground_key(), None)?)
    }

    /// Where the file system of the tree was mounted. A record of another format is as if absent.
    fn ground(&self) -> Result<Option<PathBuf>, StoreFault> {
        let bytes = self.store.record(&self.ground_key())?;
        let ground = bytes.and_then(|bytes| codec::decode::<Ground>(&bytes, RECORD_BYTES).ok());
        let ground = ground.filter(|ground| ground.format == FORMAT);
        Ok(ground.map(|ground| PathBuf::from(OsStr::from_bytes(&ground.mount))))
    }

    fn ground_key(&self) -> String {
        format!("files/ground/{}", self.application)
    }
}

/// The mount point nearest above an existing directory, or the directory itself.
fn mount_of(directory: &Path) -> io::Result<PathBuf> {
    let resolved = directory.canonicalize()?;
    for ancestor in resolved.ancestors() {
        if is_mount_point(ancestor)? {
            return Ok(ancestor.to_owned());
        }
    }
    Ok(PathBuf::from("/"))
}

/// Whether something is mounted at `path`. What is not there is no mount point.
fn is_mount_point(path: &Path) -> io::Result<bool> {
    let Some(parent) = path.parent() else { return Ok(true) };
    let found = match rustix::fs::statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(false),
        result => result?,
    };
    if found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT) {
        return Ok(found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT));
    }
    // Kernels before 5.8 do not say; then only another device tells.
    let device = rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor);
    Ok(std::fs::symlink_metadata(parent)?.dev() != device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_is_a_mount_point_and_a_new_directory_is_none() {
        let directory = tempfile::tempdir().unwrap();
        assert!(is_mount_point(Path::new("/")).unwrap());
        assert!(is_mount_point(Path::new("/proc")).unwrap());
        assert!(!is_mount_point(directory.path()).unwrap());
        assert!(!is_mount_point(&directory.path().join("nothing")).unwrap());
    }

    #[test]
    fn the_nearest_mount_is_found_through_links() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("/proc/self/", &link).unwrap();
        assert_eq!(mount_of(&link).unwrap(), Path::new("/proc"));
        assert_eq!(mount_of(directory.path()).unwrap(), mount_of(&directory.path().join(".")).unwrap());
        assert!(mount_of(&directory.path().join("nothing")).is_err());
    }
}
