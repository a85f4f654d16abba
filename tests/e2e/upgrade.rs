//! An entity of an older protocol version, upgraded one member after the other (finding 19). The older program is this one,
//! told to speak only what version 1 had, or a program of that time where `ALTHING_OLDER` names one.

use std::fs;
use std::time::Duration;

use althing_tests::{Cluster, Json, Ran, Site, older as older_program, story, wait_until};
use anyhow::{Result, ensure};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);

/// Members that speak protocol 1 only, and an application.
fn older(cluster: &mut Cluster, members: usize) -> Result<Site> {
    cluster.speaks = Some(1);
    cluster.found(members)?;
    let site = Site::make(&cluster.path("site"), 60, 3)?;
    cluster.web(1).json(&["app", "new", "shop", "--from", &site.root.to_string_lossy()])?;
    let all: Vec<usize> = (1..=members).collect();
    cluster.have(&all, "shop", &site.tree, LIMIT)?;
    Ok(site)
}

/// A new revision, settled and agreed by everybody who runs.
fn deploy(cluster: &mut Cluster, from: usize, number: u64) -> Result<u64> {
    let path = cluster.path(&format!("site-{number}"));
    let site = Site::make(&path, 20, number)?;
    let words = ["deploy", "shop", "--from", &site.root.to_string_lossy()];
    let settled = cluster.web(from).json(&words)?;
    settled.number("/revision")
}

fn versions(cluster: &mut Cluster, at: usize) -> Result<Value> {
    cluster.web(at).json(&["version", "--entity"])
}

/// Every member says that it speaks this version, as web1 hears it.
fn all_speak(cluster: &mut Cluster, protocol: u64) -> Result<()> {
    let what = format!("all speak protocol {protocol}");
    wait_until(LIMIT, &what, || {
        let seen = versions(cluster, 1).map_err(|error| error.to_string())?;
        let list = seen.list("/members").map_err(|error| error.to_string())?;
        let speaks = |member: &Value| member["protocol"].as_u64() == Some(protocol);
        if list.iter().all(speaks) { Ok(()) } else { Err(seen.to_string()) }
    })?;
    Ok(())
}

#[test]
fn nine_members_are_upgraded_under_deployments_and_the_older_program_is_refused_afterwards() {
    story(0, |cluster| {
        older(cluster, 9)?;
        let mut revision = 1;
        for number in 1..=9 {
            // A program of then cannot be asked; and web1 itself does not speak version 2 before it was upgraded.
            if number > 1 {
                cluster.web(1).refused(75, "E320", &["version", "--settle", "2", "-y"])?;
            } else if older_program()?.is_none() {
                let founded = versions(cluster, 1)?.number("/protocol")?;
                ensure!(founded == 1, "the entity uses what its founder speaks");
            }
            let member = cluster.web(number);
            member.stop()?;
            member.speaks = None;
            member.start()?;
            let from = number % 9 + 1;
            let settled = deploy(cluster, from, number as u64)?;
            ensure!(settled == revision + 1, "revision {settled} after {revision}");
            revision = settled;
        }
        all_speak(cluster, 2)?;
        let shown = cluster.web(1).json(&["status"])?;
        shown.find("/attention", "condition", "new-version")?;
        // The older program may still be put back.
        let format = cluster.web(4).dir.join("format");
        ensure!(fs::read_to_string(&format)?.trim() == "1", "the store was raised too soon");
        let raised = cluster.web(1).json(&["version", "--settle", "2", "-y"])?;
        ensure!(raised.number("/protocol")? == 2, "{raised}");
        wait_until(LIMIT, "every store says so", || {
            for member in &cluster.members {
                let format =
                    fs::read_to_string(member.dir.join("format")).map_err(|error| error.to_string())?;
                if format.trim() != "2" {
                    return Err(format!("{}: {format}", member.name));
                }
            }
            Ok(())
        })?;
        // Something that version 1 does not have: an invitation with a checkpoint.
        let invitation = cluster.invite(&[])?;
        ensure!(invitation.starts_with("althing2"), "{invitation}");
        cluster.speaks = None;
        cluster.add()?.join(&invitation)?.document()?;
        cluster.settled_roster(10)?;
        ensure!(deploy(cluster, 5, 77)? == revision + 1, "it goes on");
        // The older program does not open the store, and says why.
        let member = cluster.web(6);
        member.stop()?;
        let mut older = member.daemon()?;
        let ran = Ran::of(older.env("ALTHING_SPEAKS", "1"), "")?;
        let why = "has store format 2, and this program reads up to 1: install a newer althing";
        ensure!(ran.code != 0 && ran.stderr.contains(why), "{ran:?}");
        member.start()?;
        // And a machine with it is not let in.
        let invitation = cluster.invite(&[])?;
        cluster.speaks = Some(1);
        // A program of then does not even know what this is.
        let code = if older_program()?.is_some() { "E314" } else { "E317" };
        cluster.add()?.join(&invitation)?.refused(65, code)?;
        Ok(())
    });
}
