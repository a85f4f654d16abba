//! M6: one member dies for ever; can those who are left still decide?
//!
//! From every state the voters can reach in the first rounds (any loss, any order), as many members die as the
//! roster bears. What the dead said and all older messages are lost. The survivors re-send what rule 8 says:
//! their messages of the current round, their POL, their entry proof. From each such state, and from each they
//! can get into after it, some sequence of allowed steps must lead to a certificate of theirs. That shows that
//! there is no deadlock; it does not show that the time-outs are fair.

use std::collections::{HashMap, HashSet};

use stateright::Model;

use super::board::{Board, MAX_VALUES, Seat, Value};
use super::guards::{self, EntryProof, Lock, Pol, Prevote, Record, Round, Standing};
use super::mutation::Mutation;
use super::quorum::Electorate;
use super::voting::{Step, Voting};

/// The last round from which the survivors must still be able to decide.
const LAST_START: Round = Round(3);
/// The last round they may use for it.
const LAST_ROUND: Round = Round(6);
/// The value the clock turned against for all who are not locked on it.
const EXPIRED: Value = Value(0);

/// A rule left out. Numbers in brackets name the finding of `settlement-review.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A later round is entered on n-q+1 messages of it only; nobody shows how it got there (finding 10).
    NoEntryProof,
    /// Nobody prevotes nil at the proposal time-out (finding 11).
    NoNilPrevote,
    /// The clock makes a value invalid for good, a POL or not (finding 9).
    ClockInvalidates,
    /// Whoever sees a quorum of prevotes precommits, and leaves its own prevote out (found by seed 40571).
    LonePrecommit,
}

/// One configuration of M6.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    roster: Electorate,
    rounds_before: usize,
    values: u8,
    expired: bool,
    flaw: Option<Flaw>,
}

/// What exploring it showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// States the survivors can be in when the others are gone, and later.
    pub starts: usize,
    /// States explored, before and after.
    pub explored: usize,
    /// Starts from which no decision is reachable.
    pub stuck: usize,
    /// Starts from which one is.
    pub reached: usize,
}

/// A survivor, with the messages it still sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Survivor {
    round: Round,
    /// Its prevote of the current round: none yet, nil, or a value.
    prevote: Option<Option<Value>>,
    /// Its precommit of the current round.
    precommit: Option<Option<Value>>,
    /// Its lock, whose POL it shows.
    lock: Option<(Value, Round)>,
}

type Survivors = Vec<Survivor>;

impl Progress {
    /// The rules as they are: so many rounds of anything, then the deaths.
    pub const fn new(roster: Electorate, rounds_before: usize) -> Self {
        Self { roster, rounds_before, values: 2, expired: false, flaw: None }
    }

    /// With a single value on the table; only states in which a survivor is locked on it have to decide.
    pub const fn single(self) -> Self {
        Self { values: 1, ..self }
    }

    /// With a value the clocks of all who are not locked on it have turned against.
    pub const fn expired(self) -> Self {
        Self { expired: true, ..self }
    }

    /// With a rule left out.
    pub fn with(self, flaw: Flaw) -> Self {
        Self { expired: self.expired || flaw == Flaw::ClockInvalidates, flaw: Some(flaw), ..self }
    }

    /// Explores everything.
    pub fn explore(&self) -> Report {
        let boards = self.boards();
        let starts = self.reachable(self.starts(&boards));
        let mut known = HashMap::new();
        let stuck = starts.iter().filter(|start| !self.decides(start, &mut known)).count();
        let explored = boards.len() + known.len();
        Report { starts: starts.len(), explored, stuck, reached: starts.len() - stuck }
    }

    fn values(&self) -> impl Iterator<Item = Value> + use<> {
        (0..self.values).map(Value)
    }

    /// Every board of the first rounds, with the rounds entered as rule 7 asks.
    fn boards(&self) -> Vec<Board> {
        let voting = Voting::new(self.roster, self.rounds_before, self.values).casting_nils();
        let lone = self.flaw == Some(Flaw::LonePrecommit);
        let voting = if lone { voting.with(Mutation::LonePrecommit) } else { voting };
        let mut known = HashSet::from([Board::default()]);
        let mut boards = vec![Board::default()];
        let mut next = 0;
        while let Some(board) = boards.get(next).copied() {
            next += 1;
            for (action, after) in voting.next_steps(&board) {
                let from = board.seats[action.seat].memory.round();
                let to = match action.step {
                    Step::Prevote(round, ..) | Step::Precommit(round, _) => round,
                    Step::Relock(_) | Step::Restore => from,
                };
                // Members are alike, values are not: the clock turned against one of them.
                let after = after.representative::<1>();
                if (to == from || self.could_enter(&voting, &board, to)) && known.insert(after) {
                    boards.push(after);
                }
            }
        }
        boards
    }

