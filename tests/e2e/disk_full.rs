//! A disk that fills at any step of a deployment, a repair, a scan or a vote: the state is clear, nothing is lost, and
//! everything goes on when there is room. Fifty steps by default; `ALTHING_POINTS` and `ALTHING_SEED` choose others.

use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use althing_tests::{Cluster, Json, Random, Site, from_env, story, wait_until};
use anyhow::{Context, Result, ensure};

const LIMIT: Duration = Duration::from_secs(90);
const MEMBERS: usize = 5;
const ALL: [usize; MEMBERS] = [1, 2, 3, 4, 5];
/// Writes that pass before the disk is full: a deployment or a repair here has about so many.
const STEPS: usize = 70;
/// What a command may end with while its member's disk is full: later, or without the others.
const EXCUSES: [i32; 4] = [0, 75, 106, 124];

/// What was written by hand into a live tree, and must be found again.
struct Edit {
    member: usize,
    path: String,
    text: String,
}

struct Play {
    random: Random,
    site: Site,
    edits: Vec<Edit>,
    refused: usize,
}

#[test]
fn a_disk_that_fills_at_any_step_loses_nothing() {
    let points = from_env("ALTHING_POINTS", 50);
    let seed = from_env("ALTHING_SEED", 11);
    story(MEMBERS, |cluster| {
        let site = Site::make(&cluster.path("site"), 60, seed)?;
        let from = site.root.to_string_lossy().into_owned();
        cluster.web(1).json(&["app", "new", "shop", "--from", &from])?;
        cluster.have(&ALL, "shop", &site.tree, LIMIT)?;
        cluster.agreed("shop", 1, LIMIT)?;
        let mut play = Play { random: Random::new(seed), site, edits: Vec::new(), refused: 0 };
        for point in 0..points {
            play.point(cluster, point).with_context(|| format!("point {point} of seed {seed}"))?;
        }
        eprintln!("{points} points, {} commands refused, {} edits by hand", play.refused, play.edits.len());
        play.nothing_is_lost(cluster)?;
        everybody_says_so(cluster)
    });
}

impl Play {
    /// One member's disk is full for a while, beginning at some step of something.
    fn point(&mut self, cluster: &mut Cluster, point: u64) -> Result<()> {
        let victim = 1 + self.random.below(MEMBERS);
        let after = self.random.below(STEPS) as u64;
        let lasts = Duration::from_millis(300 + self.random.below(900) as u64);
        let began = Instant::now();
        cluster.web(victim).fill_disk(after, lasts)?;
        match self.random.below(4) {
            0 => self.deploy(cluster, victim, point)?,
            1 => {
                let other = 1 + victim % MEMBERS;
                let next = self.site.next(&cluster.path(&format!("site-{point}")), point)?;
                let from = next.root.to_string_lossy().into_owned();
                // It may have been the last victim, and not have seen yet that there is room again.
                wait_until(LIMIT, "another member deploys", || {
                    let words = ["deploy", "shop", "--from", &from, "--json"];
                    let ran = cluster.members[other - 1].run(&words).map_err(|error| error.to_string())?;
                    if ran.code == 0 { Ok(()) } else { Err(format!("{ran:?}")) }
                })?;
                self.site = next;
            }
            2 => self.edit(cluster, victim, point)?,
            _ => {
                let looked = cluster.web(victim).run(&["app", "verify", "shop", "--json"])?;
                ensure!(EXCUSES.contains(&looked.code), "{looked:?}");
            }
        }
        sleep(lasts.saturating_sub(began.elapsed()));
        cluster.have(&ALL, "shop", &self.site.tree, LIMIT)?;
        // What has not come to pass must not do so in another scene.
        cluster.web(victim).fill_disk(0, Duration::ZERO)?;
        cluster.nobody_died()
    }

    /// A deployment on the member itself is settled, or refused with nothing changed, and works when there is room.
    fn deploy(&mut self, cluster: &mut Cluster, victim: usize, point: u64) -> Result<()> {
        let next = self.site.next(&cluster.path(&format!("site-{point}")), point)?;
        let from = next.root.to_string_lossy().into_owned();
        let words = ["deploy", "shop", "--from", &from, "--json", "--timeout", "40s"];
        let ran = cluster.web(victim).run(&words)?;
        ensure!(EXCUSES.contains(&ran.code), "{ran:?}");
        if ran.code != 0 {
            self.refused += 1;
            wait_until(LIMIT, "it is deployed when there is room", || {
                let ran = cluster.members[victim - 1].run(&words).map_err(|error| error.to_string())?;
                if ran.code == 0 { Ok(()) } else { Err(format!("{ran:?}")) }
            })?;
        }
        self.site = next;
        Ok(())
    }

