//! What we know about the control connections to one peer: which to use, when to dial, which are dead.
//!
//! Time is an argument here and libp2p's connections are only numbers, so the rules can be tested.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use libp2p::request_response::OutboundRequestId;
use libp2p::swarm::ConnectionId;

use super::limits::{
    ANSWER, ASK_AFTER, ASK_IDLE, BACKOFF_CAP, BACKOFF_START, HURRIED_DIALS, LINE_BYTES, REPLACEMENT_FORGIVEN,
    REPLACEMENTS, SIMULTANEOUS, STABLE, STAGGER, WINDOW,
};

/// Who of the two has the smaller key, and so dials first and whose dial wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Smaller {
    /// We have.
    We,
    /// The peer has.
    They,
}

/// Who dialed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialer {
    /// We did.
    We,
    /// The peer did.
    They,
}

/// What a connection was that is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// Not the one in use.
    Unused,
    /// In use, but the peer had never been confirmed.
    Unconfirmed,
    /// The connection to a peer: it is disconnected now.
    Peer,
}

/// An established connection.
#[derive(Debug, Clone, Copy)]
struct Connection {
    id: ConnectionId,
    dialer: Dialer,
    since: Instant,
    /// When it last brought anything.
    heard: Instant,
    /// When something was said on it first, since then.
    said: Option<Instant>,
    /// When it was asked whether it lives, since then.
    asked: Option<Instant>,
    /// Whether the peer speaks lines, as far as is known.
    lines: bool,
}

/// The connection to one peer, the dialing of it and the messages on it.
#[derive(Debug)]
pub(super) struct Link {
    smaller: Smaller,
    connection: Option<Connection>,
    /// Whether the peer has shown that it takes us for a peer, too. Until then it does not count as connected.
    confirmed: bool,
    /// Our question whether it does.
    hello: Option<OutboundRequestId>,
    dialing: Option<ConnectionId>,
    attempts: u32,
    last_dial: Option<Instant>,
    next_dial: Instant,
    /// The peer takes us for a stranger: it is of no use to dial before this.
    not_before: Instant,
    /// Messages sent and not acknowledged.
    in_flight: BTreeSet<OutboundRequestId>,
    /// Messages on the line of the connection in use that have not left, by their length.
    on_line: VecDeque<usize>,
    /// Messages that were on the line of a connection that is not used any more.
    unsaid: usize,
    /// Connections that replaced one that was up, lately, and when the last of them was forgiven.
    replaced: (u32, Instant),
}

/// What a new connection leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Surplus {
    /// It is the only one.
    None,
    /// This one has to go: the new one, or the one it replaces.
    Close(ConnectionId),
    /// The new one has to go, because the peer connects again and again.
    Flapping(ConnectionId),
}

impl Link {
    /// A link to a peer we have just heard of.
    pub(super) fn new(smaller: Smaller, now: Instant) -> Self {
        Self {
            smaller,
            connection: None,
            confirmed: false,
            hello: None,
            dialing: None,
            attempts: 0,
            last_dial: None,
            next_dial: now + stagger(smaller),
            not_before: now,
            in_flight: BTreeSet::new(),
            on_line: VecDeque::new(),
            unsaid: 0,
            replaced: (0, now),
        }
    }

    /// A connection is up. Says which one has to go, if there are two now.
    ///
    /// The newest wins: the peer would not have dialed, had it not lost the older one. Only when both sides
    /// dialed at the same time both would lose one that way, so then the dial of the smaller key wins. And
    /// who replaces its connections again and again keeps the one it has, as long as that is not silent: of
    /// two processes with one key one is connected, instead of neither.
    pub(super) fn established(&mut self, id: ConnectionId, dialer: Dialer, now: Instant) -> Surplus {
        if self.dialing == Some(id) {
            self.dialing = None;
        }
        let (said, asked, lines) = (None, None, true);
        let new = Connection { id, dialer, since: now, heard: now, said, asked, lines };
        let Some(old) = self.connection else {
            self.connection = Some(new);
            return Surplus::None;
        };
        let both_dialed = old.dialer != dialer && now.duration_since(old.since) < SIMULTANEOUS;
        let winner = if self.smaller == Smaller::We { Dialer::We } else { Dialer::They };
        if both_dialed && dialer != winner {
            return Surplus::Close(id);
        }
        if !self.may_replace(now) {
            return Surplus::Flapping(id);
        }
        self.connection = Some(new);
        self.leave_line();
        Surplus::Close(old.id)
    }

