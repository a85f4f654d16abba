//! Requests that take several steps. An operation looks at the state after every input and does what is next; it
//! keeps no second copy of anything that the state says.

mod settling;

use super::local::Capturing;
use super::orders::Start;
use super::troubles::{no_room, unseen};
use super::voting::Fate;
use super::{Core, Entity};
use crate::control::{Code, Outcome, Progress, Refusal, Reply};
use crate::effect::{Captured, Depth, NotCaptured, Output, Room, Source};
use crate::hash::Hash;
use crate::identity::MemberId;
use crate::manifest::Extent;
use crate::order::Mandate;
use crate::record::Change;
use crate::rollout::Wish;
use crate::state::{Application, Window};
use crate::statement::{Checked, Id16, Intent, Statement, Waiting};
use crate::time::{Instant, Millis};
use crate::validity::Invalid;

/// Who originates what nobody asked for.
pub(super) const SYSTEM: &str = "althing";
/// A vote should end within this; then the answer is "undecided".
const VOTE_LIMIT: Millis = Millis(30_000);
/// Content should be captured, spread and settled within this.
const CONTENT_LIMIT: Millis = Millis(15 * 60 * 1000);
/// So long a lost majority is waited for in the middle of an operation.
pub(super) const PATIENCE: Millis = Millis(5_000);
/// How long a repair is tried in an entity that was begun anew elsewhere.
const LEFT_PATIENCE: Millis = Millis::seconds(60);
/// How long the window of a deployment stands, unless its author goes on.
pub(super) const IMPLICIT_WINDOW: Millis = Millis(30 * 60 * 1000);
/// A window that ends with its author is closed when the author was not heard for so long.
const AUTHOR_AWAY: Millis = Millis(8_000);

/// What is wanted.
pub(super) enum Goal {
    /// One change.
    Change { outcome: Box<Outcome> },
    /// A window opened by hand; with content of its own, captured before it is opened.
    Open { application: String, adopt: Option<Change> },
    /// The own window's end moved.
    Extend { application: String },
    /// Content staged in the open window.
    Stage { application: String, source: Source },
    /// New content settled: from a source, or what is staged, or what an earlier revision was.
    Settle {
        application: String,
        content: Content,
        reason: String,
        /// To define the application first.
        create: Option<Change>,
        /// Other content on members may go to the trash.
        replace: bool,
        /// How it is to get onto the members.
        wish: Wish,
    },
    /// An application that was defined for content which was not settled taken back, and this answered.
    TakeBack { application: String, refusal: Box<Refusal> },
    /// A scan.
    Look { application: String, repair: bool },
    /// This member leaves.
    Leave,
}

/// Where the content to be settled comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Content {
    /// To be captured.
    From(Source),
    /// Staged already, or else the live tree.
    Staged,
    /// Root of an earlier revision.
    Earlier(Hash, Extent),
    /// What operators have signed; it is held here.
    Ordered(Captured),
}

/// A request, what kind of thing it wants, and what is staged where it wants it.
pub(super) type Asked = (u64, std::mem::Discriminant<Goal>, Option<Hash>);

/// A request under way.
pub(super) struct Operation {
    pub(super) request: u64,
    pub(super) by: String,
    pub(super) goal: Goal,
    pub(super) deadline: Instant,
    /// The intent that is waited for.
    pub(super) intent: Option<Id16>,
    capture: Option<Capturing>,
    pub(super) captured: Option<Captured>,
    /// The epoch at which it began.
    epoch: u64,
    /// The majority was lost at this time.
    lost: Option<Instant>,
    /// Fewer members than must hold the content can be reached since this time.
    short: Option<Instant>,
    /// Nobody gives the content since this time, when so many bytes of it had come.
    barren: Option<(Instant, (Hash, u64))>,
    /// The last progress told.
    told: Option<Progress>,
    /// A look at the tree was asked for.
    looking: bool,
    /// Members whose Holdings were the evidence.
    holders: usize,
    /// The window was open here: if it is not any more, somebody closed it.
    opened: bool,
    /// What operators have signed of it.
    pub(super) order: Option<Box<Waiting>>,
    /// It ends with an order.
    pub(super) drafting: bool,
    /// The application was defined by this operation, or is about to be.
    pub(super) created: bool,
    /// Enough members have promised it since this time, and others still check it.
    checking: Option<Instant>,
}

