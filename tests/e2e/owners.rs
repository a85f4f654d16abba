//! Owners by name and extended attributes, where an application asks for them, on real daemons (finding 26).

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::time::Duration;

use althing_tests::{Cluster, Json, Member, story, wait_until};
use anyhow::{Context as _, Result, ensure};

const LIMIT: Duration = Duration::from_secs(60);
/// A user and a group that every system has, neither of them root's.
const DAEMON: u32 = 1;
const BIN: u32 = 2;

/// What the system calls a user or a group.
fn name_of(list: &str, number: u32) -> Result<String> {
    let lines = fs::read_to_string(list)?;
    let mut fields = lines.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = fields.find(|fields| fields.get(2) == Some(&number.to_string().as_str()));
    Ok(found.with_context(|| format!("{list} names nobody {number}"))?[0].to_owned())
}

#[test]
fn owners_go_by_name_and_a_member_that_cannot_give_them_says_so() {
    if fs::metadata("/proc/self").is_ok_and(|own| own.uid() != 0) || !Path::new("/usr/bin/setpriv").exists() {
        eprintln!(
            "skipped: needs the superuser, who gives files to others, and setpriv to take that right away"
        );
        return;
    }
    story(3, |cluster| {
        let from = source(cluster, "site", "one")?;
        let words = ["app", "new", "shop", "--from", &from, "--owners", "--xattr"];
        let refused = cluster.web(1).refused(65, "E103", &[&words[..], &["trusted.*"]].concat())?;
        ensure!(refused.to_string().contains("user.*"), "{refused}");
        cluster.web(1).json(&[&words[..], &["user.*"]].concat())?;
        cluster.agreed("shop", 1, LIMIT)?;
        for number in [1, 2, 3] {
            is_furnished(cluster.web(number), "one")?;
        }
        it_is_shown(cluster)?;
        drift_is_put_back(cluster)?;
        whoever_may_not_says_so(cluster)
    });
}

/// A directory with a program that is another user's.
fn source(cluster: &Cluster, name: &str, content: &str) -> Result<String> {
    let site = cluster.path(name);
    fs::create_dir_all(site.join("bin"))?;
    fs::write(site.join("index.html"), content)?;
    fs::write(site.join("bin/run"), content)?;
    symlink("index.html", site.join("link"))?;
    for path in ["bin", "bin/run"] {
        chown(site.join(path), Some(DAEMON), Some(BIN))?;
    }
    fs::set_permissions(site.join("bin/run"), fs::Permissions::from_mode(0o4750))?;
    Ok(site.to_string_lossy().into_owned())
}

fn marks(member: &Member, path: &str) -> Result<(u32, u32, u32)> {
    let found = fs::symlink_metadata(member.root("shop").join(path))?;
    Ok((found.uid(), found.gid(), found.mode() & 0o7777))
}

fn is_furnished(member: &Member, content: &str) -> Result<()> {
    ensure!(fs::read_to_string(member.root("shop").join("bin/run"))? == content, "on {}", member.name);
    let marks = (marks(member, "bin/run")?, marks(member, "bin")?.0, marks(member, "index.html")?.0);
    ensure!(marks == ((DAEMON, BIN, 0o4750), DAEMON, 0), "{marks:?} on {}", member.name);
    Ok(())
}

fn it_is_shown(cluster: &mut Cluster) -> Result<()> {
    let shown = cluster.web(2).json(&["app", "show", "shop"])?;
    ensure!(shown["owners"] == true && shown["xattrs"][0] == "user.*", "{shown}");
    let items = cluster.web(2).json(&["app", "items", "shop"])?;
    let run = items.find("/items", "path", "bin/run")?;
    let (owner, group) = (name_of("/etc/passwd", DAEMON)?, name_of("/etc/group", BIN)?);
    ensure!(run["owner"] == owner && run["group"] == group && run["mode"] == "4750", "{run}");
    let screen = cluster.web(2).run(&["app", "items", "shop"])?.ended(0)?.stdout;
    ensure!(screen.contains("OWNER") && screen.contains(&format!("{owner}:{group}")), "{screen}");
    Ok(())
}

fn drift_is_put_back(cluster: &mut Cluster) -> Result<()> {
    let member = cluster.web(2);
    member.json(&["app", "pause", "shop", "--for", "10m"])?;
    chown(member.root("shop").join("bin/run"), Some(0), Some(0))?;
    let (owner, group) = (name_of("/etc/passwd", DAEMON)?, name_of("/etc/group", BIN)?);
    wait_until(LIMIT, "it is seen", || {
        let diff = member.json(&["app", "diff", "shop"]).map_err(|error| error.to_string())?;
        let run = diff.find("/changes", "path", "bin/run").map_err(|error| error.to_string())?;
        let right = run["change"] == "U" && run["have"]["owner"] == "root" && run["want"]["owner"] == owner;
        if right { Ok(()) } else { Err(diff.to_string()) }
    })?;
    let screen = member.run(&["app", "diff", "shop"])?.ended(0)?.stdout;
    let said = [format!("owner {owner} → root"), format!("group {group} → root")];
    ensure!(said.iter().all(|said| screen.contains(said)), "{screen}");
    member.json(&["app", "resume", "shop"])?;
    wait_until(LIMIT, "it is put back", || is_furnished(member, "one").map_err(|error| error.to_string()))?;
    Ok(())
}

fn whoever_may_not_says_so(cluster: &mut Cluster) -> Result<()> {
    cluster.web(3).kill();
    cluster.web(3).may_give_files = false;
    cluster.web(3).start()?;
    let next = source(cluster, "site-2", "two")?;
    cluster.web(1).json(&["deploy", "shop", "--from", &next])?;
    let limited = cluster.web(3);
    let group = name_of("/etc/group", BIN)?;
    wait_until(LIMIT, "the content is there", || {
        let is =
            fs::read_to_string(limited.root("shop").join("bin/run")).map_err(|error| error.to_string())?;
        if is == "two" { Ok(()) } else { Err(is) }
    })?;
    let (owner, _, mode) = marks(limited, "bin/run")?;
    ensure!((owner, mode) == (DAEMON, 0o4750) || (owner, mode) == (0, 0o750), "{owner} {mode:o}");
    // Its own words, and everybody's.
    wait_until(LIMIT, "web3 says why", || {
        let why = limited.json(&["why", "shop"]).map_err(|error| error.to_string())?;
        let right = why.to_string().contains("may not give files to") && why.to_string().contains(&group);
        if right { Ok(()) } else { Err(why.to_string()) }
    })?;
    let other = cluster.web(1);
    wait_until(LIMIT, "web1 names it", || {
        let status = other.json(&["status"]).map_err(|error| error.to_string())?;
        let named =
            status.find("/attention", "condition", "out-of-reach").map_err(|error| error.to_string())?;
        if named["subject"] == "member/web3" { Ok(()) } else { Err(named.to_string()) }
    })?;
    let repaired = cluster.web(3).json(&["app", "repair", "shop"])?;
    ensure!(repaired["agrees"] == false || repaired["outcome"]["agrees"] == false, "{repaired}");

    cluster.web(3).kill();
    cluster.web(3).may_give_files = true;
    cluster.web(3).start()?;
    cluster.agreed("shop", 2, LIMIT)?;
    is_furnished(cluster.web(3), "two")
}
