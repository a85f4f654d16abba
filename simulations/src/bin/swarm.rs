//! Runs many seeds: `swarm --seeds A..B [--members N|N-M] [--minutes M] [--threads N] [--all-reached] [--no-shrink]`,
//! or one case: `swarm --seed S --members N --minutes M [--variant V] [--without CONDITION,…] [--acts NAME.N,…]`; both
//! with `[--fault CLASS[@SECONDS[+SECONDS][:HOST,…]]]… [--deploy SECONDS:HOST]… [--quorum RULE] [--mutation NAME] [--quiet] [--plan] [--timeline] [--votes] [--json]`.
//!
//! Prints each failing seed with the command that replays it, and of the first ones that of the smallest case that
//! fails in the same way; then how often each interesting thing happened. Exit code 1 if anything was violated, or
//! with `--all-reached` never happened.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use althing_simulations::{Options, Outcome, SOMETIMES, plan_of, processor, shrink, simulate};

/// Much of a world's time goes into many small allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What the command line asks for.
struct Arguments {
    from: u64,
    to: u64,
    options: Options,
    /// Half of the seeds have `options.members`; the others up to so many.
    most: usize,
    all_reached: bool,
    threads: usize,
    shrink: bool,
    plan: bool,
    timeline: bool,
    json: bool,
}

/// Failing seeds that are made small: one bug rarely fails one seed only.
const SHRUNK: usize = 3;
/// Simulations that this takes at most, for each.
const SHRINKING: usize = 600;

impl Arguments {
    /// Most failures need no more than three members ("Simple Testing Can Prevent Most Critical Failures", Yuan et
    /// al., 2014), and small worlds are fast: every second seed has the least number.
    fn members(&self, seed: u64) -> usize {
        let (least, most) = (self.options.members, self.most.max(self.options.members));
        if seed.is_multiple_of(2) || least == most {
            least
        } else {
            least + (seed / 2) as usize % (most - least + 1)
        }
    }
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1).collect()) {
        Ok(arguments) => arguments,
        Err(why) => {
            eprintln!(
                "{why}\nusage: swarm --seeds A..B | --seed S [--members N|N-M] [--minutes M] [--threads N] [--variant V] [--without CONDITION,…] [--acts NAME.N,…] [--fault CLASS[@SECONDS[+SECONDS][:HOST,…]]]… [--deploy SECONDS:HOST]… [--quorum RULE] [--mutation NAME] [--quiet] [--plan] [--timeline] [--votes] [--json] [--all-reached] [--no-shrink]"
            );
            return ExitCode::from(64);
        }
    };
    if arguments.plan {
        plan_of(&arguments.options).iter().for_each(|(at, name)| println!("{at:9.3} {name}"));
        return ExitCode::SUCCESS;
    }
    std::panic::set_hook(Box::new(|_| {}));
    let started = Instant::now();
    let outcomes = run(&arguments);
    let (elapsed, spent) = (started.elapsed().as_secs_f64(), processor::seconds());
    let failed: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.violations.is_empty()).collect();
    if !arguments.json {
        for (number, outcome) in failed.iter().enumerate() {
            show(&arguments, outcome, number < SHRUNK);
        }
    }
    if arguments.timeline && failed.is_empty() {
        outcomes.iter().for_each(timeline);
    }
    let never = never(&outcomes);
    if arguments.json {
        println!("{}", serde_json::to_string(&outcomes).unwrap_or_default());
    } else {
        summary(&outcomes, failed.len(), elapsed);
        spent.into_iter().for_each(|spent| speed(&outcomes, spent));
        never.iter().for_each(|what| println!("    never in any seed  {what}"));
    }
    if failed.is_empty() && (never.is_empty() || !arguments.all_reached) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn parse(words: Vec<String>) -> Result<Arguments, String> {
    let mut arguments = Arguments {
        from: 1,
        to: 11,
        options: Options::default(),
        most: Options::default().members,
        all_reached: false,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        shrink: true,
        plan: false,
        timeline: false,
        json: false,
    };
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        let bad = |error: &dyn std::fmt::Display| format!("{word}: {error}");
        match word.as_str() {
            "--seeds" => {
                let range = value()?;
                let (from, to) = range.split_once("..").ok_or("--seeds needs A..B")?;
                arguments.from = from.parse().map_err(|error| bad(&error))?;
                arguments.to = to.parse().map_err(|error| bad(&error))?;
            }
            "--members" => {
                let range = value()?;
                let (least, most) = range.split_once('-').unwrap_or((&range, &range));
                arguments.options.members = least.parse().map_err(|error| bad(&error))?;
                arguments.most = most.parse().map_err(|error| bad(&error))?;
            }
            "--threads" => arguments.threads = value()?.parse().map_err(|error| bad(&error))?,
            "--no-shrink" => arguments.shrink = false,
            "--plan" => arguments.plan = true,
            "--all-reached" => arguments.all_reached = true,
            "--timeline" => arguments.timeline = true,
            "--json" => arguments.json = true,
            other => {
                if !arguments.options.take(other, &mut words)? {
                    return Err(format!("{other} is not an option"));
                }
                if other == "--seed" {
                    (arguments.from, arguments.to) = (arguments.options.seed, arguments.options.seed + 1);
                }
            }
        }
    }
    if arguments.to - arguments.from == 1 {
        arguments.options.check()?;
    }
    Ok(arguments)
}

