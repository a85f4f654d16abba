//! A member that differs is put right, nothing is lost, and every member can tell what happened (acceptance 2).

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use althing_tests::{Cluster, Json, Member, Site, story, wait_until};
use anyhow::{Context, Result, ensure};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);
const ALL: [usize; 9] = [1, 2, 3, 4, 5, 6, 7, 8, 9];

#[test]
fn nine_members_repair_every_kind_of_drift() {
    story(9, |cluster| {
        let site = Site::make(&cluster.path("site"), 1000, 1)?;
        let from = site.root.to_string_lossy().into_owned();
        cluster.members[0].json(&["app", "new", "shop", "--from", &from])?;
        cluster.have(&ALL, "shop", &site.tree, Duration::from_secs(60))?;
        cluster.agreed("shop", 1, LIMIT)?;

        changed_file(cluster, &site)?;
        deleted_file(cluster, &site)?;
        added_file(cluster, &site)?;
        other_mode(cluster, &site)?;
        symlink_instead(cluster, &site)?;
        whole_tree_gone(cluster, &site)?;
        pause_shows_drift(cluster, &site)?;
        size_and_time_kept(cluster, &site)?;
        changed_while_down(cluster, &site)?;
        majority_untouched(cluster, &site)
    });
}

/// Where file number `n` of the site is on a member, and what it is.
fn file(member: &Member, site: &Site, n: usize) -> Result<(PathBuf, String, Vec<u8>)> {
    let files = site.tree.files();
    let plain = files.iter().filter(|path| path.to_string_lossy().contains("/page-"));
    let path = plain.clone().nth(n).context("the site has fewer files")?;
    let bytes = fs::read(site.root.join(path))?;
    Ok((member.root("shop").join(path), path.to_string_lossy().into_owned(), bytes))
}

fn repaired(cluster: &Cluster, number: usize, site: &Site) -> Result<()> {
    let took = cluster.have(&[number], "shop", &site.tree, LIMIT)?;
    eprintln!("web{number} right again after {took:?}");
    Ok(())
}

/// What the trash of a member has of this path, newest first.
fn trashed(member: &Member, path: &str) -> Result<Value> {
    let mut found = Err(anyhow::anyhow!("not looked"));
    wait_until(LIMIT, "in the trash", || {
        let trash = member.json(&["trash", "list", "shop"]).map_err(|error| error.to_string())?;
        found = trash.find("/items", "path", path).cloned();
        found.as_ref().map(|_| ()).map_err(ToString::to_string)
    })?;
    found
}

/// Brings it back elsewhere, and returns where.
fn restored(cluster: &Cluster, member: &Member, item: &Value, name: &str) -> Result<PathBuf> {
    let to = cluster.path(name);
    member.json(&["trash", "restore", item.text("/id")?, "--to", &to.to_string_lossy()])?;
    Ok(to)
}

/// This member logged an event of this kind about the application.
fn event(member: &Member, kind: &str) -> Result<Value> {
    let mut found = Value::Null;
    wait_until(LIMIT, &format!("{} logs {kind}", member.name), || {
        let words = ["events", "--member", &member.name, "--app", "shop", "--kind", kind];
        let page = member.json(&words).map_err(|error| error.to_string())?;
        let last = page.list("/events").map_err(|error| error.to_string())?.last().cloned();
        found = last.ok_or_else(|| page.to_string())?;
        Ok(())
    })?;
    Ok(found)
}

fn changed_file(cluster: &Cluster, site: &Site) -> Result<()> {
    let member = &cluster.members[1];
    let (at, path, _) = file(member, site, 40)?;
    fs::write(&at, b"defaced")?;
    repaired(cluster, 2, site)?;
    let item = trashed(member, &path)?;
    ensure!(fs::read(restored(cluster, member, &item, "changed")?)? == b"defaced");
    for kind in ["content.differs", "repair.started", "repair.done"] {
        let event = event(member, kind)?;
        ensure!(event.text("/member")? == "web2" && event.text("/id")?.starts_with("web2/"), "{event}");
    }
    // Any member can tell it: this one asks web2 for its log.
    let told = cluster.members[6].json(&["events", "--on", "web2", "--kind", "content.differs"])?;
    ensure!(told.text("/answered_by")? == "web2", "{told}");
    ensure!(!told.list("/events")?.is_empty(), "{told}");
    Ok(())
}

