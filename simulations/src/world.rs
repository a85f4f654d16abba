//! The world: virtual time, everything that is under way, and the hosts it happens to.

mod carry;
mod content;
mod event;
mod links;
mod lives;
mod requests;
mod twins;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use althing_protocol::effect::{Input, Output};
use althing_protocol::governance::QuorumRule;
use althing_protocol::hash::Hash;
use althing_protocol::identity::{Identity, MemberId};
use althing_protocol::rng::Rng;
use althing_protocol::state::PROTOCOL;
use althing_protocol::wire::Message;

use crate::faults::Faults;
use crate::host::Host;
use crate::host::content::Library;
use crate::invariants::Invariants;
use crate::mutation::Mutation;
use crate::network::Network;
use crate::options::Options;
use crate::plan::MIXED;
use crate::reading;
use crate::reference::Reference;
use crate::signatures;
use crate::timeline::{Entry, STRUCK, Survey, Tally, Violation};
use crate::workload::Workload;

use event::Due;
use requests::Joiner;

pub(crate) use event::Event;
pub(crate) use requests::Asked;

/// A millisecond in the world's microseconds.
pub(crate) const MS: u64 = 1_000;
/// A second.
pub(crate) const SECOND: u64 = 1_000_000;
/// Steps that may happen in any world.
const CALM: u64 = 100_000;
/// And each two hosts, as all join within a second or two.
const MEETING: u64 = 500;
/// And a second and host, on average: ten times what a busy world needs.
const STORM: u64 = 150;
/// Of what is under way so many kinds are shown.
const SHOWN: usize = 8;
/// Notable events that are kept, of the founding and of what comes then.
const TIMELINE: usize = 20_000;
/// Surveys that are kept.
const SURVEYS: usize = 200;

/// Everything there is.
pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) now: u64,
    pub(crate) steps: u64,
    queue: BinaryHeap<Reverse<Due>>,
    numbers: u64,
    pub(crate) hosts: Vec<Host>,
    pub(crate) by_id: BTreeMap<MemberId, usize>,
    pub(crate) network: Network,
    pub(crate) library: Library,
    pub(crate) reference: Reference,
    pub(crate) invariants: Invariants,
    pub(crate) faults: Faults,
    pub(crate) workload: Workload,
    pub(crate) rng: Rng,
    trace: blake3::Hasher,
    /// Requests without an answer, and answers.
    pub(crate) asked: BTreeMap<u64, Asked>,
    pub(crate) replies: BTreeMap<u64, althing_protocol::control::Reply>,
    requests: u64,
    tickets: BTreeMap<u64, Joiner>,
    pub(crate) violations: Vec<Violation>,
    pub(crate) timeline: Vec<Entry>,
    /// How many of them were there when faults began.
    founding: usize,
    /// Notable events that were too many for it.
    pub(crate) untold: u64,
    pub(crate) surveys: Vec<Survey>,
    tally: Vec<Tally>,
    pub(crate) sometimes: BTreeMap<&'static str, u64>,
    out: Vec<Output>,
    /// A host and its copy.
    pub(crate) twin: Option<(usize, usize)>,
    /// Two records of one epoch were settled, and who signed both is known: all that is left is that everybody stops.
    pub(crate) forked: bool,
    /// The epoch of both.
    pub(crate) fork_epoch: u64,
    /// When faults began, in seconds.
    pub(crate) begun: f64,
    /// A story: what goes wrong in it is nobody's plan.
    pub(crate) by_hand: bool,
    stopped: bool,
}

/// A random stream of its own for each part of the world, so that more use of one does not change the others.
pub(crate) fn stream(seed: u64, part: &str) -> Rng {
    let bytes = [&seed.to_le_bytes()[..], part.as_bytes()].concat();
    Rng::new(Hash::in_domain("althing simulation 1", &bytes).0)
}

