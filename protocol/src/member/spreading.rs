//! Messages in and out: heartbeats, statements, anti-entropy, and the question that ends the silence after a start.

use std::collections::{BTreeMap, BTreeSet};

use super::gathering::{Gathered, is_alike};
use super::standing::doubled_key;
use super::{Core, Entity, Sabotage};
use crate::circle::EVERYBODY;
use crate::codec::DecodeError;
use crate::conduct::Offence;
use crate::effect::{Output, Room};
use crate::event::{Event, Severity};
use crate::gossip::{Compared, FULL_MESH, Taken};
use crate::hash::Hash;
use crate::identity::MemberId;
use crate::limits;
use crate::liveness::{Anyway, BEAT, BUSY_BEAT, PULSE};
use crate::metrics::Report;
use crate::record::Link;
use crate::statement::{Address, Checked, Envelope, Id16, Signed, Slot, Statement, Step};
use crate::time::{Instant, Millis, WallTime};
use crate::wire::{Beat, Highest, Message, Place};

/// In version 1, a report is refreshed at least this often; from version 2 on, at most this often only because
/// readings moved, in a small entity.
const REPORT: Millis = Millis(5_000);
/// A peer is not asked again for what it was asked for, before this long.
const ASK_AGAIN: Millis = Millis(400);
/// Whoever is on another branch is not asked again where that begins, before this long.
const LOOK_BACK_AGAIN: Millis = Millis::seconds(10);
/// Intents older than this by this member's clock, or as far in its future, are dropped.
const INTENT_LIFE: Millis = Millis(10 * 60 * 1000);
/// What an answer with records costs its asker: how many bytes it has, the host will see.
const CHAIN_COST: usize = 256 << 10;
/// Bytes of statements in one message.
const PUSH_BYTES: usize = 1 << 20;
/// What is new is announced when this has passed, with what came meanwhile.
const ANNOUNCE: Millis = Millis(20);
/// Reports wait so long for each other before they are pushed on: many come at once where many start.
const PUSH: Millis = Millis(10);
/// And before they are announced: by then they are pushed to everybody.
const ANNOUNCE_REPORTS: Millis = Millis(200);
/// In a large entity, boards are compared when so long nothing came: what is under way to everybody differs everywhere.
const AT_REST: Millis = Millis(700);
/// The same of reports, in an entity of any size.
const REPORTS_AT_REST: Millis = Millis(5_000);
/// A tick that comes so late means that this member itself stood still.
const LATE: Millis = Millis(1_000);

/// When what was sent last.
#[derive(Default)]
pub(super) struct Spread {
    pub(super) next_beat: Instant,
    next_report: Instant,
    last_report: Option<(Report, Instant)>,
    /// When others are told that the epoch is another one, if they can wait for it.
    tell_epoch: Option<Instant>,
    /// When somebody may stop to be heard, or has to be asked.
    look: Instant,
    /// When what is new is announced, if anything is.
    announce: Option<Instant>,
    /// When a statement, and when a report, was new here for the last time.
    news: Instant,
    reports: Instant,
    compared: BTreeMap<MemberId, Instant>,
    pub(super) chain_asked: BTreeMap<MemberId, Instant>,
    /// When each peer was asked where its branch begins.
    looked_back: BTreeMap<MemberId, Instant>,
    /// Who showed the records that are being installed.
    pub(super) chain_from: Option<MemberId>,
    /// The epoch that each peer said it has.
    pub(super) epochs: BTreeMap<MemberId, u64>,
    to_announce: Vec<Place>,
    /// Somebody listens elsewhere than was known.
    moved: bool,
    /// When reports are pushed on, if there are any, and who brought each.
    push: Option<Instant>,
    to_push: Vec<(Checked, Option<MemberId>)>,
    /// The same of reports that nobody waits for.
    pub(super) gathered: Gathered,
    /// The head for which all that is on the board was looked at.
    pruned: Option<Hash>,
}

/// After a start a voter says nothing that counts until enough others have told it the highest they hold of it
/// (findings 3, 18).
#[derive(Default)]
pub(super) struct Silence {
    answers: BTreeSet<MemberId>,
    pub(super) over: bool,
    asked: Option<Instant>,
}

impl Entity {
    pub(super) fn send(&self, core: &mut Core, to: MemberId, message: &Message) {
        core.out.push(Output::Send { to, bytes: message.encode() });
    }

