//! What scripts rely on: documents, exit codes, errors, and the life of an update (cli.md).

use std::fs;
use std::time::Duration;

use althing_protocol::control::Code;
use althing_tests::{Cluster, Json, Member, Ran, Site, program, story, wait_until};
use anyhow::{Result, ensure};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn three_members_answer_scripts() {
    story(3, |cluster| {
        let site = Site::make(&cluster.path("site"), 60, 5)?;
        cluster.web(1).json(&["app", "new", "shop", "--from", &site.root.to_string_lossy()])?;
        cluster.have(&[1, 2, 3], "shop", &site.tree, LIMIT)?;
        cluster.agreed("shop", 1, LIMIT)?;
        documents_have_envelopes(cluster)?;
        status_has_its_fields(cluster)?;
        refusals(cluster, &site)?;
        an_update_from_open_to_commit(cluster, &site)?;
        rollback_and_history(cluster, &site)?;
        waiting(cluster)?;
        edits_in_a_window(cluster)?;
        events_as_a_stream(cluster)?;
        screens_are_for_people(cluster)
    });
}

fn documents_have_envelopes(cluster: &mut Cluster) -> Result<()> {
    let reads: [(&[&str], &str); 22] = [
        (&["status"], "status"),
        (&["members"], "members"),
        (&["member", "show", "web2"], "member"),
        (&["apps"], "apps"),
        (&["app", "show", "shop"], "app"),
        (&["app", "items", "shop"], "items"),
        (&["app", "items", "shop", "section-01", "--observed"], "items"),
        (&["app", "diff", "shop"], "diff"),
        (&["app", "diff", "shop", "--member", "web3"], "diff"),
        (&["app", "history", "shop"], "history"),
        (&["app", "verify", "shop"], "verification"),
        (&["votes", "shop"], "votes"),
        (&["why"], "why"),
        (&["why", "app/shop"], "why"),
        (&["health"], "health"),
        (&["balance"], "balance"),
        (&["events", "--since", "1h"], "events"),
        (&["trash", "list"], "trash"),
        (&["invite", "list"], "invitations"),
        (&["update"], "updates"),
        (&["audit"], "audit"),
        (&["why", "--at", "1s"], "why"),
    ];
    for (words, schema) in reads {
        for (on, by) in [(&[] as &[&str], "web1"), (&["--on", "web3"], "web3"), (&["--on", "web1"], "web1")] {
            let document = cluster.web(1).json(&[words, on].concat())?;
            ensure!(document.text("/schema")? == format!("althing.{schema}/1"), "{words:?}: {document}");
            // Who has a live tree answers for it.
            let by = if words.contains(&"--member") { "web3" } else { by };
            ensure!(document.text("/answered_by")? == by, "{words:?} {on:?}: {document}");
            let at = document.text("/at")?;
            ensure!(at.ends_with('Z') && at.as_bytes().get(10) == Some(&b'T'), "{words:?}: {document}");
        }
    }
    Ok(())
}

fn status_has_its_fields(cluster: &mut Cluster) -> Result<()> {
    let status = cluster.web(2).json(&["status"])?;
    ensure!(status.text("/entity/name")? == "demo", "{status}");
    ensure!(status.text("/entity/id")?.starts_with("b3:"), "{status}");
    ensure!(status.number("/entity/epoch")? > 0 && status.number("/majority")? == 2, "{status}");
    ensure!(status.number("/members/total")? == 3 && status.number("/members/reachable")? == 3, "{status}");
    status.list("/attention")?;
    status.text("/health/state")?;
    let app = status.find("/applications", "name", "shop")?;
    ensure!(app.number("/revision")? == 1 && app.text("/root")?.starts_with("b3:"), "{status}");
    ensure!(app.number("/agree")? == 3 && app.number("/of")? == 3, "{status}");
    ensure!(app.text("/state")? == "agreed", "{status}");
    let balance = cluster.web(2).json(&["balance"])?;
    let shares = balance.list("/members")?.iter().filter_map(|share| share["share_ratio"].as_f64());
    let sum: f64 = shares.sum();
    ensure!((sum - 1.0).abs() < 0.001, "{balance}");
    Ok(())
}