    fn may_replace(&mut self, now: Instant) -> bool {
        let (count, since) = &mut self.replaced;
        while *count > 0 && now.duration_since(*since) >= REPLACEMENT_FORGIVEN {
            *count -= 1;
            *since += REPLACEMENT_FORGIVEN;
        }
        if *count == 0 {
            *since = now;
        }
        let may = *count < REPLACEMENTS;
        *count += u32::from(may);
        may
    }

    /// A connection is closed or given up. If it was the one in use: dial again, after a back-off.
    pub(super) fn lost(&mut self, id: ConnectionId, now: Instant) -> Lost {
        let Some(connection) = self.connection.filter(|connection| connection.id == id) else {
            return Lost::Unused;
        };
        if now.duration_since(connection.since) >= STABLE {
            self.attempts = 0;
        }
        self.connection = None;
        self.leave_line();
        self.hello = None;
        self.back_off(now);
        if std::mem::take(&mut self.confirmed) { Lost::Peer } else { Lost::Unconfirmed }
    }

    /// We ask the peer whether we are peers, or whether it lives.
    pub(super) fn greeted(&mut self, id: OutboundRequestId, now: Instant) {
        self.hello = Some(id);
        self.asked(now);
    }

    /// We ask the peer whether it lives.
    pub(super) fn asked(&mut self, now: Instant) {
        if let Some(connection) = &mut self.connection {
            connection.asked.get_or_insert(now);
        }
    }

    /// Whether this was our question.
    pub(super) fn is_hello(&self, id: OutboundRequestId) -> bool {
        self.hello == Some(id)
    }

    /// The peer has shown on the connection in use that it takes us for a peer. True if that is news.
    pub(super) fn confirm(&mut self, id: ConnectionId) -> bool {
        self.connection() == Some(id) && !std::mem::replace(&mut self.confirmed, true)
    }

    /// Whether there is a connection and both sides take each other for peers.
    pub(super) fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// Whether the peer took us for a stranger a moment ago.
    pub(super) fn is_shunned(&self, now: Instant) -> bool {
        now < self.not_before
    }

    /// The peer takes us for a stranger: leave it alone for a while.
    pub(super) fn shunned(&mut self, now: Instant) {
        self.not_before = now + jitter(BACKOFF_CAP);
        self.next_dial = self.next_dial.max(self.not_before);
    }

    /// The connection in use.
    pub(super) fn connection(&self) -> Option<ConnectionId> {
        self.connection.map(|connection| connection.id)
    }

    /// Something came on a connection.
    pub(super) fn heard(&mut self, id: ConnectionId, now: Instant) {
        if let Some(connection) = self.connection.as_mut().filter(|connection| connection.id == id) {
            (connection.heard, connection.said, connection.asked) = (now, None, None);
        }
    }

    /// We ourselves were asleep: all silence until now is forgiven.
    pub(super) fn forgive(&mut self, now: Instant) {
        if let Some(connection) = &mut self.connection {
            (connection.heard, connection.said, connection.asked) = (now, None, None);
        }
    }

    /// Whether it is time to ask whether the connection lives.
    pub(super) fn must_ask(&self, now: Instant) -> bool {
        let doubted = |connection: &Connection| {
            let unanswered = connection.said.is_some_and(|at| now.duration_since(at) >= ASK_AFTER);
            unanswered || now.duration_since(connection.heard) >= ASK_IDLE
        };
        self.confirmed && self.connection.is_some_and(|at| at.asked.is_none() && doubted(&at))
    }

