//! The events that wait for the daemon.
//!
//! Messages and requests are bounded in number and bytes: what does not fit is refused, and the sender knows.
//! `Connected` and `Disconnected` are never refused; at most two of one peer wait, because a third and its
//! predecessor cancel each other.

use std::collections::VecDeque;

use super::limits::{BACKLOG_BYTES, BACKLOG_EVENTS};
use super::{NetEvent, PeerKey};

/// A bounded queue of events.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    waiting: VecDeque<NetEvent>,
    /// Events that carry bytes of others, and how many bytes.
    carriers: usize,
    bytes: usize,
}

impl Backlog {
    /// Whether an event with a body of `size` bytes may be pushed.
    pub(super) fn has_room(&self, size: usize) -> bool {
        self.carriers < BACKLOG_EVENTS && self.bytes + size <= BACKLOG_BYTES
    }

    /// Queues an event that `has_room` allowed.
    pub(super) fn push(&mut self, event: NetEvent) {
        self.carriers += 1;
        self.bytes += size(&event);
        self.waiting.push_back(event);
    }

    /// Queues that the peer is connected now, or is not any more.
    pub(super) fn push_connected(&mut self, peer: PeerKey, connected: bool) {
        let of_peer = |event: &NetEvent| match event {
            NetEvent::Connected(of) | NetEvent::Disconnected(of) => *of == peer,
            _ => false,
        };
        if self.waiting.iter().filter(|event| of_peer(event)).count() < 2 {
            let event = if connected { NetEvent::Connected(peer) } else { NetEvent::Disconnected(peer) };
            self.waiting.push_back(event);
        } else if let Some(last) = self.waiting.iter().rposition(of_peer) {
            self.waiting.remove(last);
        }
    }

    /// The oldest event.
    pub(super) fn pop(&mut self) -> Option<NetEvent> {
        let event = self.waiting.pop_front()?;
        if !matches!(event, NetEvent::Connected(_) | NetEvent::Disconnected(_)) {
            self.carriers -= 1;
            self.bytes -= size(&event);
        }
        Some(event)
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

fn size(event: &NetEvent) -> usize {
    match event {
        NetEvent::Message { bytes, .. } => bytes.len(),
        NetEvent::Request { body, .. } | NetEvent::Join { body, .. } => body.len(),
        NetEvent::Connected(_)
        | NetEvent::Disconnected(_)
        | NetEvent::Offended { .. }
        | NetEvent::TurnedAway { .. }
        | NetEvent::Bulk { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: PeerKey = [1; 32];

    #[test]
    fn a_flapping_peer_leaves_at_most_two_events() {
        let mut backlog = Backlog::default();
        for n in 0..101 {
            backlog.push_connected(PEER, n % 2 == 0);
        }
        assert!(matches!(backlog.pop(), Some(NetEvent::Connected(PEER))));
        assert!(backlog.is_empty());
    }

    #[test]
    fn a_reconnection_is_told_as_such() {
        let mut backlog = Backlog::default();
        backlog.push_connected(PEER, false);
        backlog.push_connected(PEER, true);
        assert!(matches!(backlog.pop(), Some(NetEvent::Disconnected(PEER))));
        assert!(matches!(backlog.pop(), Some(NetEvent::Connected(PEER))));
    }

    #[test]
    fn messages_are_bounded() {
        let mut backlog = Backlog::default();
        while backlog.has_room(1) {
            backlog.push(NetEvent::Message { from: PEER, bytes: vec![0] });
        }
        assert_eq!(backlog.carriers, BACKLOG_EVENTS);
        backlog.pop();
        assert!(backlog.has_room(1) && !backlog.has_room(BACKLOG_BYTES));
    }
}
