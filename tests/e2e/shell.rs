//! The rest of the command line against real daemons: what it shows of all members and of the past, what it checks on
//! this machine, what it follows, and how each refusal ends.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use althing_tests::{Cluster, Json, Member, Ran, Site, program, story, wait_until};
use anyhow::{Context, Result, ensure};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn looking_around_and_back() {
    story(3, |cluster| {
        let site = Site::make(&cluster.path("site"), 20, 3)?;
        cluster.web(1).json(&["app", "new", "shop", "--from", &site.root.to_string_lossy()])?;
        cluster.have(&[1, 2, 3], "shop", &site.tree, LIMIT)?;
        cluster.agreed("shop", 1, LIMIT)?;
        everywhere(cluster)?;
        the_past(cluster, &site)?;
        the_chain(cluster)?;
        manifests(cluster)?;
        followed(cluster)?;
        names_are_completed(cluster)?;
        doctor(cluster)?;
        versions(cluster)
    });
}

fn everywhere(cluster: &mut Cluster) -> Result<()> {
    let all = cluster.web(2).json(&["status", "--everywhere"])?;
    ensure!(all.text("/schema")? == "althing.everywhere/1" && all.text("/reference")? == "web2", "{all}");
    ensure!(all.list("/members")?.len() == 3, "{all}");
    for seen in all.list("/members")? {
        ensure!(seen.number("/hears")? == 3 && seen["silent"].is_null(), "{all}");
        ensure!(seen["clock_offset_seconds"].as_f64().is_some_and(|offset| offset.abs() < 5.0), "{all}");
    }
    cluster.web(3).kill();
    wait_until(LIMIT, "web3 gives no answer", || {
        let all = cluster.members[0].json(&["status", "--everywhere"]).map_err(|error| error.to_string())?;
        let third = all.find("/members", "member", "web3").map_err(|error| error.to_string())?;
        if third["silent"].is_string() { Ok(()) } else { Err(all.to_string()) }
    })?;
    cluster.web(3).start()?;
    cluster.agreed("shop", 1, LIMIT)?;
    Ok(())
}

fn the_past(cluster: &mut Cluster, site: &Site) -> Result<()> {
    fs::write(cluster.web(3).root("shop").join("evil.php"), b"<?php")?;
    cluster.have(&[3], "shop", &site.tree, LIMIT)?;
    let mut drifted = String::new();
    wait_until(LIMIT, "the drift is in the log", || {
        let page = cluster.members[2]
            .json(&["events", "--kind", "content.differs"])
            .map_err(|error| error.to_string())?;
        let event = page["events"].as_array().and_then(|events| events.last()).ok_or("none")?;
        drifted = event["at"].as_str().unwrap_or_default().to_owned();
        Ok(())
    })?;
    let why = cluster.web(1).json(&["why", "app/shop", "--at", &drifted])?;
    ensure!(why.text("/state")? == "warning" && why.text("/because")? == "content.differs", "{why}");
    ensure!(why.list("/causes")?.iter().any(|cause| cause["code"] == "content.differs"), "{why}");
    let until = cluster.web(1).json(&["events", "--until", &drifted, "--kind", "repair.done"])?;
    ensure!(until.list("/events")?.is_empty(), "{until}");
    cluster.web(1).refused(105, "E404", &["why", "sunshine", "--at", "1m"])?;
    cluster.web(1).refused(65, "E103", &["why", "--at", "2100-01-01T00:00:00Z"])?;
    cluster.web(1).refused(64, "E001", &["why", "--at", "soon"])?;
    Ok(())
}

fn the_chain(cluster: &mut Cluster) -> Result<()> {
    let audit = cluster.web(3).json(&["audit", "--verify"])?;
    let epoch = cluster.web(3).json(&["status"])?.number("/entity/epoch")?;
    ensure!(
        audit.number("/verified/records")? == epoch && audit.number("/verified/votes")? >= epoch,
        "{audit}"
    );
    let commit = audit.find("/entries", "change", "commit")?;
    ensure!(commit.text("/application")? == "shop" && commit.text("/from")? == "web1", "{audit}");
    let by = commit.text("/by")?.to_owned();
    let mine = cluster.web(1).json(&["audit", "--by", &by])?;
    ensure!(mine.list("/entries")?.iter().all(|entry| entry["by"] == by.as_str()), "{mine}");
    ensure!(cluster.web(1).json(&["audit", "--by", "nobody"])?.list("/entries")?.is_empty());
    Ok(())
}