impl Operation {
    /// What was captured for it.
    pub(super) fn captured_root(&self) -> Option<Hash> {
        self.captured.as_ref().map(|captured| captured.root)
    }

    pub(super) fn application(&self) -> Option<&str> {
        match &self.goal {
            Goal::Open { application, .. }
            | Goal::Extend { application }
            | Goal::Stage { application, .. }
            | Goal::Settle { application, .. }
            | Goal::TakeBack { application, .. }
            | Goal::Look { application, .. } => Some(application),
            Goal::Change { .. } | Goal::Leave => None,
        }
    }
}

/// What an operation comes to in one step.
pub(super) enum Next {
    Wait,
    Done(Reply),
}

impl From<Refusal> for Next {
    fn from(refusal: Refusal) -> Self {
        Self::Done(Err(refusal))
    }
}

impl Entity {
    /// Begins an operation without a word of operators; `first` is a change that it begins with.
    pub(super) fn begin(
        &mut self,
        core: &mut Core,
        request: u64,
        by: String,
        goal: Goal,
        first: Option<Change>,
    ) {
        self.begin_with(core, Start { request, by, goal, first, order: None, drafting: false });
    }

    pub(super) fn begin_with(&mut self, core: &mut Core, start: Start) {
        let Start { request, by, goal, first, order, drafting } = start;
        let content = matches!(
            goal,
            Goal::Settle { .. } | Goal::Stage { .. } | Goal::Look { .. } | Goal::Open { adopt: Some(_), .. }
        );
        let limit = if content { CONTENT_LIMIT } else { VOTE_LIMIT };
        let mut operation = Operation {
            request,
            by,
            goal,
            deadline: core.now.mono + limit,
            intent: None,
            capture: None,
            captured: None,
            epoch: self.state.epoch,
            lost: None,
            short: None,
            barren: None,
            told: None,
            looking: false,
            holders: 0,
            opened: false,
            order,
            drafting,
            created: false,
            checking: None,
        };
        let clash = self
            .operations
            .values()
            .any(|other| other.application().is_some() && other.application() == operation.application());
        if clash {
            let refusal = busy(operation.application().unwrap_or_default());
            self.reply(core, request, Err(refusal));
            return;
        }
        let content = matches!(operation.goal, Goal::Settle { .. } | Goal::Stage { .. });
        if let Some(why) = core.lack_of_room().filter(|_| content) {
            self.reply(core, request, Err(no_room(why)));
            return;
        }
        let votes = matches!(operation.goal, Goal::Settle { .. });
        if let Err(refusal) =
            self.check_majority(core).or_else(|refusal| if votes { Err(refusal) } else { Ok(()) })
        {
            self.reply(core, request, Err(refusal));
            return;
        }
        if self.lacks_order(core, &operation) {
            let refusal = self.explain(core, &self.lacking_orders());
            self.reply(core, request, Err(refusal));
            return;
        }
        if let Some(change) = first {
            match self.originate_as(core, &operation.by, change, operation.order.as_deref()) {
                Ok(id) => operation.intent = Some(id),
                Err(refusal) => {
                    self.reply(core, request, Err(refusal));
                    return;
                }
            }
        }
        self.operations.insert(request, operation);
    }

    pub(super) fn reply(&self, core: &mut Core, request: u64, reply: Reply) {
        if super::quiet::is_own(request) {
            return;
        }
        core.out.push(Output::Reply { request, reply });
    }

    /// Signs and spreads an intent, if a majority can be reached and the change is valid now.
    pub(super) fn originate(&mut self, core: &mut Core, by: &str, change: Change) -> Result<Id16, Refusal> {
        self.originate_as(core, by, change, None)
    }

