//! What keeps a member from doing its part of the work: found by its host, said by itself in its report, and so
//! shown on every member (design §7).

use serde::{Deserialize, Serialize};

use crate::explain::Condition;

/// A kind of trouble. Each is critical, and each is over by itself once its cause is gone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Trouble {
    /// The disk of the member's own directory takes no more content, or nothing at all.
    DiskFull,
    /// The trash of an application takes no more, so nothing is repaired (finding 38).
    TrashFull,
    /// The file system that an application lies on is not mounted (finding 40).
    RootVanished,
    /// An application's tree cannot be read as a whole.
    TreeUnreadable,
    /// An application could not be brought to what is settled.
    ApplyFails,
    /// Some of an application's owners or extended attributes cannot be given by the member (finding 26).
    OutOfReach,
}

impl Trouble {
    /// Every kind there is.
    pub const ALL: [Self; 6] = [
        Self::DiskFull,
        Self::TrashFull,
        Self::RootVanished,
        Self::TreeUnreadable,
        Self::ApplyFails,
        Self::OutOfReach,
    ];

    /// Names it in `status`, `why` and `check`.
    pub fn condition(self) -> Condition {
        match self {
            Self::DiskFull => Condition::DiskFull,
            Self::TrashFull => Condition::TrashFull,
            Self::RootVanished => Condition::RootVanished,
            Self::TreeUnreadable => Condition::TreeUnreadable,
            Self::ApplyFails => Condition::LocalError,
            Self::OutOfReach => Condition::OutOfReach,
        }
    }

    /// What it means, said of a member.
    pub fn text(self) -> &'static str {
        match self {
            Self::DiskFull => "has no room left in its own directory",
            Self::TrashFull => "has a full trash and repairs nothing",
            Self::RootVanished => "does not find the file system of an application",
            Self::TreeUnreadable => "cannot read an application's tree",
            Self::ApplyFails => "could not bring an application to what is settled",
            Self::OutOfReach => {
                "cannot give files of an application the owners or attributes that were settled"
            }
        }
    }
}

/// One trouble, with what its host says of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Troubled {
    /// Which kind.
    pub trouble: Trouble,
    /// What happened, with the path, for people.
    pub text: String,
}

impl Troubled {
    /// A trouble and its story.
    pub fn new(trouble: Trouble, text: impl Into<String>) -> Self {
        Self { trouble, text: text.into() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        let names: BTreeSet<_> = Trouble::ALL.iter().map(|trouble| trouble.condition().name()).collect();
        assert_eq!(names.len(), Trouble::ALL.len());
    }
}
