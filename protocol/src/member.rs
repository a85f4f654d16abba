//! [`Member`]: the whole protocol of one member, as one machine.
//!
//! A host calls [`Member::step`] with what happened and does what comes out, in order; it calls
//! [`Member::deadline`] afterwards and steps with [`Input::Tick`] when that time has come. Nothing else is needed,
//! and nothing else is allowed: the daemon and the simulator are two hosts of this type.

mod admitting;
mod adopting;
mod attention;
mod checkpoint;
mod content;
mod contested;
mod contradiction;
pub mod ended;
mod fetching;
mod gathering;
mod governing;
mod health;
mod hearing;
mod hooks;
mod joining;
mod keeping;
mod leaving;
mod local;
mod operation;
pub mod orders;
mod placing;
mod probation;
mod quiet;
mod recovering;
mod requests;
mod rolling;
mod rollout_views;
pub mod roster;
pub mod saved;
mod serving;
mod spreading;
mod standing;
mod troubles;
mod trusting;
mod undoing;
mod versions;
mod views;
mod voting;

use std::collections::{BTreeMap, BTreeSet};

use crate::ballot::Ballot;
use crate::conduct::Conduct;
use crate::effect::{Input, Output, Peer, Place, Room, Write};
use crate::event::{Event, Severity};
use crate::evidence::Evidence;
use crate::gossip::{Board, Overlay};
use crate::handling::Handling;
use crate::hash::Hash;
use crate::identity::{Identity, MemberId, Scheme};
use crate::liveness::Liveness;
use crate::metrics::{Ratio, Readings, Sketch};
use crate::rng::Rng;
use crate::state::{PROTOCOL, Role, State};
use crate::statement::{Address, Checked, Envelope, Id16, Position, Read, Signed, Statement, Vote};
use crate::succession::Succession;
use crate::time::{Instant, Millis, Now};
use crate::trail::Trail;
use crate::wire::Message;

use local::Local;
use operation::Operation;
use saved::{Beginning, Head, Life, Saved};

/// Sequences are reserved on disk in blocks of so many, so that a restored copy is found out by its numbers.
const RESERVE: u64 = 1 << 16;

/// Readings that a report digests: a minute of them, as hosts take one every two seconds.
const READINGS: usize = 30;

/// The health is looked at so often.
const HEALTH_LOOK: Millis = Millis(500);
/// In a large entity only so often: milliseconds for each member, since each is looked at.
const HEALTH_LOOK_EACH: u64 = 20;

/// The version that every program speaks.
const OLDEST: u32 = 1;

/// Facts of this machine that the protocol passes on.
#[derive(Clone, Debug)]
pub struct Config {
    /// Version of the program.
    pub version: String,
    /// The newest protocol version to speak: the program's own ([`PROTOCOL`]), or an older one, so that tests can have
    /// a member behave as an older program does.
    pub speaks: u32,
    /// Where this member listens now.
    pub address: Option<Address>,
    /// After so long without a quorum that confirms its head, a start believes nothing newer until somebody vouches.
    pub trusting_period: Option<Millis>,
    /// How statements that come are read.
    pub read: Read,
    /// For a host of many members.
    pub commons: Option<Commons>,
    /// For the simulator only.
    #[doc(hidden)]
    pub sabotage: Option<Sabotage>,
}

/// What members of one process have in common, so that each statement is read, looked at and kept once: all of them must
/// have one scheme of signatures.
#[derive(Clone, Copy, Debug)]
pub struct Commons {
    /// Whether this was found to be a statement, with these very bytes and this signature.
    pub known: fn(&Signed) -> Option<Checked>,
    /// It was.
    pub learn: fn(&Checked),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            version: String::new(),
            speaks: PROTOCOL,
            address: None,
            trusting_period: None,
            read: Envelope::read,
            commons: None,
            sabotage: None,
        }
    }
}

