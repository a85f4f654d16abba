//! Every bound and every delay of the network port, with its reason.

use std::time::Duration;

use althing_protocol::budget::Rate;

/// The largest control message. Manifests of ten thousand files fit; anything larger is bulk.
pub const CONTROL_MESSAGE: usize = 4 << 20;
/// The largest API request forwarded to another member: a call, whose body is at most 1 MiB, as JSON.
pub const API_REQUEST: usize = 2 << 20;
/// The largest reply to one: it comes from the member that we chose to ask.
pub const API_BODY: usize = 16 << 20;
/// The largest join request: it comes from strangers, so it stays small.
pub const JOIN_REQUEST: usize = 64 << 10;
/// The largest answer to a join request: it comes from the member we chose to ask and holds a roster.
pub const JOIN_REPLY: usize = 1 << 20;
/// A frame buffer grows as bytes arrive; a claimed length reserves no more than this.
pub(super) const FIRST_RESERVE: usize = 64 << 10;

/// Requests that are being read and did not come to their end, of all peers together. What does not fit is refused,
/// and said again.
pub(super) const READING: usize = 16 << 20;

/// Messages of one peer. A member says a few a second; in an entity of a thousand, each vote of each passes over a few
/// links. What is above is refused as busy, and said again.
pub(super) const MESSAGES: Rate = Rate { burst: 4096, per_second: 1024 };
/// Their bytes. Two messages of the largest kind at once, then one a second.
pub(super) const MESSAGE_BYTES: Rate = Rate { burst: 8 << 20, per_second: 4 << 20 };
/// API requests of one peer: people and scripts, on any of the entity's screens.
pub(super) const API_REQUESTS: Rate = Rate { burst: 256, per_second: 64 };
/// Bulk streams that one peer opens: one a fetch, and content comes in few of them.
pub(super) const BULK_STREAMS: Rate = Rate { burst: 256, per_second: 32 };
/// Join requests of all strangers together: each may become a vote.
pub(super) const JOINS: Rate = Rate { burst: 64, per_second: 2 };
/// Of these, from one address: a rack that joins at once, and never all of them.
pub(super) const JOINS_PER_IP: Rate = Rate { burst: 32, per_second: 1 };
/// Addresses whose join requests are counted; of more, the one that was quiet for longest begins anew.
pub(super) const JOIN_IPS: usize = 1024;
/// So many connections that came to nothing are worth telling.
pub(super) const STRANGERS_WORTH_TELLING: u64 = 16;
/// And not more often than this.
pub(super) const STRANGERS_TOLD: Duration = Duration::from_secs(60);
/// Peers' offences are told to the daemon this often.
pub(super) const OFFENCES_TOLD: Duration = Duration::from_secs(1);
/// Connections of one peer that replace one that works. After a restart or a simultaneous dial it is one; who goes on
/// is two processes with one key, or flaps: then the connection that is there stays.
pub(super) const REPLACEMENTS: u32 = 4;
/// One more replacement is forgiven after this.
pub(super) const REPLACEMENT_FORGIVEN: Duration = Duration::from_secs(10);

/// Messages that may wait for one peer. Overflow drops the oldest.
pub const LANE_MESSAGES: usize = 1024;
/// Bytes that may wait for one peer: a few of the largest messages. Overflow drops the oldest.
pub const LANE_BYTES: usize = 16 << 20;
/// Control messages on the line to one peer that have not left, or sent to it and not acknowledged yet. Small, so that
/// order is mostly kept.
pub(super) const WINDOW: usize = 16;
/// Bytes on the line to one peer that have not left; one more message may go beyond. The rest waits in its lane.
pub(super) const LINE_BYTES: usize = 256 << 10;
/// API requests of ours that one peer may owe us; more are refused as busy.
pub(super) const API_IN_FLIGHT: usize = 64;
/// Requests and joins of others that the daemon has not answered yet; more are refused as busy.
pub(super) const UNANSWERED: usize = 256;
/// Commands of the daemon (requests, joins, bulk) waiting for a swarm; the caller waits.
pub(super) const COMMANDS: usize = 256;
/// Events waiting in the channel to the daemon; behind it comes the backlog. Few, because their bytes are not counted.
pub(super) const EVENTS: usize = 16;
/// Messages and requests waiting behind the channel; more are refused as busy.
pub(super) const BACKLOG_EVENTS: usize = 1024;
/// Bytes waiting behind the channel; more are refused as busy.
pub(super) const BACKLOG_BYTES: usize = 16 << 20;
/// Streams with control messages on one connection, both directions together. Beyond it libp2p drops.
pub(super) const CONTROL_STREAMS: usize = 4 * WINDOW;
/// Streams with API requests on one connection, both directions together. Beyond it libp2p drops.
pub(super) const API_STREAMS: usize = 3 * API_IN_FLIGHT;
/// Streams of the join protocol on one connection.
pub(super) const JOIN_STREAMS: usize = 4;
/// Streams of all kinds on one connection.
pub(super) const YAMUX_STREAMS: usize = 1024;
/// Connections of strangers on the control port at one time.
pub const STRANGERS: usize = 32;
/// Of these, connections of one key: a former member that does not know yet must not take all places.
pub(super) const STRANGERS_PER_KEY: usize = 2;
/// Of these, connections from one address.
pub(super) const STRANGERS_PER_IP: usize = 16;
/// Connections that are still in the handshake, per swarm, from addresses where no member is known.
pub(super) const HANDSHAKES: usize = 128;
/// Of these, from one address; and from each address where a member is known, however many strangers knock.
pub(super) const HANDSHAKES_PER_IP: usize = 48;
/// Inbound bulk streams that wait for the daemon to take them; more are dropped.
pub(super) const BULK_ACCEPTING: usize = 64;
/// Of these, of one peer.
pub(super) const BULK_ACCEPTING_PER_PEER: usize = 16;
/// Streams of ours being opened at one time, and callers waiting for one peer's bulk connection.
pub(super) const BULK_OPENING: usize = 64;