fn deleted_file(cluster: &Cluster, site: &Site) -> Result<()> {
    let (at, ..) = file(&cluster.members[2], site, 41)?;
    fs::remove_file(at)?;
    repaired(cluster, 3, site)
}

fn added_file(cluster: &Cluster, site: &Site) -> Result<()> {
    let member = &cluster.members[3];
    fs::create_dir(member.root("shop").join("uploads"))?;
    fs::write(member.root("shop").join("uploads/debug.php"), b"<?php evil(); ?>")?;
    repaired(cluster, 4, site)?;
    let item = trashed(member, "uploads/debug.php")?;
    ensure!(item.text("/kind")? == "file", "{item}");
    ensure!(fs::read(restored(cluster, member, &item, "added")?)? == b"<?php evil(); ?>");
    Ok(())
}

fn other_mode(cluster: &Cluster, site: &Site) -> Result<()> {
    let (at, ..) = file(&cluster.members[4], site, 43)?;
    fs::set_permissions(at, fs::Permissions::from_mode(0o666))?;
    repaired(cluster, 5, site)?;
    let directory = cluster.members[4].root("shop").join("section-01");
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    repaired(cluster, 5, site)
}

fn symlink_instead(cluster: &Cluster, site: &Site) -> Result<()> {
    let member = &cluster.members[5];
    let (at, path, bytes) = file(member, site, 44)?;
    fs::remove_file(&at)?;
    symlink("/etc/passwd", &at)?;
    repaired(cluster, 6, site)?;
    ensure!(fs::read(&at)? == bytes);
    let item = trashed(member, &path)?;
    ensure!(item.text("/kind")? == "symlink", "{item}");
    let link = fs::read_link(restored(cluster, member, &item, "link")?)?;
    ensure!(link == Path::new("/etc/passwd"), "{link:?}");
    ensure!(!fs::read("/etc/passwd")?.is_empty(), "what a link names is never touched");
    Ok(())
}

fn whole_tree_gone(cluster: &Cluster, site: &Site) -> Result<()> {
    fs::remove_dir_all(cluster.members[6].root("shop"))?;
    repaired(cluster, 7, site)
}

/// With repair paused drift stays, and every command tells the same story of it.
fn pause_shows_drift(cluster: &Cluster, site: &Site) -> Result<()> {
    let (here, drifted) = (&cluster.members[0], &cluster.members[7]);
    // A tree is right a moment before its member has looked and said so.
    cluster.agreed("shop", 1, LIMIT)?;
    here.json(&["app", "pause", "shop", "--for", "10m"])?;
    wait_until(LIMIT, "web8 knows of the pause", || {
        let shown = drifted.json(&["app", "show", "shop"]).map_err(|error| error.to_string())?;
        if shown["state"] == "paused" { Ok(()) } else { Err(shown.to_string()) }
    })?;
    let (changed, changed_path, _) = file(drifted, site, 50)?;
    let (deleted, deleted_path, _) = file(drifted, site, 51)?;
    fs::write(changed, b"other")?;
    fs::remove_file(deleted)?;
    fs::write(drifted.root("shop").join("added.txt"), b"added")?;

    let mut votes = Value::Null;
    wait_until(LIMIT, "web1 sees the drift of web8", || {
        votes = here.json(&["vote", "shop"]).map_err(|error| error.to_string())?;
        let groups = votes.list("/applications/0/groups").map_err(|error| error.to_string())?;
        let minority = groups.iter().find(|group| group["meaning"] == "drift");
        let members = minority.map(|group| group["members"].clone());
        if members == Some(serde_json::json!(["web8"])) { Ok(()) } else { Err(votes.to_string()) }
    })?;
    let voted = votes.at("/applications/0")?;
    ensure!(voted.number("/revision")? == 1 && voted.number("/needed")? == 5, "{voted}");
    ensure!(voted.flag("/settled")?, "{voted}");
    ensure!(voted.list("/groups/0/members")?.len() == 8, "{voted}");
    ensure!(voted.list("/certificate/signed_by")?.len() >= 5, "{voted}");

    let diff = here.json(&["app", "diff", "shop", "--member", "web8"])?;
    ensure!(diff.text("/have/member")? == "web8" && diff.number("/want/revision")? == 1, "{diff}");
    ensure!(diff.list("/changes")?.len() == 3, "{diff}");
    let change = |path| diff.find("/changes", "path", path);
    ensure!(change(&changed_path)?.text("/action")? == "fetch", "{diff}");
    ensure!(change(&changed_path)?.number("/have/bytes")? == 5, "{diff}");
    ensure!(change(&deleted_path)?.at("/have")?.is_null(), "{diff}");
    ensure!(change("added.txt")?.text("/action")? == "remove", "{diff}");
    let code = here.run(&["app", "diff", "shop", "--member", "web8", "--exit-code"])?.code;
    ensure!(code == 2, "app diff --exit-code ended with {code}");

    let why = here.json(&["why", "web8"])?;
    ensure!(why.text("/subject")? == "member/web8", "{why}");
    ensure!(why.text("/because")? == "content-differs", "{why}");
    ensure!(!why.list("/causes")?.is_empty() && !why.text("/next")?.is_empty(), "{why}");
    let status = here.json(&["status"])?;
    let app = status.find("/applications", "name", "shop")?;
    ensure!(app.text("/state")? == "paused" && app.number("/agree")? == 8, "{status}");
    ensure!(app.texts("/differing")? == ["web8"], "{status}");

    here.json(&["app", "resume", "shop"])?;
    repaired(cluster, 8, site)?;
    cluster.agreed("shop", 1, LIMIT)?;
    let why = here.json(&["why", "web8"])?;
    // Nothing, or the load of the machine that runs this.
    ensure!(why.text("/because")? != "content-differs", "{why}");
    Ok(())
}

