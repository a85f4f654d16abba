//! Spreading signed statements (design §5.6): pushed eagerly along a small overlay, announced lazily elsewhere
//! (Plumtree), and compared in summaries, so that lost gossip never matters. Quiet when nothing changes.

use std::collections::{BTreeMap, BTreeSet};

use crate::identity::MemberId;
use crate::limits;
use crate::rng::Rng;
use crate::statement::{Checked, ContentList, Holding, Id16, Position, Signed, Slot, Statement, Unverified};
use crate::wire::{Have, Place};

/// Up to so many peers everybody pushes to everybody; beyond, an overlay carries what is new.
pub const FULL_MESH: usize = 16;
/// Peers that are pushed to, in the overlay.
const EAGER: usize = 8;
/// Peers that are told what there is, in the overlay.
const LAZY: usize = 8;

/// What became of a statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Taken {
    /// It is new: act on it and pass it on.
    New,
    /// It, or a newer one of its slot, was here.
    Known,
    /// Another statement carries the same position: two members use one key, or a member was restored (finding 3).
    Conflict(Checked),
}

#[derive(Clone, Debug, Default)]
struct Author {
    /// The store that the rest is about: positions of another one say nothing.
    store: Id16,
    /// The highest position ever seen; survives the statements.
    highest: Position,
    /// The newest small statement ever seen, to show it to its author.
    newest: Option<Checked>,
    /// The highest vote ever seen, for the same.
    vote: Option<Checked>,
    /// Sum over the statements that count as knowledge.
    sum: u64,
    /// The same of its report.
    report: u64,
    /// Sum over its intents.
    intents: u64,
    /// Length of all of `slots`.
    bytes: usize,
    slots: BTreeMap<Slot, Checked>,
    /// Of `slots`, by application: what is asked for all the time.
    lists: BTreeMap<String, Checked>,
    holdings: BTreeMap<String, Checked>,
}

/// The newest statement of every author and slot.
#[derive(Clone, Debug, Default)]
pub struct Board {
    authors: BTreeMap<MemberId, Author>,
    /// Counts changes of lists and Holdings.
    content: u64,
}

/// What two members compare.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compared {
    /// What is decided with. Metrics change all the time: they are pushed, but a member that lacks the newest is not
    /// out of step.
    Knowledge,
    /// Reports as well, from version 2 of the protocol on: they are said again so rarely that a lost one is missed.
    Everything,
}

impl Compared {
    fn has(self, slot: &Slot) -> bool {
        self == Self::Everything || counts(slot)
    }
}

fn counts(slot: &Slot) -> bool {
    !matches!(slot, Slot::Report)
}

/// Whether two statements of one slot are different votes.
fn contradict(held: &Checked, other: &Unverified) -> bool {
    let vote = held.vote();
    vote.is_some_and(|vote| matches!(&other.envelope().statement, Statement::Vote(other) if other != vote))
}

impl Board {
    /// Takes a checked statement of the store that the roster names. The first from a new store replaces all that
    /// was said from the one before.
    pub fn insert(&mut self, checked: &Checked) -> Taken {
        let author = self.authors.entry(checked.author()).or_default();
        if author.store != checked.store() {
            self.content += author.lists.len() as u64 + author.holdings.len() as u64;
            *author = Author { store: checked.store(), ..Author::default() };
        }
        let slot = checked.statement().slot();
        if let Some(held) = author.slots.get(&slot) {
            if held.position() == checked.position() && held != checked {
                return Taken::Conflict(held.clone());
            }
            if held.position() >= checked.position() {
                return Taken::Known;
            }
        }
        author.remember(checked);
        self.content += u64::from(matches!(slot, Slot::List(_) | Slot::Holding(_)));
        author.put(slot.clone(), checked.clone());
        // Only the newest are kept, in whatever order they came: members that have heard the same keep the same.
        while author.slots.len() > limits::STATEMENTS_PER_AUTHOR
            || author.bytes > limits::STATEMENT_BYTES_PER_AUTHOR
        {
            self.content += 1;
            author.drop_oldest();
        }
        if author.slots.contains_key(&slot) { Taken::New } else { Taken::Known }
    }

