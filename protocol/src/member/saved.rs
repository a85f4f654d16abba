//! What a member finds on its disk when it starts, and how it is written (STORAGE.md). Every value begins with a
//! byte that names its format.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ended::Ended;
use super::orders::Pending;
use crate::ballot::Promise;
use crate::codec;
use crate::effect::{Family, Write};
use crate::evidence::Evidence;
use crate::handling::Handling;
use crate::hash::{Hash, hex, unhex};
use crate::identity::MemberId;
use crate::invitation::Checkpoint;
use crate::limits;
use crate::manifest::Extent;
use crate::record::Link;
use crate::state::State;
use crate::statement::{Address, Id16, Signed};
use crate::succession::Succession;
use crate::time::WallTime;
use crate::trail::Trail;

/// Format of every value; its first byte.
const FORMAT: u8 = 1;

/// The life of the store: written before anything is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Life {
    /// Names the store.
    pub store: Id16,
    /// How often it was started.
    pub incarnation: u64,
    /// No sequence at or beyond this was used in this life.
    pub reserved: u64,
}

/// The newest settled state, and the way to it (to judge a second certificate of one of its epochs).
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Head {
    /// The state.
    pub state: State,
    /// Hash of its record.
    pub record: Hash,
    /// The last epochs, this one included.
    pub trail: Trail,
}

/// How this member came into its entity.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Beginning {
    /// The genesis, to hand on to newcomers.
    pub genesis: crate::record::Genesis,
    /// Who let this member in.
    pub sponsor: Option<crate::invitation::Sponsor>,
    /// Proof for members of the entity before that this one succeeds it.
    pub succession: Option<Succession>,
    /// Since protocol version 2: the record that the invitation named.
    #[serde(default, skip_serializing_if = "codec::is_default")]
    pub checkpoint: Option<Checkpoint>,
    /// Since protocol version 2, on whoever began an entity anew: where the members of the entity before were, as it may
    /// lack content that they have.
    #[serde(default, skip_serializing_if = "codec::is_default")]
    pub before: BTreeMap<MemberId, Vec<Address>>,
}

impl Beginning {
    /// With this genesis and nothing else.
    pub fn of(genesis: crate::record::Genesis) -> Self {
        Self { genesis, sponsor: None, succession: None, checkpoint: None, before: BTreeMap::new() }
    }
}

/// An application that was removed and is still to be cleared away here.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Leaving {
    /// Where it lay.
    pub root: String,
    /// What it did not manage.
    pub unmanaged: Vec<String>,
    /// Its files stay.
    pub keep_files: bool,
    /// How its tree was handled.
    #[serde(default, skip_serializing_if = "crate::codec::is_default")]
    pub handling: Handling,
}

/// Everything durable that the protocol starts from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Saved {
    /// Absent on the first start of a store.
    pub life: Option<Life>,
    /// Absent outside an entity.
    pub head: Option<Head>,
    /// Absent outside an entity.
    pub beginning: Option<Beginning>,
    /// What was promised for the epoch that is being decided.
    pub promise: Option<Promise>,
    /// Votes on which the round of that promise was entered. Older programs take them for a record that is not valid.
    pub entry: Vec<Signed>,
    /// Bytes of the records voted for.
    pub records: Vec<Vec<u8>>,
    /// By application: the basis and root applied last.
    pub applied: BTreeMap<String, (u64, Hash)>,
    /// Applications whose after hooks have still to end well, for what was applied or was about to be.
    pub owed: BTreeSet<String>,
    /// By application: roots that are complete in the store.
    pub held: BTreeMap<String, BTreeMap<Hash, Extent>>,
    /// Content was put aside as damaged and is not here again, as the host found: what is held is looked through.
    pub is_suspect: bool,
    /// By application: removed, and not cleared away yet.
    pub leaving: BTreeMap<String, Leaving>,
    /// Contradictions that were found, by number: settling stops until an administrator has acknowledged each.
    pub evidence: BTreeMap<u64, Evidence>,
    /// Orders of this member that wait for signatures.
    pub orders: BTreeMap<Id16, Pending>,
    /// When a quorum confirmed the head last; absent in a store of an older program, and while protocol version 1 is used.
    pub confirmed: Option<WallTime>,
    /// What became of invitations, as the newest links of the chain say ([`Saved::learn_link`]).
    pub ended: Ended,
}

/// What is on disk cannot be read. Nothing was changed; the member must not vote with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SavedError {
    /// Written by a newer program.
    #[error("{key}: format {format}, and this program reads {FORMAT}")]
    Newer {
        /// Which value.
        key: String,
        /// Its format.
        format: u8,
    },
    /// Not what was written.
    #[error("{0}: damaged")]
    Damaged(String),
}

