//! Every bound in the system, named, with its reason. What exceeds one is refused, never truncated.

use crate::time::Millis;

/// A whole path below an application's root (PATH_MAX less room for the root itself).
pub const PATH_BYTES: usize = 3072;
/// One component of a path (NAME_MAX).
pub const NAME_BYTES: usize = 255;
/// Components of a path: a tree deeper than this is a mistake or an attack on recursion.
pub const PATH_DEPTH: usize = 64;
/// A symbolic link's target (PATH_MAX).
pub const LINK_BYTES: usize = 4095;
/// Name of a user or group (LOGIN_NAME_MAX).
pub const OWNER_BYTES: usize = 255;
/// Extended attributes of one item, where an application asks for them.
pub const XATTRS: usize = 32;
/// Bytes of their values together (XATTR_SIZE_MAX, of which a system gives one).
pub const XATTR_BYTES: usize = 64 << 10;
/// Patterns by which an application asks for extended attributes.
pub const XATTR_PATTERNS: usize = 16;
/// One encoded directory of a manifest: about 50,000 entries.
pub const DIRECTORY_BYTES: usize = 8 << 20;
/// One file: a terabyte, so that sizes can be added up.
pub const FILE_BYTES: u64 = 1 << 40;
/// Items of one application. A few small directories that name each other many times over could stand for more than
/// any machine holds.
pub const ITEMS: u64 = 1 << 20;
/// Name of an entity, member or application.
pub const LABEL_BYTES: usize = 63;
/// Free text of an administrator: reasons, notes.
pub const TEXT_BYTES: usize = 500;

/// One signed statement other than a proposal.
pub const STATEMENT_BYTES: usize = 64 << 10;
/// One record with its evidence: 501 Holdings of 300 bytes and intents.
pub const RECORD_BYTES: usize = 1 << 20;
/// One message between members.
pub const MESSAGE_BYTES: usize = 4 << 20;
/// What a stranger may send to be let in.
pub const JOIN_BYTES: usize = 16 << 10;
/// Places, positions or sums in one message: in 4 MiB would fit so many that looking for them would cost far more
/// than sending them.
pub const PLACES_PER_MESSAGE: usize = 1 << 16;
/// Text of a report: a program's version.
pub const VERSION_BYTES: usize = 63;
/// Buckets of a sketch in a report: 64 doublings of 32.
pub const SKETCH_BUCKETS: usize = 2048;
/// Records in one answer of a catch-up, if they fit [`MESSAGE_BYTES`].
pub const CHAIN_RECORDS: usize = 64;

/// Members of a roster.
pub const MEMBERS: usize = 10_000;
/// Past members that may still catch up.
pub const PAST_MEMBERS: usize = 1_000;
/// Settled epochs of which a member remembers who decided them: a second certificate of one of these is a fork. As
/// many as one answer of a catch-up can show.
pub const TRAIL_EPOCHS: usize = CHAIN_RECORDS;
/// Rosters remembered with them: in an entity that grows each epoch has one.
pub const TRAIL_ROSTERS: usize = 8;
/// Contradictions that are kept, acknowledged ones included; the oldest acknowledged one goes beyond.
pub const EVIDENCE: usize = 256;
/// What a new entity takes over from the one before; beyond, only the revisions in force come with it.
pub const GENESIS_BYTES: usize = 512 << 10;
/// Requests of one member to be re-admitted that are looked at: two are enough to see that its key is used twice.
pub const READMISSIONS: usize = 2;

/// Operators of an entity: what two of them must sign is looked at by all of them.
pub const OPERATORS: usize = 16;

/// How long an order may wait for signatures, by members' clocks; and in epochs as any intent.
pub const ORDER_LIFE: Millis = Millis::seconds(24 * 3600);
/// Orders that wait on one member.
pub const ORDERS: usize = 32;

