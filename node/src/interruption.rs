//! What became of the run before this one: killed or without power, it could not tell; so the next one does.

use std::time::{SystemTime, UNIX_EPOCH};

use althing_protocol::codec;
use althing_protocol::event::{Event, Severity};
use althing_store::{LastRun, Store};

use crate::daemon::Logged;

/// Logs that the run before was interrupted, durably, before anything is answered.
pub(crate) fn note(store: &Store) {
    let Some(event) = event(store.last_run()) else { return };
    tracing::info!(kind = event.kind, "{}", event.text);
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    if let Err(error) = store.append_events(&[codec::encode(&Logged { at, event })]) {
        // Nothing depends on it, and a full disk must not keep a member from coming back.
        tracing::warn!(%error, "the interruption was not logged");
    }
}

/// This run ends as it should.
pub(crate) fn end_in_order(store: &Store) {
    if let Err(error) = store.end_in_order() {
        tracing::warn!(%error, "the next start will take this end for an interruption");
    }
}

fn event(last: &LastRun) -> Option<Event> {
    let text = match last {
        LastRun::InOrder => return None,
        LastRun::Interrupted { pid, rebooted: true } => {
            format!(
                "the machine was restarted or lost its power while the node ran (pid {pid}); it goes on from what was synced"
            )
        }
        LastRun::Interrupted { pid, rebooted: false } => {
            format!(
                "the node before this one (pid {pid}) was killed or crashed; it goes on from what was synced"
            )
        }
    };
    Some(Event::new(Severity::Notice, "node.interrupted", text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interruption_is_told_once_and_an_orderly_end_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let kinds = |store: &Store| -> Vec<String> {
            let events = store.events_after(0, 10).unwrap();
            let kind =
                |(_, bytes): &(u64, Vec<u8>)| codec::decode::<Logged>(bytes, usize::MAX).unwrap().event.kind;
            events.iter().map(kind).collect()
        };
        let first = Store::open(dir.path()).unwrap();
        note(&first);
        assert!(kinds(&first).is_empty(), "a first start");
        drop(first);
        let second = Store::open(dir.path()).unwrap();
        note(&second);
        assert_eq!(kinds(&second), ["node.interrupted"], "it did not say that it ended");
        end_in_order(&second);
        drop(second);
        let third = Store::open(dir.path()).unwrap();
        note(&third);
        assert_eq!(kinds(&third).len(), 1, "an orderly end");
    }
}
