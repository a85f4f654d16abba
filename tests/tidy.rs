//! Rules of the repository that no compiler checks (style.md "Enforcement").

#[path = "e2e/errors/table.rs"]
#[allow(dead_code, reason = "the commands are run by the tests with real daemons")]
mod errors;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use althing_protocol::control::Code;
use anyhow::{Context, Result, ensure};

/// Lines of a Rust file, at most.
const LINES: usize = 900;

fn workspace() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace")
}

/// Files below the workspace with this ending, as git knows them, or as they lie there without git.
fn files(ending: &str) -> Result<Vec<(String, String)>> {
    let root = workspace()?;
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()?;
    let mut names: Vec<PathBuf> = String::from_utf8(listed.stdout)?
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(PathBuf::from)
        .collect();
    if !listed.status.success() {
        names = walk(root)?;
    }
    let wanted = names.into_iter().filter(|name| name.to_string_lossy().ends_with(ending));
    let present = wanted.filter(|name| root.join(name).is_file());
    present
        .map(|name| Ok((name.to_string_lossy().into_owned(), std::fs::read_to_string(root.join(&name))?)))
        .collect()
}

fn walk(root: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut open) = (Vec::new(), vec![root.to_owned()]);
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            let skipped = path.file_name().is_some_and(|name| name == "target" || name == ".git");
            if path.is_dir() && !skipped {
                open.push(path);
            } else if path.is_file() {
                found.push(path.strip_prefix(root)?.to_owned());
            }
        }
    }
    Ok(found)
}

