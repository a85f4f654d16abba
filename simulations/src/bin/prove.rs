//! Checks the rules (design §5.2, §5.3) exhaustively, and that each planted bug does its harm.
//!
//! `prove [--nightly] [--trace] [NAME]`: one line per configuration whose name contains NAME. `--nightly` adds
//! those that take minutes; `--trace` prints the counter-examples step by step.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use althing_simulations::model::configurations::{Configuration, Cost, Expectation, Finding};
use althing_simulations::model::table::all;

fn main() -> ExitCode {
    let (flags, names): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|word| word.starts_with("--"));
    let given = |flag: &str| flags.iter().any(|word| word == flag);
    let last = if given("--nightly") { Cost::Nightly } else { Cost::Run };
    println!(
        "{:<44} {:<9} {:>12} {:>8} {:>11}  result",
        "configuration", "must", "states", "seconds", "states/s"
    );
    let started = Instant::now();
    let chosen = all().into_iter().filter(|one| one.cost <= last);
    let chosen = chosen.filter(|one| names.iter().all(|name| one.name.contains(name.as_str())));
    let checked: Vec<(Configuration, Finding)> =
        chosen.map(|one| (one, shown(&one, given("--trace")))).collect();
    summary(&checked, started.elapsed());
    if checked.iter().all(|(_, finding)| finding.met) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Checks one configuration and prints its line.
fn shown(configuration: &Configuration, trace: bool) -> Finding {
    let finding = configuration.check();
    let seconds = finding.elapsed.as_secs_f64();
    let must = expectation(configuration.expectation);
    println!(
        "{:<44} {must:<9} {:>12} {seconds:>8.1} {:>11.0}  {}",
        configuration.name,
        finding.unique,
        finding.unique as f64 / seconds.max(1e-6),
        finding.result
    );
    if trace || !finding.met {
        finding.trace.iter().for_each(|step| println!("    {step}"));
    }
    finding
}

/// What was explored in all, and what had to be reached, with the number of configurations that reached it.
fn summary(checked: &[(Configuration, Finding)], elapsed: Duration) {
    let count = |is_so: fn(&Configuration) -> bool| checked.iter().filter(|(one, _)| is_so(one)).count();
    let planted = |one: &Configuration| {
        matches!(
            one.expectation,
            Expectation::Breaks(_) | Expectation::Stuck | Expectation::Caught | Expectation::Proved
        )
    };
    let (states, seconds) =
        (checked.iter().map(|(_, finding)| finding.unique).sum::<usize>(), elapsed.as_secs_f64());
    let mut reached: BTreeMap<&str, usize> = BTreeMap::new();
    checked
        .iter()
        .flat_map(|(_, finding)| &finding.reached)
        .for_each(|what| *reached.entry(what).or_default() += 1);
    println!("\nreached, and in how many configurations");
    reached.iter().for_each(|(what, count)| println!("{count:>6}  {what}"));
    let failed = checked.iter().filter(|(_, finding)| !finding.met).count();
    println!(
        "{} configurations: {} explored to the end, {} with a planted bug that does its harm; {} things that had to be reached; {states} states, {seconds:.0} s, {:.0} states a second; {failed} unexpected",
        checked.len(),
        count(|one| matches!(
            one.expectation,
            Expectation::Holds | Expectation::Proved | Expectation::Progress
        )),
        count(planted),
        reached.values().sum::<usize>(),
        states as f64 / seconds.max(1e-6),
    );
}

fn expectation(expectation: Expectation) -> &'static str {
    match expectation {
        Expectation::Holds => "hold",
        Expectation::Proved => "be proved",
        Expectation::Breaks(_) => "break",
        Expectation::Progress => "progress",
        Expectation::Stuck => "get stuck",
        Expectation::Caught => "be caught",
    }
}
