//! What a member shows: the documents of [`crate::view`], computed from what it knows now.

use std::collections::BTreeMap;

use super::{Core, Entity, Member};
use crate::hash::Hash;
use crate::identity::MemberId;
use crate::metrics::{Ratio, Report, Sketch};
use crate::record::Policy;
use crate::state::{Application, Role};
use crate::time::Millis;
use crate::view::{
    AppState, AppView, AppVotes, Attention, Balance, Cause, CertificateView, Component, ContentView,
    EntityView, Freshness, Health, HealthState, HealthView, History, InvitationView, Invitations, LastUpdate,
    MemberCounts, MemberView, Members, Remedy, RevisionView, Share, Status, Updates, VoteGroup, Votes, Why,
    WindowView,
};

/// From where on a share of something is a warning, and critical (built in; rules come with a later version).
const CPU_LIMITS: (Ratio, Ratio) = (Ratio(8_000), Ratio(9_000));
const FULL_LIMITS: (Ratio, Ratio) = (Ratio(8_500), Ratio(9_500));

fn judge(ratio: Ratio, limits: (Ratio, Ratio)) -> Health {
    if ratio >= limits.1 {
        Health::Critical
    } else if ratio >= limits.0 {
        Health::Warning
    } else {
        Health::Ok
    }
}

fn cpu_p95(report: &Report) -> Ratio {
    Ratio(report.cpu.quantile(950).unwrap_or_default().min(10_000) as u32)
}

impl Member {
    /// `althing.status/1`
    pub fn status(&self) -> Option<Status> {
        self.entity.as_ref().map(|entity| entity.status(&self.core))
    }

    /// `althing.members/1`
    pub fn members(&self) -> Option<Members> {
        let entity = self.entity.as_ref()?;
        let ids = entity.state.members.iter().map(|member| member.id);
        let members = ids.filter_map(|id| entity.member_view(&self.core, &id)).collect();
        Some(Members { members, majority: entity.state.quorum() as u64 })
    }

    /// `althing.votes/1`, of one application or all.
    pub fn votes(&self, only: Option<&str>) -> Option<Votes> {
        let entity = self.entity.as_ref()?;
        let names = entity.state.applications.keys().filter(|name| only.is_none_or(|only| only == *name));
        let applications = names.filter_map(|name| entity.app_votes(&self.core, name)).collect();
        let (epoch, round) = (entity.ballot.epoch(), entity.ballot.round());
        Some(Votes { applications, epoch, round, deciding: entity.ballot.is_running() })
    }

    /// `althing.health/1`
    pub fn health(&self) -> Option<HealthView> {
        self.entity.as_ref().map(|entity| entity.health_view(&self.core))
    }

    /// `althing.balance/1`
    pub fn balance(&self) -> Option<Balance> {
        self.entity.as_ref().map(|entity| entity.balance(&self.core))
    }

    /// `althing.history/1`
    pub fn history(&self, name: &str) -> Option<History> {
        let entity = self.entity.as_ref()?;
        let application = entity.state.applications.get(name)?;
        let revisions = application.revisions.iter().rev().map(|revision| RevisionView {
            revision: revision.number,
            root: revision.root,
            epoch: revision.epoch,
            at: revision.at.rfc3339(),
            by: revision.by.clone(),
            from: entity.state.name_of(&revision.from),
            reason: revision.reason.clone(),
            items: revision.extent.items,
            bytes: revision.extent.bytes,
        });
        Some(History { application: name.to_owned(), revisions: revisions.collect() })
    }

    /// `althing.invitations/1`
    pub fn invitations(&self) -> Option<Invitations> {
        let entity = self.entity.as_ref()?;
        let views = entity.state.invitations.iter().map(|(key, invitation)| InvitationView {
            id: key.to_string(),
            uses: invitation.uses,
            expires: invitation.expires.rfc3339(),
            by: entity.state.name_of(&invitation.by),
            note: invitation.note.clone(),
        });
        Some(Invitations { invitations: views.collect() })
    }