fn manifests(cluster: &mut Cluster) -> Result<()> {
    let file = cluster.path("api.toml");
    let name = file.to_string_lossy().into_owned();
    let epoch = |member: &Member| -> Result<u64> { member.json(&["status"])?.number("/entity/epoch") };
    fs::write(&file, "name = \"api\"\nroot = \"../etc\"\n")?;
    let before = epoch(cluster.web(1))?;
    for verb in ["check", "apply"] {
        let refused = cluster.web(1).refused(65, "E501", &["app", verb, &name])?;
        ensure!(refused.text("/error/message")?.contains("api.toml:2:8"), "{refused}");
    }
    fs::write(&file, "name = \"api\"\npolicy = \"certified\"\n")?;
    cluster.web(1).json(&["app", "check", &name])?;
    let dry = cluster.web(1).json(&["app", "apply", &name, "-n"])?;
    ensure!(dry.text("/result")? == "created" && dry.flag("/dry_run")?, "{dry}");
    ensure!(epoch(cluster.web(1))? == before, "a dry run settled something");
    cluster.web(1).json(&["app", "apply", &name])?;
    let shown = cluster.web(1).json(&["app", "show", "api"])?;
    ensure!(shown.text("/path")? == "/srv/api" && shown.text("/policy")? == "certified", "{shown}");
    fs::write(&file, "name = \"api\"\n")?;
    ensure!(cluster.web(2).json(&["app", "apply", &name])?.text("/result")? == "changed");
    ensure!(cluster.web(2).json(&["app", "apply", &name])?.text("/result")? == "unchanged");
    fs::write(&file, "name = \"api\"\nroot = \"/srv/elsewhere\"\n")?;
    cluster.web(2).refused(107, "E502", &["app", "apply", &name])?;
    Ok(())
}

/// The first lines that a command prints while it goes on; it is ended afterwards.
fn lines_of(
    member: &Member,
    words: &[&str],
    count: usize,
    then: impl FnOnce() -> Result<()>,
) -> Result<Vec<Value>> {
    let mut child = member.command(words)?.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let out = BufReader::new(child.stdout.take().context("piped")?);
    let (to, lines) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in out.lines().map_while(std::result::Result::ok) {
            if to.send(line).is_err() {
                return;
            }
        }
    });
    std::thread::sleep(Duration::from_millis(500));
    then()?;
    let mut found = Vec::new();
    while found.len() < count {
        let line = lines.recv_timeout(LIMIT).context("no line came")?;
        found.push(serde_json::from_str(&line)?);
    }
    drop(lines);
    // SIGTERM: `timeout`, which runs the program, passes it on.
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    child.wait()?;
    reader.join().map_err(|_| anyhow::anyhow!("the reader of lines died"))?;
    Ok(found)
}

fn followed(cluster: &mut Cluster) -> Result<()> {
    let watched = lines_of(&cluster.members[0], &["status", "-w", "--json"], 2, || Ok(()))?;
    ensure!(watched.iter().all(|status| status["schema"] == "althing.status/1"), "{watched:?}");
    ensure!(watched[0]["at"] != watched[1]["at"], "{watched:?}");
    let asks = || cluster.members[1].json(&["member", "label", "web2", "zone=b"]).map(|_| ());
    let words = ["events", "-f", "--json", "--kind", "member.labelled"];
    let events = lines_of(&cluster.members[0], &words, 1, asks)?;
    ensure!(events[0]["schema"] == "althing.event/1" && events[0]["member"] == "web2", "{events:?}");
    Ok(())
}

/// As bash does it: the script is read, the words are set, and its function asks the program.
fn names_are_completed(cluster: &mut Cluster) -> Result<()> {
    let run = |line: &str| -> Result<String> {
        let script = "source <(\"$ALTHING\" completions bash); althing() { \"$ALTHING\" \"$@\"; }; \
                      COMP_WORDS=($LINE ''); [ \"${LINE: -1}\" = ' ' ] || COMP_WORDS=($LINE); \
                      COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _althing; echo \"${COMPREPLY[@]}\"";
        let mut command = Command::new("bash");
        command.args(["-c", script]).env("ALTHING", program()?).env("LINE", line);
        command.env("ALTHING_DIR", &cluster.members[0].dir);
        Ok(Ran::of(&mut command, "")?.ended(0)?.stdout.trim().to_owned())
    };
    ensure!(run("althing member show ")? == "web1 web2 web3");
    ensure!(run("althing member out web2")? == "web2");
    ensure!(run("althing app show s")? == "shop");
    ensure!(run("althing app history a")? == "api");
    ensure!(run("althing update op")? == "open");
    ensure!(run("althing status --every")? == "--everywhere");
    Ok(())
}

