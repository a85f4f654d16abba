//! One application on this member: a worker thread that scans, captures and applies, one after the other, and a
//! thread that watches the tree.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use althing_protocol::effect::{
    Applied, Captured, Depth, Input, NotApplied, NotCaptured, Order, Scan, Source,
};
use althing_protocol::handling::Handling;
use althing_protocol::hash::Hash;
use althing_protocol::limits::REPAIRED_PATHS;
use althing_protocol::path::ItemPath;
use althing_store::{Store, Unnamed, Verdict};
use tokio::sync::mpsc;

use crate::daemon::Happening;
use crate::files::{
    self, ApplyError, CaptureError, Files, Job, Neighbours, Patterns, ScanError, ScanMode, TRASH_KEPT,
    TrashClock,
};
use crate::writer::end;

/// Work that waits for one application, at most.
const QUEUE: usize = 64;
/// The tree is looked at this often even if nothing hints at a change.
const PERIOD: Duration = Duration::from_secs(60);
/// Between the two looks that must be equal.
const SECOND_LOOK: Duration = Duration::from_millis(25);
/// How often two looks may differ before the tree counts as unstable.
const LOOKS: usize = 5;
/// A tree that was not stable is looked at again after this.
const UNSTABLE: Duration = Duration::from_millis(300);

/// What a worker can be asked.
pub(crate) enum Work {
    Scan(Depth),
    Capture { capture: u64, source: Source, unnamed: Unnamed },
    Apply { apply: u64, root: Hash, epoch: u64, leave: Vec<ItemPath>, order: Order },
    Clear { clear: u64, keep_files: bool },
}

/// An application on this member.
pub(crate) struct Place {
    pub(crate) of: Entry,
    pub(crate) files: Arc<Files>,
    work: SyncSender<Work>,
    stop: Arc<AtomicBool>,
    scanning: Arc<AtomicBool>,
    worker: Option<Ending>,
}

/// The worker of a place, which ends.
pub(crate) type Ending = thread::JoinHandle<()>;

/// What a place is for; another root or other patterns make another place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    /// The application.
    pub(crate) name: String,
    /// Its root, before any prefix.
    pub(crate) root: String,
    /// What it does not manage.
    pub(crate) unmanaged: Vec<String>,
    /// How its tree is handled.
    pub(crate) handling: Handling,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Place {
    /// Starts both threads, when the worker of the place that this one takes the place of has ended. An apply that a
    /// crash, or that end, interrupted is finished before anything is scanned.
    pub(crate) fn start(
        (of, before): (Entry, Option<Ending>),
        (at, dir): (&Path, &Path),
        (neighbours, store, clock): (&Arc<Neighbours>, &Arc<Store>, TrashClock),
        to: mpsc::Sender<Happening>,
    ) -> anyhow::Result<Self> {
        let name = of.name.as_str();
        let patterns = Patterns::new(&of.unmanaged)?;
        let files = Files::new(name, at, dir, Arc::clone(store))?.with_unmanaged(patterns);
        let files = Arc::new(files.with_handling(of.handling.clone())?.beside(neighbours));
        files.unretire()?;
        let (work, queue) = sync_channel(QUEUE);
        let stop = Arc::new(AtomicBool::new(false));
        let scanning = Arc::new(AtomicBool::new(false));
        let worker = Worker {
            name: name.to_owned(),
            files: Arc::clone(&files),
            store: Arc::clone(store),
            clock,
            to,
            stop: Arc::clone(&stop),
            scanning: Arc::clone(&scanning),
            again: false,
            told: None,
        };
        let leaving = Arc::clone(&files);
        let run = move || {
            // One that panicked has ended, too.
            let _ = before.map(Ending::join);
            worker.run(&queue);
            // Another application may have this root now, while the driver is kept for the trash.
            leaving.part();
        };
        let worker = Some(thread::Builder::new().name(format!("app {name}")).spawn(run)?);
        let place = Self { of, files, work, stop, scanning, worker };
        place.watch(at.to_owned())?;
        Ok(place)
    }

    fn watch(&self, root: PathBuf) -> anyhow::Result<()> {
        let (work, stop, scanning) = (self.work.clone(), Arc::clone(&self.stop), Arc::clone(&self.scanning));
        let watch = files::watch::watch(&root, self.of.handling.switching)?;
        thread::Builder::new().name("hints".into()).spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                // One waiting scan sees everything that happened before it begins.
                if watch.wait(Duration::from_millis(500)).is_some() && !scanning.swap(true, Ordering::AcqRel)
                {
                    let _ = work.try_send(Work::Scan(Depth::Changed));
                }
            }
        })?;
        Ok(())
    }

    /// Has the worker end, once.
    pub(crate) fn end(&mut self) -> Option<Ending> {
        self.stop.store(true, Ordering::Relaxed);
        self.worker.take()
    }

    /// Queues work; scans are merged, the rest waits its turn.
    pub(crate) fn submit(&self, work: Work) -> bool {
        self.work.try_send(work).is_ok()
    }
}

