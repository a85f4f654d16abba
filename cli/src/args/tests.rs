//! The tree of commands, its help, and what others say that people should type.

use std::collections::BTreeMap;

use clap::CommandFactory as _;

use super::*;

#[test]
fn clap_accepts_the_tree() {
    Cli::command().debug_assert();
}

/// Names in the root help: what stands alone between two runs of two or more spaces.
fn names_in_root_help() -> BTreeMap<String, usize> {
    let mut names = BTreeMap::new();
    let commands = ROOT_HELP.lines().skip(2).take_while(|line| !line.is_empty());
    for line in commands {
        let columns = line[11..].split("  ").map(str::trim).filter(|column| !column.is_empty());
        for name in columns.filter(|column| !column.contains(' ')) {
            *names.entry(name.to_owned()).or_insert(0) += 1;
        }
    }
    names
}

#[test]
fn root_help_has_each_command_exactly_once() {
    let visible: BTreeMap<String, usize> = Cli::command()
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .map(|command| (command.get_name().to_owned(), 1))
        .collect();
    assert_eq!(names_in_root_help(), visible);
    assert!(ROOT_HELP.lines().count() <= 50);
    assert!(ROOT_HELP.lines().all(|line| line.chars().count() <= 100));
}

fn leaves(command: &clap::Command, path: &str, found: &mut Vec<(String, clap::Command)>) {
    for sub in command.get_subcommands() {
        let path = format!("{path} {}", sub.get_name());
        found.push((path.clone(), sub.clone()));
        leaves(sub, &path, found);
    }
}

#[test]
fn every_command_has_help_and_examples_that_parse() {
    let mut found = Vec::new();
    leaves(&Cli::command(), "althing", &mut found);
    assert!(found.len() > 40);
    for (path, command) in found {
        assert!(command.get_about().is_some(), "{path} has no help");
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples: Vec<&str> =
            after.lines().map(str::trim).filter(|line| line.starts_with("althing ")).collect();
        assert!(!examples.is_empty(), "{path} has no example");
        for example in examples {
            let own = example.split(" | ").next().and_then(|own| own.split(" > ").next());
            let words = crate::span::words(own.unwrap_or_default());
            let parsed = Cli::command().try_get_matches_from(words);
            assert!(parsed.is_ok(), "{path}: {example}: {:?}", parsed.err());
        }
    }
}

#[test]
fn flags_may_stand_before_and_after_verbs() {
    for line in [
        "althing --json app diff shop --member web7",
        "althing app --json diff shop --member web7",
        "althing app diff shop --member web7 --json",
        "althing invite --json list",
        "althing --on web4 update abort shop -y",
        "althing members",
        "althing apps",
        "althing votes shop",
        "althing invite --uses 3 --for 1h",
    ] {
        let parsed = Cli::try_parse_from(line.split(' '));
        assert!(parsed.is_ok(), "{line}: {:?}", parsed.err());
    }
    for line in ["althing statsu", "althing stat", "althing app new"] {
        assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
    }
}

/// Commands in the sources of what refuses and explains: literals that begin with the name of the program.
fn suggested(dir: &std::path::Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).expect("a directory of the workspace").flatten() {
        let path = entry.path();
        if path.is_dir() {
            suggested(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).expect("a source");
            let literals = source.split("\"althing ").skip(1).filter_map(|rest| rest.split('"').next());
            found.extend(literals.map(|rest| format!("althing {rest}")));
        }
    }
}

/// The line with something in the place of what is filled in: a number, which is also a good name.
fn filled_in(line: &str) -> String {
    let mut pieces = line.split('{');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |line, piece| line + "1" + piece.split_once('}').map_or("", |(_, rest)| rest))
}

#[test]
fn every_remedy_of_the_workspace_parses() {
    /// The protocol has no such command yet; to be emptied with it.
    const NOT_YET: &[&str] = &[];
    let workspace = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    for name in ["protocol/src", "node/src"] {
        suggested(&workspace.join(name), &mut found);
    }
    // Domains of hashes look like commands.
    found.retain(|line| !line.ends_with(|c: char| c.is_ascii_digit()));
    assert!(found.len() > 20, "{found:?}");
    let is_wrong = |line: &String| match Cli::try_parse_from(filled_in(line).split_whitespace()) {
        Ok(_) => false,
        Err(error) => error.kind() != clap::error::ErrorKind::DisplayHelp,
    };
    found.retain(is_wrong);
    assert_eq!(found, NOT_YET);
}
