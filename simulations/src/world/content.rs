//! Scans, captures, fetches and applies.

use std::collections::{BTreeSet, VecDeque};

use althing_protocol::codec;
use althing_protocol::conduct::Offence;
use althing_protocol::effect::{
    Applied, Captured, Fetched, Input, NotApplied, NotCaptured, Place, Scan, Source, Want,
};
use althing_protocol::hash::Hash;
use althing_protocol::identity::MemberId;
use althing_protocol::manifest::Manifest;
use althing_protocol::path::ItemPath;
use althing_protocol::repair::{self, Action};
use althing_protocol::rollout::{Kind, Ran};

use super::{Event, MS, SECOND, World};
use crate::host::content::name_of;
use crate::host::tree::{Journal, Tree};
use crate::invariants;
use crate::mutation::Mutation;

/// A holder that takes longer is given up.
const MOST_PATIENT: u64 = 60 * SECOND;

/// What a host says when its disk is full.
const NO_ROOM: &str = "no space left on device";

fn needs_room(action: &Action) -> bool {
    !matches!(action, Action::Remove(..) | Action::Set { .. })
}

impl World {
    // --- scans -------------------------------------------------------------------------------------------------

    pub(super) fn set_places(&mut self, at: usize, places: Vec<Place>) {
        // Administrators of this world manage every path.
        let names: BTreeSet<String> = places.into_iter().map(|place| place.application).collect();
        let before = std::mem::replace(&mut self.hosts[at].places, names.clone());
        let life = self.hosts[at].life;
        for application in names.difference(&before) {
            self.scan(at, life, application);
        }
    }

    /// Begins a scan, unless one is under way or the tree is being changed by an apply.
    pub(super) fn scan(&mut self, at: usize, life: u64, application: &str) {
        if !self.is_alive(at, life) {
            return;
        }
        let after = 5 * MS + self.rng.below(60 * MS);
        let live = self.hosts[at].live(application);
        if live.scanning || live.journal.is_some() {
            live.again = true;
            return;
        }
        live.scanning = true;
        live.again = false;
        let version = live.version;
        let application = application.to_owned();
        self.schedule(after, Event::Scanned { host: at, life, application, version });
    }

    pub(super) fn scanned(&mut self, at: usize, life: u64, application: &str, version: u64) {
        if !self.is_alive(at, life) {
            return;
        }
        let live = self.hosts[at].live(application);
        live.scanning = false;
        if live.journal.is_some() {
            live.again = true;
            return;
        }
        let unstable = live.version != version;
        let again = std::mem::take(&mut live.again) || unstable;
        let scan = if unstable {
            Scan::Unstable("it changed".into())
        } else {
            match live.shown.clone().or_else(|| live.manifest()) {
                None => Scan::Absent,
                Some(manifest) => {
                    let extent = manifest.extent().unwrap_or_default();
                    let applied = live.applied.and_then(|root| self.library.manifest(&root));
                    let ends = applied
                        .is_some_and(|applied| self.hosts[at].live(application).is_rendering(&applied));
                    let beyond = ends.then(|| "there is no such user here".to_owned());
                    Scan::Tree { root: manifest.root, extent, beyond }
                }
            }
        };
        if self.breaks(Mutation::StaleScan) {
            let live = self.hosts[at].live(application);
            live.shown = live.shown.take().or_else(|| live.manifest());
            let stale = live.shown.as_ref().map(|shown| shown.root) != live.root();
            self.struck_if(stale);
        }
        if again {
            self.scan(at, life, application);
        }
        self.give(at, Input::Scanned { application: application.to_owned(), scan });
    }

    /// An administrator (or a failing disk) changed a tree: the host notices it soon, or at the next patrol.
    pub(crate) fn changed(&mut self, at: usize, application: &str) {
        if self.hosts[at].places.contains(application) && !(self.faults.deaf && self.rng.chance(300)) {
            let most = if self.faults.prompt { 40 * MS } else { 500 * MS };
            let after = 5 * MS + self.rng.below(most);
            let (life, application) = (self.hosts[at].life, application.to_owned());
            self.schedule(after, Event::Notice { host: at, life, application });
        }
    }

    pub(super) fn patrol(&mut self, at: usize) {
        let (life, places) = (self.hosts[at].life, self.hosts[at].places.clone());
        places.iter().for_each(|application| self.scan(at, life, application));
        let after = 20 * SECOND + self.rng.below(20 * SECOND);
        self.schedule(after, Event::Patrol { host: at });
    }

