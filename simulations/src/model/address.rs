//! M9, the second half: an address that one member has at a time (finding 32).
//!
//! Others acknowledge who has it, again and again. It is held while a quorum has acknowledged its holder within `hold`
//! ticks, by the holder's own clock, which may be slow by `SLACK`; and taken by another one when each of a quorum has
//! not acknowledged anybody else for `take` ticks. Members may be cut off at any time, and hang. Althing has no addresses
//! of its own yet: the rule is checked before it is built.

use std::fmt;

use stateright::{Model, Property};

use super::quorum::Electorate;
use super::voting::FIRES;

/// Nobody else has the address while somebody has it.
pub const EXCLUSIVE: &str = "an address has one holder";
/// It goes from one to another.
pub const TAKEN_OVER: &str = "an address is taken over";

const MEMBERS: usize = 3;
/// By so many ticks a holder may be late.
const SLACK: u8 = 1;
/// Ticks are not counted beyond this.
const LONG: u8 = 4;

/// How the two times are chosen, and whether a holder needs a quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It is taken later than it is let go: the policy `exclusive`.
    Exclusive,
    /// Planted: it is taken when a holder whose clock is right would have let go.
    TakenEarly,
    /// Without a quorum it is kept, as the policy `available` says: two holders are its price.
    Available,
}

/// Three members and one address.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    hold: u8,
    take: u8,
    rule: Rule,
}

/// All of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entity {
    members: [Member; MEMBERS],
    taken: bool,
    fired: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Member {
    /// Nobody hears it, and it hears nobody; it may still answer for the address.
    cut: bool,
    holds: bool,
    /// It has held it at some time.
    held: bool,
    /// Ticks since each other one acknowledged it last.
    acknowledged: [u8; MEMBERS],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    CutOff,
    Acknowledge(usize),
    Take,
    Tick,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    member: usize,
    does: Does,
}

impl Addresses {
    /// A rule with its times.
    pub const fn new(rule: Rule) -> Self {
        let hold = 2;
        let take = if matches!(rule, Rule::TakenEarly) { hold } else { hold + SLACK + 1 };
        Self { hold, take, rule }
    }

    fn quorum() -> usize {
        Electorate::majority(MEMBERS).quorum
    }

    /// Acknowledged by a quorum lately enough, itself included.
    fn is_backed(&self, member: &Member, at: usize) -> bool {
        let lately = |by: &usize| *by == at || member.acknowledged[*by] < self.hold + SLACK;
        (0..MEMBERS).filter(lately).count() >= Self::quorum()
    }

    fn may_take(&self, entity: &Entity, at: usize) -> bool {
        let heard = |by: &usize| !entity.members[*by].cut;
        let others = |by: usize| (0..MEMBERS).filter(move |of| *of != at && *of != by);
        let free = |by: &usize| {
            let own = *by == at || !entity.members[*by].holds;
            own && others(*by).all(|of| entity.members[of].acknowledged[*by] >= self.take)
        };
        heard(&at) && (0..MEMBERS).filter(heard).filter(free).count() >= Self::quorum()
    }
}

impl Model for Addresses {
    type State = Entity;
    type Action = Action;

    fn init_states(&self) -> Vec<Entity> {
        let member = Member { cut: false, holds: false, held: false, acknowledged: [LONG; MEMBERS] };
        vec![Entity { members: [member; MEMBERS], taken: false, fired: false }]
    }

    fn actions(&self, entity: &Entity, actions: &mut Vec<Action>) {
        actions.push(Action { member: 0, does: Does::Tick });
        for (member, one) in entity.members.iter().enumerate() {
            let mut act = |does| actions.push(Action { member, does });
            act(Does::CutOff);
            if !one.holds && self.may_take(entity, member) {
                act(Does::Take);
            }
            for by in (0..MEMBERS).filter(|by| *by != member) {
                if one.holds && !one.cut && !entity.members[by].cut && one.acknowledged[by] > 0 {
                    act(Does::Acknowledge(by));
                }
            }
        }
    }

    fn next_state(&self, entity: &Entity, action: Action) -> Option<Entity> {
        let mut next = *entity;
        let one = &mut next.members[action.member];
        match action.does {
            Does::CutOff => one.cut = !one.cut,
            Does::Acknowledge(by) => one.acknowledged[by] = 0,
            Does::Take => {
                // Who lets it be taken acknowledges whoever takes it.
                let agree: Vec<usize> =
                    (0..MEMBERS).filter(|by| *by != action.member && !entity.members[*by].cut).collect();
                agree.into_iter().for_each(|by| one.acknowledged[by] = 0);
                (one.holds, one.held) = (true, true);
                next.taken |= (0..MEMBERS).any(|at| at != action.member && entity.members[at].held);
                next.fired |= self.rule == Rule::TakenEarly;
            }
            Does::Tick => {
                for at in 0..MEMBERS {
                    let one = &mut next.members[at];
                    one.acknowledged.iter_mut().for_each(|since| *since = (*since + 1).min(LONG));
                    let backed = self.is_backed(&next.members[at], at);
                    let one = &mut next.members[at];
                    next.fired |= one.holds && !backed && self.rule == Rule::Available;
                    one.holds &= backed || self.rule == Rule::Available;
                }
            }
        }
        (next != *entity).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(EXCLUSIVE, |_: &Self, entity: &Entity| {
                entity.members.iter().filter(|one| one.holds).count() <= 1
            }),
            Property::sometimes(TAKEN_OVER, |_: &Self, entity: &Entity| entity.taken),
        ];
        if self.rule != Rule::Exclusive {
            properties.push(Property::sometimes(FIRES, |_: &Self, entity: &Entity| entity.fired));
        }
        properties
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |at: usize| char::from(b'A' + at as u8);
        let member = name(self.member);
        match self.does {
            Does::CutOff => write!(f, "{member} is cut off, or not any more"),
            Does::Acknowledge(by) => write!(f, "{} acknowledges {member}", name(by)),
            Does::Take => write!(f, "{member} takes the address"),
            Does::Tick => f.write_str("time passes"),
        }
    }
}
