//! What must be so after everything: one chain, proved by each member, with everything in it that was reported;
//! everybody has the newest revision, to the byte, and can settle another one.

use althing_tests::{Cluster, Json, Member, Tree};
use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::stream::Stream;
use super::{LIMIT, soon};

/// Checks all of it. What it leaves is an entity at rest.
pub(crate) fn closed(cluster: &mut Cluster, stream: &mut Stream) -> Result<()> {
    stream.gather(true)?;
    for member in cluster.members.iter_mut().filter(|member| !member.is_running()) {
        member.start()?;
    }
    cluster.settled_roster(cluster.members.len())?;
    at_rest(cluster, stream)?;
    nothing_forked_or_lost(cluster, stream)?;
    nobody_is_stuck(cluster, stream)?;
    nothing_forked_or_lost(cluster, stream)
}

/// All members have the newest settled revision, to the byte, and nothing of ours lies around.
fn at_rest(cluster: &Cluster, stream: &Stream) -> Result<()> {
    // What the authors had begun when they died is decided first, one way or the other.
    let newest = stream.reported.iter().map(|reported| reported.revision).max().unwrap_or(1);
    soon("no window is open", || {
        let window = cluster.members[0].json(&["update", "status", "shop"])?;
        ensure!(window["window"].is_null(), "{window}");
        Ok(())
    })?;
    cluster.agreed("shop", newest, LIMIT)?;
    let (revision, root) = cluster.members[0].revision("shop")?;
    let found = Tree::read(&cluster.members[0].root("shop"))?;
    let known = stream.trees.contains(&found);
    ensure!(known, "revision {revision} ({root}) is none of what was deployed");
    for member in &cluster.members {
        member.has("shop", &found).map_err(anyhow::Error::msg)?;
        ensure!(member.revision("shop")? == (revision, root.clone()), "{}", member.name);
        member.run(&["app", "verify", "shop", "--exit-code"])?.ended(0)?;
        let ours = Tree::read(&member.prefix)?;
        ensure!(ours.named(".althing-").is_empty(), "{:?}", ours.named(".althing-"));
    }
    Ok(())
}

/// Each member proves its chain from the genesis on; all are one; and each deployment that was reported is in it, at
/// its place.
fn nothing_forked_or_lost(cluster: &Cluster, stream: &Stream) -> Result<()> {
    let audits = soon("all members prove one chain", || {
        let audit = |member: &Member| member.json(&["audit", "--verify"]);
        let audits: Vec<Value> = cluster.members.iter().map(audit).collect::<Result<_>>()?;
        let heads = audits.iter().map(|audit| audit.text("/verified/head")).collect::<Result<Vec<_>>>()?;
        ensure!(heads.windows(2).all(|pair| pair[0] == pair[1]), "forked, or behind: {heads:?}");
        Ok(audits)
    })?;
    for (member, audit) in cluster.members.iter().zip(&audits) {
        let settled = |entry: &&Value| {
            entry["application"] == "shop" && (entry["change"] == "commit" || entry["change"] == "adopt")
        };
        let settled: Vec<&Value> = audit.list("/entries")?.iter().filter(settled).collect();
        let (revision, _) = member.revision("shop")?;
        for reported in &stream.reported {
            // The newest entries are kept in an answer: counted from the end.
            let back = usize::try_from(revision - reported.revision)?;
            let Some(at) = settled.len().checked_sub(back + 1) else {
                let all = audit.list("/entries")?.len();
                ensure!(all >= 5_000, "revision {} is lost on {}", reported.revision, member.name);
                continue;
            };
            let text = settled[at].text("/text")?;
            let same = text.starts_with(&reported.root.short());
            ensure!(same, "lost on {}: revision {} was {text}", member.name, reported.revision);
        }
    }
    Ok(())
}

/// Everybody votes, and each can deploy.
fn nobody_is_stuck(cluster: &Cluster, stream: &mut Stream) -> Result<()> {
    let all: Vec<usize> = (1..=cluster.members.len()).collect();
    for member in &cluster.members {
        let tree = stream.must_settle(cluster, member)?;
        cluster.have(&all, "shop", &tree, LIMIT)?;
    }
    Ok(())
}

/// How often a member told of this, by its own log.
pub(crate) fn told(member: &Member, kind: &str) -> Result<u64> {
    let words = ["events", "--since", "24h", "--kind", kind, "--member", &member.name];
    let page = member.json(&words)?;
    let log = format!("{}/", member.name);
    let own = |event: &&Value| event["id"].as_str().is_some_and(|id| id.starts_with(&log));
    Ok(page.list("/events")?.iter().filter(own).count() as u64)
}

/// The epoch of the newest event of this kind about a member, by another one's log.
pub(crate) fn named(witness: &Member, kind: &str, about: &str) -> Result<Option<u64>> {
    let page = witness.json(&["events", "--since", "24h", "--kind", kind, "--member", about])?;
    let epochs = page.list("/events")?.iter().filter_map(|event| event["epoch"].as_u64());
    Ok(epochs.max())
}

/// The epoch that is in force on a member.
pub(crate) fn epoch(member: &Member) -> Result<u64> {
    member.json(&["status"])?.number("/entity/epoch").context("an epoch")
}
