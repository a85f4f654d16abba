//! The entity's state: a value that every settled record turns into the next (design §5.1).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_tuple::{Deserialize_tuple, Serialize_tuple};

use crate::codec;
use crate::governance::{Governance, OperatorKey};
use crate::handling::Handling;
use crate::hash::Hash;
use crate::identity::MemberId;
use crate::limits;
use crate::manifest::Extent;
use crate::members::Members;
use crate::placement::Placement;
use crate::record::{Genesis, Policy};
use crate::rollout::{Plan, Rollout};
use crate::statement::{Address, Id16};
use crate::succession::Origin;
use crate::time::{Millis, WallTime};

/// Format of the encoded state; its first field.
pub const FORMAT: u8 = 1;

/// The newest protocol version that this program speaks; a new entity begins with it. Version 2 adds what
/// [`crate::record::Change::needs`] says.
pub const PROTOCOL: u32 = 2;

/// What a member is to the roster. In or out of service is another matter and never changes a quorum.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Counts: votes, and content is placed on it.
    Voter,
    /// Joining: holds nothing that counts yet.
    Learner,
    /// A spare: holds content, is repaired and may serve, but counts neither in the quorum nor in a content quorum
    /// (design §5.1, finding 15).
    Follower,
}

/// Whether a member takes traffic. A matter of its own: it never changes who counts (design §5.1).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// It takes its share.
    In,
    /// It was taken out.
    Out(Out),
    /// It waits to be brought in.
    Spare,
}

/// Why a member is out of service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Out {
    /// Free text.
    pub reason: String,
    /// When members propose to bring it in again; never by itself if absent.
    pub until: Option<WallTime>,
    /// Who asked.
    pub by: String,
    /// By the clock of the member that was asked.
    pub since: WallTime,
    /// By an order of operators: members do not bring it in before its time. Since protocol version 2.
    #[serde(default, skip_serializing_if = "codec::is_left_out")]
    pub ordered: bool,
}

/// Of fewer placed voters none is a majority that could not be one tampered member: nothing is adopted (finding 22).
pub const ADOPTERS: usize = 3;

/// A member of the roster.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Member {
    /// Its key.
    pub id: MemberId,
    /// The store it votes from; statements from another store do not count.
    pub store: Id16,
    /// Its name, unique in the entity.
    pub name: String,
    /// Whether it votes.
    pub role: Role,
    /// Where it listens, best first.
    pub addresses: Vec<Address>,
    /// The epoch that admitted it.
    pub since: u64,
    /// Whether it takes traffic.
    pub service: Service,
    /// What administrators say of it: `zone=b`.
    pub labels: BTreeMap<String, String>,
}

impl Member {
    /// Whether it takes traffic.
    pub fn is_in_service(&self) -> bool {
        self.service == Service::In
    }
}

/// Somebody who was a member: it may still ask for the chain, so that it learns that it was removed (finding 14).
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct PastMember {
    /// Its key, never admitted again.
    pub id: MemberId,
    /// Its last name.
    pub name: String,
    /// The epoch that removed it.
    pub until: u64,
}

/// An invitation that still has uses.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Invitation {
    /// Machines that may still join with it.
    pub uses: u32,
    /// When it ends.
    pub expires: WallTime,
    /// Free text.
    pub note: String,
    /// Who made it.
    pub by: MemberId,
    /// Whether it lets in spares: followers that wait to be brought into service.
    pub spare: bool,
}

/// An update window: the settled flag that one member may change one application until some time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Window {
    /// The member that may.
    pub author: MemberId,
    /// Who asked for it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// By the author's clock.
    pub opened: WallTime,
    /// When others may propose to close it.
    pub expires: WallTime,
    /// Opened by `deploy` or `rollback`: it ends with its author.
    pub implicit: bool,
    /// Since protocol version 2.
    #[serde(default, skip_serializing_if = "codec::is_left_out")]
    pub manner: Manner,
}

