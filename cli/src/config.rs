//! Facts of this machine (cli.md "Configuration files"): `althing.toml`, then `conf.d/*.toml` in the order of their
//! names, then variables `ALTHING_SECTION__KEY`, then flags. What must be equal on all members is settled state and has
//! no place here. A valid file is empty.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use althing_protocol::control::Code;

use crate::error::{Failure, Result};
use crate::toml_file::{File, Problem, Value, closest};

/// Where the file is unless `--config` says otherwise.
pub(crate) const FILE: &str = "/etc/althing/althing.toml";
/// What variables begin with; a section and a key follow, with two underscores between them.
const VARIABLE: &str = "ALTHING_";
/// When a member was confirmed last is kept every hour: of shorter times that would be too great a part.
const SHORTEST: Duration = Duration::from_secs(24 * 3600);

/// A key that may be set.
#[derive(Debug)]
pub(crate) struct Setting {
    /// `node.listen`
    pub(crate) key: &'static str,
    kind: Kind,
    /// What holds if nothing sets it, for people.
    pub(crate) default: &'static str,
    /// One sentence.
    pub(crate) about: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Address,
    AbsolutePath,
    Text,
    Switch,
    /// A time of at least [`SHORTEST`].
    Span,
}

/// All keys there are.
pub(crate) const SETTINGS: [Setting; 8] = [
    Setting {
        key: "node.listen",
        kind: Kind::Address,
        default: "port 7800 of the address that the default route uses",
        about: "Where this member listens for messages of others.",
    },
    Setting {
        key: "node.bulk_listen",
        kind: Kind::Address,
        default: "the port after node.listen",
        about: "Where it listens for those that fetch content.",
    },
    Setting {
        key: "node.prefix",
        kind: Kind::AbsolutePath,
        default: "none",
        about: "Puts the roots of all applications below this directory.",
    },
    Setting {
        key: "node.trusting_period",
        kind: Kind::Span,
        default: "off",
        about: "Away for longer than this (30d), a member believes nothing newer until somebody vouches for it.",
    },
    Setting {
        key: "log.level",
        kind: Kind::Text,
        default: "info",
        about: "What is logged: info, debug, althing_node=trace.",
    },
    Setting {
        key: "api.socket",
        kind: Kind::AbsolutePath,
        default: "/run/althing/althing.sock, or althing.sock in another --dir",
        about: "Where the node answers commands of this machine.",
    },
    Setting {
        key: "api.group",
        kind: Kind::Text,
        default: "althing, if there is such a group",
        about: "The group whose users may give commands, beside the superuser.",
    },
    Setting {
        key: "hooks.allowed",
        kind: Kind::Switch,
        default: "true",
        about: "Whether applications may have programs of their settled content run here.",
    },
];

/// Who said what a setting is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// A line of a file.
    File(String),
    /// A variable of the environment.
    Variable(String),
    /// The command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(position) => f.write_str(position),
            Self::Variable(name) => write!(f, "${name}"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// What is set, and by whom; the last one that says something about a key has its way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Config {
    values: BTreeMap<&'static str, (String, Origin)>,
}

impl Config {
    /// Reads the files and variables. `file` was named by somebody, or is the usual one, which may be absent.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self> {
        let mut problems = Problems::default();
        let mut config = Self::default();
        for file in files(file)? {
            config.add_file(&file, &mut problems);
        }
        let mut variables: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        variables.sort();
        for (name, value) in variables {
            config.add_variable(&name, value, &mut problems);
        }
        problems.verdict()?;
        Ok(config)
    }

    /// What is wrong with these files, by themselves.
    pub(crate) fn check(paths: &[PathBuf]) -> Result<()> {
        let mut problems = Problems::default();
        for path in paths {
            Self::default().add_file(&read(path)?, &mut problems);
        }
        problems.verdict()
    }

    fn add_file(&mut self, file: &File, problems: &mut Problems) {
        let entries = match file.entries() {
            Ok(entries) => entries,
            Err(problem) => return problems.in_file(file, &problem),
        };
        for entry in entries {
            let Some(setting) = SETTINGS.iter().find(|setting| setting.key == entry.key) else {
                problems.in_file(file, &Problem::new(entry.key_at, unknown(&entry.key)));
                continue;
            };
            let text = match (entry.value, setting.kind) {
                (Value::Text(text), _) => text,
                (Value::Flag(on), Kind::Switch) => on.to_string(),
                (value, _) => {
                    let what = format!("is {}, and {} is {}", value.kind(), setting.key, setting.kind());
                    problems.in_file(file, &Problem::new(entry.value_at, what));
                    continue;
                }
            };
            let problem = Problem::new(entry.value_at, "");
            match setting.fits(&text) {
                Ok(()) => self.set(setting.key, text, Origin::File(file.position(&problem))),
                Err(what) => problems.in_file(file, &Problem { what, ..problem }),
            }
        }
    }

    fn add_variable(&mut self, name: &str, value: String, problems: &mut Problems) {
        let Some((section, key)) = name.strip_prefix(VARIABLE).and_then(|rest| rest.split_once("__")) else {
            return;
        };
        let key = format!("{section}.{key}").to_ascii_lowercase();
        match SETTINGS.iter().find(|setting| setting.key == key) {
            None => problems.elsewhere(format!("${name}: {}", unknown(&key))),
            Some(setting) => match setting.fits(&value) {
                Ok(()) => self.set(setting.key, value, Origin::Variable(name.to_owned())),
                Err(what) => problems.elsewhere(format!("${name}={value}: {what}")),
            },
        }
    }

    /// What a flag of the command line says.
    #[cfg_attr(not(feature = "daemon"), expect(dead_code, reason = "only the daemon needs it"))]
    pub(crate) fn set_by_flag(&mut self, key: &'static str, value: Option<String>, flag: &'static str) {
        if let Some(value) = value {
            self.set(key, value, Origin::Flag(flag));
        }
    }

    fn set(&mut self, key: &'static str, value: String, origin: Origin) {
        self.values.insert(key, (value, origin));
    }

    /// What is set for a key.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(|(value, _)| value.as_str())
    }

    /// Who set it.
    pub(crate) fn origin(&self, key: &str) -> Option<&Origin> {
        self.values.get(key).map(|(_, origin)| origin)
    }

    /// An address; only such were taken.
    #[cfg_attr(not(feature = "daemon"), expect(dead_code, reason = "only the daemon needs it"))]
    pub(crate) fn address(&self, key: &str) -> Option<SocketAddr> {
        self.text(key)?.parse().ok()
    }

    /// A switch; only such were taken.
    #[cfg_attr(not(feature = "daemon"), expect(dead_code, reason = "only the daemon needs it"))]
    pub(crate) fn switch(&self, key: &str) -> Option<bool> {
        self.text(key)?.parse().ok()
    }

    /// A time; only such were taken.
    #[cfg_attr(not(feature = "daemon"), expect(dead_code, reason = "only the daemon needs it"))]
    pub(crate) fn span(&self, key: &str) -> Option<Duration> {
        crate::span::parse(self.text(key)?).ok()
    }

    /// A path.
    #[cfg_attr(not(feature = "daemon"), expect(dead_code, reason = "only the daemon needs it"))]
    pub(crate) fn path(&self, key: &str) -> Option<PathBuf> {
        self.text(key).map(PathBuf::from)
    }
}

