//! What a member shows of itself and of the entity: the documents behind every reading command (cli.md). Facts are
//! computed from the machine when asked for, never stored beside it.

mod governing;
mod looking;
mod roster;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use governing::{AuthorityView, OperatorView, RequestView, Requests};
pub use looking::{Audit, AuditEntry, Everywhere, Seen, SeenApp, Verified};
pub use roster::{EvidenceView, OriginView, PastView, RosterChange, RosterHistory, RosterMember, RosterView};

use crate::governance::QuorumRule;
use crate::handling::Handling;
use crate::hash::Hash;
use crate::repair::Change;

/// The envelope of every answer: which document, when, by whom.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Document<T> {
    /// `althing.status/1`
    pub schema: String,
    /// RFC 3339, UTC.
    pub at: String,
    /// Name of the member that answers.
    pub answered_by: String,
    /// The rest.
    #[serde(flatten)]
    pub body: T,
}

/// `ok`, `warning`, `critical`, or `unknown` of a member that is not heard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    #[default]
    Ok,
    /// Not heard.
    Unknown,
    /// Something is wrong; it may mend itself.
    Warning,
    /// Somebody should look now.
    Critical,
}

/// How an application is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AppState {
    /// Every member that reports has the settled content.
    Agreed,
    /// A member applies or fetches.
    Repairing,
    /// A member differs and nothing repairs it yet.
    Drift,
    /// An update window is open.
    Window,
    /// Nothing was settled, or the majority differs from what was.
    NotSettled,
    /// Repair is stopped for a time.
    Paused,
    /// A new revision goes from member to member.
    RollingOut,
    /// A hook that fails has stopped that.
    Stopped,
}

/// `althing.status/1`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Which entity.
    pub entity: EntityView,
    /// Its health.
    pub health: HealthState,
    /// Votes that settle.
    pub majority: u64,
    /// By which rule.
    #[serde(default)]
    pub quorum: QuorumRule,
    /// Its members.
    pub members: MemberCounts,
    /// How many of them take traffic.
    #[serde(default)]
    pub service: ServiceCounts,
    /// By name.
    pub applications: Vec<AppView>,
    /// Worst first.
    pub attention: Vec<Attention>,
    /// Who is on its way in, as far as the member that answers knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joining: Vec<JoiningView>,
    /// Windows and the last update.
    pub updates: Updates,
    /// How fresh the answer is.
    pub view: Freshness,
}

/// A machine that joins.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct JoiningView {
    /// The name that it has, or would like.
    pub name: String,
    /// `asks` the member that answers to be let in, or `learns` what is settled: it is in the roster and does not count
    /// yet.
    pub stage: String,
}

/// Which entity, as of when.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EntityView {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: Hash,
    /// Settled records.
    pub epoch: u64,
    /// Epoch of the last change of the roster.
    pub roster_revision: u64,
}

/// Health of the entity.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HealthState {
    /// The worst of what counts.
    pub state: Health,
    /// For how long, as this member saw it.
    pub since_seconds: u64,
    /// Members that are ok.
    pub ok: u64,
    /// Members in warning.
    pub warning: u64,
    /// Members in critical.
    pub critical: u64,
    /// Members not heard.
    pub unknown: u64,
}

/// How many members.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MemberCounts {
    /// In the roster.
    pub total: u64,
    /// Heard lately, this one included.
    pub reachable: u64,
    /// That count in the majority.
    pub voters: u64,
    /// Names of those that are not heard.
    #[serde(default)]
    pub unheard: Vec<String>,
}

/// How many members take traffic.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ServiceCounts {
    /// In service.
    #[serde(rename = "in")]
    pub serving: u64,
    /// Taken out.
    pub out: u64,
    /// Waiting to be brought in.
    pub spare: u64,
}