fn refusals(cluster: &mut Cluster, site: &Site) -> Result<()> {
    let from = site.root.to_string_lossy().into_owned();
    let refused: [(i32, &str, &[&str]); 21] = [
        (64, "E001", &["statsu"]),
        (64, "E001", &["app", "new"]),
        (64, "E001", &["deploy", "shop"]),
        (64, "E001", &["wait", "--for", "sunshine"]),
        (64, "E001", &["status", "--timeout", "soon"]),
        (64, "E001", &["app", "new", "other", "--root", "srv/other"]),
        (64, "E001", &["update", "abort", "shop", "--no-input"]),
        (64, "E001", &["app", "rollback", "shop", "--to", "1", "--no-input"]),
        (65, "E103", &["app", "new", "no/name", "--from", &from]),
        (65, "E316", &["app", "new", "shop", "--from", &from]),
        (75, "E413", &["update", "commit", "shop", "-y"]),
        (75, "E413", &["update", "stage", "shop", "--from", &from]),
        (75, "E413", &["update", "diff", "shop"]),
        (105, "E401", &["member", "show", "web9"]),
        (105, "E401", &["status", "--on", "web9"]),
        (105, "E402", &["app", "show", "nothing"]),
        (105, "E402", &["deploy", "nothing", "--from", &from]),
        (105, "E402", &["vote", "nothing"]),
        (105, "E403", &["app", "rollback", "shop", "--to", "77", "-y"]),
        (105, "E404", &["trash", "restore", "nothing"]),
        (105, "E005", &["explain", "E999"]),
    ];
    for (exit, code, words) in refused {
        let error = cluster.web(1).refused(exit, code, words)?;
        ensure!(!error.text("/error/message")?.is_empty(), "{error}");
        ensure!(error.text("/error/explain")?.ends_with(code), "{error}");
        remedies_can_be_typed(&cluster.members[0], &error)?;
    }
    // Errors for people: nothing on standard output either, and the code at the end of the first line.
    let ran = cluster.web(1).run(&["app", "show", "nothing"])?.ended(105)?;
    ensure!(ran.stdout.is_empty() && ran.stderr.starts_with("error: "), "{ran:?}");
    ensure!(
        ran.stderr.lines().next().is_some_and(|line| line.ends_with("[E402 no-such-application]")),
        "{ran:?}"
    );
    // Nobody there.
    let nowhere = cluster.path("nowhere");
    let words = ["--dir", &nowhere.to_string_lossy(), "status", "--json"];
    let mut command = std::process::Command::new(program()?);
    Ran::of(command.args(words), "")?.refused(69, "E201")?;
    // A machine that is in no entity.
    cluster.add()?.refused(69, "E101", &["status"])?;
    cluster.members.pop();
    Ok(())
}

/// The program understands the commands it recommends, but for what stands in for a name.
fn remedies_can_be_typed(member: &Member, error: &Value) -> Result<()> {
    for remedy in error.list("/error/remedies")? {
        let words = remedy.texts("/command")?;
        ensure!(words.first() == Some(&"althing"), "{error}");
        if words.last() == Some(&"--help") {
            member.run(&words[1..])?.ended(0)?;
            continue;
        }
        let help = member.run(&[&words[1..], &["--help"]].concat())?;
        ensure!(help.code == 0 && help.stdout.contains("Usage"), "{words:?}: {help:?}");
    }
    Ok(())
}

