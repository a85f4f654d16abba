//! The ugly days: a disk that was restored, votes that are lost, a majority that does not come back.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use althing_tests::{Cluster, Json, Member, Site, story, wait_until};
use anyhow::{Result, ensure};

const LIMIT: Duration = Duration::from_secs(30);

fn deploy_first(cluster: &mut Cluster, numbers: &[usize]) -> Result<Site> {
    let site = Site::make(&cluster.path("site"), 40, 3)?;
    cluster.web(1).json(&["app", "new", "shop", "--from", &site.root.to_string_lossy()])?;
    cluster.have(numbers, "shop", &site.tree, LIMIT)?;
    Ok(site)
}

fn deploy(member: &Member, site: &Site) -> Result<()> {
    member.json(&["deploy", "shop", "--from", &site.root.to_string_lossy()]).map(|_| ())
}

/// A directory as `cp -a` copies it: what a backup of a whole machine has.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status()?;
    ensure!(status.success(), "cp: {status}");
    Ok(())
}

/// Waits until a member shows this condition.
fn shows(member: &Member, condition: &str, subject: &str) -> Result<()> {
    let what = format!("{} shows {condition} of {subject}", member.name);
    wait_until(LIMIT, &what, || {
        let status = member.json(&["status"]).map_err(|error| error.to_string())?;
        let list = status.list("/attention").map_err(|error| error.to_string())?;
        let found = list.iter().any(|one| one["condition"] == condition && one["subject"] == subject);
        if found { Ok(()) } else { Err(status.to_string()) }
    })
    .map(|_| ())
}

#[test]
fn a_restored_copy_and_lost_votes_come_back_by_readmission() {
    story(3, |cluster| {
        let site = deploy_first(cluster, &[1, 2, 3])?;
        let backup = cluster.path("backup");
        cluster.web(3).stop()?;
        copy(&cluster.web(3).dir.clone(), &backup)?;
        cluster.web(3).start()?;
        cluster.settled_roster(3)?;
        let next = site.next(&cluster.path("next"), 1)?;
        deploy(cluster.web(3), &next)?;
        cluster.have(&[1, 2, 3], "shop", &next.tree, LIMIT)?;

        // The machine is restored from the backup: others know more of it than it does.
        cluster.web(3).stop()?;
        fs::remove_dir_all(&cluster.web(3).dir)?;
        copy(&backup, &cluster.web(3).dir.clone())?;
        cluster.web(3).start()?;
        shows(cluster.web(3), "store-burnt", "member/web3")?;
        shows(cluster.web(1), "store-burnt", "member/web3")?;
        let why = cluster.web(1).json(&["why", "web3"])?;
        ensure!(why.text("/because")? == "store-burnt", "{why}");
        ensure!(why["remedies"][0]["command"] == serde_json::json!(["althing", "member", "readmit", "web3"]));
        cluster.web(1).refused(75, "E405", &["member", "readmit", "web2"])?;
        cluster.web(1).refused(105, "E401", &["member", "readmit", "web9"])?;
        // It may be asked for on the member itself, which has another one settle it.
        cluster.web(3).json(&["member", "readmit", "web3"])?;
        cluster.settled_roster(3)?;
        cluster.have(&[3], "shop", &next.tree, LIMIT)?;
        its_vote_counts(cluster, &next)?;
        lost_votes(cluster)
    });
}

/// With another member away nothing is settled without the one that was re-admitted.
fn its_vote_counts(cluster: &mut Cluster, site: &Site) -> Result<()> {
    cluster.web(1).kill();
    let last = site.next(&cluster.path("last"), 2)?;
    deploy(cluster.web(2), &last)?;
    cluster.have(&[2, 3], "shop", &last.tree, LIMIT)?;
    cluster.web(1).start()?;
    cluster.settled_roster(3)?;
    let history = cluster.web(1).json(&["roster", "history"])?;
    history.find("/changes", "what", "re-admitted")?;
    let roster = cluster.web(1).json(&["roster"])?;
    let order: Vec<&str> = roster.list("/members")?.iter().filter_map(|m| m["name"].as_str()).collect();
    ensure!(order == ["web1", "web2", "web3"], "{roster}");
    Ok(())
}

