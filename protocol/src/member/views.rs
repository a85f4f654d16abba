//! What a member shows: the documents of [`crate::view`], computed from what it knows now.

use std::collections::BTreeMap;

use super::{Core, Entity, Member};
use crate::hash::Hash;
use crate::identity::MemberId;
use crate::metrics::Ratio;
use crate::placement::groups_of;
use crate::record::Policy;
use crate::rollout::Hook;
use crate::state::{Application, Role, Service};
use crate::time::Millis;
use crate::view::{
    AppState, AppView, AppVotes, Balance, CertificateView, ContentView, EntityView, Freshness, HealthView,
    History, InvitationView, Invitations, LastUpdate, MemberCounts, MemberView, Members, OutView, Requests,
    RevisionView, ServiceCounts, Status, Updates, VoteGroup, Votes, Why, WindowView,
};

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
        Some(Members {
            members,
            majority: entity.state.quorum() as u64,
            quorum: entity.state.governance.quorum,
            protocol: entity.state.protocol,
            settleable: entity.next_version(&self.core),
            mixed_seconds: entity.mixed_for(&self.core).map(|lasts| lasts.0 / 1000),
        })
    }

    /// The genesis of this member's entity: where an audit of the chain begins.
    pub fn genesis(&self) -> Option<crate::record::Genesis> {
        Some(self.entity.as_ref()?.beginning.as_ref()?.genesis.clone())
    }

    /// `althing.votes/1`, of one application or all.
    pub fn votes(&self, only: Option<&str>) -> Option<Votes> {
        let entity = self.entity.as_ref()?;
        let names = entity.state.applications.keys().filter(|name| only.is_none_or(|only| only == *name));
        let applications = names.filter_map(|name| entity.app_votes(&self.core, name)).collect();
        let (epoch, round) = (entity.ballot.epoch(), entity.ballot.round());
        let deciding = entity.ballot.is_running();
        Some(Votes { applications, epoch, round, deciding })
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
            batch: revision.plan.batch.to_string(),
            probation_until: (revision.plan.probation > Millis(0))
                .then(|| (revision.at + revision.plan.probation).rfc3339()),
            undoes: revision.plan.undoes,
            items: revision.extent.items,
            bytes: revision.extent.bytes,
        });
        Some(History { application: name.to_owned(), revisions: revisions.collect() })
    }

    /// `althing.requests/1`
    pub fn requests(&self) -> Option<Requests> {
        self.entity.as_ref().map(|entity| entity.requests(&self.core))
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
            spare: invitation.spare,
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

    /// Of the voters that an application goes to.
    pub(super) fn reachable_placed(&self, core: &Core, application: &Application) -> usize {
        self.state.placed_voters(application).filter(|voter| self.is_heard(core, &voter.id)).count()
    }

    /// Voters that can be reached and whose store counts.
    pub(super) fn able_voters(&self, core: &Core) -> usize {
        let able = |id: &MemberId| self.is_heard(core, id) && self.why_burnt(core, id).is_none();
        self.state.voters().filter(|voter| able(&voter.id)).count()
    }

    pub(super) fn is_heard(&self, core: &Core, id: &MemberId) -> bool {
        *id == core.me() || self.liveness.is_reachable(id, core.now.mono)
    }

    /// Not heard by this member, nor by any other that is heard.
    pub(super) fn is_down(&self, core: &Core, id: &MemberId) -> bool {
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
            quorum: self.state.governance.quorum,
            members: MemberCounts {
                total: self.state.members.len() as u64,
                reachable: self.state.members.iter().filter(|member| self.is_heard(core, &member.id)).count()
                    as u64,
                voters: self.state.voters().count() as u64,
                unheard: self.unheard_names(core),
            },
            service: self.service_counts(),
            applications,
            attention: self.attention(core),
            joining: self.joining_views(),
            updates: Updates { open: open.map(|(name, _)| name.clone()).collect(), last },
            view: Freshness {
                oldest_report_ms: oldest.unwrap_or_default().0,
                majority_reachable: self.has_majority(core),
                confirmed_ms: self.confirmed(core).map(|age| age.0),
            },
        }
    }

    /// Since when nobody knows whether this epoch still is the newest: how long ago the last of a quorum that holds it
    /// was heard, the quorum being made of those heard most lately.
    pub(super) fn confirmed(&self, core: &Core) -> Option<Millis> {
        let signed = |id: &MemberId| {
            self.certificate.as_ref().is_some_and(|head| head.votes.iter().any(|vote| vote.author == *id))
        };
        let said = |id: &MemberId| {
            let report = self.report_of(id).map(|report| report.epoch);
            report.max(self.spread.epochs.get(id).copied()) >= Some(self.state.epoch)
        };
        let holds = |id: &MemberId| signed(id) || said(id);
        let age = |id: &MemberId| match *id == core.me() {
            true => Some(Millis(0)),
            false => self.liveness.age(id, core.now.mono).filter(|_| holds(id)),
        };
        let mut ages: Vec<Millis> = self.state.voters().filter_map(|voter| age(&voter.id)).collect();
        ages.sort_unstable();
        ages.get(self.state.quorum().saturating_sub(1)).copied()
    }

    fn unheard_names(&self, core: &Core) -> Vec<String> {
        let away = self.state.members.iter().filter(|member| !self.is_heard(core, &member.id));
        away.map(|member| member.name.clone()).collect()
    }

    fn service_counts(&self) -> ServiceCounts {
        let mut counts = ServiceCounts::default();
        for member in &self.state.members {
            match member.service {
                Service::In => counts.serving += 1,
                Service::Out(_) => counts.out += 1,
                Service::Spare => counts.spare += 1,
            }
        }
        counts
    }

    // --- applications ------------------------------------------------------------------------------------------

    /// `agrees`, `drift`, `applying`, `absent`, `unmanaged`, `unreadable`, `unknown` or `not-placed`
    pub(super) fn content_state(&self, id: &MemberId, name: &str, application: &Application) -> &'static str {
        if !self.state.is_placed(application, id) {
            return "not-placed";
        }
        let Some(list) = self.list_of(id, name) else { return "unknown" };
        let settled = application.root_hash();
        if !list.seen {
            "unreadable"
        } else if settled.is_some() && list.observed == settled {
            "agrees"
        } else if settled.is_none() {
            if list.observed.is_some() { "unmanaged" } else { "absent" }
        } else if list.applied != Some(list.basis) && list.left == 0 {
            "applying"
        } else {
            "drift"
        }
    }

    pub(super) fn agreeing(&self, core: &Core, name: &str, application: &Application) -> Vec<MemberId> {
        let voters = self.state.placed_voters(application).map(|voter| voter.id);
        voters
            .filter(|id| self.is_heard(core, id) && self.content_state(id, name, application) == "agrees")
            .collect()
    }

    fn app_view(&self, core: &Core, name: &str) -> Option<AppView> {
        let application = self.state.applications.get(name)?;
        let settled = application.settled();
        let agreeing = self.agreeing(core, name, application);
        let differing = self.state.placed_voters(application).filter(|voter| !agreeing.contains(&voter.id));
        Some(AppView {
            name: name.to_owned(),
            path: application.root.clone(),
            revision: settled.map_or(0, |revision| revision.number),
            root: application.root_hash(),
            agree: agreeing.len() as u64,
            of: self.placed_count(application) as u64,
            state: self.app_state(core, name, application, agreeing.len()),
            differing: differing.map(|voter| voter.name.clone()).collect(),
            items: settled.map_or(0, |revision| revision.extent.items),
            bytes: settled.map_or(0, |revision| revision.extent.bytes),
            policy: if application.policy == Policy::Majority { "majority" } else { "certified" }.to_owned(),
            groups: application.placement().0.iter().cloned().collect(),
            members: self.where_it_goes(application),
            keepers: self.keepers.get(name).into_iter().flatten().map(|id| self.state.name_of(id)).collect(),
            adopts: application.adopts,
            unmanaged: application.unmanaged.clone(),
            handling: application.terms.handling.clone(),
            contested: self.contested_on(name).map(|voter| voter.name.clone()).collect(),
            batch: application.rollout().batch.to_string(),
            check_hooks: application.rollout().check.iter().map(Hook::shown).collect(),
            after_hooks: application.rollout().after.iter().map(Hook::shown).collect(),
            hook_limit_ms: {
                let rollout = application.rollout();
                rollout.check.iter().chain(&rollout.after).map(|hook| hook.limit.0).next()
            },
            rollout: self.rollout_view(core, name),
            paused_until: application
                .paused
                .filter(|until| core.now.wall < *until)
                .map(|until| until.rfc3339()),
            candidate: None,
            window: self.window_view(name, application),
            updated: settled.map(|revision| revision.at.rfc3339()),
            by: settled.map(|revision| revision.by.clone()),
            from: settled.map(|revision| self.state.name_of(&revision.from)),
        })
    }

    /// Names of the members of its groups; nothing where it goes to all.
    fn where_it_goes(&self, application: &Application) -> Vec<String> {
        if application.placement().is_everywhere() {
            return Vec::new();
        }
        self.placed_names(application).map(str::to_owned).collect()
    }

    /// Members that say that they leave something of it alone.
    pub(super) fn contested_on<'a>(
        &'a self,
        name: &'a str,
    ) -> impl Iterator<Item = &'a crate::state::Member> {
        let leaves = |id: &MemberId| self.list_of(id, name).is_some_and(|list| list.left > 0);
        self.state.members.iter().filter(move |member| leaves(&member.id))
    }

    pub(super) fn window_view(&self, name: &str, application: &Application) -> Option<WindowView> {
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
            auto_quiet_ms: window.auto().map(|quiet| quiet.0),
            refused: staged.map(|root| self.refusals(name, &root)).unwrap_or_default(),
        })
    }

    fn app_state(&self, core: &Core, name: &str, application: &Application, agree: usize) -> AppState {
        let placed = self.state.placed_voters(application).map(|voter| voter.id);
        let heard = placed.filter(|id| self.is_heard(core, id));
        let states: Vec<&str> = heard.map(|id| self.content_state(&id, name, application)).collect();
        let rolling = self.rollout_view(core, name);
        if rolling.as_ref().is_some_and(|rolling| rolling.stopped) {
            AppState::Stopped
        } else if application.window.is_some() {
            AppState::Window
        } else if application.paused.is_some_and(|until| core.now.wall < until) {
            AppState::Paused
        } else if application.settled().is_none() {
            AppState::NotSettled
        } else if agree == states.len() && rolling.is_none() {
            AppState::Agreed
        } else if rolling.is_some_and(|rolling| rolling.is_going_on()) {
            AppState::RollingOut
        } else if agree == states.len() {
            AppState::Agreed
        } else if agree < self.state.content_quorum(self.placed_count(application))
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
        for voter in self.state.placed_voters(application) {
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
        let certificate = self
            .certificate
            .as_ref()
            .filter(|certificate| Some(certificate.epoch) == settled.map(|r| r.epoch));
        Some(AppVotes {
            application: name.to_owned(),
            revision: settled.map_or(0, |revision| revision.number),
            root: application.root_hash(),
            settled: settled.is_some() && self.majority_drift(name).is_none(),
            needed: self.state.content_quorum(self.placed_count(application)) as u64,
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
            .filter(|(_, application)| application.placement().takes(member))
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
            role: match member.role {
                Role::Voter => "voter",
                Role::Learner => "learner",
                Role::Follower => "follower",
            }
            .to_owned(),
            service: service_word(&member.service).to_owned(),
            out: out_view(member),
            labels: member.labels.clone(),
            groups: groups_of(member).map(str::to_owned).collect(),
            keeps: self
                .keepers
                .iter()
                .filter(|(_, keepers)| keepers.contains(id))
                .map(|(name, _)| name.clone())
                .collect(),
            counts: member.role == Role::Voter,
            votes: if *id == core.me() {
                self.may_vote(core)
            } else {
                report.is_some_and(|report| report.votes)
            },
            health: self.member_health(core, id),
            agrees: content.iter().filter(|content| content.state == "agrees").count() as u64,
            applications: content.len() as u64,
            cpu_ratio_p95: report.map(|report| super::health::cpu_p95(report).as_f64()),
            memory_ratio: report.map(|report| Ratio::of(report.memory_used, report.memory_total).as_f64()),
            disk_ratio: report.map(|report| Ratio::of(report.disk_used, report.disk_total).as_f64()),
            share_ratio: self.shares(core).get(id).copied().unwrap_or_default().as_f64(),
            version: report.map(|report| report.version.clone()),
            protocol: self.spoken_by(core, member),
            last_seen_seconds: seen.map(|age| age.0 as f64 / 1000.0),
            addresses: member.addresses.iter().map(|address| address.control.to_string()).collect(),
            epoch: if *id == core.me() { Some(self.state.epoch) } else { report.map(|report| report.epoch) },
            content,
        })
    }
}

fn service_word(service: &Service) -> &'static str {
    match service {
        Service::In => "in",
        Service::Out(_) => "out",
        Service::Spare => "spare",
    }
}

fn out_view(member: &crate::state::Member) -> Option<OutView> {
    let Service::Out(out) = &member.service else { return None };
    Some(OutView {
        reason: out.reason.clone(),
        by: out.by.clone(),
        since: out.since.rfc3339(),
        until: out.until.map(crate::time::WallTime::rfc3339),
    })
}