    // --- captures ----------------------------------------------------------------------------------------------

    pub(super) fn capture(&mut self, at: usize, capture: u64, application: String, source: &Source) {
        let after = 20 * MS + self.rng.below(400 * MS);
        let host = &mut self.hosts[at];
        let (tree, version) = match source {
            Source::Live => {
                let live = host.live(&application);
                (live.tree.clone(), Some(live.version))
            }
            Source::Directory(path) => (host.directories.get(path).cloned(), None),
        };
        let life = host.life;
        // Written now, named by nobody before it is complete.
        self.hosts[at].content.capture_begins(capture);
        if let Some(manifest) = tree.as_ref().and_then(|tree| Manifest::from_items(tree).ok()) {
            self.library.learn(&manifest);
            let stored = !self.breaks_now(Mutation::EmptyCapture, 3);
            for piece in self.library.pieces(&manifest.root).into_iter().filter(|_| stored) {
                self.hosts[at].content.put(piece);
            }
        }
        self.schedule(after, Event::Capture { host: at, life, capture, application, tree, version });
    }

    pub(super) fn captured(
        &mut self,
        at: usize,
        capture: u64,
        application: &str,
        tree: Option<Tree>,
        version: Option<u64>,
    ) {
        let moved = version.is_some_and(|version| self.hosts[at].live(application).version != version);
        let manifest = tree.and_then(|tree| Manifest::from_items(&tree).ok());
        let full = self.hosts[at].full || self.hosts[at].full_until > self.now;
        let result = match manifest {
            Some(_) if full => Err(NotCaptured::NoRoom(NO_ROOM.to_owned())),
            None => Err(NotCaptured::Refused("there is nothing to capture".to_owned())),
            Some(_) if moved => Err(NotCaptured::Changing("the tree changes while it is read".to_owned())),
            Some(manifest) => {
                invariants::captured(self, at, application, manifest.root);
                Ok(Captured { root: manifest.root, extent: manifest.extent().unwrap_or_default() })
            }
        };
        self.give(at, Input::Captured { capture, result });
        self.hosts[at].content.capture_ended(capture);
    }

    // --- fetches -----------------------------------------------------------------------------------------------

    pub(super) fn fetch(
        &mut self,
        at: usize,
        fetch: u64,
        application: String,
        from: Option<MemberId>,
        wants: Vec<Want>,
    ) {
        let in_parts = wants.iter().any(|want| matches!(want, Want::Outline(..) | Want::Part(..)));
        if in_parts && self.reference.state().is_some_and(|state| state.protocol < 2) {
            self.violate("F5", "parts are asked for where not everybody knows what they are".to_owned());
        }
        let life = self.hosts[at].life;
        let from = from.and_then(|id| self.route(at, &id));
        let bytes: u64 = wants.iter().map(|want| want.bytes().unwrap_or(500)).sum();
        let after = match from {
            None => MS + self.rng.below(20 * MS),
            Some(from) if self.network.is_usable(at, from).is_some() => {
                let rate = self.network.rate(at, from, self.now).unwrap_or(20_000_000);
                let carried = (bytes * SECOND / rate).min(MOST_PATIENT);
                2 * self.network.delay() + carried + self.rng.below(30 * MS)
            }
            Some(_) => 50 * MS + self.rng.below(3 * SECOND),
        };
        self.schedule(after, Event::Fetch { host: at, life, fetch, application, from, wants });
    }

