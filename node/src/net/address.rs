//! Keys and addresses: ours ↔ libp2p's.

use std::net::{IpAddr, SocketAddr};

use libp2p::identity::{PublicKey, ed25519};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

use super::PeerKey;

/// The digest code of "not hashed": a `PeerId` of an Ed25519 key holds the key itself.
const IDENTITY_HASH: u64 = 0;

/// The libp2p name of a key; none if the bytes are no point on the curve.
pub(super) fn peer_id(key: &PeerKey) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(key).ok()?;
    Some(PublicKey::from(key).to_peer_id())
}

/// The key inside a libp2p name; none for a key that is not Ed25519.
pub(super) fn peer_key(peer: &PeerId) -> Option<PeerKey> {
    let hash = peer.as_ref();
    if hash.code() != IDENTITY_HASH {
        return None;
    }
    let key = PublicKey::try_decode_protobuf(hash.digest()).ok()?;
    Some(key.try_into_ed25519().ok()?.to_bytes())
}

/// The TCP address as libp2p writes it.
pub(super) fn multiaddr(address: SocketAddr) -> Multiaddr {
    Multiaddr::from(address.ip()).with(Protocol::Tcp(address.port()))
}

/// The TCP address in a multiaddress; none if it begins with anything else.
pub(super) fn socket_addr(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) => IpAddr::V6(ip),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) => Some(SocketAddr::new(ip, port)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_the_way_to_a_peer_id_and_back() {
        let pair = ed25519::Keypair::generate();
        let key = pair.public().to_bytes();
        assert_eq!(peer_key(&peer_id(&key).unwrap()), Some(key));
    }

    #[test]
    fn an_address_survives_the_way_to_a_multiaddr_and_back() {
        for text in ["127.0.0.1:80", "[::1]:65535", "10.1.2.3:4"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(socket_addr(&multiaddr(address)), Some(address));
        }
    }
}
