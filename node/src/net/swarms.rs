//! The two swarms: what they are made of and how they come to listen.

use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt;
use libp2p::identity::{Keypair, ed25519};
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{StreamProtocol, Swarm, SwarmBuilder, noise, ping, tcp, yamux};

use super::address::{multiaddr, socket_addr};
use super::codec::{FrameCodec, Room};
use super::gate::Gate;
use super::guarded::{Admits, Guarded};
use super::limits::{
    API_BODY, API_REQUEST, API_STREAMS, BULK_IDLE, BULK_PING, CONNECT_TIMEOUT, CONTROL_IDLE, CONTROL_MESSAGE,
    CONTROL_STREAMS, JOIN_REPLY, JOIN_REQUEST, JOIN_STREAMS, MESSAGE_TIMEOUT, PING_EVERY, READING,
    REQUEST_TIMEOUT, STRANGERS, YAMUX_STREAMS,
};
use super::lines::Lines;
use super::quiet::{Muxer, Pings};
use super::{NetError, PeerKey, Speech};

/// The protocol of exchanges of one message each.
pub(super) const CONTROL_PROTOCOL: StreamProtocol = StreamProtocol::new("/althing/control/1");
const API_PROTOCOL: StreamProtocol = StreamProtocol::new("/althing/api/1");
const JOIN_PROTOCOL: StreamProtocol = StreamProtocol::new("/althing/join/1");
/// The protocol of bulk streams.
pub(super) const BULK_PROTOCOL: StreamProtocol = StreamProtocol::new("/althing/bulk/1");

/// An answer to a control message is an acknowledgement, without a body.
const ACKNOWLEDGEMENT: usize = 0;
/// A listener that does not report its address until then never will.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(5);

/// One request-response protocol with our frames.
pub(super) type Exchange = request_response::Behaviour<FrameCodec>;

/// What the control swarm does. The gate comes first: see there.
#[derive(NetworkBehaviour)]
pub(super) struct ControlBehaviour {
    pub(super) gate: Gate,
    pub(super) ping: ping::Behaviour,
    pub(super) join: Guarded<Exchange>,
    pub(super) members: Guarded<Members>,
}

/// The protocols only peers may speak.
#[derive(NetworkBehaviour)]
pub(super) struct Members {
    pub(super) lines: Toggle<Lines>,
    /// For messages to and from programs that do not speak lines, and for the greeting.
    pub(super) control: Exchange,
    pub(super) api: Exchange,
}

/// What the bulk swarm does.
#[derive(NetworkBehaviour)]
pub(super) struct BulkBehaviour {
    pub(super) gate: Gate,
    pub(super) ping: ping::Behaviour,
    pub(super) streams: Guarded<libp2p_stream::Behaviour>,
}

/// Our key pair.
pub(super) fn identity(mut seed: [u8; 32]) -> Result<(PeerKey, Keypair), NetError> {
    let secret = ed25519::SecretKey::try_from_bytes(&mut seed).map_err(setup)?;
    let pair = ed25519::Keypair::from(secret);
    Ok((pair.public().to_bytes(), pair.into()))
}

/// The control swarm, not listening yet.
pub(super) fn control(pair: &Keypair, speech: Speech) -> Result<Swarm<ControlBehaviour>, NetError> {
    let room = Room::new(READING);
    let exchange = |protocol, request, response, timeout, streams| {
        let config = request_response::Config::default()
            .with_request_timeout(timeout)
            .with_max_concurrent_streams(streams);
        let codec = FrameCodec { request, response, room: room.clone() };
        Exchange::with_codec(codec, [(protocol, ProtocolSupport::Full)], config)
    };
    let members = Members {
        lines: Toggle::from((speech == Speech::Lines).then(|| Lines::new(room.clone()))),
        control: exchange(
            CONTROL_PROTOCOL,
            CONTROL_MESSAGE,
            ACKNOWLEDGEMENT,
            MESSAGE_TIMEOUT,
            CONTROL_STREAMS,
        ),
        api: exchange(API_PROTOCOL, API_REQUEST, API_BODY, REQUEST_TIMEOUT, API_STREAMS),
    };
    let join = exchange(JOIN_PROTOCOL, JOIN_REQUEST, JOIN_REPLY, REQUEST_TIMEOUT, JOIN_STREAMS);
    let behaviour = ControlBehaviour {
        gate: Gate::new(STRANGERS),
        ping: pings(if speech == Speech::Lines { CONTROL_IDLE } else { PING_EVERY }),
        join: Guarded::new(join, Admits::Everyone),
        members: Guarded::new(members, Admits::Members),
    };
    // An older program had all of them.
    let pings = if speech == Speech::Lines { Pings::Once } else { Pings::Often };
    build(pair, behaviour, pings, CONTROL_IDLE)
}

