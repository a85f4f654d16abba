//! Hashing files that may be written to meanwhile: by a few threads, with one buffer each.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use althing_protocol::hash::Hash;
use althing_protocol::path::ItemPath;
use rustix::fs::{Advice, FileType};

use super::ScanMode;
use super::beneath::{self, Beneath};
use super::job::{Job, Stage};
use super::scan::ScanError;
use super::stamp::{self, Stamp};
use super::walk::unreadable;

/// Threads that hash. More would only make a slow disk slower.
const THREADS: usize = 4;
/// Bytes read at once; one buffer per thread.
pub(crate) const BUFFER: usize = 256 << 10;
/// How often a file that changes while it is read is read again.
const READINGS: u32 = 4;
/// Pause before reading again; doubles.
const PAUSE: Duration = Duration::from_millis(5);
/// Files between two reports of progress.
const REPORT_EVERY: usize = 64;

/// A file's content and what it looked like before and after it was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hashed {
    pub(crate) content: Hash,
    pub(crate) stamp: Stamp,
    /// A later write may leave this same stamp: do not put it into the cache.
    pub(crate) racy: bool,
}

/// Hashes `paths`; the answers are in the same order.
pub(crate) fn hash_all(
    beneath: &Beneath,
    paths: &[&ItemPath],
    mode: ScanMode,
    job: Job<'_>,
) -> Result<Vec<Hashed>, ScanError> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<Hashed>>> = Mutex::new(vec![None; paths.len()]);
    let failed: Mutex<Option<ScanError>> = Mutex::new(None);
    let work = || {
        let mut buffer = vec![0; BUFFER];
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = paths.get(at) else { return };
            match hash_stable(beneath, path, mode, job, &mut buffer) {
                Ok(hashed) => lock(&results)[at] = Some(hashed),
                Err(error) => {
                    next.store(paths.len(), Ordering::Relaxed);
                    lock(&failed).get_or_insert(error);
                }
            }
            if at.is_multiple_of(REPORT_EVERY) {
                job.report(Stage::Hash, at, paths.len());
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS).min(paths.len());
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    if let Some(error) = lock(&failed).take() {
        return Err(error);
    }
    Ok(lock(&results).drain(..).flatten().collect())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Hashes one file that looks the same before and after.
pub(crate) fn hash_stable(
    beneath: &Beneath,
    path: &ItemPath,
    mode: ScanMode,
    job: Job<'_>,
    buffer: &mut [u8],
) -> Result<Hashed, ScanError> {
    let mut pause = PAUSE;
    for _ in 0..READINGS {
        let file = match beneath.file(path) {
            Ok(file) => file,
            Err(error) if beneath::has_moved(&error) => {
                return Err(ScanError::Unstable { path: path.clone() });
            }
            Err(source) => return Err(unreadable(path, source)),
        };
        let before = Stamp::of(&file).map_err(|source| unreadable(path, source))?;
        if before.kind() != FileType::RegularFile {
            return Err(ScanError::Unstable { path: path.clone() });
        }
        let started = stamp::now();
        prepare(&file, &before, mode);
        let mut file = File::from(file);
        // No further than it takes to see that it grew: a file may grow faster than it is read.
        let read =
            hash_content(&mut (&mut file).take(before.size + 1), job, buffer).map_err(
                |error| match error {
                    HashError::Cancelled => ScanError::Cancelled,
                    HashError::Read(source) => unreadable(path, source),
                },
            )?;
        let after = Stamp::of(&file).map_err(|source| unreadable(path, source))?;
        if before.is_unchanged(&after) && read.1 == before.size {
            return Ok(Hashed { content: read.0, stamp: after, racy: after.is_racy(started) });
        }
        std::thread::sleep(pause);
        pause *= 2;
    }
    Err(ScanError::Unstable { path: path.clone() })
}

/// Makes sure that what will be read is what later stamps speak of.
fn prepare(file: &OwnedFd, stamp: &Stamp, mode: ScanMode) {
    // A page that is dirty through a memory map takes further writes without a new stamp. Writing it back makes
    // the next write fault, and so leave one. Best effort: not every file system lets a reader ask for this.
    if stamp.may_have_dirty_pages(stamp::now()) {
        let _ = rustix::fs::fdatasync(file);
    }
    // What the disk holds, not what memory remembers of it.
    if mode == ScanMode::ReadAll {
        let _ = rustix::fs::fadvise(file, 0, None, Advice::DontNeed);
    }
}

pub(crate) enum HashError {
    Cancelled,
    Read(io::Error),
}

/// The hash and length of everything that is left to read.
pub(crate) fn hash_content(
    from: &mut impl Read,
    job: Job<'_>,
    buffer: &mut [u8],
) -> Result<(Hash, u64), HashError> {
    let mut hasher = blake3::Hasher::new();
    let mut length = 0;
    loop {
        job.check().map_err(|_| HashError::Cancelled)?;
        match from.read(buffer) {
            Ok(0) => return Ok((Hash(*hasher.finalize().as_bytes()), length)),
            Ok(read) => {
                hasher.update(&buffer[..read]);
                length += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(HashError::Read(error)),
        }
    }
}
