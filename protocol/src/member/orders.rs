//! Orders that wait for the signatures of operators (finding 6, PROTOCOL.md O): drafted on the member that is to
//! originate them, spread so that every member shows them, and kept until they are signed, withdrawn or over.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::local::Local;
use super::operation::{Content, Goal, IMPLICIT_WINDOW, Next, Operation};
use super::{Core, Durable, Entity, saved};
use crate::codec;
use crate::control::{Code, Command, Outcome, Refusal};
use crate::effect::Captured;
use crate::event::{Event, Severity};
use crate::hash::{Hash, hex, unhex};
use crate::identity::MemberId;
use crate::limits;
use crate::manifest::Extent;
use crate::order::{Approval, Mandate, Order};
use crate::record::Change;
use crate::rollout::Wish;
use crate::state::Application;
use crate::statement::{Id16, Intent, Slot, Statement, Waiting};
use crate::time::{Instant, Millis};
use crate::validity::Invalid;
use crate::view::{RequestView, Requests};

/// A draft that nobody signed is forgotten after this.
const UNSIGNED: Millis = Millis::seconds(600);

/// What follows when an order has its signatures.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Then {
    /// The change, and this answer.
    Change(Box<Outcome>),
    /// A window opened by hand; what lies there is staged with it.
    Open(bool),
    /// The own window's end moved.
    Extend,
    /// Content settled that is held here.
    Settle {
        /// Its root.
        root: Hash,
        /// How much it is.
        extent: Extent,
        /// Why.
        reason: String,
        /// Other content on members may go to the trash.
        replace: bool,
        /// How it is to get onto the members.
        #[serde(default, skip_serializing_if = "codec::is_default")]
        wish: Wish,
    },
}

/// What an operation begins with.
pub(super) struct Start {
    pub(super) request: u64,
    pub(super) by: String,
    pub(super) goal: Goal,
    /// A change that it begins with.
    pub(super) first: Option<Change>,
    /// Operators have signed the first change, or the one that settles.
    pub(super) order: Option<Box<Waiting>>,
    /// It ends with an order that is to be signed.
    pub(super) drafting: bool,
}

/// An order of this member that waits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pending {
    /// The order, and the signatures so far.
    pub waiting: Waiting,
    /// What follows.
    pub then: Then,
}

impl Pending {
    /// The content that must stay until it is decided.
    fn root(&self) -> Option<Hash> {
        if let Then::Settle { root, .. } = &self.then { Some(*root) } else { None }
    }

    /// Whether it outlives this process: the secret of an invitation is nowhere but in memory.
    fn is_durable(&self) -> bool {
        !matches!(&self.then, Then::Change(outcome) if matches!(**outcome, Outcome::Invitation { .. }))
    }
}

/// The orders of this member, and since when they are here.
#[derive(Default)]
pub(super) struct Orders(BTreeMap<Id16, (Pending, Instant)>);

impl Orders {
    pub(super) fn new(saved: BTreeMap<Id16, Pending>, now: Instant) -> Self {
        Self(saved.into_iter().map(|(id, pending)| (id, (pending, now))).collect())
    }

    /// Whether none waits.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Content that is to be settled when it is signed.
    pub(super) fn roots(&self) -> impl Iterator<Item = Hash> {
        self.0.values().filter_map(|(pending, _)| pending.root())
    }
}

impl Entity {
    /// Whether anybody but members has a word.
    pub(super) fn is_governed(&self) -> bool {
        self.state.governance.authority.operators().is_some()
    }

    /// Whether an order of `author` may still be signed and carried out.
    pub(super) fn is_awaited(&self, core: &Core, author: MemberId, order: &Order) -> bool {
        let fresh = order.seen.saturating_add(limits::INTENT_EPOCHS) > self.state.epoch;
        let signed = self.is_governed() || order.incoming().is_some();
        order.entity == self.state.entity
            && order.member == author
            && signed
            && fresh
            && core.now.wall < order.until
            && order.until.0 <= core.now.wall.0.saturating_add(2 * limits::ORDER_LIFE.0)
            && !self.state.recent.contains_key(&order.id)
    }

