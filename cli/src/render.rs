//! From documents to screens. Every screen is a function from a document and a [`Look`] to text, so that tests can
//! compare the whole of it.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use jiff::tz::TimeZone;

use crate::args::Colour;

pub(crate) mod apps;
pub(crate) mod audit;
pub(crate) mod colour;
pub(crate) mod diff;
pub(crate) mod document;
pub(crate) mod events;
pub(crate) mod everywhere;
pub(crate) mod health;
pub(crate) mod members;
pub(crate) mod outcome;
pub(crate) mod requests;
pub(crate) mod roster;
pub(crate) mod size;
pub(crate) mod status;
pub(crate) mod table;
pub(crate) mod time;
pub(crate) mod trash;
pub(crate) mod update;
pub(crate) mod verify;
pub(crate) mod versions;
pub(crate) mod votes;
pub(crate) mod why;

#[cfg(test)]
pub(crate) mod samples;

/// How a screen looks where it is shown.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// Whether to use colours.
    pub(crate) colour: bool,
    /// Columns of the terminal; none if it is not one, and nothing is dropped.
    pub(crate) width: Option<usize>,
    /// Where clocks are read.
    pub(crate) zone: TimeZone,
}

impl Look {
    /// As stdout is.
    pub(crate) fn of_stdout(choice: Colour, utc: bool) -> Self {
        let zone = if utc { TimeZone::UTC } else { TimeZone::system() };
        Self::of(&io::stdout(), choice, zone)
    }

    /// As stderr is.
    pub(crate) fn of_stderr(choice: Colour) -> Self {
        Self::of(&io::stderr(), choice, TimeZone::UTC)
    }

    fn of(stream: &(impl IsTerminal + AsFd), choice: Colour, zone: TimeZone) -> Self {
        let is_terminal = stream.is_terminal();
        let size = rustix::termios::tcgetwinsize(stream).ok().filter(|_| is_terminal);
        Self {
            colour: crate::context::wants_colour(choice, is_terminal),
            width: size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0),
            zone,
        }
    }

    /// Without colours, as wide as needed, in UTC.
    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self { colour: false, width: None, zone: TimeZone::UTC }
    }
}
