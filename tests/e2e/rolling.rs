//! Revisions go from member to member, with programs of the application around them (findings 20, 21, 28).

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use althing_tests::{Cluster, story, wait_until};
use anyhow::{Context, Result, ensure};

const LIMIT: Duration = Duration::from_secs(60);

/// A directory with a page and, as programs, these hooks.
fn site(at: &Path, page: &str, hooks: &[(&str, &str)]) -> Result<String> {
    fs::create_dir_all(at.join("hooks"))?;
    fs::write(at.join("index.html"), page)?;
    for (name, script) in hooks {
        let path = at.join("hooks").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(at.to_string_lossy().into_owned())
}

/// Defines the application with a manifest and deploys its first revision.
fn define(cluster: &mut Cluster, manifest: &str, from: &str) -> Result<()> {
    let file = cluster.path("shop.toml");
    fs::write(&file, format!("name = \"shop\"\n{manifest}"))?;
    let file = file.to_string_lossy().into_owned();
    cluster.web(1).json(&["app", "apply", &file])?;
    cluster.web(1).json(&["deploy", "shop", "--from", from])?;
    cluster.agreed("shop", 1, LIMIT)?;
    Ok(())
}

fn page(cluster: &mut Cluster, number: usize) -> String {
    let path = cluster.web(number).root("shop").join("index.html");
    fs::read_to_string(path).unwrap_or_default()
}

/// Every run of the after hook leaves a line here: when it began and when it ended.
fn journal(cluster: &Cluster) -> PathBuf {
    cluster.path("journal")
}

#[test]
fn members_apply_one_after_the_other_in_the_order_of_the_roster() {
    story(3, |cluster| {
        let journal = journal(cluster);
        let script = format!(
            "echo \"begin $ALTHING_MEMBER $ALTHING_REVISION\" >> {0}; sleep 0.3; echo \"end $ALTHING_MEMBER $ALTHING_REVISION\" >> {0}",
            journal.display()
        );
        let from = site(&cluster.path("one"), "one", &[("after", &script)])?;
        define(cluster, "[update]\nbatch = 1\n[hooks]\nafter = \"hooks/after\"\n", &from)?;
        let from = site(&cluster.path("two"), "two", &[("after", &script)])?;
        fs::remove_file(&journal)?;
        let ran = cluster.web(2).run(&[
            "deploy",
            "shop",
            "--from",
            &from,
            "--wait",
            "--timeout",
            "60s",
            "--json",
        ])?;
        let ran = ran.ended(0)?;
        let steps: Vec<serde_json::Value> =
            ran.stderr.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        let last = steps.last().context("a last step")?;
        ensure!(last["schema"] == "althing.progress/1" && last["done"] == 3, "{last}");
        let document: serde_json::Value = serde_json::from_str(&ran.stdout).context("one document")?;
        ensure!(document["schema"] == "althing.update/1" && document["result"] == "committed", "{document}");
        let said = fs::read_to_string(&journal)?;
        let expected = "begin web1 2\nend web1 2\nbegin web2 2\nend web2 2\nbegin web3 2\nend web3 2\n";
        ensure!(said == expected, "{said}");
        cluster.agreed("shop", 2, LIMIT)?;
        Ok(())
    });
}

#[test]
fn a_check_that_fails_on_one_member_settles_nothing_and_says_where_and_why() {
    story(3, |cluster| {
        // The check of the revision in force looks at what is staged, on each member.
        let script = "if [ \"$ALTHING_MEMBER\" = web3 ] && grep -q broken index.html; then echo no good page; exit 7; fi";
        let from = site(&cluster.path("one"), "one", &[("check", script)])?;
        define(cluster, "[hooks]\ncheck = \"hooks/check\"\n", &from)?;
        // Whoever brings the content brings no check for it: the settled one runs.
        let from = site(&cluster.path("bad"), "broken", &[("check", "exit 0")])?;
        let refused = cluster.web(1).refused(1, "E423", &["deploy", "shop", "--from", &from])?;
        let facts = &refused["error"]["facts"];
        ensure!(facts["member"] == "web3", "{refused}");
        let check = facts["check"].as_str().unwrap_or_default();
        ensure!(
            check.contains("hooks/check") && check.contains("exit 7") && check.contains("no good page"),
            "{check}"
        );
        for number in 1..=3 {
            ensure!(cluster.web(number).revision("shop")?.0 == 1);
            ensure!(page(cluster, number) == "one");
        }
        let from = site(&cluster.path("good"), "two", &[("check", script)])?;
        cluster.web(1).json(&["deploy", "shop", "--from", &from])?;
        cluster.agreed("shop", 2, LIMIT)?;
        Ok(())
    });
}

#[test]
fn a_canary_whose_after_hook_fails_brings_everybody_back() {
    story(3, |cluster| {
        let from = site(&cluster.path("one"), "one", &[("after", "exit 0")])?;
        define(cluster, "[update]\nbatch = 1\n[hooks]\nafter = \"hooks/after\"\n", &from)?;
        let from = site(&cluster.path("bad"), "two", &[("after", "echo cannot start >&2; exit 3")])?;
        let words = ["deploy", "shop", "--from", &from, "--probation", "5m", "--wait", "--timeout", "60s"];
        let ran = cluster.web(2).run(&[&words[..], &["--json"]].concat())?.ended(1)?;
        let error: serde_json::Value =
            serde_json::from_str(ran.stderr.lines().last().unwrap_or_default()).context("an error")?;
        ensure!(error["error"]["code"] == "E426", "{error}");
        for number in 1..=3 {
            wait_until(LIMIT, "everybody is back", || {
                let page = page(cluster, number);
                if page == "one" { Ok(()) } else { Err(page) }
            })?;
        }
        cluster.agreed("shop", 3, LIMIT)?;
        let history = cluster.web(3).json(&["app", "history", "shop"])?;
        let newest = &history["revisions"][0];
        ensure!(newest["undoes"] == 2, "{history}");
        let reason = newest["reason"].as_str().unwrap_or_default();
        ensure!(reason.contains("web1") && reason.contains("exit 3: cannot start"), "{reason}");
        // Nobody but the canary has ever seen it.
        for number in 2..=3 {
            let events = cluster.web(number).json(&["events", "--kind", "revision.applied", "--app", "shop"]);
            let trash = cluster.web(number).json(&["trash", "list", "shop"])?;
            ensure!(!trash.to_string().contains("index.html"), "{trash} {events:?}");
        }
        Ok(())
    });
}

#[test]
fn a_rollout_that_a_hook_stops_goes_on_when_somebody_says_so() {
    story(3, |cluster| {
        let from = site(&cluster.path("one"), "one", &[("after", "exit 0")])?;
        define(cluster, "[update]\nbatch = 1\n[hooks]\nafter = \"hooks/after\"\n", &from)?;
        let script = "[ \"$ALTHING_MEMBER\" != web1 ] || exit 4";
        let from = site(&cluster.path("two"), "two", &[("after", script)])?;
        let words = ["deploy", "shop", "--from", &from, "--wait", "--json"];
        let ran = cluster.web(3).run(&words)?.ended(1)?;
        ensure!(ran.stderr.contains("E425") && ran.stderr.contains("exit 4"), "{ran:?}");
        ensure!(page(cluster, 1) == "two" && page(cluster, 2) == "one" && page(cluster, 3) == "one");
        let shown = cluster.web(2).json(&["update", "status", "shop"])?;
        ensure!(shown["rollout"]["stopped"] == true, "{shown}");
        ensure!(shown["rollout"]["members"][1]["waits_for"][0] == "web1", "{shown}");
        let why = cluster.web(2).json(&["why", "web1"])?;
        ensure!(why["because"] == "hook-fails", "{why}");
        cluster.web(2).json(&["update", "commit", "shop", "--continue", "-y"])?;
        for number in 2..=3 {
            wait_until(LIMIT, "it goes on", || {
                let page = page(cluster, number);
                if page == "two" { Ok(()) } else { Err(page) }
            })?;
        }
        Ok(())
    });
}

#[test]
fn a_window_with_auto_settles_edits_that_have_rested() {
    story(3, |cluster| {
        let from = site(&cluster.path("one"), "one", &[])?;
        cluster.web(1).json(&["app", "new", "shop", "--from", &from])?;
        cluster.agreed("shop", 1, LIMIT)?;
        cluster.web(2).json(&["update", "open", "shop", "--auto", "--quiet-for", "500ms"])?;
        for (revision, text) in [(2, "two"), (3, "three")] {
            fs::write(cluster.web(2).root("shop").join("index.html"), text)?;
            for number in [1, 3] {
                wait_until(LIMIT, "what has rested is everywhere", || {
                    let page = page(cluster, number);
                    if page == text { Ok(()) } else { Err(page) }
                })?;
            }
            ensure!(cluster.web(3).revision("shop")?.0 == revision);
        }
        let shown = cluster.web(1).json(&["update", "status", "shop"])?;
        ensure!(shown["window"]["auto_quiet_ms"] == 500, "{shown}");
        cluster.web(2).refused(75, "E412", &["deploy", "shop", "--from", &from])?;
        cluster.web(2).json(&["update", "abort", "shop", "-y"])?;
        cluster.agreed("shop", 3, LIMIT)?;
        Ok(())
    });
}

#[test]
fn a_machine_that_forbids_hooks_runs_none() {
    story(1, |cluster| {
        let journal = journal(cluster);
        let script = format!("echo ran >> {}", journal.display());
        let from = site(&cluster.path("one"), "one", &[("after", &script)])?;
        let config = cluster.path("althing.toml");
        fs::write(&config, "[hooks]\nallowed = false\n")?;
        cluster.web(1).kill();
        cluster.web(1).configure(&config);
        cluster.web(1).start()?;
        define(cluster, "[hooks]\nafter = \"hooks/after\"\n", &from)?;
        let from = site(&cluster.path("two"), "two", &[("after", &script)])?;
        cluster.web(1).json(&["deploy", "shop", "--from", &from, "--wait"]).ok();
        cluster.agreed("shop", 2, LIMIT)?;
        let told = cluster.web(1).run(&["events", "--kind", "hook.skipped", "--app", "shop"])?.ended(0)?;
        ensure!(told.stdout.contains("forbids hooks"), "{told:?}");
        ensure!(!journal.exists(), "it ran");
        Ok(())
    });
}

#[test]
fn a_hook_that_ran_when_its_daemon_was_killed_is_ended_and_runs_again() {
    story(1, |cluster| {
        let journal = journal(cluster);
        let from = site(&cluster.path("one"), "one", &[("after", "exit 0")])?;
        define(cluster, "[hooks]\nafter = \"hooks/after\"\n", &from)?;
        let quick = cluster.path("quick");
        let script = format!(
            "[ -e {1} ] || s=600; echo \"begin $$\" >> {0}; sleep \"${{s:-0}}\"; echo end >> {0}",
            journal.display(),
            quick.display()
        );
        let from = site(&cluster.path("two"), "two", &[("after", &script)])?;
        cluster.web(1).json(&["deploy", "shop", "--from", &from])?;
        let said = || fs::read_to_string(&journal).unwrap_or_default();
        wait_until(LIMIT, "the hook runs", || if said().ends_with('\n') { Ok(()) } else { Err(said()) })?;
        let first = said().trim().trim_start_matches("begin ").to_owned();
        cluster.web(1).kill();
        ensure!(Path::new("/proc").join(&first).exists(), "it outlives its daemon");
        fs::write(&quick, "")?;
        cluster.web(1).start()?;
        wait_until(LIMIT, "it runs again", || if said().contains("end") { Ok(()) } else { Err(said()) })?;
        let lines: Vec<String> = said().lines().map(str::to_owned).collect();
        ensure!(lines.len() == 3 && lines[1].starts_with("begin ") && lines[2] == "end", "{lines:?}");
        let state = fs::read_to_string(format!("/proc/{first}/stat")).unwrap_or_default();
        ensure!(state.is_empty() || state.contains(") Z "), "the first was ended: {state}");
        cluster.agreed("shop", 2, LIMIT)?;
        Ok(())
    });
}
