//! The bulk task: its swarm, the connections dialed on demand and the streams on them.

mod stream;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use althing_protocol::budget::Bucket;
use althing_protocol::conduct::Offence;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{PeerId, Stream, Swarm};
use libp2p_stream::IncomingStreams;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

pub use self::stream::BulkStream;

use super::address::{multiaddr, peer_id, peer_key};
use super::budgets::Clock;
use super::limits::{
    BULK_ACCEPTING, BULK_ACCEPTING_PER_PEER, BULK_OPEN_TIMEOUT, BULK_OPENING, BULK_SILENCE, BULK_STREAMS,
    STALL, TICK_AT_REST,
};
use super::policy::Policy;
use super::swarms::{BULK_PROTOCOL, BulkBehaviour, BulkBehaviourEvent};
use super::{NetError, NetEvent, PeerKey};

/// The caller who wants a stream.
type Opener = oneshot::Sender<Result<BulkStream, NetError>>;
type Work = Pin<Box<dyn Future<Output = ()> + Send>>;
/// Whose stream was accepted, or lost.
type Accepting = Pin<Box<dyn Future<Output = PeerKey> + Send>>;

/// What the bulk task is asked.
#[derive(Debug)]
pub(super) enum Command {
    /// Open a stream.
    Open { to: PeerKey, reply: Opener },
    /// The peer has a new control connection or lost its old one: its bulk connections are suspect, so use
    /// none of them for new streams. Streams that work go on.
    Suspect(PeerKey),
}

/// The channels of the bulk task.
pub(super) struct Inputs {
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) policy: watch::Receiver<Policy>,
    pub(super) stop: CancellationToken,
}

/// An established connection.
struct Connection {
    peer: PeerKey,
    heard: Instant,
    /// Whether new streams may be opened on it.
    fresh: bool,
}

/// The state of the bulk task.
pub(super) struct Bulk {
    swarm: Swarm<BulkBehaviour>,
    policy: Policy,
    connections: BTreeMap<ConnectionId, Connection>,
    /// Cancelled when the last connection to a peer goes: the streams on it learn it from this only.
    cuts: BTreeMap<PeerKey, CancellationToken>,
    dialing: BTreeMap<PeerKey, ConnectionId>,
    /// Callers who wait for a connection.
    waiting: BTreeMap<PeerKey, Vec<Opener>>,
    opening: FuturesUnordered<Work>,
    accepting: FuturesUnordered<Accepting>,
    /// By peer: what it may still open, and its streams that are being accepted.
    opened: BTreeMap<PeerKey, (Bucket, usize)>,
    clock: Clock,
    streams: libp2p_stream::Control,
    incoming: IncomingStreams,
    events: mpsc::Sender<NetEvent>,
    ticked: Instant,
}

impl Bulk {
    /// The task around a listening swarm.
    pub(super) fn new(
        mut swarm: Swarm<BulkBehaviour>,
        events: mpsc::Sender<NetEvent>,
    ) -> Result<Self, NetError> {
        let mut streams = swarm.behaviour_mut().streams.inner().new_control();
        let incoming = streams.accept(BULK_PROTOCOL).map_err(|error| NetError::Setup(error.to_string()))?;
        Ok(Self {
            swarm,
            policy: Policy::default(),
            connections: BTreeMap::new(),
            cuts: BTreeMap::new(),
            dialing: BTreeMap::new(),
            waiting: BTreeMap::new(),
            opening: FuturesUnordered::new(),
            accepting: FuturesUnordered::new(),
            opened: BTreeMap::new(),
            clock: Clock::new(Instant::now()),
            streams,
            incoming,
            events,
            ticked: Instant::now(),
        })
    }

