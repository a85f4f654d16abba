//! The ballot's acts carried out, and the chain: promises made durable before votes leave, proposals, settled
//! records, catch-up, and what happens when signatures contradict each other.

use std::collections::{BTreeMap, BTreeSet};

use serde_bytes::ByteBuf;

use super::leaving::removal;
use super::saved::{self, Head, Life};
use super::spreading::is_of_the_future;
use super::{Core, Durable, Entity, Installed, Sabotage, placing};
use crate::ballot::{Act, Ballot, Outlook, Pol, Turn};
use crate::conduct::Offence;
use crate::event::{Event, Severity};
use crate::hash::Hash;
use crate::identity::MemberId;
use crate::limits;
use crate::record::{Certificate, Change, FORMAT, Link, Policy, Record};
use crate::state::State;
use crate::statement::{Checked, Intent, Proposal, Signed, Slot, Statement, Unverified, Vote};
use crate::time::{Instant, Millis};
use crate::wire::Message;

/// The record that this member would propose now, remembered until the intents or the head change.
#[derive(Default)]
pub(super) struct Candidate {
    /// What it was made from.
    of: Option<(u64, u64)>,
    value: Option<(Hash, Turn)>,
    /// When an intent that is not agreeable yet may become so.
    recheck: Option<Instant>,
}

/// What a record adds to the bytes of an intent, and to all of them, with room: author, signature, its own fields.
const SIGNED_OVERHEAD: usize = 256;
/// Not sooner than this is an intent that was not agreeable looked at again.
const RECHECK: Millis = Millis(1000);

/// The state that a record's bytes lead to, if they are a valid child of `state` at `head`.
pub(super) fn judge(core: &Core, state: &State, head: &Hash, bytes: &[u8]) -> Option<State> {
    let record = Record::decode(bytes).ok().filter(|record| core.understands(record))?;
    match state.after(head, &record, core.scheme()) {
        Ok(next) => Some(next),
        Err(invalid) => {
            tracing::debug!(%invalid, "a record is not valid");
            None
        }
    }
}

impl Entity {
    pub(super) fn outlook(&self, core: &Core) -> Outlook {
        Outlook { candidate: self.candidate.value, may_vote: self.may_vote(core) && !self.installing }
    }

    pub(super) fn attend_ballot(&mut self, core: &mut Core) {
        if self.installing || self.is_stopped() || self.is_lapsed() {
            return;
        }
        self.refresh_candidate(core);
        let mut acts = Vec::new();
        let outlook = self.outlook(core);
        self.ballot.advance(core.now.mono, &outlook, &mut acts);
        for act in acts {
            self.carry_out(core, act);
        }
    }

    fn carry_out(&mut self, core: &mut Core, act: Act) {
        match act {
            Act::Promise { votes, records, entry } => self.promise(core, votes, &records, entry),
            Act::Propose { value, pol } => self.propose(core, value, pol),
            Act::Settled(certificate) => self.settled(core, certificate),
            Act::Lacking(value) => {
                self.send_all(core, self.overlay.beat_to(), &Message::GetRecord(value));
            }
            Act::Equivocation(pair) => self.equivocation(core, pair.0, pair.1),
        }
    }

    // --- proposals ---------------------------------------------------------------------------------------------

    /// Pending intents in an order that all members share: the oldest of each author, then the second of each, so
    /// that who floods keeps only itself waiting (finding 12).
    pub(super) fn intents(&self) -> Vec<Checked> {
        let mut by_author: BTreeMap<MemberId, Vec<Checked>> = BTreeMap::new();
        for checked in self.board.iter().filter(|checked| checked.intent().is_some()) {
            by_author.entry(checked.author()).or_default().push(checked.clone());
        }
        let age = |checked: &Checked| checked.intent().map(|intent| (intent.at, intent.id));
        let ranked = by_author.into_values().flat_map(|mut own| {
            own.sort_by_key(age);
            own.into_iter().take(limits::INTENTS_PER_AUTHOR).enumerate()
        });
        let mut intents: Vec<(usize, Checked)> = ranked.collect();
        intents.sort_by_key(|(rank, checked)| (*rank, age(checked)));
        intents.into_iter().map(|(_, checked)| checked).take(limits::INTENTS).collect()
    }

