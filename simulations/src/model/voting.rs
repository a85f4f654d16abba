//! The model the checker explores: every step every honest voter could take by the guards.

use std::collections::BTreeSet;
use std::fmt;

use stateright::{Expectation, Model, Property};

use super::board::{Board, MAX_ROUNDS, MAX_SEATS, Memory, Seat, Value};
use super::guards::{self, Lock, Pol, Prevote, Record, Round, Standing, contradict};
use super::mutation::{Kind, Mutation};
use super::quorum::Electorate;
use super::verdict::Verdict;

/// Names of the properties.
pub const AGREEMENT: &str = "agreement";
/// A decision in a later round than the first is possible.
pub const LATER_ROUND: &str = "decides in a round > 0";
/// The planted bug or fault happens.
pub const FIRES: &str = "the planted bug fires";
/// Nobody who kept its word looks as if it had not.
pub const NO_FALSE_PROOF: &str = "no honest voter is accused";
/// When two values settle, two signatures of one key say who did it (invariant 9).
pub const FORK_PROVED: &str = "a fork is proved by two signatures";

/// Whether prevotes carry the round they relied on. It multiplies the states and does not bear on agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relied {
    /// Carried and checked.
    Signed,
    /// Left out.
    Ignored,
}

/// Whether nil votes are steps of their own.
///
/// For agreement they may be left out. A nil vote only ever takes something from its sender: its vote of that
/// kind in that round, and all rounds before; and a precommit comes after a prevote, which may be nil, so that
/// where they are left out a precommit needs none (`standing_to_precommit`). Strike all nil votes out of a run and
/// each vote for a value is still allowed, with the same certificates at the end; so a fork with nil votes is a
/// fork without them.
/// [`Nils::Cast`] checks that argument where it can be afforded (sixty to six hundred times the states).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nils {
    /// Rules 3 and 5 are steps.
    Cast,
    /// Rules 3 and 5 do not occur.
    LeftOut,
}

/// One configuration of the voting rules.
#[derive(Clone, Copy, Debug)]
pub struct Voting {
    /// Who votes.
    pub roster: Electorate,
    /// How many rounds there are.
    pub rounds: usize,
    /// How many values there are.
    pub values: u8,
    /// The planted bug.
    pub mutation: Option<Mutation>,
    /// Whether prevotes say what they relied on.
    pub relied: Relied,
    /// Whether nil votes are cast.
    pub nils: Nils,
}

/// A step of one seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    /// Who.
    pub seat: usize,
    /// What.
    pub step: Step,
    /// It is there only because of the planted bug or fault.
    pub fired: bool,
    /// The vote leaves and is forgotten: [`Mutation::VoteBeforeDurable`].
    pub forgotten: bool,
}

/// What a seat can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Prevote a value or nil, with the round relied on.
    Prevote(Round, Option<Value>, Option<Round>),
    /// Precommit a value or nil.
    Precommit(Round, Option<Value>),
    /// Lock without a vote, which only a bug does.
    Relock(Lock<Value>),
    /// The store is put back.
    Restore,
}

/// Which voters are counted: all of the roster, or one side of a partition.
#[derive(Clone, Copy)]
enum Count {
    Roster,
    Side(u8),
}

impl Voting {
    /// The plain rules, nil votes left out.
    pub const fn new(roster: Electorate, rounds: usize, values: u8) -> Self {
        Self { roster, rounds, values, mutation: None, relied: Relied::Ignored, nils: Nils::LeftOut }
    }

    /// With nil votes.
    pub const fn casting_nils(self) -> Self {
        Self { nils: Nils::Cast, ..self }
    }

    /// With a planted bug.
    pub const fn with(self, mutation: Mutation) -> Self {
        Self { mutation: Some(mutation), ..self }
    }

    /// With the rounds relied on.
    pub const fn signing_relied(self) -> Self {
        Self { relied: Relied::Signed, ..self }
    }

