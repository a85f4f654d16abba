//! What a simulation is asked for: as a value, and as the words of a command line, which `seeds.txt` keeps.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use althing_protocol::governance::QuorumRule;

use crate::faults::{CLASSES, Place};
use crate::likeness::Likeness;
use crate::mutation::Mutation;
use crate::plan::{CONDITIONS, MIXED, UPGRADE};

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
    /// Administrators do nothing but these, if there are any.
    pub deploys: Vec<Deploy>,
    /// The real entity that this one is like; no words name it. Who sets it sets [`Options::members`] and the quorum rule.
    pub likeness: Option<Arc<Likeness>>,
    /// Proposals and votes are told too.
    pub votes: bool,
    /// How all members are is looked at now and then ([`crate::Survey`]).
    pub surveys: bool,
    /// Who misses whom is told too.
    pub absences: bool,
    /// Messages are counted by kind between each two of these moments, in milliseconds after the beginning of the faults.
    pub tally: Vec<u64>,
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
            deploys: Vec::new(),
            likeness: None,
            votes: false,
            surveys: false,
            absences: false,
            tally: Vec::new(),
        }
    }
}

impl Options {
    /// One seed of eight lives with more than two thirds.
    pub(crate) fn rule(&self) -> QuorumRule {
        let drawn = self.faults && self.seed % 8 == 5;
        self.quorum.unwrap_or(if drawn { QuorumRule::Supermajority } else { QuorumRule::Majority })
    }

    /// One seed of seventeen deploys files that are had in parts, whatever the quorum rule is.
    pub(crate) fn has_large_files(&self) -> bool {
        self.seed % 17 == 5
    }

    /// The same with an entity that is like a real one.
    #[must_use]
    pub fn like(self, likeness: Likeness) -> Self {
        let (members, quorum) = (likeness.members.len(), Some(likeness.quorum));
        Self { members, quorum, likeness: Some(Arc::new(likeness)), ..self }
    }

    /// Simulated minutes.
    pub fn minutes(&self) -> f64 {
        self.hours * 60.0
    }

    /// Whether everything that is asked for by name and time can be: there are such members, and the time comes.
    pub fn check(&self) -> Result<(), String> {
        let struck = self
            .strikes
            .iter()
            .flat_map(|strike| strike.hosts.iter().map(move |host| (strike.to_string(), host)));
        let asked = self.deploys.iter().map(|deploy| (deploy.to_string(), &deploy.host));
        for (what, host) in struck.chain(asked) {
            if !self.names().contains(host) {
                return Err(format!("{what}: no member {host:?}; there are {}", self.names().join(", ")));
            }
        }
        if let (Some(likeness), Some(deploy)) =
            (&self.likeness, self.deploys.iter().find(|it| it.application.is_some()))
        {
            let names: Vec<&str> =
                likeness.applications.iter().map(|application| application.name.as_str()).collect();
            if deploy.application.as_deref().is_some_and(|name| !names.contains(&name)) {
                return Err(format!("{deploy}: no such application; there are {}", names.join(", ")));
            }
        }
        let mixed = self.strikes.iter().find(|strike| [MIXED, UPGRADE].contains(&strike.class.as_str()));
        if let Some(strike) = mixed.filter(|_| self.rule() != QuorumRule::Majority) {
            return Err(format!(
                "{strike}: the older version knows only the quorum rule majority (--quorum)"
            ));
        }
        let length = (self.hours * 3_600_000.0) as u64;
        let struck = self.strikes.iter().filter_map(|strike| Some((strike.to_string(), strike.at?)));
        let asked = self.deploys.iter().map(|deploy| (deploy.to_string(), deploy.at));
        for (what, at) in struck.chain(asked) {
            if at >= length {
                return Err(format!("{what}: that is after the end, which is at {} s", seconds(length)));
            }
        }
        let whole = self.strikes.iter().find(|strike| strike.is_all_of(self.names().len()));
        whole.map_or(Ok(()), |strike| Err(format!("{strike}: there is nobody else to be cut off from")))
    }

    /// The names of the members that there are at the beginning.
    pub fn names(&self) -> Vec<String> {
        if let Some(likeness) = &self.likeness {
            return likeness.members.iter().map(|member| member.name.clone()).collect();
        }
        (1..=self.members).map(|number| format!("m{number}")).collect()
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
        for deploy in &self.deploys {
            write!(out, " --deploy {deploy}")?;
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
            "--deploy" => self.deploys.push(value()?.parse()?),
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

/// A fault that somebody asks for: `CLASS`, whenever the seed has it; `CLASS@SECONDS` once; `CLASS@SECONDS+SECONDS` once
/// and for so long; with `:HOST,HOST` there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Strike {
    /// Which class of faults, or what is wrong all the time.
    pub class: String,
    /// When, in milliseconds after the beginning of the faults.
    pub at: Option<u64>,
    /// For how many milliseconds; as chance has it if absent.
    pub lasts: Option<u64>,
    /// On which hosts, or between them and all others; as chance has it if there are none.
    pub hosts: Vec<String>,
}

impl Strike {
    /// Whether an act of the seed's own plan belongs to it.
    pub(crate) fn takes(&self, act: &str) -> bool {
        self.at.is_none() && act.split_once('.').is_some_and(|(class, _)| class == self.class)
    }

    /// Whether it cuts so many members off from nobody.
    fn is_all_of(&self, members: usize) -> bool {
        let class = CLASSES.iter().find(|class| class.name == self.class);
        class.is_some_and(|class| class.place == Place::Side) && self.hosts.len() >= members
    }
}

impl fmt::Display for Strike {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.class)?;
        self.at.map_or(Ok(()), |at| write!(out, "@{}", seconds(at)))?;
        self.lasts.map_or(Ok(()), |lasts| write!(out, "+{}", seconds(lasts)))?;
        if self.hosts.is_empty() { Ok(()) } else { write!(out, ":{}", self.hosts.join(",")) }
    }
}