/// An application in a list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AppView {
    /// Its name.
    pub name: String,
    /// Absolute path on every member.
    pub path: String,
    /// The revision in force; 0 before the first.
    pub revision: u64,
    /// Its root, if anything was settled.
    pub root: Option<Hash>,
    /// Placed members that report this root.
    pub agree: u64,
    /// Placed members.
    pub of: u64,
    /// How it is.
    pub state: AppState,
    /// Names of members that report another root, or none.
    pub differing: Vec<String>,
    /// Items of the revision.
    pub items: u64,
    /// Bytes of the revision.
    pub bytes: u64,
    /// `majority` or `certified`.
    pub policy: String,
    /// Groups of members that it goes to; all members if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Names of the members of these groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// Names of the members that keep its content without having it at its path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keepers: Vec<String>,
    /// Whether what more than half have there already becomes the first revision.
    #[serde(default)]
    pub adopts: bool,
    /// Patterns of paths below the path that are not managed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmanaged: Vec<String>,
    /// How members handle its tree.
    #[serde(flatten)]
    pub handling: Handling,
    /// Names of members that leave items alone because these are changed again and again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contested: Vec<String>,
    /// How many members apply a revision at once, as it was defined: `1`, `25%`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub batch: String,
    /// Its check hooks, each as it is called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub check_hooks: Vec<String>,
    /// Its after hooks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after_hooks: Vec<String>,
    /// How long each of them may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook_limit_ms: Option<u64>,
    /// Where the revision in force is on its way to the members, while not all have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutView>,
    /// Repair is stopped until then, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<String>,
    /// What members have, if nothing was ever settled; in `app show` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Candidate>,
    /// The open window.
    pub window: Option<WindowView>,
    /// The last revision's time, RFC 3339.
    pub updated: Option<String>,
    /// Who asked for it.
    pub by: Option<String>,
    /// From which member.
    pub from: Option<String>,
}

/// A revision on its way to the members.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RolloutView {
    /// Its number.
    pub revision: u64,
    /// How many members apply it at once.
    pub batch: u64,
    /// A hook that fails has stopped it.
    pub stopped: bool,
    /// Until then members undo it by themselves if its hooks fail, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probation_until: Option<String>,
    /// The members, in the order in which they apply it.
    pub members: Vec<RolloutMember>,
}

impl RolloutView {
    /// Whether somebody is at it.
    pub fn is_going_on(&self) -> bool {
        self.members.iter().any(|member| matches!(member.state.as_str(), "applying" | "waiting"))
    }
}

/// A member in a roll-out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RolloutMember {
    /// Its name.
    pub name: String,
    /// `done`, `failing`, `applying`, `waiting`, `passed`
    pub state: String,
    /// What its hook says, or why it is passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Names of the members that it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<String>,
}

/// What members have in common of an application that was never settled, item by item.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Candidate {
    /// Placed members.
    pub of: u64,
    /// Names of those whose trees were seen.
    pub seen: Vec<String>,
    /// Items that more than half have in the same form.
    pub agreed: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Items that not more than half have in one form.
    pub disputed: u64,
    /// The first of these, by path.
    pub undecided: Vec<Undecided>,
}

/// An item that not more than half of the members have in one form.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Undecided {
    /// Below the application's root.
    pub path: String,
    /// Its forms.
    pub variants: Vec<Variant>,
}

/// One form of an item, and who has it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Variant {
    /// Names.
    pub members: Vec<String>,
    /// What they have.
    pub item: ItemView,
}

/// An open window.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WindowView {
    /// The member that may change the application.
    pub member: String,
    /// Who asked.
    pub by: String,
    /// Why.
    pub reason: String,
    /// RFC 3339.
    pub opened: String,
    /// RFC 3339.
    pub expires: String,
    /// Root that is staged, if any.
    pub staged: Option<Hash>,
    /// Members that hold what is staged.
    pub holders: u64,
    /// Edits are settled by themselves when they have rested for so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_quiet_ms: Option<u64>,
    /// What checks of what is staged found on members: name and text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<(String, String)>,
}

/// Something that needs a look.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Attention {
    /// `content-differs`
    pub condition: String,
    /// `A202`, for `althing explain`.
    #[serde(default)]
    pub code: String,
    /// How much it matters.
    pub severity: crate::event::Severity,
    /// `member/web7`, `app/shop`, `entity`
    pub subject: String,
    /// One line.
    pub text: String,
    /// Whether it mends itself.
    pub automatic: bool,
    /// What tells more.
    pub command: Vec<String>,
    /// What to do.
    #[serde(default)]
    pub remedies: Vec<Remedy>,
}

