//! `status`: five lines when all is well.

use std::fmt::Write as _;

use althing_protocol::event::Severity;
use althing_protocol::view::{
    AppState, AppView, Attention, Document, Health, ServiceCounts, Status, Updates,
};

use super::Look;
use super::colour::Paint;
use super::health::headline;
use super::size::of_things;
use super::table::{Cell, Table};
use super::time::span;
use crate::error::shown;

/// `althing status`
pub(crate) fn screen(document: &Document<Status>, look: &Look) -> String {
    let status = &document.body;
    let seen = seen(document, look);
    if all_is_well(status) {
        let name = look.paint(Paint::Bold, &status.entity.name);
        let (head, updates) = (headline(&status.health, look), updates(&status.updates, &document.at, look));
        return format!("{name}   {head}\n{}\n{}\n{updates}\n{seen}\n", members(status), agreed(status));
    }
    let name = look.paint(Paint::Bold, &status.entity.name);
    let mut text = format!("{name}   {}      {}\n\n", headline(&status.health, look), members(status));
    if status.applications.is_empty() {
        let _ = writeln!(text, "{}", agreed(status));
    } else {
        let _ = write!(text, "Applications\n{}", applications(&status.applications, look));
    }
    let _ = writeln!(text, "Serving       {}", serving(&status.service));
    let _ = writeln!(text, "Updates       {}", updates(&status.updates, &document.at, look));
    for joining in &status.joining {
        let stage = match joining.stage.as_str() {
            "asks" => "asks to be let in",
            _ => "is in the roster, and counts when it has what is settled",
        };
        let _ = writeln!(text, "Joining       {} {stage}", joining.name);
    }
    if !status.attention.is_empty() {
        let _ = write!(text, "\nNeeds attention\n{}", attention(&status.attention, look));
    }
    let _ = writeln!(text, "\n{seen}");
    text
}

fn all_is_well(status: &Status) -> bool {
    status.health.state == Health::Ok
        && status.attention.is_empty()
        && status.joining.is_empty()
        && status.updates.open.is_empty()
        && status.view.majority_reachable
        && status.applications.iter().all(|app| app.state == AppState::Agreed)
}

/// `9 members, 8 reachable, majority 5`
fn members(status: &Status) -> String {
    let counts = &status.members;
    let others = counts.total.saturating_sub(counts.voters);
    let others = if others > 0 { format!(", {others} not counting") } else { String::new() };
    format!(
        "{}, {} reachable, {} {}{others}",
        of_things(counts.total, "member"),
        counts.reachable,
        status.quorum,
        status.majority
    )
}

/// `3 applications, all agreed by 9 of 9`
fn agreed(status: &Status) -> String {
    let Some(first) = status.applications.first() else {
        return "no applications yet: althing app new NAME --from DIR".to_owned();
    };
    let number = of_things(status.applications.len() as u64, "application");
    if status.applications.iter().all(|app| (app.agree, app.of) == (first.agree, first.of)) {
        let all = if status.applications.len() == 1 { "" } else { "all " };
        return format!("{number}, {all}agreed by {} of {}", first.agree, first.of);
    }
    format!("{number}, agreed by all members")
}

fn applications(apps: &[AppView], look: &Look) -> String {
    let mut table = Table::new(&["", "", "", ""]).keep(3).indent(2);
    for app in apps {
        let revision =
            if app.revision == 0 { "no revision".to_owned() } else { format!("revision {}", app.revision) };
        table.row([
            Cell::from(app.name.as_str()),
            Cell::from(revision),
            Cell::painted(format!("{} of {} agree", app.agree, app.of), paint(app)),
            Cell::from(detail(app)),
        ]);
    }
    table.text(look)
}

fn paint(app: &AppView) -> Paint {
    match app.state {
        AppState::Agreed => Paint::Ok,
        AppState::NotSettled | AppState::Stopped => Paint::Critical,
        AppState::Window if app.agree == app.of => Paint::Plain,
        AppState::Repairing
        | AppState::Drift
        | AppState::Window
        | AppState::Paused
        | AppState::RollingOut => Paint::Warning,
    }
}

/// What is not as usual about an application, in a few words.
pub(crate) fn detail(app: &AppView) -> String {
    let who = names(&app.differing, 4);
    match (app.state, &app.window) {
        (AppState::Agreed, _) => String::new(),
        (AppState::Repairing, _) => format!("{who} repairing"),
        (AppState::Drift, _) => format!("{who} drifted"),
        (AppState::Window, Some(window)) => format!("update window on {} by {}", window.member, window.by),
        (AppState::Window, None) => "update window".to_owned(),
        (AppState::NotSettled, _) => "not settled".to_owned(),
        (AppState::RollingOut, _) => rolling(app),
        (AppState::Stopped, _) => {
            format!("{}: stopped, a hook fails on {}", rolling(app), at(app, "failing"))
        }
        (AppState::Paused, _) if who.is_empty() => "repair paused".to_owned(),
        (AppState::Paused, _) => format!("repair paused; {who} drifted"),
    }
}