/// A rule broken on purpose, so that the simulator can show that its checks would notice. Never set by a daemon.
#[doc(hidden)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sabotage {
    /// Half of the voters settle.
    HalfQuorum,
    /// A lock binds nobody.
    NoLocks,
    /// A start forgets what it is locked on.
    ForgottenLock,
    /// Precommits of all rounds are counted together.
    MixedRounds,
    /// A round never ends without a decision.
    EndlessRound,
    /// Votes that contradict each other are no evidence, and forks are not looked at.
    NoEvidence,
    /// Certificates are not checked.
    AnyChain,
    /// A start votes before it has heard what it said.
    NeverMute,
    /// A store that is found out votes all the same.
    NeverBurnt,
    /// Everything is looked at after every input, also where nothing can have changed. It breaks nothing, and shows that
    /// leaving it out changes nothing.
    Restless,
    /// Who has found a contradiction votes all the same.
    NeverStopped,
    /// A late quorum of prevotes is precommitted in the round that was left.
    LatePrecommit,
    /// A later round is entered because somebody says that it is there.
    BlindEntry,
    /// A prevote for the own lock does not say that it rests on it.
    UnsignedReliance,
    /// A start begins with the first round again.
    ForgottenRound,
    /// Whoever sees a quorum of prevotes precommits, and leaves its own prevote out.
    LonePrecommit,
    /// The votes on which a round was entered are not kept.
    ForgottenEntry,
}

/// One member.
pub struct Member {
    core: Core,
    entity: Option<Box<Entity>>,
    joining: Option<joining::Joining>,
}

/// What a member is without an entity: key, store, and the batches on their way to the disk.
struct Core {
    identity: Identity,
    config: Config,
    rng: Rng,
    now: Now,
    life: Life,
    /// The life as the last start left it: what peers may know of this store.
    earlier: Life,
    sequence: u64,
    /// The store was found out to be a copy or to have lost something: a new one is on its way to the disk, and
    /// nothing is signed meanwhile (findings 3, 18).
    burnt: bool,
    /// Everybody there is a connection to, in the roster or not.
    connected: BTreeSet<MemberId>,
    started: Started,
    next_id: u64,
    batches: BTreeMap<u64, Durable>,
    /// The version that programs must speak to open the store, as the host was told.
    marked: u32,
    out: Vec<Output>,
    readings: Readings,
    cpu: Vec<Ratio>,
    /// Whether the host can write.
    room: Room,
    since: Instant,
}

/// The incarnation must be on disk before anything is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Started {
    No,
    Writing,
    Yes,
}

/// What follows when a batch is durable.
enum Durable {
    Started,
    Reserved(u64),
    Cast(Vec<Vote>),
    Installed(Vec<Installed>, Option<Life>),
    Held {
        application: String,
        root: Hash,
        extent: crate::manifest::Extent,
    },
    Applied {
        application: String,
        applied: (u64, Hash),
        result: Option<crate::effect::Applied>,
    },
    /// What is owed to the after hooks.
    Hooked {
        application: String,
    },
    Entered(Box<Head>, Box<Beginning>, joining::Entering),
    /// The life of a new store.
    Replaced(Life),
    /// An administrator vouched for what is settled.
    Vouched(trusting::Vouched),
    /// What was found is acknowledged: the request is done, and what was promised before may leave again.
    Resolved(u64, Vec<crate::statement::Vote>),
    Nothing,
}

/// A settled record that is durable.
struct Installed {
    head: Head,
    certificate: crate::record::Certificate,
    changes: Vec<crate::statement::Signed>,
    /// Applications that it removed.
    removed: Vec<(String, saved::Leaving)>,
}

/// Members that are not heard.
#[derive(Default)]
struct Away {
    /// Of whom that was logged.
    logged: BTreeSet<MemberId>,
    /// [`Liveness::changes`], as of when it was looked at.
    as_of: Option<u64>,
}