/// Windows and the last update.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Updates {
    /// Applications with an open window.
    pub open: Vec<String>,
    /// The newest revision of any application.
    pub last: Option<LastUpdate>,
}

/// The newest revision.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LastUpdate {
    /// Of which application.
    pub application: String,
    /// Its number.
    pub revision: u64,
    /// Who asked for it.
    pub by: String,
    /// RFC 3339.
    pub at: String,
}

/// How fresh an answer is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Freshness {
    /// Milliseconds since the member heard longest ago was heard (reachable ones only).
    pub oldest_report_ms: u64,
    /// Whether a majority is reachable.
    pub majority_reachable: bool,
    /// Milliseconds since a quorum of voters that hold this epoch, or a newer one, was last heard (finding 36): an
    /// older truth, however well it is signed, is not confirmed by anybody. `None`: not since the start.
    #[serde(default)]
    pub confirmed_ms: Option<u64>,
}

/// `althing.members/1`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Members {
    /// In the order of the failover hierarchy.
    pub members: Vec<MemberView>,
    /// Votes that settle.
    pub majority: u64,
    /// By which rule.
    #[serde(default)]
    pub quorum: QuorumRule,
    /// The protocol version that the entity uses.
    #[serde(default)]
    pub protocol: u32,
    /// The next version, if every member speaks it.
    #[serde(default)]
    pub settleable: Option<u32>,
    /// For how long members have run different programs, as this member saw it.
    #[serde(default)]
    pub mixed_seconds: Option<u64>,
}

/// A member in a list, and on its own as `althing.member/1`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct MemberView {
    /// Its name.
    pub name: String,
    /// Its PeerId.
    pub id: String,
    /// `alive`, `unreachable` (not heard by this member) or `down` (nor by others).
    pub state: String,
    /// `voter`, `learner` or `follower`.
    pub role: String,
    /// `in`, `out` or `spare`.
    #[serde(default)]
    pub service: String,
    /// Why it is out of service, and until when.
    #[serde(default)]
    pub out: Option<OutView>,
    /// By key.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The groups it is in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Applications whose content it keeps although they do not go to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keeps: Vec<String>,
    /// Whether it counts in the majority.
    pub counts: bool,
    /// Whether it says that it votes now (false while mute after a start).
    pub votes: bool,
    /// Its health.
    pub health: Health,
    /// Applications whose settled root it reports.
    pub agrees: u64,
    /// Applications.
    pub applications: u64,
    /// 0 to 1, of the last minute.
    pub cpu_ratio_p95: Option<f64>,
    /// 0 to 1.
    pub memory_ratio: Option<f64>,
    /// 0 to 1, the fullest file system.
    pub disk_ratio: Option<f64>,
    /// Share of the traffic it should take, 0 to 1.
    pub share_ratio: f64,
    /// Program version.
    pub version: Option<String>,
    /// The newest protocol version that it speaks.
    #[serde(default)]
    pub protocol: Option<u32>,
    /// Since it was heard; 0 for this member.
    pub last_seen_seconds: Option<f64>,
    /// Where it listens.
    pub addresses: Vec<String>,
    /// Its epoch.
    pub epoch: Option<u64>,
    /// What it has of each application.
    pub content: Vec<ContentView>,
}

/// Why a member is out of service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OutView {
    /// Free text.
    pub reason: String,
    /// Who asked.
    pub by: String,
    /// RFC 3339.
    pub since: String,
    /// RFC 3339, if it comes back by itself.
    pub until: Option<String>,
}

/// What a member has of an application.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ContentView {
    /// Which application.
    pub application: String,
    /// `agrees`, `drift`, `applying`, `absent`, `unknown`
    pub state: String,
    /// Its root.
    pub observed: Option<Hash>,
    /// The basis it has applied.
    pub applied: Option<u64>,
}

/// `althing.votes/1`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Votes {
    /// By application.
    pub applications: Vec<AppVotes>,
    /// The epoch that is being decided.
    pub epoch: u64,
    /// Its round.
    pub round: u32,
    /// Whether something is proposed or voted now.
    pub deciding: bool,
}

