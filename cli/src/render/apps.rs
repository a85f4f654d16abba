//! `app list`, `app show`, `app items`, `app history`.

use std::fmt::Write as _;

use althing_protocol::handling::{RELEASES, Switching};
use althing_protocol::placement::Placement;
use althing_protocol::view::{AppState, AppView, Candidate, Document, History, ItemView, Items};
use serde::{Deserialize, Serialize};

use super::Look;
use super::colour::Paint;
use super::size::{bytes, count, of_things};
use super::status::{detail, names};
use super::table::{Cell, Table};

/// Items without a majority that are shown.
const DISPUTED_SHOWN: usize = 10;

/// `althing.apps/1`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Apps {
    /// By name.
    pub(crate) applications: Vec<AppView>,
}

/// `althing apps`
pub(crate) fn screen(document: &Document<Apps>, look: &Look) -> String {
    let apps = &document.body.applications;
    if apps.is_empty() {
        return "no applications yet: althing app new NAME --from DIR\n".to_owned();
    }
    let mut table =
        Table::new(&["NAME", ">REVISION", "AGREE", ">ITEMS", ">SIZE", "STATE", "LAST UPDATE"]).keep(3);
    for app in apps {
        table.row([
            Cell::from(app.name.as_str()),
            Cell::from(if app.revision == 0 { "-".to_owned() } else { app.revision.to_string() }),
            Cell::from(format!("{} of {}", app.agree, app.of)),
            Cell::from(count(app.items)),
            Cell::from(bytes(app.bytes)),
            state(app),
            Cell::from(updated(app, &document.at, look)),
        ]);
    }
    let mut text = table.text(look);
    for app in apps.iter().filter(|app| !app.groups.is_empty()) {
        let _ = writeln!(text, "{} goes to {}", app.name, placed(app));
    }
    text
}

fn state(app: &AppView) -> Cell {
    match app.state {
        AppState::Agreed => Cell::painted("agreed", Paint::Ok),
        AppState::NotSettled => Cell::painted("not settled", Paint::Critical),
        AppState::Repairing => {
            Cell::painted(format!("repairing {}", names(&app.differing, 3)), Paint::Warning)
        }
        AppState::Drift => Cell::painted(format!("drift {}", names(&app.differing, 3)), Paint::Warning),
        AppState::Stopped => Cell::painted(detail(app), Paint::Critical),
        AppState::Window | AppState::Paused | AppState::RollingOut => {
            Cell::painted(detail(app), Paint::Warning)
        }
    }
}

/// `13:41 by ada from web1`
fn updated(app: &AppView, now: &str, look: &Look) -> String {
    let Some(at) = &app.updated else { return "-".to_owned() };
    let part = |word: &str, name: &Option<String>| {
        name.as_ref().map_or(String::new(), |name| format!(" {word} {name}"))
    };
    format!("{}{}{}", look.lately(at, now), part("by", &app.by), part("from", &app.from))
}

/// `althing app show A`
pub(crate) fn one(document: &Document<AppView>, look: &Look) -> String {
    let app = &document.body;
    let mut table = Table::new(&["", ""]).keep(2).indent(2);
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            table.row([Cell::painted(name, Paint::Dim), Cell::from(value)]);
        }
    };
    row("path", app.path.clone());
    row("root", app.root.map(|root| root.to_string()).unwrap_or_default());
    row("content", format!("{}, {}", of_things(app.items, "item"), bytes(app.bytes)));
    row("goes to", placed(app));
    row("members", format!("{} of {} agree", app.agree, app.of));
    row("keepers", app.keepers.join(" "));
    row("differing", app.differing.join(" "));
    row("contested", app.contested.join(" "));
    row("policy", app.policy.clone());
    row("unmanaged", app.unmanaged.join(" "));
    if app.handling.switching == Switching::Release {
        row("switching", format!("release, trees in {}{RELEASES}", app.path));
    }
    if app.handling.owners {
        row("owners", "settled, by name".to_owned());
    }
    row("xattrs", app.handling.xattrs.join(" "));
    row("batch", if app.batch == "100%" { String::new() } else { app.batch.clone() });
    row("check", app.check_hooks.join(", "));
    row("after", app.after_hooks.join(", "));
    row(
        "paused",
        app.paused_until
            .as_ref()
            .map(|at| format!("until {}", look.until(at, &document.at)))
            .unwrap_or_default(),
    );
    row("updated", if app.updated.is_some() { updated(app, &document.at, look) } else { String::new() });
    if let Some(window) = &app.window {
        let until = look.until(&window.expires, &document.at);
        row("window", format!("on {} by {} until {until}", window.member, window.by));
    }
    let revision =
        if app.revision == 0 { "no revision yet".to_owned() } else { format!("revision {}", app.revision) };
    let mut one = Table::new(&["", "", ""]).keep(3);
    one.row([Cell::painted(app.name.as_str(), Paint::Bold), Cell::from(revision), state(app)]);
    let candidate = app.candidate.as_ref().map(|candidate| candidate_lines(&app.name, candidate));
    one.text(look) + &table.text(look) + &candidate.unwrap_or_default()
}