    fn refresh_candidate(&mut self, core: &Core) {
        let of = (self.state.epoch, self.board.intents());
        let due = self.candidate.recheck.is_some_and(|at| core.now.mono >= at);
        if self.candidate.of == Some(of) && !due {
            return;
        }
        self.candidate = Candidate { of: Some(of), ..Candidate::default() };
        let (mut changes, mut own): (Vec<Signed>, bool) = (Vec::new(), false);
        let (mut next, mut size) = (self.state.child(), 0);
        for checked in self.intents() {
            let Some(intent) = checked.intent() else { continue };
            if !self.is_agreeable(core, checked.author(), intent) {
                self.candidate.recheck = Some(core.now.mono + RECHECK);
                continue;
            }
            // One that is too large to go with the others waits; one that is too large alone keeps nobody waiting.
            let larger = size + checked.signed().bytes.len() + SIGNED_OVERHEAD;
            if larger > limits::RECORD_BYTES - SIGNED_OVERHEAD {
                continue;
            }
            if let Ok(state) = next.with_change(&self.state, &checked, core.scheme()) {
                own |= checked.author() == core.me();
                (next, size) = (state, larger);
                changes.push(checked.signed().clone());
            }
            if changes.len() == limits::INTENTS_PER_RECORD {
                break;
            }
        }
        if changes.is_empty() {
            return;
        }
        let (entity, epoch) = (self.state.entity, next.epoch);
        let record = Record { format: FORMAT, entity, epoch, parent: self.head, changes, state: next.hash() };
        let bytes = record.encode();
        if bytes.len() > limits::RECORD_BYTES {
            return;
        }
        let value = self.ballot.learn(bytes, Some(next), true);
        self.candidate.value = Some((value, if own { Turn::Own } else { Turn::Others }));
    }

    /// Whether this member's clock, lists and disk agree with a fresh change (finding 9).
    pub(super) fn is_agreeable(&self, core: &Core, author: MemberId, intent: &Intent) -> bool {
        let wall = core.now.wall;
        if is_of_the_future(core, intent.at) {
            return false;
        }
        if !intent.mandate.approvals.is_empty() && wall >= intent.mandate.until {
            return false;
        }
        match &intent.change {
            Change::Expire { application } => {
                let window = self.state.applications.get(application).and_then(|app| app.window.as_ref());
                window.is_some_and(|window| wall >= window.expires)
            }
            Change::Admit(request) => self
                .state
                .invitations
                .get(&request.invitation)
                .is_some_and(|invitation| wall < invitation.expires),
            Change::Adopt { application, root, .. } => {
                let known = self.state.applications.get(application);
                let placed = known.map_or(0, |known| self.placed_count(known));
                self.holders_of_drift(application, root) >= self.state.content_quorum(placed)
            }
            Change::Abort { application } => {
                // A window that ends with its author: only while the author is really not heard.
                let window = self.state.applications.get(application).and_then(|app| app.window.as_ref());
                self.is_asked(intent)
                    || window.is_some_and(|window| {
                        // Nobody hears itself: the author of the window knows that it is there.
                        let away = || !self.liveness.is_reachable(&window.author, core.now.mono);
                        window.author == author || (window.author != core.me() && away())
                    })
            }
            Change::Return { member } => self.may_return(core, member),
            Change::Raise { protocol } => self.all_speak(core, *protocol),
            Change::Undo { application, revision, .. } => {
                self.to_undo(core, application).is_some_and(|undo| undo.revision == *revision)
            }
            Change::Invite { .. }
            | Change::Revoke { .. }
            | Change::Promote { .. }
            | Change::Remove { .. }
            | Change::TakeOut { .. }
            | Change::BringIn { .. }
            | Change::Spare { .. }
            | Change::Enlist { .. }
            | Change::Rename { .. }
            | Change::Label { .. }
            | Change::Define { .. }
            | Change::Readmit(_)
            | Change::Move { .. }
            | Change::SetQuorum { .. }
            | Change::SetAuthority { .. }
            | Change::Create { .. }
            | Change::Arrange { .. }
            | Change::Discard { .. }
            | Change::Extend { .. }
            | Change::Open { .. }
            | Change::Commit { .. }
            | Change::GoOn { .. }
            | Change::Pause { .. } => true,
        }
    }