    /// The same to several, encoded once.
    pub(super) fn send_all(
        &self,
        core: &mut Core,
        to: impl IntoIterator<Item = MemberId>,
        message: &Message,
    ) {
        let mut bytes = None;
        for to in to {
            let bytes = bytes.get_or_insert_with(|| message.encode()).clone();
            core.out.push(Output::Send { to, bytes });
        }
    }

    pub(super) fn connected(&mut self, core: &mut Core, peer: MemberId) {
        self.tell_succession(core, peer);
        if self.state.member(&peer).is_none() {
            return;
        }
        self.overlay.connected(peer);
        self.overlay.refresh(&mut core.rng);
        self.liveness.connected(peer, core.now.mono);
        self.spread.compared.remove(&peer);
        self.spread.looked_back.remove(&peer);
        // It may give what the others did not.
        self.locals.values_mut().for_each(|local| local.barren.clear());
        let beat = self.heartbeat();
        self.send(core, peer, &beat);
        self.meet_standing(core, peer);
        self.ask_highest(core, peer);
    }

    pub(super) fn disconnected(&mut self, core: &mut Core, peer: MemberId) {
        self.overlay.disconnected(&peer);
        self.overlay.refresh(&mut core.rng);
        self.liveness.lost(peer, core.now.mono);
    }

    /// The highest epoch of the members that are heard, but for this one.
    pub(super) fn highest_heard(&self, core: &Core) -> Option<u64> {
        let heard = self.spread.epochs.iter().filter(|(peer, _)| self.is_heard(core, peer));
        heard.map(|(_, epoch)| *epoch).max()
    }

    /// A whole heartbeat.
    fn heartbeat(&self) -> Message {
        if self.is_sparse() {
            Message::Known(self.beat(), self.board.reports())
        } else {
            Message::Beat(self.beat())
        }
    }

    fn pulse(&self) -> Message {
        Message::Pulse(self.beat().digest(self.board.reports()))
    }

    /// Whether heartbeats go to neighbours only, and who is not heard is known from others: a member that speaks
    /// version 1 listens to everybody itself.
    pub(super) fn is_sparse(&self) -> bool {
        self.state.protocol >= 2
    }

    fn compared(&self) -> Compared {
        if self.is_sparse() { Compared::Everything } else { Compared::Knowledge }
    }

    pub(super) fn beat(&self) -> Beat {
        let (epoch, head) = (self.state.epoch, self.head.low());
        Beat { epoch, head, knowledge: self.board.knowledge(), round: self.ballot.round() }
    }

    pub(super) fn received(&mut self, core: &mut Core, from: MemberId, bytes: &[u8]) {
        if self.conduct.is_shunned(&from, core.now.mono) {
            return;
        }
        let spoken = |message: Message| {
            let fault = || DecodeError::Malformed("of a version that this program does not speak".into());
            if message.needs() <= core.config.speaks { Ok(message) } else { Err(fault()) }
        };
        let message = match Message::decode(bytes).and_then(spoken) {
            Ok(message) => message,
            Err(fault) => {
                tracing::debug!(?from, %fault, "a message was not understood");
                self.offended(core, from, Offence::Malformed, 1);
                return;
            }
        };
        let known = self.state.member(&from).is_some();
        if known {
            self.liveness.heard(from, core.now.mono);
            if self.overlay.connected(from) {
                self.quiet = None;
            }
        } else if !matches!(
            message,
            Message::GetChain(_)
                | Message::Beat(_)
                | Message::Known(..)
                | Message::Chain(_)
                | Message::Succession(_)
        ) {
            // Past members, and members of a roster we have not caught up with, speak of the chain only [14].
            return;
        }
        match message {
            Message::Beat(beat) => self.on_beat(core, from, beat, None, known),
            Message::Known(beat, reports) => self.on_beat(core, from, beat, Some(reports), known),
            Message::Pulse(digest) => self.on_pulse(core, from, digest),
            // It knows what this member knows, or did when it was asked.
            Message::Echo => self.note_epoch(from, self.state.epoch),
            Message::Push(statements) => self.on_push(core, from, statements),
            Message::Announce(places) => self.on_announce(core, from, &places),
            Message::Prune => self.overlay.prune(&from),
            Message::Chain(links) => self.on_chain(core, from, &links),
            Message::Record(bytes) => self.on_record(core, bytes.into_vec()),
            Message::Highest(highest) => self.on_highest(core, from, &highest),
            Message::Readmission(request) => self.on_readmission(core, from, request),
            Message::Succession(succession) => self.on_succession(core, from, succession),
            Message::Graft(_)
            | Message::Summary(_)
            | Message::Have(_)
            | Message::Want(_)
            | Message::GetChain(_)
            | Message::GetRecord(_)
            | Message::AskHighest(..) => {
                if self.may_ask(core, from) {
                    self.on_question(core, from, message);
                }
            }
        }
    }