    /// An edit by hand is put right, and kept in the trash.
    fn edit(&mut self, cluster: &mut Cluster, victim: usize, point: u64) -> Result<()> {
        let files = self.site.tree.files();
        let file = files[self.random.below(files.len())];
        let path = file.to_string_lossy().into_owned();
        let text = format!("precious {point}");
        let member = cluster.web(victim);
        fs::write(member.root("shop").join(file), &text)?;
        self.edits.push(Edit { member: victim, path, text });
        cluster.have(&[victim], "shop", &self.site.tree, LIMIT).map(|_| ())
    }

    fn nothing_is_lost(&self, cluster: &mut Cluster) -> Result<()> {
        for (number, edit) in self.edits.iter().enumerate() {
            let to = cluster.path(&format!("found-{number}"));
            let found = find(cluster, edit, &to)?;
            ensure!(found, "{:?} of web{} is in no trash", edit.text, edit.member);
        }
        Ok(())
    }
}

/// Whether an edit can be had back from the trash of its member.
fn find(cluster: &mut Cluster, edit: &Edit, to: &PathBuf) -> Result<bool> {
    let member = cluster.web(edit.member);
    let trash = member.json(&["trash", "list", "shop"])?;
    for item in trash.list("/items")?.iter().filter(|item| item["path"] == edit.path.as_str()) {
        member.json(&["trash", "restore", item.text("/id")?, "--to", &to.to_string_lossy()])?;
        let text = fs::read_to_string(to).unwrap_or_default();
        fs::remove_file(to)?;
        if text == edit.text {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whoever's disk was full logged it and its end, and all agree, to the byte, about what is settled.
fn everybody_says_so(cluster: &mut Cluster) -> Result<()> {
    let mut full = 0;
    for number in ALL {
        cluster.web(number).fill_disk(0, Duration::ZERO)?;
    }
    for number in ALL {
        let member = &cluster.members[number - 1];
        // Members look at their disks twice a second, and say what they found with their next report.
        wait_until(LIMIT, "nobody's disk is full", || {
            let status = member.json(&["status"]).map_err(|error| error.to_string())?;
            if status.to_string().contains("disk-full") { Err(status.to_string()) } else { Ok(()) }
        })?;
        let count = |kind: &str| -> Result<usize> {
            let page =
                member.json(&["events", "--since", "24h", "--member", &member.name, "--kind", kind])?;
            Ok(page.list("/events")?.len())
        };
        let (began, ended) = (count("disk.full")?, count("disk.room")?);
        ensure!(began == ended, "{}: {began} times full, {ended} times not any more", member.name);
        full += began;
        member.run(&["app", "verify", "shop", "--exit-code"])?.ended(0)?;
        let ours = member.root("shop");
        let left = althing_tests::Tree::read(&ours)?;
        ensure!(left.named(".althing-").is_empty(), "{:?}", left.named(".althing-"));
    }
    ensure!(full > 0, "no disk was ever full");
    eprintln!("{full} times a disk was full");
    Ok(())
}

/// While it is full, the member says so, others see it, and a deployment there is refused at once.
#[test]
fn a_full_disk_is_named_and_refuses_with_a_reason() {
    story(3, |cluster| {
        let site = Site::make(&cluster.path("site"), 20, 3)?;
        let from = site.root.to_string_lossy().into_owned();
        cluster.web(1).json(&["app", "new", "shop", "--from", &from])?;
        cluster.agreed("shop", 1, LIMIT)?;
        cluster.web(3).fill_disk(0, Duration::from_secs(300))?;
        let next = site.next(&cluster.path("next"), 3)?;
        let from = next.root.to_string_lossy().into_owned();
        wait_until(LIMIT, "web3 says that its disk is full", || has_condition(cluster, 3, "disk-full"))?;
        let refused = cluster.web(3).refused(75, "E430", &["deploy", "shop", "--from", &from])?;
        ensure!(refused.text("/error/message")?.contains("full"), "{refused}");
        wait_until(LIMIT, "web1 sees it", || has_condition(cluster, 1, "disk-full"))?;
        ensure!(cluster.web(1).revision("shop")?.0 == 1, "nothing was changed");
        cluster.web(3).fill_disk(0, Duration::ZERO)?;
        // The other two are a majority.
        cluster.web(1).json(&["deploy", "shop", "--from", &from])?;
        cluster.have(&[1, 2, 3], "shop", &next.tree, LIMIT)?;
        cluster.agreed("shop", 2, LIMIT).map(|_| ())
    });
}

fn has_condition(cluster: &Cluster, number: usize, condition: &str) -> Result<(), String> {
    let status = cluster.members[number - 1].json(&["status"]).map_err(|error| error.to_string())?;
    let list = status.list("/attention").map_err(|error| error.to_string())?;
    let has = list.iter().any(|attention| attention["condition"] == condition);
    if has { Ok(()) } else { Err(status.to_string()) }
}
