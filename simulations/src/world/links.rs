//! Connections between hosts as they come and go.

use std::collections::{BTreeMap, BTreeSet};

use althing_protocol::effect::{Input, Peer};
use althing_protocol::identity::MemberId;
use althing_protocol::statement::Address;
use althing_protocol::time::Millis;

use super::{Event, MS, World};
use crate::host::Host;
use crate::network::{Damage, Held};

impl World {
    pub(super) fn set_peers(&mut self, at: usize, peers: &[Peer]) {
        let ids = peers.iter().map(|peer| peer.id).collect();
        let dials: BTreeMap<MemberId, Vec<Address>> =
            peers.iter().filter(|peer| !peer.past).map(|peer| (peer.id, peer.addresses.clone())).collect();
        let moved = std::mem::replace(&mut self.hosts[at].dials, dials);
        let before = std::mem::replace(&mut self.hosts[at].peers, ids);
        let host = &self.hosts[at];
        let is_new = |id: &&MemberId| {
            host.peers.contains(id) != before.contains(id) || host.dials.get(*id) != moved.get(*id)
        };
        let all: BTreeSet<MemberId> = host.peers.union(&before).copied().collect();
        let changed: Vec<usize> = all
            .iter()
            .filter(is_new)
            .filter_map(|id| self.by_id.get(id).copied())
            .chain(self.twin.map(|(_, copy)| copy))
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
        let found =
            one.finds(other) || other.finds(one) || one.vices.agent.is_some() || other.vices.agent.is_some();
        let shuns = |host: &Host, whom: usize| host.shunned.get(&whom).is_some_and(|until| *until > self.now);
        let welcome = !shuns(one, b) && !shuns(other, a);
        one.is_on()
            && other.is_on()
            && accepted
            && found
            && welcome
            && self.network.is_open(a, b)
            && self.is_free(a, b)
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

    fn tell_pair(&mut self, a: usize, b: usize, lives: (u64, u64), input: fn(MemberId) -> Input) {
        let (a, b) = (a.min(b), a.max(b));
        for (host, life, peer) in [(a, lives.0, b), (b, lives.1, a)] {
            let input = Box::new(input(self.hosts[peer].id));
            self.schedule(0, Event::Give { host, life, input });
        }
    }

    /// A process is gone: what its peers have of it is broken, and they notice soon.
    pub(crate) fn break_connections(&mut self, at: usize) {
        for other in (0..self.hosts.len()).filter(|other| *other != at) {
            let connection = self.network.connection(at, other);
            if connection.up {
                connection.broken = true;
                let after = self.network.notice_crash();
                self.schedule(after, Event::Look { a: at, b: other });
            }
        }
    }

    /// One end learns at once that a connection is gone, the other one late; false if there is none.
    pub(crate) fn half_open(&mut self, a: usize, b: usize, after: u64) -> bool {
        let connection = self.network.connection(a, b);
        if !connection.up || connection.broken {
            return false;
        }
        connection.broken = true;
        let (life, peer) = (self.hosts[b].life, self.hosts[a].id);
        self.schedule(0, Event::Give { host: b, life, input: Box::new(Input::Disconnected(peer)) });
        self.schedule(after, Event::Look { a, b });
        true
    }

    /// A message arrives damaged, if this connection's next one does: it is lost, and the connection with it.
    pub(super) fn is_damaged(&mut self, from: usize, to: usize) -> bool {
        let Some(damage) = self.network.connection(from, to).damage.take() else { return false };
        self.count(match damage {
            Damage::Changed => "bytes were changed on their way",
            Damage::Cut => "a message was cut off",
        });
        self.reset(from, to);
        true
    }

    /// A host is let go: what waited for it is on its way.
    pub(crate) fn unclog(&mut self, at: usize) {
        for Held { from, to, generation, bytes } in self.network.unclog(at) {
            let after = self.network.delay();
            self.schedule(after, Event::Deliver { from, to, generation, bytes });
        }
    }

    /// A host has nothing to do with another one for a while.
    pub(super) fn shun(&mut self, at: usize, peer: &MemberId, lasts: Millis) {
        let Some(other) = self.by_id.get(peer).copied() else { return };
        let (lasts, now) = (lasts.0 * MS, self.now);
        self.hosts[at].shunned.insert(other, now + lasts);
        self.reset(at, other);
        self.schedule(lasts + MS, Event::Forgive { host: at, other });
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
