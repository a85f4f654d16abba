//! The table of configurations, in the order of the review's.

use althing_protocol::member::Sabotage;

use super::address::{self, Addresses};
use super::bound::Bound;
use super::claims::{self, Acts};
use super::configurations::{Configuration, Cost, Expectation, Subject};
use super::content::{self, Contents};
use super::mutation::Mutation;
use super::parting::{Parting, Stops};
use super::progress::{Flaw, Progress};
use super::quorum::Electorate;
use super::roster::{self, Rosters};
use super::voting::{AGREEMENT, NO_FALSE_PROOF, Voting};

const fn voting_of(
    name: &'static str,
    cost: Cost,
    expectation: Expectation,
    voting: Voting,
) -> Configuration {
    Configuration { name, subject: Subject::Voting(voting), expectation, cost }
}

const fn progress_of(
    name: &'static str,
    cost: Cost,
    expectation: Expectation,
    of: Progress,
) -> Configuration {
    Configuration { name, subject: Subject::Progress(of), expectation, cost }
}

/// All configurations, in the order of the review's table.
pub fn all() -> Vec<Configuration> {
    let voting = [agreement(), tolerated(), forks(), proofs(), progress_configurations()].concat();
    [voting, rosters(), contents(), claims(), bound()].concat()
}

const THREE: Electorate = Electorate::majority(3);
const FOUR_LIAR: Electorate = Electorate::supermajority(4);

fn agreement() -> Vec<Configuration> {
    use Cost::{Nightly, Run, Test};
    let holds = |name, cost, voting| voting_of(name, cost, Expectation::Holds, voting);
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
    use Mutation::{LonePrecommit, PolNotEarlier, PrevoteInOldRound, StoreRestored, StoreRestoredMute};
    let holds = |name, cost, voting| voting_of(name, cost, Expectation::Holds, voting);
    vec![
        holds("not a bug: POL round not earlier", Cost::Run, Voting::new(THREE, 3, 2).with(PolNotEarlier)),
        holds(
            "not a bug: prevote in an old round",
            Cost::Run,
            Voting::new(THREE, 3, 2).with(PrevoteInOldRound),
        ),
        holds(
            "no fork: a precommit without a prevote",
            Cost::Run,
            Voting::new(THREE, 2, 2).casting_nils().with(LonePrecommit),
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
    let forks = |name, cost, voting| voting_of(name, cost, Expectation::Breaks(AGREEMENT), voting);
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
        voting_of("[3(ii)] nobody accused, 3 rounds", Cost::Run, Expectation::Holds, voting(3)),
        voting_of(
            "[3(ii)] control: lock not signed",
            Cost::Run,
            breaks(NO_FALSE_PROOF),
            voting(3).with(LockNotSigned),
        ),
        voting_of("[3(ii)] restored fork proved, 2 rounds", Cost::Run, Expectation::Proved, restored(2)),
        voting_of("[3(ii)] restored fork proved", Cost::Nightly, Expectation::Proved, restored(3)),
    ]
}

/// M6: progress after a death, and its controls.
fn progress_configurations() -> Vec<Configuration> {
    use Cost::{Run, Test};
    use Expectation::{Progress as Goes, Stuck};
    let progress = progress_of;
    use Flaw::{ClockInvalidates, LonePrecommit, NoEntryProof, NoNilPrevote};
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
        progress("M6 a precommit without a prevote, 1 round", Test, Stuck, brief.with(LonePrecommit)),
        progress("M6 a precommit without a prevote", Run, Stuck, three.with(LonePrecommit)),
        progress("M6 a precommit without a prevote, n=4 f=1", Run, Stuck, four.with(LonePrecommit)),
    ]
}

/// M7: the roster changes between two epochs.
fn rosters() -> Vec<Configuration> {
    use Cost::{Run, Test};
    use Expectation::{Breaks, Holds};
    let rosters = |name, cost, expectation, rosters| Configuration {
        name,
        subject: Subject::Rosters(rosters),
        expectation,
        cost,
    };
    let parting = |name, expectation, parting| Configuration {
        name,
        subject: Subject::Parting(parting),
        expectation,
        cost: Test,
    };
    let forks = Breaks(roster::ONE_CHAIN);
    vec![
        rosters("M7 ABC to ABCD, rounds 2 and 1", Run, Holds, Rosters::new(3, 0, 1, [2, 1])),
        rosters("M7 ABC to ABCD, rounds 1 and 2", Run, Holds, Rosters::new(3, 0, 1, [1, 2])),
        rosters("M7 ABCD to AB, rounds 2 and 1", Run, Holds, Rosters::new(2, 2, 0, [2, 1])),
        rosters("M7 ABCD to AB, rounds 1 and 2", Run, Holds, Rosters::new(2, 2, 0, [1, 2])),
        rosters("M7 ABC to D, rounds 2 and 1", Run, Holds, Rosters::new(0, 3, 1, [2, 1])),
        rosters("M7 ABC to D, rounds 1 and 2", Run, Holds, Rosters::new(0, 3, 1, [1, 2])),
        rosters("M7 A to AB, rounds 2 and 1", Test, Holds, Rosters::new(1, 0, 1, [2, 1])),
        rosters("M7 A to AB, rounds 1 and 2", Test, Holds, Rosters::new(1, 0, 1, [1, 2])),
        rosters(
            "M7 control: goes on from a POL",
            Run,
            forks,
            Rosters::new(3, 0, 1, [2, 1]).with(roster::Flaw::ActsOnPol),
        ),
        rosters(
            "M7 control: the new roster counts itself",
            Run,
            forks,
            Rosters::new(1, 2, 0, [2, 1]).with(roster::Flaw::NewRosterCounts),
        ),
        parting(
            "M7 [13] C, D, E go, and linger",
            Expectation::Progress,
            Parting::new(2, 3, Stops::WhenKnown),
        ),
        parting(
            "M7 [13] C, D go of four, and linger",
            Expectation::Progress,
            Parting::new(2, 2, Stops::WhenKnown),
        ),
        parting("M7 [13] control: they stop at once", Expectation::Stuck, Parting::new(2, 3, Stops::AtOnce)),
    ]
}

