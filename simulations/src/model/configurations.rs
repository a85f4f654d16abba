//! The configurations M1-M9 of `settlement-review.md` §8 and the program's own ballot: what is checked, and what each
//! must show. Exploring is in `explore.rs`, the table in `table.rs`.

use std::time::Duration;

use super::address::Addresses;
use super::bound::Bound;
use super::claims::Acts;
use super::content::Contents;
use super::explore;
use super::parting::Parting;
use super::progress::Progress;
use super::roster::Rosters;
use super::voting::{AGREEMENT, Voting};

/// How long a configuration takes on two cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cost {
    /// Also in the dev profile a few seconds: part of the tests.
    Test,
    /// Under two minutes in release.
    Run,
    /// Longer: only with `--nightly`.
    Nightly,
}

/// What a configuration must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Every `always` property holds everywhere and every `sometimes` property is reached.
    Holds,
    /// Two values settle in some states, and in every one of them two signatures of one key prove who did it.
    Proved,
    /// This property breaks, and the planted bug, if there is one, has fired.
    Breaks(&'static str),
    /// From every state a decision is reachable.
    Progress,
    /// From some state none is.
    Stuck,
    /// A step of the program's own ballot is forbidden by the guards.
    Caught,
}

impl Expectation {
    /// The property whose counter-example is the point.
    pub(super) const fn property(self) -> Option<&'static str> {
        match self {
            Self::Breaks(name) => Some(name),
            Self::Proved => Some(AGREEMENT),
            Self::Holds | Self::Progress | Self::Stuck | Self::Caught => None,
        }
    }
}

/// What is explored.
#[derive(Clone, Copy, Debug)]
pub enum Subject {
    /// Agreement.
    Voting(Voting),
    /// Progress after a death.
    Progress(Progress),
    /// Two epochs with two rosters.
    Rosters(Rosters),
    /// Those who were removed stop.
    Parting(Parting),
    /// Content.
    Contents(Contents),
    /// What is run once.
    Acts(Acts),
    /// What one member has at a time.
    Addresses(Addresses),
    /// The program's own ballot.
    Bound(Bound),
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Configuration {
    /// Its name, beginning with that of the review's table.
    pub name: &'static str,
    /// What it explores.
    pub subject: Subject,
    /// What it must show.
    pub expectation: Expectation,
    /// When it is run.
    pub cost: Cost,
}

/// What exploring a configuration showed.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Unique states, after symmetry.
    pub unique: usize,
    /// How long it took.
    pub elapsed: Duration,
    /// Whether it showed what it must.
    pub met: bool,
    /// In words.
    pub result: String,
    /// What had to be reached and was.
    pub reached: Vec<&'static str>,
    /// The steps of the counter-example, one per line, when one was found.
    pub trace: Vec<String>,
}

impl Configuration {
    /// Explores it to the end, or to the counter-example it expects.
    pub fn check(&self) -> Finding {
        match self.subject {
            Subject::Voting(voting) => explore::voting(voting, self.expectation),
            Subject::Progress(progress) => explore::progress(progress, self.expectation),
            Subject::Rosters(rosters) => explore::rosters(rosters, self.expectation),
            Subject::Parting(parting) => explore::parting(parting, self.expectation),
            Subject::Contents(contents) => explore::contents(contents, self.expectation),
            Subject::Acts(acts) => explore::acts(acts, self.expectation),
            Subject::Addresses(addresses) => explore::addresses(addresses, self.expectation),
            Subject::Bound(bound) => explore::bound(bound, self.expectation),
        }
    }
}
