//! M8: content over a chain that settles one thing after another (design §5.3, §5.4; PROTOCOL.md C2-C11).
//!
//! The members settle what they settle at once here: that they can is what the rest of the model is about. What is left
//! is when content may be settled at all. Everything else takes as long as it likes: learning a record, staging, applying
//! (a crash in the middle of it goes forward, so it is only slow), repairing, throwing away what nobody promised. People
//! open windows, commit, abort, and change live trees; at most so many times.

use std::fmt;

use stateright::{Model, Property};

use super::quorum::Electorate;
use super::voting::FIRES;

/// Invariants 4, 5 and 10 of design §5.5, as the review corrected them.
pub const CERTIFIED: &str = "what is applied was settled, or somebody put it there";
/// Who promised what was settled can serve it.
pub const HELD: &str = "who promised what is settled holds it";
/// A settled root goes by word of people only: a commit, or real edits of more than half after they had applied it.
pub const KEPT: &str = "nothing is undone that nobody undid";
/// Somebody's window was committed.
pub const COMMITTED: &str = "a commit";
/// The same drift on a majority was settled.
pub const ADOPTED: &str = "an adoption";
/// Drift was put right.
pub const REPAIRED: &str = "a repair";

const MEMBERS: usize = 4;
const EPOCHS: usize = 4;

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A member that has not applied what is settled shows its old tree as drift (finding 2).
    ShowsUnapplied,
    /// What members show is evidence, no promise is asked for (finding 5).
    ShownIsEvidence,
    /// What was promised may be thrown away (finding 5).
    DropsPromised,
    /// An apply begins before its content is there.
    AppliesLacking,
    /// What was settled before may be settled again by drift: harmless while unapplied trees are no drift.
    FormerReturns,
}

/// One configuration.
#[derive(Clone, Copy, Debug)]
pub struct Contents {
    pub(super) members: usize,
    roots: u8,
    /// Records on top of the first one.
    epochs: u8,
    /// Changes of live trees by people, in all.
    edits: u8,
    flaw: Option<Flaw>,
}

/// A set of roots.
type Roots = u8;

const fn bit(root: u8) -> Roots {
    1 << root
}

/// A live tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Live {
    /// Exactly this root.
    Root(u8),
    /// On the way to the root of what was known when the apply began.
    Between(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Member {
    /// The newest record that it has.
    known: u8,
    /// The newest record whose root it has applied.
    applied: u8,
    live: Live,
    /// What is complete in its store.
    store: Roots,
    /// What it has promised since it learned what it knows.
    promised: Roots,
    /// Drift that it has shown since then.
    shown: Roots,
    /// What people really made of its tree since it applied what it knows.
    edited: Roots,
    /// Its promise is in the evidence of the newest record.
    evidence: bool,
    /// Somebody put there what is in its live tree.
    by_hand: bool,
    /// The window is its own.
    author: bool,
}

/// All of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entity {
    members: [Member; MEMBERS],
    /// Settled roots, by epoch.
    chain: [u8; EPOCHS],
    epoch: u8,
    /// A window is open, for this root.
    window: Option<u8>,
    edits: u8,
    /// The newest record is a commit, or an adoption that more than half really edited.
    meant: bool,
    adopted: bool,
    repaired: bool,
    fired: bool,
}

/// What a member, or somebody on it, does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// People.
    Open(u8),
    /// The window ends without a revision.
    Abort,
    /// The window's root is settled.
    Commit,
    /// A live tree is changed.
    Edit(u8),
    /// A record is learned.
    Learn,
    /// The window's root, or what is in the live tree, is put in the store and promised.
    Promise(u8),
    /// Content comes from another member.
    Fetch,
    /// An apply begins.
    Begin,
    /// An apply ends.
    End,
    /// A list is published: this tree is not what is settled.
    Show,
    /// Drift is put right.
    Repair,
    /// What a majority shows and holds is settled.
    Adopt(u8),
    /// Content is thrown away.
    Drop(u8),
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    member: usize,
    act: Act,
    fired: bool,
}

impl Contents {
    /// The rules as they are.
    pub const fn new(members: usize, roots: u8, epochs: u8, edits: u8) -> Self {
        Self { members, roots, epochs, edits, flaw: None }
    }

    /// With a planted bug.
    pub const fn with(self, flaw: Flaw) -> Self {
        Self { flaw: Some(flaw), ..self }
    }

    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn quorum(&self) -> usize {
        Electorate::majority(self.members).quorum
    }

    /// Members that know the head, and of which this is so.
    fn count(&self, entity: &Entity, is_so: impl Fn(&Member) -> bool) -> usize {
        entity.members[..self.members].iter().filter(|one| one.known == entity.epoch && is_so(one)).count()
    }

