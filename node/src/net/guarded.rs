//! A behaviour that sees only some connections, and of those only as long as we want.
//!
//! libp2p's request-response spreads requests over all connections to a peer, also over one that is dead but
//! not closed yet, and closing a dead connection can take until the kernel gives up. So we stand between:
//! `retire` tells the inner behaviour at once that a connection is closed, whatever the connection does.
//! And a stranger's connection does not offer the protocols of members at all, so a stranger cannot make us
//! read megabytes before we look at its key.

use std::collections::{BTreeMap, BTreeSet};
use std::task::{Context, Poll};

use either::Either;
use libp2p::core::transport::PortUse;
use libp2p::core::{ConnectedPoint, Endpoint};
use libp2p::swarm::behaviour::{ConnectionClosed, ConnectionEstablished};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
    ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

/// Whose connections the inner behaviour sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admits {
    /// Only those of the peers given by `set_members`.
    Members,
    /// All.
    Everyone,
}

/// The inner behaviour, shielded.
pub(super) struct Guarded<B> {
    inner: B,
    admits: Admits,
    members: BTreeSet<PeerId>,
    /// The connections the inner behaviour knows; the endpoint is known once they are established.
    seen: BTreeMap<ConnectionId, (PeerId, Option<ConnectedPoint>)>,
}

impl<B: NetworkBehaviour> Guarded<B> {
    /// Shields `inner`.
    pub(super) fn new(inner: B, admits: Admits) -> Self {
        Self { inner, admits, members: BTreeSet::new(), seen: BTreeMap::new() }
    }

    /// The behaviour inside.
    pub(super) fn inner(&mut self) -> &mut B {
        &mut self.inner
    }

    /// The two ends of a connection the inner behaviour knows.
    pub(super) fn endpoint(&self, connection: ConnectionId) -> Option<&ConnectedPoint> {
        self.seen.get(&connection)?.1.as_ref()
    }

    /// Replaces the members. Counts for connections to come.
    pub(super) fn set_members(&mut self, members: BTreeSet<PeerId>) {
        self.members = members;
    }

    /// Makes the inner behaviour believe that the connection is closed. What waits on it fails at once and
    /// what it still brings is thrown away.
    pub(super) fn retire(&mut self, connection: ConnectionId) {
        if let Some((peer, Some(endpoint))) = self.seen.remove(&connection) {
            let closed = ConnectionClosed {
                peer_id: peer,
                connection_id: connection,
                endpoint: &endpoint,
                cause: None,
                remaining_established: self.count(peer),
            };
            self.inner.on_swarm_event(FromSwarm::ConnectionClosed(closed));
        }
    }

    fn count(&self, peer: PeerId) -> usize {
        self.seen.values().filter(|(of, _)| *of == peer).count()
    }

    fn admits(&self, peer: PeerId) -> bool {
        self.admits == Admits::Everyone || self.members.contains(&peer)
    }
}

impl<B: NetworkBehaviour> NetworkBehaviour for Guarded<B> {
    type ConnectionHandler = Either<THandler<B>, dummy::ConnectionHandler>;
    type ToSwarm = B::ToSwarm;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if !self.admits(peer) {
            return Ok(Either::Right(dummy::ConnectionHandler));
        }
        let handler = self.inner.handle_established_inbound_connection(connection, peer, local, remote)?;
        self.seen.insert(connection, (peer, None));
        Ok(Either::Left(handler))
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if !self.admits(peer) {
            return Ok(Either::Right(dummy::ConnectionHandler));
        }
        let handler =
            self.inner.handle_established_outbound_connection(connection, peer, address, role, port)?;
        self.seen.insert(connection, (peer, None));
        Ok(Either::Left(handler))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished { connection_id, endpoint, .. }) => {
                if let Some((_, known)) = self.seen.get_mut(&connection_id) {
                    *known = Some(endpoint.clone());
                    self.inner.on_swarm_event(event);
                }
            }
            FromSwarm::ConnectionClosed(closed) => {
                if let Some((peer, _)) = self.seen.remove(&closed.connection_id) {
                    let remaining_established = self.count(peer);
                    let closed = ConnectionClosed { remaining_established, ..closed };
                    self.inner.on_swarm_event(FromSwarm::ConnectionClosed(closed));
                }
            }
            FromSwarm::AddressChange(change) => {
                if self.seen.contains_key(&change.connection_id) {
                    self.inner.on_swarm_event(event);
                }
            }
            other => self.inner.on_swarm_event(other),
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {
            Either::Left(event) if self.seen.contains_key(&connection) => {
                self.inner.on_connection_handler_event(peer, connection, event);
            }
            Either::Left(_) => {}
            Either::Right(never) => match never {},
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.inner.poll(cx).map(|event| event.map_in(Either::Left))
    }
}