/// What a member is within an entity.
struct Entity {
    /// Since when this process is in the entity.
    since: Instant,
    /// Requests that came before this member could hear anybody.
    early: Vec<requests::Early>,
    state: State,
    head: Hash,
    trail: Trail,
    certificate: Option<crate::record::Certificate>,
    beginning: Option<Beginning>,
    /// Strangers that wait for an answer.
    strangers: admitting::Strangers,
    /// What became of invitations.
    ended: ended::Ended,
    /// Whoever asked this member to enter the entity waits for it to count.
    entering: Option<joining::Entering>,
    /// The entity that this member asked to join in place of this one.
    following: Option<Hash>,
    ballot: Ballot,
    /// The votes on which its round was entered, as the disk had them, until the start is durable.
    entry: Vec<Signed>,
    /// A settled record is on its way to the disk: nothing is decided meanwhile.
    installing: bool,
    board: Board,
    overlay: Overlay,
    liveness: Liveness,
    silence: spreading::Silence,
    locals: BTreeMap<String, Local>,
    /// Nothing follows for content, as long as this holds.
    quiet: Option<content::Quiet>,
    /// Something that this member wanted to say, and may, was not said: it tries again.
    unsaid: bool,
    /// The roots that the host was told to keep.
    kept: Option<Vec<Hash>>,
    departures: leaving::Departures,
    /// By application that goes to few: who else keeps its content. What the state says, computed once for it.
    keepers: BTreeMap<String, Vec<MemberId>>,
    operations: BTreeMap<u64, Operation>,
    orders: orders::Orders,
    candidate: voting::Candidate,
    /// Places of own intents that are valid after the head.
    valid: BTreeSet<Position>,
    evidence: BTreeMap<u64, Evidence>,
    /// Who showed that this entity was begun anew, after an epoch that is not settled here.
    unjudged: Option<(MemberId, Succession)>,
    standing: standing::Standing,
    spread: spreading::Spread,
    records: BTreeSet<Hash>,
    versions: versions::Versions,
    /// To the checkpoint of the invitation, until it was passed.
    way: Option<checkpoint::Way>,
    /// When a quorum confirmed the head last.
    trusting: trusting::Trusting,
    health_since: (crate::view::Health, Instant),
    /// When the health was looked at last.
    health_looked: Instant,
    told: BTreeSet<String>,
    away: Away,
    conduct: Conduct,
}

impl Member {
    /// The member that was saved, or a new one without an entity. `seed` makes its choices.
    pub fn restore(identity: Identity, config: Config, seed: [u8; 32], saved: Saved, now: Now) -> Self {
        let mut rng = Rng::new(seed);
        let earlier = saved.life.unwrap_or_else(|| Life { store: Id16(rng.bytes()), ..Life::default() });
        let life = Life { incarnation: earlier.incarnation + 1, reserved: RESERVE, ..earlier };
        let core = Core {
            identity,
            config,
            rng,
            now,
            life,
            earlier,
            sequence: 0,
            burnt: false,
            connected: BTreeSet::new(),
            started: Started::No,
            next_id: 1,
            batches: BTreeMap::new(),
            marked: OLDEST,
            out: Vec::new(),
            readings: Readings::default(),
            cpu: Vec::new(),
            room: Room::Enough,
            since: now.mono,
        };
        let mut member = Self { core, entity: None, joining: None };
        if let Some(head) = saved.head.clone() {
            let entity = Entity::restore(&member.core, head, saved);
            member.entity = Some(Box::new(entity));
        }
        member
    }

    /// The only way in which the protocol changes. Effects are appended in the order in which they must happen.
    pub fn step(&mut self, now: Now, input: Input, out: &mut Vec<Output>) {
        self.core.now = now;
        if self.core.started == Started::No {
            self.core.started = Started::Writing;
            self.core.persist(vec![saved::put_life(&self.core.life.clone())], Durable::Started);
        }
        let beat = match &input {
            Input::Received { from, bytes } if Message::is_beat(bytes) => Some(*from),
            _ => None,
        };
        let before = self.told_by(beat);
        if self.stirs_content(&input)
            && let Some(entity) = &mut self.entity
        {
            entity.quiet = None;
        }
        self.route(input);
        // Nearly every message of an entity at rest is a heartbeat that tells nothing new: nothing follows from it.
        let news = before.is_none() || before != self.told_by(beat);
        if self.core.started == Started::Yes
            && news
            && let Some(entity) = &mut self.entity
        {
            entity.attend(&mut self.core);
        }
        out.append(&mut self.core.out);
    }