fn value<T: Serialize>(of: &T) -> Vec<u8> {
    let mut bytes = vec![FORMAT];
    bytes.extend(codec::encode(of));
    bytes
}

fn read<T: Serialize + DeserializeOwned>(key: &[u8], bytes: &[u8]) -> Result<T, SavedError> {
    let key = String::from_utf8_lossy(key).into_owned();
    let (format, body) = bytes.split_first().ok_or_else(|| SavedError::Damaged(key.clone()))?;
    if *format != FORMAT {
        return Err(SavedError::Newer { key, format: *format });
    }
    codec::decode(body, usize::MAX).map_err(|_| SavedError::Damaged(key))
}

impl Saved {
    /// Reads the entries of [`Family::Meta`] and [`Family::Votes`].
    pub fn read(
        meta: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
        votes: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
    ) -> Result<Self, SavedError> {
        let mut saved = Self::default();
        for (key, bytes) in meta {
            saved.read_meta(&key, &bytes)?;
        }
        for (key, bytes) in votes {
            if key == b"promise" {
                saved.promise = Some(read(&key, &bytes)?);
            } else if key == b"entry" {
                let votes = read::<serde_bytes::ByteBuf>(&key, &bytes)?;
                saved.entry =
                    codec::decode(&votes, usize::MAX).map_err(|_| SavedError::Damaged("entry".into()))?;
            } else {
                saved.records.push(read::<serde_bytes::ByteBuf>(&key, &bytes)?.into_vec());
            }
        }
        Ok(saved)
    }

    /// The newest epochs of the chain on this disk, which are shown to [`Saved::learn_link`] in their order.
    pub fn newest_epochs(&self) -> std::ops::RangeInclusive<u64> {
        let last = self.head.as_ref().map_or(0, |head| head.state.epoch);
        (last + 1).saturating_sub(limits::ENDED_EPOCHS).max(1)..=last
    }

    /// Learns from a link of the chain, as it was written, what became of invitations. One that cannot be read tells
    /// nothing.
    pub fn learn_link(&mut self, bytes: &[u8]) {
        // Most links have nothing to do with any: the name of such a change would be in their bytes.
        let names = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
        if !names(b"\x65Admit") && !names(b"\x66Revoke") {
            return;
        }
        let (Some(head), Ok(link)) = (&self.head, read_link(bytes)) else { return };
        self.ended.learn_link(&head.state.entity, &link);
    }

    fn read_meta(&mut self, key: &[u8], bytes: &[u8]) -> Result<(), SavedError> {
        let text = String::from_utf8_lossy(key).into_owned();
        let damaged = || SavedError::Damaged(text.clone());
        let mut parts = text.split('/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("life"), None, _) => self.life = Some(read(key, bytes)?),
            (Some("head"), None, _) => self.head = Some(read(key, bytes)?),
            (Some("confirmed"), None, _) => self.confirmed = Some(read(key, bytes)?),
            (Some("beginning"), None, _) => self.beginning = Some(read(key, bytes)?),
            (Some("evidence"), Some(number), None) => {
                let number = number.parse().map_err(|_| damaged())?;
                self.evidence.insert(number, read(key, bytes)?);
            }
            (Some("order"), Some(id), None) => {
                let id = unhex(id).and_then(|bytes| bytes.try_into().ok()).ok_or_else(damaged)?;
                self.orders.insert(Id16(id), read(key, bytes)?);
            }
            (Some("leaving"), Some(application), None) => {
                self.leaving.insert(application.to_owned(), read(key, bytes)?);
            }
            (Some("applied"), Some(application), None) => {
                self.applied.insert(application.to_owned(), read(key, bytes)?);
            }
            (Some("owed"), Some(application), None) => {
                read::<bool>(key, bytes)?;
                self.owed.insert(application.to_owned());
            }
            (Some("held"), Some(application), Some(root)) => {
                let root = unhex(root).and_then(|bytes| bytes.try_into().ok()).ok_or_else(damaged)?;
                self.held.entry(application.to_owned()).or_default().insert(Hash(root), read(key, bytes)?);
            }
            _ => return Err(damaged()),
        }
        Ok(())
    }
}

fn put<T: Serialize>(family: Family, key: impl Into<Vec<u8>>, of: &T) -> Write {
    Write { family, key: key.into(), value: Some(value(of)) }
}

/// The life of the store.
pub(super) fn put_life(life: &Life) -> Write {
    put(Family::Meta, "life", life)
}

/// A settled record becomes the head; votes of its epoch are not needed any more.
pub(super) fn put_head(head: &Head) -> Write {
    put(Family::Meta, "head", head)
}

