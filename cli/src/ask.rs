//! Questions to the person at the terminal, by the scale of cli.md: mild none, moderate y/N, severe the name.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use rustix::termios::{self, LocalModes, OptionalActions};

use crate::context::Context;
use crate::error::{Error, Failure, Result, usage};
use crate::exit::{self, Exit};

/// A question that `-y` answers.
pub(crate) fn moderate(context: &Context, question: &str) -> Result<()> {
    if context.yes {
        return Ok(());
    }
    if !context.may_ask {
        return Err(unanswered(question, "-y").into());
    }
    let answer = line(&format!("{question} [y/N] "))?;
    if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(()) } else { Err(declined()) }
}

/// A question that only the name itself answers, typed or by `--confirm`.
pub(crate) fn severe(context: &Context, question: &str, name: &str, confirm: Option<&str>) -> Result<()> {
    match confirm {
        Some(given) if given == name => Ok(()),
        Some(given) => {
            Err(usage(format!("--confirm says {given}, but this is about {name}; nothing was changed"))
                .into())
        }
        None if !context.may_ask => Err(unanswered(question, &format!("--confirm {name}")).into()),
        None => {
            let answer = line(&format!("{question}\nType {name} to go on: "))?;
            if answer.trim() == name { Ok(()) } else { Err(declined()) }
        }
    }
}

/// Reads a secret from the terminal without showing it. Keys come one by one, Ctrl-C too, so that the terminal is
/// put back whatever happens.
pub(crate) fn secret(prompt: &str) -> Result<String> {
    let mut err = io::stderr().lock();
    err.write_all(prompt.as_bytes())?;
    err.flush()?;
    let input = io::stdin();
    let before = termios::tcgetattr(&input).map_err(io::Error::from)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
    termios::tcsetattr(&input, OptionalActions::Flush, &silent).map_err(io::Error::from)?;
    let answer = keys(&input);
    termios::tcsetattr(&input, OptionalActions::Now, &before).map_err(io::Error::from)?;
    err.write_all(b"\n")?;
    answer
}

fn keys(input: &io::Stdin) -> Result<String> {
    let mut typed = Vec::new();
    loop {
        let mut key = [0];
        let count = rustix::io::read(input, &mut key).map_err(io::Error::from)?;
        match key[0] {
            _ if count == 0 => break,
            b'\n' | b'\r' | 0x04 => break,
            0x03 => return Err(Failure::new(exit::INTERRUPTED, "interrupted; nothing was changed").into()),
            0x08 | 0x7f => drop(typed.pop()),
            byte => typed.push(byte),
        }
    }
    Ok(String::from_utf8_lossy(&typed).into_owned())
}

/// Whether a person can be asked for a secret.
pub(crate) fn can_hide(context: &Context) -> bool {
    context.may_ask && io::stdin().is_terminal()
}

fn line(prompt: &str) -> Result<String> {
    let mut err = io::stderr().lock();
    err.write_all(prompt.as_bytes())?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer)
}

fn unanswered(question: &str, flag: &str) -> Failure {
    let question = question.lines().next().unwrap_or_default();
    usage(format!("this asks first, and nobody can answer here: add {flag}"))
        .fact("question", question)
        .fact("so", "nothing was changed")
}

fn declined() -> Error {
    eprintln!("Nothing was changed.");
    Error::Quiet(Exit::FAILED)
}