    /// All that a heartbeat of this peer can change: whether it is heard, its epoch, and what it is answered.
    fn told_by(&self, beat: Option<MemberId>) -> Option<(bool, Option<u64>, usize)> {
        let (peer, entity) = (beat?, self.entity.as_ref()?);
        let heard = entity.liveness.is_reachable(&peer, self.core.now.mono);
        // That nothing differs is no news.
        let is_echo =
            |output: &&Output| matches!(output, Output::Send { bytes, .. } if Message::is_echo(bytes));
        let sent = self.core.out.len() - self.core.out.iter().filter(is_echo).count();
        Some((heard, entity.spread.epochs.get(&peer).copied(), sent))
    }

    /// Whether what follows for content may change with this input, beyond what messages change: those say it where
    /// they do.
    fn stirs_content(&self, input: &Input) -> bool {
        match input {
            Input::Received { .. } | Input::Tick | Input::Sampled(_) => false,
            Input::Persisted(batch) => match self.core.batches.get(batch) {
                Some(Durable::Cast(_) | Durable::Reserved(_) | Durable::Nothing) | None => false,
                Some(_) => true,
            },
            _ => true,
        }
    }

    fn route(&mut self, input: Input) {
        match &input {
            Input::Connected(peer) => {
                self.core.connected.insert(*peer);
            }
            Input::Disconnected(peer) => {
                self.core.connected.remove(peer);
            }
            _ => {}
        }
        match input {
            Input::Persisted(batch) => self.persisted(batch),
            Input::Requested { request, by, command } => self.requested(request, by, command),
            Input::JoinAnswered { join, answer } => self.join_answered(join, answer),
            Input::Sampled(readings) => self.core.sampled(readings),
            Input::Room(room) => self.room_changed(room),
            Input::Received { .. }
            | Input::Connected(_)
            | Input::Disconnected(_)
            | Input::JoinAsked { .. }
            | Input::Scanned { .. }
            | Input::Captured { .. }
            | Input::Fetched { .. }
            | Input::Applied { .. }
            | Input::HookRan { .. }
            | Input::Offended { .. }
            | Input::Cleared { .. }
            | Input::Damaged { .. }
            | Input::Tick => {
                if let Some(entity) = &mut self.entity {
                    entity.take(&mut self.core, input);
                }
            }
        }
    }

    fn persisted(&mut self, batch: u64) {
        let Some(durable) = self.core.batches.remove(&batch) else { return };
        match durable {
            Durable::Started => {
                self.core.started = Started::Yes;
                if let Some(entity) = &mut self.entity {
                    entity.show_entry(&mut self.core);
                    entity.announce(&mut self.core);
                }
            }
            Durable::Reserved(until) => self.core.life.reserved = until,
            Durable::Entered(head, beginning, entering) => self.entered(*head, *beginning, entering),
            durable => {
                if let Some(entity) = &mut self.entity {
                    entity.durable(&mut self.core, durable);
                }
            }
        }
    }

    /// When to step with [`Input::Tick`] next.
    pub fn deadline(&self) -> Option<Instant> {
        if self.core.started != Started::Yes {
            return None;
        }
        self.entity.as_ref().map(|entity| entity.deadline(&self.core))
    }

    /// This member's key.
    pub fn id(&self) -> MemberId {
        self.core.identity.id()
    }

    /// The entity's settled state, if this member is in one.
    pub fn state(&self) -> Option<&State> {
        self.entity.as_ref().map(|entity| &entity.state)
    }

    /// Hash of the record of the head.
    pub fn head(&self) -> Option<Hash> {
        self.entity.as_ref().map(|entity| entity.head)
    }

    /// What is promised for the epoch that is being decided.
    pub fn promise(&self) -> Option<&crate::ballot::Promise> {
        self.entity.as_ref().map(|entity| entity.ballot.promise())
    }

    /// Whether this member votes: not while it is mute after a start, never again when its store is burnt.
    pub fn may_vote(&self) -> bool {
        self.entity.as_ref().is_some_and(|entity| entity.may_vote(&self.core))
    }