    fn propose(&mut self, core: &mut Core, value: Hash, pol: Option<Pol>) {
        let Some(bytes) = self.ballot.record(&value) else { return };
        let proposal = Proposal {
            epoch: self.ballot.epoch(),
            round: self.ballot.round(),
            parent: self.head,
            record: ByteBuf::from(bytes),
            pol: pol.map(|pol| pol.votes).unwrap_or_default(),
        };
        self.publish(core, Statement::Proposal(proposal));
    }

    pub(super) fn on_proposal(&mut self, core: &mut Core, checked: &Checked, proposal: &Proposal) {
        let (author, round) = (checked.author(), proposal.round);
        if proposal.parent != self.head || !self.ballot.considers(&author, round, !proposal.pol.is_empty()) {
            return;
        }
        let value = self.learn_record(core, proposal.record.to_vec());
        let is_beyond = || super::versions::is_beyond(&proposal.record, core.config.speaks);
        if self.ballot.next_state(&value).is_none() && !is_beyond() {
            // Validity is a function of its bytes: nobody honest at this head proposes it.
            self.offended(core, author, Offence::Record, 1);
        }
        let pol = self.read_pol(core, &proposal.pol);
        self.ballot.propose(author, round, value, &pol);
    }

    /// The votes of a POL that somebody shows: one of each voter is looked at.
    fn read_pol(&self, core: &Core, votes: &[Signed]) -> Vec<Checked> {
        let mut pol: BTreeMap<MemberId, Checked> = BTreeMap::new();
        for vote in votes.iter().take(self.state.members.len()) {
            if !self.state.is_voter(&vote.author) || pol.contains_key(&vote.author) {
                continue;
            }
            let Ok(checked) = Checked::check(vote.clone(), &self.state.entity, core.scheme()) else { break };
            if self.state.author(&checked).is_ok() {
                pol.insert(checked.author(), checked);
            }
        }
        pol.into_values().collect()
    }

    fn learn_record(&mut self, core: &Core, bytes: Vec<u8>) -> Hash {
        let value = Record::hash_of(&bytes);
        let next = match self.ballot.next_state(&value) {
            Some(next) => Some(next.clone()),
            None if self.ballot.record(&value).is_some() => None,
            None => judge(core, &self.state, &self.head, &bytes),
        };
        let agreeable = next.is_some() && self.agrees_with(core, &bytes);
        self.ballot.learn(bytes, next, agreeable)
    }

    fn agrees_with(&self, core: &Core, bytes: &[u8]) -> bool {
        let Ok(record) = Record::decode(bytes) else { return false };
        record.changes.iter().all(|signed| {
            let checked = Checked::check(signed.clone(), &self.state.entity, core.scheme());
            checked.is_ok_and(|checked| {
                checked.intent().is_some_and(|intent| self.is_agreeable(core, checked.author(), intent))
            })
        })
    }

    pub(super) fn on_record(&mut self, core: &Core, bytes: Vec<u8>) {
        if bytes.len() <= limits::RECORD_BYTES && self.ballot.has_asked(&Record::hash_of(&bytes)) {
            self.learn_record(core, bytes);
        }
    }

    // --- votes -------------------------------------------------------------------------------------------------

    fn promise(&mut self, core: &mut Core, votes: Vec<Vote>, records: &[Hash], entry: Option<Vec<Signed>>) {
        let mut writes = vec![saved::put_promise(self.ballot.promise())];
        let entry = entry.filter(|_| !core.breaks(Sabotage::ForgottenEntry));
        writes.extend(entry.map(saved::put_entry));
        for name in records {
            if let Some(bytes) = self.ballot.record(name).filter(|_| !self.records.contains(name)) {
                writes.push(saved::put_record(name, bytes));
                self.records.insert(*name);
            }
        }
        core.persist(writes, Durable::Cast(votes));
    }

    /// The promise behind these votes is on disk: they may leave.
    pub(super) fn cast(&mut self, core: &mut Core, votes: Vec<Vote>) {
        for vote in votes {
            if vote.epoch == self.ballot.epoch() && vote.parent == self.head && self.may_vote(core) {
                self.publish(core, Statement::Vote(vote));
            }
        }
    }