impl Setting {
    fn kind(&self) -> &'static str {
        if self.kind == Kind::Switch { "true or false" } else { "a text" }
    }

    fn fits(&self, text: &str) -> std::result::Result<(), String> {
        match self.kind {
            Kind::Text if text.is_empty() => Err("is empty".to_owned()),
            Kind::Text => Ok(()),
            Kind::Switch if text.parse::<bool>().is_ok() => Ok(()),
            Kind::Switch => Err("is neither true nor false".to_owned()),
            Kind::Span if text == "off" => Ok(()),
            Kind::Span => match crate::span::parse(text) {
                Ok(span) if span >= SHORTEST => Ok(()),
                Ok(_) => Err("is less than a day".to_owned()),
                Err(_) => Err("is no time, such as 30d, and not \"off\"".to_owned()),
            },
            Kind::AbsolutePath if Path::new(text).is_absolute() => Ok(()),
            Kind::AbsolutePath => Err("is not an absolute path".to_owned()),
            Kind::Address => match text.parse::<SocketAddr>() {
                Ok(_) => Ok(()),
                Err(_) => Err("is not an address with a port, such as 10.0.0.11:7800".to_owned()),
            },
        }
    }
}

fn unknown(key: &str) -> String {
    let meant = closest(key, SETTINGS.iter().map(|setting| setting.key));
    let hint = meant.map(|meant| format!(", did you mean `{meant}`?")).unwrap_or_default();
    format!("unknown key `{key}`{hint}")
}

/// The files that there are, in the order in which they count.
fn files(named: Option<&Path>) -> Result<Vec<File>> {
    let main = named.unwrap_or(Path::new(FILE));
    let mut paths = Vec::new();
    if named.is_some() || main.exists() {
        paths.push(main.to_owned());
    }
    if let Ok(entries) = std::fs::read_dir(main.with_file_name("conf.d")) {
        let mut more: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        more.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        more.sort();
        paths.extend(more);
    }
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Result<File> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(Code::ConfigInvalid, format!("{name} cannot be read")).fact("reason", error)
    })?;
    Ok(File { name, text })
}

/// What is wrong, all of it.
#[derive(Default)]
struct Problems {
    found: Vec<String>,
}

impl Problems {
    fn in_file(&mut self, file: &File, problem: &Problem) {
        self.found.push(file.shown(problem));
    }

    fn elsewhere(&mut self, what: String) {
        self.found.push(what);
    }

    fn verdict(self) -> Result<()> {
        if self.found.is_empty() {
            return Ok(());
        }
        let number = match self.found.len() {
            1 => "1 problem".to_owned(),
            more => format!("{more} problems"),
        };
        let text =
            format!("the configuration of this machine is not valid: {number}\n{}", self.found.join("\n"));
        Err(Failure::new(Code::ConfigInvalid, text)
            .remedy("see which keys there are", &["althing", "config", "default"])
            .into())
    }
}

/// The commented file that `config default` prints: valid, and without effect.
pub(crate) fn default_file() -> String {
    let mut text =
        "# Facts of this machine. What all members share is settled with commands, not written here.\n"
            .to_owned();
    let mut section = "";
    for setting in &SETTINGS {
        let Some((of, key)) = setting.key.split_once('.') else { continue };
        if of != section {
            text += &format!("\n[{of}]\n");
            section = of;
        }
        let value = match setting.kind {
            Kind::Switch => setting.default,
            Kind::Span => "\"off\"",
            Kind::Address | Kind::AbsolutePath | Kind::Text => "\"\"",
        };
        text += &format!("# {} Default: {}.\n#{key} = {value}\n", setting.about, setting.default);
    }
    text
}

#[cfg(test)]
mod tests;
