//! What can go wrong, by who is at fault: the caller, the environment, the peer.

use std::net::SocketAddr;

use thiserror::Error;

/// Why the network port could not do what it was asked. No variant leaves state behind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NetError {
    /// Somebody else listens there.
    #[error("the address {address} is taken by another program")]
    PortTaken {
        /// The address we wanted.
        address: SocketAddr,
    },
    /// The address cannot be listened on for another reason.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address we wanted.
        address: SocketAddr,
        /// What the system said.
        reason: String,
    },
    /// The key or the encryption could not be set up.
    #[error("cannot set up the encrypted transport: {0}")]
    Setup(String),
    /// The message or body is larger than the limit; nothing was sent.
    #[error("{size} bytes are more than the limit of {limit}")]
    TooLarge {
        /// The size of the body.
        size: usize,
        /// The limit that applies to it.
        limit: usize,
    },
    /// The key is not in the set of peers (or it is our own).
    #[error("this key is not one of our peers")]
    NotAPeer,
    /// There is no connection to the peer at the moment; it is being dialed.
    #[error("the peer is not connected")]
    NotConnected,
    /// Nobody usable answers at the address.
    #[error("cannot reach {address}: {reason}")]
    Unreachable {
        /// The address we dialed.
        address: SocketAddr,
        /// What the dial said.
        reason: String,
    },
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// Too many requests wait, here or at the peer.
    #[error("too many requests are waiting")]
    Busy,
    /// The peer took the request and gave no answer.
    #[error("the peer gave no answer to the request")]
    Unanswered,
    /// The peer does not count us among its peers (yet, or any more).
    #[error("the peer does not know us")]
    Stranger,
    /// The connection broke while waiting.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The network port has been shut down.
    #[error("the network is shut down")]
    Closed,
}
