//! Administrators' requests, checked and turned into operations.

use super::operation::{Content, Goal, no_application, no_window};
use super::{Core, Entity, Member};
use crate::control::{Code, Command, Outcome, Refusal};
use crate::effect::{Depth, Output, Source};
use crate::invitation::{Checkpoint, Invitation};
use crate::limits;
use crate::liveness::SILENCE;
use crate::placement::Placement;
use crate::record::{Change, Definition};
use crate::rollout::{Rollout, Wish};
use crate::state::Terms;
use crate::statement::Address;
use crate::time::Millis;

/// A request that waits for others to be heard.
pub(super) struct Early {
    pub(super) request: u64,
    by: String,
    command: Command,
}

impl Member {
    pub(super) fn requested(&mut self, request: u64, by: String, command: Command) {
        let result = match (&mut self.entity, command) {
            (None, Command::Init { name, member, address, governance }) => {
                self.init(request, &name, &member, address, governance)
            }
            (None, Command::Join { invitation, member, address }) => {
                self.join(request, &invitation, &member, address)
            }
            (Some(_), Command::Join { invitation, address, .. }) => {
                self.follow(request, &invitation, address)
            }
            (Some(_), Command::Recover { keep, approvals }) => self.recover(request, &by, &keep, &approvals),
            (Some(_), Command::Draft { command }) if matches!(*command, Command::Recover { .. }) => {
                let Command::Recover { keep, .. } = *command else { return };
                self.draft_recovery(request, &keep)
            }
            (Some(_), Command::Init { .. }) => {
                let text = "this machine is a member of an entity already";
                Err(Refusal::new(Code::InEntity, text).try_("leave it first", "althing leave"))
            }
            (None, _) => Err(Refusal::new(Code::NotInEntity, "this machine is not in an entity yet")
                .try_("begin a new one", "althing init --name ENTITY")
                .try_("join one, with an invitation from any of its members", "althing join")),
            (Some(entity), command) if entity.is_settling_in(&self.core) => {
                entity.early.push(Early { request, by, command });
                Ok(())
            }
            (Some(entity), command) => entity.command(&mut self.core, request, by, command),
        };
        if let Err(refusal) = result {
            self.core.out.push(Output::Reply { request, reply: Err(refusal) });
        }
    }
}

impl Member {
    /// Whoever is in an entity comes over to the one that succeeds it, under the name it has, and to no other.
    fn follow(&mut self, request: u64, invitation: &str, address: Address) -> Result<(), Refusal> {
        if let Some(entity) = self.entity.as_mut().filter(|entity| entity.is_lapsed()) {
            let invitation = super::joining::read(invitation, self.core.config.speaks)?;
            if invitation.entity == entity.state.entity {
                return entity.vouch(&mut self.core, request, &invitation);
            }
        }
        if !self.may_follow(invitation)? {
            let text = "this machine is a member of an entity already";
            return Err(Refusal::new(Code::InEntity, text).try_("leave it first", "althing leave"));
        }
        let id = self.id();
        let name = self.state().map(|state| state.name_of(&id)).unwrap_or_default();
        self.join(request, invitation, &name, address)
    }
}

impl Entity {
    /// Just started, and without the others that a decision needs: they are given the time to be heard, so that nobody
    /// is told "no majority" for asking a moment too soon.
    pub(super) fn is_settling_in(&self, core: &Core) -> bool {
        let alone = self.able_voters(core) < self.state.quorum();
        core.now.mono <= self.since + SILENCE && (alone || (self.is_silent(core) && !self.is_outcast(core)))
    }

    /// What was asked too soon, as soon as it can be answered.
    pub(super) fn attend_early(&mut self, core: &mut Core) {
        if self.early.is_empty() || self.is_settling_in(core) {
            return;
        }
        self.quiet = None;
        for Early { request, by, command } in std::mem::take(&mut self.early) {
            if let Err(refusal) = self.command(core, request, by, command) {
                core.out.push(Output::Reply { request, reply: Err(refusal) });
            }
        }
    }

    fn command(
        &mut self,
        core: &mut Core,
        request: u64,
        by: String,
        command: Command,
    ) -> Result<(), Refusal> {
        let (goal, change) = match command {
            Command::Init { .. } | Command::Join { .. } | Command::Recover { .. } => return Ok(()),
            Command::Resolve { keep } => return self.resolve(core, request, &by, keep.as_deref()),
            Command::Draft { command } => return self.draft(core, request, by, *command),
            Command::Sign { id, approvals } => return self.sign_order(core, request, &id, &approvals),
            Command::Withdraw { id } => return self.withdraw_order(core, request, &id),
            Command::Verify { application } => {
                return self.start_looking(core, request, by, application, false);
            }
            Command::Repair { application } => {
                return self.start_looking(core, request, by, application, true);
            }
            command => self.plan(core, command)?,
        };
        self.begin(core, request, by, goal, change);
        Ok(())
    }