    /// What is answered with more bytes than it has: within the asker's budget.
    fn on_question(&mut self, core: &mut Core, from: MemberId, question: Message) {
        match question {
            Message::Graft(places) => {
                self.overlay.graft(&from);
                self.answer(core, from, self.board.at(&places));
            }
            Message::Summary(theirs) => {
                let have = self.board.differing(&theirs, self.compared());
                self.send(core, from, &Message::Have(have));
            }
            Message::Have(theirs) => {
                let (push, want) = self.board.compare(&theirs, self.compared());
                self.answer(core, from, push);
                if !want.is_empty() {
                    self.send(core, from, &Message::Want(want));
                }
            }
            Message::Want(places) => self.answer(core, from, self.board.at(&places)),
            Message::GetChain(after) if after < self.state.epoch => {
                self.conduct.answered(from, CHAIN_COST, core.now.mono);
                core.out.push(Output::SendChain { to: from, after });
            }
            Message::GetRecord(name) => {
                if let Some(bytes) = self.ballot.record(&name) {
                    self.conduct.answered(from, bytes.len(), core.now.mono);
                    let message = Message::Record(serde_bytes::ByteBuf::from(bytes));
                    self.send(core, from, &message);
                }
            }
            Message::AskHighest(store, incarnation) => self.on_ask_highest(core, from, store, incarnation),
            _ => {}
        }
    }

    /// Statements that were asked for, and who pays for them.
    fn answer(&mut self, core: &mut Core, to: MemberId, statements: Vec<Signed>) {
        let bytes = statements.iter().map(|signed| signed.bytes.len()).sum();
        self.conduct.answered(to, bytes, core.now.mono);
        self.push(core, to, statements);
    }

    fn note_epoch(&mut self, of: MemberId, epoch: u64) {
        self.spread.epochs.insert(of, epoch);
    }

    fn on_pulse(&mut self, core: &mut Core, from: MemberId, digest: u64) {
        let same = digest == self.beat().digest(self.board.reports());
        if same {
            self.note_epoch(from, self.state.epoch);
        }
        let answer = if same { Message::Echo } else { self.heartbeat() };
        self.send(core, from, &answer);
    }

    fn on_beat(&mut self, core: &mut Core, from: MemberId, beat: Beat, reports: Option<u64>, known: bool) {
        if known {
            self.note_epoch(from, beat.epoch);
        } else {
            self.tell_succession(core, from);
        }
        if !known && self.is_of_the_entity_before(&from) {
            return;
        }
        if beat.epoch > self.state.epoch {
            self.ask_chain(core, from, self.chain_until());
            return;
        }
        if beat.epoch < self.state.epoch {
            if self.trail.record(beat.epoch).is_some_and(|mine| mine.low() != beat.head) {
                self.ask_where_it_begins(core, from);
            }
            // It finds out from my next heartbeat, if I send it any; at once, if it is deciding what is decided.
            if beat.round > 0 || !known || reports.is_some() || self.is_sparse() {
                // Whoever is behind may not know yet that version 2 is in force.
                let mine = Message::Beat(self.beat());
                self.send(core, from, &mine);
            }
            return;
        }
        if beat.head != self.head.low() {
            // Two records of one epoch: see its certificate [8].
            self.ask_chain(core, from, self.state.epoch.saturating_sub(1));
            return;
        }
        if known && self.is_worth_comparing(core, &beat, reports) {
            self.ask_what_differs(core, from);
        }
    }

    /// What is on its way to everybody is not worth an exchange.
    fn is_worth_comparing(&self, core: &Core, beat: &Beat, reports: Option<u64>) -> bool {
        let now = core.now.mono;
        let large = self.is_sparse() && self.state.members.len() > FULL_MESH;
        let rest = if large { AT_REST } else { Millis(0) };
        if beat.knowledge != self.board.knowledge() {
            return now - self.spread.news >= rest;
        }
        let differ = reports.is_some_and(|reports| reports != self.board.reports());
        // Whoever has just started has nobody's yet.
        let fresh = now - self.since < REPORTS_AT_REST;
        differ && (fresh || now - self.spread.reports.max(self.spread.news) >= REPORTS_AT_REST)
    }

    fn ask_what_differs(&mut self, core: &mut Core, from: MemberId) {
        let now = core.now.mono;
        if self.spread.compared.get(&from).is_none_or(|at| now - *at >= ASK_AGAIN) {
            self.spread.compared.insert(from, now);
            let summary = Message::Summary(self.board.summary(self.compared()));
            self.send(core, from, &summary);
        }
    }

