//! [`ItemPath`]: where an item lies below its application's root; never outside it, whatever a peer says.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits;

/// A relative path of raw bytes: components joined by `/`, none of them empty, `.` or `..`, no NUL.
/// The empty path is the application's root itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ItemPath(Vec<u8>);

/// Why bytes are not a path below an application's root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A component is empty, `.` or `..`, or holds a NUL or a slash.
    #[error("a path component is empty, `.`, `..`, or holds a NUL or slash")]
    Component,
    /// A component or the whole is longer than file systems take.
    #[error("the path or a component of it is too long")]
    TooLong,
}

impl ItemPath {
    /// The application's root.
    pub fn root() -> Self {
        Self::default()
    }

    /// Checks `bytes`.
    pub fn new(bytes: &[u8]) -> Result<Self, PathError> {
        if bytes.is_empty() {
            return Ok(Self::root());
        }
        if bytes.len() > limits::PATH_BYTES {
            return Err(PathError::TooLong);
        }
        if bytes.split(|byte| *byte == b'/').count() > limits::PATH_DEPTH {
            return Err(PathError::TooLong);
        }
        bytes.split(|byte| *byte == b'/').try_for_each(check_name)?;
        Ok(Self(bytes.to_vec()))
    }

    /// This path and one component more.
    pub fn join(&self, name: &[u8]) -> Result<Self, PathError> {
        check_name(name)?;
        let mut bytes = self.0.clone();
        if !bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend(name);
        Self::new(&bytes)
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The components, from the root downward.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/').filter(|name| !name.is_empty())
    }

    /// The directory this lies in and its name there; `None` for the root.
    pub fn split(&self) -> Option<(Self, &[u8])> {
        if self.0.is_empty() {
            return None;
        }
        match self.0.iter().rposition(|byte| *byte == b'/') {
            Some(at) => Some((Self(self.0[..at].to_vec()), &self.0[at + 1..])),
            None => Some((Self::root(), &self.0)),
        }
    }

    /// Whether it is this path or lies below it.
    pub fn lies_in(&self, above: &Self) -> bool {
        let rest = self.0.strip_prefix(above.0.as_slice());
        rest.is_some_and(|rest| rest.is_empty() || above.is_root() || rest[0] == b'/')
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// As text, with U+FFFD for what is not UTF-8.
    pub fn lossy(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

/// One component: not empty, not `.` or `..`, no `/`, no NUL, at most 255 bytes.
pub fn check_name(name: &[u8]) -> Result<(), PathError> {
    if name.is_empty() || name == b"." || name == b".." || name.iter().any(|byte| matches!(byte, 0 | b'/')) {
        return Err(PathError::Component);
    }
    if name.len() > limits::NAME_BYTES { Err(PathError::TooLong) } else { Ok(()) }
}

impl fmt::Debug for ItemPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.lossy())
    }
}

impl Serialize for ItemPath {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        crate::hash::serialize_bytes(&self.0, || self.lossy(), to)
    }
}

impl<'de> Deserialize<'de> for ItemPath {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let bytes = if from.is_human_readable() {
            String::deserialize(from)?.into_bytes()
        } else {
            serde_bytes::ByteBuf::deserialize(from)?.into_vec()
        };
        Self::new(&bytes).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_never_leave_the_root() {
        for bad in ["/etc", "a//b", "..", "a/../b", "./a", "a/", "a\0b", "a/."] {
            assert!(ItemPath::new(bad.as_bytes()).is_err(), "{bad:?}");
        }
        let long = "x".repeat(256);
        assert_eq!(ItemPath::new(long.as_bytes()), Err(PathError::TooLong));
        let path = ItemPath::new(b"a/b/c").expect("a good path");
        assert_eq!(path.split().expect("not the root").0, ItemPath::new(b"a/b").expect("a good path"));
        assert_eq!(path.components().count(), 3);
        assert!(ItemPath::root().join(b"a").expect("good").join(b"..").is_err());
    }
}