    /// Whether drift may be settled; and whether it is only because of the planted bug.
    fn adoptable(&self, entity: &Entity, root: u8) -> Option<bool> {
        let former = entity.chain[..=usize::from(entity.epoch)].contains(&root);
        if entity.window.is_some()
            || (former && !self.is(Flaw::FormerReturns) && !self.is(Flaw::ShowsUnapplied))
        {
            return None;
        }
        let has = |set: Roots| set & bit(root) != 0;
        let shown = self.count(entity, |one| has(one.shown));
        let promised = self.count(entity, |one| has(one.promised));
        let sound = promised >= self.quorum();
        (shown >= self.quorum() && (sound || self.is(Flaw::ShownIsEvidence))).then_some(!sound || former)
    }

    fn settle(&self, next: &mut Entity, root: u8, meant: bool) {
        next.epoch += 1;
        next.chain[usize::from(next.epoch)] = root;
        next.window = None;
        next.meant = meant;
        for one in &mut next.members[..self.members] {
            let has = |set: Roots| set & bit(root) != 0;
            let evidence = if self.is(Flaw::ShownIsEvidence) {
                has(one.promised) || has(one.shown)
            } else {
                has(one.promised)
            };
            one.evidence = evidence && one.known + 1 == next.epoch;
            one.author = false;
        }
    }

    fn of_member(&self, entity: &Entity, at: usize, act: &mut impl FnMut(Act, bool)) {
        let one = &entity.members[at];
        let root = entity.chain[usize::from(one.known)];
        let current = one.applied == one.known;
        if one.known < entity.epoch {
            act(Act::Learn, false);
        }
        if let Live::Between(_) = one.live {
            act(Act::End, false);
        } else if !current && (one.store & bit(root) != 0 || self.is(Flaw::AppliesLacking)) {
            act(Act::Begin, one.store & bit(root) == 0);
        }
        let holders = |one: &Member| one.store & bit(root) != 0;
        if !holders(one) && entity.members[..self.members].iter().any(holders) {
            act(Act::Fetch, false);
        }
        for kept in (0..self.roots).filter(|kept| one.store & bit(*kept) != 0 && *kept != root) {
            let promised = one.promised & bit(kept) != 0;
            if !promised || self.is(Flaw::DropsPromised) {
                act(Act::Drop(kept), promised);
            }
        }
        let Live::Root(live) = one.live else { return };
        let promise = |root: u8| one.promised & bit(root) == 0;
        if let Some(target) = entity.window.filter(|target| promise(*target) && one.known == entity.epoch) {
            act(Act::Promise(target), false);
        }
        if live == root || one.author {
            return;
        }
        if current && one.store & bit(root) != 0 {
            act(Act::Repair, false);
        }
        if (current || self.is(Flaw::ShowsUnapplied)) && one.shown & bit(live) == 0 {
            act(Act::Show, !current);
        }
        if one.shown & bit(live) != 0 && promise(live) {
            act(Act::Promise(live), false);
        }
    }
}

impl Entity {
    /// The least of the states that differ only in who of `MEMBERS` members is who, and in the names of two roots that
    /// are not the first one.
    pub fn representative<const MEMBERS: usize>(&self) -> Self {
        let sorted = |mut entity: Self| {
            entity.members[..MEMBERS].sort_unstable();
            entity
        };
        sorted(*self).min(sorted(self.renamed()))
    }

    /// Roots 1 and 2 change their names.
    fn renamed(&self) -> Self {
        let root = |root: u8| if root == 0 { 0 } else { 3 - root };
        let roots = |set: Roots| (set & 1) | ((set & 2) << 1) | ((set & 4) >> 1);
        let member = |one: Member| Member {
            live: match one.live {
                Live::Root(live) => Live::Root(root(live)),
                between @ Live::Between(_) => between,
            },
            store: roots(one.store),
            promised: roots(one.promised),
            shown: roots(one.shown),
            edited: roots(one.edited),
            ..one
        };
        let chain = self.chain.map(root);
        Self { members: self.members.map(member), chain, window: self.window.map(root), ..*self }
    }
}

impl Model for Contents {
    type State = Entity;
    type Action = Action;

    fn init_states(&self) -> Vec<Entity> {
        let member = Member {
            known: 0,
            applied: 0,
            live: Live::Root(0),
            store: bit(0),
            promised: 0,
            shown: 0,
            edited: 0,
            evidence: false,
            by_hand: false,
            author: false,
        };
        vec![Entity {
            members: [member; MEMBERS],
            chain: [0; EPOCHS],
            epoch: 0,
            window: None,
            edits: 0,
            meant: true,
            adopted: false,
            repaired: false,
            fired: false,
        }]
    }

