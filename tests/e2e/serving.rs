//! Members in and out of service, spares, names and labels (cli.md "MEMBERS").

use std::time::Duration;

use althing_tests::{Cluster, Json, Site, story, wait_until};
use anyhow::{Result, ensure};

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn members_go_out_of_service_and_come_back() {
    story(2, |cluster| {
        cluster.web(1).json(&["member", "out", "web2", "--reason", "new disk"])?;
        seen_everywhere(cluster, "web2", "out")?;
        let shown = cluster.web(2).json(&["member", "show", "web2"])?;
        ensure!(shown.text("/out/reason")? == "new disk" && !shown.text("/out/by")?.is_empty(), "{shown}");
        ensure!(shown.flag("/counts")? && shown["share_ratio"] == 0.0, "{shown}");
        let status = cluster.web(1).json(&["status"])?;
        ensure!(status.number("/service/in")? == 1 && status.number("/service/out")? == 1, "{status}");
        let note = status.find("/attention", "condition", "out-of-service")?;
        ensure!(note.text("/severity")? == "notice" && note.text("/code")? == "A301", "{status}");

        the_last_one_stays_unless_somebody_insists(cluster)?;
        let audit = cluster.web(2).json(&["audit", "--verify"])?;
        let taken = audit.find("/entries", "change", "take-out")?;
        ensure!(taken.text("/member")? == "web2" && taken.text("/from")? == "web1", "{audit}");
        ensure!(audit.flag("/verified/is_in_force")?, "{audit}");
        names_and_labels(cluster)?;
        cluster.web(2).json(&["member", "out", "web1", "--for", "2s"])?;
        wait_until(LIMIT, "the time out of service is over", || {
            let shown =
                cluster.members[0].json(&["member", "show", "web1"]).map_err(|error| error.to_string())?;
            if shown["service"] == "in" { Ok(()) } else { Err(shown.to_string()) }
        })?;
        Ok(())
    });
}

fn seen_everywhere(cluster: &Cluster, name: &str, service: &str) -> Result<()> {
    wait_until(LIMIT, &format!("all see {name} as {service}"), || {
        for member in &cluster.members {
            let shown = member.json(&["member", "show", name]).map_err(|error| error.to_string())?;
            if shown["service"] != service {
                return Err(format!("{}: {shown}", member.name));
            }
        }
        Ok(())
    })?;
    Ok(())
}

fn the_last_one_stays_unless_somebody_insists(cluster: &mut Cluster) -> Result<()> {
    let before = cluster.web(1).json(&["status"])?.number("/entity/epoch")?;
    let refused = cluster.web(2).refused(107, "E702", &["member", "out", "web1"])?;
    let commands: Vec<&str> =
        refused.list("/error/remedies")?.iter().filter_map(|remedy| remedy["command"][2].as_str()).collect();
    ensure!(commands == ["in", "out"], "{refused}");
    cluster.web(1).refused(107, "E702", &["member", "spare", "web1"])?;
    let after = cluster.web(1).json(&["status"])?.number("/entity/epoch")?;
    ensure!(before == after, "a refused command settled something: {before} {after}");

    cluster.web(1).json(&["member", "out", "web1", "-y"])?;
    let status = cluster.web(1).json(&["status"])?;
    status.find("/attention", "condition", "nobody-serves")?;
    for name in ["web1", "web2"] {
        cluster.web(2).json(&["member", "in", name])?;
        seen_everywhere(cluster, name, "in")?;
    }
    // What is so already is no change.
    let epoch = cluster.web(1).json(&["status"])?.number("/entity/epoch")?;
    cluster.web(1).json(&["member", "in", "web2"])?;
    ensure!(cluster.web(1).json(&["status"])?.number("/entity/epoch")? == epoch, "a record for nothing");
    Ok(())
}

fn names_and_labels(cluster: &mut Cluster) -> Result<()> {
    cluster.web(1).refused(65, "E316", &["member", "rename", "web2", "web1"])?;
    cluster.web(1).refused(65, "E103", &["member", "rename", "web2", "a b"])?;
    cluster.web(1).refused(105, "E401", &["member", "rename", "web9", "web8"])?;
    cluster.web(1).json(&["member", "rename", "web2", "shop2"])?;
    cluster.web(1).json(&["member", "label", "shop2", "zone=b", "rack=4"])?;
    cluster.web(1).json(&["member", "label", "shop2", "rack="])?;
    let shown = cluster.web(1).json(&["member", "show", "shop2", "--on", "shop2"])?;
    ensure!(shown["labels"] == serde_json::json!({ "zone": "b" }), "{shown}");
    cluster.web(1).refused(65, "E103", &["member", "label", "shop2", "a b=c"])?;
    cluster.web(2).json(&["member", "rename", "shop2", "web2"])?;
    seen_everywhere(cluster, "web2", "in")
}

#[test]
fn a_spare_has_the_content_and_does_not_count() {
    story(2, |cluster| {
        let site = Site::make(&cluster.path("site"), 20, 3)?;
        let invitation = cluster.invite(&["--spare"])?;
        let list = cluster.web(1).json(&["invite", "list"])?;
        ensure!(list.list("/invitations")?.iter().any(|it| it["spare"] == true), "{list}");
        cluster.add()?.join(&invitation)?.document()?;
        seen_everywhere(cluster, "web3", "spare")?;
        cluster.web(3).json(&["wait", "--for", "members=3"])?;
        cluster.web(3).json(&["app", "new", "shop", "--from", &site.root.to_string_lossy()])?;
        cluster.have(&[1, 2, 3], "shop", &site.tree, LIMIT)?;
        let members = cluster.web(1).json(&["members"])?;
        ensure!(members.number("/majority")? == 2, "{members}");
        let third = members.find("/members", "name", "web3")?;
        ensure!(third.text("/role")? == "follower" && !third.flag("/counts")?, "{members}");

        // Its drift is put right, too; it is no third of a majority.
        std::fs::write(cluster.web(3).root("shop").join("evil.php"), b"<?php")?;
        cluster.have(&[3], "shop", &site.tree, LIMIT)?;
        cluster.web(1).json(&["member", "in", "web3"])?;
        seen_everywhere(cluster, "web3", "in")?;
        cluster.web(3).kill();
        let next = site.next(&cluster.path("next"), 1)?;
        cluster.web(1).json(&["deploy", "shop", "--from", &next.root.to_string_lossy()])?;
        cluster.web(3).start()?;
        cluster.have(&[1, 2, 3], "shop", &next.tree, LIMIT)?;

        cluster.web(1).json(&["member", "spare", "web3", "--off"])?;
        cluster.settled_roster(3)
    });
}
