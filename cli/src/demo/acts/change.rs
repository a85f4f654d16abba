//! A member that was down catches up; any member can deploy.

use std::time::Instant;

use crate::demo::entity::{Entity, since};
use crate::demo::members::Member;
use crate::demo::site;
use crate::error::Result;

impl Entity {
    /// The last member is killed, the first deploys meanwhile, the last comes back.
    pub(super) async fn kill(&mut self) -> Result<String> {
        let last = self.members.all().len() - 1;
        self.members.all()[last].kill()?;
        self.story.tell(&format!("{} killed (kill -9)", self.members.all()[last].name))?;
        site::revise(&self.source(), self.revision + 1)?;
        self.deploy(0).await?;
        let revision = self.revision;
        let (victim, others) = (&self.members.all()[last], &self.members.all()[..last]);
        let others: Vec<&Member> = others.iter().collect();
        let app = self.agreed(&others).await?;
        let text = format!(
            "revision {revision} deployed from {} meanwhile: {} of {} agree",
            others[0].name, app.agree, app.of
        );
        self.story.tell(&text)?;
        victim.start()?;
        let back = Instant::now();
        self.story.tell(&format!("{} started again, with what it had", victim.name))?;
        let all: Vec<&Member> = self.members.all().iter().collect();
        self.agreed(&all).await?;
        let (name, took) = (&victim.name, since(back));
        Ok(format!(
            "{name} caught up {took} after its start; {} trees are revision {revision} byte for byte",
            all.len()
        ))
    }

    /// The last member, which was down, deploys.
    pub(super) async fn update(&mut self) -> Result<String> {
        site::revise(&self.source(), self.revision + 1)?;
        let last = self.members.all().len() - 1;
        self.deploy(last).await?;
        let all: Vec<&Member> = self.members.all().iter().collect();
        let app = self.agreed(&all).await?;
        let (revision, from) = (self.revision, &all[last].name);
        self.story
            .tell(&format!("revision {revision} deployed from {from}: {} of {} agree", app.agree, app.of))?;
        Ok(format!("{} trees are revision {revision} byte for byte", all.len()))
    }
}