/// The key is there, and the votes are not.
fn lost_votes(cluster: &mut Cluster) -> Result<()> {
    cluster.web(3).stop()?;
    let dir = cluster.web(3).dir.clone();
    fs::remove_dir_all(dir.join("votes"))?;
    fs::remove_file(dir.join("acknowledged"))?;
    fs::remove_file(dir.join("format"))?;
    cluster.web(3).start()?;
    let invitation = cluster.invite(&[])?;
    let refused = cluster.web(3).join(&invitation)?.refused(75, "E203")?;
    ensure!(refused.to_string().contains("readmit"), "{refused}");
    shows(cluster.web(2), "store-burnt", "member/web3")?;
    cluster.web(2).json(&["member", "readmit", "web3"])?;
    cluster.settled_roster(3)?;
    let list = cluster.web(1).json(&["invite", "list"])?;
    ensure!(list.list("/invitations")?.len() == 1, "the invitation was not used: {list}");
    Ok(())
}

#[test]
fn two_machines_with_one_key_are_both_mute_until_one_stops() {
    story(3, |cluster| {
        let site = deploy_first(cluster, &[1, 2, 3])?;
        cluster.web(3).stop()?;
        let dir = cluster.web(3).dir.clone();
        // A machine made from an image of web3: web4 by its place here, web3 by its key.
        cluster.add()?;
        cluster.web(4).stop()?;
        fs::remove_dir_all(&cluster.web(4).dir)?;
        copy(&dir, &cluster.web(4).dir.clone())?;
        cluster.web(3).start()?;
        cluster.settled_roster(3)?;
        cluster.web(4).start()?;
        for number in [3, 4, 1] {
            shows(cluster.web(number), "store-burnt", "member/web3")?;
        }
        wait_until(LIMIT, "both machines are heard", || {
            let why = cluster.members[0].json(&["why", "web3"]).map_err(|error| error.to_string())?;
            if why.to_string().contains("two machines") { Ok(()) } else { Err(why.to_string()) }
        })?;
        let doubled = cluster.web(1).refused(107, "E706", &["member", "readmit", "web3"])?;
        let facts = doubled["error"]["facts"].to_string();
        ensure!(
            facts.contains(&cluster.web(3).address()) && facts.contains(&cluster.web(4).address()),
            "{facts}"
        );
        // Without web3 the others are a majority still.
        let next = site.next(&cluster.path("next"), 1)?;
        deploy(cluster.web(1), &next)?;
        cluster.web(4).kill();
        wait_until(LIMIT, "the other machine is forgotten", || {
            let ran = cluster.members[0].run(&["member", "readmit", "web3", "--json"]);
            ran.and_then(|ran| ran.document()).map(|_| ()).map_err(|error| error.to_string())
        })?;
        cluster.settled_roster(3)?;
        cluster.have(&[1, 2, 3], "shop", &next.tree, LIMIT).map(|_| ())
    });
}

#[test]
fn two_of_five_begin_anew_and_the_old_majority_goes_mute() {
    story(5, |cluster| {
        let site = deploy_first(cluster, &[1, 2, 3, 4, 5])?;
        let recover = ["roster", "recover", "--keep", "web1,web2", "--confirm", "demo"];
        cluster.web(1).refused(107, "E701", &recover)?;
        for number in [3, 4, 5] {
            cluster.web(number).kill();
        }
        shows(cluster.web(1), "no-majority", "entity")?;
        cluster.web(1).refused(64, "E001", &recover[..4])?;
        cluster.web(1).refused(105, "E401", &["roster", "recover", "--keep", "web8", "--confirm", "demo"])?;
        let done = cluster.web(1).json(&recover)?;
        ensure!(done["awaited"] == serde_json::json!(["web2"]), "{done}");
        let invitation = done.text("/invitation")?.to_owned();
        let joined = cluster.web(2).join(&invitation)?.document()?;
        ensure!(joined.text("/member")? == "web2" && joined.number("/voters")? == 2, "{joined}");
        cluster.settled_roster(2)?;
        cluster.have(&[1, 2], "shop", &site.tree, LIMIT)?;
        let next = site.next(&cluster.path("next"), 1)?;
        deploy(cluster.web(2), &next)?;
        cluster.have(&[1, 2], "shop", &next.tree, LIMIT)?;
        cluster.web(1).json(&["app", "rollback", "shop", "--to", "1", "-y"])?;
        cluster.have(&[1, 2], "shop", &site.tree, LIMIT)?;
        the_three_come_back(cluster, &site)
    });
}

