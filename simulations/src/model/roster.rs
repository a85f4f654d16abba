//! M7: the roster changes. What epoch e settles says who decides epoch e + 1, and nobody acts on it before it holds the
//! certificate: then any roster may follow any other, also one that shares nobody with it (design §5.2, finding 13).
//!
//! Two epochs on one growing board. Of the two values of the first epoch one leads to the new roster, the other leaves
//! the roster as it is; each of them is a parent of its own for the second epoch, and votes name their parent.

use std::collections::BTreeSet;
use std::fmt;

use stateright::{Model, Property};

use super::board::{Board, Seat, Value};
use super::quorum::Electorate;
use super::voting::{self, FIRES, Voting};

/// Name of the property.
pub const ONE_CHAIN: &str = "one certificate per epoch, each after the one before";
/// The roster that the first epoch settled settles something.
pub const NEW_DECIDES: &str = "the new roster decides";
/// So does the old one, when it stays.
pub const OLD_DECIDES: &str = "the old roster decides again";

/// The value that changes the roster.
const CHANGE: Value = Value(0);
const VALUES: u8 = 2;
/// Members of both rosters together, at most.
const MEMBERS: usize = 4;

/// Which rosters somebody is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Place {
    Both,
    Old,
    New,
    Nowhere,
}

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The next epoch begins on a quorum of prevotes instead of a certificate.
    ActsOnPol,
    /// Whether a change is settled is counted by the roster that it leads to.
    NewRosterCounts,
}

/// Two epochs.
#[derive(Clone, Copy, Debug)]
pub struct Rosters {
    places: [Place; MEMBERS],
    rounds: [usize; 2],
    flaw: Option<Flaw>,
}

/// Somebody in one of the rosters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Member {
    place: Place,
    first: Seat,
    /// Where it went from the first epoch: nobody votes in two branches, nor in an epoch that it has settled.
    parent: Option<Value>,
    second: Seat,
}

/// All that was ever sent in both epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Chain {
    members: [Member; MEMBERS],
    fired: bool,
}

/// Somebody votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    member: usize,
    /// In the second epoch, after this.
    parent: Option<Value>,
    fired: bool,
    vote: voting::Action,
}

impl Rosters {
    /// So many members stay, so many go, and so many come; with so many rounds in each epoch.
    pub const fn new(stay: usize, go: usize, come: usize, rounds: [usize; 2]) -> Self {
        let mut places = [Place::Nowhere; MEMBERS];
        let mut at = 0;
        while at < stay + go + come {
            places[at] = if at < stay {
                Place::Both
            } else if at < stay + go {
                Place::Old
            } else {
                Place::New
            };
            at += 1;
        }
        Self { places, rounds, flaw: None }
    }

    /// With a planted bug.
    pub const fn with(self, flaw: Flaw) -> Self {
        Self { flaw: Some(flaw), ..self }
    }

    /// Who decides what follows a value; `None` for the first epoch.
    fn voters(&self, parent: Option<Value>) -> impl Iterator<Item = usize> {
        let votes = move |place: Place| match place {
            Place::Both => true,
            Place::Old => parent != Some(CHANGE),
            Place::New => parent == Some(CHANGE),
            Place::Nowhere => false,
        };
        let places = self.places;
        (0..MEMBERS).filter(move |at| votes(places[*at]))
    }

    fn rules(&self, parent: Option<Value>) -> Voting {
        let rounds = self.rounds[usize::from(parent.is_some())];
        Voting::new(Electorate::majority(self.voters(parent).count()), rounds, VALUES)
    }

    /// One epoch after one parent, as the rules of voting know it.
    fn board(&self, chain: &Chain, parent: Option<Value>) -> Board {
        let mut board = Board::default();
        for (seat, at) in self.voters(parent).enumerate() {
            let member = &chain.members[at];
            match parent {
                None => board.seats[seat] = member.first,
                Some(_) if member.parent == parent => board.seats[seat] = member.second,
                Some(_) => {}
            }
        }
        board
    }

    fn settled(&self, chain: &Chain, parent: Option<Value>) -> BTreeSet<Value> {
        let mut settled = self.rules(parent).settled(&self.board(chain, parent));
        if parent.is_none() && self.flaw == Some(Flaw::NewRosterCounts) {
            let mut board = Board::default();
            for (seat, at) in self.voters(Some(CHANGE)).enumerate() {
                board.seats[seat] = chain.members[at].first;
            }
            let count = self.voters(Some(CHANGE)).count();
            let rules = Voting::new(Electorate::majority(count), self.rounds[0], VALUES);
            settled.extend(rules.settled(&board).into_iter().filter(|value| *value == CHANGE));
        }
        settled
    }

