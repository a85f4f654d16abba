//! A minority settles nothing, keeps what it has and says so; the majority goes on; healed, all agree (acceptance 3).

use std::fs;
use std::time::Duration;

use althing_tests::{Cluster, Json, Site, story, wait_until};
use anyhow::{Result, ensure};

const LIMIT: Duration = Duration::from_secs(60);
const ALL: [usize; 9] = [1, 2, 3, 4, 5, 6, 7, 8, 9];
const FIVE: [usize; 5] = [1, 2, 3, 4, 5];
const FOUR: [usize; 4] = [6, 7, 8, 9];

#[test]
fn four_of_nine_wait_and_five_go_on() {
    story(9, |cluster| {
        let first = Site::make(&cluster.path("site"), 200, 2)?;
        let second = first.next(&cluster.path("site-2"), 2)?;
        let from = |site: &Site| site.root.to_string_lossy().into_owned();
        cluster.web(1).json(&["app", "new", "shop", "--from", &from(&first)])?;
        cluster.web(1).json(&["app", "new", "docs", "--from", &from(&first)])?;
        cluster.have(&ALL, "shop", &first.tree, LIMIT)?;
        cluster.have(&ALL, "docs", &first.tree, LIMIT)?;
        // A window that is open in the minority while it is cut off.
        cluster.web(6).json(&["update", "open", "docs", "--for", "10m"])?;
        cluster.web(6).json(&["update", "stage", "docs", "--from", &from(&second)])?;

        cluster.cut(&FIVE, &FOUR)?;
        for (numbers, reachable) in [(FIVE.as_slice(), 5), (FOUR.as_slice(), 4)] {
            sees(cluster, numbers, reachable)?;
        }
        minority_refuses(cluster, &from(&second))?;
        cluster.web(2).json(&["deploy", "shop", "--from", &from(&second)])?;
        cluster.have(&FIVE, "shop", &second.tree, LIMIT)?;
        drift_in_minority(cluster, &first)?;
        cluster.have(&FOUR, "shop", &first.tree, LIMIT)?;
        for number in FOUR {
            let (revision, _) = cluster.web(number).revision("shop")?;
            ensure!(revision == 1, "web{number} has revision {revision} of shop");
        }

        cluster.heal()?;
        let took = cluster.have(&ALL, "shop", &second.tree, LIMIT)?;
        eprintln!("healed: all nine have the same content after {took:?}");
        cluster.agreed("shop", 2, LIMIT)?;
        sees(cluster, &ALL, 9)?;
        // The window stayed open, and its author can go on.
        cluster.web(6).json(&["update", "commit", "docs", "-y"])?;
        cluster.have(&ALL, "docs", &second.tree, LIMIT)?;
        cluster.agreed("docs", 2, LIMIT).map(|_| ())
    });
}

fn sees(cluster: &Cluster, numbers: &[usize], reachable: u64) -> Result<()> {
    for number in numbers {
        let member = &cluster.members[number - 1];
        wait_until(LIMIT, &format!("web{number} sees {reachable}"), || {
            let status = member.json(&["status"]).map_err(|error| error.to_string())?;
            let seen = status.number("/members/reachable").map_err(|error| error.to_string())?;
            if seen == reachable { Ok(()) } else { Err(status.to_string()) }
        })?;
    }
    Ok(())
}

fn minority_refuses(cluster: &mut Cluster, from: &str) -> Result<()> {
    let commands: [&[&str]; 5] = [
        &["update", "commit", "docs", "-y"],
        &["update", "open", "shop"],
        &["deploy", "shop", "--from", from],
        &["app", "new", "more", "--from", from],
        &["invite"],
    ];
    for (number, words) in [6, 7, 8, 9, 6].into_iter().zip(commands) {
        if words[0] == "update" && words[1] == "commit" {
            ensure!(number == 6);
        }
        let refused = cluster.web(number).refused(106, "E301", words)?;
        let missing = refused.text("/error/facts/missing")?;
        ensure!(["web1", "web5"].iter().all(|name| missing.contains(name)), "{refused}");
        ensure!(!refused.list("/error/remedies")?.is_empty(), "{refused}");
    }
    let status = cluster.web(9).json(&["status"])?;
    ensure!(!status.flag("/view/majority_reachable")?, "{status}");
    ensure!(!status.list("/attention")?.is_empty(), "{status}");
    let why = cluster.web(8).json(&["why"])?;
    ensure!(why.text("/because")? == "no-majority", "{why}");
    // The window is still there.
    let window = cluster.web(6).json(&["update", "status", "docs"])?;
    ensure!(window.text("/window/member")? == "web6", "{window}");
    Ok(())
}

/// What was settled stays in force: a member of the minority repairs itself from its own store or its neighbours.
fn drift_in_minority(cluster: &mut Cluster, first: &Site) -> Result<()> {
    fs::write(cluster.web(8).root("shop").join("index.html"), b"defaced")?;
    cluster.have(&[8], "shop", &first.tree, LIMIT).map(|_| ())
}