/// Members of two versions of the program.
fn mix_versions(hosts: &mut [Host], mut versions: Rng) {
    // Who founds an entity with a newer program begins it with the newer version.
    let is_older = |at: usize, drawn: bool| at == 0 || drawn;
    for (at, host) in hosts.iter_mut().enumerate() {
        host.speaks = if is_older(at, versions.chance(700)) { PROTOCOL - 1 } else { PROTOCOL };
    }
}

impl World {
    /// Servers that run and are in no entity yet.
    pub(crate) fn new(options: Options) -> Self {
        signatures::forget();
        reading::forget();
        let seed = options.seed;
        let real = seed % 50 == 49;
        let host = |index: usize| {
            let key: [u8; 32] = stream(seed, &format!("key {index}")).bytes();
            let identity = Identity::from_seed(key);
            Host::new(index, if real { identity.looking(signatures::look) } else { identity.simulated() })
        };
        let later = if options.faults { stream(seed, "later").below(3) as usize } else { 0 };
        let faults = Faults::new(&options);
        let copies = usize::from(faults.plan.has_class("twin"));
        let mut hosts: Vec<Host> = (0..options.members + later + copies).map(host).collect();
        for (host, name) in hosts.iter_mut().zip(options.likeness.iter().flat_map(|_| options.names())) {
            host.name = name;
        }
        hosts.iter_mut().skip(options.members + later).for_each(|host| host.absent = true);
        // The older version knows no other quorum.
        if faults.plan.has(MIXED) && options.rule() == QuorumRule::Majority {
            mix_versions(&mut hosts, stream(seed, "versions"));
        }
        let there = hosts.iter().enumerate().filter(|(_, host)| !host.absent);
        let by_id = there.map(|(index, host)| (host.id, index)).collect();
        let chance = |part: &str| match options.variant {
            0 => stream(seed, part),
            variant => stream(seed, &format!("{part} {variant}")),
        };
        let mut world = Self {
            now: SECOND,
            steps: 0,
            queue: BinaryHeap::new(),
            numbers: 0,
            network: Network::new(hosts.len(), chance("network")),
            by_id,
            hosts,
            library: Library::default(),
            reference: Reference::default(),
            invariants: Invariants::default(),
            workload: Workload::new(stream(seed, "workload"), stream(seed, "groups"), &faults.plan),
            faults,
            rng: chance("world"),
            options,
            trace: blake3::Hasher::new(),
            asked: BTreeMap::new(),
            replies: BTreeMap::new(),
            requests: 0,
            tickets: BTreeMap::new(),
            violations: Vec::new(),
            timeline: Vec::new(),
            founding: 0,
            untold: 0,
            surveys: Vec::new(),
            tally: Vec::new(),
            sometimes: BTreeMap::new(),
            out: Vec::new(),
            twin: None,
            forked: false,
            fork_epoch: 0,
            begun: 0.0,
            by_hand: false,
            stopped: false,
        };
        for host in 0..world.hosts.len() {
            let reach = world.rng.below(10_000);
            world.hosts[host].mono = reach * SECOND;
            world.start(host);
            let at = world.rng.below(30 * SECOND);
            world.schedule(at, Event::Patrol { host });
        }
        world
    }

    /// Something will happen after `after` microseconds.
    pub(crate) fn schedule(&mut self, after: u64, event: Event) {
        self.numbers += 1;
        self.queue.push(Reverse(Due { at: self.now + after, number: self.numbers, event }));
    }

    /// Lets the next thing happen, if it does so before `until`; false when nothing does.
    pub(crate) fn step(&mut self, until: u64) -> bool {
        if self.queue.peek().is_none_or(|due| due.0.at > until) || self.is_over() {
            return false;
        }
        let Some(Reverse(due)) = self.queue.pop() else { return false };
        self.now = due.at;
        self.steps += 1;
        self.trace.update(&due.at.to_le_bytes());
        self.happen(due.event);
        // Every seed ends: whoever keeps everybody busy with nothing is a bug.
        let hosts = self.hosts.len() as u64;
        if self.steps > CALM + MEETING * hosts * hosts + STORM * (self.now / SECOND) * hosts {
            let text = format!("{} steps; under way are {}", self.steps, self.waiting());
            self.violate("storm", text);
        }
        true
    }

