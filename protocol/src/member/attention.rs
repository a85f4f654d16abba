//! What needs a look, and why something is as it is.

use super::content::few;
use super::contested::TIMES;
use super::local::Local;
use super::{Core, Entity};
use crate::event::Severity;
use crate::evidence::Contradiction;
use crate::explain::{Condition, filled};
use crate::identity::MemberId;
use crate::state::{Application, Member, Service};
use crate::trouble::Trouble;
use crate::view::{Attention, Cause, Health, Remedy, Why};

impl Entity {
    // --- attention and why -------------------------------------------------------------------------------------

    pub(super) fn attention(&self, core: &Core) -> Vec<Attention> {
        let mut list = self.own_attention(core);
        for member in &self.state.members {
            self.member_attention(core, member, &mut list);
        }
        self.local_attention(core, &mut list);
        self.waiting_attention(core, &mut list);
        list.sort_by_key(|attention| std::cmp::Reverse(attention.severity));
        list
    }

    fn own_attention(&self, core: &Core) -> Vec<Attention> {
        let mut list = Vec::new();
        let me = self.state.name_of(&core.me());
        let mut critical = |condition: Condition, text: &str, command: &str| {
            list.push(note(condition, "entity".to_owned(), text.to_owned(), command, (Some(&me), None)));
        };
        if let Some(refusal) = self.why_stopped() {
            let command = refusal.remedies.first().map(|(_, words)| words.join(" ")).unwrap_or_default();
            critical(self.stopped_by(), &refusal.message, &command);
        } else if let Some(refusal) = self.why_kept_back(core) {
            critical(Condition::Unvouched, &refusal.message, "althing join -");
        } else if let Err(refusal) = self.check_majority(core) {
            critical(Condition::NoMajority, &refusal.message, "althing member list");
        }
        for (condition, text, command) in self.version_conditions(core) {
            critical(condition, &text, &command);
        }
        if self.me(core).is_none() {
            let text = "this machine is not in the roster any more";
            critical(Condition::NotAMember, text, "althing member list");
        } else if self.state.in_service().next().is_none() {
            critical(Condition::NobodyServes, "nobody is in service", "althing member list");
        }
        list
    }

    fn waiting_attention(&self, core: &Core, list: &mut Vec<Attention>) {
        for request in self.requests(core).requests {
            let (id, missing) = (request.id[..8].to_owned(), request.need.saturating_sub(request.have));
            let text = format!("{} waits for {missing} more signatures of operators", request.text);
            let show = format!("althing request show {id}");
            list.push(note(Condition::RequestWaits, format!("request/{id}"), text, &show, (None, None)));
        }
    }

    fn member_attention(&self, core: &Core, member: &Member, list: &mut Vec<Attention>) {
        let (id, name) = (&member.id, member.name.as_str());
        let subject = || format!("member/{name}");
        let why = format!("althing why {name}");
        if let Some(text) = self.why_burnt(core, id) {
            let command = format!("althing member readmit {name}");
            list.push(note(Condition::StoreBurnt, subject(), text.to_owned(), &command, (Some(name), None)));
        }
        if let Service::Out(out) = &member.service {
            let reason = if out.reason.is_empty() { String::new() } else { format!(": {}", out.reason) };
            let until = out.until.map(|until| format!(" until {}", until.rfc3339())).unwrap_or_default();
            let text = format!("out of service by {}{until}{reason}", out.by);
            let back = format!("althing member in {name}");
            list.push(note(Condition::OutOfService, subject(), text, &back, (Some(name), None)));
        }
        if let Some(what) = self.conduct.of(id, core.now.mono) {
            let text = format!("misbehaves: {what}");
            list.push(note(Condition::Misbehaves, subject(), text, &why, (Some(name), None)));
        }
        if !self.is_heard(core, id) {
            let text = if self.is_down(core, id) { "is down" } else { "is not heard by this member" };
            list.push(note(Condition::Unreachable, subject(), text.to_owned(), &why, (Some(name), None)));
            return;
        }
        for (application, state) in &self.state.applications {
            let settled = state.settled().is_some() && state.window.is_none();
            if !settled || self.content_state(id, application, state) != "drift" {
                continue;
            }
            // Whoever has brought it as near as it can be says so itself.
            if self.list_of(id, application).is_some_and(|list| list.course.ends) {
                continue;
            }
            let left = self.list_of(id, application).map_or(0, |list| list.left);
            if left > 0 {
                let text = format!("{application}: {left} paths change again and again and are not repaired");
                let about = (Some(name), Some(application.as_str()));
                list.push(note(Condition::Contested, subject(), text, &why, about));
            } else {
                let text = format!("{application} differs from what was settled");
                let about = (Some(name), Some(application.as_str()));
                list.push(note(Condition::ContentDiffers, subject(), text, &why, about));
            }
        }
        if let Some((application, failed)) = self.hook_fails_on(id) {
            let text = format!("{application}: {}", failed.text);
            list.push(note(Condition::HookFails, subject(), text, &why, (Some(name), Some(application))));
        }
        for trouble in self.troubles_of(id).filter(|_| *id != core.me()) {
            let text = trouble.text().to_owned();
            list.push(note(trouble.condition(), subject(), text, &why, (Some(name), None)));
        }
        let load = self.load_health(id);
        if load != Health::Ok {
            let text = "is short of processor, memory or disk".to_owned();
            let show = format!("althing member show {name}");
            let mut note = note(Condition::Load, subject(), text, &show, (Some(name), None));
            if load != Health::Critical {
                note.severity = Severity::Warning;
            }
            list.push(note);
        }
    }

