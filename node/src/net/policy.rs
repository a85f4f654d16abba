//! What the daemon has decided about peers, as both tasks watch it.

use std::collections::{BTreeMap, BTreeSet};
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
}

impl Policy {
    /// Whether the peer may talk to us now.
    pub(super) fn allows(&self, key: &PeerKey) -> bool {
        self.peers.contains_key(key) && !self.blocked.contains(key)
    }

    /// The peers as libp2p names them.
    pub(super) fn peer_ids(&self) -> BTreeSet<PeerId> {
        self.peers.keys().filter_map(peer_id).collect()
    }

    /// The blocked as libp2p names them.
    pub(super) fn blocked_ids(&self) -> BTreeSet<PeerId> {
        self.blocked.iter().filter_map(peer_id).collect()
    }
}