    pub(super) fn fetched(
        &mut self,
        at: usize,
        fetch: u64,
        application: &str,
        from: Option<usize>,
        wants: Vec<Want>,
    ) {
        let mut result = Fetched::default();
        let false_content = from.is_some_and(|from| self.hosts[from].vices.bad_content);
        let unreadable = from.map_or(at, |from| from);
        let unreadable = self.faults.on && self.hosts[unreadable].unreadable_until > self.now;
        let reachable = !unreadable
            && !false_content
            && from.is_none_or(|from| {
                self.hosts[from].is_up()
                    && self.network.is_usable(at, from).is_some()
                    && self.network.is_open(at, from)
            });
        let here = if from.is_none() { self.live_pieces(at, application) } else { BTreeSet::new() };
        let mut full = false;
        for want in wants {
            let name = name_of(&want);
            let lost = from.is_some() && self.faults.lossy_fetches && self.rng.chance(100);
            if self.hosts[at].full && !self.hosts[at].content.has(&name) {
                result.missing.push(want);
                full = true;
                continue;
            }
            // A holder gives parts of what it has whole.
            let held = match from {
                Some(from) => self.hosts[from].content.has(&name),
                None => {
                    let lent = matches!(want, Want::Directory(_) | Want::File(..)) && here.contains(&name);
                    self.hosts[at].content.holds(&want) || lent
                }
            };
            if (!reachable || lost || !held) && self.breaks_now(Mutation::FalseFetch, 2) {
                result.done.push(want);
                continue;
            }
            if !reachable || lost || !held {
                result.missing.push(want);
                continue;
            }
            let counts = match from {
                Some(_) => self.hosts[at].content.take(&want),
                None => {
                    self.rely(at, &want);
                    true
                }
            };
            if !counts {
                result.missing.push(want);
                continue;
            }
            if let (Want::Directory(name), Some(directory)) = (want, self.library.directory(&name)) {
                result.directories.push((name, directory.clone()));
            }
            if from.is_some() {
                result.bytes += want.bytes().unwrap_or(0);
                if matches!(want, Want::Part(..)) {
                    self.count("a part of a large file came");
                }
            }
            result.done.push(want);
        }
        if let Some(from) = from.filter(|_| false_content && !result.missing.is_empty()) {
            self.see_through(at, from, &result.missing);
        }
        if full {
            result.error = Some(NO_ROOM.to_owned());
        } else if !result.missing.is_empty() && from.is_some() {
            result.error = Some("the holder did not give it".into());
            self.count("a holder did not give what it was asked for");
        }
        self.give(at, Input::Fetched { fetch, result });
    }

    /// A liar answered a request for content with something else: whoever asked looks, as a daemon does, and tells its
    /// member.
    fn see_through(&mut self, at: usize, from: usize, wants: &[Want]) {
        let times = wants.iter().filter(|want| !self.is_what_was_wanted(want)).count() as u64;
        self.count("other content than was asked for came and was refused");
        let who = self.hosts[from].id;
        self.give(at, Input::Offended { who, offence: Offence::Content, times });
    }

    /// Whether the bytes that a liar sends for a piece pass for it.
    fn is_what_was_wanted(&mut self, want: &Want) -> bool {
        let bytes = match (self.rng.below(3), want) {
            // A path that leads elsewhere.
            (0, _) => codec::encode(&vec![("../../etc/passwd", 0o644)]),
            // More than was asked for.
            (1, Want::File(_, size)) => vec![0; (*size as usize).min(1000) + 1],
            _ => self.rng.bytes::<64>().to_vec(),
        };
        Hash::of(&bytes) == name_of(want)
    }

    /// A running member reads a piece of its content: if it is not what it was, that is put aside and told.
    fn read_again(&mut self, at: usize, piece: Hash) {
        if self.hosts[at].content.find_rotten(&piece) {
            self.count("rotten content was found");
            let aside = "the directory for damaged content".to_owned();
            self.give(at, Input::Damaged { content: piece, aside });
        }
    }

    /// A member reads a piece of its content again.
    pub(super) fn scrub(&mut self, at: usize, life: u64, piece: Hash) {
        if !self.is_alive(at, life) {
            // It is read after the next start.
            if self.hosts[at].content.find_rotten(&piece) {
                self.hosts[at].content.rot(piece);
            }
            let life = self.hosts[at].life;
            return self.schedule(5 * SECOND, Event::Scrub { host: at, life, piece });
        }
        self.read_again(at, piece);
    }

    /// What is here already stays until its user has named it.
    fn rely(&mut self, at: usize, want: &Want) {
        if let Want::Directory(name) | Want::File(name, _) = want {
            self.hosts[at].content.put(*name);
        }
    }

    /// What the live tree of an application holds.
    fn live_pieces(&mut self, at: usize, application: &str) -> BTreeSet<Hash> {
        let Some(manifest) = self.hosts[at].live(application).manifest() else { return BTreeSet::new() };
        self.library.learn(&manifest);
        self.library.pieces(&manifest.root)
    }

    // --- applies -----------------------------------------------------------------------------------------------