    /// The furthest place that this process could show another member of what that has said from a store (PROTOCOL M2).
    pub fn remembers(&self, member: &MemberId, store: Id16) -> Option<Position> {
        self.entity.as_ref()?.board.furthest(member, store)
    }

    /// The certificate of the head.
    pub fn certificate(&self) -> Option<&crate::record::Certificate> {
        self.entity.as_ref().and_then(|entity| entity.certificate.as_ref())
    }

    /// What this member applied last of an application: basis and root.
    pub fn applied(&self, application: &str) -> Option<(u64, Hash)> {
        self.entity.as_ref()?.locals.get(application)?.applied
    }

    /// What this member does not repair of an application for now, because it was changed again and again.
    pub fn left_alone(&self, application: &str) -> Vec<crate::path::ItemPath> {
        let local = self.entity.as_ref().and_then(|entity| entity.locals.get(application));
        local.map(|local| local.contested.left_alone(self.core.now.mono)).unwrap_or_default()
    }

    /// What this member saw last of an application's live tree.
    pub fn observed(&self, application: &str) -> Option<Hash> {
        self.entity.as_ref()?.locals.get(application)?.observed.as_ref()?.root
    }
}

impl Core {
    fn me(&self) -> MemberId {
        self.identity.id()
    }

    /// Whether the simulator wants this rule broken.
    fn breaks(&self, rule: Sabotage) -> bool {
        self.config.sabotage == Some(rule)
    }

    fn scheme(&self) -> Scheme {
        self.identity.scheme()
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn persist(&mut self, writes: Vec<Write>, then: Durable) {
        let batch = self.id();
        self.batches.insert(batch, then);
        self.out.push(Output::Persist { batch, writes });
    }

    fn event(&mut self, event: Event) {
        self.out.push(Output::Event(event));
    }

    fn sampled(&mut self, readings: Readings) {
        self.cpu.push(readings.cpu);
        let surplus = self.cpu.len().saturating_sub(READINGS);
        self.cpu.drain(..surplus);
        self.readings = readings;
    }

    fn cpu_sketch(&self) -> Sketch {
        let mut sketch = Sketch::default();
        self.cpu.iter().for_each(|ratio| sketch.add(u64::from(ratio.0)));
        sketch
    }

    /// Signs a statement in the next place of this life; `None` while the reservation of places is not durable.
    fn sign(&mut self, entity: Hash, statement: Statement) -> Option<Checked> {
        if self.started != Started::Yes || self.sequence + 1 >= self.life.reserved {
            return None;
        }
        self.sequence += 1;
        if self.sequence == self.life.reserved - RESERVE / 2 {
            let life = Life { reserved: self.life.reserved + RESERVE, ..self.life };
            self.persist(vec![saved::put_life(&life)], Durable::Reserved(life.reserved));
        }
        let position = Position { incarnation: self.life.incarnation, sequence: self.sequence };
        Some(Checked::sign(&self.identity, Envelope { entity, store: self.life.store, position, statement }))
    }
}

impl Entity {
    fn restore(core: &Core, head: Head, saved: Saved) -> Self {
        let departures = leaving::Departures::new(&saved, &core.me(), &head.state);
        let mut ballot = Ballot::new(core.me(), &head.state, head.record, saved.promise);
        ballot.sabotage(core.config.sabotage);
        let mut records = BTreeSet::new();
        for bytes in saved.records {
            let next = voting::judge(core, &head.state, &head.record, &bytes);
            records.insert(ballot.learn(bytes, next, false));
        }
        let mut locals: BTreeMap<String, Local> = BTreeMap::new();
        for (application, applied) in saved.applied {
            locals.entry(application).or_default().applied = Some(applied);
        }
        for application in saved.owed {
            let hooks = &mut locals.entry(application).or_default().hooks;
            (hooks.owed, hooks.noted) = (true, true);
        }
        for (application, held) in saved.held {
            let local = locals.entry(application).or_default();
            local.suspect = held.keys().filter(|_| saved.is_suspect).copied().collect();
            local.held = held;
        }
        locals.retain(|application, _| head.state.applications.contains_key(application));
        let trusting = trusting::Trusting::at_start(core, &head.state, saved.confirmed);
        let way = saved.beginning.as_ref().and_then(|beginning| beginning.checkpoint);
        let way = way.and_then(|it| checkpoint::Way::new(&head.state, head.record, it));
        let mut entity = Self {
            since: core.now.mono,
            early: Vec::new(),
            beginning: saved.beginning,
            strangers: admitting::Strangers::default(),
            ended: saved.ended,
            entering: None,
            following: None,
            keepers: placing::keepers(&head.state),
            state: head.state,
            head: head.record,
            trail: head.trail,
            certificate: None,
            ballot,
            entry: saved.entry,
            installing: false,
            board: Board::default(),
            overlay: Overlay::default(),
            liveness: Liveness::default(),
            silence: spreading::Silence::default(),
            locals,
            quiet: None,
            unsaid: false,
            kept: None,
            departures,
            operations: BTreeMap::new(),
            orders: orders::Orders::new(saved.orders, core.now.mono),
            candidate: voting::Candidate::default(),
            valid: BTreeSet::new(),
            evidence: saved.evidence,
            unjudged: None,
            standing: standing::Standing::default(),
            spread: spreading::Spread::default(),
            records,
            versions: versions::Versions::default(),
            way,
            trusting,
            health_since: (crate::view::Health::Ok, core.now.mono),
            health_looked: Instant::default(),
            told: BTreeSet::new(),
            away: Away::default(),
            conduct: Conduct::default(),
        };
        entity.watch_neighbours(core);
        entity
    }

