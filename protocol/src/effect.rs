//! The one seam between the protocol and its hosts: what goes in, what comes out (design §4).
//!
//! The rule about durability, once and loudly: **nothing that depends on a [`Output::Persist`] leaves before the
//! host answered it with [`Input::Persisted`].** The protocol keeps this by emitting the dependent outputs only
//! then; the host keeps it by answering only when the batch is synced, in the order of the batches.

use serde::{Deserialize, Serialize};

use crate::codec::{self, DecodeError};
use crate::conduct::Offence;
use crate::control::{Command, Progress, Reply};
use crate::event::Event;
use crate::handling::Handling;
use crate::hash::Hash;
use crate::identity::MemberId;
use crate::limits;
use crate::manifest::{Directory, Extent};
use crate::metrics::Readings;
use crate::parts::{Division, Outline};
use crate::path::ItemPath;
use crate::rollout::{Hook, Kind, Ran};
use crate::statement::Address;
use crate::time::Millis;

/// A part of the durable key space. The store keeps each apart; keys order as bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Family {
    /// Identity of the store, incarnation, head: few small values.
    Meta,
    /// Votes, locks and the records voted for, of the epoch that is being decided.
    Votes,
    /// Settled records with their certificates, by epoch (8 bytes, big-endian).
    Chain,
}

/// One durable change. A batch of them is atomic and synced before it counts as done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Write {
    /// Where.
    pub family: Family,
    /// Key, at most 255 bytes.
    pub key: Vec<u8>,
    /// The new value, whose first byte is its format; `None` deletes.
    pub value: Option<Vec<u8>>,
}

/// What a scan found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scan {
    /// A whole tree, the same in two looks.
    Tree {
        /// Its root.
        root: Hash,
        /// How much it is.
        extent: Extent,
        /// What differs from what was applied last is only what this member cannot make so: owners that it does not
        /// know or may not give. Says which and why; the next scan after that is over says nothing.
        beyond: Option<String>,
    },
    /// There is nothing at the application's root.
    Absent,
    /// The root or something in it cannot be read: no list is published, rather than a wrong one.
    Unreadable(String),
    /// The file system that the root lies on is not mounted: no list, and no repair of what lies underneath.
    Vanished(String),
    /// It changes while it is read; the host scans again by itself.
    Unstable(String),
}

/// How closely to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    /// Read what its timestamps call changed.
    Changed,
    /// Read everything.
    Everything,
}

/// Where new content comes from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Source {
    /// The application's own root on this member.
    Live,
    /// A directory of the administrator on this member.
    Directory(String),
}

/// Something to have in the store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Want {
    /// A directory of a manifest.
    Directory(Hash),
    /// The bytes of a file, and how many.
    File(Hash, u64),
    /// What the parts of a large file of this name and size must be. Since protocol version 2.
    Outline(Hash, u64),
    /// One part of it, by number. Since protocol version 2.
    Part(Hash, u64, u32),
}

impl Want {
    /// The request of a fetch, as a holder gets it: at most [`limits::WANTS_PER_FETCH`] wants, of sizes that can be.
    pub fn decode_all(bytes: &[u8]) -> Result<Vec<Self>, DecodeError> {
        let wants: Vec<Self> = codec::decode(bytes, limits::FETCH_BYTES)?;
        if wants.len() > limits::WANTS_PER_FETCH || !wants.iter().all(Self::is_possible) {
            return Err(DecodeError::Malformed(format!(
                "{} wants in one request, or too large ones",
                wants.len()
            )));
        }
        Ok(wants)
    }

    /// Bytes that come for it, but for a directory, of which nobody knows before.
    pub fn bytes(&self) -> Option<u64> {
        match self {
            Self::Directory(_) => None,
            Self::File(_, size) => Some(*size),
            Self::Outline(_, size) => Outline::length(*size),
            Self::Part(_, size, index) => Division::of(*size)?.range(*index).map(|(_, length)| length),
        }
    }

    fn is_possible(&self) -> bool {
        match self {
            Self::Directory(_) => true,
            Self::File(_, size) => *size <= limits::FILE_BYTES,
            Self::Outline(_, size) | Self::Part(_, size, _) => {
                *size <= limits::FILE_BYTES && self.bytes().is_some()
            }
        }
    }
}

/// What became of an [`Output::Fetch`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Fetched {
    /// Durable in the store now.
    pub done: Vec<Want>,
    /// The directories among them, checked against their names.
    pub directories: Vec<(Hash, Directory)>,
    /// Not there.
    pub missing: Vec<Want>,
    /// Bytes that came over the network.
    pub bytes: u64,
    /// Why something is missing, for people.
    pub error: Option<String>,
}

