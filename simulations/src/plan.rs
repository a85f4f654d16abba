//! What will go wrong in a seed, and what administrators will do, as data: made from the seed before anything happens,
//! so that a failing seed can be made smaller by leaving parts of it away.
//!
//! Each class of faults draws from a stream of its own, and so does each [`Act`]: leaving one away, or adding a class to
//! the program, changes none of the others. A shorter time is the beginning of a longer one.

use std::collections::BTreeSet;

use althing_protocol::rng::Rng;

use crate::faults::{CLASSES, Class, Place};
use crate::options::{Deploy, Options, Strike};
use crate::world::{MS, SECOND, World, stream};

/// How many acts one class has in one world, at most.
const MOST: usize = 2_000;

/// Something that happens at some time: a fault, or the work of an administrator.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    /// Its class, and its number in the class, from 1: `crash.3`.
    pub(crate) name: String,
    /// Microseconds after the beginning of the faults.
    pub(crate) at: u64,
    /// What it does.
    pub(crate) does: Does,
    /// The hosts that somebody named for it.
    pub(crate) hosts: Vec<String>,
    /// For how many microseconds, if somebody said so.
    pub(crate) lasts: Option<u64>,
}

impl Act {
    /// The class in its name.
    pub(crate) fn class(&self) -> &str {
        self.name.split_once('.').map_or(&self.name, |(class, _)| class)
    }

    /// Whether somebody asked for it, and when.
    pub(crate) fn is_asked_for(&self) -> bool {
        self.name.contains(".at")
    }
}

/// What an act does.
#[derive(Clone, Debug)]
pub(crate) enum Does {
    Fault(fn(&mut World)),
    Work,
    /// Administrators were asked for this.
    Deploy {
        /// The first application if absent.
        application: Option<String>,
    },
}

/// Everything planned.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// In the order of their times.
    pub(crate) acts: Vec<Act>,
    /// What is wrong all the time.
    pub(crate) conditions: BTreeSet<&'static str>,
}

impl Plan {
    /// The plan of a seed, without what its options leave away.
    pub(crate) fn new(options: &Options) -> Self {
        let length = (options.hours * 3600.0) as u64 * SECOND;
        let mut acts = Vec::new();
        if options.faults {
            for class in CLASSES {
                acts.extend(times(options.seed, class, length));
            }
        }
        if options.deploys.is_empty() {
            acts.extend(work(options.seed, length));
        }
        acts.extend(options.deploys.iter().enumerate().map(deploys));
        if !options.strikes.is_empty() {
            let struck = |act: &Act| {
                !matches!(act.does, Does::Fault(_))
                    || options.strikes.iter().any(|strike| strike.takes(&act.name))
            };
            acts.retain(struck);
            let asked = options.strikes.iter().flat_map(at).enumerate();
            acts.extend(
                asked.map(|(number, act)| Act { name: format!("{}.at{}", act.name, number + 1), ..act }),
            );
        }
        if let Some(only) = &options.only {
            acts.retain(|act| only.contains(&act.name));
        }
        acts.sort_by(|one, other| (one.at, &one.name).cmp(&(other.at, &other.name)));
        let mut conditions = BTreeSet::new();
        if options.faults && options.strikes.is_empty() {
            conditions.extend(CONDITIONS.iter().filter(|it| has(options.seed, it)).map(|(name, _)| *name));
        }
        for strike in &options.strikes {
            conditions.extend(CONDITIONS.iter().map(|(name, _)| *name).filter(|name| *name == strike.class));
        }
        if options.strikes.iter().any(|strike| strike.class == UPGRADE) {
            // Who asks for upgrades wants programs that can be upgraded.
            conditions.insert(MIXED);
        }
        conditions.retain(|name| !options.without.contains(*name));
        if !conditions.contains(MIXED) {
            // There is nothing to be upgraded.
            acts.retain(|act| act.class() != UPGRADE);
        }
        Self { acts, conditions }
    }

