//! `audit`: who had what settled, when and where.

use std::fmt::Write as _;

use althing_protocol::view::{Audit, AuditEntry, Document};

use super::Look;
use super::colour::Paint;
use super::size::of_things;
use super::table::{Cell, Table};

/// `althing audit`
pub(crate) fn screen(document: &Document<Audit>, look: &Look) -> String {
    let Audit { entries, verified } = &document.body;
    let mut text = String::new();
    if entries.is_empty() {
        text += "nothing was settled that fits\n";
    } else {
        let mut table = Table::new(&["TIME", ">EPOCH", "BY", "ON", "CHANGE", "OF", "WHAT"]).keep(7);
        for entry in entries {
            let of = entry.application.as_deref().or(entry.member.as_deref()).unwrap_or("-");
            table.row([
                Cell::painted(look.clock(&entry.at, &document.at), Paint::Dim),
                Cell::from(entry.epoch.to_string()),
                Cell::from(entry.by.as_str()),
                Cell::from(entry.from.as_str()),
                Cell::from(entry.change.as_str()),
                Cell::from(of),
                Cell::from(what(entry)),
            ]);
        }
        text += &table.text(look);
    }
    if let Some(verified) = verified {
        let _ = writeln!(
            text,
            "{}: {} hold, with {}, from the genesis {} to {}, which is in force on {}.",
            look.paint(Paint::Ok, "verified"),
            of_things(verified.records, "record"),
            of_things(verified.votes, "signature"),
            verified.genesis.short(),
            verified.head.short(),
            document.answered_by
        );
    }
    text
}

fn what(entry: &AuditEntry) -> String {
    let signed = &entry.signed_by;
    if signed.is_empty() {
        entry.text.clone()
    } else {
        format!("{} (signed by {})", entry.text, signed.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn changes_with_who_when_and_where() {
        let expected = "\
TIME      EPOCH  BY        ON    CHANGE    OF    WHAT
13:40:59     76  ada       web1  open      shop  update window until 2026-11-23T14:00:00.000Z: hotfix 881
13:41:07     77  ada@web2  web1  take-out  web7  out of service: new disk
verified: 77 records hold, with 385 signatures, from the genesis b3:0101…01 to b3:7777…77, which is in force on web1.
";
        assert_eq!(screen(&samples::audit(), &Look::plain()), expected);
    }
}
