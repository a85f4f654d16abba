//! The file that says what an application is, for `app check`, `app apply` and `app show --manifest`: TOML, and one
//! table of keys for reading, comparing and printing.

use std::path::Path;

use althing_protocol::control::Code;
use althing_protocol::handling::{Handling, Switching, is_xattr_pattern};
use althing_protocol::limits;
use althing_protocol::placement::Placement;
use althing_protocol::record::{Definition, Policy};
use althing_protocol::rollout::{Batch, Hook, Rollout};
use althing_protocol::time::Millis;
use althing_protocol::validity::{check_label, check_pattern, check_root};
use althing_protocol::view::AppView;

use crate::error::{Failure, Result};
use crate::toml_file::{Entry, File, Problem, Value, closest};

/// Keys that a manifest may have.
const KEYS: [&str; 13] = [
    "name",
    "root",
    "policy",
    "switching",
    "owners",
    "xattrs",
    "groups",
    "unmanaged",
    "adopt",
    "update.batch",
    "hooks.check",
    "hooks.after",
    "hooks.limit",
];
/// How long a hook may take, if the manifest does not say.
const HOOK_LIMIT: Millis = Millis(60_000);

/// What an application is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Manifest {
    /// Its name.
    pub(crate) name: String,
    /// Where it lies on every member.
    pub(crate) root: String,
    /// What drift on a majority means.
    pub(crate) policy: Policy,
    /// How members handle its tree.
    pub(crate) handling: Handling,
    /// Which members it goes to.
    pub(crate) placement: Placement,
    /// Patterns of paths that are not managed.
    pub(crate) unmanaged: Vec<String>,
    /// Whether what a majority has there becomes the first revision; as it is, or so for a new one, if absent.
    pub(crate) adopts: Option<bool>,
    /// How its revisions get onto the members; as it is, or as of any new one, if absent.
    pub(crate) rollout: Option<Rollout>,
}

/// One thing that would be another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Differs {
    /// The key.
    pub(crate) key: &'static str,
    /// As it is.
    pub(crate) from: String,
    /// As the file says.
    pub(crate) to: String,
}

impl Manifest {
    /// What the entity has.
    pub(crate) fn of(app: &AppView) -> Self {
        Self {
            name: app.name.clone(),
            root: app.path.clone(),
            policy: if app.policy == "certified" { Policy::Certified } else { Policy::Majority },
            handling: app.handling.clone(),
            placement: Placement::of(app.groups.iter().cloned()),
            unmanaged: app.unmanaged.clone(),
            adopts: Some(app.adopts),
            rollout: Some(rollout_of(app)),
        }
    }

    /// What would be another than in `is`, in the order of the keys.
    pub(crate) fn differences(&self, is: &Self) -> Vec<Differs> {
        let differs = |key, from: String, to: String| (from != to).then_some(Differs { key, from, to });
        let adopts = |manifest: &Self| manifest.adopts.or(is.adopts).unwrap_or(true).to_string();
        let rollout = |manifest: &Self| {
            let rollout = manifest.rollout.as_ref().or(is.rollout.as_ref());
            rollout.map(shown_rollout).unwrap_or_default()
        };
        let all = [
            differs("policy", policy(is.policy).to_owned(), policy(self.policy).to_owned()),
            differs("groups", is.placement.to_string(), self.placement.to_string()),
            differs("unmanaged", listed(&is.unmanaged), listed(&self.unmanaged)),
            differs("adopt", adopts(is), adopts(self)),
            differs("rollout", rollout(is), rollout(self)),
        ];
        all.into_iter().flatten().collect()
    }

