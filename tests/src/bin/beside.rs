//! Has real daemons and the simulator live through the same, and prints side by side what was sent, by kind of message,
//! and how long things took: members at rest, a deployment, a member that is killed, and its return. The simulated entity
//! is made from the directory of a real member (`simulate --from-dir`).
//!
//! `cargo run -p althing-tests --bin beside -- [MEMBERS…]`, by default 9 and 25; ALTHING_SETTLE, ALTHING_REST and
//! ALTHING_SECONDS (of each other phase) change the times. Exit code 2 if a number differs by more than it should.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use althing_tests::{Cluster, Json, Member, Site, from_env};
use anyhow::{Context, Result, ensure};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(300);
/// Each message is a line of the log.
const LEVEL: &str = "info,libp2p=warn,libp2p_swarm=warn,notify=warn,althing_node::daemon=trace";
const PHASES: [&str; 4] = ["at rest", "a deployment", "a member is killed", "it is back"];
/// Questions and answers, at rest and after a kill, and the time until all know of a kill may differ by so many of a
/// hundred.
const WITHIN: f64 = 25.0;
/// All messages of a phase may be so many times as many: which of them are needed depends on who is how fast, and reports
/// tell of machines that the simulator does not have.
const TIMES: f64 = 2.0;
const DAY: u64 = 86_400_000_000;

/// Microseconds since midnight.
type Moment = u64;

/// By phase and kind: how many messages, and their bytes.
type Sent = Vec<BTreeMap<String, (u64, u64)>>;

