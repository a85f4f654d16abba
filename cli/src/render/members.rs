//! `member list`, `member show`, `invite list`.

use std::fmt::Write as _;

use althing_protocol::governance::QuorumRule;
use althing_protocol::view::{Document, Health, Invitations, MemberView, Members};

use super::Look;
use super::colour::Paint;
use super::health::word;
use super::size::{of_things, percent, share};
use super::table::{Cell, Table};
use super::time::span;

/// What an entity of two should know (finding 17).
const TWO: &str = "Two are never safer than one: either one down stops every decision. Add a third.\n";

/// `althing members`
pub(crate) fn screen(document: &Document<Members>, look: &Look) -> String {
    let Members { members, majority, quorum, .. } = &document.body;
    let rule = match quorum {
        QuorumRule::Majority => "Majority",
        QuorumRule::Supermajority => "Supermajority",
    };
    let titles = [
        "NAME", "STATE", "SERVICE", "HEALTH", "AGREES", "COUNTS", ">CPU p95", ">SHARE", "VERSION", ">SEEN",
        "ADDRESS",
    ];
    let mut table = Table::new(&titles).keep(3);
    for member in members {
        table.row([
            Cell::from(member.name.as_str()),
            Cell::painted(member.state.as_str(), state_paint(member)),
            Cell::from(service(member)),
            Cell::painted(word(member.health), member.health),
            Cell::from(format!("{} of {}", member.agrees, member.applications)),
            Cell::from(counts(member)),
            Cell::from(percent(member.cpu_ratio_p95)),
            Cell::from(share(member.share_ratio)),
            Cell::from(member.version.as_deref().unwrap_or("-")),
            Cell::from(seen(member, &document.answered_by)),
            Cell::from(member.addresses.first().map_or("-", String::as_str)),
        ]);
    }
    let number = |state: &str| members.iter().filter(|member| member.state == state).count();
    let voters = members.iter().filter(|member| member.counts).count();
    let mut text = table.text(look);
    let _ = writeln!(
        text,
        "{}: {} alive, {} unreachable, {} down.   {rule} is {majority} of the {voters} that count, reachable or not.",
        of_things(members.len() as u64, "member"),
        number("alive"),
        number("unreachable"),
        number("down")
    );
    if voters == 2 {
        text += TWO;
    }
    text
}

fn state_paint(member: &MemberView) -> Paint {
    if member.state == "alive" { Paint::Plain } else { Paint::Warning }
}

/// `in`, `in (spare)`, `out (new disk)`, `spare`
fn service(member: &MemberView) -> String {
    match (member.service.as_str(), &member.out) {
        ("in", _) if member.role == "follower" => "in (spare)".to_owned(),
        ("out", Some(out)) if !out.reason.is_empty() => format!("out ({})", out.reason),
        ("", _) => "-".to_owned(),
        (service, _) => service.to_owned(),
    }
}

fn counts(member: &MemberView) -> &'static str {
    match (member.counts, member.votes) {
        (false, _) => "no",
        (true, true) => "yes",
        (true, false) => "yes, mute",
    }
}

fn seen(member: &MemberView, here: &str) -> String {
    match member.last_seen_seconds {
        _ if member.name == here => "here".to_owned(),
        Some(seconds) => span(seconds),
        None => "never".to_owned(),
    }
}

/// `althing member show M`
pub(crate) fn one(document: &Document<MemberView>, look: &Look) -> String {
    let member = &document.body;
    let health = word(member.health).to_uppercase();
    let asked = if document.answered_by == member.name {
        "asked directly".to_owned()
    } else {
        format!("as {} sees it", document.answered_by)
    };
    let mut text = format!(
        "{}   {}   {}   {asked}\n",
        look.paint(Paint::Bold, &member.name),
        member.id,
        look.paint(member.health.into(), &health)
    );
    let mut table = Table::new(&["", ""]).keep(2).indent(2);
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            table.row([Cell::painted(name, Paint::Dim), Cell::from(value)]);
        }
    };
    let heard = match seen(member, &document.answered_by).as_str() {
        "here" => String::new(),
        "never" => ", never heard".to_owned(),
        ago => format!(", heard {ago} ago"),
    };
    row("state", format!("{}{heard}", member.state));
    row("roster", format!("{}, counts: {}", member.role, counts(member)));
    row("service", service(member) + &out_details(member, &document.at, look));
    if !member.labels.is_empty() {
        let labels = member.labels.iter().map(|(key, value)| format!("{key}={value}"));
        row("labels", labels.collect::<Vec<_>>().join(" "));
    }
    row("groups", member.groups.join(" "));
    row("software", member.version.clone().unwrap_or_else(|| "unknown".to_owned()));
    row("addresses", member.addresses.join(" "));
    row("load", load(member));
    row("share", share(member.share_ratio));
    row("epoch", member.epoch.map_or_else(|| "unknown".to_owned(), |epoch| epoch.to_string()));
    for (at, content) in member.content.iter().enumerate() {
        let root = content.observed.map(|root| root.short()).unwrap_or_default();
        let line = format!("{}: {} {root}", content.application, content.state);
        row(if at == 0 { "content" } else { "" }, line.trim_end().to_owned());
    }
    let kept = member.keeps.iter().map(|name| format!("{name} (in its store, for others)"));
    row("keeps", kept.collect::<Vec<_>>().join(", "));
    text += &table.text(look);
    if member.health != Health::Ok {
        let _ = writeln!(text, "  why  althing why {}", member.name);
    }
    text
}