    /// What a command comes to: a goal, and the change that it begins with.
    pub(super) fn plan(
        &mut self,
        core: &mut Core,
        command: Command,
    ) -> Result<(Goal, Option<Change>), Refusal> {
        Ok(match command {
            Command::Readmit { member } => (done(), Some(self.readmission_of(core, &member)?)),
            Command::Invite { uses, lasts, note, spare } => self.invite(core, uses, lasts, note, spare)?,
            Command::Revoke { id } => (done(), Some(self.revoke(&id)?)),
            Command::Raise { protocol } => self.raise(core, protocol)?,
            command @ (Command::Remove { .. }
            | Command::TakeOut { .. }
            | Command::BringIn { .. }
            | Command::Spare { .. }
            | Command::Enlist { .. }
            | Command::Rename { .. }
            | Command::Label { .. }) => self.member_command(core, command)?,
            Command::Leave => (Goal::Leave, Some(Change::Remove { member: core.me() })),
            Command::SetQuorum { rule } => self.set_quorum(core, rule)?,
            Command::SetAuthority { authority } => self.set_authority(authority)?,
            Command::Move { address } => (done(), Some(Change::Move { addresses: vec![address] })),
            Command::Create {
                application,
                root,
                policy,
                source,
                replace,
                unmanaged,
                handling,
                placement,
                adopts,
                rollout,
            } => {
                if self.is_leaving(&application) {
                    return Err(still_leaving(&application));
                }
                // Whoever brings the first content does not ask for what lies there.
                let adopts = adopts.unwrap_or(source.is_none());
                let (name, root_path) = (application.clone(), root.clone());
                let here = self.me(core).is_some_and(|me| placement.takes(me));
                if source == Some(Source::Live) && !here {
                    return Err(nothing_here(&application, &placement));
                }
                let rollout = rollout.unwrap_or_else(|| self.usual_rollout());
                let terms = Terms { handling, placement, rollout };
                let create = Change::Create { application, root, policy, unmanaged, adopts, terms };
                match source {
                    None => {
                        let outcome = Outcome::Created { application: name, root: root_path };
                        (Goal::Change { outcome: Box::new(outcome) }, Some(create))
                    }
                    Some(source) => (self.first_content(name, create, source, replace)?, None),
                }
            }
            Command::Arrange { application, placement, definition, keep_files, rollout } => {
                self.arrangement(application, (placement, rollout), definition, keep_files)?
            }
            other => self.content_command(core, other)?,
        })
    }

    /// The commands about windows and content.
    fn content_command(&self, core: &Core, command: Command) -> Result<(Goal, Option<Change>), Refusal> {
        Ok(match command {
            Command::Discard { application, keep_files } => {
                self.known(&application)?;
                let root = self.state.applications.get(&application).map(|app| app.root.clone());
                let (name, root) = (application.clone(), root.unwrap_or_default());
                let outcome = Box::new(Outcome::Removed { application: name, root, keep_files });
                (Goal::Change { outcome }, Some(Change::Discard { application, keep_files }))
            }
            Command::Open { application, lasts, reason, adopt, auto } => {
                self.known(&application)?;
                let expires = core.now.wall + within_a_day(lasts)?;
                let name = application.clone();
                let (implicit, root) = (false, None);
                let change = Change::Open { application, expires, reason, implicit, root, auto };
                if adopt {
                    self.placed_here(core, &name)?;
                    self.free_of_windows(&name)?;
                    (Goal::Open { application: name, adopt: Some(change) }, None)
                } else {
                    self.is_as_settled(core, &name)?;
                    (Goal::Open { application: name, adopt: None }, Some(change))
                }
            }
            Command::Extend { application, lasts } => {
                self.windowed(core, &application)?;
                let expires = core.now.wall + within_a_day(lasts)?;
                let name = application.clone();
                (Goal::Extend { application: name }, Some(Change::Extend { application, expires }))
            }
            Command::Stage { application, source } => {
                self.windowed(core, &application)?;
                self.can_capture(core, &application, &source)?;
                self.not_auto(core, &application)?;
                (Goal::Stage { application, source }, None)
            }
            command @ (Command::Commit { .. } | Command::GoOn { .. }) => {
                self.rollout_command(core, command)?
            }
            Command::Abort { application } => {
                self.known(&application)?;
                let none = self.state.applications.get(&application).is_none_or(|app| app.window.is_none());
                if none {
                    return Err(no_window(&application));
                }
                (done(), Some(Change::Abort { application }))
            }
            Command::Define { application, policy } => {
                self.known(&application)?;
                let same = self.state.applications.get(&application).is_some_and(|it| it.policy == policy);
                (done(), (!same).then_some(Change::Define { application, policy }))
            }
            Command::Deploy { application, source, reason, replace, wish } => {
                self.known(&application)?;
                self.can_capture(core, &application, &source)?;
                self.not_auto(core, &application)?;
                (settle(application, Content::From(source), reason, replace, wish), None)
            }
            Command::Rollback { application, to, wish } => {
                self.not_auto(core, &application)?;
                self.rollback(application, to, wish)?
            }
            Command::Pause { application, lasts } => {
                self.known(&application)?;
                let until = lasts.map(|lasts| core.now.wall + lasts);
                (done(), Some(Change::Pause { application, until }))
            }
            _ => return Err(Refusal::new(Code::Input, "not a command for a member of an entity")),
        })
    }

