//! What went wrong, as one value: from a node's `althing.error/1` or from here, to the screen of cli.md "Errors" or
//! to the same document on stderr.

use std::fmt::Write as _;
use std::io;

use althing_protocol::control::Code;
use clap::Parser as _;
use serde::{Deserialize, Serialize, Serializer, de};

use crate::exit::{self, Exit, Kind};
use crate::render::Look;
use crate::render::colour::Paint;

/// Why a command ends early.
#[derive(Debug)]
pub(crate) enum Error {
    /// Say this, then exit with its code.
    Failed(Box<Failure>),
    /// Everything was said, or nobody reads any more.
    Quiet(Exit),
}

/// The usual result of everything here.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// What `althing.error/1` says, in the order of its fields.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// `E412`
    pub(crate) code: String,
    /// `window-open`
    pub(crate) name: String,
    /// Exit code.
    pub(crate) exit: u8,
    /// What happened.
    pub(crate) message: String,
    /// Why: facts by name.
    #[serde(default)]
    pub(crate) facts: Facts,
    /// What to do.
    #[serde(default)]
    pub(crate) remedies: Vec<Remedy>,
    /// The command that explains the code.
    #[serde(default)]
    pub(crate) explain: String,
    /// The document as a node sent it, for `--json`.
    #[serde(skip)]
    pub(crate) document: Option<String>,
}

/// Text and command of something to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Remedy {
    /// What it does.
    pub(crate) text: String,
    /// The command, word by word.
    pub(crate) command: Vec<String>,
}

/// Names and values in the order they were given: a JSON object whose order is kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts(pub(crate) Vec<(String, String)>);

impl Failure {
    /// A failure of this kind, without facts or remedies yet.
    pub(crate) fn new(kind: impl Into<Kind>, message: impl Into<String>) -> Self {
        let kind = kind.into();
        Self {
            code: kind.number.to_owned(),
            name: kind.name.to_owned(),
            exit: kind.exit,
            message: message.into(),
            facts: Facts::default(),
            remedies: Vec::new(),
            explain: format!("althing explain {}", kind.number),
            document: None,
        }
    }

    /// Adds a fact.
    pub(crate) fn fact(mut self, name: &str, value: impl ToString) -> Self {
        self.facts.0.push((name.to_owned(), value.to_string()));
        self
    }

    /// Adds a remedy: what it does, and the command, which must be one that this program understands.
    pub(crate) fn remedy(mut self, text: &str, command: &[&str]) -> Self {
        debug_assert!(crate::args::Cli::try_parse_from(command).is_ok(), "{command:?} does not parse");
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        self.remedies.push(Remedy { text: text.to_owned(), command });
        self
    }

    /// Whether this program understands every command that is recommended, or shows its help.
    pub(crate) fn can_be_followed(&self) -> bool {
        let understood = |remedy: &Remedy| match crate::args::Cli::try_parse_from(&remedy.command) {
            Ok(_) => true,
            Err(error) => error.kind() == clap::error::ErrorKind::DisplayHelp,
        };
        self.remedies.iter().all(understood)
    }

    /// With what the code's page says to do, where nothing else is said (and no node said it).
    pub(crate) fn explained(mut self) -> Self {
        let kind = exit::all().into_iter().find(|kind| kind.number == self.code);
        if let Some(kind) = kind.filter(|_| self.remedies.is_empty() && self.document.is_none()) {
            let remedy = |(text, command): &(&str, &str)| Remedy {
                text: (*text).to_owned(),
                command: command.split(' ').map(str::to_owned).collect(),
            };
            self.remedies = kind.page.remedies.iter().map(remedy).collect();
        }
        self
    }

