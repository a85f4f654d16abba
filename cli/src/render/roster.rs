//! `roster show` and `roster history`.

use std::fmt::Write as _;

use althing_protocol::view::{Document, EvidenceView, RosterHistory, RosterMember, RosterView};

use super::Look;
use super::colour::Paint;
use super::table::{Cell, Table};

/// `althing roster`
pub(crate) fn show(document: &Document<RosterView>, look: &Look) -> String {
    let roster = &document.body;
    let mut text = format!(
        "{}   epoch {}, roster of epoch {}   {} of {} voters reachable, {} {}\nhead {}\n\n",
        look.paint(Paint::Bold, &roster.entity),
        roster.epoch,
        roster.roster_epoch,
        roster.reachable,
        roster.voters,
        roster.quorum,
        roster.majority,
        roster.head
    );
    let mut table = Table::new(&[">ORDER", "NAME", "ROLE", "COUNTS", ">SINCE", "REACHABLE", "STORE"]).keep(4);
    for member in &roster.members {
        table.row([
            Cell::from(member.place.to_string()),
            Cell::from(member.name.as_str()),
            Cell::from(member.role.as_str()),
            counts(member),
            Cell::from(member.since.to_string()),
            Cell::from(if member.reachable { "yes" } else { "no" }),
            Cell::from(member.store.get(..8).unwrap_or(&member.store)),
        ]);
    }
    text += &table.text(look);
    authority(&mut text, roster);
    rest(&mut text, roster, document, look);
    text
}

fn authority(text: &mut String, roster: &RosterView) {
    let authority = &roster.authority;
    if authority.operators.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\nWhat administrators ask for needs {} of {} operators:",
        authority.needed,
        authority.operators.len()
    );
    for operator in &authority.operators {
        let _ = writeln!(text, "  {}  {}", operator.name, operator.key);
    }
}

fn counts(member: &RosterMember) -> Cell {
    match (member.asks, member.role.as_str()) {
        (true, _) => Cell::painted("asks to be re-admitted", Paint::Critical),
        (false, "voter") => Cell::from("yes"),
        (false, _) => Cell::from("not yet"),
    }
}

fn rest(text: &mut String, roster: &RosterView, document: &Document<RosterView>, look: &Look) {
    if let Some(origin) = &roster.origin {
        let _ = writeln!(
            text,
            "\nBegun anew after epoch {} of {} ({}).",
            origin.epoch,
            origin.id.short(),
            origin.head.short()
        );
    }
    if !roster.past.is_empty() {
        let one = |past: &althing_protocol::view::PastView| {
            let awaited = if past.awaited { ", awaited: althing join there" } else { "" };
            format!("{} (until epoch {}{awaited})", past.name, past.until)
        };
        let past: Vec<String> = roster.past.iter().map(one).collect();
        let _ = writeln!(text, "\nPast members: {}", past.join(", "));
    }
    for (at, evidence) in roster.evidence.iter().enumerate() {
        let head = if at == 0 { "\nFound\n" } else { "" };
        let _ = write!(text, "{head}{}", found(evidence, document, look));
    }
    for note in &roster.notes {
        let _ = writeln!(text, "\n{note}");
    }
}

fn found(evidence: &EvidenceView, document: &Document<RosterView>, look: &Look) -> String {
    let seen = look.until(&evidence.seen, &document.at);
    let from = evidence.from.as_ref().map(|from| format!(", shown by {from}")).unwrap_or_default();
    let so = match &evidence.resolved_by {
        Some(by) => format!("acknowledged by {by}"),
        None => look.paint(Paint::Critical, "not acknowledged: althing resolve"),
    };
    format!("  {seen}  {}{from}; {so}\n", evidence.text)
}

/// `althing roster history`
pub(crate) fn history(document: &Document<RosterHistory>, look: &Look) -> String {
    let mut table = Table::new(&[">EPOCH", "AT", "CHANGE", "BY"]).keep(3);
    for change in &document.body.changes {
        let by = match change.by.as_str() {
            "" => change.from.clone(),
            by => format!("{by} on {}", change.from),
        };
        table.row([
            Cell::from(change.epoch.to_string()),
            Cell::from(look.until(&change.at, &document.at)),
            Cell::from(format!("{} {}", change.member, change.what)),
            Cell::from(by),
        ]);
    }
    table.text(look)
}

#[cfg(test)]
mod tests {
    use althing_protocol::hash::Hash;
    use althing_protocol::view::{OriginView, PastView, RosterChange};

    use althing_protocol::governance::QuorumRule;

    use super::*;

    fn member(place: u64, name: &str, asks: bool) -> RosterMember {
        RosterMember {
            place,
            name: name.to_owned(),
            id: "12D3KooW".to_owned(),
            role: if place == 3 { "learner" } else { "voter" }.to_owned(),
            store: format!("{place}").repeat(32),
            since: place,
            reachable: !asks,
            asks,
        }
    }

    fn of<T>(body: T) -> Document<T> {
        let at = "2026-11-23T14:05:07Z".to_owned();
        Document { schema: String::new(), at, answered_by: "web1".to_owned(), body }
    }

    #[test]
    fn a_roster_says_who_counts_and_who_did() {
        let roster = RosterView {
            entity: "shop-fe".into(),
            id: Hash([1; 32]),
            epoch: 41,
            head: Hash([4; 32]),
            roster_epoch: 40,
            voters: 2,
            majority: 2,
            quorum: QuorumRule::Majority,
            authority: (&althing_protocol::governance::Authority::Members).into(),
            reachable: 1,
            members: vec![member(1, "web1", false), member(2, "web2", true), member(3, "web3", false)],
            past: vec![PastView { name: "web4".into(), id: "12D3".into(), until: 30, awaited: true }],
            origin: Some(OriginView { id: Hash([2; 32]), epoch: 30, head: Hash([3; 32]) }),
            evidence: vec![EvidenceView {
                text: "the contradiction of web2 in epoch 41".into(),
                epoch: 41,
                seen: "2026-11-23T14:04:00Z".into(),
                from: None,
                resolved_by: None,
            }],
            notes: vec!["Two voters are never safer than one.".into()],
        };
        let expected = "\
shop-fe   epoch 41, roster of epoch 40   1 of 2 voters reachable, majority 2
head b3:0404040404040404040404040404040404040404040404040404040404040404

ORDER  NAME  ROLE     COUNTS                  SINCE  REACHABLE  STORE
    1  web1  voter    yes                         1  yes        11111111
    2  web2  voter    asks to be re-admitted      2  no         22222222
    3  web3  learner  not yet                     3  yes        33333333

Begun anew after epoch 30 of b3:0202…02 (b3:0303…03).

Past members: web4 (until epoch 30, awaited: althing join there)

Found
  14:04  the contradiction of web2 in epoch 41; not acknowledged: althing resolve

Two voters are never safer than one.
";
        assert_eq!(show(&of(roster), &Look::plain()), expected);
    }

    #[test]
    fn a_history_is_one_line_a_change() {
        let change = |epoch, what: &str, by: &str| RosterChange {
            epoch,
            at: "2026-11-23T13:00:00Z".into(),
            what: what.into(),
            member: "web2".into(),
            by: by.into(),
            from: "web1".into(),
        };
        let changes = vec![change(9, "re-admitted", "ada"), change(0, "founded", "")];
        let expected = "\
EPOCH  AT     CHANGE            BY
    9  13:00  web2 re-admitted  ada on web1
    0  13:00  web2 founded      web1
";
        assert_eq!(history(&of(RosterHistory { changes }), &Look::plain()), expected);
    }
}