fn doctor(cluster: &mut Cluster) -> Result<()> {
    let healthy = cluster.web(1).json(&["doctor"])?;
    for name in ["node", "peers", "clock", "watches", "files", "space", "directory"] {
        healthy.find("/checks", "name", name)?;
    }
    ensure!(healthy.find("/checks", "name", "directory")?.text("/state")? == "ok", "{healthy}");
    let dir = cluster.members[0].dir.clone();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755))?;
    let ran = cluster.web(1).run(&["doctor", "--json"])?.ended(1)?;
    let open: Value = serde_json::from_str(&ran.stdout)?;
    ensure!(open.find("/checks", "name", "directory")?.text("/state")? == "error", "{open}");
    cluster.web(1).run(&["doctor", "--fix"])?.ended(0)?;
    ensure!(fs::metadata(&dir)?.permissions().mode() & 0o7777 == 0o700);
    Ok(())
}

fn versions(cluster: &mut Cluster) -> Result<()> {
    let ran = cluster.web(1).run(&["version", "--entity"])?.ended(0)?;
    ensure!(ran.stdout.contains("3 members") && ran.stdout.contains("run the same"), "{ran:?}");
    Ok(())
}

#[test]
fn what_is_restored_is_a_newcomer() {
    story(2, |cluster| {
        let site = Site::make(&cluster.path("site"), 30, 7)?;
        cluster.web(1).json(&["app", "new", "shop", "--from", &site.root.to_string_lossy()])?;
        cluster.agreed("shop", 1, LIMIT)?;
        let file = cluster.path("farm.backup");
        let name = file.to_string_lossy().into_owned();
        let made = cluster.web(2).json(&["backup", "create", &name, "--with-content"])?;
        ensure!(made.text("/result")? == "created" && made.flag("/with_content")?, "{made}");
        ensure!(fs::metadata(&file)?.mode() & 0o7777 == 0o600);
        cluster.web(2).refused(107, "E701", &["backup", "create", &name])?;
        let checked = cluster.web(2).json(&["backup", "check", &name])?;
        ensure!(checked.find("/applications", "name", "shop")?.number("/revision")? == 1, "{checked}");
        damage_is_found(cluster, &file)?;
        let files = cluster.path("files");
        let to = files.to_string_lossy().into_owned();
        cluster.web(1).json(&["backup", "restore", &name, "--to", &to])?;
        site.tree.is_at(&files.join("shop")).map_err(|differs| anyhow::anyhow!("{differs}"))?;
        cluster.web(1).refused(107, "E701", &["backup", "restore", &name, "--to", &to])?;

        // A machine with what was restored joins, and has the content without asking anybody for it.
        let invitation = cluster.invite(&[])?;
        let third = cluster.add()?;
        third.stop()?;
        fs::remove_dir_all(&third.dir)?;
        let restored = third.json(&["backup", "restore", &name])?;
        ensure!(restored.text("/result")? == "restored", "{restored}");
        ensure!(!third.dir.join("key").exists(), "a backup has no keys");
        third.run(&["backup", "restore", &name, "--json"])?.refused(1, "E100")?;
        third.start()?;
        third.refused(69, "E101", &["status"])?;
        third.join(&invitation)?.document()?;
        cluster.settled_roster(3)?;
        cluster.have(&[3], "shop", &site.tree, LIMIT)?;
        Ok(())
    });
}

fn damage_is_found(cluster: &mut Cluster, file: &std::path::Path) -> Result<()> {
    let good = fs::read(file)?;
    let broken = cluster.path("broken.backup");
    let name = broken.to_string_lossy().into_owned();
    let mut changed = good.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    let variants: [&[u8]; 4] = [&changed, &good[..good.len() - 1], b"hello", b""];
    for bytes in variants {
        fs::write(&broken, bytes)?;
        cluster.web(1).refused(65, "E611", &["backup", "check", &name])?;
    }
    cluster.web(1).refused(65, "E103", &["backup", "check", "/nonexistent/f"])?;
    Ok(())
}

