//! What a simulation says afterwards.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::likeness::Likeness;

/// The mark of a planted bug that did what a sound host does not do.
pub const STRUCK: &str = "a planted bug struck";

/// Everything interesting that a swarm must reach: what no seed ever did was not tested. Other marks are in fewer than
/// one of a thousand seeds (a fork that is proved while most still stand, say): they are told and not demanded.
pub const SOMETIMES: [&str; 111] = [
    "a blackout",
    "a bridge",
    "a chain was sent",
    "a check failed",
    "a check was run",
    "a clock jumped",
    "a clock ran fast or slow",
    "a clock was wrong",
    "a commit",
    "a connection was reset",
    "a crash",
    "a crash in the middle of an apply",
    "a crash lost what was not durable",
    "a disk could not be read",
    "a disk had lied",
    "a disk had no room for content",
    "a disk was full",
    "a disk was lost",
    "a flapping link",
    "a half-open connection",
    "a holder did not give what it was asked for",
    "a hook was not run, as its content had rotted",
    "a host alone",
    "a host had narrow links",
    "a liar forked the entity",
    "a liar was left alone",
    "a liar was named",
    "a long outage",
    "a machine was copied",
    "a member came back with another address",
    "a member forged",
    "a member got other groups",
    "a member joined later",
    "a member learned that its entity was begun anew",
    "a member said nothing",
    "a member said old things again",
    "a member sent garbage",
    "a member served other content",
    "a member spoke to some only",
    "a member voted for everything",
    "a member was re-admitted",
    "a member went",
    "a message came twice",
    "a message waited for its link",
    "a message was cut off",
    "a message was held up and overtaken",
    "a message was lost",
    "a newer protocol version came into force",
    "a one-sided partition",
    "a part of a large file came",
    "a partition",
    "a probation failed",
    "a process hung until its watchdog killed it",
    "a process stood still",
    "a process was slow",
    "a program was upgraded",
    "a promise was judged by the model's guards",
    "a queue was full",
    "a record was settled",
    "a record with several changes",
    "a removed application was cleared away",
    "a request was done",
    "a restored store was found out",
    "a revision was applied",
    "a revision was undone",
    "a rollback",
    "a sync failed",
    "a window expired",
    "a window was aborted",
    "a write failed",
    "a write was torn",
    "a write went to another place",
    "an administrator acknowledged a contradiction",
    "an after hook failed",
    "an after hook was run",
    "an application was placed elsewhere",
    "an apply failed",
    "an apply went forward after a crash",
    "an entity was begun anew",
    "an epoch took more than one round",
    "an invitation was used too late",
    "an old image of a disk was put back",
    "an upgrade was taken back",
    "bytes were changed on their way",
    "content rotted",
    "content was thrown away",
    "contested paths were repaired by hand",
    "delays rose",
    "disks were slow",
    "drift on one member",
    "drift was noticed",
    "drift was repaired",
    "hooks failed on a host",
    "hosts were clogged and let go in another order",
    "each link was another",
    "files were changed during an apply",
    "messages took more or less long",
    "more than two thirds settle",
    "old certificates were sent again",
    "old messages were sent again",
    "other content than was asked for came and was refused",
    "rotten content was found",
    "somebody asked for a re-admission",
    "something critical was told",
    "something forged was refused",
    "the drift of a majority was adopted",
    "the majority was lost",
    "the majority was lost for long",
    "the same drift on several members",
    "two administrators deployed at once",
    "two votes in one place were found",
];

/// Something that must never happen did.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Violation {
    /// Which rule: a clause of design §5.5, or a word.
    pub clause: &'static str,
    /// In which step of the world.
    pub step: u64,
    /// After how many seconds of the world.
    pub seconds: f64,
    /// What happened.
    pub text: String,
}

/// A notable event.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Entry {
    /// After how many seconds of the world.
    pub seconds: f64,
    /// On which host; empty for the world.
    pub host: String,
    /// What happened.
    pub text: String,
}

/// How all members were at some moment.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Survey {
    /// After how many seconds of the world.
    pub seconds: f64,
    /// Which moment.
    pub when: &'static str,
    /// In the order of the hosts.
    pub members: Vec<Seen>,
}

/// How a member was.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// Its process runs.
    pub runs: bool,
    /// How many settled records it knows.
    pub epoch: u64,
    /// It may vote.
    pub votes: bool,
    /// It says that enough voters can be reached to settle anything.
    pub majority: bool,
    /// The applications that go to it.
    pub applications: Vec<Placed>,
    /// What it says that is critical, a line each.
    pub says: Vec<String>,
}

/// An application on a member.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Placed {
    /// Its name.
    pub name: String,
    /// The revision in force, as far as this member knows.
    pub known: u64,
    /// The revision whose content is there now; none if it is no settled content.
    pub there: Option<u64>,
}

/// Messages between two moments.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Tally {
    /// From then on, in milliseconds after the beginning of the faults.
    pub from: u64,
    /// Until then.
    pub until: u64,
    /// By kind: how many, and their bytes.
    pub kinds: BTreeMap<String, (u64, u64)>,
}

/// What became of one seed.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// When faults began, in seconds.
    pub begun: f64,
    /// Servers.
    pub members: usize,
    /// Seconds that passed in the world.
    pub seconds: f64,
    /// Steps of the world.
    pub events: u64,
    /// Messages sent.
    pub messages: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Records settled.
    pub epochs: u64,
    /// Revisions settled.
    pub deployments: u64,
    /// Applies that put drifted content right.
    pub repairs: u64,
    /// Crashes.
    pub crashes: u64,
    /// Partitions.
    pub partitions: u64,
    /// How often each interesting thing happened.
    pub sometimes: BTreeMap<&'static str, u64>,
    /// Hash of everything that happened, in order: equal for equal seeds.
    pub trace: String,
    /// What must never happen and did; the simulation ends with the first.
    pub violations: Vec<Violation>,
    /// The real entity that this one was like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub likeness: Option<Likeness>,
    /// Messages by kind, if that was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tally: Vec<Tally>,
    /// How all members were, if that was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub surveys: Vec<Survey>,
    /// Notable events that came after those of [`Outcome::timeline`], and were too many for it.
    #[serde(skip_serializing_if = "is_zero")]
    pub untold: u64,
    /// Notable events, up to 20,000.
    pub timeline: Vec<Entry>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}