/// `, by ada since 14:02:11, until 15:00`
fn out_details(member: &MemberView, now: &str, look: &Look) -> String {
    let Some(out) = &member.out else { return String::new() };
    let until =
        out.until.as_ref().map(|until| format!(", until {}", look.until(until, now))).unwrap_or_default();
    format!(", by {} since {}{until}", out.by, look.clock(&out.since, now))
}

fn load(member: &MemberView) -> String {
    format!(
        "cpu p95 {} · memory {} · disk {}",
        percent(member.cpu_ratio_p95),
        percent(member.memory_ratio),
        percent(member.disk_ratio)
    )
}

/// `althing invite list`
pub(crate) fn invitations(document: &Document<Invitations>, look: &Look) -> String {
    let invitations = &document.body.invitations;
    if invitations.is_empty() {
        return "no invitation is open: althing invite\n".to_owned();
    }
    let mut table = Table::new(&["ID", ">USES", "FOR", "EXPIRES", "BY", "NOTE"]).keep(4);
    for invitation in invitations {
        table.row([
            Cell::from(invitation.id.as_str()),
            Cell::from(invitation.uses.to_string()),
            Cell::from(if invitation.spare { "spares" } else { "voters" }),
            Cell::from(look.until(&invitation.expires, &document.at)),
            Cell::from(invitation.by.as_str()),
            Cell::from(invitation.note.as_str()),
        ]);
    }
    table.text(look)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn members_say_who_counts() {
        let expected = "\
NAME  STATE        SERVICE         HEALTH   AGREES  COUNTS     CPU p95   SHARE  VERSION   SEEN  ADDRESS
web1  alive        in              ok       3 of 3  yes           25 %  13.2 %  0.9.2     here  10.0.0.11:7800
web7  alive        out (new disk)  warning  2 of 3  yes           31 %  13.2 %  0.9.2    0.3 s  10.0.0.17:7800
web8  alive        in              ok       3 of 3  yes, mute     40 %   7.3 %  0.9.2    1.2 s  10.0.0.18:7800
web9  unreachable  spare           unknown  0 of 3  no               -   0.0 %  -        3 min  10.0.0.19:7800
4 members: 3 alive, 1 unreachable, 0 down.   Majority is 5 of the 3 that count, reachable or not.
";
        assert_eq!(screen(&samples::members(), &Look::plain()), expected);
    }

    #[test]
    fn narrow_terminals_lose_addresses_first() {
        let text = screen(&samples::members(), &Look { width: Some(80), ..Look::plain() });
        assert!(
            text.starts_with(
                "NAME  STATE        SERVICE         HEALTH   AGREES  COUNTS     CPU p95   SHARE\n"
            )
        );
    }

    #[test]
    fn one_member_in_full() {
        let expected = "\
web7   12D3KooWQ7   WARNING   as web1 sees it
  state      alive, heard 0.3 s ago
  roster     voter, counts: yes
  service    out (new disk), by ada since 14:02:11, until 15:00
  labels     rack=4 zone=b
  software   0.9.2
  addresses  10.0.0.17:7800
  load       cpu p95 31 % · memory 40 % · disk 71 %
  share      13.2 %
  epoch      77
  content    shop: drift b3:40aa…aa
             api: agrees b3:7c7c…7c
  why  althing why web7
";
        assert_eq!(one(&samples::member(), &Look::plain()), expected);
    }
}
