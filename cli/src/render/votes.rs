//! `vote`: who reports what.

use std::fmt::Write as _;

use althing_protocol::view::{AppVotes, Document, Votes};

use super::Look;
use super::colour::Paint;
use super::table::{Cell, Table};

/// `althing votes`
pub(crate) fn screen(document: &Document<Votes>, look: &Look) -> String {
    let votes = &document.body;
    if votes.applications.is_empty() {
        return "no applications yet: althing app new NAME --from DIR\n".to_owned();
    }
    let blocks: Vec<String> = votes.applications.iter().map(|app| application(app, look)).collect();
    let mut text = blocks.join("\n");
    if votes.deciding {
        let _ = writeln!(text, "\nepoch {} is being decided, round {}", votes.epoch, votes.round);
    }
    text
}

fn application(app: &AppVotes, look: &Look) -> String {
    let agree = app
        .groups
        .iter()
        .find(|group| group.root.is_some() && group.root == app.root)
        .map_or(0, |group| group.members.len());
    let of: usize = app.groups.iter().map(|group| group.members.len()).sum();
    let name = look.paint(Paint::Bold, &app.application);
    let mut text = match (app.settled, app.revision) {
        (true, revision) => {
            format!("{name}: revision {revision} is settled, {agree} of {of} ({} needed)\n", app.needed)
        }
        (false, 0) => format!("{name}: nothing was settled yet\n"),
        (false, revision) => {
            let word = look.paint(Paint::Critical, "NOT SETTLED");
            format!(
                "{name}: {word}, {agree} of {of} report revision {revision} and {} must.  Nothing is repaired.\n",
                app.needed
            )
        }
    };
    let mut table = Table::new(&["", "", "", ""]).keep(4).indent(2);
    for group in &app.groups {
        let settled = group.root.is_some() && group.root == app.root;
        let meaning = if group.meaning == "unknown" { "" } else { group.meaning.as_str() };
        table.row([
            Cell::from(group.root.map_or_else(|| "unknown".to_owned(), |root| root.short())),
            Cell::from(group.members.len().to_string()),
            Cell::painted(meaning, if settled { Paint::Ok } else { Paint::Warning }),
            Cell::from(group.members.join(" ")),
        ]);
    }
    text += &table.text(look);
    if let Some(proof) = &app.certificate {
        let _ = writeln!(
            text,
            "  settled in epoch {}, round {}, signed by {}",
            proof.epoch,
            proof.round,
            proof.signed_by.join(" ")
        );
    }
    if !app.settled && app.revision > 0 {
        text += &advice(app);
    }
    text
}

/// What to do about a split: look at a member of each other group.
fn advice(app: &AppVotes) -> String {
    let others = app.groups.iter().filter(|group| group.root.is_some() && group.root != app.root);
    let mut text = String::new();
    for (at, member) in others.filter_map(|group| group.members.first()).enumerate() {
        let label = if at == 0 { "try" } else { "" };
        let _ = writeln!(text, "  {label:<3}  althing app diff {} --member {member}", app.application);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn a_majority_is_shown_with_the_dissenter() {
        let expected = "\
shop: revision 42 is settled, 8 of 9 (5 needed)
  b3:7c7c…7c  8  revision 42  web1 web2 web3 web4 web5 web6 web8 web9
  b3:40aa…aa  1  drift        web7
  settled in epoch 77, round 0, signed by web1 web2 web3 web4 web5
";
        assert_eq!(screen(&samples::votes(), &Look::plain()), expected);
    }

    #[test]
    fn a_split_says_what_to_look_at() {
        let expected = "\
shop: NOT SETTLED, 4 of 9 report revision 42 and 5 must.  Nothing is repaired.
  b3:7c7c…7c  4  revision 42  web1 web2 web3 web4
  b3:40aa…aa  4  drift        web5 web6 web7 web8
  unknown     1               web9
  try  althing app diff shop --member web5
";
        assert_eq!(screen(&samples::split_votes(), &Look::plain()), expected);
    }
}
