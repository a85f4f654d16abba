//! The network port of the daemon: messages, requests, joins and bulk streams between members.
//!
//! Two libp2p swarms with one identity, each driven by one task: *control* for everything small and *bulk*
//! for everything large, so that a transfer never delays a vote. Whoever is in the map given to
//! [`Net::set_peers`] may speak everything; anybody else may only ask to join.
//!
//! ```text
//!   daemon ──send──► outbox (a bounded lane per peer) ──► control task ◄──► control port
//!          ──request, join──► commands ─────────────────►     │
//!          ◄──────── NetEvent ◄──────── backlog ◄─────────────┘
//!          ──open_bulk──► commands ────────────────────► bulk task ◄──► bulk port
//! ```
//!
//! Promises and their limits:
//! * A message arrives at most once, mostly in order, or not at all: the protocol says again what matters.
//! * `Connected` and `Disconnected` of a peer alternate, and are never lost.
//! * A peer that restarts with the same key is heard at once, even while its dead connection is still open.
//! * Every queue is bounded; the bounds are in [`limits`].
//!
//! libp2p's types do not leave this module.

mod address;
mod backlog;
mod budgets;
mod bulk;
mod codec;
mod control;
mod error;
mod gate;
mod guarded;
pub mod limits;
mod lines;
mod link;
mod outbox;
mod policy;
mod quiet;
mod strangers;
mod swarms;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use althing_protocol::conduct::Offence;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::bulk::BulkStream;
pub use self::error::NetError;

use self::outbox::Outbox;
use self::policy::Policy;

/// The raw Ed25519 public key by which members know each other.
pub type PeerKey = [u8; 32];

/// Who we are and where we listen.
#[derive(Clone)]
pub struct NetConfig {
    /// The seed of our Ed25519 key.
    pub secret: [u8; 32],
    /// Where the control swarm listens; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Where the bulk swarm listens; port 0 lets the system choose.
    pub bulk_listen: SocketAddr,
    /// How we speak.
    pub speech: Speech,
}

/// How messages go to peers, and which ways are offered to them. Two programs that differ use exchanges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    /// On lines, to whoever has them.
    Lines,
    /// By an exchange for each, with pings, as programs did that spoke only version 1 of the protocol.
    Exchanges,
}

impl fmt::Debug for NetConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { listen, bulk_listen, speech, .. } = self;
        let mut shown = f.debug_struct("NetConfig");
        shown.field("listen", listen).field("bulk_listen", bulk_listen).field("speech", speech).finish()
    }
}

/// Where a peer can be dialed. Without addresses it is only awaited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peer {
    /// Addresses of its control port.
    pub control: Vec<SocketAddr>,
    /// Addresses of its bulk port.
    pub bulk: Vec<SocketAddr>,
}

/// How the messages to a peer fare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerStatus {
    /// Whether there is a control connection.
    pub connected: bool,
    /// Messages that wait for the network.
    pub waiting: usize,
    /// Messages that were dropped: not connected, overflow, no acknowledgement in time.
    pub dropped: u64,
}

/// What the network tells the daemon.
#[derive(Debug)]
pub enum NetEvent {
    /// The first connection to the peer is up.
    Connected(PeerKey),
    /// The last connection to the peer is gone.
    Disconnected(PeerKey),
    /// A peer has sent a message.
    Message {
        /// Who.
        from: PeerKey,
        /// What.
        bytes: Vec<u8>,
    },
    /// A peer asks something and waits.
    Request {
        /// Who.
        from: PeerKey,
        /// What.
        body: Vec<u8>,
        /// Takes the answer; dropped, it tells the peer that there is none.
        reply: oneshot::Sender<Vec<u8>>,
    },
    /// Somebody, usually a stranger, asks to join.
    Join {
        /// Who.
        from: PeerKey,
        /// Where its connection comes from. The port is not one it listens on.
        remote: SocketAddr,
        /// What.
        body: Vec<u8>,
        /// Takes the answer; dropped, it tells the asker that there is none.
        reply: oneshot::Sender<Vec<u8>>,
    },
    /// A peer did what it may not; what it sent is gone.
    Offended {
        /// Who.
        from: PeerKey,
        /// What.
        what: Offence,
        /// How often since this was told last.
        times: u64,
    },
    /// Connections came to nothing: strangers for whom there is no room, or handshakes that failed.
    TurnedAway {
        /// How many from each address, most first; none for addresses beyond those that are counted.
        counts: Vec<(Option<IpAddr>, u64)>,
    },
    /// A peer has opened a bulk stream.
    Bulk {
        /// Who.
        from: PeerKey,
        /// The stream, both ways.
        stream: BulkStream,
    },
}