    pub(super) fn ask_chain(&mut self, core: &mut Core, from: MemberId, after: u64) {
        let now = core.now.mono;
        // What it would not believe it does not ask for.
        let wanted = !self.is_lapsed() || after < self.state.epoch;
        let due = wanted && self.spread.chain_asked.get(&from).is_none_or(|at| now - *at >= ASK_AGAIN);
        if due && !self.installing {
            self.spread.chain_asked.insert(from, now);
            self.send(core, from, &Message::GetChain(after));
        }
    }

    /// Asks a peer on another branch for its links since the beginning of the trail. They may tell nothing, so it is asked
    /// once in a while.
    pub(super) fn ask_where_it_begins(&mut self, core: &mut Core, from: MemberId) {
        if !self.knows_a_fork() && !self.looks_back(core, &from) {
            self.spread.looked_back.insert(from, core.now.mono);
            self.ask_chain(core, from, self.trail.first());
        }
    }

    /// Goes on with that: one answer does not hold them all.
    pub(super) fn look_further(&mut self, core: &mut Core, from: MemberId, links: &[Link]) {
        let last = links.last().map_or(self.state.epoch, |link| link.certificate.epoch);
        if last < self.state.epoch && !self.knows_a_fork() && self.looks_back(core, &from) {
            self.ask_chain(core, from, last);
        }
    }

    fn looks_back(&self, core: &Core, peer: &MemberId) -> bool {
        self.spread.looked_back.get(peer).is_some_and(|at| core.now.mono - *at < LOOK_BACK_AGAIN)
    }

    fn push(&self, core: &mut Core, to: MemberId, statements: Vec<Signed>) {
        let (mut batch, mut size) = (Vec::new(), 0);
        for signed in statements {
            size += signed.bytes.len() + 110;
            if size > PUSH_BYTES && !batch.is_empty() {
                self.send(core, to, &Message::Push(std::mem::take(&mut batch)));
                size = signed.bytes.len() + 110;
            }
            batch.push(signed);
        }
        if !batch.is_empty() {
            self.send(core, to, &Message::Push(batch));
        }
    }

    fn on_announce(&mut self, core: &mut Core, from: MemberId, places: &[Place]) {
        let lacking = |place: &&Place| self.board.lacks(place);
        let want: Vec<Place> = places.iter().filter(lacking).copied().collect();
        if !want.is_empty() {
            self.overlay.graft(&from);
            self.send(core, from, &Message::Graft(want));
        }
    }

    /// Takes a checked statement, from a peer or our own, and passes on what is new.
    pub(super) fn absorb(&mut self, core: &mut Core, checked: &Checked, from: Option<&MemberId>) -> Taken {
        if from.is_some() {
            self.find_twin(core, checked);
        }
        if !self.is_wanted(core, checked.author(), checked.envelope()) {
            return Taken::Known;
        }
        let moved = self.listens_elsewhere(core, checked);
        let routine = self.is_routine(checked);
        let taken = self.board.insert(checked);
        match &taken {
            Taken::Known => {
                // An older vote in the same place is of no use but as evidence against its author.
                if checked.vote().is_some() {
                    self.on_vote(core, checked);
                }
                return taken;
            }
            Taken::Conflict(held) => {
                // A disk that was put back says other things in places that were used; only of votes is that a
                // contradiction that stops the entity.
                if checked.vote().is_some() && held.vote().is_some() {
                    self.equivocation(core, held.clone(), checked.clone());
                    return taken;
                }
                let (id, name) = (checked.author(), self.state.name_of(&checked.author()));
                self.tell(core, &doubled_key(&id), true, || {
                    let text = format!(
                        "{name} said two things in one place: two machines use its key, or its disk was put back"
                    );
                    Event::new(Severity::Critical, "member.doubled", text).of(id)
                });
                return taken;
            }
            Taken::New => {}
        }
        let is_report = matches!(checked.statement(), Statement::Report(_));
        if routine && !self.overlay.is_full_mesh() {
            self.gather(core, checked, from.copied());
        } else {
            self.pass_on(core, checked, from);
        }
        self.spread.moved |= moved;
        *(if is_report { &mut self.spread.reports } else { &mut self.spread.news }) = core.now.mono;
        match checked.statement() {
            Statement::Vote(_) => self.on_vote(core, checked),
            Statement::Proposal(proposal) => self.on_proposal(core, checked, proposal),
            Statement::Report(report) if self.is_sparse() => {
                self.liveness.said(&checked.author(), Some(&report.unheard));
            }
            Statement::Report(_) if checked.author() != core.me() => {
                self.liveness.heard(checked.author(), core.now.mono);
            }
            Statement::Report(_)
            | Statement::Intent(_)
            | Statement::Withdrawn(..)
            | Statement::List(_)
            | Statement::Holding(_)
            | Statement::Holds(_)
            | Statement::Waiting(_) => {}
        }
        taken
    }

