//! Why something was as it was at an earlier time: from the events that members logged then.

use althing_protocol::control::{Code, Refusal};
use althing_protocol::event::Severity;
use althing_protocol::time::{Millis, WallTime};
use althing_protocol::view::{Cause, EventView, Events, Remedy, Why};
use serde_json::Value;

use super::{Answered, Api, Call, document, wall};

/// How far before the asked time causes are looked for.
const BEFORE: Millis = Millis::seconds(3600);
/// How far after it what came next is looked for.
const AFTER: Millis = Millis::seconds(600);
/// Causes that are shown, the newest.
const CAUSES: usize = 20;

impl Api {
    /// `why` at an earlier time, in milliseconds since 1970.
    pub(super) async fn why_at(&self, call: &Call, at: u64) -> Answered {
        if at > wall().0 {
            return Err(Refusal::new(Code::Input, "that time is still to come")
                .fact("now", wall().rfc3339())
                .try_("see what is so now", "althing why"));
        }
        let subject = call.query.get("subject").cloned().unwrap_or_else(|| "entity".to_owned());
        let subject = self.subject(&subject).await?;
        let ago = (wall().0 - at + BEFORE.0) / 1000 + 1;
        let mut query = call.query.clone();
        query.retain(|name, _| name == "local");
        query.insert("since_seconds".to_owned(), ago.to_string());
        query.insert("until_ms".to_owned(), (at + AFTER.0).to_string());
        let events = Call { path: "events".to_owned(), query, ..call.clone() };
        let page: Events = serde_json::from_value(self.events(&events).await?)
            .map_err(|error| Refusal::new(Code::Failed, error.to_string()))?;
        document("althing.why/1", &then(&subject, &WallTime(at).rfc3339(), &page.events))
    }

    /// `member/web7`, `app/shop` or `entity`, if it exists now.
    async fn subject(&self, name: &str) -> Result<String, Refusal> {
        if name == "entity" {
            return Ok(name.to_owned());
        }
        let call = Call {
            path: "why".to_owned(),
            query: [("subject".to_owned(), name.to_owned())].into(),
            body: None,
            by: String::new(),
        };
        let now: Value = self.why(call.query.get("subject").cloned()).await?;
        Ok(now["subject"].as_str().unwrap_or(name).to_owned())
    }
}

/// The document, from the events around that time.
fn then(subject: &str, at: &str, events: &[EventView]) -> Why {
    let about = |event: &&EventView| match subject.split_once('/') {
        Some(("member", name)) => event.member == name,
        Some(("app", name)) => event.application.as_deref() == Some(name),
        _ => event.severity > Severity::Info || event.epoch.is_some(),
    };
    let (before, after): (Vec<&EventView>, Vec<&EventView>) =
        events.iter().filter(about).partition(|event| event.at.as_str() <= at);
    let skipped = before.len().saturating_sub(CAUSES);
    let causes = before.iter().skip(skipped).map(|event| Cause {
        at: Some(event.at.clone()),
        code: event.kind.clone(),
        text: format!("{}: {}", event.member, event.text),
    });
    let (state, because) = state_after(&before);
    let next = after.first().map_or_else(
        || "Nothing about it was logged in the ten minutes after.".to_owned(),
        |event| format!("{} {}: {}", event.at, event.member, event.text),
    );
    let command = ["althing", "events", "--since", "24h"].map(str::to_owned).to_vec();
    Why {
        subject: subject.to_owned(),
        state: state.to_owned(),
        because,
        causes: causes.collect(),
        next,
        automatic: false,
        remedies: vec![Remedy { text: "see all events".to_owned(), command }],
    }
}

/// The worst that was not over by then, as events tell it: what began a trouble, and what ended it.
fn state_after(events: &[&EventView]) -> (&'static str, String) {
    let mut open: Option<&EventView> = None;
    for event in events {
        let ends = matches!(
            event.kind.as_str(),
            "repair.done" | "revision.settled" | "member.reachable" | "service.in"
        );
        if ends && open.is_some_and(|open| open.severity <= Severity::Warning) {
            open = None;
        } else if event.severity >= Severity::Warning
            && open.is_none_or(|open| event.severity >= open.severity)
        {
            open = Some(event);
        }
    }
    match open {
        None => ("ok", "nothing".to_owned()),
        Some(event) if event.severity == Severity::Critical => ("critical", event.kind.clone()),
        Some(event) => ("warning", event.kind.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: &str, severity: Severity, kind: &str, application: Option<&str>) -> EventView {
        EventView {
            id: format!("web7/{at}"),
            at: format!("2026-11-23T14:{at}Z"),
            severity,
            kind: kind.to_owned(),
            member: "web7".to_owned(),
            application: application.map(str::to_owned),
            epoch: None,
            text: "text".to_owned(),
        }
    }

    fn story() -> Vec<EventView> {
        vec![
            event("01:00", Severity::Info, "repair.done", Some("api")),
            event("02:11", Severity::Warning, "content.differs", Some("shop")),
            event("02:12", Severity::Info, "repair.started", Some("shop")),
            event("02:13", Severity::Info, "repair.done", Some("shop")),
        ]
    }

    #[test]
    fn a_trouble_lasts_from_what_began_it_to_what_ended_it() {
        let at = |time: &str| then("app/shop", &format!("2026-11-23T14:{time}Z"), &story());
        assert_eq!((at("02:00").state.as_str(), at("02:00").causes.len()), ("ok", 0));
        let during = at("02:12");
        assert_eq!((during.state.as_str(), during.because.as_str()), ("warning", "content.differs"));
        assert_eq!(during.causes.len(), 2);
        assert!(during.next.contains("02:13"), "{}", during.next);
        let later = at("03:00");
        assert_eq!((later.state.as_str(), later.because.as_str()), ("ok", "nothing"));
    }

    #[test]
    fn what_is_about_something_else_is_left_out() {
        let shop = then("app/shop", "2026-11-23T14:02:12Z", &story());
        assert!(shop.causes.iter().all(|cause| cause.code != "repair.done"));
        let member = then("member/web7", "2026-11-23T14:02:12Z", &story());
        assert_eq!(member.causes.len(), 3);
        let other = then("member/web1", "2026-11-23T14:02:12Z", &story());
        assert_eq!((other.causes.len(), other.state.as_str()), (0, "ok"));
    }
}