    /// Tells the host what this member is about, after a start and whenever the head changes it.
    fn announce(&mut self, core: &mut Core) {
        self.announce_peers(core);
        self.announce_places(core);
    }

    fn announce_peers(&mut self, core: &mut Core) {
        let me = core.me();
        let members = self.state.members.iter().filter(|member| member.id != me);
        let links = self.links(core);
        // Until the chain says that it counts, a newcomer knows where others were when its head was settled; of who let
        // it in it knows better.
        let sponsor = self.beginning.as_ref().and_then(|beginning| beginning.sponsor);
        let newer = sponsor.filter(|_| self.is_new(core));
        let addresses = |member: &crate::state::Member| {
            let mut addresses = self.addresses_of(member);
            let newer = newer.filter(|sponsor| sponsor.member == member.id).map(|sponsor| sponsor.address);
            addresses.extend(newer.filter(|address| !addresses.contains(address)));
            addresses
        };
        let present = members.map(|member| Peer {
            id: member.id,
            addresses: addresses(member),
            linked: links.as_ref().is_none_or(|links| links.contains(&member.id)),
            past: false,
        });
        let before = self.beginning.as_ref().map(|beginning| &beginning.before);
        let past = self.state.past.iter().map(|past| Peer {
            id: past.id,
            addresses: before.and_then(|before| before.get(&past.id)).cloned().unwrap_or_default(),
            linked: true,
            past: true,
        });
        // Until the chain names it, a newcomer knows nobody but who let it in.
        let sponsor = sponsor.filter(|sponsor| self.state.member(&sponsor.member).is_none());
        let sponsor = sponsor.map(|sponsor| Peer {
            id: sponsor.member,
            addresses: vec![sponsor.address],
            linked: true,
            past: false,
        });
        core.out.push(Output::Peers(present.chain(past).chain(sponsor).collect()));
    }

    /// Whether this member does not count yet, or not any more, as far as the chain says that it holds.
    fn is_new(&self, core: &Core) -> bool {
        self.is_outcast(core) || self.me(core).is_none_or(|me| me.role == Role::Learner)
    }

    /// Where a member is found: where the roster says, and where it says itself that it listens now. Nobody who moves when
    /// that cannot be settled is lost to those who moved before (PROTOCOL.md J6).
    fn addresses_of(&self, member: &crate::state::Member) -> Vec<Address> {
        let mut addresses = member.addresses.clone();
        let said = self.report_of(&member.id).into_iter().flat_map(|report| &report.addresses);
        addresses.extend(said.filter(|address| !member.addresses.contains(address)));
        addresses
    }

