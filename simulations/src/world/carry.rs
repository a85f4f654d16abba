//! Carrying out what members want done.

use std::rc::Rc;

use althing_protocol::effect::Room;
use althing_protocol::effect::{Depth, Input, Output, Write};
use althing_protocol::identity::MemberId;
use althing_protocol::statement::{Envelope, Signed, Statement};
use althing_protocol::wire::Message;
use althing_protocol::{codec, limits};

use super::{Event, MS, World};
use crate::invariants;
use crate::mutation::Mutation;
use crate::network::Held;

impl World {
    pub(super) fn carry_out(&mut self, at: usize, output: Output) {
        match output {
            Output::Send { to, bytes } => self.send(at, to, bytes),
            Output::SendChain { to, after } => self.send_chain(at, to, after),
            Output::Format(version) => self.raise_format(at, version),
            Output::Persist { batch, writes } => self.persist(at, batch, writes),
            Output::Peers(peers) => self.set_peers(at, &peers),
            Output::Shun { peer, lasts } => {
                invariants::shunned(self, at, &peer);
                self.shun(at, &peer, lasts);
            }
            Output::Places(places) => self.set_places(at, places),
            Output::Scan { application, depth } => {
                let _: Depth = depth;
                let life = self.hosts[at].life;
                self.scan(at, life, &application);
            }
            Output::Capture { capture, application, source } => {
                self.capture(at, capture, application, &source);
            }
            Output::Fetch { fetch, application, from, wants } => {
                self.fetch(at, fetch, application, from, wants);
            }
            Output::Apply { apply, application, root, epoch, leave, .. } => {
                self.apply(at, apply, application, (root, epoch), &leave);
            }
            Output::Clear { clear, application, keep_files } => {
                self.clear(at, clear, &application, keep_files);
            }
            Output::Hook { run, application, kind, from, root, .. } => {
                self.hook(at, run, &application, kind, (from, root));
            }
            Output::Keep(roots) => self.keep(at, roots),
            Output::Event(event) => invariants::told(self, at, &event),
            Output::Progress { .. } => {}
            Output::Reply { request, reply } => self.replied(at, request, reply),
            Output::Join { join, address, bytes } => self.join(at, join, address, &bytes),
            Output::JoinAnswer { ticket, bytes } => self.answer_stranger(ticket, bytes),
        }
    }

    fn send(&mut self, at: usize, to: MemberId, bytes: Vec<u8>) {
        invariants::sent(self, at, &bytes);
        if bytes.len() > limits::MESSAGE_BYTES {
            self.violate("limits", format!("a message of {} bytes", bytes.len()));
        }
        let Some(to) = self.route(at, &to) else { return };
        let bytes: Rc<[u8]> = bytes.into();
        if !self.hosts[at].liar {
            return self.carry(at, to, bytes);
        }
        for bytes in self.hosts[at].vices.filter(to, bytes, &mut self.rng) {
            self.carry(at, to, bytes);
        }
    }

    /// Somebody says something that its program does not.
    pub(crate) fn utter(&mut self, at: usize, to: usize, bytes: &[u8]) {
        self.carry(at, to, bytes.into());
    }

    /// A message goes on its way.
    fn carry(&mut self, from: usize, to: usize, bytes: Rc<[u8]>) {
        let Some(generation) = self.network.is_usable(from, to) else { return };
        // What a liar says is not replayed in the name of others: connections prove who speaks, so that it would have
        // to go through the hands of members, and they pass on only what they have checked.
        if !self.hosts[from].liar {
            self.network.overhear(&bytes);
        }
        self.tally(&bytes);
        let Some(waits) = self.network.queue(from, to, bytes.len() as u64, self.now) else {
            return;
        };
        let held = Held { from, to, generation, bytes };
        let Some(Held { bytes, .. }) = self.network.hold(held) else { return };
        for after in self.network.send(from, to, bytes.len()) {
            self.schedule(waits + after, Event::Deliver { from, to, generation, bytes: bytes.clone() });
        }
    }

    /// Old settled records, sent by somebody who has them to somebody who has not asked.
    pub(crate) fn send_old_chain(&mut self, from: usize, to: usize, after: u64) {
        let links: Vec<_> = self.hosts[from].disk.chain(after).take(4).collect();
        if !links.is_empty() && self.hosts[from].is_up() {
            self.count("old certificates were sent again");
            let to = self.hosts[to].id;
            self.send(from, to, Message::Chain(links).encode());
        }
    }