fn an_update_from_open_to_commit(cluster: &mut Cluster, site: &Site) -> Result<()> {
    let next = site.next(&cluster.path("next"), 1)?;
    let from = next.root.to_string_lossy().into_owned();
    let opened = cluster.web(2).json(&["update", "open", "shop", "--for", "5m", "--reason", "hotfix 881"])?;
    ensure!(opened.text("/result")? == "opened" && opened.number("/revision")? == 1, "{opened}");
    let busy = cluster.web(1).refused(75, "E412", &["update", "open", "shop"])?;
    ensure!(busy.text("/error/facts/member")? == "web2", "{busy}");
    ensure!(busy.text("/error/facts/reason")? == "hotfix 881", "{busy}");
    remedies_can_be_typed(&cluster.members[0], &busy)?;
    cluster.web(3).refused(75, "E412", &["deploy", "shop", "--from", &from])?;

    let staged = cluster.web(2).json(&["update", "stage", "--from", &from])?;
    ensure!(staged.text("/result")? == "staged", "{staged}");
    let window = cluster.web(3).json(&["update", "status", "shop"])?;
    ensure!(window.text("/window/member")? == "web2", "{window}");
    ensure!(window.text("/window/reason")? == "hotfix 881", "{window}");
    let diff = cluster.web(2).json(&["update", "diff"])?;
    ensure!(diff.list("/changes")?.len() >= 3, "{diff}");
    cluster.web(2).run(&["update", "diff", "shop", "--exit-code"])?.ended(2)?;
    cluster.have(&[1, 2, 3], "shop", &site.tree, LIMIT)?;

    // Aborted from another member; then again, to the end.
    cluster.web(1).json(&["update", "abort", "shop", "--on", "web2", "-y"])?;
    cluster.web(2).refused(75, "E413", &["update", "commit", "shop", "-y"])?;
    cluster.web(2).json(&["update", "open", "shop"])?;
    cluster.web(2).json(&["update", "stage", "shop", "--from", &from])?;
    cluster.web(2).refused(64, "E001", &["update", "commit", "shop", "--no-input"])?;
    let stale = cluster.web(2).refused(103, "E414", &["update", "commit", "shop", "--expect", "7", "-y"])?;
    remedies_can_be_typed(&cluster.members[1], &stale)?;
    let done = cluster.web(2).json(&["update", "commit", "--expect", "1", "--wait", "-y"])?;
    ensure!(done.text("/result")? == "committed" && done.number("/revision")? == 2, "{done}");
    ensure!(done.text("/root")? == staged.text("/root")?, "{done}");
    cluster.have(&[1, 2, 3], "shop", &next.tree, Duration::from_secs(1))?;
    let again = cluster.web(3).json(&["deploy", "shop", "--from", &from])?;
    ensure!(again.text("/result")? == "unchanged" && again.number("/revision")? == 2, "{again}");
    Ok(())
}

fn rollback_and_history(cluster: &mut Cluster, site: &Site) -> Result<()> {
    let back = cluster.web(3).json(&["app", "rollback", "shop", "--to", "1", "-y"])?;
    ensure!(back.number("/revision")? == 3, "{back}");
    cluster.have(&[1, 2, 3], "shop", &site.tree, LIMIT)?;
    let history = cluster.web(1).json(&["app", "history", "shop"])?;
    let numbers: Vec<u64> =
        history.list("/revisions")?.iter().filter_map(|r| r["revision"].as_u64()).collect();
    ensure!(numbers == [3, 2, 1], "{history}");
    ensure!(history.at("/revisions/0/root")? == history.at("/revisions/2/root")?, "{history}");
    ensure!(history.text("/revisions/0/from")? == "web3", "{history}");
    let diff = cluster.web(1).json(&["app", "diff", "shop", "--from", "1", "--to", "2"])?;
    ensure!(diff.number("/have/revision")? == 1 && diff.number("/want/revision")? == 2, "{diff}");
    cluster.web(1).run(&["app", "diff", "shop", "--from", "1", "--to", "3", "--exit-code"])?.ended(0)?;
    Ok(())
}

fn waiting(cluster: &mut Cluster) -> Result<()> {
    let met = ["app/shop=agreed", "app/shop=3", "members=3", "member/web3=alive", "update/shop=closed"];
    let words: Vec<&str> = met.iter().flat_map(|condition| ["--for", condition]).collect();
    let waited = cluster.web(1).json(&[&["wait"], words.as_slice()].concat())?;
    ensure!(waited.flag("/met")?, "{waited}");
    cluster.web(1).refused(124, "E003", &["wait", "--for", "app/shop=99", "--timeout", "500ms"])?;
    Ok(())
}