#[test]
fn each_refusal_has_its_exit_code() {
    story(1, |cluster| {
        let bad = cluster.path("althing.toml");
        fs::write(&bad, "[node]\nlisen = \"10.0.0.11:7800\"\n")?;
        let name = bad.to_string_lossy().into_owned();
        let refused = cluster.web(1).refused(78, "E601", &["config", "check", &name])?;
        ensure!(refused.text("/error/message")?.contains("did you mean `node.listen`?"), "{refused}");
        cluster.web(1).refused(78, "E601", &["config", "show", "-c", &name])?;
        cluster.web(1).refused(78, "E601", &["run", "-c", &name])?;
        cluster.web(1).refused(107, "E703", &["leave", "-y"])?;
        cluster.web(1).refused(107, "E703", &["member", "spare", "web1", "-y"])?;
        // What was mistyped defines nothing.
        cluster.web(1).refused(65, "E103", &["app", "new", "typo", "--from", "/nowhere/at/all"])?;
        ensure!(!cluster.web(1).json(&["app", "list"])?.to_string().contains("typo"));
        let replaced = cluster.web(1).root("shop");
        fs::create_dir_all(&replaced)?;
        fs::write(replaced.join("mine.txt"), b"kept")?;
        let site = Site::make(&cluster.path("site"), 5, 1)?;
        let from = site.root.to_string_lossy().into_owned();
        let refused = cluster.web(1).refused(107, "E417", &["app", "new", "shop", "--from", &from])?;
        ensure!(
            refused.to_string().contains("\"new\",\"shop\",\"--from\",\"DIR\",\"--replace\""),
            "{refused}"
        );
        ensure!(fs::read(replaced.join("mine.txt"))? == b"kept");
        // A creation that failed leaves no application behind; what the refusal recommends works.
        ensure!(!cluster.web(1).json(&["app", "list"])?.to_string().contains("shop"));
        cluster.web(1).json(&["app", "new", "shop", "--from", &from, "--replace"])?;
        cluster.have(&[1], "shop", &site.tree, LIMIT)?;
        the_config_is_read(cluster)?;
        others_are_kept_out(cluster)
    });
}

fn the_config_is_read(cluster: &mut Cluster) -> Result<()> {
    let file = cluster.path("good.toml");
    fs::write(&file, "[log]\nlevel = \"debug\"\n")?;
    let name = file.to_string_lossy().into_owned();
    let shown = cluster.web(1).json(&["config", "show", "-c", &name])?;
    let level = shown.find("/settings", "key", "log.level")?;
    ensure!(level.text("/value")? == "debug" && level.text("/origin")?.ends_with("good.toml:2:9"), "{shown}");
    let mut command = cluster.web(1).command(&["config", "show", "-c", &name, "--json"])?;
    let shown = Ran::of(command.env("ALTHING_LOG__LEVEL", "warn"), "")?.document()?;
    ensure!(
        shown.find("/settings", "key", "log.level")?.text("/origin")? == "$ALTHING_LOG__LEVEL",
        "{shown}"
    );

    // A socket elsewhere, in a directory that is made for it.
    let second = cluster.add()?;
    second.stop()?;
    let socket = second.dir.with_file_name("run").join("althing.sock");
    let mut daemon = second.daemon()?;
    let mut child =
        daemon.arg("--socket").arg(&socket).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let answered = wait_until(LIMIT, "the socket is there", || {
        let words = ["version", "--json", "--node", &socket.to_string_lossy()];
        let ran = second.run(&words).map_err(|error| error.to_string())?;
        if ran.stdout.contains("in_entity") { Ok(()) } else { Err(format!("{ran:?}")) }
    });
    let modes =
        [&socket, &socket.with_file_name("")].map(|path| fs::metadata(path).map(|it| it.mode() & 0o7777));
    child.kill()?;
    child.wait()?;
    answered?;
    let [socket, directory] = modes;
    ensure!((socket?, directory?) == (0o660, 0o750));
    cluster.members.pop();
    Ok(())
}

/// Who is neither the superuser nor in the group may not talk to the node: 77.
fn others_are_kept_out(cluster: &mut Cluster) -> Result<()> {
    let socket = cluster.web(1).dir.join("althing.sock");
    ensure!(fs::metadata(&socket)?.mode() & 0o7777 == 0o660);
    let setpriv = std::path::Path::new("/usr/bin/setpriv");
    if !rustix::process::geteuid().is_root() || !setpriv.exists() {
        eprintln!("skipped: needs the superuser and setpriv to become somebody else");
        return Ok(());
    }
    // Somebody else cannot go through the directories of this test: a copy of the program is put where all can.
    let open = tempfile::Builder::new().prefix("althing-open-").tempdir()?;
    fs::set_permissions(open.path(), fs::Permissions::from_mode(0o755))?;
    let copy = open.path().join("althing");
    fs::copy(program()?, &copy)?;
    let mut command = Command::new(setpriv);
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&copy);
    command.arg("--node").arg(&socket).args(["status", "--json"]).current_dir("/");
    let refused = Ran::of(&mut command, "")?.refused(77, "E104")?;
    ensure!(!refused.list("/error/remedies")?.is_empty(), "{refused}");
    Ok(())
}