/// `group web: web1 web2 web3`; nothing where it goes to all.
fn placed(app: &AppView) -> String {
    if app.groups.is_empty() {
        return String::new();
    }
    let groups = Placement::of(app.groups.iter().cloned());
    let members =
        if app.members.is_empty() { "no member is in it".to_owned() } else { app.members.join(" ") };
    format!("{groups}: {members}")
}

/// What there is to decide about an application that was never settled.
fn candidate_lines(name: &str, candidate: &Candidate) -> String {
    let Candidate { of, seen, agreed, disputed, undecided, .. } = candidate;
    if agreed + disputed == 0 {
        return format!(
            "  nothing lies there on any of {} members\n  next  althing deploy {name} --from DIR\n",
            seen.len()
        );
    }
    let mut text = format!(
        "\nNothing is settled, and nothing is changed. Of what {} of {of} members have there\n  {} the same on more than half, {} not\n",
        seen.len(),
        of_things(*agreed, "item"),
        count(*disputed),
    );
    for item in undecided.iter().take(DISPUTED_SHOWN) {
        let variants = item.variants.iter().map(|variant| {
            let what = variant.item.digest.map_or_else(|| variant.item.kind.clone(), |digest| digest.short());
            format!("{what} on {}", variant.members.join(" "))
        });
        let _ = writeln!(text, "    {}  {}", item.path, variants.collect::<Vec<_>>().join(" · "));
    }
    let more = disputed.saturating_sub(DISPUTED_SHOWN as u64);
    if more > 0 {
        let _ = writeln!(text, "    and {}", of_things(more, "other"));
    }
    let member = seen.first().map_or("MEMBER", String::as_str);
    let _ = write!(
        text,
        "  decide  althing update open {name} --on {member} --adopt    what {member} has, with a commit\n          althing deploy {name} --from DIR --replace       what you bring\n"
    );
    text
}

/// `althing app items A`
pub(crate) fn items(document: &Document<Items>, look: &Look) -> String {
    let Items { application, revision, root, items } = &document.body;
    let owned = items.iter().any(|item| item.owner.is_some());
    let all = ["KIND", "MODE", "OWNER", ">SIZE", "DIGEST", "PATH"];
    let columns: Vec<&str> = all.into_iter().filter(|column| owned || *column != "OWNER").collect();
    let mut table = Table::new(&columns).keep(columns.len());
    for item in items {
        let kind_and_mode = [item.kind.as_str(), item.mode.as_deref().unwrap_or("-")].map(Cell::from);
        let rest = [
            Cell::from(item.bytes.map_or_else(|| "-".to_owned(), bytes)),
            Cell::from(item.digest.map_or_else(|| "-".to_owned(), |digest| digest.short())),
            Cell::from(path(item)),
        ];
        let owner = owned.then(|| Cell::from(owners(item)));
        table.row(kind_and_mode.into_iter().chain(owner).chain(rest));
    }
    let what = if *revision == 0 {
        format!("on the disk of {}", document.answered_by)
    } else {
        format!("revision {revision}")
    };
    let mut text = table.text(look);
    let _ = writeln!(
        text,
        "{} of {application}, {what}, root {}",
        of_things(items.len() as u64, "item"),
        root.short()
    );
    text
}

fn owners(item: &ItemView) -> String {
    format!("{}:{}", item.owner.as_deref().unwrap_or("-"), item.group.as_deref().unwrap_or("-"))
}

fn path(item: &ItemView) -> String {
    match &item.target {
        Some(target) => format!("{} -> {target}", item.path),
        None => item.path.clone(),
    }
}

/// `althing app history A`
pub(crate) fn history(document: &Document<History>, look: &Look) -> String {
    let History { application, revisions } = &document.body;
    if revisions.is_empty() {
        return format!("nothing was settled for {application} yet\n");
    }
    let mut table =
        Table::new(&[">REVISION", "AT", "BY", "FROM", ">ITEMS", ">SIZE", "ROOT", "REASON"]).keep(4);
    for (at, revision) in revisions.iter().enumerate() {
        let paint = if at == 0 { Paint::Bold } else { Paint::Plain };
        table.row([
            Cell::painted(revision.revision.to_string(), paint),
            Cell::from(look.clock(&revision.at, &document.at)),
            Cell::from(revision.by.as_str()),
            Cell::from(revision.from.as_str()),
            Cell::from(count(revision.items)),
            Cell::from(bytes(revision.bytes)),
            Cell::from(revision.root.short()),
            Cell::from(revision.reason.as_str()),
        ]);
    }
    let mut text = table.text(look);
    if let [_, before, ..] = revisions.as_slice() {
        let _ = writeln!(text, "back  althing app rollback {application} --to {}", before.revision);
    }
    text
}

