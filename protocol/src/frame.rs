//! What is in one direction of a stream between members, beside bulk streams: a length and one [`Frame`] (PROTOCOL.md §6).

use serde::{Deserialize, Serialize};

use crate::codec::{self, DecodeError};

/// What a frame adds around its body (the name of its variant, the head of a byte string), generously.
pub const OVERHEAD: usize = 64;

/// What one side says on a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Frame {
    /// The first thing on a connection between members: are we peers on your side, too?
    Hello,
    /// Bytes whose meaning is not the network's.
    Body(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Yes, we are peers; or: the control message has reached the daemon's queue.
    Taken,
    /// The request was not answered.
    Declined(Declined),
}

/// Why a request was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Declined {
    /// Too many wait already, or the asker asks too much.
    Busy,
    /// The daemon gave no answer.
    Unanswered,
    /// The answer would be larger than the limit.
    TooLarge(u64),
}

impl Frame {
    /// Canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Decodes what came after a length, if its body is at most `body` long.
    pub fn decode(bytes: &[u8], body: usize) -> Result<Self, DecodeError> {
        codec::decode(bytes, body + OVERHEAD)
    }
}