    /// `althing.why/1`: of a member by name, an application, or (`None`) the entity.
    pub fn why(&self, subject: Option<&str>) -> Option<Why> {
        let entity = self.entity.as_ref()?;
        match subject {
            None | Some("entity") => Some(entity.why_entity(&self.core)),
            Some(name) => {
                let short = name.trim_start_matches("member/").trim_start_matches("app/");
                let member = entity.state.member_named(short).map(|member| member.id);
                if let Some(id) = member.filter(|_| !name.starts_with("app/")) {
                    return Some(entity.why_member(&self.core, &id));
                }
                entity
                    .state
                    .applications
                    .contains_key(short)
                    .then(|| entity.why_application(&self.core, short))
            }
        }
    }
}

impl Entity {
    pub(super) fn reachable_voters(&self, core: &Core) -> usize {
        self.state.voters().filter(|voter| self.is_heard(core, &voter.id)).count()
    }

    fn is_heard(&self, core: &Core, id: &MemberId) -> bool {
        *id == core.me() || self.liveness.is_reachable(id, core.now.mono)
    }

    /// Not heard by this member, nor by any other that is heard.
    fn is_down(&self, core: &Core, id: &MemberId) -> bool {
        let others = self.state.members.iter().filter(|member| member.id != *id && member.id != core.me());
        let mut heard = others.filter(|member| self.is_heard(core, &member.id)).peekable();
        let agree =
            |other: &MemberId| self.report_of(other).is_some_and(|report| report.unheard.contains(id));
        !self.is_heard(core, id) && (heard.peek().is_none() || heard.any(|member| agree(&member.id)))
    }

    fn status(&self, core: &Core) -> Status {
        let names = self.state.applications.keys();
        let applications: Vec<AppView> = names.filter_map(|name| self.app_view(core, name)).collect();
        let newest = self.state.applications.iter().filter_map(|(name, application)| {
            application.settled().map(|revision| (revision.epoch, name, revision))
        });
        let last = newest.max_by_key(|(epoch, ..)| *epoch).map(|(_, name, revision)| LastUpdate {
            application: name.clone(),
            revision: revision.number,
            by: revision.by.clone(),
            at: revision.at.rfc3339(),
        });
        let open = self.state.applications.iter().filter(|(_, application)| application.window.is_some());
        let ages = self.state.members.iter().filter(|member| self.is_heard(core, &member.id));
        let oldest = ages.filter_map(|member| self.liveness.age(&member.id, core.now.mono)).max();
        Status {
            entity: EntityView {
                name: self.state.name.clone(),
                id: self.state.entity,
                epoch: self.state.epoch,
                roster_revision: self.state.roster_epoch,
            },
            health: self.health_state(core),
            majority: self.state.quorum() as u64,
            members: MemberCounts {
                total: self.state.members.len() as u64,
                reachable: self.state.members.iter().filter(|member| self.is_heard(core, &member.id)).count()
                    as u64,
                voters: self.state.voters().count() as u64,
            },
            applications,
            attention: self.attention(core),
            updates: Updates { open: open.map(|(name, _)| name.clone()).collect(), last },
            view: Freshness {
                oldest_report_ms: oldest.unwrap_or_default().0,
                majority_reachable: self.check_majority(core).is_ok(),
            },
        }
    }

    // --- applications ------------------------------------------------------------------------------------------

