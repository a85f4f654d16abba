//! [`Site`]: the directory in which the link lies, the directory of the releases, and single steps on them.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use althing_protocol::codec;
use althing_protocol::hash::Hash;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::name::{Name, base_of};
use super::{Standing, releases_of, standing};
use crate::files::beneath::{self, Beneath};
use crate::files::stamp::Stamp;
use crate::files::swap::{self, Temporary};
use crate::files::{ApplyError, Files, StoreFault, place};

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// More than the names of the releases that are kept take.
const RECORD_BYTES: usize = 16 << 10;
/// Format of the record.
const FORMAT: u8 = 1;

/// Which releases were current here, the latest last.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    format: u8,
    names: Vec<String>,
}

/// Both directories, open.
#[derive(Debug)]
pub(super) struct Site<'a> {
    files: &'a Files,
    /// Where the link lies. Links on the way to it are the administrator's own and are followed.
    pub(super) parent: OwnedFd,
    /// Where the releases lie.
    pub(super) releases: OwnedFd,
}

impl<'a> Site<'a> {
    /// Opens both; makes the directory of the releases if need be.
    pub(super) fn make(files: &'a Files) -> Result<Self, ApplyError> {
        let root = files.root();
        let above = root.parent().unwrap_or(Path::new("/"));
        let failed = ApplyError::Root;
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(above).map_err(failed)?;
        files.check_ground()?;
        let parent = open(above, OFlags::empty()).map_err(failed)?;
        match rustix::fs::mkdirat(&parent, &name_of_releases(root)[..], Mode::from_raw_mode(0o755)) {
            Ok(()) => rustix::fs::fsync(&parent).map_err(|error| failed(error.into()))?,
            Err(Errno::EXIST) => {}
            Err(error) => return Err(failed(error.into())),
        }
        let site = Self::open_in(files, parent).map_err(failed)?;
        if Stamp::of(&site.parent).map_err(failed)?.device
            != Stamp::of(&site.releases).map_err(failed)?.device
        {
            return Err(failed(io::Error::other(format!(
                "{} must lie on the file system of {}",
                releases_of(root).display(),
                above.display()
            ))));
        }
        Ok(site)
    }

