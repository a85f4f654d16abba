//! What peers and strangers may use of the control port, and what they did that they may not (design §10).
//!
//! Decides nothing about a peer: what is above its budget is refused, and told to the daemon once a second.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use althing_protocol::budget::Bucket;
use althing_protocol::conduct::Offence;
use althing_protocol::time;

use super::PeerKey;
use super::limits::{
    API_REQUESTS, JOIN_IPS, JOINS, JOINS_PER_IP, MESSAGE_BYTES, MESSAGES, STRANGERS_TOLD,
    STRANGERS_WORTH_TELLING,
};

/// Buckets count milliseconds of a clock of their own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    /// Begins now.
    pub(super) fn new(now: Instant) -> Self {
        Self(now)
    }

    /// The time since then.
    pub(super) fn at(self, now: Instant) -> time::Instant {
        time::Instant(u64::try_from(now.duration_since(self.0).as_millis()).unwrap_or(u64::MAX))
    }
}

/// What one peer may still send.
#[derive(Debug)]
struct Peer {
    messages: Bucket,
    bytes: Bucket,
    requests: Bucket,
}

/// The budgets of all peers, and what is to be told of them.
#[derive(Debug)]
pub(super) struct Budgets {
    clock: Clock,
    peers: BTreeMap<PeerKey, Peer>,
    noted: BTreeMap<(PeerKey, Offence), u64>,
}

impl Budgets {
    /// Nobody has used anything.
    pub(super) fn new(now: Instant) -> Self {
        Self { clock: Clock::new(now), peers: BTreeMap::new(), noted: BTreeMap::new() }
    }

    fn peer(&mut self, key: PeerKey, now: time::Instant) -> &mut Peer {
        self.peers.entry(key).or_insert_with(|| Peer {
            messages: Bucket::full(MESSAGES, now),
            bytes: Bucket::full(MESSAGE_BYTES, now),
            requests: Bucket::full(API_REQUESTS, now),
        })
    }

    /// Whether one more message of this length is taken.
    pub(super) fn message(&mut self, from: PeerKey, bytes: usize, now: Instant) -> bool {
        let now = self.clock.at(now);
        let peer = self.peer(from, now);
        let may = peer.bytes.take(MESSAGE_BYTES, now, bytes as u64) && peer.messages.take(MESSAGES, now, 1);
        self.flood_unless(may, from)
    }

    /// Whether one more API request is taken.
    pub(super) fn request(&mut self, from: PeerKey, now: Instant) -> bool {
        let now = self.clock.at(now);
        let may = self.peer(from, now).requests.take(API_REQUESTS, now, 1);
        self.flood_unless(may, from)
    }

    fn flood_unless(&mut self, may: bool, from: PeerKey) -> bool {
        if !may {
            self.note(from, Offence::Flood);
        }
        may
    }

    /// A peer did this once more.
    pub(super) fn note(&mut self, from: PeerKey, what: Offence) {
        *self.noted.entry((from, what)).or_default() += 1;
    }

    /// One peer's offence that was not told yet.
    pub(super) fn next_noted(&mut self) -> Option<(PeerKey, Offence, u64)> {
        self.noted.pop_first().map(|((from, what), times)| (from, what, times))
    }

    /// Forgets whoever is not a peer any more.
    pub(super) fn retain(&mut self, is_peer: impl Fn(&PeerKey) -> bool) {
        self.peers.retain(|key, _| is_peer(key));
        self.noted.retain(|(key, _), _| is_peer(key));
    }
}

/// What strangers may ask, and how many were turned away.
#[derive(Debug)]
pub(super) struct Knocking {
    clock: Clock,
    joins: Bucket,
    by_ip: BTreeMap<IpAddr, (Bucket, time::Instant)>,
    refused: BTreeMap<IpAddr, u64>,
    others: u64,
    told: Option<Instant>,
}

impl Knocking {
    /// Nobody has knocked.
    pub(super) fn new(now: Instant) -> Self {
        let clock = Clock::new(now);
        let joins = Bucket::full(JOINS, clock.at(now));
        Self { clock, joins, by_ip: BTreeMap::new(), refused: BTreeMap::new(), others: 0, told: None }
    }

