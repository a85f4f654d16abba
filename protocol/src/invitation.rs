//! Invitations: what lets the next machine in (design §10, cli.md "First run and join").
//!
//! The text holds a secret that never goes over the wire: a key pair is derived from it, the state keeps the
//! public half, and the newcomer signs its request with the secret half (finding 37).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use serde_tuple::{Deserialize_tuple, Serialize_tuple};

use crate::hash::Hash;
use crate::identity::{Identity, MemberId};
use crate::record::Genesis;
use crate::state::PROTOCOL;
use crate::statement::Address;
use crate::succession::Succession;
use crate::time::WallTime;

/// What every invitation's text begins with. One digit follows: the protocol version that the entity uses.
const PREFIX: &str = "althing";
/// RFC 4648 base 32 in lower case: no letters that look alike in most fonts, no punctuation.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const CHECKSUM: usize = 4;
/// Begins what names the entity before; 4 and 6 begin an address.
const SUCCEEDS: u8 = 1;
/// Begins the checkpoint, since protocol version 2.
const CHECKPOINT: u8 = 2;

/// A settled record that whoever made an invitation knew: a chain without it is another one (finding 36).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Checkpoint {
    /// Its epoch.
    pub epoch: u64,
    /// Its hash.
    pub record: Hash,
}

/// An invitation, as the newcomer gets it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invitation {
    /// Which entity.
    pub entity: Hash,
    /// The secret.
    pub secret: [u8; 16],
    /// When it ends, in seconds since 1970.
    pub expires: WallTime,
    /// Where members listen; the newcomer tries them in order.
    pub addresses: Vec<SocketAddr>,
    /// The entity that this one succeeds, and its last epoch: members of that one may use the invitation, too.
    pub succeeds: Option<(Hash, u64)>,
    /// The protocol version that the entity used when it was made.
    pub protocol: u32,
    /// Since protocol version 2: the head when it was made.
    pub checkpoint: Option<Checkpoint>,
}

/// Not an invitation. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvitationError {
    /// Does not begin as one.
    #[error("an invitation begins with {PREFIX}1 or {PREFIX}2")]
    Prefix,
    /// Of an entity that uses a newer protocol version than this program speaks.
    #[error(
        "this invitation is of an entity that uses protocol {0}, and this program speaks 1 to {PROTOCOL}"
    )]
    Newer(u32),
    /// A letter is wrong or missing.
    #[error("the invitation was mistyped or cut: its checksum does not hold")]
    Checksum,
}

impl Invitation {
    /// The key pair of the secret.
    pub fn identity(&self) -> Identity {
        Identity::from_seed(Hash::in_domain("althing invitation 1", &self.secret).0)
    }

    /// The text.
    pub fn encode(&self) -> String {
        let mut bytes = self.entity.0.to_vec();
        bytes.extend(self.secret);
        bytes.extend(&((self.expires.0 / 1000) as u32).to_be_bytes());
        for address in &self.addresses {
            match address.ip() {
                IpAddr::V4(ip) => bytes.extend([&[4][..], &ip.octets()].concat()),
                IpAddr::V6(ip) => bytes.extend([&[6][..], &ip.octets()].concat()),
            }
            bytes.extend(address.port().to_be_bytes());
        }
        if let Some((before, epoch)) = &self.succeeds {
            bytes.push(SUCCEEDS);
            bytes.extend(before.0);
            bytes.extend(epoch.to_be_bytes());
        }
        if let Some(checkpoint) = &self.checkpoint {
            bytes.push(CHECKPOINT);
            bytes.extend(checkpoint.epoch.to_be_bytes());
            bytes.extend(checkpoint.record.0);
        }
        let sum = Hash::of(&bytes).0;
        bytes.extend(&sum[..CHECKSUM]);
        format!("{PREFIX}{}{}", self.protocol, base32(&bytes))
    }

    /// Reads the text; white space around it is ignored.
    pub fn decode(text: &str) -> Result<Self, InvitationError> {
        let rest = text.trim().strip_prefix(PREFIX).ok_or(InvitationError::Prefix)?;
        let digit = rest.chars().next().and_then(|first| first.to_digit(10)).filter(|digit| *digit > 0);
        let protocol = digit.ok_or(InvitationError::Prefix)?;
        if protocol > PROTOCOL {
            return Err(InvitationError::Newer(protocol));
        }
        let letters = &rest[1..];
        let bytes = unbase32(letters).ok_or(InvitationError::Checksum)?;
        let cut = bytes.len().checked_sub(CHECKSUM).ok_or(InvitationError::Checksum)?;
        let (body, sum) = bytes.split_at(cut);
        if Hash::of(body).0[..CHECKSUM] != *sum {
            return Err(InvitationError::Checksum);
        }
        Self::parse(protocol, body).ok_or(InvitationError::Checksum)
    }