    /// Patterns of `is` that are gone: what they match is managed from now on.
    pub(crate) fn managed_again<'a>(&self, is: &'a Self) -> Vec<&'a str> {
        is.unmanaged.iter().filter(|pattern| !self.unmanaged.contains(pattern)).map(String::as_str).collect()
    }

    /// What has to be said anew about `is`.
    pub(crate) fn redefinition(&self, is: &Self) -> (Option<Placement>, Definition) {
        let placement = (self.placement != is.placement).then(|| self.placement.clone());
        let definition = Definition {
            policy: (self.policy != is.policy).then_some(self.policy),
            unmanaged: (self.unmanaged != is.unmanaged).then(|| self.unmanaged.clone()),
            adopts: self.adopts.filter(|adopts| is.adopts != Some(*adopts)),
        };
        (placement, definition)
    }

    /// The file: what [`read`] reads again as this.
    pub(crate) fn text(&self) -> String {
        // Both write the texts that a manifest may have the same way.
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let list = |texts: Vec<&str>| {
            let items: Vec<String> = texts.into_iter().map(quoted).collect();
            format!("[{}]", items.join(", "))
        };
        let mut lines = vec![
            format!("name = {}", quoted(&self.name)),
            format!("root = {}", quoted(&self.root)),
            format!("policy = {}", quoted(policy(self.policy))),
        ];
        if self.handling.switching != Switching::InPlace {
            lines.push(format!("switching = {}", quoted(self.handling.switching.name())));
        }
        if self.handling.owners {
            lines.push("owners = true".to_owned());
        }
        if !self.handling.xattrs.is_empty() {
            lines.push(format!(
                "xattrs = {}",
                list(self.handling.xattrs.iter().map(String::as_str).collect())
            ));
        }
        if !self.placement.is_everywhere() {
            lines.push(format!("groups = {}", list(self.placement.0.iter().map(String::as_str).collect())));
        }
        if !self.unmanaged.is_empty() {
            lines.push(format!("unmanaged = {}", list(self.unmanaged.iter().map(String::as_str).collect())));
        }
        lines.extend(self.adopts.map(|adopts| format!("adopt = {adopts}")));
        if let Some(rollout) = self.rollout.as_ref().filter(|rollout| **rollout != Rollout::default()) {
            lines.push(format!("\n[update]\nbatch = {}", quoted(&rollout.batch.to_string())));
            let hooks = |hooks: &[Hook]| {
                let shown: Vec<String> = hooks.iter().map(Hook::shown).collect();
                list(shown.iter().map(String::as_str).collect())
            };
            let limit = rollout.check.iter().chain(&rollout.after).map(|hook| hook.limit.0).next();
            if let Some(limit) = limit {
                let (check, after) = (hooks(&rollout.check), hooks(&rollout.after));
                lines.push(format!("\n[hooks]\ncheck = {check}\nafter = {after}\nlimit = \"{limit}ms\""));
            }
        }
        lines.join("\n") + "\n"
    }
}

fn listed(patterns: &[String]) -> String {
    if patterns.is_empty() { "none".to_owned() } else { patterns.join(" ") }
}

/// Reads the file; all its problems at once, the first in full.
pub(crate) fn read(path: &Path) -> Result<Manifest> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(Code::ManifestInvalid, format!("{name} cannot be read")).fact("reason", error)
    })?;
    let file = File { name, text };
    parse(&file).map_err(|problems| invalid(&file, path, &problems).into())
}

fn invalid(file: &File, path: &Path, problems: &[Problem]) -> Failure {
    let first = problems.first().map(|problem| file.shown(problem)).unwrap_or_default();
    let failure = Failure::new(Code::ManifestInvalid, format!("the manifest is not valid\n{first}"));
    let others: Vec<String> = problems
        .iter()
        .skip(1)
        .map(|problem| format!("{}: {}", file.position(problem), problem.what))
        .collect();
    let failure = others.iter().fold(failure, |failure, other| failure.fact("also", other));
    let path = path.to_string_lossy().into_owned();
    failure.remedy("look again when it is changed", &["althing", "app", "check", &path])
}