    /// `agrees`, `drift`, `applying`, `absent` or `unknown`
    fn content_state(&self, id: &MemberId, name: &str, application: &Application) -> &'static str {
        let Some(list) = self.list_of(id, name) else { return "unknown" };
        let settled = application.root_hash();
        if settled.is_some() && list.observed == settled {
            "agrees"
        } else if settled.is_none() {
            if list.observed.is_some() { "unmanaged" } else { "absent" }
        } else if list.applied != Some(list.basis) {
            "applying"
        } else {
            "drift"
        }
    }

    fn agreeing(&self, core: &Core, name: &str, application: &Application) -> Vec<MemberId> {
        let voters = self.state.voters().map(|voter| voter.id);
        voters
            .filter(|id| self.is_heard(core, id) && self.content_state(id, name, application) == "agrees")
            .collect()
    }

    fn app_view(&self, core: &Core, name: &str) -> Option<AppView> {
        let application = self.state.applications.get(name)?;
        let settled = application.settled();
        let agreeing = self.agreeing(core, name, application);
        let differing = self.state.voters().filter(|voter| !agreeing.contains(&voter.id));
        Some(AppView {
            name: name.to_owned(),
            path: application.root.clone(),
            revision: settled.map_or(0, |revision| revision.number),
            root: application.root_hash(),
            agree: agreeing.len() as u64,
            of: self.state.voters().count() as u64,
            state: self.app_state(core, name, application, agreeing.len()),
            differing: differing.map(|voter| voter.name.clone()).collect(),
            items: settled.map_or(0, |revision| revision.extent.items),
            bytes: settled.map_or(0, |revision| revision.extent.bytes),
            policy: if application.policy == Policy::Majority { "majority" } else { "certified" }.to_owned(),
            window: self.window_view(name, application),
            updated: settled.map(|revision| revision.at.rfc3339()),
            by: settled.map(|revision| revision.by.clone()),
            from: settled.map(|revision| self.state.name_of(&revision.from)),
        })
    }

    fn window_view(&self, name: &str, application: &Application) -> Option<WindowView> {
        let window = application.window.as_ref()?;
        let staged =
            self.holding_of(&window.author, name).filter(|holding| holding.basis == application.basis);
        let staged = staged.map(|holding| holding.root);
        Some(WindowView {
            member: self.state.name_of(&window.author),
            by: window.by.clone(),
            reason: window.reason.clone(),
            opened: window.opened.rfc3339(),
            expires: window.expires.rfc3339(),
            staged,
            holders: staged.map_or(0, |root| self.evidence(name, &root).len() as u64),
        })
    }

    fn app_state(&self, core: &Core, name: &str, application: &Application, agree: usize) -> AppState {
        let heard = self.state.voters().filter(|voter| self.is_heard(core, &voter.id)).map(|voter| voter.id);
        let states: Vec<&str> = heard.map(|id| self.content_state(&id, name, application)).collect();
        if application.window.is_some() {
            AppState::Window
        } else if application.paused.is_some_and(|until| core.now.wall < until) {
            AppState::Paused
        } else if application.settled().is_none() {
            AppState::NotSettled
        } else if agree == states.len() {
            AppState::Agreed
        } else if agree * 2 <= self.state.voters().count()
            && states.iter().filter(|state| **state == "drift").count() > 1
        {
            AppState::NotSettled
        } else if states.iter().any(|state| matches!(*state, "applying" | "unknown" | "absent")) {
            AppState::Repairing
        } else {
            AppState::Drift
        }
    }

    fn app_votes(&self, core: &Core, name: &str) -> Option<AppVotes> {
        let application = self.state.applications.get(name)?;
        let settled = application.settled();
        let mut groups: BTreeMap<(Option<Hash>, String), Vec<String>> = BTreeMap::new();
        for voter in self.state.voters() {
            let state = self.content_state(&voter.id, name, application);
            let heard = self.is_heard(core, &voter.id);
            let observed = self.list_of(&voter.id, name).and_then(|list| list.observed).filter(|_| heard);
            let meaning = match state {
                _ if !heard => "unreachable".to_owned(),
                "agrees" => format!("revision {}", settled.map_or(0, |revision| revision.number)),
                other => other.to_owned(),
            };
            groups.entry((observed, meaning)).or_default().push(voter.name.clone());
        }
        let mut groups: Vec<VoteGroup> = groups
            .into_iter()
            .map(|((root, meaning), members)| VoteGroup { root, meaning, members })
            .collect();
        groups.sort_by_key(|group| std::cmp::Reverse((group.root.is_some(), group.members.len())));
        let agree = self.agreeing(core, name, application).len();
        let certificate = self
            .certificate
            .as_ref()
            .filter(|certificate| Some(certificate.epoch) == settled.map(|r| r.epoch));
        Some(AppVotes {
            application: name.to_owned(),
            revision: settled.map_or(0, |revision| revision.number),
            root: application.root_hash(),
            settled: agree * 2 > self.state.voters().count(),
            needed: self.state.quorum() as u64,
            groups,
            certificate: certificate.map(|certificate| CertificateView {
                epoch: certificate.epoch,
                round: certificate.round,
                record: certificate.value,
                signed_by: certificate.votes.iter().map(|vote| self.state.name_of(&vote.author)).collect(),
            }),
        })
    }

    // --- members -----------------------------------------------------------------------------------------------

    fn member_view(&self, core: &Core, id: &MemberId) -> Option<MemberView> {
        let member = self.state.member(id)?;
        let report = self.report_of(id);
        let heard = self.is_heard(core, id);
        let state = if heard {
            "alive"
        } else if self.is_down(core, id) {
            "down"
        } else {
            "unreachable"
        };
        let content: Vec<ContentView> = self
            .state
            .applications
            .iter()
            .map(|(name, application)| {
                let list = self.list_of(id, name);
                ContentView {
                    application: name.clone(),
                    state: self.content_state(id, name, application).to_owned(),
                    observed: list.and_then(|list| list.observed),
                    applied: list.and_then(|list| list.applied),
                }
            })
            .collect();
        let seen = if *id == core.me() { Some(Millis(0)) } else { self.liveness.age(id, core.now.mono) };
        Some(MemberView {
            name: member.name.clone(),
            id: id.to_string(),
            state: state.to_owned(),
            role: if member.role == Role::Voter { "voter" } else { "learner" }.to_owned(),
            counts: member.role == Role::Voter,
            votes: if *id == core.me() {
                self.may_vote(core)
            } else {
                report.is_some_and(|report| report.votes)
            },
            health: self.member_health(core, id),
            agrees: content.iter().filter(|content| content.state == "agrees").count() as u64,
            applications: content.len() as u64,
            cpu_ratio_p95: report.map(|report| cpu_p95(report).as_f64()),
            memory_ratio: report.map(|report| Ratio::of(report.memory_used, report.memory_total).as_f64()),
            disk_ratio: report.map(|report| Ratio::of(report.disk_used, report.disk_total).as_f64()),
            share_ratio: self.shares(core).get(id).copied().unwrap_or_default().as_f64(),
            version: report.map(|report| report.version.clone()),
            last_seen_seconds: seen.map(|age| age.0 as f64 / 1000.0),
            addresses: member.addresses.iter().map(|address| address.control.to_string()).collect(),
            epoch: if *id == core.me() { Some(self.state.epoch) } else { report.map(|report| report.epoch) },
            content,
        })
    }

    fn load_health(&self, id: &MemberId) -> Health {
        let Some(report) = self.report_of(id) else { return Health::Ok };
        let memory = Ratio::of(report.memory_used, report.memory_total);
        let disk = Ratio::of(report.disk_used, report.disk_total);
        judge(cpu_p95(report), CPU_LIMITS).max(judge(memory, FULL_LIMITS)).max(judge(disk, FULL_LIMITS))
    }

    fn member_health(&self, core: &Core, id: &MemberId) -> Health {
        if !self.is_heard(core, id) {
            return Health::Unknown;
        }
        let differs = self.state.applications.iter().any(|(name, application)| {
            application.settled().is_some()
                && application.window.is_none()
                && self.content_state(id, name, application) == "drift"
        });
        let content = if differs { Health::Warning } else { Health::Ok };
        self.load_health(id).max(content)
    }

    // --- health ------------------------------------------------------------------------------------------------

    /// What of the entity's health is known without the count of its duration.
    pub(super) fn own_health_state(&self, core: &Core) -> Health {
        if self.check_majority(core).is_err() {
            return Health::Critical;
        }
        let members = self.state.members.iter().map(|member| match self.member_health(core, &member.id) {
            Health::Unknown => Health::Warning,
            health => health,
        });
        members.max().unwrap_or_default()
    }

    fn health_state(&self, core: &Core) -> HealthState {
        let states: Vec<Health> =
            self.state.members.iter().map(|member| self.member_health(core, &member.id)).collect();
        let count = |health| states.iter().filter(|state| **state == health).count() as u64;
        let state = self.own_health_state(core);
        let since =
            if self.health_since.0 == state { core.now.mono - self.health_since.1 } else { Millis(0) };
        HealthState {
            state,
            since_seconds: since.0 / 1000,
            ok: count(Health::Ok),
            warning: count(Health::Warning),
            critical: count(Health::Critical),
            unknown: count(Health::Unknown),
        }
    }

    fn health_view(&self, core: &Core) -> HealthView {
        let total =
            self.state.applications.values().filter(|application| application.settled().is_some()).count();
        let agreed = self.state.applications.iter().filter(|(name, application)| {
            application.settled().is_some()
                && self.agreeing(core, name, application).len() == self.reachable_voters(core)
        });
        let agreed = agreed.count();
        let (heard, all) = (self.reachable_voters(core), self.state.voters().count());
        let state = |is_ok: bool, bad: Health| if is_ok { Health::Ok } else { bad };
        let plain = |name: &str, state: Health, value: String| Component {
            name: name.to_owned(),
            state,
            value,
            warning_ratio: None,
            critical_ratio: None,
            sum: None,
            average_ratio: None,
            max_ratio: None,
            p95_ratio: None,
            worst: None,
        };
        let majority = if heard >= self.state.quorum() { Health::Warning } else { Health::Critical };
        let components = vec![
            plain(
                "agreement",
                state(agreed == total, Health::Warning),
                format!("{agreed} of {total} applications agreed"),
            ),
            plain("members", state(heard == all, majority), format!("{heard} of {all} voters reachable")),
            self.load_component(core, "cpu", CPU_LIMITS, |report| {
                (report.cpu.clone(), cpu_p95(report), report.capacity as f64 / 1000.0)
            }),
            self.load_component(core, "memory", FULL_LIMITS, |report| {
                let ratio = Ratio::of(report.memory_used, report.memory_total);
                (one(ratio), ratio, report.memory_total as f64)
            }),
            self.load_component(core, "disk", FULL_LIMITS, |report| {
                let ratio = Ratio::of(report.disk_used, report.disk_total);
                (one(ratio), ratio, report.disk_total as f64)
            }),
        ];
        HealthView { health: self.health_state(core), components }
    }

    /// Folds the digests of all members heard. `of` gives a digest's sketch, its ratio, and what 1 stands for.
    fn load_component(
        &self,
        core: &Core,
        name: &str,
        limits: (Ratio, Ratio),
        of: impl Fn(&Report) -> (Sketch, Ratio, f64),
    ) -> Component {
        let heard = self.state.members.iter().filter(|member| self.is_heard(core, &member.id));
        let (mut merged, mut used, mut ratios) = (Sketch::default(), 0.0, Vec::new());
        for member in heard {
            let Some(report) = self.report_of(&member.id) else { continue };
            let (sketch, ratio, whole) = of(report);
            merged.merge(&sketch);
            used += ratio.as_f64() * whole;
            ratios.push((ratio, member.name.clone()));
        }
        let worst = ratios.iter().max().cloned();
        let max = worst.as_ref().map(|(ratio, _)| *ratio).unwrap_or_default();
        let p95 = merged.quantile(950).map(|value| value.min(10_000) as f64 / 10_000.0);
        let average =
            ratios.iter().map(|(ratio, _)| ratio.as_f64()).sum::<f64>() / ratios.len().max(1) as f64;
        Component {
            name: name.to_owned(),
            state: judge(max, limits),
            value: format!("max {:.0} %", max.as_f64() * 100.0),
            warning_ratio: Some(limits.0.as_f64()),
            critical_ratio: Some(limits.1.as_f64()),
            sum: Some(used),
            average_ratio: Some(average),
            max_ratio: Some(max.as_f64()),
            p95_ratio: p95,
            worst: worst.map(|(_, name)| name),
        }
    }

    // --- balance -----------------------------------------------------------------------------------------------

    /// Shares in proportion to capacity; none for members that are not heard or critical, but equal shares by
    /// capacity for all when fewer than half would be left (design §8, finding 31).
    fn shares(&self, core: &Core) -> BTreeMap<MemberId, Ratio> {
        let heard: Vec<MemberId> =
            self.state.members.iter().map(|member| member.id).filter(|id| self.is_heard(core, id)).collect();
        let healthy: Vec<MemberId> =
            heard.iter().filter(|id| self.load_health(id) != Health::Critical).copied().collect();
        let serving = if healthy.len() * 2 < self.state.members.len() { heard } else { healthy };
        let capacity = |id: &MemberId| self.report_of(id).map_or(0, |report| report.capacity);
        let total: u64 = serving.iter().map(capacity).sum();
        serving.iter().map(|id| (*id, Ratio::of(capacity(id), total))).collect()
    }

    fn balance(&self, core: &Core) -> Balance {
        let shares = self.shares(core);
        let share = |member: &crate::state::Member| {
            let report = self.report_of(&member.id);
            let ratio = shares.get(&member.id).copied().unwrap_or_default();
            let why = if !self.is_heard(core, &member.id) {
                "not heard"
            } else if ratio == Ratio(0) && self.load_health(&member.id) == Health::Critical {
                "critical"
            } else {
                "in proportion to capacity"
            };
            Share {
                member: member.name.clone(),
                capacity_cpu: report.map_or(0.0, |report| report.capacity as f64 / 1000.0),
                load_ratio: report.map(|report| report.cpu_now.as_f64()),
                share_ratio: ratio.as_f64(),
                why: why.to_owned(),
            }
        };
        Balance { members: self.state.members.iter().map(share).collect() }
    }

    // --- attention and why -------------------------------------------------------------------------------------

    fn attention(&self, core: &Core) -> Vec<Attention> {
        let mut list = Vec::new();
        let mut note =
            |condition: &str, severity, subject: String, text: String, automatic, command: &str| {
                let command = command.split(' ').map(str::to_owned).collect();
                list.push(Attention {
                    condition: condition.to_owned(),
                    severity,
                    subject,
                    text,
                    automatic,
                    command,
                });
            };
        if core.life.burnt {
            let text = "this member's disk was restored or copied: it does not vote any more; let it leave and join anew";
            note("store-burnt", Health::Critical, "entity".into(), text.into(), false, "althing leave");
        }
        if let Err(refusal) = self.check_majority(core) {
            note(
                "no-majority",
                Health::Critical,
                "entity".into(),
                refusal.message,
                true,
                "althing member list",
            );
        }
        if self.me(core).is_none() {
            let text = "this machine is not in the roster any more";
            note(
                "not-a-member",
                Health::Critical,
                "entity".into(),
                text.into(),
                false,
                "althing member list",
            );
        }
        for member in &self.state.members {
            let (id, name) = (&member.id, &member.name);
            if !self.is_heard(core, id) {
                let text = if self.is_down(core, id) { "is down" } else { "is not heard by this member" };
                note(
                    "unreachable",
                    Health::Warning,
                    format!("member/{name}"),
                    text.into(),
                    true,
                    &format!("althing why {name}"),
                );
                continue;
            }
            for (application, state) in &self.state.applications {
                let settled = state.settled().is_some() && state.window.is_none();
                if settled && self.content_state(id, application, state) == "drift" {
                    let text = format!("{application} differs from what was settled");
                    note(
                        "content-differs",
                        Health::Warning,
                        format!("member/{name}"),
                        text,
                        true,
                        &format!("althing why {name}"),
                    );
                }
            }
            if self.load_health(id) != Health::Ok {
                let text = "is short of processor, memory or disk".to_owned();
                note(
                    "load",
                    self.load_health(id),
                    format!("member/{name}"),
                    text,
                    false,
                    &format!("althing member show {name}"),
                );
            }
        }
        for (name, local) in &self.locals {
            if let Some(why) = local.unreadable.as_ref().or(local.error.as_ref()) {
                note(
                    "local-error",
                    Health::Critical,
                    format!("app/{name}"),
                    why.clone(),
                    true,
                    &format!("althing why {name}"),
                );
            }
        }
        list.sort_by_key(|attention| std::cmp::Reverse(attention.severity));
        list
    }

    fn why_entity(&self, core: &Core) -> Why {
        let attention = self.attention(core);
        let health = self.own_health_state(core);
        let causes =
            attention.iter().map(|one| cause(&one.condition, format!("{}: {}", one.subject, one.text)));
        why("entity", health, attention.first().map(|one| one.condition.as_str()), causes.collect())
    }

    fn why_member(&self, core: &Core, id: &MemberId) -> Why {
        let name = self.state.name_of(id);
        let subject = format!("member/{name}");
        let mut causes = Vec::new();
        let mut because = None;
        if let Some(age) = self.liveness.age(id, core.now.mono).filter(|_| !self.is_heard(core, id)) {
            because = Some("unreachable");
            causes.push(cause(
                "unreachable",
                format!("{name} was heard {} s ago for the last time", age.0 / 1000),
            ));
        }
        for (application, state) in &self.state.applications {
            let content = self.content_state(id, application, state);
            if matches!(content, "drift" | "applying") {
                because = because.or(Some("content-differs"));
                causes.extend(self.why_differs(core, id, application, state));
            }
        }
        if self.load_health(id) != Health::Ok {
            because = because.or(Some("load"));
            causes.push(cause("load", format!("{name} is short of processor, memory or disk")));
        }
        why(&subject, self.member_health(core, id), because, causes)
    }

    fn why_differs(&self, core: &Core, id: &MemberId, name: &str, application: &Application) -> Vec<Cause> {
        let mut causes = Vec::new();
        let who = self.state.name_of(id);
        let list = self.list_of(id, name);
        let shown =
            list.and_then(|list| list.observed).map_or_else(|| "nothing".to_owned(), |root| root.short());
        let (agree, of) = (self.agreeing(core, name, application).len(), self.state.voters().count());
        if let Some(settled) = application.settled() {
            causes.push(cause(
                "local-change",
                format!("{who} reports {shown} of {name}; no update window is open"),
            ));
            let text = format!(
                "{agree} of {of} report {} (revision {}), so it stands",
                settled.root.short(),
                settled.number
            );
            causes.push(cause("majority", text));
            if list.is_some_and(|list| list.applied != Some(list.basis)) {
                causes.push(cause(
                    "applying",
                    format!("{who} has not applied revision {} yet", settled.number),
                ));
            } else {
                causes.push(cause(
                    "repair",
                    format!("{who} takes it back from its own store, or from members that hold it"),
                ));
            }
        }
        causes
    }

    fn why_application(&self, core: &Core, name: &str) -> Why {
        let subject = format!("app/{name}");
        let Some(application) = self.state.applications.get(name) else {
            return why(&subject, Health::Ok, None, Vec::new());
        };
        let mut causes = Vec::new();
        if let Some(window) = self.window_view(name, application) {
            let text = format!(
                "an update window is open on {} by {} until {}",
                window.member, window.by, window.expires
            );
            causes.push(Cause { at: Some(window.opened), code: "window-open".into(), text });
        }
        if let Some(local) = self.local(name)
            && let Some(text) = local.unreadable.as_ref().or(local.error.as_ref())
        {
            causes.push(cause("local-error", text.clone()));
        }
        for voter in self.state.voters() {
            if matches!(self.content_state(&voter.id, name, application), "drift" | "applying")
                && application.window.is_none()
            {
                causes.extend(self.why_differs(core, &voter.id, name, application));
            }
        }
        let because = causes.first().map(|cause| cause.code.clone());
        let health = if causes.is_empty() { Health::Ok } else { Health::Warning };
        why(&subject, health, because.as_deref(), causes)
    }
}

