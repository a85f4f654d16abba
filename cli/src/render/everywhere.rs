//! `status --everywhere`: the entity as each member sees it, members with the same view in one line.

use std::fmt::Write as _;

use althing_protocol::view::{Document, Everywhere, Seen};

use super::Look;
use super::colour::Paint;
use super::health::word;
use super::size::of_things;
use super::table::{Cell, Table};

/// `althing status --everywhere`
pub(crate) fn screen(document: &Document<Everywhere>, look: &Look) -> String {
    let Everywhere { reference, members } = &document.body;
    let mut table =
        Table::new(&["MEMBER", "SEES ALIVE", "HEALTH", "CONTENT", ">ROSTER", ">CLOCK", "DIFFERS IN"]).keep(6);
    let mut same = 0;
    for seen in members {
        same += usize::from(seen.silent.is_none() && seen.differs.is_empty());
        table.row(row(seen, reference));
    }
    let mut text = table.text(look);
    let silent = members.iter().filter(|seen| seen.silent.is_some()).count();
    let _ = writeln!(
        text,
        "{}: {same} see the same as {reference}, {} otherwise, {silent} not asked.",
        of_things(members.len() as u64, "member"),
        members.len() - same - silent
    );
    for seen in members.iter().filter(|seen| !seen.differs.is_empty() || seen.silent.is_some()) {
        let _ = writeln!(text, "  why  althing why {}", seen.member);
    }
    text
}

fn row(seen: &Seen, reference: &str) -> [Cell; 7] {
    if let Some(why) = &seen.silent {
        let dash = || Cell::from("-");
        let why = Cell::painted(why.as_str(), Paint::Warning);
        return [Cell::from(seen.member.as_str()), dash(), dash(), dash(), dash(), dash(), why];
    }
    let hears = format!("{} of {}", seen.hears, seen.of);
    let hears = if seen.hears < seen.of { Cell::painted(hears, Paint::Warning) } else { Cell::from(hears) };
    let health = seen.health.map_or_else(|| Cell::from("-"), |health| Cell::painted(word(health), health));
    let differs = match (seen.member == reference, seen.differs.as_slice()) {
        (true, _) => Cell::painted("(reference)", Paint::Dim),
        (_, []) => Cell::from("-"),
        (_, differs) => Cell::painted(differs.join("; "), Paint::Warning),
    };
    [
        Cell::from(seen.member.as_str()),
        hears,
        health,
        Cell::from(content(seen)),
        Cell::from(seen.roster_revision.map_or_else(|| "-".to_owned(), |revision| revision.to_string())),
        Cell::from(clock(seen.clock_offset_seconds)),
        differs,
    ]
}

/// `shop 42: 8 of 9`, for a few applications; how many agree of many.
fn content(seen: &Seen) -> String {
    let apps = &seen.applications;
    if apps.len() > 2 {
        let agreed = apps.iter().filter(|app| app.agree == app.of).count();
        return format!("{agreed} of {} agreed", apps.len());
    }
    let one = |app: &althing_protocol::view::SeenApp| {
        format!("{} {}: {} of {}", app.name, app.revision, app.agree, app.of)
    };
    apps.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// `+12 ms`
fn clock(offset: Option<f64>) -> String {
    match offset {
        None => "-".to_owned(),
        Some(seconds) if seconds.abs() < 10.0 => format!("{:+.0} ms", seconds * 1000.0),
        Some(seconds) => format!("{seconds:+.0} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn who_sees_what_otherwise() {
        let expected = "\
MEMBER  SEES ALIVE  HEALTH   CONTENT          ROSTER    CLOCK  DIFFERS IN
web1    3 of 4      warning  shop 42: 3 of 4      31    +0 ms  (reference)
web2    3 of 4      warning  shop 42: 3 of 4      31    -3 ms  -
web8    2 of 4      warning  shop 42: 2 of 4      31  +412 ms  does not hear web2; sees 2 of 4 agree on shop 42
web9    -           -        -                     -        -  web9 does not answer: the peer is not connected
4 members: 2 see the same as web1, 1 otherwise, 1 not asked.
  why  althing why web8
  why  althing why web9
";
        assert_eq!(screen(&samples::everywhere(), &Look::plain()), expected);
    }
}