    /// After a start: the same votes again, in fresh envelopes.
    pub(super) fn cast_again(&mut self, core: &mut Core) {
        let votes = self.promised();
        self.cast(core, votes);
    }

    /// After a start: the votes of others that brought this member into its round. When all have lost power they may be
    /// nowhere else, and who is behind could not follow.
    pub(super) fn show_entry(&mut self, core: &mut Core) {
        if core.breaks(Sabotage::ForgottenRound) {
            self.entry.clear();
        }
        for signed in std::mem::take(&mut self.entry) {
            // Of an epoch that is settled meanwhile, or of a store that was replaced, it is of no use.
            let read = Unverified::read(signed, &self.state.entity).ok();
            let read = read.filter(|it| it.author() != core.me());
            let read = read.filter(|it| self.is_wanted(core, it.author(), it.envelope()));
            if let Some(checked) = read.and_then(|it| it.verify(core.scheme()).ok()) {
                self.absorb(core, &checked, None);
            }
        }
    }

    /// Every vote that was promised in this epoch, on its way to the disk or there.
    pub(super) fn promised(&self) -> Vec<Vote> {
        let promise = self.ballot.promise();
        let (epoch, parent) = (promise.epoch, self.head);
        let prevotes = promise.prevotes.iter().map(|(round, (value, relied))| Vote {
            epoch,
            round: *round,
            parent,
            step: crate::statement::Step::Prevote,
            value: *value,
            relied: *relied,
        });
        let precommits = promise.precommits.iter().map(|(round, value)| Vote {
            epoch,
            round: *round,
            parent,
            step: crate::statement::Step::Precommit,
            value: *value,
            relied: None,
        });
        prevotes.chain(precommits).collect()
    }

    pub(super) fn on_vote(&mut self, core: &mut Core, checked: &Checked) {
        let mut acts = Vec::new();
        self.ballot.vote(checked, &mut acts);
        for act in acts {
            self.carry_out(core, act);
        }
    }

    // --- settled records ---------------------------------------------------------------------------------------

    fn settled(&mut self, core: &mut Core, certificate: Certificate) {
        let value = certificate.value;
        let Some(bytes) = self.ballot.record(&value).map(<[u8]>::to_vec) else { return };
        let Some(next) = self.ballot.next_state(&value).cloned() else {
            self.unknown_record(core, certificate.epoch);
            return;
        };
        let link = Link { record: ByteBuf::from(bytes), certificate };
        // Votes prove no more than a chain does: whoever lacks the checkpoint, or was away for too long, believes neither.
        if self.is_lapsed() || !self.is_on_the_way(&link) {
            return;
        }
        self.install(core, vec![(link, next)]);
    }

    /// Makes settled records durable; they count when that is done.
    fn install(&mut self, core: &mut Core, links: Vec<(Link, State)>) {
        let (mut writes, mut records) = (Vec::new(), Vec::new());
        let (mut trail, mut before) = (self.trail.clone(), self.state.clone());
        let displaced = self.displaced(core, &links);
        for (link, state) in links {
            let record = link.certificate.value;
            let changes = Record::decode(&link.record).map(|record| record.changes).unwrap_or_default();
            writes.push(saved::put_link(state.epoch, &link));
            let removed = removal(&core.me(), (&before, &state), &changes, core.scheme());
            writes.extend(self.removal_writes(&removed, &state));
            before = state.clone();
            trail.push(&state, record);
            let head = Head { state, record, trail: trail.clone() };
            records.push(Installed { head, certificate: link.certificate, changes, removed });
        }
        let Some(last) = records.last() else { return };
        writes.push(saved::put_head(&last.head));
        writes.extend(self.confirmation(core));
        writes.extend(std::mem::take(&mut self.records).iter().map(saved::drop_record));
        writes.extend((self.ballot.round() > 0).then(saved::drop_entry));
        core.mark(last.head.state.protocol);
        self.installing = true;
        if let Some(life) = &displaced {
            core.burnt = true;
            writes.push(saved::put_life(life));
            writes.extend(saved::drop_promise());
        }
        core.persist(writes, Durable::Installed(records, displaced));
    }