/// The handle of the daemon. Clones share one network; it stops when `shutdown` is called or the last is
/// dropped.
#[derive(Debug, Clone)]
pub struct Net {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    key: PeerKey,
    listening: (SocketAddr, SocketAddr),
    outbox: Arc<Outbox>,
    policy: watch::Sender<Policy>,
    control: mpsc::Sender<control::Command>,
    bulk: mpsc::Sender<bulk::Command>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Net {
    /// Listens on both ports and starts both tasks. It knows no peers yet.
    pub async fn start(config: NetConfig) -> Result<(Self, mpsc::Receiver<NetEvent>), NetError> {
        let (key, pair) = swarms::identity(config.secret)?;
        let mut control_swarm = swarms::control(&pair, config.speech)?;
        let control_address = swarms::listen(&mut control_swarm, config.listen).await?;
        let mut bulk_swarm = swarms::bulk(&pair)?;
        let bulk_address = swarms::listen(&mut bulk_swarm, config.bulk_listen).await?;

        let (events, received) = mpsc::channel(limits::EVENTS);
        let (control, control_commands) = mpsc::channel(limits::COMMANDS);
        let (bulk, bulk_commands) = mpsc::channel(limits::COMMANDS);
        let (policy, watched) = watch::channel(Policy::default());
        let (outbox, stop, tasks) =
            (Arc::new(Outbox::default()), CancellationToken::new(), TaskTracker::new());

        let inputs = bulk::Inputs { commands: bulk_commands, policy: watched.clone(), stop: stop.clone() };
        tasks.spawn(bulk::Bulk::new(bulk_swarm, events.clone())?.run(inputs));
        let inputs =
            control::Inputs { commands: control_commands, policy: watched, events, stop: stop.clone() };
        tasks.spawn(control::Control::new(control_swarm, key, outbox.clone(), bulk.clone()).run(inputs));
        tasks.close();

        let listening = (control_address, bulk_address);
        let shared = Shared { key, listening, outbox, policy, control, bulk, stop, tasks };
        Ok((Self { shared: Arc::new(shared) }, received))
    }

    /// Our own key.
    pub fn key(&self) -> PeerKey {
        self.shared.key
    }

    /// Where the control and the bulk swarm really listen.
    pub fn listening(&self) -> (SocketAddr, SocketAddr) {
        self.shared.listening
    }

    /// Replaces the set of those who may talk to us, and where to dial them. Our own key is ignored. Whoever
    /// is no longer in it is disconnected.
    pub fn set_peers(&self, mut peers: BTreeMap<PeerKey, Peer>) {
        peers.remove(&self.shared.key);
        self.shared.outbox.set_peers(peers.keys());
        let peers = Arc::new(peers);
        self.shared.policy.send_modify(|policy| policy.peers = peers);
    }

    /// Fault injection: behaves as if the wire to these peers were cut, until they are no longer in the set.
    pub fn set_blocked(&self, peers: BTreeSet<PeerKey>) {
        let peers = Arc::new(peers);
        self.shared.policy.send_modify(|policy| policy.blocked = peers);
    }

    /// Has nothing to do with these peers until they are no longer in the set: they misbehaved.
    pub fn set_shunned(&self, peers: BTreeSet<PeerKey>) {
        let peers = Arc::new(peers);
        self.shared.policy.send_modify(|policy| policy.shunned = peers);
    }

    /// Queues a message and returns at once. The only error is `TooLarge`. Without a connection the message is
    /// dropped, and the peer is dialed soon; on overflow the oldest one is dropped.
    pub fn send(&self, to: PeerKey, message: Vec<u8>) -> Result<(), NetError> {
        self.shared.outbox.push(to, message)
    }

    /// How the messages to each peer fare.
    pub fn status(&self) -> BTreeMap<PeerKey, PeerStatus> {
        self.shared.outbox.status()
    }

    /// Asks a peer and waits for its answer, at most `timeout` (and [`limits::REQUEST_TIMEOUT`]).
    pub async fn request(&self, to: PeerKey, body: Vec<u8>, timeout: Duration) -> Result<Vec<u8>, NetError> {
        check_size(&body, limits::API_REQUEST)?;
        let (reply, answer) = oneshot::channel();
        ask(&self.shared.control, control::Command::Request { to, body, reply }, answer, timeout).await
    }

    /// Dials an address whose key is not known yet and asks to join. Returns the key that answered.
    pub async fn join(
        &self,
        address: SocketAddr,
        body: Vec<u8>,
        timeout: Duration,
    ) -> Result<(PeerKey, Vec<u8>), NetError> {
        check_size(&body, limits::JOIN_REQUEST)?;
        let (reply, answer) = oneshot::channel();
        ask(&self.shared.control, control::Command::Join { address, body, reply }, answer, timeout).await
    }

    /// Opens a bulk stream to a peer, dialing its bulk port if needed.
    pub async fn open_bulk(&self, to: PeerKey) -> Result<BulkStream, NetError> {
        let (reply, answer) = oneshot::channel();
        ask(&self.shared.bulk, bulk::Command::Open { to, reply }, answer, limits::REQUEST_TIMEOUT).await
    }

    /// Closes all connections and both ports, and waits until that is done.
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.wait().await;
    }
}

/// Gives a task a command and waits for the answer.
async fn ask<C, T>(
    commands: &mpsc::Sender<C>,
    command: C,
    answer: oneshot::Receiver<Result<T, NetError>>,
    timeout: Duration,
) -> Result<T, NetError> {
    let exchange = async {
        commands.send(command).await.map_err(|_| NetError::Closed)?;
        answer.await.unwrap_or(Err(NetError::Closed))
    };
    let timeout = timeout.min(limits::REQUEST_TIMEOUT);
    tokio::time::timeout(timeout, exchange).await.unwrap_or(Err(NetError::Timeout))
}

fn check_size(body: &[u8], limit: usize) -> Result<(), NetError> {
    if body.len() > limit { Err(NetError::TooLarge { size: body.len(), limit }) } else { Ok(()) }
}
