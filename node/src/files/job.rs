//! [`Job`]: how a caller stops a long operation and sees how far it is.

use std::sync::atomic::{AtomicBool, Ordering};

/// What an operation is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Listing the tree.
    Walk,
    /// Reading files and hashing them.
    Hash,
    /// Copying content into the store.
    Capture,
    /// Carrying out actions on the tree.
    Apply,
}

/// How far an operation is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Which part of it.
    pub stage: Stage,
    /// Items done in this stage.
    pub done: u64,
    /// Items there are in this stage, 0 if not known.
    pub total: u64,
}

/// The caller's end of a long operation.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    cancelled: &'a AtomicBool,
    progress: &'a (dyn Fn(Progress) + Sync),
}

/// The caller asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cancelled;

static NEVER: AtomicBool = AtomicBool::new(false);

impl<'a> Job<'a> {
    /// An operation that stops soon after `cancelled` becomes true and calls `progress` now and then, from any of
    /// its threads.
    pub fn new(cancelled: &'a AtomicBool, progress: &'a (dyn Fn(Progress) + Sync)) -> Self {
        Self { cancelled, progress }
    }

    /// An operation that nobody stops or watches.
    pub fn unattended() -> Job<'static> {
        Job { cancelled: &NEVER, progress: &|_| {} }
    }

    pub(crate) fn check(&self) -> Result<(), Cancelled> {
        if self.cancelled.load(Ordering::Relaxed) { Err(Cancelled) } else { Ok(()) }
    }

    pub(crate) fn report(&self, stage: Stage, done: usize, total: usize) {
        (self.progress)(Progress { stage, done: done as u64, total: total as u64 });
    }
}

impl std::fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("cancelled", &self.cancelled).finish_non_exhaustive()
    }
}