    /// Whether this very statement, or a newer one of its slot, is here: then its signature need not be looked at. Of
    /// two votes in one place that differ, both are looked at, whichever is newer: they are evidence (V11).
    pub fn has(&self, unverified: &Unverified) -> bool {
        let of_store = |author: &&Author| author.store == unverified.envelope().store;
        let slots = self.authors.get(&unverified.author()).filter(of_store).map(|author| &author.slots);
        let held = slots.and_then(|slots| slots.get(&unverified.envelope().statement.slot()));
        held.is_some_and(|held| {
            let position = unverified.envelope().position;
            let newer = held.position() > position && !contradict(held, unverified);
            newer || (held.position() == position && held.signed() == unverified.signed())
        })
    }

    /// Keeps only what `keep` says.
    pub fn retain(&mut self, mut keep: impl FnMut(&Checked) -> bool) {
        for author in self.authors.values_mut() {
            let gone: Vec<Slot> = author
                .slots
                .iter()
                .filter(|(_, checked)| !keep(checked))
                .map(|(slot, _)| slot.clone())
                .collect();
            for slot in gone {
                self.content += u64::from(matches!(slot, Slot::List(_) | Slot::Holding(_)));
                author.take(&slot);
            }
        }
    }

    /// A member's newest list of an application.
    pub fn list(&self, author: &MemberId, application: &str) -> Option<&ContentList> {
        match self.authors.get(author)?.lists.get(application)?.statement() {
            Statement::List(list) => Some(list),
            _ => None,
        }
    }

    /// A member's newest Holding of an application.
    pub fn holding(&self, author: &MemberId, application: &str) -> Option<&Holding> {
        match self.authors.get(author)?.holdings.get(application)?.statement() {
            Statement::Holding(holding) => Some(holding),
            _ => None,
        }
    }

    /// How often a list or a Holding came or went.
    pub fn content(&self) -> u64 {
        self.content
    }

    /// One number for all intents: another one when any came or went.
    pub fn intents(&self) -> u64 {
        self.authors.values().fold(0, |sum, author| sum.wrapping_add(author.intents))
    }

    /// The statement of an author and slot.
    pub fn get(&self, author: &MemberId, slot: &Slot) -> Option<&Checked> {
        self.authors.get(author)?.slots.get(slot)
    }

    /// Every statement, by author.
    pub fn iter(&self) -> impl Iterator<Item = &Checked> {
        self.authors.values().flat_map(|author| author.slots.values())
    }

    /// Every statement of one author.
    pub fn of(&self, author: &MemberId) -> impl Iterator<Item = &Checked> {
        self.authors.get(author).into_iter().flat_map(|author| author.slots.values())
    }

    /// What to show an author that asks what this store of it has said: its newest small statement and its highest vote.
    pub fn shown(&self, author: &MemberId, store: Id16) -> Vec<Signed> {
        let author = self.authors.get(author).filter(|author| author.store == store);
        let both = author.into_iter().flat_map(|author| author.newest.iter().chain(&author.vote));
        both.map(|checked| checked.signed().clone()).collect()
    }

    /// The furthest place of a store of an author that it would be shown.
    pub fn furthest(&self, author: &MemberId, store: Id16) -> Option<Position> {
        let author = self.authors.get(author).filter(|author| author.store == store)?;
        author.newest.iter().chain(&author.vote).map(Checked::position).max()
    }

    /// Whether a place is ahead of everything held of its author.
    pub fn lacks(&self, place: &Place) -> bool {
        self.authors.get(&place.author).is_none_or(|author| author.highest < place.position)
    }

    /// One number for all that is known: equal on members that know the same.
    pub fn knowledge(&self) -> u64 {
        self.authors.values().fold(0, |sum, author| sum.wrapping_add(author.sum))
    }

