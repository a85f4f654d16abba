//! Who answers (design §5.6). Says who is heard, and calls somebody down only when others miss it too. It never
//! touches the roster: a quorum is of all voters, heard or not.

use std::collections::{BTreeMap, BTreeSet};

use crate::identity::MemberId;
use crate::time::{Instant, Millis};

/// Heartbeats come this often while nothing is being decided.
pub const BEAT: Millis = Millis(1000);
/// And this often while something is.
pub const BUSY_BEAT: Millis = Millis(250);
/// A member that was not heard for so long is not reachable.
pub const SILENCE: Millis = Millis(3500);
/// So long after its connection broke, if it does not come back.
const GRACE: Millis = Millis(1200);

/// When each peer was heard last.
#[derive(Clone, Debug, Default)]
pub struct Liveness {
    heard: BTreeMap<MemberId, Instant>,
    lost: BTreeMap<MemberId, Instant>,
}

impl Liveness {
    /// Anything came from this peer, or a fresh statement of it by way of others.
    pub fn heard(&mut self, peer: MemberId, now: Instant) {
        self.heard.insert(peer, now);
        self.lost.remove(&peer);
    }

    /// Its connection broke.
    pub fn lost(&mut self, peer: MemberId, now: Instant) {
        self.lost.entry(peer).or_insert(now);
    }

    /// It is not in the roster any more.
    pub fn forget(&mut self, keep: &BTreeSet<MemberId>) {
        self.heard.retain(|peer, _| keep.contains(peer));
        self.lost.retain(|peer, _| keep.contains(peer));
    }

    /// Whether it can be reached, as far as this member knows.
    pub fn is_reachable(&self, peer: &MemberId, now: Instant) -> bool {
        let heard = self.heard.get(peer).is_some_and(|at| now - *at < SILENCE);
        heard && self.lost.get(peer).is_none_or(|at| now - *at < GRACE)
    }

    /// How long ago it was heard.
    pub fn age(&self, peer: &MemberId, now: Instant) -> Option<Millis> {
        self.heard.get(peer).map(|at| now - *at)
    }

    /// The next moment at which somebody may stop to be reachable.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let silent = self.heard.values().map(|at| *at + SILENCE);
        silent.chain(self.lost.values().map(|at| *at + GRACE)).filter(|at| *at > now).min()
    }
}
