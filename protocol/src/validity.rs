//! Whether a record is valid: a pure function of the parent state and the record's bytes (finding 9), which is at the same
//! time the function that computes the next state (design §5.1).

mod governance;
mod members;
mod placing;

pub use governance::Licence;

use std::collections::{BTreeMap, BTreeSet};

use crate::hash::Hash;
use crate::identity::{MemberId, Scheme};
use crate::limits;
use crate::manifest::Extent;
use crate::record::{Certificate, Change, FORMAT, JoinRequest, Policy, Readmission, Record};
use crate::rollout::{AS_BEFORE, Batch, Plan, Wish};
use crate::state::{
    ADOPTERS, Application, Invitation, Manner, Member, PROTOCOL, PastMember, Revision, Role, Service, State,
    Window,
};
use crate::statement::{Checked, Id16, Intent, Signed, Statement, StatementFault, Step, Unverified};
use crate::time::{Millis, WallTime};
use crate::trail::{Deciders, voters_of};

/// Why a record, a change or a certificate is not valid. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Not the child of this state.
    #[error("not a child of the head")]
    NotAChild,
    /// The state it names does not result.
    #[error("the state that results is not the one it names")]
    WrongState,
    /// No change, or too many.
    #[error("{0} changes, and 1 to {max} are allowed", max = limits::INTENTS_PER_RECORD)]
    Count(usize),
    /// A signature or encoding.
    #[error(transparent)]
    Statement(#[from] StatementFault),
    /// A statement of another kind was expected.
    #[error("a statement of another kind was expected")]
    Kind,
    /// The author is not in the roster, or speaks from another store.
    #[error("the author is not a member, or speaks from a store that is not its own")]
    NotAMember(MemberId),
    /// Older than it may be, or settled already.
    #[error("the intent is too old or was settled already")]
    Stale,
    /// A name or text is empty, too long or has letters it may not have.
    #[error("{0} is not allowed here")]
    Text(String),
    /// More than the entity may have.
    #[error("there are already as many {0} as there may be")]
    Full(&'static str),
    /// There is none of this name.
    #[error("there is no {0}")]
    Unknown(String),
    /// There is one already.
    #[error("{0} is there already")]
    Taken(String),
    /// The roots of two applications would lie in each other.
    #[error("the root lies in or around the root of {0}")]
    Overlap(String),
    /// A window of this application is open on the named member.
    #[error("an update window is open on {0:?}")]
    WindowOpen(MemberId),
    /// No window, or another member's.
    #[error("the originator has no open window")]
    NoWindow,
    /// Not enough Holdings for this root and basis.
    #[error("{have} of {need} members hold the content durably")]
    Evidence {
        /// Valid Holdings.
        have: usize,
        /// What a content quorum is.
        need: usize,
    },
    /// This root was settled before; only a rollback may settle it again (finding 2).
    #[error("this content was settled before")]
    KnownRoot,
    /// Members that an application goes to hold nothing of it: only its keepers do (finding 15).
    #[error("none of the members that it goes to holds the content durably")]
    OnlyKept,
    /// A window of this application is open: neither who it goes to nor what it manages can change (finding 42).
    #[error("an update window of {0} is open")]
    InWindow(String),
    /// The policy, or too few placed voters, forbids adoption.
    #[error("the policy of the application does not adopt drift")]
    NotAdoptable,
    /// The entity's protocol version does not have it yet.
    #[error("this needs protocol version {needs}, and the entity uses {has}")]
    Version {
        /// What the change needs.
        needs: u32,
        /// What is in force.
        has: u32,
    },
    /// Too few signatures of operators.
    #[error("{have} of {need} signatures of operators")]
    Orders {
        /// Valid ones.
        have: u32,
        /// Needed.
        need: u32,
    },
    /// A signature that is none of an operator, or does not hold.
    #[error("{0}")]
    Mandate(&'static str),
    /// A newcomer's program does not speak what the entity uses.
    #[error("the entity uses protocol version {needs}, and the newcomer's program speaks up to {has}")]
    Speaks {
        /// What is in force.
        needs: u32,
        /// What it speaks.
        has: u32,
    },
    /// The last voter cannot go.
    #[error("the last voter cannot be removed")]
    LastVoter,
    /// Nobody would be left in service (design §5.5, 14).
    #[error("nobody would be left in service")]
    NobodyServes,
    /// A member is in another role or state of service than the change needs.
    #[error("{0}")]
    NotSo(&'static str),
    /// Too few valid precommits of one round.
    #[error("{have} of {need} valid precommits")]
    Certificate {
        /// Valid votes.
        have: usize,
        /// What a quorum is.
        need: usize,
    },
    /// Something in a certificate that does not count: of another decision, of nobody who decides it, or there twice.
    #[error("a vote of {0} that does not count is in a certificate")]
    Stray(MemberId),
}

impl State {
    /// The state after `record`, whose parent record is `head`; or why there is none.
    pub fn after(&self, head: &Hash, record: &Record, scheme: Scheme) -> Result<Self, Invalid> {
        let child = record.format == FORMAT && record.entity == self.entity && record.parent == *head;
        if !child || record.epoch != self.epoch + 1 {
            return Err(Invalid::NotAChild);
        }
        let next = self.with_changes(&record.changes, scheme)?;
        if next.hash() == record.state { Ok(next) } else { Err(Invalid::WrongState) }
    }

    /// The state after these signed intents.
    pub fn with_changes(&self, changes: &[Signed], scheme: Scheme) -> Result<Self, Invalid> {
        if changes.is_empty() || changes.len() > limits::INTENTS_PER_RECORD {
            return Err(Invalid::Count(changes.len()));
        }
        let mut next = self.child();
        for signed in changes {
            let checked = Checked::check(signed.clone(), &self.entity, scheme)?;
            next.apply(self, &checked, scheme)?;
        }
        Ok(next)
    }

    /// The state of the next epoch before any change.
    pub fn child(&self) -> Self {
        let mut next = self.clone();
        next.epoch += 1;
        next.forget_old_intents();
        next
    }

    /// The state that one more intent leads to, this one being a [`Self::child`] of `before` with the intents so far.
    pub fn with_change(&self, before: &Self, checked: &Checked, scheme: Scheme) -> Result<Self, Invalid> {
        let mut next = self.clone();
        next.apply(before, checked, scheme)?;
        Ok(next)
    }

    fn apply(&mut self, before: &Self, checked: &Checked, scheme: Scheme) -> Result<(), Invalid> {
        let intent = checked.intent().ok_or(Invalid::Kind)?;
        let author = self.author(checked)?;
        let fresh = intent.seen < self.epoch && intent.seen + limits::INTENT_EPOCHS >= self.epoch;
        if !fresh || self.recent.contains_key(&intent.id) {
            return Err(Invalid::Stale);
        }
        check_text(&intent.by)?;
        self.check_mandate(author, intent, scheme)?;
        self.recent.insert(intent.id, self.epoch);
        Draft { next: self, before, intent, author, scheme }.change()
    }

    /// The member that a statement counts for: in the roster, from the store it was admitted with.
    pub fn author(&self, checked: &Checked) -> Result<MemberId, Invalid> {
        let author = checked.author();
        if self.has(&author, &checked.store()) { Ok(author) } else { Err(Invalid::NotAMember(author)) }
    }

    /// Whether this key is in the roster, with this store.
    pub fn has(&self, author: &MemberId, store: &Id16) -> bool {
        self.member(author).is_some_and(|member| member.store == *store)
    }

    /// Counts the Holdings of distinct holders for this application's present basis and `root`.
    pub fn check_evidence(
        &self,
        application: &str,
        root: &Hash,
        evidence: &[Signed],
        scheme: Scheme,
    ) -> Result<(), Invalid> {
        let known = self.application(application)?;
        let (basis, may) = (known.basis, self.holders(application, known));
        let mut holders = BTreeSet::new();
        for signed in evidence.iter().take(self.members.len()) {
            let holding = Unverified::read(signed.clone(), &self.entity)?;
            let Statement::Holding(said) = &holding.envelope().statement else { return Err(Invalid::Kind) };
            let about = said.application == application && said.basis == basis && said.root == *root;
            let author = holding.author();
            let counts = may.contains(&author) && self.has(&author, &holding.envelope().store);
            // What does not count is not worth looking at its signature: junk must not cost more than it counts.
            if about && counts && !holders.contains(&author) {
                holders.insert(holding.verify(scheme)?.author());
            }
        }
        self.suffices(application, known, &holders)
    }

    fn application(&self, name: &str) -> Result<&Application, Invalid> {
        self.applications.get(name).ok_or_else(|| Invalid::Unknown(name.to_owned()))
    }

    /// Checks that a quorum of this state's voters precommitted `certificate.value` as the child of `head`, and that there is
    /// nothing else in it: what somebody put in on the way would stay in the chain of all who took it.
    pub fn check_certificate(
        &self,
        head: &Hash,
        certificate: &Certificate,
        scheme: Scheme,
    ) -> Result<(), Invalid> {
        if certificate.epoch != self.epoch + 1 {
            return Err(Invalid::NotAChild);
        }
        let voters = &voters_of(self);
        let deciders = Deciders { parent: *head, voters, rule: self.governance.quorum };
        let mut authors = BTreeSet::new();
        for signed in &certificate.votes {
            if deciders.cast(&self.entity, certificate, signed)?.is_none() || !authors.insert(signed.author) {
                return Err(Invalid::Stray(signed.author));
            }
        }
        check_certificate(&self.entity, deciders, certificate, scheme)
    }
}

impl Deciders<'_> {
    /// A vote of a certificate, whose signature was not checked; `None` if it does not count with these.
    fn cast(
        &self,
        entity: &Hash,
        certificate: &Certificate,
        signed: &Signed,
    ) -> Result<Option<Unverified>, Invalid> {
        let cast = Unverified::read(signed.clone(), entity)?;
        let Statement::Vote(vote) = &cast.envelope().statement else { return Err(Invalid::Kind) };
        let same = vote.epoch == certificate.epoch
            && vote.round == certificate.round
            && vote.parent == self.parent
            && vote.step == Step::Precommit
            && vote.value == Some(certificate.value);
        let counts = same && self.voters.contains(&(cast.author(), cast.envelope().store));
        Ok(counts.then_some(cast))
    }
}

/// Checks that a quorum of these voters, by the rule that was in force, precommitted `certificate.value`, whatever else is
/// beside that: on another branch others may decide as well (V12).
pub fn check_certificate(
    entity: &Hash,
    deciders: Deciders<'_>,
    certificate: &Certificate,
    scheme: Scheme,
) -> Result<(), Invalid> {
    let need = deciders.rule.of(deciders.voters.len());
    let mut signed_by = BTreeSet::new();
    for signed in &certificate.votes {
        let cast = deciders.cast(entity, certificate, signed)?;
        let fresh = cast.filter(|cast| !signed_by.contains(&cast.author()));
        if let Some(cast) = fresh {
            signed_by.insert(cast.verify(scheme)?.author());
        }
    }
    let have = signed_by.len();
    if have >= need { Ok(()) } else { Err(Invalid::Certificate { have, need }) }
}

/// One change on its way into the next state.
struct Draft<'a> {
    next: &'a mut State,
    before: &'a State,
    intent: &'a Intent,
    author: MemberId,
    scheme: Scheme,
}

impl Draft<'_> {
    fn change(self) -> Result<(), Invalid> {
        let (needs, has) = (self.intent.change.needs(), self.before.protocol);
        if needs > has {
            return Err(Invalid::Version { needs, has });
        }
        match &self.intent.change {
            Change::Invite { key, uses, expires, note, spare } => {
                self.invite(*key, *uses, *expires, note, *spare)
            }
            Change::Revoke { key } => {
                let gone = self.next.invitations.remove(key);
                gone.map(|_| ()).ok_or_else(|| Invalid::Unknown("such invitation".into()))
            }
            Change::Admit(request) => self.admit(request),
            Change::Promote { member, holds } => self.promote(member, holds),
            Change::Remove { member } => self.remove(member),
            Change::TakeOut { member, reason, until, anyway } => {
                self.take_out(member, reason, *until, *anyway)
            }
            Change::BringIn { member } => self.bring_in(member),
            Change::Return { member } => self.bring_back(member),
            Change::Spare { member, anyway } => self.spare(member, *anyway),
            Change::Enlist { member } => self.enlist(member),
            Change::Rename { member, name } => self.rename(member, name),
            Change::Label { member, labels, .. } => self.label(member, labels),
            Change::Readmit(request) => self.readmit(request),
            Change::Move { addresses } => self.relocate(addresses),
            Change::SetQuorum { rule } => self.set_quorum(*rule),
            Change::SetAuthority { authority } => self.set_authority(authority),
            Change::Create { application, root, policy, unmanaged, adopts, terms } => {
                let new = Application {
                    root: root.clone(),
                    policy: *policy,
                    basis: self.next.epoch,
                    revisions: Vec::new(),
                    window: None,
                    paused: None,
                    unmanaged: unmanaged.clone(),
                    adopts: *adopts,
                    terms: terms.clone(),
                };
                self.create(application, new)
            }
            Change::Arrange { application, terms, definition, .. } => {
                self.arrange(application, terms, definition)
            }
            Change::Discard { application, .. } => self.discard(application),
            Change::Extend { application, expires } => self.extend(application, *expires),
            Change::Define { application, policy } => {
                concerned(self.next, application).map(|application| application.policy = *policy)
            }
            Change::Open { .. } => self.open(),
            Change::Commit { application, root, extent, evidence, wish } => {
                self.commit(application, (*root, *extent), evidence, *wish)
            }
            Change::Undo { application, revision, why, evidence } => {
                self.undo(application, *revision, why, evidence)
            }
            Change::GoOn { application, revision } => self.go_on(application, *revision),
            Change::Abort { application } | Change::Expire { application } => self.close(application),
            Change::Adopt { application, root, extent, evidence } => {
                self.adopt(application, *root, *extent, evidence)
            }
            Change::Raise { protocol } => self.raise(*protocol),
            Change::Pause { application, until } => {
                concerned(self.next, application).map(|application| application.paused = *until)
            }
        }
    }

    /// Whether all members speak it is no matter of these bytes: it is asked of a fresh proposal (finding 9). What this
    /// program does not speak it cannot follow.
    fn raise(self, protocol: u32) -> Result<(), Invalid> {
        if protocol != self.before.protocol + 1 || self.next.protocol != self.before.protocol {
            return Err(Invalid::NotSo("it is not the next protocol version"));
        }
        if protocol > PROTOCOL {
            return Err(Invalid::Version { needs: protocol, has: PROTOCOL });
        }
        // Whoever is admitted by the same record was not asked what it speaks.
        if self.next.members.iter().any(|member| member.since == self.next.epoch) {
            return Err(Invalid::NotSo("a member is admitted in the same epoch"));
        }
        self.next.protocol = protocol;
        Ok(())
    }

    fn invite(
        self,
        key: MemberId,
        uses: u32,
        expires: WallTime,
        note: &str,
        spare: bool,
    ) -> Result<(), Invalid> {
        check_text(note)?;
        if self.next.invitations.len() >= limits::INVITATIONS {
            return Err(Invalid::Full("invitations"));
        }
        if self.next.invitations.contains_key(&key) {
            return Err(Invalid::Taken("this invitation".into()));
        }
        let reach = self.intent.at + limits::INVITATION_MAX;
        if uses == 0 || uses as usize > limits::MEMBERS || expires > reach {
            return Err(Invalid::Text("this number of uses or expiry".into()));
        }
        let invitation = Invitation { uses, expires, note: note.to_owned(), by: self.author, spare };
        self.next.invitations.insert(key, invitation);
        Ok(())
    }

    fn admit(self, request: &JoinRequest) -> Result<(), Invalid> {
        let newcomer = &request.newcomer;
        check_label(&newcomer.name)?;
        let known = self.next.invitations.get_mut(&request.invitation);
        let invitation = known.ok_or_else(|| Invalid::Unknown("such invitation".into()))?;
        if request.entity != self.before.entity || !request.holds(self.scheme) {
            return Err(StatementFault::Signature(newcomer.member).into());
        }
        let (needs, has) = (self.next.protocol, request.abilities.speaks());
        if has < needs {
            return Err(Invalid::Speaks { needs, has });
        }
        invitation.uses -= 1;
        let (role, service) =
            if invitation.spare { (Role::Follower, Service::Spare) } else { (Role::Learner, Service::In) };
        if invitation.uses == 0 {
            self.next.invitations.remove(&request.invitation);
        }
        // A kept member of the entity before comes over under its name, which is nobody else's.
        let kept = self.next.kept_name(&newcomer.member).map(str::to_owned);
        let past = kept.is_none() && self.next.past.iter().any(|past| past.id == newcomer.member);
        if past || self.next.member(&newcomer.member).is_some() {
            return Err(Invalid::Taken("this member".into()));
        }
        let reserved = self.next.origin.iter().flat_map(|origin| &origin.kept);
        let mut reserved = reserved.filter(|(id, _)| *id != newcomer.member);
        if reserved.any(|(_, name)| *name == newcomer.name) {
            return Err(Invalid::Taken(newcomer.name.clone()));
        }
        if self.next.member_named(&newcomer.name).is_some() {
            return Err(Invalid::Taken(newcomer.name.clone()));
        }
        if self.next.members.len() >= limits::MEMBERS {
            return Err(Invalid::Full("members"));
        }
        self.next.past.retain(|past| past.id != newcomer.member);
        self.next.members.push(Member {
            id: newcomer.member,
            store: newcomer.store,
            name: newcomer.name.clone(),
            role,
            addresses: vec![newcomer.address],
            since: self.next.epoch,
            service,
            labels: BTreeMap::new(),
        });
        self.next.roster_epoch = self.next.epoch;
        Ok(())
    }

    fn promote(self, id: &MemberId, holds: &Signed) -> Result<(), Invalid> {
        let checked = Checked::check(holds.clone(), &self.before.entity, self.scheme)?;
        let Statement::Holds(word) = checked.statement() else { return Err(Invalid::Kind) };
        let recent = word.epoch < self.next.epoch && word.epoch + limits::INTENT_EPOCHS >= self.next.epoch;
        if self.next.author(&checked)? != *id || !recent {
            return Err(Invalid::Stale);
        }
        let counted = self.next.counted();
        let member = self.next.members.iter_mut().find(|member| member.id == *id);
        let member = member.ok_or(Invalid::NotAMember(*id))?;
        if member.role != Role::Learner || word.epoch < member.since {
            return Err(Invalid::Stale);
        }
        member.role = Role::Voter;
        self.roster_changed(&counted);
        Ok(())
    }

    fn remove(mut self, id: &MemberId) -> Result<(), Invalid> {
        let counted = self.next.counted();
        let member = self.next.member(id).ok_or(Invalid::NotAMember(*id))?.clone();
        let voters = self.next.voters().count();
        if member.role == Role::Voter && voters == 1 {
            return Err(Invalid::LastVoter);
        }
        if self.next.past.len() >= limits::PAST_MEMBERS {
            self.next.past.remove(0);
        }
        self.next.past.push(PastMember { id: *id, name: member.name, until: self.next.epoch });
        self.next.members.retain(|member| member.id != *id);
        self.close_windows_of(id);
        self.roster_changed(&counted);
        Ok(())
    }

    /// From the record on nothing said from the replaced store counts, and nothing of the new one until the member
    /// has caught up: it never votes in an epoch up to the one that re-admits it (design §5.2.10).
    fn readmit(mut self, request: &Readmission) -> Result<(), Invalid> {
        let id = request.member;
        if request.entity != self.before.entity || !request.holds(self.scheme) {
            return Err(StatementFault::Signature(id).into());
        }
        let (epoch, voters) = (self.next.epoch, self.next.voters().count());
        let counted = self.next.counted();
        let member = self.next.members.iter_mut().find(|member| member.id == id);
        let member = member.ok_or(Invalid::NotAMember(id))?;
        if member.store != request.replaced || request.store == request.replaced {
            return Err(Invalid::Stale);
        }
        if member.role == Role::Voter && voters == 1 {
            return Err(Invalid::LastVoter);
        }
        if member.role == Role::Voter {
            member.role = Role::Learner;
        }
        member.store = request.store;
        member.addresses = vec![request.address];
        member.since = epoch;
        self.close_windows_of(&id);
        self.roster_changed(&counted);
        Ok(())
    }

    /// A window ends with its author.
    fn close_windows_of(&mut self, author: &MemberId) {
        let epoch = self.next.epoch;
        for application in self.next.applications.values_mut() {
            if application.window.as_ref().is_some_and(|window| window.author == *author) {
                application.window = None;
                application.basis = epoch;
            }
        }
    }

    fn relocate(self, addresses: &[crate::statement::Address]) -> Result<(), Invalid> {
        if addresses.is_empty() || addresses.len() > limits::ADDRESSES {
            return Err(Invalid::Text("this number of addresses".into()));
        }
        let author = self.author;
        let member = self.next.members.iter_mut().find(|member| member.id == author);
        member.ok_or(Invalid::NotAMember(author))?.addresses = addresses.to_vec();
        self.next.roster_epoch = self.next.epoch;
        Ok(())
    }

    fn create(self, name: &str, new: Application) -> Result<(), Invalid> {
        check_label(name)?;
        let root = new.root.as_str();
        check_root(root)?;
        check_patterns(&new.unmanaged)?;
        placing::check(new.placement())?;
        check_rollout(new.terms.rollout.is_sensible())?;
        if self.next.applications.len() >= limits::APPLICATIONS {
            return Err(Invalid::Full("applications"));
        }
        if self.next.applications.contains_key(name) {
            return Err(Invalid::Taken(name.to_owned()));
        }
        if let Some(why) = new.terms.handling.against(&new.unmanaged) {
            return Err(Invalid::NotSo(why));
        }
        let own = new.terms.handling.places(root);
        let overlaps = |other: &Application| {
            let theirs = other.terms.handling.places(&other.root);
            own.iter().any(|own| theirs.iter().any(|their| lies_in(own, their) || lies_in(their, own)))
        };
        if let Some((other, _)) = self.next.applications.iter().find(|(_, other)| overlaps(other)) {
            return Err(Invalid::Overlap(other.clone()));
        }
        self.next.applications.insert(name.to_owned(), new);
        Ok(())
    }

    fn discard(self, name: &str) -> Result<(), Invalid> {
        if let Some(window) = &self.next.application(name)?.window {
            return Err(Invalid::WindowOpen(window.author));
        }
        self.next.applications.remove(name);
        Ok(())
    }

    /// Not a reason to move the basis: what was promised in the window is promised still.
    fn extend(self, name: &str, expires: WallTime) -> Result<(), Invalid> {
        let (at, author) = (self.intent.at, self.author);
        let application = self.next.applications.get_mut(name);
        let application = application.ok_or_else(|| Invalid::Unknown(name.to_owned()))?;
        let window = application.window.as_mut().filter(|window| window.author == author);
        let window = window.ok_or(Invalid::NoWindow)?;
        if expires > at + limits::WINDOW_MAX {
            return Err(Invalid::Text("so long a window".into()));
        }
        window.expires = expires;
        Ok(())
    }

    fn open(self) -> Result<(), Invalid> {
        let intent = self.intent;
        let Change::Open { application: name, expires, reason, implicit, root, auto } = &intent.change else {
            return Err(Invalid::Kind);
        };
        check_text(reason)?;
        check_rollout(auto.is_none_or(|quiet| (limits::QUIET.0..=limits::QUIET.1).contains(&quiet)))?;
        let author = self.author;
        let application = concerned(self.next, name)?;
        if let Some(window) = &application.window {
            return Err(Invalid::WindowOpen(window.author));
        }
        if *expires > intent.at + limits::WINDOW_MAX {
            return Err(Invalid::Text("so long a window".into()));
        }
        let (by, reason) = (intent.by.clone(), reason.clone());
        let (opened, expires, implicit) = (intent.at, *expires, *implicit);
        let manner = Manner { root: *root, auto: *auto };
        application.window = Some(Window { author, by, reason, opened, expires, implicit, manner });
        Ok(())
    }

    fn close(self, name: &str) -> Result<(), Invalid> {
        let window = concerned(self.next, name)?.window.take();
        window.map(|_| ()).ok_or(Invalid::NoWindow)
    }

    fn commit(
        self,
        name: &str,
        (root, extent): (Hash, Extent),
        evidence: &[Signed],
        wish: Wish,
    ) -> Result<(), Invalid> {
        let author = self.author;
        let application = self.next.application(name)?;
        let window = application.window.clone();
        let window = window.filter(|window| window.author == author).ok_or(Invalid::NoWindow)?;
        check_rollout(wish.is_sensible())?;
        if window.auto().is_some() && wish.probation > Millis(0) {
            return Err(Invalid::NotSo("nothing is undone while a window is open, and this one stays open"));
        }
        let again = wish.again && application.root_hash() == Some(root);
        let batch = wish.batch.unwrap_or(usual_batch(application));
        let plan = Plan { batch, probation: wish.probation, again, ..Plan::default() };
        if window.manner.root.is_some_and(|only| only != root) {
            return Err(Invalid::NotSo("the update window was opened for other content"));
        }
        self.before.check_evidence(name, &root, evidence, self.scheme)?;
        if window.auto().is_none() {
            concerned(self.next, name)?.window = None;
        }
        self.settle(name, (root, extent), window.reason, plan)
    }

    /// Back to the revision before, once: what is settled by it has no probation of its own (finding 21).
    fn undo(self, name: &str, revision: u64, why: &str, evidence: &[Signed]) -> Result<(), Invalid> {
        check_text(why)?;
        let application = self.next.application(name)?;
        if let Some(window) = &application.window {
            return Err(Invalid::WindowOpen(window.author));
        }
        let settled = application.settled().filter(|settled| settled.number == revision);
        let plan = settled.ok_or(Invalid::Stale)?.plan;
        if plan.probation == Millis(0) || plan.goes_on {
            return Err(Invalid::NotSo("the revision is not on probation"));
        }
        let former = application.former().filter(|former| Some(former.root) != application.root_hash());
        let former = former.ok_or(Invalid::NotSo("there is no other revision before"))?;
        let content = (former.root, former.extent);
        self.before.check_evidence(name, &content.0, evidence, self.scheme)?;
        let plan = Plan { undoes: Some(revision), ..Plan::default() };
        self.settle(name, content, why.to_owned(), plan)
    }

    /// Not a reason to move the basis: what was promised is promised still.
    fn go_on(self, name: &str, revision: u64) -> Result<(), Invalid> {
        let application = self.next.applications.get_mut(name);
        let application = application.ok_or_else(|| Invalid::Unknown(name.to_owned()))?;
        let settled = application.revisions.last_mut().filter(|settled| settled.number == revision);
        settled.ok_or(Invalid::Stale)?.plan.goes_on = true;
        Ok(())
    }

    fn adopt(self, name: &str, root: Hash, extent: Extent, evidence: &[Signed]) -> Result<(), Invalid> {
        let known = self.before.applications.get(name);
        let placed = known.map_or(0, |known| self.before.placed_voters(known).count());
        let application = self.next.application(name)?;
        let first = application.revisions.is_empty() && !application.adopts;
        if application.policy != Policy::Majority || placed < ADOPTERS || first {
            return Err(Invalid::NotAdoptable);
        }
        if let Some(window) = &application.window {
            return Err(Invalid::WindowOpen(window.author));
        }
        if application.knows(&root) {
            return Err(Invalid::KnownRoot);
        }
        let plan = Plan { batch: usual_batch(application), ..Plan::default() };
        self.before.check_evidence(name, &root, evidence, self.scheme)?;
        self.settle(name, (root, extent), "the majority had it".to_owned(), plan)
    }

    fn settle(
        self,
        name: &str,
        (root, extent): (Hash, Extent),
        reason: String,
        plan: Plan,
    ) -> Result<(), Invalid> {
        let epoch = self.next.epoch;
        let application = concerned(self.next, name)?;
        let number = application.settled().map_or(1, |revision| revision.number + 1);
        let (at, by, from) = (self.intent.at, self.intent.by.clone(), self.author);
        application.revisions.push(Revision { number, root, extent, epoch, at, by, from, reason, plan });
        let surplus = application.revisions.len().saturating_sub(limits::REVISIONS_KEPT + 1);
        application.revisions.drain(..surplus);
        Ok(())
    }
}