    /// The connection, if it does not answer.
    pub(super) fn silent(&self, now: Instant) -> Option<ConnectionId> {
        let connection = self.connection?;
        // Whether we are peers is asked once; it may have to wait for whoever has just started.
        let patience = if self.confirmed { ANSWER } else { ASK_AFTER + ANSWER };
        let silent = connection.asked.is_some_and(|at| now.duration_since(at) >= patience);
        silent.then_some(connection.id)
    }

    /// The connection, if messages go by its line.
    pub(super) fn line(&self) -> Option<ConnectionId> {
        self.connection.filter(|connection| connection.lines).map(|connection| connection.id)
    }

    /// The peer does not speak lines on this connection: all that waits for one goes another way.
    pub(super) fn has_no_line(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connection.as_mut().filter(|connection| connection.id == id) {
            connection.lines = false;
            self.on_line.clear();
        }
    }

    /// A message of this length is on the line.
    pub(super) fn said(&mut self, bytes: usize, now: Instant) {
        self.on_line.push_back(bytes);
        self.speaks(now);
    }

    /// An answer is on the line: nobody answers it.
    pub(super) fn answered(&mut self) {
        self.on_line.push_back(0);
    }

    /// So many messages have left on the line of a connection, or were lost on it.
    pub(super) fn left(&mut self, id: ConnectionId, count: usize) {
        if self.connection() == Some(id) {
            self.on_line.drain(..count.min(self.on_line.len()));
        }
    }

    /// Messages that were lost with their connection since this was asked last.
    pub(super) fn take_unsaid(&mut self) -> usize {
        std::mem::take(&mut self.unsaid)
    }

    fn leave_line(&mut self) {
        self.unsaid += self.on_line.len();
        self.on_line.clear();
    }

    fn speaks(&mut self, now: Instant) {
        if let Some(connection) = &mut self.connection {
            connection.said.get_or_insert(now);
        }
    }

    /// Whether it is time to dial.
    pub(super) fn dial_due(&self, now: Instant) -> bool {
        self.connection.is_none() && self.dialing.is_none() && now >= self.next_dial
    }

    /// A dial has begun.
    pub(super) fn dialing(&mut self, id: ConnectionId, now: Instant) {
        self.dialing = Some(id);
        self.last_dial = Some(now);
    }

    /// A dial has failed. True if it was ours.
    pub(super) fn dial_failed(&mut self, id: ConnectionId, now: Instant) -> bool {
        let ours = self.dialing == Some(id);
        if ours {
            self.dialing = None;
            self.back_off(now);
        }
        ours
    }

    /// Somebody wants to talk to the peer: dial soon.
    pub(super) fn hurry(&mut self, now: Instant) {
        let soon = self.last_dial.map_or(now, |last| last + HURRIED_DIALS);
        self.next_dial = self.next_dial.min(soon.max(self.not_before));
    }

    /// The peer is reachable again, or at another address: dial at once, whatever a dial to the old one does.
    pub(super) fn reset(&mut self, now: Instant) {
        self.dialing = None;
        self.not_before = now;
        self.attempts = 0;
        self.next_dial = now + stagger(self.smaller);
    }

    /// Whether one more message may be sent.
    pub(super) fn may_send(&self) -> bool {
        let waiting = self.in_flight.len() + self.on_line.len();
        self.confirmed && waiting < WINDOW && self.on_line.iter().sum::<usize>() < LINE_BYTES
    }

    /// A message was sent, and is to be acknowledged.
    pub(super) fn sent(&mut self, id: OutboundRequestId, now: Instant) {
        self.in_flight.insert(id);
        self.speaks(now);
    }

    /// A message was acknowledged or has failed.
    pub(super) fn settled(&mut self, id: OutboundRequestId) {
        self.in_flight.remove(&id);
    }

    fn back_off(&mut self, now: Instant) {
        let delay = BACKOFF_START.saturating_mul(1 << self.attempts.min(16)).min(BACKOFF_CAP);
        self.attempts = self.attempts.saturating_add(1);
        self.next_dial = now + jitter(delay) + stagger(self.smaller);
    }
}

fn stagger(smaller: Smaller) -> Duration {
    if smaller == Smaller::We { Duration::ZERO } else { STAGGER }
}