    /// What of an application is to be another.
    fn arrangement(
        &self,
        application: String,
        (placement, rollout): (Option<Placement>, Option<Rollout>),
        definition: Definition,
        keep_files: bool,
    ) -> Result<(Goal, Option<Change>), Refusal> {
        let known = self.state.applications.get(&application).ok_or_else(|| no_application(&application))?;
        let mut terms = known.terms.clone();
        terms.placement = placement.unwrap_or(terms.placement);
        terms.rollout = rollout.unwrap_or(terms.rollout);
        let Definition { policy, unmanaged, adopts } = &definition;
        let same = terms == known.terms
            && policy.is_none_or(|policy| policy == known.policy)
            && unmanaged.as_ref().is_none_or(|unmanaged| *unmanaged == known.unmanaged)
            && adopts.is_none_or(|adopts| adopts == known.adopts);
        let change = Change::Arrange { application, terms, definition, keep_files };
        Ok((done(), (!same).then_some(change)))
    }

    /// A tree can be captured where there is one.
    fn can_capture(&self, core: &Core, name: &str, source: &Source) -> Result<(), Refusal> {
        if *source != Source::Live {
            return Ok(());
        }
        let deploy = format!("althing deploy {name} --from DIR");
        self.placed_here(core, name).map_err(|refusal| refusal.try_("bring content of your own", &deploy))
    }

    /// The commands that bring content onto the members.
    fn rollout_command(&self, core: &Core, command: Command) -> Result<(Goal, Option<Change>), Refusal> {
        Ok(match command {
            Command::Commit { application, expect, wish } => {
                self.windowed(core, &application)?;
                self.expected(&application, expect)?;
                if self.own_staged(core, &application).is_none() {
                    self.can_capture(core, &application, &Source::Live)?;
                }
                let auto = self.own_window(core, &application).is_some_and(|window| window.auto().is_some());
                let content = if auto { Content::From(Source::Live) } else { Content::Staged };
                (settle(application, content, String::new(), true, wish), None)
            }
            Command::GoOn { application } => {
                self.known(&application)?;
                let revision = self.going_on(core, &application)?;
                (done(), Some(Change::GoOn { application, revision }))
            }
            _ => return Err(Refusal::new(Code::Input, "not a command of a roll-out")),
        })
    }

    /// Defines an application and settles what a source has as its first content.
    fn first_content(
        &self,
        application: String,
        create: Change,
        source: Source,
        replace: bool,
    ) -> Result<Goal, Refusal> {
        if self.state.applications.contains_key(&application) {
            let text = format!("there is an application {application} already");
            let command = format!("althing deploy {application} --from DIR");
            return Err(Refusal::new(Code::NameTaken, text).try_("give it new content", &command));
        }
        let (content, reason) = (Content::From(source), "first content".to_owned());
        let (create, wish) = (Some(create), Wish::default());
        Ok(Goal::Settle { application, content, reason, create, replace, wish })
    }

    fn free_of_windows(&self, name: &str) -> Result<(), Refusal> {
        let window = self.state.applications.get(name).and_then(|application| application.window.as_ref());
        window.map_or(Ok(()), |window| Err(self.window_open(name, window)))
    }