/// A link of the chain.
pub(super) fn put_link(epoch: u64, link: &Link) -> Write {
    put(Family::Chain, epoch.to_be_bytes(), link)
}

/// How this member came into its entity.
pub(super) fn put_beginning(beginning: &Beginning) -> Write {
    put(Family::Meta, "beginning", beginning)
}

/// When a quorum confirmed the head.
pub fn put_confirmed(at: &WallTime) -> Write {
    put(Family::Meta, "confirmed", at)
}

/// No quorum has confirmed this head.
pub(super) fn drop_confirmed() -> Write {
    Write { family: Family::Meta, key: b"confirmed".to_vec(), value: None }
}

/// The promise of an epoch.
pub(super) fn put_promise(promise: &Promise) -> Write {
    put(Family::Votes, "promise", promise)
}

/// On which votes the round was entered: in the form of a record, which older programs may find.
pub(super) fn put_entry(votes: Vec<Signed>) -> Write {
    put(Family::Votes, "entry", &serde_bytes::ByteBuf::from(codec::encode(&votes)))
}

/// Forgets the promise and how its round was entered: it was made from another store, or in another entity.
pub(super) fn drop_promise() -> [Write; 2] {
    [Write { family: Family::Votes, key: b"promise".to_vec(), value: None }, drop_entry()]
}

/// The epoch of that round is settled.
pub(super) fn drop_entry() -> Write {
    Write { family: Family::Votes, key: b"entry".to_vec(), value: None }
}

/// A record that is voted for.
pub(super) fn put_record(name: &Hash, bytes: &[u8]) -> Write {
    put(Family::Votes, format!("record/{}", name.hex()), &serde_bytes::ByteBuf::from(bytes))
}

/// Forgets a record that was voted for.
pub(super) fn drop_record(name: &Hash) -> Write {
    Write { family: Family::Votes, key: format!("record/{}", name.hex()).into(), value: None }
}

/// What was applied.
pub(super) fn put_applied(application: &str, applied: (u64, Hash)) -> Write {
    put(Family::Meta, format!("applied/{application}"), &applied)
}

/// What was applied is not known any more: the application is gone.
pub(super) fn drop_applied(application: &str) -> Write {
    Write { family: Family::Meta, key: format!("applied/{application}").into(), value: None }
}

/// The after hooks have still to end well.
pub(super) fn put_owed(application: &str) -> Write {
    put(Family::Meta, format!("owed/{application}"), &true)
}

/// The after hooks ended well, or there is nothing left for them.
pub(super) fn drop_owed(application: &str) -> Write {
    Write { family: Family::Meta, key: format!("owed/{application}").into(), value: None }
}

/// An application was removed.
pub(super) fn put_leaving(application: &str, leaving: &Leaving) -> Write {
    put(Family::Meta, format!("leaving/{application}"), leaving)
}

/// A removed application was cleared away.
pub(super) fn drop_leaving(application: &str) -> Write {
    Write { family: Family::Meta, key: format!("leaving/{application}").into(), value: None }
}

/// An order waits for signatures.
pub(super) fn put_order(id: &Id16, pending: &Pending) -> Write {
    put(Family::Meta, format!("order/{id}"), pending)
}

/// An order waits no more.
pub(super) fn drop_order(id: &Id16) -> Write {
    Write { family: Family::Meta, key: format!("order/{id}").into(), value: None }
}

/// A root is complete in the store.
pub(super) fn put_held(application: &str, root: &Hash, extent: Extent) -> Write {
    put(Family::Meta, held_key(application, root), &extent)
}

/// A root is not promised any more.
pub(super) fn drop_held(application: &str, root: &Hash) -> Write {
    Write { family: Family::Meta, key: held_key(application, root).into(), value: None }
}

/// A contradiction.
pub(super) fn put_evidence(number: u64, evidence: &Evidence) -> Write {
    put(Family::Meta, evidence_key(number), evidence)
}

/// A contradiction that there is no room for any more.
pub(super) fn drop_evidence(number: u64) -> Write {
    Write { family: Family::Meta, key: evidence_key(number).into(), value: None }
}

fn evidence_key(number: u64) -> String {
    format!("evidence/{number}")
}

fn held_key(application: &str, root: &Hash) -> String {
    format!("held/{application}/{}", hex(&root.0))
}

/// Reads a link that `put_link` wrote.
pub fn read_link(bytes: &[u8]) -> Result<Link, SavedError> {
    read(b"link", bytes)
}

/// Reads the bytes of a record that `put_record` wrote.
pub fn read_record(bytes: &[u8]) -> Result<Vec<u8>, SavedError> {
    Ok(read::<serde_bytes::ByteBuf>(b"record", bytes)?.into_vec())
}