    pub(super) fn installed(&mut self, core: &mut Core, records: Vec<Installed>, life: Option<Life>) {
        self.installing = false;
        let (roster, version) = (self.state.roster_epoch, self.state.protocol);
        for installed in records {
            let before = std::mem::replace(&mut self.state, installed.head.state);
            self.head = installed.head.record;
            self.trail = installed.head.trail;
            self.certificate = Some(installed.certificate);
            self.keepers = placing::keepers(&self.state);
            self.tell_changes(core, &before, &installed.changes);
            self.removed(installed.removed);
            self.roots_changed(core, &before);
        }
        self.ballot = Ballot::new(core.me(), &self.state, self.head, None);
        self.ballot.sabotage(core.config.sabotage);
        self.candidate = Candidate::default();
        self.valid.clear();
        self.record_known();
        self.end_way();
        let present: BTreeSet<MemberId> = self.state.members.iter().map(|member| member.id).collect();
        self.liveness.forget(&present);
        self.prune_board(core);
        self.attend_conduct();
        let gone: Vec<MemberId> = self.overlay.peers().difference(&present).copied().collect();
        gone.iter().for_each(|peer| self.overlay.disconnected(peer));
        if (roster, version) != (self.state.roster_epoch, self.state.protocol) {
            self.watch_neighbours(core);
        }
        if let Some(life) = life {
            self.replaced(core, life);
        }
        self.announce(core);
        self.greet_connected(core);
        self.beat_now(core);
        self.judge_succession(core);
        // Whoever showed these records has what follows them, if anything does.
        if let Some(from) = self.spread.chain_from.take() {
            self.ask_chain(core, from, self.state.epoch);
        }
    }

    pub(super) fn on_chain(&mut self, core: &mut Core, from: MemberId, links: &[Link]) {
        self.spread.chain_asked.clear();
        if !self.follow_way(core, from, links) {
            return;
        }
        let (mut state, mut head) = (self.state.clone(), self.head);
        let mut good = Vec::new();
        for link in links.iter().take(limits::CHAIN_RECORDS) {
            let certificate = &link.certificate;
            if certificate.epoch <= self.state.epoch {
                self.compare_link(core, from, link);
                continue;
            }
            if self.installing || self.is_stopped() || self.is_lapsed() {
                return;
            }
            let checked = || {
                core.breaks(Sabotage::AnyChain)
                    || state.check_certificate(&head, certificate, core.scheme()).is_ok()
            };
            if Record::hash_of(&link.record) != certificate.value || !checked() {
                self.look_back(core, from, link, good.is_empty());
                break;
            }
            if !self.is_on_the_way(link) {
                break;
            }
            let Some(next) = judge(core, &state, &head, &link.record) else {
                // What was settled before it is installed first; the next answer begins with it.
                if good.is_empty() {
                    self.unknown_record(core, certificate.epoch);
                }
                break;
            };
            head = certificate.value;
            state = next.clone();
            good.push((link.clone(), next));
        }
        if !good.is_empty() {
            self.spread.chain_from = Some(from);
            self.install(core, good);
        }
        self.look_further(core, from, links);
    }

    fn tell_changes(&mut self, core: &mut Core, before: &State, changes: &[Signed]) {
        for signed in changes {
            let Ok(checked) = Checked::check(signed.clone(), &self.state.entity, core.scheme()) else {
                continue;
            };
            let Some(intent) = checked.intent() else { continue };
            self.ended.learn(checked.author(), intent);
            let origin = self.state.name_of(&checked.author());
            if let Some(event) = self.describe(before, &origin, intent) {
                core.event(event.settled(self.state.epoch));
            }
        }
    }

