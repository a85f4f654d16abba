//! Who counts, who did, and what contradicts itself.

use serde::{Deserialize, Serialize};

use super::AuthorityView;
use crate::governance::QuorumRule;
use crate::hash::Hash;

/// `althing.roster/1`: who counts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RosterView {
    /// The entity's name.
    pub entity: String,
    /// Its id.
    pub id: Hash,
    /// Settled records.
    pub epoch: u64,
    /// The newest settled record.
    pub head: Hash,
    /// Epoch of the last change of the roster.
    pub roster_epoch: u64,
    /// Members that vote.
    pub voters: u64,
    /// Votes that settle.
    pub majority: u64,
    /// By which rule.
    #[serde(default)]
    pub quorum: QuorumRule,
    /// Whose word changes need.
    pub authority: AuthorityView,
    /// Voters that can be reached.
    pub reachable: u64,
    /// In the order of the failover hierarchy.
    pub members: Vec<RosterMember>,
    /// Who was in it, oldest first.
    pub past: Vec<PastView>,
    /// The entity that this one succeeds.
    pub origin: Option<OriginView>,
    /// What was found that contradicts what was settled, oldest first.
    pub evidence: Vec<EvidenceView>,
    /// What people should know of a roster like this one.
    pub notes: Vec<String>,
}

/// A member in the roster.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RosterMember {
    /// 1 acts for the entity if it can be reached, else 2…
    pub place: u64,
    /// Its name.
    pub name: String,
    /// Its PeerId.
    pub id: String,
    /// `voter` or `learner`.
    pub role: String,
    /// The store that counts.
    pub store: String,
    /// The epoch that admitted or re-admitted it.
    pub since: u64,
    /// Whether it is heard.
    pub reachable: bool,
    /// It asks to be re-admitted.
    pub asks: bool,
}

/// Somebody who was a member.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PastView {
    /// Its last name.
    pub name: String,
    /// Its PeerId.
    pub id: String,
    /// The epoch that removed it.
    pub until: u64,
    /// It is to come over from the entity before, and has not yet.
    pub awaited: bool,
}

/// The entity before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OriginView {
    /// Its id.
    pub id: Hash,
    /// Its last epoch.
    pub epoch: u64,
    /// The record of that.
    pub head: Hash,
}

/// Something that was found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EvidenceView {
    /// One line.
    pub text: String,
    /// Of which epoch.
    pub epoch: u64,
    /// RFC 3339.
    pub seen: String,
    /// Who showed it, if not this member's own count.
    pub from: Option<String>,
    /// Who acknowledged it.
    pub resolved_by: Option<String>,
}

/// `althing.roster-history/1`: the epochs that changed the roster, newest first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RosterHistory {
    /// Changes.
    pub changes: Vec<RosterChange>,
}

/// One change of the roster.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RosterChange {
    /// The epoch that settled it.
    pub epoch: u64,
    /// RFC 3339, by the originator's clock.
    pub at: String,
    /// `founded`, `recovered`, `admitted`, `counts`, `re-admitted`, `removed`, `moved`
    pub what: String,
    /// Which member.
    pub member: String,
    /// Who asked.
    pub by: String,
    /// On which member.
    pub from: String,
}
