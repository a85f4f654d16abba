//! Colours: the sixteen of every terminal, and never the only bearer of a meaning.

use althing_protocol::event::Severity;
use althing_protocol::view::Health;

use super::Look;

/// What a text is, rather than which colour it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Paint {
    /// As it is.
    #[default]
    Plain,
    /// A heading or name.
    Bold,
    /// Of less weight.
    Dim,
    /// As it should be.
    Ok,
    /// Wrong; it may mend itself.
    Warning,
    /// Somebody should look now.
    Critical,
}

impl Look {
    /// The text in its colour, if colours are used.
    pub(crate) fn paint(&self, paint: Paint, text: &str) -> String {
        let code = match paint {
            Paint::Plain => return text.to_owned(),
            _ if !self.colour || text.is_empty() => return text.to_owned(),
            Paint::Bold => "1",
            Paint::Dim => "2",
            Paint::Ok => "32",
            Paint::Warning => "33",
            Paint::Critical => "1;31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

impl From<Health> for Paint {
    fn from(health: Health) -> Self {
        match health {
            Health::Ok => Self::Ok,
            Health::Unknown | Health::Warning => Self::Warning,
            Health::Critical => Self::Critical,
        }
    }
}

impl From<Severity> for Paint {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Info => Self::Plain,
            Severity::Notice => Self::Bold,
            Severity::Warning => Self::Warning,
            Severity::Critical => Self::Critical,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_only_when_wanted() {
        let plain = Look::plain();
        assert_eq!(plain.paint(Paint::Critical, "x"), "x");
        let coloured = Look { colour: true, ..plain };
        assert_eq!(coloured.paint(Paint::Critical, "x"), "\u{1b}[1;31mx\u{1b}[0m");
        assert_eq!(coloured.paint(Paint::Plain, "x"), "x");
    }
}
