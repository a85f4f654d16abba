//! The thread that makes things durable, in order: the protocol's batches, and the event log.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use althing_protocol::effect::{Input, Write};
use althing_store::{CommitError, Store};
use tokio::sync::{mpsc, watch};

use crate::daemon::Happening;

/// A full disk is tried again after this.
const ROOM: Duration = Duration::from_millis(250);
/// With nothing that waits for room there is nothing to wake up for.
const IDLE: Duration = Duration::from_secs(3600);
/// Events that wait for room, at most; the oldest are dropped.
const WAITING_EVENTS: usize = 1_000;

pub(crate) enum Work {
    /// A batch of the protocol.
    Persist { batch: u64, writes: Vec<Write> },
    /// Only programs that speak this version may open the store from now on.
    Format(u32),
    /// An encoded event.
    Event(Vec<u8>),
}

pub(crate) struct Writer {
    /// Without a bound: the loop must never wait for this thread, which waits for the loop. What is in it are the
    /// outputs of single steps, and no step follows a vote before the vote's batch came back.
    work: Sender<Work>,
}

impl Writer {
    /// Starts the thread. `last_event` tells the number of the newest event.
    pub(crate) fn start(
        store: Arc<Store>,
        to: mpsc::Sender<Happening>,
        last_event: watch::Sender<u64>,
    ) -> anyhow::Result<Self> {
        let (work, queue) = channel();
        thread::Builder::new()
            .name("writer".into())
            .spawn(move || write(&store, &queue, &to, &last_event))?;
        Ok(Self { work })
    }

    pub(crate) fn submit(&self, work: Work) {
        // The thread ends only with the process.
        let _ = self.work.send(work);
    }
}

fn write(
    store: &Store,
    queue: &Receiver<Work>,
    to: &mpsc::Sender<Happening>,
    last_event: &watch::Sender<u64>,
) {
    let mut events = Vec::new();
    loop {
        let mut next = match queue.recv_timeout(if events.is_empty() { IDLE } else { ROOM }) {
            Ok(first) => Some(first),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        while let Some(work) = next {
            match work {
                Work::Format(version) => until_durable(|| store.raise_format(version)),
                Work::Persist { batch, writes } => {
                    until_durable(|| store.commit(&writes));
                    if to.blocking_send(Happening::Input(Input::Persisted(batch))).is_err() {
                        return;
                    }
                }
                Work::Event(event) => events.push(event),
            }
            next = queue.try_recv().ok();
        }
        if !events.is_empty() {
            log(store, &mut events, last_event);
        }
    }
}

/// Makes something durable, waiting as long as the disk is full: what depends on it does not leave meanwhile, so this
/// member does not vote.
fn until_durable(write: impl Fn() -> Result<(), CommitError>) {
    loop {
        match write() {
            Ok(()) => return,
            Err(error) if error.is_full() => thread::sleep(ROOM),
            // A vote that may not be on disk must not leave.
            Err(error) => end(&error),
        }
    }
}

/// Logs events; without room they wait, the newest of them.
fn log(store: &Store, events: &mut Vec<Vec<u8>>, last_event: &watch::Sender<u64>) {
    match store.append_events(events) {
        Ok(number) => {
            last_event.send_replace(number);
            events.clear();
        }
        Err(error) if error.is_full() => {
            let surplus = events.len().saturating_sub(WAITING_EVENTS);
            events.drain(..surplus);
        }
        Err(error) if error.is_fatal() => end(&error),
        Err(error) => {
            tracing::error!(%error, "events were not logged");
            events.clear();
        }
    }
}

/// Ends the process: after a failed sync nobody knows what is on the disk, and a start finds out.
pub(crate) fn end(error: &dyn std::fmt::Display) -> ! {
    tracing::error!(%error, "the store failed: this member ends rather than promise what it cannot keep");
    std::process::exit(70);
}
