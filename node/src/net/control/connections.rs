//! Keeping exactly one good connection to each peer, and getting rid of all others.

use std::io::ErrorKind;
use std::time::Instant;

use althing_protocol::conduct::Offence;
use libp2p::PeerId;
use libp2p::core::ConnectedPoint;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError};

use super::super::address::{multiaddr, peer_id, peer_key};
use super::super::link::{Dialer, Lost, Surplus};
use super::super::{NetError, PeerKey};
use super::{Control, Joining, short};

impl Control {
    /// Dials every peer whose time has come.
    pub(super) fn dial_due(&mut self, now: Instant) {
        let due = |key: &PeerKey| self.links.get(key).is_some_and(|link| link.dial_due(now));
        let due: Vec<_> = self.policy.peers.keys().filter(|key| due(key)).copied().collect();
        for key in due {
            if self.policy.allows(&key) {
                self.dial(key, now);
            }
        }
    }

    fn dial(&mut self, key: PeerKey, now: Instant) {
        let Some(peer) = self.policy.peers.get(&key).filter(|peer| !peer.control.is_empty()) else { return };
        let (Some(id), Some(link)) = (peer_id(&key), self.links.get_mut(&key)) else { return };
        // A new port: with the listening port as source, two simultaneous dials could become one TCP
        // connection on which both sides believe to be the dialer.
        let options = DialOpts::peer_id(id)
            .condition(PeerCondition::Always)
            .addresses(peer.control.iter().copied().map(multiaddr).collect())
            .allocate_new_port()
            .build();
        let connection = options.connection_id();
        link.dialing(connection, now);
        if let Err(error) = self.swarm.dial(options) {
            tracing::debug!(peer = %short(&key), %error, "cannot dial");
            link.dial_failed(connection, now);
        }
    }

    /// Dials somebody whose key the handshake will tell.
    pub(super) fn dial_join(&mut self, joining: Joining) {
        let options =
            DialOpts::unknown_peer_id().address(multiaddr(joining.address)).allocate_new_port().build();
        let connection = options.connection_id();
        self.swarm.behaviour_mut().gate.invite(connection);
        match self.swarm.dial(options) {
            Ok(()) => {
                self.joining.insert(connection, joining);
            }
            Err(error) => fail_join(joining, why(&error)),
        }
    }

    /// A dial has failed.
    pub(super) fn on_dial_failed(&mut self, connection: ConnectionId, error: &DialError, now: Instant) {
        if let Some(joining) = self.joining.remove(&connection) {
            fail_join(joining, why(error));
            return;
        }
        for (key, link) in &mut self.links {
            if link.dial_failed(connection, now) {
                tracing::debug!(peer = %short(key), %error, "dial failed");
            }
        }
    }

    /// A connection is up: a join of ours, a stranger's, or a peer's.
    pub(super) fn on_established(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        endpoint: &ConnectedPoint,
        now: Instant,
    ) {
        let joining = self.joining.remove(&connection);
        let Some(key) = peer_key(&peer) else {
            // Not an Ed25519 key: none of ours.
            self.close(connection, now);
            return;
        };
        let stranger = self.swarm.behaviour().gate.is_stranger(connection);
        if stranger && self.policy.peers.contains_key(&key) {
            // It became a peer while it came in; it has to come in again as one.
            self.close(connection, now);
        } else if stranger {
            self.strangers.came(connection, key, now);
        } else if self.policy.allows(&key) {
            let dialer = if endpoint.is_dialer() { Dialer::We } else { Dialer::They };
            self.on_peer_connected(key, connection, dialer, now);
        } else if joining.is_none() {
            self.close(connection, now);
        }
        if let Some(joining) = joining {
            self.ask_to_join(peer, key, connection, joining);
        }
    }

    fn on_peer_connected(&mut self, key: PeerKey, connection: ConnectionId, dialer: Dialer, now: Instant) {
        let Some(link) = self.links.get_mut(&key) else { return };
        match link.established(connection, dialer, now) {
            Surplus::None => {}
            Surplus::Flapping(surplus) => {
                self.budgets.note(key, Offence::Flapping);
                return self.close(surplus, now);
            }
            Surplus::Close(surplus) => {
                self.close(surplus, now);
                if surplus == connection {
                    return;
                }
                tracing::debug!(peer = %short(&key), "connected anew");
                self.suspect_bulk(key);
            }
        }
        if !self.swarm.behaviour_mut().members.inner().lines.is_enabled()
            && let Some(link) = self.links.get_mut(&key)
        {
            link.has_no_line(connection);
        }
        self.greet(&key, now);
        self.pump(&key, now);
    }