/// Who reports what of one application.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AppVotes {
    /// Which application.
    pub application: String,
    /// The revision in force; 0 before the first.
    pub revision: u64,
    /// Its root.
    pub root: Option<Hash>,
    /// Whether more than half report the settled root.
    pub settled: bool,
    /// Members that must agree.
    pub needed: u64,
    /// Groups of members with the same root, largest first.
    pub groups: Vec<VoteGroup>,
    /// The certificate of the record that settled it: epoch, round and who precommitted.
    pub certificate: Option<CertificateView>,
}

/// Members with the same root.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VoteGroup {
    /// The root; absent for members that report none.
    pub root: Option<Hash>,
    /// `revision 42`, `drift`, `applying`, `unknown`
    pub meaning: String,
    /// Names.
    pub members: Vec<String>,
}

/// What proves a revision.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CertificateView {
    /// The epoch.
    pub epoch: u64,
    /// The round.
    pub round: u32,
    /// The record.
    pub record: Hash,
    /// Names of the members that signed.
    pub signed_by: Vec<String>,
}

/// `althing.health/1`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct HealthView {
    /// Of the whole.
    pub health: HealthState,
    /// What it is made of.
    pub components: Vec<Component>,
}

/// One thing that health is made of, over all members heard.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Component {
    /// `agreement`, `members`, `cpu`, `memory`, `disk`
    pub name: String,
    /// How it is.
    pub state: Health,
    /// For people.
    pub value: String,
    /// From where on it is a warning, 0 to 1.
    pub warning_ratio: Option<f64>,
    /// From where on it is critical.
    pub critical_ratio: Option<f64>,
    /// Over members: sum (in the component's unit), average, maximum and 95th percentile as ratios.
    pub sum: Option<f64>,
    /// Mean ratio.
    pub average_ratio: Option<f64>,
    /// Highest ratio.
    pub max_ratio: Option<f64>,
    /// 95th percentile of the merged digests.
    pub p95_ratio: Option<f64>,
    /// The member with the highest.
    pub worst: Option<String>,
}

/// `althing.balance/1`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Balance {
    /// In the order of the roster.
    pub members: Vec<Share>,
}

/// A member's share.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Share {
    /// Its name.
    pub member: String,
    /// Processors.
    pub capacity_cpu: f64,
    /// CPU in use now, 0 to 1.
    pub load_ratio: Option<f64>,
    /// 0 to 1.
    pub share_ratio: f64,
    /// Why it is what it is.
    pub why: String,
}

/// `althing.items/1`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Items {
    /// Which application.
    pub application: String,
    /// Which revision; 0 for what is observed now.
    pub revision: u64,
    /// Its root.
    pub root: Hash,
    /// By path.
    pub items: Vec<ItemView>,
}

/// One item.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ItemView {
    /// Below the application's root; U+FFFD for what is not UTF-8.
    pub path: String,
    /// The raw path in base 64, if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path_b64: Option<String>,
    /// `file`, `directory`, `symlink`
    pub kind: String,
    /// Octal.
    pub mode: Option<String>,
    /// Of a file.
    pub bytes: Option<u64>,
    /// Of a file.
    pub digest: Option<Hash>,
    /// Of a link.
    pub target: Option<String>,
    /// The raw bytes in base 64, if the target is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_b64: Option<String>,
    /// Name of its owner, where the application settles owners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Name of its group, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Extended attributes that are settled, their bytes in base 64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub xattrs: BTreeMap<String, String>,
}

/// `althing.diff/1`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Diff {
    /// Which application.
    pub application: String,
    /// What there is.
    pub have: Side,
    /// What there should be.
    pub want: Side,
    /// By path.
    pub changes: Vec<ChangeView>,
    /// Sums.
    pub totals: DiffTotals,
}

/// One side of a diff.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Side {
    /// A member's disk.
    pub member: Option<String>,
    /// Or a revision.
    pub revision: Option<u64>,
    /// Its root.
    pub root: Hash,
}

/// One item that differs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ChangeView {
    /// Below the application's root.
    pub path: String,
    /// The raw path in base 64, if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path_b64: Option<String>,
    /// `+ - M U T`
    pub change: Change,
    /// What the member would do: `fetch`, `remove`, `attributes`.
    pub action: String,
    /// What there is.
    pub have: Option<ItemView>,
    /// What there should be.
    pub want: Option<ItemView>,
}