    /// Nothing more happens: something must not have, or everything that could be found out was.
    pub(crate) fn is_over(&self) -> bool {
        !self.violations.is_empty() || (self.forked && !self.stopped)
    }

    /// Whether this world's hosts break a rule on purpose.
    pub(crate) fn breaks(&self, rule: Mutation) -> bool {
        self.options.mutation == Some(rule)
    }

    /// The same, once in so many times; that it did is counted, so that it is known that it can.
    pub(crate) fn breaks_now(&mut self, rule: Mutation, once_in: u64) -> bool {
        let does = self.breaks(rule) && self.rng.below(once_in) == 0;
        self.struck_if(does);
        does
    }

    /// The planted bug did something that a sound host does not do.
    pub(crate) fn struck_if(&mut self, does: bool) {
        if does {
            self.count(STRUCK);
        }
    }

    /// After a fork time goes on, to see everybody stop.
    pub(crate) fn go_on(&mut self) {
        self.stopped = true;
    }

    /// Whether anything went wrong in the last microseconds, or an administrator of a story did it.
    pub(crate) fn was_disturbed(&self, lately: u64) -> bool {
        self.faults.on || self.by_hand || self.faults.ended.is_some_and(|ended| ended + lately > self.now)
    }

    /// What most messages under way are, and between whom.
    fn waiting(&self) -> String {
        let mut kinds: BTreeMap<(&str, usize, usize), usize> = BTreeMap::new();
        for Reverse(due) in &self.queue {
            let Event::Deliver { from, to, bytes, .. } = &due.event else { continue };
            *kinds.entry((Message::kind(bytes), *from, *to)).or_default() += 1;
        }
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_by_key(|(_, count)| Reverse(*count));
        let name = |host: usize| self.hosts[host].name.as_str();
        let shown = kinds
            .iter()
            .take(SHOWN)
            .map(|((kind, from, to), count)| format!("{count} {kind} from {} to {}", name(*from), name(*to)));
        shown.collect::<Vec<_>>().join(", ")
    }

    /// Lets so many microseconds pass.
    pub(crate) fn run(&mut self, span: u64) {
        let until = self.now + span;
        while self.step(until) {}
        if !self.is_over() {
            self.now = until;
        }
    }

    /// Lets time pass until something is so, at most `span`; whether it became so.
    pub(crate) fn run_until(&mut self, span: u64, is_so: impl Fn(&Self) -> bool) -> bool {
        let until = self.now + span;
        while self.now < until && !self.is_over() {
            if is_so(self) {
                return true;
            }
            self.run(100 * MS);
        }
        is_so(self)
    }

