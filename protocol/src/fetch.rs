//! The pull machine: gets one root complete into the store, from what is here and from several holders at once
//! (design §6). It decides who is asked for what; the host carries bytes and checks hashes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::effect::{Fetched, Want};
use crate::hash::Hash;
use crate::identity::MemberId;
use crate::limits;
use crate::manifest::{Directory, Entry, Extent, Node};
use crate::parts::Division;
use crate::time::{Instant, Millis};

/// A holder that failed is left alone for so long, doubling each time.
const BACK_OFF: Millis = Millis(500);
/// How often a large file that was complete by all accounts may turn out not to be, before it is had as a whole.
const ASSEMBLIES: u8 = 2;
/// How often in a row a part of a file may not come before everything about the file is asked for again.
const PARTS_FAILED: u32 = 64;
/// Longest time that a holder is left alone.
const BACK_OFF_MAX: Millis = Millis(10_000);

/// Large files that are on their way at once, for one root: what is known of their parts takes memory.
const LARGE_AT_ONCE: usize = 4;
/// What a directory of a manifest weighs in a request, before anybody knows.
const DIRECTORY: u64 = 4096;
/// So much less than a file does a part weigh in a request to a holder: what came of the request before it failed
/// counts, and on a fast network many small requests are one too many.
const PARTS_ARE_LIGHTER: u64 = limits::PART_BYTES_PER_FETCH / limits::BYTES_PER_FETCH;
/// And so much less where it is looked for here: it may have to be read, and is not copied.
const LOOKING_IS_LIGHTER: u64 = 16;

/// How often each holder is asked in vain before something else may come first.
const FRUITLESS: usize = 3;

/// One root on its way into the store.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The root.
    pub root: Hash,
    /// Not looked for on this member yet.
    local: VecDeque<Want>,
    /// Not on this member: to be had from holders.
    remote: VecDeque<Want>,
    /// Under way, by the id of the fetch.
    asked: BTreeMap<u64, (Option<MemberId>, Vec<Want>)>,
    seen: BTreeSet<Want>,
    /// By directory: the directories in it, and everything else.
    shape: BTreeMap<Hash, (Vec<Hash>, Extent)>,
    /// Whether large files are had in parts: all members understand that.
    in_parts: bool,
    /// Large files that are being had in parts, by name and size.
    large: BTreeMap<(Hash, u64), Large>,
    /// Large files whose turn it is not yet.
    waiting: VecDeque<(Hash, u64)>,
    holders: BTreeSet<MemberId>,
    failures: BTreeMap<MemberId, (u32, Instant)>,
    /// How many requests in a row brought nothing.
    fruitless: usize,
    /// Bytes that came from peers.
    pub bytes: u64,
    /// Files and directories that are in the store now.
    pub done: u64,
    /// Why something was missing last, for people.
    pub error: Option<String>,
    /// Something of the store was lost since it began.
    shaken: bool,
}

/// A large file on its way.
#[derive(Clone, Debug, Default)]
struct Large {
    /// Parts that are lacking, once its outline is here.
    lacking: BTreeSet<u32>,
    /// How often it was put together.
    assembled: u8,
    /// How many parts in a row did not come.
    failed: u32,
}

/// One request to make.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ask {
    /// Whom; `None` is this member itself.
    pub from: Option<MemberId>,
    /// For what.
    pub wants: Vec<Want>,
}

impl Plan {
    /// Starts with the name of the topmost directory only; the rest is learned on the way.
    pub fn new(root: Hash) -> Self {
        let top = Want::Directory(root);
        Self {
            root,
            local: VecDeque::from([top]),
            remote: VecDeque::new(),
            asked: BTreeMap::new(),
            seen: BTreeSet::from([top]),
            shape: BTreeMap::new(),
            in_parts: false,
            large: BTreeMap::new(),
            waiting: VecDeque::new(),
            holders: BTreeSet::new(),
            failures: BTreeMap::new(),
            fruitless: 0,
            bytes: 0,
            done: 0,
            error: None,
            shaken: false,
        }
    }

