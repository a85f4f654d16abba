//! What needs a look, and why something is as it is.

use super::local::Local;
use super::{Core, Entity};
use crate::identity::MemberId;
use crate::state::Application;
use crate::trouble::Trouble;
use crate::view::{Attention, Cause, Health, Remedy, Why};

impl Entity {
    // --- attention and why -------------------------------------------------------------------------------------

    pub(super) fn attention(&self, core: &Core) -> Vec<Attention> {
        let mut list = self.own_attention(core);
        for member in &self.state.members {
            self.member_attention(core, &member.id, &member.name, &mut list);
        }
        self.local_attention(core, &mut list);
        list.sort_by_key(|attention| std::cmp::Reverse(attention.severity));
        list
    }

    fn own_attention(&self, core: &Core) -> Vec<Attention> {
        let mut list = Vec::new();
        let mut critical = |condition: &str, text: &str, command: &str| {
            list.push(note(condition, Health::Critical, "entity".to_owned(), text.to_owned(), command));
        };
        if core.life.burnt {
            let text = "this member's disk was restored or copied: it does not vote any more; let it leave and join anew";
            critical("store-burnt", text, "althing leave");
        }
        if let Err(refusal) = self.check_majority(core) {
            critical("no-majority", &refusal.message, "althing member list");
        }
        if self.me(core).is_none() {
            critical("not-a-member", "this machine is not in the roster any more", "althing member list");
        }
        list
    }

    fn member_attention(&self, core: &Core, id: &MemberId, name: &str, list: &mut Vec<Attention>) {
        let subject = || format!("member/{name}");
        let why = format!("althing why {name}");
        if !self.is_heard(core, id) {
            let text = if self.is_down(core, id) { "is down" } else { "is not heard by this member" };
            list.push(note("unreachable", Health::Warning, subject(), text.to_owned(), &why));
            return;
        }
        for (application, state) in &self.state.applications {
            let settled = state.settled().is_some() && state.window.is_none();
            if settled && self.content_state(id, application, state) == "drift" {
                let text = format!("{application} differs from what was settled");
                list.push(note("content-differs", Health::Warning, subject(), text, &why));
            }
        }
        for trouble in self.troubles_of(id).filter(|_| *id != core.me()) {
            let text = trouble.text().to_owned();
            list.push(note(trouble.condition(), Health::Critical, subject(), text, &why));
        }
        if self.load_health(id) != Health::Ok {
            let text = "is short of processor, memory or disk".to_owned();
            list.push(note(
                "load",
                self.load_health(id),
                subject(),
                text,
                &format!("althing member show {name}"),
            ));
        }
    }

    /// What keeps this member from doing its part.
    fn local_attention(&self, core: &Core, list: &mut Vec<Attention>) {
        if let Some(text) = core.lack_of_room() {
            let text = format!("{text}; it goes on by itself when there is room");
            let condition = Trouble::DiskFull.condition();
            list.push(note(condition, Health::Critical, "entity".to_owned(), text, "althing trash list"));
        }
        for (name, local) in &self.locals {
            if let Some(troubled) = local.trouble() {
                let (condition, subject) = (troubled.trouble.condition(), format!("app/{name}"));
                let why = format!("althing why {name}");
                list.push(note(condition, Health::Critical, subject, troubled.text.clone(), &why));
            }
        }
    }

    pub(super) fn why_entity(&self, core: &Core) -> Why {
        let attention = self.attention(core);
        let health = self.own_health_state(core);
        let causes =
            attention.iter().map(|one| cause(&one.condition, format!("{}: {}", one.subject, one.text)));
        why("entity", health, attention.first().map(|one| one.condition.as_str()), causes.collect())
    }

    pub(super) fn why_member(&self, core: &Core, id: &MemberId) -> Why {
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
        for trouble in self.troubles_of(id) {
            because = because.or(Some(trouble.condition()));
            causes.push(cause(trouble.condition(), format!("{name} {}", trouble.text())));
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
            let stands = if agree * 2 > of { "so it stands" } else { "and its certificate stands" };
            let text = format!(
                "{agree} of {of} report {} (revision {}), {stands}",
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

    pub(super) fn why_application(&self, core: &Core, name: &str) -> Why {
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
        let troubled = self.local(name).and_then(Local::trouble);
        causes.extend(troubled.map(|troubled| cause(troubled.trouble.condition(), troubled.text.clone())));
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

/// Conditions that mend themselves when the cause is gone, beside every [`Trouble`].
const AUTOMATIC: [&str; 3] = ["no-majority", "unreachable", "content-differs"];

fn note(condition: &str, severity: Health, subject: String, text: String, command: &str) -> Attention {
    let command = command.split(' ').map(str::to_owned).collect();
    let automatic = AUTOMATIC.contains(&condition) || trouble(condition).is_some();
    Attention { condition: condition.to_owned(), severity, subject, text, automatic, command }
}

fn trouble(condition: &str) -> Option<Trouble> {
    Trouble::ALL.into_iter().find(|trouble| trouble.condition() == condition)
}

/// What happens next, and what helps.
fn way_out(trouble: Trouble) -> (&'static str, Vec<(&'static str, &'static str)>) {
    match trouble {
        Trouble::DiskFull => (
            "It goes on by itself when there is room on the disk; nothing was lost.",
            vec![("see what the trash holds", "althing trash list")],
        ),
        Trouble::TrashFull => (
            "Repair goes on when the trash has room: what is older than 7 days leaves it by itself.",
            vec![
                ("see what it holds", "althing trash list"),
                ("stop repair meanwhile", "althing app pause NAME"),
            ],
        ),
        Trouble::RootVanished => (
            "It goes on by itself when the file system is mounted again; until then nothing is changed there.",
            vec![("if it is gone for good, make the tree anew", "althing app repair NAME")],
        ),
        Trouble::TreeUnreadable => (
            "It goes on by itself when the tree can be read; until then nothing is changed there.",
            vec![("look again at once", "althing app verify NAME")],
        ),
        Trouble::ApplyFails => (
            "It is tried again by itself, at least once a minute.",
            vec![("see the events", "althing events --since 1h")],
        ),
    }
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
        Some(other) => trouble(other).map_or_else(
            || ("See the events for what happened.", vec![("see the events", "althing events --since 1h")]),
            way_out,
        ),
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
        ) || because.and_then(trouble).is_some(),
        remedies: remedies.into_iter().map(remedy).collect(),
    }
}