    /// The same of reports.
    pub fn reports(&self) -> u64 {
        self.authors.values().fold(0, |sum, author| sum.wrapping_add(author.report))
    }

    /// One sum an author.
    pub fn summary(&self, what: Compared) -> Vec<(MemberId, u64)> {
        let sums = self.authors.iter().map(|(id, author)| (*id, author.sum(what)));
        sums.filter(|(_, sum)| *sum != 0).collect()
    }

    /// What I hold of every author whose sum is not the one in `theirs`, as far as one message takes it.
    pub fn differing(&self, theirs: &[(MemberId, u64)], what: Compared) -> Vec<Have> {
        let theirs: BTreeMap<MemberId, u64> = theirs.iter().copied().collect();
        let authors: BTreeSet<&MemberId> = self.authors.keys().chain(theirs.keys()).collect();
        let mine = |author: &MemberId| self.authors.get(author).map_or(0, |author| author.sum(what));
        let differs = |author: &&&MemberId| mine(author) != theirs.get(**author).copied().unwrap_or(0);
        let have = |author: &MemberId| Have { author: *author, positions: self.positions(author, what) };
        let mut room = limits::PLACES_PER_MESSAGE;
        let fits = |have: &Have| {
            let left = room.checked_sub(have.positions.len() + 1);
            room = left.unwrap_or(0);
            left.is_some()
        };
        authors.iter().filter(differs).map(|author| have(author)).take_while(fits).collect()
    }

    fn positions(&self, author: &MemberId, what: Compared) -> Vec<Position> {
        let slots = self.authors.get(author).into_iter().flat_map(|author| &author.slots);
        slots.filter(|(slot, _)| what.has(slot)).map(|(_, checked)| checked.position()).collect()
    }

    /// Given what a peer holds: what I can send it, and what I lack.
    pub fn compare(&self, theirs: &[Have], what: Compared) -> (Vec<Signed>, Vec<Place>) {
        let (mut push, mut want) = (Vec::new(), Vec::new());
        for have in theirs.iter().take(limits::MEMBERS) {
            let theirs: BTreeSet<Position> = have.positions.iter().copied().collect();
            let mine: BTreeSet<Position> = self.positions(&have.author, what).into_iter().collect();
            let lacking = self.of(&have.author).filter(|checked| what.has(&checked.statement().slot()));
            push.extend(
                lacking.filter(|checked| !theirs.contains(&checked.position())).map(|c| c.signed().clone()),
            );
            want.extend(
                theirs.difference(&mine).map(|position| Place { author: have.author, position: *position }),
            );
        }
        (push, want)
    }

    /// The statements at these places, as far as they are still here.
    pub fn at(&self, places: &[Place]) -> Vec<Signed> {
        let mut by_author: BTreeMap<MemberId, BTreeSet<Position>> = BTreeMap::new();
        for place in places {
            by_author.entry(place.author).or_default().insert(place.position);
        }
        let wanted = |(author, positions): (&MemberId, &BTreeSet<Position>)| {
            let held: Vec<Signed> = self
                .of(author)
                .filter(|checked| positions.contains(&checked.position()))
                .map(|checked| checked.signed().clone())
                .collect();
            held
        };
        by_author.iter().flat_map(wanted).collect()
    }
}

impl Author {
    fn remember(&mut self, checked: &Checked) {
        self.highest = self.highest.max(checked.position());
        let small = checked.signed().bytes.len() <= limits::STATEMENT_BYTES;
        if small && self.newest.as_ref().is_none_or(|newest| newest.position() < checked.position()) {
            self.newest = Some(checked.clone());
        }
        let place = |checked: &Checked| checked.vote().map(|vote| (vote.epoch, vote.round, vote.step));
        if place(checked) > self.vote.as_ref().and_then(place) {
            self.vote = Some(checked.clone());
        }
    }