    fn actions(&self, entity: &Entity, actions: &mut Vec<Action>) {
        let more = entity.epoch < self.epochs;
        let current = entity.chain[usize::from(entity.epoch)];
        let mut act = |member, act, fired| actions.push(Action { member, act, fired });
        for at in 0..self.members {
            let one = &entity.members[at];
            let knows = one.known == entity.epoch;
            self.of_member(entity, at, &mut |what, fired| act(at, what, fired));
            for root in (0..self.roots).filter(|_| knows && more) {
                // A window is refused where the files are not what is settled.
                if entity.window.is_none() && root != current && one.live == Live::Root(current) {
                    act(at, Act::Open(root), false);
                }
            }
            for root in (0..self.roots).filter(|root| one.live != Live::Root(*root)) {
                if matches!(one.live, Live::Root(_)) && entity.edits < self.edits {
                    act(at, Act::Edit(root), false);
                }
            }
        }
        if let Some(root) = entity.window {
            act(0, Act::Abort, false);
            let promised = self.count(entity, |one| one.promised & bit(root) != 0);
            if more && promised >= self.quorum() {
                act(0, Act::Commit, false);
            }
        }
        for root in (0..self.roots).filter(|root| more && *root != current) {
            if let Some(fired) = self.adoptable(entity, root) {
                act(0, Act::Adopt(root), fired);
            }
        }
    }

    fn next_state(&self, entity: &Entity, action: Action) -> Option<Entity> {
        let mut next = *entity;
        next.fired |= action.fired;
        let one = &mut next.members[action.member];
        let root = entity.chain[usize::from(one.known)];
        match action.act {
            Act::Open(root) => {
                one.author = true;
                next.window = Some(root);
            }
            Act::Abort => {
                next.window = None;
                next.members.iter_mut().for_each(|one| one.author = false);
            }
            Act::Commit => self.settle(&mut next, entity.window?, true),
            Act::Edit(root) => {
                one.live = Live::Root(root);
                one.by_hand = true;
                if one.applied == one.known {
                    one.edited |= bit(root);
                }
                next.edits += 1;
            }
            Act::Learn => {
                one.known += 1;
                (one.promised, one.shown, one.edited) = (0, 0, 0);
                // Its promises of before are void; what became the root of the basis stays.
                one.evidence &= one.known == next.epoch;
            }
            Act::Promise(root) => {
                one.store |= bit(root);
                one.promised |= bit(root);
            }
            Act::Fetch => one.store |= bit(root),
            Act::Begin => {
                one.live = Live::Between(one.known);
                one.by_hand = false;
            }
            Act::End => {
                let Live::Between(epoch) = one.live else { return None };
                one.live = Live::Root(entity.chain[usize::from(epoch)]);
                one.applied = epoch;
            }
            Act::Show => {
                if let Live::Root(live) = one.live {
                    one.shown |= bit(live);
                }
            }
            Act::Repair => {
                one.live = Live::Root(root);
                one.by_hand = false;
                next.repaired = true;
            }
            Act::Adopt(root) => {
                let edited = self.count(entity, |one| one.edited & bit(root) != 0);
                self.settle(&mut next, root, edited >= self.quorum());
                next.adopted = true;
            }
            Act::Drop(root) => one.store &= !bit(root),
        }
        (next != *entity).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(CERTIFIED, |model: &Self, entity: &Entity| {
                entity.members[..model.members].iter().all(|one| match one.live {
                    Live::Root(root) => {
                        one.by_hand || entity.chain[..=usize::from(one.known)].contains(&root)
                    }
                    Live::Between(epoch) => {
                        one.store & bit(entity.chain[usize::from(epoch)]) != 0 || one.known != epoch
                    }
                })
            }),
            Property::always(HELD, |model: &Self, entity: &Entity| {
                let root = entity.chain[usize::from(entity.epoch)];
                entity.members[..model.members].iter().all(|one| !one.evidence || one.store & bit(root) != 0)
            }),
            Property::always(KEPT, |_: &Self, entity: &Entity| entity.meant),
            Property::sometimes(COMMITTED, |_: &Self, entity: &Entity| entity.epoch > 0 && !entity.adopted),
        ];
        if self.edits > 0 {
            properties.push(Property::sometimes(REPAIRED, |_: &Self, entity: &Entity| entity.repaired));
        }
        if usize::from(self.edits) >= self.quorum() {
            properties.push(Property::sometimes(ADOPTED, |_: &Self, entity: &Entity| entity.adopted));
        }
        if self.flaw.is_some() {
            properties.push(Property::sometimes(FIRES, |_: &Self, entity: &Entity| entity.fired));
        }
        properties
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = char::from(b'A' + self.member as u8);
        match self.act {
            Act::Open(root) => write!(f, "on {name} a window is opened for R{root}"),
            Act::Abort => f.write_str("the window ends without a revision"),
            Act::Commit => f.write_str("the window's root is settled"),
            Act::Edit(root) => write!(f, "somebody makes {name}'s tree R{root}"),
            Act::Learn => write!(f, "{name} learns the next record"),
            Act::Promise(root) => write!(f, "{name} promises R{root}"),
            Act::Fetch => write!(f, "{name} fetches what is settled"),
            Act::Begin => write!(f, "{name} begins to apply"),
            Act::End => write!(f, "{name} has applied"),
            Act::Show => write!(f, "{name} shows what it has"),
            Act::Repair => write!(f, "{name} repairs itself"),
            Act::Adopt(root) => write!(f, "R{root} is adopted"),
            Act::Drop(root) => write!(f, "{name} throws R{root} away"),
        }?;
        f.write_str(if self.fired { "  <- planted" } else { "" })
    }
}
