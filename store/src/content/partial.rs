//! Large files on their way: parts that came, in any order and from anybody, until the whole is there. What came is
//! kept over restarts; nothing of it is believed then before it was read again (F5).

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use althing_protocol::hash::{Hash, unhex};
use althing_protocol::parts::{Division, Outline, PartHasher};
use rustix::fs::{FallocateFlags, SeekFrom, fallocate};
use rustix::io::Errno;

use super::{BUFFER_BYTES, Content, Inner, writing};
use crate::collect::lock;
use crate::error::ContentError;

/// What the name of an outline's file ends with.
const OUTLINE: &str = ".outline";
/// Who needs a part that somebody else is just writing waits for so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// All files that are not complete and were asked for since the start.
pub(super) type Partials = Mutex<BTreeMap<Hash, Arc<Partial>>>;

/// One file that is not complete. Whoever is at it holds it: what is removed meanwhile and begun again is another.
#[derive(Debug)]
pub(super) struct Partial {
    size: u64,
    division: Division,
    outline: Outline,
    /// Open all the time: a failure to write back what was written here is told to this descriptor.
    file: File,
    path: PathBuf,
    parts: Mutex<Vec<State>>,
    /// A part is not busy any more.
    rested: Condvar,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Not here, or not read since this program started.
    Unknown,
    /// Somebody is reading or writing it.
    Busy,
    /// It was written or read, and is what the outline says.
    Right,
}

/// What became of a part that came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Put {
    /// It is here, as the outline says.
    Right,
    /// It was something else, and does not count.
    Wrong,
    /// The file is not being gathered here, or somebody else has been writing this part for long. Nothing was read.
    Elsewhere,
}

/// What came as a part.
pub enum Came<'a> {
    /// Its bytes.
    Bytes(&'a mut dyn Read),
    /// So many zeros as it is long.
    Zeros,
}

impl Content {
    /// Whether the outline of a file is here, so that its parts can be.
    pub fn has_outline(&self, name: &Hash, size: u64) -> bool {
        let here = self.inner.partial(name, size).is_some();
        if here {
            lock(&self.inner.names).add(name);
        }
        here
    }

    /// Begins to gather a file, or goes on with it. Wrong bytes are refused; whether they were right.
    pub fn put_outline(&self, name: &Hash, size: u64, bytes: &[u8]) -> Result<bool, ContentError> {
        let Some(outline) = Outline::prove(bytes, name, size) else { return Ok(false) };
        self.inner.begin(name, size, outline)?;
        Ok(true)
    }

    /// Whether this part is here, as the outline says; reads it, unless that was done before.
    pub fn has_part(&self, name: &Hash, size: u64, index: u32) -> bool {
        self.inner.partial(name, size).is_some_and(|partial| partial.look_at(index))
    }

    /// Puts a part. Only what is right counts, and nothing that is right is overwritten.
    pub fn put_part(
        &self,
        (name, size, index): (&Hash, u64, u32),
        came: Came<'_>,
    ) -> Result<Put, ContentError> {
        let Some(partial) = self.inner.partial(name, size) else { return Ok(Put::Elsewhere) };
        let Some(range) = partial.division.range(index) else { return Ok(Put::Elsewhere) };
        match partial.claim(index) {
            State::Unknown => {}
            State::Right => return Ok(Put::Right),
            State::Busy => return Ok(Put::Elsewhere),
        }
        let admitted = self.inner.admit(&partial.path, range.1);
        let written = admitted.and_then(|()| partial.write(range, came));
        let right = written.as_ref().is_ok_and(|hasher| partial.outline.is(index, &hasher.value()));
        partial.set(index, if right { State::Right } else { State::Unknown });
        written.map(|_| if right { Put::Right } else { Put::Wrong })
    }

