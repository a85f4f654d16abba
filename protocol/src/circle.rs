//! Who watches whom (design §5.6; the observers of "Stable and Consistent Membership at Scale with Rapid", Suresh et
//! al., 2018). A function of the roster alone, so that all members at one epoch say the same of it.
//!
//! Members stand in rings, in the order of a hash. Whoever stands beside a member watches it and is watched by it:
//! with two rings, four. In a small entity the second ring is the first with every other left out, so that the four are
//! never the same. Large ones have more rings, whose neighbours keep a connection and pass on what is new.

use std::collections::{BTreeMap, BTreeSet};

use crate::gossip::FULL_MESH;
use crate::hash::Hash;
use crate::identity::MemberId;

/// Up to so many members each keeps a connection to every other; beyond, to its neighbours in all rings.
pub const EVERYBODY: usize = 32;
/// Rings whose neighbours watch each other.
const WATCHED: usize = 2;
/// All rings: a random graph of degree twelve, that stays in one piece when a third of the members is gone.
const RINGS: usize = 6;

/// Which of two neighbours asks the other whether it lives; the other answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asker {
    /// The member whose neighbours these are.
    Self_,
    /// The neighbour.
    Neighbour,
}

/// The rings of one roster. Members are numbers here: their places in the order of their keys.
#[derive(Clone, Debug, Default)]
pub struct Circle {
    ids: Vec<MemberId>,
    near: Vec<Vec<(usize, Asker)>>,
    linked: Vec<BTreeSet<usize>>,
}

impl Circle {
    /// The rings of these members, in whatever order they come.
    pub fn new(members: impl IntoIterator<Item = MemberId>) -> Self {
        let ids: Vec<MemberId> = members.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let mut circle = Self {
            near: vec![Vec::new(); ids.len()],
            linked: vec![BTreeSet::new(); if ids.len() > EVERYBODY { ids.len() } else { 0 }],
            ids,
        };
        circle.watch();
        if circle.ids.len() > EVERYBODY {
            for ring in 0..RINGS {
                let order = circle.order(ring);
                circle.link(&order);
            }
        }
        circle
    }

    fn watch(&mut self) {
        let count = self.ids.len();
        // The first edge of a pair says who asks.
        let mut askers: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for ring in 0..WATCHED {
            let small = count <= FULL_MESH;
            let (order, step) = if small { (self.order(0), ring + 1) } else { (self.order(ring), 1) };
            for (place, asker) in order.iter().copied().enumerate() {
                let asked = order[(place + step) % count];
                if asker != asked {
                    askers.entry((asker.min(asked), asker.max(asked))).or_insert(asker);
                }
            }
        }
        for ((a, b), asker) in askers {
            let (one, other) =
                if asker == a { (Asker::Self_, Asker::Neighbour) } else { (Asker::Neighbour, Asker::Self_) };
            self.near[a].push((b, one));
            self.near[b].push((a, other));
        }
    }

    fn order(&self, ring: usize) -> Vec<usize> {
        let place =
            |id: &MemberId| Hash::in_domain("althing ring 1", &[&[ring as u8][..], &id.0].concat()).low();
        let mut order: Vec<(u64, usize)> =
            self.ids.iter().enumerate().map(|(at, id)| (place(id), at)).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, at)| at).collect()
    }

    fn link(&mut self, order: &[usize]) {
        for (place, one) in order.iter().copied().enumerate() {
            let other = order[(place + 1) % order.len()];
            self.linked[one].insert(other);
            self.linked[other].insert(one);
        }
    }

    /// How many members.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The number of a member, if it is one of these.
    pub fn number(&self, id: &MemberId) -> Option<usize> {
        self.ids.binary_search(id).ok()
    }

    /// The member of a number.
    pub fn id(&self, number: usize) -> MemberId {
        self.ids[number]
    }

    /// Who watches a member, and is watched by it.
    pub fn near(&self, number: usize) -> &[(usize, Asker)] {
        &self.near[number]
    }

    /// Whom a member keeps a connection to; `None` if to everybody.
    pub fn linked(&self, number: usize) -> Option<&BTreeSet<usize>> {
        self.linked.get(number)
    }
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;

    fn ids(count: usize) -> Vec<MemberId> {
        (0..count).map(|at| MemberId(Hash::of(&(at as u64).to_be_bytes()).0)).collect()
    }

    fn reached(circle: &Circle, next: impl Fn(usize) -> Vec<usize>) -> usize {
        let (mut seen, mut queue) = (BTreeSet::from([0]), vec![0]);
        while let Some(at) = queue.pop() {
            queue.extend(next(at).into_iter().filter(|other| seen.insert(*other)).collect::<Vec<_>>());
        }
        assert!(seen.len() <= circle.len());
        seen.len()
    }

    #[test]
    fn each_has_up_to_four_watchers_and_none_is_watched_by_itself() {
        for count in 1..60 {
            let circle = Circle::new(ids(count));
            for at in 0..count {
                let near: BTreeSet<usize> = circle.near(at).iter().map(|(other, _)| *other).collect();
                assert_eq!(near.len(), circle.near(at).len(), "nobody twice");
                assert!(!near.contains(&at));
                let wanted = if count <= FULL_MESH { 4.min(count - 1) } else { 2 };
                assert!((wanted..=4).contains(&near.len()), "{} of {count}", near.len());
            }
            let all = reached(&circle, |at| circle.near(at).iter().map(|(other, _)| *other).collect());
            assert_eq!(all, count, "in one piece");
        }
    }

    #[test]
    fn of_two_neighbours_one_asks() {
        for count in [2, 3, 4, 9, 40] {
            let circle = Circle::new(ids(count));
            for at in 0..count {
                for (other, asker) in circle.near(at) {
                    let back = circle.near(*other).iter().find(|(back, _)| *back == at).expect("both ways");
                    assert_ne!(back.1, *asker);
                }
            }
        }
    }

    #[test]
    fn in_a_large_entity_each_keeps_a_dozen_connections_that_hold_it_together() {
        let circle = Circle::new(ids(1000));
        let degree = |at: usize| circle.linked(at).expect("not everybody").len();
        assert!((0..1000).all(|at| (8..=12).contains(&degree(at))));
        // Without every third.
        let alive = |at: &usize| *at == 0 || !at.is_multiple_of(3);
        let next = |at: usize| circle.linked(at).expect("known").iter().copied().filter(alive).collect();
        assert_eq!(reached(&circle, next), (0..1000).filter(alive).count());
        assert!(Circle::new(ids(EVERYBODY)).linked(0).is_none());
    }

    quickcheck! {
        fn the_order_of_the_roster_does_not_matter(count: u8) -> bool {
            let mut members = ids(usize::from(count % 40) + 1);
            let one = Circle::new(members.clone());
            members.reverse();
            let other = Circle::new(members);
            (0..one.len()).all(|at| one.near(at) == other.near(at) && one.id(at) == other.id(at))
        }
    }
}
