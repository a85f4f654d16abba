//! Spreading signed statements (design §5.6): pushed eagerly along a small overlay, announced lazily elsewhere
//! (Plumtree), and compared in summaries, so that lost gossip never matters. Quiet when nothing changes.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::circle::EVERYBODY;
use crate::identity::MemberId;
use crate::limits;
use crate::rng::Rng;
use crate::statement::{Checked, ContentList, Holding, Id16, Position, Signed, Slot, Statement, Unverified};
use crate::wire::{Have, Place};

/// In version 1 of the protocol, up to so many peers everybody pushes to everybody; beyond, an overlay carries what is new.
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

/// An author of whom there is one report of its store and nothing else, as of most in a large entity.
#[derive(Clone, Debug)]
struct Lone(Checked);

impl Borrow<MemberId> for Lone {
    fn borrow(&self) -> &MemberId {
        self.0.author_ref()
    }
}

impl PartialEq for Lone {
    fn eq(&self, other: &Self) -> bool {
        self.0.author_ref() == other.0.author_ref()
    }
}

impl Eq for Lone {}

impl PartialOrd for Lone {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Lone {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.author_ref().cmp(other.0.author_ref())
    }
}

/// What is known of an author.
#[derive(Clone, Copy)]
enum Said<'a> {
    Lone(&'a Checked),
    More(&'a Author),
}

/// The newest statement of every author and slot.
#[derive(Clone, Debug, Default)]
pub struct Board {
    authors: BTreeMap<MemberId, Author>,
    /// None of them is one of `authors`.
    lone: BTreeSet<Lone>,
    /// Counts changes of lists and Holdings.
    content: u64,
    /// Sums over all authors.
    sums: Sums,
}

/// One number each for what is known, for reports and for intents.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    knowledge: u64,
    reports: u64,
    intents: u64,
}

impl Sums {
    fn of(author: &Author) -> Self {
        Self { knowledge: author.sum, reports: author.report, intents: author.intents }
    }

