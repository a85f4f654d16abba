//! Protocol versions: which one is in force, who speaks what, raising it, and a settled record that this program does
//! not understand (finding 19, PROTOCOL.md E10 to E12).
//!
//! What is in force is settled state and the same everywhere. What members speak is their own signed word, and is asked
//! only of a fresh proposal. A program never guesses: what it does not understand stops it, and it goes on serving.

use super::operation::Goal;
use super::{Core, Entity, Sabotage};
use crate::codec;
use crate::control::{Code, Outcome, Refusal};
use crate::effect::Output;
use crate::event::{Event, Severity};
use crate::explain::Condition;
use crate::hash::Hash;
use crate::limits;
use crate::order::Mandate;
use crate::record::{Change, Record};
use crate::state::{Member, PROTOCOL};
use crate::statement::{Envelope, Signed, Statement};
use crate::time::{Instant, Millis};

/// Members that run different programs are an upgrade; for longer than this, somebody forgot one.
const MIXED: Millis = Millis::seconds(24 * 3600);

/// What this member sees of versions.
#[derive(Default)]
pub(super) struct Versions {
    /// Since when members were seen to run different programs, without a pause.
    mixed: Option<Instant>,
    /// What that was seen in: the head, and a sum of the reports.
    seen: Option<(Hash, u64)>,
    /// The epoch of a settled record that this program does not understand.
    unknown: Option<u64>,
}

impl Core {
    /// Says which programs may open the store from now on, before anything of that version is in it.
    pub(super) fn mark(&mut self, version: u32) {
        if version > self.marked {
            self.marked = version;
            self.out.push(Output::Format(version));
        }
    }

    /// Whether a program that speaks what this one speaks can read a record. Only one that acts as an older program
    /// (tests) has to ask: what the present one cannot read does not decode.
    pub(super) fn understands(&self, record: &Record) -> bool {
        let speaks = self.config.speaks;
        speaks >= PROTOCOL
            || record.changes.iter().all(|signed| {
                let envelope = codec::decode::<Envelope>(&signed.bytes, limits::RECORD_BYTES);
                envelope.is_ok_and(|envelope| is_spoken(&envelope.statement, speaks))
            })
    }
}

/// Whether a program that speaks this version can read a statement.
pub(super) fn is_spoken(statement: &Statement, speaks: u32) -> bool {
    statement.needs() <= speaks
}

/// Whether a statement asks for a version that a program does not speak; the request itself can be read by every one.
pub(super) fn raises_beyond(statement: &Statement, speaks: u32) -> bool {
    let Statement::Intent(intent) = statement else { return false };
    let rest = intent.mandate != Mandate::default() && speaks < 2;
    matches!(intent.change, Change::Raise { protocol } if protocol > speaks) && !rest
}

/// Whether a record would raise the version above what a program speaks: of such a record an older program cannot say
/// whether it is valid.
pub(super) fn is_beyond(bytes: &[u8], speaks: u32) -> bool {
    let raises = |signed: &Signed| {
        let envelope = codec::decode::<Envelope>(&signed.bytes, limits::RECORD_BYTES);
        envelope.is_ok_and(|envelope| raises_beyond(&envelope.statement, speaks))
    };
    Record::decode(bytes).is_ok_and(|record| record.changes.iter().any(raises))
}

/// What is logged when a version is raised.
pub(super) fn describe(protocol: u32, by: &str, origin: &str) -> Event {
    let text =
        format!("the entity uses protocol {protocol}, by {by} on {origin}; older programs cannot follow");
    Event::new(Severity::Notice, "protocol.raised", text)
}

impl Entity {
    /// The newest version that a member says it speaks; nothing if it has said nothing.
    pub(super) fn spoken_by(&self, core: &Core, member: &Member) -> Option<u32> {
        if member.id == core.me() {
            return Some(core.config.speaks);
        }
        self.report_of(&member.id).map(|report| report.protocol)
    }

    /// Names of the members that have not said that they speak a version, with what they said.
    fn lagging(&self, core: &Core, version: u32) -> Vec<String> {
        let said = |member: &Member| match self.spoken_by(core, member) {
            Some(spoken) if spoken >= version => None,
            Some(spoken) => Some(format!("{} ({spoken})", member.name)),
            None => Some(format!("{} (not heard)", member.name)),
        };
        self.state.members.iter().filter_map(said).collect()
    }

    /// Every member of the roster, spares included, has signed that it speaks this version.
    pub(super) fn all_speak(&self, core: &Core, version: u32) -> bool {
        self.lagging(core, version).is_empty()
    }

    /// The next version, if every member speaks it.
    pub(super) fn next_version(&self, core: &Core) -> Option<u32> {
        let next = self.state.protocol + 1;
        (next <= core.config.speaks && self.all_speak(core, next)).then_some(next)
    }

