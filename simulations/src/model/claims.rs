//! M9, the first half: what is run must be run at most once, without a controller (finding 30).
//!
//! An `act` is run by whoever a settled record says: the record is the claim, and it is settled once. Members may be cut
//! off from each other at any time, and one may die for ever, also between its claim and the act. Althing has no acts
//! yet: the rule is checked before it is built.

use std::fmt;

use stateright::{Model, Property};

use super::quorum::Electorate;
use super::voting::FIRES;

/// Invariant 12.
pub const ONCE: &str = "an act is run at most once";
/// It is run in some state.
pub const RUN: &str = "an act is run";
/// Its claimant died before it ran: "claimed, outcome unknown".
pub const UNKNOWN: &str = "a claimant dies before it runs the act";

const MEMBERS: usize = 3;

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Whoever thinks that it is its turn runs the act, without a record.
    Unclaimed,
    /// A claim whose claimant is not heard is settled again for another.
    ClaimedAgain,
    /// A claim counts before it is settled.
    ClaimedAlone,
}

/// Three members, one firing of one rule.
#[derive(Clone, Copy, Debug, Default)]
pub struct Acts {
    flaw: Option<Flaw>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Member {
    /// Nobody hears it, and it hears nobody.
    cut: bool,
    dead: bool,
    /// A record names it as who runs the act.
    claimed: bool,
    /// It holds the newest record.
    knows: bool,
    ran: bool,
}

/// All of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entity {
    members: [Member; MEMBERS],
    fired: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    CutOff,
    Die,
    Claim,
    Learn,
    Run,
}

/// One step of one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    member: usize,
    does: Does,
    fired: bool,
}

impl Acts {
    /// The rule as it is.
    pub const fn new() -> Self {
        Self { flaw: None }
    }

    /// With a planted bug.
    pub const fn with(flaw: Flaw) -> Self {
        Self { flaw: Some(flaw) }
    }

    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }
}

impl Entity {
    /// The least of the states that differ only in who is who.
    pub fn representative(&self) -> Self {
        let mut least = *self;
        least.members.sort_unstable();
        least
    }

    /// Whether this member hears a quorum, itself included.
    fn has_quorum(&self, at: usize) -> bool {
        let heard = |one: &&Member| !one.cut && !one.dead;
        let count = self.members.iter().filter(heard).count();
        heard(&&self.members[at]) && count >= Electorate::majority(MEMBERS).quorum
    }
}

impl Model for Acts {
    type State = Entity;
    type Action = Action;

    fn init_states(&self) -> Vec<Entity> {
        vec![Entity::default()]
    }

    fn actions(&self, entity: &Entity, actions: &mut Vec<Action>) {
        let claims = entity.members.iter().filter(|one| one.claimed).count();
        let silent = entity.members.iter().any(|one| one.claimed && (one.cut || one.dead));
        for (member, one) in entity.members.iter().enumerate().filter(|(_, one)| !one.dead) {
            let mut act = |does, fired| actions.push(Action { member, does, fired });
            let quorum = entity.has_quorum(member);
            act(Does::CutOff, false);
            if entity.members.iter().all(|one| !one.dead) {
                act(Does::Die, false);
            }
            let again = self.is(Flaw::ClaimedAgain) && claims == 1 && silent;
            let alone = self.is(Flaw::ClaimedAlone) && !quorum && !one.knows;
            if !one.claimed && (quorum && (claims == 0 || again) || alone) {
                act(Does::Claim, claims > 0 || alone);
            }
            if quorum && claims > 0 && !one.knows {
                act(Does::Learn, false);
            }
            if one.claimed && one.knows && !one.ran {
                act(Does::Run, false);
            } else if self.is(Flaw::Unclaimed) && !one.ran && !one.knows {
                act(Does::Run, true);
            }
        }
    }

    fn next_state(&self, entity: &Entity, action: Action) -> Option<Entity> {
        let mut next = *entity;
        next.fired |= action.fired;
        let one = &mut next.members[action.member];
        match action.does {
            Does::CutOff => one.cut = !one.cut,
            Does::Die => one.dead = true,
            Does::Claim => (one.claimed, one.knows) = (true, one.knows || action.fired),
            Does::Learn => one.knows = true,
            Does::Run => one.ran = true,
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(ONCE, |_: &Self, entity: &Entity| {
                entity.members.iter().filter(|one| one.ran).count() <= 1
            }),
            Property::sometimes(RUN, |_: &Self, entity: &Entity| entity.members.iter().any(|one| one.ran)),
            Property::sometimes(UNKNOWN, |_: &Self, entity: &Entity| {
                entity.members.iter().any(|one| one.claimed && one.dead && !one.ran)
            }),
        ];
        if self.flaw.is_some() {
            properties.push(Property::sometimes(FIRES, |_: &Self, entity: &Entity| entity.fired));
        }
        properties
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let does = match self.does {
            Does::CutOff => "is cut off, or not any more",
            Does::Die => "dies",
            Does::Claim => "claims the act",
            Does::Learn => "learns who has claimed it",
            Does::Run => "runs the act",
        };
        let planted = if self.fired { "  <- planted" } else { "" };
        write!(f, "{} {does}{planted}", char::from(b'A' + self.member as u8))
    }
}
