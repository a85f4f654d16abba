//! Calls that change something.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use althing_protocol::control::{Code, Command, Refusal};
use althing_protocol::effect::Source;
use althing_protocol::governance::Governance;
use althing_protocol::path::ItemPath;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::{Answered, Api, Call, no_application, no_member};
use crate::daemon::{Answer, Happening, ending};
use crate::files::{Patterns, TrashId};
use crate::net::PeerKey;
use crate::scrub;

#[derive(Deserialize)]
pub(super) struct CommandBody {
    pub(super) command: Command,
}

#[derive(Deserialize)]
struct InitBody {
    name: String,
    member: String,
    #[serde(default)]
    governance: Governance,
}

#[derive(Deserialize)]
struct JoinBody {
    invitation: String,
    member: String,
}

#[derive(Deserialize)]
pub(super) struct RestoreBody {
    id: String,
    pub(super) to: Option<PathBuf>,
}

/// Faults of the disk, for tests.
#[derive(Deserialize)]
struct DiskBody {
    /// Whether stamps of files show nothing.
    #[serde(default)]
    blind: bool,
    /// Full at the write after so many more,
    full_after: Option<u64>,
    /// for so long.
    #[serde(default)]
    milliseconds: u64,
}

#[derive(Deserialize)]
struct BlockBody {
    members: Vec<String>,
}

pub(super) fn parse<T: for<'de> Deserialize<'de>>(call: &Call) -> Result<T, Refusal> {
    let body = call.body.as_deref().unwrap_or_default();
    serde_json::from_str(body).map_err(|error| Refusal::new(Code::Input, format!("the call's body: {error}")))
}

impl Api {
    pub(super) async fn change(
        &self,
        call: &Call,
        progress: Option<mpsc::UnboundedSender<Value>>,
    ) -> Answered {
        let address = self.shared.address;
        match call.path.as_str() {
            "command" => self.command(call, parse::<CommandBody>(call)?.command, progress).await,
            "init" => {
                let InitBody { name, member, governance } = parse(call)?;
                self.command(call, Command::Init { name, member, address, governance }, progress).await
            }
            "join" => {
                let JoinBody { invitation, member } = parse(call)?;
                self.command(call, Command::Join { invitation, member, address }, progress).await
            }
            "trash/restore" => self.restore(parse(call)?).await,
            "purge" => self.purge().await,
            "debug/block" if self.shared.faults => self.block(parse(call)?).await,
            "debug/disk" if self.shared.faults => self.fill_disk(&parse(call)?),
            "debug/scrub" if self.shared.faults => self.scrub().await,
            other => Err(Refusal::new(Code::Input, format!("there is no call {other}"))),
        }
    }

    async fn command(
        &self,
        call: &Call,
        command: Command,
        progress: Option<mpsc::UnboundedSender<Value>>,
    ) -> Answered {
        let patterns = |patterns: &Vec<String>| {
            let bad = |error| Refusal::new(Code::Input, format!("--unmanaged: {error}"));
            Patterns::new(patterns).map_err(bad)
        };
        if let Command::Create { unmanaged, .. } = &command {
            patterns(unmanaged)?;
        }
        if let Command::Arrange { application, definition, .. } = &command
            && let Some(unmanaged) = &definition.unmanaged
        {
            self.check_unmanaged(application, &patterns(unmanaged)?).await?;
        }
        if let Command::Create { source: Some(source), .. } = &command {
            check_source(source)?;
        }
        let (to, mut answers) = mpsc::unbounded_channel();
        let by = call.by.clone();
        self.shared.to.send(Happening::Request { by, command, to }).await.map_err(|_| ending())?;
        while let Some(answer) = answers.recv().await {
            match answer {
                Answer::Progress(step) => {
                    if let Some(progress) = &progress {
                        // Whoever asked may have gone; the answer is still waited for.
                        let _ = progress.send(json!(step));
                    }
                }
                Answer::Reply(reply) => return reply.map(|outcome| json!({ "outcome": outcome })),
            }
        }
        Err(ending())
    }

    /// Forgets the entity; the node starts again without one.
    async fn purge(&self) -> Answered {
        let (reply, done) = oneshot::channel();
        self.shared.to.send(Happening::Purge(reply)).await.map_err(|_| ending())?;
        let failed = |why: String| Refusal::new(Code::Failed, format!("the entity is not forgotten: {why}"));
        done.await.map_err(|_| ending())?.map_err(failed)?;
        Ok(json!({ "outcome": "done" }))
    }

    /// The member that settles what this one cannot: its own re-admission.
    pub(super) async fn deputy(&self, call: &Call) -> Option<PeerKey> {
        let wants = call.path == "command"
            && parse::<CommandBody>(call).is_ok_and(|body| matches!(body.command, Command::Readmit { .. }));
        if !wants {
            return None;
        }
        let deputies = self.ask(|member, _| member.deputies()).await.ok()?;
        deputies.first().map(|id| id.0)
    }