struct Worker {
    name: String,
    files: Arc<Files>,
    store: Arc<Store>,
    clock: TrashClock,
    to: mpsc::Sender<Happening>,
    stop: Arc<AtomicBool>,
    scanning: Arc<AtomicBool>,
    again: bool,
    /// The tree that was told last.
    told: Option<Hash>,
}

impl Worker {
    fn run(mut self, queue: &Receiver<Work>) {
        if let Err(error) = self.files.recover(self.job()) {
            tracing::error!(application = self.name, %error, "an interrupted apply could not be finished");
        }
        self.scan(Depth::Changed);
        while !self.stop.load(Ordering::Relaxed) {
            match queue.recv_timeout(if self.again { UNSTABLE } else { PERIOD }) {
                Ok(Work::Scan(depth)) => self.scan(depth),
                Ok(Work::Capture { capture, source, unnamed }) => {
                    captured(&self.files, capture, &source, (unnamed, self.job()), &self.to);
                }
                Ok(Work::Apply { apply, root, epoch, leave, order }) => {
                    self.apply(apply, (root, epoch), &leave, order);
                }
                Ok(Work::Clear { clear, keep_files }) => self.clear(clear, keep_files),
                Err(RecvTimeoutError::Timeout) => {
                    self.scan(Depth::Changed);
                    self.prune();
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        queue.try_iter().for_each(|work| self.decline(work));
    }

    /// What was asked of a place that has another now, or none: nobody waits for it in vain.
    fn decline(&self, work: Work) {
        let why =
            || "the application was given other paths to manage, or does not go here any more".to_owned();
        match work {
            Work::Scan(_) => {}
            Work::Capture { capture, .. } => {
                self.tell(Input::Captured { capture, result: Err(NotCaptured::Failed(why())) });
            }
            Work::Apply { apply, .. } => {
                self.tell(Input::Applied { apply, result: Err(NotApplied::Failed(why())) });
            }
            Work::Clear { clear, .. } => self.tell(Input::Cleared { clear, result: Err(why()) }),
        }
    }

    fn job(&self) -> Job<'_> {
        Job::new(&self.stop, &|_| {})
    }

    fn tell(&self, input: Input) {
        // The channel closes only when the daemon ends.
        let _ = self.to.blocking_send(Happening::Input(input));
    }

    fn scan(&mut self, depth: Depth) {
        self.scanning.store(false, Ordering::Release);
        let scan = self.look(depth);
        self.again = matches!(scan, Scan::Unstable(_));
        self.told = if let Scan::Tree { root, .. } = &scan { Some(*root) } else { None };
        tracing::debug!(application = self.name, ?scan, "scanned");
        self.tell(Input::Scanned { application: self.name.clone(), scan });
    }

    /// Two looks that find the same; a tree that was seen in between two changes is not a tree that ever was. One that
    /// was told already is one that was, so while nothing changes one look is enough.
    fn look(&self, depth: Depth) -> Scan {
        let mut mode = if depth == Depth::Everything { ScanMode::ReadAll } else { ScanMode::Trust };
        let mut last = self.told;
        for _ in 0..LOOKS {
            let files::Scan { manifest, beyond, .. } = match self.files.scan(mode, self.job()) {
                Ok(scan) => scan,
                Err(error) => return unseen(self.files.root(), error),
            };
            if last == Some(manifest.root) {
                return match manifest.extent() {
                    Ok(extent) => Scan::Tree { root: manifest.root, extent, beyond },
                    Err(error) => Scan::Unreadable(error.to_string()),
                };
            }
            last = Some(manifest.root);
            mode = ScanMode::Trust;
            thread::sleep(SECOND_LOOK);
        }
        Scan::Unstable("it changes all the time".to_owned())
    }

    fn apply(&mut self, apply: u64, (root, epoch): (Hash, u64), leave: &[ItemPath], order: Order) {
        let reason = format!("epoch {epoch} settled {}", root.short());
        let ordered = self.ordered(order);
        let result = ordered.and_then(|()| self.files.apply_but((root, epoch), &reason, leave, self.job()));
        match &result {
            Err(ApplyError::Store(fault)) if fault.is_fatal() => end(fault),
            Err(ApplyError::Damaged { content, .. }) => self.put_aside(content),
            // What is too old to be kept may be all that is in the way of the next try.
            Err(ApplyError::TrashFull { .. }) => self.prune(),
            _ => {}
        }
        let result = result.map(|applied| Applied {
            changed: applied.changed as u64,
            trashed: applied.trashed.len() as u64,
            detail: describe(&applied.differences),
            paths: applied.differences.iter().take(REPAIRED_PATHS).map(|it| it.path.clone()).collect(),
            left: applied.left as u64,
        });
        self.tell(Input::Applied { apply, result: result.map_err(not_applied) });
        self.scan(Depth::Changed);
    }

    /// The application was removed.
    fn clear(&self, clear: u64, keep_files: bool) {
        let trashed = if keep_files { Ok(0) } else { self.files.clear(self.job()) };
        let result = trashed.and_then(|trashed| {
            self.files.retire()?;
            Ok(trashed as u64)
        });
        if let Err(ApplyError::Store(fault)) = &result
            && fault.is_fatal()
        {
            end(fault);
        }
        self.tell(Input::Cleared { clear, result: result.map_err(|error| error.to_string()) });
    }

    /// By hand, the tree is made also where its file system is gone.
    fn ordered(&self, order: Order) -> Result<(), ApplyError> {
        match order {
            Order::Automatic => Ok(()),
            Order::ByHand => Ok(self.files.forget_ground()?),
        }
    }

    /// Content that is not what its name says is moved away, and the protocol is told, so that it is fetched again.
    fn put_aside(&self, content: &Hash) {
        match self.store.content().verify(content) {
            Ok(Verdict::Damaged { aside }) => {
                let aside = aside.to_string_lossy().into_owned();
                self.tell(Input::Damaged { content: *content, aside });
            }
            Ok(verdict) => tracing::warn!(%content, ?verdict, "content in the store was looked at again"),
            Err(error) => tracing::error!(%content, %error, "content in the store cannot be read"),
        }
    }

    fn prune(&self) {
        if let Err(error) = self.files.prune(self.clock.now(), TRASH_KEPT, None) {
            tracing::warn!(application = self.name, %error, "the trash could not be looked through");
        }
    }
}

/// Captures content of an application that has no place on this member.
pub(crate) fn capture(
    files: &Files,
    capture: u64,
    source: &Source,
    unnamed: Unnamed,
    to: &mpsc::Sender<Happening>,
) {
    captured(files, capture, source, (unnamed, Job::unattended()), to);
}

fn captured(
    files: &Files,
    capture: u64,
    source: &Source,
    (unnamed, job): (Unnamed, Job<'_>),
    to: &mpsc::Sender<Happening>,
) {
    let source = match source {
        Source::Live => files::Source::Live,
        Source::Directory(path) => files::Source::Directory(PathBuf::from(path)),
    };
    let result = files.capture(&source, job);
    if let Err(CaptureError::Store(fault)) = &result
        && fault.is_fatal()
    {
        end(fault);
    }
    let result = result.map(|captured| Captured { root: captured.root, extent: captured.extent });
    let input = Input::Captured { capture, result: result.map_err(not_captured) };
    // The channel closes only when the daemon ends.
    let _ = to.blocking_send(Happening::Captured { input, unnamed });
}

fn not_captured(error: CaptureError) -> NotCaptured {
    let text = error.to_string();
    match error {
        CaptureError::Store(fault) if fault.is_full() => NotCaptured::NoRoom(text),
        CaptureError::Changing { .. } => NotCaptured::Changing(text),
        CaptureError::Refused { .. } => NotCaptured::Refused(text),
        CaptureError::Scan(_) | CaptureError::Store(_) | CaptureError::Cancelled => NotCaptured::Failed(text),
    }
}

fn not_applied(error: ApplyError) -> NotApplied {
    let text = error.to_string();
    match error {
        error if error.is_full() => NotApplied::NoRoom(text),
        ApplyError::TrashFull { .. } => NotApplied::TrashFull(text),
        ApplyError::Scan(ScanError::Vanished { .. }) => NotApplied::Vanished(text),
        ApplyError::Missing(_) | ApplyError::Damaged { .. } => NotApplied::Lacking(text),
        _ => NotApplied::Failed(text),
    }
}

fn unseen(root: &Path, error: ScanError) -> Scan {
    match error {
        // What was settled comes back from the store, and the link with it.
        ScanError::Absent | ScanError::NoLink { .. } => Scan::Absent,
        // Somebody removed the whole tree: that is drift, and what was settled comes back from the store.
        ScanError::Unreadable { path, source }
            if path.is_root() && source.kind() == std::io::ErrorKind::NotFound =>
        {
            Scan::Absent
        }
        ScanError::Unreadable { path, source } => {
            let at = if path.is_root() { root.to_owned() } else { root.join(path.lossy()) };
            Scan::Unreadable(format!("cannot read {}: {source}", at.display()))
        }
        ScanError::Vanished { .. } => Scan::Vanished(error.to_string()),
        ScanError::Unstable { .. } => Scan::Unstable(error.to_string()),
        other => Scan::Unreadable(other.to_string()),
    }
}

/// The first few differences, by the letters of `app diff`.
fn describe(differences: &[althing_protocol::repair::Difference]) -> String {
    use althing_protocol::repair::Change;
    let letter = |change| match change {
        Change::Missing => '+',
        Change::Surplus => '-',
        Change::Content => 'M',
        Change::Attributes => 'U',
        Change::Kind => 'T',
    };
    let named = differences
        .iter()
        .take(5)
        .map(|difference| format!("{} {}", letter(difference.change()), difference.path.lossy()));
    let mut text = named.collect::<Vec<_>>().join(", ");
    if differences.len() > 5 {
        text = format!("{text} and {} more", differences.len() - 5);
    }
    text.chars().filter(|letter| !letter.is_control()).collect()
}
