//! Processes start, crash, and find their disks put back to an earlier state.

use std::collections::BTreeMap;

use althing_protocol::effect::Family;
use althing_protocol::effect::Input;
use althing_protocol::member::saved::Saved;
use althing_protocol::member::{Config, Member};

use super::{Event, MS, SECOND, World};
use crate::host::disk::Half;
use crate::host::{Image, Standing};
use crate::mutation::Mutation;

impl World {
    /// Starts a host's process from what is on its disk.
    pub(crate) fn start(&mut self, at: usize) {
        let host = &self.hosts[at];
        if host.is_on() || host.absent || (self.faults.on && host.away_until > self.now) {
            return;
        }
        if self.faults.on && host.unreadable_until > self.now {
            // A process that cannot read its disk ends, and is started again.
            return self.schedule(5 * SECOND, Event::Start { host: at });
        }
        if self.breaks(Mutation::ForgottenPromise) {
            let forgot = self.hosts[at].disk.forget_promises();
            self.struck_if(forgot);
        }
        if self.hosts[at].disk.format > self.hosts[at].speaks {
            self.note(Some(at), "its program is too old for its store and does not start");
            self.count("a program that was too old for its store did not start");
            return;
        }
        if self.breaks(Mutation::ForgottenLife) {
            let forgot = self.hosts[at].disk.forget_life();
            self.struck_if(forgot);
        }
        crate::invariants::starts(self, at);
        let saved = match self.hosts[at].disk.saved() {
            Ok(saved) => Saved { is_suspect: self.hosts[at].content.lacks_damaged(), ..saved },
            Err(error) => return self.violate("saved", format!("a start cannot read its disk: {error}")),
        };
        let seed: [u8; 32] = self.rng.bytes();
        let host = &mut self.hosts[at];
        host.life += 1;
        host.wake = None;
        (host.doomed, host.frozen) = (None, 0);
        host.mono = self.rng.below(100_000) * SECOND;
        let now = host.now(self.now);
        let sabotage = self.options.mutation.and_then(Mutation::sabotage);
        let (version, speaks) = (format!("0.{}.0", host.speaks), host.speaks);
        let trusting_period = host.trusting_period;
        let (address, read) = (Some(host.address), crate::reading::read);
        let config =
            Config { version, speaks, address, trusting_period, read, sabotage, ..Config::default() };
        host.member = Some(Member::restore(host.identity.clone(), config, seed, saved, now));
        crate::invariants::started(self, at);
        self.resume_applies(at);
        self.give(at, Input::Tick);
        if self.hosts[at].full {
            self.fill(at, true);
        }
    }

    /// The process dies now: what was not durable is lost, but sometimes for the batch that was being written.
    pub(crate) fn crash(&mut self, at: usize, how: &str) {
        self.crash_with(at, how, None);
    }

    /// The same; of the batches on their way so many are found after all.
    pub(crate) fn crash_with(&mut self, at: usize, how: &str, found: Option<usize>) {
        if !self.hosts[at].is_up() {
            return;
        }
        self.note(Some(at), format!("crashes {how}"));
        self.count("a crash");
        let pending = self.hosts[at].disk.pending();
        if pending > 0 {
            self.count("a crash lost what was not durable");
        }
        let drawn = if self.rng.chance(300) { 1 } else { 0 };
        let survive = found.unwrap_or(drawn).min(pending);
        let half = if self.steps.is_multiple_of(2) { Half::Earlier } else { Half::Later };
        let torn = self.breaks(Mutation::TornBatch).then_some(half);
        let late = self.breaks(Mutation::LateContent);
        let host = &mut self.hosts[at];
        host.member = None;
        (host.doomed, host.frozen, host.busy_until, host.tear) = (None, 0, 0, false);
        host.shunned.clear();
        let tore = torn.is_some_and(|half| host.disk.tear(half));
        self.struck_if(tore);
        let host = &mut self.hosts[at];
        host.disk.crash(survive);
        if late {
            let forgot = host.content.forget_young();
            self.struck_if(forgot);
        }
        let host = &mut self.hosts[at];
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

    /// An image of a host's disk is taken.
    pub(crate) fn take_image(&mut self, at: usize) {
        self.note(Some(at), "an image of its disk is taken");
        let (now, host) = (self.now, &mut self.hosts[at]);
        host.image = Some(Image {
            keys: host.disk.snapshot(),
            content: host.content.image(),
            at: now,
            life: host.life,
        });
    }

    /// An administrator puts a stopped host's keys back to an earlier state.
    pub(crate) fn put_back(&mut self, at: usize, keys: BTreeMap<(Family, Vec<u8>), Vec<u8>>) {
        self.note(Some(at), "its disk is put back to an earlier state");
        self.hosts[at].spoil(Standing::PutBack);
        self.hosts[at].disk.restore(keys);
        crate::invariants::put_back(self, at);
    }

    /// What a stopped host's disk held once is all that it holds.
    pub(crate) fn rewind(&mut self, at: usize, image: Image) {
        self.hosts[at].spoil(Standing::Forgetful);
        self.hosts[at].disk.restore(image.keys);
        self.hosts[at].content.put_back(image.content);
        crate::invariants::put_back(self, at);
    }
}
