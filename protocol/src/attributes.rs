//! Owner, group and extended attributes of an item: part of a manifest where the application asks for them
//! ([`crate::handling::Handling`]), and of no byte of it where not (finding 26).
//!
//! Owners go by name: numbers differ between machines. An owner without a name on the member that looked is `#` and its
//! number.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::codec;
use crate::limits;

/// What is said of an item beside its kind, mode and content. The default says nothing and is not encoded.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attributes {
    /// Name of the user that owns it.
    #[serde(default, skip_serializing_if = "codec::is_default")]
    pub owner: Option<Box<str>>,
    /// Name of its group.
    #[serde(default, skip_serializing_if = "codec::is_default")]
    pub group: Option<Box<str>>,
    /// Extended attributes by name, with their bytes.
    #[serde(default, skip_serializing_if = "codec::is_default")]
    pub extended: BTreeMap<Box<str>, ByteBuf>,
}

impl Attributes {
    /// Of an owner and a group.
    pub fn owned(owner: &str, group: &str) -> Self {
        Self { owner: Some(owner.into()), group: Some(group.into()), ..Self::default() }
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether every name and value is one that a system can have.
    pub fn is_within_bounds(&self) -> bool {
        let owners = [&self.owner, &self.group].into_iter().flatten().all(|name| is_owner(name));
        let bytes: usize = self.extended.values().map(|value| value.len()).sum();
        owners
            && self.extended.len() <= limits::XATTRS
            && bytes <= limits::XATTR_BYTES
            && self.extended.keys().all(|name| is_extended(name))
    }
}

/// Whether a user or a group may be called so: as their files can say it, and nothing that means something on a screen.
pub fn is_owner(name: &str) -> bool {
    let plain = |letter: char| !letter.is_control() && !matches!(letter, ':' | '/');
    !name.is_empty() && name.len() <= limits::OWNER_BYTES && name.chars().all(plain)
}

/// Whether an extended attribute may be called so.
pub fn is_extended(name: &str) -> bool {
    !name.is_empty() && name.len() <= limits::NAME_BYTES && !name.chars().any(char::is_control)
}

#[cfg(test)]
pub(crate) mod tests {
    use quickcheck::{Arbitrary, Gen, quickcheck};

    use super::*;

    impl Arbitrary for Attributes {
        fn arbitrary(g: &mut Gen) -> Self {
            if bool::arbitrary(g) {
                return Self::default();
            }
            let mut name = || g.choose(&["root", "www-data", "#1007"]).map(|name| Box::from(*name));
            let (owner, group) = (name(), name());
            let extended = (0..u8::arbitrary(g) % 3)
                .map(|at| (format!("user.a{at}").into(), ByteBuf::from(Vec::<u8>::arbitrary(g))))
                .collect();
            Self { owner, group, extended }
        }
    }

    quickcheck! {
        fn attributes_survive_their_bytes(attributes: Attributes) -> bool {
            codec::decode(&codec::encode(&attributes), usize::MAX) == Ok(attributes)
        }
    }

    #[test]
    fn names_and_values_have_bounds() {
        assert!(Attributes::owned("www-data", "#33").is_within_bounds());
        assert!(Attributes::owned("DOMAIN\\ada", "domain users").is_within_bounds());
        for bad in ["", "a:b", "a/b", "a\nb", "\u{9b}1m", &"x".repeat(limits::OWNER_BYTES + 1)] {
            assert!(!Attributes::owned(bad, "root").is_within_bounds(), "{bad:?}");
            assert!(!Attributes::owned("root", bad).is_within_bounds(), "{bad:?}");
        }
        let with = |number: usize, bytes: usize| Attributes {
            extended: (0..number)
                .map(|at| (format!("user.{at}").into(), ByteBuf::from(vec![0; bytes])))
                .collect(),
            ..Attributes::default()
        };
        assert!(
            with(limits::XATTRS, 1).is_within_bounds() && with(1, limits::XATTR_BYTES).is_within_bounds()
        );
        assert!(!with(limits::XATTRS + 1, 1).is_within_bounds());
        assert!(!with(1, limits::XATTR_BYTES + 1).is_within_bounds());
        for bad in ["", "user.\0", &"u".repeat(limits::NAME_BYTES + 1)] {
            let extended = [(bad.into(), ByteBuf::new())].into();
            assert!(!Attributes { extended, ..Attributes::default() }.is_within_bounds(), "{bad:?}");
        }
    }
}