    pub(crate) fn has(&self, condition: &str) -> bool {
        self.conditions.contains(condition)
    }

    /// Whether anything of a class is planned.
    pub(crate) fn has_class(&self, class: &str) -> bool {
        self.acts.iter().any(|act| act.class() == class)
    }
}

/// What can be wrong all the time, and in how many of a thousand seeds it is.
pub(crate) const CONDITIONS: [(&str, u64); 16] = [
    ("loss", 600),
    ("duplication", 500),
    ("reordering", 500),
    ("delay", 700),
    ("jitter", 700),
    ("narrow-links", 150),
    ("uneven-links", 120),
    ("slow-disks", 400),
    ("lossy-fetches", 400),
    ("lost-notices", 400),
    ("wrong-clocks", 400),
    ("drifting-clocks", 300),
    ("prompt-notices", 400),
    ("churn", 400),
    ("drift", 800),
    (MIXED, 150),
];

/// Members of two protocol versions live together, and are upgraded one by one.
pub(crate) const MIXED: &str = "mixed-versions";

/// The class of faults that upgrades them.
pub(crate) const UPGRADE: &str = "upgrade";

fn has(seed: u64, (name, per_mille): &(&'static str, u64)) -> bool {
    stream(seed, &format!("condition {name}")).chance(*per_mille)
}

/// When a class strikes in this seed: never in most.
fn times(seed: u64, class: &Class, length: u64) -> Vec<Act> {
    let mut rng = stream(seed, &format!("class {}", class.name));
    if !rng.chance(class.per_mille) {
        return Vec::new();
    }
    let mean = (class.every / 4 + rng.below(class.every * 3 / 2)) * SECOND;
    let acts = spread(&mut rng, mean, length).take(class.most).enumerate();
    let act = |(number, at)| Act {
        name: format!("{}.{}", class.name, number + 1),
        at,
        does: Does::Fault(class.strike),
        hosts: Vec::new(),
        lasts: None,
    };
    acts.map(act).collect()
}

/// When administrators work.
fn work(seed: u64, length: u64) -> Vec<Act> {
    let mut rng = stream(seed, "class work");
    let pace = SECOND + rng.below(15 * SECOND);
    let acts = spread(&mut rng, pace, length).take(MOST).enumerate();
    let act = |(number, at)| Act {
        name: format!("work.{}", number + 1),
        at,
        does: Does::Work,
        hosts: Vec::new(),
        lasts: None,
    };
    acts.map(act).collect()
}

/// Times at random, so far from each other on average.
fn spread(rng: &mut Rng, mean: u64, length: u64) -> impl Iterator<Item = u64> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += mean / 8 + rng.below(mean * 7 / 4);
        (at < length).then_some(at)
    })
}

/// What of a fault that somebody asked for happens, if a time was said: once, or once on each host. Their names lack a
/// number.
fn at(strike: &Strike) -> Vec<Act> {
    let class = CLASSES.iter().find(|class| class.name == strike.class);
    let time = |milliseconds: u64| milliseconds.saturating_mul(MS);
    let (Some(class), Some(at)) = (class, strike.at.map(time)) else { return Vec::new() };
    let act = |hosts: &[String]| Act {
        name: class.name.to_owned(),
        at,
        does: Does::Fault(class.strike),
        hosts: hosts.to_vec(),
        lasts: strike.lasts.map(time),
    };
    if class.place != Place::Each || strike.hosts.len() < 2 {
        return vec![act(&strike.hosts)];
    }
    strike.hosts.iter().map(|host| act(std::slice::from_ref(host))).collect()
}

/// A deployment that somebody asked for.
fn deploys((number, deploy): (usize, &Deploy)) -> Act {
    Act {
        name: format!("deploy.{}", number + 1),
        at: deploy.at.saturating_mul(MS),
        does: Does::Deploy { application: deploy.application.clone() },
        hosts: vec![deploy.host.clone()],
        lasts: None,
    }
}