/// Runs the seeds on all processors; the outcomes are in the order of the seeds.
fn run(arguments: &Arguments) -> Vec<Outcome> {
    let next = AtomicU64::new(arguments.from);
    let outcomes = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= arguments.to {
                        break;
                    }
                    let members = arguments.members(seed);
                    let mut outcome = simulate(&Options { seed, members, ..arguments.options.clone() });
                    if outcome.violations.is_empty() && !arguments.timeline {
                        outcome.timeline = Vec::new();
                    }
                    outcomes.lock().unwrap_or_else(PoisonError::into_inner).insert(seed, outcome);
                }
            });
        }
    });
    outcomes.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

/// One failing seed, and the smallest case that fails in the same way.
fn show(arguments: &Arguments, outcome: &Outcome, small: bool) {
    if arguments.timeline {
        timeline(outcome);
    }
    for violation in &outcome.violations {
        println!(
            "seed {}: {} at {:.3} s, step {}: {}",
            outcome.seed, violation.clause, violation.seconds, violation.step, violation.text
        );
    }
    let options = Options { seed: outcome.seed, members: outcome.members, ..arguments.options.clone() };
    println!("  replay: {}{options} --timeline", COMMAND);
    if arguments.shrink && small {
        let shrunk = shrink(&options, outcome, SHRINKING);
        println!(
            "  smallest found ({} of {} acts, {} runs): {}{} --timeline",
            shrunk.acts, shrunk.acts_before, shrunk.runs, COMMAND, shrunk.options
        );
    }
}

/// What comes before the options of a case.
const COMMAND: &str = "cargo run --profile swarm -p althing-simulations --bin swarm -- ";

fn timeline(outcome: &Outcome) {
    for entry in &outcome.timeline {
        println!("{:9.3} {:4} {}", entry.seconds, entry.host, entry.text);
    }
    if outcome.untold > 0 {
        println!("{} more that happened later are not told", outcome.untold);
    }
}

/// What no seed reached.
fn never(outcomes: &[Outcome]) -> Vec<&'static str> {
    let reached = |what: &&&str| outcomes.iter().any(|outcome| outcome.sometimes.contains_key(**what));
    SOMETIMES.iter().filter(|what| !reached(what)).copied().collect()
}

fn summary(outcomes: &[Outcome], failed: usize, elapsed: f64) {
    let mut sometimes: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for outcome in outcomes {
        for (what, count) in &outcome.sometimes {
            let entry = sometimes.entry(what).or_default();
            entry.0 += count;
            entry.1 += 1;
        }
    }
    for (what, (count, seeds)) in sometimes {
        println!("{count:>9} in {seeds:>5} seeds  {what}");
    }
    let events: u64 = outcomes.iter().map(|outcome| outcome.events).sum();
    let messages: u64 = outcomes.iter().map(|outcome| outcome.messages).sum();
    let seconds: f64 = outcomes.iter().map(|outcome| outcome.seconds).sum();
    println!(
        "{} seeds, {failed} failed, {elapsed:.1} s; {events} events ({:.0} a second), {messages} messages, {:.1} hours simulated ({:.0} times real time)",
        outcomes.len(),
        events as f64 / elapsed,
        seconds / 3600.0,
        seconds / elapsed
    );
}

/// How fast that was, whatever else the machine did: what the goals of the design are about.
fn speed(outcomes: &[Outcome], spent: f64) {
    let spent = spent.max(0.01);
    let sum = |of: fn(&Outcome) -> f64| outcomes.iter().map(of).sum::<f64>();
    println!(
        "{spent:.1} s of a processor; {:.0} seeds in an hour of it, {:.0} events in a second of it, {:.0} times its time simulated",
        outcomes.len() as f64 / spent * 3600.0,
        sum(|outcome| outcome.events as f64) / spent,
        sum(|outcome| outcome.seconds) / spent
    );
}