    /// Something that was in the store is lost, and this may have counted on it.
    pub fn shake(&mut self) {
        self.shaken = true;
    }

    /// What follows once everything was in the store: it is looked through again if something was lost meanwhile.
    pub fn again(&self) -> Option<Self> {
        self.shaken.then(|| Self { bytes: self.bytes, ..Self::new(self.root) })
    }

    /// Who can be asked.
    pub fn set_holders(&mut self, holders: BTreeSet<MemberId>) {
        self.holders = holders;
    }

    /// Whether large files may be asked for in parts.
    pub fn set_in_parts(&mut self, in_parts: bool) {
        self.in_parts = in_parts;
    }

    /// Everything is in the store.
    pub fn is_complete(&self) -> bool {
        let queued = self.local.is_empty() && self.remote.is_empty() && self.waiting.is_empty();
        queued && self.asked.is_empty()
    }

    /// Nobody gives what is lacking: each holder was asked in vain several times since something came.
    pub fn is_barren(&self) -> bool {
        self.local.is_empty()
            && self.asked.is_empty()
            && self.fruitless >= FRUITLESS * self.holders.len().max(1)
    }

    /// What is lacking is not here, and there is nobody to ask for it.
    pub fn is_stuck(&self) -> bool {
        let idle = self.local.is_empty() && self.asked.is_empty();
        idle && self.holders.is_empty() && !self.remote.is_empty()
    }

    /// How many things are known to be still lacking.
    pub fn lacking(&self) -> u64 {
        let asked: usize = self.asked.values().map(|(_, wants)| wants.len()).sum();
        (self.local.len() + self.remote.len() + self.waiting.len() + asked) as u64
    }

    /// The next request, if one can be made now. The caller names it with [`Self::asked`].
    pub fn next(&self, now: Instant) -> Option<Ask> {
        if self.asked.len() >= limits::FETCHES_AT_ONCE {
            return None;
        }
        let here = self.asked.values().any(|(from, _)| from.is_none());
        if !self.local.is_empty() && !here {
            return Some(Ask { from: None, wants: take(&self.local, usize::MAX, looked_at) });
        }
        let holder = self.idle_holder(now)?;
        // Everybody gets a share, so that one slow holder does not keep the rest waiting.
        let share = self.remote.len().div_ceil(self.holders.len().clamp(1, limits::FETCHES_AT_ONCE));
        let wants = take(&self.remote, share, carried);
        (!wants.is_empty()).then_some(Ask { from: Some(holder), wants })
    }

    /// The holder with the fewest failures that is not busy and not left alone.
    fn idle_holder(&self, now: Instant) -> Option<MemberId> {
        let busy: BTreeSet<&MemberId> = self.asked.values().filter_map(|(from, _)| from.as_ref()).collect();
        let free = |holder: &&MemberId| {
            !busy.contains(holder) && self.failures.get(holder).is_none_or(|(_, until)| now >= *until)
        };
        let failures = |holder: &MemberId| self.failures.get(holder).map_or(0, |(count, _)| *count);
        // Members start at different places of the order, so that not all ask the same holder first.
        let spread = |holder: &MemberId| Hash::of(&[&holder.0[..], &self.done.to_le_bytes()].concat()).low();
        self.holders.iter().filter(free).min_by_key(|holder| (failures(holder), spread(holder))).copied()
    }

    /// The request was made, under this id.
    pub fn asked(&mut self, fetch: u64, ask: &Ask) {
        let from = if ask.from.is_none() { &mut self.local } else { &mut self.remote };
        from.drain(..ask.wants.len());
        self.asked.insert(fetch, (ask.from, ask.wants.clone()));
    }

    /// Whether this fetch is ours.
    pub fn owns(&self, fetch: u64) -> bool {
        self.asked.contains_key(&fetch)
    }