    /// Pushes what is new, and announces it.
    fn pass_on(&mut self, core: &mut Core, checked: &Checked, from: Option<&MemberId>) {
        let is_report = matches!(checked.statement(), Statement::Report(_));
        let waits = is_report && self.is_sparse() && !self.overlay.is_full_mesh();
        if waits {
            self.gather_no_more(checked.author());
            self.spread.to_push.push((checked.clone(), from.copied()));
            self.spread.push.get_or_insert(core.now.mono + PUSH);
        } else {
            let to = self.overlay.push_to(from);
            if !to.is_empty() {
                self.send_all(core, to, &Message::Push(vec![checked.signed().clone()]));
            }
        }
        if !self.overlay.is_full_mesh() {
            self.spread.to_announce.push(Place { author: checked.author(), position: checked.position() });
            let at = core.now.mono + if waits { ANNOUNCE_REPORTS } else { ANNOUNCE };
            self.spread.announce = Some(self.spread.announce.map_or(at, |due| due.min(at)));
        }
    }

    /// Whether this is the report of another member that listens where nobody looked for it.
    fn listens_elsewhere(&self, core: &Core, checked: &Checked) -> bool {
        let (author, Statement::Report(report)) = (checked.author(), checked.statement()) else {
            return false;
        };
        let settled = self.state.member(&author).map(|member| &member.addresses);
        let said = self.report_of(&author).map(|report| &report.addresses);
        let is_known =
            |address: &Address| settled.into_iter().chain(said).any(|known| known.contains(address));
        author != core.me() && !report.addresses.iter().all(is_known)
    }

    /// Whether a statement is of use now. What is not is neither kept nor passed on; all members at one epoch say
    /// the same of it, but for intents, which are also dropped by age.
    pub(super) fn is_wanted(&self, core: &Core, author: MemberId, envelope: &Envelope) -> bool {
        if !self.state.has(&author, &envelope.store) {
            return false;
        }
        let deciding = self.state.epoch + 1;
        match &envelope.statement {
            Statement::Vote(vote) => {
                vote.epoch == deciding
                    && vote.round <= self.ballot.round().saturating_add(limits::ROUNDS_AHEAD)
            }
            Statement::Proposal(proposal) => {
                proposal.epoch == deciding
                    && proposal.round <= self.ballot.round().saturating_add(limits::PROPOSAL_ROUNDS_AHEAD)
            }
            Statement::Intent(intent) => {
                let settled = self.state.recent.contains_key(&intent.id);
                let old = intent.seen.saturating_add(limits::INTENT_EPOCHS) < deciding
                    || core.now.wall - intent.at > INTENT_LIFE;
                !settled && !old && !is_of_the_future(core, intent.at)
            }
            Statement::Withdrawn(id, at) => {
                !self.state.recent.contains_key(id) && core.now.wall - *at <= INTENT_LIFE
            }
            Statement::List(list) => self.is_placed(&author, &list.application),
            Statement::Holding(holding) => {
                let application = self.state.applications.get(&holding.application);
                application.is_some_and(|application| application.basis == holding.basis)
            }
            Statement::Holds(_) => !self.state.is_voter(&author),
            Statement::Report(_) => true,
            Statement::Waiting(waiting) => self.is_awaited(core, author, &waiting.order),
        }
    }

    /// Drops what the new head made useless.
    pub(super) fn prune_board(&mut self, core: &Core) {
        let mut board = std::mem::take(&mut self.board);
        let wanted = |checked: &Checked| self.is_wanted(core, checked.author(), checked.envelope());
        // Of reports only the roster says whether they are of use.
        if self.spread.pruned == Some(self.head) {
            board.retain_but_lone(wanted);
        } else {
            board.retain(wanted);
        }
        self.board = board;
        self.spread.pruned = Some(self.head);
    }