    /// What was changed here before the window was open is nobody's update, unless somebody says so.
    fn is_as_settled(&self, core: &Core, name: &str) -> Result<(), Refusal> {
        self.free_of_windows(name)?;
        let settled = self.state.applications.get(name).and_then(|application| application.settled());
        let (Some(settled), Some(local)) = (settled, self.local(name)) else { return Ok(()) };
        let applied = local.applied.is_some_and(|(_, root)| root == settled.root);
        let Some(observed) = local.observed.filter(|observed| applied && observed.root != Some(settled.root))
        else {
            return Ok(());
        };
        let (number, member) = (settled.number, self.state.name_of(&core.me()));
        let text =
            format!("{name} on {member} is not revision {number}: the difference would become an update");
        let shown = observed.root.map_or_else(|| "nothing".to_owned(), |root| root.short());
        Err(Refusal::new(Code::Differs, text)
            .fact("observed", shown)
            .fact("settled", settled.root.short())
            .try_("see what differs", &format!("althing app diff {name} --member {member}"))
            .try_(
                "make the difference an update",
                &format!("althing update open {name} --on {member} --adopt"),
            )
            .try_("put it right first", &format!("althing app repair {name} --on {member}")))
    }

    fn start_looking(
        &mut self,
        core: &mut Core,
        request: u64,
        by: String,
        application: String,
        repair: bool,
    ) -> Result<(), Refusal> {
        self.known(&application)?;
        self.placed_here(core, &application)?;
        if repair && let Some(local) = self.locals.get_mut(&application) {
            local.contested.forget();
            local.retry = None;
            // By hand also where a file system is gone: whoever asks says that the tree belongs there now.
            local.forced = local.unseen.is_some();
        }
        self.begin(core, request, by, Goal::Look { application: application.clone(), repair }, None);
        self.start_look(core, request, &application, Depth::Everything);
        Ok(())
    }

    pub(super) fn invite(
        &self,
        core: &mut Core,
        uses: u32,
        lasts: Millis,
        note: String,
        spare: bool,
    ) -> Result<(Goal, Option<Change>), Refusal> {
        if lasts > limits::INVITATION_MAX || lasts.0 < 1000 {
            return Err(Refusal::new(Code::Input, "an invitation is valid for 1 second to 30 days"));
        }
        let here = self.me(core).map(|me| me.addresses.clone()).unwrap_or_default();
        let others = self.state.members.iter().filter(|member| member.id != core.me());
        let others = others.filter(|member| self.liveness.is_reachable(&member.id, core.now.mono));
        let mut addresses: Vec<_> = here.iter().map(|address| address.control).collect();
        addresses.extend(
            others.flat_map(|member| member.addresses.first()).map(|address| address.control).take(2),
        );
        let succeeds = self.state.origin.as_ref().map(|origin| (origin.entity, origin.epoch));
        let expires = crate::time::WallTime((core.now.wall + lasts).0 / 1000 * 1000);
        // The secret comes from the member's own random stream, whose seed the host drew from the system.
        let protocol = self.state.protocol;
        let checkpoint = (protocol >= 2).then_some(Checkpoint { epoch: self.state.epoch, record: self.head });
        let (entity, secret) = (self.state.entity, core.rng.bytes());
        let invitation = Invitation { entity, secret, expires, addresses, succeeds, protocol, checkpoint };
        let key = invitation.identity().id();
        let outcome =
            Outcome::Invitation { invitation: invitation.encode(), id: key.to_string(), expires, uses };
        Ok((
            Goal::Change { outcome: Box::new(outcome) },
            Some(Change::Invite { key, uses, expires, note, spare }),
        ))
    }

    fn revoke(&self, id: &str) -> Result<Change, Refusal> {
        let mut found = self
            .state
            .invitations
            .keys()
            .filter(|key| key.to_string().ends_with(id) || key.to_string().starts_with(id));
        match (found.next(), found.next()) {
            (Some(key), None) => Ok(Change::Revoke { key: *key }),
            (None, _) => Err(Refusal::new(Code::NoSuchItem, format!("there is no invitation {id}"))
                .try_("see which there are", "althing invite list")),
            (Some(_), Some(_)) => {
                Err(Refusal::new(Code::Input, format!("{id} names more than one invitation")))
            }
        }
    }

    /// How revisions of a new application get onto the members, if nobody says anything about it.
    fn usual_rollout(&self) -> Rollout {
        if self.state.protocol >= 2 { Rollout::of_new() } else { Rollout::default() }
    }

