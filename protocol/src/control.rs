//! What an administrator can ask of a member, and what comes back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::codec::is_default;
use crate::effect::Source;
use crate::governance::{Authority, Governance, QuorumRule};
use crate::handling::Handling;
use crate::hash::Hash;
use crate::manifest::Extent;
use crate::placement::Placement;
use crate::record::{Definition, Policy};
use crate::rollout::{Rollout, Wish};
use crate::statement::Address;
use crate::time::{Millis, WallTime};

/// A request that changes something. Reading goes through [`crate::member::Member`]'s queries.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Make this member the first of a new entity.
    Init {
        /// The entity's name.
        name: String,
        /// This member's name.
        member: String,
        /// Where it listens.
        address: Address,
        /// Who decides in it.
        #[serde(default)]
        governance: Governance,
    },
    /// Join the entity of an invitation.
    Join {
        /// The invitation's text.
        invitation: String,
        /// This member's name.
        member: String,
        /// Where it listens.
        address: Address,
    },
    /// Make an invitation.
    Invite {
        /// How many machines may use it.
        uses: u32,
        /// For how long.
        lasts: Millis,
        /// Free text.
        note: String,
        /// Whether they become spares.
        spare: bool,
    },
    /// End an invitation: its id as `invite list` shows it, or the start of it.
    Revoke {
        /// The id.
        id: String,
    },
    /// Have the entity use a newer protocol version: there is no way back.
    Raise {
        /// Which.
        protocol: u32,
    },
    /// Remove a member by name.
    Remove {
        /// Its name.
        member: String,
    },
    /// Take a member out of service.
    TakeOut {
        /// Its name.
        member: String,
        /// Why.
        reason: String,
        /// For how long; until it is brought in if absent.
        lasts: Option<Millis>,
        /// Even if nobody is left in service.
        anyway: bool,
    },
    /// Bring a member into service.
    BringIn {
        /// Its name.
        member: String,
    },
    /// Make a member a spare.
    Spare {
        /// Its name.
        member: String,
        /// Even if nobody is left in service.
        anyway: bool,
    },
    /// Make a spare a member that counts.
    Enlist {
        /// Its name.
        member: String,
    },
    /// Give a member another name.
    Rename {
        /// Its name.
        member: String,
        /// Its new name.
        name: String,
    },
    /// Set or remove labels of a member.
    Label {
        /// Its name.
        member: String,
        /// By key; a label without a value is removed.
        labels: BTreeMap<String, Option<String>>,
        /// Of applications that do not go to it any more: leave their files, instead of moving them to the trash.
        #[serde(default)]
        keep_files: bool,
    },
    /// Have a member count again whose store was lost, restored or copied.
    Readmit {
        /// Its name.
        member: String,
    },
    /// Acknowledge what stops settling on this member.
    Resolve {
        /// The record whose branch goes on, of a fork or an entity that was begun anew.
        keep: Option<String>,
    },
    /// Begin the entity anew, its majority being lost for good.
    Recover {
        /// Members that are to come over, by name.
        keep: Vec<String>,
        /// Where operators govern: hexadecimal digits of a canonical list of their signatures of the
        /// [`crate::succession::Warrant`].
        #[serde(default)]
        approvals: String,
    },
    /// Say anew how many voters settle.
    SetQuorum {
        /// The rule.
        rule: QuorumRule,
    },
    /// Say anew whose word changes need.
    SetAuthority {
        /// Whose.
        authority: Authority,
    },
    /// Have a command made into an order that operators can sign.
    Draft {
        /// Which.
        command: Box<Command>,
    },
    /// Signatures of operators for an order that waits on this member.
    Sign {
        /// Its id, or the start of it.
        id: String,
        /// Hexadecimal digits of a canonical list of [`crate::order::Approval`].
        approvals: String,
    },
    /// An order that waits on this member is not wanted any more.
    Withdraw {
        /// Its id, or the start of it.
        id: String,
    },
    /// This member leaves.
    Leave,
    /// This member listens elsewhere now.
    Move {
        /// Where.
        address: Address,
    },
    /// Define an application; with a source, deploy it as revision 1.
    Create {
        /// Its name.
        application: String,
        /// Absolute path of its root on every member.
        root: String,
        /// What drift on a majority means.
        policy: Policy,
        /// Its first content, if any.
        source: Option<Source>,
        /// Content that is already at the root of members may be moved to the trash.
        replace: bool,
        /// Patterns of paths that are not managed.
        unmanaged: Vec<String>,
        /// How members handle its tree.
        #[serde(default, skip_serializing_if = "crate::codec::is_default")]
        handling: Handling,
        /// Which members it goes to; all if absent.
        #[serde(default)]
        placement: Placement,
        /// Whether what a majority has there already becomes the first revision; unless it comes with a source, if absent.
        #[serde(default)]
        adopts: Option<bool>,
        /// How its revisions get onto the members; as of any new application if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rollout: Option<Rollout>,
    },
    /// Say anew what an application is.
    Arrange {
        /// Its name.
        application: String,
        /// Which members it goes to; where it goes now if absent.
        #[serde(default)]
        placement: Option<Placement>,
        /// What else is to be another.
        #[serde(default)]
        definition: Definition,
        /// Members that it does not go to any more leave its files where they are.
        #[serde(default)]
        keep_files: bool,
        /// How its revisions get onto the members; as now if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rollout: Option<Rollout>,
    },
    /// An application is not the entity's any more.
    Discard {
        /// Which.
        application: String,
        /// Leave its files where they are, instead of moving them to the trash.
        keep_files: bool,
    },
    /// Say anew what drift on a majority means for an application.
    Define {
        /// Its name.
        application: String,
        /// The new policy.
        policy: Policy,
    },
    /// Open an update window here.
    Open {
        /// Of which application.
        application: String,
        /// For how long.
        lasts: Millis,
        /// Why.
        reason: String,
        /// What lies at the root here now is staged at once, whether it is drift or not.
        adopt: bool,
        /// The edits are settled by themselves whenever they have rested for so long.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        auto: Option<Millis>,
    },
    /// Let the window that is open here stand until some time from now.
    Extend {
        /// Of which application.
        application: String,
        /// For how long from now.
        lasts: Millis,
    },
    /// Stage content in the open window.
    Stage {
        /// Of which application.
        application: String,
        /// From where.
        source: Source,
    },
    /// Settle what is staged (or, if nothing is, the edited live tree).
    Commit {
        /// Of which application.
        application: String,
        /// Refuse if the revision in force is not this one.
        expect: Option<u64>,
        /// How it is to get onto the members.
        #[serde(default, skip_serializing_if = "is_default")]
        wish: Wish,
    },
    /// Let a roll-out go on that a failing hook has stopped.
    GoOn {
        /// Of which application.
        application: String,
    },
    /// Close a window without a change.
    Abort {
        /// Of which application.
        application: String,
    },
    /// Open, stage and commit in one.
    Deploy {
        /// Of which application.
        application: String,
        /// From where.
        source: Source,
        /// Why.
        reason: String,
        /// As the first content: what members have at the root may be moved to the trash.
        replace: bool,
        /// How it is to get onto the members.
        #[serde(default, skip_serializing_if = "is_default")]
        wish: Wish,
    },
    /// Settle an earlier revision's content as a new revision.
    Rollback {
        /// Of which application.
        application: String,
        /// To which revision.
        to: u64,
        /// How it is to get onto the members.
        #[serde(default, skip_serializing_if = "is_default")]
        wish: Wish,
    },
    /// Stop repair of an application for a time, or resume it.
    Pause {
        /// Of which application.
        application: String,
        /// For how long; `None` resumes.
        lasts: Option<Millis>,
    },
    /// Re-read everything of an application on this member.
    Verify {
        /// Which.
        application: String,
    },
    /// Repair an application on this member now.
    Repair {
        /// Which.
        application: String,
    },
}

