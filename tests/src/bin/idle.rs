//! Measures what an entity costs that has nothing to do: nine daemons with an application of 5,000 files. For each
//! member the share of a processor, the resident memory, the bytes that it read (no part of the tree may be among them: a
//! look at it goes by the stamps of its files), and what it sent; the latter as the
//! kernel counts it for each of its sockets: bytes and segments (`ss -ti`), each segment with 52 bytes of IP and TCP
//! headers, acknowledgements included.
//!
//! `cargo run --release -p althing-tests --bin idle`; ALTHING_MEMBERS, ALTHING_FILES, ALTHING_SECONDS (how long is
//! measured) and ALTHING_SETTLE (how long is waited before) change the numbers.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, ExitCode};
use std::thread::sleep;
use std::time::{Duration, Instant};

use althing_tests::{Cluster, Site, from_env};
use anyhow::{Context, Result, ensure};

const LIMIT: Duration = Duration::from_secs(600);
/// IP 20, TCP 20, time stamps 12.
const HEADERS: u64 = 52;
/// Ticks of `/proc/PID/stat` in a second, on every Linux that runs this.
const TICKS: f64 = 100.0;

/// What the goals allow: processor per cent, resident MB, bytes on the wire a second.
const LIMITS: (f64, f64, f64) = (1.0, 60.0, 250.0);

/// Counters of one member's process.
#[derive(Clone, Copy, Debug)]
struct Counted {
    ticks: u64,
    read: u64,
    resident: u64,
}

/// Counters of one socket.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    bytes: u64,
    segments: u64,
}

fn main() -> ExitCode {
    let measured = Cluster::empty().and_then(|mut cluster| {
        let result = measure(&mut cluster);
        if result.is_err() {
            cluster.show_logs();
        }
        result
    });
    match measured {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(2),
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(cluster: &mut Cluster) -> Result<bool> {
    let members = usize::try_from(from_env("ALTHING_MEMBERS", 9))?.max(2);
    let files = usize::try_from(from_env("ALTHING_FILES", 5000))?.max(100);
    let (settle, seconds) = (from_env("ALTHING_SETTLE", 90), from_env("ALTHING_SECONDS", 90));
    let all: Vec<usize> = (1..=members).collect();
    cluster.found(members)?;
    let site = Site::make(&cluster.path("site"), files, 1)?;
    cluster.web(1).json(&["app", "new", "shop", "--from", &site.root.to_string_lossy()])?;
    cluster.have(&all, "shop", &site.tree, LIMIT)?;
    cluster.agreed("shop", 1, LIMIT)?;
    let size = |path: &std::path::Path| fs::metadata(site.root.join(path)).map(|found| found.len());
    let content: u64 = site.tree.files().into_iter().map(size).sum::<std::io::Result<u64>>()?;
    println!(
        "{members} members with {} items, {:.1} MB; at rest for {settle} s, then measured",
        site.tree.len(),
        content as f64 / 1e6
    );
    sleep(Duration::from_secs(settle));

    let (before, sent_before, begin) = (counted(cluster)?, sockets(cluster)?, Instant::now());
    sleep(Duration::from_secs(seconds));
    let (after, sent_after, span) = (counted(cluster)?, sockets(cluster)?, begin.elapsed().as_secs_f64());

    let mut good = true;
    println!("{:<8} {:>8} {:>12} {:>14}", "member", "CPU %", "resident MB", "bytes read");
    for (name, now) in &after {
        let then = before.get(name).context("the same members")?;
        let processor = (now.ticks - then.ticks) as f64 / TICKS / span * 100.0;
        let resident = now.resident as f64 / 1e6;
        // A look that read the tree would have read all of it.
        good &= processor < LIMITS.0 && resident < LIMITS.1 && (now.read - then.read) * 10 < content;
        println!("{name:<8} {processor:>8.2} {resident:>12.1} {:>14}", now.read - then.read);
    }
    let mut total = Sent::default();
    for (socket, now) in &sent_after {
        let then = sent_before.get(socket).copied().unwrap_or_default();
        total.bytes += now.bytes - then.bytes;
        total.segments += now.segments - then.segments;
    }
    let each = |sum: u64| sum as f64 / members as f64 / span;
    let wire = each(total.bytes + total.segments * HEADERS);
    println!(
        "a member and second: {:.0} B within TCP in {:.2} segments, {wire:.0} B on the wire; {} sockets in {span:.0} s",
        each(total.bytes),
        each(total.segments),
        sent_after.len()
    );
    cluster.nobody_died()?;
    Ok(good && wire <= LIMITS.2)
}

fn counted(cluster: &Cluster) -> Result<BTreeMap<String, Counted>> {
    let of = |member: &althing_tests::Member| -> Result<(String, Counted)> {
        let process = member.process().context("it runs")?;
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        // After the name in parentheses: state is the first field, user and system time are the 12th and 13th.
        let fields: Vec<&str> = stat.rsplit_once(')').context("a stat line")?.1.split_whitespace().collect();
        let ticks = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
        let line = |file: &str, name: &str| -> Result<u64> {
            let text = fs::read_to_string(format!("/proc/{process}/{file}"))?;
            let line = text.lines().find(|line| line.starts_with(name)).context("a line")?;
            Ok(line.split_whitespace().nth(1).context("a number")?.parse()?)
        };
        let (read, resident) = (line("io", "rchar:")?, line("status", "VmRSS:")? * 1024);
        Ok((member.name.clone(), Counted { ticks, read, resident }))
    };
    cluster.members.iter().map(of).collect()
}

/// Every socket of a connection between members, by its two ends.
fn sockets(cluster: &Cluster) -> Result<BTreeMap<String, Sent>> {
    let output = Command::new("ss").args(["-tinHO"]).output().context("ss shows what sockets sent")?;
    ensure!(output.status.success(), "ss: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let ports: Vec<String> = cluster.members.iter().flat_map(althing_tests::Member::listening).collect();
    let mut sockets = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (Some(local), Some(remote)) = (fields.get(3), fields.get(4)) else { continue };
        if !ports.iter().any(|port| port == local || port == remote) {
            continue;
        }
        let number = |name: &str| {
            let found = fields.iter().find_map(|field| field.strip_prefix(name));
            found.and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        let sent = Sent { bytes: number("bytes_sent:"), segments: number("segs_out:") };
        sockets.insert(format!("{local} {remote}"), sent);
    }
    Ok(sockets)
}