    /// A request ended.
    pub fn fetched(&mut self, fetch: u64, result: &Fetched, now: Instant) {
        let Some((from, wants)) = self.asked.remove(&fetch) else { return };
        let done: BTreeSet<Want> = result.done.iter().copied().collect();
        self.done += wants.iter().filter(|want| done.contains(want)).count() as u64;
        self.bytes += result.bytes;
        for (name, directory) in &result.directories {
            if wants.contains(&Want::Directory(*name)) {
                self.shape.insert(*name, shape_of(directory));
                directory.entries.iter().for_each(|entry| self.discover(&entry.node));
            }
        }
        let (came, missing): (Vec<Want>, Vec<Want>) = wants.into_iter().partition(|want| done.contains(want));
        match from {
            Some(_) if came.is_empty() => self.fruitless += 1,
            Some(_) => self.fruitless = 0,
            None => {}
        }
        came.into_iter().for_each(|want| self.came(want));
        if let Some(holder) = from.filter(|_| !missing.is_empty()) {
            let (count, until) = self.failures.entry(holder).or_default();
            *count = count.saturating_add(1);
            let pause = BACK_OFF.0.saturating_mul(1 << (*count - 1).min(10)).min(BACK_OFF_MAX.0);
            *until = now + Millis(pause);
            self.error.clone_from(&result.error);
        }
        missing.into_iter().for_each(|want| self.lacks(from.is_none(), want));
        self.begin_large();
    }

    /// What follows from something that is here now.
    fn came(&mut self, want: Want) {
        match want {
            Want::Directory(_) => {}
            Want::File(name, size) => {
                if self.large.remove(&(name, size)).is_some() {
                    self.forget_parts(name, size);
                }
            }
            Want::Outline(name, size) => {
                let Some(large) = self.large.get_mut(&(name, size)) else { return };
                let count = Division::of(size).map_or(0, |division| division.count());
                large.lacking = (0..count).collect();
                self.local.extend((0..count).map(|index| Want::Part(name, size, index)));
            }
            Want::Part(name, size, index) => {
                let Some(large) = self.large.get_mut(&(name, size)) else { return };
                large.failed = 0;
                if large.lacking.remove(&index) && large.lacking.is_empty() {
                    large.assembled = large.assembled.saturating_add(1);
                    self.local.push_back(Want::File(name, size));
                }
            }
        }
    }

    /// What is not asked for yet of a large file.
    fn forget_parts(&mut self, name: Hash, size: u64) {
        let is_of_it = |want: &Want| matches!(want, Want::Outline(file, of) | Want::Part(file, of, _) if (*file, *of) == (name, size));
        self.local.retain(|want| !is_of_it(want));
        self.remote.retain(|want| !is_of_it(want));
    }

    /// Whether nothing would come of it: it is of a large file that was had meanwhile, or came in another request.
    fn is_needless(&self, want: &Want) -> bool {
        match want {
            Want::Outline(name, size) => !self.large.contains_key(&(*name, *size)),
            Want::Part(name, size, index) => {
                !self.large.get(&(*name, *size)).is_some_and(|large| large.lacking.contains(index))
            }
            Want::Directory(_) | Want::File(..) => false,
        }
    }

    /// What follows from something that was not here, or that a holder did not give.
    fn lacks(&mut self, here: bool, want: Want) {
        match want {
            want if self.is_needless(&want) => {}
            Want::File(name, size) if here && self.in_parts && Division::of(size).is_some() => {
                match self.large.get(&(name, size)) {
                    None => self.waiting.push_back((name, size)),
                    Some(large) if large.assembled <= ASSEMBLIES => {
                        self.local.push_back(Want::Outline(name, size));
                    }
                    Some(_) => self.remote.push_back(want),
                }
            }
            // As a whole it does not come either: perhaps the disk takes now what its parts were put together to.
            Want::File(name, size) if !here && self.large.contains_key(&(name, size)) => {
                self.local.push_back(want);
            }
            Want::Part(name, size, _) if !here && self.failed_too_often(&(name, size)) => {
                // Something is wrong with what was gathered, and not with all holders.
                self.forget_parts(name, size);
                self.local.push_back(Want::File(name, size));
            }
            // It may have come before the request failed, or for another application.
            Want::Part(..) if !here => self.local.push_back(want),
            want => self.remote.push_back(want),
        }
    }