impl FromStr for Strike {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (class, rest) = text.split_once('@').map_or((text, None), |(class, rest)| (class, Some(rest)));
        let known = CLASSES.iter().find(|known| known.name == class);
        let Some(rest) = rest else {
            let mut all: Vec<&str> = CLASSES.iter().map(|class| class.name).collect();
            all.extend(condition_names());
            if !all.contains(&class) {
                return Err(format!("no fault {class:?}; there are {}", all.join(", ")));
            }
            return Ok(Self { class: class.to_owned(), at: None, lasts: None, hosts: Vec::new() });
        };
        let Some(known) = known else {
            let all: Vec<&str> = CLASSES.iter().map(|class| class.name).collect();
            return Err(format!("no fault {class:?} that strikes at a time; there are {}", all.join(", ")));
        };
        let (times, hosts) = rest.split_once(':').map_or((rest, None), |(times, hosts)| (times, Some(hosts)));
        let (at, lasts) = times.split_once('+').map_or((times, None), |(at, lasts)| (at, Some(lasts)));
        let lasts = lasts.map(milliseconds).transpose()?;
        if lasts.is_some() && !known.lasts {
            return Err(format!("{class} is over at once: it takes no +SECONDS"));
        }
        let hosts: Vec<String> =
            hosts.map_or_else(Vec::new, |hosts| hosts.split(',').map(str::to_owned).collect());
        match known.place {
            Place::Anywhere if !hosts.is_empty() => {
                return Err(format!("{class} happens wherever it can: it takes no :HOST"));
            }
            Place::Link if hosts.len() > 2 => {
                return Err(format!("{class} is of one link: it takes no more than two hosts"));
            }
            _ => {}
        }
        Ok(Self { class: class.to_owned(), at: Some(milliseconds(at)?), lasts, hosts })
    }
}

/// Something new that an administrator deploys: `SECONDS:HOST`, or `SECONDS:HOST:APPLICATION`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deploy {
    /// When, in milliseconds after the beginning of the faults.
    pub at: u64,
    /// Whom they ask.
    pub host: String,
    /// What of; the first application if absent.
    pub application: Option<String>,
}

impl fmt::Display for Deploy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", seconds(self.at), self.host)?;
        self.application.as_ref().map_or(Ok(()), |name| write!(out, ":{name}"))
    }
}

impl FromStr for Deploy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, ':');
        let (Some(at), Some(host)) = (parts.next(), parts.next().filter(|host| !host.is_empty())) else {
            return Err(format!("{text:?} is not SECONDS:MEMBER"));
        };
        Ok(Self {
            at: milliseconds(at)?,
            host: host.to_owned(),
            application: parts.next().map(str::to_owned),
        })
    }
}

/// Moments for [`Options::tally`]: seconds, one after another, with commas between them.
pub fn moments(text: &str) -> Result<Vec<u64>, String> {
    let moments = text.split(',').map(milliseconds).collect::<Result<Vec<u64>, String>>()?;
    if moments.len() < 2 || !moments.is_sorted() {
        return Err(format!("{text:?} is not SECONDS,SECONDS,…, one after another"));
    }
    Ok(moments)
}

/// Milliseconds as seconds, in as few digits as say it.
fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1000.0
}

/// `30`, `30s` or `30.25`.
fn milliseconds(text: &str) -> Result<u64, String> {
    let found: Option<f64> = text.strip_suffix('s').unwrap_or(text).parse().ok();
    let fits = found.filter(|seconds| (0.0..=LONGEST).contains(seconds));
    fits.map(|seconds| (seconds * 1000.0).round() as u64).ok_or_else(|| format!("{text:?} are no seconds"))
}

/// A year, in seconds: more than anybody simulates.
const LONGEST: f64 = 366.0 * 86_400.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_options_say_the_same() {
        let text = "--seed 7 --members 3 --minutes 4 --variant 2 --mutation half-quorum --without jitter,loss \
                    --fault crash@30:m2 --fault partition@30.25+120:m2,m3 --fault partition --deploy 30:m1 \
                    --deploy 61.5:m2:web --acts crash.1,work.4";
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
            "--fault crash@-1",
            "--fault loss@30",
            "--fault reset@30+5",
            "--fault blackout@30:m1",
            "--fault reset@30:m1,m2,m3",
            "--deploy 30",
            "--deploy 30:",
            "--deploy soon:m1",
        ] {
            assert!(text.parse::<Options>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_nobody_and_no_time_is_named_by_is_refused() {
        for (text, why) in [
            ("--members 3 --fault crash@30:m4", "no member \"m4\"; there are m1, m2, m3"),
            ("--members 3 --deploy 30:web1", "no member \"web1\""),
            ("--minutes 1 --fault crash@60:m1", "after the end, which is at 60 s"),
            ("--minutes 1 --deploy 61:m1", "after the end"),
            ("--members 2 --fault partition@30:m1,m2", "nobody else"),
            ("--quorum supermajority --fault upgrade@30", "only the quorum rule majority"),
        ] {
            let options: Options = text.parse().expect("these are options");
            let refused = options.check().expect_err(text);
            assert!(refused.contains(why), "{text}: {refused}");
        }
        let fine: Options =
            "--members 3 --minutes 1 --fault crash@59:m3 --deploy 1:m1".parse().expect("options");
        assert_eq!(fine.check(), Ok(()));
    }
}
