//! Plants each bug in turn and looks for it: `planted [--seeds A..B] [--minutes M] [--shrink] [NAME…]`. With `--shrink`
//! the seed that found it is made smaller, and what is left is said too.
//!
//! One line a bug: how many seeds had to be run, in how many of them it struck, and which rule noticed it in which seed.
//! That it can strike is shown, not assumed: a bug of a host counts what it did, and a bug of a member makes a seed take
//! another course than without it. The seed that finds it must be sound without it. Exit code 1 if one is not found.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use std::time::Instant;

use althing_simulations::{Mutation, Options, Outcome, STRUCK, shrink, simulate};

/// Simulations that making one smaller takes at most.
const SHRINKING: usize = 600;

/// Much of a world's time goes into many small allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What became of one bug.
struct Hunt {
    /// Seeds that were run.
    tried: u64,
    /// Seeds in which it did something.
    struck: u64,
    /// The first seed that noticed it, and the rule.
    found: Option<(u64, &'static str)>,
}

fn main() -> ExitCode {
    let (mut names, mut range, mut minutes, mut smaller) = (Vec::new(), (1, 2001), 4.0, false);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let read = match word.as_str() {
            "--seeds" => words
                .next()
                .and_then(|range| {
                    let (from, to) = range.split_once("..")?;
                    Some((from.parse().ok()?, to.parse().ok()?))
                })
                .map(|given| range = given),
            "--minutes" => words.next().and_then(|minutes| minutes.parse().ok()).map(|given| minutes = given),
            "--shrink" => {
                smaller = true;
                Some(())
            }
            name => name.parse::<Mutation>().ok().map(|mutation| names.push(mutation)),
        };
        if read.is_none() {
            eprintln!(
                "{word}: planted [--seeds A..B] [--minutes M] [--shrink] [NAME…], with names of planted bugs"
            );
            return ExitCode::from(64);
        }
    }
    std::panic::set_hook(Box::new(|_| {}));
    println!("{:<22} {:>7} {:>7} {:>6}  noticed by", "planted", "tried", "struck", "seed");
    let mut missed = 0;
    let every = |mutation: &Mutation| names.is_empty() && *mutation != Mutation::Restless;
    for (mutation, name) in Mutation::ALL.into_iter().filter(|(it, _)| every(it) || names.contains(it)) {
        let hunt = hunt(mutation, range, minutes / 60.0);
        let (seed, rule) =
            hunt.found.map_or(("-".to_owned(), "NOT FOUND"), |(seed, rule)| (seed.to_string(), rule));
        println!("{name:<22} {:>7} {:>7} {seed:>6}  {rule}", hunt.tried, hunt.struck);
        if let Some((seed, _)) = hunt.found.filter(|_| smaller) {
            show_smaller(&options(seed, minutes / 60.0, Some(mutation)));
        }
        missed += usize::from(hunt.found.is_none() || hunt.struck == 0);
    }
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Every second seed has three members, the others three to five.
fn options(seed: u64, hours: f64, mutation: Option<Mutation>) -> Options {
    let members = if seed.is_multiple_of(2) { 3 } else { 3 + (seed / 2) as usize % 3 };
    Options { seed, members, hours, mutation, ..Options::default() }
}

fn run(seed: u64, hours: f64, mutation: Option<Mutation>) -> Outcome {
    simulate(&options(seed, hours, mutation))
}

/// What is left of a failing case, and how much it was.
fn show_smaller(options: &Options) {
    let (begin, outcome) = (Instant::now(), simulate(options));
    let shrunk = shrink(options, &outcome, SHRINKING);
    println!(
        "    {} of {} acts, {} of {} members, {} of {} events, {} simulations in {:.0} s: {}",
        shrunk.acts,
        shrunk.acts_before,
        shrunk.options.members,
        options.members,
        shrunk.outcome.events,
        outcome.events,
        shrunk.runs,
        begin.elapsed().as_secs_f64(),
        shrunk.options
    );
}

/// Runs seeds on all processors until one notices the bug and would not have failed without it.
fn hunt(mutation: Mutation, (from, to): (u64, u64), hours: f64) -> Hunt {
    let next = AtomicU64::new(from);
    let end = AtomicU64::new(to);
    let hunt = Mutex::new(Hunt { tried: 0, struck: 0, found: None });
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end.load(Ordering::Relaxed) {
                        break;
                    }
                    let planted = run(seed, hours, Some(mutation));
                    let of_members = mutation.is_of_members();
                    let compared = of_members || !planted.violations.is_empty();
                    let sound = compared.then(|| run(seed, hours, None));
                    let differs = sound.as_ref().is_some_and(|sound| sound.trace != planted.trace);
                    let struck = if of_members { differs } else { planted.sometimes.contains_key(STRUCK) };
                    let is_sound = sound.is_some_and(|sound| sound.violations.is_empty());
                    let rule = planted.violations.first().filter(|_| struck && is_sound);
                    let mut hunt = hunt.lock().unwrap_or_else(PoisonError::into_inner);
                    hunt.tried += 1;
                    hunt.struck += u64::from(struck);
                    if let Some(rule) = rule {
                        end.fetch_min(seed, Ordering::Relaxed);
                        if hunt.found.is_none_or(|(found, _)| seed < found) {
                            hunt.found = Some((seed, rule.clause));
                        }
                    }
                }
            });
        }
    });
    hunt.into_inner().unwrap_or_else(PoisonError::into_inner)
}