    /// Runs until told to stop.
    pub(super) async fn run(mut self, mut inputs: Inputs) {
        let mut tick = interval(TICK_AT_REST);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = inputs.stop.cancelled() => break,
                event = self.swarm.select_next_some() => self.on_swarm(event),
                changed = inputs.policy.changed() => match changed {
                    Ok(()) => self.decided(&mut inputs.policy),
                    Err(_) => break,
                },
                command = inputs.commands.recv() => match command {
                    Some(command) => {
                        // It may rest on a decision that came before it.
                        if inputs.policy.has_changed().unwrap_or(false) {
                            self.decided(&mut inputs.policy);
                        }
                        self.on_command(command);
                    }
                    None => break,
                },
                Some((peer, stream)) = self.incoming.next() => self.accept(peer, stream),
                Some(()) = self.opening.next() => {}
                Some(from) = self.accepting.next() => {
                    if let Some((_, accepting)) = self.opened.get_mut(&from) {
                        *accepting = accepting.saturating_sub(1);
                    }
                }
                _ = tick.tick() => self.on_tick(Instant::now()),
            }
        }
    }

    /// Takes over what the daemon has decided last.
    fn decided(&mut self, policy: &mut watch::Receiver<Policy>) {
        let policy = policy.borrow_and_update().clone();
        self.apply(policy);
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Open { to, reply } => self.open(to, reply),
            Command::Suspect(peer) => self.suspect(&peer),
        }
    }

    fn apply(&mut self, policy: Policy) {
        let old = std::mem::replace(&mut self.policy, policy);
        let (members, refused) = (self.policy.peer_ids(), self.policy.refused_ids());
        let behaviour = self.swarm.behaviour_mut();
        behaviour.streams.set_members(members.clone());
        behaviour.gate.set(members, refused, self.policy.addresses());
        let peers = &self.policy.peers;
        self.opened.retain(|key, _| peers.contains_key(key));
        self.close_where(|policy, connection| !policy.allows(&connection.peer));
        let gone: Vec<_> = self.waiting.keys().filter(|peer| !self.policy.allows(peer)).copied().collect();
        for peer in gone {
            self.fail_waiting(&peer, &NetError::NotConnected);
        }
        // A peer with a new address: a dial to the old one may hang.
        let moved = |key: &PeerKey| old.peers.get(key) != self.policy.peers.get(key);
        let moved: Vec<_> = self.dialing.keys().filter(|key| moved(key)).copied().collect();
        for key in moved {
            self.dialing.remove(&key);
            if let (true, Some(peer)) = (self.waiting.contains_key(&key), peer_id(&key)) {
                self.dial(key, peer);
            }
        }
    }

    fn on_tick(&mut self, now: Instant) {
        if now.duration_since(self.ticked) >= STALL {
            self.connections.values_mut().for_each(|connection| connection.heard = now);
        }
        self.ticked = now;
        self.close_where(|_, connection| now.duration_since(connection.heard) >= BULK_SILENCE);
    }

    fn close_where(&mut self, unwanted: impl Fn(&Policy, &Connection) -> bool) {
        let unwanted = |(_, connection): &(&ConnectionId, &Connection)| unwanted(&self.policy, connection);
        let unwanted: Vec<_> = self.connections.iter().filter(unwanted).map(|(id, _)| *id).collect();
        for id in unwanted {
            self.connections.remove(&id);
            self.swarm.behaviour_mut().streams.retire(id);
            self.swarm.close_connection(id);
        }
        self.cut_streams();
    }

    /// Ends the streams of peers to whom no connection is left.
    fn cut_streams(&mut self) {
        let connected = |key: &PeerKey| self.connections.values().any(|connection| connection.peer == *key);
        let gone: Vec<_> = self.cuts.keys().filter(|key| !connected(key)).copied().collect();
        for key in gone {
            if let Some(cut) = self.cuts.remove(&key) {
                cut.cancel();
            }
        }
    }

    fn on_swarm(&mut self, event: SwarmEvent<BulkBehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BulkBehaviourEvent::Ping(ping)) if ping.result.is_ok() => {
                if let Some(connection) = self.connections.get_mut(&ping.connection) {
                    connection.heard = Instant::now();
                }
            }
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, .. } => {
                self.established(peer_id, connection_id);
            }
            SwarmEvent::ConnectionClosed { connection_id, .. } => {
                self.connections.remove(&connection_id);
                self.cut_streams();
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                let of_dial = |(_, id): &(&PeerKey, &ConnectionId)| **id == connection_id;
                if let Some(peer) = self.dialing.iter().find(of_dial).map(|(peer, _)| *peer) {
                    self.dialing.remove(&peer);
                    self.fail_waiting(&peer, &self.unreachable(&peer, error.to_string()));
                }
            }
            _ => {}
        }
    }

    fn established(&mut self, peer: PeerId, id: ConnectionId) {
        // Whatever becomes of it, this dial is over.
        self.dialing.retain(|_, dialed| *dialed != id);
        let Some(key) = peer_key(&peer).filter(|key| self.policy.allows(key)) else {
            self.swarm.close_connection(id);
            return;
        };
        // The peer may have restarted: new streams go over the newest connection only.
        self.suspect(&key);
        self.connections.insert(id, Connection { peer: key, heard: Instant::now(), fresh: true });
        for reply in self.waiting.remove(&key).unwrap_or_default() {
            self.start_opening(peer, key, reply);
        }
    }

    fn suspect(&mut self, peer: &PeerKey) {
        for (id, connection) in self.connections.iter_mut().filter(|(_, connection)| connection.peer == *peer)
        {
            connection.fresh = false;
            self.swarm.behaviour_mut().streams.retire(*id);
        }
    }

    fn open(&mut self, to: PeerKey, reply: Opener) {
        let Some(peer) = peer_id(&to).filter(|_| self.policy.peers.contains_key(&to)) else {
            let _ = reply.send(Err(NetError::NotAPeer));
            return;
        };
        if !self.policy.allows(&to) {
            let _ = reply.send(Err(NetError::NotConnected));
            return;
        }
        if self.connections.values().any(|connection| connection.fresh && connection.peer == to) {
            self.start_opening(peer, to, reply);
            return;
        }
        let waiting = self.waiting.entry(to).or_default();
        waiting.retain(|reply| !reply.is_closed());
        if waiting.len() >= BULK_OPENING {
            let _ = reply.send(Err(NetError::Busy));
            return;
        }
        waiting.push(reply);
        self.dial(to, peer);
    }

    fn dial(&mut self, to: PeerKey, peer: PeerId) {
        if self.dialing.contains_key(&to) {
            return;
        }
        let addresses = self.policy.peers.get(&to).map(|peer| peer.bulk.clone()).unwrap_or_default();
        let options = DialOpts::peer_id(peer)
            .condition(PeerCondition::Always)
            .addresses(addresses.into_iter().map(multiaddr).collect())
            .allocate_new_port()
            .build();
        let id = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => {
                self.dialing.insert(to, id);
            }
            Err(error) => self.fail_waiting(&to, &self.unreachable(&to, error.to_string())),
        }
    }

    fn unreachable(&self, peer: &PeerKey, reason: String) -> NetError {
        match self.policy.peers.get(peer).and_then(|peer| peer.bulk.first()) {
            Some(address) => NetError::Unreachable { address: *address, reason },
            None => NetError::NotConnected,
        }
    }

    fn fail_waiting(&mut self, peer: &PeerKey, error: &NetError) {
        for reply in self.waiting.remove(peer).unwrap_or_default() {
            let _ = reply.send(Err(error.clone()));
        }
    }

    fn start_opening(&mut self, peer: PeerId, key: PeerKey, mut reply: Opener) {
        if self.opening.len() >= BULK_OPENING {
            let _ = reply.send(Err(NetError::Busy));
            return;
        }
        let (mut streams, cut) = (self.streams.clone(), self.cuts.entry(key).or_default().clone());
        self.opening.push(Box::pin(async move {
            let opened = tokio::select! {
                () = reply.closed() => return,
                opened = timeout(BULK_OPEN_TIMEOUT, stream::open(&mut streams, peer, &cut)) => opened,
                () = cut.cancelled() => Ok(Err(NetError::NotConnected)),
            };
            let _ = reply.send(opened.unwrap_or(Err(NetError::Timeout)));
        }));
    }

    fn accept(&mut self, peer: PeerId, stream: Stream) {
        let Some(from) = peer_key(&peer).filter(|key| self.policy.allows(key)) else { return };
        let now = self.clock.at(Instant::now());
        let opened = self.opened.entry(from).or_insert_with(|| (Bucket::full(BULK_STREAMS, now), 0));
        let in_budget = opened.0.take(BULK_STREAMS, now, 1);
        if !in_budget || opened.1 >= BULK_ACCEPTING_PER_PEER || self.accepting.len() >= BULK_ACCEPTING {
            tracing::debug!(in_budget, "bulk stream dropped: too many wait, or too many were opened");
            if !in_budget {
                // What does not fit is told with the next one.
                let _ = self.events.try_send(NetEvent::Offended { from, what: Offence::Flood, times: 1 });
            }
            return;
        }
        opened.1 += 1;
        let (events, cut) = (self.events.clone(), self.cuts.entry(from).or_default().clone());
        self.accepting.push(Box::pin(async move {
            let accepted = async {
                let place = events.reserve().await.ok()?;
                let stream = stream::accept(stream, cut).await.ok()?;
                place.send(NetEvent::Bulk { from, stream });
                Some(())
            };
            if !matches!(timeout(BULK_OPEN_TIMEOUT, accepted).await, Ok(Some(()))) {
                tracing::debug!("bulk stream lost while it was accepted");
            }
            from
        }));
    }
}