    fn happen(&mut self, event: Event) {
        if let Some(host) = event.host() {
            let free = self.hosts[host].frozen.max(self.hosts[host].busy_until);
            if free > self.now {
                return self.schedule(free - self.now, event);
            }
        }
        match event {
            Event::Deliver { from, to, generation, bytes } => self.deliver(from, to, generation, &bytes),
            Event::Look { a, b } => self.look(a, b),
            Event::Wake { host, life } => self.wake(host, life),
            Event::Give { host, life, input } => {
                if self.is_alive(host, life) {
                    self.give(host, *input);
                }
            }
            Event::Synced { host, life } => self.synced(host, life),
            Event::Scanned { host, life, application, version } => {
                self.scanned(host, life, &application, version);
            }
            Event::Notice { host, life, application } => self.scan(host, life, &application),
            Event::Capture { host, life, capture, application, tree, version } => {
                if self.is_alive(host, life) {
                    self.captured(host, capture, &application, tree, version);
                }
            }
            Event::Fetch { host, life, fetch, application, from, wants } => {
                if self.is_alive(host, life) {
                    self.fetched(host, fetch, &application, from, wants);
                }
            }
            Event::Apply { host, application } => self.apply_step(host, &application),
            Event::Sweep { host, life } => self.sweep(host, life),
            Event::JoinAsk { joiner, at, bytes } => self.join_ask(joiner, at, bytes),
            Event::JoinAnswer { joiner, answer } => self.join_answer(joiner, answer),
            Event::Start { host } => self.start(host),
            Event::Act { number } => crate::faults::act(self, number),
            Event::Calm { number } => crate::faults::calm(self, number),
            Event::Clog { host, on: true } if self.faults.on => self.network.clog(host),
            Event::Clog { host, .. } => self.unclog(host),
            Event::Kill { host, life } => {
                if self.is_alive(host, life) {
                    self.crash(host, "as its watchdog kills it");
                    self.schedule(SECOND, Event::Start { host });
                }
            }
            Event::Fast { host } => (self.hosts[host].slow, self.hosts[host].busy_until) = (0, 0),
            Event::Scrub { host, life, piece } => self.scrub(host, life, piece),
            Event::Truth { host, life } => {
                if self.is_alive(host, life) && self.faults.on {
                    crate::faults::stores::truth(self, host);
                }
            }
            Event::LateJoin { host, request } => crate::faults::late_join(self, host, request),
            Event::Recover { host, kept } => crate::faults::give_up(self, host, kept),
            Event::ComeOver { request, kept } => crate::faults::come_over(self, request, &kept),
            Event::Lie { host } => {
                if self.hosts[host].vices.agent.is_some() {
                    crate::host::vices::lie(self, host);
                    self.schedule(SECOND, Event::Lie { host });
                }
            }
            Event::Forgive { host, other } => self.look_later(host, other),
            Event::Heal { number } => crate::faults::heal(self, number),
            Event::Flap { a, b } => crate::faults::flap(self, a, b),
            Event::Room { host } => self.fill(host, false),
            Event::Patrol { host } => self.patrol(host),
        }
    }

    pub(crate) fn is_alive(&self, host: usize, life: u64) -> bool {
        self.hosts[host].is_up() && self.hosts[host].life == life
    }

    /// Steps a member and does what comes out.
    pub(crate) fn give(&mut self, at: usize, input: Input) {
        self.note_input(at, &input);
        crate::invariants::before_step(self, at, &input);
        let mut out = std::mem::take(&mut self.out);
        let host = &mut self.hosts[at];
        let now = host.now(self.now);
        let Some(member) = &mut host.member else { return };
        member.step(now, input, &mut out);
        let life = host.life;
        for output in out.drain(..) {
            if !self.is_alive(at, life) {
                break;
            }
            if self.is_doomed(at) {
                self.crash(at, "in the middle of a step");
                break;
            }
            self.carry_out(at, output);
        }
        out.clear();
        self.out = out;
        if self.hosts[at].slow > 0 {
            self.hosts[at].busy_until = self.now + self.hosts[at].slow;
        }
        crate::invariants::after_step(self, at);
        self.arm(at);
    }

    /// Counts down to a crash between two outputs.
    fn is_doomed(&mut self, at: usize) -> bool {
        let Some(left) = self.hosts[at].doomed.as_mut() else { return false };
        *left = left.saturating_sub(1);
        *left == 0
    }

    /// Has the member woken when it wants to be.
    fn arm(&mut self, at: usize) {
        if self.breaks_now(Mutation::LostWakes, 3) {
            self.hosts[at].wake = Some(u64::MAX);
            return;
        }
        let host = &mut self.hosts[at];
        host.deadline = host.member.as_ref().and_then(|member| member.deadline());
        let Some(deadline) = host.deadline else { return };
        let when = host.when(deadline).max(self.now);
        if host.wake.is_none_or(|wake| when < wake) {
            let life = host.life;
            self.hosts[at].wake = Some(when);
            self.schedule(when - self.now, Event::Wake { host: at, life });
        }
    }