/// Without `stage`, what is edited in place on the author is what is committed.
fn edits_in_a_window(cluster: &mut Cluster) -> Result<()> {
    cluster.web(1).json(&["update", "open", "shop"])?;
    fs::write(cluster.web(1).root("shop").join("edited.txt"), b"by hand")?;
    let diff = cluster.web(1).json(&["update", "diff", "shop"])?;
    ensure!(diff.find("/changes", "path", "edited.txt")?.text("/change")? == "+", "{diff}");
    let done = cluster.web(1).json(&["update", "commit", "shop", "-y"])?;
    ensure!(done.number("/revision")? == 4, "{done}");
    let tree = Site::at(&cluster.web(1).root("shop"))?.tree;
    cluster.have(&[1, 2, 3], "shop", &tree, LIMIT)?;
    cluster.agreed("shop", 4, LIMIT)?;

    // What is edited in a window that is aborted goes to the trash.
    cluster.web(1).json(&["update", "open", "shop"])?;
    fs::write(cluster.web(1).root("shop").join("regretted.txt"), b"oh")?;
    cluster.web(1).json(&["update", "abort", "shop", "-y"])?;
    cluster.have(&[1], "shop", &tree, LIMIT)?;
    // The trash lists what an apply took away when all of it is on disk, which is a moment later.
    let mut id = String::new();
    wait_until(LIMIT, "what was regretted is in the trash", || {
        let trash = cluster.members[0].json(&["trash", "list", "shop"]).map_err(|error| error.to_string())?;
        let item = trash.find("/items", "path", "regretted.txt").map_err(|error| error.to_string())?;
        id = item.text("/id").map_err(|error| error.to_string())?.to_owned();
        Ok(())
    })?;
    let to = cluster.path("regretted").to_string_lossy().into_owned();
    // Nobody on another machine says where this one writes, or what it reads.
    cluster.web(2).refused(77, "E104", &["trash", "restore", &id, "--to", &to, "--on", "web1"])?;
    cluster.web(2).refused(77, "E104", &["leave", "-y", "--on", "web1"])?;
    cluster.web(1).json(&["trash", "restore", &id, "--to", &to])?;
    ensure!(fs::read(to)? == b"oh");
    Ok(())
}

fn events_as_a_stream(cluster: &mut Cluster) -> Result<()> {
    let page = cluster.web(1).json(&["events", "--app", "shop"])?;
    let settled = page.list("/events")?.iter().filter(|event| event["kind"] == "revision.settled");
    ensure!(settled.count() >= 4, "{page}");
    let later = cluster.web(1).json(&["events", "--after", page.text("/cursor")?])?;
    ensure!(later.list("/events")?.len() < page.list("/events")?.len(), "{later}");
    Ok(())
}

fn screens_are_for_people(cluster: &mut Cluster) -> Result<()> {
    let status = cluster.web(1).run(&["status"])?.ended(0)?;
    ensure!(status.stdout.starts_with("demo "), "{status:?}");
    ensure!(status.stderr.is_empty() && !status.stdout.contains('\u{1b}'), "{status:?}");
    let coloured = cluster.web(1).run(&["status", "--color", "always"])?.ended(0)?;
    ensure!(coloured.stdout.contains("\u{1b}["), "{coloured:?}");
    for words in [&["members"][..], &["apps"], &["votes"], &["why"], &["health"], &["balance"], &["events"]] {
        let ran = cluster.web(2).run(words)?.ended(0)?;
        ensure!(!ran.stdout.trim().is_empty() && ran.stderr.is_empty(), "{ran:?}");
    }
    Ok(())
}

#[test]
fn what_needs_no_node() -> Result<()> {
    let run = |words: &[&str]| Ran::of(std::process::Command::new(program()?).args(words), "");
    let help = run(&[])?;
    ensure!(help.stdout.contains("Look") && help.stdout.lines().count() <= 50, "{help:?}");
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell])?.ended(0)?;
        ensure!(script.stdout.contains("__complete"), "{shell}");
    }
    for code in Code::ALL {
        let explained = run(&["explain", code.number(), "--json"])?.document()?;
        ensure!(explained.text("/schema")? == "althing.explain/1", "{explained}");
        ensure!(explained.text("/name")? == code.name(), "{explained}");
        ensure!(explained.number("/exit")? == u64::from(code.exit()), "{explained}");
        ensure!(
            !explained.list("/remedies")?.is_empty() && !explained.text("/text")?.is_empty(),
            "{explained}"
        );
    }
    let codes = run(&["explain", "--json"])?.document()?;
    ensure!(codes.list("/codes")?.len() >= Code::ALL.len(), "{codes}");
    run(&["status", "--nonsense"])?.ended(64)?;
    run(&["--version"])?.ended(0)?;
    Ok(())
}