/// What more is to be said of a window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manner {
    /// All that may be committed in it.
    #[serde(default, skip_serializing_if = "codec::is_default")]
    pub root: Option<Hash>,
    /// The author's edits are settled by themselves whenever they have rested for so long.
    #[serde(default, skip_serializing_if = "codec::is_default")]
    pub auto: Option<Millis>,
}

/// A settled content of an application.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Revision {
    /// 1 for the first.
    pub number: u64,
    /// The manifest's root.
    pub root: Hash,
    /// How much it is.
    pub extent: Extent,
    /// The epoch that settled it.
    pub epoch: u64,
    /// By the committer's clock.
    pub at: WallTime,
    /// Who asked for it.
    pub by: String,
    /// From which member.
    pub from: MemberId,
    /// Why.
    pub reason: String,
    /// How it gets onto the members. Since protocol version 2.
    #[serde(default, skip_serializing_if = "codec::is_left_out")]
    pub plan: Plan,
}

/// What an administrator says of an application beyond its place and policy. All of it needs protocol version 2.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// How members handle its tree.
    #[serde(default, skip_serializing_if = "codec::is_default")]
    pub handling: Handling,
    /// Which members it goes to.
    #[serde(default, skip_serializing_if = "codec::is_default")]
    pub placement: Placement,
    /// How its revisions get onto the members.
    #[serde(default, skip_serializing_if = "codec::is_default")]
    pub rollout: Rollout,
}

/// An application.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Application {
    /// Absolute path of its root on every member.
    pub root: String,
    /// What drift on a majority means.
    pub policy: Policy,
    /// Epoch of the last record that concerned this application or its placed voters (finding 16).
    pub basis: u64,
    /// The settled revisions that are kept, oldest first; the last one is in force.
    pub revisions: Vec<Revision>,
    /// The open window, if any.
    pub window: Option<Window>,
    /// No repair before this time.
    pub paused: Option<WallTime>,
    /// Patterns of paths below the root that are not managed: never seen, captured or changed (finding 25).
    pub unmanaged: Vec<String>,
    /// Whether what a majority of members has there already becomes the first revision (finding 24).
    pub adopts: bool,
    /// Since protocol version 2.
    #[serde(default, skip_serializing_if = "codec::is_left_out")]
    pub terms: Terms,
}

impl Window {
    /// Whether, and after which rest, the author's edits are settled by themselves.
    pub fn auto(&self) -> Option<Millis> {
        self.manner.auto
    }
}

impl Application {
    /// How its revisions get onto the members.
    pub fn rollout(&self) -> &Rollout {
        &self.terms.rollout
    }

    /// The revision in force.
    pub fn settled(&self) -> Option<&Revision> {
        self.revisions.last()
    }

    /// The root in force.
    pub fn root_hash(&self) -> Option<Hash> {
        self.settled().map(|revision| revision.root)
    }

    /// The revision before the one in force.
    pub fn former(&self) -> Option<&Revision> {
        self.revisions.iter().rev().nth(1)
    }

    /// Whether this root was settled before or is in force.
    pub fn knows(&self, root: &Hash) -> bool {
        self.revisions.iter().any(|revision| revision.root == *root)
    }
}

/// The entity, as of one epoch.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct State {
    /// [`FORMAT`].
    pub format: u8,
    /// Which entity: hash of its genesis.
    pub entity: Hash,
    /// Its name.
    pub name: String,
    /// How many records were settled.
    pub epoch: u64,
    /// The roster; the order is the failover hierarchy.
    pub members: Members,
    /// Who was in it.
    pub past: Vec<PastMember>,
    /// Open invitations by public key.
    pub invitations: BTreeMap<MemberId, Invitation>,
    /// Applications by name.
    pub applications: BTreeMap<String, Application>,
    /// Intents settled in the last [`limits::INTENT_EPOCHS`] epochs: none is settled twice.
    pub recent: BTreeMap<Id16, u64>,
    /// The protocol version in force.
    pub protocol: u32,
    /// Epoch of the last change of the roster or of the quorum rule.
    pub roster_epoch: u64,
    /// The entity that this one succeeds, if any.
    pub origin: Option<Origin>,
    /// Who decides. Since protocol version 2.
    #[serde(default, skip_serializing_if = "codec::is_left_out")]
    pub governance: Governance,
}

