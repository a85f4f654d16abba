//! The thread that has the store collected: some time after what must stay has changed, a little at a time.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use althing_protocol::hash::Hash;
use althing_store::{CollectError, Freed, Store};

use crate::files;
use crate::writer::end;

/// What must stay changes in bursts: a deployment changes it a few times. A collection waits for the end of them.
const QUIET: Duration = Duration::from_secs(5);
/// But not for ever, where something is settled all the time.
const LONGEST: Duration = Duration::from_secs(60);
/// Between two steps, so that whoever serves or applies has the disk most of the time.
const PAUSE: Duration = Duration::from_millis(5);
/// For each file or directory that a step removed: at most 2,000 a second.
const PER_REMOVAL: Duration = Duration::from_micros(500);
/// A collection that could not read what must stay is tried again after this.
const RETRY: Duration = Duration::from_secs(60);

/// Tells the thread what must stay. The thread ends with it.
pub(crate) struct Collector {
    kept: Arc<Mutex<Vec<Hash>>>,
    changed: Sender<()>,
}

impl Collector {
    /// Starts the thread. It does nothing before [`Self::keep`] was called.
    pub(crate) fn start(store: Arc<Store>) -> anyhow::Result<Self> {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (changed, changes) = channel();
        let worker = Worker { store, kept: Arc::clone(&kept), changes };
        thread::Builder::new().name("collector".into()).spawn(move || worker.run())?;
        Ok(Self { kept, changed })
    }

    /// From now on, what these roots lead to must stay. No collection that begins after this call takes any of it.
    pub(crate) fn keep(&self, roots: Vec<Hash>) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = roots;
        // The thread ends only with this.
        let _ = self.changed.send(());
    }
}

struct Worker {
    store: Arc<Store>,
    kept: Arc<Mutex<Vec<Hash>>>,
    changes: Receiver<()>,
}

/// How a collection ended.
enum End {
    Done(Freed),
    /// What must stay changed meanwhile: there may be more to remove.
    Changed(Freed),
    /// The daemon ends.
    Stopped,
}

impl Worker {
    fn run(self) {
        let mut due = self.changes.recv().is_ok();
        while due && self.settles() {
            due = match self.collect() {
                Ok(End::Stopped) => false,
                Ok(End::Changed(freed)) => {
                    tell(freed);
                    true
                }
                Ok(End::Done(freed)) => {
                    tell(freed);
                    self.changes.recv().is_ok()
                }
                Err(error) if error.is_fatal() => end(&error),
                Err(error) => {
                    tracing::warn!(%error, "what nothing needs could not be removed; tried again later");
                    self.changes.recv_timeout(RETRY) != Err(RecvTimeoutError::Disconnected)
                }
            };
        }
    }

    /// Waits until nothing has changed for a while; false when the daemon ends.
    fn settles(&self) -> bool {
        let began = Instant::now();
        loop {
            match self.changes.recv_timeout(QUIET) {
                Ok(()) if began.elapsed() < LONGEST => {}
                Ok(()) | Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    fn collect(&self) -> Result<End, CollectError> {
        // An apply that a crash interrupted goes forward to a root that nobody may name any more.
        let mut roots = files::journal_roots(&self.store)?;
        let named = || {
            roots.extend(self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter());
            roots
        };
        let mut collection = self.store.collection(named)?;
        let (mut all, mut changed) = (Freed::default(), false);
        while let Some(freed) = collection.step()? {
            let removed = u32::try_from(freed.files + freed.directories).unwrap_or(u32::MAX);
            all += freed;
            match self.changes.recv_timeout(PAUSE + PER_REMOVAL * removed) {
                Ok(()) => changed = true,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(End::Stopped),
            }
        }
        Ok(if changed { End::Changed(all) } else { End::Done(all) })
    }
}

fn tell(freed: Freed) {
    if freed != Freed::default() {
        let Freed { files, bytes, directories } = freed;
        tracing::info!(files, bytes, directories, "content that nothing needs was removed");
    }
}