fn parse(file: &File) -> std::result::Result<Manifest, Vec<Problem>> {
    let entries = file.entries().map_err(|problem| vec![problem])?;
    let mut problems = Vec::new();
    for entry in entries.iter().filter(|entry| !KEYS.contains(&entry.key.as_str())) {
        let meant = closest(&entry.key, KEYS).map(|meant| format!(", did you mean `{meant}`?"));
        let what = format!("unknown key `{}`{}", entry.key, meant.unwrap_or_default());
        problems.push(Problem::new(entry.key_at.clone(), what));
    }
    let rollout = rollout(&entries, &mut problems);
    let mut text = |key: &str| text_of(&entries, key, &mut problems);
    let (name, root, policy) = (text("name"), text("root"), text("policy"));
    let switching = text("switching");
    let mut texts = |key: &str| texts_of(&entries, key, &mut problems);
    let (groups, unmanaged, xattrs) = (texts("groups"), texts("unmanaged"), texts("xattrs"));
    let owners = flag_of(&entries, "owners", &mut problems).unwrap_or_default();
    let adopts = flag_of(&entries, "adopt", &mut problems);
    let mut check = |found: &Option<(String, &Entry)>, is_good: &dyn Fn(&str) -> bool, what: &str| {
        if let Some((text, entry)) = found
            && !is_good(text)
        {
            problems.push(Problem::new(entry.value_at.clone(), what));
        }
    };
    check(&name, &|name| check_label(name).is_ok(), NAME);
    check(&root, &|root| check_root(root).is_ok(), ROOT);
    check(
        &policy,
        &|policy| matches!(policy, "majority" | "certified"),
        "is neither `majority` nor `certified`",
    );
    check(&switching, &|text| Switching::parse(text).is_some(), "is neither `in-place` nor `release`");
    let switching = switching.and_then(|(text, _)| Switching::parse(&text)).unwrap_or_default();
    let mut each = |found: &Option<(Vec<String>, &Entry)>, is_good: &dyn Fn(&str) -> bool, what: &str| {
        let (texts, entry) = found.as_ref()?;
        let bad = texts.iter().find(|text| !is_good(text))?;
        problems.push(Problem::new(entry.value_at.clone(), format!("has {bad:?}, which {what}")));
        Some(())
    };
    each(&groups, &|group| check_label(group).is_ok(), NAME);
    each(&xattrs, &is_xattr_pattern, XATTR);
    each(&unmanaged, &|pattern| check_pattern(pattern).is_ok(), PATTERN);
    if !entries.iter().any(|entry| entry.key == "name") {
        problems.push(Problem::new(0..0, "the manifest has no `name`"));
    }
    problems.sort_by_key(|problem| problem.at.start);
    let (Some((name, _)), true) = (name, problems.is_empty()) else { return Err(problems) };
    Ok(Manifest {
        root: root.map_or_else(|| format!("/srv/{name}"), |(root, _)| root),
        name,
        policy: policy.map_or(Policy::Majority, |(policy, _)| read_policy(&policy)),
        handling: Handling {
            switching,
            owners,
            xattrs: xattrs.map(|(patterns, _)| patterns).unwrap_or_default(),
        },
        placement: Placement::of(groups.into_iter().flat_map(|(groups, _)| groups)),
        unmanaged: unmanaged.map(|(patterns, _)| patterns).unwrap_or_default(),
        adopts,
        rollout,
    })
}

const NAME: &str = "is not a name: letters, digits, `-`, `_` and `.`, at most 63 of them";
const ROOT: &str = "is not a root: an absolute path without `.` and `..`, not `/` itself";
const XATTR: &str = "is none of user.NAME, user.*, security.capability, system.posix_acl_access and \
                     system.posix_acl_default";
const PATTERN: &str = "is not a pattern of paths below the root";

fn read_policy(text: &str) -> Policy {
    if text == "certified" { Policy::Certified } else { Policy::Majority }
}

fn entry_of<'a>(entries: &'a [Entry], key: &str) -> Option<&'a Entry> {
    entries.iter().find(|entry| entry.key == key)
}

fn wrong(entry: &Entry, what: &str) -> Problem {
    let kind = entry.value.kind();
    Problem::new(entry.value_at.clone(), format!("is {kind}, and `{}` is {what}", entry.key))
}

fn text_of<'a>(entries: &'a [Entry], key: &str, problems: &mut Vec<Problem>) -> Option<(String, &'a Entry)> {
    let entry = entry_of(entries, key)?;
    if let Value::Text(text) = &entry.value {
        return Some((text.clone(), entry));
    }
    problems.push(wrong(entry, "a text"));
    None
}

fn texts_of<'a>(
    entries: &'a [Entry],
    key: &str,
    problems: &mut Vec<Problem>,
) -> Option<(Vec<String>, &'a Entry)> {
    let entry = entry_of(entries, key)?;
    if let Value::Texts(texts) = &entry.value {
        return Some((texts.clone(), entry));
    }
    problems.push(wrong(entry, "a list of texts"));
    None
}

