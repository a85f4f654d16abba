//! The file that says what an application is, for `app check` and `app apply`: TOML with name, root, policy and
//! switching.

use std::path::Path;

use althing_protocol::control::Code;
use althing_protocol::handling::{Handling, Switching};
use althing_protocol::record::Policy;
use althing_protocol::validity::{check_label, check_root};

use crate::error::{Failure, Result};
use crate::toml_file::{Entry, File, Problem, Value, closest};

/// Keys that a manifest may have.
const KEYS: [&str; 4] = ["name", "root", "policy", "switching"];

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
    let mut text = |key: &str| text_of(&entries, key, &mut problems);
    let (name, root, policy) = (text("name"), text("root"), text("policy"));
    let switching = text("switching");
    if let Some((name, entry)) = &name
        && check_label(name).is_err()
    {
        let what = "is not a name: letters, digits, `-`, `_` and `.`, at most 63 of them";
        problems.push(Problem::new(entry.value_at.clone(), what));
    }
    if let Some((root, entry)) = &root
        && check_root(root).is_err()
    {
        let what = "is not a root: an absolute path without `.` and `..`, not `/` itself";
        problems.push(Problem::new(entry.value_at.clone(), what));
    }
    let policy = match policy.as_ref().map(|(text, entry)| (text.as_str(), entry)) {
        None | Some(("majority", _)) => Policy::Majority,
        Some(("certified", _)) => Policy::Certified,
        Some((_, entry)) => {
            let what = "is neither `majority` nor `certified`";
            problems.push(Problem::new(entry.value_at.clone(), what));
            Policy::Majority
        }
    };
    let switching = switching.and_then(|(text, entry)| {
        let known = Switching::parse(&text);
        if known.is_none() {
            let what = "is neither `in-place` nor `release`";
            problems.push(Problem::new(entry.value_at.clone(), what));
        }
        known
    });
    if !entries.iter().any(|entry| entry.key == "name") {
        problems.push(Problem::new(0..0, "the manifest has no `name`"));
    }
    problems.sort_by_key(|problem| problem.at.start);
    match name {
        Some((name, _)) if problems.is_empty() => {
            let root = root.map_or_else(|| format!("/srv/{name}"), |(root, _)| root);
            let handling = Handling { switching: switching.unwrap_or_default() };
            Ok(Manifest { name, root, policy, handling })
        }
        _ => Err(problems),
    }
}

fn text_of<'a>(entries: &'a [Entry], key: &str, problems: &mut Vec<Problem>) -> Option<(String, &'a Entry)> {
    let entry = entries.iter().find(|entry| entry.key == key)?;
    match &entry.value {
        Value::Text(text) => Some((text.clone(), entry)),
        Value::Other(kind) => {
            problems.push(Problem::new(entry.value_at.clone(), format!("is {kind}, and `{key}` is a text")));
            None
        }
    }
}

/// The file in full, as `app check` shows it.
pub(crate) fn shown(manifest: &Manifest) -> String {
    let Manifest { name, root, handling, .. } = manifest;
    let switching = match handling.switching {
        Switching::InPlace => String::new(),
        other => format!(", switching {}", other.name()),
    };
    format!("application {name} at {root}, policy {}{switching}", policy(manifest.policy))
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
        let (name, root, handling) = ("shop".into(), "/srv/shop".into(), Handling::default());
        let shop = Manifest { name, root, policy: Policy::Majority, handling };
        assert_eq!(parsed("name = \"shop\"\n"), Ok(shop.clone()));
        let full = "name = \"shop\"\nroot = \"/var/www\"\npolicy = \"certified\"\n";
        let certified = Manifest { root: "/var/www".into(), policy: Policy::Certified, ..shop.clone() };
        assert_eq!(parsed(full), Ok(certified));
        let release = Manifest { handling: Handling { switching: Switching::Release }, ..shop };
        let text = "name = \"shop\"\nswitching = \"release\"\n";
        assert_eq!(parsed(text).as_ref(), Ok(&release));
        assert_eq!(shown(&release), "application shop at /srv/shop, policy majority, switching release");
        let problems = parsed("name = \"shop\"\nswitching = \"releases\"\n").expect_err("no such word");
        assert_eq!(problems, ["shop.toml:2:13: is neither `in-place` nor `release`"]);
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
