//! Signed statements: everything a member says that others may pass on or keep as evidence (PROTOCOL.md §2).
//!
//! A statement travels in an [`Envelope`] that names the entity, the author's store and incarnation and a growing
//! sequence. The signature covers the received bytes, never a re-serialisation.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use serde_tuple::{Deserialize_tuple, Serialize_tuple};

use crate::codec::{self, DecodeError};
use crate::hash::{Hash, hex};
use crate::identity::{Identity, MemberId, Scheme, SignatureBytes, verify};
use crate::limits;
use crate::manifest::Extent;
use crate::metrics::Report;
use crate::order::{Approval, Mandate};
use crate::rollout::Course;
use crate::time::WallTime;

/// What signatures over envelopes are for.
const DOMAIN: &str = "althing statement 1";

/// Sixteen random bytes that name a store, an intent or an invitation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Id16(pub [u8; 16]);

impl fmt::Display for Id16 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Id16 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0[..4]))
    }
}

impl Serialize for Id16 {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        crate::hash::serialize_bytes(&self.0, || self.to_string(), to)
    }
}

impl<'de> Deserialize<'de> for Id16 {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        crate::hash::deserialize_array(from).map(Self)
    }
}

/// One life of one store: `incarnation` grows by one at each start, `sequence` with each statement of that life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize_tuple, Deserialize_tuple)]
pub struct Position {
    /// Starts of this store, counted durably before anything is said.
    pub incarnation: u64,
    /// Statements of this life.
    pub sequence: u64,
}

/// What is signed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Envelope {
    /// Of which entity: a statement of one is nothing to another.
    pub entity: Hash,
    /// The store it was made from.
    pub store: Id16,
    /// Which life of the store, and where in it.
    pub position: Position,
    /// What is said.
    pub statement: Statement,
}

impl Envelope {
    /// Reads one that came.
    pub fn read(bytes: &[u8]) -> Result<Arc<Self>, DecodeError> {
        codec::decode(bytes, limits::RECORD_BYTES * 2).map(Arc::new)
    }
}

/// An envelope as it travels: the bytes that were signed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Signed {
    /// Whose signature.
    pub author: MemberId,
    /// The canonical bytes of the [`Envelope`].
    pub bytes: ByteBuf,
    /// Over a domain and `bytes`.
    pub signature: SignatureBytes,
}

/// What a member can say.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Statement {
    /// A prevote or precommit of an epoch and round.
    Vote(Vote),
    /// "This record should be the epoch's."
    Proposal(Proposal),
    /// "This change should be settled."
    Intent(Box<Intent>),
    /// The author no longer wants its intent; with the intent's time, after which both are forgotten.
    Withdrawn(Id16, WallTime),
    /// What is on the author's disk (IHaveList).
    List(ContentList),
    /// "The complete content of this root is in my store, durable and pinned."
    Holding(Holding),
    /// "I hold this head": a learner's word before it becomes a voter.
    Holds(Holds),
    /// Metrics and state of the author.
    Report(Box<Report>),
    /// An order that waits for the signatures of operators; the intent that carries it out takes its place. Since
    /// protocol version 2.
    Waiting(Box<Waiting>),
}

/// An order on its way, and the signatures that it has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Waiting {
    /// The order.
    pub order: crate::order::Order,
    /// By operators.
    pub approvals: Vec<Approval>,
}

/// The two steps of a round.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Step {
    /// First vote.
    Prevote,
    /// Second vote: a quorum of these settles.
    Precommit,
}

/// A vote of one round (design §5.2).
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Vote {
    /// The epoch that is being decided.
    pub epoch: u64,
    /// The round within it.
    pub round: u32,
    /// Hash of the record of the epoch before, so that votes do not survive a new genesis (finding 43).
    pub parent: Hash,
    /// Prevote or precommit.
    pub step: Step,
    /// Which record, or none.
    pub value: Option<Hash>,
    /// Of a prevote: the round of the newest quorum of prevotes that it rests on, shown to the author or locked on
    /// by it, if any (finding 3).
    pub relied: Option<u32>,
}