    /// The screen of cli.md: what happened and its code, the facts, what to try.
    pub(crate) fn screen(&self, look: &Look) -> String {
        let mut lines = self.message.lines();
        let first = lines.next().unwrap_or_default();
        let code = format!("[{} {}]", self.code, self.name);
        let room = look.width.map_or(61, |width| width.saturating_sub(9 + code.len()).min(61));
        let (error, code) = (look.paint(Paint::Critical, "error:"), look.paint(Paint::Dim, &code));
        let mut text = format!("{error} {first:<room$}  {code}\n");
        for line in lines {
            let _ = writeln!(text, "  {line}");
        }
        let width = self.facts.0.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, value) in &self.facts.0 {
            let line = format!("  {name:<width$}  {value}");
            let _ = writeln!(text, "{}", line.trim_end());
        }
        let commands: Vec<String> = self.remedies.iter().map(|remedy| shown(&remedy.command)).collect();
        let width = commands.iter().map(|command| command.chars().count()).max().unwrap_or(0);
        for (at, (command, remedy)) in commands.iter().zip(&self.remedies).enumerate() {
            let label = if at == 0 { "try" } else { "" };
            let line = format!("  {label:<3}  {command:<width$}   {}", remedy.text);
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text
    }

    /// The document on one line.
    pub(crate) fn json(&self) -> String {
        #[derive(Serialize)]
        struct Envelope<'a> {
            schema: &'static str,
            at: String,
            answered_by: Option<&'static str>,
            error: &'a Failure,
        }
        if let Some(document) = &self.document {
            return document.trim_end().to_owned();
        }
        let at = crate::render::time::now();
        let envelope = Envelope { schema: "althing.error/1", at, answered_by: None, error: self };
        serde_json::to_string(&envelope).unwrap_or_default()
    }
}

/// A command as it can be pasted.
pub(crate) fn shown(command: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    let quoted = |word: &String| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    command.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// The command line was wrong, or a question had nobody to answer it.
pub(crate) fn usage(message: impl Into<String>) -> Failure {
    Failure::new(exit::USAGE, message)
}

/// Something that should not be possible.
pub(crate) fn bug(message: impl Into<String>) -> Failure {
    let version = env!("CARGO_PKG_VERSION");
    Failure::new(exit::BUG, message)
        .fact("version", version)
        .fact("please", "report this with the command and what it printed")
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

impl From<io::Error> for Error {
    /// A reader that went away is no error of ours (cli.md, principle 8).
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::Quiet(Exit::OK);
        }
        Failure::new(Code::Failed, error.to_string()).into()
    }
}

impl Serialize for Facts {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Facts {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct InOrder;
        impl<'de> de::Visitor<'de> for InOrder {
            type Value = Facts;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("facts by name")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> std::result::Result<Facts, A::Error> {
                let mut facts = Facts::default();
                while let Some((name, value)) = map.next_entry::<String, serde_json::Value>()? {
                    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    facts.0.push((name, value));
                }
                Ok(facts)
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_screen_is_that_of_the_page() {
        let failure = Failure::new(Code::WindowOpen, "an update window for shop is already open on web4")
            .fact("opened", "14:08:31 by ada")
            .fact("reason", "hotfix 881")
            .remedy("see what is staged there", &["althing", "update", "status", "shop"])
            .remedy("close it now (asks first)", &["althing", "update", "abort", "shop", "--on", "web4"]);
        let expected = "\
error: an update window for shop is already open on web4              [E412 window-open]
  opened  14:08:31 by ada
  reason  hotfix 881
  try  althing update status shop            see what is staged there
       althing update abort shop --on web4   close it now (asks first)
";
        assert_eq!(failure.screen(&Look::plain()), expected);
    }

    #[test]
    fn facts_keep_their_order() {
        let text = r#"{"code":"E1","name":"x","exit":1,"message":"m","facts":{"z":"1","a":2,"m":"3"}}"#;
        let failure: Failure = serde_json::from_str(text).expect("a failure");
        let names: Vec<_> = failure.facts.0.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["z", "a", "m"]);
        assert!(
            serde_json::to_string(&failure).expect("text").contains(r#""facts":{"z":"1","a":"2","m":"3"}"#)
        );
    }

    #[test]
    fn commands_can_be_pasted() {
        let command = ["althing", "update", "open", "shop", "--reason", "it's 1"].map(str::to_owned);
        assert_eq!(shown(&command), r"althing update open shop --reason 'it'\''s 1'");
    }
}