    pub(super) fn apply(
        &mut self,
        at: usize,
        apply: u64,
        application: String,
        (root, epoch): (Hash, u64),
        leave: &[ItemPath],
    ) {
        invariants::applies(self, at, &application, &root, epoch);
        let life = self.hosts[at].life;
        let have = self.hosts[at].live(&application).manifest().unwrap_or_else(Manifest::empty);
        let want = self.library.manifest(&root);
        let differences = want.and_then(|want| repair::diff(&have, &want).ok());
        let all = differences.as_ref().map_or(0, Vec::len);
        let differences = differences.map(|differences| repair::except(differences, leave));
        let damaged = !self.hosts[at].content.lacking(&self.library, &root).is_empty();
        let free = !damaged && self.hosts[at].live(&application).journal.is_none();
        let Some(differences) = differences.filter(|_| free) else {
            let why = "an apply is under way, or the content is not complete".to_owned();
            let result = Err(NotApplied::Lacking(why));
            return self.schedule(
                MS,
                Event::Give { host: at, life, input: Box::new(Input::Applied { apply, result }) },
            );
        };
        let mut actions: VecDeque<Action> = repair::actions(&differences).actions.into();
        if self.breaks(Mutation::HalfApply) {
            let left_away = actions.pop_back();
            self.struck_if(left_away.is_some());
        }
        let (left, paths) = (all - differences.len(), differences.iter().map(|it| it.path.clone()).collect());
        let applied = Applied { left: left as u64, paths, ..Applied::default() };
        let journal = Journal { apply, life, root, actions, applied };
        self.hosts[at].live(&application).journal = Some(journal);
        let after = 2 * MS + self.rng.below(20 * MS);
        self.schedule(after, Event::Apply { host: at, application });
    }

    pub(super) fn apply_step(&mut self, at: usize, application: &str) {
        if !self.hosts[at].is_up() {
            return;
        }
        let step = MS + self.rng.below(30 * MS);
        let live = self.hosts[at].live(application);
        let Some(mut journal) = live.journal.take() else { return };
        if self.hosts[at].full && journal.actions.front().is_some_and(needs_room) {
            return self.give_up(at, application, &journal, NotApplied::NoRoom(NO_ROOM.to_owned()));
        }
        if let Some(Action::WriteFile { content, .. }) = journal.actions.front()
            && !self.hosts[at].content.has(content)
            && (self.hosts[at].content.is_damaged(content) || self.hosts[at].content.is_lost(content))
        {
            // As the node does, which stops where a piece is not there or not what it was.
            let lost = self.hosts[at].content.is_lost(content);
            self.count(if lost {
                "an apply met content that was lost"
            } else {
                "an apply met rotten content"
            });
            self.read_again(at, *content);
            let why = NotApplied::Lacking("its content is damaged or gone".to_owned());
            return self.give_up(at, application, &journal, why);
        }
        let live = self.hosts[at].live(application);
        if let Some(action) = journal.actions.pop_front() {
            invariants::writes(self, at, application, &action);
            let live = self.hosts[at].live(application);
            let (changed, trashed) = live.act(&action);
            journal.applied.changed += changed;
            journal.applied.trashed += trashed;
            live.journal = Some(journal);
            if self.breaks(Mutation::NoTrash) {
                let gone = !std::mem::take(&mut self.hosts[at].live(application).trash).is_empty();
                self.struck_if(gone);
            }
            let application = application.to_owned();
            return self.schedule(step, Event::Apply { host: at, application });
        }
        live.applied = Some(journal.root);
        // An empty root is a root.
        if live.tree.is_none() {
            live.set(Some(Tree::new()));
        }
        invariants::applied(self, at, application, &journal.root);
        let life = self.hosts[at].life;
        if journal.life == life {
            if !self.breaks_now(Mutation::LostResults, 5) {
                self.give(at, Input::Applied { apply: journal.apply, result: Ok(journal.applied) });
            }
        } else {
            self.count("an apply went forward after a crash");
        }
        if self.hosts[at].places.contains(application) {
            self.scan(at, life, application);
        }
    }

    /// An apply that finds no room stops where it is; the next one goes on from there.
    fn give_up(&mut self, at: usize, application: &str, journal: &Journal, why: NotApplied) {
        let life = self.hosts[at].life;
        if journal.life == life {
            self.give(at, Input::Applied { apply: journal.apply, result: Err(why) });
        }
        self.scan(at, life, application);
    }