/// What a request brought about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done; nothing more to say.
    Done,
    /// This member is in the entity.
    Member {
        /// The entity's name.
        entity: String,
        /// The entity's id.
        id: Hash,
        /// This member's name.
        member: String,
        /// Voters of the roster.
        voters: u64,
        /// Votes that settle.
        majority: u64,
        /// By which rule.
        #[serde(default)]
        quorum: QuorumRule,
    },
    /// What operators have to sign.
    Draft {
        /// Names the request.
        id: String,
        /// Hexadecimal digits of the [`crate::order::Order`].
        order: String,
        /// Signatures that it needs.
        need: u32,
    },
    /// Changes need the word of others.
    Authority {
        /// Whose.
        authority: Authority,
    },
    /// The entity has another quorum rule.
    Quorum {
        /// The rule.
        rule: QuorumRule,
        /// Voters of the roster.
        voters: u64,
        /// Votes that settle.
        needed: u64,
    },
    /// The entity was begun anew.
    Recovered {
        /// Its name.
        entity: String,
        /// Its id.
        id: Hash,
        /// The entity before.
        from: Hash,
        /// The last epoch of that.
        epoch: u64,
        /// Members that are to come over.
        others: Vec<String>,
        /// What they join with.
        invitation: Option<String>,
        /// Until when.
        expires: Option<WallTime>,
    },
    /// An invitation.
    Invitation {
        /// What the next machine needs.
        invitation: String,
        /// Names it in lists.
        id: String,
        /// Until when.
        expires: WallTime,
        /// How many machines.
        uses: u32,
    },
    /// An application was defined.
    Created {
        /// Its name.
        application: String,
        /// Its root.
        root: String,
    },
    /// An application was removed.
    Removed {
        /// Its name.
        application: String,
        /// Where it lay.
        root: String,
        /// Its files stay there.
        keep_files: bool,
    },
    /// A window is open here.
    Window {
        /// Of which application.
        application: String,
        /// Until when.
        expires: WallTime,
        /// The revision in force.
        revision: u64,
        /// What was staged with it, if that was asked for.
        staged: Option<Hash>,
    },
    /// Content is staged.
    Staged {
        /// Of which application.
        application: String,
        /// Its root.
        root: Hash,
        /// How much it is.
        extent: Extent,
    },
    /// A revision is settled.
    Settled {
        /// Of which application.
        application: String,
        /// Its number.
        revision: u64,
        /// Its root.
        root: Hash,
        /// How much it is.
        extent: Extent,
        /// Members that held it durably when it was settled.
        holders: u64,
        /// Placed members.
        of: u64,
    },
    /// What was to be settled is in force already.
    Unchanged {
        /// Of which application.
        application: String,
        /// The revision in force.
        revision: u64,
    },
    /// The entity uses this protocol version.
    Raised {
        /// Which.
        protocol: u32,
    },
    /// A scan or repair ended.
    Looked {
        /// Of which application.
        application: String,
        /// What is there.
        observed: Option<Hash>,
        /// Whether it is what was settled.
        agrees: bool,
    },
}

