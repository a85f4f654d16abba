//! What needs a look, and why something is as it is.

use super::{Core, Entity};
use crate::evidence::Contradiction;
use crate::identity::MemberId;
use crate::state::Application;
use crate::view::{Attention, Cause, Health, Remedy, Why};

impl Entity {
    // --- attention and why -------------------------------------------------------------------------------------

    pub(super) fn attention(&self, core: &Core) -> Vec<Attention> {
        let mut list = self.own_attention(core);
        for member in &self.state.members {
            self.member_attention(core, &member.id, &member.name, &mut list);
        }
        for (name, local) in &self.locals {
            if let Some(why) = local.unreadable.as_ref().or(local.error.as_ref()) {
                let subject = format!("app/{name}");
                list.push(note(
                    "local-error",
                    Health::Critical,
                    subject,
                    why.clone(),
                    &format!("althing why {name}"),
                ));
            }
        }
        list.sort_by_key(|attention| std::cmp::Reverse(attention.severity));
        list
    }

    fn own_attention(&self, core: &Core) -> Vec<Attention> {
        let mut list = Vec::new();
        let mut critical = |condition: &str, text: &str, command: &str| {
            list.push(note(condition, Health::Critical, "entity".to_owned(), text.to_owned(), command));
        };
        if let Some(refusal) = self.why_stopped() {
            let command = refusal.remedies.first().map(|(_, words)| words.join(" ")).unwrap_or_default();
            critical(self.stopped_by(), &refusal.message, &command);
        } else if let Err(refusal) = self.check_majority(core) {
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
        if let Some(text) = self.why_burnt(core, id) {
            let command = format!("althing member readmit {name}");
            list.push(note("store-burnt", Health::Critical, subject(), text.to_owned(), &command));
        }
        if let Some(what) = self.conduct.of(id, core.now.mono) {
            let text = format!("misbehaves: {what}");
            list.push(note("misbehaves", Health::Warning, subject(), text, &why));
        }
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

    /// The condition of what was found.
    fn stopped_by(&self) -> &'static str {
        match self.unresolved().next().map(|evidence| &evidence.what) {
            Some(Contradiction::Fork(_)) => "chain-fork",
            Some(Contradiction::Succession(_)) => "superseded",
            _ => "contradiction",
        }
    }

    /// Why a member of the roster does not vote until it is re-admitted, if that is so.
    pub(super) fn why_burnt(&self, core: &Core, id: &MemberId) -> Option<&'static str> {
        if self.is_doubled(id) {
            return Some("two machines use its key: stop one of them, then re-admit the other");
        }
        let outcast = *id == core.me() && self.is_outcast(core);
        (outcast || self.asks(id))
            .then_some("its store was lost, restored or copied: it does not vote until it is re-admitted")
    }

    pub(super) fn why_entity(&self, core: &Core) -> Why {
        let attention = self.attention(core);
        let health = self.own_health_state(core);
        let causes =
            attention.iter().map(|one| cause(&one.condition, format!("{}: {}", one.subject, one.text)));
        let because = attention.first().map(|one| one.condition.as_str());
        let mut why = why("entity", health, because, causes.collect());
        if let Some(refusal) = self.why_stopped() {
            why.next = "Settling goes on when an administrator has acknowledged it.".to_owned();
            why.remedies =
                refusal.remedies.into_iter().map(|(text, command)| Remedy { text, command }).collect();
        } else if let Some(first) = attention.first().filter(|one| one.condition == "store-burnt") {
            why.next = "An administrator has it re-admitted; what it serves is not affected.".to_owned();
            why.remedies = vec![Remedy { text: "re-admit it".to_owned(), command: first.command.clone() }];
        }
        why
    }

    pub(super) fn why_member(&self, core: &Core, id: &MemberId) -> Why {
        let name = self.state.name_of(id);
        let subject = format!("member/{name}");
        let mut causes = Vec::new();
        let mut because = None;
        if let Some(text) = self.why_burnt(core, id) {
            because = Some("store-burnt");
            causes.push(cause("store-burnt", format!("{name}: {text}")));
        }
        if let Some(what) = self.conduct.of(id, core.now.mono) {
            because = because.or(Some("misbehaves"));
            causes.push(cause("misbehaves", format!("{name} sent {what}")));
        }
        if let Some(age) = self.liveness.age(id, core.now.mono).filter(|_| !self.is_heard(core, id)) {
            because = because.or(Some("unreachable"));
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
        let mut why = why(&subject, self.member_health(core, id), because, causes);
        if because == Some("store-burnt") {
            why.next = "An administrator has it re-admitted; what it serves is not affected.".to_owned();
            why.remedies = vec![remedy("re-admit it", &format!("althing member readmit {name}"))];
        }
        why
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

/// Conditions that mend themselves when the cause is gone.
const AUTOMATIC: [&str; 4] = ["no-majority", "unreachable", "content-differs", "local-error"];

fn note(condition: &str, severity: Health, subject: String, text: String, command: &str) -> Attention {
    let command = command.split(' ').map(str::to_owned).collect();
    let automatic = AUTOMATIC.contains(&condition);
    Attention { condition: condition.to_owned(), severity, subject, text, automatic, command }
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
        Some("misbehaves") => (
            "What it sends is dropped, and it is left alone for a while when it goes on. Look at that machine: its program or its key may be somebody else's.",
            vec![
                ("see what it did", "althing events --kind peer.misbehaves"),
                ("take it out of the entity", "althing member remove NAME"),
            ],
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
        remedies: remedies.into_iter().map(|(text, command)| remedy(text, command)).collect(),
    }
}

fn remedy(text: &str, command: &str) -> Remedy {
    Remedy { text: text.to_owned(), command: command.split(' ').map(str::to_owned).collect() }
}
