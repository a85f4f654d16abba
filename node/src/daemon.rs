//! The one loop: waits for something to happen, steps the member, carries out what comes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use althing_protocol::conduct::Offence;
use althing_protocol::control::{Code, Command, Progress, Refusal, Reply};
use althing_protocol::effect::{Family, Fetched, Input, NotApplied, NotCaptured, Output, Scan, Source};
use althing_protocol::event::{Event, Severity};
use althing_protocol::hash::Hash;
use althing_protocol::identity::{Identity, MemberId};
use althing_protocol::limits;
use althing_protocol::member::saved::{Saved, read_link};
use althing_protocol::member::{Config as Facts, Member};
use althing_protocol::record::Link;
use althing_protocol::rollout::{Hook, Kind, Ran};
use althing_protocol::statement::Address;
use althing_protocol::time::{Millis, Now, WallTime};
use althing_protocol::wire::Message;
use althing_store::{Store, Unnamed};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::collect::Collector;
use crate::files::{self, Files, Neighbours, Patterns, TRASH_KEPT, TrashClock};
use crate::net::{BulkStream, Net, NetConfig, NetError, NetEvent, Peer, Speech};
use crate::place::{self, Ending, Entry, Place, Work as PlaceWork};
use crate::sample::Sampler;
use crate::serving::{STREAMS, Serving, TREES};
use crate::writer::{Work, Writer};
use crate::{Config, api, hooks, identity, interruption, purge, room, scrub, transfer};

/// Happenings that wait for the loop.
const QUEUE: usize = 4096;
/// Programs that spoke no newer protocol version had no lines.
const LINES_SINCE: u32 = 2;
/// Readings are taken this often.
const SAMPLE: Duration = Duration::from_secs(2);
/// A member of an invitation that does not answer is given up after this.
const JOIN_PATIENCE: Duration = Duration::from_secs(20);
/// Whoever asks to forget the entity has its answer within this.
const FAREWELL: Duration = Duration::from_millis(300);
/// The trash of removed applications is looked through this often.
const PRUNE: Duration = Duration::from_secs(3600);
/// Addresses of strangers that an event names.
const ADDRESSES_TOLD: usize = 8;

/// What can happen to the loop.
pub(crate) enum Happening {
    /// Something that the protocol is told as it is.
    Input(Input),
    /// A capture ended: what it put into the store stays until the protocol has said whether it wants it.
    Captured { input: Input, unnamed: Unnamed },
    /// A request, and where to its progress and answer go.
    Request { by: String, command: Command, to: mpsc::UnboundedSender<Answer> },
    /// A question about the member.
    Query(Question),
    /// Cut this member off from others.
    Block(BTreeSet<[u8; 32]>),
    /// Forget the entity: done, or why not.
    Purge(oneshot::Sender<Result<(), String>>),
    /// Who asked for that has the answer: end.
    Purged,
}

/// A question, which carries the way its answer goes.
pub(crate) type Question = Box<dyn FnOnce(&Member, &Live) + Send>;

/// What a request is answered with: any number of progresses, one reply.
pub(crate) enum Answer {
    Progress(Progress),
    Reply(Reply),
}

/// What the API may look at beside the member.
pub(crate) struct Live {
    pub(crate) places: BTreeMap<String, Place>,
    /// Removed applications that have things in the trash.
    pub(crate) retired: BTreeMap<String, Arc<Files>>,
}

/// An event as it is stored.
#[derive(Serialize, Deserialize)]
pub(crate) struct Logged {
    /// Milliseconds since 1970.
    pub(crate) at: u64,
    pub(crate) event: Event,
}

struct Daemon {
    config: Config,
    member: Member,
    store: Arc<Store>,
    writer: Writer,
    collector: Collector,
    net: Net,
    live: Live,
    to: mpsc::Sender<Happening>,
    requests: BTreeMap<u64, mpsc::UnboundedSender<Answer>>,
    joins: BTreeMap<u64, oneshot::Sender<Vec<u8>>>,
    peers: BTreeMap<MemberId, Peer>,
    next: u64,
    began: Instant,
    neighbours: Arc<Neighbours>,
    trash_clock: TrashClock,
    serving: Serving,
    /// Who misbehaved, and until when it is left alone.
    shunned: BTreeMap<MemberId, Instant>,
}