/// A proposed record, with everything needed to vote for it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Proposal {
    /// The epoch it should be.
    pub epoch: u64,
    /// The round it is proposed in.
    pub round: u32,
    /// Hash of the record of the epoch before.
    pub parent: Hash,
    /// Canonical bytes of the [`crate::record::Record`].
    pub record: ByteBuf,
    /// A quorum of prevotes for it from one earlier round, or none.
    pub pol: Vec<Signed>,
}

/// A change that somebody wants settled. Signed by the member that originates it; the record carries it as it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Intent {
    /// Names it; used once.
    pub id: Id16,
    /// The originator's head: an intent dies [`limits::INTENT_EPOCHS`] later.
    pub seen: u64,
    /// The originator's clock.
    pub at: WallTime,
    /// The person or program that asked.
    pub by: String,
    /// What shall change.
    pub change: crate::record::Change,
    /// The word of operators, where one is needed. Since protocol version 2.
    #[serde(default, skip_serializing_if = "codec::is_left_out")]
    pub mandate: Mandate,
}

/// A member's word on what is on its disk for one application.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct ContentList {
    /// Which application.
    pub application: String,
    /// The basis the author knows: epoch of the last record that concerned this application.
    pub basis: u64,
    /// The basis whose root the author has applied, if any. Behind `basis`: applying, neither drift nor a vote (finding 2).
    pub applied: Option<u64>,
    /// Whether there is such a scan. If not, the tree cannot be read: `observed` is `None` and says nothing, and what
    /// was said before is withdrawn.
    pub seen: bool,
    /// Root of what two equal scans found; `None` when the root directory is absent.
    pub observed: Option<Hash>,
    /// How much that is.
    pub extent: Extent,
    /// Paths that the author does not repair for now, because they are changed again and again.
    pub left: u64,
    /// Its part in a roll-out. Since protocol version 2.
    #[serde(default, skip_serializing_if = "codec::is_left_out")]
    pub course: Course,
}

/// A promise: signed only when the complete content is synced in the author's own store, apart from the live tree,
/// and kept there until the basis moves (finding 5).
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Holding {
    /// Which application.
    pub application: String,
    /// Under which basis.
    pub basis: u64,
    /// Which root.
    pub root: Hash,
    /// How much that is.
    pub extent: Extent,
}

/// "I hold this head and answer" (finding 13).
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Holds {
    /// Epoch of the head.
    pub epoch: u64,
    /// Its record.
    pub head: Hash,
}

/// Where a member listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Address {
    /// For messages.
    pub control: SocketAddr,
    /// For content.
    pub bulk: SocketAddr,
}

/// What a statement replaces: of each author, only the newest statement of a slot counts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Slot {
    /// Epoch, round, step.
    Vote(u64, u32, Step),
    /// Epoch, round.
    Proposal(u64, u32),
    /// An intent, and its withdrawal.
    Intent(Id16),
    /// Application.
    List(String),
    /// Application.
    Holding(String),
    /// A learner's head.
    Holds,
    /// Metrics.
    Report,
}

impl Statement {
    /// Which earlier statement of the same author this one replaces.
    pub fn slot(&self) -> Slot {
        match self {
            Self::Vote(vote) => Slot::Vote(vote.epoch, vote.round, vote.step),
            Self::Proposal(proposal) => Slot::Proposal(proposal.epoch, proposal.round),
            Self::Intent(intent) => Slot::Intent(intent.id),
            Self::Withdrawn(id, _) => Slot::Intent(*id),
            Self::List(list) => Slot::List(list.application.clone()),
            Self::Holding(holding) => Slot::Holding(holding.application.clone()),
            Self::Holds(_) => Slot::Holds,
            Self::Report(_) => Slot::Report,
            Self::Waiting(waiting) => Slot::Intent(waiting.order.id),
        }
    }

    /// The protocol version that a program must speak to read it.
    pub fn needs(&self) -> u32 {
        match self {
            Self::Intent(intent) => {
                let change = match &intent.change {
                    crate::record::Change::Raise { protocol } => *protocol,
                    change => change.needs(),
                };
                if intent.mandate == Mandate::default() { change } else { change.max(2) }
            }
            Self::Waiting(_) => 2,
            Self::Vote(_)
            | Self::Proposal(_)
            | Self::Withdrawn(..)
            | Self::List(_)
            | Self::Holding(_)
            | Self::Holds(_)
            | Self::Report(_) => 1,
        }
    }