    /// The condition of what was found.
    fn stopped_by(&self) -> Condition {
        match self.unresolved().next().map(|evidence| &evidence.what) {
            Some(Contradiction::Fork(_)) => Condition::ChainFork,
            Some(Contradiction::Succession(_)) => Condition::Superseded,
            _ => Condition::Contradiction,
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

    /// What keeps this member from doing its part.
    fn local_attention(&self, core: &Core, list: &mut Vec<Attention>) {
        if let Some(text) = core.lack_of_room() {
            let text = format!("{text}; it goes on by itself when there is room");
            let condition = Trouble::DiskFull.condition();
            list.push(note(condition, "entity".to_owned(), text, "althing trash list", (None, None)));
        }
        for (name, local) in &self.locals {
            if let Some(troubled) = local.trouble() {
                let (condition, subject) = (troubled.trouble.condition(), format!("app/{name}"));
                let why = format!("althing why {name}");
                list.push(note(condition, subject, troubled.text.clone(), &why, (None, Some(name))));
            }
            if let Some(text) = self.why_missing(core, name) {
                let history = format!("althing app history {name}");
                let about = (None, Some(name.as_str()));
                list.push(note(Condition::ContentMissing, format!("app/{name}"), text, &history, about));
            }
        }
    }

    pub(super) fn why_entity(&self, core: &Core) -> Why {
        let attention = self.attention(core);
        let health = self.own_health_state(core);
        let causes =
            attention.iter().map(|one| cause(&one.condition, format!("{}: {}", one.subject, one.text)));
        let because = attention.first().map(|one| one.condition.as_str());
        let me = self.state.name_of(&core.me());
        let mut why = why("entity", health, because, causes.collect(), (Some(&me), None));
        if let Some(refusal) = self.why_stopped() {
            why.next = "Settling goes on when an administrator has acknowledged it.".to_owned();
            why.remedies =
                refusal.remedies.into_iter().map(|(text, command)| Remedy { text, command }).collect();
        } else if let Some(first) = attention.first().filter(|one| one.condition == "store-burnt") {
            why.remedies.clone_from(&first.remedies);
        }
        why
    }

    pub(super) fn why_member(&self, core: &Core, id: &MemberId) -> Why {
        let name = self.state.name_of(id);
        let subject = format!("member/{name}");
        let mut causes = Vec::new();
        let (mut because, mut about) = (None, None);
        if let Some(refusal) = self.why_kept_back(core).filter(|_| *id == core.me()) {
            because = Some("unvouched");
            causes.push(cause("unvouched", refusal.message));
        }
        if let Some(text) = self.why_burnt(core, id) {
            because = because.or(Some("store-burnt"));
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
                let left = self.list_of(id, application).map_or(0, |list| list.left);
                let ends = self.list_of(id, application).is_some_and(|list| list.course.ends);
                because = because.or(Some(match (ends, left) {
                    (true, _) => "out-of-reach",
                    (false, 0) => "content-differs",
                    (false, _) => "contested",
                }));
                about = about.or(Some(application.as_str()));
                causes.extend(self.why_differs(core, id, application, state));
            }
        }
        if let Some((application, failed)) = self.hook_fails_on(id) {
            because = because.or(Some("hook-fails"));
            about = about.or(Some(application));
            causes.push(cause("hook-fails", format!("{application}: {}", failed.text)));
        }
        for trouble in self.troubles_of(id) {
            because = because.or(Some(trouble.condition().name()));
            causes.push(cause(trouble.condition().name(), format!("{name} {}", trouble.text())));
        }
        if self.load_health(id) != Health::Ok {
            because = because.or(Some("load"));
            causes.push(cause("load", format!("{name} is short of processor, memory or disk")));
        }
        causes.extend(self.why_out(id));
        because = because.or(causes.first().map(|_| "out-of-service"));
        why(&subject, self.member_health(core, id), because, causes, (Some(&name), about))
    }

    /// Why it takes no traffic.
    fn why_out(&self, id: &MemberId) -> Option<Cause> {
        let Some(Service::Out(out)) = self.state.member(id).map(|member| &member.service) else {
            return None;
        };
        let reason = if out.reason.is_empty() { "no reason was given" } else { &out.reason };
        let text = format!("taken out of service by {}: {reason}", out.by);
        Some(Cause { at: Some(out.since.rfc3339()), code: "out-of-service".to_owned(), text })
    }

    fn why_differs(&self, core: &Core, id: &MemberId, name: &str, application: &Application) -> Vec<Cause> {
        let mut causes = Vec::new();
        let who = self.state.name_of(id);
        let list = self.list_of(id, name);
        let shown =
            list.and_then(|list| list.observed).map_or_else(|| "nothing".to_owned(), |root| root.short());
        let (agree, of) = (self.agreeing(core, name, application).len(), self.placed_count(application));
        if let Some(settled) = application.settled() {
            causes.push(cause(
                "local-change",
                format!("{who} reports {shown} of {name}; no update window is open"),
            ));
            let stands = if agree >= self.state.content_quorum(of) {
                "so it stands"
            } else {
                "and its certificate stands"
            };
            let text = format!(
                "{agree} of {of} report {} (revision {}), {stands}",
                settled.root.short(),
                settled.number
            );
            causes.push(cause("majority", text));
            let left = list.map_or(0, |list| list.left);
            if left > 0 {
                let text = format!(
                    "{left} paths were repaired {TIMES} times within an hour and differ again: {who} leaves them alone{}",
                    self.which_are_left(core, id, name)
                );
                causes.push(cause("contested", text));
            } else if list.is_some_and(|list| list.course.ends) {
                let text = Trouble::OutOfReach.text();
                causes.push(cause("out-of-reach", format!("{who} {text}; everything else is as settled")));
            } else if list.is_some_and(|list| list.applied != Some(list.basis)) {
                causes.push(cause("applying", self.why_applying(core, id, name, settled.number)));
            } else {
                causes.push(cause(
                    "repair",
                    format!("{who} takes it back from its own store, or from members that hold it"),
                ));
            }
        }
        causes
    }

    /// Only the member itself knows which.
    fn which_are_left(&self, core: &Core, id: &MemberId, name: &str) -> String {
        let local = self.local(name).filter(|_| *id == core.me());
        let left = local.map(|local| local.contested.left_alone(core.now.mono)).unwrap_or_default();
        if left.is_empty() { String::new() } else { format!(": {}", few(&left)) }
    }

    pub(super) fn why_application(&self, core: &Core, name: &str) -> Why {
        let subject = format!("app/{name}");
        let Some(application) = self.state.applications.get(name) else {
            return why(&subject, Health::Ok, None, Vec::new(), (None, Some(name)));
        };
        let (mut causes, mut differs) = (Vec::new(), None);
        if let Some(window) = self.window_view(name, application) {
            let text = format!(
                "an update window is open on {} by {} until {}",
                window.member, window.by, window.expires
            );
            causes.push(Cause { at: Some(window.opened), code: "window-open".into(), text });
        }
        let missing = self.why_missing(core, name);
        causes.extend(missing.map(|text| cause(Condition::ContentMissing.name(), text)));
        let troubled = self.local(name).and_then(Local::trouble);
        causes.extend(
            troubled.map(|troubled| cause(troubled.trouble.condition().name(), troubled.text.clone())),
        );
        for voter in self.state.placed_voters(application) {
            if matches!(self.content_state(&voter.id, name, application), "drift" | "applying")
                && application.window.is_none()
            {
                causes.extend(self.why_differs(core, &voter.id, name, application));
                differs.get_or_insert_with(|| voter.name.clone());
            }
        }
        causes.extend(self.why_rolling(core, name));
        let contested = self.contested_on(name).next().map(|member| member.name.clone());
        let because = match &contested {
            Some(_) => Some("contested".to_owned()),
            None => causes.first().map(|cause| cause.code.clone()),
        };
        let health = if causes.is_empty() { Health::Ok } else { Health::Warning };
        let about = contested.as_deref().or(differs.as_deref());
        why(&subject, health, because.as_deref(), causes, (about, Some(name)))
    }
}

/// The member and the application that something is about.
type About<'a> = (Option<&'a str>, Option<&'a str>);

fn note(condition: Condition, subject: String, text: String, command: &str, about: About<'_>) -> Attention {
    Attention {
        condition: condition.name().to_owned(),
        code: condition.number().to_owned(),
        severity: condition.severity(),
        subject,
        text,
        automatic: condition.is_automatic(),
        command: words(command),
        remedies: remedies(condition, about),
    }
}

fn words(command: &str) -> Vec<String> {
    command.split(' ').map(str::to_owned).collect()
}

fn remedies(condition: Condition, (member, application): About<'_>) -> Vec<Remedy> {
    let remedy = |(text, command): &(&str, &str)| Remedy {
        text: (*text).to_owned(),
        command: words(&filled(command, member, application)),
    };
    condition.page().remedies.iter().map(remedy).collect()
}

fn cause(code: &str, text: String) -> Cause {
    Cause { at: None, code: code.to_owned(), text }
}

/// What comes next of what is not a condition of the registry, and of those where more can be said.
fn next(because: Option<&str>) -> &'static str {
    match because {
        None => "Nothing is wrong.",
        Some("content-differs" | "local-change") => "Repair ends by itself; nothing is needed from you.",
        Some("contested") => {
            "What is changed again and again is left alone until the first of its three repairs is an hour old; the rest is repaired."
        }
        Some("unreachable") => "It is heard again by itself when it and the network are up.",
        Some("misbehaves") => "What it sends is dropped, and it is left alone for a while when it goes on.",
        Some("no-majority") => "Settling goes on when enough members are heard again.",
        Some("store-burnt") => "An administrator has it re-admitted; what it serves is not affected.",
        Some("contradiction" | "chain-fork" | "superseded") => {
            "Settling goes on when an administrator has acknowledged it."
        }
        Some("disk-full") => "It goes on by itself when there is room on the disk; nothing was lost.",
        Some("trash-full") => {
            "Repair goes on when the trash has room: what is older than 7 days leaves it by itself."
        }
        Some("root-vanished") => {
            "It goes on by itself when the file system is mounted again; until then nothing is changed there."
        }
        Some("tree-unreadable") => {
            "It goes on by itself when the tree can be read; until then nothing is changed there."
        }
        Some("content-missing") => {
            "It goes on by itself when a member that has it is heard; until then another revision can be settled."
        }
        Some("out-of-reach") => {
            "It is put right by itself within a minute of the user or group being made there; the rest is as settled."
        }
        Some("local-error") => "It is tried again by itself, at least once a minute.",
        Some("window-open") => "The window is committed, aborted, or expires.",
        Some("load") => "It ends with the load; who is critical takes no traffic while others can.",
        Some("outdated") => "It goes on from where it stopped when a newer program is installed on it.",
        Some("unvouched") => "It goes on when it is given an invitation that another member made.",
        Some("out-of-service") => "It takes traffic again when it is brought in, or when its time is over.",
        Some(_) => "See the events for what happened.",
    }
}

fn why(subject: &str, health: Health, because: Option<&str>, causes: Vec<Cause>, about: About<'_>) -> Why {
    let state = match health {
        Health::Ok => "ok",
        Health::Unknown => "unknown",
        Health::Warning => "warning",
        Health::Critical => "critical",
    };
    let condition = because.map(|name| if name == "local-change" { "content-differs" } else { name });
    let condition = condition.and_then(Condition::named);
    let plain = |text: &str, command: &str| vec![Remedy { text: text.to_owned(), command: words(command) }];
    let remedies = match (condition, because) {
        (Some(condition), _) => remedies(condition, about),
        (None, None) => Vec::new(),
        (None, Some("window-open")) => plain("see the windows", "althing update list"),
        (None, Some(_)) => plain("see the events", "althing events --since 1h"),
    };
    Why {
        subject: subject.to_owned(),
        state: state.to_owned(),
        because: because.unwrap_or("nothing").to_owned(),
        causes,
        next: next(because).to_owned(),
        automatic: condition.is_some_and(Condition::is_automatic),
        remedies,
    }
}