    /// Values after which somebody may vote, each with whether only the bug says so.
    fn parents(&self, chain: &Chain) -> Vec<(Value, bool)> {
        let settled = self.settled(chain, None);
        let sound = self.rules(None).settled(&self.board(chain, None));
        let polled = |value: &Value| {
            let board = self.board(chain, None);
            let quorum = self.rules(None).roster.quorum;
            let prevoted =
                |round: usize| board.seats.iter().filter(|seat| seat.prevotes[round].contain(*value)).count();
            self.flaw == Some(Flaw::ActsOnPol) && (0..self.rounds[0]).any(|round| prevoted(round) >= quorum)
        };
        let values = (0..VALUES).map(Value);
        let begun = values.filter(|value| settled.contains(value) || polled(value));
        begun.map(|value| (value, !sound.contains(&value))).collect()
    }

    fn votes(&self, chain: &Chain, parent: Option<Value>, fired: bool, actions: &mut Vec<Action>) {
        let members: Vec<usize> = self.voters(parent).collect();
        let mut votes = Vec::new();
        self.rules(parent).actions(&self.board(chain, parent), &mut votes);
        actions.extend(votes.into_iter().filter_map(|vote| {
            let member = *members.get(vote.seat)?;
            let at = chain.members[member].parent;
            (at == parent || at.is_none()).then_some(Action { member, parent, fired, vote })
        }));
    }

    /// What is settled in the second epoch, with its parent.
    fn decisions(&self, chain: &Chain) -> Vec<(Value, Value)> {
        let settled =
            |parent| self.settled(chain, Some(parent)).into_iter().map(move |value| (parent, value));
        (0..VALUES).map(Value).flat_map(settled).collect()
    }
}

impl Chain {
    /// The least of the states that differ only in the names of like members and of the second epoch's values.
    pub fn representative(&self) -> Self {
        let named = |names: &[u8]| {
            let mut chain = *self;
            for member in &mut chain.members {
                member.second = member.second.renamed(names);
            }
            chain.members.sort_unstable();
            chain
        };
        named(&[0, 1]).min(named(&[1, 0]))
    }
}

impl Model for Rosters {
    type State = Chain;
    type Action = Action;

    fn init_states(&self) -> Vec<Chain> {
        let member = |place| Member { place, first: Seat::default(), parent: None, second: Seat::default() };
        vec![Chain { members: self.places.map(member), fired: false }]
    }

    fn actions(&self, chain: &Chain, actions: &mut Vec<Action>) {
        self.votes(chain, None, false, actions);
        for (parent, fired) in self.parents(chain) {
            self.votes(chain, Some(parent), fired, actions);
        }
    }

    fn next_state(&self, chain: &Chain, action: Action) -> Option<Chain> {
        let rules = self.rules(action.parent);
        let board = rules.next_state(&self.board(chain, action.parent), action.vote)?;
        let mut next = *chain;
        next.fired |= action.fired;
        let member = &mut next.members[action.member];
        let seat = board.seats[action.vote.seat];
        match action.parent {
            None => member.first = seat,
            Some(_) => (member.parent, member.second) = (action.parent, seat),
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(ONE_CHAIN, |model: &Self, chain: &Chain| {
                let first = model.settled(chain, None);
                let second = model.decisions(chain);
                first.len() <= 1
                    && second.len() <= 1
                    && second.iter().all(|(parent, _)| first.contains(parent))
            }),
            Property::sometimes(NEW_DECIDES, |model: &Self, chain: &Chain| {
                !model.settled(chain, Some(CHANGE)).is_empty()
            }),
            Property::sometimes(OLD_DECIDES, |model: &Self, chain: &Chain| {
                !model.settled(chain, Some(Value(1))).is_empty()
            }),
        ];
        if self.flaw.is_some() {
            properties.push(Property::sometimes(FIRES, |model: &Self, chain: &Chain| {
                let sound = model.rules(None).settled(&model.board(chain, None));
                chain.fired || model.settled(chain, None) != sound
            }));
        }
        properties
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seat = self.vote.seat;
        let vote = self.vote.to_string();
        let vote = vote.split_once(' ').map_or("", |(_, rest)| rest);
        let name = char::from(b'A' + self.member as u8);
        let epoch = self.parent.map_or("in the first epoch".to_owned(), |Value(of)| format!("after v{of}"));
        let planted = if self.fired { "  <- planted" } else { "" };
        write!(f, "{name} (seat {seat}) {vote} {epoch}{planted}")
    }
}
