//! How members handle the tree of an application on their disks: part of its definition, the same on every member.

use serde::{Deserialize, Serialize};

use crate::codec;

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
}

impl Handling {
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
        let both = self.switching == Switching::Release && !unmanaged.is_empty();
        both.then_some(
            "unmanaged paths in releases: they would stay behind in the tree before at every switch",
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
            let handling = Handling { switching };
            let bytes = codec::encode(&handling);
            assert_eq!(codec::decode::<Handling>(&bytes, 1000), Ok(handling));
            assert_eq!(Switching::parse(switching.name()), Some(switching));
        }
    }
}