    pub(super) fn deliver(&mut self, from: usize, to: usize, generation: u64, bytes: &[u8]) {
        if self.network.is_usable(from, to) != Some(generation) || self.network.is_blocked(from, to) {
            return;
        }
        if self.is_damaged(from, to) {
            return;
        }
        if self.hosts[to].vices.agent.is_some() {
            return crate::host::vices::hear(self, to, from, bytes);
        }
        if !self.hosts[to].is_up() {
            return;
        }
        let mut bytes = bytes.to_vec();
        if self.options.mutation == Some(Mutation::ForgottenPromise)
            && let Ok(Message::Highest(mut highest)) = Message::decode(&bytes)
        {
            let is_vote = |signed: &Signed| {
                codec::decode::<Envelope>(&signed.bytes, limits::MESSAGE_BYTES)
                    .is_ok_and(|envelope| matches!(envelope.statement, Statement::Vote(_)))
            };
            highest.said.retain(|signed| !is_vote(signed));
            bytes = Message::Highest(highest).encode();
        }
        let strange = self.breaks_now(Mutation::WrongSender, 20);
        let from = if strange { (from + 1) % self.hosts.len() } else { from };
        if from == to {
            return;
        }
        let from = self.hosts[from].id;
        let shown = invariants::hears(self, to, &bytes);
        self.give(to, Input::Received { from, bytes });
        if let Some(head) = shown {
            invariants::has_heard(self, to, head);
        }
    }

    /// What a host does to hand on settled records: from its disk, within the limits.
    fn send_chain(&mut self, at: usize, to: MemberId, after: u64) {
        let (mut links, mut size) = (Vec::new(), 0);
        for link in self.hosts[at].disk.chain(after).take(limits::CHAIN_RECORDS) {
            let votes: usize = link.certificate.votes.iter().map(|vote| vote.bytes.len() + 110).sum();
            size += link.record.len() + votes + 200;
            if size > limits::MESSAGE_BYTES && !links.is_empty() {
                break;
            }
            links.push(link);
        }
        if !links.is_empty() {
            self.count("a chain was sent");
            self.send(at, to, Message::Chain(links).encode());
        }
    }

    /// Durable at once: what comes after it in the queue of batches is not durable before it.
    fn raise_format(&mut self, at: usize, version: u32) {
        let disk = &mut self.hosts[at].disk;
        disk.format = disk.format.max(version);
    }

    fn persist(&mut self, at: usize, batch: u64, writes: Vec<Write>) {
        invariants::written(self, at, &writes);
        let delay = self.disk_delay(at);
        let (now, host) = (self.now, &mut self.hosts[at]);
        // On a full disk batches wait, in their order: the first for room, the others for it.
        let room = if host.disk.pending() == 0 { host.full_until.saturating_sub(now) } else { 0 };
        let delay = delay + room;
        let life = host.life;
        let when = host.disk.enqueue(batch, writes, now, delay);
        self.schedule(when - now, Event::Synced { host: at, life });
        if self.hosts[at].tear {
            self.count("a write was torn");
            return self.crash_with(at, "in the middle of a write", Some(0));
        }
        if self.breaks(Mutation::EarlyAcknowledgement) {
            self.struck_if(when > now);
            let input = Box::new(Input::Persisted(batch));
            self.schedule(0, Event::Give { host: at, life, input });
        }
    }

    /// A host's disk has no room for content, or has room again; votes have a reserve. Its daemon tells it.
    pub(crate) fn fill(&mut self, at: usize, full: bool) {
        self.hosts[at].full = full;
        let room = if full { Room::Votes("the disk is nearly full".to_owned()) } else { Room::Enough };
        if self.hosts[at].is_up() && self.hosts[at].full_until <= self.now {
            self.give(at, Input::Room(room));
        }
    }

    /// A host's disk is full for a time: nothing becomes durable, and nothing is captured. Its daemon tells it.
    pub(crate) fn fill_disk(&mut self, at: usize, lasts: u64) {
        let (now, life) = (self.now, self.hosts[at].life);
        self.hosts[at].full_until = now + lasts;
        self.note(Some(at), "its disk is full");
        self.give(at, Input::Room(Room::Nothing("the disk is full".to_owned())));
        let input = Box::new(Input::Room(Room::Enough));
        self.schedule(lasts, Event::Give { host: at, life, input });
    }

    fn disk_delay(&mut self, at: usize) -> u64 {
        let slow = self.faults.slow_disks && self.rng.chance(50);
        let base =
            MS / 5 + self.rng.below(4 * MS) + if at % 4 == 3 && self.faults.slow_disks { 20 * MS } else { 0 };
        base + if slow { self.rng.below(800 * MS) } else { 0 }
    }

    pub(super) fn synced(&mut self, at: usize, life: u64) {
        if !self.is_alive(at, life) {
            return;
        }
        if self.breaks(Mutation::NewestFirst) {
            let turned = self.hosts[at].disk.newest_first();
            self.struck_if(turned);
        }
        if self.breaks(Mutation::GappyChain) {
            let skipped = self.hosts[at].disk.skip_records();
            self.struck_if(skipped);
        }
        let Some(batch) = self.hosts[at].disk.sync() else { return };
        invariants::synced(self, at, &batch.writes);
        if self.breaks_now(Mutation::LostAnswers, 50) {
            return;
        }
        if self.options.mutation != Some(Mutation::EarlyAcknowledgement) {
            self.give(at, Input::Persisted(batch.name));
        }
    }
}