    /// Signs and spreads a statement of our own. A voter that is silent after a start signs nothing at all: if its
    /// disk was put back, peers hold other statements of the same positions.
    pub(super) fn publish(&mut self, core: &mut Core, statement: Statement) -> Option<Checked> {
        let may = !self.is_silent(core);
        let checked = may.then(|| core.sign(self.state.entity, statement)).flatten();
        let taken = checked.as_ref().map(|checked| self.absorb(core, checked, None));
        self.unsaid |= may && taken != Some(Taken::New);
        checked
    }

    pub(super) fn attend_spreading(&mut self, core: &mut Core) {
        let now = core.now.mono;
        if !self.silence.over {
            self.attend_silence(core);
        }
        if self.spread.push.is_some_and(|at| now >= at) {
            self.flush_pushes(core);
        }
        if self.spread.announce.is_some_and(|at| now >= at) {
            self.flush_announcements(core);
        }
        self.attend_gathered(core);
        if self.spread.tell_epoch.is_some_and(|at| now >= at) {
            self.attend_report(core);
            self.spread.tell_epoch = None;
        }
        if self.is_sparse() {
            self.attend_liveness(core);
        }
        if now < self.spread.next_beat {
            return;
        }
        // Whoever does not vote has no silence that could end.
        let starting = self.state.is_voter(&core.me()) && !self.silence.over;
        let busy = self.ballot.is_running() || !self.operations.is_empty() || starting;
        let rest = if self.is_sparse() { PULSE } else { BEAT };
        self.spread.next_beat = now + if busy { BUSY_BEAT } else { rest };
        self.ballot.ask_again();
        self.prune_board(core);
        // With the next beat, so that nobody can have all look for it all the time.
        if std::mem::take(&mut self.spread.moved) {
            self.announce_peers(core);
        }
        self.overlay.refresh(&mut core.rng);
        self.attend_report(core);
        self.flush_announcements(core);
        self.show_contradictions(core);
        self.beat_to_sponsor(core);
        if self.is_sparse() {
            return self.beat_to_neighbours(core, busy);
        }
        self.send_all(core, self.overlay.beat_to(), &Message::Beat(self.beat()));
    }

    /// As long as the chain that it holds does not name who let it in, a newcomer is told nothing that it does not ask for,
    /// and an answer may be lost.
    fn beat_to_sponsor(&self, core: &mut Core) {
        let sponsor = self.beginning.as_ref().and_then(|beginning| beginning.sponsor);
        let unnamed = sponsor.filter(|sponsor| self.state.member(&sponsor.member).is_none());
        if let Some(sponsor) =
            unnamed.filter(|sponsor| self.is_new(core) && core.connected.contains(&sponsor.member))
        {
            self.send(core, sponsor.member, &Message::Beat(self.beat()));
        }
    }

    /// At rest, one of two neighbours asks the other; while something is decided both tell each other. In the place of
    /// those that are missed others are asked, so that nobody who can be reached is left alone.
    fn beat_to_neighbours(&mut self, core: &mut Core, busy: bool) {
        let neighbours = self.liveness.neighbours();
        // Whoever is not in the roster of the head that it holds may be unknown to those that it asks: of it they hear what
        // speaks of the chain only.
        let stranger = neighbours.is_empty();
        let beat = if busy || stranger { self.heartbeat() } else { self.pulse() };
        let mut to = if busy { neighbours.clone() } else { self.liveness.to_ask() };
        let missed = self.liveness.missed(core.now.mono).len();
        let mut others: Vec<MemberId> =
            self.overlay.peers().iter().filter(|peer| !neighbours.contains(peer)).copied().collect();
        let wanted = if stranger { others.len().min(FULL_MESH) } else { missed };
        if wanted > 0 {
            core.rng.shuffle(&mut others);
            to.extend(others.into_iter().take(wanted));
        }
        self.send_all(core, to, &beat);
    }

    /// Asks neighbours that were not heard when they should have been, and finds out who is gone.
    fn attend_liveness(&mut self, core: &mut Core) {
        let now = core.now.mono;
        if now - self.spread.next_beat >= LATE && self.spread.next_beat != Instant::default() {
            self.liveness.forgive(now);
        }
        let due = now >= self.spread.look;
        if due {
            let pulse = self.pulse();
            for peer in self.liveness.doubted(now) {
                self.send(core, peer, &pulse);
            }
        }
        self.liveness.conclude(now, if due { Anyway::Yes } else { Anyway::No });
        let next = self.liveness.deadline(now).into_iter().chain(self.liveness.waits_until()).min();
        let rest = now + PULSE;
        self.spread.look = next.map_or(rest, |at| at.min(rest));
        let said = self.spread.last_report.as_ref().map(|(report, _)| &report.unheard);
        if said.is_some_and(|said| *said != self.liveness.missed(now)) {
            self.attend_report(core);
        }
    }

