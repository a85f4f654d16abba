//! The program's own ballot on the model's board, in the smallest cases: every state that [`Ballot`] can get into.
//!
//! Before every step the ballot begins anew from its promise, as after a crash; then it is given any part of what was
//! ever sent, any proposal with any quorum of prevotes there is, and as much time as it wants. What it promises next is
//! laid before the guards ([`Seen`]), and goes on the board for all. So whatever a ballot that did not crash may have
//! heard before is covered too: all that it keeps beside its promise is votes, proposals and waits. The POL in its promise
//! is not given back, and neither is its entry proof: what they are made of is on the board.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use althing_protocol::ballot::{Act, Ballot, Outlook, Promise, Turn};
use althing_protocol::hash::Hash;
use althing_protocol::identity::Identity;
use althing_protocol::member::Sabotage;
use althing_protocol::record::{Genesis, Newcomer, Record};
use althing_protocol::state::{Member, Role, Service, State};
use althing_protocol::statement::{Address, Checked, Envelope, Id16, Position, Statement, Step, Vote};
use althing_protocol::time::{Instant, Millis, WallTime};

use super::judged::{Fits, Seen};
use super::quorum::Electorate;

/// Longer than any wait of a ballot.
const LONG: Millis = Millis(60_000);

/// So many voters, rounds and values.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    voters: usize,
    rounds: u32,
    values: usize,
    sabotage: Option<Sabotage>,
}

/// What exploring it showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Distinct states of all ballots together.
    pub states: usize,
    /// Choices of what a ballot hears, over all states.
    pub steps: u64,
    /// Those that differ for a ballot: each was given to one.
    pub asked: usize,
    /// States in which something is settled.
    pub decided: usize,
    /// The first step that the guards forbid, or two settled values.
    pub wrong: Option<String>,
}

/// A vote as it stands on the board: a prevote with the round relied on.
type Cast = (usize, Step, u32, Option<usize>, Option<u32>);

/// A proposal: no one, or a value, fresh or with the quorum of prevotes of a round.
type Shown = Option<(usize, Option<u32>)>;

/// What was asked of a ballot already, and how often it was asked.
#[derive(Default)]
struct Done {
    answers: BTreeMap<(Voter, Vec<Cast>, Shown), Option<Voter>>,
    steps: u64,
}

/// What one voter promised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Voter {
    round: u32,
    prevotes: BTreeMap<u32, (Option<usize>, Option<u32>)>,
    precommits: BTreeMap<u32, Option<usize>>,
    lock: Option<(usize, u32)>,
}

type Voters = Vec<Voter>;

/// What does not change.
struct Stage {
    keys: Vec<Identity>,
    state: State,
    head: Hash,
    records: Vec<Vec<u8>>,
    names: Vec<Hash>,
    signed: BTreeMap<Cast, Checked>,
}

impl Bound {
    /// The ballot as it is.
    pub const fn new(voters: usize, rounds: u32, values: usize) -> Self {
        Self { voters, rounds, values, sabotage: None }
    }

    /// A ballot that breaks a rule.
    pub const fn with(self, sabotage: Sabotage) -> Self {
        Self { sabotage: Some(sabotage), ..self }
    }

    /// Explores everything, or to the first step that is wrong.
    pub fn explore(&self) -> Report {
        let stage = self.stage();
        let begin = vec![Voter::default(); self.voters];
        let mut known = HashSet::from([begin.clone()]);
        let mut pending = vec![begin];
        let mut report = Report { states: 0, steps: 0, asked: 0, decided: 0, wrong: None };
        let mut done = Done::default();
        while let Some(voters) = pending.pop() {
            report.states += 1;
            let settled = self.settled(&voters);
            report.decided += usize::from(!settled.is_empty());
            if settled.len() > 1 {
                report.wrong = Some(format!("two values are settled: {voters:?}"));
            }
            for at in 0..self.voters {
                for (choice, after) in self.steps(&stage, &voters, at, &mut done) {
                    let mut next = voters.clone();
                    next[at] = after;
                    if report.wrong.is_none() {
                        report.wrong = self
                            .judge(&stage, &voters, &next, at)
                            .map(|why| format!("{why}, after {choice}"));
                    }
                    let next = self.least(next);
                    if known.insert(next.clone()) {
                        pending.push(next);
                    }
                }
            }
            if report.wrong.is_some() {
                break;
            }
        }
        Report { steps: done.steps, asked: done.answers.len(), ..report }
    }

