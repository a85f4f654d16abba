//! Hints that something below a root changed. A hint may be late, double or missing: the scan is the truth.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use althing_protocol::handling::Switching;
use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{Config, Event, RecommendedWatcher, RecursiveMode, Watcher};

use super::release::{self, Standing, releases_of};

/// Quiet time after a change before the hint: a burst becomes one.
const QUIET: Duration = Duration::from_millis(50);
/// Longest a hint waits for quiet.
const LATEST: Duration = Duration::from_millis(500);
/// How often a root that is not there is looked for, and one that is there is checked to be the same.
const RETRY: Duration = Duration::from_millis(500);
/// How often a watch that the system refuses (too many of them) is tried again: trying costs a walk of the tree.
const RETRY_REFUSED: Duration = Duration::from_secs(30);
/// Hints in the channel: a second one says nothing new.
const HINTS: usize = 1;

/// Something may have changed: scan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hint;

/// A watch under way. Ends when it is dropped.
#[derive(Debug)]
pub struct Watch {
    hints: Receiver<Hint>,
    stop: Arc<AtomicBool>,
    active: Arc<AtomicBool>,
    wake: Sender<Message>,
    thread: Option<JoinHandle<()>>,
}

/// The system gives no thread. Nothing is watched.
#[derive(Debug, thiserror::Error)]
#[error("cannot start to watch {}: {source}", root.display())]
pub struct WatchError {
    /// What was to be watched.
    pub root: PathBuf,
    /// Why.
    pub source: std::io::Error,
}

type Message = notify::Result<Event>;

/// Watches everything below `root`, which may vanish and come again, or not be there yet. Where the tree is switched as
/// a whole, the root is a link to what is watched.
pub fn watch(root: &Path, switching: Switching) -> Result<Watch, WatchError> {
    let (to_hints, hints) = sync_channel(HINTS);
    let (wake, messages) = channel();
    let stop = Arc::new(AtomicBool::new(false));
    let active = Arc::new(AtomicBool::new(false));
    let watcher = Watching {
        root: root.to_owned(),
        switching,
        stop: Arc::clone(&stop),
        active: Arc::clone(&active),
        hints: to_hints,
        wake: wake.clone(),
        messages,
    };
    let thread = thread::Builder::new().name("watch".into()).spawn(move || watcher.run());
    let thread = thread.map_err(|source| WatchError { root: root.to_owned(), source })?;
    Ok(Watch { hints, stop, active, wake, thread: Some(thread) })
}

impl Watch {
    /// Waits for a hint, at most so long.
    pub fn wait(&self, timeout: Duration) -> Option<Hint> {
        self.hints.recv_timeout(timeout).ok()
    }

    /// Whether changes are seen at the moment. Not while the root is absent, nor when the system refuses so many
    /// watches: then only scans find changes.
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // An empty event only wakes the thread.
        let _ = self.wake.send(Ok(Event::new(EventKind::Other)));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Watching {
    root: PathBuf,
    switching: Switching,
    stop: Arc<AtomicBool>,
    active: Arc<AtomicBool>,
    hints: SyncSender<Hint>,
    wake: Sender<Message>,
    messages: Receiver<Message>,
}

/// Device and inode: which directory the root is at the moment.
type Identity = (u64, u64);

impl Watching {
    fn run(&self) {
        let (mut was_there, mut stood) = (true, None);
        while !self.stop.load(Ordering::Relaxed) {
            let (before, stands) = (self.identity(), self.stands());
            let watcher = if before.is_some() { self.start() } else { None };
            // For what changed while nobody watched, and for the news that the root is gone, or is something else that
            // cannot be watched either.
            if watcher.is_some() || was_there || stands != stood {
                self.hint();
            }
            stood = stands;
            was_there = watcher.is_some();
            self.active.store(was_there, Ordering::Relaxed);
            match (&watcher, before) {
                (Some(_), Some(identity)) => self.follow(identity),
                (_, None) => self.pause(RETRY),
                (None, Some(_)) => self.pause(RETRY_REFUSED),
            }
        }
    }

    /// What is at the root itself, and since when; a link is not followed.
    fn stands(&self) -> Option<(u64, u64, i64, i64)> {
        let root = std::fs::symlink_metadata(&self.root).ok()?;
        Some((root.dev(), root.ino(), root.ctime(), root.ctime_nsec()))
    }

    fn start(&self) -> Option<RecommendedWatcher> {
        let wake = self.wake.clone();
        let handler = move |event: Message| {
            let _ = wake.send(event);
        };
        let config = Config::default().with_follow_symlinks(false);
        let watched = RecommendedWatcher::new(handler, config).and_then(|mut watcher| {
            watcher.watch(&self.tree(), RecursiveMode::Recursive)?;
            Ok(watcher)
        });
        watched.inspect_err(|error| tracing::debug!(%error, root = %self.root.display(), "not watched")).ok()
    }