    /// From now on as the roster and the version in force say.
    pub(super) fn watch_neighbours(&mut self, core: &Core) {
        if !self.is_sparse() {
            return;
        }
        let circle = self.state.members.circle();
        self.overlay.set_members(circle.len());
        let reports = self.board.iter().filter_map(|checked| match checked.statement() {
            Statement::Report(report) => Some((checked.author(), report.unheard.as_slice())),
            _ => None,
        });
        self.liveness.watch(&core.me(), circle, self.overlay.peers(), reports);
    }

    /// Whom to keep a connection to: everybody (`None`), or in a large entity the neighbours in all rings, and the
    /// other voters if they are few.
    pub(super) fn links(&self, core: &Core) -> Option<BTreeSet<MemberId>> {
        let mut links = self.liveness.links()?;
        if self.state.is_voter(&core.me()) && self.state.voters().count() <= EVERYBODY {
            links.extend(self.state.voters().map(|voter| voter.id));
        }
        Some(links)
    }

    /// When somebody has to be asked or may stop to be heard, or news are to be announced.
    pub(super) fn spreading_deadline(&self) -> Instant {
        let look = if self.is_sparse() { self.spread.look } else { self.spread.next_beat };
        let news = self.spread.announce.into_iter().chain(self.spread.push);
        let news = news.chain(self.spread.gathered.deadline()).chain(self.spread.tell_epoch);
        let news = news.min().filter(|_| self.is_sparse());
        news.map_or(look, |at| at.min(look)).min(self.spread.next_beat)
    }

    /// Whoever lags learns of the new head at once.
    pub(super) fn beat_now(&mut self, core: &mut Core) {
        self.spread.next_beat = core.now.mono;
    }

    fn flush_pushes(&mut self, core: &mut Core) {
        self.spread.push = None;
        let waiting = std::mem::take(&mut self.spread.to_push);
        self.push_on(core, &waiting);
    }

    /// To each peer that is pushed to, what it did not bring.
    pub(super) fn push_on(&self, core: &mut Core, waiting: &[(Checked, Option<MemberId>)]) {
        for to in self.overlay.push_to(None) {
            let news = waiting.iter().filter(|(_, from)| *from != Some(to));
            self.push(core, to, news.map(|(checked, _)| checked.signed().clone()).collect());
        }
    }

    fn flush_announcements(&mut self, core: &mut Core) {
        self.spread.announce = None;
        let places = std::mem::take(&mut self.spread.to_announce);
        self.announce_all(core, &places, &self.overlay.announce_to(None));
    }

    pub(super) fn announce_all(&self, core: &mut Core, places: &[Place], to: &[MemberId]) {
        for some in places.chunks(limits::PLACES_PER_MESSAGE) {
            let message = Message::Announce(some.to_vec());
            self.send_all(core, to.iter().copied(), &message);
        }
    }

    fn attend_report(&mut self, core: &mut Core) {
        let report = self.report(core);
        let now = core.now.mono;
        let wanted = match &self.spread.last_report {
            None => true,
            Some((last, _)) if !is_alike(last, &report) => true,
            Some((last, _)) if last.epoch != report.epoch => self.is_time_for_epoch(core),
            Some(_) if !self.is_sparse() => now >= self.spread.next_report,
            Some((last, at)) => {
                let moved = || last.is_outdated(&report, now - *at);
                (now >= self.spread.next_report && moved())
                    || now - *at >= Report::age(self.state.members.len())
            }
        };
        if wanted {
            self.spread.tell_epoch = None;
            let rest = if self.is_sparse() { Report::pause(self.state.members.len()) } else { REPORT };
            self.spread.next_report = now + rest;
            self.spread.last_report = Some((report.clone(), now));
            self.publish(core, Statement::Report(Box::new(report)));
        }
    }

    fn is_time_for_epoch(&mut self, core: &mut Core) -> bool {
        if !self.tells_epoch_later(core) {
            return true;
        }
        let at = self.spread.tell_epoch.unwrap_or_else(|| self.time_for_epoch(core));
        self.spread.tell_epoch = Some(at);
        core.now.mono >= at
    }