    /// What a window that commits by itself settles is its author's live tree, and nothing else.
    fn not_auto(&self, core: &Core, name: &str) -> Result<(), Refusal> {
        if self.own_window(core, name).is_none_or(|window| window.auto().is_none()) {
            return Ok(());
        }
        let text = format!("the window of {name} that is open here settles what lies at its root by itself");
        Err(Refusal::new(Code::WindowOpen, text)
            .try_("close it first", &format!("althing update abort {name}"))
            .try_("see how it stands", &format!("althing update status {name}")))
    }

    /// The revision whose roll-out is to go on.
    fn going_on(&self, core: &Core, name: &str) -> Result<u64, Refusal> {
        let settled = self.state.applications.get(name).and_then(|application| application.settled());
        let stopped = self.rolling(core, name).is_some_and(|rolling| rolling.stopped);
        match settled.filter(|_| stopped) {
            Some(settled) => Ok(settled.number),
            None => Err(Refusal::new(Code::NotStopped, format!("no roll-out of {name} is stopped"))
                .try_("see how it stands", &format!("althing update status {name}"))),
        }
    }

    fn rollback(&self, application: String, to: u64, wish: Wish) -> Result<(Goal, Option<Change>), Refusal> {
        self.known(&application)?;
        let revisions =
            self.state.applications.get(&application).map(|app| app.revisions.clone()).unwrap_or_default();
        let Some(revision) = revisions.iter().find(|revision| revision.number == to) else {
            let kept: Vec<String> = revisions.iter().map(|revision| revision.number.to_string()).collect();
            let text = format!("revision {to} of {application} is not kept");
            return Err(Refusal::new(Code::NoSuchRevision, text)
                .fact("kept", kept.join(" "))
                .try_("see the revisions", &format!("althing app history {application}")));
        };
        let content = Content::Earlier(revision.root, revision.extent);
        let reason = format!("back to revision {to}");
        Ok((settle(application, content, reason, true, wish), None))
    }

    fn known(&self, name: &str) -> Result<(), Refusal> {
        if self.state.applications.contains_key(name) { Ok(()) } else { Err(no_application(name)) }
    }

    fn windowed(&self, core: &Core, name: &str) -> Result<(), Refusal> {
        self.known(name)?;
        match self.state.applications.get(name).and_then(|application| application.window.as_ref()) {
            Some(window) if window.author == core.me() => Ok(()),
            Some(window) => Err(self.explain(core, &crate::validity::Invalid::WindowOpen(window.author))),
            None => Err(no_window(name)),
        }
    }

    fn expected(&self, name: &str, expect: Option<u64>) -> Result<(), Refusal> {
        let settled = self.state.applications.get(name).and_then(|application| application.settled());
        let is = settled.map_or(0, |revision| revision.number);
        match expect {
            Some(expected) if expected != is => {
                let text =
                    format!("{name} is at revision {is}, not {expected}: somebody committed meanwhile");
                let mut refusal = Refusal::new(Code::RevisionStale, text);
                if let Some(revision) = settled {
                    let from = self.state.name_of(&revision.from);
                    refusal = refusal
                        .fact("committed_by", &revision.by)
                        .fact("from", from)
                        .fact("reason", &revision.reason);
                }
                let command = format!("althing app diff {name} --from {expected} --to {is}");
                Err(refusal.try_("see what changed", &command))
            }
            _ => Ok(()),
        }
    }
}

fn within_a_day(lasts: Millis) -> Result<Millis, Refusal> {
    if lasts > limits::WINDOW_MAX {
        return Err(Refusal::new(Code::Input, "a window lasts at most 24 hours"));
    }
    Ok(lasts)
}

fn nothing_here(name: &str, placement: &Placement) -> Refusal {
    let text =
        format!("{name} is to go to {placement}, and this member is not in it: nothing of it lies here");
    let command = format!("althing app new {name} --from DIR");
    Refusal::new(Code::NotPlaced, text).try_("bring its first content", &command)
}

fn still_leaving(name: &str) -> Refusal {
    let text = format!("an application {name} was removed, and its files are still being cleared away here");
    Refusal::new(Code::Busy, text).try_("see how far that is", &format!("althing events --app {name}"))
}

fn done() -> Goal {
    Goal::Change { outcome: Box::new(Outcome::Done) }
}

fn settle(application: String, content: Content, reason: String, replace: bool, wish: Wish) -> Goal {
    Goal::Settle { application, content, reason, create: None, replace, wish }
}