    fn parse(protocol: u32, body: &[u8]) -> Option<Self> {
        let (entity, rest) = body.split_first_chunk::<32>()?;
        let (secret, rest) = rest.split_first_chunk::<16>()?;
        let (seconds, mut rest) = rest.split_first_chunk::<4>()?;
        let (mut addresses, mut succeeds, mut checkpoint) = (Vec::new(), None, None);
        while let Some((kind, after)) = rest.split_first() {
            let (ip, after) = match kind {
                &SUCCEEDS => {
                    let (before, after) = after.split_first_chunk::<32>()?;
                    let (epoch, after) = after.split_first_chunk::<8>()?;
                    succeeds = Some((Hash(*before), u64::from_be_bytes(*epoch)));
                    rest = after;
                    continue;
                }
                &CHECKPOINT if protocol >= 2 => {
                    let (epoch, after) = after.split_first_chunk::<8>()?;
                    let (record, after) = after.split_first_chunk::<32>()?;
                    checkpoint =
                        Some(Checkpoint { epoch: u64::from_be_bytes(*epoch), record: Hash(*record) });
                    rest = after;
                    continue;
                }
                4 => after
                    .split_first_chunk::<4>()
                    .map(|(ip, rest)| (IpAddr::from(Ipv4Addr::from(*ip)), rest))?,
                6 => after
                    .split_first_chunk::<16>()
                    .map(|(ip, rest)| (IpAddr::from(Ipv6Addr::from(*ip)), rest))?,
                _ => return None,
            };
            let (port, after) = after.split_first_chunk::<2>()?;
            addresses.push(SocketAddr::new(ip, u16::from_be_bytes(*port)));
            rest = after;
        }
        let expires = WallTime(u64::from(u32::from_be_bytes(*seconds)) * 1000);
        let (entity, secret) = (Hash(*entity), *secret);
        Some(Self { entity, secret, expires, addresses, succeeds, protocol, checkpoint })
    }
}

fn base32(bytes: &[u8]) -> String {
    let (mut text, mut bits, mut held) = (String::new(), 0u32, 0u32);
    for byte in bytes {
        bits = (bits << 8) | u32::from(*byte);
        held += 8;
        while held >= 5 {
            held -= 5;
            text.push(char::from(ALPHABET[(bits >> held) as usize & 31]));
        }
        bits &= (1 << held) - 1;
    }
    if held > 0 {
        text.push(char::from(ALPHABET[(bits << (5 - held)) as usize & 31]));
    }
    text
}

fn unbase32(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0u32, 0u32);
    for letter in text.bytes() {
        let value = ALPHABET.iter().position(|other| *other == letter.to_ascii_lowercase())?;
        bits = (bits << 5) | value as u32;
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    (bits == 0).then_some(bytes)
}

/// A member that lets a newcomer in, and gives it the chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Sponsor {
    /// Its key.
    pub member: MemberId,
    /// Where it listens.
    pub address: Address,
}

/// What a newcomer gets when it is let in: enough to check everything that follows by itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Welcome {
    /// Its hash must be the entity of the invitation.
    pub genesis: Genesis,
    /// Whom to ask for the chain.
    pub sponsor: Sponsor,
    /// Of an entity that succeeds another one: proof for members of that one.
    pub succession: Option<Succession>,
}

/// The answer to a join request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// Admitted: ask the members for the chain.
    Welcome(Box<Welcome>),
    /// Not admitted.
    Refused(crate::control::Refusal),
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;

    fn sample(seed: u8) -> Invitation {
        let addresses = vec!["10.0.0.11:7800".parse().expect("good"), "[::1]:7800".parse().expect("good")];
        Invitation {
            entity: Hash([seed; 32]),
            secret: [seed; 16],
            expires: WallTime(1_700_000_000_000),
            addresses,
            succeeds: (seed % 2 == 1).then_some((Hash([7; 32]), u64::from(seed))),
            protocol: 1 + u32::from(seed.is_multiple_of(3)),
            checkpoint: seed
                .is_multiple_of(3)
                .then_some(Checkpoint { epoch: u64::from(seed), record: Hash([8; 32]) }),
        }
    }

    quickcheck! {
        fn text_round_trip(seed: u8) -> bool {
            Invitation::decode(&sample(seed).encode()) == Ok(sample(seed))
        }

        fn a_wrong_letter_is_noticed(seed: u8, at: usize) -> bool {
            let mut text = sample(seed).encode().into_bytes();
            let start = PREFIX.len() + 1;
            let at = start + at % (text.len() - start);
            text[at] = if text[at] == b'a' { b'b' } else { b'a' };
            Invitation::decode(&String::from_utf8_lossy(&text)) == Err(InvitationError::Checksum)
        }
    }

    #[test]
    fn other_texts_are_not_invitations() {
        assert_eq!(Invitation::decode("hello"), Err(InvitationError::Prefix));
        assert_eq!(Invitation::decode("althing1"), Err(InvitationError::Checksum));
        assert_eq!(Invitation::decode("althing1!!!!"), Err(InvitationError::Checksum));
        assert_eq!(Invitation::decode("althing"), Err(InvitationError::Prefix));
    }

    #[test]
    fn an_invitation_of_a_newer_version_says_so() {
        assert_eq!(Invitation::decode("althing3abcd"), Err(InvitationError::Newer(3)));
        // A program of version 1 answers that it begins with another digit.
        let text = sample(3).encode();
        assert!(text.starts_with("althing2"), "{text}");
    }
}
