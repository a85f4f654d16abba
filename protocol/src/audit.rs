//! The chain read backwards: who had what settled, when and where; and whether the chain proves the state in force.
//!
//! An [`Auditor`] begins with the genesis and goes through all links in order. It trusts nothing but the hash functions
//! and the signatures: each certificate is checked against the voters of the state before it, each record must be valid
//! and lead to the state it names.

use crate::governance::Authority;
use crate::hash::Hash;
use crate::identity::{MemberId, Scheme};
use crate::record::{Change, Genesis, Link, Record};
use crate::state::State;
use crate::statement::{Checked, Intent};
use crate::validity::Invalid;
use crate::view::AuditEntry;

/// Checks a chain from its beginning.
#[derive(Clone, Debug)]
pub struct Auditor {
    state: State,
    head: Hash,
    votes: u64,
}

impl Auditor {
    /// Before the first link.
    pub fn new(genesis: &Genesis) -> Self {
        Self { state: State::genesis(genesis), head: genesis.id(), votes: 0 }
    }

    /// Checks the next link: record, changes, resulting state, certificate. An error leaves the auditor as it was.
    pub fn check(&mut self, link: &Link, scheme: Scheme) -> Result<(), Invalid> {
        if Record::hash_of(&link.record) != link.certificate.value {
            return Err(Invalid::NotAChild);
        }
        self.state.check_certificate(&self.head, &link.certificate, scheme)?;
        let record = Record::decode(&link.record).map_err(|_| Invalid::Kind)?;
        let next = self.state.after(&self.head, &record, scheme)?;
        self.votes += link.certificate.votes.len() as u64;
        self.head = link.certificate.value;
        self.state = next;
        Ok(())
    }

    /// What the links so far lead to.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Hash of the last record.
    pub fn head(&self) -> Hash {
        self.head
    }

    /// Signatures of votes that were checked.
    pub fn votes(&self) -> u64 {
        self.votes
    }
}

/// The changes of a link, with members named as in `names`. Nothing is checked but that signatures hold.
pub fn entries(link: &Link, names: &State, scheme: Scheme) -> Result<Vec<AuditEntry>, Invalid> {
    let record = Record::decode(&link.record).map_err(|_| Invalid::Kind)?;
    let mut entries = Vec::new();
    for signed in &record.changes {
        let checked = Checked::check(signed.clone(), &record.entity, scheme)?;
        let intent = checked.intent().ok_or(Invalid::Kind)?;
        entries.push(entry(record.epoch, checked.author(), intent, names));
    }
    Ok(entries)
}

fn entry(epoch: u64, author: MemberId, intent: &Intent, names: &State) -> AuditEntry {
    let (change, text) = words(&intent.change);
    AuditEntry {
        epoch,
        at: intent.at.rfc3339(),
        by: intent.by.clone(),
        from: names.name_of(&author),
        change: change.to_owned(),
        application: intent.change.application().map(str::to_owned),
        member: subject(&intent.change).map(|id| names.name_of(&id)),
        text,
        signed_by: intent.mandate.approvals.iter().map(|approval| names.operator(&approval.key)).collect(),
    }
}

/// The member that a change is about.
pub(crate) fn subject(change: &Change) -> Option<MemberId> {
    match change {
        Change::Admit(request) => Some(request.newcomer.member),
        Change::Readmit(request) => Some(request.member),
        Change::Promote { member, .. }
        | Change::Remove { member }
        | Change::TakeOut { member, .. }
        | Change::BringIn { member }
        | Change::Return { member }
        | Change::Spare { member, .. }
        | Change::Enlist { member }
        | Change::Rename { member, .. }
        | Change::Label { member, .. } => Some(*member),
        _ => None,
    }
}

/// The kind of a change, and what it says.
pub(crate) fn words(change: &Change) -> (&'static str, String) {
    match change {
        Change::Create { .. }
        | Change::Arrange { .. }
        | Change::Define { .. }
        | Change::Discard { .. }
        | Change::Open { .. }
        | Change::Extend { .. }
        | Change::Commit { .. }
        | Change::Abort { .. }
        | Change::Expire { .. }
        | Change::Adopt { .. }
        | Change::Undo { .. }
        | Change::GoOn { .. }
        | Change::Pause { .. } => words_of_application(change),
        _ => words_of_roster(change),
    }
}

