//! Measures what acceptance 2 and 3 state: nine daemons, a site of 1,000 files; each kind of drift ten times, and how
//! long nine members need to agree after four were cut off. Prints medians and worst times in milliseconds.
//!
//! `cargo run -p althing-tests --bin measure`; ALTHING_RUNS, ALTHING_MEMBERS and ALTHING_FILES change the numbers.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use althing_tests::{Cluster, Site, from_env};
use anyhow::Result;

const LIMIT: Duration = Duration::from_secs(120);

/// A way to damage a file.
type Damage = fn(&Path) -> std::io::Result<()>;

const KINDS: [(&str, Damage); 5] = [
    ("changed", |path| fs::write(path, b"defaced")),
    ("deleted", |path| fs::remove_file(path)),
    ("added", |path| fs::write(path.with_extension("added"), b"<?php evil(); ?>")),
    ("chmod", |path| fs::set_permissions(path, fs::Permissions::from_mode(0o666))),
    ("symlink", |path| {
        fs::remove_file(path)?;
        symlink("/etc/passwd", path)
    }),
];

struct Measured {
    what: String,
    times: Vec<Duration>,
    limit: Duration,
}

impl Measured {
    fn median(&self) -> Duration {
        let mut sorted = self.times.clone();
        sorted.sort();
        sorted[sorted.len() / 2]
    }

    fn print(&self) -> bool {
        let worst = self.times.iter().max().copied().unwrap_or_default();
        let good = self.median() <= self.limit;
        println!(
            "{:<22} median {:>6} ms   worst {:>6} ms   of {:>2}   limit {:>5} ms   {}",
            self.what,
            self.median().as_millis(),
            worst.as_millis(),
            self.times.len(),
            self.limit.as_millis(),
            if good { "ok" } else { "TOO SLOW" },
        );
        good
    }
}

fn main() -> ExitCode {
    let mut cluster = match Cluster::empty() {
        Ok(cluster) => cluster,
        Err(error) => {
            eprintln!("{error:#}");
            return ExitCode::FAILURE;
        }
    };
    match measure(&mut cluster) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(2),
        Err(error) => {
            cluster.show_logs();
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(cluster: &mut Cluster) -> Result<bool> {
    let runs = usize::try_from(from_env("ALTHING_RUNS", 10))?.max(1);
    let members = usize::try_from(from_env("ALTHING_MEMBERS", 9))?.max(3);
    let files = usize::try_from(from_env("ALTHING_FILES", 1000))?.max(100);
    let all: Vec<usize> = (1..=members).collect();

    let begin = Instant::now();
    cluster.found(members)?;
    println!("{members} members agree on the roster after {} ms", begin.elapsed().as_millis());
    let site = Site::make(&cluster.path("site"), files, 1)?;
    let begin = Instant::now();
    cluster.web(1).json(&["app", "new", "shop", "--from", &site.root.to_string_lossy()])?;
    println!("{} items settled after {} ms", site.tree.len(), begin.elapsed().as_millis());
    cluster.have(&all, "shop", &site.tree, LIMIT)?;
    cluster.agreed("shop", 1, LIMIT)?;
    println!("and on all members' disks after {} ms\n", begin.elapsed().as_millis());

    let mut good = true;
    for (number, (kind, damage)) in KINDS.into_iter().enumerate() {
        let mut times = Vec::new();
        for run in 0..runs {
            let member = &cluster.members[(run + 1) % members];
            let pages: Vec<&Path> = site
                .tree
                .files()
                .into_iter()
                .filter(|path| path.to_string_lossy().contains("/page-"))
                .collect();
            // Never one path twice: what is repaired three times an hour is left alone.
            let path = member.root("shop").join(pages[((number * runs + run) * 37) % pages.len()]);
            let begin = Instant::now();
            damage(&path)?;
            cluster.have(&[(run + 1) % members + 1], "shop", &site.tree, LIMIT)?;
            times.push(begin.elapsed());
            cluster.agreed("shop", 1, LIMIT)?;
        }
        good &= Measured { what: kind.to_owned(), times, limit: Duration::from_secs(2) }.print();
    }
    good &= heal(cluster, &site, runs.div_ceil(2))?;
    Ok(good)
}

/// The smaller part is cut off, the larger deploys, the cut heals: until all have the same on their disks.
fn heal(cluster: &mut Cluster, site: &Site, runs: usize) -> Result<bool> {
    let members = cluster.members.len();
    let all: Vec<usize> = (1..=members).collect();
    let (larger, smaller) = all.split_at(members / 2 + 1);
    let mut base = Site::at(&site.root)?;
    let (mut disks, mut words) = (Vec::new(), Vec::new());
    for run in 0..runs {
        cluster.cut(larger, smaller)?;
        std::thread::sleep(Duration::from_secs(2));
        let next = base.next(&cluster.path(&format!("site-{run}")), run as u64)?;
        cluster.web(2).json(&["deploy", "shop", "--from", &next.root.to_string_lossy()])?;
        cluster.have(larger, "shop", &next.tree, LIMIT)?;
        // Long enough for those that dial again and again to do so rarely.
        std::thread::sleep(Duration::from_secs(3));
        let begin = Instant::now();
        cluster.heal()?;
        cluster.have(&all, "shop", &next.tree, LIMIT)?;
        disks.push(begin.elapsed());
        cluster.agreed("shop", run as u64 + 2, LIMIT)?;
        words.push(begin.elapsed());
        base = next;
    }
    let limit = Duration::from_secs(5);
    let on_disk = Measured { what: "healed, same disks".to_owned(), times: disks, limit }.print();
    let said = Measured { what: "healed, all say so".to_owned(), times: words, limit }.print();
    Ok(on_disk && said)
}
