//! The control task: its swarm, one link per peer, the strangers, and everything that waits for an answer.
//!
//! The loop only waits; [`connections`] keeps the links up, [`exchanges`] carries messages, requests and
//! joins over them.

mod connections;
mod exchanges;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use libp2p::Swarm;
use libp2p::request_response::OutboundRequestId;
use libp2p::swarm::{ConnectionId, SwarmEvent};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use self::exchanges::Answering;
use super::backlog::Backlog;
use super::budgets::{Budgets, Knocking};
use super::limits::{OFFENCES_TOLD, STALL, TICK, TICK_AT_REST};
use super::link::{Link, Smaller};
use super::outbox::Outbox;
use super::policy::Policy;
use super::strangers::Strangers;
use super::swarms::{ControlBehaviour, ControlBehaviourEvent, MembersEvent};
use super::{NetError, NetEvent, Peer, PeerKey, bulk};

/// Takes the answer of a peer to a request.
type Asker = oneshot::Sender<Result<Vec<u8>, NetError>>;
/// Takes the answer to a join request and the key that gave it.
type Joiner = oneshot::Sender<Result<(PeerKey, Vec<u8>), NetError>>;

/// What the control task is asked.
#[derive(Debug)]
pub(super) enum Command {
    /// Ask a peer.
    Request { to: PeerKey, body: Vec<u8>, reply: Asker },
    /// Dial an address and ask to join.
    Join { address: SocketAddr, body: Vec<u8>, reply: Joiner },
}

/// The channels of the control task.
pub(super) struct Inputs {
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) policy: watch::Receiver<Policy>,
    pub(super) events: mpsc::Sender<NetEvent>,
    pub(super) stop: CancellationToken,
}

/// A request of ours that waits for its answer.
struct Asked {
    peer: PeerKey,
    reply: Asker,
}

/// A join of ours: first the dial, then the request.
struct Joining {
    address: SocketAddr,
    body: Vec<u8>,
    reply: Joiner,
}

/// A join request of ours that waits for its answer.
struct JoinAsked {
    connection: ConnectionId,
    peer: PeerKey,
    reply: Joiner,
}

/// The state of the control task.
pub(super) struct Control {
    swarm: Swarm<ControlBehaviour>,
    us: PeerKey,
    policy: Policy,
    links: BTreeMap<PeerKey, Link>,
    strangers: Strangers,
    asked: BTreeMap<OutboundRequestId, Asked>,
    /// Joins that are still being dialed.
    joining: BTreeMap<ConnectionId, Joining>,
    join_asked: BTreeMap<OutboundRequestId, JoinAsked>,
    /// Requests of others that the daemon answers.
    answering: FuturesUnordered<Answering>,
    outbox: Arc<Outbox>,
    backlog: Backlog,
    bulk: mpsc::Sender<bulk::Command>,
    budgets: Budgets,
    knocking: Knocking,
    told: Instant,
    ticked: Instant,
}

impl Control {
    /// The task around a listening swarm.
    pub(super) fn new(
        swarm: Swarm<ControlBehaviour>,
        us: PeerKey,
        outbox: Arc<Outbox>,
        bulk: mpsc::Sender<bulk::Command>,
    ) -> Self {
        Self {
            swarm,
            us,
            policy: Policy::default(),
            links: BTreeMap::new(),
            strangers: Strangers::default(),
            asked: BTreeMap::new(),
            joining: BTreeMap::new(),
            join_asked: BTreeMap::new(),
            answering: FuturesUnordered::new(),
            outbox,
            backlog: Backlog::default(),
            bulk,
            budgets: Budgets::new(Instant::now()),
            knocking: Knocking::new(Instant::now()),
            told: Instant::now(),
            ticked: Instant::now(),
        }
    }

    /// Runs until told to stop.
    pub(super) async fn run(mut self, mut inputs: Inputs) {
        loop {
            let next = self.ticked + if self.is_settled() { TICK_AT_REST } else { TICK };
            tokio::select! {
                () = inputs.stop.cancelled() => break,
                event = self.swarm.select_next_some() => self.on_swarm(event, Instant::now()),
                changed = inputs.policy.changed() => match changed {
                    Ok(()) => self.decided(&mut inputs.policy, Instant::now()),
                    Err(_) => break,
                },
                command = inputs.commands.recv() => match command {
                    Some(command) => {
                        // It may rest on a decision that came before it.
                        if inputs.policy.has_changed().unwrap_or(false) {
                            self.decided(&mut inputs.policy, Instant::now());
                        }
                        self.on_command(command, Instant::now());
                    }
                    None => break,
                },
                () = self.outbox.news() => self.on_news(Instant::now()),
                Some(answer) = self.answering.next() => self.on_answer(answer),
                place = inputs.events.reserve(), if !self.backlog.is_empty() => match (place, self.backlog.pop()) {
                    (Ok(place), Some(event)) => place.send(event),
                    (Ok(_), None) => {}
                    (Err(_), _) => break,
                },
                () = sleep_until(next.into()) => self.on_tick(Instant::now()),
            }
        }
    }

    /// Whether every peer that is to be is connected, and nothing is under way: then there are no short deadlines.
    fn is_settled(&self) -> bool {
        let there = |(key, peer): (&PeerKey, &Peer)| {
            peer.control.is_empty() || self.links.get(key).is_some_and(Link::is_confirmed)
        };
        let under_way = self.asked.len() + self.joining.len() + self.join_asked.len();
        under_way == 0 && self.strangers.is_empty() && self.policy.peers.iter().all(there)
    }

    /// Takes over what the daemon has decided last.
    fn decided(&mut self, policy: &mut watch::Receiver<Policy>, now: Instant) {
        let policy = policy.borrow_and_update().clone();
        self.apply(policy, now);
    }

