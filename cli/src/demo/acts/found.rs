//! Founding, joining, the first deployment.

use std::collections::BTreeSet;

use althing_protocol::control::{Code, Command, Outcome};
use althing_protocol::effect::Source;
use althing_protocol::handling::Handling;
use althing_protocol::placement::Placement;
use althing_protocol::record::Policy;
use althing_protocol::time::Millis;
use althing_protocol::view::{Members, Status, Version};
use serde_json::json;

use crate::client::Query;
use crate::demo::entity::{Entity, ROOT, SITE, Seen, names};
use crate::demo::members::Member;
use crate::demo::{site, tree::Tree};
use crate::error::{Failure, Result};
use crate::render::size;

/// More than an act takes.
const INVITATION: Millis = Millis::seconds(600);

impl Entity {
    /// Members found an entity, as `init`, `invite` and `join` do it.
    pub(super) async fn found(&mut self) -> Result<String> {
        for member in self.members.all() {
            let up = async || self.get::<Version>(member, &Query::new("version")).await.map(Seen::So);
            self.until(&format!("{} answers", member.name), up).await?;
        }
        let Some((first, others)) = self.members.all().split_first() else {
            return Err(Failure::new(Code::Failed, "there are no members").into());
        };
        self.post(first, "init", &json!({ "name": "demo", "member": first.name })).await?;
        self.story.tell(&format!("{} founded the entity `demo` and invites the others", first.name))?;
        let uses = u32::try_from(others.len()).unwrap_or(u32::MAX);
        let invite = Command::Invite { uses, lasts: INVITATION, note: "demo".to_owned(), spare: false };
        let Outcome::Invitation { invitation, .. } = self.command(first, &invite).await? else {
            return Err(Failure::new(Code::Failed, "no invitation came of inviting").into());
        };
        for member in others {
            let body = json!({ "invitation": invitation, "member": member.name });
            self.post(member, "join", &body).await?;
        }
        let majority = self.until("members agree on the roster", async || self.look_roster().await).await?;
        let all: Vec<&Member> = self.members.all().iter().collect();
        let text = format!("members {} agree on the roster (majority {majority})", names(&all));
        self.story.tell(&text)?;
        Ok(format!("each of {} members has the same roster, hears all others and votes", all.len()))
    }

    /// Whether every member knows the same voters, hears all of them, and votes.
    async fn look_roster(&self) -> Result<Seen<u64>> {
        let expected: BTreeSet<&str> = self.members.all().iter().map(|member| member.name.as_str()).collect();
        let mut seen = BTreeSet::new();
        for member in self.members.all() {
            let view = self.get::<Members>(member, &Query::new("members")).await?.body;
            let ready = |other: &&althing_protocol::view::MemberView| {
                other.role == "voter" && other.counts && other.votes && other.state == "alive"
            };
            let ready: BTreeSet<&str> =
                view.members.iter().filter(ready).map(|other| other.name.as_str()).collect();
            if ready != expected {
                let lacking: Vec<&str> = expected.difference(&ready).copied().collect();
                return Ok(Seen::NotYet(format!("{} lacks {}", member.name, lacking.join(" "))));
            }
            let status = self.get::<Status>(member, &Query::new("status")).await?.body;
            seen.insert((status.entity.id, status.entity.roster_revision, view.majority));
        }
        match seen.first() {
            Some((_, _, majority)) if seen.len() == 1 => Ok(Seen::So(*majority)),
            _ => Ok(Seen::NotYet(format!("there are {} opinions on the roster", seen.len()))),
        }
    }

    /// The site is made, defined as an application and deployed.
    pub(super) async fn deploy_first(&mut self) -> Result<String> {
        let source = self.source();
        std::fs::create_dir(&source)?;
        site::build(&source)?;
        self.tree = Tree::read(&source)?;
        let from = &self.members.all()[1];
        let files = self.tree.files() as u64;
        let text = format!(
            "a site of {}, {}, is deployed from {}",
            size::of_things(files, "file"),
            size::bytes(self.tree.bytes()),
            from.name
        );
        self.story.tell(&text)?;
        let create = Command::Create {
            application: SITE.to_owned(),
            root: ROOT.to_owned(),
            policy: Policy::Majority,
            source: Some(Source::Directory(source.to_string_lossy().into_owned())),
            replace: false,
            unmanaged: Vec::new(),
            handling: Handling::default(),
            placement: Placement::default(),
            adopts: None,
            rollout: None,
        };
        self.command(from, &create).await?;
        self.revision = 1;
        let all: Vec<&Member> = self.members.all().iter().collect();
        let app = self.agreed(&all).await?;
        let (items, agree, of) = (size::of_things(app.items, "item"), app.agree, app.of);
        self.story.tell(&format!("application `{SITE}`: {items}, revision 1, {agree} of {of} agree"))?;
        Ok(format!("{of} trees are the source byte for byte, modes and links too ({files} files)"))
    }
}
