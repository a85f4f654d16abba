//! Canonical CBOR (PROTOCOL.md W1–W3). One value has one encoding: bytes that decode but are not what we would
//! have written (longer integers, indefinite lengths, unknown or repeated fields, trailing bytes) are refused,
//! so a hash or a signature over bytes is a hash or a signature over the value.

use std::io::{self, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why bytes were not accepted. The sender is at fault; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Larger than this kind of message may be.
    #[error("{length} bytes, and at most {limit} are allowed")]
    TooLarge {
        /// What came.
        length: usize,
        /// What may come.
        limit: usize,
    },
    /// Not CBOR, or not of this type.
    #[error("malformed: {0}")]
    Malformed(String),
    /// Decodes, but is not the one canonical encoding of its value.
    #[error("not in canonical form")]
    NotCanonical,
}

/// The canonical encoding of a value.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    // Writing to a Vec cannot fail, and our types have no map keys or sizes that ciborium refuses.
    ciborium::into_writer(value, &mut bytes).expect("protocol types always encode");
    bytes
}

/// Decodes `bytes` if they are at most `limit` long and exactly what [`encode`] would write.
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, DecodeError> {
    if bytes.len() > limit {
        return Err(DecodeError::TooLarge { length: bytes.len(), limit });
    }
    let value: T = ciborium::de::from_reader_with_recursion_limit(bytes, RECURSION)
        .map_err(|error| DecodeError::Malformed(error.to_string()))?;
    let mut expected = Expected(bytes);
    match ciborium::into_writer(&value, &mut expected) {
        Ok(()) if expected.0.is_empty() => Ok(value),
        _ => Err(DecodeError::NotCanonical),
    }
}

/// Takes no bytes but these.
struct Expected<'a>(&'a [u8]);

impl Write for Expected<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.strip_prefix(bytes).ok_or(io::ErrorKind::InvalidData)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// For a field that a newer protocol version adds at the end of a tuple: left out while it has its default, so that
/// what an older version can say is still the bytes it had (PROTOCOL.md W6). One such field a tuple, a struct with
/// named fields that are left out the same way ([`is_default`]): of two, nobody could tell which one is there.
pub(crate) fn is_left_out<T: Default + PartialEq>(value: &&T) -> bool {
    is_default(*value)
}

/// For a named field that a newer protocol version adds: see [`is_left_out`].
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Deeper nesting than any of our types has.
const RECURSION: usize = 32;

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;
    use serde::Deserialize;
    use serde_tuple::{Deserialize_tuple, Serialize_tuple};

    use super::*;

    #[derive(Clone, PartialEq, Debug, Serialize_tuple, Deserialize_tuple)]
    struct Before {
        name: String,
        count: u64,
    }

    #[derive(Clone, PartialEq, Debug, Serialize_tuple, Deserialize_tuple)]
    struct Since {
        name: String,
        count: u64,
        #[serde(default, skip_serializing_if = "is_left_out")]
        later: Later,
    }

    #[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Later {
        #[serde(default, skip_serializing_if = "is_default")]
        share: u32,
        #[serde(default, skip_serializing_if = "is_default")]
        group: Option<String>,
    }

    #[test]
    fn longer_integers_and_trailing_bytes_are_refused() {
        assert_eq!(decode::<u64>(&[0x17], 9), Ok(23));
        assert_eq!(decode::<u64>(&[0x18, 0x17], 9), Err(DecodeError::NotCanonical));
        assert_eq!(decode::<u64>(&[0x17, 0x00], 9), Err(DecodeError::NotCanonical));
        assert_eq!(decode::<Vec<u64>>(&[0x9f, 0x01, 0xff], 9), Err(DecodeError::NotCanonical));
        assert!(matches!(decode::<u64>(&[0; 10], 9), Err(DecodeError::TooLarge { .. })));
    }

    #[test]
    fn what_is_left_out_must_not_be_there() {
        let plain = Since { name: "a".into(), count: 1, later: Later::default() };
        let spelt_out = encode(&("a", 1, Later::default()));
        assert_eq!(decode::<Since>(&encode(&plain), 99), Ok(plain));
        assert_eq!(decode::<Since>(&spelt_out, 99), Err(DecodeError::NotCanonical));
    }

    quickcheck! {
        fn a_default_at_the_end_is_the_bytes_of_the_version_before(name: String, count: u64) -> bool {
            let before = encode(&Before { name: name.clone(), count });
            let since = Since { name, count, later: Later::default() };
            encode(&since) == before && decode(&before, usize::MAX) == Ok(since)
        }

        fn what_is_added_comes_back(name: String, share: u32, group: Option<String>) -> bool {
            let since = Since { name, count: 7, later: Later { share, group } };
            let new = since.later != Later::default();
            let bytes = encode(&since);
            decode::<Before>(&bytes, usize::MAX).is_err() == new && decode(&bytes, usize::MAX) == Ok(since)
        }

        fn round_trip(value: (u64, String, Vec<Option<i32>>)) -> bool {
            decode(&encode(&value), usize::MAX) == Ok(value)
        }

        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) -> bool {
            match decode::<(u64, String, Vec<Option<i32>>)>(&bytes, 1 << 20) {
                Ok(value) => encode(&value) == bytes,
                Err(_) => true,
            }
        }
    }
}