    /// The properties that a failure breaks.
    pub fn failures(&self) -> impl Iterator<Item = &'static str> {
        self.names(|expectation| matches!(expectation, Expectation::Always))
    }

    /// The properties that must be reached somewhere.
    pub fn reached(&self) -> impl Iterator<Item = &'static str> {
        self.names(|expectation| matches!(expectation, Expectation::Sometimes))
    }

    fn names(&self, wanted: fn(&Expectation) -> bool) -> impl Iterator<Item = &'static str> {
        let properties = self.properties().into_iter();
        properties.filter(move |property| wanted(&property.expectation)).map(|property| property.name)
    }

    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    fn rounds(&self) -> impl Iterator<Item = Round> + use<> {
        (0..self.rounds as u32).map(Round)
    }

    fn values(&self) -> impl Iterator<Item = Value> + use<> {
        (0..self.values).map(Value)
    }

    /// The honest voters.
    pub fn seats<'a>(&self, board: &'a Board) -> &'a [Seat] {
        &board.seats[..self.roster.honest().min(MAX_SEATS)]
    }

    /// Distinct voters with such a vote, the liars' help included, and how many are needed.
    fn count(&self, board: &Board, count: Count, vote: impl Fn(&Seat) -> bool) -> (usize, usize) {
        let seats = self.seats(board).iter();
        let (votes, quorum) = match count {
            Count::Roster => (seats.filter(|seat| vote(seat)).count(), self.roster.quorum),
            Count::Side(side) => {
                let mine = seats.filter(|seat| seat.side == side);
                let quorum = mine.clone().count() / 2 + 1;
                (mine.filter(|seat| vote(seat)).count(), quorum)
            }
        };
        (votes + self.roster.liars, quorum)
    }

    fn prevotes_for(&self, board: &Board, count: Count, round: Round, value: Value) -> (Pol, usize) {
        let at = round.0 as usize;
        let (prevotes, quorum) = self.count(board, count, |seat| seat.prevotes[at].contain(value));
        (Pol { round, prevotes }, quorum)
    }

    /// The values some member could hold a certificate for, counted properly or as the bug does.
    pub fn settled(&self, board: &Board) -> BTreeSet<Value> {
        let mut settled = self.settled_properly(board);
        if self.is(Mutation::MixedRounds) {
            settled.extend(self.values().filter(|value| {
                let any_round = |seat: &Seat| seat.precommits.iter().any(|set| set.contain(*value));
                let (votes, quorum) = self.count(board, Count::Roster, any_round);
                votes >= quorum
            }));
        }
        if self.is(Mutation::QuorumOfReachable) {
            settled.extend(self.settled_by(board, Count::Side(0)));
            settled.extend(self.settled_by(board, Count::Side(1)));
        }
        settled
    }

    fn settled_properly(&self, board: &Board) -> BTreeSet<Value> {
        self.settled_by(board, Count::Roster).collect()
    }

    fn settled_by<'a>(&'a self, board: &'a Board, count: Count) -> impl Iterator<Item = Value> + 'a {
        self.values()
            .filter(move |value| self.rounds().any(|round| self.settles(board, count, round, *value)))
    }

    fn settles(&self, board: &Board, count: Count, round: Round, value: Value) -> bool {
        let at = round.0 as usize;
        let (votes, quorum) = self.count(board, count, |seat| seat.precommits[at].contain(value));
        guards::may_settle(votes, quorum).allowed()
    }

    fn fires(&self, board: &Board) -> bool {
        board.fired || self.settled(board) != self.settled_properly(board)
    }

    fn settles_later(&self, board: &Board) -> bool {
        let later = || self.rounds().skip(1);
        let roster = |value| later().any(|round| self.settles(board, Count::Roster, round, value));
        self.values().any(roster)
    }

    fn proves(&self, seat: &Seat) -> bool {
        let signed = seat.signed();
        signed.iter().any(|first| signed.iter().any(|second| contradict(first, second)))
    }
}

/// All steps of one seat on one board.
struct Steps<'a> {
    model: &'a Voting,
    board: &'a Board,
    at: usize,
    actions: &'a mut Vec<Action>,
}

