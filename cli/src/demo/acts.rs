//! The acts: each does something to the entity, waits until the entity has dealt with it, and verifies that.

use std::time::{Duration, Instant};

use super::entity::Entity;
use crate::error::{Error, Failure, Result};
use crate::exit;
use crate::render::time::span;

mod change;
mod drift;
mod found;
mod partition;

/// One act.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Act {
    /// Members found an entity.
    Roster,
    /// The site is defined and deployed.
    Deploy,
    /// Files are changed behind its back.
    Drift,
    /// A member dies, misses a revision and comes back.
    Kill,
    /// The network is cut in two.
    Partition,
    /// A revision from another member.
    Update,
}

impl Act {
    /// What begins every demo.
    pub(super) const OPENING: [Self; 2] = [Self::Roster, Self::Deploy];
    /// What can be played again and again.
    pub(super) const REST: [Self; 4] = [Self::Drift, Self::Kill, Self::Partition, Self::Update];

    fn name(self) -> &'static str {
        match self {
            Self::Roster => "roster",
            Self::Deploy => "deploy",
            Self::Drift => "drift",
            Self::Kill => "kill",
            Self::Partition => "partition",
            Self::Update => "update",
        }
    }

    /// The time it may take on a loaded machine of two processors; on an idle one a fifth of that is enough.
    fn limit(self) -> Duration {
        Duration::from_secs(match self {
            Self::Update => 40,
            _ => 30,
        })
    }
}

impl Entity {
    /// Plays an act and tells how it ended.
    pub(super) async fn play(&mut self, act: Act) -> Result<()> {
        let began = Instant::now();
        self.deadline = began + act.limit();
        let result = match act {
            Act::Roster => self.found().await,
            Act::Deploy => self.deploy_first().await,
            Act::Drift => self.drift().await,
            Act::Kill => self.kill().await,
            Act::Partition => self.partition().await,
            Act::Update => self.update().await,
        };
        let took = began.elapsed();
        let result =
            result.and_then(|detail| if took > act.limit() { Err(late(took).into()) } else { Ok(detail) });
        match result {
            Ok(detail) => self.story.end_act(act.name(), took, Ok(&detail)),
            Err(Error::Failed(mut failure)) => {
                self.story.end_act(act.name(), took, Err(&failure.message))?;
                // What a node said is told with what the demo knows.
                failure.document = None;
                let limit = span(act.limit().as_secs_f64());
                let facts = failure.fact("act", act.name()).fact("within", limit);
                Err(facts.into())
            }
            Err(quiet) => Err(quiet),
        }
    }
}

fn late(took: Duration) -> Failure {
    Failure::new(exit::TIMED_OUT, format!("it ended as it should, but took {}", span(took.as_secs_f64())))
}