    /// The same with the signatures of operators, if the change is what they have signed.
    fn originate_as(
        &mut self,
        core: &mut Core,
        by: &str,
        change: Change,
        order: Option<&Waiting>,
    ) -> Result<Id16, Refusal> {
        self.check_majority(core)?;
        if let Room::Nothing(why) = &core.room {
            return Err(no_room(why));
        }
        if self.is_silent(core) {
            let text = if self.is_outcast(core) {
                "this member's store does not count: it votes and originates nothing until it is re-admitted"
            } else {
                "this member has just started and waits for others to tell what it said before"
            };
            return Err(Refusal::new(Code::Mute, text).try_("see how it is", "althing status"));
        }
        let kind = std::mem::discriminant(&change);
        let order = order.filter(|waiting| std::mem::discriminant(&waiting.order.change) == kind);
        let (at, by) = (core.now.wall, by.to_owned());
        let intent = match order {
            Some(Waiting { order, approvals }) => {
                let mandate = Mandate { until: order.until, approvals: approvals.clone() };
                Intent { id: order.id, seen: order.seen, at, by: order.by.clone(), change, mandate }
            }
            None => {
                let (id, mandate) = (Id16(core.rng.bytes()), Mandate::default());
                Intent { id, seen: self.state.epoch, at, by, change, mandate }
            }
        };
        let id = intent.id;
        let silent = || Refusal::new(Code::Mute, "this member cannot sign anything yet; it has just started");
        let checked = core.sign(self.state.entity, Statement::Intent(Box::new(intent))).ok_or_else(silent)?;
        if let Err(invalid) = self.state.with_changes(&[checked.signed().clone()], core.scheme()) {
            return Err(self.explain(core, &invalid));
        }
        self.absorb(core, &checked, None);
        Ok(id)
    }

    /// The same for a change that nobody asked for: not if one of its kind is pending.
    pub(super) fn originate_once(&mut self, core: &mut Core, change: Change) {
        let kind = std::mem::discriminant(&change);
        let is_same = |checked: &Checked| {
            checked.intent().is_some_and(|intent| {
                std::mem::discriminant(&intent.change) == kind
                    && intent.change.application() == change.application()
            })
        };
        let same: Vec<Checked> = self.intents().into_iter().filter(is_same).collect();
        let pending = same.iter().any(|checked| self.is_in_the_way(core, checked));
        if !pending && let Err(refusal) = self.originate(core, SYSTEM, change) {
            tracing::debug!(%refusal, "not originated");
        }
    }

    /// Whether an intent may be settled as things are: one that nobody votes for now, or ever, must not stand in the way of
    /// one that they would. What it rests on may be of a basis that has moved since.
    fn is_in_the_way(&mut self, core: &Core, checked: &Checked) -> bool {
        let Some(intent) = checked.intent() else { return false };
        let may_be_valid = if checked.author() == core.me() {
            !matches!(self.fate(core, &intent.id), Fate::Dead(_) | Fate::Gone)
        } else {
            self.state.with_changes(&[checked.signed().clone()], core.scheme()).is_ok()
        };
        may_be_valid && self.is_agreeable(core, checked.author(), intent)
    }

    /// The same for a change that only this member can ask for.
    pub(super) fn originate_own(&mut self, core: &mut Core, change: Change) {
        let kind = std::mem::discriminant(&change);
        let pending = self.board.of(&core.me()).any(|checked| {
            checked.intent().is_some_and(|intent| std::mem::discriminant(&intent.change) == kind)
        });
        if !pending && let Err(refusal) = self.originate(core, SYSTEM, change) {
            tracing::debug!(%refusal, "not originated");
        }
    }

    /// Whether the entity can decide; the answer to who asks for something if not.
    pub(super) fn check_majority(&self, core: &Core) -> Result<(), Refusal> {
        if self.has_majority(core) {
            return Ok(());
        }
        if let Some(refusal) =
            self.why_stopped().or_else(|| self.why_outdated()).or_else(|| self.why_kept_back(core))
        {
            return Err(refusal);
        }
        let (able, quorum) = (self.able_voters(core), self.state.quorum());
        let total = self.state.voters().count();
        let reachable = self.reachable_voters(core);
        let mut text = format!("{reachable} of {total} members can be reached");
        if able < reachable {
            text += &format!(", {able} of them may vote");
        }
        text += &format!(" and {quorum} must agree{}; nothing was changed", self.by_which_rule());
        Err(Refusal::new(Code::NoMajority, text)
            .fact("missing", self.unreachable(core, self.state.voters().map(|voter| voter.id)))
            .fact("meanwhile", "serving goes on; updates and votes stop; an open window stays open")
            .try_("see who is heard", "althing member list")
            .try_("if they are gone for good", "althing roster recover --help"))
    }

