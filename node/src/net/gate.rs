//! Who gets in: peers always, strangers in small numbers or not at all, the blocked never.
//!
//! The gate is the first behaviour of each swarm and the only one that refuses a connection, so no other
//! behaviour ever hears of a connection that does not come to be.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
    ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

use super::limits::{HANDSHAKES, STRANGERS_PER_KEY};

/// Refuses connections; does nothing else.
pub(super) struct Gate {
    members: BTreeSet<PeerId>,
    blocked: BTreeSet<PeerId>,
    /// How many strangers may be connected to us.
    stranger_limit: usize,
    /// The connections of strangers to us.
    strangers: BTreeMap<ConnectionId, PeerId>,
    /// Dials of ours whose peer may be anybody.
    invited: BTreeSet<ConnectionId>,
    /// Connections to us that are still in the handshake.
    handshakes: BTreeSet<ConnectionId>,
}

impl Gate {
    /// A gate that knows nobody yet.
    pub(super) fn new(stranger_limit: usize) -> Self {
        Self {
            members: BTreeSet::new(),
            blocked: BTreeSet::new(),
            stranger_limit,
            strangers: BTreeMap::new(),
            invited: BTreeSet::new(),
            handshakes: BTreeSet::new(),
        }
    }

    /// Replaces what the gate knows. It does not close connections: that is the driver's duty.
    pub(super) fn set(&mut self, members: BTreeSet<PeerId>, blocked: BTreeSet<PeerId>) {
        self.members = members;
        self.blocked = blocked;
    }

    /// The dial `connection` of ours may end at anybody.
    pub(super) fn invite(&mut self, connection: ConnectionId) {
        self.invited.insert(connection);
    }

    /// Whether `connection` was let in as a stranger's.
    pub(super) fn is_stranger(&self, connection: ConnectionId) -> bool {
        self.strangers.contains_key(&connection)
    }

    fn refuse_blocked(&self, peer: PeerId) -> Result<(), ConnectionDenied> {
        if self.blocked.contains(&peer) { Err(ConnectionDenied::new("blocked")) } else { Ok(()) }
    }
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        if self.handshakes.len() >= HANDSHAKES {
            return Err(ConnectionDenied::new("too many handshakes"));
        }
        self.handshakes.insert(connection);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.handshakes.remove(&connection);
        self.refuse_blocked(peer)?;
        if !self.members.contains(&peer) {
            let same = self.strangers.values().filter(|stranger| **stranger == peer).count();
            if self.strangers.len() >= self.stranger_limit || same >= STRANGERS_PER_KEY {
                return Err(ConnectionDenied::new("no room for strangers"));
            }
            self.strangers.insert(connection, peer);
        }
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let invited = self.invited.remove(&connection);
        self.refuse_blocked(peer)?;
        if invited || self.members.contains(&peer) {
            Ok(dummy::ConnectionHandler)
        } else {
            Err(ConnectionDenied::new("no longer a peer"))
        }
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionClosed(closed) => {
                self.strangers.remove(&closed.connection_id);
            }
            FromSwarm::ListenFailure(failure) => {
                self.handshakes.remove(&failure.connection_id);
            }
            FromSwarm::DialFailure(failure) => {
                self.invited.remove(&failure.connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn come(gate: &mut Gate, n: usize, peer: PeerId) -> bool {
        let (id, address) = (ConnectionId::new_unchecked(n), Multiaddr::empty());
        gate.handle_pending_inbound_connection(id, &address, &address).is_ok()
            && gate.handle_established_inbound_connection(id, peer, &address, &address).is_ok()
    }

    #[test]
    fn strangers_come_in_small_numbers_members_always_and_the_blocked_never() {
        let (member, blocked) = (PeerId::random(), PeerId::random());
        let mut gate = Gate::new(2);
        gate.set([member, blocked].into(), [blocked].into());
        let strangers: Vec<_> = (0..4).map(|n| come(&mut gate, n, PeerId::random())).collect();
        assert_eq!(strangers, [true, true, false, false]);
        assert!(come(&mut gate, 10, member));
        assert!(!come(&mut gate, 11, blocked));
    }
}
