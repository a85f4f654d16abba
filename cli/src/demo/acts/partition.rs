//! The network is cut: the smaller side changes nothing, the larger side goes on.

use std::time::Instant;

use althing_protocol::control::Code;
use althing_protocol::view::{AppView, Status};

use crate::client::Query;
use crate::demo::entity::{Entity, SITE, Seen, names, since};
use crate::demo::members::Member;
use crate::demo::site;
use crate::error::{Error, Failure, Result};

impl Entity {
    /// Cut, try on both sides, heal.
    pub(super) async fn partition(&mut self) -> Result<String> {
        let middle = (self.members.all().len() - 1) / 2;
        let (small, large) = self.sides(middle);
        for (side, other) in [(&small, &large), (&large, &small)] {
            for member in side {
                self.cut(member, other).await?;
            }
        }
        self.story.tell(&format!("{} | {} cut apart", names(&small), names(&large)))?;
        self.until("both sides know who is left", async || self.look_apart(&small, &large).await).await?;
        let (few, many) = (small.len(), large.len());
        self.story.tell(&format!(
            "{}: {few} of {}, no majority; the others go on",
            names(&small),
            few + many
        ))?;

        site::revise(&self.source(), self.revision + 1)?;
        self.refused(small[0]).await?;
        self.deploy(middle).await?;
        let (small, large) = self.sides(middle);
        self.agreed(&large).await?;
        let (revision, from) = (self.revision, &large[0].name);
        self.story
            .tell(&format!("revision {revision} deployed from {from}: {many} of {} agree", few + many))?;
        self.still_serves(&small).await?;

        for member in self.members.all() {
            self.cut(member, &[]).await?;
        }
        let healed = Instant::now();
        self.story.tell("healed")?;
        let all: Vec<&Member> = self.members.all().iter().collect();
        self.agreed(&all).await?;
        let took = since(healed);
        Ok(format!("{} trees are revision {revision} byte for byte, {took} after healing", all.len()))
    }

    fn sides(&self, middle: usize) -> (Vec<&Member>, Vec<&Member>) {
        let (small, large) = self.members.all().split_at(middle);
        (small.iter().collect(), large.iter().collect())
    }

    async fn look_apart(&self, small: &[&Member], large: &[&Member]) -> Result<Seen<()>> {
        for side in [small, large] {
            for member in side {
                let status = self.get::<Status>(member, &Query::new("status")).await?.body;
                let reachable = status.members.reachable;
                let knows = status.view.majority_reachable == (side.len() == large.len());
                if reachable != side.len() as u64 || !knows {
                    return Ok(Seen::NotYet(format!("{} hears {reachable}", member.name)));
                }
            }
        }
        Ok(Seen::So(()))
    }

    /// A deployment on the smaller side must be refused, for want of a majority.
    async fn refused(&self, member: &Member) -> Result<()> {
        match self.command(member, &self.deployment()).await {
            Err(Error::Failed(failure))
                if failure.code == Code::NoMajority.number() && failure.exit == 106 =>
            {
                let (code, exit) = (&failure.code, failure.exit);
                self.story.tell(&format!(
                    "{} refuses to deploy: {} ({code}, exit {exit})",
                    member.name, failure.message
                ))
            }
            Err(error) => Err(error),
            Ok(outcome) => {
                let text = format!("{} deployed without a majority", member.name);
                Err(Failure::new(Code::Failed, text).fact("outcome", format!("{outcome:?}")).into())
            }
        }
    }

    /// The smaller side has the revision before this one, whole.
    async fn still_serves(&self, small: &[&Member]) -> Result<()> {
        let expected = self.revision - 1;
        for member in small {
            let app = self.get::<AppView>(member, &Query::new("app").with("name", SITE)).await?.body;
            let differences =
                self.before.differences(&crate::demo::tree::Tree::read(&Self::site_of(member))?);
            if app.revision != expected || differences.is_some() {
                let text =
                    format!("{} does not keep revision {expected}: it is at {}", member.name, app.revision);
                return Err(Failure::new(Code::Failed, text)
                    .fact("files", differences.unwrap_or_default())
                    .into());
            }
        }
        self.story.tell(&format!("{} still have revision {expected}, whole", names(small)))
    }
}
