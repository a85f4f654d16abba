//! A new entity in the place of one that lost its majority for good (finding 7, design §5.2.11). The old chain is
//! never continued without a quorum: a survivor founds a new entity, whose genesis says where it comes from, and
//! whoever still is in the old one and learns of it goes mute.

use std::collections::{BTreeMap, BTreeSet};

use serde_tuple::{Deserialize_tuple, Serialize_tuple};

use crate::codec::{self, DecodeError};
use crate::governance::{Authority, OperatorKey};
use crate::hash::Hash;
use crate::identity::{Identity, MemberId, Scheme, SignatureBytes, verify};
use crate::limits;
use crate::order::{Approval, Tally};
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
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
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
    /// Of the [`Warrant`], by operators of the entity that ends. Since protocol version 2.
    #[serde(default, skip_serializing_if = "codec::is_left_out")]
    pub approvals: Vec<Approval>,
}

/// What operators sign so that one member may begin their entity anew, from what it knows of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Warrant {
    /// The entity that ends.
    pub entity: Hash,
    /// Its last epoch.
    pub epoch: u64,
    /// The record of that epoch.
    pub head: Hash,
    /// Who may begin it anew.
    pub by: MemberId,
}

const DOMAIN: &str = "althing succession 1";
const WARRANT: &str = "althing warrant 1";

impl Warrant {
    /// The bytes that are signed.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Decodes; does not judge.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(bytes, limits::STATEMENT_BYTES)
    }

    /// Signs with an operator's key.
    pub fn sign(&self, operator: &Identity) -> Approval {
        let signature = operator.sign(WARRANT, &self.encode());
        Approval { key: OperatorKey(operator.id().0), signature }
    }

    /// How many signatures it needs under an authority, and has: of distinct operators, each good.
    pub fn tally(&self, authority: &Authority, approvals: &[Approval], scheme: Scheme) -> Tally {
        let Some(operators) = authority.operators() else { return Tally { have: 0, need: 0 } };
        let bytes = self.encode();
        let good = |approval: &&Approval| {
            operators.with(&approval.key).is_some()
                && verify(scheme, MemberId(approval.key.0), WARRANT, &bytes, &approval.signature)
        };
        let listed = approvals.iter().take(limits::OPERATORS).filter(good);
        let keys: BTreeSet<OperatorKey> = listed.map(|approval| approval.key).collect();
        Tally { have: u32::try_from(keys.len()).unwrap_or(u32::MAX), need: operators.needed }
    }
}

impl Succession {
    /// Signs.
    pub fn sign(origin: &Origin, successor: Hash, approvals: Vec<Approval>, own: &Identity) -> Self {
        let Origin { entity, epoch, head, .. } = *origin;
        let signature = own.sign(DOMAIN, &codec::encode(&(entity, epoch, head, successor)));
        Self { entity, epoch, head, successor, by: own.id(), signature, approvals }
    }

    /// Whether the signature holds.
    pub fn holds(&self, scheme: Scheme) -> bool {
        let bytes = codec::encode(&(self.entity, self.epoch, self.head, self.successor));
        verify(scheme, self.by, DOMAIN, &bytes, &self.signature)
    }

    /// Whether the operators that govern the entity that ends, if there are any, have signed it (finding 6).
    pub fn is_warranted(&self, authority: &Authority, scheme: Scheme) -> bool {
        let Self { entity, epoch, head, by, .. } = *self;
        Warrant { entity, epoch, head, by }.tally(authority, &self.approvals, scheme).is_enough()
    }
}
