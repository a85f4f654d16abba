//! `version --entity`: which versions the members run and speak, and which one the entity uses.

use std::collections::BTreeMap;

use althing_protocol::view::{Document, Members};

use super::Look;
use super::size::of_things;
use super::table::{Cell, Table};
use super::time::span;

/// After this a mixture is a condition.
const MIXED_SECONDS: u64 = 24 * 3600;

/// `althing version --entity`
pub(crate) fn screen(document: &Document<Members>, look: &Look) -> String {
    let members = &document.body;
    let mut by_version: BTreeMap<(&str, Option<u32>), Vec<&str>> = BTreeMap::new();
    for member in &members.members {
        let version = member.version.as_deref().unwrap_or("unknown");
        by_version.entry((version, member.protocol)).or_default().push(&member.name);
    }
    let mut table = Table::new(&["", "", "", ""]).keep(4);
    for ((version, protocol), names) in by_version.iter().rev() {
        let count = of_things(names.len() as u64, "member");
        let spoken = protocol.map(spoken).unwrap_or_default();
        table.row([Cell::from(*version), Cell::from(count), Cell::from(names.join(" ")), Cell::from(spoken)]);
    }
    let known = by_version.keys().filter(|(version, _)| *version != "unknown").count();
    table.text(look) + &in_use(members, known) + &next(members)
}

/// A program speaks every version up to its newest.
fn spoken(newest: u32) -> String {
    if newest <= 1 { "protocol 1".to_owned() } else { format!("protocol 1-{newest}") }
}

fn in_use(members: &Members, programs: usize) -> String {
    let uses = format!("The entity uses protocol {}.", members.protocol);
    let mixed = match members.mixed_seconds {
        Some(seconds) if seconds < MIXED_SECONDS => format!(
            " Mixed for {}, which is fine during an upgrade; a warning follows after 24 h.",
            span(seconds as f64)
        ),
        Some(seconds) => format!(" Mixed for {}: was a member forgotten?", span(seconds as f64)),
        None if programs <= 1 => " All that are heard run the same.".to_owned(),
        None => String::new(),
    };
    uses + &mixed + "\n"
}

/// What can be settled next, if there is a newer version that somebody speaks.
fn next(members: &Members) -> String {
    if let Some(next) = members.settleable {
        return format!(
            "All {} speak protocol {next}. To use it, with no way back:  althing version --settle {next}\n",
            of_things(members.members.len() as u64, "member")
        );
    }
    let next = members.protocol + 1;
    let speak = |member: &&althing_protocol::view::MemberView| member.protocol.is_some_and(|it| it >= next);
    if members.members.iter().any(|member| speak(&member)) {
        let all = of_things(members.members.len() as u64, "member");
        return format!("Protocol {next} can be settled when all {all} speak it.\n");
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn members_by_version() {
        let mut document = samples::members();
        let members = &mut document.body;
        members.members[1].version = Some("0.9.3".to_owned());
        members.members[1].protocol = Some(2);
        members.mixed_seconds = Some(7_200);
        let expected = "\
unknown  1 member   web9
0.9.3    1 member   web7       protocol 1-2
0.9.2    2 members  web1 web8  protocol 1
The entity uses protocol 1. Mixed for 2 h, which is fine during an upgrade; a warning follows after 24 h.
Protocol 2 can be settled when all 4 members speak it.
";
        assert_eq!(screen(&document, &Look::plain()), expected);
        document.body.mixed_seconds = Some(90_000);
        assert!(screen(&document, &Look::plain()).contains("Mixed for 25 h: was a member forgotten?"));
    }

    #[test]
    fn what_all_speak_can_be_settled() {
        let mut document = samples::members();
        document.body.settleable = Some(2);
        let shown = screen(&document, &Look::plain());
        assert!(shown.contains("The entity uses protocol 1. All that are heard run the same.\n"), "{shown}");
        assert!(shown.ends_with(
            "All 4 members speak protocol 2. To use it, with no way back:  althing version --settle 2\n"
        ));
    }
}