    /// An administrator has the entity use a newer version. There is no way back.
    pub(super) fn raise(&self, core: &Core, protocol: u32) -> Result<(Goal, Option<Change>), Refusal> {
        let used = self.state.protocol;
        let goal = Goal::Change { outcome: Box::new(Outcome::Raised { protocol }) };
        if protocol == used {
            return Ok((goal, None));
        }
        if protocol < used {
            let text = format!("the entity uses protocol {used}, and a version never goes back");
            return Err(
                Refusal::new(Code::Input, text).try_("see who speaks what", "althing version --entity")
            );
        }
        if protocol > core.config.speaks {
            let text = format!(
                "this member's program speaks protocol 1 to {}, not {protocol}: install a newer one on every member first",
                core.config.speaks
            );
            return Err(
                Refusal::new(Code::Protocol, text).try_("see who speaks what", "althing version --entity")
            );
        }
        if protocol != used + 1 {
            let text = format!("the entity uses protocol {used}: the next one is {}", used + 1);
            let command = format!("althing version --settle {}", used + 1);
            return Err(Refusal::new(Code::Input, text).try_("go on with that one", &command));
        }
        let lagging = self.lagging(core, protocol);
        if lagging.is_empty() {
            return Ok((goal, Some(Change::Raise { protocol })));
        }
        let (count, of) = (lagging.len(), self.state.members.len());
        let text = format!(
            "{count} of {of} members have not said that they speak protocol {protocol}; nothing was changed"
        );
        Err(Refusal::new(Code::NotSpoken, text)
            .fact("not_yet", lagging.join(", "))
            .fact(
                "why",
                "a member that cannot read what is settled stops; so all must be able to, spares included",
            )
            .try_("see who speaks what", "althing version --entity")
            .try_("for a member that is gone for good", "althing member remove MEMBER"))
    }

    // --- a record that this program does not understand --------------------------------------------------------

    /// A quorum settled what this program calls invalid: it must not guess. It stays where it is, and serves.
    pub(super) fn unknown_record(&mut self, core: &mut Core, epoch: u64) {
        self.versions.unknown = Some(epoch);
        self.tell(core, "unknown-record", true, || {
            let text = format!(
                "the entity settled a record, epoch {epoch}, that this program does not understand: install a newer althing here"
            );
            Event::new(Severity::Critical, "record.unknown", text)
        });
    }

    /// The chain went on here.
    pub(super) fn record_known(&mut self) {
        self.versions.unknown = None;
        self.told.remove("unknown-record");
    }

    /// Whether this member is behind for want of a newer program.
    pub(super) fn is_outdated(&self) -> bool {
        self.versions.unknown.is_some()
    }

    /// Why nothing can be asked of a member that is behind for want of a newer program.
    pub(super) fn why_outdated(&self) -> Option<Refusal> {
        let epoch = self.versions.unknown?;
        let text = format!(
            "the entity settled a record, epoch {epoch}, that this member's program does not understand: it votes and changes nothing until a newer althing is installed here"
        );
        Some(
            Refusal::new(Code::Protocol, text)
                .fact("meanwhile", "it serves and repairs what was settled before")
                .try_("see who speaks what, from another member", "althing version --entity --on MEMBER"),
        )
    }

    // --- what needs a look -------------------------------------------------------------------------------------

    /// Programs and versions that the members of the roster say they run; who says nothing is left out.
    fn programs(&self, core: &Core) -> impl Iterator<Item = (&str, u32)> {
        let me = core.me();
        let others = self.state.members.iter().filter(move |member| member.id != me);
        let said = others.filter_map(move |member| self.report_of(&member.id));
        said.map(|report| (report.version.as_str(), report.protocol))
    }

    pub(super) fn attend_versions(&mut self, core: &Core) {
        let seen = Some((self.head, self.board.reports()));
        if self.versions.seen == seen && !core.breaks(Sabotage::Restless) {
            return;
        }
        self.versions.seen = seen;
        let own = (core.config.version.as_str(), core.config.speaks);
        let differ = self.programs(core).any(|program| program != own);
        self.versions.mixed = if differ { self.versions.mixed.or(Some(core.now.mono)) } else { None };
    }

    /// For how long members have run different programs, as this member saw it.
    pub(super) fn mixed_for(&self, core: &Core) -> Option<Millis> {
        self.versions.mixed.map(|since| core.now.mono - since)
    }

    /// What there is to say of versions: condition, text, command.
    pub(super) fn version_conditions(&self, core: &Core) -> Vec<(Condition, String, String)> {
        let mut list = Vec::new();
        if let Some(refusal) = self.why_outdated() {
            list.push((Condition::Outdated, refusal.message, "althing version --entity".to_owned()));
        }
        if self.mixed_for(core).is_some_and(|lasts| lasts >= MIXED) {
            let text = "members have run different programs for more than a day".to_owned();
            list.push((Condition::MixedVersions, text, "althing version --entity".to_owned()));
        }
        if let Some(next) = self.next_version(core) {
            let text =
                format!("all members speak protocol {next}, and the entity uses {}", self.state.protocol);
            list.push((Condition::NewVersion, text, format!("althing version --settle {next}")));
        }
        list
    }
}
