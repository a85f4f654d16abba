//! How members handle the tree of an application on their disks: part of its definition, the same on every member.

use serde::{Deserialize, Serialize};

use crate::attributes::{Attributes, is_extended};
use crate::codec;
use crate::limits;
use crate::manifest::Item;

/// What the directory of an application's releases is called: the root's name and this.
pub const RELEASES: &str = ".releases";

/// How another revision comes into force on a member (finding 27).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Switching {
    /// Item by item in one tree: each is replaced in one step, the tree is not.
    #[default]
    #[serde(rename = "in-place")]
    InPlace,
    /// As a whole: complete trees lie beside the root, which is a symbolic link to one of them.
    #[serde(rename = "release")]
    Release,
}

impl Switching {
    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::InPlace => "in-place",
            Self::Release => "release",
        }
    }

    /// From what people write.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::InPlace, Self::Release].into_iter().find(|switching| switching.name() == text)
    }
}

/// How a tree is handled. What has its default is not encoded, so that more can be added.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handling {
    /// How another revision comes into force.
    #[serde(default, skip_serializing_if = "codec::is_default")]
    pub switching: Switching,
    /// Whether owners and groups are settled, by name.
    #[serde(default, skip_serializing_if = "codec::is_default")]
    pub owners: bool,
    /// Patterns of the extended attributes that are settled ([`is_xattr_pattern`]).
    #[serde(default, skip_serializing_if = "codec::is_default")]
    pub xattrs: Vec<String>,
}

/// Extended attributes that may be asked for beside those of `user.`: what a file may do, and who may use it.
const SYSTEM_XATTRS: [&str; 3] =
    ["security.capability", "system.posix_acl_access", "system.posix_acl_default"];

/// Whether an application may ask for extended attributes so: one by its name, or all of one beginning, as `user.mime.*`.
pub fn is_xattr_pattern(pattern: &str) -> bool {
    let begins = pattern.strip_suffix('*').unwrap_or(pattern);
    let of_users = begins.starts_with("user.") && (begins.len() > 5 || pattern.ends_with('*'));
    SYSTEM_XATTRS.contains(&pattern) || (of_users && is_extended(begins) && !begins.contains('*'))
}

impl Handling {
    /// Whether anything is asked for beside kind, mode and content of items.
    pub fn asks(&self) -> bool {
        self.owners || !self.xattrs.is_empty()
    }

    /// Whether this extended attribute is asked for.
    pub fn asks_for(&self, name: &str) -> bool {
        self.xattrs.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(begins) => name.starts_with(begins),
            None => name == pattern,
        })
    }

    /// Whether an item says exactly what is asked for: neither less nor more could ever be made so.
    pub fn is_answered(&self, item: &Item) -> bool {
        let Attributes { owner, group, extended } = item.attributes();
        owner.is_some() == self.owners
            && group.is_some() == self.owners
            && extended.keys().all(|name| self.asks_for(name))
    }

    /// Every path on a member's disk that is the application's, its root first.
    pub fn places(&self, root: &str) -> Vec<String> {
        let mut places = vec![root.to_owned()];
        if self.switching == Switching::Release {
            places.push(format!("{root}{RELEASES}"));
        }
        places
    }

    /// Why an application cannot be handled so that leaves these paths alone, if it cannot.
    pub fn against(&self, unmanaged: &[String]) -> Option<&'static str> {
        if self.switching == Switching::Release && !unmanaged.is_empty() {
            return Some(
                "unmanaged paths in releases: they would stay behind in the tree before at every switch",
            );
        }
        if self.xattrs.len() > limits::XATTR_PATTERNS {
            return Some("so many patterns of extended attributes: 16 are the most");
        }
        let all_good = self.xattrs.iter().all(|pattern| is_xattr_pattern(pattern));
        (!all_good).then_some(
            "extended attributes other than user.*, security.capability, system.posix_acl_access and \
             system.posix_acl_default",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_takes_no_place_and_every_other_survives() {
        assert_eq!(codec::encode(&Handling::default()), [0xa0], "an empty map");
        for switching in [Switching::InPlace, Switching::Release] {
            let handling = Handling { switching, ..Handling::default() };
            let bytes = codec::encode(&handling);
            assert_eq!(codec::decode::<Handling>(&bytes, 1000), Ok(handling));
            assert_eq!(Switching::parse(switching.name()), Some(switching));
        }
        let handling = Handling { owners: true, xattrs: vec!["user.*".into()], ..Handling::default() };
        assert_eq!(codec::decode(&codec::encode(&handling), 1000), Ok(handling));
    }

    #[test]
    fn only_attributes_that_mean_the_same_everywhere_can_be_asked_for() {
        for good in ["user.*", "user.mime", "user.a.*", "security.capability", "system.posix_acl_access"] {
            let handling = Handling { xattrs: vec![good.into()], ..Handling::default() };
            assert_eq!(handling.against(&[]), None, "{good}");
        }
        for bad in [
            "",
            "*",
            "user.",
            "user",
            "users.*",
            "user.*.a",
            "user.**",
            "trusted.*",
            "security.*",
            "system.nfs4_acl",
            "user.\n",
        ] {
            let handling = Handling { xattrs: vec![bad.into()], ..Handling::default() };
            assert!(handling.against(&[]).is_some(), "{bad}");
        }
        let handling =
            Handling { xattrs: vec!["user.*".into(); limits::XATTR_PATTERNS + 1], ..Handling::default() };
        assert!(handling.against(&[]).is_some());
    }

    #[test]
    fn an_item_answers_what_is_asked_for_and_nothing_else() {
        let owned = Attributes::owned("root", "root");
        let tagged = Attributes {
            extended: [("user.tag".into(), serde_bytes::ByteBuf::new())].into(),
            ..owned.clone()
        };
        let of = |attributes: &Attributes| Item::Directory { mode: 0o755, attributes: attributes.clone() };
        let nothing = Handling::default();
        let owners = Handling { owners: true, ..Handling::default() };
        let tags = Handling { xattrs: vec!["user.t*".into()], ..owners.clone() };
        let answered = |handling: &Handling| {
            [&Attributes::default(), &owned, &tagged].map(|attributes| handling.is_answered(&of(attributes)))
        };
        assert_eq!(answered(&nothing), [true, false, false]);
        assert_eq!(answered(&owners), [false, true, false]);
        assert_eq!(answered(&tags), [false, true, true]);
    }
}
