//! Who said what: member keys and signed statements.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hash::{deserialize_array, in_order, serialize_bytes};

/// A member's name for the protocol: its Ed25519 public key. Shown as the libp2p `PeerId` of the same key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MemberId(pub [u8; 32]);

impl Ord for MemberId {
    fn cmp(&self, other: &Self) -> Ordering {
        in_order(&self.0, &other.0)
    }
}

impl PartialOrd for MemberId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What a libp2p `PeerId` of an Ed25519 key starts with: identity multihash, 36 bytes, protobuf key type 1, 32 bytes.
const PEER_ID_PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = PEER_ID_PREFIX.to_vec();
        bytes.extend(self.0);
        f.write_str(&bs58::encode(bytes).into_string())
    }
}

impl fmt::Debug for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.to_string();
        write!(f, "…{}", &text[text.len() - 6..])
    }
}

/// Not a member's id: the base58 `PeerId` of an Ed25519 key was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a member id: expected the PeerId of an Ed25519 key, 12D3KooW…")]
pub struct NotAMemberId;

impl FromStr for MemberId {
    type Err = NotAMemberId;

    fn from_str(text: &str) -> Result<Self, NotAMemberId> {
        let bytes = bs58::decode(text).into_vec().map_err(|_| NotAMemberId)?;
        let key = bytes.strip_prefix(&PEER_ID_PREFIX[..]).ok_or(NotAMemberId)?;
        Ok(Self(key.try_into().map_err(|_| NotAMemberId)?))
    }
}

impl Serialize for MemberId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        serialize_bytes(&self.0, || self.to_string(), to)
    }
}

impl<'de> Deserialize<'de> for MemberId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if from.is_human_readable() {
            return String::deserialize(from)?.parse().map_err(serde::de::Error::custom);
        }
        deserialize_array(from).map(Self)
    }
}

/// An Ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignatureBytes(pub [u8; 64]);

impl fmt::Debug for SignatureBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sig:{}", crate::hash::hex(&self.0[..4]))
    }
}

impl Serialize for SignatureBytes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        serialize_bytes(&self.0, || crate::hash::hex(&self.0), to)
    }
}

impl<'de> Deserialize<'de> for SignatureBytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        deserialize_array(from).map(Self)
    }
}

/// What signing and verifying costs. The simulator may ask for a keyed hash instead of Ed25519: 50 times faster,
/// and as good among simulated members that do not attack the signature itself (gossip-and-simulation.md §4.3).
#[derive(Clone, Copy, Debug)]
pub enum Scheme {
    /// Real signatures.
    Ed25519,
    /// Real signatures, looked at by the host in its own way, with the answers of [`is_signed`]: in the simulator all
    /// members are one process, and it need not look at a signature once for each.
    Ed25519By(Look),
    /// A keyed BLAKE3 of the public key: for simulations only.
    SimulatedHash,
}

/// Whether a key signed this message, in its domain, with this signature.
pub type Look = fn(MemberId, &[u8], &SignatureBytes) -> bool;

/// A member's (or an invitation's) secret key.
#[derive(Clone)]
pub struct Identity {
    key: SigningKey,
    id: MemberId,
    scheme: Scheme,
}

impl Identity {
    /// The key of this 32-byte seed.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let key = SigningKey::from_bytes(&seed);
        let id = MemberId(key.verifying_key().to_bytes());
        Self { key, id, scheme: Scheme::Ed25519 }
    }

    /// The same key, signing with the simulator's stand-in.
    #[must_use]
    pub fn simulated(mut self) -> Self {
        self.scheme = Scheme::SimulatedHash;
        self
    }

    /// The same key, with the host's own way to look at the signatures of others.
    #[must_use]
    pub fn looking(mut self, look: Look) -> Self {
        self.scheme = Scheme::Ed25519By(look);
        self
    }

    /// The public half.
    pub fn id(&self) -> MemberId {
        self.id
    }

    /// How this identity signs, and expects others to have signed.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Signs `bytes` for one purpose; a signature for one `domain` is worthless in every other.
    pub fn sign(&self, domain: &str, bytes: &[u8]) -> SignatureBytes {
        match self.scheme {
            Scheme::Ed25519 | Scheme::Ed25519By(_) => {
                SignatureBytes(self.key.sign(&in_domain(domain, bytes)).to_bytes())
            }
            Scheme::SimulatedHash => stand_in(self.id, domain, bytes),
        }
    }
}

impl fmt::Debug for Identity {
    /// Never the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({:?})", self.id)
    }
}

fn in_domain(domain: &str, bytes: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(domain.len() + 1 + bytes.len());
    message.extend(domain.as_bytes());
    message.push(0);
    message.extend(bytes);
    message
}

fn stand_in(id: MemberId, domain: &str, bytes: &[u8]) -> SignatureBytes {
    let mut hasher = blake3::Hasher::new_keyed(&id.0);
    hasher.update(domain.as_bytes()).update(&[0]).update(bytes);
    let mut out = [0; 64];
    out[..32].copy_from_slice(hasher.finalize().as_bytes());
    SignatureBytes(out)
}

/// Whether a signature of a scheme holds for one purpose.
pub fn verify(scheme: Scheme, id: MemberId, domain: &str, bytes: &[u8], signature: &SignatureBytes) -> bool {
    match scheme {
        Scheme::SimulatedHash => stand_in(id, domain, bytes) == *signature,
        Scheme::Ed25519 => is_signed(id, &in_domain(domain, bytes), signature),
        Scheme::Ed25519By(look) => look(id, &in_domain(domain, bytes), signature),
    }
}

/// Strict single verification: every member must agree on what is valid, so no batch and no cofactor
/// (dependencies.md §5).
pub fn is_signed(id: MemberId, message: &[u8], signature: &SignatureBytes) -> bool {
    let signature = Signature::from_bytes(&signature.0);
    VerifyingKey::from_bytes(&id.0).is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn member_id_is_the_peer_id_of_the_key() {
        let id = Identity::from_seed([7; 32]).id();
        let text = id.to_string();
        assert!(text.starts_with("12D3KooW"), "{text}");
        assert_eq!(text.parse(), Ok(id));
        assert_eq!("12D3".parse::<MemberId>(), Err(NotAMemberId));
    }

    #[test]
    fn a_signature_holds_for_its_domain_bytes_and_key_only() {
        let plain = || Identity::from_seed([1; 32]);
        for identity in [plain(), plain().simulated(), plain().looking(is_signed)] {
            let other = Identity::from_seed([2; 32]).id();
            let signature = identity.sign("a", b"x");
            assert!(verify(identity.scheme(), identity.id(), "a", b"x", &signature));
            assert!(!verify(identity.scheme(), identity.id(), "b", b"x", &signature));
            assert!(!verify(identity.scheme(), identity.id(), "a", b"y", &signature));
            assert!(!verify(identity.scheme(), other, "a", b"x", &signature));
        }
    }

    #[test]
    fn a_key_of_small_order_signs_nothing() {
        // The neutral point as key and as nonce, and zero: the equation without a cofactor holds for every message.
        let neutral = std::array::from_fn(|at| u8::from(at == 0));
        let mut signature = [0; 64];
        signature[0] = 1;
        let key = VerifyingKey::from_bytes(&neutral).expect("a point of the curve");
        let lax = ed25519_dalek::Verifier::verify(&key, b"anything", &Signature::from_bytes(&signature));
        assert!(lax.is_ok(), "others take it: {lax:?}");
        assert!(!is_signed(MemberId(neutral), b"anything", &SignatureBytes(signature)));
    }
}
