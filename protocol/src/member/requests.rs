//! Administrators' requests, checked and turned into operations.

use super::operation::{Content, Goal, no_application, no_window};
use super::{Core, Entity, Member};
use crate::control::{Code, Command, Outcome, Refusal};
use crate::effect::{Depth, Output};
use crate::invitation::Invitation;
use crate::limits;
use crate::record::Change;
use crate::time::Millis;

impl Member {
    pub(super) fn requested(&mut self, request: u64, by: String, command: Command) {
        let result = match (&mut self.entity, command) {
            (None, Command::Init { name, member, address }) => self.init(request, &name, &member, address),
            (None, Command::Join { invitation, member, address }) => {
                self.join(request, &invitation, &member, address)
            }
            (Some(_), Command::Init { .. } | Command::Join { .. }) => {
                let text = "this machine is a member of an entity already";
                Err(Refusal::new(Code::InEntity, text).try_("leave it first", "althing leave"))
            }
            (None, _) => Err(Refusal::new(Code::NotInEntity, "this machine is not in an entity yet")
                .try_("begin a new one", "althing init --name ENTITY")
                .try_("join one, with an invitation from any of its members", "althing join")),
            (Some(entity), command) => entity.command(&mut self.core, request, by, command),
        };
        if let Err(refusal) = result {
            self.core.out.push(Output::Reply { request, reply: Err(refusal) });
        }
    }
}

impl Entity {
    fn command(
        &mut self,
        core: &mut Core,
        request: u64,
        by: String,
        command: Command,
    ) -> Result<(), Refusal> {
        let (goal, change) = match command {
            Command::Init { .. } | Command::Join { .. } => return Ok(()),
            Command::Invite { uses, lasts, note } => self.invite(core, uses, lasts, note)?,
            Command::Revoke { id } => (done(), Some(self.revoke(&id)?)),
            Command::Remove { member } => {
                let found = self.state.member_named(&member).map(|member| member.id);
                let unknown = || {
                    Refusal::new(Code::NoSuchMember, format!("there is no member {member}"))
                        .try_("see who there is", "althing member list")
                };
                (done(), Some(Change::Remove { member: found.ok_or_else(unknown)? }))
            }
            Command::Leave => (Goal::Leave, Some(Change::Remove { member: core.me() })),
            Command::Move { address } => (done(), Some(Change::Move { addresses: vec![address] })),
            Command::Create { application, root, policy, source: None, .. } => {
                let outcome = Outcome::Created { application: application.clone(), root: root.clone() };
                (
                    Goal::Change { outcome: Box::new(outcome) },
                    Some(Change::Create { application, root, policy }),
                )
            }
            Command::Create { application, root, policy, source: Some(source), replace } => {
                if self.state.applications.contains_key(&application) {
                    let text = format!("there is an application {application} already");
                    let command = format!("althing deploy {application} --from DIR");
                    return Err(Refusal::new(Code::NameTaken, text).try_("give it new content", &command));
                }
                let (create, content) = (Some((root, policy)), Content::From(source));
                let reason = "first content".to_owned();
                (Goal::Settle { application, content, reason, create, replace }, None)
            }
            Command::Verify { application } => {
                return self.start_looking(core, request, by, application, false);
            }
            Command::Repair { application } => {
                return self.start_looking(core, request, by, application, true);
            }
            other => self.content_command(core, other)?,
        };
        self.begin(core, request, by, goal, change);
        Ok(())
    }

    /// The commands about windows and content.
    fn content_command(&self, core: &Core, command: Command) -> Result<(Goal, Option<Change>), Refusal> {
        Ok(match command {
            Command::Open { application, lasts, reason } => {
                self.known(&application)?;
                if lasts > limits::WINDOW_MAX {
                    return Err(Refusal::new(Code::Input, "a window lasts at most 24 hours"));
                }
                let expires = core.now.wall + lasts;
                let change =
                    Change::Open { application: application.clone(), expires, reason, implicit: false };
                (Goal::Open { application }, Some(change))
            }
            Command::Stage { application, source } => {
                self.windowed(core, &application)?;
                (Goal::Stage { application, source }, None)
            }
            Command::Commit { application, expect } => {
                self.windowed(core, &application)?;
                self.expected(&application, expect)?;
                (settle(application, Content::Staged, String::new(), true), None)
            }
            Command::Abort { application } => {
                self.known(&application)?;
                let none = self.state.applications.get(&application).is_none_or(|app| app.window.is_none());
                if none {
                    return Err(no_window(&application));
                }
                (done(), Some(Change::Abort { application }))
            }
            Command::Deploy { application, source, reason, replace } => {
                self.known(&application)?;
                (settle(application, Content::From(source), reason, replace), None)
            }
            Command::Rollback { application, to } => self.rollback(application, to)?,
            Command::Pause { application, lasts } => {
                self.known(&application)?;
                let until = lasts.map(|lasts| core.now.wall + lasts);
                (done(), Some(Change::Pause { application, until }))
            }
            _ => return Err(Refusal::new(Code::Input, "not a command for a member of an entity")),
        })
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
        if let Some(local) = self.locals.get_mut(&application).filter(|_| repair) {
            // By hand also where a file system is gone: whoever asks says that the tree belongs there now.
            local.forced = local.unseen.is_some();
        }
        self.begin(core, request, by, Goal::Look { application: application.clone(), repair }, None);
        self.start_look(core, request, &application, Depth::Everything);
        Ok(())
    }

    fn invite(
        &self,
        core: &mut Core,
        uses: u32,
        lasts: Millis,
        note: String,
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
        let expires = crate::time::WallTime((core.now.wall + lasts).0 / 1000 * 1000);
        // The secret comes from the member's own random stream, whose seed the host drew from the system.
        let invitation =
            Invitation { entity: self.state.entity, secret: core.rng.bytes(), expires, addresses };
        let key = invitation.identity().id();
        let outcome =
            Outcome::Invitation { invitation: invitation.encode(), id: key.to_string(), expires, uses };
        Ok((Goal::Change { outcome: Box::new(outcome) }, Some(Change::Invite { key, uses, expires, note })))
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

    fn rollback(&self, application: String, to: u64) -> Result<(Goal, Option<Change>), Refusal> {
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
        Ok((settle(application, content, reason, true), None))
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

fn done() -> Goal {
    Goal::Change { outcome: Box::new(Outcome::Done) }
}

fn settle(application: String, content: Content, reason: String, replace: bool) -> Goal {
    Goal::Settle { application, content, reason, create: None, replace }
}
