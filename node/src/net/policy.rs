//! What the daemon has decided about peers, as both tasks watch it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use libp2p::PeerId;

use super::address::peer_id;
use super::{Peer, PeerKey};

/// The latest decision; there is no queue of older ones.
#[derive(Debug, Clone, Default)]
pub(super) struct Policy {
    /// Who may talk to us and where to dial them.
    pub(super) peers: Arc<BTreeMap<PeerKey, Peer>>,
    /// To whom the wire is cut.
    pub(super) blocked: Arc<BTreeSet<PeerKey>>,
    /// Who misbehaved and is left alone for a while.
    pub(super) shunned: Arc<BTreeSet<PeerKey>>,
}

impl Policy {
    /// Whether the peer may talk to us now.
    pub(super) fn allows(&self, key: &PeerKey) -> bool {
        self.peers.contains_key(key) && !self.refuses(key)
    }

    /// Whether nothing at all is to be had to do with it now.
    pub(super) fn refuses(&self, key: &PeerKey) -> bool {
        self.blocked.contains(key) || self.shunned.contains(key)
    }

    /// Everybody who is refused.
    pub(super) fn refused(&self) -> BTreeSet<PeerKey> {
        self.blocked.union(&self.shunned).copied().collect()
    }

    /// Where members are known.
    pub(super) fn addresses(&self) -> BTreeSet<IpAddr> {
        let of = |peer: &Peer| peer.control.iter().chain(&peer.bulk).map(SocketAddr::ip).collect::<Vec<_>>();
        self.peers.values().flat_map(of).collect()
    }

    /// The peers as libp2p names them.
    pub(super) fn peer_ids(&self) -> BTreeSet<PeerId> {
        self.peers.keys().filter_map(peer_id).collect()
    }

    /// The refused as libp2p names them.
    pub(super) fn refused_ids(&self) -> BTreeSet<PeerId> {
        self.refused().iter().filter_map(peer_id).collect()
    }
}