#[cfg(test)]
mod tests {
    use althing_protocol::view::{Undecided, Variant};

    use super::*;
    use crate::render::samples;

    #[test]
    fn applications_say_who_agrees() {
        let expected = "\
NAME       REVISION  AGREE   ITEMS    SIZE  STATE           LAST UPDATE
shop             42  8 of 9  4,118  212 MB  repairing web7  13:41 by ada from web1
api              17  9 of 9    903   48 MB  agreed          3 d ago by ci-deploy
tls-certs         5  9 of 9      4   14 kB  agreed          71 d ago by bo
";
        assert_eq!(screen(&samples::apps(), &Look::plain()), expected);
    }

    #[test]
    fn one_application_in_full() {
        let expected = "\
shop  revision 42  repairing web7
  path       /srv/shop
  root       b3:7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c
  content    4,118 items, 212 MB
  members    8 of 9 agree
  differing  web7
  policy     majority
  updated    13:41 by ada from web1
";
        assert_eq!(one(&samples::app(), &Look::plain()), expected);
    }

    #[test]
    fn where_an_application_goes_is_said_where_it_is_not_everywhere() {
        let mut app = samples::app();
        app.body.groups = vec!["cache".into(), "web".into()];
        app.body.members = vec!["web1".into(), "web7".into()];
        app.body.keepers = vec!["web4".into()];
        let text = one(&app, &Look::plain());
        assert!(text.contains("  goes to    groups cache web: web1 web7\n"), "{text}");
        assert!(text.contains("  keepers    web4\n"), "{text}");
        let Document { schema, at, answered_by, body } = app;
        let apps = Document { schema, at, answered_by, body: Apps { applications: vec![body] } };
        let text = screen(&apps, &Look::plain());
        assert!(text.ends_with("\nshop goes to groups cache web: web1 web7\n"), "{text}");
    }

    #[test]
    fn servers_that_differ_are_shown_and_not_decided_about() {
        let mut app = samples::app();
        let item = samples::items().body.items.remove(0);
        let form = |members: &[&str], bytes: u64| Variant {
            members: members.iter().map(|member| (*member).to_owned()).collect(),
            item: ItemView { bytes: Some(bytes), ..item.clone() },
        };
        let path = "htdocs/img/banner.webp".to_owned();
        let variants = vec![form(&["web1", "web2"], 1), form(&["web3"], 2)];
        app.body.revision = 0;
        app.body.candidate = Some(Candidate {
            of: 4,
            seen: vec!["web1".into(), "web2".into(), "web3".into()],
            agreed: 40,
            bytes: 1_000,
            disputed: 2,
            undecided: vec![Undecided { path, variants }],
        });
        let text = one(&app, &Look::plain());
        let expected = "
Nothing is settled, and nothing is changed. Of what 3 of 4 members have there
  40 items the same on more than half, 2 not
    htdocs/img/banner.webp  b3:1111…11 on web1 web2 · b3:1111…11 on web3
  decide  althing update open shop --on web1 --adopt    what web1 has, with a commit
          althing deploy shop --from DIR --replace       what you bring
";
        assert!(text.ends_with(expected), "{text}");
    }

    #[test]
    fn items_with_their_paths_last() {
        let expected = "\
KIND     MODE    SIZE  DIGEST      PATH
file     0644  1.2 MB  b3:1111…11  htdocs/img/banner.webp
symlink  -          -  -           htdocs/latest -> v2
2 items of shop, revision 42, root b3:7c7c…7c
";
        assert_eq!(items(&samples::items(), &Look::plain()), expected);
    }

    #[test]
    fn items_of_an_application_that_settles_owners_show_them() {
        let mut document = samples::items();
        let item = &mut document.body.items[0];
        (item.owner, item.group) = (Some("www-data".to_owned()), Some("adm".to_owned()));
        let text = items(&document, &Look::plain());
        assert!(text.starts_with("KIND     MODE  OWNER "), "{text}");
        assert!(text.contains("file     0644  www-data:adm  1.2 MB"), "{text}");
        assert!(text.contains("symlink  -     -:- "), "{text}");
    }

    #[test]
    fn history_says_how_to_go_back() {
        let expected = "\
REVISION  AT                   BY   FROM  ITEMS    SIZE  ROOT        REASON
      42  13:41:07             ada  web1  4,118  212 MB  b3:7c7c…7c  hotfix 881
      41  2026-11-20 13:41:07  bo   web2  4,117  212 MB  b3:4141…41
back  althing app rollback shop --to 41
";
        assert_eq!(history(&samples::history(), &Look::plain()), expected);
    }
}