fn the_three_come_back(cluster: &mut Cluster, site: &Site) -> Result<()> {
    for number in [3, 4, 5] {
        cluster.web(number).start()?;
    }
    for number in [3, 4, 5] {
        shows(cluster.web(number), "superseded", "entity")?;
    }
    let from = site.root.to_string_lossy().into_owned();
    let refused = cluster.web(4).refused(106, "E302", &["deploy", "shop", "--from", &from])?;
    ensure!(refused.to_string().contains("althing"), "{refused}");
    cluster.web(4).refused(107, "E704", &["resolve", "--confirm", "demo"])?;
    let other = format!("b3:{}", "0".repeat(64));
    cluster.web(4).refused(107, "E705", &["resolve", "--keep", &other, "--confirm", "demo"])?;
    // What they have stays, and is put right.
    fs::write(cluster.web(5).root("shop").join("index.html"), b"defaced")?;
    cluster.have(&[3, 4, 5], "shop", &site.tree, LIMIT)?;
    // One that was not kept forgets the old entity, and joins the new one as anybody does.
    let invitation = cluster.invite(&[])?;
    cluster.web(3).join(&invitation)?.ended(65)?;
    cluster.web(3).refused(64, "E001", &["leave", "--purge", "--no-input"])?;
    cluster.web(3).json(&["leave", "--purge", "--confirm", "demo"])?;
    let member = &cluster.members[2];
    wait_until(LIMIT, "web3 has forgotten", || {
        let version = member.json(&["version"]).map_err(|error| error.to_string())?;
        if version["in_entity"] == false { Ok(()) } else { Err(version.to_string()) }
    })?;
    cluster.web(4).kill();
    cluster.web(5).kill();
    cluster.web(3).join(&invitation)?.document()?;
    cluster.settled_roster(3)?;
    cluster.have(&[1, 2, 3], "shop", &site.tree, LIMIT)?;
    let roster = cluster.web(2).json(&["roster", "show"])?;
    ensure!(roster.list("/past")?.len() == 3 && roster["origin"]["epoch"].is_u64(), "{roster}");
    let history = cluster.web(2).json(&["roster", "history"])?;
    history.find("/changes", "what", "recovered")?;
    Ok(())
}

/// Waits until a member shows no condition of this name any more.
fn shows_no_more(member: &Member, condition: &str) -> Result<()> {
    wait_until(LIMIT, &format!("{} shows no {condition}", member.name), || {
        let status = member.json(&["status"]).map_err(|error| error.to_string())?;
        let list = status.list("/attention").map_err(|error| error.to_string())?;
        if list.iter().any(|one| one["condition"] == condition) { Err(status.to_string()) } else { Ok(()) }
    })
    .map(|_| ())
}

#[test]
fn content_of_those_left_behind_is_missed_and_had_from_one_that_is_back() {
    story(5, |cluster| {
        for name in ["web3", "web4", "web5"] {
            cluster.web(1).json(&["member", "label", name, "group=far"])?;
        }
        let site = Site::make(&cluster.path("site"), 40, 3)?;
        let from = site.root.to_string_lossy().into_owned();
        cluster.web(3).json(&["app", "new", "shop", "--from", &from, "--group", "far"])?;
        cluster.have(&[3, 4, 5], "shop", &site.tree, LIMIT)?;
        for number in [3, 4, 5] {
            cluster.web(number).kill();
        }
        shows(cluster.web(1), "no-majority", "entity")?;
        cluster.web(1).json(&["roster", "recover", "--keep", "web1", "--confirm", "demo"])?;
        shows(cluster.web(1), "content-missing", "app/shop")?;
        cluster.web(4).start()?;
        shows_no_more(cluster.web(1), "content-missing")?;
        cluster.web(1).json(&["app", "place", "shop", "--all"])?;
        cluster.have(&[1], "shop", &site.tree, LIMIT).map(|_| ())
    });
}
