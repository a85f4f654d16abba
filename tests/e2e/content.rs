//! The life of content: kept as long as it is needed and no longer, adopted when somebody says so, left alone where
//! it is nobody's business, and gone with its application.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use althing_tests::{Cluster, Json, Member, Site, Tree, story, wait_until};
use anyhow::{Result, ensure};

const LIMIT: Duration = Duration::from_secs(30);
/// A collection begins some seconds after the last change and pauses between its steps.
const COLLECTED: Duration = Duration::from_secs(60);
const ALL: [usize; 3] = [1, 2, 3];

/// Names of all content in a member's store.
fn stored(member: &Member) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for directory in fs::read_dir(member.dir.join("content"))? {
        for entry in fs::read_dir(directory?.path())? {
            names.insert(entry?.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

/// What a site needs of a store.
fn needed(site: &Site) -> Result<BTreeSet<String>> {
    let hash = |path: &&Path| Ok(blake3::hash(&fs::read(site.root.join(path))?).to_hex().to_string());
    site.tree.files().iter().map(hash).collect()
}

fn collected(member: &Member, wanted: &BTreeSet<String>) -> Result<()> {
    wait_until(COLLECTED, &format!("{} has what is needed and nothing else", member.name), || {
        let found = stored(member).map_err(|error| error.to_string())?;
        let (lacks, surplus) = (wanted.difference(&found).count(), found.difference(wanted).count());
        if (lacks, surplus) == (0, 0) { Ok(()) } else { Err(format!("{lacks} lacking, {surplus} too many")) }
    })?;
    Ok(())
}

#[test]
fn what_no_kept_revision_needs_goes_and_each_of_them_can_be_gone_back_to() {
    story(3, |cluster| {
        let mut sites = vec![Site::make(&cluster.path("site-1"), 30, 1)?];
        cluster.web(1).json(&["app", "new", "shop", "--from", &sites[0].root.to_string_lossy()])?;
        for number in 2..=9u64 {
            let next = sites[sites.len() - 1].next(&cluster.path(&format!("site-{number}")), number)?;
            cluster.web(2).json(&["deploy", "shop", "--from", &next.root.to_string_lossy()])?;
            sites.push(next);
        }
        cluster.agreed("shop", 9, LIMIT)?;
        let kept: Vec<BTreeSet<String>> = sites[3..].iter().map(needed).collect::<Result<_>>()?;
        let wanted: BTreeSet<String> = kept.into_iter().flatten().collect();
        ensure!(!needed(&sites[0])?.is_subset(&wanted), "the first revision has something of its own");
        for member in &cluster.members {
            collected(member, &wanted)?;
        }
        // A member that is killed while it collects, or just before, starts with everything that it promised.
        cluster.web(3).restart()?;
        // The oldest that is kept, six times: each of the six was gone back to.
        for (site, to) in sites[3..].iter().zip(4u64..) {
            let words = ["app", "rollback", "shop", "--to", &to.to_string(), "-y"];
            cluster.web(3).json(&words)?;
            cluster.have(&ALL, "shop", &site.tree, LIMIT)?;
        }
        cluster.agreed("shop", 15, LIMIT)?;
        for member in &cluster.members {
            collected(member, &wanted)?;
        }
        removed(cluster)
    });
}

/// The application goes: its files to the trash, its content from the stores, its name is free.
fn removed(cluster: &mut Cluster) -> Result<()> {
    let before = Tree::read(&cluster.web(2).root("shop"))?;
    let page = fs::read(cluster.web(2).root("shop").join("index.html"))?;
    let ran = cluster.web(1).run(&["app", "remove", "shop", "--no-input"])?;
    ensure!(ran.code == 64 && ran.stderr.contains("--confirm shop"), "{ran:?}");
    let removed = cluster.web(1).json(&["app", "remove", "shop", "--confirm", "shop"])?;
    ensure!(removed.text("/result")? == "removed" && removed.text("/schema")? == "althing.application/1");
    for member in &cluster.members {
        wait_until(LIMIT, &format!("the files are gone from {}", member.name), || {
            if member.root("shop").exists() { Err("still there".to_owned()) } else { Ok(()) }
        })?;
        collected(member, &BTreeSet::new())?;
        member.refused(105, "E402", &["app", "show", "shop"])?;
    }
    let trash = cluster.web(2).json(&["trash", "list", "shop"])?;
    let item = trash.find("/items", "path", "index.html")?;
    let to = cluster.path("index.html");
    // Also after a start, when nobody but the trash remembers it.
    cluster.web(2).restart()?;
    cluster.web(2).json(&["trash", "restore", item.text("/id")?, "--to", &to.to_string_lossy()])?;
    ensure!(fs::read(to)? == page, "the newest in the trash is what was removed");

    let site = Site::at(&cluster.path("site-2"))?;
    cluster.web(3).json(&["app", "new", "shop", "--from", &site.root.to_string_lossy()])?;
    cluster.have(&ALL, "shop", &site.tree, LIMIT)?;
    ensure!(before.differences(&site.tree).is_some());
    cluster.agreed("shop", 1, LIMIT)?;
    cluster.web(2).json(&["app", "remove", "shop", "--keep-files", "--confirm", "shop"])?;
    for member in &cluster.members {
        collected(member, &BTreeSet::new())?;
    }
    cluster.have(&ALL, "shop", &site.tree, LIMIT).map(|_| ())
}

#[test]
fn what_people_change_by_hand() {
    story(3, |cluster| {
        existing_servers_are_adopted(cluster)?;
        without_a_majority_nothing_is_chosen(cluster)?;
        unmanaged_paths_are_left_alone(cluster)?;
        a_fix_by_hand_is_kept(cluster)?;
        a_contested_path_is_left_alone(cluster)
    });
}

/// Three servers that serve the same already, one with a file more: nobody deploys anything.
fn existing_servers_are_adopted(cluster: &mut Cluster) -> Result<()> {
    let site = Site::make(&cluster.path("old"), 12, 3)?;
    for number in ALL {
        let root = cluster.web(number).root("old");
        fs::create_dir_all(&root)?;
        fs::write(root.join("index.html"), "as it was\n")?;
        fs::create_dir(root.join("img"))?;
    }
    fs::write(cluster.web(3).root("old").join("img/stray.png"), "only here")?;
    cluster.web(1).json(&["app", "new", "old", "--adopt"])?;
    cluster.agreed("old", 1, LIMIT)?;
    let shown = cluster.web(2).json(&["app", "items", "old"])?;
    ensure!(shown.list("/items")?.len() == 2, "{shown}");
    let trash = cluster.web(3).json(&["trash", "list", "old"])?;
    ensure!(trash.find("/items", "path", "img/stray.png").is_ok(), "{trash}");
    // Other content would replace it only if somebody says so, later; this is the first revision already.
    cluster.web(2).json(&["deploy", "old", "--from", &site.root.to_string_lossy()])?;
    cluster.have(&ALL, "old", &site.tree, LIMIT).map(|_| ())
}

/// Three servers of which no two have the same: members tell what they have in common, and change nothing.
fn without_a_majority_nothing_is_chosen(cluster: &mut Cluster) -> Result<()> {
    for number in ALL {
        let root = cluster.web(number).root("mixed");
        fs::create_dir_all(&root)?;
        fs::write(root.join("same.html"), "on all")?;
        fs::write(root.join("conf.ini"), format!("of web{number}"))?;
    }
    cluster.web(1).json(&["app", "new", "mixed"])?;
    wait_until(LIMIT, "web2 tells what all three have", || {
        let shown = cluster.members[1].json(&["app", "show", "mixed"]).map_err(|error| error.to_string())?;
        let candidate = &shown["candidate"];
        let told = candidate["agreed"] == 1 && candidate["undecided"][0]["path"] == "conf.ini";
        if told && candidate["of"] == 3 { Ok(()) } else { Err(shown.to_string()) }
    })?;
    // Longer than any adoption takes.
    std::thread::sleep(Duration::from_secs(6));
    for number in ALL {
        ensure!(
            fs::read_to_string(cluster.web(number).root("mixed").join("conf.ini"))?
                == format!("of web{number}")
        );
    }
    cluster.web(3).json(&["update", "open", "mixed", "--adopt"])?;
    cluster.web(3).json(&["update", "commit", "mixed", "-y"])?;
    cluster.agreed("mixed", 1, LIMIT)?;
    ensure!(fs::read_to_string(cluster.web(1).root("mixed").join("conf.ini"))? == "of web3");
    Ok(())
}

fn unmanaged_paths_are_left_alone(cluster: &mut Cluster) -> Result<()> {
    let site = Site::make(&cluster.path("shop"), 12, 4)?;
    fs::create_dir(site.root.join("cache"))?;
    fs::write(site.root.join("cache/built-here"), "of the machine that deploys")?;
    let words = ["app", "new", "shop", "--unmanaged", "cache/**", "--unmanaged", "*.log"];
    let from = site.root.to_string_lossy().into_owned();
    cluster.web(1).refused(65, "E103", &[&words[..3], &["--unmanaged", "[a", "--from", &from]].concat())?;
    cluster.web(1).refused(65, "E103", &[&words[..3], &["--unmanaged", "../x", "--from", &from]].concat())?;
    cluster.web(1).json(&[&words[..], &["--from", &from]].concat())?;
    cluster.agreed("shop", 1, LIMIT)?;
    for number in ALL {
        let root = cluster.web(number).root("shop");
        ensure!(!root.join("cache").exists(), "what is not managed is not deployed");
        fs::create_dir(root.join("cache"))?;
        fs::write(root.join("cache/page"), format!("of web{number}"))?;
        fs::write(root.join("access.log"), format!("of web{number}"))?;
    }
    for number in ALL {
        let looked = cluster.web(number).json(&["app", "verify", "shop"])?;
        ensure!(looked.flag("/agrees")?, "{looked}");
    }
    let next = site.next(&cluster.path("shop-2"), 9)?;
    cluster.web(2).json(&["deploy", "shop", "--from", &next.root.to_string_lossy()])?;
    cluster.agreed("shop", 2, LIMIT)?;
    for number in ALL {
        let root = cluster.web(number).root("shop");
        ensure!(fs::read_to_string(root.join("cache/page"))? == format!("of web{number}"));
        ensure!(fs::read_to_string(root.join("access.log"))? == format!("of web{number}"));
    }
    let shown = cluster.web(3).json(&["app", "show", "shop"])?;
    ensure!(shown.texts("/unmanaged")? == ["cache/**", "*.log"], "{shown}");
    let trash = cluster.web(3).json(&["trash", "list", "shop"])?;
    ensure!(trash.find("/items", "path", "access.log").is_err(), "{trash}");
    Ok(())
}

fn a_fix_by_hand_is_kept(cluster: &mut Cluster) -> Result<()> {
    cluster.web(1).json(&["app", "pause", "shop", "--for", "10m"])?;
    wait_until(LIMIT, "web2 knows of the pause", || {
        let shown = cluster.members[1].json(&["app", "show", "shop"]).map_err(|error| error.to_string())?;
        if shown["state"] == "paused" && shown["paused_until"].is_string() {
            Ok(())
        } else {
            Err(shown.to_string())
        }
    })?;
    let fixed = cluster.web(2).root("shop").join("index.html");
    fs::write(fixed, "fixed at night\n")?;
    wait_until(LIMIT, "web2 noticed it", || {
        let why = cluster.members[1].json(&["why", "web2"]).map_err(|error| error.to_string())?;
        let remedies = why["remedies"].to_string();
        if remedies.contains("--adopt") && remedies.contains("pause") { Ok(()) } else { Err(why.to_string()) }
    })?;
    let open = ["update", "open", "shop", "--reason", "fixed at night"];
    let refused = cluster.web(2).refused(107, "E419", &open)?;
    ensure!(refused["error"]["remedies"].to_string().contains("--adopt"), "{refused}");
    let opened = cluster.web(2).json(&[&open[..], &["--adopt"]].concat())?;
    ensure!(opened.text("/staged")?.starts_with("b3:"), "{opened}");
    let longer = cluster.web(2).json(&["update", "extend", "shop", "--for", "2h"])?;
    ensure!(longer.text("/expires")? > opened.text("/expires")?, "{longer}");
    let diff = cluster.web(2).json(&["update", "diff", "shop"])?;
    ensure!(diff.list("/changes")?.len() == 1, "{diff}");
    cluster.web(2).json(&["update", "commit", "shop", "-y"])?;
    cluster.web(1).json(&["app", "resume", "shop"])?;
    cluster.agreed("shop", 3, LIMIT)?;
    for number in ALL {
        let text = fs::read_to_string(cluster.web(number).root("shop").join("index.html"))?;
        ensure!(text == "fixed at night\n", "web{number}: {text}");
    }
    Ok(())
}

fn a_contested_path_is_left_alone(cluster: &mut Cluster) -> Result<()> {
    let root = cluster.web(3).root("shop");
    let (contested, other) = (root.join("index.html"), root.join("home.html"));
    for round in 0..3 {
        fs::write(&contested, format!("again {round}"))?;
        wait_until(LIMIT, "repaired", || match fs::read_to_string(&contested) {
            Ok(text) if text == "fixed at night\n" => Ok(()),
            other => Err(format!("{other:?}")),
        })?;
        cluster.agreed("shop", 3, LIMIT)?;
    }
    fs::write(&contested, "the fourth")?;
    fs::remove_file(&other)?;
    wait_until(LIMIT, "the rest is repaired", || {
        if other.symlink_metadata().is_ok() { Ok(()) } else { Err("not there".to_owned()) }
    })?;
    wait_until(LIMIT, "everybody can tell", || {
        let why = cluster.members[0].json(&["why", "web3"]).map_err(|error| error.to_string())?;
        let shown = cluster.members[1].json(&["app", "show", "shop"]).map_err(|error| error.to_string())?;
        let told = why["because"] == "contested" && shown["contested"] == serde_json::json!(["web3"]);
        if told { Ok(()) } else { Err(format!("{why} {shown}")) }
    })?;
    ensure!(fs::read_to_string(&contested)? == "the fourth");
    let events = cluster.web(3).json(&["events", "--member", "web3", "--kind", "content.contested"])?;
    ensure!(
        events.list("/events")?.last().is_some_and(|it| it.to_string().contains("index.html")),
        "{events}"
    );
    let status = cluster.web(1).json(&["status"])?;
    ensure!(status.find("/attention", "condition", "contested").is_ok(), "{status}");
    cluster.web(3).json(&["app", "repair", "shop"])?;
    ensure!(fs::read_to_string(&contested)? == "fixed at night\n");
    cluster.agreed("shop", 3, LIMIT).map(|_| ())
}