    fn put(&mut self, slot: Slot, checked: Checked) {
        self.take(&slot);
        let (added, bytes) = (checked.sum(), checked.signed().bytes.len());
        let sum = if counts(&slot) { &mut self.sum } else { &mut self.report };
        *sum = sum.wrapping_add(added);
        if checked.intent().is_some() {
            self.intents = self.intents.wrapping_add(added);
        }
        self.bytes += bytes;
        match &slot {
            Slot::List(application) => {
                self.lists.insert(application.clone(), checked.clone());
            }
            Slot::Holding(application) => {
                self.holdings.insert(application.clone(), checked.clone());
            }
            _ => {}
        }
        self.slots.insert(slot, checked);
    }

    fn take(&mut self, slot: &Slot) {
        let Some(checked) = self.slots.remove(slot) else { return };
        let sum = if counts(slot) { &mut self.sum } else { &mut self.report };
        *sum = sum.wrapping_sub(checked.sum());
        if checked.intent().is_some() {
            self.intents = self.intents.wrapping_sub(checked.sum());
        }
        self.bytes -= checked.signed().bytes.len();
        match slot {
            Slot::List(application) => {
                self.lists.remove(application);
            }
            Slot::Holding(application) => {
                self.holdings.remove(application);
            }
            _ => {}
        }
    }

    fn drop_oldest(&mut self) {
        let oldest = self.slots.iter().min_by_key(|(_, checked)| checked.position());
        if let Some(slot) = oldest.map(|(slot, _)| slot.clone()) {
            self.take(&slot);
        }
    }

    fn sum(&self, what: Compared) -> u64 {
        match what {
            Compared::Knowledge => self.sum,
            Compared::Everything => self.sum.wrapping_add(self.report),
        }
    }
}

/// Who is pushed to and who is only told. The set of links heals itself: a duplicate prunes a link, a statement
/// that was announced but never came grafts one.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    /// Members of the roster, from version 2 of the protocol on; before, only whoever is connected counts.
    members: usize,
    connected: BTreeSet<MemberId>,
    eager: BTreeSet<MemberId>,
    lazy: BTreeSet<MemberId>,
}

impl Overlay {
    /// A peer can be reached; whether that is news.
    pub fn connected(&mut self, peer: MemberId) -> bool {
        self.connected.insert(peer)
    }

    /// A peer cannot be reached.
    pub fn disconnected(&mut self, peer: &MemberId) {
        self.connected.remove(peer);
        self.eager.remove(peer);
        self.lazy.remove(peer);
    }

    /// Everybody that can be reached.
    pub fn peers(&self) -> &BTreeSet<MemberId> {
        &self.connected
    }

    /// So many members are in the roster: of a large one nobody is connected to everybody.
    pub fn set_members(&mut self, members: usize) {
        self.members = members;
    }

    /// Whether everybody pushes to everybody.
    pub fn is_full_mesh(&self) -> bool {
        self.connected.len() <= FULL_MESH && self.members <= FULL_MESH + 1
    }

    /// Fills up the links, at random.
    pub fn refresh(&mut self, rng: &mut Rng) {
        if self.is_full_mesh() {
            return;
        }
        let mut free: Vec<MemberId> = self
            .connected
            .iter()
            .filter(|peer| !self.eager.contains(peer) && !self.lazy.contains(peer))
            .copied()
            .collect();
        rng.shuffle(&mut free);
        while self.eager.len() < EAGER / 2 {
            let Some(peer) = free.pop() else { break };
            self.eager.insert(peer);
        }
        while self.eager.len() + self.lazy.len() < EAGER + LAZY {
            let Some(peer) = free.pop() else { break };
            if self.eager.len() < EAGER {
                self.eager.insert(peer)
            } else {
                self.lazy.insert(peer)
            };
        }
    }