impl State {
    /// Epoch 0; of an entity that succeeds another one, the epoch that one ended with.
    pub fn genesis(genesis: &Genesis) -> Self {
        let founder = &genesis.founder;
        let inherited = genesis.inherited.as_deref().cloned();
        let origin = inherited.as_ref().map(|inherited| inherited.origin.clone());
        let epoch = origin.as_ref().map_or(0, |origin| origin.epoch);
        let (past, applications) =
            inherited.map(|inherited| (inherited.past, inherited.applications)).unwrap_or_default();
        let first = Member {
            id: founder.member,
            store: founder.store,
            name: founder.name.clone(),
            role: Role::Voter,
            addresses: vec![founder.address],
            since: epoch,
            service: Service::In,
            labels: BTreeMap::new(),
        };
        Self {
            format: FORMAT,
            entity: genesis.id(),
            name: genesis.name.clone(),
            epoch,
            members: vec![first].into(),
            past,
            invitations: BTreeMap::new(),
            applications,
            recent: BTreeMap::new(),
            protocol: u32::from(genesis.format),
            roster_epoch: epoch,
            origin,
            governance: (*genesis.governance).clone(),
        }
    }

    /// Hash of the canonical bytes: what a record says must result.
    pub fn hash(&self) -> Hash {
        Hash::in_domain("althing state 1", &codec::encode(self))
    }

    /// A member of the roster.
    pub fn member(&self, id: &MemberId) -> Option<&Member> {
        self.members.with(id)
    }

    /// A member of the roster by name.
    pub fn member_named(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// Name of a member, past members and the id itself included.
    pub fn name_of(&self, id: &MemberId) -> String {
        let past = || self.past.iter().find(|past| past.id == *id).map(|past| past.name.clone());
        self.member(id).map(|member| member.name.clone()).or_else(past).unwrap_or_else(|| id.to_string())
    }

    /// Name of an operator, or the key itself.
    pub fn operator(&self, key: &OperatorKey) -> String {
        let known = self.governance.authority.operators().and_then(|operators| operators.with(key));
        known.map_or_else(|| key.to_string(), |operator| operator.name.clone())
    }

    /// The members that vote, in the order of the hierarchy.
    pub fn voters(&self) -> impl Iterator<Item = &Member> {
        self.members.voters()
    }

    /// The name under which a member of the entity before comes over, if it is to.
    pub fn kept_name(&self, id: &MemberId) -> Option<&str> {
        let mut kept = self.origin.iter().flat_map(|origin| &origin.kept);
        kept.find(|(kept, _)| kept == id).map(|(_, name)| name.as_str())
    }

    /// Whether this member votes.
    pub fn is_voter(&self, id: &MemberId) -> bool {
        self.member(id).is_some_and(|member| member.role == Role::Voter)
    }

    /// The members that take traffic, in the order of the hierarchy.
    pub fn in_service(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.is_in_service())
    }

    /// How many votes settle: a quorum of the roster's voters, reachable or not, by the rule in force. The votes of
    /// the next epoch are counted by it (`governance.rs` computes it, and nothing else does).
    pub fn quorum(&self) -> usize {
        self.governance.quorum.of(self.voters().count())
    }

    /// How many Holdings a content needs that so many members are to hold ([`State::holders`]): a quorum of them (finding
    /// 45). The design asks for three where there are three, which would stop every deployment to three members of which
    /// one is lost; what more than half hold survives the loss of any one (docs/decisions/0013-holders.md).
    pub fn content_quorum(&self, holders: usize) -> usize {
        self.governance.quorum.of(holders)
    }

    /// Forgets intents too old to be replayed.
    pub(crate) fn forget_old_intents(&mut self) {
        let epoch = self.epoch;
        self.recent.retain(|_, settled| *settled + limits::INTENT_EPOCHS >= epoch);
    }
}
