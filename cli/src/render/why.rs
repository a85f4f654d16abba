//! `why`: causes in order, what happens next, what can be done.

use std::fmt::Write as _;

use althing_protocol::view::{Document, Why};

use super::Look;
use super::colour::Paint;
use super::table::{Cell, Table};
use crate::error::shown;

/// `althing why`
pub(crate) fn screen(document: &Document<Why>, look: &Look) -> String {
    let why = &document.body;
    let subject = why.subject.split_once('/').map_or(why.subject.as_str(), |(_, name)| name);
    let name = look.paint(Paint::Bold, if subject == "entity" { "The entity" } else { subject });
    let state = match why.state.as_str() {
        "ok" => look.paint(Paint::Ok, "OK"),
        "critical" => look.paint(Paint::Critical, "CRITICAL"),
        other => look.paint(Paint::Warning, &other.to_uppercase()),
    };
    let mut text = match why.because.as_str() {
        "nothing" => format!("{name} is {state}.\n"),
        because => format!("{name} is {state} because of: {}.\n", because.replace('-', " ")),
    };
    if !why.causes.is_empty() {
        let mut table = Table::new(&["", ""]).keep(2).indent(2);
        for cause in &why.causes {
            let at = cause.at.as_ref().map(|at| look.clock(at, &document.at)).unwrap_or_default();
            table.row([Cell::painted(at, Paint::Dim), Cell::from(cause.text.as_str())]);
        }
        let _ = write!(text, "\n{}", table.text(look));
    }
    let mut what = Table::new(&["", ""]).keep(2);
    if !why.next.is_empty() {
        what.row([Cell::from("What happens next"), Cell::from(why.next.as_str())]);
    }
    for remedy in &why.remedies {
        let mut title = remedy.text.clone();
        if let Some(first) = title.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        what.row([Cell::from(title), Cell::from(shown(&remedy.command))]);
    }
    let what = what.text(look);
    if !what.is_empty() {
        let _ = write!(text, "\n{what}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn causes_then_what_happens_then_what_to_do() {
        let expected = "\
web7 is WARNING because of: content differs.

  14:02:11  web7 reported root b3:40aa…aa; no update window was open
            votes: 8 of 9 report b3:7c7c…7c (revision 42), so revision 42 stands

What happens next   repair ends by itself. Nothing is needed from you.
To keep the change  althing update open shop --on web7 --adopt
";
        assert_eq!(screen(&samples::why(), &Look::plain()), expected);
    }
}