/// What became of an [`Output::Capture`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Captured {
    /// Root of the captured tree, complete and durable in the store.
    pub root: Hash,
    /// How much it is.
    pub extent: Extent,
}

/// Why there is no capture. Nothing is staged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotCaptured {
    /// It changes while it is read: later.
    Changing(String),
    /// It is not a tree that may be captured.
    Refused(String),
    /// The disk is full; what was staged is gone again.
    NoRoom(String),
    /// The disk or the store.
    Failed(String),
}

/// Why a tree was not made equal to a root. What was done until then is complete and stays, nothing is lost, and the
/// next apply goes on from there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotApplied {
    /// The disk is full.
    NoRoom(String),
    /// The trash may not take what would be replaced (finding 38).
    TrashFull(String),
    /// The file system that the root lies on is not mounted.
    Vanished(String),
    /// The store lacks some of the content, or has it damaged.
    Lacking(String),
    /// Anything else.
    Failed(String),
}

/// Whether this member's own directory takes what has to be written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Room {
    /// Everything.
    #[default]
    Enough,
    /// Votes and settled records, which have a reserve; no content. With what to say of it.
    Votes(String),
    /// Nothing: batches wait. With what to say of it.
    Nothing(String),
}

/// Who wants a tree made equal to a root.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// This member by itself. A tree whose file system is not mounted is left alone.
    Automatic,
    /// An administrator, now: the tree is made where the root is, whatever was mounted there before.
    ByHand,
}

/// What became of an [`Output::Apply`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Applied {
    /// Items that were changed.
    pub changed: u64,
    /// Items that went to the trash.
    pub trashed: u64,
    /// For the event log: what was repaired.
    pub detail: String,
    /// The items that were changed, at most [`crate::limits::REPAIRED_PATHS`] of them.
    pub paths: Vec<ItemPath>,
    /// Differences that were left alone: because that was asked for, or because what the application does not manage
    /// lies there.
    pub left: u64,
}

/// A peer for the network to accept and to dial.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its key.
    pub id: MemberId,
    /// Where to dial it, best first.
    pub addresses: Vec<Address>,
    /// Whether a connection is to be kept. To others there is one while something is sent.
    pub linked: bool,
    /// It is in the roster no more: it may dial us, and is dialed for content only, if it is known where.
    pub past: bool,
}

/// An application on this member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Its name.
    pub application: String,
    /// Absolute path of its root, before any prefix.
    pub root: String,
    /// Patterns of paths below it that are nobody's business: not seen, not captured, not changed.
    pub unmanaged: Vec<String>,
    /// How its tree is handled.
    pub handling: Handling,
}

/// Everything that can happen to a member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// A message of a peer.
    Received {
        /// Who the connection says it is.
        from: MemberId,
        /// A [`crate::wire::Message`].
        bytes: Vec<u8>,
    },
    /// A peer can be reached.
    Connected(MemberId),
    /// A peer cannot be reached any more.
    Disconnected(MemberId),
    /// A stranger asks to join; answer with [`Output::JoinAnswer`].
    JoinAsked {
        /// Names the question.
        ticket: u64,
        /// A [`crate::record::JoinRequest`].
        bytes: Vec<u8>,
    },
    /// What became of an [`Output::Join`].
    JoinAnswered {
        /// Which.
        join: u64,
        /// A [`crate::invitation::Answer`], or why there is none.
        answer: Result<Vec<u8>, String>,
    },
    /// This batch is synced.
    Persisted(u64),
    /// An application was scanned, because we asked or because it changed.
    Scanned {
        /// Which.
        application: String,
        /// What was found.
        scan: Scan,
    },
    /// A capture ended.
    Captured {
        /// Which.
        capture: u64,
        /// The tree, or why there is none.
        result: Result<Captured, NotCaptured>,
    },
    /// A fetch ended.
    Fetched {
        /// Which.
        fetch: u64,
        /// What is there now.
        result: Fetched,
    },
    /// An apply ended; the host scans the application next, by itself.
    Applied {
        /// Which.
        apply: u64,
        /// What was changed, or why it could not.
        result: Result<Applied, NotApplied>,
    },
    /// A hook ended.
    HookRan {
        /// Which [`Output::Hook`].
        run: u64,
        /// How.
        ran: Ran,
    },
    /// A removed application was cleared away.
    Cleared {
        /// Which [`Output::Clear`].
        clear: u64,
        /// Items that went to the trash, or why it could not.
        result: Result<u64, String>,
    },
    /// This file's content was found damaged in the store and put aside.
    Damaged {
        /// Its name.
        content: Hash,
        /// Where it was put.
        aside: String,
    },
    /// How much may be written has changed.
    Room(Room),
    /// The host measured.
    Sampled(Readings),
    /// A person or program asks for something.
    Requested {
        /// Names the request; every one is answered once with [`Output::Reply`].
        request: u64,
        /// Who asks, as the host knows it.
        by: String,
        /// What.
        command: Command,
    },
    /// The host saw a peer do what it may not.
    Offended {
        /// Which.
        who: MemberId,
        /// What.
        offence: Offence,
        /// How often since the host said so last.
        times: u64,
    },
    /// Time passed.
    Tick,
}

