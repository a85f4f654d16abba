//! `simulate`: the protocol through disasters, without a machine being touched.

#[cfg(feature = "simulations")]
use std::path::Path;

use crate::args::tools::Simulate;
use crate::context::Context;
#[cfg(all(feature = "simulations", feature = "daemon"))]
use crate::error::Failure;
use crate::error::Result;
use crate::exit::Exit;

/// Runs one seed and says how it ended. A violation is a failure: the program would not keep its promises.
#[cfg(feature = "simulations")]
pub(crate) fn run(context: &Context, args: &Simulate) -> Result<Exit> {
    use crate::args::Output;
    use crate::context::print;
    use crate::error::bug;

    let outcome = althing_simulations::simulate(&options(args)?);
    match context.output {
        Output::Json => {
            let document = serde_json::to_value(&outcome).map_err(|error| bug(error.to_string()))?;
            print(&crate::render::document::own("althing.simulation/1", document))?;
        }
        Output::Table => print(&althing_simulations::story(&outcome, args.whole))?,
    }
    Ok(if outcome.violations.is_empty() { Exit::OK } else { Exit::FAILED })
}

/// What is asked for, if it can be.
#[cfg(feature = "simulations")]
fn options(args: &Simulate) -> Result<althing_simulations::Options> {
    use althing_simulations::Options;

    use crate::error::usage;

    let (seed, members, hours, votes) = (args.seed, usize::from(args.members), args.hours, args.votes);
    let quorum = args.quorum.map(Into::into);
    let absences = args.whole;
    let mut options =
        Options { seed, members, hours, votes, quorum, absences, surveys: true, ..Options::default() };
    if let Some(text) = &args.tally {
        options.tally = althing_simulations::moments(text)
            .map_err(|why| usage(why).fact("tally", text).fact("changed", "nothing"))?;
    }
    for text in &args.faults {
        let strike =
            text.parse().map_err(|why: String| usage(why).fact("fault", text).fact("changed", "nothing"))?;
        options.strikes.push(strike);
    }
    for text in &args.deploys {
        let deploy =
            text.parse().map_err(|why: String| usage(why).fact("deploy", text).fact("changed", "nothing"))?;
        options.deploys.push(deploy);
    }
    if let Some(dir) = &args.from_dir {
        options = options.like(likeness(dir)?);
    }
    options.check().map_err(|why| usage(why).fact("changed", "nothing"))?;
    Ok(options)
}

/// What a simulated entity has of the one in a member's directory.
#[cfg(all(feature = "simulations", feature = "daemon"))]
fn likeness(dir: &Path) -> Result<althing_simulations::Likeness> {
    use althing_node::Glimpsed;
    use althing_protocol::control::Code;

    let shown = dir.display();
    let refused = |code, text: String| Failure::new(code, text).fact("changed", "nothing");
    match althing_node::glimpse(dir) {
        Ok(Glimpsed::Member(state)) => Ok(althing_simulations::Likeness::of(&state).map_err(|why| {
            refused(Code::Input, format!("the entity in {shown} cannot be simulated: {why}"))
        })?),
        Ok(Glimpsed::Outside) => {
            let text = format!("the member in {shown} is in no entity");
            Err(refused(Code::NotInEntity, text)
                .remedy("simulate any other", &["althing", "simulate"])
                .into())
        }
        Ok(Glimpsed::Nothing) => {
            let text = format!("{shown} is not the directory of a member: there is no store in it");
            let failure = refused(Code::Input, text);
            Err(failure.remedy("see which one it is", &["althing", "config", "show"]).into())
        }
        Err(error) => {
            let failure =
                refused(Code::Failed, format!("{shown} cannot be read")).fact("reason", format!("{error:#}"));
            Err(failure.into())
        }
    }
}

/// There is no store in this program.
#[cfg(all(feature = "simulations", not(feature = "daemon")))]
fn likeness(dir: &Path) -> Result<althing_simulations::Likeness> {
    let failure =
        crate::error::usage("this program was built without the daemon, and cannot read its directory");
    Err(failure.fact("directory", dir.display()).into())
}

/// There are no simulations in this program.
#[cfg(not(feature = "simulations"))]
pub(crate) fn run(_context: &Context, args: &Simulate) -> Result<Exit> {
    let Simulate {
        seed,
        members: _,
        hours: _,
        faults: _,
        deploys: _,
        from_dir: _,
        quorum: _,
        votes: _,
        whole: _,
        tally: _,
    } = args;
    Err(crate::error::usage("this program was built without simulations")
        .fact("seed", seed)
        .fact("built", "without the feature `simulations`")
        .into())
}