/// Other bytes in place, with the size and the time that the file had.
fn change_unseen(path: &Path) -> Result<()> {
    let before = fs::metadata(path)?;
    let bytes: Vec<u8> = fs::read(path)?.iter().map(|byte| byte ^ 0x55).collect();
    fs::OpenOptions::new().write(true).open(path).and_then(|mut file| {
        use std::io::Write;
        file.write_all(&bytes)
    })?;
    let time = |seconds, nanoseconds| Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps {
        last_access: time(before.atime(), before.atime_nsec()),
        last_modification: time(before.mtime(), before.mtime_nsec()),
    };
    utimensat(CWD, path, &times, AtFlags::empty())?;
    let after = fs::metadata(path)?;
    ensure!(after.len() == before.len() && after.modified()? == before.modified()?);
    Ok(())
}

fn size_and_time_kept(cluster: &Cluster, site: &Site) -> Result<()> {
    let member = &cluster.members[8];
    member.json(&["app", "pause", "shop"])?;
    let (at, path, bytes) = file(member, site, 60)?;
    change_unseen(&at)?;
    // Asked on another member, answered by that one.
    let looked = cluster.members[0].json(&["app", "verify", "shop", "--on", "web9"])?;
    ensure!(!looked.flag("/agrees").or_else(|_| looked.flag("/looked/agrees"))?, "{looked}");
    let ran = member.run(&["app", "verify", "shop", "--exit-code"])?;
    ensure!(ran.code == 2, "{ran:?}");
    let diff = member.json(&["app", "diff", "shop"])?;
    ensure!(diff.list("/changes")?.len() == 1 && diff.text("/changes/0/path")? == path, "{diff}");
    member.json(&["app", "resume", "shop"])?;
    repaired(cluster, 9, site)?;
    ensure!(fs::read(at)? == bytes);
    member.run(&["app", "verify", "shop", "--exit-code"])?.ended(0)?;
    Ok(())
}

fn changed_while_down(cluster: &mut Cluster, site: &Site) -> Result<()> {
    cluster.web(9).stop()?;
    let (at, ..) = file(cluster.web(9), site, 61)?;
    change_unseen(&at)?;
    cluster.web(9).start()?;
    repaired(cluster, 9, site)
}

fn majority_untouched(cluster: &Cluster, site: &Site) -> Result<()> {
    cluster.agreed("shop", 1, LIMIT)?;
    cluster.have(&ALL, "shop", &site.tree, LIMIT)?;
    // web1 never drifted: nothing was ever taken away there.
    let trash = cluster.members[0].json(&["trash", "list", "shop"])?;
    ensure!(trash.list("/items")?.is_empty(), "{trash}");
    Ok(())
}
