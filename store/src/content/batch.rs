//! Adding content: staged and hashed first, then made durable together, then put in place.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use althing_protocol::hash::Hash;
use rustix::fs::ioctl_ficlone;

use super::{BUFFER_BYTES, Inner, writing};
use crate::collect::{Young, lock};
use crate::error::ContentError;
use crate::layout::{make_directory, sync_directory};

/// From so many files on one sync of the file system replaces one for each.
const FEW: usize = 8;
/// Staged files whose data is not yet durable, and so are open. Then they are synced together.
const UNSYNCED_FILES: usize = 64;
/// Bytes that are written before the disk is asked again whether there is room.
const ADMITTED_BYTES: u64 = 1 << 20;
/// Threads that wait for the disk at once: a journal takes several files in one go.
const SYNC_THREADS: usize = 4;

/// Whether adding did something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Added {
    /// It is staged.
    Staged,
    /// The store, or this batch, has it. Nothing was read.
    Held,
}

/// Content on its way into the store. Nothing is promised before [`ContentBatch::finish`]; dropping it instead
/// removes what was staged.
#[derive(Debug)]
pub struct ContentBatch {
    inner: Arc<Inner>,
    /// A directory of its own, made with the first file.
    staging: PathBuf,
    /// Complete files by hash.
    staged: BTreeMap<Hash, PathBuf>,
    /// Those of `staged` whose data may not be on the disk.
    unsynced: Vec<(PathBuf, File)>,
    /// Why a sync failed, if one did. The kernel tells that once and may drop the data, so a second one that succeeds says
    /// nothing: of this batch nothing is put in place any more.
    failed: Option<io::ErrorKind>,
    files: u64,
}

/// A staged file that is not complete; removed unless it is kept.
struct Staging {
    path: PathBuf,
    file: File,
    kept: bool,
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.kept {
            // Whatever stays is removed with the batch's directory.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl ContentBatch {
    pub(super) fn new(inner: Arc<Inner>, number: u64) -> Self {
        let staging = inner.staging.join(number.to_string());
        Self { inner, staging, staged: BTreeMap::new(), unsynced: Vec::new(), failed: None, files: 0 }
    }

    /// Stages content that is known by hash and size. Anything else is refused, and read no further than it takes to
    /// know. What is held is not read at all, and stays as what is new does.
    pub fn add(&mut self, expected: &Hash, size: u64, from: &mut dyn Read) -> Result<Added, ContentError> {
        if self.staged.contains_key(expected) || self.inner.rely_on(expected, size) {
            return Ok(Added::Held);
        }
        self.inner.admit(&self.staging, size)?;
        let mut staging = self.create()?;
        let (found, length) = copy(&self.inner, from, &mut staging, size.saturating_add(1))?;
        if length != size {
            return Err(ContentError::WrongSize { name: *expected, expected: size, found: length });
        }
        if found != *expected {
            return Err(ContentError::WrongHash { expected: *expected, found });
        }
        self.keep(found, staging)?;
        Ok(Added::Staged)
    }

    /// Stages whatever comes and names it.
    pub fn add_any(&mut self, from: &mut dyn Read) -> Result<(Hash, u64), ContentError> {
        let mut staging = self.create()?;
        let (found, length) = copy(&self.inner, from, &mut staging, u64::MAX)?;
        self.keep_new(found, length, staging)
    }

    /// Stages the whole of a file and names it. Where the file system can share blocks, nothing is copied and what is
    /// named is one state of the file, however it changes meanwhile. Its read position is left alone.
    pub fn add_file(&mut self, file: &File) -> Result<(Hash, u64), ContentError> {
        let mut staging = self.create()?;
        // Not on one file system, or one that cannot: then it is copied, and real trouble shows there.
        let (found, length) = if ioctl_ficlone(&staging.file, file).is_ok() {
            hash(&staging).map_err(|source| writing("read", &staging.path, source))?
        } else {
            copy(&self.inner, &mut Positioned { file, at: 0 }, &mut staging, u64::MAX)?
        };
        self.keep_new(found, length, staging)
    }

    /// Takes a file of this file system whose bytes are durable and were found to be this content.
    pub(super) fn take(&mut self, name: &Hash, path: &Path) -> Result<(), ContentError> {
        let mut staging = self.create()?;
        staging.file = File::open(path).map_err(|source| writing("open", path, source))?;
        fs::rename(path, &staging.path).map_err(|source| writing("stage", path, source))?;
        self.keep(*name, staging)
    }

    /// Makes everything durable and puts it in place. What is in place stays after an error, but only success is a
    /// promise for all.
    pub fn finish(mut self) -> Result<(), ContentError> {
        if let Some(kind) = self.failed {
            return Err(writing("sync", &self.staging, kind.into()));
        }
        self.sync()?;
        // Even with nothing staged this waits for other batches: what was relied upon may be theirs.
        let inner = Arc::clone(&self.inner);
        let mut young = lock(&inner.names);
        let (directories, placed) = self.put_in_place(&mut young);
        in_threads(&directories, |path| sync_directory(path)).map_err(|(path, source)| {
            // What stays in `staging` has the next start make the names durable.
            self.files = 0;
            ContentError::Fatal { path: path.clone(), source }
        })?;
        placed
    }

    /// Gives what has to be synced, also after an error.
    fn put_in_place(&self, young: &mut Young) -> (Vec<PathBuf>, Result<(), ContentError>) {
        let mut directories = BTreeSet::new();
        let placed = self.staged.iter().try_for_each(|(hash, from)| {
            let to = self.inner.path(hash);
            directories.insert(self.inner.directory(hash));
            self.inner.admit(&to, 0)?;
            young.add(hash);
            fs::rename(from, &to).map_err(|source| writing("put in place", &to, source))
        });
        (directories.into_iter().collect(), placed)
    }

    fn create(&mut self) -> Result<Staging, ContentError> {
        self.inner.admit(&self.staging, 0)?;
        if self.files == 0 {
            make_directory(&self.staging).map_err(|source| writing("create", &self.staging, source))?;
        }
        let path = self.staging.join(self.files.to_string());
        self.files += 1;
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|source| writing("create", &path, source))?;
        Ok(Staging { path, file, kept: false })
    }

