//! `version --entity`: which versions the members run.

use std::collections::BTreeMap;

use althing_protocol::view::{Document, Members};

use super::Look;
use super::size::of_things;
use super::table::{Cell, Table};

/// `althing version --entity`
pub(crate) fn screen(document: &Document<Members>, look: &Look) -> String {
    let mut by_version: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for member in &document.body.members {
        by_version.entry(member.version.as_deref().unwrap_or("unknown")).or_default().push(&member.name);
    }
    let mut table = Table::new(&["", "", ""]).keep(3);
    for (version, names) in by_version.iter().rev() {
        let count = of_things(names.len() as u64, "member");
        table.row([Cell::from(*version), Cell::from(count), Cell::from(names.join(" "))]);
    }
    let known = by_version.keys().filter(|version| **version != "unknown").count();
    let mixed = match known {
        0 | 1 => "All that are heard run the same.",
        _ => "Mixed, which is fine while the program is being exchanged on one member after the other.",
    };
    format!("{}{mixed}\n", table.text(look))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn members_by_version() {
        let mut document = samples::members();
        document.body.members[1].version = Some("0.9.3".to_owned());
        let expected = "\
unknown  1 member   web9
0.9.3    1 member   web7
0.9.2    2 members  web1 web8
Mixed, which is fine while the program is being exchanged on one member after the other.
";
        assert_eq!(screen(&document, &Look::plain()), expected);
        document.body.members[1].version = Some("0.9.2".to_owned());
        assert!(screen(&document, &Look::plain()).ends_with("All that are heard run the same.\n"));
    }
}
