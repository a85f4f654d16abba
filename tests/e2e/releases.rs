//! An application that is switched as a whole, on real daemons (finding 27).

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use althing_tests::{Cluster, Json, Member, Site, story, wait_until};
use anyhow::{Context, Result, ensure};

const LIMIT: Duration = Duration::from_secs(60);
const ALL: [usize; 3] = [1, 2, 3];

#[test]
fn releases_are_switched_repaired_edited_and_taken_away() {
    story(3, |cluster| {
        let site = Site::make(&cluster.path("site"), 30, 5)?;
        let from = site.root.to_string_lossy().into_owned();
        what_cannot_be_is_refused(cluster, &from)?;
        cluster.web(1).json(&["app", "new", "shop", "--from", &from, "--switching", "release"])?;
        cluster.agreed("shop", 1, LIMIT)?;
        let first = everywhere(cluster, &site, |_| true)?;
        let shown = cluster.web(2).json(&["app", "show", "shop"])?;
        ensure!(shown["switching"] == "release", "{shown}");

        let next = site.next(&cluster.path("site-2"), 9)?;
        cluster.web(2).json(&["deploy", "shop", "--from", &next.root.to_string_lossy()])?;
        cluster.agreed("shop", 2, LIMIT)?;
        everywhere(cluster, &next, |name| name != first)?;
        for number in ALL {
            ensure!(releases(cluster.web(number)).join(&first).is_dir(), "the one before is kept");
        }

        drift_is_repaired_beside(cluster, &next)?;
        the_link_is_put_back(cluster, &next)?;
        an_edit_in_a_window_is_committed(cluster)?;

        cluster.web(3).json(&["app", "rollback", "shop", "--to", "1", "-y"])?;
        cluster.agreed("shop", 4, LIMIT)?;
        everywhere(cluster, &site, |name| name == first)?;

        a_kill_in_the_middle_of_a_switch_goes_forward(cluster, &site)?;
        taken_away(cluster)
    });
}

/// The applications' links lead to one complete tree of the site, whose name is right; returns it.
fn everywhere(cluster: &mut Cluster, site: &Site, right: impl Fn(&str) -> bool) -> Result<String> {
    let mut names = Vec::new();
    for number in ALL {
        let member = cluster.web(number);
        wait_until(LIMIT, "the link leads to the tree", || {
            let tree = fs::canonicalize(member.root("shop")).map_err(|error| error.to_string())?;
            site.tree.is_at(&tree)
        })?;
        let target = fs::read_link(member.root("shop"))?;
        let name = target.strip_prefix("shop.releases").context("a relative link")?;
        let name = name.to_string_lossy().into_owned();
        ensure!(right(&name), "{name} on web{number}");
        names.push(name);
    }
    Ok(names.remove(0))
}

fn releases(member: &Member) -> PathBuf {
    member.root("shop.releases")
}

fn what_cannot_be_is_refused(cluster: &mut Cluster, from: &str) -> Result<()> {
    let words = ["app", "new", "shop", "--from", from, "--switching", "release", "--unmanaged", "cache/**"];
    let refused = cluster.web(1).refused(65, "E103", &words)?;
    ensure!(refused.to_string().contains("would stay behind"), "{refused}");
    Ok(())
}

fn drift_is_repaired_beside(cluster: &mut Cluster, site: &Site) -> Result<()> {
    let root = cluster.web(2).root("shop");
    let before = fs::canonicalize(&root)?;
    fs::write(root.join("by-hand.php"), "<?php")?;
    wait_until(LIMIT, "another tree is in force", || {
        let now = fs::canonicalize(&root).map_err(|error| error.to_string())?;
        if now == before { Err("the same tree".to_owned()) } else { site.tree.is_at(&now) }
    })?;
    wait_until(LIMIT, "the damaged tree is gone", || {
        if before.exists() { Err("it is there".to_owned()) } else { Ok(()) }
    })?;
    let trash = cluster.web(2).json(&["trash", "list", "shop"])?;
    trash.find("/items", "path", "by-hand.php")?;
    Ok(())
}

fn the_link_is_put_back(cluster: &mut Cluster, site: &Site) -> Result<()> {
    let root = cluster.web(3).root("shop");
    let right = |root: &Path| {
        let target = fs::read_link(root).map_err(|error| error.to_string())?;
        if !target.starts_with("shop.releases") {
            return Err(format!("it leads to {}", target.display()));
        }
        site.tree.is_at(&fs::canonicalize(root).map_err(|error| error.to_string())?)
    };
    fs::remove_file(&root)?;
    wait_until(LIMIT, "a removed link is there again", || right(&root))?;
    cluster.agreed("shop", 2, LIMIT)?;
    fs::remove_file(&root)?;
    symlink("/etc", &root)?;
    wait_until(LIMIT, "a link elsewhere leads back", || right(&root))?;
    cluster.agreed("shop", 2, LIMIT)?;
    Ok(())
}

fn an_edit_in_a_window_is_committed(cluster: &mut Cluster) -> Result<()> {
    cluster.web(1).json(&["update", "open", "shop", "--for", "5m"])?;
    fs::write(cluster.web(1).root("shop").join("edited.txt"), "in a window")?;
    cluster.web(1).json(&["update", "commit", "shop", "-y"])?;
    cluster.agreed("shop", 3, LIMIT)?;
    for number in ALL {
        let root = cluster.web(number).root("shop");
        wait_until(LIMIT, "the edit is there", || {
            let text = fs::read_to_string(root.join("edited.txt")).map_err(|error| error.to_string())?;
            if text == "in a window" { Ok(()) } else { Err(text) }
        })?;
    }
    Ok(())
}

fn a_kill_in_the_middle_of_a_switch_goes_forward(cluster: &mut Cluster, site: &Site) -> Result<()> {
    let next = site.next(&cluster.path("site-5"), 21)?;
    let from = next.root.to_string_lossy().into_owned();
    let root = cluster.web(2).root("shop");
    let before = fs::read_link(&root)?;
    cluster.web(1).json(&["deploy", "shop", "--from", &from])?;
    // Whatever it is doing now.
    cluster.web(2).kill();
    ensure!(fs::canonicalize(&root)?.is_dir(), "there is always a tree");
    cluster.web(2).start()?;
    cluster.agreed("shop", 5, LIMIT)?;
    everywhere(cluster, &next, |name| Path::new("shop.releases").join(name) != before)?;
    let left: Vec<String> = fs::read_dir(releases(cluster.web(2)))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    ensure!(left.iter().all(|name| !name.starts_with('.')), "{left:?}");
    Ok(())
}

fn taken_away(cluster: &mut Cluster) -> Result<()> {
    cluster.web(1).json(&["app", "remove", "shop", "--confirm", "shop"])?;
    for number in ALL {
        let member = cluster.web(number);
        let (link, trees) = (member.root("shop"), releases(member));
        wait_until(LIMIT, "nothing is left", || {
            let gone = fs::symlink_metadata(&link).is_err() && !trees.exists();
            if gone { Ok(()) } else { Err(format!("{} or {}", link.display(), trees.display())) }
        })?;
    }
    Ok(())
}