    /// A command that shall be signed: answered with the order, or carried out if there is nothing to sign.
    pub(super) fn draft(
        &mut self,
        core: &mut Core,
        request: u64,
        by: String,
        command: Command,
    ) -> Result<(), Refusal> {
        let incoming =
            matches!(&command, Command::SetAuthority { authority } if authority.operators().is_some());
        if !self.is_governed() && !incoming {
            return Err(nothing_to_sign());
        }
        let (goal, change) = match command {
            // The first content is an order of its own, when there is the application.
            mut create @ Command::Create { source: Some(_), .. } => {
                if let Command::Create { source, .. } = &mut create {
                    *source = None;
                }
                let (goal, change) = self.plan(core, create)?;
                (goal, change.map(without_adopting))
            }
            command => self.plan(core, command)?,
        };
        let (then, change) = match (goal, change) {
            (Goal::Settle { application, content, reason, replace, create: None, wish }, _) => {
                if content != Content::Staged && wish != Wish::default() {
                    return Err(wish_of_its_own(&application));
                }
                let goal = Goal::Settle { application, content, reason, replace, create: None, wish };
                self.begin_with(core, Start { request, by, goal, first: None, order: None, drafting: true });
                return Ok(());
            }
            (Goal::Change { outcome }, Some(change)) => (Then::Change(outcome), change),
            (Goal::Open { adopt: None, .. }, Some(change)) => (Then::Open(false), change),
            (Goal::Open { adopt: Some(change), .. }, None) => (Then::Open(true), change),
            (Goal::Extend { .. }, Some(change)) => (Then::Extend, change),
            (goal, change) => {
                self.begin(core, request, by, goal, change);
                return Ok(());
            }
        };
        let outcome = self.draft_order(core, &by, change, then)?;
        self.reply(core, request, Ok(outcome));
        Ok(())
    }

    /// Makes the order of a change, and waits for its signatures.
    pub(super) fn draft_order(
        &mut self,
        core: &mut Core,
        by: &str,
        change: Change,
        then: Then,
    ) -> Result<Outcome, Refusal> {
        self.orders.0.retain(|_, (pending, since)| {
            !pending.waiting.approvals.is_empty() || core.now.mono - *since < UNSIGNED
        });
        if self.orders.0.len() >= limits::ORDERS {
            let text = format!("{} requests of this member wait for signatures already", limits::ORDERS);
            return Err(Refusal::new(Code::Busy, text).try_("see them", "althing request list"));
        }
        let (id, until) = (Id16(core.rng.bytes()), core.now.wall + limits::ORDER_LIFE);
        let mandate = Mandate { until, approvals: Vec::new() };
        let (seen, at) = (self.state.epoch, core.now.wall);
        let intent = Intent { id, seen, at, by: by.to_owned(), change, mandate };
        self.check_draft(core, &intent)?;
        let order = Order::of(&self.state, core.me(), &intent);
        let need = order.tally(&self.state.governance.authority, &Default::default()).need;
        let outcome = Outcome::Draft { id: id.to_string(), order: hex(&order.encode()), need };
        let pending = Pending { waiting: Waiting { order, approvals: Vec::new() }, then };
        self.orders.0.insert(id, (pending, core.now.mono));
        Ok(outcome)
    }

    /// What could not be settled however many signed is refused before anybody does.
    fn check_draft(&self, core: &mut Core, intent: &Intent) -> Result<(), Refusal> {
        self.check_majority(core)?;
        let bare = Intent { mandate: Mandate::default(), ..intent.clone() };
        let silent = || Refusal::new(Code::Mute, "this member cannot sign anything yet; it has just started");
        let statement = Statement::Intent(Box::new(bare));
        let checked = core.sign(self.state.entity, statement).ok_or_else(silent)?;
        let mut open = self.state.clone();
        open.governance.authority = crate::governance::Authority::Members;
        match open.with_changes(&[checked.signed().clone()], core.scheme()) {
            Ok(_) | Err(Invalid::Orders { .. } | Invalid::Evidence { .. }) => Ok(()),
            Err(invalid) => Err(self.explain(core, &invalid)),
        }
    }

