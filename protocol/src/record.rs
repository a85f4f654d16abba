//! Records, the changes they carry, and the certificates that settle them (design §5.1, §5.2.6).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use serde_tuple::{Deserialize_tuple, Serialize_tuple};

use crate::codec::{self, DecodeError};
use crate::governance::{Authority, Governance, QuorumRule};
use crate::hash::Hash;
use crate::identity::{Identity, MemberId, Scheme, SignatureBytes, verify};
use crate::limits;
use crate::manifest::Extent;
use crate::rollout::Wish;
use crate::state::{PROTOCOL, Terms};
use crate::statement::{Address, Id16, Signed};
use crate::succession::Inheritance;
use crate::time::{Millis, WallTime};

/// Format of a record; its first field.
pub const FORMAT: u8 = 1;

/// How an entity begins: epoch 0 (or the last of the entity that it succeeds), decided by its founder alone. Its hash is the entity's id.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Genesis {
    /// The protocol version that the entity begins with.
    pub format: u8,
    /// The entity's name.
    pub name: String,
    /// The first member.
    pub founder: Newcomer,
    /// The founder's clock.
    pub at: WallTime,
    /// Makes two entities of one name and founder differ.
    pub nonce: Id16,
    /// What it takes over from an entity that lost its majority for good (finding 7).
    pub inherited: Option<Box<Inheritance>>,
    /// Who decides in it. Since protocol version 2.
    #[serde(default, skip_serializing_if = "codec::is_left_out")]
    pub governance: Box<Governance>,
}

impl Genesis {
    /// `format` of a new entity.
    pub const NEWEST: u8 = PROTOCOL as u8;

    /// The entity's id, and the hash that the first record names as its parent.
    pub fn id(&self) -> Hash {
        Hash::in_domain("althing genesis 1", &codec::encode(self))
    }
}

/// Who wants to become a member, from where.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Newcomer {
    /// Its key.
    pub member: MemberId,
    /// Its store.
    pub store: Id16,
    /// The name it would like.
    pub name: String,
    /// Where it listens.
    pub address: Address,
}

/// A newcomer's request, signed by the invitation's key and by its own: nobody else can use either (finding 37).
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct JoinRequest {
    /// Which entity it wants to join.
    pub entity: Hash,
    /// Who.
    pub newcomer: Newcomer,
    /// The public key of the invitation.
    pub invitation: MemberId,
    /// By the invitation's key, over entity and newcomer.
    pub invited: SignatureBytes,
    /// By the newcomer's key, over the same.
    pub agreed: SignatureBytes,
    /// Since protocol version 2.
    #[serde(default, skip_serializing_if = "codec::is_left_out")]
    pub abilities: Abilities,
}

/// What a newcomer says of its program and its machine. Signed with the rest of its request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Abilities {
    /// Protocol versions beyond the first that it speaks: a request without it is of a program that speaks version 1.
    #[serde(default, skip_serializing_if = "codec::is_default")]
    pub beyond: u32,
    /// Its clock when it asked; not said where version 1 is spoken. Whoever is asked compares it with its own.
    #[serde(default, skip_serializing_if = "codec::is_default")]
    pub clock: WallTime,
}

impl Abilities {
    /// Of a program whose newest version is this.
    pub fn of(speaks: u32) -> Self {
        Self { beyond: speaks.saturating_sub(1), clock: WallTime::default() }
    }

    /// The same, with the clock of the machine where that can be said.
    #[must_use]
    pub fn at(self, clock: WallTime) -> Self {
        if self.speaks() < 2 { self } else { Self { clock, ..self } }
    }

    /// The newest version that is spoken.
    pub fn speaks(self) -> u32 {
        self.beyond.saturating_add(1)
    }
}

const JOIN_DOMAIN: &str = "althing join 1";

impl JoinRequest {
    /// Signs with both keys, as this program.
    pub fn sign(entity: Hash, newcomer: Newcomer, invitation: &Identity, own: &Identity) -> Self {
        Self::sign_as(Abilities::of(PROTOCOL), entity, newcomer, invitation, own)
    }

    /// Signs with both keys, as a program that can do so much.
    pub fn sign_as(
        abilities: Abilities,
        entity: Hash,
        newcomer: Newcomer,
        invitation: &Identity,
        own: &Identity,
    ) -> Self {
        let bytes = Self::bytes(&entity, &newcomer, abilities);
        let invited = invitation.sign(JOIN_DOMAIN, &bytes);
        let agreed = own.sign(JOIN_DOMAIN, &bytes);
        Self { entity, newcomer, invitation: invitation.id(), invited, agreed, abilities }
    }