/// What both tell.
#[derive(Debug, Default)]
struct Told {
    sent: Sent,
    /// In milliseconds: what, and how long it took.
    times: Vec<(&'static str, f64)>,
}

/// How long each phase lasts, in seconds.
#[derive(Clone, Copy, Debug)]
struct Spans {
    settle: u64,
    rest: u64,
    each: u64,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let sizes: Result<Vec<usize>, _> = words.iter().map(|word| word.parse()).collect();
    let sizes = match sizes {
        Ok(sizes) if sizes.iter().all(|size| (3..=25).contains(size)) => sizes,
        _ => {
            eprintln!("usage: beside [MEMBERS…], from 3 to 25");
            return ExitCode::from(64);
        }
    };
    let mut alike = true;
    for members in if sizes.is_empty() { vec![9, 25] } else { sizes } {
        match compare(members) {
            Ok(is_alike) => alike &= is_alike,
            Err(error) => {
                eprintln!("{error:#}");
                return ExitCode::FAILURE;
            }
        }
    }
    if alike { ExitCode::SUCCESS } else { ExitCode::from(2) }
}

fn compare(members: usize) -> Result<bool> {
    let mut cluster = Cluster::empty()?;
    cluster.level = Some(LEVEL.to_owned());
    let spans = Spans {
        settle: from_env("ALTHING_SETTLE", 20),
        rest: from_env("ALTHING_REST", 60),
        each: from_env("ALTHING_SECONDS", 20),
    };
    let told = live(&mut cluster, members, spans);
    if told.is_err() {
        cluster.show_logs();
    }
    let (real, simulated) = told?;
    println!("{members} members: real daemons beside simulated ones");
    let mut alike = true;
    for (number, phase) in PHASES.iter().enumerate() {
        let seconds = if number == 0 { spans.rest } else { spans.each };
        println!("  {phase}, {seconds} s");
        let kinds: BTreeMap<&String, ()> =
            real.sent[number].keys().chain(simulated.sent[number].keys()).map(|kind| (kind, ())).collect();
        let all = |sent: &Sent| sent[number].values().map(|(count, _)| *count as f64).sum::<f64>();
        let (a, b) = (all(&real.sent), all(&simulated.sent));
        alike &= said("all messages", a, b, a <= b * TIMES && b <= a * TIMES);
        for kind in kinds.into_keys() {
            let get = |sent: &Sent| sent[number].get(kind).copied().unwrap_or_default();
            let ((a, a_bytes), (b, b_bytes)) = (get(&real.sent), get(&simulated.sent));
            println!("    {kind:<12} {a:>7} {b:>7} messages   {a_bytes:>9} {b_bytes:>9} bytes");
            if matches!(kind.as_str(), "Pulse" | "Echo") && number % 2 == 0 {
                alike &= said("of these", a as f64, b as f64, is_within(a as f64, b as f64));
            }
        }
    }
    for (what, real) in &real.times {
        let simulated = simulated.times.iter().find(|(other, _)| other == what).map(|(_, time)| *time);
        let simulated = simulated.context("the same was told")?;
        println!("  {what:<52} {real:>8.0} {simulated:>8.0} ms");
        if what.starts_with("from the kill") {
            alike &= said("of these", *real, simulated, is_within(*real, simulated));
        }
    }
    Ok(alike)
}

fn is_within(a: f64, b: f64) -> bool {
    (a - b).abs() <= a.max(b) * WITHIN / 100.0
}

/// Says how far two numbers are apart, and whether that is too far.
fn said(what: &str, real: f64, simulated: f64, fits: bool) -> bool {
    let apart = if simulated > 0.0 { (real / simulated - 1.0) * 100.0 } else { 0.0 };
    println!(
        "    {what}: {real:.0} and {simulated:.0}, {apart:+.0} %{}",
        if fits { "" } else { "   TOO FAR APART" }
    );
    fits
}

/// Both lives: first the simulated one, which takes no time.
fn live(cluster: &mut Cluster, members: usize, spans: Spans) -> Result<(Told, Told)> {
    let all: Vec<usize> = (1..=members).collect();
    cluster.found(members)?;
    let site = Site::make(&cluster.path("site"), 100, 1)?;
    cluster.web(1).json(&["app", "new", "shop", "--from", &site.root.to_string_lossy()])?;
    cluster.have(&all, "shop", &site.tree, LIMIT)?;
    cluster.agreed("shop", 1, LIMIT)?;
    let next = Site::at(&site.root)?.next(&cluster.path("next"), 1)?;
    let simulated = simulate(cluster.web(1), members, spans)?;

    sleep(Duration::from_secs(spans.settle));
    let mut begun = vec![now()?];
    sleep(Duration::from_secs(spans.rest));

    begun.push(now()?);
    cluster.web(2).json(&["deploy", "shop", "--from", &next.root.to_string_lossy()])?;
    until(begun[1], spans.each)?;

    begun.push(now()?);
    cluster.web(members).kill();
    until(begun[2], spans.each)?;

    begun.push(now()?);
    cluster.web(members).launch()?;
    until(begun[3], spans.each)?;
    cluster.have(&all, "shop", &next.tree, LIMIT)?;

    let mut told = Told { sent: vec![BTreeMap::new(); PHASES.len()], times: Vec::new() };
    let mut events = Vec::new();
    for member in &cluster.members {
        read_log(member, &begun, spans, &mut told.sent, &mut events)?;
    }
    let since = |moment: Moment| (moment + DAY - begun[0]) % DAY;
    let events: Vec<Event> =
        events.into_iter().map(|(at, who, kind)| (since(at) as f64 / 1000.0, who, kind)).collect();
    told.times = times(&events, since(begun[2]) as f64 / 1000.0, members)?;
    Ok((told, simulated))
}

fn now() -> Result<Moment> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros())? % DAY)
}

/// Waits until so many seconds after a moment.
fn until(begun: Moment, seconds: u64) -> Result<()> {
    let passed = (now()? + DAY - begun) % DAY;
    sleep(Duration::from_micros((seconds * 1_000_000).saturating_sub(passed)));
    Ok(())
}

/// In milliseconds, who, and which kind of event.
type Event = (f64, String, String);

/// When something was told, in milliseconds.
fn of(events: &[Event], wanted: &str) -> impl Iterator<Item = f64> {
    events.iter().filter(move |(at, _, kind)| *at >= 0.0 && kind == wanted).map(|(at, ..)| *at)
}

