//! `update status` and `update list`.

use std::fmt::Write as _;

use althing_protocol::view::{AppView, Document, WindowView};

use super::Look;
use super::apps::Apps;
use super::colour::Paint;
use super::table::{Cell, Table};
use super::time::{seconds_between, span};
use crate::client::printable;

/// `althing update status A`
pub(crate) fn screen(document: &Document<AppView>, look: &Look) -> String {
    let app = &document.body;
    let name = look.paint(Paint::Bold, &app.name);
    let Some(window) = &app.window else {
        let text = format!(
            "No update window of {name} is open; revision {} is in force, {} of {} agree.\n",
            app.revision, app.agree, app.of
        );
        return text + &rollout(app);
    };
    let mut text = format!(
        "Update window of {name} is open on {} until {} ({} left); revision {} is in force.\n",
        window.member,
        look.until(&window.expires, &document.at),
        left(window, &document.at),
        app.revision
    );
    let reason =
        if window.reason.is_empty() { String::new() } else { format!(", reason \"{}\"", window.reason) };
    let opened = look.clock(&window.opened, &document.at);
    let _ = writeln!(text, "  opened {opened} by {}{reason}", window.by);
    let _ = match &window.staged {
        Some(root) => {
            writeln!(text, "  staged {}, held by {} of {} members", root.short(), window.holders, app.of)
        }
        None => writeln!(text, "  nothing is staged; a commit takes what lies under {}", app.path),
    };
    if let Some(quiet) = window.auto_quiet_ms {
        let rest = span(quiet as f64 / 1000.0);
        let _ =
            writeln!(text, "  commits by itself when the edits under {} have rested for {rest}", app.path);
    }
    for (member, said) in &window.refused {
        let _ = writeln!(text, "  a check failed on {member}: {}", printable(said));
    }
    text += &rollout(app);
    let on = if window.member == document.answered_by {
        String::new()
    } else {
        format!(" --on {}", window.member)
    };
    let _ = write!(
        text,
        "\n  althing update diff {0}{on}      what would be deployed\n  althing update commit {0}{on}    make it revision {1}\n  althing update abort {0}{on}     close it without a change\n",
        app.name,
        app.revision + 1
    );
    text
}

/// Who has the revision in force, and who waits for whom.
fn rollout(app: &AppView) -> String {
    let Some(rollout) = &app.rollout else { return String::new() };
    let stopped = if rollout.stopped { ", stopped by a hook that fails" } else { "" };
    let probation = rollout
        .probation_until
        .as_ref()
        .map(|until| format!(", on probation until {until}"))
        .unwrap_or_default();
    let mut text = format!(
        "Revision {} is rolled out, {} at a time{stopped}{probation}.\n",
        rollout.revision, rollout.batch
    );
    for member in &rollout.members {
        let said = member.text.as_ref().map(|said| format!(": {}", printable(said))).unwrap_or_default();
        let first = if member.waits_for.is_empty() {
            String::new()
        } else {
            format!(" for {}", member.waits_for.join(" "))
        };
        let _ = writeln!(text, "  {}  {}{first}{said}", member.name, member.state);
    }
    if rollout.stopped {
        let _ = writeln!(text, "  althing update commit {} --continue    go on all the same", app.name);
    }
    text
}

/// `althing update list`
pub(crate) fn list(document: &Document<Apps>, look: &Look) -> String {
    let mut table =
        Table::new(&["APPLICATION", "MEMBER", "BY", "CLOSES", ">REVISION", "STAGED", "REASON"]).keep(4);
    let mut any = false;
    for app in &document.body.applications {
        let Some(window) = &app.window else { continue };
        any = true;
        table.row([
            Cell::painted(app.name.as_str(), Paint::Bold),
            Cell::from(window.member.as_str()),
            Cell::from(window.by.as_str()),
            Cell::from(format!("in {}", left(window, &document.at))),
            Cell::from(app.revision.to_string()),
            Cell::from(window.staged.map_or_else(|| "-".to_owned(), |root| root.short())),
            Cell::from(window.reason.as_str()),
        ]);
    }
    if any { table.text(look) } else { "no update window is open\n".to_owned() }
}

fn left(window: &WindowView, now: &str) -> String {
    span(seconds_between(now, &window.expires).unwrap_or_default().max(0.0).floor())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn an_open_window_says_what_to_do_with_it() {
        let expected = "\
Update window of api is open on web1 until 14:20 (15 min left); revision 17 is in force.
  opened 14:05:00 by ada, reason \"release 2026.11.3\"
  staged b3:1818…18, held by 3 of 9 members

  althing update diff api      what would be deployed
  althing update commit api    make it revision 18
  althing update abort api     close it without a change
";
        assert_eq!(screen(&samples::window(), &Look::plain()), expected);
    }

    #[test]
    fn windows_are_listed() {
        let expected = "\
APPLICATION  MEMBER  BY   CLOSES     REVISION  STAGED      REASON
api          web1    ada  in 15 min        17  b3:1818…18  release 2026.11.3
";
        let window = samples::window();
        let document = samples::document("apps", Apps { applications: vec![window.body] });
        assert_eq!(list(&document, &Look::plain()), expected);
        assert_eq!(list(&samples::apps(), &Look::plain()), "no update window is open\n");
    }
}
