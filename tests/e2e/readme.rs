//! What the README promises can be typed.

use std::path::Path;
use std::process::Command;

use althing_tests::{Cluster, Ran, program};
use anyhow::{Context, Result, ensure};

fn workspace() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace")
}

/// The README, once it is there.
fn readme() -> Result<Option<String>> {
    let path = workspace()?.join("README.md");
    if !path.exists() {
        eprintln!("skipped: there is no README.md yet");
        return Ok(None);
    }
    Ok(Some(std::fs::read_to_string(path)?))
}

#[test]
fn its_two_commands_exist() -> Result<()> {
    for target in ["demo", "test"] {
        let ran = Ran::of(Command::new("make").args(["-n", target]).current_dir(workspace()?), "")?;
        ensure!(ran.code == 0 && ran.stdout.contains("cargo"), "{ran:?}");
        if let Some(text) = readme()? {
            ensure!(text.contains(&format!("make {target}")), "README.md does not mention make {target}");
        }
    }
    Ok(())
}

/// The blocks fenced with ```sh.
fn sessions(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        match (&mut open, line.trim_end()) {
            (None, "```sh") => open = Some(String::new()),
            (Some(_), "```") => blocks.extend(open.take()),
            (Some(block), line) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, _) => {}
        }
    }
    blocks
}

/// Runs all ```sh blocks, one after the other in one shell, in a directory of their own with `althing` in the path.
/// What stands there must not need the sources: blocks that build are fenced otherwise (```console).
#[test]
fn its_sessions_run() -> Result<()> {
    let Some(text) = readme()? else { return Ok(()) };
    let script = sessions(&text).join("\n");
    let sandbox = Cluster::empty()?;
    let bin = program()?.parent().context("the program is in no directory")?;
    let path = std::env::var("PATH").unwrap_or_default();
    // Daemons that the session leaves behind end with its process group.
    let wrapped = format!(
        "set -eu\ntrap 'trap - TERM; kill 0' EXIT\n{script}\ntrap - EXIT\nkill $(jobs -p) 2>/dev/null || true\nwait\n"
    );
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", "120", "bash", "-c", &wrapped]).current_dir(sandbox.directory());
    command.env("PATH", format!("{}:{path}", bin.display())).env("HOME", sandbox.directory());
    let ran = Ran::of(&mut command, "")?;
    ensure!(ran.code == 0, "exit {}\n{}\n{}", ran.code, ran.stdout, ran.stderr);
    Ok(())
}

#[test]
fn sessions_are_found() {
    let text = "a\n```sh\none\ntwo\n```\n```console\nno\n```\n```sh\nthree\n```\n";
    assert_eq!(sessions(text), ["one\ntwo\n", "three\n"]);
}