    /// Names of those of these members that are not heard.
    fn unreachable(&self, core: &Core, ids: impl Iterator<Item = MemberId>) -> String {
        let away = ids.filter(|id| !self.is_heard(core, id)).map(|id| self.state.name_of(&id));
        away.collect::<Vec<_>>().join(" ")
    }

    /// Whether a request about this application is under way on this member.
    pub(super) fn is_asked_about(&self, name: &str) -> bool {
        self.operations.values().any(|operation| operation.application() == Some(name))
    }

    pub(super) fn operation_captured(
        &mut self,
        core: &mut Core,
        capture: u64,
        result: Result<Captured, NotCaptured>,
    ) {
        let is_it = |operation: &&mut Operation| operation.capture.is_some_and(|it| it.id == capture);
        let Some(operation) = self.operations.values_mut().find(is_it) else { return };
        let shaken = operation.capture.take().is_some_and(|capturing| capturing.shaken);
        let request = operation.request;
        match result {
            Ok(_) if shaken && is_opening(operation) => {
                let name = operation.application().unwrap_or_default().to_owned();
                self.finish(core, request, Err(capture_lost(&name)));
            }
            Ok(_) if shaken => {}
            Ok(captured) => {
                let name = operation.application().unwrap_or_default().to_owned();
                operation.captured = Some(captured.clone());
                self.hold(core, &name, captured.root, captured.extent);
            }
            Err(NotCaptured::Changing(why)) => {
                self.finish(core, request, Err(Refusal::new(Code::Changing, why)))
            }
            Err(NotCaptured::Refused(why)) => self.finish(core, request, Err(Refusal::new(Code::Input, why))),
            Err(NotCaptured::NoRoom(why)) => self.finish(core, request, Err(no_room(&why))),
            Err(NotCaptured::Failed(why)) => self.finish(core, request, Err(Refusal::new(Code::Failed, why))),
        }
    }

    /// Something of the store was lost: what is being captured, or was and is not held yet, may have counted on it, and
    /// is captured once more. What a window is opened with is not: a repair may come in between.
    pub(super) fn shake_captures(&mut self) {
        for operation in self.operations.values_mut() {
            operation.capture.iter_mut().for_each(|capturing| capturing.shaken = true);
            let local = operation.application().and_then(|name| self.locals.get(name));
            let saving = operation.captured_root().is_some_and(|root| {
                local.is_some_and(|local| local.saving.contains_key(&root) && !local.held.contains_key(&root))
            });
            if saving && !is_opening(operation) {
                operation.captured = None;
            }
        }
    }

    /// The application was scanned: who waited for that has the answer.
    pub(super) fn looked(&mut self, name: &str) {
        let waiting = self.operations.values_mut().filter(
            |operation| matches!(&operation.goal, Goal::Look { application, .. } if application == name),
        );
        waiting.for_each(|operation| operation.looking = false);
    }

    /// All of what is under way that something follows from for content: what is asked for, and what is staged for it.
    /// Everything else that an operation does to content it has from an input.
    pub(super) fn asked(&self) -> Vec<Asked> {
        let asked = self.operations.values().map(|operation| {
            let local = operation.application().and_then(|name| self.local(name));
            let staged = local.and_then(|local| local.staged);
            (operation.request, std::mem::discriminant(&operation.goal), staged)
        });
        asked.collect()
    }

    pub(super) fn attend_operations(&mut self, core: &mut Core) {
        let requests: Vec<u64> = self.operations.keys().copied().collect();
        for request in requests {
            let Some(mut operation) = self.operations.remove(&request) else { continue };
            let next = self.advance_operation(core, &mut operation);
            self.operations.insert(request, operation);
            if let Next::Done(reply) = next {
                self.finish(core, request, reply);
            }
        }
    }

    fn finish(&mut self, core: &mut Core, request: u64, reply: Reply) {
        let Some(mut operation) = self.operations.remove(&request) else { return };
        if let Err(refusal) = &reply {
            if let Some(intent) = operation.intent {
                self.withdraw(core, intent);
            }
            self.close_own_implicit_window(core, operation.application());
            if self.takes_back(core, &mut operation, refusal) {
                self.operations.insert(request, operation);
                return;
            }
        }
        if super::quiet::is_own(request) {
            self.own_ended(core, operation.application(), &reply);
        }
        self.reply(core, request, reply);
    }

