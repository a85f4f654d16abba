//! [`struct@Hash`]: a BLAKE3 digest, the name of everything that is named by its content.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A BLAKE3 digest of 32 bytes. Bytes on the wire, `b3:<64 hex>` in JSON and on screens.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Hash(pub [u8; 32]);

impl Ord for Hash {
    fn cmp(&self, other: &Self) -> Ordering {
        in_order(&self.0, &other.0)
    }
}

impl PartialOrd for Hash {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash {
    /// The plain BLAKE3 of `bytes`: what `b3sum` prints for a file.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// BLAKE3 of `bytes` under a domain, so that a hash of one kind of thing never names another kind.
    pub fn in_domain(domain: &str, bytes: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(domain);
        hasher.update(bytes);
        Self(*hasher.finalize().as_bytes())
    }

    /// `b3:7c1e…90`: what a table has room for.
    pub fn short(&self) -> String {
        let hex = self.hex();
        format!("b3:{}…{}", &hex[..4], &hex[62..])
    }

    /// 64 lower-case hexadecimal digits.
    pub fn hex(&self) -> String {
        hex(&self.0)
    }

    /// The first eight bytes as a number, for order-independent sums of many hashes.
    pub fn low(&self) -> u64 {
        let mut eight = [0; 8];
        eight.copy_from_slice(&self.0[..8]);
        u64::from_le_bytes(eight)
    }
}

/// A hash of bytes that come in pieces.
#[derive(Clone, Debug, Default)]
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// The next bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Of all bytes so far, as [`Hash::of`] says it.
    pub fn hash(&self) -> Hash {
        Hash(*self.0.finalize().as_bytes())
    }
}

/// The order of their bytes. Maps compare names so often that a call for each is felt: eight bytes at a time are numbers.
pub(crate) fn in_order(one: &[u8; 32], other: &[u8; 32]) -> Ordering {
    let (ones, others) = (one.as_chunks::<8>().0, other.as_chunks::<8>().0);
    let differ = ones.iter().zip(others).find(|(one, other)| one != other);
    differ.map_or(Ordering::Equal, |(one, other)| u64::from_be_bytes(*one).cmp(&u64::from_be_bytes(*other)))
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |number: u8| char::from(b"0123456789abcdef"[usize::from(number)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Bytes of a string of hexadecimal digits of either case.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b3:{}", self.hex())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

/// Not a hash: `b3:` and 64 hexadecimal digits were expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a hash: expected b3: and 64 hexadecimal digits")]
pub struct NotAHash;

impl FromStr for Hash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let digits = text.strip_prefix("b3:").unwrap_or(text);
        let bytes = unhex(digits).ok_or(NotAHash)?;
        Ok(Self(bytes.try_into().map_err(|_| NotAHash)?))
    }
}

/// Serialisation of fixed arrays of bytes: a byte string in CBOR, hexadecimal in JSON.
pub(crate) fn serialize_bytes<S: Serializer>(
    bytes: &[u8],
    text: impl FnOnce() -> String,
    to: S,
) -> Result<S::Ok, S::Error> {
    // The text is made only where it is wanted: on the wire it would cost more than everything else.
    if to.is_human_readable() { to.serialize_str(&text()) } else { to.serialize_bytes(bytes) }
}

/// The inverse of [`serialize_bytes`] in CBOR: exactly `N` bytes.
pub(crate) fn deserialize_array<'de, const N: usize, D: Deserializer<'de>>(
    from: D,
) -> Result<[u8; N], D::Error> {
    from.deserialize_bytes(Bytes)
}

struct Bytes<const N: usize>;

impl<const N: usize> Visitor<'_> for Bytes<N> {
    type Value = [u8; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{N} bytes")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<[u8; N], E> {
        <[u8; N]>::try_from(bytes).map_err(|_| E::invalid_length(bytes.len(), &self))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        serialize_bytes(&self.0, || self.to_string(), to)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if from.is_human_readable() {
            return String::deserialize(from)?.parse().map_err(serde::de::Error::custom);
        }
        deserialize_array(from).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;

    quickcheck! {
        fn the_order_is_that_of_the_bytes(seed: u8, at: usize, one: u8, other: u8) -> bool {
            let (mut first, mut second) = (Hash::of(&[seed]).0, Hash::of(&[seed]).0);
            (first[at % 32], second[at % 32]) = (one, other);
            let unlike = Hash::of(&first).0;
            in_order(&first, &second) == first.cmp(&second) && in_order(&first, &unlike) == first.cmp(&unlike)
        }
    }
}