    fn keep_new(&mut self, hash: Hash, length: u64, from: Staging) -> Result<(Hash, u64), ContentError> {
        if !self.staged.contains_key(&hash) && !self.inner.rely_on(&hash, length) {
            self.keep(hash, from)?;
        }
        Ok((hash, length))
    }

    fn keep(&mut self, hash: Hash, mut from: Staging) -> Result<(), ContentError> {
        let file = from.file.try_clone().map_err(|source| writing("open", &from.path, source))?;
        from.kept = true;
        self.staged.insert(hash, from.path.clone());
        self.unsynced.push((from.path.clone(), file));
        if self.unsynced.len() >= UNSYNCED_FILES { self.sync() } else { Ok(()) }
    }

    fn sync(&mut self) -> Result<(), ContentError> {
        if self.unsynced.is_empty() {
            return Ok(());
        }
        self.inner.admit(&self.staging, 0)?;
        let files = std::mem::take(&mut self.unsynced);
        sync_all(&files).map_err(|(path, source)| {
            self.failed = Some(source.kind());
            writing("sync", path, source)
        })
    }
}

/// Has the data of these files, which lie in one directory, on the disk; or where it failed.
fn sync_all(files: &[(PathBuf, File)]) -> Result<(), (&Path, io::Error)> {
    if files.len() >= FEW
        && let Some((path, file)) = files.last()
    {
        // All of them are on one file system: one sync for all is many times cheaper, even where it writes out what
        // others left dirty (docs/benchmarks.md).
        return rustix::fs::syncfs(file).map_err(|error| (path.as_path(), error.into()));
    }
    in_threads(files, |(_, file)| file.sync_data()).map_err(|((path, _), source)| (path.as_path(), source))
}

