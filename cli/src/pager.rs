//! Long answers go through `$PAGER`, on a terminal only.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::process::{Command, Stdio};

use crate::context::print;
use crate::error::Result;

/// What is used without `$PAGER`: ends at once if all fits, keeps colours, leaves the screen alone.
const DEFAULT: &str = "less -FIRX";

/// Prints `text`, through the pager if stdout is a terminal.
pub(crate) fn show(text: &str) -> Result<()> {
    let chosen = std::env::var("PAGER").unwrap_or_else(|_| DEFAULT.to_owned());
    let mut words = chosen.split_whitespace();
    let Some(program) = words.next().filter(|_| io::stdout().is_terminal()) else { return print(text) };
    let Ok(mut pager) = Command::new(program).args(words).stdin(Stdio::piped()).spawn() else {
        return print(text);
    };
    if let Some(mut input) = pager.stdin.take() {
        match input.write_all(text.as_bytes()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error.into()),
            _ => {}
        }
    }
    pager.wait()?;
    Ok(())
}