/// M8: content over a chain.
fn contents() -> Vec<Configuration> {
    use Cost::{Nightly, Run, Test};
    use Expectation::{Breaks, Holds};
    use content::Flaw;
    let contents = |name, cost, expectation, contents| Configuration {
        name,
        subject: Subject::Contents(contents),
        expectation,
        cost,
    };
    let small = Contents::new(3, 2, 2, 2);
    vec![
        contents("M8 n=3, 2 roots, 2 records, 2 edits", Test, Holds, small),
        contents("M8 n=3, 3 roots, 2 records, 1 edit", Run, Holds, Contents::new(3, 3, 2, 1)),
        contents("M8 n=3, 3 roots, 2 records, 2 edits", Nightly, Holds, Contents::new(3, 3, 2, 2)),
        contents("M8 n=3, 2 roots, 3 records, 2 edits", Run, Holds, Contents::new(3, 2, 3, 2)),
        contents("M8 n=3, 3 roots, 3 records, 1 edit", Nightly, Holds, Contents::new(3, 3, 3, 1)),
        contents("M8 n=4, 2 roots, 2 records, 1 edit", Run, Holds, Contents::new(4, 2, 2, 1)),
        contents("M8 not a bug: drift to an earlier root", Run, Holds, small.with(Flaw::FormerReturns)),
        contents(
            "M8 [2] control: shown before applied",
            Test,
            Breaks(content::KEPT),
            small.with(Flaw::ShowsUnapplied),
        ),
        contents(
            "M8 [5] control: shown is evidence",
            Test,
            Breaks(content::HELD),
            small.with(Flaw::ShownIsEvidence),
        ),
        contents(
            "M8 [5] control: promises are dropped",
            Test,
            Breaks(content::HELD),
            small.with(Flaw::DropsPromised),
        ),
        contents(
            "M8 [27] control: applied and not there",
            Test,
            Breaks(content::CERTIFIED),
            small.with(Flaw::AppliesLacking),
        ),
    ]
}

/// M9: what happens once, and what one member has.
fn claims() -> Vec<Configuration> {
    use Cost::Test;
    use Expectation::{Breaks, Holds};
    use address::Rule;
    use claims::Flaw;
    let acts = |name, expectation, acts| Configuration {
        name,
        subject: Subject::Acts(acts),
        expectation,
        cost: Test,
    };
    let address = |name, expectation, rule| Configuration {
        name,
        subject: Subject::Addresses(Addresses::new(rule)),
        expectation,
        cost: Cost::Run,
    };
    let twice = Breaks(claims::ONCE);
    let two = Breaks(address::EXCLUSIVE);
    vec![
        acts("M9 [30] an act is claimed by a record", Holds, Acts::new()),
        acts("M9 [30] control: no claim", twice, Acts::with(Flaw::Unclaimed)),
        acts("M9 [30] control: claimed again", twice, Acts::with(Flaw::ClaimedAgain)),
        acts("M9 [30] control: claimed without a quorum", twice, Acts::with(Flaw::ClaimedAlone)),
        address("M9 [32] an address, exclusive", Holds, Rule::Exclusive),
        address("M9 [32] control: taken too early", two, Rule::TakenEarly),
        address("M9 [32] control: kept without a quorum", two, Rule::Available),
    ]
}

/// The program's own ballot on the same board, and ballots that break a rule.
fn bound() -> Vec<Configuration> {
    use Cost::{Run, Test};
    use Expectation::{Caught, Holds};
    let bound = |name, cost, expectation, bound| Configuration {
        name,
        subject: Subject::Bound(bound),
        expectation,
        cost,
    };
    let three = Bound::new(3, 2, 2);
    vec![
        bound("program n=2, 2 rounds", Test, Holds, Bound::new(2, 2, 2)),
        bound("program n=3, 1 round", Test, Holds, Bound::new(3, 1, 2)),
        bound("program n=2, 3 rounds", Run, Holds, Bound::new(2, 3, 2)),
        bound("program n=3, 2 rounds, 1 value", Run, Holds, Bound::new(3, 2, 1)),
        bound("program n=3, 2 rounds", Run, Holds, three),
        bound("program [1] control: late precommit", Run, Caught, three.with(Sabotage::LatePrecommit)),
        bound("program control: no locks", Run, Caught, three.with(Sabotage::NoLocks)),
        bound("program control: forgotten lock", Run, Caught, three.with(Sabotage::ForgottenLock)),
        bound("program [3] control: unsigned reliance", Run, Caught, three.with(Sabotage::UnsignedReliance)),
        bound("program control: lone precommit", Run, Caught, three.with(Sabotage::LonePrecommit)),
        bound("program control: forgotten round", Run, Caught, three.with(Sabotage::ForgottenRound)),
        bound(
            "program control: half of the voters",
            Run,
            Caught,
            Bound::new(2, 2, 2).with(Sabotage::HalfQuorum),
        ),
    ]
}