    /// Large files have their turns, so that what is known of their parts stays small.
    fn begin_large(&mut self) {
        while self.large.len() < LARGE_AT_ONCE
            && let Some((name, size)) = self.waiting.pop_front()
        {
            self.large.entry((name, size)).or_default();
            self.local.push_back(Want::Outline(name, size));
        }
    }

    fn failed_too_often(&mut self, file: &(Hash, u64)) -> bool {
        let Some(large) = self.large.get_mut(file) else { return false };
        large.failed += 1;
        let too_often = large.failed >= PARTS_FAILED;
        if too_often {
            large.failed = 0;
        }
        too_often
    }

    fn discover(&mut self, node: &Node) {
        let want = match node {
            Node::Directory(_, name) => Want::Directory(*name),
            Node::File(_, size, content) => Want::File(*content, *size),
            Node::Symlink(_) => return,
        };
        if self.seen.insert(want) {
            self.local.push_back(want);
        }
    }

    /// How much the root names, with everything that is named more than once counted as often: `None` if that is more
    /// or deeper than an application may be, or not all is here.
    pub fn extent(&self) -> Option<Extent> {
        let mut known = BTreeMap::new();
        self.extent_below(&self.root, 0, &mut known).filter(|extent| extent.items <= limits::ITEMS)
    }

    fn extent_below(
        &self,
        name: &Hash,
        depth: usize,
        known: &mut BTreeMap<(Hash, usize), Extent>,
    ) -> Option<Extent> {
        if depth > limits::PATH_DEPTH {
            return None;
        }
        // By depth, too: what is fine near the top may be too deep further down.
        if let Some(extent) = known.get(&(*name, depth)) {
            return Some(*extent);
        }
        let (below, mut extent) = self.shape.get(name)?.clone();
        for child in &below {
            let more = self.extent_below(child, depth + 1, known)?;
            extent.items = extent.items.saturating_add(more.items);
            extent.bytes = extent.bytes.saturating_add(more.bytes);
        }
        known.insert((*name, depth), extent);
        Some(extent)
    }

    /// When a holder that is left alone may be asked again.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        if self.remote.is_empty() {
            return None;
        }
        let holders = self.failures.iter().filter(|(holder, _)| self.holders.contains(holder));
        holders.map(|(_, (_, until))| *until).filter(|until| *until > now).min()
    }
}

fn shape_of(directory: &Directory) -> (Vec<Hash>, Extent) {
    let below = |entry: &Entry| if let Node::Directory(_, name) = entry.node { Some(name) } else { None };
    let sizes = directory.entries.iter().map(|entry| entry.item().size());
    let bytes = sizes.fold(0, |sum: u64, size| sum.saturating_add(size));
    let extent = Extent { items: directory.entries.len() as u64, bytes };
    (directory.entries.iter().filter_map(below).collect(), extent)
}

/// What a want weighs in a request to a holder.
fn carried(want: &Want) -> u64 {
    match want {
        Want::Directory(_) => DIRECTORY,
        Want::File(_, size) => *size,
        // The holder reads all of the file for it: it goes alone.
        Want::Outline(..) => limits::BYTES_PER_FETCH,
        Want::Part(..) => want.bytes().unwrap_or(0) / PARTS_ARE_LIGHTER,
    }
}