/// Everything that a member can want done, in the order in which it must be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send this message; it may be lost.
    Send {
        /// To whom.
        to: MemberId,
        /// A [`crate::wire::Message`].
        bytes: Vec<u8>,
    },
    /// Read the chain after this epoch and send it as [`crate::wire::Message::Chain`], within the limits.
    SendChain {
        /// To whom.
        to: MemberId,
        /// The last epoch it has.
        after: u64,
    },
    /// From now on only programs that speak this protocol version may open what is on disk. Durable before any later
    /// [`Output::Persist`]; never taken back; said again after a start.
    Format(u32),
    /// Make durable; answer with [`Input::Persisted`].
    Persist {
        /// Names the batch.
        batch: u64,
        /// Atomic.
        writes: Vec<Write>,
    },
    /// Whom to accept and dial from now on.
    Peers(Vec<Peer>),
    /// Have nothing to do with this peer for a while: no connection, nothing sent, nothing heard.
    Shun {
        /// Which.
        peer: MemberId,
        /// For how long from now on.
        lasts: Millis,
    },
    /// Which applications to watch and scan from now on. A new one is scanned at once.
    Places(Vec<Place>),
    /// Scan now; answer with [`Input::Scanned`].
    Scan {
        /// Which application.
        application: String,
        /// How closely.
        depth: Depth,
    },
    /// Copy a whole tree into the store; answer with [`Input::Captured`] when it is durable.
    Capture {
        /// Names the capture.
        capture: u64,
        /// Which application.
        application: String,
        /// From where.
        source: Source,
    },
    /// Get these into the store; answer with [`Input::Fetched`] when what came is durable.
    Fetch {
        /// Names the fetch.
        fetch: u64,
        /// Of which application.
        application: String,
        /// From this holder, or from what is on this member already: store, then live tree.
        from: Option<MemberId>,
        /// What.
        wants: Vec<Want>,
    },
    /// Make the live tree equal to this root, all of which is in the store; answer with [`Input::Applied`].
    Apply {
        /// Names the apply.
        apply: u64,
        /// Which application.
        application: String,
        /// The settled root.
        root: Hash,
        /// The epoch it is applied for.
        epoch: u64,
        /// What is not to be changed, with everything below it.
        leave: Vec<ItemPath>,
        /// Who wants it.
        order: Order,
    },
    /// Run a hook of an application, with the bytes that it has in the content of `from`, which is in the store; answer
    /// with [`Input::HookRan`]. A check is shown the content of `root` in a place of its own; what comes after an apply,
    /// the live tree.
    Hook {
        /// Names the run.
        run: u64,
        /// Of which application.
        application: String,
        /// Before a promise or after an apply.
        kind: Kind,
        /// What.
        hook: Hook,
        /// The settled root that the program is taken from.
        from: Hash,
        /// The root that it is about.
        root: Hash,
        /// The number of that revision, or the one that it would have.
        revision: u64,
    },
    /// This application was removed: move what lies at its root to the trash, or leave it; forget what was known of
    /// the tree; answer with [`Input::Cleared`]. It is among the [`Output::Places`] until then.
    Clear {
        /// Names the clearing.
        clear: u64,
        /// Which application.
        application: String,
        /// Leave the files.
        keep_files: bool,
    },
    /// Content of these roots must stay in the store. What none of them leads to may go, but for what a capture or
    /// fetch under way has put there or found there: the one is named here in the step that is told of its end, the
    /// other before it is asked for.
    Keep(Vec<Hash>),
    /// Log this.
    Event(Event),
    /// Show this to whoever asked.
    Progress {
        /// The request.
        request: u64,
        /// How far.
        progress: Progress,
    },
    /// Answer a request.
    Reply {
        /// The request.
        request: u64,
        /// The answer.
        reply: Reply,
    },
    /// Ask whoever listens at this address to let us in; answer with [`Input::JoinAnswered`].
    Join {
        /// Names the question.
        join: u64,
        /// Where a member of the entity listens.
        address: Address,
        /// A [`crate::record::JoinRequest`].
        bytes: Vec<u8>,
    },
    /// Answer a stranger.
    JoinAnswer {
        /// Its question.
        ticket: u64,
        /// A [`crate::invitation::Answer`].
        bytes: Vec<u8>,
    },
}