/// Sums of a diff.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DiffTotals {
    /// Items to fetch or make.
    pub fetch: u64,
    /// Items to remove.
    pub remove: u64,
    /// Items whose attributes change.
    pub attributes: u64,
    /// Bytes to fetch.
    pub bytes: u64,
}

/// `althing.history/1`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct History {
    /// Which application.
    pub application: String,
    /// Newest first; the first is in force.
    pub revisions: Vec<RevisionView>,
}

/// A revision.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RevisionView {
    /// Its number.
    pub revision: u64,
    /// Its root.
    pub root: Hash,
    /// Epoch that settled it.
    pub epoch: u64,
    /// RFC 3339.
    pub at: String,
    /// Who asked for it.
    pub by: String,
    /// From which member.
    pub from: String,
    /// Why.
    pub reason: String,
    /// How many members applied it at once: `1`, `25%`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub batch: String,
    /// Until then members could undo it, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probation_until: Option<String>,
    /// The revision that members undid with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<u64>,
    /// Items.
    pub items: u64,
    /// Bytes.
    pub bytes: u64,
}

/// `althing.why/1`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Why {
    /// `member/web7`, `app/shop`, `entity`
    pub subject: String,
    /// How it is.
    pub state: String,
    /// The main reason: `content-differs`, `unreachable`, `no-majority`, `window-open`, `mute`, `load`; or `nothing`.
    pub because: String,
    /// What is so, in the order of cause and effect.
    pub causes: Vec<Cause>,
    /// What happens next, for people.
    pub next: String,
    /// Whether it mends itself.
    pub automatic: bool,
    /// What to do: text and command.
    pub remedies: Vec<Remedy>,
}

/// One cause.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cause {
    /// RFC 3339, of what has a time.
    pub at: Option<String>,
    /// `local-change`, `majority`, `repair`…
    pub code: String,
    /// For people.
    pub text: String,
}

/// What to do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Remedy {
    /// What it does.
    pub text: String,
    /// The command.
    pub command: Vec<String>,
}

/// `althing.events/1`: a page of events; as a stream, each is an `althing.event/1` of its own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Events {
    /// Oldest first.
    pub events: Vec<EventView>,
    /// For `--after`: what comes later.
    pub cursor: String,
}

/// An event.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EventView {
    /// Origin and number: `web7/18231`.
    pub id: String,
    /// RFC 3339.
    pub at: String,
    /// How much it matters.
    pub severity: crate::event::Severity,
    /// `content.differs`
    pub kind: String,
    /// The member it is about.
    pub member: String,
    /// The application it is about.
    pub application: Option<String>,
    /// The epoch that settled it, if it is a settled change: every member logs these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// For people.
    pub text: String,
}

/// `althing.trash/1`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Trash {
    /// Newest first.
    pub items: Vec<TrashItem>,
    /// Bytes of all.
    pub bytes: u64,
}

/// Something that a repair replaced.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TrashItem {
    /// For `trash restore`.
    pub id: String,
    /// RFC 3339.
    pub at: String,
    /// Which application.
    pub application: String,
    /// Where it was.
    pub path: String,
    /// The raw bytes in base 64, if the path is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_b64: Option<String>,
    /// `file`, `directory`, `symlink`…
    pub kind: String,
    /// Of a file.
    pub bytes: u64,
    /// Octal.
    pub mode: Option<String>,
    /// Why it is here.
    pub reason: String,
}

/// `althing.invitations/1`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Invitations {
    /// By id.
    pub invitations: Vec<InvitationView>,
}

/// A live invitation; its secret is not known any more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InvitationView {
    /// Names it.
    pub id: String,
    /// Machines that may still join with it.
    pub uses: u32,
    /// RFC 3339.
    pub expires: String,
    /// Who made it.
    pub by: String,
    /// Free text.
    pub note: String,
    /// Whether it lets in spares.
    #[serde(default)]
    pub spare: bool,
}

/// `althing.version/1`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Version {
    /// Of the answering daemon.
    pub version: String,
    /// Protocol it speaks.
    pub protocol: u32,
    /// Whether it is in an entity.
    pub in_entity: bool,
}
