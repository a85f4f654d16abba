//! Processes start, crash, and find their disks put back to an earlier state.

#[cfg(test)]
use std::collections::BTreeMap;

#[cfg(test)]
use althing_protocol::effect::Family;
use althing_protocol::effect::Input;
use althing_protocol::member::{Config, Member, Sabotage};

use super::{Event, MS, SECOND, World};
use crate::options::Mutation;

impl World {
    /// Starts a host's process from what is on its disk.
    pub(crate) fn start(&mut self, at: usize) {
        if self.hosts[at].is_up() {
            return;
        }
        if self.options.mutation == Some(Mutation::ForgottenPromise) {
            self.hosts[at].disk.forget_promises();
        }
        let saved = match self.hosts[at].disk.saved() {
            Ok(saved) => saved,
            Err(error) => return self.violate("saved", format!("a start cannot read its disk: {error}")),
        };
        let seed: [u8; 32] = self.rng.bytes();
        let host = &mut self.hosts[at];
        host.life += 1;
        host.wake = None;
        (host.doomed, host.frozen) = (None, 0);
        host.mono = self.rng.below(100_000) * SECOND;
        let now = host.now(self.now);
        let half = self.options.mutation == Some(Mutation::HalfQuorum);
        let sabotage = half.then_some(Sabotage::HalfQuorum);
        let config = Config { version: "0.1.0".into(), address: Some(host.address), sabotage };
        host.member = Some(Member::restore(host.identity.clone(), config, seed, saved, now));
        self.resume_applies(at);
        self.give(at, Input::Tick);
    }

    /// The process dies now: what was not durable is lost, but sometimes for the batch that was being written.
    pub(crate) fn crash(&mut self, at: usize, how: &str) {
        if !self.hosts[at].is_up() {
            return;
        }
        self.note(Some(at), format!("crashes {how}"));
        self.count("a crash");
        let pending = self.hosts[at].disk.pending();
        if pending > 0 {
            self.count("a crash lost what was not durable");
        }
        let survive = if self.rng.chance(300) { pending.min(1) } else { 0 };
        let host = &mut self.hosts[at];
        host.member = None;
        (host.doomed, host.frozen) = (None, 0);
        host.disk.crash(survive);
        host.content.crash();
        host.peers.clear();
        host.places.clear();
        for live in host.live.values_mut() {
            live.scanning = false;
            live.again = false;
        }
        if host.live.values().any(|live| live.journal.is_some()) {
            self.count("a crash in the middle of an apply");
        }
        let life = self.hosts[at].life;
        self.asked.retain(|_, asked| asked.host != at || asked.life != life);
        crate::invariants::crashed(self, at);
        self.break_connections(at);
    }

    /// A host's clocks run by so many millionths faster from now on; what they show now stays.
    pub(crate) fn set_clock_speed(&mut self, at: usize, faster: i64) {
        let shown = self.hosts[at].now(self.now);
        let host = &mut self.hosts[at];
        host.faster = faster;
        let moved = host.now(self.now);
        host.mono = (host.mono + shown.mono.0 * 1000).saturating_sub(moved.mono.0 * 1000);
        host.skew += shown.wall.0 as i64 - moved.wall.0 as i64;
        host.wake = None;
        self.arm(at);
    }

    /// An apply that a crash interrupted goes forward before anything is scanned.
    fn resume_applies(&mut self, at: usize) {
        let names: Vec<String> = self.hosts[at]
            .live
            .iter()
            .filter(|(_, live)| live.journal.is_some())
            .map(|(name, _)| name.clone())
            .collect();
        for application in names {
            self.schedule(MS, Event::Apply { host: at, application });
        }
    }

    /// What is durable on a host now.
    #[cfg(test)]
    pub(crate) fn snapshot(&self, at: usize) -> BTreeMap<(Family, Vec<u8>), Vec<u8>> {
        self.hosts[at].disk.snapshot()
    }

    /// An administrator puts a stopped host's disk back to an earlier state.
    #[cfg(test)]
    pub(crate) fn put_back(&mut self, at: usize, snapshot: BTreeMap<(Family, Vec<u8>), Vec<u8>>) {
        self.note(Some(at), "its disk is put back to an earlier state");
        self.hosts[at].restored = true;
        self.hosts[at].disk.restore(snapshot);
        crate::invariants::put_back(self, at);
    }
}