fn flag_of(entries: &[Entry], key: &str, problems: &mut Vec<Problem>) -> Option<bool> {
    let entry = entry_of(entries, key)?;
    if let Value::Flag(flag) = entry.value {
        return Some(flag);
    }
    problems.push(wrong(entry, "true or false"));
    None
}

/// `[update]` and `[hooks]`; what is left out is as of any new application.
fn rollout(entries: &[Entry], problems: &mut Vec<Problem>) -> Option<Rollout> {
    let of = |key: &str| entries.iter().find(|entry| entry.key == key);
    let says = |key: &&&str| key.starts_with("update.") || key.starts_with("hooks.");
    KEYS.iter().filter(says).find_map(|key| of(key))?;
    let mut rollout = Rollout::of_new();
    if let Some(entry) = of("update.batch") {
        match batch_of(&entry.value) {
            Some(batch) => rollout.batch = batch,
            None => problems.push(Problem::new(
                entry.value_at.clone(),
                "is no batch: a number of members, such as 2, or a share of them, such as \"25%\"",
            )),
        }
    }
    let mut limit = HOOK_LIMIT;
    if let Some(entry) = of("hooks.limit") {
        let span = if let Value::Text(text) = &entry.value { crate::span::parse(text).ok() } else { None };
        let span = span.and_then(|span| u64::try_from(span.as_millis()).ok()).map(Millis);
        match span.filter(|span| (1..=limits::HOOK_MAX.0).contains(&span.0)) {
            Some(span) => limit = span,
            None => problems.push(Problem::new(
                entry.value_at.clone(),
                "is no time of up to 10 minutes, such as \"30s\"",
            )),
        }
    }
    for (key, hooks) in [("hooks.check", &mut rollout.check), ("hooks.after", &mut rollout.after)] {
        let Some(entry) = of(key) else { continue };
        match hooks_of(&entry.value, limit) {
            Some(found) => *hooks = found,
            None => problems.push(Problem::new(
                entry.value_at.clone(),
                "is no list of up to 4 hooks: each a path within the content, with arguments after blanks",
            )),
        }
    }
    Some(rollout)
}

fn batch_of(value: &Value) -> Option<Batch> {
    let batch = match value {
        Value::Number(count) => Batch::Members(u32::try_from(*count).ok()?),
        Value::Text(text) => crate::span::batch(text).ok()?,
        _ => return None,
    };
    batch.is_sensible().then_some(batch)
}

fn hooks_of(value: &Value, limit: Millis) -> Option<Vec<Hook>> {
    let texts = match value {
        Value::Text(text) => std::slice::from_ref(text),
        Value::Texts(texts) => texts.as_slice(),
        _ => return None,
    };
    let hook = |text: &String| {
        let mut words = text.split_whitespace().map(str::to_owned);
        let hook = Hook { path: words.next()?, arguments: words.collect(), limit };
        hook.is_sensible().then_some(hook)
    };
    let hooks: Option<Vec<Hook>> = texts.iter().map(hook).collect();
    hooks.filter(|hooks| hooks.len() <= limits::HOOKS)
}

/// The file in full, as `app check` shows it.
pub(crate) fn shown(manifest: &Manifest) -> String {
    let Manifest { name, root, placement, unmanaged, .. } = manifest;
    let mut text = format!("application {name} at {root} on {placement}, policy {}", policy(manifest.policy));
    if manifest.handling != Handling::default() {
        text = format!("{text}, {}", handled(&manifest.handling));
    }
    if !unmanaged.is_empty() {
        text = format!("{text}, unmanaged {}", unmanaged.join(" "));
    }
    if let Some(rollout) = &manifest.rollout {
        text = format!("{text}, {}", shown_rollout(rollout));
    }
    text
}

/// What the entity has, as far as a manifest can say it: all hooks have one limit.
fn rollout_of(app: &AppView) -> Rollout {
    let limit = app.hook_limit_ms.map_or(HOOK_LIMIT, Millis);
    let hooks = |shown: &[String]| {
        let hook = |text: &String| {
            let mut words = text.split_whitespace().map(str::to_owned);
            Some(Hook { path: words.next()?, arguments: words.collect(), limit })
        };
        shown.iter().filter_map(hook).collect()
    };
    let batch = crate::span::batch(&app.batch).unwrap_or_default();
    Rollout { batch, check: hooks(&app.check_hooks), after: hooks(&app.after_hooks) }
}