    fn bytes(entity: &Hash, newcomer: &Newcomer, abilities: Abilities) -> Vec<u8> {
        if abilities == Abilities::default() {
            return codec::encode(&(entity, newcomer));
        }
        codec::encode(&(entity, newcomer, abilities))
    }

    /// Whether both signatures hold.
    pub fn holds(&self, scheme: Scheme) -> bool {
        let bytes = Self::bytes(&self.entity, &self.newcomer, self.abilities);
        verify(scheme, self.invitation, JOIN_DOMAIN, &bytes, &self.invited)
            && verify(scheme, self.newcomer.member, JOIN_DOMAIN, &bytes, &self.agreed)
    }
}

/// The request of a member whose store must not be used any more, to count again from a new one (findings 3, 18).
/// Its own key signs it; that it is heeded is an administrator's act. It names the store it replaces, so that it
/// serves once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Readmission {
    /// Of which entity.
    pub entity: Hash,
    /// Who.
    pub member: MemberId,
    /// The store that the roster names now.
    pub replaced: Id16,
    /// The store it is to name.
    pub store: Id16,
    /// Where the member listens.
    pub address: Address,
    /// By the member's key, over all of it.
    pub signature: SignatureBytes,
}

const READMISSION_DOMAIN: &str = "althing readmission 1";

impl Readmission {
    /// Signs with the member's own key.
    pub fn sign(entity: Hash, replaced: Id16, store: Id16, address: Address, own: &Identity) -> Self {
        let signature = own.sign(READMISSION_DOMAIN, &Self::bytes(&entity, &replaced, &store, &address));
        Self { entity, member: own.id(), replaced, store, address, signature }
    }

    /// Whether the signature holds.
    pub fn holds(&self, scheme: Scheme) -> bool {
        let bytes = Self::bytes(&self.entity, &self.replaced, &self.store, &self.address);
        verify(scheme, self.member, READMISSION_DOMAIN, &bytes, &self.signature)
    }

    fn bytes(entity: &Hash, replaced: &Id16, store: &Id16, address: &Address) -> Vec<u8> {
        codec::encode(&(entity, replaced, store, address))
    }
}

/// What a majority of the same drift means (design §5.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// More than half with the same content become the settled content.
    Majority,
    /// Only a commit changes the settled content.
    Certified,
}

/// What of an application's definition is to be another; what is absent stays as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// What drift on a majority means.
    #[serde(default, skip_serializing_if = "codec::is_default")]
    pub policy: Option<Policy>,
    /// Patterns of paths that are not managed.
    #[serde(default, skip_serializing_if = "codec::is_default")]
    pub unmanaged: Option<Vec<String>>,
    /// Whether what a majority has there already becomes the first revision.
    #[serde(default, skip_serializing_if = "codec::is_default")]
    pub adopts: Option<bool>,
}

