//! `--wait` of a commit: shows how a settled revision gets onto the members, until all have it, a failing hook stops
//! it, or the members go back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use althing_protocol::control::Code;
use althing_protocol::view::{AppView, Document, History, RolloutView};
use serde_json::json;

use crate::args::Output;
use crate::client::{Query, printable};
use crate::context::{Context, print};
use crate::error::{Error, Failure, Result};
use crate::exit::{self, Exit};
use crate::render::document;
use crate::render::time::span;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(150);
/// Without `--timeout`: so long nothing may change.
const STANDSTILL: Duration = Duration::from_secs(120);
/// A hook that fails once may end well when it is run again.
const STOPPED: Duration = Duration::from_secs(5);

/// What was seen so far.
struct Seen {
    began: Instant,
    changed: Instant,
    /// Since when each member has been applying.
    applying: BTreeMap<String, Instant>,
    /// The state of each member that was told last.
    told: BTreeMap<String, String>,
    stopped: Option<Instant>,
    /// Names, as they were last in the roll-out.
    members: Vec<String>,
}

/// Waits until every member has this revision, or the one in force.
pub(super) async fn until_everywhere(
    context: &Context,
    application: &str,
    revision: Option<u64>,
) -> Result<Exit> {
    let now = Instant::now();
    let mut seen = Seen {
        began: now,
        changed: now,
        applying: BTreeMap::new(),
        told: BTreeMap::new(),
        stopped: None,
        members: Vec::new(),
    };
    let query = Query::new("app").with("name", application);
    let mut wanted = revision;
    loop {
        let app = match context.document::<AppView>(&query).await {
            Ok(app) => app,
            // A node that is started again has lost nothing.
            Err(Error::Failed(failure)) if failure.code == Code::NodeDown.number() => {
                seen.in_time(context)?;
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        let wanted = *wanted.get_or_insert(app.body.revision);
        if app.body.revision > wanted {
            undone(context, application, wanted).await?;
        }
        seen.look(context, &app);
        let everywhere = app.body.agree >= app.body.of && app.body.rollout.is_none();
        if everywhere && app.body.revision >= wanted {
            return seen.done(context, &app);
        }
        seen.stopped(&app.body)?;
        seen.in_time(context)?;
        tokio::time::sleep(PAUSE).await;
    }
}

impl Seen {
    /// Tells what has changed since the last look.
    fn look(&mut self, context: &Context, app: &Document<AppView>) {
        let now = Instant::now();
        let Some(rollout) = &app.body.rollout else {
            for name in std::mem::take(&mut self.members) {
                self.member(context, app, &name, ("done", None));
            }
            return;
        };
        self.members = rollout.members.iter().map(|member| member.name.clone()).collect();
        for member in &rollout.members {
            if member.state == "applying" {
                self.applying.entry(member.name.clone()).or_insert(now);
            }
            self.member(context, app, &member.name, (&member.state, member.text.as_deref()));
        }
    }

    /// Progress is no answer: it goes where messages go.
    fn member(
        &mut self,
        context: &Context,
        app: &Document<AppView>,
        name: &str,
        (state, text): (&str, Option<&str>),
    ) {
        if self.told.get(name).is_some_and(|told| told == state) {
            return;
        }
        self.changed = Instant::now();
        self.told.insert(name.to_owned(), state.to_owned());
        let took = self.applying.get(name).unwrap_or(&self.began).elapsed().as_secs_f64();
        let done = self.told.values().filter(|state| *state == "done").count();
        let said = text.map(|text| format!(": {}", printable(text))).unwrap_or_default();
        match (context.output, state) {
            (Output::Json, _) => eprint!(
                "{}",
                document::of_member(
                    "althing.progress/1",
                    &app.at,
                    &app.answered_by,
                    json!({
                        "stage": "apply", "application": app.body.name, "revision": app.body.revision,
                        "member": name, "state": state, "text": text, "seconds": took, "done": done,
                        "of": self.members.len().max(done),
                    }),
                )
            ),
            _ if context.quiet => {}
            (_, "done") => eprintln!("  apply   {name} ok {}", span(took)),
            (_, "failing") => eprintln!("  apply   {name} fails{said}"),
            (_, "passed") => eprintln!("  apply   {name} is passed over{said}"),
            _ => {}
        }
    }

    /// What was settled was answered when it was: of a document there is nothing to add.
    fn done(&self, context: &Context, app: &Document<AppView>) -> Result<Exit> {
        if context.output == Output::Table && !context.quiet {
            let took = span(self.began.elapsed().as_secs_f64());
            print(&format!("Every member of {} has it, after {took}.\n", app.body.name))?;
        }
        Ok(Exit::OK)
    }

    /// Ends where only a person can go on.
    fn stopped(&mut self, app: &AppView) -> Result<()> {
        let stopped = app.rollout.as_ref().filter(|rollout| rollout.stopped);
        let Some(rollout) = stopped.filter(|rollout| rollout.probation_until.is_none()) else {
            self.stopped = None;
            return Ok(());
        };
        let since = *self.stopped.get_or_insert(Instant::now());
        if since.elapsed() < STOPPED {
            return Ok(());
        }
        Err(stopped_after(app, rollout).into())
    }

    fn in_time(&self, context: &Context) -> Result<()> {
        let (limit, since) =
            context.client.timeout.map_or((STANDSTILL, self.changed), |limit| (limit, self.began));
        if since.elapsed() < limit {
            return Ok(());
        }
        let waiting: Vec<&str> =
            self.told.iter().filter(|(_, state)| *state != "done").map(|(name, _)| name.as_str()).collect();
        let text = format!("not everywhere within {}", span(limit.as_secs_f64()));
        Err(Failure::new(exit::TIMED_OUT, text)
            .fact("without it", waiting.join(" "))
            .fact("so", "the revision is settled, and the roll-out goes on")
            .remedy("see what is so", &["althing", "status"])
            .into())
    }
}

fn stopped_after(app: &AppView, rollout: &RolloutView) -> Failure {
    let failing = rollout.members.iter().find(|member| member.state == "failing");
    let name = failing.map_or("a member", |member| member.name.as_str());
    let said = failing.and_then(|member| member.text.clone()).unwrap_or_default();
    let have = rollout.members.iter().filter(|it| matches!(it.state.as_str(), "done" | "failing")).count();
    let text = format!(
        "the roll-out of revision {} of {} stopped after {name}: {}",
        app.revision,
        app.name,
        printable(&said)
    );
    Failure::new(Code::RolloutStopped, text)
        .fact("so", format!("{have} of {} have revision {}", rollout.members.len(), app.revision))
        .remedy("see who waits", &["althing", "update", "status", &app.name])
        .remedy("go on all the same", &["althing", "update", "commit", &app.name, "--continue"])
        .remedy("see the revisions to go back to", &["althing", "app", "history", &app.name])
}

/// Ends if members undid the revision; what somebody else settled meanwhile is none of that.
async fn undone(context: &Context, application: &str, revision: u64) -> Result<()> {
    let history: Document<History> =
        context.document(&Query::new("history").with("app", application)).await?;
    let undoing = history.body.revisions.iter().find(|it| it.undoes == Some(revision));
    let Some(undoing) = undoing else { return Ok(()) };
    let text =
        format!("revision {revision} of {application} did not pass its probation, and members went back");
    Err(Failure::new(Code::RevisionUndone, text)
        .fact("because", printable(&undoing.reason))
        .fact("so", format!("revision {} has the content before it", undoing.revision))
        .remedy("see the revisions", &["althing", "app", "history", application])
        .into())
}
