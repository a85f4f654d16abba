//! Applications that go to groups of members: two of them on five machines, and a member that changes its group.

use std::fs;
use std::time::Duration;

use althing_tests::{Cluster, Json, Member, Site, Tree, story, wait_until};
use anyhow::{Result, ensure};

const LIMIT: Duration = Duration::from_secs(60);

/// Waits until this member says that so many of so many agree on this revision.
fn agreed(member: &Member, application: &str, revision: u64, of: u64) -> Result<()> {
    let what = format!("{} sees that {of} of {of} agree on {application} {revision}", member.name);
    wait_until(LIMIT, &what, || {
        let shown = member.json(&["app", "show", application]).map_err(|error| error.to_string())?;
        let so = shown["revision"] == revision && shown["agree"] == of && shown["of"] == of;
        if so && shown["state"] == "agreed" { Ok(()) } else { Err(shown.to_string()) }
    })?;
    Ok(())
}

fn is_gone(member: &Member, application: &str) -> Result<()> {
    wait_until(LIMIT, &format!("{} has cleared {application} away", member.name), || {
        let root = member.root(application);
        if !root.exists() {
            return Ok(());
        }
        // What goes while it is read is an error, too.
        let left = Tree::read(&root).map(|tree| tree.files().len()).map_err(|error| error.to_string())?;
        if left == 0 { Ok(()) } else { Err(format!("{left} files are left")) }
    })?;
    Ok(())
}

#[test]
fn applications_go_to_their_groups_and_a_member_moves_from_one_to_the_other() {
    story(5, |cluster| {
        for (number, group) in [(1, "group=web"), (2, "group=web"), (3, "group=web,db"), (4, "group=db")] {
            let name = format!("web{number}");
            cluster.web(5).json(&["member", "label", &name, group])?;
        }
        let shop = Site::make(&cluster.path("shop-1"), 30, 1)?;
        let data = Site::make(&cluster.path("data-1"), 20, 2)?;
        let from = |site: &Site| site.root.to_string_lossy().into_owned();
        // Who deploys need not have it.
        cluster.web(5).json(&["app", "new", "shop", "--from", &from(&shop), "--group", "web"])?;
        cluster.web(1).json(&["app", "new", "data", "--from", &from(&data), "--group", "db"])?;
        cluster.have(&[1, 2, 3], "shop", &shop.tree, LIMIT)?;
        cluster.have(&[3, 4], "data", &data.tree, LIMIT)?;
        agreed(cluster.web(5), "shop", 1, 3)?;
        agreed(cluster.web(5), "data", 1, 2)?;
        ensure!(!cluster.web(4).root("shop").exists() && !cluster.web(1).root("data").exists());

        let shown = cluster.web(2).json(&["app", "show", "data"])?;
        ensure!(shown.list("/groups")? == &["db"] && shown.list("/members")? == &["web3", "web4"], "{shown}");
        ensure!(shown.list("/keepers")?.len() == 1, "{shown}");
        elsewhere(cluster)?;
        moves(cluster, &shop, &data)?;
        manifests(cluster)
    });
}

/// What needs the files of an application is refused where it does not go, and says where it does.
fn elsewhere(cluster: &mut Cluster) -> Result<()> {
    for words in [
        &["app", "verify", "shop"][..],
        &["app", "repair", "shop"],
        &["app", "diff", "shop"],
        &["app", "items", "shop", "--observed"],
        &["update", "open", "shop", "--adopt"],
        &["trash", "list", "shop"],
    ] {
        let refused = cluster.web(5).refused(105, "E407", words)?;
        let message = refused.text("/error/message")?;
        ensure!(message.contains("shop does not go to web5: it goes to group web"), "{refused}");
    }
    cluster.web(1).refused(105, "E407", &["app", "diff", "shop", "--member", "web5"])?;
    ensure!(cluster.web(5).json(&["app", "verify", "shop", "--on", "web1"])?.flag("/agrees")?);
    let member = cluster.web(1).json(&["member", "show", "web3"])?;
    ensure!(member.list("/content")?.len() == 2 && member.list("/groups")? == &["web", "db"], "{member}");
    let votes = cluster.web(5).json(&["votes", "shop"])?;
    ensure!(votes.number("/applications/0/needed")? == 2, "{votes}");
    Ok(())
}

