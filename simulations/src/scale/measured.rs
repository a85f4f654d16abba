//! What is measured with an entity of many members.

use std::collections::BTreeSet;

use althing_protocol::control::Command;
use althing_protocol::effect::Input;
use althing_protocol::hash::Hash;
use althing_protocol::identity::MemberId;
use althing_protocol::member::Member;
use althing_protocol::time::Millis;
use althing_protocol::wire::Message;

use super::{ACKNOWLEDGED, AROUND, Entity, Rest, Spread, spread};
use crate::world::{MS, SECOND};

/// Bytes on the wire a member and second, over all members and some seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bandwidth {
    /// On average.
    pub mean: u64,
    /// Of a hundred, ninety-nine are less.
    pub p99: u64,
    /// The most.
    pub most: u64,
}

/// What became of members that were made slow, or deaf.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disturbed {
    /// How often somebody was called unreachable.
    pub notices: usize,
    /// Of these, somebody whom nothing was done to.
    pub false_notices: usize,
    /// Different sets of members that those whom nothing was done to took for unreachable, looked at each second.
    pub views: usize,
}

impl Entity {
    /// What so many microseconds cost.
    pub fn rest(&mut self, span: u64) -> Rest {
        (self.payload, self.messages, self.answered) = (0, 0, 0);
        self.kinds.clear();
        self.run(span);
        let each = |sum: u64| sum as f64 / self.hosts.len() as f64 / (span as f64 / SECOND as f64);
        let alone = self.messages - self.answered;
        let wire = self.payload + self.messages * AROUND + alone * ACKNOWLEDGED;
        Rest { messages: each(self.messages), payload: each(self.payload), wire: each(wire) }
    }

    /// Messages of the last rest by their kind: how many, and their bytes.
    pub fn kinds(&self) -> Vec<(String, u64, u64)> {
        let kinds = self.kinds.iter();
        kinds
            .map(|(kind, (count, bytes))| (String::from_utf8_lossy(kind).into_owned(), *count, *bytes))
            .collect()
    }

    /// Inputs that members were given so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// How often a member was called unreachable that lives, so far.
    pub fn false_notices(&self) -> usize {
        let lives = |id: &MemberId| self.hosts[self.numbers[id]].member.is_some();
        self.told.iter().filter(|(_, _, subject)| lives(subject)).count()
    }

    /// Kills one, and waits until all others say so, at most half a minute.
    pub fn crash(&mut self, at: usize) -> Spread {
        let (begin, id) = (self.now, self.roster.ids[at]);
        self.told.clear();
        self.kill(at);
        self.run(30 * SECOND);
        let times = self.told.iter().filter(|(_, _, subject)| *subject == id).map(|(when, _, _)| *when);
        spread(begin, times.collect(), self.hosts.len() - 1)
    }

    /// Starts one that was killed long ago: how long until it has a report of everybody.
    pub fn newcomer(&mut self, at: usize) -> Option<u64> {
        let begin = self.now;
        self.start(at);
        let other = usize::from(at == 0);
        let knows = |entity: &Self| {
            let view = |at: usize| entity.hosts[at].member.as_ref().and_then(Member::members);
            let known = |at: usize| {
                view(at).map(|view| view.members.iter().filter(|member| member.version.is_some()).count())
            };
            known(at) >= known(other).map(|known| known - 1)
        };
        while self.now < begin + 30 * SECOND {
            if knows(self) {
                return Some((self.now - begin) / MS);
            }
            self.run(20 * MS);
        }
        None
    }

    /// A voter makes an invitation: how long from then, and from the first member that holds the certificate, until all
    /// hold it.
    pub fn settle(&mut self, at: usize) -> (Spread, Spread) {
        let (begin, epoch) = (self.now, self.hosts[at].epoch + 1);
        self.requests += 1;
        let (lasts, note) = (Millis::seconds(3600), format!("rack {}", self.requests));
        let command = Command::Invite { uses: 1, lasts, note, spare: false };
        self.give(at, Input::Requested { request: self.requests, by: "scale".into(), command });
        let mut times = vec![None; self.hosts.len()];
        while self.now < begin + 30 * SECOND && times.iter().any(Option::is_none) {
            let until = self.now + MS;
            while self.step(until) {}
            self.now = until;
            for (host, time) in self.hosts.iter().zip(&mut times) {
                if time.is_none() && (host.epoch >= epoch || host.member.is_none()) {
                    *time = Some(self.now);
                }
            }
        }
        let times: Vec<u64> = times.into_iter().flatten().collect();
        let first = times.iter().min().copied().unwrap_or(begin);
        let count = self.hosts.len();
        (spread(begin, times.clone(), count), spread(first, times, count))
    }