/// Between three and five quarters of `delay`, so that restarted members do not dial in step.
fn jitter(delay: Duration) -> Duration {
    // Without randomness the delay is still right, only in step with others.
    let random = getrandom::u32().unwrap_or(u32::MAX / 2) % 512;
    delay * (768 + random) / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> ConnectionId {
        ConnectionId::new_unchecked(n)
    }

    fn connected(smaller: Smaller, dialer: Dialer) -> (Link, Instant) {
        let now = Instant::now();
        let mut link = Link::new(smaller, now);
        assert_eq!(link.established(id(1), dialer, now), Surplus::None);
        (link, now)
    }

    #[test]
    fn after_a_restart_the_newest_connection_wins() {
        for smaller in [Smaller::We, Smaller::They] {
            let (mut link, now) = connected(smaller, Dialer::We);
            assert_eq!(link.established(id(2), Dialer::They, now + SIMULTANEOUS), Surplus::Close(id(1)));
            assert_eq!(link.connection(), Some(id(2)));
        }
    }

    #[test]
    fn a_second_dial_of_the_same_side_wins_at_once() {
        let (mut link, now) = connected(Smaller::We, Dialer::They);
        assert_eq!(link.established(id(2), Dialer::They, now), Surplus::Close(id(1)));
    }

    #[test]
    fn a_simultaneous_dial_keeps_the_same_connection_on_both_sides_in_any_order() {
        for first in [Dialer::We, Dialer::They] {
            let second = if first == Dialer::We { Dialer::They } else { Dialer::We };
            let (mut link, now) = connected(Smaller::We, first);
            let gone = if first == Dialer::We { id(2) } else { id(1) };
            assert_eq!(link.established(id(2), second, now), Surplus::Close(gone));
            let (mut link, now) = connected(Smaller::They, first);
            let gone = if first == Dialer::They { id(2) } else { id(1) };
            assert_eq!(link.established(id(2), second, now), Surplus::Close(gone));
        }
    }

    #[test]
    fn the_back_off_grows_to_its_cap_and_starts_anew_after_a_stable_connection() {
        let mut now = Instant::now();
        let mut link = Link::new(Smaller::We, now);
        let mut longest = Duration::ZERO;
        for n in 0..20 {
            assert!(link.dial_due(now));
            link.dialing(id(n), now);
            assert!(!link.dial_due(now));
            assert!(link.dial_failed(id(n), now));
            longest = link.next_dial - now;
            now = link.next_dial;
        }
        assert!(longest > BACKOFF_CAP / 2 && longest <= BACKOFF_CAP * 5 / 4);
        link.established(id(50), Dialer::We, now);
        now += STABLE;
        assert_eq!(link.lost(id(50), now), Lost::Unconfirmed);
        assert!(link.next_dial - now <= BACKOFF_START * 5 / 4);
    }

    #[test]
    fn losing_the_connection_that_is_not_in_use_changes_nothing() {
        let (mut link, now) = connected(Smaller::We, Dialer::They);
        assert_eq!(link.established(id(2), Dialer::They, now), Surplus::Close(id(1)));
        assert_eq!(link.lost(id(1), now), Lost::Unused);
        assert_eq!(link.connection(), Some(id(2)));
    }

    #[test]
    fn a_peer_is_confirmed_once_and_stays_so_over_a_new_connection() {
        let (mut link, now) = connected(Smaller::We, Dialer::They);
        assert!(!link.may_send());
        assert!(link.confirm(id(1)) && !link.confirm(id(1)) && link.may_send());
        link.established(id(2), Dialer::They, now);
        assert!(!link.confirm(id(1)) && !link.confirm(id(2)) && link.may_send());
        assert_eq!(link.lost(id(2), now), Lost::Peer);
        assert!(!link.may_send());
    }

    #[test]
    fn who_takes_us_for_a_stranger_is_not_hurried() {
        let (mut link, now) = connected(Smaller::We, Dialer::We);
        link.lost(id(1), now);
        link.shunned(now);
        link.hurry(now + HURRIED_DIALS);
        assert!(!link.dial_due(now + BACKOFF_CAP / 2) && link.dial_due(now + BACKOFF_CAP * 5 / 4));
    }

    #[test]
    fn who_is_spoken_to_and_silent_is_asked_and_a_word_saves_it() {
        let (mut link, now) = connected(Smaller::We, Dialer::They);
        link.confirm(id(1));
        assert!(!link.must_ask(now + ASK_AFTER), "nothing was said");
        link.answered();
        assert!(!link.must_ask(now + ASK_AFTER), "an answer needs none");
        link.said(1, now);
        assert!(!link.must_ask(now + ASK_AFTER / 2) && link.must_ask(now + ASK_AFTER));
        link.asked(now + ASK_AFTER);
        assert!(!link.must_ask(now + ASK_AFTER + ANSWER), "once");
        assert_eq!(link.silent(now + ASK_AFTER + ANSWER), Some(id(1)));
        link.heard(id(1), now + ASK_AFTER + ANSWER / 2);
        assert_eq!(link.silent(now + ASK_AFTER + ANSWER), None);
        assert!(!link.must_ask(now + ASK_IDLE) && link.must_ask(now + ASK_AFTER + ANSWER / 2 + ASK_IDLE));
    }

    #[test]
    fn whoever_does_not_say_whether_we_are_peers_is_given_up() {
        let (mut link, now) = connected(Smaller::We, Dialer::They);
        link.asked(now);
        assert_eq!(link.silent(now + ANSWER), None);
        assert_eq!(link.silent(now + ASK_AFTER + ANSWER), Some(id(1)));
        assert!(!link.must_ask(now + ASK_IDLE));
    }

    #[test]
    fn a_line_takes_a_window_of_messages_and_gives_it_back() {
        let (mut link, now) = connected(Smaller::We, Dialer::They);
        link.confirm(id(1));
        assert_eq!(link.line(), Some(id(1)));
        (0..WINDOW).for_each(|_| link.said(1, now));
        assert!(!link.may_send());
        link.left(id(2), WINDOW);
        assert!(!link.may_send(), "another connection's");
        link.left(id(1), 1);
        assert!(link.may_send());
        link.said(1, now);
        link.has_no_line(id(1));
        assert!(link.may_send() && link.line().is_none());
        assert_eq!(link.take_unsaid(), 0, "they go another way");
    }

    #[test]
    fn a_line_takes_one_large_message_at_a_time_and_what_a_connection_leaves_unsaid_is_counted() {
        let (mut link, now) = connected(Smaller::We, Dialer::They);
        link.confirm(id(1));
        link.said(LINE_BYTES - 1, now);
        assert!(link.may_send());
        link.said(LINE_BYTES, now);
        assert!(!link.may_send());
        link.left(id(1), 1);
        assert!(!link.may_send());
        link.established(id(2), Dialer::They, now);
        assert!(link.may_send());
        link.said(1, now);
        link.said(1, now);
        assert_eq!(link.take_unsaid(), 1);
        link.lost(id(2), now);
        assert_eq!((link.take_unsaid(), link.take_unsaid()), (2, 0));
    }

    #[test]
    fn who_connects_again_and_again_keeps_the_connection_it_has() {
        let (mut link, now) = connected(Smaller::We, Dialer::They);
        let came: Vec<Surplus> = (2..9).map(|n| link.established(id(n), Dialer::They, now)).collect();
        let kept = 1 + REPLACEMENTS as usize;
        assert_eq!(link.connection(), Some(id(kept)));
        assert!(came[..kept - 1].iter().all(|surplus| matches!(surplus, Surplus::Close(_))), "{came:?}");
        assert_eq!(came[kept - 1..].len(), 7 - REPLACEMENTS as usize);
        assert!(came[kept - 1..].iter().all(|surplus| matches!(surplus, Surplus::Flapping(_))), "{came:?}");
        let later = now + REPLACEMENT_FORGIVEN;
        assert_eq!(link.established(id(20), Dialer::They, later), Surplus::Close(id(kept)));
        assert_eq!(link.established(id(21), Dialer::They, later), Surplus::Flapping(id(21)));
    }
}