/// How far a request is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Progress {
    /// `vote`, `stage`, `hold`, `settle`, `apply`.
    pub stage: String,
    /// So many.
    pub done: u64,
    /// Of so many.
    pub of: u64,
}

/// The answer to a request.
pub type Reply = Result<Outcome, Refusal>;

/// Why a request was refused; nothing was changed unless the text says so.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Which kind.
    pub code: Code,
    /// What happened.
    pub message: String,
    /// Why: facts by name.
    pub facts: Vec<(String, String)>,
    /// What to do: text and command.
    pub remedies: Vec<(String, Vec<String>)>,
}

impl Refusal {
    /// A refusal without facts or remedies yet.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), facts: Vec::new(), remedies: Vec::new() }
    }

    /// Adds a fact.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl ToString) -> Self {
        self.facts.push((name.to_owned(), value.to_string()));
        self
    }

    /// Adds a remedy: what it does, and the command.
    #[must_use]
    pub fn try_(mut self, text: &str, command: &str) -> Self {
        let command = command.split_whitespace().map(str::to_owned).collect();
        self.remedies.push((text.to_owned(), command));
        self
    }
}

macro_rules! codes {
    ($($variant:ident = $number:literal, $name:literal, $exit:literal, $doc:literal;)*) => {
        /// Kinds of errors: number, name, exit code (cli.md).
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
        pub enum Code { $(#[doc = $doc] $variant,)* }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// `E412`.
            pub fn number(self) -> &'static str {
                match self { $(Self::$variant => $number,)* }
            }

            /// `window-open`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The exit code of a command that ends with it.
            pub fn exit(self) -> u8 {
                match self { $(Self::$variant => $exit,)* }
            }

            /// What it means.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $doc,)* }
            }
        }
    };
}