/// Applications of an entity.
pub const APPLICATIONS: usize = 1_000;
/// Live invitations.
pub const INVITATIONS: usize = 100;
/// Invitations that are open no more and of which a member knows what became, those of the newest records.
pub const ENDED_INVITATIONS: usize = 1_024;
/// So many of the newest records are looked at for that by a start.
pub const ENDED_EPOCHS: u64 = 1_024;
/// Strangers that a member keeps waiting before it can answer.
pub const EARLY_STRANGERS: usize = 64;
/// How much the clocks of a newcomer and of the member that it asks may differ: half of what the changes bear that a
/// newcomer has to originate itself (PROTOCOL.md B6).
pub const CLOCKS_DIFFER: Millis = Millis::seconds(5 * 60);
/// Labels of a member: they are in the state, which every member encodes for every record.
pub const LABELS: usize = 32;
/// Addresses of a member.
pub const ADDRESSES: usize = 8;
/// Earlier revisions of an application that stay in the state and on disk, for `rollback`.
pub const REVISIONS_KEPT: usize = 5;
/// Intents in one record.
pub const INTENTS_PER_RECORD: usize = 16;
/// Intents that wait and are looked at for one record: the oldest of each author first, so that nobody's many keep
/// another's few waiting (finding 12).
pub const INTENTS: usize = 256;
/// Intents of one author that are looked at.
pub const INTENTS_PER_AUTHOR: usize = 32;
/// Epochs after which an intent that was not settled is dead, and its id may be forgotten.
pub const INTENT_EPOCHS: u64 = 64;
/// Live statements kept of one author; only the newest are kept beyond.
pub const STATEMENTS_PER_AUTHOR: usize = 4096;
/// And so many bytes of them: a proposal with its evidence for a few rounds, and everything small.
pub const STATEMENT_BYTES_PER_AUTHOR: usize = 4 << 20;
/// Rounds ahead of mine whose votes are kept while I catch up; further ones are dropped and re-sent.
pub const ROUNDS_AHEAD: u32 = 64;

/// Rounds ahead of mine whose proposals are kept: each may be a megabyte.
pub const PROPOSAL_ROUNDS_AHEAD: u32 = 4;

/// Patterns of one application for what it does not manage.
pub const UNMANAGED: usize = 32;
/// Groups that an application goes to, at most; a member's label has room for no more.
pub const GROUPS: usize = 32;
/// One such pattern.
pub const PATTERN_BYTES: usize = 255;
/// Paths that an apply names as changed, for the member that counts repairs.
pub const REPAIRED_PATHS: usize = 1_000;

/// Things to fetch in one request to one holder.
pub const WANTS_PER_FETCH: usize = 256;
/// One request to a holder: its wants, with room.
pub const FETCH_BYTES: usize = 64 << 10;
/// Bytes to fetch in one request to one holder, unless a single item is larger.
pub const BYTES_PER_FETCH: u64 = 8 << 20;
/// The same for parts of large files, of which each counts by itself: so few requests that on no network of ten gigabits
/// a second there are more of them than a holder takes from one member.
pub const PART_BYTES_PER_FETCH: u64 = 32 << 20;
/// A larger file is had in parts, of which each is checked before it counts.
pub const LARGE_FILE: u64 = 16 << 20;
/// One part of a large file, unless there would be more than [`PARTS`].
pub const PART_BYTES: u64 = 4 << 20;
/// Parts of one file: their outline stays below half a megabyte.
pub const PARTS: u64 = 16 << 10;
/// Requests under way at once, over all holders, for one root.
pub const FETCHES_AT_ONCE: usize = 4;

/// Longest update window.
pub const WINDOW_MAX: Millis = Millis::seconds(24 * 3600);
/// Longest life of an invitation.
pub const INVITATION_MAX: Millis = Millis::seconds(30 * 24 * 3600);

/// Hooks of one kind of an application.
pub const HOOKS: usize = 4;
/// Arguments of one hook.
pub const HOOK_ARGUMENTS: usize = 16;
/// Longest time that one hook may take.
pub const HOOK_MAX: Millis = Millis::seconds(600);
/// Longest probation of a commit.
pub const PROBATION_MAX: Millis = Millis::seconds(24 * 3600);
/// Shortest and longest quiet period of a window that commits by itself.
pub const QUIET: (Millis, Millis) = (Millis(200), Millis::seconds(3600));