/// The application; the record that changes it moves its basis.
fn concerned<'a>(next: &'a mut State, name: &str) -> Result<&'a mut Application, Invalid> {
    let epoch = next.epoch;
    let application = next.applications.get_mut(name).ok_or_else(|| Invalid::Unknown(name.to_owned()))?;
    application.basis = epoch;
    Ok(application)
}

/// A name of an entity, member or application: letters, digits, `-`, `_`, `.`; not starting with a sign.
pub fn check_label(name: &str) -> Result<(), Invalid> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let starts = name.starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '_');
    if starts && name.len() <= limits::LABEL_BYTES && name.chars().all(plain) {
        return Ok(());
    }
    Err(Invalid::Text(format!("the name {name:?}")))
}

/// How many members apply what is settled now at once, if nobody says otherwise. Where nothing was there is nothing that
/// could be kept going.
fn usual_batch(application: &Application) -> Batch {
    if application.settled().is_some() { application.rollout().batch } else { AS_BEFORE }
}

fn check_rollout(is_sensible: bool) -> Result<(), Invalid> {
    if is_sensible {
        Ok(())
    } else {
        Err(Invalid::Text("this batch, hook, probation or quiet period".into()))
    }
}

fn check_text(text: &str) -> Result<(), Invalid> {
    if text.len() <= limits::TEXT_BYTES && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Invalid::Text("a text that is too long or has control characters".into()))
}

