//! Prints what gossip costs and how fast it is: `scale [--rested] [--lan] [MEMBERS...]`, by default 9, 100 and 1000
//! members; one table. With `--rested` all begin at rest, as very many always do; with `--lan` nothing is tried on a wide
//! network.

use std::process::ExitCode;
use std::time::Instant;

use althing_simulations::processor;
use althing_simulations::scale::{Entity, Scale, Spread};

const SECOND: u64 = 1_000_000;
const LAN: (u64, u64) = (200, 1_000);
const WAN: (u64, u64) = (10_000, 50_000);

/// What the command line asks for beside sizes.
#[derive(Clone, Copy)]
struct How {
    rested: bool,
    wide: bool,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (options, words): (Vec<String>, Vec<String>) =
        words.into_iter().partition(|word| word == "--rested" || word == "--lan");
    let has = |wanted: &str| options.iter().any(|word| word == wanted);
    let how = How { rested: has("--rested"), wide: !has("--lan") };
    let sizes: Result<Vec<usize>, _> = words.iter().map(|word| word.parse()).collect();
    let sizes = match sizes {
        Ok(sizes) if sizes.iter().all(|size| (3..=10_000).contains(size)) => sizes,
        _ => {
            eprintln!("usage: scale [--rested] [--lan] [MEMBERS...]: numbers from 3 to 10000");
            return ExitCode::from(64);
        }
    };
    for members in if sizes.is_empty() { vec![9, 100, 1000] } else { sizes } {
        let begin = Instant::now();
        measure(members, how);
        println!(
            "{members:>6} members took {:.0} s of this machine; {}\n",
            begin.elapsed().as_secs_f64(),
            spent_so_far()
        );
    }
    ExitCode::SUCCESS
}

/// Seconds of a processor that this process has taken.
fn processor() -> f64 {
    processor::seconds().unwrap_or(0.0)
}

/// Memory in bytes, by its name in `/proc/self/status`: `VmHWM` is the most that this process ever had.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let kilobytes = line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

fn spent_so_far() -> String {
    let [now, most] = ["VmRSS", "VmHWM"].map(|name| memory(name) / 1_000_000);
    format!("so far {:.0} s of a processor, {now} MB, at most {most} MB", processor())
}

/// What that took, and the most that was under way since this was told last.
fn tell(entity: &mut Entity) {
    let under_way = entity.under_way();
    let kinds: Vec<String> = under_way
        .kinds()
        .into_iter()
        .take(4)
        .map(|(kind, count, bytes)| format!("{count} {kind} of {:.1} MB", bytes as f64 / 1e6))
        .collect();
    println!(
        "       {}; under way at most {:.1} MB: {}",
        spent_so_far(),
        under_way.most() as f64 / 1e6,
        kinds.join(", ")
    );
    under_way.forget();
}

fn at_rest(members: usize, lost: u64, delay: (u64, u64), rested: bool) -> Entity {
    let scale = Scale { members, lost, delay, seed: 1 };
    let mut entity = if rested { Entity::at_rest(scale) } else { Entity::new(scale) };
    entity.run(30 * SECOND);
    entity
}

/// So many begin at rest, and are tried for shorter.
const MANY: usize = 2_000;

/// Settles so often in one entity.
const TIMES: usize = 5;

