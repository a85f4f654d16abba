//! Who gets in: peers always, strangers in small numbers or not at all, the blocked never.
//!
//! The gate is the first behaviour of each swarm and the only one that refuses a connection, so no other
//! behaviour ever hears of a connection that does not come to be.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::IpAddr;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
    ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

use super::address::socket_addr;
use super::limits::{HANDSHAKES, HANDSHAKES_PER_IP, STRANGERS_PER_IP, STRANGERS_PER_KEY};

/// Refuses connections; does nothing else.
pub(super) struct Gate {
    members: BTreeSet<PeerId>,
    blocked: BTreeSet<PeerId>,
    /// How many strangers may be connected to us.
    stranger_limit: usize,
    /// Addresses where members are known.
    known: BTreeSet<IpAddr>,
    /// The connections of strangers to us, and where they come from.
    strangers: BTreeMap<ConnectionId, (PeerId, Option<IpAddr>)>,
    /// Dials of ours whose peer may be anybody.
    invited: BTreeSet<ConnectionId>,
    /// Connections to us that are still in the handshake.
    handshakes: BTreeMap<ConnectionId, Option<IpAddr>>,
}

impl Gate {
    /// A gate that knows nobody yet.
    pub(super) fn new(stranger_limit: usize) -> Self {
        Self {
            members: BTreeSet::new(),
            blocked: BTreeSet::new(),
            known: BTreeSet::new(),
            stranger_limit,
            strangers: BTreeMap::new(),
            invited: BTreeSet::new(),
            handshakes: BTreeMap::new(),
        }
    }

    /// Replaces what the gate knows. It does not close connections: that is the driver's duty.
    pub(super) fn set(
        &mut self,
        members: BTreeSet<PeerId>,
        blocked: BTreeSet<PeerId>,
        known: BTreeSet<IpAddr>,
    ) {
        (self.members, self.blocked, self.known) = (members, blocked, known);
    }

    /// The dial `connection` of ours may end at anybody.
    pub(super) fn invite(&mut self, connection: ConnectionId) {
        self.invited.insert(connection);
    }

    /// Whether `connection` was let in as a stranger's.
    pub(super) fn is_stranger(&self, connection: ConnectionId) -> bool {
        self.strangers.contains_key(&connection)
    }

    /// Whether one more handshake is begun with this address. Strangers take nothing away from addresses of members.
    fn has_room(&self, from: Option<IpAddr>) -> bool {
        let same = self.handshakes.values().filter(|other| **other == from).count();
        let is_known = |ip: &Option<IpAddr>| ip.is_some_and(|ip| self.known.contains(&ip));
        let strange = self.handshakes.values().filter(|other| !is_known(other)).count();
        same < HANDSHAKES_PER_IP && (is_known(&from) || strange < HANDSHAKES)
    }

    fn welcomes(&self, peer: PeerId, from: Option<IpAddr>) -> bool {
        let same_key = self.strangers.values().filter(|(other, _)| *other == peer).count();
        let same_ip = self.strangers.values().filter(|(_, other)| *other == from).count();
        self.strangers.len() < self.stranger_limit
            && same_key < STRANGERS_PER_KEY
            && same_ip < STRANGERS_PER_IP
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
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let from = ip(remote);
        if !self.has_room(from) {
            return Err(ConnectionDenied::new("too many handshakes"));
        }
        self.handshakes.insert(connection, from);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.handshakes.remove(&connection);
        self.refuse_blocked(peer)?;
        if !self.members.contains(&peer) {
            let from = ip(remote);
            if !self.welcomes(peer, from) {
                return Err(ConnectionDenied::new("no room for strangers"));
            }
            self.strangers.insert(connection, (peer, from));
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

fn ip(address: &Multiaddr) -> Option<IpAddr> {
    socket_addr(address).map(|address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::super::address::multiaddr;
    use super::*;

    fn begin(gate: &mut Gate, n: usize, from: [u8; 4]) -> bool {
        let address = multiaddr((from, 1000).into());
        gate.handle_pending_inbound_connection(ConnectionId::new_unchecked(n), &address, &address).is_ok()
    }

    #[test]
    fn a_thousand_connections_leave_room_for_members_and_other_addresses() {
        let mut gate = Gate::new(2);
        gate.set(BTreeSet::new(), BTreeSet::new(), [IpAddr::from([10, 0, 0, 1])].into());
        assert_eq!((0..1000).filter(|n| begin(&mut gate, *n, [192, 0, 2, 1])).count(), HANDSHAKES_PER_IP);
        let of_many = |n: &usize| begin(&mut gate, *n, [192, 0, 3, *n as u8]);
        assert_eq!((1000..2000).filter(of_many).count(), HANDSHAKES - HANDSHAKES_PER_IP);
        assert!(begin(&mut gate, 3000, [10, 0, 0, 1]), "where a member is known");
    }

    #[test]
    fn one_address_does_not_take_the_places_of_all_strangers() {
        let mut gate = Gate::new(100);
        assert_eq!((0..100).filter(|n| come(&mut gate, *n, PeerId::random())).count(), STRANGERS_PER_IP);
    }

    fn come(gate: &mut Gate, n: usize, peer: PeerId) -> bool {
        let (id, address) = (ConnectionId::new_unchecked(n), Multiaddr::empty());
        gate.handle_pending_inbound_connection(id, &address, &address).is_ok()
            && gate.handle_established_inbound_connection(id, peer, &address, &address).is_ok()
    }

    #[test]
    fn strangers_come_in_small_numbers_members_always_and_the_blocked_never() {
        let (member, blocked) = (PeerId::random(), PeerId::random());
        let mut gate = Gate::new(2);
        gate.set([member, blocked].into(), [blocked].into(), BTreeSet::new());
        let strangers: Vec<_> = (0..4).map(|n| come(&mut gate, n, PeerId::random())).collect();
        assert_eq!(strangers, [true, true, false, false]);
        assert!(come(&mut gate, 10, member));
        assert!(!come(&mut gate, 11, blocked));
    }
}