    /// Whether this member has asked to close its window.
    fn is_closing(&self, core: &Core, name: &str) -> bool {
        self.board
            .of(&core.me())
            .filter_map(|checked| checked.intent())
            .any(|intent| matches!(&intent.change, Change::Abort { application } if application == name))
    }

    pub(super) fn own_window(&self, core: &Core, name: &str) -> Option<&Window> {
        let window = self.state.applications.get(name)?.window.as_ref();
        window.filter(|window| window.author == core.me())
    }

    fn advance_operation(&mut self, core: &mut Core, operation: &mut Operation) -> Next {
        if matches!(operation.goal, Goal::TakeBack { .. }) {
            return self.advance_taking_back(core, operation);
        }
        if core.now.mono >= operation.deadline {
            return self.overdue(operation);
        }
        let needs_majority = !matches!(operation.goal, Goal::Look { .. });
        match self.check_majority(core).err().filter(|_| needs_majority) {
            None => operation.lost = None,
            Some(refusal) => {
                let since = *operation.lost.get_or_insert(core.now.mono);
                if core.now.mono >= since + PATIENCE {
                    return refusal.into();
                }
            }
        }
        if let Some(next) = self.await_intent(core, operation) {
            return next;
        }
        match &operation.goal {
            Goal::Change { outcome, .. } => Next::Done(Ok((**outcome).clone())),
            Goal::Open { adopt: Some(_), .. } => self.advance_adopting_open(core, operation),
            Goal::Open { application, adopt: None } | Goal::Extend { application } => {
                self.window_outcome(core, application, None)
            }
            Goal::Leave => Next::Done(Ok(Outcome::Done)),
            Goal::Look { .. } => self.advance_look(core, operation),
            Goal::Stage { .. } => self.advance_stage(core, operation),
            Goal::Settle { .. } => self.advance_settle(core, operation),
            Goal::TakeBack { .. } => Next::Wait,
        }
    }

    fn overdue(&self, operation: &Operation) -> Next {
        if operation.intent.is_some() {
            let text = "the vote did not end in time; it goes on, and the outcome will show";
            return Refusal::new(Code::Undecided, text).try_("see where it stands", "althing status").into();
        }
        let text = if matches!(operation.goal, Goal::Look { .. }) {
            "the tree could not be read to the end in time"
        } else {
            "it took too long for enough members to hold the content"
        };
        Refusal::new(Code::NoHolders, text).into()
    }

    /// Waits for the intent, if there is one; an intent that died is explained, or made anew by what follows.
    fn await_intent(&mut self, core: &mut Core, operation: &mut Operation) -> Option<Next> {
        let id = operation.intent?;
        match self.fate(core, &id) {
            Fate::Pending => {
                self.progress(
                    core,
                    operation,
                    "vote",
                    self.reachable_voters(core),
                    self.state.voters().count(),
                );
                return Some(Next::Wait);
            }
            Fate::Settled => operation.intent = None,
            // The basis moved under the evidence: it is gathered again under the new one.
            Fate::Dead(Invalid::Evidence { .. }) if matches!(operation.goal, Goal::Settle { .. }) => {
                self.withdraw(core, id);
                operation.intent = None;
            }
            Fate::Dead(invalid) => {
                self.withdraw(core, id);
                operation.intent = None;
                // Somebody else's, if it is there now.
                operation.created &= !matches!(invalid, Invalid::Taken(_));
                return Some(self.explain(core, &invalid).into());
            }
            Fate::Gone if matches!(operation.goal, Goal::Leave) => operation.intent = None,
            Fate::Gone => {
                operation.intent = None;
                return Some(Refusal::new(Code::Undecided, "the change was not settled in time").into());
            }
        }
        None
    }

    pub(super) fn revision_number(&self, name: &str) -> u64 {
        self.state.applications.get(name).and_then(Application::settled).map_or(0, |revision| revision.number)
    }

    fn progress(&self, core: &mut Core, operation: &mut Operation, stage: &str, done: usize, of: usize) {
        let progress = Progress { stage: stage.to_owned(), done: done as u64, of: of as u64 };
        if operation.told.as_ref() != Some(&progress) && !super::quiet::is_own(operation.request) {
            operation.told = Some(progress.clone());
            core.out.push(Output::Progress { request: operation.request, progress });
        }
    }