    /// Makes the file whole, durable, and content like any other, if all of its parts are right. What was gathered is
    /// still there after an error, unless the disk did not take it.
    pub fn finish_parts(&self, name: &Hash, size: u64) -> Result<bool, ContentError> {
        let known = lock(&self.inner.partials).get(name).map(Arc::clone);
        let Some(partial) = known.filter(|it| it.size == size && it.is_right()) else { return Ok(false) };
        self.inner.admit(&partial.path, 0)?;
        let length = partial.file.metadata().map_err(|source| writing("look at", &partial.path, source))?;
        if length.len() != size {
            self.inner.forget_partial(name);
            return Ok(false);
        }
        if let Err(source) = partial.file.sync_data() {
            // Memory may still show what the disk refused, and the next sync may say nothing of it.
            self.inner.forget_partial(name);
            return Err(writing("sync", &partial.path, source));
        }
        let mut batch = self.batch();
        {
            let mut partials = lock(&self.inner.partials);
            if !partials.get(name).is_some_and(|there| Arc::ptr_eq(there, &partial)) {
                return Ok(false);
            }
            batch.take(name, &partial.path)?;
            partials.remove(name);
        }
        batch.finish()?;
        self.inner.forget_partial(name);
        self.inner.outlines.remember(name, &partial.outline);
        Ok(true)
    }
}

impl Partial {
    /// Of a file that is open and has this length.
    fn new(size: u64, outline: Outline, file: File, path: PathBuf) -> Option<Self> {
        let division = Division::of(size)?;
        let parts = Mutex::new(vec![State::Unknown; division.count() as usize]);
        Some(Self { size, division, outline, file, path, parts, rested: Condvar::new() })
    }

    fn is_right(&self) -> bool {
        lock(&self.parts).iter().all(|part| *part == State::Right)
    }

    /// What a part was; it is busy with the caller now if it was unknown. Waits while somebody else is at it.
    fn claim(&self, index: u32) -> State {
        let is_busy = |parts: &mut Vec<State>| parts.get(index as usize) == Some(&State::Busy);
        let waited = self.rested.wait_timeout_while(lock(&self.parts), PATIENCE, is_busy);
        let (mut parts, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let Some(part) = parts.get_mut(index as usize) else { return State::Busy };
        let was = *part;
        if was == State::Unknown {
            *part = State::Busy;
        }
        was
    }

    fn set(&self, index: u32, state: State) {
        if let Some(part) = lock(&self.parts).get_mut(index as usize) {
            *part = state;
        }
        self.rested.notify_all();
    }

    fn look_at(&self, index: u32) -> bool {
        let Some((begins, length)) = self.division.range(index) else { return false };
        match self.claim(index) {
            State::Unknown => {}
            known => return known == State::Right,
        }
        // What was never written is not read: a part of zeros is asked for like any other, and costs nothing then. What
        // cannot be read is not here.
        let read = if is_hole(&self.file, begins, length) {
            None
        } else {
            hash_range(&self.file, begins, length).ok().flatten()
        };
        let right = read.is_some_and(|hasher| self.outline.is(index, &hasher.value()));
        self.set(index, if right { State::Right } else { State::Unknown });
        right
    }

    /// Writes a part and finds what it is. What comes may be anything.
    fn write(&self, (begins, length): (u64, u64), came: Came<'_>) -> Result<PartHasher, ContentError> {
        let failed = |source| writing("write", &self.path, source);
        // What an attempt before this one left there must not shine through where nothing is written.
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let empty =
            is_hole(&self.file, begins, length) || fallocate(&self.file, flags, begins, length).is_ok();
        let mut zeros = io::repeat(0);
        let from: &mut dyn Read = match came {
            Came::Bytes(bytes) => bytes,
            Came::Zeros => &mut zeros,
        };
        let (mut hasher, mut buffer, mut at) = (PartHasher::new(begins), vec![0; BUFFER_BYTES], 0);
        while at < length {
            let room = usize::try_from(length - at).map_or(BUFFER_BYTES, |left| left.min(BUFFER_BYTES));
            let count = match from.read(&mut buffer[..room]) {
                Ok(0) => return Err(ContentError::Source(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(ContentError::Source(source)),
            };
            hasher.update(&buffer[..count]);
            if !empty || buffer[..count].iter().any(|byte| *byte != 0) {
                self.file.write_all_at(&buffer[..count], begins + at).map_err(failed)?;
            }
            at += count as u64;
        }
        Ok(hasher)
    }
}

impl Inner {
    fn partial_path(&self, name: &Hash) -> PathBuf {
        self.partial.join(name.hex())
    }

    fn outline_path(&self, name: &Hash) -> PathBuf {
        self.partial.join(format!("{}{OUTLINE}", name.hex()))
    }

    /// What is being gathered, also since before the start.
    fn partial(&self, name: &Hash, size: u64) -> Option<Arc<Partial>> {
        let mut partials = lock(&self.partials);
        if let Some(partial) = partials.get(name) {
            return (partial.size == size).then(|| Arc::clone(partial));
        }
        let (path, list) = (self.partial_path(name), self.outline_path(name));
        fs::symlink_metadata(&list)
            .ok()
            .filter(|found| found.is_file() && Some(found.len()) == Outline::length(size))?;
        let outline = Outline::prove(&fs::read(&list).ok()?, name, size)?;
        let file = OpenOptions::new().read(true).write(true).open(&path).ok()?;
        file.metadata().ok().filter(|found| found.is_file() && found.len() == size)?;
        let partial = Arc::new(Partial::new(size, outline, file, path)?);
        partials.insert(*name, Arc::clone(&partial));
        Some(partial)
    }

    /// An earlier beginning of the same file is gone on with, also one whose outline was not written to the end.
    fn begin(&self, name: &Hash, size: u64, outline: Outline) -> Result<(), ContentError> {
        lock(&self.names).add(name);
        if self.partial(name, size).is_some() {
            return Ok(());
        }
        let (path, list) = (self.partial_path(name), self.outline_path(name));
        self.admit(&path, 0)?;
        let mut partials = lock(&self.partials);
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(|source| writing("create", &path, source))?;
        file.set_len(size).map_err(|source| writing("write", &path, source))?;
        fs::write(&list, outline.bytes()).map_err(|source| writing("write", &list, source))?;
        if let Some(partial) = Partial::new(size, outline, file, path) {
            partials.insert(*name, Arc::new(partial));
        }
        Ok(())
    }

    fn forget_partial(&self, name: &Hash) {
        let mut partials = lock(&self.partials);
        partials.remove(name);
        self.remove_partial(name);
    }

    fn remove_partial(&self, name: &Hash) {
        for path in [self.partial_path(name), self.outline_path(name)] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(path = %path.display(), %error, "a file that was gathered was not removed");
                }
                _ => {}
            }
        }
    }