    /// The content is captured and held before anybody signs for it: they sign its root, and it stays.
    pub(super) fn advance_draft(
        &mut self,
        core: &mut Core,
        operation: &mut Operation,
        state: &Application,
    ) -> Next {
        let Goal::Settle { application, content, reason, replace, wish, .. } = &operation.goal else {
            return Next::Wait;
        };
        let (name, content, reason, replace, wish) =
            (application.clone(), content.clone(), reason.clone(), *replace, *wish);
        let own = self.own_window(core, &name).is_some();
        if own != (content == Content::Staged) {
            return self.window_in_the_way(core, &name).into();
        }
        self.choose_content(core, operation, &name, &content);
        let Some(captured) = operation.captured.clone() else { return Next::Wait };
        let whole = |local: &Local| {
            local.held.contains_key(&captured.root) && !local.suspect.contains(&captured.root)
        };
        if !self.local(&name).is_some_and(whole) {
            return self.await_content(core, operation, &name);
        }
        if state.root_hash() == Some(captured.root) && !wish.again {
            let revision = self.revision_number(&name);
            return Next::Done(Ok(Outcome::Unchanged { application: name, revision }));
        }
        if state.revisions.is_empty()
            && !replace
            && let Some(refusal) = self.would_replace(&name, &captured.root, false)
        {
            return refusal.into();
        }
        let Captured { root, extent } = captured;
        let application = name.clone();
        let change = if own {
            Change::Commit { application, root, extent, evidence: Vec::new(), wish }
        } else {
            let expires = core.now.wall + IMPLICIT_WINDOW;
            Change::Open {
                application,
                expires,
                reason: reason.clone(),
                implicit: true,
                root: Some(root),
                auto: None,
            }
        };
        let then = Then::Settle { root, extent, reason, replace, wish };
        Next::Done(self.draft_order(core, &operation.by.clone(), change, then))
    }

    /// Whether it would settle content without the word that this needs: found out before anything is captured.
    pub(super) fn lacks_order(&self, core: &Core, operation: &Operation) -> bool {
        let Goal::Settle { application, .. } = &operation.goal else { return false };
        let licensed = self
            .own_window(core, application)
            .is_some_and(|window| window.manner.root.is_some() || window.auto().is_some());
        self.is_governed() && !operation.drafting && operation.order.is_none() && !licensed
    }

    pub(super) fn lacking_orders(&self) -> Invalid {
        let need = self.state.governance.authority.operators().map_or(0, |operators| operators.needed);
        Invalid::Orders { have: 0, need }
    }

    /// Signatures of operators for an order of this member: carried out when there are enough.
    pub(super) fn sign_order(
        &mut self,
        core: &mut Core,
        request: u64,
        id: &str,
        approvals: &str,
    ) -> Result<(), Refusal> {
        self.check_majority(core)?;
        let id = self.order_named(id)?;
        let approvals = read_approvals(approvals)?;
        let authority = self.state.governance.authority.clone();
        let Some((pending, _)) = self.orders.0.get(&id) else { return Err(no_request(&id.to_string())) };
        if !self.is_awaited(core, core.me(), &pending.waiting.order) {
            self.drop_order(core, &id);
            let text =
                "the time of this request is over, or so much was settled since that it has to be asked anew";
            return Err(Refusal::new(Code::RequestOver, text).try_("see what waits", "althing request list"));
        }
        let mut pending = pending.clone();
        for approval in approvals {
            if !pending.waiting.order.may_sign(&authority, &approval.key) {
                return Err(Refusal::new(Code::NotAnOperator, format!("{} is no operator", approval.key))
                    .try_("see who is", "althing roster show"));
            }
            if !pending.waiting.order.holds(&approval, core.scheme()) {
                let text =
                    format!("the signature of {} is not of this request", self.state.operator(&approval.key));
                return Err(Refusal::new(Code::SignatureBad, text)
                    .try_("see what has to be signed", "althing request list"));
            }
            pending.waiting.approvals.retain(|other| other.key != approval.key);
            pending.waiting.approvals.push(approval);
        }
        pending.waiting.approvals.sort_by_key(|approval| approval.key);
        let keys = pending.waiting.approvals.iter().map(|approval| approval.key).collect();
        let tally = pending.waiting.order.tally(&authority, &keys);
        if tally.is_enough() {
            self.carry_out_order(core, request, pending.clone());
            // What could not be begun now keeps its signatures.
            if self.operations.contains_key(&request) {
                self.drop_order(core, &id);
            } else {
                self.keep_order(core, pending);
            }
            return Ok(());
        }
        let until = pending.waiting.order.until.rfc3339();
        self.keep_order(core, pending);
        let (short, missing) = (id.to_string()[..8].to_owned(), tally.need - tally.have);
        let text = format!(
            "request {short} has {} of {} signatures and waits for {missing} more; nothing was changed yet",
            tally.have, tally.need
        );
        Err(Refusal::new(Code::RequestWaits, text)
            .fact("request", id)
            .fact("until", until)
            .try_(
                "sign it with another key, on any member",
                &format!("althing request sign {short} --sign FILE"),
            )
            .try_("see what it does", &format!("althing request show {short}")))
    }