    fn advance_look(&mut self, core: &mut Core, operation: &Operation) -> Next {
        let Goal::Look { application, repair } = &operation.goal else { return Next::Wait };
        let Some(known) = self.state.applications.get(application) else {
            return no_application(application).into();
        };
        // It may have gone to other members since it was asked for: then nothing is put right here any more.
        if let Err(refusal) = self.placed_here(core, application) {
            return refusal.into();
        }
        let settled = known.root_hash();
        let Some(local) = self.local(application) else { return Next::Wait };
        if operation.looking || local.applying.is_some() || local.writing {
            return Next::Wait;
        }
        if let Some(troubled) = local.unseen.as_ref().filter(|_| !local.forced) {
            return unseen(application, troubled).into();
        }
        let Some(observed) = local.observed else { return Next::Wait };
        let agrees = settled.is_some() && observed.root == settled;
        let own_window = self.own_window(core, application).is_some();
        if *repair && !agrees && !observed.ends && settled.is_some() && local.error.is_none() && !own_window {
            // Who is not of the entity any more is given nothing: what is lacking may never come.
            let waited = core.now.mono + CONTENT_LIMIT >= operation.deadline + LEFT_PATIENCE;
            return self.why_given_nothing(core).filter(|_| waited).map_or(Next::Wait, Next::from);
        }
        let (application, observed) = (application.clone(), observed.root);
        Next::Done(Ok(Outcome::Looked { application, observed, agrees }))
    }

    /// Why members of the entity give this one no content: it was begun anew without it, or took it out of the roster.
    fn why_given_nothing(&self, core: &Core) -> Option<Refusal> {
        if self.succession().is_some() {
            return self.why_stopped();
        }
        self.me(core).is_none().then(not_in_roster)
    }

    /// Starts the scan that a look waits for.
    pub(super) fn start_look(&mut self, core: &mut Core, request: u64, name: &str, depth: Depth) {
        self.look(core, name, depth);
        if let Some(operation) = self.operations.get_mut(&request) {
            operation.looking = true;
        }
    }

    fn window_outcome(&self, core: &Core, name: &str, staged: Option<Hash>) -> Next {
        let expires = self.own_window(core, name).map(|window| window.expires).unwrap_or_default();
        let (application, revision) = (name.to_owned(), self.revision_number(name));
        Next::Done(Ok(Outcome::Window { application, expires, revision, staged }))
    }

    /// Captures what is here, holds it, opens the window, and stages it there: a repair that comes first takes nothing
    /// away, and nothing is changed if any of it fails.
    fn advance_adopting_open(&mut self, core: &mut Core, operation: &mut Operation) -> Next {
        let Goal::Open { application, adopt: Some(change) } = &operation.goal else { return Next::Wait };
        let (name, change) = (application.clone(), change.clone());
        let Some(captured) = operation.captured.clone() else {
            self.capture(core, operation, &name, Source::Live);
            return Next::Wait;
        };
        if operation.opened && self.own_window(core, &name).is_none() {
            return window_closed(&name).into();
        }
        let local = self.local(&name);
        let lost = !operation.opened && self.is_lost(core, &name, &captured.root);
        if lost || !local.is_some_and(|local| local.held.contains_key(&captured.root)) {
            let comes = local.is_some_and(|local| local.saving.contains_key(&captured.root));
            return if comes && !lost { Next::Wait } else { capture_lost(&name).into() };
        }
        if !operation.opened {
            operation.opened = true;
            return self.go_on(core, operation, change);
        }
        // Also if it came to be in doubt meanwhile: the live tree may be another one by now.
        if let Some(local) = self.locals.get_mut(&name) {
            local.staged = Some(captured.root);
        }
        self.window_outcome(core, &name, Some(captured.root))
    }

    fn advance_stage(&mut self, core: &mut Core, operation: &mut Operation) -> Next {
        let Goal::Stage { application, source } = &operation.goal else { return Next::Wait };
        let (name, source) = (application.clone(), source.clone());
        if self.own_window(core, &name).is_none() {
            return no_window(&name).into();
        }
        if operation.captured.is_none() {
            self.capture(core, operation, &name, source);
            return Next::Wait;
        }
        match self.staged(operation, &name) {
            Some(Captured { root, extent }) => {
                Next::Done(Ok(Outcome::Staged { application: name, root, extent }))
            }
            None => {
                self.capture_again_if_lost(core, operation, &name);
                Next::Wait
            }
        }
    }