/// Why the daemon ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// It was told to stop.
    Stopped,
    /// The entity is to be forgotten: it must be started again, in a new process.
    Purged,
}

/// Runs the daemon until it is told to stop (SIGTERM, SIGINT) or to forget its entity.
pub fn run(config: Config) -> anyhow::Result<Ended> {
    start_log(config.log.as_deref());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended = runtime.block_on(serve(config))?;
    runtime.shutdown_timeout(Duration::from_secs(2));
    Ok(ended)
}

/// What the protocol starts from.
fn saved(store: &Store) -> anyhow::Result<Saved> {
    let mut saved = Saved::read(store.read_all(Family::Meta)?, store.read_all(Family::Votes)?)?;
    saved.is_suspect = store.content().lacks_damaged()?;
    let (mut next, last) = saved.newest_epochs().into_inner();
    while next <= last {
        let links = store.read_from(Family::Chain, &next.to_be_bytes(), limits::CHAIN_RECORDS)?;
        if links.is_empty() {
            break;
        }
        links.iter().for_each(|(_, link)| saved.learn_link(link));
        next += limits::CHAIN_RECORDS as u64;
    }
    Ok(saved)
}

fn start_log(level: Option<&str>) {
    let default = "info,libp2p=warn,libp2p_swarm=warn,notify=warn";
    let filter = tracing_subscriber::EnvFilter::try_new(level.unwrap_or(default))
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    // A second daemon in one process (tests) keeps the first one's log.
    let _ = log.try_init();
}

async fn serve(config: Config) -> anyhow::Result<Ended> {
    purge::finish(&config.dir).context("the entity that was left cannot be forgotten")?;
    let Some(store) = room::open_store(&config.dir, config.speaks).await? else { return Ok(Ended::Stopped) };
    interruption::note(&store);
    if let Err(error) = hooks::tidy(&config.dir.join("hooks")) {
        // The next run of a hook is in its way, and says so.
        tracing::warn!(%error, "what hooks have left was not put away");
    }
    let secret = identity::load(&config.dir)?;
    let bulk_listen = config.bulk_listen.unwrap_or_else(|| next_port(config.listen));
    let speech = if config.speaks < LINES_SINCE { Speech::Exchanges } else { Speech::Lines };
    let (net, from_net) =
        Net::start(NetConfig { secret, listen: config.listen, bulk_listen, speech }).await?;
    let (control, bulk) = net.listening();
    let address = Address { control, bulk };
    let saved = saved(&store)?;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).context("the system gives no random bytes")?;
    let (version, speaks) = (env!("CARGO_PKG_VERSION").to_owned(), config.speaks);
    let trusting_period = config.trusting_period.map(|period| Millis(period.as_millis() as u64));
    let facts = Facts { version, speaks, address: Some(address), trusting_period, ..Facts::default() };
    let began = Instant::now();
    let member = Member::restore(Identity::from_seed(secret), facts, seed, saved, now(began));
    let (to, happenings) = mpsc::channel(QUEUE);
    let (last_event, events) = watch::channel(store.last_event());
    let writer = Writer::start(Arc::clone(&store), to.clone(), last_event)?;
    let retired = retired(&store, &config)?;
    let collector = Collector::start(Arc::clone(&store))?;
    let stop = CancellationToken::new();
    let api = api::Api::new(api::Shared {
        store: Arc::clone(&store),
        net: net.clone(),
        to: to.clone(),
        events,
        address,
        faults: config.faults,
        trees: Mutex::new(Serving::new(TREES)),
    });
    let socket = api::listen(api.clone(), &config.socket, config.group.as_deref(), stop.clone())?;
    tokio::spawn(sample(config.dir.clone(), to.clone(), stop.clone()));
    tokio::spawn(room::tend(store.room().clone(), to.clone(), stop.clone()));
    let scrub = scrub::start(Arc::clone(&store), to.clone())?;
    let daemon = Daemon {
        config,
        member,
        store,
        writer,
        collector,
        net,
        live: Live { places: BTreeMap::new(), retired },
        to,
        requests: BTreeMap::new(),
        joins: BTreeMap::new(),
        peers: BTreeMap::new(),
        next: 0,
        began,
        neighbours: Arc::default(),
        trash_clock: TrashClock::start(),
        serving: Serving::new(STREAMS),
        shunned: BTreeMap::new(),
    };
    let held = Arc::clone(&daemon.store);
    let ended = daemon.run(happenings, from_net, api).await?;
    stop.cancel();
    drop(scrub);
    drop(socket);
    interruption::end_in_order(&held);
    Ok(ended)
}

