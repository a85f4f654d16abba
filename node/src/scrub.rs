//! The scrub: reads all content of the store again, slowly, to find what the disk changed (finding 41). What is
//! damaged is put aside and the protocol is told, which fetches it again.
//!
//! It remembers how far it is, so that a daemon that is restarted every day comes round as well.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use althing_protocol::codec;
use althing_protocol::effect::Input;
use althing_protocol::hash::Hash;
use althing_store::{Content, ContentError, Store, Verdict};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::daemon::Happening;

/// Bytes that are read in a second, so that nobody notices.
const BYTES_PER_SECOND: u64 = 4_000_000;
/// A round begins at most this often.
const ROUND: Duration = Duration::from_secs(24 * 3600);
/// How far it is is written after so many files, or bytes.
const SAVE_FILES: u64 = 1_000;
const SAVE_BYTES: u64 = 64 << 20;
/// What opening a file costs, as bytes.
const FILE_BYTES: usize = 16 << 10;
/// Between two looks whether there is something to do, or to stop.
const NAP: Duration = Duration::from_millis(500);
/// The record of how far it is.
const KEY: &str = "scrub/position";
const RECORD_BYTES: usize = 256;
const FORMAT: u8 = 1;

/// How far the scrub is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Position {
    format: u8,
    /// The last file that was read; none before the first.
    after: Option<Hash>,
    /// When this round began, or, when it has ended, that one, in milliseconds since 1970.
    began: u64,
    /// Whether the round has ended.
    ended: bool,
}

/// Ends the scrub when dropped.
pub(crate) struct Scrub {
    stop: Arc<AtomicBool>,
}

impl Drop for Scrub {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Starts the thread.
pub(crate) fn start(store: Arc<Store>, to: mpsc::Sender<Happening>) -> anyhow::Result<Scrub> {
    let stop = Arc::new(AtomicBool::new(false));
    let worker = Worker { store, to, stop: Arc::clone(&stop) };
    thread::Builder::new().name("scrub".into()).spawn(move || worker.run())?;
    Ok(Scrub { stop })
}

/// Reads everything now, as fast as it can, and says how many files were damaged.
pub(crate) fn all_at_once(store: &Arc<Store>, to: &mpsc::Sender<Happening>) -> Result<u64, ContentError> {
    let mut damaged = 0;
    for index in 0..=u8::MAX {
        for name in store.content().names_in(index)? {
            damaged += u64::from(examine(store.content(), to, &name, &mut |_| {})?);
        }
    }
    Ok(damaged)
}

struct Worker {
    store: Arc<Store>,
    to: mpsc::Sender<Happening>,
    stop: Arc<AtomicBool>,
}

impl Worker {
    fn run(&self) {
        let mut position = self.load();
        while !self.is_stopped() {
            let now = millis(SystemTime::now());
            if position.ended && now.saturating_sub(position.began) < ROUND.as_millis() as u64 {
                thread::sleep(NAP);
                continue;
            }
            if position.ended {
                position = Position { format: FORMAT, after: None, began: now, ended: false };
            }
            if let Err(error) = self.round(&mut position) {
                tracing::warn!(%error, "content in the store could not be read through; tried again tomorrow");
                position.ended = true;
            }
            self.save(&position);
        }
    }

    /// From where it is to the end, or until it is told to stop.
    fn round(&self, position: &mut Position) -> Result<(), ContentError> {
        let first = position.after.map_or(0, |after| after.0[0]);
        let (mut files, mut bytes) = (0, 0);
        for index in first..=u8::MAX {
            for name in self.store.content().names_in(index)? {
                if position.after.is_some_and(|after| name <= after) {
                    continue;
                }
                if self.is_stopped() {
                    return Ok(());
                }
                let mut pace = |count: usize| {
                    bytes += count as u64;
                    self.pause(count);
                };
                pace(FILE_BYTES);
                examine(self.store.content(), &self.to, &name, &mut pace)?;
                position.after = Some(name);
                files += 1;
                if files >= SAVE_FILES || bytes >= SAVE_BYTES {
                    (files, bytes) = (0, 0);
                    self.save(position);
                }
            }
        }
        position.ended = true;
        Ok(())
    }

    /// As long as reading so many bytes may take.
    fn pause(&self, bytes: usize) {
        if !self.is_stopped() {
            thread::sleep(Duration::from_nanos(bytes as u64 * 1_000_000_000 / BYTES_PER_SECOND));
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Without a record that can be read, a first round begins a while after the start.
    fn load(&self) -> Position {
        let new = Position { format: FORMAT, after: None, began: millis(SystemTime::now()), ended: false };
        let record = self.store.record(KEY).ok().flatten();
        let found = record.and_then(|bytes| codec::decode::<Position>(&bytes, RECORD_BYTES).ok());
        found.filter(|position| position.format == FORMAT).unwrap_or(new)
    }

    /// Without room, or with an index that fails, only the place is lost.
    fn save(&self, position: &Position) {
        if let Err(error) = self.store.put_record(KEY, Some(&codec::encode(position))) {
            tracing::debug!(%error, "how far the scrub is was not written");
        }
    }
}

/// Reads one file; whether it was damaged.
fn examine(
    content: &Content,
    to: &mpsc::Sender<Happening>,
    name: &Hash,
    pace: &mut dyn FnMut(usize),
) -> Result<bool, ContentError> {
    let Verdict::Damaged { aside } = content.verify_paced(name, pace)? else { return Ok(false) };
    let aside = aside.to_string_lossy().into_owned();
    // The channel closes only when the daemon ends.
    let _ = to.blocking_send(Happening::Input(Input::Damaged { content: *name, aside }));
    Ok(true)
}

fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(store: &Store, bytes: &[u8]) -> Hash {
        let mut batch = store.content().batch();
        let (hash, _) = batch.add_any(&mut &bytes[..]).unwrap();
        batch.finish().unwrap();
        hash
    }

    #[test]
    fn damaged_content_is_put_aside_and_told_and_the_round_goes_on_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&dir.path().join("store")).unwrap());
        let mut names: Vec<Hash> = (0..40_u8).map(|n| content(&store, &[n; 100])).collect();
        names.sort();
        let rotten = names[30];
        let at = dir.path().join("store/content").join(&rotten.hex()[..2]).join(rotten.hex());
        std::fs::write(&at, "rot").unwrap();
        let (to, mut told) = mpsc::channel(8);
        let worker = Worker { store: Arc::clone(&store), to, stop: Arc::new(AtomicBool::new(false)) };
        let mut position = worker.load();
        position.after = Some(names[29]);
        worker.save(&position);
        assert_eq!(worker.load(), position, "it goes on where it was");
        worker.round(&mut position).unwrap();
        assert!(position.ended && position.after == Some(names[39]));
        let Some(Happening::Input(Input::Damaged { content, aside })) = told.blocking_recv() else {
            panic!("nothing was told")
        };
        assert_eq!(content, rotten);
        assert_eq!(std::fs::read(aside).unwrap(), b"rot");
        assert!(!store.content().has(&rotten) && store.content().has(&names[0]));
        assert!(told.try_recv().is_err(), "one is damaged");
    }
}
