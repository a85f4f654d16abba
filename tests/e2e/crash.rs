//! kill -9 at any moment loses nothing and leaves nothing half done (acceptance 4).

use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use althing_tests::{Cluster, Json, Member, Random, Site, Tree, from_env, story};
use anyhow::{Context, Result, ensure};

const LIMIT: Duration = Duration::from_secs(60);
/// Files of the site: small, so that much happens.
const FILES: usize = 100;

/// A deployment that was begun, and what it brings.
struct Deployment {
    site: Site,
    process: Child,
}

/// Deployments, of which some ended well.
#[derive(Default)]
struct Stream {
    under_way: Vec<Deployment>,
    begun: Vec<Site>,
    settled: usize,
    failed: Vec<String>,
}

impl Stream {
    /// Begins the next on a random running member.
    fn begin(&mut self, cluster: &Cluster, random: &mut Random) -> Result<()> {
        let number = self.begun.len() + self.under_way.len();
        let base = self.begun.first().context("a first site")?;
        let site = base.next(&cluster.path(&format!("site-{number}")), number as u64)?;
        let running: Vec<&Member> = cluster.running().collect();
        let author = running[random.below(running.len())];
        let from = site.root.to_string_lossy().into_owned();
        let mut command =
            author.command(&["deploy", "shop", "--from", &from, "--json", "--timeout", "20s"])?;
        let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        self.under_way.push(Deployment { site, process });
        Ok(())
    }

    /// Notes those that ended; with `all`, waits for the rest.
    fn gather(&mut self, all: bool) -> Result<()> {
        for mut deployment in std::mem::take(&mut self.under_way) {
            if !all && deployment.process.try_wait()?.is_none() {
                self.under_way.push(deployment);
                continue;
            }
            let output = deployment.process.wait_with_output()?;
            if output.status.success() {
                self.settled += 1;
            } else {
                self.failed.push(String::from_utf8_lossy(&output.stderr).into_owned());
            }
            self.begun.push(deployment.site);
        }
        Ok(())
    }
}

#[test]
fn killed_at_random_during_a_stream_of_deployments() {
    let members = usize::try_from(from_env("ALTHING_MEMBERS", 5)).unwrap_or(5);
    let kills = from_env("ALTHING_KILLS", 8);
    let seed = from_env("ALTHING_SEED", 1);
    story(members, |cluster| {
        let mut random = Random::new(seed);
        let first = Site::make(&cluster.path("site"), FILES, seed)?;
        let from = first.root.to_string_lossy().into_owned();
        cluster.web(1).json(&["app", "new", "shop", "--from", &from])?;
        let all: Vec<usize> = (1..=members).collect();
        cluster.have(&all, "shop", &first.tree, LIMIT)?;
        let mut stream = Stream { begun: vec![first], ..Stream::default() };
        for _ in 0..kills {
            one_kill(cluster, &mut stream, &mut random)?;
        }
        stream.gather(true)?;
        for member in cluster.members.iter_mut().filter(|member| !member.is_running()) {
            member.start()?;
        }
        eprintln!("{kills} kills, {} deployments settled, {} not", stream.settled, stream.failed.len());
        stream.failed.iter().for_each(|why| eprintln!("  not settled: {}", why.trim_end()));
        ensure!(stream.settled > 0, "no deployment was settled at all");
        consistent(cluster, &stream.begun, stream.settled)?;
        everybody_works(cluster)
    });
}

fn one_kill(cluster: &mut Cluster, stream: &mut Stream, random: &mut Random) -> Result<()> {
    stream.gather(false)?;
    if stream.under_way.len() < 2 {
        stream.begin(cluster, random)?;
    }
    sleep(Duration::from_millis(random.below(1200) as u64));
    let victim = random.below(cluster.members.len());
    cluster.members[victim].kill();
    sleep(Duration::from_millis(random.below(700) as u64));
    // Most of the time it comes back at once; sometimes it is away while the others go on, but never too many.
    let down = cluster.members.iter().filter(|member| !member.is_running()).count();
    let most = (cluster.members.len() - 1) / 2;
    if random.below(3) > 0 || down >= most {
        let away = cluster.members.iter_mut().filter(|member| !member.is_running());
        away.take(down).try_for_each(Member::start)?;
    }
    Ok(())
}