/// One change of the entity's state. Each is complete in itself; whether it is valid depends on the state and
/// these bytes only.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Change {
    /// Makes an invitation: its public key, uses, expiry and a note.
    Invite {
        /// Public key of the invitation.
        key: MemberId,
        /// How many machines may join with it.
        uses: u32,
        /// After that no fresh proposal admits anybody with it.
        expires: WallTime,
        /// Free text.
        note: String,
        /// Whether it lets in spares instead of voters.
        spare: bool,
    },
    /// Ends an invitation.
    Revoke {
        /// Public key of the invitation.
        key: MemberId,
    },
    /// A newcomer becomes a learner, or a follower if the invitation is for spares.
    Admit(JoinRequest),
    /// A learner becomes a voter.
    Promote {
        /// Who.
        member: MemberId,
        /// Its signed [`crate::statement::Holds`].
        holds: Signed,
    },
    /// A member leaves or is removed; its windows close.
    Remove {
        /// Who.
        member: MemberId,
    },
    /// A member takes no traffic any more.
    TakeOut {
        /// Who.
        member: MemberId,
        /// Why.
        reason: String,
        /// After that, members may propose [`Change::Return`].
        until: Option<WallTime>,
        /// An administrator wants it even if nobody is left in service; what nobody asked for never says so.
        anyway: bool,
    },
    /// A member takes its share of the traffic.
    BringIn {
        /// Who.
        member: MemberId,
    },
    /// A member whose time out of service is over by the originator's clock takes traffic again.
    Return {
        /// Who.
        member: MemberId,
    },
    /// A member becomes a spare: a follower that waits to be brought into service.
    Spare {
        /// Who.
        member: MemberId,
        /// As in [`Change::TakeOut`].
        anyway: bool,
    },
    /// A spare becomes a learner in service, which is promoted to a voter when it has caught up.
    Enlist {
        /// Who.
        member: MemberId,
    },
    /// A member has another name.
    Rename {
        /// Who.
        member: MemberId,
        /// Its new name.
        name: String,
    },
    /// Labels of a member are set, or removed where there is no value.
    Label {
        /// Who.
        member: MemberId,
        /// By key.
        labels: BTreeMap<String, Option<String>>,
        /// Of applications that do not go to it any more, as in [`Change::Arrange`]. Needs protocol version 2.
        #[serde(default, skip_serializing_if = "codec::is_default")]
        keep_files: bool,
    },
    /// A member whose store was lost, restored or copied counts anew: as a learner, from a new store, in its old
    /// place of the roster.
    Readmit(Readmission),
    /// The originator listens elsewhere.
    Move {
        /// Its addresses, best first.
        addresses: Vec<Address>,
    },
    /// From the next epoch on so many votes settle, and so many Holdings are a content quorum. Needs protocol
    /// version 2.
    SetQuorum {
        /// The rule.
        rule: QuorumRule,
    },
    /// From here on changes need the word of others. Needs protocol version 2.
    SetAuthority {
        /// Whose.
        authority: Authority,
    },
    /// A new application, without content yet.
    Create {
        /// Its name.
        application: String,
        /// Absolute path of its root on every member.
        root: String,
        /// What drift on a majority means.
        policy: Policy,
        /// Patterns of paths that are not managed.
        unmanaged: Vec<String>,
        /// Whether what a majority has there already becomes the first revision (policy `majority`).
        adopts: bool,
        /// Since protocol version 2.
        #[serde(default, skip_serializing_if = "codec::is_default")]
        terms: Terms,
    },
    /// Says anew what an application is. Needs protocol version 2.
    Arrange {
        /// Its name.
        application: String,
        /// All of its terms from now on.
        terms: Terms,
        /// What else is to be another.
        #[serde(default, skip_serializing_if = "codec::is_default")]
        definition: Definition,
        /// Members that it does not go to any more leave its files where they are, instead of moving them to the trash.
        #[serde(default, skip_serializing_if = "codec::is_default")]
        keep_files: bool,
    },
    /// An application is not the entity's any more.
    Discard {
        /// Which.
        application: String,
        /// Members leave its files where they are, instead of moving them to the trash.
        keep_files: bool,
    },
    /// What drift on a majority means for an application from now on.
    Define {
        /// Its name.
        application: String,
        /// The new policy.
        policy: Policy,
    },
    /// Opens an update window for the originator.
    Open {
        /// Of which application.
        application: String,
        /// After that, members may propose [`Change::Expire`].
        expires: WallTime,
        /// Why.
        reason: String,
        /// Opened by `deploy` or `rollback`: it ends with its author.
        implicit: bool,
        /// All that may be committed in it, which needs no further word of operators. Since protocol version 2.
        #[serde(default, skip_serializing_if = "codec::is_default")]
        root: Option<Hash>,
        /// Commits the author's edits by itself. Since protocol version 2.
        #[serde(default, skip_serializing_if = "codec::is_default")]
        auto: Option<Millis>,
    },
    /// The originator's open window stands longer, or less long.
    Extend {
        /// Of which application.
        application: String,
        /// The new end.
        expires: WallTime,
    },
    /// Settles a root and closes the originator's window.
    Commit {
        /// Of which application.
        application: String,
        /// The new root.
        root: Hash,
        /// Its size.
        extent: Extent,
        /// Signed [`crate::statement::Holding`]s of a content quorum.
        evidence: Vec<Signed>,
        /// How it is to get onto the members. Since protocol version 2.
        #[serde(default, skip_serializing_if = "codec::is_default")]
        wish: Wish,
    },
    /// The revision in force failed its probation: the one before becomes the next (finding 21). Since protocol
    /// version 2.
    Undo {
        /// Of which application.
        application: String,
        /// The number of the revision that failed.
        revision: u64,
        /// What failed where.
        why: String,
        /// Signed [`crate::statement::Holding`]s of a content quorum, of the root before.
        evidence: Vec<Signed>,
    },
    /// The revision in force is to be applied everywhere, whichever hooks fail. Since protocol version 2.
    GoOn {
        /// Of which application.
        application: String,
        /// The number of the revision in force.
        revision: u64,
    },
    /// Closes a window without a change; anybody may.
    Abort {
        /// Of which application.
        application: String,
    },
    /// Closes a window whose time is over by the originator's clock.
    Expire {
        /// Of which application.
        application: String,
    },
    /// The same drift on more than half becomes the settled content (policy `majority`).
    Adopt {
        /// Of which application.
        application: String,
        /// The new root.
        root: Hash,
        /// Its size.
        extent: Extent,
        /// Signed [`crate::statement::Holding`]s of a content quorum.
        evidence: Vec<Signed>,
    },
    /// The entity uses the next protocol version from the next epoch on. Needs that all members speak it: asked of a
    /// fresh proposal only.
    Raise {
        /// The version.
        protocol: u32,
    },
    /// Stops or resumes repair of an application.
    Pause {
        /// Of which application.
        application: String,
        /// Until this time, or not any more.
        until: Option<WallTime>,
    },
}