/// What it weighs when it is looked for here.
fn looked_at(want: &Want) -> u64 {
    match want {
        Want::Directory(_) | Want::Outline(..) => DIRECTORY,
        Want::File(_, size) => *size,
        Want::Part(..) => want.bytes().unwrap_or(0) / LOOKING_IS_LIGHTER,
    }
}

/// The first wants that fit one request.
fn take(from: &VecDeque<Want>, most: usize, weight: impl Fn(&Want) -> u64) -> Vec<Want> {
    let mut bytes = 0;
    let fits = |want: &&Want| {
        let first = bytes == 0;
        bytes = weight(want).saturating_add(bytes);
        first || bytes <= limits::BYTES_PER_FETCH
    };
    from.iter().take(most.clamp(1, limits::WANTS_PER_FETCH)).take_while(fits).copied().collect()
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;
    use crate::attributes::Attributes;
    use crate::identity::Identity;
    use crate::manifest::tests::AnyTree;
    use crate::manifest::{FORMAT, Manifest};

    /// Two names for one directory, on so many levels: a few hundred bytes that stand for 2^levels items.
    fn bomb(levels: usize) -> Plan {
        let mut below = Hash::of(&Directory { format: FORMAT, entries: Vec::new() }.encode());
        let mut directories = vec![(below, Directory { format: FORMAT, entries: Vec::new() })];
        for _ in 0..levels {
            let entry = |name: &str| Entry {
                name: name.as_bytes().to_vec().into(),
                node: Node::Directory(0o755, below),
                attributes: Attributes::default(),
            };
            let directory = Directory { format: FORMAT, entries: vec![entry("a"), entry("b")] };
            below = Hash::of(&directory.encode());
            directories.push((below, directory));
        }
        let mut plan = Plan::new(below);
        for fetch in 0.. {
            let Some(ask) = plan.next(Instant(0)) else { break };
            plan.asked(fetch, &ask);
            let wanted = |name: &Hash| ask.wants.contains(&Want::Directory(*name));
            let found = directories.iter().filter(|(name, _)| wanted(name)).cloned().collect();
            let result = Fetched { done: ask.wants.clone(), directories: found, ..Fetched::default() };
            plan.fetched(fetch, &result, Instant(0));
        }
        assert!(plan.is_complete());
        plan
    }

    #[test]
    fn a_tree_that_names_its_parts_many_times_over_is_counted_as_what_it_stands_for() {
        assert_eq!(bomb(3).extent().map(|extent| extent.items), Some(14));
        assert_eq!(bomb(18).extent().map(|extent| extent.items), Some((1 << 19) - 2));
        assert_eq!(bomb(20).extent(), None, "too many");
        assert_eq!(bomb(60).extent(), None, "too many, in no time");
        assert_eq!(bomb(70).extent(), None, "too deep");
    }

    fn files(all: &[(u64, Hash)]) -> Directory {
        let entries = all.iter().enumerate().map(|(number, (size, content))| Entry {
            name: format!("{number:04}").into_bytes().into(),
            node: Node::File(0o644, *size, *content),
            attributes: Attributes::default(),
        });
        Directory { format: FORMAT, entries: entries.collect() }
    }

    /// Goes on until all is here: whether something is here is asked by whom it is asked of (nobody is this member)
    /// and when. Gives all that was asked.
    fn get(
        plan: &mut Plan,
        directory: &Directory,
        mut has: impl FnMut(Option<MemberId>, &Want, Instant) -> bool,
    ) -> Vec<(Option<MemberId>, Want)> {
        let (mut asked, mut now) = (Vec::new(), Instant(0));
        for fetch in 0..100_000 {
            now = now + Millis(100);
            let Some(ask) = plan.next(now) else {
                if plan.is_complete() {
                    break;
                }
                continue;
            };
            plan.asked(fetch, &ask);
            let (done, missing) = ask.wants.iter().copied().partition(|want| has(ask.from, want, now));
            let mut result = Fetched { done, missing, ..Fetched::default() };
            if result.done.contains(&Want::Directory(plan.root)) {
                result.directories.push((plan.root, directory.clone()));
            }
            asked.extend(ask.wants.into_iter().map(|want| (ask.from, want)));
            plan.fetched(fetch, &result, now);
        }
        assert!(plan.is_complete());
        asked
    }

    fn plan_for(directory: &Directory, in_parts: bool) -> Plan {
        let mut plan = Plan::new(Hash::of(&directory.encode()));
        plan.set_in_parts(in_parts);
        plan.set_holders([Identity::from_seed([1; 32]).id()].into());
        plan
    }

    #[test]
    fn a_part_that_was_asked_for_is_not_waited_for_when_its_file_is_here() {
        let (size, content) = (50 * limits::PART_BYTES, Hash::of(b"large"));
        let directory = files(&[(size, content)]);
        let mut plan = plan_for(&directory, true);
        plan.set_holders([1, 2].map(|seed| Identity::from_seed([seed; 32]).id()).into());
        // The first request for parts ends after all others; these fail until the file is here from somewhere else.
        let (mut late, mut refused, mut now) = (None, 0, Instant(0));
        for fetch in 0..1000 {
            now = now + BACK_OFF_MAX;
            let (fetch, ask) = match plan.next(now) {
                Some(ask) => {
                    plan.asked(fetch, &ask);
                    (fetch, ask)
                }
                None => match late.take() {
                    Some(late) => late,
                    None => break,
                },
            };
            let is_for_parts =
                ask.from.is_some() && ask.wants.iter().any(|want| matches!(want, Want::Part(..)));
            if is_for_parts && refused == 0 {
                refused = 1;
                late = Some((fetch, ask));
                continue;
            }
            refused += if is_for_parts { ask.wants.len() as u32 } else { 0 };
            let is_given = |want: &Want| match want {
                Want::File(..) => ask.from.is_none() && refused > PARTS_FAILED,
                Want::Part(..) => false,
                Want::Directory(_) | Want::Outline(..) => ask.from.is_some(),
            };
            let (done, missing) = ask.wants.iter().copied().partition(is_given);
            let mut result = Fetched { done, missing, ..Fetched::default() };
            if result.done.contains(&Want::Directory(plan.root)) {
                result.directories.push((plan.root, directory.clone()));
            }
            plan.fetched(fetch, &result, now);
        }
        assert!(refused > PARTS_FAILED && late.is_none());
        assert!(plan.is_complete(), "{plan:?}");
    }

    #[test]
    fn where_not_everybody_knows_parts_a_large_file_comes_as_a_whole() {
        let (size, content) = (50 * limits::PART_BYTES, Hash::of(b"large"));
        let directory = files(&[(size, content)]);
        let mut plan = plan_for(&directory, false);
        let asked = get(&mut plan, &directory, |from, _, _| from.is_some());
        let parts = asked.iter().any(|(_, want)| matches!(want, Want::Outline(..) | Want::Part(..)));
        assert!(!parts && asked.iter().any(|it| it.0.is_some() && it.1 == Want::File(content, size)));
    }

    #[test]
    fn what_every_holder_was_asked_for_in_vain_is_barren_until_somebody_gives_something() {
        let directory = files(&[(10, Hash::of(b"small"))]);
        let mut plan = plan_for(&directory, true);
        let mut now = Instant(0);
        let mut ask = |plan: &mut Plan, gives: bool| {
            now = now + BACK_OFF_MAX;
            let ask = plan.next(now).expect("there is more to ask for");
            plan.asked(now.0, &ask);
            let directories = vec![(plan.root, directory.clone())];
            let done = ask.wants.clone();
            let all = Fetched { done, directories, ..Fetched::default() };
            plan.fetched(now.0, &if gives { all } else { Fetched::default() }, now);
            ask.from
        };
        assert_eq!(ask(&mut plan, false), None, "it is looked for here first");
        for _ in 0..FRUITLESS {
            assert!(!plan.is_barren());
            assert!(ask(&mut plan, false).is_some());
        }
        assert!(plan.is_barren());
        ask(&mut plan, true);
        assert!(!plan.is_barren(), "the directory came, and there is a file in it");
    }

    /// A thousand files of which each has a thousand parts: what is known of them at once is bounded.
    #[test]
    fn large_files_have_their_turns_and_all_come() {
        let names: Vec<Hash> = (0..1_000_u32).map(|number| Hash::of(&number.to_le_bytes())).collect();
        let size = 5 * limits::PART_BYTES;
        let directory = files(&names.iter().map(|name| (size, *name)).collect::<Vec<_>>());
        let mut plan = plan_for(&directory, true);
        let mut here = BTreeSet::new();
        let mut open = BTreeSet::new();
        let asked = get(&mut plan, &directory, |from, want, _| {
            if from.is_some() {
                here.insert(*want);
            }
            match want {
                Want::Outline(name, _) => drop(open.insert(*name)),
                Want::File(name, _) if from.is_none() => {
                    let whole = (0..5).all(|index| here.contains(&Want::Part(*name, size, index)));
                    if whole {
                        open.remove(name);
                    }
                    return whole;
                }
                _ => {}
            }
            assert!(open.len() <= LARGE_AT_ONCE, "{} at once", open.len());
            here.contains(want)
        });
        let parts = asked.iter().filter(|it| it.0.is_some() && matches!(it.1, Want::Part(..)));
        assert_eq!(parts.count(), 5_000, "each part of each file once");
    }

    /// A disk that is full when all parts are there takes the file when there is room: nothing comes a second time.
    #[test]
    fn a_file_that_cannot_be_put_together_yet_is_looked_for_again() {
        let (size, content) = (5 * limits::PART_BYTES, Hash::of(b"large"));
        let directory = files(&[(size, content)]);
        let mut plan = plan_for(&directory, true);
        let mut here = BTreeSet::new();
        let asked = get(&mut plan, &directory, |from, want, now| match (from, want) {
            (None, Want::File(..)) => now > Instant(60_000) && here.len() >= 7,
            (Some(_), Want::File(..)) => false,
            (Some(_), _) => here.insert(*want),
            (None, _) => here.contains(want),
        });
        let parts = asked.iter().filter(|it| it.0.is_some() && matches!(it.1, Want::Part(..)));
        assert_eq!(parts.count(), 5);
        assert!(asked.len() < 100, "with pauses: {}", asked.len());
    }

    /// A tree of one large file among holders, one of whom goes after a while: everybody who can gives parts, none is
    /// asked for twice once it came, and what is here already is not asked for at all.
    #[test]
    fn a_large_file_comes_in_parts_from_everybody_and_is_gone_on_with() {
        let size = 20 * crate::limits::PART_BYTES + 1;
        let content = Hash::of(b"large");
        let directory = files(&[(size, content)]);
        let root = Hash::of(&directory.encode());
        let holders: Vec<MemberId> = (0..3).map(|n| Identity::from_seed([n; 32]).id()).collect();
        let mut here: BTreeSet<Want> = [3, 4, 9].map(|index| Want::Part(content, size, index)).into();
        let mut plan = Plan::new(root);
        plan.set_in_parts(true);
        plan.set_holders(holders.iter().copied().collect());
        let (mut now, mut given, mut asked) = (Instant(0), BTreeMap::new(), BTreeSet::new());
        for fetch in 0..10_000 {
            now = now + Millis(100);
            let Some(ask) = plan.next(now) else {
                if plan.is_complete() {
                    break;
                }
                continue;
            };
            plan.asked(fetch, &ask);
            let mut result = Fetched::default();
            for want in ask.wants {
                assert!(ask.from.is_none() || !matches!(want, Want::File(..)), "not as a whole");
                let all = (0..21).all(|index| here.contains(&Want::Part(content, size, index)));
                let is_here = here.contains(&want) || (want == Want::File(content, size) && all);
                let gone = ask.from == Some(holders[2]) && given.get(&holders[2]).copied() >= Some(3);
                if ask.from.is_some() {
                    assert!(!is_here, "{want:?} is here");
                }
                if (ask.from.is_none() && !is_here) || gone {
                    result.missing.push(want);
                    continue;
                }
                if let (Some(holder), Want::Part(..)) = (ask.from, want) {
                    assert!(asked.insert(want), "twice");
                    *given.entry(holder).or_insert(0) += 1;
                }
                here.insert(want);
                result.done.push(want);
                if want == Want::Directory(root) {
                    result.directories.push((root, directory.clone()));
                }
            }
            plan.fetched(fetch, &result, now);
        }
        assert!(plan.is_complete());
        assert_eq!((asked.len(), given.len()), (18, 3), "{given:?}");
        assert!(given[&holders[0]] > 3 && given[&holders[1]] > 3, "{given:?}");
    }

    /// What is gathered may be lost on the disk, again and again: then the file is had as a whole.
    #[test]
    fn a_large_file_that_never_comes_together_is_had_as_a_whole() {
        let size = 5 * crate::limits::PART_BYTES;
        let content = Hash::of(b"large");
        let directory = files(&[(size, content)]);
        let root = Hash::of(&directory.encode());
        let mut plan = Plan::new(root);
        plan.set_in_parts(true);
        plan.set_holders([Identity::from_seed([1; 32]).id()].into());
        let mut whole = 0;
        for fetch in 0..1_000 {
            let Some(ask) = plan.next(Instant(fetch)) else { break };
            plan.asked(fetch, &ask);
            let mut result = Fetched::default();
            for want in ask.wants {
                if ask.from.is_none() {
                    result.missing.push(want);
                    continue;
                }
                whole += u32::from(want == Want::File(content, size));
                result.done.push(want);
                if want == Want::Directory(root) {
                    result.directories.push((root, directory.clone()));
                }
            }
            plan.fetched(fetch, &result, Instant(fetch));
        }
        assert!(plan.is_complete());
        assert_eq!(whole, 1);
    }

    quickcheck! {
        /// Holders that answer a random part of what they are asked still give the whole tree.
        fn unreliable_holders_give_the_whole(tree: AnyTree, seed: u64) -> bool {
            let manifest = Manifest::from_items(&tree.0).expect("parents are there");
            let mut rng = crate::rng::Rng::new([seed as u8; 32]);
            let holders: BTreeSet<MemberId> = (0..3).map(|n| Identity::from_seed([n; 32]).id()).collect();
            let mut plan = Plan::new(manifest.root);
            plan.set_holders(holders);
            let (mut now, mut got) = (Instant(0), BTreeSet::new());
            for fetch in 0..10_000 {
                now = now + Millis(100);
                let Some(ask) = plan.next(now) else {
                    if plan.is_complete() { break }
                    continue;
                };
                plan.asked(fetch, &ask);
                let mut result = Fetched::default();
                for want in &ask.wants {
                    if ask.from.is_none() || rng.chance(300) { result.missing.push(*want); continue }
                    result.done.push(*want);
                    got.insert(*want);
                    if let Want::Directory(name) = want {
                        result.directories.push((*name, manifest.directories[name].clone()));
                    }
                }
                plan.fetched(fetch, &result, now);
            }
            let files = tree.0.values().filter_map(|item| match item {
                crate::manifest::Item::File { content, size, .. } => Some(Want::File(*content, *size)),
                _ => None,
            });
            let wanted: BTreeSet<Want> = files.chain(manifest.directories.keys().map(|name| Want::Directory(*name))).collect();
            plan.is_complete() && got == wanted && plan.extent() == manifest.extent().ok()
        }
    }
}
