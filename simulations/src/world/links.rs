//! Connections between hosts as they come and go.

use althing_protocol::effect::{Input, Peer};

use super::{Event, MS, World};

impl World {
    pub(super) fn set_peers(&mut self, at: usize, peers: &[Peer]) {
        let ids = peers.iter().map(|peer| peer.id).collect();
        let before = std::mem::replace(&mut self.hosts[at].peers, ids);
        let changed: Vec<usize> = self.hosts[at]
            .peers
            .symmetric_difference(&before)
            .filter_map(|id| self.by_id.get(id).copied())
            .filter(|other| *other != at)
            .collect();
        for other in changed {
            self.look_later(at, other);
        }
    }

    /// A pair looks at its connection when it has had time to dial.
    pub(crate) fn look_later(&mut self, a: usize, b: usize) {
        let after = self.network.dial();
        self.schedule(after, Event::Look { a, b });
    }

    /// Both run, each accepts the other, and both directions work.
    fn is_wanted(&self, a: usize, b: usize) -> bool {
        let (one, other) = (&self.hosts[a], &self.hosts[b]);
        let accepted = one.peers.contains(&other.id) && other.peers.contains(&one.id);
        one.is_up() && other.is_up() && accepted && self.network.is_open(a, b)
    }

    pub(super) fn look(&mut self, a: usize, b: usize) {
        let wanted = self.is_wanted(a, b);
        let lives = (self.hosts[a.min(b)].life, self.hosts[a.max(b)].life);
        let connection = self.network.connection(a, b);
        let stale = connection.up && (connection.broken || !wanted || connection.lives != lives);
        if stale {
            let told = connection.lives;
            connection.up = false;
            connection.broken = false;
            self.tell_pair(a, b, told, Input::Disconnected);
            if wanted {
                self.look_later(a, b);
            }
        } else if wanted && !connection.up {
            connection.up = true;
            connection.broken = false;
            connection.generation += 1;
            connection.lives = lives;
            self.tell_pair(a, b, lives, Input::Connected);
        }
    }

    fn tell_pair(
        &mut self,
        a: usize,
        b: usize,
        lives: (u64, u64),
        input: fn(althing_protocol::identity::MemberId) -> Input,
    ) {
        let (a, b) = (a.min(b), a.max(b));
        for (host, life, peer) in [(a, lives.0, b), (b, lives.1, a)] {
            let input = Box::new(input(self.hosts[peer].id));
            self.schedule(0, Event::Give { host, life, input });
        }
    }

    /// A process is gone: what its peers have of it is broken, and they notice soon.
    pub(super) fn break_connections(&mut self, at: usize) {
        for other in (0..self.hosts.len()).filter(|other| *other != at) {
            let connection = self.network.connection(at, other);
            if connection.up {
                connection.broken = true;
                let after = self.network.notice_crash();
                self.schedule(after, Event::Look { a: at, b: other });
            }
        }
    }

    /// Nothing gets from these to those any more (and back, unless it is one-sided).
    pub(crate) fn cut(&mut self, from: &[usize], to: &[usize], one_sided: bool) {
        for a in from {
            for b in to.iter().filter(|b| *b != a) {
                self.network.block(*a, *b);
                if !one_sided {
                    self.network.block(*b, *a);
                }
                let after = self.network.notice_cut();
                self.schedule(after, Event::Look { a: *a, b: *b });
            }
        }
    }

    /// A connection breaks, and both ends notice soon.
    pub(crate) fn reset(&mut self, a: usize, b: usize) {
        let connection = self.network.connection(a, b);
        if connection.up {
            connection.broken = true;
            let after = self.network.notice_crash();
            self.schedule(after, Event::Look { a, b });
        }
    }

    /// A link that works stops, and one that does not works again.
    pub(crate) fn toggle(&mut self, a: usize, b: usize) {
        if self.network.is_open(a, b) {
            self.cut(&[a], &[b], false);
        } else {
            self.network.open(a, b);
            self.look_later(a, b);
        }
    }

    /// A host sends another what was said on the network some time ago, by whomever.
    pub(crate) fn replay(&mut self, from: usize, to: usize) {
        let old = self.network.overheard();
        let Some(generation) = self.network.is_usable(from, to).filter(|_| !old.is_empty()) else { return };
        self.count("old messages were sent again");
        for bytes in old {
            let after = self.network.delay();
            self.schedule(after, Event::Deliver { from, to, generation, bytes });
        }
    }

    /// Everything gets through again; connections are made anew.
    pub(crate) fn mend(&mut self) {
        self.network.unblock();
        for a in 0..self.hosts.len() {
            for b in a + 1..self.hosts.len() {
                let after = self.network.dial() + self.rng.below(500 * MS);
                self.schedule(after, Event::Look { a, b });
            }
        }
    }
}