fn words_of_application(change: &Change) -> (&'static str, String) {
    match change {
        Change::Create { root, policy, .. } => {
            ("create", format!("at {root}, policy {policy:?}").to_lowercase())
        }
        Change::Define { policy, .. } => ("define", format!("policy {policy:?}").to_lowercase()),
        Change::Discard { keep_files: true, .. } => ("discard", "its files stay where they are".to_owned()),
        Change::Discard { keep_files: false, .. } => ("discard", "its files go to the trash".to_owned()),
        Change::Extend { expires, .. } => {
            ("extend", format!("the update window stands until {}", expires.rfc3339()))
        }
        Change::Open { reason, expires, .. } => {
            ("open", format!("update window until {}{}", expires.rfc3339(), because(reason)))
        }
        Change::Commit { root, evidence, .. } => {
            ("commit", format!("{}, held by {}", root.short(), evidence.len()))
        }
        Change::Adopt { root, evidence, .. } => {
            ("adopt", format!("{}, which the majority had, held by {}", root.short(), evidence.len()))
        }
        Change::Undo { revision, why, evidence, .. } => {
            ("undo", format!("revision {revision}, held by {}: {why}", evidence.len()))
        }
        Change::GoOn { revision, .. } => ("go on", format!("with revision {revision}, whichever hooks fail")),
        Change::Arrange { terms, .. } => {
            let rollout = &terms.rollout;
            let (check, after) = (rollout.check.len(), rollout.after.len());
            let what = format!("goes to {}, batch {}", terms.placement, rollout.batch);
            ("arrange", format!("{what}, {check} check hooks, {after} after hooks"))
        }
        Change::Abort { .. } => ("abort", "the update window is closed".to_owned()),
        Change::Expire { .. } => ("expire", "the time of the update window is over".to_owned()),
        Change::Pause { until: Some(until), .. } => ("pause", format!("no repair until {}", until.rfc3339())),
        Change::Pause { until: None, .. } => ("resume", "repair goes on".to_owned()),
        _ => ("other", String::new()),
    }
}

fn words_of_roster(change: &Change) -> (&'static str, String) {
    match change {
        Change::Invite { key, uses, expires, .. } => {
            ("invite", format!("{}, {uses} uses, until {}", tail(key), expires.rfc3339()))
        }
        Change::Revoke { key } => ("revoke", tail(key)),
        Change::Admit(request) => ("admit", format!("as {}", request.newcomer.name)),
        Change::Readmit(_) => ("readmit", "counts anew, from another store".to_owned()),
        Change::Promote { .. } => ("promote", "counts in the majority now".to_owned()),
        Change::Remove { .. } => ("remove", "left the roster".to_owned()),
        Change::TakeOut { reason, until, .. } => {
            let until = until.map(|until| format!(" until {}", until.rfc3339())).unwrap_or_default();
            ("take-out", format!("out of service{until}{}", because(reason)))
        }
        Change::BringIn { .. } => ("bring-in", "in service".to_owned()),
        Change::Return { .. } => ("return", "in service, for its time out is over".to_owned()),
        Change::Spare { .. } => ("spare", "a spare now, which does not count".to_owned()),
        Change::Enlist { .. } => ("enlist", "not a spare any more".to_owned()),
        Change::Rename { name, .. } => ("rename", format!("called {name} from then on")),
        Change::Label { labels, .. } => ("label", labels_of(labels)),
        Change::SetAuthority { authority } => ("authority", words_of_authority(authority)),
        Change::SetQuorum { rule } => ("quorum", format!("{rule} of the voters settles")),
        Change::Move { addresses } => {
            let to = addresses.iter().map(|address| address.control.to_string()).collect::<Vec<_>>();
            ("move", format!("listens on {}", to.join(" ")))
        }
        Change::Raise { protocol } => ("raise", format!("protocol version {protocol} is used from then on")),
        _ => ("other", String::new()),
    }
}

fn words_of_authority(authority: &Authority) -> String {
    match authority {
        Authority::Members => "any member may ask for any change".to_owned(),
        Authority::Operators(operators) => {
            let names: Vec<String> =
                operators.keys.iter().map(|one| format!("{} ({})", one.name, one.key)).collect();
            format!("orders need {} signatures of {}", operators.needed, names.join(", "))
        }
    }
}

fn labels_of(labels: &std::collections::BTreeMap<String, Option<String>>) -> String {
    let one = |(key, value): (&String, &Option<String>)| format!("{key}={}", value.as_deref().unwrap_or(""));
    labels.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// The end of an invitation's id, which is enough to name it.
fn tail(key: &MemberId) -> String {
    let id = key.to_string();
    id.chars().skip(id.chars().count().saturating_sub(8)).collect()
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}