/// `check` says what is wrong with a line, if anything.
fn lines(ending: &str, check: impl Fn(&str, &str) -> Option<String>) -> Result<()> {
    let mut wrong = Vec::new();
    for (path, text) in files(ending)? {
        for (number, line) in text.lines().enumerate() {
            wrong.extend(check(&path, line).map(|what| format!("{path}:{}: {what}", number + 1)));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn files_are_short() -> Result<()> {
    let found = files(".rs")?;
    ensure!(found.len() > 50, "only {} files were found", found.len());
    let long: Vec<String> = found
        .iter()
        .filter(|(_, text)| text.lines().count() > LINES)
        .map(|(path, text)| format!("{path} has {} lines", text.lines().count()))
        .collect();
    ensure!(long.is_empty(), "more than {LINES} lines: {long:?}");
    Ok(())
}

#[test]
fn nothing_is_left_to_do() -> Result<()> {
    // Written so that this file does not find itself.
    let words = ["todo", "unimplemented", "dbg"].map(|word| format!("{word}!("));
    let marks = [concat!("FIX", "ME"), concat!("XX", "X")];
    lines(".rs", |_, line| {
        let word = words.iter().find(|word| line.contains(word.as_str()));
        let mark = marks.iter().find(|mark| line.contains(**mark));
        word.cloned().or_else(|| mark.map(|mark| (*mark).to_owned()))
    })
}

#[test]
fn modules_say_what_they_are_about() -> Result<()> {
    let vague = ["util", "utils", "common", "helper", "helpers", "misc", "manager"];
    lines(".rs", |_, line| {
        let rest = line.trim_start().trim_start_matches("pub(crate) ").trim_start_matches("pub ");
        let name = rest.strip_prefix("mod ")?.trim_end_matches([';', '{', ' ']).to_owned();
        vague.contains(&name.as_str()).then(|| format!("a module named {name}"))
    })?;
    if let Some((path, _)) = files("/mod.rs")?.first() {
        anyhow::bail!("{path}: a module's file is named after it");
    }
    Ok(())
}

#[test]
fn every_file_begins_with_what_it_is_for() -> Result<()> {
    for (path, text) in files(".rs")? {
        ensure!(text.starts_with("//! "), "{path} has no header");
    }
    Ok(())
}

/// What names these crates as a path or an import.
fn names(line: &str, krate: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.contains(&format!("{krate}::")) || code.trim_start().starts_with(&format!("use {krate}"))
}

#[test]
fn big_dependencies_stay_behind_their_doors() -> Result<()> {
    lines(".rs", |path, line| {
        let net = path == "node/src/net.rs" || path.starts_with("node/src/net/");
        if names(line, "libp2p") && !net {
            return Some("libp2p outside of node/src/net".to_owned());
        }
        (names(line, "rocksdb") && !path.starts_with("store/")).then(|| "rocksdb outside of store".to_owned())
    })
}

#[test]
fn documents_have_one_title() -> Result<()> {
    for (path, text) in files(".md")?.iter().filter(|(path, _)| path.starts_with("docs/")) {
        let mut fenced = false;
        let titles = text.lines().filter(|line| {
            fenced ^= line.starts_with("```");
            !fenced && line.starts_with("# ")
        });
        let count = titles.count();
        ensure!(count == 1, "{path} has {count} titles");
        ensure!(text.starts_with("# "), "{path} does not begin with its title");
    }
    Ok(())
}

#[test]
fn error_codes_are_used_once() -> Result<()> {
    let numbers: BTreeSet<_> = Code::ALL.iter().map(|code| code.number()).collect();
    let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
    ensure!(numbers.len() == Code::ALL.len(), "a number is used twice");
    ensure!(names.len() == Code::ALL.len(), "a name is used twice");
    for code in Code::ALL {
        let digits = code.number().strip_prefix('E').filter(|digits| digits.len() == 3);
        ensure!(digits.is_some_and(|digits| digits.parse::<u16>().is_ok()), "{code:?}");
        ensure!(code.meaning().ends_with('.'), "{code:?}: {}", code.meaning());
    }
    Ok(())
}

/// Each code of the registry is raised by something.
#[test]
fn every_error_code_has_a_test_that_raises_it() -> Result<()> {
    let rows: Vec<&str> = errors::ROWS.iter().map(|row| row.code).collect();
    for code in Code::ALL {
        ensure!(
            rows.contains(&code.number()),
            "{} ({}) has no row in tests/e2e/errors/table.rs: write `here(\"{0}\", &[asked(\"COMMAND\", \"PART OF THE \
             MESSAGE\")])` if a command on a small entity raises it and changes nothing, or `by(\"{0}\", \"TEST\")` with the \
             test that brings about what it needs",
            code.number(),
            code.name()
        );
    }
    let mut sorted = rows.clone();
    sorted.sort_unstable();
    sorted.dedup();
    ensure!(rows == sorted, "the rows are not in the order of their numbers, each once");
    let unknown = rows.iter().find(|row| !Code::ALL.iter().any(|code| code.number() == **row));
    ensure!(unknown.is_none(), "{unknown:?} is no code of the registry");
    let sources = files(".rs")?;
    for row in errors::ROWS {
        let errors::Raised::By(test) = &row.raised else { continue };
        let code = Code::ALL.iter().find(|code| code.number() == row.code).context("a code")?;
        let shown = sources.iter().any(|(path, text)| {
            let table = path.ends_with("errors/table.rs");
            let names = text.contains(row.code) || text.contains(&format!("Code::{code:?}"));
            !table && names && text.contains(&format!("fn {test}("))
        });
        ensure!(shown, "{} is said to be raised by {test}, which is not there or does not name it", row.code);
    }
    Ok(())
}

#[test]
fn the_protocol_names_its_invariants() -> Result<()> {
    let page = workspace()?.join("docs/PROTOCOL.md");
    let directory = workspace()?.join("simulations/src/invariants");
    let (Ok(page), Ok(listing)) = (std::fs::read_to_string(page), std::fs::read_dir(directory)) else {
        eprintln!("skipped: docs/PROTOCOL.md or simulations/src/invariants is not there yet");
        return Ok(());
    };
    for entry in listing {
        let name = entry?.file_name().to_string_lossy().into_owned();
        ensure!(page.contains(&name), "docs/PROTOCOL.md does not name simulations/src/invariants/{name}");
    }
    Ok(())
}

/// No link to a file that moved.
#[test]
fn links_between_documents_lead_somewhere() -> Result<()> {
    let root = workspace()?;
    for (path, text) in files(".md")? {
        let from = root.join(&path);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let local = targets
            .filter(|target| !target.contains("://") && !target.starts_with('#') && !target.contains(' '));
        for target in local {
            let file = target.split('#').next().unwrap_or_default();
            let to = from.parent().context("a file is in a directory")?.join(file);
            ensure!(to.exists(), "{path} links to {target}, which is not there");
        }
    }
    Ok(())
}

/// Each of the review's findings has its row, and each test that a row names is somewhere.
#[test]
fn every_finding_is_answered_by_tests_that_exist() -> Result<()> {
    let page = std::fs::read_to_string(workspace()?.join("docs/findings.md"))?;
    let sources = files(".rs")?;
    let mut rows = Vec::new();
    for line in page.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, number, _, _, _, tests, _] = cells[..] else { continue };
        let Ok(number) = number.parse::<u32>() else { continue };
        rows.push(number);
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).filter(|name| name.len() > 20).collect();
        let excused = tests.starts_with("open: ") || tests.starts_with("waits for ");
        ensure!(excused || !named.is_empty(), "finding {number} names no test and does not say why");
        for name in named {
            let function = format!("fn {name}(");
            let there = sources.iter().any(|(_, text)| text.contains(&function));
            ensure!(there, "finding {number} names {name}, which is not there");
        }
    }
    ensure!(rows == (1..=45).collect::<Vec<u32>>(), "rows for {rows:?}");
    Ok(())
}