/// How revisions get onto the members, in words.
pub(crate) fn shown_rollout(rollout: &Rollout) -> String {
    let hooks = |kind: &str, hooks: &[Hook]| {
        let shown: Vec<String> = hooks.iter().map(Hook::shown).collect();
        if shown.is_empty() { String::new() } else { format!(", {kind} {}", shown.join(" and ")) }
    };
    format!("batch {}{}{}", rollout.batch, hooks("check", &rollout.check), hooks("after", &rollout.after))
}

/// How a tree is handled, as people write it.
pub(crate) fn handled(handling: &Handling) -> String {
    let mut text = format!("switching {}", handling.switching.name());
    if handling.owners {
        text += ", owners";
    }
    if !handling.xattrs.is_empty() {
        text = format!("{text}, xattrs {}", handling.xattrs.join(" "));
    }
    text
}

/// The policy as people write it.
pub(crate) fn policy(policy: Policy) -> &'static str {
    match policy {
        Policy::Majority => "majority",
        Policy::Certified => "certified",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> std::result::Result<Manifest, Vec<String>> {
        let file = File { name: "shop.toml".to_owned(), text: text.to_owned() };
        parse(&file).map_err(|problems| {
            problems.iter().map(|problem| format!("{}: {}", file.position(problem), problem.what)).collect()
        })
    }

    #[test]
    fn a_name_is_enough() {
        let shop = Manifest {
            name: "shop".into(),
            root: "/srv/shop".into(),
            policy: Policy::Majority,
            handling: Handling::default(),
            placement: Placement::default(),
            unmanaged: Vec::new(),
            adopts: None,
            rollout: None,
        };
        assert_eq!(parsed("name = \"shop\"\n"), Ok(shop.clone()));
        let full = "name = \"shop\"\nroot = \"/var/www\"\npolicy = \"certified\"\n";
        let certified = Manifest { root: "/var/www".into(), policy: Policy::Certified, ..shop.clone() };
        assert_eq!(parsed(full), Ok(certified));
        let owned = Handling { owners: true, xattrs: vec!["user.*".into()], ..Handling::default() };
        let owned = Manifest { handling: owned, ..shop.clone() };
        let text = "application shop at /srv/shop on all members, policy majority, switching in-place, owners, xattrs user.*";
        assert_eq!((shown(&owned).as_str(), parsed(&owned.text())), (text, Ok(owned)));
        let problems = parsed("name = \"shop\"\nxattrs = [\"trusted.*\"]\n").expect_err("not one of them");
        assert_eq!(problems, [format!("shop.toml:2:10: has \"trusted.*\", which {XATTR}")]);
        let release = Handling { switching: Switching::Release, ..Handling::default() };
        let release = Manifest { handling: release, ..shop };
        let text = "name = \"shop\"\nswitching = \"release\"\n";
        assert_eq!(parsed(text).as_ref(), Ok(&release));
        let text = "application shop at /srv/shop on all members, policy majority, switching release";
        assert_eq!((shown(&release).as_str(), parsed(&release.text())), (text, Ok(release)));
        let problems = parsed("name = \"shop\"\nswitching = \"releases\"\n").expect_err("no such word");
        assert_eq!(problems, ["shop.toml:2:13: is neither `in-place` nor `release`"]);
    }

    #[test]
    fn what_is_printed_is_read_again_and_differs_in_nothing() {
        let full = "name = \"shop\"\nroot = \"/var/www\"\npolicy = \"certified\"\ngroups = [\"cache\", \"web\"]\n\
                    unmanaged = [\"log/**\", \"it's \\\"quoted\\\"\"]\nadopt = false\n";
        let manifest = parsed(full).expect("valid");
        assert_eq!(manifest.placement, Placement::of(["web", "cache"]));
        assert_eq!(manifest.unmanaged, ["log/**", "it's \"quoted\""]);
        let again = parsed(&manifest.text()).expect("printed");
        assert_eq!((again.differences(&manifest), &again), (Vec::new(), &manifest));
        assert_eq!(manifest.redefinition(&again), (None, Definition::default()));
    }

    #[test]
    fn a_difference_says_what_was_and_what_would_be() {
        let is = parsed("name = \"shop\"\nunmanaged = [\"log/**\", \"tmp\"]\nadopt = true\n").expect("valid");
        let new = parsed("name = \"shop\"\ngroups = [\"web\"]\nunmanaged = [\"tmp\"]\n").expect("valid");
        let told: Vec<String> =
            new.differences(&is).iter().map(|it| format!("{}: {} → {}", it.key, it.from, it.to)).collect();
        assert_eq!(told, ["groups: all members → group web", "unmanaged: log/** tmp → tmp"]);
        assert_eq!(new.managed_again(&is), ["log/**"]);
        let (placement, definition) = new.redefinition(&is);
        assert_eq!(placement, Some(Placement::of(["web"])));
        assert_eq!(definition, Definition { unmanaged: Some(vec!["tmp".into()]), ..Definition::default() });
    }

    #[test]
    fn lists_and_flags_have_their_kinds() {
        let text = "name = \"a\"\ngroups = \"web\"\nunmanaged = [\"../x\"]\nadopt = \"yes\"\n";
        let problems = parsed(text).expect_err("three");
        let ends = [
            "is a text, and `groups` is a list of texts",
            PATTERN,
            "is a text, and `adopt` is true or false",
        ];
        assert_eq!(problems.len(), ends.len(), "{problems:?}");
        problems.iter().zip(ends).for_each(|(problem, end)| assert!(problem.ends_with(end), "{problem}"));
    }

    #[test]
    fn a_manifest_says_how_revisions_get_onto_the_members() {
        let text = "name = \"shop\"\n[update]\nbatch = 2\n[hooks]\ncheck = \"hooks/check --all\"\nafter = [\"hooks/reload\"]\nlimit = \"5s\"\n";
        let rollout = parsed(text).expect("a manifest").rollout.expect("a roll-out");
        let limit = Millis(5_000);
        let check = Hook { path: "hooks/check".into(), arguments: vec!["--all".into()], limit };
        let after = Hook { path: "hooks/reload".into(), arguments: Vec::new(), limit };
        let expected = Rollout { batch: Batch::Members(2), check: vec![check], after: vec![after] };
        assert_eq!(rollout, expected);
        for (text, problem) in [
            ("[update]\nbatch = 0\n", "is no batch"),
            ("[update]\nbatch = \"101%\"\n", "is no batch"),
            ("[hooks]\nafter = \"/bin/true\"\n", "is no list of up to 4 hooks"),
            ("[hooks]\nlimit = \"11m\"\n", "is no time of up to 10 minutes"),
        ] {
            let problems = parsed(&format!("name = \"shop\"\n{text}")).expect_err("a problem");
            assert!(problems.len() == 1 && problems[0].contains(problem), "{problems:?}");
        }
    }

    #[test]
    fn every_problem_is_told_with_its_place() {
        let text = "name = \"a b\"\nroot = \"../etc\"\npolicy = 3\npolcy = \"majority\"\n";
        let problems = parsed(text).expect_err("four");
        let starts = ["shop.toml:1:8: ", "shop.toml:2:8: ", "shop.toml:3:10: ", "shop.toml:4:1: "];
        assert_eq!(problems.len(), starts.len(), "{problems:?}");
        for (problem, start) in problems.iter().zip(starts) {
            assert!(problem.starts_with(start), "{problem}");
        }
        assert!(problems[3].ends_with("did you mean `policy`?"), "{problems:?}");
        assert_eq!(parsed("").expect_err("nothing").len(), 1);
    }

    #[test]
    fn the_error_is_that_of_the_page() {
        let file =
            File { name: "shop.toml".to_owned(), text: "name = \"shop\"\nroot = \"srv\"\n".to_owned() };
        let problems = parse(&file).expect_err("a root");
        let screen = invalid(&file, Path::new("shop.toml"), &problems).screen(&crate::render::Look::plain());
        let expected = "\
error: the manifest is not valid                                      [E501 manifest-invalid]
  shop.toml:2:8
  1 | name = \"shop\"
  2 | root = \"srv\"
    |        ^^^^^ is not a root: an absolute path without `.` and `..`, not `/` itself
  try  althing app check shop.toml   look again when it is changed
";
        assert_eq!(screen, expected);
    }
}
