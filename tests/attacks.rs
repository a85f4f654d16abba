//! Attacks on real daemons. After each of them the honest members settle a deployment, have its content to the byte, are
//! alive and small; and whoever attacked is named.

#[path = "attacks/hostile.rs"]
mod hostile;
#[path = "attacks/insider.rs"]
mod insider;
#[path = "attacks/stranger.rs"]
mod stranger;

use std::time::Duration;

use althing_tests::{Cluster, Json, Site, from_env, story, wait_until};
use anyhow::{Context, Result, ensure};

use hostile::Hostile;

/// A deployment, on a busy machine under attack.
const LIMIT: Duration = Duration::from_secs(60);
/// An honest daemon never has more memory than this.
const MEMORY: u64 = 200 << 20;

/// The honest members, what they run, and what is deployed next.
struct Defence {
    site: Site,
    revision: u64,
    number: usize,
}

impl Defence {
    fn new(cluster: &mut Cluster, number: usize) -> Result<Self> {
        let site = Site::make(&cluster.path("site"), 12, 3)?;
        cluster.web(1).json(&["app", "new", "shop", "--from", &site.root.to_string_lossy()])?;
        let numbers: Vec<usize> = (1..=cluster.members.len()).collect();
        cluster.have(&numbers, "shop", &site.tree, LIMIT)?;
        Ok(Self { site, revision: 1, number })
    }

    fn honest(&self) -> Vec<usize> {
        (1..=self.number).collect()
    }

    /// Nothing changed, a deployment settles, and everybody is alive and small.
    fn holds(&mut self, cluster: &mut Cluster) -> Result<()> {
        cluster.have(&self.honest(), "shop", &self.site.tree, LIMIT)?;
        self.revision += 1;
        let path = cluster.path(&format!("site-{}", self.revision));
        let next = self.site.next(&path, self.revision)?;
        let author = 1 + (self.revision as usize % self.number);
        cluster.web(author).json(&["deploy", "shop", "--from", &next.root.to_string_lossy()])?;
        cluster.have(&self.honest(), "shop", &next.tree, LIMIT)?;
        self.site = next;
        self.are_small(cluster)?;
        cluster.nobody_died()
    }

    fn are_small(&self, cluster: &Cluster) -> Result<()> {
        for number in self.honest() {
            let member = &cluster.members[number - 1];
            let most = member.most_memory()?;
            ensure!(most < MEMORY, "{} had {} MiB", member.name, most >> 20);
        }
        Ok(())
    }
}

/// Waits until every honest member says of a member what it did.
fn named(cluster: &Cluster, honest: &[usize], name: &str, what: &str) -> Result<()> {
    for number in honest {
        let member = &cluster.members[number - 1];
        wait_until(LIMIT, &format!("{} names {name}", member.name), || {
            let why = member.json(&["why", name]).map_err(|error| error.to_string())?;
            if why.to_string().contains(what) { Ok(()) } else { Err(why.to_string()) }
        })?;
        let events = member.json(&["events", "--limit", "500"])?;
        let told = events.list("/events")?.iter().any(|event| {
            let about = event.to_string();
            about.contains("peer.misbehaves") && about.contains(name)
        });
        ensure!(told, "{}: no event names {name}: {events}", member.name);
    }
    Ok(())
}

fn wanted(name: &str) -> bool {
    std::env::var("ALTHING_ATTACK").map_or(true, |only| name.contains(&only))
}

#[test]
fn a_member_with_a_good_key_does_no_harm() {
    story(4, |cluster| {
        let mut defence = Defence::new(cluster, 3)?;
        let (listen, bulk) = (cluster.members[3].address(), cluster.members[3].bulk_address());
        let directory = cluster.members[3].dir.clone();
        cluster.web(4).kill();
        let mut hostile = Hostile::take_over(&directory, &listen, &bulk)?;
        for attack in insider::ATTACKS.iter().filter(|attack| wanted(attack.name)) {
            eprintln!("{}", attack.name);
            hostile.connected()?;
            hostile.catch_up()?;
            hostile.serve(hostile::Serving::Nothing);
            (attack.run)(&mut hostile, cluster).with_context(|| attack.name)?;
            defence.holds(cluster).with_context(|| format!("after: {}", attack.name))?;
            if let Some(what) = attack.named {
                named(cluster, &defence.honest(), "web4", what).with_context(|| attack.name)?;
            }
        }
        insider::contradicts(&mut hostile, cluster, &defence.honest())?;
        cluster.have(&defence.honest(), "shop", &defence.site.tree, LIMIT)?;
        for number in defence.honest() {
            cluster.web(number).json(&["resolve", "--confirm", "demo"])?;
        }
        defence.holds(cluster).context("after the contradiction was looked at")
    });
}

#[test]
fn strangers_do_no_harm() {
    story(3, |cluster| {
        let mut defence = Defence::new(cluster, 3)?;
        for (name, attack) in stranger::ATTACKS.iter().filter(|(name, _)| wanted(name)) {
            eprintln!("{name}");
            // Some last: the honest members settle while they go on.
            let lasting = attack(cluster).context(*name)?;
            defence.holds(cluster).with_context(|| format!("during: {name}"))?;
            drop(lasting);
            defence.holds(cluster).with_context(|| format!("after: {name}"))?;
        }
        let events = cluster.web(1).json(&["events", "--limit", "500"])?;
        ensure!(events.to_string().contains("strangers.turned-away"), "{events}");
        ensure!(events.to_string().contains("127.0.0."), "they are counted by address: {events}");
        Ok(())
    });
}

/// How many connections a crowd has; fewer where files are scarce.
fn crowd() -> usize {
    from_env("ALTHING_CROWD", 1000) as usize
}