fn moves(cluster: &mut Cluster, shop: &Site, data: &Site) -> Result<()> {
    cluster.web(1).json(&["update", "open", "shop"])?;
    let refused = cluster.web(2).refused(75, "E412", &["member", "label", "web2", "group=db"])?;
    ensure!(refused.text("/error/message")?.contains("shop"), "{refused}");
    cluster.web(1).json(&["update", "abort", "shop", "-y"])?;

    let files = shop.tree.files().len();
    cluster.web(4).json(&["member", "label", "web2", "group=db"])?;
    cluster.have(&[2, 3, 4], "data", &data.tree, LIMIT)?;
    is_gone(cluster.web(2), "shop")?;
    agreed(cluster.web(5), "shop", 1, 2)?;
    agreed(cluster.web(5), "data", 1, 3)?;
    let member = cluster.web(2);
    // They are told of when all is moved.
    wait_until(LIMIT, "the files of shop are in the trash", || {
        let trash = member.json(&["trash", "list", "shop"]).map_err(|error| error.to_string())?;
        let items = trash.list("/items").map_err(|error| error.to_string())?;
        let trashed = items.iter().filter(|item| item["kind"] == "file").count();
        if trashed == files { Ok(()) } else { Err(format!("{trashed} of {files}")) }
    })?;

    // A daemon that starts again finds everything as it was, and a deployment reaches the group only.
    cluster.web(2).restart()?;
    cluster.settled_roster(5)?;
    let next = shop.next(&cluster.path("shop-2"), 7)?;
    cluster.web(2).json(&["deploy", "shop", "--from", &next.root.to_string_lossy()])?;
    cluster.have(&[1, 3], "shop", &next.tree, LIMIT)?;
    is_gone(cluster.web(2), "shop")?;

    // Drift in a group of two is put right.
    let page = cluster.web(3).root("shop").join("index.html");
    fs::write(&page, "by hand")?;
    cluster.have(&[3], "shop", &next.tree, LIMIT)?;

    // Back: what lies there is compared as that of a member that joins.
    cluster.web(4).json(&["member", "label", "web2", "group=web,db"])?;
    cluster.have(&[1, 2, 3], "shop", &next.tree, LIMIT)?;
    agreed(cluster.web(1), "shop", 2, 3)
}

/// A manifest says it all, and what it would change.
fn manifests(cluster: &mut Cluster) -> Result<()> {
    let file = cluster.path("data.toml");
    let name = file.to_string_lossy().into_owned();
    let printed = cluster.web(1).run(&["app", "show", "data", "--manifest"])?.ended(0)?.stdout;
    fs::write(&file, &printed)?;
    ensure!(printed.contains("groups = [\"db\"]"), "{printed}");
    ensure!(cluster.web(5).json(&["app", "apply", &name])?.text("/result")? == "unchanged");
    let wider = printed.replace("[\"db\"]", "[\"db\", \"web\"]");
    fs::write(&file, format!("unmanaged = [\"cache/**\"]\n{wider}"))?;
    let dry = cluster.web(4).json(&["app", "apply", &name, "-n"])?;
    let keys: Vec<&str> = dry.list("/changes")?.iter().filter_map(|change| change["key"].as_str()).collect();
    ensure!(dry.text("/result")? == "changed" && keys == ["groups", "unmanaged"], "{dry}");
    ensure!(
        cluster.web(4).json(&["app", "show", "data"])?.list("/groups")? == &["db"],
        "a dry run changed it"
    );
    cluster.web(4).json(&["app", "apply", &name])?;
    agreed(cluster.web(5), "data", 1, 4)?;
    // What is settled must stay what all members have.
    fs::write(&file, format!("unmanaged = [\"*.html\"]\n{printed}"))?;
    let refused = cluster.web(4).refused(65, "E103", &["app", "apply", &name, "-y"])?;
    ensure!(refused.text("/error/message")?.contains("would not be managed any more"), "{refused}");
    Ok(())
}