    /// Proposals are counted as they come, while something is settled.
    pub(super) fn count_copies(&mut self, bytes: &[u8]) {
        let Some((count, names)) = self.copies.as_mut().filter(|_| Message::kind(bytes) == "Push") else {
            return;
        };
        let Ok(Message::Push(statements)) = Message::decode(bytes) else { return };
        let is_proposal = |bytes: &[u8]| bytes.windows(8).any(|window| window == b"Proposal");
        for signed in statements.iter().filter(|signed| is_proposal(&signed.bytes)) {
            *count += 1;
            names.insert(Hash::of(&signed.bytes));
        }
    }

    /// The same; and how many copies of a proposal came to each member beyond the first, if any came.
    pub fn settle_counted(&mut self, at: usize) -> (Spread, Spread, Option<f64>) {
        self.copies = Some((0, BTreeSet::new()));
        let (asked, held) = self.settle(at);
        self.run(5 * SECOND);
        let (count, names) = self.copies.take().unwrap_or_default();
        let wanted = names.len() as f64 * (self.hosts.len() - 1) as f64;
        (asked, held, (wanted > 0.0).then(|| count as f64 / wanted - 1.0))
    }

    /// From now on messages take so long, in microseconds.
    pub fn set_delay(&mut self, delay: (u64, u64)) {
        self.scale.delay = delay;
    }

    /// Kills the last so many at once: what the others send in each of the next seconds.
    pub fn busy(&mut self, gone: usize, seconds: u64) -> Bandwidth {
        let count = self.hosts.len();
        (count - gone..count).for_each(|at| self.kill(at));
        let mut samples = Vec::new();
        for _ in 0..seconds {
            self.hosts.iter_mut().for_each(|host| host.sent = 0);
            self.run(SECOND);
            samples.extend(self.hosts[..count - gone].iter().map(|host| host.sent));
        }
        samples.sort_unstable();
        let mean = samples.iter().sum::<u64>() / samples.len().max(1) as u64;
        let p99 = samples.get(samples.len() * 99 / 100).copied().unwrap_or_default();
        Bandwidth { mean, p99, most: samples.last().copied().unwrap_or_default() }
    }

    /// The last so many stand still for six of every ten seconds.
    pub fn stall(&mut self, some: usize, seconds: u64) -> Disturbed {
        self.disturb(some, seconds, |entity, at, second| {
            if (second + at as u64).is_multiple_of(10) {
                entity.hosts[at].frozen = entity.now + 6 * SECOND;
            }
        })
    }

    /// The last so many lose eight of ten messages, both ways.
    pub fn deafen(&mut self, some: usize, seconds: u64) -> Disturbed {
        self.disturb(some, seconds, |entity, at, _| entity.hosts[at].deaf = 800)
    }

    fn disturb(&mut self, some: usize, seconds: u64, how: impl Fn(&mut Self, usize, u64)) -> Disturbed {
        let sound = self.hosts.len() - some;
        self.told.clear();
        let mut views = BTreeSet::new();
        for second in 0..seconds {
            (sound..self.hosts.len()).for_each(|at| how(self, at, second));
            self.run(SECOND);
            // A hundred of them stand for all.
            for at in (0..sound).step_by(sound.div_ceil(100)) {
                let seen = self.hosts[at].member.as_ref().and_then(Member::members);
                let missed = seen.into_iter().flat_map(|seen| seen.members);
                let missed: BTreeSet<String> =
                    missed.filter(|member| member.state != "alive").map(|member| member.name).collect();
                views.insert(missed);
            }
        }
        let is_sound = |id: &MemberId| self.numbers[id] < sound;
        let false_notices = self.told.iter().filter(|(_, _, subject)| is_sound(subject)).count();
        Disturbed { notices: self.told.len(), false_notices, views: views.len() }
    }
}
