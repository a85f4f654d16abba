//! The `althing` command: typed (args) → resolved (context) → run (commands). What it prints is made in `render`;
//! what it knows it asks a node, through `client`.

mod args;
mod ask;
mod client;
mod commands;
mod complete;
mod condition;
mod config;
mod context;
mod daemon;
mod demo;
mod doctor;
mod error;
mod exit;
mod extract;
mod key;
mod manifest;
mod moment;
mod pager;
mod progress;
mod render;
mod signing;
mod simulate;
mod socket;
mod span;
mod toml_file;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use args::{Cli, Colour, Output, ROOT_HELP};
use clap::Parser as _;
use clap::error::ErrorKind;
use context::Context;
use error::{Error, Failure, usage};
use exit::Exit;
use render::Look;

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(Cli { verb: None, .. }) => {
            finish(context::print(ROOT_HELP).map(|()| Exit::OK), Output::Table, Colour::Auto)
        }
        Ok(Cli { global, verb: Some(verb) }) => {
            let colour = global.color;
            let context = Context::resolve(global);
            finish(commands::run(&context, verb), context.output, colour)
        }
        Err(error) => misused(&error),
    }
}

/// Says why it failed, if it did, and what the exit code is.
fn finish(result: error::Result<Exit>, output: Output, colour: Colour) -> ExitCode {
    match result {
        Ok(exit) | Err(Error::Quiet(exit)) => exit.into(),
        Err(Error::Failed(failure)) => {
            let failure = failure.explained();
            say(&failure, output, colour);
            ExitCode::from(failure.exit)
        }
    }
}

fn say(failure: &Failure, output: Output, colour: Colour) {
    let text = match output {
        Output::Json => failure.json() + "\n",
        Output::Table => failure.screen(&Look::of_stderr(colour)),
    };
    // If stderr is gone too, only the exit code can tell.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// What clap says: help and version are answers, the rest is wrong usage (64, not clap's 2).
fn misused(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if wants_json(std::env::args_os()) {
        let text = error.render().to_string();
        let message = text.trim_start_matches("error: ").split("\n\n").next().unwrap_or_default().to_owned();
        say(&usage(message).explained(), Output::Json, Colour::Never);
    } else {
        let _ = error.print();
    }
    ExitCode::from(exit::USAGE.exit)
}

/// Whether a command line that was not understood asks for JSON.
fn wants_json(words: impl Iterator<Item = OsString>) -> bool {
    let words: Vec<OsString> = words.take_while(|word| word != "--").collect();
    let json = |word: &OsString| word == "--json" || word == "--output=json" || word == "-ojson";
    words.iter().any(json)
        || words.windows(2).any(|pair| (pair[0] == "-o" || pair[0] == "--output") && pair[1] == "json")
}
