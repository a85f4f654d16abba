//! `simulate`: the protocol through disasters, without a machine being touched.

use crate::args::tools::Simulate;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;

/// Runs one seed and says how it ended.
#[cfg(feature = "simulations")]
pub(crate) fn run(context: &Context, args: &Simulate) -> Result<Exit> {
    use crate::args::Output;
    use crate::context::print;
    use crate::error::bug;

    let outcome = althing_simulations::simulate(args.seed, usize::from(args.members), args.hours);
    let document = serde_json::to_value(&outcome).map_err(|error| bug(error.to_string()))?;
    match context.output {
        Output::Json => {
            print(&crate::render::document::own("althing.simulation/1", document))?;
        }
        Output::Table => {
            let mut table = crate::render::table::Table::new(&["", ""]).keep(2);
            for (name, value) in document.as_object().into_iter().flatten() {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                table.row([name.as_str().into(), value.into()]);
            }
            print(&table.text(&context.look))?;
        }
    }
    Ok(Exit::OK)
}

/// There are no simulations in this program.
#[cfg(not(feature = "simulations"))]
pub(crate) fn run(_context: &Context, args: &Simulate) -> Result<Exit> {
    let Simulate { seed, members: _, hours: _ } = args;
    Err(crate::error::usage("this program was built without simulations")
        .fact("seed", seed)
        .fact("built", "without the feature `simulations`")
        .into())
}