/// Drivers of what removed applications left in the trash.
fn retired(store: &Arc<Store>, config: &Config) -> anyhow::Result<BTreeMap<String, Arc<Files>>> {
    let mut retired = BTreeMap::new();
    for (name, root) in files::retired(store)? {
        let files = Files::new(&name, std::path::Path::new(&root), &config.dir, Arc::clone(store))?;
        retired.insert(name, Arc::new(files));
    }
    Ok(retired)
}

fn next_port(listen: std::net::SocketAddr) -> std::net::SocketAddr {
    let port = if listen.port() == 0 { 0 } else { listen.port().wrapping_add(1) };
    std::net::SocketAddr::new(listen.ip(), port)
}

fn now(began: Instant) -> Now {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now {
        mono: althing_protocol::time::Instant(began.elapsed().as_millis() as u64 + 1),
        wall: WallTime(wall.as_millis() as u64),
    }
}

async fn sample(dir: PathBuf, to: mpsc::Sender<Happening>, stop: CancellationToken) {
    let mut sampler = Sampler::new(vec![dir]);
    let mut ticks = tokio::time::interval(SAMPLE);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        if to.send(Happening::Input(Input::Sampled(sampler.sample()))).await.is_err() {
            return;
        }
    }
}

impl Daemon {
    async fn run(
        mut self,
        mut happenings: mpsc::Receiver<Happening>,
        mut from_net: mpsc::Receiver<NetEvent>,
        api: api::Api,
    ) -> anyhow::Result<Ended> {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
        let mut prunes = tokio::time::interval(PRUNE);
        tracing::info!(id = %self.member.id(), listening = ?self.net.listening(), "started");
        self.step(Input::Tick);
        let mut ended = Ended::Stopped;
        loop {
            let due = self.member.deadline().map_or(Duration::from_secs(3600), |at| {
                Duration::from_millis(at.0.saturating_sub(now(self.began).mono.0))
            });
            tokio::select! {
                biased;
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                () = tokio::time::sleep(due) => self.step(Input::Tick),
                _ = prunes.tick() => self.prune_retired(),
                Some(happening) = happenings.recv() => {
                    if matches!(happening, Happening::Purged) {
                        ended = Ended::Purged;
                        break;
                    }
                    self.happened(happening);
                }
                Some(event) = from_net.recv() => self.net_event(event, &api),
            }
        }
        tracing::info!("stopping");
        self.net.shutdown().await;
        Ok(ended)
    }

    /// What removed applications left in the trash goes when it is old enough, and they are forgotten with it.
    fn prune_retired(&self) {
        let clock = self.trash_clock;
        for files in self.live.retired.values().map(Arc::clone) {
            tokio::task::spawn_blocking(move || {
                let pruned = files.prune(clock.now(), TRASH_KEPT, None).and_then(|_| {
                    if files.trash()?.is_empty() {
                        files.unretire()?
                    }
                    Ok(())
                });
                if let Err(error) = pruned {
                    tracing::warn!(application = files.application(), %error, "the trash could not be looked through");
                }
            });
        }
    }

    fn happened(&mut self, happening: Happening) {
        match happening {
            Happening::Input(input) => self.step(input),
            Happening::Captured { input, unnamed } => {
                self.step(input);
                drop(unnamed);
            }
            Happening::Request { by, command, to } => {
                self.next += 1;
                self.requests.insert(self.next, to);
                self.step(Input::Requested { request: self.next, by, command });
            }
            Happening::Query(query) => query(&self.member, &self.live),
            Happening::Block(peers) => self.net.set_blocked(peers),
            Happening::Purge(reply) => self.purge(reply),
            Happening::Purged => {}
        }
    }