/// The bulk swarm, not listening yet.
pub(super) fn bulk(pair: &Keypair) -> Result<Swarm<BulkBehaviour>, NetError> {
    let behaviour = BulkBehaviour {
        gate: Gate::new(0),
        ping: pings(BULK_PING),
        streams: Guarded::new(libp2p_stream::Behaviour::new(), Admits::Members),
    };
    build(pair, behaviour, Pings::Often, BULK_IDLE)
}

/// Answers pings, and pings this often itself. Its failures come too late and its first one not at all: the drivers
/// only look at its successes. On control connections only older programs ping.
fn pings(every: Duration) -> ping::Behaviour {
    ping::Behaviour::new(ping::Config::new().with_interval(every).with_timeout(every * 4))
}

/// A swarm over TCP that does not listen yet; `pings` are the multiplexer's own.
pub(super) fn build<B: NetworkBehaviour>(
    pair: &Keypair,
    behaviour: B,
    pings: Pings,
    idle: Duration,
) -> Result<Swarm<B>, NetError> {
    let muxer = || {
        let mut config = yamux::Config::default();
        config.set_max_num_streams(YAMUX_STREAMS);
        Muxer::new(config, pings)
    };
    let swarm = SwarmBuilder::with_existing_identity(pair.clone())
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, muxer)
        .map_err(setup)?
        .with_behaviour(|_| behaviour)
        .map_err(setup)?
        .with_swarm_config(|config| config.with_idle_connection_timeout(idle))
        .with_connection_timeout(CONNECT_TIMEOUT)
        .build();
    Ok(swarm)
}

fn setup(error: impl ToString) -> NetError {
    NetError::Setup(error.to_string())
}

/// Listens and returns the real address.
pub(super) async fn listen<B: NetworkBehaviour>(
    swarm: &mut Swarm<B>,
    address: SocketAddr,
) -> Result<SocketAddr, NetError> {
    probe(address)?;
    let failed = |reason: String| NetError::Listen { address, reason };
    let listener = swarm.listen_on(multiaddr(address)).map_err(|error| failed(error.to_string()))?;
    let listening = async {
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::NewListenAddr { listener_id, address: real } if listener_id == listener => {
                    let port = socket_addr(&real).map_or(address.port(), |real| real.port());
                    return Ok(SocketAddr::new(address.ip(), port));
                }
                SwarmEvent::ListenerError { error, .. } => return Err(failed(error.to_string())),
                SwarmEvent::ListenerClosed { .. } => return Err(failed("the listener closed".into())),
                _ => {}
            }
        }
    };
    let timeout = tokio::time::timeout(LISTEN_TIMEOUT, listening).await;
    timeout.unwrap_or_else(|_| Err(failed("no address came up".into())))
}

/// libp2p listens with `SO_REUSEPORT`: a second program of the same user would silently share the port. A
/// plain socket does not, so it tells.
fn probe(address: SocketAddr) -> Result<(), NetError> {
    if address.port() == 0 {
        return Ok(());
    }
    match std::net::TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(NetError::PortTaken { address }),
        Err(error) => Err(NetError::Listen { address, reason: error.to_string() }),
    }
}
