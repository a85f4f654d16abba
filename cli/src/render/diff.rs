//! `app diff` and `update diff`: the differences, and the action list or update list that follows from them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use althing_protocol::repair::Change;
use althing_protocol::view::{ChangeView, Diff, DiffTotals, Document, ItemView, Side};

use super::Look;
use super::colour::Paint;
use super::size::{bytes, of_things};
use super::table::{Cell, Table};

/// `althing app diff A`: from what should be to what a member has, or from one revision to another.
pub(crate) fn screen(document: &Document<Diff>, look: &Look, only_sums: bool) -> String {
    let Diff { application, have, want, changes, totals } = &document.body;
    let Some(member) = &have.member else {
        return revisions(&document.body, look, only_sums);
    };
    let between = format!("{} → {}", side(want, application), side(have, application));
    if changes.is_empty() {
        return format!("{between}: no differences\n");
    }
    let mut text = format!("{between}: {}\n\n", differ(changes.len()));
    if !only_sums {
        let _ = writeln!(text, "{}", rows(changes, look));
    }
    let _ = writeln!(text, "Action list for {member}   {}", sums(totals));
    text
}

/// From one revision to another: what changed, as an update would bring it.
fn revisions(diff: &Diff, look: &Look, only_sums: bool) -> String {
    let Diff { application, have, want, changes, totals } = diff;
    let between = format!("{} → {}", side(have, application), side(want, application));
    if changes.is_empty() {
        return format!("{between}: no differences\n");
    }
    let mut text = format!("{between}: {}\n\n", differ(changes.len()));
    if !only_sums {
        let _ = writeln!(text, "{}", update_rows(changes, look));
    }
    let _ = writeln!(text, "Update list   {}", sums(totals));
    text
}

/// `althing update diff A`: from what is in force to what a commit would bring.
pub(crate) fn update(document: &Document<Diff>, look: &Look, only_sums: bool) -> String {
    let Diff { application, have, want, changes, totals } = &document.body;
    if changes.is_empty() {
        return format!("A commit would change nothing in {application}.\n");
    }
    let revision = have.revision.or(want.revision).unwrap_or_default();
    let letters = [Change::Content, Change::Missing, Change::Surplus, Change::Attributes, Change::Kind]
        .map(|kind| (changes.iter().filter(|change| change.change == kind).count(), letter_of_update(kind)));
    let counts: Vec<String> = letters
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, letter)| format!("{number} {letter}"))
        .collect();
    let mut text = format!(
        "Update list for {application}, revision {revision} → {}      {}, {} for each other member\n",
        revision + 1,
        counts.join("   "),
        bytes(totals.bytes)
    );
    if !only_sums {
        text += &update_rows(changes, look);
    }
    text
}

fn differ(number: usize) -> String {
    if number == 1 {
        "1 item differs".to_owned()
    } else {
        format!("{} differ", of_things(number as u64, "item"))
    }
}

fn side(side: &Side, application: &str) -> String {
    match (&side.member, side.revision) {
        (Some(member), _) => format!("what {member} has ({})", side.root.short()),
        (None, Some(revision)) => format!("revision {revision} of {application} ({})", side.root.short()),
        (None, None) => side.root.short(),
    }
}

fn rows(changes: &[ChangeView], look: &Look) -> String {
    let mut table = Table::new(&["", "", ""]).keep(3).indent(2);
    for change in changes {
        let letter = letter_of_member(change.change);
        table.row([
            Cell::painted(letter, paint(letter)),
            Cell::from(change.path.as_str()),
            Cell::from(member_detail(change)),
        ]);
    }
    table.text(look)
}

fn update_rows(changes: &[ChangeView], look: &Look) -> String {
    let mut table = Table::new(&["", "", ""]).keep(3).indent(2);
    for change in changes {
        let letter = letter_of_update(change.change);
        table.row([
            Cell::painted(letter, paint(letter)),
            Cell::from(change.path.as_str()),
            Cell::from(update_detail(change)),
        ]);
    }
    table.text(look)
}

/// Seen from what should be: `-` is missing here, `+` is surplus here.
fn letter_of_member(change: Change) -> &'static str {
    match change {
        Change::Missing => "-",
        Change::Surplus => "+",
        Change::Content => "M",
        Change::Attributes => "U",
        Change::Kind => "T",
    }
}

/// Seen from what is in force: `+` comes, `-` goes.
fn letter_of_update(change: Change) -> &'static str {
    match change {
        Change::Missing => "+",
        Change::Surplus => "-",
        Change::Content | Change::Attributes | Change::Kind => letter_of_member(change),
    }
}

fn paint(letter: &str) -> Paint {
    match letter {
        "+" => Paint::Ok,
        "-" => Paint::Critical,
        _ => Paint::Warning,
    }
}

fn member_detail(change: &ChangeView) -> String {
    match change.change {
        Change::Missing => format!("{}missing", size_of(change.want.as_ref())),
        Change::Surplus => format!("{}surplus; goes to the trash", size_of(change.have.as_ref())),
        _ => between(change.want.as_ref(), change.have.as_ref()),
    }
}

fn update_detail(change: &ChangeView) -> String {
    match change.change {
        Change::Missing => size_of(change.want.as_ref()).trim_end().to_owned(),
        Change::Surplus => "removed".to_owned(),
        _ => between(change.have.as_ref(), change.want.as_ref()),
    }
}

