//! Documents of those who look further: into the chain, and through the eyes of other members.

use serde::{Deserialize, Serialize};

use super::Health;
use crate::hash::Hash;

/// `althing.audit/1`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Audit {
    /// Settled changes, oldest first.
    pub entries: Vec<AuditEntry>,
    /// What was checked, if that was asked for.
    pub verified: Option<Verified>,
}

/// A settled change: who had it settled, when and where.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AuditEntry {
    /// The record that settled it.
    pub epoch: u64,
    /// RFC 3339, by the clock of the member that was asked.
    pub at: String,
    /// Who asked, as that member's host told it.
    pub by: String,
    /// The member that was asked, and signed.
    pub from: String,
    /// `commit`, `take-out`…
    pub change: String,
    /// The application it is about.
    pub application: Option<String>,
    /// The member it is about.
    pub member: Option<String>,
    /// For people.
    pub text: String,
    /// The operators that signed it.
    #[serde(default)]
    pub signed_by: Vec<String>,
}

/// What an audit checked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Verified {
    /// The entity's id, where it began.
    pub genesis: Hash,
    /// Records whose signatures, parents, changes and resulting states hold.
    pub records: u64,
    /// Signatures of voters that were checked.
    pub votes: u64,
    /// The last record.
    pub head: Hash,
    /// Whether the state that results is the one in force on this member.
    pub is_in_force: bool,
}

/// `althing.everywhere/1`: the entity as each member sees it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Everywhere {
    /// The member that the others are compared with: the one that answers.
    pub reference: String,
    /// In the order of the roster.
    pub members: Vec<Seen>,
}

/// The entity as one member sees it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// Its name.
    pub member: String,
    /// Why it gives no answer, if it gives none.
    pub silent: Option<String>,
    /// Members that it hears, itself included.
    pub hears: u64,
    /// Members of its roster.
    pub of: u64,
    /// The entity's health as it sees it.
    pub health: Option<Health>,
    /// Records that it has.
    pub epoch: Option<u64>,
    /// Epoch of its roster.
    pub roster_revision: Option<u64>,
    /// By application: revision, and who agrees.
    pub applications: Vec<SeenApp>,
    /// Its clock less that of the member that answers, in seconds, as well as the way there and back tells.
    pub clock_offset_seconds: Option<f64>,
    /// The way there and back.
    pub round_trip_seconds: Option<f64>,
    /// What it sees otherwise than the reference.
    pub differs: Vec<String>,
}

/// An application as a member sees it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SeenApp {
    /// Its name.
    pub name: String,
    /// The revision in force.
    pub revision: u64,
    /// Members that agree.
    pub agree: u64,
    /// Placed members.
    pub of: u64,
}
