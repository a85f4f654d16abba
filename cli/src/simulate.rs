//! `simulate`: the protocol through disasters, without a machine being touched.

use crate::args::tools::Simulate;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;

/// Runs one seed and says how it ended. A violation is a failure: the program would not keep its promises.
#[cfg(feature = "simulations")]
pub(crate) fn run(context: &Context, args: &Simulate) -> Result<Exit> {
    use althing_simulations::{Options, Strike, simulate};

    use crate::args::Output;
    use crate::context::print;
    use crate::error::{bug, usage};

    let (seed, members, hours) = (args.seed, usize::from(args.members), args.hours);
    let mut strikes: Vec<Strike> = Vec::new();
    for text in &args.faults {
        match text.parse() {
            Ok(strike) => strikes.push(strike),
            Err(why) => return Err(usage(why).fact("fault", text).fact("changed", "nothing").into()),
        }
    }
    let outcome = simulate(&Options { seed, members, hours, strikes, ..Options::default() });
    match context.output {
        Output::Json => {
            let document = serde_json::to_value(&outcome).map_err(|error| bug(error.to_string()))?;
            print(&crate::render::document::own("althing.simulation/1", document))?;
        }
        Output::Table => print(&text(&outcome))?,
    }
    Ok(if outcome.violations.is_empty() { Exit::OK } else { Exit::FAILED })
}

/// The story, then the sums.
#[cfg(feature = "simulations")]
fn text(outcome: &althing_simulations::Outcome) -> String {
    use std::fmt::Write;

    let mut text = String::new();
    for entry in &outcome.timeline {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{:>9.1} s  {:8} {}", entry.seconds, entry.host, entry.text);
    }
    let _ = writeln!(
        text,
        "\nseed {}: {} members, {:.0} s simulated, {} events, {} messages, {} bytes\n\
         {} records settled, {} revisions, {} repairs, {} crashes, {} partitions\ntrace {}",
        outcome.seed,
        outcome.members,
        outcome.seconds,
        outcome.events,
        outcome.messages,
        outcome.bytes,
        outcome.epochs,
        outcome.deployments,
        outcome.repairs,
        outcome.crashes,
        outcome.partitions,
        outcome.trace,
    );
    for violation in &outcome.violations {
        let _ = writeln!(text, "VIOLATION {violation:?}");
    }
    if outcome.violations.is_empty() {
        text.push_str("no violation\n");
    }
    text
}

/// There are no simulations in this program.
#[cfg(not(feature = "simulations"))]
pub(crate) fn run(_context: &Context, args: &Simulate) -> Result<Exit> {
    let Simulate { seed, members: _, hours: _, faults: _ } = args;
    Err(crate::error::usage("this program was built without simulations")
        .fact("seed", seed)
        .fact("built", "without the feature `simulations`")
        .into())
}