    /// Where the other members are, for whoever goes on without them (PROTOCOL.md J8).
    fn whereabouts(&self, core: &Core) -> BTreeMap<MemberId, Vec<Address>> {
        let others = self.state.members.iter().filter(|member| member.id != core.me());
        let others = others.filter(|_| self.state.protocol >= 2);
        others.map(|member| (member.id, self.addresses_of(member))).collect()
    }

    fn announce_places(&mut self, core: &mut Core) {
        let place = |name: &String, root: &String, unmanaged: &Vec<String>, handling: &Handling| Place {
            application: name.clone(),
            root: root.clone(),
            unmanaged: unmanaged.clone(),
            handling: handling.clone(),
        };
        // One that was removed keeps its place until it is cleared away, also from a new one of its name.
        let here = |name: &str| self.is_here(core, name) && !self.is_leaving(name);
        let present = self.state.applications.iter().filter(|(name, _)| here(name));
        let present =
            present.map(|(name, known)| place(name, &known.root, &known.unmanaged, &known.terms.handling));
        let leaving = self.departures.pending.iter();
        let leaving =
            leaving.map(|(name, known)| place(name, &known.root, &known.unmanaged, &known.handling));
        core.out.push(Output::Places(present.chain(leaving).collect()));
    }

    fn take(&mut self, core: &mut Core, input: Input) {
        if core.started != Started::Yes {
            return;
        }
        match input {
            Input::Received { from, bytes } => self.received(core, from, &bytes),
            Input::Connected(peer) => self.connected(core, peer),
            Input::Disconnected(peer) => self.disconnected(core, peer),
            Input::JoinAsked { ticket, bytes } => self.join_asked(core, ticket, &bytes),
            Input::Scanned { application, scan } => self.scanned(core, &application, scan),
            Input::Captured { capture, result } => self.captured(core, capture, result),
            Input::Fetched { fetch, result } => self.fetched(core, fetch, &result),
            Input::Applied { apply, result } => self.applied(core, apply, result),
            Input::HookRan { run, ran } => self.hook_ran(core, run, &ran),
            Input::Offended { who, offence, times } => self.offended(core, who, offence, times),
            Input::Cleared { clear, result } => self.cleared(core, clear, result),
            Input::Damaged { content, aside } => self.damaged(core, &content, &aside),
            Input::Tick
            | Input::Persisted(_)
            | Input::Requested { .. }
            | Input::JoinAnswered { .. }
            | Input::Room(_)
            | Input::Sampled(_) => {}
        }
    }

    fn durable(&mut self, core: &mut Core, durable: Durable) {
        match durable {
            Durable::Cast(votes) => self.cast(core, votes),
            Durable::Installed(records, life) => self.installed(core, records, life),
            Durable::Replaced(life) => self.replaced(core, life),
            Durable::Vouched(vouched) => self.vouched(core, vouched),
            Durable::Resolved(request, promised) => self.resolved(core, request, promised),
            Durable::Held { application, root, extent } => self.is_held(core, &application, root, extent),
            Durable::Applied { application, applied, result } => {
                self.is_applied(core, &application, applied, result)
            }
            Durable::Hooked { application } => self.is_hooked(core, &application),
            Durable::Started | Durable::Reserved(_) | Durable::Entered(..) | Durable::Nothing => {}
        }
    }

    /// Everything that follows from what is known now. Idempotent: run after every input.
    fn attend(&mut self, core: &mut Core) {
        let asked = self.asked();
        self.attend_spreading(core);
        self.attend_standing(core);
        self.attend_ballot(core);
        self.attend_content(core);
        self.attend_departures(core);
        self.attend_joining(core);
        self.attend_service(core);
        self.attend_early(core);
        self.attend_orders(core);
        self.attend_quiet(core);
        self.attend_operations(core);
        if asked != self.asked() {
            self.quiet = None;
        }
        // What was staged just now is promised at once: whoever asks next sees it.
        if !self.is_quiet(core) {
            let names: Vec<String> = self.state.applications.keys().cloned().collect();
            names.iter().for_each(|name| self.publish_holding(core, name));
        }
        self.attend_ballot(core);
        self.attend_conditions(core);
    }