    /// Whether somebody could have entered the round: the first who did showed precommits of the one before.
    fn could_enter(&self, voting: &Voting, board: &Board, round: Round) -> bool {
        let before = (round.0 as usize).saturating_sub(1);
        let sent = voting.seats(board).iter().filter(|seat| !seat.precommits[before].is_empty()).count();
        let proof = EntryProof { precommits_before: sent + self.roster.liars, messages_of: 0 };
        guards::may_enter(Round(0), round, proof, self.roster).allowed()
    }

    /// What the survivors of each board can be left with, for each choice of who dies.
    fn starts(&self, boards: &[Board]) -> Vec<Survivors> {
        let voting = Voting::new(self.roster, self.rounds_before, self.values);
        let mut known = HashSet::new();
        let mut starts = Vec::new();
        for board in boards {
            let seats = voting.seats(board);
            for living in
                (0..1_u32 << seats.len()).filter(|set| set.count_ones() as usize == self.roster.quorum)
            {
                let living = (0..seats.len()).filter(|at| living & (1 << at) != 0).map(|at| &seats[at]);
                let choices: Vec<_> = living.map(|seat| self.rounds_of(&voting, board, seat)).collect();
                starts.extend(combinations(&choices).into_iter().filter(|start| known.insert(start.clone())));
            }
        }
        starts
    }

    /// A seat as a survivor: in the last round it voted in, or in a later one it entered without a vote.
    fn rounds_of(&self, voting: &Voting, board: &Board, seat: &Seat) -> Vec<Survivor> {
        let last = seat.memory.round();
        let later = (last.0 + 1..=self.rounds_before as u32).map(Round);
        let later = later.filter(|round| self.could_enter(voting, board, *round));
        [last].into_iter().chain(later).map(|round| Survivor::of(seat, round)).collect()
    }

    /// The starts, and all that the survivors can get into from them, up to a round that leaves room to decide.
    fn reachable(&self, mut states: Vec<Survivors>) -> Vec<Survivors> {
        states.retain(|start| self.values > 1 || start.iter().any(|one| one.lock.is_some()));
        let mut known: HashSet<_> = states.iter().cloned().collect();
        let mut next = 0;
        while let Some(state) = states.get(next) {
            next += 1;
            let mut after = self.next(state);
            after.retain(|state| {
                state.iter().all(|one| one.round <= LAST_START) && known.insert(state.clone())
            });
            states.append(&mut after);
        }
        states
    }

    /// Whether a decision is reachable. Rounds and votes only grow, so this ends.
    fn decides(&self, survivors: &Survivors, known: &mut HashMap<Survivors, bool>) -> bool {
        if let Some(answer) = known.get(survivors) {
            return *answer;
        }
        let decided = self.values().any(|value| self.settled(survivors, value));
        let answer = decided || self.next(survivors).iter().any(|next| self.decides(next, known));
        known.insert(survivors.clone(), answer);
        answer
    }

    fn settled(&self, survivors: &Survivors, value: Value) -> bool {
        survivors.iter().any(|one| {
            let votes = count(survivors, one.round, |other| other.precommit == Some(Some(value)));
            guards::may_settle(votes, self.roster.quorum).allowed()
        })
    }

    /// All states one step further.
    fn next(&self, survivors: &Survivors) -> Vec<Survivors> {
        let mut next = Vec::new();
        for at in 0..survivors.len() {
            let steps = [self.votes(survivors, at), self.rounds(survivors, at)].concat();
            next.extend(steps.into_iter().map(|step| {
                let mut after = survivors.clone();
                after[at] = step;
                after.sort_unstable();
                after
            }));
        }
        next
    }

    fn votes(&self, survivors: &Survivors, at: usize) -> Vec<Survivor> {
        let one = survivors[at];
        let lone = self.flaw == Some(Flaw::LonePrecommit);
        let Standing { prevoted, precommitted, .. } = one.standing();
        // With that flaw no prevote is needed first, and none follows.
        let standing = Standing { prevoted: prevoted || (lone && precommitted), ..one.standing() };
        let to_precommit = Standing { prevoted: prevoted || lone, ..standing };
        let mut steps = Vec::new();
        let prevotes = count(survivors, one.round, |other| other.prevote.is_some());
        if guards::may_precommit_nil(&to_precommit, one.round, prevotes, self.roster.quorum).allowed() {
            steps.push(Survivor { precommit: Some(None), ..one });
        }
        if self.flaw != Some(Flaw::NoNilPrevote) && guards::may_prevote_nil(&standing, one.round).allowed() {
            steps.push(Survivor { prevote: Some(None), ..one });
        }
        for value in self.values() {
            if !standing.prevoted && self.may_prevote(survivors, &one, value) {
                steps.push(Survivor { prevote: Some(Some(value)), ..one });
            }
            let prevotes = count(survivors, one.round, |other| other.prevote == Some(Some(value)));
            let pol = Pol { round: one.round, prevotes };
            if guards::may_precommit(&to_precommit, pol, Record::SOUND, self.roster.quorum).allowed() {
                let lock = Some((value, one.round));
                steps.push(Survivor { precommit: Some(Some(value)), lock, ..one });
            }
        }
        steps
    }