fn one(ratio: Ratio) -> Sketch {
    let mut sketch = Sketch::default();
    sketch.add(u64::from(ratio.0));
    sketch
}

fn cause(code: &str, text: String) -> Cause {
    Cause { at: None, code: code.to_owned(), text }
}

fn why(subject: &str, health: Health, because: Option<&str>, causes: Vec<Cause>) -> Why {
    let (next, remedies): (&str, Vec<(&str, &str)>) = match because {
        None => ("Nothing is wrong.", vec![]),
        Some("content-differs" | "local-change") => (
            "Repair ends by itself; nothing is needed from you.",
            vec![("see what differs", "althing app list"), ("get something back", "althing trash list")],
        ),
        Some("unreachable") => (
            "It is heard again by itself when it and the network are up.",
            vec![("see who is heard", "althing member list")],
        ),
        Some("no-majority") => (
            "Settling goes on when enough members are heard again.",
            vec![("see who is heard", "althing member list")],
        ),
        Some("window-open") => (
            "The window is committed, aborted, or expires.",
            vec![("see the windows", "althing update list")],
        ),
        Some(_) => {
            ("See the events for what happened.", vec![("see the events", "althing events --since 1h")])
        }
    };
    let state = match health {
        Health::Ok => "ok",
        Health::Unknown => "unknown",
        Health::Warning => "warning",
        Health::Critical => "critical",
    };
    let remedy = |(text, command): (&str, &str)| Remedy {
        text: text.to_owned(),
        command: command.split(' ').map(str::to_owned).collect(),
    };
    Why {
        subject: subject.to_owned(),
        state: state.to_owned(),
        because: because.unwrap_or("nothing").to_owned(),
        causes,
        next: next.to_owned(),
        automatic: matches!(
            because,
            Some("content-differs" | "local-change" | "unreachable" | "no-majority")
        ),
        remedies: remedies.into_iter().map(remedy).collect(),
    }
}
