//! Checks the rules of voting (design §5.2) exhaustively, and that each planted bug does its harm.
//!
//! `prove [--nightly] [--trace] [NAME]`: one line per configuration whose name contains NAME. `--nightly` adds
//! those that take minutes; `--trace` prints the counter-examples step by step.

use std::process::ExitCode;

use althing_simulations::model::configurations::{Configuration, Cost, Expectation, all};

fn main() -> ExitCode {
    let (flags, names): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|word| word.starts_with("--"));
    let given = |flag: &str| flags.iter().any(|word| word == flag);
    let last = if given("--nightly") { Cost::Nightly } else { Cost::Run };
    println!("{:<46} {:<10} {:>12} {:>8}  result", "configuration", "must", "states", "seconds");
    let chosen = all().into_iter().filter(|one| one.cost <= last);
    let chosen = chosen.filter(|one| names.iter().all(|name| one.name.contains(name.as_str())));
    let failed = chosen.filter(|one| !shown(one, given("--trace"))).count();
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        println!("{failed} expectation(s) failed");
        ExitCode::FAILURE
    }
}

/// Checks one configuration and prints its line; whether it showed what it must.
fn shown(configuration: &Configuration, trace: bool) -> bool {
    let finding = configuration.check();
    let seconds = finding.elapsed.as_secs_f64();
    let must = expectation(configuration.expectation);
    println!(
        "{:<46} {must:<10} {:>12} {seconds:>8.1}  {}",
        configuration.name, finding.unique, finding.result
    );
    if trace || !finding.met {
        finding.trace.iter().for_each(|step| println!("    {step}"));
    }
    finding.met
}

fn expectation(expectation: Expectation) -> &'static str {
    match expectation {
        Expectation::Holds => "hold",
        Expectation::Proved => "be proved",
        Expectation::Breaks(_) => "break",
        Expectation::Progress => "progress",
        Expectation::Stuck => "get stuck",
    }
}