impl Change {
    /// The protocol version that must be in force: members that speak less cannot read it, or would make another
    /// state of it (finding 19).
    pub fn needs(&self) -> u32 {
        match self {
            Self::Create { terms, .. } if *terms == Terms::default() => 1,
            Self::Commit { wish, .. } if *wish == Wish::default() => 1,
            Self::Open { root: None, auto: None, .. } => 1,
            Self::Create { .. }
            | Self::Arrange { .. }
            | Self::Commit { .. }
            | Self::Open { .. }
            | Self::Undo { .. }
            | Self::GoOn { .. }
            | Self::SetQuorum { .. }
            | Self::SetAuthority { .. }
            | Self::Label { keep_files: true, .. } => 2,
            Self::Admit(request) if request.abilities != Abilities::default() => 2,
            // Nobody is asked to read it before all speak the version that it raises to.
            Self::Raise { .. } => 1,
            Self::Invite { .. }
            | Self::Revoke { .. }
            | Self::Admit(_)
            | Self::Promote { .. }
            | Self::Remove { .. }
            | Self::TakeOut { .. }
            | Self::BringIn { .. }
            | Self::Return { .. }
            | Self::Spare { .. }
            | Self::Enlist { .. }
            | Self::Rename { .. }
            | Self::Label { .. }
            | Self::Readmit(_)
            | Self::Move { .. }
            | Self::Discard { .. }
            | Self::Define { .. }
            | Self::Extend { .. }
            | Self::Abort { .. }
            | Self::Expire { .. }
            | Self::Adopt { .. }
            | Self::Pause { .. } => 1,
        }
    }

    /// The application it concerns, if one.
    pub fn application(&self) -> Option<&str> {
        match self {
            Self::Create { application, .. }
            | Self::Arrange { application, .. }
            | Self::Discard { application, .. }
            | Self::Extend { application, .. }
            | Self::Define { application, .. }
            | Self::Open { application, .. }
            | Self::Commit { application, .. }
            | Self::Abort { application }
            | Self::Expire { application }
            | Self::Adopt { application, .. }
            | Self::Undo { application, .. }
            | Self::GoOn { application, .. }
            | Self::Pause { application, .. } => Some(application),
            Self::Invite { .. }
            | Self::Revoke { .. }
            | Self::Admit(_)
            | Self::Promote { .. }
            | Self::Remove { .. }
            | Self::TakeOut { .. }
            | Self::BringIn { .. }
            | Self::Return { .. }
            | Self::Spare { .. }
            | Self::Enlist { .. }
            | Self::Rename { .. }
            | Self::Label { .. }
            | Self::Readmit(_)
            | Self::Raise { .. }
            | Self::Move { .. }
            | Self::SetQuorum { .. }
            | Self::SetAuthority { .. } => None,
        }
    }
}

/// A block of the chain: the changes of one epoch.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Record {
    /// [`FORMAT`].
    pub format: u8,
    /// Which entity.
    pub entity: Hash,
    /// One more than the parent's.
    pub epoch: u64,
    /// Hash of the record before (of the genesis, for epoch 1).
    pub parent: Hash,
    /// Signed intents, in the order in which they are applied.
    pub changes: Vec<Signed>,
    /// Hash of the state that results.
    pub state: Hash,
}

impl Record {
    /// Its canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Decodes; does not judge.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(bytes, limits::RECORD_BYTES)
    }

    /// Its name: what votes are cast for.
    pub fn hash_of(bytes: &[u8]) -> Hash {
        Hash::in_domain("althing record 1", bytes)
    }
}

/// The precommits of one round that settled a record.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Certificate {
    /// Which epoch.
    pub epoch: u64,
    /// Which round: all votes are of this one (finding 4).
    pub round: u32,
    /// Which record.
    pub value: Hash,
    /// Signed precommits of a quorum of the voters of the epoch before, by author.
    pub votes: Vec<Signed>,
}

/// A settled record as it is stored and handed on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Link {
    /// Canonical bytes of the [`Record`].
    pub record: ByteBuf,
    /// What settled it.
    pub certificate: Certificate,
}
