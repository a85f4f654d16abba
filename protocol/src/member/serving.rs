//! Members in and out of service, spares, names and labels: what administrators ask for, and what follows when a time
//! out of service is over (design §5.1, findings 15, 34).

use super::operation::Goal;
use super::{Core, Entity};
use crate::control::{Code, Command, Outcome, Refusal};
use crate::event::{Event, Severity};
use crate::identity::MemberId;
use crate::record::Change;
use crate::state::{Member, Role, Service, State};
use crate::statement::Intent;
use crate::time::Instant;

/// What a command comes to: the change, or none where it is so already.
type Asked = Result<(Goal, Option<Change>), Refusal>;

impl Entity {
    /// The commands about members of the roster.
    pub(super) fn member_command(&self, core: &Core, command: Command) -> Asked {
        let change = match command {
            Command::Remove { member } => Some(Change::Remove { member: self.found(&member)?.id }),
            Command::TakeOut { member, reason, lasts, anyway } => {
                let found = self.found(&member)?;
                if !anyway {
                    self.keep_serving(found, "althing member out NAME -y")?;
                }
                let until = lasts.map(|lasts| core.now.wall + lasts);
                Some(Change::TakeOut { member: found.id, reason, until, anyway })
            }
            Command::BringIn { member } => {
                let found = self.found(&member)?;
                (!found.is_in_service()).then_some(Change::BringIn { member: found.id })
            }
            Command::Spare { member, anyway } => {
                let found = self.found(&member)?;
                if !anyway {
                    self.keep_serving(found, "althing member spare NAME -y")?;
                }
                let is_so = found.role == Role::Follower && found.service == Service::Spare;
                (!is_so).then_some(Change::Spare { member: found.id, anyway })
            }
            Command::Enlist { member } => {
                let found = self.found(&member)?;
                (found.role == Role::Follower).then_some(Change::Enlist { member: found.id })
            }
            Command::Rename { member, name } => {
                let found = self.found(&member)?;
                (found.name != name).then_some(Change::Rename { member: found.id, name })
            }
            Command::Label { member, labels, keep_files } => {
                Some(Change::Label { member: self.found(&member)?.id, labels, keep_files })
            }
            _ => return Err(Refusal::new(Code::Input, "not a command about a member")),
        };
        Ok((Goal::Change { outcome: Box::new(Outcome::Done) }, change))
    }

    fn found(&self, name: &str) -> Result<&Member, Refusal> {
        let unknown = || {
            Refusal::new(Code::NoSuchMember, format!("there is no member {name}"))
                .try_("see who there is", "althing member list")
        };
        self.state.member_named(name).ok_or_else(unknown)
    }

    /// Refuses what would leave nobody in service; `anyway` is the command that does it all the same.
    fn keep_serving(&self, member: &Member, anyway: &str) -> Result<(), Refusal> {
        let others = self.state.in_service().filter(|other| other.id != member.id).count();
        if others > 0 || !member.is_in_service() {
            return Ok(());
        }
        Err(self.nobody_serves(&member.name, anyway))
    }

    fn nobody_serves(&self, name: &str, anyway: &str) -> Refusal {
        let waiting = self.state.members.iter().find(|other| other.name != name && !other.is_in_service());
        let refusal = Refusal::new(Code::WouldEmptyService, format!("{name} is the last member in service"))
            .fact("entity", &self.state.name)
            .fact("in_service_after", 0);
        let refusal = match waiting {
            Some(other) => {
                refusal.try_("first bring another in", &format!("althing member in {}", other.name))
            }
            None => refusal,
        };
        refusal.try_("do it anyway: nobody serves then", &anyway.replace("NAME", name))
    }

    /// A time out of service that is over ends, by whoever acts for the entity.
    pub(super) fn attend_service(&mut self, core: &mut Core) {
        let over =
            self.state.members.out_for_a_time().find(|member| is_over(member, core)).map(|member| member.id);
        let Some(member) = over else { return };
        if self.has_majority(core) && self.may_vote(core) && self.is_acting(core) {
            self.originate_once(core, Change::Return { member });
        }
    }

    /// Whether this member's clock says, too, that the time is over.
    pub(super) fn may_return(&self, core: &Core, id: &MemberId) -> bool {
        self.state.member(id).is_some_and(|member| is_over(member, core))
    }

    /// When the next time out of service is over.
    pub(super) fn return_deadline(&self, core: &Core) -> Option<Instant> {
        let times = self.state.members.out_for_a_time().filter_map(until);
        let at = times.map(|until| core.now.mono + (until - core.now.wall)).filter(|at| *at > core.now.mono);
        at.min()
    }
}

fn until(member: &Member) -> Option<crate::time::WallTime> {
    match &member.service {
        Service::Out(out) => out.until,
        Service::In | Service::Spare => None,
    }
}

fn is_over(member: &Member, core: &Core) -> bool {
    until(member).is_some_and(|until| core.now.wall >= until)
}

/// The event that tells a settled change of a member.
pub(super) fn describe(before: &State, after: &State, origin: &str, intent: &Intent) -> Option<Event> {
    let by = &intent.by;
    let told =
        |severity, kind: &str, text: String, id: &MemberId| Some(Event::new(severity, kind, text).of(*id));
    match &intent.change {
        Change::TakeOut { member, reason, until, .. } => {
            let ends = until.map(|until| format!(", until {}", until.rfc3339())).unwrap_or_default();
            let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            told(Severity::Notice, "service.out", format!("by {by} on {origin}{ends}{why}"), member)
        }
        Change::BringIn { member } => {
            told(Severity::Info, "service.in", format!("by {by} on {origin}"), member)
        }
        Change::Return { member } => {
            told(Severity::Info, "service.in", "the time out of service is over".to_owned(), member)
        }
        Change::Spare { member, .. } => {
            let text = format!("a spare now, which does not count in the majority, by {by} on {origin}");
            told(Severity::Notice, "member.spare", text, member)
        }
        Change::Enlist { member } => told(
            Severity::Info,
            "member.enlisted",
            format!("not a spare any more, by {by} on {origin}"),
            member,
        ),
        Change::Rename { member, name } => {
            let text = format!("{} is called {name} now, by {by} on {origin}", before.name_of(member));
            told(Severity::Info, "member.renamed", text, member)
        }
        Change::Label { member, .. } => {
            let labels = after.member(member).map(labels_of).unwrap_or_default();
            told(Severity::Info, "member.labelled", format!("{labels}, by {by} on {origin}"), member)
        }
        _ => None,
    }
}

fn labels_of(member: &Member) -> String {
    if member.labels.is_empty() {
        return "no labels".to_owned();
    }
    member.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}