    /// Whether one more join request from this address is looked at.
    pub(super) fn may_join(&mut self, from: IpAddr, now: Instant) -> bool {
        let now = self.clock.at(now);
        if self.by_ip.len() >= JOIN_IPS && !self.by_ip.contains_key(&from) {
            let quiet = self.by_ip.iter().min_by_key(|(_, (_, used))| *used).map(|(ip, _)| *ip);
            quiet.map(|ip| self.by_ip.remove(&ip));
        }
        let (own, used) = self.by_ip.entry(from).or_insert_with(|| (Bucket::full(JOINS_PER_IP, now), now));
        *used = now;
        own.take(JOINS_PER_IP, now, 1) && self.joins.take(JOINS, now, 1)
    }

    /// A connection from this address came to nothing.
    pub(super) fn refused(&mut self, from: Option<IpAddr>) {
        match from {
            Some(ip) if self.refused.len() < JOIN_IPS || self.refused.contains_key(&ip) => {
                *self.refused.entry(ip).or_default() += 1;
            }
            _ => self.others += 1,
        }
    }

    /// How many were turned away since this was told last, by address, most first; if it is worth telling now.
    pub(super) fn worth_telling(&mut self, now: Instant) -> Option<Vec<(Option<IpAddr>, u64)>> {
        let count = self.refused.values().sum::<u64>() + self.others;
        let due = self.told.is_none_or(|at| now.duration_since(at) >= STRANGERS_TOLD);
        if count < STRANGERS_WORTH_TELLING || !due {
            return None;
        }
        self.told = Some(now);
        let known = std::mem::take(&mut self.refused).into_iter().map(|(ip, count)| (Some(ip), count));
        let others = std::mem::take(&mut self.others);
        let mut counts: Vec<_> = known.chain((others > 0).then_some((None, others))).collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Some(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: PeerKey = [1; 32];

    #[test]
    fn a_flood_is_refused_and_told_once() {
        let now = Instant::now();
        let mut budgets = Budgets::new(now);
        let taken = (0..10_000).filter(|_| budgets.message(PEER, 10, now)).count() as u64;
        assert_eq!(taken, MESSAGES.burst);
        assert_eq!(budgets.next_noted(), Some((PEER, Offence::Flood, 10_000 - taken)));
        assert_eq!(budgets.next_noted(), None);
        assert!(budgets.message([2; 32], 10, now), "another peer has its own");
    }

    #[test]
    fn large_messages_are_counted_by_their_bytes() {
        let now = Instant::now();
        let mut budgets = Budgets::new(now);
        assert_eq!((0..100).filter(|_| budgets.message(PEER, 4 << 20, now)).count(), 2);
    }

    #[test]
    fn one_address_does_not_use_up_the_joins_of_all() {
        let now = Instant::now();
        let mut knocking = Knocking::new(now);
        let ip = |n: u32| IpAddr::from((0x0a00_0000 + n).to_be_bytes());
        let one = (0..1000).filter(|_| knocking.may_join(ip(1), now)).count() as u64;
        assert_eq!(one, JOINS_PER_IP.burst);
        assert!(knocking.may_join(ip(2), now));
        let all = (0..5000).filter(|n| knocking.may_join(ip(*n), now)).count() as u64;
        assert_eq!(one + 1 + all, JOINS.burst);
        assert!(knocking.by_ip.len() <= JOIN_IPS);
    }

    #[test]
    fn who_was_turned_away_is_told_by_address_and_not_too_often() {
        let now = Instant::now();
        let mut knocking = Knocking::new(now);
        let (a, b) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        knocking.refused(Some(a));
        assert_eq!(knocking.worth_telling(now), None);
        (0..30).for_each(|_| knocking.refused(Some(b)));
        assert_eq!(knocking.worth_telling(now), Some(vec![(Some(b), 30), (Some(a), 1)]));
        (0..30).for_each(|_| knocking.refused(None));
        assert_eq!(knocking.worth_telling(now), None);
        assert_eq!(knocking.worth_telling(now + STRANGERS_TOLD), Some(vec![(None, 30)]));
    }
}