impl Drop for ContentBatch {
    fn drop(&mut self) {
        self.unsynced.clear();
        if self.files > 0 {
            // Also what says, while it is there, that names may not be durable. The next start tries again.
            if let Err(error) = fs::remove_dir_all(&self.staging) {
                tracing::warn!(path = %self.staging.display(), %error, "staged content was not removed");
            }
        }
    }
}

impl Inner {
    /// Whether it is here with this size. If so it is young, so that it is not collected before its user has said
    /// that it is needed.
    pub(super) fn rely_on(&self, hash: &Hash, size: u64) -> bool {
        let mut young = lock(&self.names);
        let here = self.held(hash).is_some_and(|metadata| metadata.len() == size);
        if here {
            young.add(hash);
        }
        here
    }
}

/// Copies at most `limit` bytes and hashes them, while the disk takes them.
fn copy(
    inner: &Inner,
    from: &mut dyn Read,
    to: &mut Staging,
    limit: u64,
) -> Result<(Hash, u64), ContentError> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let (mut length, mut admitted) = (0, 0);
    while length < limit {
        let room = usize::try_from(limit - length).map_or(BUFFER_BYTES, |left| left.min(BUFFER_BYTES));
        let count = match from.read(&mut buffer[..room]) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(ContentError::Source(source)),
        };
        hasher.update(&buffer[..count]);
        if length >= admitted {
            inner.admit(&to.path, ADMITTED_BYTES)?;
            admitted = length + ADMITTED_BYTES;
        }
        write_sparse(&mut to.file, &buffer[..count]).map_err(|source| writing("write", &to.path, source))?;
        length += count as u64;
    }
    // A hole at the end has no byte that would make the file so long.
    to.file.set_len(length).map_err(|source| writing("write", &to.path, source))?;
    Ok((Hash(*hasher.finalize().as_bytes()), length))
}

/// Leaves a hole where there are only zeros, so that a sparse file does not become a full disk.
fn write_sparse(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    if bytes.iter().all(|byte| *byte == 0) {
        return file.seek_relative(bytes.len() as i64);
    }
    file.write_all(bytes)
}

fn hash(staging: &Staging) -> io::Result<(Hash, u64)> {
    super::verify::hash_of(&staging.file, &mut |_| {})
}

/// Reads a file without moving its read position.
pub(super) struct Positioned<'a> {
    pub(super) file: &'a File,
    pub(super) at: u64,
}

impl Read for Positioned<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// Does the same to each, in a few threads, and gives the first failure.
fn in_threads<'a, T: Sync>(
    all: &'a [T],
    work: impl Fn(&T) -> io::Result<()> + Sync,
) -> Result<(), (&'a T, io::Error)> {
    let work = |some: &'a [T]| some.iter().try_for_each(|one| work(one).map_err(|error| (one, error)));
    if all.len() < SYNC_THREADS {
        return work(all);
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = all
            .chunks(all.len().div_ceil(SYNC_THREADS))
            .map(|some| scope.spawn(move || work(some)))
            .collect();
        // A panic in `work` is a defect of this file, and goes on.
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

#[cfg(test)]
mod tests {
    use crate::Store;

    use super::*;

    #[test]
    fn what_could_not_be_synced_is_never_put_in_place() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store")).unwrap();
        let content = store.content();
        let mut batch = content.batch();
        let (kept, _) = batch.add_any(&mut &b"one"[..]).unwrap();
        // A pipe has nothing that could be synced.
        let (_, pipe) = std::io::pipe().unwrap();
        let pipe = File::from(std::os::fd::OwnedFd::from(pipe));
        batch.unsynced.push((PathBuf::from("pipe"), pipe));
        assert!(batch.sync().is_err());
        assert!(batch.sync().is_ok(), "a second try says nothing");
        assert!(batch.add_any(&mut &b"two"[..]).is_ok());
        assert!(batch.finish().is_err());
        assert!(!content.has(&kept));
    }
}
