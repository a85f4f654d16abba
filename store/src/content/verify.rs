//! Reading content again, to find what the disk changed.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use althing_protocol::hash::Hash;

use super::batch::Positioned;
use super::{BUFFER_BYTES, Content, Inner, writing};
use crate::collect::lock;
use crate::error::ContentError;
use crate::layout::sync_directory;

/// Damaged files that are kept to be looked at; the oldest goes.
const DAMAGED_KEPT: usize = 16;

/// What reading again has found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is what its name says.
    Sound,
    /// It is not here.
    Missing,
    /// It was not what its name says, or the disk could not read it. It is not here any more.
    Damaged {
        /// Where it was put.
        aside: PathBuf,
    },
}

impl Content {
    /// Reads content again. What is damaged is moved aside, so that it is missing and can be fetched.
    pub fn verify(&self, hash: &Hash) -> Result<Verdict, ContentError> {
        let Some(file) = self.open(hash)? else { return Ok(Verdict::Missing) };
        match hash_of(&file) {
            Ok((found, _)) if found == *hash => return Ok(Verdict::Sound),
            Ok(_) => {}
            // Whatever the disk cannot read any more is as good as changed.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {}
            Err(source) => {
                return Err(ContentError::Io { doing: "read", path: self.inner.path(hash), source });
            }
        }
        match self.inner.put_aside(hash, &file)? {
            Some(aside) => Ok(Verdict::Damaged { aside }),
            // It was removed or replaced since it was opened: look again.
            None => self.verify(hash),
        }
    }
}

impl Inner {
    /// Moves a damaged file away, unless its name no longer stands for the file that was read.
    fn put_aside(&self, hash: &Hash, read: &File) -> Result<Option<PathBuf>, ContentError> {
        let _alone = lock(&self.names);
        let from = self.path(hash);
        let io = |source| writing("put aside", &from, source);
        if !is_same(read, &from).map_err(io)? {
            return Ok(None);
        }
        make_room(&self.damaged).map_err(io)?;
        let aside = self.damaged.join(hash.hex());
        fs::rename(&from, &aside).map_err(io)?;
        sync_directory(&self.directory(hash)).map_err(io)?;
        tracing::warn!(content = %hash, aside = %aside.display(), "content was damaged on disk and put aside");
        Ok(Some(aside))
    }
}

fn is_same(open: &File, path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(there) => Ok(open.metadata()?.ino() == there.ino()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn make_room(damaged: &Path) -> io::Result<()> {
    let mut kept: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(damaged)? {
        let entry = entry?;
        kept.push((entry.metadata()?.modified()?, entry.path()));
    }
    kept.sort();
    let surplus = (kept.len() + 1).saturating_sub(DAMAGED_KEPT);
    kept.iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(path))
}

/// The hash and length of a file's bytes.
pub(super) fn hash_of(file: &File) -> io::Result<(Hash, u64)> {
    let mut hasher = blake3::Hasher::new();
    let mut from = Positioned { file, at: 0 };
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok((Hash(*hasher.finalize().as_bytes()), from.at)),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
    }
}