    /// A removed application is cleared away, unless an apply of it is under way: then later.
    pub(super) fn clear(&mut self, at: usize, clear: u64, application: &str, keep_files: bool) {
        let after = 5 * MS + self.rng.below(200 * MS);
        let (life, live) = (self.hosts[at].life, self.hosts[at].live(application));
        let result = if live.journal.is_some() {
            Err("an apply is under way".to_owned())
        } else if keep_files {
            Ok(0)
        } else {
            let items = live.tree.take().unwrap_or_default();
            live.version += 1;
            let count = items.len() as u64;
            live.trash.extend(items);
            Ok(count)
        };
        self.count("a removed application was cleared away");
        self.schedule(
            after,
            Event::Give { host: at, life, input: Box::new(Input::Cleared { clear, result }) },
        );
    }

    // --- hooks -----------------------------------------------------------------------------------------------

    /// Runs a hook: the content that it needs must be there, and it fails where the host has it so.
    pub(super) fn hook(
        &mut self,
        at: usize,
        run: u64,
        application: &str,
        kind: Kind,
        (from, root): (Hash, Hash),
    ) {
        let mut damaged = false;
        for needed in [from, root] {
            let content = &self.hosts[at].content;
            let lacking = content.forgotten(&self.library, &needed).len();
            damaged |= content.lacking(&self.library, &needed).len() > lacking;
            if lacking > 0 {
                let name = self.hosts[at].name.clone();
                let text = format!("{name} runs a hook with {}, and lacks {lacking} pieces", needed.short());
                self.violate("§5.5.5", text);
            }
        }
        let entity =
            self.hosts[at].member.as_ref().and_then(|member| member.state()).map(|state| state.entity);
        if !self.reference.knows(entity, application, &from) {
            self.violate("§10", format!("a hook of {}, which nobody settled", from.short()));
        }
        let life = self.hosts[at].life;
        let after = 5 * MS + self.rng.below(300 * MS);
        let fails = self.hosts[at].hooks_fail_until > self.now;
        let ran = match (damaged, fails) {
            // As the node does, which hashes what it is about to run.
            (true, _) => Ran::Badly("could not be run: its content is damaged here".to_owned()),
            (false, true) => Ran::Badly("ended with exit 1".to_owned()),
            (false, false) => Ran::Well,
        };
        if ran != Ran::Well {
            invariants::hook_fails(self, application, kind, root);
        }
        if damaged {
            self.count("a hook was not run, as its content had rotted");
        }
        self.count(if kind == Kind::Check { "a check was run" } else { "an after hook was run" });
        self.schedule(after, Event::Give { host: at, life, input: Box::new(Input::HookRan { run, ran }) });
    }

    // --- keeping -----------------------------------------------------------------------------------------------

    pub(super) fn keep(&mut self, at: usize, roots: Vec<Hash>) {
        self.hosts[at].keep = roots.into_iter().collect();
        self.collect_later(at, 20 * SECOND);
    }

    fn collect_later(&mut self, at: usize, most: u64) {
        let (life, after) = (self.hosts[at].life, self.rng.below(most));
        self.schedule(after, Event::Sweep { host: at, life });
    }

    /// Half of a collection: it marks, and sweeps some time later. Whatever happens in between, nothing that is
    /// needed may go.
    pub(super) fn sweep(&mut self, at: usize, life: u64) {
        if !self.is_alive(at, life) {
            return;
        }
        if !self.hosts[at].content.is_marked() {
            let careless = self.breaks(Mutation::LostContent);
            self.struck_if(careless && !self.hosts[at].keep.is_empty());
            let host = &mut self.hosts[at];
            // An apply that a crash interrupted goes forward to a root that nobody may name any more.
            let journals = host.live.values().filter_map(|live| live.journal.as_ref().map(|it| it.root));
            let keep = host.keep.iter().copied().chain(journals).collect();
            host.content.mark(&self.library, &keep, careless);
            return self.collect_later(at, 3 * SECOND);
        }
        if self.breaks(Mutation::HastyCollection) {
            let hurried = self.hosts[at].content.hurry();
            self.struck_if(hurried);
        }
        let gone = self.hosts[at].content.sweep();
        if gone > 0 {
            self.count("content was thrown away");
            invariants::swept(self, at);
        }
    }
}