    fn open_in(files: &'a Files, parent: OwnedFd) -> io::Result<Self> {
        let name = name_of_releases(files.root());
        let releases = rustix::fs::openat(&parent, &name[..], DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
        Ok(Self { files, parent, releases })
    }

    /// What is at the root.
    pub(super) fn standing(&self) -> io::Result<Standing> {
        standing(self.files.root())
    }

    /// One of the releases.
    pub(super) fn open(&self, name: &Name) -> io::Result<Beneath> {
        Beneath::of(&beneath::enter(&self.releases, name.text().as_bytes())?)
    }

    /// All releases that lie here, and what was being built.
    pub(super) fn list(&self) -> io::Result<(Vec<Name>, Vec<Vec<u8>>)> {
        let (mut found, mut unfinished) = (Vec::new(), Vec::new());
        for entry in place::names_in(&self.releases)? {
            if let Some(name) = Name::parse(&entry) {
                found.push(name);
            } else if Temporary::parse(&entry) == Some(Temporary::Unfinished) {
                unfinished.push(entry);
            }
        }
        found.sort();
        Ok((found, unfinished))
    }

    /// Gives what was built its name, the next one of this root that is free.
    pub(super) fn finish(&self, fresh: &[u8], root: Hash) -> io::Result<Name> {
        let taken = self.list()?.0.into_iter().filter(|name| name.root == root).map(|name| name.number).max();
        let name = Name { root, number: taken.unwrap_or(0) + 1 };
        swap::move_to_free((&self.releases, fresh), (&self.releases, name.text().as_bytes()))?;
        rustix::fs::fsync(&self.releases)?;
        Ok(name)
    }

    /// Makes the root a link to this release, in one step. What was there, unless it was such a link, is then beside
    /// it under the name that is returned: whatever was put there since the root was looked at is kept.
    pub(super) fn link(&self, name: &Name) -> io::Result<Option<Vec<u8>>> {
        let base = base_of(self.files.root());
        let fresh = Temporary::Aside(Temporary::mark(base)).name()?;
        let target = name.target(self.files.root());
        rustix::fs::symlinkat(&target[..], &self.parent, &fresh[..])?;
        let aside = match swap::swap_in(&self.parent, &fresh, base) {
            // A file system that can neither exchange nor give a second name.
            Err(_) if self.is_ours(base) == Some(true) => {
                rustix::fs::renameat(&self.parent, &fresh[..], &self.parent, base)
                    .map(|()| None)
                    .map_err(io::Error::from)
            }
            swapped => swapped,
        };
        let aside = aside.inspect_err(|_| {
            // What stays is found by the next apply.
            let _ = rustix::fs::unlinkat(&self.parent, &fresh[..], AtFlags::empty());
        })?;
        rustix::fs::fsync(&self.parent)?;
        match aside {
            Some(aside) if self.is_ours(&aside) == Some(true) => {
                rustix::fs::unlinkat(&self.parent, &aside[..], AtFlags::empty())?;
                Ok(None)
            }
            aside => Ok(aside),
        }
    }

    /// Whether this is a link of ours; `None` if nothing is there.
    fn is_ours(&self, name: &[u8]) -> Option<bool> {
        match rustix::fs::readlinkat(&self.parent, name, Vec::new()) {
            Ok(target) => Some(Name::of_target(self.files.root(), target.as_bytes()).is_some()),
            Err(Errno::NOENT) => None,
            Err(_) => Some(false),
        }
    }

    /// Removes the link, if it is one of ours.
    pub(super) fn unlink(&self) -> io::Result<()> {
        let base = base_of(self.files.root());
        if self.is_ours(base) == Some(true) {
            rustix::fs::unlinkat(&self.parent, base, AtFlags::empty())?;
            rustix::fs::fsync(&self.parent)?;
        }
        Ok(())
    }

    /// What an apply that died left beside the root: links that were not swapped in are removed, the names of
    /// everything else that was swapped out are returned.
    pub(super) fn swapped_out(&self) -> io::Result<Vec<Vec<u8>>> {
        let ours = Temporary::Aside(Temporary::mark(base_of(self.files.root())));
        let mut out = Vec::new();
        for entry in place::names_in(&self.parent)? {
            if Temporary::parse(&entry) != Some(ours) {
                continue;
            }
            if self.is_ours(&entry) == Some(true) {
                rustix::fs::unlinkat(&self.parent, &entry[..], AtFlags::empty())?;
            } else {
                out.push(entry);
            }
        }
        Ok(out)
    }

    /// The releases that were current here, in the order in which they became so.
    pub(super) fn order(&self) -> Result<Vec<Name>, StoreFault> {
        let bytes = self.files.store.record(&self.files.order_key())?;
        let order = bytes.and_then(|bytes| codec::decode::<Order>(&bytes, RECORD_BYTES).ok());
        let names = order.filter(|order| order.format == FORMAT).map(|order| order.names).unwrap_or_default();
        Ok(names.iter().filter_map(|name| Name::parse(name.as_bytes())).collect())
    }

    /// Remembers the order.
    pub(super) fn remember(&self, order: &[Name]) -> Result<(), StoreFault> {
        let order = Order { format: FORMAT, names: order.iter().map(Name::text).collect() };
        Ok(self.files.store.put_record(&self.files.order_key(), Some(&codec::encode(&order)))?)
    }
}

impl Files {
    /// Forgets which releases were current here.
    pub(crate) fn forget_order(&self) -> Result<(), StoreFault> {
        if self.store.record(&self.order_key())?.is_some() {
            self.store.put_record(&self.order_key(), None)?;
        }
        Ok(())
    }

    fn order_key(&self) -> String {
        format!("files/releases/{}", self.application)
    }
}

fn open(path: &Path, more: OFlags) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(CWD, path, DIRECTORY | more, Mode::empty())?)
}

fn name_of_releases(root: &Path) -> Vec<u8> {
    releases_of(root).file_name().map_or_else(Vec::new, |name| name.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::sync::Arc;

    use althing_protocol::handling::{Handling, Switching};
    use althing_store::Store;

    use super::*;

    #[test]
    fn what_was_put_at_the_root_since_it_was_looked_at_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let store = Arc::new(Store::open(&at("daemon/store")).unwrap());
        let handling = Handling { switching: Switching::Release, ..Handling::default() };
        let files = Files::new("web", &at("root"), &at("daemon"), store).unwrap();
        let files = files.with_handling(handling).unwrap();
        let site = Site::make(&files).unwrap();
        let [one, two] = [1, 2].map(|number| Name { root: Hash([7; 32]), number });
        assert_eq!(site.link(&one).unwrap(), None, "nothing was there");
        assert_eq!(site.link(&two).unwrap(), None, "a link of ours is not kept");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3, "nor is it left beside the root");

        fs::remove_file(at("root")).unwrap();
        fs::write(at("root"), "an administrator's").unwrap();
        let aside = site.link(&one).unwrap().expect("it is beside the root");
        assert_eq!(fs::read_to_string(at("").join(OsStr::from_bytes(&aside))).unwrap(), "an administrator's");
        assert_eq!(fs::read_link(at("root")).unwrap().as_os_str().as_bytes(), &one.target(files.root())[..]);
    }
}
