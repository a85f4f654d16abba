//! The control messages that wait, one lane per peer.
//!
//! The daemon pushes from any task and never waits; the control task takes. A lane is bounded in messages and
//! in bytes and drops its oldest message on overflow; without a connection it takes nothing: what matters is
//! said again by the protocol, and what is old by then should not be said at all.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::limits::{CONTROL_MESSAGE, LANE_BYTES, LANE_MESSAGES};
use super::{NetError, PeerKey, PeerStatus};

/// All lanes, shared between the handle and the control task.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// A plain lock: it is held for a few instructions and never across an await.
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    lanes: BTreeMap<PeerKey, Lane>,
    /// The peers whose lane the control task should look at.
    news: BTreeSet<PeerKey>,
}

#[derive(Debug, Default)]
struct Lane {
    connected: bool,
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    dropped: u64,
}

impl Lane {
    fn push(&mut self, message: Vec<u8>) {
        self.bytes += message.len();
        self.waiting.push_back(message);
        while self.waiting.len() > LANE_MESSAGES || self.bytes > LANE_BYTES {
            self.pop();
            self.dropped += 1;
        }
    }

    fn pop(&mut self) -> Option<Vec<u8>> {
        let message = self.waiting.pop_front()?;
        self.bytes -= message.len();
        Some(message)
    }
}

impl Outbox {
    /// Queues a message. Dropped, and counted, if the peer is unknown or not connected.
    pub(super) fn push(&self, to: PeerKey, message: Vec<u8>) -> Result<(), NetError> {
        if message.len() > CONTROL_MESSAGE {
            return Err(NetError::TooLarge { size: message.len(), limit: CONTROL_MESSAGE });
        }
        let mut state = self.lock();
        let Some(lane) = state.lanes.get_mut(&to) else { return Ok(()) };
        if lane.connected {
            lane.push(message);
        } else {
            lane.dropped += 1;
        }
        state.news.insert(to);
        drop(state);
        self.news.notify_one();
        Ok(())
    }

    /// Waits until some lane deserves a look.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    /// The lanes that deserve a look since the last call.
    pub(super) fn take_news(&self) -> BTreeSet<PeerKey> {
        std::mem::take(&mut self.lock().news)
    }

    /// The next message for a peer.
    pub(super) fn pop(&self, to: &PeerKey) -> Option<Vec<u8>> {
        self.lock().lanes.get_mut(to)?.pop()
    }

    /// Makes a lane for each of `peers` and removes all others.
    pub(super) fn set_peers<'a>(&self, peers: impl Iterator<Item = &'a PeerKey>) {
        let mut state = self.lock();
        let mut old = std::mem::take(&mut state.lanes);
        state.lanes = peers.map(|peer| (*peer, old.remove(peer).unwrap_or_default())).collect();
    }

    /// Opens a lane, or closes it and drops what waits in it.
    pub(super) fn set_connected(&self, peer: &PeerKey, connected: bool) {
        if let Some(lane) = self.lock().lanes.get_mut(peer) {
            lane.connected = connected;
            lane.dropped += lane.waiting.len() as u64;
            lane.waiting.clear();
            lane.bytes = 0;
        }
    }

    /// Counts a message that was taken and lost on the way.
    pub(super) fn count_lost(&self, peer: &PeerKey) {
        if let Some(lane) = self.lock().lanes.get_mut(peer) {
            lane.dropped += 1;
        }
    }

    /// How each peer's lane is.
    pub(super) fn status(&self) -> BTreeMap<PeerKey, PeerStatus> {
        let status = |lane: &Lane| PeerStatus {
            connected: lane.connected,
            waiting: lane.waiting.len(),
            dropped: lane.dropped,
        };
        self.lock().lanes.iter().map(|(peer, lane)| (*peer, status(lane))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: PeerKey = [1; 32];

    fn open() -> Outbox {
        let outbox = Outbox::default();
        outbox.set_peers([PEER].iter());
        outbox.set_connected(&PEER, true);
        outbox
    }

    #[test]
    fn overflow_drops_the_oldest_and_counts_it() {
        let outbox = open();
        for n in 0..=LANE_MESSAGES {
            outbox.push(PEER, n.to_be_bytes().to_vec()).unwrap();
        }
        assert_eq!(outbox.pop(&PEER), Some(1usize.to_be_bytes().to_vec()));
        assert_eq!(outbox.status()[&PEER].dropped, 1);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let outbox = open();
        for _ in 0..20 {
            outbox.push(PEER, vec![0; CONTROL_MESSAGE]).unwrap();
        }
        assert_eq!(outbox.status()[&PEER].waiting, LANE_BYTES / CONTROL_MESSAGE);
    }

    #[test]
    fn nothing_waits_for_an_unconnected_peer_but_it_is_news() {
        let outbox = open();
        outbox.set_connected(&PEER, false);
        outbox.push(PEER, vec![1]).unwrap();
        assert_eq!(outbox.pop(&PEER), None);
        assert_eq!(outbox.status()[&PEER].dropped, 1);
        assert!(outbox.take_news().contains(&PEER));
    }

    #[test]
    fn too_large_is_the_callers_to_know() {
        let size = CONTROL_MESSAGE + 1;
        let refused = open().push(PEER, vec![0; size]);
        assert_eq!(refused, Err(NetError::TooLarge { size, limit: CONTROL_MESSAGE }));
    }
}