fn measure(members: usize, how: How) {
    let rested = how.rested || members > MANY;
    let mut lan = at_rest(members, 0, LAN, rested);
    println!(
        "       all have {} and are at rest after {} inputs",
        if rested { "begun" } else { "started" },
        lan.steps()
    );
    tell(&mut lan);
    // Ten thousand members take a minute for some seconds.
    let (before, steps, seconds) = (processor(), lan.steps(), if members > MANY { 20 } else { 120 });
    let rest = lan.rest(seconds * SECOND);
    let (spent, steps) = ((processor() - before).max(0.01), (lan.steps() - steps) as f64);
    println!(
        "{members:>6} members at rest, a member and second: {:.2} messages, {:.1} B of them, {:.0} B on the wire",
        rest.messages, rest.payload, rest.wire
    );
    for (kind, count, bytes) in lan.kinds() {
        println!("       {kind:<6} {count:>8} messages {bytes:>10} bytes");
    }
    println!(
        "       {:.0} inputs a processor second; {:.0} times its time",
        steps / spent,
        seconds as f64 / spent
    );
    println!("       a silent crash is known: {}", shown(&lan.crash(members - 1)));
    tell(&mut lan);
    let time = lan.newcomer(members - 1).map_or("never".to_owned(), |time| format!("{time} ms"));
    println!("       a newcomer has everybody's report after {time}");
    lan.run(20 * SECOND);
    tell(&mut lan);
    certificates("LAN", &mut lan);
    if how.wide {
        lan.set_delay(WAN);
        lan.run(20 * SECOND);
        certificates("WAN", &mut lan);
        println!("       a silent crash is known, WAN: {}", shown(&lan.crash(members - 2)));
        tell(&mut lan);
        lan.set_delay(LAN);
        lan.run(20 * SECOND);
    }
    if members <= MANY {
        // Others still tell the epochs that were settled.
        lan = at_rest(members, 0, LAN, rested);
    }
    busy(members, lan);
    if members <= MANY {
        disturbed(members, rested);
    }
}

fn busy(members: usize, mut entity: Entity) {
    let gone = (members / 100).max(1);
    let busy = entity.busy(gone, 20);
    println!(
        "       {gone} crash at once, a member and second of the next 20 on the wire: {} B on average, p99 {} B, most {} B",
        busy.mean, busy.p99, busy.most
    );
    tell(&mut entity);
}

/// How long certificates take to all, and how often what leads to them comes twice.
fn certificates(links: &str, entity: &mut Entity) {
    // Each of very many members takes a while for its state of all of them.
    let times = if entity.len() > MANY { 1 } else { TIMES };
    let mut all: Vec<(Spread, Spread, Option<f64>)> = (0..times)
        .map(|_| {
            let settled = entity.settle_counted(1);
            entity.run(5 * SECOND);
            settled
        })
        .collect();
    all.sort_by_key(|(_, held, _)| held.all.unwrap_or(u64::MAX));
    for (what, (asked, held, copies)) in [("median", &all[times / 2]), ("worst", &all[times - 1])] {
        println!(
            "       certificate, {links}, {what} of {times}: {}; since the first holds it {}; {}",
            shown(asked),
            shown(held),
            copies.map_or("no copies".to_owned(), |copies| format!("{copies:.2} copies too many"))
        );
    }
    tell(entity);
}

fn disturbed(members: usize, rested: bool) {
    let mut entity = at_rest(members, 20, LAN, rested);
    let (asked, _, copies) = entity.settle_counted(1);
    let copies = copies.map_or("none".to_owned(), |copies| format!("{copies:.2}"));
    println!("        2 % lost: certificate {}; copies beyond the first {copies}", shown(&asked));
    // A thousand members for five minutes at four losses is an hour of this machine.
    for lost in if members <= 200 { &[50, 100, 200, 300][..] } else { &[][..] } {
        let mut entity = at_rest(members, *lost, LAN, rested);
        let before = entity.false_notices();
        let rest = entity.rest(300 * SECOND);
        println!(
            "       {:>2} % lost for 300 s: {} false notices, {:.0} B a member and second; {} inputs",
            lost / 10,
            entity.false_notices() - before,
            rest.payload,
            entity.steps()
        );
    }
    let some = (members / 100).max(1);
    for (what, slow) in [("stand still for 6 of 10 s", members / 6), ("lose 80 % both ways", some)] {
        let mut entity = at_rest(members, 0, LAN, rested);
        let seconds = if members <= 200 { 300 } else { 60 };
        let seen = if slow == some && what.starts_with("lose") {
            entity.deafen(slow, seconds)
        } else {
            entity.stall(slow, seconds)
        };
        println!(
            "       {slow} {what}, {seconds} s: {} notices, {} of them of others; {} different views of others",
            seen.notices, seen.false_notices, seen.views
        );
    }
}

fn shown(spread: &Spread) -> String {
    let all = spread.all.map_or("never".to_owned(), |all| format!("{all} ms"));
    format!("first {} ms, half {} ms, all {all}", spread.first, spread.half)
}