    /// Ends a moment after whoever asked has the answer.
    fn purge(&self, reply: oneshot::Sender<Result<(), String>>) {
        let done = purge::ask(&self.config.dir).map_err(|error| error.to_string());
        if done.is_ok() {
            let to = self.to.clone();
            tokio::spawn(async move {
                tokio::time::sleep(FAREWELL).await;
                to.send(Happening::Purged).await
            });
        }
        // The asker may have gone: it is done all the same.
        let _ = reply.send(done);
    }

    fn net_event(&mut self, event: NetEvent, api: &api::Api) {
        match event {
            NetEvent::Connected(peer) => self.step(Input::Connected(MemberId(peer))),
            NetEvent::Disconnected(peer) => self.step(Input::Disconnected(MemberId(peer))),
            NetEvent::Message { from, bytes } => self.step(Input::Received { from: MemberId(from), bytes }),
            NetEvent::Request { from, body, mut reply } => {
                let api = api.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        answer = api.relayed(MemberId(from), &body) => {
                            // The asker may have gone meanwhile.
                            let _ = reply.send(answer);
                        }
                        // Nobody waits any more: nor does this. What the entity was asked for goes on.
                        () = reply.closed() => {}
                    }
                });
            }
            NetEvent::Join { body, reply, .. } => {
                self.next += 1;
                self.joins.retain(|_, reply| !reply.is_closed());
                self.joins.insert(self.next, reply);
                self.step(Input::JoinAsked { ticket: self.next, bytes: body });
            }
            NetEvent::Bulk { from, stream } => {
                let present =
                    self.member.state().is_some_and(|state| state.member(&MemberId(from)).is_some());
                if !present {
                    tracing::debug!("content was asked for by somebody who is not in the roster");
                    return;
                }
                self.serve(MemberId(from), stream);
            }
            NetEvent::Offended { from, what, times } => {
                self.step(Input::Offended { who: MemberId(from), offence: what, times });
            }
            NetEvent::TurnedAway { counts } => self.log(turned_away(&counts)),
        }
    }

    fn serve(&mut self, to: MemberId, stream: BulkStream) {
        let (store, happenings, turn) = (Arc::clone(&self.store), self.to.clone(), self.serving.turn(to));
        tokio::spawn(async move {
            let Some(_turn) = turn.await else { return };
            let served = tokio::task::spawn_blocking(move || transfer::serve(&store, stream)).await;
            if let Ok(Err(error)) = served {
                tracing::debug!(%error, "content was not served to the end");
                let input = if transfer::is_abuse(&error) {
                    Input::Offended { who: to, offence: Offence::Malformed, times: 1 }
                } else if let Some(rotten) = error.downcast_ref::<transfer::Rotten>() {
                    let aside = rotten.aside.to_string_lossy().into_owned();
                    Input::Damaged { content: rotten.content, aside }
                } else {
                    return;
                };
                // The loop is gone only when the daemon ends.
                let _ = happenings.send(Happening::Input(input)).await;
            }
        });
    }

    /// Has nothing to do with a peer for a while.
    fn shun(&mut self, peer: MemberId, lasts: Duration) {
        self.shunned.insert(peer, Instant::now() + lasts);
        self.net.set_shunned(self.shunned.keys().map(|peer| peer.0).collect());
    }

    fn end_shunning(&mut self) {
        let (now, before) = (Instant::now(), self.shunned.len());
        self.shunned.retain(|_, until| *until > now);
        if self.shunned.len() != before {
            self.net.set_shunned(self.shunned.keys().map(|peer| peer.0).collect());
        }
    }

    fn step(&mut self, input: Input) {
        self.end_shunning();
        let mut out = Vec::new();
        self.member.step(now(self.began), input, &mut out);
        out.into_iter().for_each(|output| self.execute(output));
    }

    /// The only match on [`Output`].
    fn execute(&mut self, output: Output) {
        match output {
            Output::Send { to, bytes } => self.send(to, bytes),
            Output::SendChain { to, after } => self.send_chain(to, after),
            Output::Format(version) => self.writer.submit(Work::Format(version)),
            Output::Persist { batch, writes } => self.writer.submit(Work::Persist { batch, writes }),
            Output::Peers(peers) => self.set_peers(peers),
            Output::Shun { peer, lasts } => self.shun(peer, Duration::from_millis(lasts.0)),
            Output::Places(places) => self.set_places(places),
            Output::Scan { application, depth } => {
                self.submit(&application, PlaceWork::Scan(depth));
            }
            Output::Capture { capture, application, source } => {
                let unnamed = self.store.unnamed();
                if self.live.places.contains_key(&application) {
                    if !self.submit(&application, PlaceWork::Capture { capture, source, unnamed }) {
                        let busy = NotCaptured::Failed("too much is to be done with it at once".into());
                        self.later(Input::Captured { capture, result: Err(busy) });
                    }
                } else {
                    self.capture_apart(capture, &application, source, unnamed);
                }
            }
            Output::Fetch { fetch, application, from, wants } => self.fetch(fetch, &application, from, wants),
            Output::Apply { apply, application, root, epoch, leave, order } => {
                if !self.submit(&application, PlaceWork::Apply { apply, root, epoch, leave, order }) {
                    self.later(Input::Applied {
                        apply,
                        result: Err(NotApplied::Failed("this application cannot be written now".into())),
                    });
                }
            }
            Output::Hook { run, application, kind, hook, from, root, revision } => {
                self.hook(run, (application, kind, hook), (from, root, revision));
            }
            Output::Clear { clear, application, keep_files } => {
                if !self.submit(&application, PlaceWork::Clear { clear, keep_files }) {
                    let result = Err("its files cannot be reached now".to_owned());
                    self.later(Input::Cleared { clear, result });
                }
            }
            Output::Keep(roots) => self.collector.keep(roots),
            Output::Event(event) => self.log(event),
            Output::Progress { request, progress } => {
                if let Some(to) = self.requests.get(&request) {
                    let _ = to.send(Answer::Progress(progress));
                }
            }
            Output::Reply { request, reply } => {
                if let Some(to) = self.requests.remove(&request) {
                    let _ = to.send(Answer::Reply(reply));
                }
            }
            Output::Join { join, address, bytes } => self.join(join, address, bytes),
            Output::JoinAnswer { ticket, bytes } => {
                if let Some(reply) = self.joins.remove(&ticket) {
                    let _ = reply.send(bytes);
                }
            }
        }
    }

    /// Feeds an input back without waiting for room in the channel that this loop itself empties.
    fn later(&self, input: Input) {
        let to = self.to.clone();
        tokio::spawn(async move { to.send(Happening::Input(input)).await });
    }

    /// Runs a hook in a thread of its own, unless this machine forbids it.
    fn hook(
        &self,
        run: u64,
        (application, kind, hook): (String, Kind, Hook),
        (from, root, revision): (Hash, Hash, u64),
    ) {
        let Some(place) = self.live.places.get(&application).filter(|_| self.config.hooks) else {
            let ran = if self.config.hooks {
                Ran::Badly("the application has no place on this member".to_owned())
            } else {
                Ran::Forbidden
            };
            return self.later(Input::HookRan { run, ran });
        };
        let (id, state) = (self.member.id(), self.member.state());
        let member = state.map(|state| state.name_of(&id)).unwrap_or_default();
        let live = place.files.root().to_owned();
        let place = self.config.dir.join("hooks").join(&application);
        let request = hooks::Request { application, member, kind, hook, from, root, revision, live, place };
        let (store, to) = (Arc::clone(&self.store), self.to.clone());
        tokio::task::spawn_blocking(move || {
            let ran = hooks::run(&store, &request);
            // The loop is gone only when the daemon ends.
            let _ = to.blocking_send(Happening::Input(Input::HookRan { run, ran }));
        });
    }

    fn submit(&self, application: &str, work: PlaceWork) -> bool {
        self.live.places.get(application).is_some_and(|place| place.submit(work))
    }

    /// Captures content of an application that does not go to this member: whoever deploys need not have it.
    fn capture_apart(&self, capture: u64, application: &str, source: Source, unnamed: Unnamed) {
        let known = self.member.state().and_then(|state| state.applications.get(application));
        let made = known.map(|known| {
            let files = self.files_of(application, &known.root)?;
            let files = files.with_unmanaged(Patterns::new(&known.unmanaged)?);
            Ok(files.with_handling(known.terms.handling.clone())?)
        });
        let made: anyhow::Result<Files> = made.unwrap_or_else(|| Err(anyhow::anyhow!("it was removed")));
        match made {
            Ok(files) => {
                let to = self.to.clone();
                tokio::task::spawn_blocking(move || place::capture(&files, capture, &source, unnamed, &to));
            }
            Err(error) => {
                let why = NotCaptured::Failed(format!("{application} cannot be captured here: {error:#}"));
                self.later(Input::Captured { capture, result: Err(why) });
            }
        }
    }

    /// The driver of an application whose root directory is this, before any prefix.
    fn files_of(&self, name: &str, root: &str) -> anyhow::Result<Files> {
        let at = self.path_of(root);
        Ok(Files::new(name, &at, &self.config.dir, Arc::clone(&self.store))?)
    }

    fn path_of(&self, root: &str) -> PathBuf {
        match &self.config.prefix {
            Some(prefix) => prefix.join(root.trim_start_matches('/')),
            None => PathBuf::from(root),
        }
    }

    fn send(&self, to: MemberId, bytes: Vec<u8>) {
        tracing::trace!(kind = Message::kind(&bytes), bytes = bytes.len(), "sent");
        if let Err(error) = self.net.send(to.0, bytes) {
            tracing::warn!(?to, %error, "a message was not sent");
        }
    }

    fn send_chain(&self, to: MemberId, after: u64) {
        let from = (after + 1).to_be_bytes();
        let read =
            self.store.read_from(althing_protocol::effect::Family::Chain, &from, limits::CHAIN_RECORDS);
        let links = match read {
            Ok(entries) => entries,
            Err(error) => {
                tracing::error!(%error, "the chain cannot be read");
                return;
            }
        };
        let (mut chain, mut size): (Vec<Link>, usize) = (Vec::new(), 0);
        for (_, bytes) in links {
            size += bytes.len() + 16;
            if size > limits::MESSAGE_BYTES / 2 && !chain.is_empty() {
                break;
            }
            match read_link(&bytes) {
                Ok(link) => chain.push(link),
                Err(error) => {
                    tracing::error!(%error, "a link of the chain cannot be read");
                    break;
                }
            }
        }
        if !chain.is_empty() {
            self.send(to, Message::Chain(chain).encode());
        }
    }

    fn set_peers(&mut self, peers: Vec<althing_protocol::effect::Peer>) {
        let of = |peer: althing_protocol::effect::Peer| {
            // Whoever is in the roster no more is awaited, and asked for content only.
            let dialed = peer.addresses.iter().filter(|_| !peer.past);
            let control = dialed.map(|address| address.control).collect();
            let bulk = peer.addresses.iter().map(|address| address.bulk).collect();
            (peer.id, Peer { control, bulk })
        };
        let peers: BTreeMap<MemberId, Peer> = peers.into_iter().map(of).collect();
        self.serving.retain(|peer| peers.contains_key(peer));
        if peers != self.peers {
            self.net.set_peers(peers.iter().map(|(id, peer)| (id.0, peer.clone())).collect());
            self.peers = peers;
        }
    }

    fn set_places(&mut self, places: Vec<althing_protocol::effect::Place>) {
        let of = |place: althing_protocol::effect::Place| {
            let (name, root) = (place.application, place.root);
            let (unmanaged, handling) = (place.unmanaged, place.handling);
            (name.clone(), Entry { name, root, unmanaged, handling })
        };
        let wanted: BTreeMap<String, Entry> = places.into_iter().map(of).collect();
        let (kept, mut gone): (BTreeMap<String, Place>, BTreeMap<String, Place>) =
            std::mem::take(&mut self.live.places)
                .into_iter()
                .partition(|(name, place)| wanted.get(name) == Some(&place.of));
        self.live.places = kept;
        let mut before: BTreeMap<String, Ending> =
            gone.iter_mut().filter_map(|(name, place)| Some((name.clone(), place.end()?))).collect();
        self.retire(gone);
        for (name, entry) in wanted {
            if self.live.places.contains_key(&name) {
                continue;
            }
            self.live.retired.remove(&name);
            let at = self.path_of(&entry.root);
            let (paths, to) = ((&*at, &*self.config.dir), self.to.clone());
            let shared = (&self.neighbours, &self.store, self.trash_clock);
            match Place::start((entry, before.remove(&name)), paths, shared, to) {
                Ok(place) => {
                    self.live.places.insert(name, place);
                }
                Err(error) => {
                    let why = format!("no place for {name} on this member: {error:#}");
                    self.later(Input::Scanned { application: name, scan: Scan::Unreadable(why) });
                }
            }
        }
    }

    /// What is gone has nothing left here but its trash.
    fn retire(&mut self, gone: BTreeMap<String, Place>) {
        for (name, place) in gone {
            self.live.retired.insert(name, Arc::clone(&place.files));
        }
    }

    fn fetch(
        &self,
        fetch: u64,
        application: &str,
        from: Option<MemberId>,
        wants: Vec<althing_protocol::effect::Want>,
    ) {
        let tree = self.live.places.get(application).map(|place| Arc::clone(&place.files));
        tracing::debug!(fetch, ?from, wants = wants.len(), "fetching");
        let (store, net, to) = (Arc::clone(&self.store), self.net.clone(), self.to.clone());
        tokio::spawn(async move {
            let result = match from {
                Some(holder) => {
                    let given = transfer::fetch(&net, store, holder.0, wants).await;
                    if given.abused {
                        let input = Input::Offended { who: holder, offence: Offence::Content, times: 1 };
                        // The loop is gone only when the daemon ends.
                        let _ = to.send(Happening::Input(input)).await;
                    }
                    given.fetched
                }
                None => {
                    let looked = tokio::task::spawn_blocking(move || {
                        transfer::look_here(&store, tree.as_deref(), &wants)
                    })
                    .await;
                    looked.unwrap_or_else(|error| Fetched {
                        error: Some(error.to_string()),
                        ..Fetched::default()
                    })
                }
            };
            tracing::debug!(fetch, done = result.done.len(), error = result.error, "fetched");
            to.send(Happening::Input(Input::Fetched { fetch, result })).await
        });
    }

    fn log(&self, event: Event) {
        match event.severity {
            Severity::Info | Severity::Notice => {
                tracing::info!(kind = event.kind, application = event.application, "{}", event.text)
            }
            Severity::Warning | Severity::Critical => {
                tracing::warn!(kind = event.kind, application = event.application, "{}", event.text);
            }
        }
        let logged = Logged { at: now(self.began).wall.0, event };
        self.writer.submit(Work::Event(althing_protocol::codec::encode(&logged)));
    }

    fn join(&self, join: u64, address: Address, bytes: Vec<u8>) {
        let (net, to) = (self.net.clone(), self.to.clone());
        tokio::spawn(async move {
            let answer = net.join(address.control, bytes, JOIN_PATIENCE).await;
            let answer = answer.map(|(_, bytes)| bytes).map_err(|error| match error {
                NetError::Unreachable { reason, .. } => reason,
                error => error.to_string(),
            });
            to.send(Happening::Input(Input::JoinAnswered { join, answer })).await
        });
    }
}

/// What people are told of strangers: how many, and from where.
fn turned_away(counts: &[(Option<IpAddr>, u64)]) -> Event {
    let all: u64 = counts.iter().map(|(_, count)| count).sum();
    let of = |(from, count): &(Option<IpAddr>, u64)| {
        from.map_or_else(|| format!("elsewhere ({count})"), |from| format!("{from} ({count})"))
    };
    let most: Vec<String> = counts.iter().take(ADDRESSES_TOLD).map(of).collect();
    let text = format!("{all} connections of strangers came to nothing; from {}", most.join(", "));
    Event::new(Severity::Notice, "strangers.turned-away", text)
}

/// The loop is gone: only when the daemon ends.
pub(crate) fn ending() -> Refusal {
    Refusal::new(Code::NodeDown, "the node is stopping")
}