    /// Turns events into hints until the watch has to be set up again.
    fn follow(&self, identity: Identity) {
        while !self.stop.load(Ordering::Relaxed) && self.identity() == Some(identity) {
            let mut news = match self.messages.recv_timeout(RETRY) {
                Ok(message) => News::of(&message),
                Err(_) => continue,
            };
            let latest = Instant::now() + LATEST;
            while news != News::Nothing && Instant::now() < latest {
                match self.messages.recv_timeout(QUIET) {
                    Ok(message) => news = news.max(News::of(&message)),
                    Err(_) => break,
                }
            }
            if news != News::Nothing {
                self.hint();
            }
            if news == News::Lost {
                return;
            }
        }
    }

    fn hint(&self) {
        match self.hints.try_send(Hint) {
            Ok(()) | Err(TrySendError::Full(_)) => {}
            Err(TrySendError::Disconnected(_)) => self.stop.store(true, Ordering::Relaxed),
        }
    }

    fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.stop.load(Ordering::Relaxed) && Instant::now() < until {
            let _ = self.messages.recv_timeout(RETRY.min(time));
        }
    }

    /// Where the tree lies now.
    fn tree(&self) -> PathBuf {
        match release::standing(&self.root) {
            Ok(Standing::Release(name)) if self.switching == Switching::Release => {
                releases_of(&self.root).join(name.text())
            }
            _ => self.root.clone(),
        }
    }

    fn identity(&self) -> Option<Identity> {
        let found = std::fs::symlink_metadata(self.tree()).ok().filter(std::fs::Metadata::is_dir)?;
        Some((found.dev(), found.ino()))
    }
}

/// What a message of the system means.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum News {
    /// Somebody read something: we ourselves, as likely as not.
    Nothing,
    Change,
    /// Events were lost, so directories that were made meanwhile may not be watched.
    Lost,
}

impl News {
    fn of(message: &Message) -> Self {
        match message {
            Err(_) => Self::Lost,
            Ok(event) if event.need_rescan() => Self::Lost,
            Ok(event) => match event.kind {
                EventKind::Access(AccessKind::Close(AccessMode::Write)) => Self::Change,
                EventKind::Access(_) => Self::Nothing,
                _ => Self::Change,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    fn drain(watch: &Watch) {
        while watch.wait(Duration::from_millis(400)).is_some() {}
    }

    #[test]
    fn a_queue_that_overflowed_and_an_error_have_everything_looked_at_again() {
        let overflow = Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan);
        assert!(News::of(&Ok(overflow)) == News::Lost);
        assert!(News::of(&Err(notify::Error::generic("it failed"))) == News::Lost);
    }

    #[test]
    fn changes_give_hints_and_reading_gives_none() {
        let tree = tempfile::tempdir().unwrap();
        let root = tree.path().join("root");
        fs::create_dir_all(root.join("below")).unwrap();
        let watch = watch(&root, Switching::InPlace).unwrap();
        drain(&watch);
        fs::write(root.join("below/file"), "1").unwrap();
        assert_eq!(watch.wait(SOON), Some(Hint));
        drain(&watch);
        fs::read(root.join("below/file")).unwrap();
        assert_eq!(watch.wait(Duration::from_millis(300)), None);
    }

    #[test]
    fn a_burst_gives_few_hints() {
        let tree = tempfile::tempdir().unwrap();
        let watch = watch(tree.path(), Switching::InPlace).unwrap();
        drain(&watch);
        for number in 0..100 {
            fs::write(tree.path().join(number.to_string()), "1").unwrap();
        }
        assert_eq!(watch.wait(SOON), Some(Hint));
        // One, where the machine has nothing else to do.
        let more = std::iter::from_fn(|| watch.wait(Duration::from_millis(300))).count();
        assert!(more < 20, "{more}");
    }

    #[test]
    fn the_root_may_vanish_and_come_again() {
        let tree = tempfile::tempdir().unwrap();
        let root = tree.path().join("root");
        let watch = watch(&root, Switching::InPlace).unwrap();
        drain(&watch);
        for _ in 0..2 {
            fs::create_dir(&root).unwrap();
            assert_eq!(watch.wait(SOON), Some(Hint), "made");
            drain(&watch);
            fs::write(root.join("file"), "1").unwrap();
            assert_eq!(watch.wait(SOON), Some(Hint), "written");
            drain(&watch);
            fs::remove_dir_all(&root).unwrap();
            assert_eq!(watch.wait(SOON), Some(Hint), "gone");
            drain(&watch);
        }
    }
}
