//! The configurations M1-M6 of `settlement-review.md` §8: what is checked, and what each must show.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model};

use super::board::Board;
use super::mutation::Mutation;
use super::progress::{self, Flaw, Progress};
use super::quorum::Electorate;
use super::voting::{AGREEMENT, FIRES, FORK_PROVED, NO_FALSE_PROOF, Voting};

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
}

impl Expectation {
    /// The property whose counter-example is the point.
    const fn property(self) -> Option<&'static str> {
        match self {
            Self::Breaks(name) => Some(name),
            Self::Proved => Some(AGREEMENT),
            Self::Holds | Self::Progress | Self::Stuck => None,
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
    /// The steps of the counter-example, one per line, when one was found.
    pub trace: Vec<String>,
}

impl Configuration {
    const fn voting(name: &'static str, cost: Cost, expectation: Expectation, voting: Voting) -> Self {
        Self { name, subject: Subject::Voting(voting), expectation, cost }
    }

    const fn progress(name: &'static str, cost: Cost, expectation: Expectation, progress: Progress) -> Self {
        Self { name, subject: Subject::Progress(progress), expectation, cost }
    }

    /// Explores it to the end, or to the counter-example it expects.
    pub fn check(&self) -> Finding {
        match self.subject {
            Subject::Voting(voting) => check_voting(voting, self.expectation),
            Subject::Progress(progress) => check_progress(progress, self.expectation),
        }
    }
}

/// What the checker must find, what it must not, and when it may stop.
struct Wanted {
    found: BTreeSet<&'static str>,
    never: BTreeSet<&'static str>,
    finish: HasDiscoveries,
}

impl Wanted {
    fn new(voting: &Voting, expectation: Expectation) -> Self {
        let fires = voting.mutation.map(|_| FIRES);
        match expectation {
            Expectation::Breaks(name) => {
                let found: BTreeSet<_> = [name].into_iter().chain(fires).collect();
                Self { finish: HasDiscoveries::AllOf(found.clone()), found, never: BTreeSet::new() }
            }
            Expectation::Proved => {
                let found = voting.reached().chain([AGREEMENT]).collect();
                let never = BTreeSet::from([FORK_PROVED, NO_FALSE_PROOF]);
                Self { found, finish: HasDiscoveries::AnyOf(never.clone()), never }
            }
            Expectation::Holds | Expectation::Progress | Expectation::Stuck => Self {
                found: voting.reached().collect(),
                never: voting.failures().collect(),
                finish: HasDiscoveries::AnyFailures,
            },
        }
    }
}

fn check_voting(voting: Voting, expectation: Expectation) -> Finding {
    let start = Instant::now();
    let wanted = Wanted::new(&voting, expectation);
    let representative = match voting.values {
        1 => Board::representative::<1>,
        2 => Board::representative::<2>,
        _ => Board::representative::<3>,
    };
    let checker = voting
        .checker()
        .threads(available_parallelism().map_or(1, NonZeroUsize::get))
        .symmetry_fn(representative)
        .finish_when(wanted.finish)
        .spawn_dfs()
        .join();
    let found = checker.discoveries();
    let missing = wanted.found.iter().filter(|name| !found.contains_key(**name)).copied();
    let broken: Vec<_> = wanted.never.iter().filter(|name| found.contains_key(**name)).copied().collect();
    let shown = broken.first().copied().or(expectation.property()).and_then(|name| found.get(name));
    let actions = shown.map(|path| path.clone().into_actions()).unwrap_or_default();
    let wrong: Vec<_> = broken.iter().copied().chain(missing).collect();
    Finding {
        unique: checker.unique_state_count(),
        elapsed: start.elapsed(),
        met: wrong.is_empty(),
        result: describe(expectation, &wrong, actions.len()),
        trace: actions.iter().map(ToString::to_string).collect(),
    }
}

fn describe(expectation: Expectation, wrong: &[&str], steps: usize) -> String {
    match (expectation, wrong.is_empty()) {
        (_, false) => format!("UNEXPECTED: {} ({steps} steps)", wrong.join(", ")),
        (Expectation::Breaks(name), true) => format!("not \"{name}\": trace of {steps} steps"),
        (Expectation::Proved, true) => format!("forks ({steps} steps), each proved; exhausted"),
        (_, true) => "holds, exhausted".to_owned(),
    }
}

fn check_progress(progress: Progress, expectation: Expectation) -> Finding {
    let start = Instant::now();
    let progress::Report { starts, explored, stuck, reached } = progress.explore();
    let met = starts > 0 && reached > 0 && (stuck == 0) == (expectation == Expectation::Progress);
    let word = if met { "" } else { "UNEXPECTED: " };
    let result = format!("{word}{stuck} of {starts} survivor states stuck");
    Finding { unique: explored, elapsed: start.elapsed(), met, result, trace: Vec::new() }
}

/// All configurations, in the order of the review's table.
pub fn all() -> Vec<Configuration> {
    [agreement(), tolerated(), forks(), proofs(), progress_configurations()].concat()
}

const THREE: Electorate = Electorate::majority(3);
const FOUR_LIAR: Electorate = Electorate::supermajority(4);

fn agreement() -> Vec<Configuration> {
    use Cost::{Nightly, Run, Test};
    let holds = |name, cost, voting| Configuration::voting(name, cost, Expectation::Holds, voting);
    let majority = |voters, rounds| Voting::new(Electorate::majority(voters), rounds, 2);
    let liars = |voters, rounds| Voting::new(Electorate::supermajority(voters), rounds, 2);
    vec![
        holds("M1 n=3, 2 rounds, with nil votes", Test, majority(3, 2).casting_nils()),
        holds("M1 n=3, 3 rounds, with nil votes", Nightly, majority(3, 3).casting_nils()),
        holds("M1 n=3, 3 rounds", Test, majority(3, 3)),
        holds("M1 n=3, 3 rounds, 3 values", Run, Voting::new(THREE, 3, 3)),
        holds("M1 n=3, 4 rounds", Run, majority(3, 4)),
        holds("M1 n=2, 4 rounds", Run, majority(2, 4)),
        holds("M2 n=4, 2 rounds, with nil votes", Run, majority(4, 2).casting_nils()),
        holds("M2 n=4, 3 rounds", Run, majority(4, 3)),
        holds("M3 n=5, 2 rounds", Run, majority(5, 2)),
        holds("M3 n=5, 2 rounds, with nil votes", Nightly, majority(5, 2).casting_nils()),
        holds("M3 n=5, 3 rounds", Nightly, majority(5, 3)),
        holds("M4 supermajority n=4 f=1, 2 rounds, nil votes", Test, liars(4, 2).casting_nils()),
        holds("M4 supermajority n=4 f=1, 3 rounds", Run, liars(4, 3)),
        holds("M4 supermajority n=4 f=1, 4 rounds", Run, liars(4, 4)),
        holds("M4 supermajority n=6 f=1, 2 rounds", Run, liars(6, 2)),
        holds("M4 supermajority n=7 f=2, 2 rounds", Run, liars(7, 2)),
    ]
}

/// What looks dangerous and is not.
fn tolerated() -> Vec<Configuration> {
    use Mutation::{PolNotEarlier, PrevoteInOldRound, StoreRestored, StoreRestoredMute};
    let holds = |name, cost, voting| Configuration::voting(name, cost, Expectation::Holds, voting);
    vec![
        holds("not a bug: POL round not earlier", Cost::Run, Voting::new(THREE, 3, 2).with(PolNotEarlier)),
        holds(
            "not a bug: prevote in an old round",
            Cost::Run,
            Voting::new(THREE, 3, 2).with(PrevoteInOldRound),
        ),
        holds(
            "[3(i)] store restored, voter mute",
            Cost::Test,
            Voting::new(THREE, 2, 2).with(StoreRestoredMute),
        ),
        holds(
            "[3] store restored, n=4",
            Cost::Run,
            Voting::new(Electorate::majority(4), 2, 2).with(StoreRestored),
        ),
    ]
}

/// M5: the controls.
fn forks() -> Vec<Configuration> {
    use Cost::{Run, Test};
    use Mutation as M;
    let forks =
        |name, cost, voting| Configuration::voting(name, cost, Expectation::Breaks(AGREEMENT), voting);
    let three = |rounds, mutation| Voting::new(THREE, rounds, 2).with(mutation);
    let liar = |voters| Voting::new(Electorate::majority(voters).with_liars(1), 2, 2);
    vec![
        forks("M5 [1] late precommit", Test, three(2, M::LatePrecommit)),
        forks("M5 [1] late precommit, lock raised", Test, three(2, M::LatePrecommitLockRaised)),
        forks("M5 [1] lock lowered", Run, three(3, M::LockLowered)),
        forks("M5 [4] rounds mixed", Run, three(4, M::MixedRounds)),
        forks("M5 no locks", Test, three(2, M::NoLocks)),
        forks("M5 POL below the lock", Run, three(3, M::OldPolUnlocks)),
        forks("M5 [3] store restored", Test, three(2, M::StoreRestored)),
        forks("M5 [3] same, no double signature", Test, three(2, M::StoreRestoredSingleSignature)),
        forks(
            "M5 [3] same, supermajority n=4 f=1",
            Test,
            Voting::new(FOUR_LIAR, 2, 2).with(M::StoreRestoredSingleSignature),
        ),
        forks("M5 [18] vote before durable", Test, three(2, M::VoteBeforeDurable)),
        forks("M5 quorum of the reachable", Test, three(2, M::QuorumOfReachable)),
        forks("M5 majority n=3, one liar", Test, liar(3)),
        forks("M5 majority n=5, one liar", Run, liar(5)),
    ]
}

/// Finding 3(ii): what the round relied on proves, and what it must not.
fn proofs() -> Vec<Configuration> {
    use Mutation::{LockNotSigned, StoreRestoredSingleSignature};
    let voting = |rounds| Voting::new(THREE, rounds, 2).signing_relied();
    let restored = |rounds| voting(rounds).with(StoreRestoredSingleSignature);
    let breaks = |property| Expectation::Breaks(property);
    vec![
        Configuration::voting("[3(ii)] nobody accused, 3 rounds", Cost::Run, Expectation::Holds, voting(3)),
        Configuration::voting(
            "[3(ii)] control: lock not signed",
            Cost::Run,
            breaks(NO_FALSE_PROOF),
            voting(3).with(LockNotSigned),
        ),
        Configuration::voting(
            "[3(ii)] restored fork proved, 2 rounds",
            Cost::Run,
            Expectation::Proved,
            restored(2),
        ),
        Configuration::voting(
            "[3(ii)] restored fork proved",
            Cost::Nightly,
            Expectation::Proved,
            restored(3),
        ),
    ]
}

/// M6: progress after a death, and its controls.
fn progress_configurations() -> Vec<Configuration> {
    use Cost::{Run, Test};
    use Expectation::{Progress as Goes, Stuck};
    let progress = Configuration::progress;
    use Flaw::{ClockInvalidates, NoEntryProof, NoNilPrevote};
    let brief = Progress::new(THREE, 1);
    let three = Progress::new(THREE, 2);
    let four = Progress::new(FOUR_LIAR, 2);
    vec![
        progress("M6 n=3, one dead, 1 round", Test, Goes, brief),
        progress("M6 n=3, one dead", Run, Goes, three),
        progress("M6 n=3, a value the clock forbids", Run, Goes, three.expired()),
        progress("M6 n=3, that value alone", Run, Goes, three.single().expired()),
        progress("M6 supermajority n=4, liar silent", Run, Goes, four),
        progress("M6 n=4 f=1, a value the clock forbids", Run, Goes, four.expired()),
        progress("M6 [10] no entry proof, 1 round", Test, Stuck, brief.with(NoEntryProof)),
        progress("M6 [10] no entry proof", Run, Stuck, three.with(NoEntryProof)),
        progress("M6 [10] no entry proof, n=4 f=1", Run, Stuck, four.with(NoEntryProof)),
        progress("M6 [11] no nil prevote, 1 round", Test, Stuck, brief.single().expired().with(NoNilPrevote)),
        progress("M6 [11] no nil prevote", Run, Stuck, three.single().expired().with(NoNilPrevote)),
        progress("M6 [9] the clock decides, 1 round", Test, Stuck, brief.with(ClockInvalidates)),
        progress("M6 [9] the clock decides", Run, Stuck, three.with(ClockInvalidates)),
        progress("M6 [9] the clock decides, n=4 f=1", Run, Stuck, four.with(ClockInvalidates)),
    ]
}