/// All members have the newest settled revision, to the byte, and nothing of ours lies around.
fn consistent(cluster: &Cluster, deployed: &[Site], settled: usize) -> Result<()> {
    // What the authors had begun when they died is decided first, one way or the other.
    cluster.agreed("shop", settled as u64 + 1, LIMIT)?;
    let (revision, root) = cluster.members[0].revision("shop")?;
    let found = Tree::read(&cluster.members[0].root("shop"))?;
    let same = deployed.iter().position(|site| site.tree == found);
    ensure!(same.is_some(), "revision {revision} ({root}) is none of what was deployed");
    eprintln!("all have revision {revision}, which is deployment {same:?} of {}", deployed.len());
    for member in &cluster.members {
        member.has("shop", &found).map_err(anyhow::Error::msg)?;
        ensure!(member.revision("shop")? == (revision, root.clone()), "{}", member.name);
        let looked = member.run(&["app", "verify", "shop", "--exit-code"])?;
        ensure!(looked.code == 0, "{looked:?}");
        let ours = Tree::read(&member.prefix)?;
        ensure!(ours.named(".althing-").is_empty(), "{:?}", ours.named(".althing-"));
        let window = member.json(&["update", "status", "shop"])?;
        ensure!(window["window"].is_null(), "{window}");
    }
    Ok(())
}

/// Nobody is stuck: everybody votes, and each can deploy.
fn everybody_works(cluster: &Cluster) -> Result<()> {
    cluster.settled_roster(cluster.members.len())?;
    let base = Site::at(&cluster.path("site"))?;
    for (number, member) in cluster.members.iter().enumerate() {
        let site = base.next(&cluster.path(&format!("last-{number}")), 1000 + number as u64)?;
        member.json(&["deploy", "shop", "--from", &site.root.to_string_lossy()])?;
        let all: Vec<usize> = (1..=cluster.members.len()).collect();
        cluster.have(&all, "shop", &site.tree, LIMIT)?;
    }
    Ok(())
}

#[test]
fn author_killed_between_stage_and_commit_leaves_the_old_revision() {
    story(3, |cluster| {
        let first = Site::make(&cluster.path("site"), FILES, 7)?;
        let second = first.next(&cluster.path("site-2"), 7)?;
        let from = |site: &Site| site.root.to_string_lossy().into_owned();
        cluster.web(1).json(&["app", "new", "shop", "--from", &from(&first)])?;
        cluster.have(&[1, 2, 3], "shop", &first.tree, LIMIT)?;
        cluster.web(3).json(&["update", "open", "shop", "--for", "10m"])?;
        let staged = cluster.web(3).json(&["update", "stage", "shop", "--from", &from(&second)])?;
        ensure!(staged.text("/root")? != cluster.web(1).revision("shop")?.1, "{staged}");
        cluster.web(3).kill();
        // The others keep what is settled, and nobody else may change it while the window is open.
        sleep(Duration::from_secs(1));
        cluster.have(&[1, 2, 3], "shop", &first.tree, LIMIT)?;
        for number in [1, 2] {
            ensure!(cluster.web(number).revision("shop")?.0 == 1);
        }
        cluster.web(1).refused(75, "E412", &["deploy", "shop", "--from", &from(&second)])?;

        cluster.web(3).start()?;
        cluster.settled_roster(3)?;
        ensure!(cluster.web(3).revision("shop")?.0 == 1);
        let window = cluster.web(3).json(&["update", "status", "shop"])?;
        ensure!(window.text("/window/member")? == "web3", "{window}");
        cluster.web(3).json(&["update", "abort", "shop", "-y"])?;
        cluster.have(&[1, 2, 3], "shop", &first.tree, LIMIT)?;
        cluster.web(2).json(&["deploy", "shop", "--from", &from(&second)])?;
        cluster.have(&[1, 2, 3], "shop", &second.tree, LIMIT)?;
        cluster.agreed("shop", 2, LIMIT).map(|_| ())
    });
}