    fn capture(&mut self, core: &mut Core, operation: &mut Operation, name: &str, source: Source) {
        if operation.capture.is_none() {
            let capture = core.id();
            operation.capture = Some(Capturing::new(capture));
            core.out.push(Output::Capture { capture, application: name.to_owned(), source });
            self.progress(core, operation, "stage", 0, 1);
        }
    }

    /// What was captured may be where it was captured from.
    fn capture_again_if_lost(&self, core: &Core, operation: &mut Operation, name: &str) {
        if operation.captured_root().is_some_and(|root| self.is_lost(core, name, &root)) {
            operation.captured = None;
        }
    }

    /// The captured content once it is held durably, and not in doubt; from then on it is what this member's window stages.
    fn staged(&mut self, operation: &Operation, name: &str) -> Option<Captured> {
        let captured = operation.captured.clone()?;
        let local = self.locals.get_mut(name)?;
        let whole = local.held.contains_key(&captured.root) && !local.suspect.contains(&captured.root);
        whole.then(|| local.staged = Some(captured.root))?;
        Some(captured)
    }

    // --- windows that end by themselves ------------------------------------------------------------------------

    pub(super) fn attend_windows(&mut self, core: &mut Core) {
        let wall = core.now.wall;
        let open = self.state.applications.iter().filter_map(|(name, application)| {
            let window = application.window.as_ref();
            let may_end = window.filter(|window| window.implicit || wall >= window.expires);
            may_end.map(|window| (name.clone(), window.clone()))
        });
        let open: Vec<_> = open.collect();
        // Spares end their own windows, too; only voters act for others.
        if open.is_empty() || !self.has_majority(core) || self.is_silent(core) || self.me(core).is_none() {
            return;
        }
        for (application, window) in open {
            if core.now.wall >= window.expires && self.is_acting(core) {
                self.originate_once(core, Change::Expire { application });
            } else if window.implicit && self.is_orphan(core, &application, &window) {
                self.originate_once(core, Change::Abort { application });
            }
        }
    }

    /// A deployment's window whose author died, or started again and knows nothing of it.
    fn is_orphan(&self, core: &Core, name: &str, window: &Window) -> bool {
        if window.author == core.me() {
            return !self.operations.values().any(|operation| operation.application() == Some(name));
        }
        let now = core.now.mono;
        let away = self.liveness.age(&window.author, now).is_none_or(|age| age > AUTHOR_AWAY);
        away && !self.liveness.is_reachable(&window.author, now)
            && now - core.since > AUTHOR_AWAY
            && self.is_acting(core)
    }

    /// Whether this member is the first of the failover hierarchy that can be reached.
    pub(super) fn is_acting(&self, core: &Core) -> bool {
        let now = core.now.mono;
        let first = self
            .state
            .voters()
            .find(|voter| voter.id == core.me() || self.liveness.is_reachable(&voter.id, now));
        first.is_some_and(|voter| voter.id == core.me())
    }

    pub(super) fn expiry_deadline(&self, core: &Core) -> Option<Instant> {
        let windows = self.state.applications.values().filter_map(|application| application.window.as_ref());
        windows
            .map(|window| core.now.mono + (window.expires - core.now.wall))
            .filter(|at| *at > core.now.mono)
            .min()
    }

    // --- refusals ----------------------------------------------------------------------------------------------

    pub(super) fn window_in_the_way(&self, core: &Core, name: &str) -> Refusal {
        match self.state.applications.get(name).and_then(|application| application.window.as_ref()) {
            Some(window) if window.author != core.me() => self.window_open(name, window),
            _ => no_window(name),
        }
    }

    pub(super) fn window_open(&self, name: &str, window: &Window) -> Refusal {
        let on = self.state.name_of(&window.author);
        Refusal::new(Code::WindowOpen, format!("an update window for {name} is already open on {on}"))
            .fact("application", name)
            .fact("member", &on)
            .fact("by", &window.by)
            .fact("reason", &window.reason)
            .fact("closes_at", window.expires.rfc3339())
            .try_("see what is staged there", &format!("althing update status {name}"))
            .try_("close it now", &format!("althing update abort {name} --on {on}"))
    }