    /// Whether what is not bounded by its size alone is within its bounds: what people read of others has no control
    /// characters, and lists are no longer than anybody honest makes them.
    fn is_within_bounds(&self) -> bool {
        let plain = |text: &str, limit| text.len() <= limit && !text.chars().any(char::is_control);
        match self {
            Self::Report(report) => {
                plain(&report.version, limits::VERSION_BYTES)
                    && report.addresses.len() <= limits::ADDRESSES
                    && report.unheard.len() <= limits::MEMBERS
                    && report.cpu.buckets() <= limits::SKETCH_BUCKETS
            }
            Self::List(list) => {
                plain(&list.application, limits::LABEL_BYTES) && list.course.is_within_bounds()
            }
            Self::Holding(holding) => plain(&holding.application, limits::LABEL_BYTES),
            Self::Intent(intent) => {
                plain(&intent.by, limits::TEXT_BYTES)
                    && intent.mandate.approvals.len() <= 2 * limits::OPERATORS
            }
            Self::Waiting(waiting) => {
                plain(&waiting.order.by, limits::TEXT_BYTES)
                    && waiting.approvals.len() <= 2 * limits::OPERATORS
            }
            Self::Proposal(proposal) => {
                proposal.record.len() <= limits::RECORD_BYTES && proposal.pol.len() <= limits::MEMBERS
            }
            Self::Vote(_) | Self::Withdrawn(..) | Self::Holds(_) => true,
        }
    }
}

/// A statement whose signature, form and size were checked. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checked(Arc<Inner>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Inner {
    signed: Signed,
    envelope: Arc<Envelope>,
}

/// How a host reads an envelope that came: with the answers of [`Envelope::read`], and maybe not each time anew. In the
/// simulator all members are one process, and what one has read the others need not read again.
pub type Read = fn(&[u8]) -> Result<Arc<Envelope>, DecodeError>;

/// A statement whose form and size were checked, but not its signature: good for deciding whether that is worth the
/// cost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unverified(Arc<Inner>);

/// Why a signed statement was not accepted. The author or the carrier is at fault; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementFault {
    /// The bytes.
    #[error("a statement: {0}")]
    Decode(#[from] DecodeError),
    /// The signature does not hold for these bytes and this author.
    #[error("a statement of {0} does not carry its signature")]
    Signature(MemberId),
    /// Of another entity.
    #[error("a statement of entity {0}")]
    Foreign(Hash),
    /// A part of it is longer than it may be, or has letters that it may not have.
    #[error("a statement of {0} is out of its bounds")]
    Form(MemberId),
}

impl Unverified {
    /// Checks everything but the signature.
    pub fn read(signed: Signed, entity: &Hash) -> Result<Self, StatementFault> {
        Self::read_by(signed, entity, Envelope::read)
    }

    /// The same, in the host's way.
    pub fn read_by(signed: Signed, entity: &Hash, read: Read) -> Result<Self, StatementFault> {
        let envelope = read(&signed.bytes)?;
        let small = !matches!(envelope.statement, Statement::Proposal(_) | Statement::Intent(_));
        if small && signed.bytes.len() > limits::STATEMENT_BYTES {
            let length = signed.bytes.len();
            return Err(DecodeError::TooLarge { length, limit: limits::STATEMENT_BYTES }.into());
        }
        if envelope.entity != *entity {
            return Err(StatementFault::Foreign(envelope.entity));
        }
        if !envelope.statement.is_within_bounds() {
            return Err(StatementFault::Form(signed.author));
        }
        Ok(Self(Arc::new(Inner { signed, envelope })))
    }

    /// Checks the signature.
    pub fn verify(self, scheme: Scheme) -> Result<Checked, StatementFault> {
        let signed = &self.0.signed;
        if !verify(scheme, signed.author, DOMAIN, &signed.bytes, &signed.signature) {
            return Err(StatementFault::Signature(signed.author));
        }
        Ok(Checked(self.0))
    }

    /// Who is said to have said it.
    pub fn author(&self) -> MemberId {
        self.0.signed.author
    }