    fn deadline(&self, core: &Core) -> Instant {
        let now = core.now.mono;
        // Nothing follows from a ballot that is not looked at: whoever is stopped would be woken for it in vain, again
        // and again.
        let looks = !self.installing && !self.is_stopped() && !self.is_lapsed();
        let ballot = self.ballot.deadline(&self.outlook(core)).filter(|_| looks);
        let content = self.next_content(core);
        let operations = self.operations.values().map(|operation| operation.deadline).min();
        let expiry = self.expiry_deadline(core);
        let departures = self.departures_deadline();
        let back = self.return_deadline(core);
        let others = [ballot, content, operations, expiry, departures, back].into_iter().flatten().min();
        let beat = self.spreading_deadline();
        // A deadline that has passed and led to nothing must not keep the host spinning.
        others.map_or(beat, |at| at.min(beat)).max(now + crate::time::Millis(1))
    }

    fn me<'a>(&'a self, core: &Core) -> Option<&'a crate::state::Member> {
        self.state.member(&core.me())
    }

    fn may_vote(&self, core: &Core) -> bool {
        let own = self.me(core).is_some_and(|me| me.role == Role::Voter && me.store == core.life.store);
        let heard = self.silence.over || core.breaks(Sabotage::NeverMute);
        let stopped = self.is_stopped() && !core.breaks(Sabotage::NeverStopped);
        let follows = self.is_outdated() || self.is_kept_back(core);
        own && heard && !core.burnt && !stopped && !follows
    }

    /// Logs a condition once, until it is over.
    fn tell(&mut self, core: &mut Core, key: &str, is_so: bool, event: impl FnOnce() -> Event) {
        if is_so && self.told.insert(key.to_owned()) {
            core.event(event());
        } else if !is_so {
            self.told.remove(key);
        }
    }

    /// Logs each member once when it is not heard any more; `heard` says it of each of the roster.
    fn tell_who_is_away(&mut self, core: &mut Core, heard: &[bool]) {
        for (member, heard) in self.state.members.iter().zip(heard) {
            if *heard {
                self.away.logged.remove(&member.id);
            } else if self.away.logged.insert(member.id) {
                let text = format!("{} is not heard", member.name);
                core.event(Event::new(Severity::Warning, "member.unreachable", text).of(member.id));
            }
        }
    }

    fn attend_conditions(&mut self, core: &mut Core) {
        // After every input: who does not vote is looked at only when somebody comes or goes.
        let able = |voter: &&crate::state::Member| {
            self.is_heard(core, &voter.id) && self.why_burnt(core, &voter.id).is_none()
        };
        let (able, quorum) = (self.state.voters().filter(able).count(), self.state.quorum());
        let total = self.state.voters().count();
        // Whoever has just started, or joined, has not had the time to hear anybody.
        let settled_in = core.now.mono > self.since + crate::liveness::SILENCE;
        let lost = able < quorum && self.me(core).is_some() && settled_in;
        let rule = self.by_which_rule();
        self.tell(core, "no-majority", lost, || {
            let text = format!(
                "{able} of {total} voters can be reached and {quorum} must agree{rule}: nothing is settled"
            );
            Event::new(Severity::Critical, "majority.lost", text)
        });
        if settled_in && (self.away.as_of.is_none() || self.away.as_of != self.liveness.changes()) {
            self.away.as_of = self.liveness.changes();
            let heard = |member: &crate::state::Member| self.is_heard(core, &member.id);
            let heard: Vec<bool> = self.state.members.iter().map(heard).collect();
            self.tell_who_is_away(core, &heard);
        }
        self.attend_trusting(core);
        // All members' lists and reports go into it, and all it tells is since when it is so, in seconds.
        let rest = HEALTH_LOOK.max(Millis(HEALTH_LOOK_EACH * self.state.members.len() as u64));
        if core.now.mono - self.health_looked < rest && self.health_looked != Instant::default() {
            return;
        }
        self.health_looked = core.now.mono;
        self.attend_versions(core);
        let health = self.own_health_state(core);
        if self.health_since.0 != health {
            self.health_since = (health, core.now.mono);
        }
    }
}

#[cfg(test)]
mod tests;