    /// Removes what was gathered of files that nobody wants any more, or that came whole another way. How many files
    /// and bytes that were.
    pub(super) fn sweep_partial(&self, keep: &dyn Fn(&Hash) -> bool) -> io::Result<(u64, u64)> {
        let (mut files, mut bytes) = (0, 0);
        for entry in fs::read_dir(&self.partial)? {
            let entry = entry?;
            let text = entry.file_name().to_string_lossy().into_owned();
            let digits = text.strip_suffix(OUTLINE).unwrap_or(&text);
            let name = unhex(digits).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()).map(Hash);
            let Some(name) = name else { continue };
            // Held from the question to the removal: whoever relies on it later finds that it is gone.
            let young = lock(&self.names);
            if (keep(&name) || young.has(&name)) && self.held(&name).is_none() {
                continue;
            }
            let mut partials = lock(&self.partials);
            if partials.get(&name).is_some_and(|partial| Arc::strong_count(partial) > 1) {
                continue;
            }
            partials.remove(&name);
            if let Ok(found) = fs::symlink_metadata(self.partial_path(&name)) {
                bytes += found.blocks() * 512;
                files += 1;
            }
            self.remove_partial(&name);
        }
        Ok((files, bytes))
    }
}

/// The hash of a part of a file; `None` if it ends before.
pub(super) fn hash_range(file: &File, begins: u64, length: u64) -> io::Result<Option<PartHasher>> {
    let (mut hasher, mut buffer, mut at) = (PartHasher::new(begins), vec![0; BUFFER_BYTES], 0);
    while at < length {
        let room = usize::try_from(length - at).map_or(BUFFER_BYTES, |left| left.min(BUFFER_BYTES));
        match file.read_at(&mut buffer[..room], begins + at) {
            Ok(0) => return Ok(None),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                at += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(hasher))
}

/// Whether nothing was ever written there, as far as the file system can tell.
pub fn is_hole(file: &File, begins: u64, length: u64) -> bool {
    match rustix::fs::seek(file, SeekFrom::Data(begins)) {
        Ok(data) => data >= begins + length,
        Err(error) => error == Errno::NXIO,
    }
}