    /// What is said to have been said.
    pub fn envelope(&self) -> &Envelope {
        &self.0.envelope
    }

    /// As it travels.
    pub fn signed(&self) -> &Signed {
        &self.0.signed
    }
}

impl Checked {
    /// Signs a statement of our own.
    pub fn sign(identity: &Identity, envelope: Envelope) -> Self {
        let bytes = codec::encode(&envelope);
        let signature = identity.sign(DOMAIN, &bytes);
        let signed = Signed { author: identity.id(), bytes: ByteBuf::from(bytes), signature };
        Self(Arc::new(Inner { signed, envelope: Arc::new(envelope) }))
    }

    /// Checks what somebody sent.
    pub fn check(signed: Signed, entity: &Hash, scheme: Scheme) -> Result<Self, StatementFault> {
        Unverified::read(signed, entity)?.verify(scheme)
    }

    /// Who said it.
    pub fn author(&self) -> MemberId {
        self.0.signed.author
    }

    /// The same, as it was read.
    pub(crate) fn as_read(&self) -> Unverified {
        Unverified(Arc::clone(&self.0))
    }

    pub(crate) fn author_ref(&self) -> &MemberId {
        &self.0.signed.author
    }

    /// What was said.
    pub fn statement(&self) -> &Statement {
        &self.0.envelope.statement
    }

    /// All that was signed.
    pub fn envelope(&self) -> &Envelope {
        &self.0.envelope
    }

    /// From which store.
    pub fn store(&self) -> Id16 {
        self.0.envelope.store
    }

    /// When in the life of that store.
    pub fn position(&self) -> Position {
        self.0.envelope.position
    }

    /// As it travels.
    pub fn signed(&self) -> &Signed {
        &self.0.signed
    }

    /// A vote, if it is one.
    pub fn vote(&self) -> Option<&Vote> {
        if let Statement::Vote(vote) = self.statement() { Some(vote) } else { None }
    }

    /// An intent, if it is one.
    pub fn intent(&self) -> Option<&Intent> {
        if let Statement::Intent(intent) = self.statement() { Some(intent) } else { None }
    }

    /// A number that stands for this statement in order-independent sums: equal sets have equal sums.
    pub fn sum(&self) -> u64 {
        let mut bytes = [0; 48];
        bytes[..32].copy_from_slice(&self.author().0);
        bytes[32..40].copy_from_slice(&self.position().incarnation.to_be_bytes());
        bytes[40..].copy_from_slice(&self.position().sequence.to_be_bytes());
        Hash::of(&bytes).low()
    }
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;

    fn sample(identity: &Identity) -> Checked {
        let statement = Statement::Holds(Holds { epoch: 7, head: Hash::of(b"head") });
        let position = Position { incarnation: 1, sequence: 2 };
        Checked::sign(
            identity,
            Envelope { entity: Hash::of(b"e"), store: Id16([3; 16]), position, statement },
        )
    }

    #[test]
    fn statements_of_other_entities_and_authors_are_refused() {
        let identity = Identity::from_seed([1; 32]);
        let good = sample(&identity);
        let entity = Hash::of(b"e");
        assert_eq!(Checked::check(good.signed().clone(), &entity, Scheme::Ed25519), Ok(good.clone()));
        let foreign = Checked::check(good.signed().clone(), &Hash::of(b"f"), Scheme::Ed25519);
        assert_eq!(foreign, Err(StatementFault::Foreign(entity)));
        let mut stolen = good.signed().clone();
        stolen.author = Identity::from_seed([2; 32]).id();
        assert!(matches!(
            Checked::check(stolen, &entity, Scheme::Ed25519),
            Err(StatementFault::Signature(_))
        ));
    }

    quickcheck! {
        fn no_byte_can_be_changed(at: usize, by: u8) -> bool {
            let good = sample(&Identity::from_seed([1; 32]));
            let mut bytes = good.signed().bytes.to_vec();
            let at = at % bytes.len();
            bytes[at] ^= by | 1;
            let signed = Signed { bytes: ByteBuf::from(bytes), ..good.signed().clone() };
            Checked::check(signed, &Hash::of(b"e"), Scheme::Ed25519).is_err()
        }
    }
}