    /// Durable, and told to the others.
    fn keep_order(&mut self, core: &mut Core, pending: Pending) {
        let id = pending.waiting.order.id;
        if pending.is_durable() {
            core.persist(vec![saved::put_order(&id, &pending)], Durable::Nothing);
        }
        let waiting = Statement::Waiting(Box::new(pending.waiting.clone()));
        let text = format!(
            "request {} has {} signatures: {}",
            &id.to_string()[..8],
            pending.waiting.approvals.len(),
            pending.waiting.order.words(core.now.wall, |id| self.state.name_of(id))
        );
        core.event(Event::new(Severity::Info, "request.signed", text));
        self.orders.0.insert(id, (pending, core.now.mono));
        self.publish(core, waiting);
    }

    fn drop_order(&mut self, core: &mut Core, id: &Id16) {
        if let Some((pending, _)) = self.orders.0.remove(id)
            && !pending.waiting.approvals.is_empty()
            && pending.is_durable()
        {
            core.persist(vec![saved::drop_order(id)], Durable::Nothing);
        }
    }

    /// All that is needed is there: as if it had been asked for now.
    fn carry_out_order(&mut self, core: &mut Core, request: u64, pending: Pending) {
        let order = &pending.waiting.order;
        let (by, change) = (order.by.clone(), order.stamped(core.now.wall));
        let application = change.application().unwrap_or_default().to_owned();
        let (goal, first) = match pending.then.clone() {
            Then::Change(outcome) => (Goal::Change { outcome }, Some(change)),
            Then::Open(false) => (Goal::Open { application, adopt: None }, Some(change)),
            Then::Open(true) => (Goal::Open { application, adopt: Some(change) }, None),
            Then::Extend => (Goal::Extend { application }, Some(change)),
            Then::Settle { root, extent, reason, replace, wish } => {
                let content = Content::Ordered(Captured { root, extent });
                (Goal::Settle { application, content, reason, create: None, replace, wish }, None)
            }
        };
        let order = Some(Box::new(pending.waiting));
        self.begin_with(core, Start { request, by, goal, first, order, drafting: false });
    }

    pub(super) fn withdraw_order(&mut self, core: &mut Core, request: u64, id: &str) -> Result<(), Refusal> {
        let id = self.order_named(id)?;
        let until =
            self.orders.0.get(&id).map(|(pending, _)| pending.waiting.order.until).unwrap_or_default();
        self.drop_order(core, &id);
        self.publish(core, Statement::Withdrawn(id, until));
        let text = format!("request {} is withdrawn", &id.to_string()[..8]);
        core.event(Event::new(Severity::Info, "request.withdrawn", text));
        self.reply(core, request, Ok(Outcome::Done));
        Ok(())
    }

    fn order_named(&self, name: &str) -> Result<Id16, Refusal> {
        let mut found =
            self.orders.0.keys().filter(|id| id.to_string().starts_with(name) && !name.is_empty());
        match (found.next(), found.next()) {
            (Some(id), None) => Ok(*id),
            (Some(_), Some(_)) => {
                Err(Refusal::new(Code::Input, format!("{name} names more than one request")))
            }
            (None, _) => Err(no_request(name)),
        }
    }

    /// After a start the others are told of what waits; what is over goes.
    pub(super) fn attend_orders(&mut self, core: &mut Core) {
        let me = core.me();
        let over = |(pending, _): &(Pending, Instant)| !self.is_awaited(core, me, &pending.waiting.order);
        let gone: Vec<Id16> = self.orders.0.iter().filter(|(_, it)| over(it)).map(|(id, _)| *id).collect();
        for id in gone {
            self.drop_order(core, &id);
            let text = format!("request {} is over: it was not signed in time", &id.to_string()[..8]);
            core.event(Event::new(Severity::Notice, "request.over", text));
        }
        let untold = self.orders.0.values().filter(|(pending, _)| {
            let slot = Slot::Intent(pending.waiting.order.id);
            !pending.waiting.approvals.is_empty() && self.board.get(&me, &slot).is_none()
        });
        let untold: Vec<Waiting> = untold.map(|(pending, _)| pending.waiting.clone()).collect();
        for waiting in untold {
            self.publish(core, Statement::Waiting(Box::new(waiting)));
        }
    }

