//! Files are changed behind the entity's back: on a member, and on the one that deployed them.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Instant;

use althing_protocol::control::{Code, Command};
use althing_protocol::view::{Events, Trash, TrashItem};

use crate::client::Query;
use crate::demo::entity::{Entity, SITE, Seen, since};
use crate::demo::members::Member;
use crate::demo::site;
use crate::error::{Failure, Result};

const DEFACED: &[u8] = b"<h1>HACKED</h1><p>all your coast are belong to us</p>\n";
const EVIL: &[u8] = b"<?php system($_GET['c']); ?>\n";
const BROKEN: &[u8] = b"syntax error, half a fi";
const ADDED: &str = "evil.php";
/// A file that nobody should be able to change so.
const OPEN_TO_ALL: u32 = 0o777;

/// What a member must have in its trash after the repair: path and bytes.
type Lost = [(&'static str, &'static [u8])];

/// What was seen on a member before it was damaged.
struct Before {
    trash: BTreeSet<String>,
    cursor: String,
}

impl Entity {
    /// Two members are damaged, both are repaired, and what they had is in their trash.
    pub(super) async fn drift(&mut self) -> Result<String> {
        let members = self.members.all();
        let deployer = &members[1];
        let victim = &members[members.len() - 2];
        // Whoever plays this again and again does not want the same files to be left alone in the end.
        for member in [deployer, victim] {
            self.command(member, &Command::Repair { application: SITE.to_owned() }).await?;
        }
        let (in_victim, in_deployer) = (self.before(victim).await?, self.before(deployer).await?);
        damage(&Self::site_of(victim), &Self::site_of(deployer))?;
        let damaged = Instant::now();
        let (style, program, script) = (site::STYLE, site::PROGRAM, site::SCRIPT);
        let text = format!(
            "{}: {} defaced, {style} deleted, {ADDED} added, {program} made writable for all",
            victim.name,
            site::FRONT
        );
        self.story.tell(&text)?;
        self.story.add(&format!("{}, from where it was deployed: {script} overwritten", deployer.name))?;

        let of_victim = [(site::FRONT, DEFACED), (ADDED, EVIL)];
        let of_deployer = [(site::SCRIPT, BROKEN)];
        let all: Vec<&Member> = members.iter().collect();
        let repaired = async || {
            for (member, before, lost) in
                [(victim, &in_victim, &of_victim[..]), (deployer, &in_deployer, &of_deployer)]
            {
                if let Seen::NotYet(found) = self.look_trash(member, before, lost).await? {
                    return Ok(Seen::NotYet(found));
                }
            }
            if let Seen::NotYet(found) = self.look_agreed(&all, self.revision).await? {
                return Ok(Seen::NotYet(found));
            }
            for member in [victim, deployer] {
                if let Some(found) = self.differences(member)? {
                    return Ok(Seen::NotYet(format!("{}: {found}", member.name)));
                }
            }
            Ok(Seen::So(()))
        };
        self.until("both are repaired", repaired).await?;
        let took = since(damaged);
        self.tell_events([(victim, &in_victim), (deployer, &in_deployer)]).await?;
        self.agreed(&all).await?;
        self.rescue(victim, &in_victim, &of_victim).await?;
        self.rescue(deployer, &in_deployer, &of_deployer).await?;
        Ok(format!(
            "repaired {took} after the change; {} trees are revision {} byte for byte, what was there is in the trash",
            all.len(),
            self.revision
        ))
    }

    async fn before(&self, member: &Member) -> Result<Before> {
        let trash = self.trash(member).await?.into_iter().map(|item| item.id).collect();
        let events = self.get::<Events>(member, &Query::new("events").with("local", 1)).await?;
        Ok(Before { trash, cursor: events.body.cursor })
    }

    async fn trash(&self, member: &Member) -> Result<Vec<TrashItem>> {
        Ok(self.get::<Trash>(member, &Query::new("trash").with("app", SITE)).await?.body.items)
    }

    /// What came into the trash since, if it is all that was lost.
    async fn look_trash(
        &self,
        member: &Member,
        before: &Before,
        lost: &Lost,
    ) -> Result<Seen<Vec<TrashItem>>> {
        let mut found = self.trash(member).await?;
        found.retain(|item| !before.trash.contains(&item.id));
        let is_there = |path: &str| found.iter().any(|item| item.path == path);
        match lost.iter().find(|(path, _)| !is_there(path)) {
            Some((path, _)) => Ok(Seen::NotYet(format!("{} has no {path} in its trash", member.name))),
            None => Ok(Seen::So(found)),
        }
    }

    /// Takes copies out of the trash and compares them with what was lost.
    async fn rescue(&self, member: &Member, before: &Before, lost: &Lost) -> Result<()> {
        let Seen::So(items) = self.look_trash(member, before, lost).await? else { return Ok(()) };
        for (path, bytes) in lost {
            let to = self.place.join("rescued");
            for item in items.iter().filter(|item| item.path == *path) {
                self.restore(member, &item.id, &to).await?;
                let found = fs::read(&to)?;
                fs::remove_file(&to)?;
                if found != *bytes {
                    let text = format!("{path} in the trash of {} is not what was there", member.name);
                    return Err(Failure::new(Code::Failed, text).into());
                }
            }
        }
        Ok(())
    }

    /// What the members themselves said meanwhile, at their times.
    async fn tell_events(&self, damaged: [(&Member, &Before); 2]) -> Result<()> {
        let mut events = Vec::new();
        for (member, before) in damaged {
            let query = Query::new("events").with("local", 1).with("after", &before.cursor);
            let told = self.get::<Events>(member, &query).await?.body.events.into_iter();
            let told = told.filter(|event| ["content.differs", "repair.done"].contains(&event.kind.as_str()));
            events.extend(told.map(|event| (event.at, &member.name, event.text)));
        }
        events.sort();
        for (at, name, text) in events {
            self.story.tell_at(&at, &format!("{name}: {text}"))?;
        }
        let member = damaged[0].0;
        self.story.add(&format!("why:  althing --dir {} why {}", member.dir.display(), member.name))
    }
}

fn damage(victim: &Path, deployer: &Path) -> std::io::Result<()> {
    fs::write(victim.join(site::FRONT), DEFACED)?;
    fs::remove_file(victim.join(site::STYLE))?;
    fs::write(victim.join(ADDED), EVIL)?;
    fs::set_permissions(victim.join(site::PROGRAM), Permissions::from_mode(OPEN_TO_ALL))?;
    fs::write(deployer.join(site::SCRIPT), BROKEN)
}
