//! What a simulation is asked for: as a value, and as the words of a command line, which `seeds.txt` keeps.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use althing_protocol::governance::QuorumRule;

use crate::faults::CLASSES;
use crate::mutation::Mutation;
use crate::plan::CONDITIONS;

/// One simulation.
#[derive(Clone, PartialEq, Debug)]
pub struct Options {
    /// Everything is drawn from it.
    pub seed: u64,
    /// How many servers.
    pub members: usize,
    /// How much time passes in the world, before it is healed and must come to rest.
    pub hours: f64,
    /// Whether anything goes wrong.
    pub faults: bool,
    /// A rule that this world's hosts or members break on purpose.
    pub mutation: Option<Mutation>,
    /// The quorum rule of the entity; drawn from the seed if absent.
    pub quorum: Option<QuorumRule>,
    /// Of everything planned only these acts happen, by name (`crash.3`).
    pub only: Option<BTreeSet<String>>,
    /// What is wrong all the time in this seed and is left away here, by name (`loss`).
    pub without: BTreeSet<String>,
    /// Chance in the network and on the hosts, apart from what is planned.
    pub variant: u64,
    /// Nothing goes wrong but these.
    pub strikes: Vec<Strike>,
    /// Proposals and votes are told too.
    pub votes: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            members: 9,
            hours: 10.0 / 60.0,
            faults: true,
            mutation: None,
            quorum: None,
            only: None,
            without: BTreeSet::new(),
            variant: 0,
            strikes: Vec::new(),
            votes: false,
        }
    }
}

impl Options {
    /// One seed of eight lives with more than two thirds.
    pub(crate) fn rule(&self) -> QuorumRule {
        let drawn = self.faults && self.seed % 8 == 5;
        self.quorum.unwrap_or(if drawn { QuorumRule::Supermajority } else { QuorumRule::Majority })
    }

    /// One seed of sixteen deploys files that are had in parts.
    pub(crate) fn has_large_files(&self) -> bool {
        self.seed % 16 == 5
    }

    /// Simulated minutes.
    pub fn minutes(&self) -> f64 {
        self.hours * 60.0
    }
}

/// The words with which `swarm` does exactly this.
impl fmt::Display for Options {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "--seed {} --members {} --minutes {}", self.seed, self.members, self.minutes())?;
        if self.variant != 0 {
            write!(out, " --variant {}", self.variant)?;
        }
        if !self.faults {
            write!(out, " --quiet")?;
        }
        if let Some(mutation) = self.mutation {
            write!(out, " --mutation {mutation}")?;
        }
        if let Some(quorum) = self.quorum {
            write!(out, " --quorum {quorum}")?;
        }
        let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(",");
        if !self.without.is_empty() {
            write!(out, " --without {}", list(&self.without))?;
        }
        for strike in &self.strikes {
            write!(out, " --fault {strike}")?;
        }
        if let Some(only) = &self.only {
            write!(out, " --acts {}", if only.is_empty() { "none".to_owned() } else { list(only) })?;
        }
        Ok(())
    }
}

/// Words as `Display` writes them.
impl FromStr for Options {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut options = Self::default();
        let mut words = text.split_whitespace().map(str::to_owned);
        while let Some(word) = words.next() {
            if !options.take(&word, &mut words)? {
                return Err(format!("{word} is not an option"));
            }
        }
        Ok(options)
    }
}