    fn apply(&mut self, policy: Policy, now: Instant) {
        let old = std::mem::replace(&mut self.policy, policy);
        let (members, refused) = (self.policy.peer_ids(), self.policy.refused_ids());
        let behaviour = self.swarm.behaviour_mut();
        behaviour.members.set_members(members.clone());
        behaviour.gate.set(members, refused, self.policy.addresses());

        let unwanted: Vec<_> = self.links.keys().filter(|key| !self.policy.allows(key)).copied().collect();
        for key in unwanted {
            self.disconnect(&key, now);
            if !self.policy.peers.contains_key(&key) {
                self.links.remove(&key);
            }
        }
        self.budgets.retain(|key| self.policy.peers.contains_key(key));
        for key in self.policy.refused() {
            for connection in self.strangers.all_of(&key) {
                self.close(connection, now);
            }
        }
        for key in self.policy.peers.clone().keys() {
            let smaller = if self.us < *key { Smaller::We } else { Smaller::They };
            let known = self.links.contains_key(key);
            let link = self.links.entry(*key).or_insert_with(|| Link::new(smaller, now));
            if known && (old.refuses(key) || old.peers.get(key) != self.policy.peers.get(key)) {
                link.reset(now);
            }
            if !known {
                // What it dialed as a stranger cannot carry messages. It dials again, or we do.
                for connection in self.strangers.idle_of(key) {
                    self.close(connection, now);
                }
            }
        }
        self.dial_due(now);
    }

    fn on_tick(&mut self, now: Instant) {
        if now.duration_since(self.ticked) >= STALL {
            tracing::warn!(late = ?now.duration_since(self.ticked), "the control task was not run");
            self.links.values_mut().for_each(|link| link.forgive(now));
        }
        self.ticked = now;
        let silent: Vec<_> =
            self.links.iter().filter_map(|(key, link)| Some((*key, link.silent(now)?))).collect();
        for (key, connection) in silent {
            tracing::info!(peer = %short(&key), "the connection is dead");
            self.suspect_bulk(key);
            self.close(connection, now);
        }
        let doubted: Vec<_> =
            self.links.iter().filter(|(_, link)| link.must_ask(now)).map(|(key, _)| *key).collect();
        for key in doubted {
            self.ask_whether_it_lives(&key, now);
        }
        for connection in self.strangers.overdue(now) {
            self.close(connection, now);
        }
        self.asked.retain(|_, asked| !asked.reply.is_closed());
        self.drop_abandoned_joins(now);
        self.dial_due(now);
        if now.duration_since(self.told) >= OFFENCES_TOLD {
            self.told = now;
            self.tell_offences(now);
        }
    }

    /// What does not fit is told the next time.
    fn tell_offences(&mut self, now: Instant) {
        while self.backlog.has_room(0)
            && let Some((from, what, times)) = self.budgets.next_noted()
        {
            self.backlog.push(NetEvent::Offended { from, what, times });
        }
        if self.backlog.has_room(0)
            && let Some(counts) = self.knocking.worth_telling(now)
        {
            self.backlog.push(NetEvent::TurnedAway { counts });
        }
    }

    fn on_swarm(&mut self, event: SwarmEvent<ControlBehaviourEvent>, now: Instant) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event, now),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_established(peer_id, connection_id, &endpoint, now);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => {
                tracing::debug!(%peer_id, ?cause, "connection closed");
                self.forget(connection_id, now);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                self.on_dial_failed(connection_id, &error, now);
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                tracing::debug!(%send_back_addr, %error, "a connection came to nothing");
                self.knocking.refused(super::address::socket_addr(&send_back_addr).map(|from| from.ip()));
            }
            SwarmEvent::ListenerClosed { reason, .. } => {
                tracing::error!(?reason, "the control port no longer listens");
            }
            _ => {}
        }
    }

    fn on_behaviour(&mut self, event: ControlBehaviourEvent, now: Instant) {
        match event {
            ControlBehaviourEvent::Gate(never) => match never {},
            ControlBehaviourEvent::Ping(ping) => {
                if let (Some(key), true) = (super::address::peer_key(&ping.peer), ping.result.is_ok()) {
                    self.heard(&key, ping.connection, now);
                }
            }
            ControlBehaviourEvent::Join(event) => self.on_join(event, now),
            ControlBehaviourEvent::Members(MembersEvent::Lines(event)) => self.on_line(event, now),
            ControlBehaviourEvent::Members(MembersEvent::Control(event)) => self.on_control(event, now),
            ControlBehaviourEvent::Members(MembersEvent::Api(event)) => self.on_api(event, now),
        }
    }

    fn on_command(&mut self, command: Command, now: Instant) {
        match command {
            Command::Request { to, body, reply } => self.ask(to, body, reply, now),
            Command::Join { address, body, reply } => self.dial_join(Joining { address, body, reply }),
        }
    }

    /// Lanes have got messages, or somebody wants to talk to a peer that is not connected.
    fn on_news(&mut self, now: Instant) {
        for key in self.outbox.take_news() {
            if let Some(link) = self.links.get_mut(&key) {
                link.hurry(now);
            }
            self.pump(&key, now);
        }
    }

    fn heard(&mut self, key: &PeerKey, connection: ConnectionId, now: Instant) {
        if let Some(link) = self.links.get_mut(key) {
            link.heard(connection, now);
        }
    }

    /// Tells the bulk task that something happened to the peer. If its queue is full, the bulk connections
    /// find out by themselves, later.
    fn suspect_bulk(&self, peer: PeerKey) {
        let _ = self.bulk.try_send(bulk::Command::Suspect(peer));
    }
}

/// The beginning of a key, for the log.
fn short(key: &PeerKey) -> String {
    key[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}