    fn wake(&mut self, at: usize, life: u64) {
        if !self.is_alive(at, life) || self.hosts[at].wake.is_none_or(|wake| wake > self.now) {
            return;
        }
        self.hosts[at].wake = None;
        let host = &self.hosts[at];
        let deadline = host.deadline;
        // The deadline may have moved on since.
        if deadline.is_some_and(|deadline| host.when(deadline) > self.now) {
            self.arm(at);
        } else {
            self.give(at, Input::Tick);
        }
    }

    fn note_input(&mut self, at: usize, input: &Input) {
        self.trace.update(&(at as u64).to_le_bytes());
        let text: &[u8] = match input {
            Input::Received { bytes, .. } => bytes,
            Input::Persisted(_) => b"persisted",
            Input::Scanned { .. } => b"scanned",
            Input::Tick => b"tick",
            _ => b"other",
        };
        self.trace.update(text);
    }

    /// Hash of everything that happened.
    pub(crate) fn trace(&self) -> String {
        self.trace.finalize().to_hex().to_string()
    }

    /// Something must never happen, and did. The world ends.
    pub(crate) fn violate(&mut self, clause: &'static str, text: impl Into<String>) {
        let (step, seconds, text) = (self.steps, self.seconds(), text.into());
        self.note(None, format!("VIOLATION of {clause}: {text}"));
        self.violations.push(Violation { clause, step, seconds, text });
    }

    /// Seconds since the beginning.
    pub(crate) fn seconds(&self) -> f64 {
        self.now as f64 / SECOND as f64
    }

    /// Writes something into the timeline.
    pub(crate) fn note(&mut self, host: Option<usize>, text: impl Into<String>) {
        if self.timeline.len() < self.founding + TIMELINE {
            let host = host.map(|host| self.hosts[host].name.clone()).unwrap_or_default();
            self.timeline.push(Entry { seconds: self.seconds(), host, text: text.into() });
        } else {
            self.untold += 1;
        }
    }

    /// Looks at how all members are, if that was asked for.
    pub(crate) fn survey(&mut self, when: &'static str) {
        if self.options.surveys && self.surveys.len() < SURVEYS {
            let survey = crate::survey::survey(self, when);
            self.surveys.push(survey);
        }
    }

    /// Faults begin: from now on messages are counted, if that was asked for.
    pub(crate) fn begin(&mut self) {
        self.begun = self.seconds();
        // A thousand members that join tell a million things; what was asked about comes after that.
        let untold = std::mem::take(&mut self.untold);
        if untold > 0 {
            let text = format!("{untold} more of the founding are not told");
            self.timeline.push(Entry { seconds: self.begun, host: String::new(), text });
        }
        self.founding = self.timeline.len();
        let moments = self.options.tally.windows(2);
        let empty = |moments: &[u64]| Tally { from: moments[0], until: moments[1], kinds: BTreeMap::new() };
        self.tally = moments.map(empty).collect();
    }

    /// A message is sent.
    fn tally(&mut self, bytes: &[u8]) {
        if self.tally.is_empty() {
            return;
        }
        let now = self.now.saturating_sub((self.begun * SECOND as f64) as u64) / MS;
        if let Some(tally) = self.tally.iter_mut().find(|tally| (tally.from..tally.until).contains(&now)) {
            let counted = tally.kinds.entry(Message::kind(bytes).to_owned()).or_default();
            *counted = (counted.0 + 1, counted.1 + bytes.len() as u64);
        }
    }

    /// What was counted.
    pub(crate) fn tallies(&mut self) -> Vec<Tally> {
        std::mem::take(&mut self.tally)
    }

    /// Counts that something interesting happened.
    pub(crate) fn count(&mut self, what: &'static str) {
        *self.sometimes.entry(what).or_default() += 1;
    }
}