    fn describe(&self, before: &State, origin: &str, intent: &Intent) -> Option<Event> {
        let by = &intent.by;
        let info = |kind: &str, text: String| Event::new(Severity::Info, kind, text);
        Some(match &intent.change {
            Change::Create { application, root, .. } => {
                info("application.created", format!("root {root}, by {by} on {origin}")).about(application)
            }
            Change::Discard { application, keep_files } => {
                let files = if *keep_files { "its files stay" } else { "its files go to the trash" };
                info("application.removed", format!("by {by} on {origin}; {files}")).about(application)
            }
            Change::Extend { application, expires } => {
                info("window.extended", format!("until {}, by {by} on {origin}", expires.rfc3339()))
                    .about(application)
            }
            Change::Open { application, reason, .. } => {
                info("window.opened", format!("by {by} on {origin}: {reason}")).about(application)
            }
            Change::Commit { application, .. } | Change::Adopt { application, .. } => {
                let revision = self.state.applications.get(application)?.settled()?;
                let text =
                    format!("revision {} {} by {by} on {origin}", revision.number, revision.root.short());
                info("revision.settled", text).about(application)
            }
            Change::Undo { .. } | Change::GoOn { .. } => {
                return super::rollout_views::describe(&self.state, origin, intent);
            }
            Change::Abort { application } => {
                info("window.aborted", format!("by {by} on {origin}")).about(application)
            }
            Change::Expire { application } => {
                info("window.expired", "its time was over".into()).about(application)
            }
            Change::Pause { application, until } => {
                let kind = if until.is_some() { "repair.paused" } else { "repair.resumed" };
                info(kind, format!("by {by} on {origin}")).about(application)
            }
            Change::Define { application, .. } | Change::Arrange { application, .. } => {
                let what = definition(&intent.change);
                info("application.defined", format!("{what}, by {by} on {origin}")).about(application)
            }
            Change::TakeOut { .. }
            | Change::BringIn { .. }
            | Change::Return { .. }
            | Change::Spare { .. }
            | Change::Enlist { .. }
            | Change::Rename { .. }
            | Change::Label { .. } => {
                return super::serving::describe(before, &self.state, origin, intent);
            }
            Change::Raise { protocol } => super::versions::describe(*protocol, by, origin),
            Change::Admit(_)
            | Change::Promote { .. }
            | Change::Remove { .. }
            | Change::Readmit(_)
            | Change::SetQuorum { .. }
            | Change::SetAuthority { .. }
            | Change::Invite { .. }
            | Change::Revoke { .. }
            | Change::Move { .. } => return self.describe_roster(before, origin, intent),
        })
    }

    // --- intents of our own ------------------------------------------------------------------------------------

    /// Where an intent of ours stands.
    pub(super) fn fate(&mut self, core: &Core, id: &crate::statement::Id16) -> Fate {
        if self.state.recent.contains_key(id) {
            return Fate::Settled;
        }
        let Some(checked) = self.board.get(&core.me(), &Slot::Intent(*id)) else { return Fate::Gone };
        // Asked after every input, and the same as long as the head is.
        if self.valid.contains(&checked.position()) && !core.breaks(Sabotage::Restless) {
            return Fate::Pending;
        }
        match self.state.with_changes(&[checked.signed().clone()], core.scheme()) {
            Ok(_) => {
                self.valid.insert(checked.position());
                Fate::Pending
            }
            Err(invalid) => Fate::Dead(invalid),
        }
    }

    /// Takes an intent of ours back; it may still be settled if others have begun to vote for it.
    pub(super) fn withdraw(&mut self, core: &mut Core, id: crate::statement::Id16) {
        let held = self.board.get(&core.me(), &Slot::Intent(id));
        if let Some(at) = held.and_then(Checked::intent).map(|intent| intent.at) {
            self.publish(core, Statement::Withdrawn(id, at));
        }
    }
}

/// What an application is defined as from now on.
fn definition(change: &Change) -> String {
    let word = |policy: &Policy| match policy {
        Policy::Majority => "policy majority",
        Policy::Certified => "policy certified",
    };
    match change {
        Change::Define { policy, .. } => word(policy).to_owned(),
        Change::Arrange { terms, definition, .. } => {
            let policy = definition.policy.as_ref().map(|policy| format!(", {}", word(policy)));
            let unmanaged =
                definition.unmanaged.as_ref().map(|patterns| format!(", unmanaged {}", patterns.join(" ")));
            let more = policy.into_iter().chain(unmanaged).collect::<String>();
            format!("goes to {}{more}; {}", terms.placement, terms.rollout.shown())
        }
        _ => String::new(),
    }
}

/// Where an intent stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// Settled.
    Settled,
    /// Waiting for its turn or for votes.
    Pending,
    /// Not valid any more.
    Dead(crate::validity::Invalid),
    /// Too old, or never published.
    Gone,
}