    async fn restore(&self, body: RestoreBody) -> Answered {
        let bad = |_| {
            Refusal::new(Code::NoSuchItem, format!("there is nothing {} in the trash", body.id))
                .try_("see what there is", "althing trash list")
        };
        let id: TrashId = body.id.parse().map_err(bad)?;
        let places = self
            .ask(|_, live| {
                let present = live.places.values().map(|place| place.files.clone());
                present.chain(live.retired.values().cloned()).collect::<Vec<_>>()
            })
            .await?;
        let to = body.to.clone();
        let work = tokio::task::spawn_blocking(move || {
            let owner = places
                .into_iter()
                .find(|files| files.trash().is_ok_and(|items| items.iter().any(|item| item.id == id)));
            owner.map(|files| files.restore(&id, to.as_deref()))
        });
        let restored = work.await.map_err(|error| Refusal::new(Code::Failed, error.to_string()))?;
        let restored = restored.ok_or_else(|| {
            Refusal::new(
                Code::NoSuchItem,
                format!("there is nothing {} in the trash of this member", body.id),
            )
            .try_("see what there is", "althing trash list")
        })?;
        let path = restored.map_err(|error| Refusal::new(Code::Unsafe, error.to_string()))?;
        // As clients read it (cli/src/commands/app.rs).
        Ok(json!({ "outcome": { "restored": { "path": path.to_string_lossy() } } }))
    }

    async fn block(&self, body: BlockBody) -> Answered {
        let names = body.members.clone();
        let keys = self.view(move |member, _| {
            let state = member.state()?;
            Some(
                names
                    .iter()
                    .map(|name| state.member_named(name).map(|m| m.id.0).ok_or_else(|| name.clone()))
                    .collect::<Vec<_>>(),
            )
        });
        let mut blocked = BTreeSet::new();
        for key in keys.await? {
            blocked.insert(key.map_err(|name| no_member(&name))?);
        }
        self.shared.to.send(Happening::Block(blocked)).await.map_err(|_| ending())?;
        Ok(json!({ "outcome": "done" }))
    }

    fn fill_disk(&self, body: &DiskBody) -> Answered {
        let faults = self.shared.store.room().faults();
        faults.set_blind(body.blind);
        if let Some(points) = body.full_after {
            faults.fill_after(points, Duration::from_millis(body.milliseconds));
        }
        Ok(json!({ "outcome": "done" }))
    }

    /// Reads all content again, at once.
    async fn scrub(&self) -> Answered {
        let (store, to) = (Arc::clone(&self.shared.store), self.shared.to.clone());
        let work = tokio::task::spawn_blocking(move || scrub::all_at_once(&store, &to));
        let failed = |error: String| Refusal::new(Code::Failed, error);
        let damaged = work.await.map_err(|error| failed(error.to_string()))?;
        let damaged = damaged.map_err(|error| failed(error.to_string()))?;
        Ok(json!({ "outcome": { "damaged": damaged } }))
    }

    /// The driver of an application.
    pub(super) async fn place(&self, name: &str) -> Result<std::sync::Arc<crate::files::Files>, Refusal> {
        let wanted = name.to_owned();
        let files =
            self.ask(move |_, live| live.places.get(&wanted).map(|place| place.files.clone())).await?;
        match files {
            Some(files) => Ok(files),
            None => Err(self.without(name).await),
        }
    }

    /// Why there is no tree of an application here.
    pub(super) async fn without(&self, name: &str) -> Refusal {
        let wanted = name.to_owned();
        let placed = self.ask(move |member, _| member.not_placed(&wanted)).await;
        placed.ok().flatten().unwrap_or_else(|| no_application(name))
    }

    /// What is settled must not have what is to be left alone: nobody would ever find it as it was settled.
    async fn check_unmanaged(&self, application: &str, patterns: &Patterns) -> Result<(), Refusal> {
        let app = self.app(application).await?;
        let Some(root) = app.root else { return Ok(()) };
        // Only who has the content can look.
        self.place(application).await?;
        let items = self
            .manifest(root)
            .await?
            .items()
            .map_err(|error| Refusal::new(Code::Failed, error.to_string()))?;
        let mut inside = items.keys().filter(|path| patterns.matches(path)).map(ItemPath::lossy);
        let Some(first) = inside.next() else { return Ok(()) };
        let text = format!(
            "revision {} of {application} has items that would not be managed any more: {first} and {} more",
            app.revision,
            inside.count()
        );
        Err(Refusal::new(Code::Input, text)
            .fact("so", "nothing was changed: what is settled is what all members have")
            .try_("settle a revision without them first", &format!("althing deploy {application} --from DIR"))
            .try_("see which they are", &format!("althing app items {application}")))
    }
}

/// A mistyped directory is found before an application is defined for it.
fn check_source(source: &Source) -> Result<(), Refusal> {
    let Source::Directory(path) = source else { return Ok(()) };
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(Refusal::new(Code::Input, format!("{path} is not a directory"))),
        Err(error) => Err(Refusal::new(Code::Input, format!("{path} cannot be read: {error}"))),
    }
}