impl Steps<'_> {
    fn seat(&self) -> &Seat {
        &self.board.seats[self.at]
    }

    /// What the seat holds when it steps in this round. Going to a later round is free, so it goes there first.
    fn standing(&self, round: Round) -> Standing<Value> {
        let Seat { memory, .. } = self.seat();
        let bit = 1 << round.0;
        Standing {
            round: memory.round().max(round),
            prevoted: memory.prevoted & bit != 0,
            precommitted: memory.precommitted & bit != 0,
            lock: memory.lock(),
            mute: memory.mute,
        }
    }

    fn all(&mut self) {
        for round in self.model.rounds() {
            if self.model.nils == Nils::Cast {
                self.nils(round);
            }
            for value in self.model.values() {
                self.prevotes(round, value);
                self.precommit(round, value);
            }
        }
        if self.model.mutation.is_some_and(Mutation::restores) {
            self.restore();
        }
    }

    fn nils(&mut self, round: Round) {
        let standing = self.standing(round);
        let verdict = guards::may_prevote_nil(&standing, round);
        self.judge(Kind::Prevote, Step::Prevote(round, None, None), |_| verdict);
        let (model, board, at) = (self.model, self.board, round.0 as usize);
        self.judge(Kind::Precommit, Step::Precommit(round, None), |count| {
            let (votes, quorum) = model.count(board, count, |seat| !seat.prevotes[at].is_empty());
            guards::may_precommit_nil(&standing, round, votes, quorum)
        });
    }

    fn prevotes(&mut self, round: Round, value: Value) {
        let before = self.actions.len();
        self.prevote(round, value, None);
        for shown in self.model.rounds() {
            let enough =
                |actions: &Vec<Action>| actions.len() > before && self.model.relied == Relied::Ignored;
            if enough(self.actions) {
                return;
            }
            self.prevote(round, value, Some(shown));
        }
    }

    fn prevote(&mut self, round: Round, value: Value, shown: Option<Round>) {
        let (model, board, standing) = (self.model, self.board, self.standing(round));
        let vote = |count| {
            let pol = shown.map(|shown| model.prevotes_for(board, count, shown, value));
            let quorum = pol.map_or(model.roster.quorum, |(_, quorum)| quorum);
            let pol = pol.map(|(pol, _)| pol).filter(|pol| pol.prevotes >= quorum);
            let relied = guards::relies_on(&standing, &value, pol);
            (Prevote { round, value, relied, pol, record: Record::SOUND }, quorum)
        };
        let (cast, quorum) = vote(Count::Roster);
        if shown.is_some() && cast.pol.is_none() && !self.model.is(Mutation::QuorumOfReachable) {
            return;
        }
        let kept = |relied| if model.relied == Relied::Signed { relied } else { None };
        self.judge(Kind::Prevote, Step::Prevote(round, Some(value), kept(cast.relied)), |count| {
            let (cast, quorum) = vote(count);
            guards::may_prevote(&standing, &cast, quorum)
        });
        if model.is(Mutation::LockNotSigned) && cast.relied.is_some() {
            let cast = Prevote { relied: cast.pol.map(|pol| pol.round), ..cast };
            self.judge(Kind::Prevote, Step::Prevote(round, Some(value), cast.relied), |_| {
                guards::may_prevote(&standing, &cast, quorum)
            });
        }
    }

    fn precommit(&mut self, round: Round, value: Value) {
        let (model, board, standing) = (self.model, self.board, self.standing_to_precommit(round));
        self.judge(Kind::Precommit, Step::Precommit(round, Some(value)), |count| {
            let (pol, quorum) = model.prevotes_for(board, count, round, value);
            guards::may_precommit(&standing, pol, Record::SOUND, quorum)
        });
        let lock = Lock { value, round };
        if model.is(Mutation::LockLowered) && standing.round > round && standing.lock != Some(lock) {
            let (pol, quorum) = model.prevotes_for(board, Count::Roster, round, value);
            let verdict = guards::may_lock(&standing, pol, quorum);
            self.judge(Kind::Lock, Step::Relock(lock), |_| verdict);
        }
    }

    fn restore(&mut self) {
        let once = self.model.seats(self.board).iter().all(|seat| !seat.restored);
        if once && self.seat().memory != Memory::default() {
            self.actions.push(Action { seat: self.at, step: Step::Restore, fired: true, forgotten: false });
        }
    }

    /// The same for a precommit: where nil votes do not occur, the prevote that comes before it may have been one.
    fn standing_to_precommit(&self, round: Round) -> Standing<Value> {
        let standing = self.standing(round);
        Standing { prevoted: standing.prevoted || self.model.nils == Nils::LeftOut, ..standing }
    }

    /// Takes a step up if the guards allow it, or if the planted bug forgives what they object to.
    fn judge(&mut self, kind: Kind, step: Step, verdict: impl Fn(Count) -> Verdict) {
        let strict = verdict(Count::Roster);
        let fired = !strict.allowed();
        let lenient = match self.model.mutation {
            Some(Mutation::QuorumOfReachable) => verdict(Count::Side(self.seat().side)),
            Some(mutation) => mutation.judge(kind, strict),
            None => strict,
        };
        if (fired && !lenient.allowed()) || self.signed_before(step) || self.is_left_out(step) {
            return;
        }
        self.actions.push(Action { seat: self.at, step, fired, forgotten: false });
        if self.model.is(Mutation::VoteBeforeDurable) {
            self.actions.push(Action { seat: self.at, step, fired: true, forgotten: true });
        }
    }

    /// Whether a prevote would come after the precommit of its round, where it is left out then.
    fn is_left_out(&self, step: Step) -> bool {
        self.model.is(Mutation::LonePrecommit)
            && matches!(step, Step::Prevote(round, ..) if !self.seat().precommits[round.0 as usize].is_empty())
    }

    /// Whether a restored voter would sign a second time in a round, where the configuration spares it that.
    fn signed_before(&self, step: Step) -> bool {
        self.model.is(Mutation::StoreRestoredSingleSignature)
            && match step {
                Step::Prevote(round, ..) => !self.seat().prevotes[round.0 as usize].is_empty(),
                Step::Precommit(round, _) => !self.seat().precommits[round.0 as usize].is_empty(),
                Step::Relock(_) | Step::Restore => false,
            }
    }
}

