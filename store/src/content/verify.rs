//! Reading content again, to find what the disk changed.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use althing_protocol::hash::{Hash, unhex};

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
        self.verify_paced(hash, &mut |_| {})
    }

    /// The same from the disk and not from memory, with a call after every few bytes, which may take its time.
    pub fn verify_paced(&self, hash: &Hash, pace: &mut dyn FnMut(usize)) -> Result<Verdict, ContentError> {
        let Some(file) = self.open(hash)? else { return Ok(Verdict::Missing) };
        // What memory remembers of it is not what is asked for. Best effort: pages that are dirty stay.
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
        match hash_of(&file, pace) {
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
            None => self.verify_paced(hash, pace),
        }
    }

    /// Whether something that was put aside as damaged has not been had again since.
    pub fn lacks_damaged(&self) -> Result<bool, ContentError> {
        let path = &self.inner.damaged;
        let io = |source| ContentError::Io { doing: "list", path: path.clone(), source };
        Ok(names_in(path).map_err(io)?.iter().any(|name| !self.has(name)))
    }

    /// Names of content in the directory `index` of 256, in order.
    pub fn names_in(&self, index: u8) -> Result<Vec<Hash>, ContentError> {
        let path = self.inner.content.join(format!("{index:02x}"));
        let listed = names_in(&path).map_err(|source| ContentError::Io { doing: "list", path, source });
        listed.map(|mut names| {
            names.sort();
            names
        })
    }
}

/// What has no hash for a name was not put here by the store.
fn names_in(directory: &Path) -> io::Result<Vec<Hash>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let digits = name.to_str().and_then(unhex).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        names.extend(digits.map(Hash));
    }
    Ok(names)
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
        sync_directory(&self.damaged).map_err(io)?;
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

/// The hash and length of a file's bytes, with a call after each part.
pub(super) fn hash_of(file: &File, pace: &mut dyn FnMut(usize)) -> io::Result<(Hash, u64)> {
    let mut hasher = blake3::Hasher::new();
    let mut from = Positioned { file, at: 0 };
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok((Hash(*hasher.finalize().as_bytes()), from.at)),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                pace(count);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
