//! Health and shares: folded from the digests of all members heard, the same way on each (design §7, §8).

use std::collections::BTreeMap;

use super::{Core, Entity};
use crate::identity::MemberId;
use crate::metrics::{Ratio, Report, Sketch};
use crate::state::Service;
use crate::time::Millis;
use crate::view::{Balance, Component, Health, HealthState, HealthView, Share};

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

pub(super) fn cpu_p95(report: &Report) -> Ratio {
    Ratio(report.cpu.quantile(950).unwrap_or_default().min(10_000) as u32)
}

impl Entity {
    pub(super) fn load_health(&self, id: &MemberId) -> Health {
        let Some(report) = self.report_of(id) else { return Health::Ok };
        let memory = Ratio::of(report.memory_used, report.memory_total);
        let disk = Ratio::of(report.disk_used, report.disk_total);
        judge(cpu_p95(report), CPU_LIMITS).max(judge(memory, FULL_LIMITS)).max(judge(disk, FULL_LIMITS))
    }

    pub(super) fn member_health(&self, core: &Core, id: &MemberId) -> Health {
        if !self.is_heard(core, id) {
            return Health::Unknown;
        }
        if self.why_burnt(core, id).is_some() {
            return Health::Critical;
        }
        let differs = self.state.applications.iter().any(|(name, application)| {
            application.settled().is_some()
                && application.window.is_none()
                && self.content_state(id, name, application) == "drift"
        });
        let misbehaves = self.conduct.of(id, core.now.mono).is_some();
        let content = if differs || misbehaves { Health::Warning } else { Health::Ok };
        let troubled = if self.troubles_of(id).next().is_some() || self.hook_fails_on(id).is_some() {
            Health::Critical
        } else {
            Health::Ok
        };
        self.load_health(id).max(content).max(troubled)
    }

    /// Whether a member is no use to those that it would serve.
    fn is_unfit(&self, id: &MemberId) -> bool {
        self.load_health(id) == Health::Critical || self.hook_fails_on(id).is_some()
    }

    // --- health ------------------------------------------------------------------------------------------------

    /// What of the entity's health is known without the count of its duration.
    pub(super) fn own_health_state(&self, core: &Core) -> Health {
        if !self.has_majority(core) {
            return Health::Critical;
        }
        let members = self.state.members.iter().map(|member| match self.member_health(core, &member.id) {
            Health::Unknown => Health::Warning,
            health => health,
        });
        members.max().unwrap_or_default()
    }

    pub(super) fn health_state(&self, core: &Core) -> HealthState {
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

    pub(super) fn health_view(&self, core: &Core) -> HealthView {
        let total =
            self.state.applications.values().filter(|application| application.settled().is_some()).count();
        let agreed = self.state.applications.iter().filter(|(name, application)| {
            application.settled().is_some()
                && self.agreeing(core, name, application).len() == self.reachable_placed(core, application)
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

    /// Shares in proportion to capacity; none for members that are out of service, not heard or critical. Those that
    /// are critical share all the same when fewer than half of those in service would be left (design §8, finding 31).
    pub(super) fn shares(&self, core: &Core) -> BTreeMap<MemberId, Ratio> {
        let in_service = self.state.in_service().count();
        let heard: Vec<MemberId> =
            self.state.in_service().map(|member| member.id).filter(|id| self.is_heard(core, id)).collect();
        let healthy: Vec<MemberId> = heard.iter().filter(|id| !self.is_unfit(id)).copied().collect();
        let serving = if healthy.len() * 2 < in_service { heard } else { healthy };
        let capacity = |id: &MemberId| self.report_of(id).map_or(0, |report| report.capacity);
        let total: u64 = serving.iter().map(capacity).sum();
        serving.iter().map(|id| (*id, Ratio::of(capacity(id), total))).collect()
    }

    pub(super) fn balance(&self, core: &Core) -> Balance {
        let shares = self.shares(core);
        let share = |member: &crate::state::Member| {
            let report = self.report_of(&member.id);
            let ratio = shares.get(&member.id).copied().unwrap_or_default();
            let why = if let Service::Out(out) = &member.service {
                if out.reason.is_empty() { "out of service" } else { out.reason.as_str() }
            } else if member.service == Service::Spare {
                "spare"
            } else if !self.is_heard(core, &member.id) {
                "not heard"
            } else if ratio == Ratio(0) && self.is_unfit(&member.id) {
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
}

fn one(ratio: Ratio) -> Sketch {
    let mut sketch = Sketch::default();
    sketch.add(u64::from(ratio.0));
    sketch
}
