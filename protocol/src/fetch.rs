//! The pull machine: gets one root complete into the store, from what is here and from several holders at once
//! (design §6). It decides who is asked for what; the host carries bytes and checks hashes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::effect::{Fetched, Want};
use crate::hash::Hash;
use crate::identity::MemberId;
use crate::limits;
use crate::manifest::{Directory, Entry, Extent, Node};
use crate::time::{Instant, Millis};

/// A holder that failed is left alone for so long, doubling each time.
const BACK_OFF: Millis = Millis(500);
/// Longest time that a holder is left alone.
const BACK_OFF_MAX: Millis = Millis(10_000);

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
    holders: BTreeSet<MemberId>,
    failures: BTreeMap<MemberId, (u32, Instant)>,
    /// Bytes that came from peers.
    pub bytes: u64,
    /// Files and directories that are in the store now.
    pub done: u64,
    /// Why something was missing last, for people.
    pub error: Option<String>,
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
            holders: BTreeSet::new(),
            failures: BTreeMap::new(),
            bytes: 0,
            done: 0,
            error: None,
        }
    }

    /// Who can be asked.
    pub fn set_holders(&mut self, holders: BTreeSet<MemberId>) {
        self.holders = holders;
    }

    /// Everything is in the store.
    pub fn is_complete(&self) -> bool {
        self.local.is_empty() && self.remote.is_empty() && self.asked.is_empty()
    }

    /// How many things are known to be still lacking.
    pub fn lacking(&self) -> u64 {
        let asked: usize = self.asked.values().map(|(_, wants)| wants.len()).sum();
        (self.local.len() + self.remote.len() + asked) as u64
    }

    /// The next request, if one can be made now. The caller names it with [`Self::asked`].
    pub fn next(&self, now: Instant) -> Option<Ask> {
        if self.asked.len() >= limits::FETCHES_AT_ONCE {
            return None;
        }
        let here = self.asked.values().any(|(from, _)| from.is_none());
        if !self.local.is_empty() && !here {
            return Some(Ask { from: None, wants: take(&self.local, usize::MAX) });
        }
        let holder = self.idle_holder(now)?;
        // Everybody gets a share, so that one slow holder does not keep the rest waiting.
        let share = self.remote.len().div_ceil(self.holders.len().clamp(1, limits::FETCHES_AT_ONCE));
        let wants = take(&self.remote, share);
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
        let missing: Vec<Want> = wants.into_iter().filter(|want| !done.contains(want)).collect();
        if let Some(holder) = from.filter(|_| !missing.is_empty()) {
            let (count, until) = self.failures.entry(holder).or_default();
            *count = count.saturating_add(1);
            let pause = BACK_OFF.0.saturating_mul(1 << (*count - 1).min(10)).min(BACK_OFF_MAX.0);
            *until = now + Millis(pause);
            self.error.clone_from(&result.error);
        }
        self.remote.extend(missing);
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

/// The first wants that fit one request.
fn take(from: &VecDeque<Want>, most: usize) -> Vec<Want> {
    let mut bytes = 0;
    let fits = |want: &&Want| {
        let first = bytes == 0;
        bytes = if let Want::File(_, size) = want { size.saturating_add(bytes) } else { bytes + 4096 };
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