/// A control message that is not acknowledged by then is dropped. On a line, what is written and not taken by then, and
/// what began to come and has not come by then.
pub(super) const MESSAGE_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest time-out of an API or join request.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);
/// Until then a TCP connect plus handshake must be done.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Until then a bulk stream must be open, its connection being up.
pub(super) const BULK_OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// A control connection is kept as long as its peer is in the set.
pub(super) const CONTROL_IDLE: Duration = Duration::from_secs(24 * 3600);
/// A bulk stream on which nothing moves is given up after this: longer than any disk makes a peer wait.
pub(super) const BULK_STREAM_IDLE: Duration = Duration::from_secs(60);
/// A bulk connection without streams goes after this.
pub(super) const BULK_IDLE: Duration = Duration::from_secs(60);

/// A control connection on which something was said and nothing heard for so long is asked whether it lives. Longer
/// than a member that is at rest waits between two heartbeats: those that exchange them are never asked.
pub(super) const ASK_AFTER: Duration = Duration::from_secs(3);
/// One on which nothing was said is asked after this: before whatever stands between two members forgets the connection.
pub(super) const ASK_IDLE: Duration = Duration::from_secs(200);
/// Who does not answer that within this is dead.
pub(super) const ANSWER: Duration = Duration::from_secs(3);
/// A program without lines pings each control connection this often.
pub(super) const PING_EVERY: Duration = Duration::from_secs(1);
/// Each side pings each bulk connection this often.
pub(super) const BULK_PING: Duration = Duration::from_secs(4);
/// The same for a bulk connection, whose pings wait behind its bytes.
pub(super) const BULK_SILENCE: Duration = Duration::from_secs(20);
/// The shell looks at its deadlines this often.
pub(super) const TICK: Duration = Duration::from_millis(100);
/// And this often while there are no short ones. Well below [`STALL`].
pub(super) const TICK_AT_REST: Duration = Duration::from_millis(500);
/// When we ourselves were stopped for so long, silence is no evidence against anybody.
pub(super) const STALL: Duration = Duration::from_secs(1);

/// The delay before the second dial.
pub(super) const BACKOFF_START: Duration = Duration::from_millis(100);
/// The delay between dials does not grow above this.
pub(super) const BACKOFF_CAP: Duration = Duration::from_secs(5);
/// The member with the greater key dials later by this, so that both rarely dial at once.
pub(super) const STAGGER: Duration = Duration::from_millis(250);
/// Somebody wants to talk: dial sooner than the back-off says, but not more often than this.
pub(super) const HURRIED_DIALS: Duration = Duration::from_millis(500);
/// A connection that lasted so long was a success: the back-off starts anew.
pub(super) const STABLE: Duration = Duration::from_secs(5);
/// Two connections of opposite direction within this time are a simultaneous dial, not a restart.
pub(super) const SIMULTANEOUS: Duration = Duration::from_secs(1);

/// A stranger without a join request is sent away after this.
pub const STRANGER_STAY: Duration = Duration::from_secs(10);
/// A stranger whose join request is being answered may stay this long.
pub const STRANGER_JOINING: Duration = Duration::from_secs(60);
