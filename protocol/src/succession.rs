//! A new entity in the place of one that lost its majority for good (finding 7, design §5.2.11). The old chain is
//! never continued without a quorum: a survivor founds a new entity, whose genesis says where it comes from, and
//! whoever still is in the old one and learns of it goes mute.

use std::collections::BTreeMap;

use serde_tuple::{Deserialize_tuple, Serialize_tuple};

use crate::codec;
use crate::hash::Hash;
use crate::identity::{Identity, MemberId, Scheme, SignatureBytes, verify};
use crate::state::{Application, PastMember};

/// Where an entity comes from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Origin {
    /// The entity before.
    pub entity: Hash,
    /// Its last epoch, by what the founder knew; the new chain counts on from there.
    pub epoch: u64,
    /// The record of that epoch.
    pub head: Hash,
    /// Hash of the state it led to.
    pub state: Hash,
    /// Members of the old roster that are to come over, under the names they had. The founder is one of them.
    pub kept: Vec<(MemberId, String)>,
}

/// What an entity takes over from the one before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Inheritance {
    /// From where.
    pub origin: Origin,
    /// Everybody who was in the old entity, but for the founder.
    pub past: Vec<PastMember>,
    /// The applications with their kept revisions, without windows.
    pub applications: BTreeMap<String, Application>,
}

/// A member's signed word that it began its entity anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Succession {
    /// The entity that ends.
    pub entity: Hash,
    /// Its last epoch, by what the founder knew.
    pub epoch: u64,
    /// The record of that epoch.
    pub head: Hash,
    /// The entity that begins.
    pub successor: Hash,
    /// Who began it: a member of the old roster.
    pub by: MemberId,
    /// By that member, over all of it.
    pub signature: SignatureBytes,
}

const DOMAIN: &str = "althing succession 1";

impl Succession {
    /// Signs.
    pub fn sign(origin: &Origin, successor: Hash, own: &Identity) -> Self {
        let Origin { entity, epoch, head, .. } = *origin;
        let signature = own.sign(DOMAIN, &codec::encode(&(entity, epoch, head, successor)));
        Self { entity, epoch, head, successor, by: own.id(), signature }
    }

    /// Whether the signature holds.
    pub fn holds(&self, scheme: Scheme) -> bool {
        let bytes = codec::encode(&(self.entity, self.epoch, self.head, self.successor));
        verify(scheme, self.by, DOMAIN, &bytes, &self.signature)
    }
}