impl Options {
    /// Takes one option and its value from a command line; false if it is none of these.
    pub fn take(&mut self, word: &str, words: &mut impl Iterator<Item = String>) -> Result<bool, String> {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word {
            "--seed" => self.seed = number(word, &value()?)?,
            "--members" => self.members = number(word, &value()?)?,
            "--minutes" => self.hours = number::<f64>(word, &value()?)? / 60.0,
            "--variant" => self.variant = number(word, &value()?)?,
            "--mutation" => self.mutation = Some(value()?.parse()?),
            "--quorum" => self.quorum = Some(rule(&value()?)?),
            "--votes" => self.votes = true,
            "--quiet" => self.faults = false,
            "--without" => self.without = names(&value()?, &condition_names())?,
            "--fault" => self.strikes.push(value()?.parse()?),
            "--acts" => {
                let list = value()?;
                let some = list.split(',').filter(|name| *name != "none" && !name.is_empty());
                self.only = Some(some.map(str::to_owned).collect());
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn rule(name: &str) -> Result<QuorumRule, String> {
    let rules = [QuorumRule::Majority, QuorumRule::Supermajority];
    let found = rules.into_iter().find(|rule| rule.name() == name);
    found.ok_or_else(|| format!("no quorum {name:?}; there are majority and supermajority"))
}

fn number<T: FromStr>(word: &str, text: &str) -> Result<T, String>
where
    T::Err: fmt::Display,
{
    text.parse().map_err(|error| format!("{word} {text}: {error}"))
}

fn condition_names() -> Vec<&'static str> {
    CONDITIONS.iter().map(|(name, _)| *name).collect()
}

fn names(list: &str, known: &[&str]) -> Result<BTreeSet<String>, String> {
    let one = |name: &str| {
        let text = format!("{name:?} is none of {}", known.join(", "));
        if known.contains(&name) { Ok(name.to_owned()) } else { Err(text) }
    };
    list.split(',').map(one).collect()
}

/// A fault that somebody asks for: `CLASS`, whenever the seed has it; `CLASS@SECONDS` once; `CLASS@SECONDS:HOST` there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Strike {
    /// Which class of faults, or what is wrong all the time.
    pub class: String,
    /// When, in seconds after the beginning of the faults.
    pub at: Option<u64>,
    /// On which host.
    pub host: Option<String>,
}

impl Strike {
    /// Whether an act of the seed's own plan belongs to it.
    pub(crate) fn takes(&self, act: &str) -> bool {
        self.at.is_none() && act.split_once('.').is_some_and(|(class, _)| class == self.class)
    }
}

impl fmt::Display for Strike {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.class)?;
        self.at.map_or(Ok(()), |at| write!(out, "@{at}"))?;
        self.host.as_ref().map_or(Ok(()), |host| write!(out, ":{host}"))
    }
}

impl FromStr for Strike {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (class, rest) = text.split_once('@').map_or((text, None), |(class, rest)| (class, Some(rest)));
        let mut known: Vec<&str> = CLASSES.iter().map(|class| class.name).collect();
        if rest.is_none() {
            known.extend(condition_names());
        }
        if !known.contains(&class) {
            return Err(format!("no fault {class:?}; there are {}", known.join(", ")));
        }
        let (at, host) =
            match rest.map(|rest| rest.split_once(':').map_or((rest, None), |(at, host)| (at, Some(host)))) {
                None => (None, None),
                Some((at, host)) => {
                    (Some(number("a fault's seconds:", at.trim_end_matches('s'))?), host.map(str::to_owned))
                }
            };
        Ok(Self { class: class.to_owned(), at, host })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_options_say_the_same() {
        let text = "--seed 7 --members 3 --minutes 4 --variant 2 --mutation half-quorum --without jitter,loss \
                    --fault crash@30:m2 --fault partition --acts crash.1,work.4";
        let options: Options = text.parse().expect("these are options");
        assert_eq!(options.to_string(), text.split_whitespace().collect::<Vec<_>>().join(" "));
        assert_eq!(options.to_string().parse(), Ok(options));
        let nothing = Options { only: Some(BTreeSet::new()), ..Options::default() };
        assert_eq!(nothing.to_string().parse(), Ok(nothing));
    }

    #[test]
    fn what_is_no_option_is_refused() {
        for text in [
            "--seed x",
            "--fault nothing",
            "--without noise",
            "--mutation m",
            "--seed",
            "--loud",
            "--fault crash@soon",
        ] {
            assert!(text.parse::<Options>().is_err(), "{text}");
        }
    }
}