    /// The peer has shown on a connection that it takes us for a peer, too: now it is connected.
    pub(super) fn confirm(&mut self, key: PeerKey, connection: ConnectionId, now: Instant) {
        if self.links.get_mut(&key).is_some_and(|link| link.confirm(connection)) {
            tracing::info!(peer = %short(&key), "connected");
            self.outbox.set_connected(&key, true);
            self.backlog.push_connected(key, true);
            self.pump(&key, now);
        }
    }

    /// Ends the connections to a peer that is no longer one, or is blocked.
    pub(super) fn disconnect(&mut self, key: &PeerKey, now: Instant) {
        if let Some(connection) = self.links.get(key).and_then(super::Link::connection) {
            self.close(connection, now);
        }
    }

    /// Stops using a connection at once and closes it, however long that takes.
    pub(super) fn close(&mut self, connection: ConnectionId, now: Instant) {
        let behaviour = self.swarm.behaviour_mut();
        behaviour.members.retire(connection);
        behaviour.join.retire(connection);
        self.swarm.close_connection(connection);
        self.forget(connection, now);
    }

    /// The peer does not speak the members' protocols with us: it takes us for a stranger. Its own join
    /// request may still be on this connection, so the connection stays, as long as a stranger's would.
    pub(super) fn demote(&mut self, key: PeerKey, connection: ConnectionId, now: Instant) {
        self.swarm.behaviour_mut().members.retire(connection);
        self.forget(connection, now);
        if let Some(link) = self.links.get_mut(&key) {
            link.shunned(now);
        }
        self.strangers.demoted(connection, key, now);
    }

    /// A connection is no longer of use.
    pub(super) fn forget(&mut self, connection: ConnectionId, now: Instant) {
        self.strangers.gone(connection);
        let lost = self.links.iter_mut().map(|(key, link)| (*key, link.lost(connection, now)));
        let lost: Vec<_> = lost.filter(|(_, lost)| *lost == Lost::Peer).collect();
        for (key, link) in &mut self.links {
            (0..link.take_unsaid()).for_each(|_| self.outbox.count_lost(key));
        }
        for (key, _) in lost {
            tracing::info!(peer = %short(&key), "disconnected");
            self.outbox.set_connected(&key, false);
            self.backlog.push_connected(key, false);
        }
    }
}

/// What the transport says when a dial took too long; it has no kind of its own for it.
const TIMED_OUT: &str = "Timeout has been reached";
/// What the number of a system's error follows.
const SYSTEM: &str = "(os error ";

/// What a failed dial says of the port, for people.
fn why(error: &DialError) -> String {
    if matches!(error, DialError::LocalPeerId { .. }) {
        return "this machine itself listens there".to_owned();
    }
    let text = error.to_string();
    match kind(&text) {
        Some(ErrorKind::ConnectionRefused) => {
            "refused: the machine is there, and nothing listens on this port".to_owned()
        }
        Some(ErrorKind::TimedOut) => {
            "no answer: the machine is off, a firewall is in between, or what listens there is silent"
                .to_owned()
        }
        Some(ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable) => {
            "no way there: the network does not lead to this address".to_owned()
        }
        // The port is open, and then it did not go on.
        None | Some(ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe) => {
            format!("what listens there does not speak as a member does: {text}")
        }
        Some(_) => format!("the connection failed: {text}"),
    }
}

/// The system's word in an error. Its layers hide the error itself and show only its text.
fn kind(text: &str) -> Option<ErrorKind> {
    if text.contains(TIMED_OUT) {
        return Some(ErrorKind::TimedOut);
    }
    let (_, after) = text.split_once(SYSTEM)?;
    let number = after.split(')').next()?.parse().ok()?;
    Some(std::io::Error::from_raw_os_error(number).kind())
}

fn fail_join(joining: Joining, reason: String) {
    let _ = joining.reply.send(Err(NetError::Unreachable { address: joining.address, reason }));
}