    fn stage(&self) -> Stage {
        let keys: Vec<Identity> =
            (0..self.voters).map(|at| Identity::from_seed([at as u8 + 1; 32]).simulated()).collect();
        let control = std::net::SocketAddr::from(([10, 0, 0, 1], 7800));
        let address = Address { control, bulk: control };
        let store = Id16([1; 16]);
        let genesis = Genesis {
            format: Genesis::NEWEST,
            name: "model".into(),
            founder: Newcomer { member: keys[0].id(), store, name: "m1".into(), address },
            at: WallTime(0),
            nonce: Id16([9; 16]),
            inherited: None,
            governance: Box::default(),
        };
        let mut state = State::genesis(&genesis);
        let member = |(at, key): (usize, &Identity)| Member {
            id: key.id(),
            store,
            name: format!("m{}", at + 1),
            role: Role::Voter,
            addresses: vec![address],
            since: 0,
            service: Service::In,
            labels: BTreeMap::new(),
        };
        state.members = keys.iter().enumerate().map(member).collect();
        let head = genesis.id();
        let records: Vec<Vec<u8>> = (0..self.values).map(|value| vec![value as u8]).collect();
        let names = records.iter().map(|bytes| Record::hash_of(bytes)).collect();
        let mut stage = Stage { keys, state, head, records, names, signed: BTreeMap::new() };
        self.sign(&mut stage);
        stage
    }

    /// Every vote that anybody could cast.
    fn sign(&self, stage: &mut Stage) {
        let values = || [None].into_iter().chain((0..self.values).map(Some));
        for (at, key) in stage.keys.iter().enumerate() {
            for round in 0..=self.rounds {
                for value in values() {
                    let relied = || [None].into_iter().chain((0..round).map(Some));
                    let prevotes = relied().map(|relied| (Step::Prevote, relied));
                    for (step, relied) in prevotes.chain([(Step::Precommit, None)]) {
                        let named = value.map(|value| stage.names[value]);
                        let epoch = stage.state.epoch + 1;
                        let vote = Vote { epoch, round, parent: stage.head, step, value: named, relied };
                        let position = Position { incarnation: 1, sequence: stage.signed.len() as u64 + 1 };
                        let store = Id16([1; 16]);
                        let statement = Statement::Vote(vote);
                        let envelope = Envelope { entity: stage.state.entity, store, position, statement };
                        stage.signed.insert((at, step, round, value, relied), Checked::sign(key, envelope));
                    }
                }
            }
        }
    }

    /// All that one voter's ballot can promise next, each with what it was given.
    fn steps(&self, stage: &Stage, voters: &Voters, at: usize, done: &mut Done) -> Vec<(String, Voter)> {
        if voters[at].round >= self.rounds {
            return Vec::new();
        }
        let others: Vec<Cast> = cast(voters).filter(|vote| vote.0 != at).collect();
        let mut found = BTreeMap::new();
        for heard in 0..1_u32 << others.len() {
            let heard = (0..others.len()).filter(|bit| heard & (1 << bit) != 0).map(|bit| others[bit]);
            let heard = self.renamed(heard.collect(), at);
            for shown in self.proposals(voters) {
                done.steps += 1;
                let asked = (voters[at].clone(), heard.clone(), shown);
                let after = done
                    .answers
                    .entry(asked)
                    .or_insert_with_key(|(voter, heard, shown)| self.step(stage, voter, heard, *shown));
                if let Some(after) = after {
                    found.entry(after.clone()).or_insert_with(|| format!("{heard:?} and {shown:?}"));
                }
            }
        }
        found.into_iter().map(|(after, choice)| (choice, after)).collect()
    }

    /// The same votes where the voter that hears them is the first one, and the others are in the order of what they say.
    fn renamed(&self, heard: Vec<Cast>, at: usize) -> Vec<Cast> {
        let of = |author: usize| -> Vec<Cast> {
            let votes = heard.iter().filter(|vote| vote.0 == author);
            votes.map(|(_, step, round, value, relied)| (0, *step, *round, *value, *relied)).collect()
        };
        let mut others: Vec<Vec<Cast>> = (0..self.voters).filter(|author| *author != at).map(of).collect();
        others.sort_unstable();
        let named = |(name, votes): (usize, Vec<Cast>)| {
            votes
                .into_iter()
                .map(move |(_, step, round, value, relied)| (name + 1, step, round, value, relied))
        };
        others.into_iter().enumerate().flat_map(named).collect()
    }

    /// No proposal, or one of each value, fresh or with each quorum of prevotes that there is.
    fn proposals(&self, voters: &Voters) -> Vec<Shown> {
        let quorum = Electorate::majority(self.voters).quorum;
        let polled = |value: usize, round: u32| {
            let prevoted =
                |voter: &&Voter| voter.prevotes.get(&round).is_some_and(|vote| vote.0 == Some(value));
            voters.iter().filter(prevoted).count() >= quorum
        };
        let mut all = vec![None];
        for value in 0..self.values {
            all.push(Some((value, None)));
            let rounds = (0..self.rounds).filter(|round| polled(value, *round));
            all.extend(rounds.map(|round| Some((value, Some(round)))));
        }
        all
    }