impl Model for Voting {
    type State = Board;
    type Action = Action;

    fn init_states(&self) -> Vec<Board> {
        let mut board = Board::default();
        if self.is(Mutation::QuorumOfReachable) {
            board.seats[0].side = 1;
        }
        vec![board]
    }

    fn actions(&self, board: &Board, actions: &mut Vec<Action>) {
        for at in 0..self.seats(board).len() {
            Steps { model: self, board, at, actions }.all();
        }
    }

    fn next_state(&self, board: &Board, action: Action) -> Option<Board> {
        let mut next = *board;
        next.fired |= action.fired;
        let seat = &mut next.seats[action.seat];
        let before = seat.memory;
        match action.step {
            Step::Prevote(round, vote, relied) => {
                seat.prevotes[round.0 as usize].add(vote, relied);
                seat.memory.prevoted |= 1 << round.0;
            }
            Step::Precommit(round, vote) => {
                seat.precommits[round.0 as usize].add(vote);
                seat.memory.precommitted |= 1 << round.0;
                self.lock_with(&mut seat.memory, round, vote);
            }
            Step::Relock(lock) => seat.memory.set_lock(lock),
            Step::Restore => {
                seat.restored = true;
                seat.memory = Memory::default();
                seat.memory.mute = self.is(Mutation::StoreRestoredMute);
            }
        }
        if action.forgotten {
            seat.memory = before;
        }
        (next != *board).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties =
            vec![Property::always(AGREEMENT, |model: &Self, board: &Board| model.settled(board).len() <= 1)];
        if self.rounds > 1 && self.rounds <= MAX_ROUNDS {
            properties.push(Property::sometimes(LATER_ROUND, Self::settles_later));
        }
        if self.mutation.is_some() {
            properties.push(Property::sometimes(FIRES, Self::fires));
        }
        if self.relied == Relied::Signed {
            properties.push(Property::always(NO_FALSE_PROOF, |model: &Self, board: &Board| {
                model.seats(board).iter().filter(|seat| !seat.restored).all(|seat| !model.proves(seat))
            }));
            properties.push(Property::always(FORK_PROVED, |model: &Self, board: &Board| {
                model.settled(board).len() <= 1 || model.seats(board).iter().any(|seat| model.proves(seat))
            }));
        }
        properties
    }
}

impl Voting {
    /// Rule 4: a precommit for a value locks it, or, with a bug, does so even where the lock is younger.
    fn lock_with(&self, memory: &mut Memory, round: Round, vote: Option<Value>) {
        let Some(value) = vote else { return };
        let younger = memory.lock().is_some_and(|lock| lock.round > round);
        if !(younger && self.is(Mutation::LatePrecommitLockRaised)) {
            memory.set_lock(Lock { value, round });
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |vote: Option<Value>| vote.map_or("nil".to_owned(), |Value(value)| format!("v{value}"));
        write!(f, "{} ", char::from(b'A' + self.seat as u8))?;
        match self.step {
            Step::Prevote(Round(round), vote, relied) => {
                write!(f, "prevotes {} in r{round}", name(vote))?;
                relied.map_or(Ok(()), |Round(relied)| write!(f, " relying on r{relied}"))
            }
            Step::Precommit(Round(round), vote) => write!(f, "precommits {} in r{round}", name(vote)),
            Step::Relock(Lock { value, round }) => write!(f, "locks v{} of r{}", value.0, round.0),
            Step::Restore => f.write_str("has its store put back"),
        }?;
        let note = match (self.forgotten, self.fired) {
            (true, _) => " and forgets it",
            (false, true) => "  <- planted",
            (false, false) => "",
        };
        f.write_str(note)
    }
}
