//! An entity that operators govern: two of three keys, which are on no member, for what administrators ask for.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use althing_tests::{Cluster, Json, Member, Site, story, wait_until};
use anyhow::{Context, Result, ensure};

const LIMIT: Duration = Duration::from_secs(30);
const OF_THE_ENTITY: &str = "demo";

/// Keys of three operators, beside the members.
fn keys(cluster: &Cluster) -> Result<[String; 3]> {
    let made = ["ada", "bo", "cy"].map(|name| {
        let path = cluster.path(&format!("{name}.key")).to_string_lossy().into_owned();
        cluster.members[0].json(&["operator", "keygen", "--out", &path]).map(|_| path)
    });
    let [ada, bo, cy] = made;
    Ok([ada?, bo?, cy?])
}

#[test]
fn two_of_three_operators_govern_and_no_member_does() {
    story(3, |cluster| {
        let [ada, bo, cy] = &keys(cluster)?;
        ensure!(fs::metadata(ada)?.permissions().mode() & 0o777 == 0o600, "a key is for its owner");
        let public = format!("{cy}.pub");
        let authority = [
            &["roster", "authority", "operators", "--operators", "2", "--confirm", OF_THE_ENTITY][..],
            &["--operator-key", ada, "--operator-key", bo, "--operator-key", &public],
        ]
        .concat();
        cluster.members[0].refused(77, "E711", &authority)?;
        cluster.web(1).json(&[&authority[..], &["--sign", ada, "--sign", bo, "-y"]].concat())?;
        // Two settle it; the third may have it a moment later.
        for member in &cluster.members {
            shows(member, &["roster"], |roster| {
                let operators = roster["authority"]["operators"].as_array().map(Vec::len);
                roster["authority"]["kind"] == "operators" && operators == Some(3)
            })?;
        }
        no_member_governs(cluster)?;
        let site = deployed(cluster, ada, bo)?;
        the_second_signature(cluster, &site, ada, cy)?;
        members_keep_what_is_theirs(cluster, bo, cy)
    });
}

fn no_member_governs(cluster: &Cluster) -> Result<()> {
    let site = Site::make(&cluster.path("no"), 3, 9)?;
    let from = site.root.to_string_lossy();
    let web = &cluster.members[1];
    for words in [
        &["member", "remove", "web3", "--confirm", "web3"][..],
        &["invite"],
        &["app", "new", "shop", "--root", "/srv/shop"],
        &["app", "new", "shop", "--from", &from],
        &["member", "rename", "web3", "other"],
        &["roster", "quorum", "supermajority", "--confirm", OF_THE_ENTITY],
    ] {
        let refused = web.refused(77, "E711", words)?;
        ensure!(refused.text("/error/name")? == "needs-operators", "{refused}");
    }
    let page = web.json(&["explain", "E711"])?;
    ensure!(page.to_string().contains("--sign"), "{page}");
    Ok(())
}

/// One command, two keys: definition and first content.
fn deployed(cluster: &mut Cluster, ada: &str, bo: &str) -> Result<Site> {
    let site = Site::make(&cluster.path("site"), 20, 3)?;
    let from = site.root.to_string_lossy().into_owned();
    let both = ["--sign", ada, "--sign", bo];
    // Without a terminal nobody is asked, and nothing is signed.
    cluster.web(1).run(&[&["app", "new", "shop", "--from", &from][..], &both].concat())?.ended(64)?;
    cluster.web(1).json(&[&["app", "new", "shop", "--from", &from, "-y"][..], &both].concat())?;
    cluster.have(&[1, 2, 3], "shop", &site.tree, LIMIT)?;
    cluster.web(3).refused(77, "E711", &["deploy", "shop", "--from", &from])?;
    cluster.web(3).refused(77, "E711", &["update", "open", "shop"])?;
    Ok(site)
}

/// Waits until a member answers so.
fn shows(member: &Member, words: &[&str], is_so: impl Fn(&serde_json::Value) -> bool) -> Result<()> {
    wait_until(LIMIT, &format!("{} shows it", member.name), || {
        let shown = member.json(words).map_err(|error| error.to_string())?;
        if is_so(&shown) { Ok(()) } else { Err(shown.to_string()) }
    })
    .map(|_| ())
}