    /// The first voter's ballot begins from its promise, hears this beside its own votes, and waits until it promises
    /// something new; `None` if it never does. Nothing else bears on it.
    fn step(&self, stage: &Stage, voter: &Voter, heard: &[Cast], shown: Shown) -> Option<Voter> {
        let before = stage.promise(voter);
        let mut ballot = Ballot::new(stage.keys[0].id(), &stage.state, stage.head, Some(before));
        ballot.sabotage(self.sabotage);
        for bytes in &stage.records {
            ballot.learn(bytes.clone(), Some(stage.state.clone()), true);
        }
        let mut acts = Vec::new();
        for vote in cast(std::slice::from_ref(voter)).chain(heard.iter().copied()) {
            ballot.vote(&stage.signed[&vote], &mut acts);
        }
        if let Some((value, pol)) = shown {
            let prevotes = |vote: &&(&Cast, &Checked)| {
                let (_, step, round, named, _) = vote.0;
                (*step, Some(*round), *named) == (Step::Prevote, pol, Some(value))
            };
            let pol: Vec<Checked> =
                stage.signed.iter().filter(|vote| prevotes(&vote)).map(|(_, vote)| vote.clone()).collect();
            for round in voter.round..self.rounds {
                ballot.propose(stage.keys[1 % self.voters].id(), round, stage.names[value], &pol);
            }
        }
        let outlook = Outlook { candidate: Some((stage.names[0], Turn::Others)), may_vote: true };
        let mut now = Instant(1);
        for _ in 0..4 {
            ballot.advance(now, &outlook, &mut acts);
            if acts.iter().any(|act| matches!(act, Act::Settled(_))) {
                return None;
            }
            let after = stage.voter(ballot.promise());
            if after != *voter {
                return Some(after);
            }
            now = now + LONG;
        }
        None
    }

    fn judge(&self, stage: &Stage, voters: &Voters, next: &Voters, at: usize) -> Option<String> {
        let count = |fits: Fits<'_>| {
            let fit = cast(voters).filter(|(_, step, round, value, _)| {
                fits(*round, *step, value.map(|value| stage.names[value]))
            });
            fit.map(|vote| vote.0).collect::<BTreeSet<_>>().len()
        };
        let seen = Seen {
            roster: Electorate::majority(self.voters),
            count: &count,
            valid: &|value| stage.names.contains(value),
        };
        let (before, after) = (stage.promise(&voters[at]), stage.promise(&next[at]));
        seen.judge(&before, &after).map(|(what, why)| format!("m{} {what}: {why}", at + 1))
    }

    /// Values that a quorum precommitted in one round.
    fn settled(&self, voters: &Voters) -> BTreeSet<usize> {
        let quorum = Electorate::majority(self.voters).quorum;
        let votes = |round: u32, value: usize| {
            voters.iter().filter(|voter| voter.precommits.get(&round) == Some(&Some(value))).count()
        };
        (0..self.values)
            .filter(|value| (0..self.rounds).any(|round| votes(round, *value) >= quorum))
            .collect()
    }

    /// The least of the states that differ only in who is who, and in the names of two values.
    fn least(&self, voters: Voters) -> Voters {
        let swapped = |voters: &Voters| -> Voters {
            let other = |value: usize| if value < 2 && self.values > 1 { 1 - value } else { value };
            let rename = |voter: &Voter| Voter {
                round: voter.round,
                prevotes: voter
                    .prevotes
                    .iter()
                    .map(|(at, vote)| (*at, (vote.0.map(other), vote.1)))
                    .collect(),
                precommits: voter.precommits.iter().map(|(at, value)| (*at, value.map(other))).collect(),
                lock: voter.lock.map(|(value, at)| (other(value), at)),
            };
            voters.iter().map(rename).collect()
        };
        let sorted = |mut voters: Voters| {
            voters.sort_unstable();
            voters
        };
        let other = sorted(swapped(&voters));
        sorted(voters).min(other)
    }
}

/// Everything on the board.
fn cast(voters: &[Voter]) -> impl Iterator<Item = Cast> {
    voters.iter().enumerate().flat_map(|(at, voter)| {
        let prevotes =
            voter.prevotes.iter().map(move |(round, vote)| (at, Step::Prevote, *round, vote.0, vote.1));
        prevotes.chain(
            voter.precommits.iter().map(move |(round, value)| (at, Step::Precommit, *round, *value, None)),
        )
    })
}

impl Stage {
    fn promise(&self, voter: &Voter) -> Promise {
        let named = |value: Option<usize>| value.map(|value| self.names[value]);
        Promise {
            epoch: self.state.epoch + 1,
            round: voter.round,
            prevotes: voter.prevotes.iter().map(|(at, vote)| (*at, (named(vote.0), vote.1))).collect(),
            precommits: voter.precommits.iter().map(|(at, value)| (*at, named(*value))).collect(),
            lock: voter.lock.map(|(value, at)| (self.names[value], at)),
            valid: None,
        }
    }

    fn voter(&self, promise: &Promise) -> Voter {
        let value = |name: Hash| self.names.iter().position(|known| *known == name).unwrap_or(usize::MAX);
        Voter {
            round: promise.round,
            prevotes: promise.prevotes.iter().map(|(at, vote)| (*at, (vote.0.map(value), vote.1))).collect(),
            precommits: promise.precommits.iter().map(|(at, name)| (*at, name.map(value))).collect(),
            lock: promise.lock.map(|(name, at)| (value(name), at)),
        }
    }
}