codes! {
    Failed = "E100", "failed", 1, "Failed, for the reason the message gives.";
    NotInEntity = "E101", "not-in-entity", 69, "This machine is not in an entity yet.";
    InEntity = "E102", "in-entity", 78, "This machine is in an entity already.";
    Input = "E103", "invalid", 65, "A name, path, number or text is not allowed here.";
    Denied = "E104", "not-permitted", 77, "The caller may not do this.";
    InUse = "E105", "directory-in-use", 75, "Another node runs with this directory.";
    NodeDown = "E201", "node-down", 69, "No node answers at the address.";
    PeerDown = "E202", "peer-unreachable", 69, "The member that should answer cannot be reached.";
    Mute = "E203", "mute", 75, "This member does not vote yet, or not any more.";
    Contradiction = "E302", "contradiction", 106, "Something was found that contradicts what was settled; nothing is settled until it is acknowledged.";
    NoMajority = "E301", "no-majority", 106, "Fewer members can be reached than must agree.";
    InvitationExpired = "E311", "invitation-expired", 65, "The invitation's time is over.";
    InvitationUsed = "E312", "invitation-used", 65, "The invitation was used as often as it may.";
    InvitationRevoked = "E313", "invitation-revoked", 65, "The invitation was revoked.";
    InvitationBad = "E314", "not-an-invitation", 65, "This is not an invitation, or it was mistyped.";
    NoAnswer = "E315", "no-address-answers", 69, "None of the invitation's addresses answers.";
    NameTaken = "E316", "name-taken", 65, "A member or application of this name exists.";
    Protocol = "E317", "protocol", 65, "A program speaks only protocol versions that are too old or too new here.";
    NotAdmitted = "E318", "no-majority-to-admit", 106, "No member that answers has the majority that lets a machine in.";
    ClocksDiffer = "E319", "clocks-differ", 75, "The clocks of this machine and of the member that was asked differ too much.";
    NotSpoken = "E320", "not-spoken", 75, "Not all members of the roster have said that they speak the protocol version.";
    NoSuchMember = "E401", "no-such-member", 105, "The roster has no member of this name.";
    NoSuchApplication = "E402", "no-such-application", 105, "The entity has no application of this name.";
    NoSuchRevision = "E403", "no-such-revision", 105, "This revision is not kept any more, or never was.";
    NoSuchItem = "E404", "no-such-item", 105, "There is no item of this name.";
    NotPlaced = "E407", "not-placed", 105, "The application does not go to this member.";
    NoRequest = "E405", "no-request", 75, "The member has not asked to be re-admitted, or is not heard.";
    NothingToResolve = "E406", "nothing-to-resolve", 105, "Nothing was found on this member that would have to be acknowledged.";
    WindowOpen = "E412", "window-open", 75, "An update window of the application is open on another member.";
    NoWindow = "E413", "no-window", 75, "No update window of the application is open on this member.";
    RevisionStale = "E414", "revision-stale", 103, "The revision in force is not the expected one.";
    Changing = "E415", "tree-changing", 75, "The tree changes while it is read.";
    Busy = "E416", "busy", 75, "Another request for this application is under way on this member.";
    WouldReplace = "E417", "would-replace", 107, "Members hold other content at the root, which would go to the trash.";
    Differs = "E419", "differs", 107, "This member's files are not what is settled: a window would take the difference for an update.";
    Undecided = "E420", "undecided", 75, "The vote did not end in time; it goes on.";
    NoHolders = "E421", "not-held", 106, "Too few members hold the new content durably.";
    Unreadable = "E422", "tree-unreadable", 75, "The application's tree cannot be read, or its file system is gone.";
    CheckFailed = "E423", "check-failed", 1, "A check hook failed on the new content.";
    NotStopped = "E424", "not-stopped", 105, "No roll-out of the application is stopped.";
    RolloutStopped = "E425", "rollout-stopped", 1, "An after hook fails on a member, so the others do not apply the revision.";
    RevisionUndone = "E426", "revision-undone", 1, "A revision did not pass its probation, and members went back to the one before.";
    NoSpace = "E430", "no-space", 75, "The disk is full; nothing was changed, and it goes on when there is room.";
    ManifestInvalid = "E501", "manifest-invalid", 65, "The manifest of an application is not valid.";
    WouldMove = "E502", "would-move", 107, "The manifest names another root directory than the application has.";
    OtherHandling = "E503", "other-handling", 107, "The manifest wants the tree handled in another way than the application has it.";
    ConfigInvalid = "E601", "config-invalid", 78, "A configuration file, variable or flag of this machine is not valid.";
    BackupInvalid = "E611", "backup-invalid", 65, "The backup is damaged, cut short, or of something else.";
    ChainBroken = "E621", "chain-broken", 1, "The chain on this member's disk does not prove the state that is in force.";
    KeyInvalid = "E631", "key-invalid", 78, "A file is not an operator's key, or others may read it.";
    NeedsOperators = "E711", "needs-operators", 77, "The entity is governed by operators, and this needs their signatures.";
    RequestWaits = "E712", "request-waits", 75, "The request needs more signatures of operators and waits for them.";
    NotAnOperator = "E713", "not-an-operator", 77, "The key is none of the entity's operators.";
    SignatureBad = "E714", "signature-bad", 65, "A signature of an operator does not hold for this request.";
    NoSuchRequest = "E715", "no-such-request", 105, "No request of this id waits for signatures.";
    RequestOver = "E716", "request-over", 103, "The request was not signed in time.";
    Unsafe = "E701", "unsafe", 107, "Refused as unsafe without confirmation.";
    WouldEmptyService = "E702", "would-empty-service", 107, "Nobody would be left in service.";
    LastVoter = "E703", "last-voter", 107, "The last voter cannot leave the roster.";
    KeepNeeded = "E704", "keep-needed", 107, "There are two branches, and the one to keep must be named.";
    OtherBranch = "E705", "other-branch", 107, "The record to keep is not in this member's chain.";
    Doubled = "E706", "doubled", 107, "Two machines use the key of this member.";
}