    /// Says in an administrator's words why a change is not valid.
    pub(super) fn explain(&self, core: &Core, invalid: &Invalid) -> Refusal {
        let refuse = |code, text: String| Refusal::new(code, text);
        match invalid {
            Invalid::WindowOpen(author) => {
                let open = self.state.applications.iter().find_map(|(name, application)| {
                    application
                        .window
                        .as_ref()
                        .filter(|window| window.author == *author)
                        .map(|window| (name, window))
                });
                open.map_or_else(
                    || refuse(Code::WindowOpen, "an update window is open".into()),
                    |(name, window)| self.window_open(name, window),
                )
            }
            Invalid::InWindow(name) => {
                let window = self.state.applications.get(name).and_then(|known| known.window.as_ref());
                let text = "where an application goes, and what it manages, stays while it is updated";
                let open = window.map(|window| self.window_open(name, window));
                open.unwrap_or_else(|| refuse(Code::WindowOpen, invalid.to_string())).fact("so", text)
            }
            Invalid::OnlyKept => refuse(Code::NoHolders, invalid.to_string()),
            Invalid::NoWindow => refuse(Code::NoWindow, "no update window is open on this member".into())
                .try_("open one", "althing update open APP"),
            Invalid::Taken(what) => refuse(Code::NameTaken, format!("{what} is there already")),
            Invalid::Unknown(what) => refuse(Code::NoSuchApplication, format!("there is no {what}")),
            Invalid::Text(_) | Invalid::Overlap(_) | Invalid::Full(_) => {
                refuse(Code::Input, invalid.to_string())
            }
            Invalid::NobodyServes => {
                refuse(Code::WouldEmptyService, "nobody would be left in service".into())
                    .try_("see who serves", "althing member list")
            }
            Invalid::NotSo(_) => refuse(Code::Input, invalid.to_string()),
            Invalid::Orders { have, need } => super::orders::needs_operators(*have, *need),
            Invalid::Mandate(_) => refuse(Code::SignatureBad, invalid.to_string()),
            Invalid::LastVoter => refuse(Code::LastVoter, "the last voter cannot leave the roster".into()),
            Invalid::NotAMember(id) if *id == core.me() => not_in_roster(),
            Invalid::Evidence { have, need } => refuse(
                Code::NoHolders,
                format!("{have} of the {need} members needed hold the content durably"),
            ),
            other => refuse(Code::Failed, other.to_string()),
        }
    }
}

pub(super) fn not_in_roster() -> Refusal {
    Refusal::new(Code::NotInEntity, "this member is not in the roster any more")
        .try_("forget the entity", "althing leave --purge")
}

pub(super) fn no_window(name: &str) -> Refusal {
    Refusal::new(Code::NoWindow, format!("no update window for {name} is open on this member"))
        .try_("open one", &format!("althing update open {name}"))
}

fn busy(name: &str) -> Refusal {
    let text = format!("another request for {name} is under way on this member");
    Refusal::new(Code::Busy, text)
        .try_("see how far it is", &format!("althing update status {name}"))
        .try_("wait until its window is closed", &format!("althing wait --for update/{name}=closed"))
}

fn is_opening(operation: &Operation) -> bool {
    matches!(operation.goal, Goal::Open { .. })
}

fn window_closed(name: &str) -> Refusal {
    let text = format!("the update window for {name} was closed before the content was settled");
    Refusal::new(Code::NoWindow, text).try_("see who closed it", &format!("althing events --app {name}"))
}

/// The application was removed, and perhaps made anew, or the content was damaged.
fn capture_lost(name: &str) -> Refusal {
    let text = format!("what was captured of {name} to be staged is not here any more; nothing is staged");
    Refusal::new(Code::Failed, text)
        .try_("see what happened to it", &format!("althing events --app {name}"))
        .try_("see whether the window is open", &format!("althing update status {name}"))
}

pub(super) fn no_application(name: &str) -> Refusal {
    Refusal::new(Code::NoSuchApplication, format!("there is no application {name}"))
        .try_("see which there are", "althing app list")
        .try_("define it", &format!("althing app new {name} --from DIR"))
}