    /// What was counted before is another now.
    fn change(&mut self, before: Self, after: Self) {
        let changed = |sum: u64, before: u64, after: u64| sum.wrapping_sub(before).wrapping_add(after);
        self.knowledge = changed(self.knowledge, before.knowledge, after.knowledge);
        self.reports = changed(self.reports, before.reports, after.reports);
        self.intents = changed(self.intents, before.intents, after.intents);
    }
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
        let slot = checked.statement().slot();
        if let Some(taken) = self.insert_lone(checked, &slot) {
            return taken;
        }
        let author = self.authors.entry(checked.author()).or_default();
        let before = Sums::of(author);
        if author.store != checked.store() {
            self.content += author.lists.len() as u64 + author.holdings.len() as u64;
            *author = Author { store: checked.store(), ..Author::default() };
            self.sums.change(before, Sums::default());
        }
        let before = Sums::of(author);
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
        self.sums.change(before, Sums::of(author));
        if author.slots.contains_key(&slot) { Taken::New } else { Taken::Known }
    }

    /// Takes a report of an author of whom there is nothing else. Of whom there is more from now on, it becomes one of
    /// `authors`.
    fn insert_lone(&mut self, checked: &Checked, slot: &Slot) -> Option<Taken> {
        let id = checked.author();
        let Some(Lone(held)) = self.lone.get(&id) else {
            let alone = *slot == Slot::Report && !self.authors.contains_key(&id);
            return alone.then(|| self.put_lone(checked.clone()));
        };
        if *slot != Slot::Report || held.store() != checked.store() {
            let held = held.clone();
            self.spread_out(&held);
            return None;
        }
        Some(match held.position().cmp(&checked.position()) {
            Ordering::Equal if held != checked => Taken::Conflict(held.clone()),
            Ordering::Equal | Ordering::Greater => Taken::Known,
            Ordering::Less => self.put_lone(checked.clone()),
        })
    }

    fn put_lone(&mut self, checked: Checked) -> Taken {
        let after = Sums { reports: checked.sum(), ..Sums::default() };
        let before = self.lone.replace(Lone(checked));
        let before = before.map_or(0, |Lone(before)| before.sum());
        self.sums.change(Sums { reports: before, ..Sums::default() }, after);
        Taken::New
    }

    /// A lone report becomes what any author has.
    fn spread_out(&mut self, held: &Checked) {
        self.lone.remove(held.author_ref());
        let mut author = Author { store: held.store(), ..Author::default() };
        author.remember(held);
        author.put(Slot::Report, held.clone());
        self.authors.insert(held.author(), author);
    }

    fn said(&self, author: &MemberId) -> Option<Said<'_>> {
        let lone = || self.lone.get(author).map(|Lone(checked)| Said::Lone(checked));
        self.authors.get(author).map(Said::More).or_else(lone)
    }

    /// All authors, in the order of their keys.
    fn each(&self) -> impl Iterator<Item = (&MemberId, Said<'_>)> {
        let mut more = self.authors.iter().peekable();
        let mut lone = self.lone.iter().peekable();
        std::iter::from_fn(move || {
            let first = match (more.peek(), lone.peek()) {
                (Some((more, _)), Some(Lone(lone))) => *more < lone.author_ref(),
                (more, _) => more.is_some(),
            };
            if first {
                more.next().map(|(id, author)| (id, Said::More(author)))
            } else {
                lone.next().map(|Lone(checked)| (checked.author_ref(), Said::Lone(checked)))
            }
        })
    }

    /// Whether this very statement, or a newer one of its slot, is here: then its signature need not be looked at. Of
    /// two votes in one place that differ, both are looked at, whichever is newer: they are evidence (V11).
    pub fn has(&self, unverified: &Unverified) -> bool {
        let said = self.said(&unverified.author()).filter(|said| said.store() == unverified.envelope().store);
        let held = said.and_then(|said| said.get(&unverified.envelope().statement.slot()));
        held.is_some_and(|held| {
            let position = unverified.envelope().position;
            let newer = held.position() > position && !contradict(held, unverified);
            newer || (held.position() == position && held.signed() == unverified.signed())
        })
    }

    /// Keeps only what `keep` says.
    pub fn retain(&mut self, mut keep: impl FnMut(&Checked) -> bool) {
        let gone = self.lone.iter().filter(|Lone(checked)| !keep(checked));
        let gone: Vec<Checked> = gone.map(|Lone(checked)| checked.clone()).collect();
        gone.iter().for_each(|checked| self.spread_out(checked));
        self.retain_but_lone(keep);
    }

    /// The same, but for authors of whom there is a report and nothing else.
    pub fn retain_but_lone(&mut self, mut keep: impl FnMut(&Checked) -> bool) {
        for author in self.authors.values_mut() {
            let before = Sums::of(author);
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
            self.sums.change(before, Sums::of(author));
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
        self.sums.intents
    }

    /// The statement of an author and slot.
    pub fn get(&self, author: &MemberId, slot: &Slot) -> Option<&Checked> {
        self.said(author)?.get(slot)
    }

    /// Every statement, by author.
    pub fn iter(&self) -> impl Iterator<Item = &Checked> {
        self.each().flat_map(|(_, said)| said.all())
    }

    /// Every statement of one author.
    pub fn of(&self, author: &MemberId) -> impl Iterator<Item = &Checked> {
        self.said(author).into_iter().flat_map(Said::all)
    }

    /// What to show an author that asks what this store of it has said: its newest small statement and its highest vote.
    pub fn shown(&self, author: &MemberId, store: Id16) -> Vec<Signed> {
        let said = self.said(author).filter(|said| said.store() == store);
        said.into_iter().flat_map(Said::shown).map(|checked| checked.signed().clone()).collect()
    }

    /// The furthest place of a store of an author that it would be shown.
    pub fn furthest(&self, author: &MemberId, store: Id16) -> Option<Position> {
        let said = self.said(author).filter(|said| said.store() == store)?;
        said.shown().map(Checked::position).max()
    }

    /// Whether a place is ahead of everything held of its author.
    pub fn lacks(&self, place: &Place) -> bool {
        self.said(&place.author).is_none_or(|said| said.highest() < place.position)
    }

    /// One number for all that is known: equal on members that know the same.
    pub fn knowledge(&self) -> u64 {
        self.sums.knowledge
    }

    /// The same of reports.
    pub fn reports(&self) -> u64 {
        self.sums.reports
    }

    /// One sum an author.
    pub fn summary(&self, what: Compared) -> Vec<(MemberId, u64)> {
        let sums = self.each().map(|(id, said)| (*id, said.sum(what)));
        sums.filter(|(_, sum)| *sum != 0).collect()
    }

    /// What I hold of every author whose sum is not the one in `theirs`, as far as one message takes it.
    pub fn differing(&self, theirs: &[(MemberId, u64)], what: Compared) -> Vec<Have> {
        let theirs: BTreeMap<MemberId, u64> = theirs.iter().copied().collect();
        let mine = self.each().map(|(id, _)| id);
        let authors: BTreeSet<&MemberId> = mine.chain(theirs.keys()).collect();
        let mine = |author: &MemberId| self.said(author).map_or(0, |said| said.sum(what));
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
        match self.said(author) {
            Some(Said::More(author)) => {
                let slots = author.slots.iter().filter(|(slot, _)| what.has(slot));
                slots.map(|(_, checked)| checked.position()).collect()
            }
            Some(Said::Lone(checked)) if what.has(&Slot::Report) => vec![checked.position()],
            Some(Said::Lone(_)) | None => Vec::new(),
        }
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

impl<'a> Said<'a> {
    fn store(self) -> Id16 {
        match self {
            Self::Lone(checked) => checked.store(),
            Self::More(author) => author.store,
        }
    }

    fn get(self, slot: &Slot) -> Option<&'a Checked> {
        match self {
            Self::Lone(checked) => Some(checked).filter(|_| *slot == Slot::Report),
            Self::More(author) => author.slots.get(slot),
        }
    }

    fn all(self) -> impl Iterator<Item = &'a Checked> {
        let (lone, more) = match self {
            Self::Lone(checked) => (Some(checked), None),
            Self::More(author) => (None, Some(&author.slots)),
        };
        lone.into_iter().chain(more.into_iter().flat_map(BTreeMap::values))
    }

    fn shown(self) -> impl Iterator<Item = &'a Checked> {
        let (newest, vote) = match self {
            Self::Lone(checked) => (Some(checked), None),
            Self::More(author) => (author.newest.as_ref(), author.vote.as_ref()),
        };
        newest.into_iter().chain(vote)
    }

    fn highest(self) -> Position {
        match self {
            Self::Lone(checked) => checked.position(),
            Self::More(author) => author.highest,
        }
    }

    fn sum(self, what: Compared) -> u64 {
        match self {
            Self::Lone(checked) if what.has(&Slot::Report) => checked.sum(),
            Self::Lone(_) => 0,
            Self::More(author) => author.sum(what),
        }
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

    /// Whether everybody pushes to everybody: wherever everybody is connected to everybody. When many authors have something to
    /// say at once, as after a deployment, an overlay of so few would send several times as much.
    pub fn is_full_mesh(&self) -> bool {
        if self.members > 0 { self.members <= EVERYBODY } else { self.connected.len() <= FULL_MESH }
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
mod tests;