/// `rolling out 43: web2, then web3 web4`
fn rolling(app: &AppView) -> String {
    let (now, then) = (at(app, "applying"), at(app, "waiting"));
    let now = if now.is_empty() { String::new() } else { format!(": {now}") };
    let then = if then.is_empty() { String::new() } else { format!(", then {then}") };
    format!("rolling out {}{now}{then}", app.revision)
}

/// Names of the members that are at this place of a roll-out.
fn at(app: &AppView, state: &str) -> String {
    let members = app.rollout.iter().flat_map(|rollout| &rollout.members);
    let here: Vec<String> =
        members.filter(|member| member.state == state).map(|member| member.name.clone()).collect();
    names(&here, 3)
}

/// `web1 web2 web3 and 4 more`
pub(crate) fn names(names: &[String], most: usize) -> String {
    if names.len() <= most {
        return names.join(" ");
    }
    format!("{} and {} more", names[..most - 1].join(" "), names.len() - most + 1)
}

fn updates(updates: &Updates, now: &str, look: &Look) -> String {
    let open = match updates.open.as_slice() {
        [] => "no window open".to_owned(),
        open => format!("window open: {}", open.join(" ")),
    };
    match &updates.last {
        None => open,
        Some(last) => {
            let at = look.lately(&last.at, now);
            format!("{open} · last: {} {} by {}, {at}", last.application, last.revision, last.by)
        }
    }
}

/// `8 in service, 1 out, 1 spare`
fn serving(counts: &ServiceCounts) -> String {
    let mut text = format!("{} in service", counts.serving);
    for (count, word) in [(counts.out, "out"), (counts.spare, "spare")] {
        if count > 0 {
            let _ = write!(text, ", {count} {word}");
        }
    }
    text
}

fn severity(severity: Severity) -> Cell {
    let word = match severity {
        Severity::Info => "INFO",
        Severity::Notice => "NOTICE",
        Severity::Warning => "WARNING",
        Severity::Critical => "CRITICAL",
    };
    Cell::painted(word, severity)
}

fn attention(attention: &[Attention], look: &Look) -> String {
    let mut table = Table::new(&["", "", "", ""]).keep(3).indent(2);
    for item in attention {
        let subject = item.subject.split_once('/').map_or(item.subject.as_str(), |(_, name)| name);
        table.row([
            severity(item.severity),
            Cell::from(subject),
            Cell::from(item.text.as_str()),
            Cell::painted(shown(&item.command), Paint::Dim),
        ]);
    }
    table.text(look)
}

fn seen(document: &Document<Status>, look: &Look) -> String {
    let view = &document.body.view;
    let hears = format!(" · it does not hear a {}", document.body.quorum);
    let majority = if view.majority_reachable { "" } else { &hears };
    let at = look.clock(&document.at, &document.at);
    let age = span(view.oldest_report_ms as f64 / 1000.0);
    let epoch = document.body.entity.epoch;
    let confirmed = match view.confirmed_ms {
        Some(ms) => format!("epoch {epoch} confirmed {} ago", span(ms as f64 / 1000.0)),
        None => format!("epoch {epoch} not confirmed since the start"),
    };
    let line = format!(
        "as seen by {} at {at} · reports up to {age} old · {confirmed}{majority}",
        document.answered_by
    );
    look.paint(Paint::Dim, &line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn trouble_is_shown_with_what_to_do() {
        let expected = "\
shop-fe   WARNING for 3 min      9 members, 9 reachable, majority 5

Applications
  shop       revision 42  8 of 9 agree  web7 repairing
  api        revision 17  9 of 9 agree
  tls-certs  revision 5   9 of 9 agree
Serving       8 in service, 1 out
Updates       no window open · last: shop 42 by ada, 13:41

Needs attention
  WARNING  web7  shop differs from the majority in 4 items  althing why web7

as seen by web1 at 14:05:07 · reports up to 1.9 s old · epoch 77 confirmed 1.2 s ago
";
        assert_eq!(screen(&samples::status(), &Look::plain()), expected);
    }

    #[test]
    fn all_well_is_five_lines() {
        let expected = "\
shop-fe   OK for 6 d 4 h
9 members, 9 reachable, majority 5
3 applications, all agreed by 9 of 9
no window open · last: shop 42 by ada, 13:41
as seen by web1 at 14:05:07 · reports up to 1.9 s old · epoch 77 confirmed 1.2 s ago
";
        assert_eq!(screen(&samples::all_well(), &Look::plain()), expected);
    }

    #[test]
    fn narrow_terminals_lose_the_command_first() {
        let text = screen(&samples::status(), &Look { width: Some(70), ..Look::plain() });
        assert!(text.contains("  WARNING  web7  shop differs from the majority in 4 items\n"), "{text}");
    }

    #[test]
    fn long_lists_of_names_are_cut() {
        let many: Vec<String> = (1..=9).map(|number| format!("web{number}")).collect();
        assert_eq!(names(&many, 4), "web1 web2 web3 and 6 more");
        assert_eq!(names(&many[..4], 4), "web1 web2 web3 web4");
    }
}