    /// Rule 2, with no POL or with that of any survivor's lock.
    fn may_prevote(&self, survivors: &Survivors, one: &Survivor, value: Value) -> bool {
        let standing = one.standing();
        let locked = one.lock.is_some_and(|(mine, _)| mine == value);
        let forbidden = self.expired && value == EXPIRED && !locked;
        let valid = !(forbidden && self.flaw == Some(Flaw::ClockInvalidates));
        let record = Record { held: true, valid, agreeable: !forbidden };
        let shown = survivors.iter().filter_map(|other| other.lock).filter(|(theirs, _)| *theirs == value);
        let pols = shown.map(|(_, round)| Some(Pol { round, prevotes: self.roster.quorum }));
        [None].into_iter().chain(pols).any(|pol| {
            let relied = guards::relies_on(&standing, &value, pol);
            let vote = Prevote { round: one.round, value, relied, pol, record };
            guards::may_prevote(&standing, &vote, self.roster.quorum).allowed()
        })
    }

    /// Rule 7: the next round on precommits of this one, or at once to where another survivor is.
    fn rounds(&self, survivors: &Survivors, at: usize) -> Vec<Survivor> {
        let one = survivors[at];
        let precommits = count(survivors, one.round, |other| other.precommit.is_some());
        let mut steps = Vec::new();
        let mut enter = |to, proof| {
            if to > one.round
                && to <= LAST_ROUND
                && guards::may_enter(one.round, to, proof, self.roster).allowed()
            {
                steps.push(Survivor { round: to, prevote: None, precommit: None, ..one });
            }
        };
        enter(Round(one.round.0 + 1), EntryProof { precommits_before: precommits, messages_of: 0 });
        for other in survivors {
            let shown = if self.flaw == Some(Flaw::NoEntryProof) { 0 } else { self.roster.quorum };
            let sent = |other: &Survivor| other.prevote.is_some() || other.precommit.is_some();
            let messages_of = count(survivors, other.round, sent);
            enter(other.round, EntryProof { precommits_before: shown, messages_of });
        }
        steps
    }
}

impl Survivor {
    fn of(seat: &Seat, round: Round) -> Self {
        let at = round.0 as usize;
        let set = |empty: bool, contains: &dyn Fn(Value) -> bool| {
            (!empty).then(|| (0..MAX_VALUES as u8).map(Value).find(|value| contains(*value)))
        };
        let prevotes = seat.prevotes[at];
        let precommits = seat.precommits[at];
        Self {
            round,
            prevote: set(prevotes.is_empty(), &|value| prevotes.contain(value)),
            precommit: set(precommits.is_empty(), &|value| precommits.contain(value)),
            lock: seat.memory.lock().map(|lock| (lock.value, lock.round)),
        }
    }

    fn standing(&self) -> Standing<Value> {
        Standing {
            round: self.round,
            prevoted: self.prevote.is_some(),
            precommitted: self.precommit.is_some(),
            lock: self.lock.map(|(value, round)| Lock { value, round }),
            mute: false,
        }
    }
}

/// Survivors in this round with such a vote: messages of rounds left behind are not to be had.
fn count(survivors: &Survivors, round: Round, vote: impl Fn(&Survivor) -> bool) -> usize {
    survivors.iter().filter(|other| other.round == round && vote(other)).count()
}

/// One pick from each list, in a sorted order, for all picks.
fn combinations(choices: &[Vec<Survivor>]) -> Vec<Survivors> {
    let start = vec![Vec::new()];
    let mut all = choices.iter().fold(start, |all, choice| {
        let longer =
            |one: &Survivors| choice.iter().map(|next| [one.as_slice(), &[*next]].concat()).collect();
        all.iter().flat_map(|one| -> Vec<Survivors> { longer(one) }).collect()
    });
    all.iter_mut().for_each(|one| one.sort_unstable());
    all
}
