//! What goes into the protocol and what comes out of it.

use serde::{Deserialize, Serialize};

/// A part of the durable key space. The store keeps each apart; keys order as bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Family {
    /// Identity of the store, incarnation, head: few small values.
    Meta,
    /// Votes, locks and the records voted for, of the epoch that is being decided.
    Votes,
    /// Settled records with their certificates, by epoch (8 bytes, big-endian).
    Chain,
}

/// One durable change. A batch of them is atomic and synced before it counts as done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Write {
    /// Where.
    pub family: Family,
    /// Key, at most 255 bytes.
    pub key: Vec<u8>,
    /// The new value, whose first byte is its format; `None` deletes.
    pub value: Option<Vec<u8>>,
}
