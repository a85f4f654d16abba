//! `althing.roster/1` and its history: who counts, who did, and by whose decision.

use std::collections::BTreeMap;

use super::{Core, Entity, Member};
use crate::evidence::Evidence;
use crate::governance::QuorumRule;
use crate::identity::MemberId;
use crate::record::{Change, Genesis, Record};
use crate::state::{Role, State};
use crate::statement::{Envelope, Intent, Signed, Statement};
use crate::view::{
    EvidenceView, OriginView, PastView, RosterChange, RosterHistory, RosterMember, RosterView,
};
use crate::{codec, limits};

/// What two voters should know (finding 17).
const TWO: &str = "Two voters are never safer than one: either one down stops every decision, and a lost store cannot be re-admitted. Add a third.";

impl Member {
    /// `althing.roster/1`
    pub fn roster(&self) -> Option<RosterView> {
        self.entity.as_ref().map(|entity| entity.roster(&self.core))
    }

    /// How the entity began, and everybody's names: what [`history`] needs beside the chain.
    pub fn roster_beginning(&self) -> Option<(Genesis, BTreeMap<MemberId, String>)> {
        let entity = self.entity.as_ref()?;
        Some((entity.beginning.as_ref()?.genesis.clone(), names(&entity.state)))
    }
}

fn names(state: &State) -> BTreeMap<MemberId, String> {
    let past = state.past.iter().map(|past| (past.id, past.name.clone()));
    past.chain(state.members.iter().map(|member| (member.id, member.name.clone()))).collect()
}

impl Entity {
    fn roster(&self, core: &Core) -> RosterView {
        let state = &self.state;
        let voters = state.voters().count() as u64;
        let member = |(at, member): (usize, &crate::state::Member)| RosterMember {
            place: at as u64 + 1,
            name: member.name.clone(),
            id: member.id.to_string(),
            role: match member.role {
                Role::Voter => "voter",
                Role::Learner => "learner",
                Role::Follower => "follower",
            }
            .to_owned(),
            store: member.store.to_string(),
            since: member.since,
            reachable: self.is_heard(core, &member.id),
            asks: self.why_burnt(core, &member.id).is_some(),
        };
        let past = state.past.iter().map(|past| PastView {
            name: past.name.clone(),
            id: past.id.to_string(),
            until: past.until,
            awaited: state.kept_name(&past.id).is_some(),
        });
        let origin = state.origin.as_ref().map(|origin| OriginView {
            id: origin.entity,
            epoch: origin.epoch,
            head: origin.head,
        });
        RosterView {
            entity: state.name.clone(),
            id: state.entity,
            epoch: state.epoch,
            head: self.head,
            roster_epoch: state.roster_epoch,
            voters,
            majority: state.quorum() as u64,
            quorum: state.governance.quorum,
            authority: (&state.governance.authority).into(),
            reachable: self.reachable_voters(core) as u64,
            members: state.members.iter().enumerate().map(member).collect(),
            past: past.collect(),
            origin,
            evidence: self.evidence.values().map(|evidence| self.evidence_view(evidence)).collect(),
            notes: if voters == 2 { vec![TWO.to_owned()] } else { Vec::new() },
        }
    }

    fn evidence_view(&self, evidence: &Evidence) -> EvidenceView {
        EvidenceView {
            text: self.named(evidence),
            epoch: evidence.epoch,
            seen: evidence.seen.rfc3339(),
            from: evidence.from.map(|from| self.state.name_of(&from)),
            resolved_by: evidence.resolved.as_ref().map(|(by, _)| by.clone()),
        }
    }
}

/// The changes of the roster in these records, which are of the chain in its order, and newest first. `names` has
/// the names of whom the records do not name.
pub fn history(
    genesis: &Genesis,
    names: &BTreeMap<MemberId, String>,
    records: impl Iterator<Item = Record>,
) -> RosterHistory {
    let mut names = names.clone();
    let mut changes = vec![beginning(genesis)];
    let first = State::genesis(genesis).epoch;
    for record in records.filter(|record| record.entity == genesis.id() && record.epoch > first) {
        let intents = record.changes.iter().filter_map(intent);
        for (author, intent) in intents {
            changes.extend(change(&mut names, record.epoch, author, &intent));
        }
    }
    changes.reverse();
    RosterHistory { changes }
}

fn beginning(genesis: &Genesis) -> RosterChange {
    let what = if genesis.inherited.is_some() { "recovered" } else { "founded" };
    let name = genesis.founder.name.clone();
    RosterChange {
        epoch: State::genesis(genesis).epoch,
        at: genesis.at.rfc3339(),
        what: what.to_owned(),
        member: name.clone(),
        by: String::new(),
        from: name,
    }
}

/// What a settled record carries was checked when it was settled: only its form matters here.
fn intent(signed: &Signed) -> Option<(MemberId, Intent)> {
    let envelope: Envelope = codec::decode(&signed.bytes, limits::RECORD_BYTES * 2).ok()?;
    match envelope.statement {
        Statement::Intent(intent) => Some((signed.author, *intent)),
        _ => None,
    }
}

fn change(
    names: &mut BTreeMap<MemberId, String>,
    epoch: u64,
    author: MemberId,
    intent: &Intent,
) -> Option<RosterChange> {
    let (what, member) = match &intent.change {
        Change::Admit(request) => {
            names.insert(request.newcomer.member, request.newcomer.name.clone());
            ("admitted", request.newcomer.member)
        }
        Change::Promote { member, .. } => ("counts", *member),
        Change::Readmit(request) => ("re-admitted", request.member),
        Change::Remove { member } => ("removed", *member),
        Change::Move { .. } => ("moved", author),
        Change::SetQuorum { rule: QuorumRule::Majority } => ("majority", author),
        Change::SetQuorum { rule: QuorumRule::Supermajority } => ("supermajority", author),
        _ => return None,
    };
    let name = |id: &MemberId| names.get(id).cloned().unwrap_or_else(|| id.to_string());
    Some(RosterChange {
        epoch,
        at: intent.at.rfc3339(),
        what: what.to_owned(),
        member: name(&member),
        by: intent.by.clone(),
        from: name(&author),
    })
}
