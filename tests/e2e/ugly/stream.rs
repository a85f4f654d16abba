//! A stream of deployments from random members, and what became of each.

use std::fs;
use std::process::{Child, Stdio};

use althing_protocol::hash::Hash;
use althing_tests::{Cluster, Json, Member, Random, Site, Tree};
use anyhow::{Context, Result};
use serde_json::Value;

/// Files of the site: few, so that much happens.
const FILES: usize = 60;
/// Deployments under way at once, at most.
const AT_ONCE: usize = 2;

/// What a command reported as settled: it must never be lost.
pub(crate) struct Reported {
    pub(crate) revision: u64,
    pub(crate) root: Hash,
}

/// Deployments, of which some ended well.
pub(crate) struct Stream {
    base: Site,
    under_way: Vec<(Site, Child)>,
    begun: usize,
    /// Everything that was ever begun: what is settled in the end must be one of these.
    pub(crate) trees: Vec<Tree>,
    pub(crate) reported: Vec<Reported>,
    pub(crate) failed: Vec<String>,
    pub(crate) random: Random,
}

impl Stream {
    /// Deploys the first revision and waits until all members have it.
    pub(crate) fn first(cluster: &mut Cluster, seed: u64) -> Result<Self> {
        let base = Site::make(&cluster.path("site"), FILES, seed)?;
        let from = base.root.to_string_lossy().into_owned();
        let made = cluster.web(1).json(&["app", "new", "shop", "--from", &from])?;
        let all: Vec<usize> = (1..=cluster.members.len()).collect();
        cluster.have(&all, "shop", &base.tree, super::LIMIT)?;
        cluster.agreed("shop", 1, super::LIMIT)?;
        let (trees, reported) = (vec![base.tree.clone()], vec![reported(&made)?.context("settled")?]);
        let random = Random::new(seed);
        Ok(Self { base, under_way: Vec::new(), begun: 0, trees, reported, failed: Vec::new(), random })
    }

    /// Has deployments under way, on random running members.
    pub(crate) fn go_on(&mut self, cluster: &Cluster) -> Result<()> {
        self.gather(false)?;
        if self.under_way.len() < AT_ONCE {
            let running: Vec<&Member> = cluster.running().collect();
            let author = running[self.random.below(running.len())];
            self.begin(cluster, author)?;
        }
        Ok(())
    }

    /// Begins one on this member.
    pub(crate) fn begin(&mut self, cluster: &Cluster, author: &Member) -> Result<()> {
        self.begun += 1;
        let number = self.begun;
        let site = self.base.next(&cluster.path(&format!("site-{number}")), number as u64)?;
        let from = site.root.to_string_lossy().into_owned();
        let mut command =
            author.command(&["deploy", "shop", "--from", &from, "--json", "--timeout", "20s"])?;
        let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        self.under_way.push((site, process));
        Ok(())
    }

    /// Notes those that ended; with `all`, waits for the rest.
    pub(crate) fn gather(&mut self, all: bool) -> Result<()> {
        for (site, mut process) in std::mem::take(&mut self.under_way) {
            if !all && process.try_wait()?.is_none() {
                self.under_way.push((site, process));
                continue;
            }
            let output = process.wait_with_output()?;
            if output.status.success() {
                self.reported.extend(reported(&serde_json::from_slice(&output.stdout)?)?);
            } else {
                self.failed.push(String::from_utf8_lossy(&output.stderr).trim().to_owned());
            }
            self.trees.push(site.tree);
            fs::remove_dir_all(site.root)?;
        }
        Ok(())
    }

    /// The next deployment by this member, which must be settled.
    pub(crate) fn must_settle(&mut self, cluster: &Cluster, author: &Member) -> Result<Tree> {
        self.begun += 1;
        let site = self.base.next(&cluster.path(&format!("site-{}", self.begun)), self.begun as u64)?;
        let from = site.root.to_string_lossy().into_owned();
        let settled = super::soon(&format!("{} deploys", author.name), || {
            author.json(&["deploy", "shop", "--from", &from])
        })?;
        self.reported.extend(reported(&settled)?);
        self.trees.push(site.tree.clone());
        fs::remove_dir_all(&site.root)?;
        Ok(site.tree)
    }
}

fn reported(document: &Value) -> Result<Option<Reported>> {
    if document.text("/result")? != "committed" {
        // What it brought was settled by its own attempt before, or by another's.
        return Ok(None);
    }
    let root: Hash = document.text("/root")?.parse().context("a root")?;
    Ok(Some(Reported { revision: document.number("/revision")?, root }))
}