    fn report(&self, core: &Core) -> Report {
        let now = core.now.mono;
        let others = self.state.members.iter().map(|member| member.id).filter(|id| *id != core.me());
        let readings = &core.readings;
        Report {
            version: core.config.version.clone(),
            protocol: core.config.speaks,
            addresses: core.config.address.into_iter().collect(),
            cpu: core.cpu_sketch(),
            cpu_now: readings.cpu,
            memory_used: readings.memory_used,
            memory_total: readings.memory_total,
            disk_used: readings.disk_used,
            disk_total: readings.disk_total,
            capacity: readings.capacity,
            unheard: if self.is_sparse() {
                self.liveness.missed(now)
            } else {
                others.filter(|id| !self.liveness.is_reachable(id, now)).collect()
            },
            epoch: self.state.epoch,
            votes: self.may_vote(core) && !matches!(core.room, Room::Nothing(_)),
            troubles: self.troubles(core),
        }
    }

    /// The newest report of a member.
    pub(super) fn report_of(&self, id: &MemberId) -> Option<&Report> {
        match self.board.get(id, &Slot::Report)?.statement() {
            Statement::Report(report) => Some(report),
            _ => None,
        }
    }

    /// Whether this voter must not sign anything: it has just started, or its store does not count.
    pub(super) fn is_silent(&self, core: &Core) -> bool {
        self.is_outcast(core) || (self.state.is_voter(&core.me()) && !self.silence.over)
    }

    // --- the silence after a start -----------------------------------------------------------------------------

    fn attend_silence(&mut self, core: &mut Core) {
        let now = core.now.mono;
        if !self.state.is_voter(&core.me()) || self.is_outcast(core) {
            return;
        }
        // Those of the roster as it is now: who answered and left since may know nothing of what was said meanwhile.
        let answered = self.silence.answers.iter().filter(|id| self.state.is_voter(id)).count();
        if answered + 1 >= self.state.quorum() {
            self.silence.over = true;
            self.cast_again(core);
            return;
        }
        if self.silence.asked.is_none_or(|at| now - at >= BEAT) {
            self.silence.asked = Some(now);
            for peer in self.overlay.peers().clone() {
                self.ask_highest(core, peer);
            }
        }
    }

    fn ask_highest(&self, core: &mut Core, peer: MemberId) {
        if !self.silence.over && self.state.is_voter(&peer) && !self.silence.answers.contains(&peer) {
            self.send(core, peer, &Message::AskHighest(core.life.store, core.life.incarnation));
        }
    }

    /// Of a store that the roster does not name there is nothing to say: either side has to catch up first.
    fn on_ask_highest(&mut self, core: &mut Core, from: MemberId, store: Id16, incarnation: u64) {
        // It has just started, and may not know what it said of its neighbours.
        self.liveness.said(&from, None);
        if self.state.member(&from).is_some_and(|member| member.store == store) {
            let said = self.board.shown(&from, store);
            self.send(core, from, &Message::Highest(Highest { incarnation, said }));
        }
    }

    fn on_highest(&mut self, core: &mut Core, from: MemberId, highest: &Highest) {
        if highest.incarnation != core.life.incarnation || self.silence.over || !self.state.is_voter(&from) {
            return;
        }
        for signed in &highest.said {
            let said = match Checked::check(signed.clone(), &self.state.entity, core.scheme()) {
                Ok(said) if said.author() == core.me() => said,
                Ok(_) => return self.offended(core, from, Offence::Signature, 1),
                Err(fault) => return self.hold_against(core, from, &fault),
            };
            let excused = core.breaks(Sabotage::NeverBurnt);
            if said.store() == core.life.store && self.is_unknown_to_me(core, &said) && !excused {
                self.burn_by(core, from, &said);
                return;
            }
        }
        self.silence.answers.insert(from);
    }

    /// Whether this store said something that it does not know of.
    fn is_unknown_to_me(&self, core: &Core, said: &Checked) -> bool {
        super::standing::is_beyond(core, said.position()) || self.is_vote_unknown_to_me(said)
    }

    /// Whether this store cast a vote that its promise does not have.
    pub(super) fn is_vote_unknown_to_me(&self, said: &Checked) -> bool {
        let promise = self.ballot.promise();
        said.vote().is_some_and(|vote| {
            let mine = match vote.step {
                Step::Prevote => promise.prevotes.contains_key(&vote.round),
                Step::Precommit => promise.precommits.contains_key(&vote.round),
            };
            vote.epoch > promise.epoch || (vote.epoch == promise.epoch && !mine)
        })
    }
}

/// Whether a time that somebody else's clock told lies further ahead than honest clocks differ. Expiries are bounded by
/// the time of the intent that sets them: one that is made in a thousand years would never end.
pub(super) fn is_of_the_future(core: &Core, at: WallTime) -> bool {
    at - core.now.wall > INTENT_LIFE
}