fn size_of(item: Option<&ItemView>) -> String {
    let size = item.and_then(|item| item.bytes);
    let kind = item.map(|item| item.kind.as_str()).filter(|kind| *kind != "file");
    match (size, kind) {
        (Some(size), _) => format!("{}   ", bytes(size)),
        (None, Some(kind)) => format!("{kind}   "),
        (None, None) => String::new(),
    }
}

/// What is not the same in two items.
fn between(first: Option<&ItemView>, second: Option<&ItemView>) -> String {
    let (Some(a), Some(b)) = (first, second) else { return String::new() };
    let mut parts = Vec::new();
    if a.kind != b.kind {
        parts.push(format!("{} → {}", a.kind, b.kind));
    }
    if a.digest != b.digest
        && let (Some(old), Some(new)) = (a.bytes, b.bytes)
    {
        parts.push(format!("{} → {}", bytes(old), bytes(new)));
    }
    if a.digest != b.digest
        && let (Some(old), Some(new)) = (a.digest, b.digest)
    {
        parts.push(format!("{} → {}", old.short(), new.short()));
    }
    if a.mode != b.mode
        && let (Some(old), Some(new)) = (&a.mode, &b.mode)
    {
        parts.push(format!("mode {old} → {new}"));
    }
    let owners = [("owner", &a.owner, &b.owner), ("group", &a.group, &b.group)];
    for (what, old, new) in owners.into_iter().filter(|(_, old, new)| old != new) {
        let [old, new] = [old, new].map(|name| name.as_deref().unwrap_or("none"));
        parts.push(format!("{what} {old} → {new}"));
    }
    let names: BTreeSet<&String> = a.xattrs.keys().chain(b.xattrs.keys()).collect();
    for name in names.into_iter().filter(|name| a.xattrs.get(*name) != b.xattrs.get(*name)) {
        let word = match (a.xattrs.contains_key(name), b.xattrs.contains_key(name)) {
            (false, _) => "added",
            (_, false) => "gone",
            _ => "changed",
        };
        parts.push(format!("{name} {word}"));
    }
    if a.target != b.target
        && let (Some(old), Some(new)) = (&a.target, &b.target)
    {
        parts.push(format!("{old} → {new}"));
    }
    parts.join("   ")
}

fn sums(totals: &DiffTotals) -> String {
    format!(
        "fetch {} ({}) · remove {} · set attributes of {}",
        of_things(totals.fetch, "item"),
        bytes(totals.bytes),
        totals.remove,
        totals.attributes
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn a_member_is_compared_with_what_should_be() {
        let expected = "\
revision 42 of shop (b3:7c7c…7c) → what web7 has (b3:40aa…aa): 4 items differ

  M  htdocs/checkout.js      18 kB → 18 kB   b3:1111…11 → b3:9f9f…9f
  -  htdocs/img/banner.webp  1.2 MB   missing
  +  htdocs/tmp/debug.php    2.0 kB   surplus; goes to the trash
  U  conf/app.ini            mode 0640 → 0664

Action list for web7   fetch 2 items (1.2 MB) · remove 1 · set attributes of 1
";
        assert_eq!(screen(&samples::diff(), &Look::plain(), false), expected);
    }

    #[test]
    fn owners_and_attributes_are_named_and_their_values_are_not() {
        let mut document = samples::diff();
        let mut change = document.body.changes.remove(3);
        let mark = |item: &mut Option<ItemView>, owner: &str, tags: &[(&str, &str)]| {
            let item = item.as_mut().expect("it is on both sides");
            (item.owner, item.group) = (Some(owner.to_owned()), Some("www-data".to_owned()));
            item.xattrs =
                tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        };
        mark(&mut change.want, "www-data", &[("user.a", "YQ=="), ("user.b", "YQ==")]);
        mark(&mut change.have, "deploy", &[("user.b", "Yg=="), ("user.c", "YQ==")]);
        document.body.changes = vec![change];
        let text = screen(&document, &Look::plain(), false);
        let expected =
            "mode 0640 → 0664   owner www-data → deploy   user.a gone   user.b changed   user.c added\n";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn revisions_are_compared_from_the_older_side() {
        let mut document = samples::update_diff();
        document.body.want = Side { member: None, revision: Some(18), ..document.body.want };
        let expected = "\
revision 17 of api (b3:1717…17) → revision 18 of api (b3:1818…18): 3 items differ

  M  conf/api.toml        812 B → 840 B   b3:1111…11 → b3:9f9f…9f
  +  migrations/0041.sql  1.2 kB
  -  migrations/tmp.sql   removed

Update list   fetch 2 items (2.4 MB) · remove 1 · set attributes of 0
";
        assert_eq!(screen(&document, &Look::plain(), false), expected);
    }

    #[test]
    fn sums_alone_are_three_lines() {
        let text = screen(&samples::diff(), &Look::plain(), true);
        assert_eq!(text.lines().count(), 3, "{text}");
    }

    #[test]
    fn an_update_list_says_what_comes() {
        let expected = "\
Update list for api, revision 17 → 18      1 M   1 +   1 -, 2.4 MB for each other member
  M  conf/api.toml        812 B → 840 B   b3:1111…11 → b3:9f9f…9f
  +  migrations/0041.sql  1.2 kB
  -  migrations/tmp.sql   removed
";
        assert_eq!(update(&samples::update_diff(), &Look::plain(), false), expected);
    }
}
