//! What stops an entity from settling on a member until an administrator has looked (finding 8): kept durably, for
//! good, whether it was acknowledged or not.

use serde::{Deserialize, Serialize};

use crate::hash::Hash;
use crate::identity::MemberId;
use crate::record::Link;
use crate::statement::Signed;
use crate::succession::Succession;
use crate::time::WallTime;

/// What was found. All of it was verified before it came here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Contradiction {
    /// Two statements of one author that cannot both be honest.
    Statements(Box<(Signed, Signed)>),
    /// A certificate that settles another record for an epoch that is settled here; ours is in the chain.
    Fork(Box<Link>),
    /// A member of the roster began the entity anew.
    Succession(Box<Succession>),
}

/// A contradiction as it is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Evidence {
    /// Of which entity: what was found in one does not stop its successor.
    pub entity: Hash,
    /// Of which epoch.
    pub epoch: u64,
    /// What was found.
    pub what: Contradiction,
    /// Who showed it, if not this member's own count.
    pub from: Option<MemberId>,
    /// By this member's clock.
    pub seen: WallTime,
    /// Who acknowledged it, and when.
    pub resolved: Option<(String, WallTime)>,
}

impl Evidence {
    /// Whether other evidence says nothing new: the same liar in the same epoch, the same branch, the same
    /// successor. What was acknowledged once does not stop anything again.
    pub fn covers(&self, other: &Self) -> bool {
        let same = match (&self.what, &other.what) {
            (Contradiction::Statements(mine), Contradiction::Statements(theirs)) => {
                mine.0.author == theirs.0.author
            }
            (Contradiction::Fork(mine), Contradiction::Fork(theirs)) => {
                mine.certificate.value == theirs.certificate.value
            }
            (Contradiction::Succession(mine), Contradiction::Succession(theirs)) => {
                mine.successor == theirs.successor
            }
            _ => false,
        };
        same && self.entity == other.entity && self.epoch == other.epoch
    }

    /// Whether it stops settling in this entity.
    pub fn stops(&self, entity: &Hash) -> bool {
        self.entity == *entity && self.resolved.is_none()
    }
}