    /// Whether an intent has the word of an administrator, as far as that can be known: where operators govern, theirs.
    pub(super) fn is_asked(&self, intent: &Intent) -> bool {
        intent.by != super::operation::SYSTEM && (!self.is_governed() || !intent.mandate.approvals.is_empty())
    }

    /// Orders of all members that wait, as far as they are known here.
    pub(super) fn requests(&self, core: &Core) -> Requests {
        let authority = &self.state.governance.authority;
        let scheme = core.scheme();
        let waiting = self.board.iter().filter_map(|checked| match checked.statement() {
            Statement::Waiting(waiting) => Some((checked.author(), &**waiting)),
            _ => None,
        });
        let view = |(author, waiting): (MemberId, &Waiting)| {
            let Waiting { order, approvals } = waiting;
            let good = approvals
                .iter()
                .filter(|one| order.may_sign(authority, &one.key) && order.holds(one, scheme));
            let keys = good.map(|one| one.key).collect();
            let tally = order.tally(authority, &keys);
            RequestView {
                id: order.id.to_string(),
                text: order.words(core.now.wall, |id| self.state.name_of(id)),
                by: order.by.clone(),
                member: self.state.name_of(&author),
                until: order.until.rfc3339(),
                epochs_left: (order.seen + limits::INTENT_EPOCHS).saturating_sub(self.state.epoch),
                have: tally.have,
                need: tally.need,
                signed_by: keys.iter().map(|key| self.state.operator(key)).collect(),
                order: hex(&order.encode()),
            }
        };
        Requests {
            requests: waiting
                .filter(|(author, waiting)| self.is_awaited(core, *author, &waiting.order))
                .map(view)
                .collect(),
        }
    }
}

/// Whoever brings the first content does not ask for what lies there.
fn without_adopting(change: Change) -> Change {
    match change {
        Change::Create { application, root, policy, unmanaged, terms, .. } => {
            Change::Create { application, root, policy, unmanaged, adopts: false, terms }
        }
        other => other,
    }
}

/// A list of signatures as it is in a command; none, if there is nothing.
pub(super) fn read_approvals(digits: &str) -> Result<Vec<Approval>, Refusal> {
    if digits.is_empty() {
        return Ok(Vec::new());
    }
    let bytes = unhex(digits).and_then(|bytes| codec::decode(&bytes, limits::STATEMENT_BYTES).ok());
    bytes.ok_or_else(|| Refusal::new(Code::Input, "these are no signatures of operators"))
}

/// A change lacks signatures.
pub(super) fn needs_operators(have: u32, need: u32) -> Refusal {
    let text = match have {
        0 => format!(
            "this entity is governed by operators: this needs the signatures of {need} of them; nothing was changed"
        ),
        have => format!("{have} of {need} signatures of operators; nothing was changed"),
    };
    Refusal::new(Code::NeedsOperators, text)
        .try_("see who the operators are", "althing roster show")
        .try_("sign it: add --sign FILE to the command", "althing explain E711")
}

pub(super) fn nothing_to_sign() -> Refusal {
    let text = "this entity is governed by its members: nothing has to be signed";
    Refusal::new(Code::Input, text).try_("see who decides", "althing roster show")
}

fn no_request(id: &str) -> Refusal {
    Refusal::new(Code::NoSuchRequest, format!("no request {id} waits on this member"))
        .try_("see what waits, and on which member", "althing request list")
}

/// What operators sign of a deployment is its content; how else it gets onto the members they sign with a commit.
fn wish_of_its_own(name: &str) -> Refusal {
    let text =
        "where operators govern, a batch or probation of its own needs a window that was opened by hand";
    Refusal::new(Code::Input, text)
        .try_("open one", &format!("althing update open {name}"))
        .try_("commit what is staged in it", &format!("althing update commit {name} --probation 10m"))
}