/// An absolute path without empty, `.` or `..` components; not `/` itself.
pub fn check_root(root: &str) -> Result<(), Invalid> {
    let below = root.strip_prefix('/').unwrap_or_default();
    let path = crate::path::ItemPath::new(below.as_bytes());
    if path.is_ok_and(|path| !path.is_root()) && !root.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Invalid::Text(format!("the root {root:?}")))
}

/// A pattern of paths below a root: relative, in plain components. How it is matched is the hosts' business, and all
/// of them match alike (node/src/files/unmanaged.rs).
pub fn check_pattern(pattern: &str) -> Result<(), Invalid> {
    let plain = |part: &str| !matches!(part, "" | "." | "..");
    let good = pattern.len() <= limits::PATTERN_BYTES
        && !pattern.chars().any(char::is_control)
        && pattern.split('/').all(plain);
    if good { Ok(()) } else { Err(Invalid::Text(format!("the pattern {pattern:?}"))) }
}

fn check_patterns(patterns: &[String]) -> Result<(), Invalid> {
    if patterns.len() > limits::UNMANAGED {
        return Err(Invalid::Full("patterns of unmanaged paths"));
    }
    patterns.iter().try_for_each(|pattern| check_pattern(pattern))
}

fn lies_in(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod readmission;
#[cfg(test)]
mod tests;