/// A request with one signature is shown everywhere, outlives its member's process, and is carried out with the second.
fn the_second_signature(cluster: &mut Cluster, site: &Site, ada: &str, cy: &str) -> Result<()> {
    let changed = Site::make(&cluster.path("changed"), 20, 4)?;
    let from = changed.root.to_string_lossy().into_owned();
    let waits =
        cluster.web(1).refused(75, "E712", &["deploy", "shop", "--from", &from, "--sign", ada, "-y"])?;
    let id = waits.text("/error/facts/request")?.to_owned();
    cluster.have(&[1, 2, 3], "shop", &site.tree, LIMIT)?;

    // The same operator twice is one operator.
    cluster.web(1).refused(75, "E712", &["request", "sign", &id, "--sign", ada, "-y"])?;
    cluster.web(1).kill();
    cluster.web(1).start()?;
    cluster.settled_roster(3)?;
    let own = cluster.web(1).json(&["request", "show", &id])?;
    ensure!(own.number("/have")? == 1, "it was on the disk: {own}");
    wait_until(LIMIT, "the others show what waits", || {
        let listed = cluster.members[2].json(&["request", "list"]).map_err(|error| error.to_string())?;
        let found = listed.find("/requests", "id", &id).map_err(|error| error.to_string())?;
        if found["have"] == 1 && found["signed_by"][0] == "ada" { Ok(()) } else { Err(listed.to_string()) }
    })?;
    let status = cluster.web(3).json(&["status"])?;
    ensure!(status.find("/attention", "condition", "request-waits").is_ok(), "{status}");
    shows(cluster.web(2), &["request", "list"], |listed| listed.find("/requests", "id", &id).is_ok())?;
    let shown = cluster.web(2).json(&["request", "show", &id])?;
    ensure!(shown.text("/text")?.contains("shop"), "{shown}");

    // Signed on another member, carried out where it waits.
    let done = cluster.web(3).json(&["request", "sign", &id[..8], "--sign", cy, "-y"])?;
    ensure!(done.number("/revision")? == 2, "{done}");
    cluster.have(&[1, 2, 3], "shop", &changed.tree, LIMIT)?;
    cluster.web(1).refused(105, "E715", &["request", "sign", &id, "--sign", cy, "-y"])?;
    let audit = cluster.web(2).json(&["audit"])?;
    let opened = audit.find("/entries", "change", "open")?;
    ensure!(opened["signed_by"].as_array().is_some_and(|signed| signed.len() == 2), "{audit}");
    Ok(())
}

fn members_keep_what_is_theirs(cluster: &mut Cluster, bo: &str, cy: &str) -> Result<()> {
    // A stranger's key, and a key that others may read.
    let eve = cluster.path("eve.key").to_string_lossy().into_owned();
    cluster.web(1).json(&["operator", "keygen", "--out", &eve])?;
    cluster.web(1).refused(77, "E713", &["member", "label", "web3", "zone=b", "--sign", &eve, "-y"])?;
    fs::set_permissions(&eve, fs::Permissions::from_mode(0o644))?;
    cluster.web(1).refused(78, "E631", &["member", "label", "web3", "zone=b", "--sign", &eve, "-y"])?;
    let both = ["--sign", bo, "--sign", cy, "-y"];
    cluster.web(1).json(&[&["member", "label", "web3", "zone=b"][..], &both].concat())?;

    // In and out of service within bounds, and leaving, need nobody.
    cluster.web(1).json(&["member", "out", "web2"])?;
    cluster.web(1).json(&["member", "in", "web2"])?;
    let waits =
        cluster.web(2).refused(75, "E712", &["member", "rename", "web3", "three", "--sign", bo, "-y"])?;
    let id = waits.text("/error/facts/request")?.to_owned();
    cluster.web(2).json(&["request", "withdraw", &id[..8]])?;
    cluster.web(2).refused(105, "E715", &["request", "sign", &id, "--sign", cy, "-y"])?;
    cluster.web(3).json(&["leave", "-y"])?;
    shows(cluster.web(1), &["roster"], |roster| roster["voters"] == 2)?;
    fs::read(bo).map(|_| ()).context("the keys are where they were")
}