/// The same from what either tells; the kill came at this time.
fn times(events: &[Event], kill: f64, members: usize) -> Result<Vec<(&'static str, f64)>> {
    let first = |kind: &str| of(events, kind).reduce(f64::min).with_context(|| format!("nobody told {kind}"));
    let last = |kind: &str| of(events, kind).reduce(f64::max).with_context(|| format!("nobody told {kind}"));
    let missed: Vec<f64> = of(events, "member.unreachable").filter(|at| *at >= kill).collect();
    ensure!(missed.len() >= members - 1, "{} of {} miss the one that was killed", missed.len(), members - 1);
    let known = |pick: fn(f64, f64) -> f64| missed.iter().copied().reduce(pick).map_or(0.0, |at| at - kill);
    Ok(vec![
        ("from the window to the settled revision", first("revision.settled")? - first("window.opened")?),
        ("from the first that knows it to the last", last("revision.settled")? - first("revision.settled")?),
        (
            "from the settled revision to the last apply",
            last("revision.applied")? - first("revision.settled")?,
        ),
        ("from the kill to the first that knows it", known(f64::min)),
        ("from the kill to the last that knows it", known(f64::max)),
    ])
}

/// Messages and events that a daemon logged.
fn read_log(
    member: &Member,
    begun: &[Moment],
    spans: Spans,
    sent: &mut Sent,
    events: &mut Vec<(Moment, String, String)>,
) -> Result<()> {
    for line in member.whole_log().lines() {
        let Some((at, kind)) = line.get(..27).and_then(moment).zip(field(line, "kind=\"")) else { continue };
        let phase = begun.iter().enumerate().position(|(number, begun)| {
            let seconds = if number == 0 { spans.rest } else { spans.each };
            (at + DAY - begun) % DAY < seconds * 1_000_000
        });
        let Some(phase) = phase else { continue };
        match field(line, "bytes=") {
            Some(bytes) if line.contains(" sent ") => {
                let counted = sent[phase].entry(kind.to_owned()).or_default();
                *counted = (counted.0 + 1, counted.1 + bytes.parse::<u64>()?);
            }
            _ => events.push((at, member.name.clone(), kind.to_owned())),
        }
    }
    Ok(())
}

/// `2026-11-28T14:54:01.123456Z`
fn moment(stamp: &str) -> Option<Moment> {
    let part = |from: usize, to: usize| stamp.get(from..to)?.parse::<u64>().ok();
    let seconds = part(11, 13)? * 3600 + part(14, 16)? * 60 + part(17, 19)?;
    Some(seconds * 1_000_000 + part(20, 26)?)
}

/// What follows a name, up to a quote or a space.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(name)?;
    rest.split(['"', ' ']).next()
}

/// The same with simulated members.
fn simulate(member: &Member, members: usize, spans: Spans) -> Result<Told> {
    let rest = spans.settle + spans.rest;
    let (killed, back, end) = (rest + spans.each, rest + 2 * spans.each, rest + 3 * spans.each);
    let words = [
        "simulate",
        "--from-dir",
        &member.dir.to_string_lossy(),
        "--hours",
        &format!("{:.6}", (end + 2) as f64 / 3600.0),
        "--deploy",
        &format!("{rest}:web2:shop"),
        "--fault",
        &format!("crash@{killed}+{}:web{members}", spans.each),
        "--tally",
        &format!("{},{rest},{killed},{back},{end}", spans.settle),
        "--whole",
        "--json",
    ];
    let outcome = member.run(&words)?.document()?;
    let mut told = Told::default();
    for tally in outcome.list("/tally")? {
        let kinds = tally["kinds"].as_object().context("kinds")?;
        let count = |(kind, counted): (&String, &Value)| {
            Some((kind.clone(), (counted[0].as_u64()?, counted[1].as_u64()?)))
        };
        told.sent.push(kinds.iter().filter_map(count).collect());
    }
    let begun = outcome["begun"].as_f64().context("a beginning")? + spans.settle as f64;
    let event = |entry: &Value| {
        let (kind, _) = entry["text"].as_str()?.split_once(':')?;
        let at = (entry["seconds"].as_f64()? - begun) * 1000.0;
        Some((at, entry["host"].as_str()?.to_owned(), kind.to_owned()))
    };
    let events: Vec<Event> = outcome.list("/timeline")?.iter().filter_map(event).collect();
    told.times = times(&events, (spans.rest + spans.each) as f64 * 1000.0, members)?;
    Ok(told)
}
