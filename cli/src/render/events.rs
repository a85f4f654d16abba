//! `events`.

use althing_protocol::event::Severity;
use althing_protocol::view::{Document, EventView, Events};
use serde::Serialize;

use super::Look;
use super::table::{Cell, Table};

/// `althing events`
pub(crate) fn screen(document: &Document<Events>, look: &Look) -> String {
    if document.body.events.is_empty() {
        return "nothing happened that these flags let through\n".to_owned();
    }
    let mut table = Table::new(&["TIME", "SEVERITY", "MEMBER", "EVENT", "DETAIL"]).keep(5);
    for event in &document.body.events {
        table.row(cells(event, &document.at, look));
    }
    table.text(look)
}

fn cells(event: &EventView, now: &str, look: &Look) -> [Cell; 5] {
    [
        Cell::from(look.clock(&event.at, now)),
        Cell::painted(word(event.severity), event.severity),
        Cell::from(event.member.as_str()),
        Cell::from(event.kind.as_str()),
        Cell::from(detail(event)),
    ]
}

/// One event of `althing events -f`, in columns of fixed width.
pub(crate) fn line(event: &EventView, now: &str, look: &Look) -> String {
    let severity = look.paint(event.severity.into(), &format!("{:<8}", word(event.severity)));
    let at = look.clock(&event.at, now);
    format!("{at}  {severity}  {:<8}  {:<18}  {}\n", event.member, event.kind, detail(event))
}

/// One event as a document of its own, whose time is that of the event.
pub(crate) fn document(event: &EventView, answered_by: &str) -> String {
    #[derive(Serialize)]
    struct One<'a> {
        schema: &'static str,
        answered_by: &'a str,
        #[serde(flatten)]
        event: &'a EventView,
    }
    let one = One { schema: "althing.event/1", answered_by, event };
    serde_json::to_string(&one).unwrap_or_default() + "\n"
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Notice => "notice",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

fn detail(event: &EventView) -> String {
    match &event.application {
        Some(application) if !event.text.contains(application.as_str()) => {
            format!("{application}: {}", event.text)
        }
        _ => event.text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn events_are_a_table() {
        let expected = "\
TIME      SEVERITY  MEMBER  EVENT            DETAIL
14:02:11  warning   web7    content.differs  shop: 4 items differ from revision 42
14:02:12  info      web7    repair.started   fetch 2 (1.2 MB), remove 1
";
        assert_eq!(screen(&samples::events(), &Look::plain()), expected);
    }

    #[test]
    fn a_followed_event_is_a_line_or_a_document() {
        let events = samples::events();
        let event = &events.body.events[0];
        assert_eq!(
            line(event, &events.at, &Look::plain()),
            "14:02:11  warning   web7      content.differs     shop: 4 items differ from revision 42\n"
        );
        assert!(document(event, "web1").starts_with(
            r#"{"schema":"althing.event/1","answered_by":"web1","id":"web7/18231","at":"2026-11-23T14:02:11Z""#
        ));
    }
}
