//! The entity as the demo sees it: it asks members over their API and waits until something is so.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use althing_protocol::control::{Code, Command, Outcome};
use althing_protocol::effect::Source;
use althing_protocol::rollout::Wish;
use althing_protocol::view::{AppView, Document};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::members::{Member, Members};
use super::story::Story;
use super::tree::Tree;
use crate::client::{Done, Query};
use crate::error::{Error, Failure, Result};
use crate::exit;
use crate::render::time::span;

/// The application.
pub(super) const SITE: &str = "site";
/// Where it lies on every member.
pub(super) const ROOT: &str = "/srv/site";
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Members, what they shall have, and how long that may take.
pub(super) struct Entity {
    /// The processes.
    pub(super) members: Members,
    /// What is told.
    pub(super) story: Story,
    /// Where everything lies.
    pub(super) place: PathBuf,
    /// The revision in force.
    pub(super) revision: u64,
    /// What it consists of.
    pub(super) tree: Tree,
    /// What the one before it consisted of.
    pub(super) before: Tree,
    /// The act that is played must have ended then.
    pub(super) deadline: Instant,
}

/// What a look found.
pub(super) enum Seen<T> {
    /// It is so.
    So(T),
    /// This is so instead.
    NotYet(String),
}

impl Entity {
    /// What is deployed is made here.
    pub(super) fn source(&self) -> PathBuf {
        self.place.join("source")
    }

    /// Where a member has the site.
    pub(super) fn site_of(member: &Member) -> PathBuf {
        member.root.join(ROOT.trim_start_matches('/'))
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now()).max(PAUSE)
    }

    /// Asks a member for a document.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        member: &Member,
        query: &Query,
    ) -> Result<Document<T>> {
        member.client(self.left()).get(query).await?.document()
    }

    /// Asks a member for a change.
    pub(super) async fn post(&self, member: &Member, path: &str, body: &Value) -> Result<Done> {
        member.client(self.left()).post(path, body, |_| {}).await
    }

    /// Asks a member to put a copy of something in its trash somewhere.
    pub(super) async fn restore(&self, member: &Member, id: &str, to: &std::path::Path) -> Result<()> {
        let body = json!({ "id": id, "to": to });
        let _: Done<Value> = member.client(self.left()).post("trash/restore", &body, |_| {}).await?;
        Ok(())
    }

    /// Sends a command to a member.
    pub(super) async fn command(&self, member: &Member, command: &Command) -> Result<Outcome> {
        Ok(self.post(member, "command", &json!({ "command": command })).await?.outcome)
    }

    /// Looks again and again until it is so. A member that does not answer yet may still come.
    pub(super) async fn until<T>(&self, what: &str, look: impl AsyncFn() -> Result<Seen<T>>) -> Result<T> {
        loop {
            let found = match look().await {
                Ok(Seen::So(found)) => return Ok(found),
                Ok(Seen::NotYet(found)) => found,
                Err(Error::Failed(failure)) if may_come(&failure) => failure.message,
                Err(error) => return Err(error),
            };
            self.members.check()?;
            if Instant::now() >= self.deadline {
                let failure = Failure::new(exit::TIMED_OUT, format!("in vain waited until {what}"));
                return Err(failure.fact("instead", found).into());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Whether these members, each by what it knows itself, have the revision and say so of each other.
    pub(super) async fn look_agreed(&self, who: &[&Member], revision: u64) -> Result<Seen<AppView>> {
        let mut last = None;
        for member in who {
            let app = self.get::<AppView>(member, &Query::new("app").with("name", SITE)).await?.body;
            if app.revision != revision || app.agree != who.len() as u64 || app.window.is_some() {
                let (agree, of, number) = (app.agree, app.of, app.revision);
                let window = if app.window.is_some() { ", a window is open" } else { "" };
                let differing = app.differing.join(" ");
                let text = format!(
                    "{} sees revision {number}, {agree} of {of} agree{window}; not: {differing}",
                    member.name
                );
                return Ok(Seen::NotYet(text));
            }
            last = Some(app);
        }
        Ok(last.map_or_else(|| Seen::NotYet("there are no members".to_owned()), Seen::So))
    }

    /// Waits until all of these members agree on the revision in force, then compares their trees with the source.
    pub(super) async fn agreed(&self, who: &[&Member]) -> Result<AppView> {
        let revision = self.revision;
        let what = format!("revision {revision} of {SITE} is agreed by {} members", who.len());
        let app = self.until(&what, async || self.look_agreed(who, revision).await).await?;
        for member in who {
            if let Some(differences) = self.differences(member)? {
                let text =
                    format!("{} says that it has revision {revision}, but its files differ", member.name);
                return Err(Failure::new(Code::Failed, text).fact("files", differences).into());
            }
        }
        Ok(app)
    }

    /// What a member has otherwise than the revision in force.
    pub(super) fn differences(&self, member: &Member) -> Result<Option<String>> {
        let tree = Tree::read(&Self::site_of(member)).map_err(|error| {
            Failure::new(Code::Failed, format!("the site of {} cannot be read: {error}", member.name))
        })?;
        Ok(self.tree.differences(&tree))
    }

    /// Deploys what the source is now; from then on that is what everybody must have.
    pub(super) async fn deploy(&mut self, from: usize) -> Result<()> {
        let tree = Tree::read(&self.source())?;
        let member = &self.members.all()[from];
        let outcome = self.command(member, &self.deployment()).await?;
        let expected = self.revision + 1;
        match outcome {
            Outcome::Settled { revision, .. } if revision == expected => {
                self.revision = revision;
                self.before = std::mem::replace(&mut self.tree, tree);
                Ok(())
            }
            other => {
                let text = format!("the deployment from {} did not make revision {expected}", member.name);
                Err(Failure::new(Code::Failed, text).fact("outcome", format!("{other:?}")).into())
            }
        }
    }

    /// What deploys the source.
    pub(super) fn deployment(&self) -> Command {
        let source = Source::Directory(self.source().to_string_lossy().into_owned());
        Command::Deploy {
            application: SITE.to_owned(),
            source,
            reason: "demo".to_owned(),
            replace: false,
            wish: Wish::default(),
        }
    }

    /// Cuts a member off from these others; from nobody, if there are none.
    pub(super) async fn cut(&self, member: &Member, from: &[&Member]) -> Result<()> {
        let names: Vec<&str> = from.iter().map(|other| other.name.as_str()).collect();
        self.post(member, "debug/block", &json!({ "members": names })).await.map(drop)
    }
}

/// Names in a row.
pub(super) fn names(members: &[&Member]) -> String {
    members.iter().map(|member| member.name.as_str()).collect::<Vec<_>>().join(" ")
}

/// For people.
pub(super) fn since(moment: Instant) -> String {
    span((moment.elapsed().as_secs_f64() * 10.0).round() / 10.0)
}

fn may_come(failure: &Failure) -> bool {
    let passing = [Code::NodeDown, Code::NotInEntity, Code::PeerDown, Code::Mute];
    passing.iter().any(|code| failure.code == code.number()) || failure.code == exit::TIMED_OUT.number
}