    /// Whom to push a new statement that came from `from` (`None`: it is mine).
    pub fn push_to(&self, from: Option<&MemberId>) -> Vec<MemberId> {
        if self.is_full_mesh() {
            // Its author has pushed it to everybody; whoever missed it finds out at the next heartbeat.
            return if from.is_none() { self.connected.iter().copied().collect() } else { Vec::new() };
        }
        self.eager.iter().filter(|peer| Some(*peer) != from).copied().collect()
    }

    /// Whom to announce a new statement to.
    pub fn announce_to(&self, from: Option<&MemberId>) -> Vec<MemberId> {
        if self.is_full_mesh() {
            return Vec::new();
        }
        self.lazy.iter().filter(|peer| Some(*peer) != from).copied().collect()
    }

    /// Whom to send heartbeats.
    pub fn beat_to(&self) -> Vec<MemberId> {
        if self.is_full_mesh() {
            return self.connected.iter().copied().collect();
        }
        self.eager.union(&self.lazy).copied().collect()
    }

    /// The peer had what I pushed, or I had what it pushed.
    pub fn prune(&mut self, peer: &MemberId) {
        if self.eager.len() > 2 && self.eager.remove(peer) {
            self.lazy.insert(*peer);
        }
    }

    /// The peer lacks what it only heard of.
    pub fn graft(&mut self, peer: &MemberId) {
        if self.connected.contains(peer) && !self.is_full_mesh() {
            self.lazy.remove(peer);
            self.eager.insert(*peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;
    use crate::hash::Hash;
    use crate::identity::Identity;
    use crate::statement::{Envelope, Holds, Id16, Statement, Step, Vote};

    const ALL: Compared = Compared::Everything;

    fn statement(author: u8, sequence: u8, epoch: u8) -> Checked {
        let position = Position { incarnation: 1, sequence: u64::from(sequence) };
        let (epoch, parent) = (u64::from(epoch % 4), Hash::of(b"p"));
        let vote = Vote { epoch, round: 0, parent, step: Step::Prevote, value: None, relied: None };
        let statement =
            if epoch == 3 { Statement::Holds(Holds { epoch, head: parent }) } else { Statement::Vote(vote) };
        let envelope = Envelope { entity: Hash::of(b"e"), store: Id16([0; 16]), position, statement };
        Checked::sign(&Identity::from_seed([author % 3; 32]).simulated(), envelope)
    }

    fn board(said: &[(u8, u8, u8)]) -> Board {
        let mut board = Board::default();
        for (author, sequence, epoch) in said {
            board.insert(&statement(*author, *sequence, *epoch));
        }
        board
    }

    quickcheck! {
        fn one_exchange_makes_two_boards_equal(a: Vec<(u8, u8, u8)>, b: Vec<(u8, u8, u8)>) -> bool {
            // Distinct positions, as honest authors make them.
            let distinct = |said: Vec<(u8, u8, u8)>, odd: u8| -> Vec<(u8, u8, u8)> {
                said.into_iter().enumerate().map(|(at, (author, _, epoch))| (author, (at as u8 % 100) * 2 + odd, epoch)).collect()
            };
            let (mut a, mut b) = (board(&distinct(a, 0)), board(&distinct(b, 1)));
            let (push, want) = a.compare(&b.differing(&a.summary(ALL), ALL), ALL);
            let answer = b.at(&want);
            let take = |board: &mut Board, signed: Vec<Signed>| for signed in signed {
                let checked = Checked::check(signed, &Hash::of(b"e"), crate::identity::Scheme::SimulatedHash).expect("good");
                board.insert(&checked);
            };
            take(&mut b, push);
            take(&mut a, answer);
            a.knowledge() == b.knowledge() && a.summary(ALL) == b.summary(ALL) && b.differing(&a.summary(ALL), ALL).is_empty()
        }

        fn the_order_of_arrival_does_not_matter(said: Vec<(u8, u8, u8)>) -> bool {
            let said: Vec<(u8, u8, u8)> = said.into_iter().enumerate().map(|(at, (a, _, e))| (a, at as u8, e)).take(200).collect();
            let mut back = said.clone();
            back.reverse();
            board(&said).knowledge() == board(&back).knowledge()
        }
    }

    /// A vote of its own epoch, so that none replaces another.
    fn own_slot(sequence: u64) -> Checked {
        let position = Position { incarnation: 1, sequence };
        let (parent, step) = (Hash::of(b"p"), Step::Prevote);
        let vote = Vote { epoch: sequence, round: 0, parent, step, value: None, relied: None };
        let (entity, store) = (Hash::of(b"e"), Id16([0; 16]));
        let envelope = Envelope { entity, store, position, statement: Statement::Vote(vote) };
        Checked::sign(&Identity::from_seed([1; 32]).simulated(), envelope)
    }

    #[test]
    fn who_says_too_much_is_kept_the_same_in_any_order() {
        let count = limits::STATEMENTS_PER_AUTHOR as u64 + 100;
        let all: Vec<Checked> = (1..=count).map(own_slot).collect();
        let (mut one, mut other) = (Board::default(), Board::default());
        all.iter().for_each(|checked| drop(one.insert(checked)));
        // The oldest last: they find no place any more.
        let taken: Vec<Taken> = all.iter().rev().map(|checked| other.insert(checked)).collect();
        assert_eq!(taken.iter().filter(|taken| **taken == Taken::Known).count(), 100);
        assert_eq!(
            (one.summary(ALL), one.iter().count()),
            (other.summary(ALL), limits::STATEMENTS_PER_AUTHOR)
        );
        one.retain(|_| false);
        assert_eq!((one.knowledge(), one.authors.values().map(|author| author.bytes).sum::<usize>()), (0, 0));
    }

    #[test]
    fn large_statements_are_bounded_by_their_bytes() {
        let large = |sequence: u64| {
            let position = Position { incarnation: 1, sequence };
            let proposal = crate::statement::Proposal {
                epoch: 1,
                round: sequence as u32,
                parent: Hash::of(b"p"),
                record: vec![0; limits::RECORD_BYTES].into(),
                pol: Vec::new(),
            };
            let (entity, store, statement) = (Hash::of(b"e"), Id16([0; 16]), Statement::Proposal(proposal));
            let envelope = Envelope { entity, store, position, statement };
            Checked::sign(&Identity::from_seed([1; 32]).simulated(), envelope)
        };
        let mut board = Board::default();
        (1..=20).for_each(|sequence| drop(board.insert(&large(sequence))));
        let kept: Vec<u64> = board.iter().map(|checked| checked.position().sequence).collect();
        assert_eq!(kept, (18..=20).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_here_needs_no_look_at_its_signature_and_what_contradicts_it_does() {
        let mut board = Board::default();
        let held = own_slot(7);
        board.insert(&held);
        let read = |signed: Signed| Unverified::read(signed, &Hash::of(b"e")).expect("in form");
        assert!(board.has(&read(held.signed().clone())));
        assert!(!board.has(&read(own_slot(8).signed().clone())));
        let mut forged = held.signed().clone();
        forged.signature.0[0] ^= 1;
        assert!(!board.has(&read(forged)), "the same place, and not the same");
    }

    #[test]
    fn one_position_with_two_contents_is_a_conflict() {
        let mut board = Board::default();
        let (a, b) = (statement(1, 5, 0), statement(1, 5, 0));
        assert_eq!(board.insert(&a), Taken::New);
        assert_eq!(board.insert(&b), Taken::Known);
        let position = Position { incarnation: 1, sequence: 5 };
        let vote = Vote { value: Some(Hash::of(b"x")), ..a.vote().expect("a vote").clone() };
        let envelope = Envelope {
            entity: Hash::of(b"e"),
            store: Id16([0; 16]),
            position,
            statement: Statement::Vote(vote),
        };
        let other = Checked::sign(&Identity::from_seed([1; 32]).simulated(), envelope);
        assert_eq!(board.insert(&other), Taken::Conflict(a));
    }
}
