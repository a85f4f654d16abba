//! The connections of those who are not our peers: how long they may stay.

use std::collections::BTreeMap;
use std::time::Instant;

use libp2p::swarm::ConnectionId;

use super::PeerKey;
use super::limits::{STRANGER_JOINING, STRANGER_STAY};

/// One stranger's connection.
#[derive(Debug)]
struct Stranger {
    key: PeerKey,
    until: Instant,
    /// It has asked to join: it closes this connection when it has read the answer. Closing it here could lose an
    /// answer that is on its way.
    joining: bool,
    /// Its join request is with the daemon.
    waiting: bool,
}

/// All of them. The gate bounds their number.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    connections: BTreeMap<ConnectionId, Stranger>,
}

impl Strangers {
    /// Whether there is nobody.
    pub(super) fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// Somebody came in.
    pub(super) fn came(&mut self, connection: ConnectionId, key: PeerKey, now: Instant) {
        let stranger = Stranger { key, until: now + STRANGER_STAY, joining: false, waiting: false };
        self.connections.insert(connection, stranger);
    }

    /// A peer's connection turned out to be good for joining only. Its join request may be with the daemon.
    pub(super) fn demoted(&mut self, connection: ConnectionId, key: PeerKey, now: Instant) {
        let stranger = Stranger { key, until: now + STRANGER_JOINING, joining: false, waiting: false };
        self.connections.insert(connection, stranger);
    }

    /// It asks to join. False if it has asked already and has no answer yet: then it has to go. A connection
    /// that is no stranger's may always ask.
    pub(super) fn asks(&mut self, connection: ConnectionId, now: Instant) -> bool {
        let Some(stranger) = self.connections.get_mut(&connection) else { return true };
        if stranger.waiting {
            return false;
        }
        (stranger.joining, stranger.waiting) = (true, true);
        stranger.until = now + STRANGER_JOINING;
        true
    }

    /// It was answered.
    pub(super) fn answered(&mut self, connection: ConnectionId, now: Instant) {
        if let Some(stranger) = self.connections.get_mut(&connection) {
            stranger.waiting = false;
            stranger.until = now + STRANGER_STAY;
        }
    }

    /// It is gone.
    pub(super) fn gone(&mut self, connection: ConnectionId) {
        self.connections.remove(&connection);
    }

    /// Who has to go by now.
    pub(super) fn overdue(&self, now: Instant) -> Vec<ConnectionId> {
        self.select(|stranger| now >= stranger.until)
    }

    /// The connections of `key` on which it never asked to join.
    pub(super) fn idle_of(&self, key: &PeerKey) -> Vec<ConnectionId> {
        self.select(|stranger| stranger.key == *key && !stranger.joining)
    }

    /// All connections of `key`.
    pub(super) fn all_of(&self, key: &PeerKey) -> Vec<ConnectionId> {
        self.select(|stranger| stranger.key == *key)
    }

    fn select(&self, wanted: impl Fn(&Stranger) -> bool) -> Vec<ConnectionId> {
        self.connections.iter().filter(|(_, stranger)| wanted(stranger)).map(|(id, _)| *id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_stays_longer_while_it_waits_for_an_answer() {
        let (mut strangers, now) = (Strangers::default(), Instant::now());
        let id = ConnectionId::new_unchecked(1);
        strangers.came(id, [1; 32], now);
        assert_eq!(strangers.overdue(now + STRANGER_STAY), [id]);
        assert!(strangers.asks(id, now));
        assert!(!strangers.asks(id, now), "a second request at the same time");
        assert!(strangers.overdue(now + STRANGER_STAY).is_empty());
        strangers.answered(id, now);
        assert_eq!(strangers.overdue(now + STRANGER_STAY), [id]);
    }

    #[test]
    fn an_answer_on_its_way_is_not_cut_off_when_the_stranger_becomes_a_peer() {
        let (mut strangers, now) = (Strangers::default(), Instant::now());
        let (asked, idle) = (ConnectionId::new_unchecked(1), ConnectionId::new_unchecked(2));
        strangers.came(asked, [1; 32], now);
        strangers.came(idle, [1; 32], now);
        assert!(strangers.asks(asked, now));
        assert_eq!(strangers.idle_of(&[1; 32]), [idle]);
        strangers.answered(asked, now);
        assert_eq!(strangers.idle_of(&[1; 32]), [idle]);
        assert!(strangers.asks(asked, now), "it may ask again after its answer");
    }
}
