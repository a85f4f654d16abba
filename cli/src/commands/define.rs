//! `app check`, `app apply`, `app show --manifest`: an application as a file says it is; and `app place`.

use std::fmt::Write as _;
use std::path::Path;

use althing_protocol::control::{Code, Command};
use althing_protocol::placement::Placement;
use althing_protocol::record::Definition;
use althing_protocol::view::{AppView, Members};
use serde_json::json;

use super::change_saying;
use crate::args::Output;
use crate::args::app::Place;
use crate::ask;
use crate::client::Query;
use crate::context::{Context, print};
use crate::error::{Error, Failure, Result};
use crate::exit::Exit;
use crate::manifest::{self, Differs, Manifest};
use crate::render::document;

pub(super) fn check(context: &Context, path: &Path) -> Result<Exit> {
    let manifest = manifest::read(path)?;
    let text = match context.output {
        Output::Json => document::own("althing.manifest/1", fields(&manifest)),
        Output::Table => format!("{} is valid: {}\n", path.display(), manifest::shown(&manifest)),
    };
    print(&text)?;
    Ok(Exit::OK)
}

pub(super) async fn show(context: &Context, app: &str) -> Result<Exit> {
    let document = context.document::<AppView>(&Query::new("app").with("name", app)).await?;
    let manifest = Manifest::of(&document.body);
    print(&match context.output {
        Output::Json => document::own("althing.manifest/1", fields(&manifest)),
        Output::Table => manifest.text(),
    })?;
    Ok(Exit::OK)
}

fn fields(manifest: &Manifest) -> serde_json::Value {
    json!({
        "name": manifest.name, "path": manifest.root, "policy": manifest::policy(manifest.policy),
        "switching": manifest.handling.switching,
        "owners": manifest.handling.owners, "xattrs": manifest.handling.xattrs,
        "groups": manifest.placement, "unmanaged": manifest.unmanaged, "adopt": manifest.adopts,
        "rollout": manifest.rollout,
    })
}

/// What is to be done so that the entity has it.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    Create,
    Change(Vec<Differs>),
    Nothing,
}

impl Step {
    fn word(&self) -> &'static str {
        match self {
            Self::Create => "created",
            Self::Change(_) => "changed",
            Self::Nothing => "unchanged",
        }
    }

    fn text(&self, manifest: &Manifest, dry: bool) -> String {
        let name = &manifest.name;
        match (self, dry) {
            (Self::Create, true) => format!("Would define {}.\n", manifest::shown(manifest)),
            (Self::Create, false) => {
                format!(
                    "Defined {}; it has no content yet.\n  next  althing deploy {name} --from DIR\n",
                    manifest::shown(manifest)
                )
            }
            (Self::Change(differs), dry) => {
                let mut text = format!("{} {name}\n", if dry { "Would change" } else { "Changed" });
                for Differs { key, from, to } in differs {
                    let _ = writeln!(text, "  {key:<9}  {from} → {to}");
                }
                text
            }
            (Self::Nothing, _) => format!("{name} is as the manifest says.\n"),
        }
    }
}

pub(super) async fn apply(context: &Context, path: &Path, keep_files: bool, dry: bool) -> Result<Exit> {
    let manifest = manifest::read(path)?;
    let is = present(context, &manifest).await?;
    let known = is.as_ref().map(Manifest::of);
    let step = match &known {
        None => Step::Create,
        Some(known) => match manifest.differences(known) {
            differs if differs.is_empty() => Step::Nothing,
            differs => Step::Change(differs),
        },
    };
    if let Some(command) = command(&manifest, known.as_ref(), &step, keep_files).filter(|_| !dry) {
        if let (Some(app), Some(known)) = (&is, &known) {
            confirm(context, app, (&manifest, known), keep_files).await?;
        }
        let hint = ["althing", "app", "show", &manifest.name];
        context.command(&command, &hint).await?;
    }
    let text = match context.output {
        Output::Json => {
            let mut body = fields(&manifest);
            body["result"] = json!(step.word());
            body["dry_run"] = json!(dry);
            if let Step::Change(differs) = &step {
                let shown = |it: &Differs| json!({ "key": it.key, "from": it.from, "to": it.to });
                body["changes"] = differs.iter().map(shown).collect();
            }
            document::own("althing.applied/1", body)
        }
        Output::Table => step.text(&manifest, dry),
    };
    print(&text)?;
    Ok(Exit::OK)
}

fn command(manifest: &Manifest, known: Option<&Manifest>, step: &Step, keep_files: bool) -> Option<Command> {
    let application = manifest.name.clone();
    match (step, known) {
        (Step::Create, _) => Some(Command::Create {
            application,
            root: manifest.root.clone(),
            policy: manifest.policy,
            source: None,
            replace: false,
            unmanaged: manifest.unmanaged.clone(),
            handling: manifest.handling.clone(),
            placement: manifest.placement.clone(),
            adopts: manifest.adopts,
            rollout: manifest.rollout.clone(),
        }),
        (Step::Change(_), Some(known)) => {
            let (placement, definition) = manifest.redefinition(known);
            let rollout = manifest.rollout.clone().filter(|rollout| known.rollout.as_ref() != Some(rollout));
            let only = placement.is_none() && rollout.is_none();
            Some(match definition {
                // What the version before can say as well.
                Definition { policy: Some(policy), unmanaged: None, adopts: None } if only => {
                    Command::Define { application, policy }
                }
                definition => Command::Arrange { application, placement, definition, keep_files, rollout },
            })
        }
        _ => None,
    }
}

/// The application, if there is one; it must lie where the manifest says.
async fn present(context: &Context, manifest: &Manifest) -> Result<Option<AppView>> {
    let found = context.document::<AppView>(&Query::new("app").with("name", &manifest.name)).await;
    let is = match found {
        Ok(document) => document.body,
        Err(Error::Failed(failure)) if failure.code == Code::NoSuchApplication.number() => return Ok(None),
        Err(error) => return Err(error),
    };
    if is.path != manifest.root {
        let text = format!("{} lies at {}, and the manifest says {}", is.name, is.path, manifest.root);
        return Err(Failure::new(Code::WouldMove, text)
            .fact("so", "nothing was changed: a root is the same for the whole life of an application")
            .remedy("see what it is", &["althing", "app", "show", &manifest.name])
            .into());
    }
    if is.handling != manifest.handling {
        let (is, says) = (manifest::handled(&is.handling), manifest::handled(&manifest.handling));
        let text = format!("{} has {is}, and the manifest says {says}", manifest.name);
        return Err(Failure::new(Code::OtherHandling, text)
            .fact(
                "so",
                "nothing was changed: how a tree is handled is the same for the whole life of an application",
            )
            .remedy("see what it is", &["althing", "app", "show", &manifest.name])
            .into());
    }
    Ok(Some(is))
}

/// Asks before files of members go to the trash.
async fn confirm(
    context: &Context,
    app: &AppView,
    (manifest, known): (&Manifest, &Manifest),
    keep_files: bool,
) -> Result<()> {
    let again = manifest.managed_again(known);
    if !again.is_empty() {
        let what = again.join(" ");
        let question = format!(
            "What matches {what} is managed again: on every member it goes to the trash unless the revision in force has it. Go on?"
        );
        ask::moderate(context, &question)?;
    }
    confirm_place(context, app, &manifest.placement, keep_files).await
}

async fn confirm_place(
    context: &Context,
    app: &AppView,
    placement: &Placement,
    keep_files: bool,
) -> Result<()> {
    if keep_files || placement.is_everywhere() {
        return Ok(());
    }
    let members = context.document::<Members>(&Query::new("members")).await?.body.members;
    let has = |name: &String| app.groups.is_empty() || app.members.contains(name);
    let stays = |groups: &[String]| groups.iter().any(|group| placement.0.contains(group));
    let leaving = members.iter().filter(|member| has(&member.name) && !stays(&member.groups));
    let leaving: Vec<&str> = leaving.map(|member| member.name.as_str()).collect();
    if leaving.is_empty() {
        return Ok(());
    }
    let (names, app) = (leaving.join(" "), &app.name);
    ask::moderate(
        context,
        &format!("{app} does not go to {names} any more: its files there go to the trash. Go on?"),
    )
}

pub(super) async fn place(context: &Context, args: Place) -> Result<Exit> {
    let Place { app, groups, keep_files, .. } = args;
    let placement = Placement::of(groups);
    let is = context.document::<AppView>(&Query::new("app").with("name", &app)).await?.body;
    confirm_place(context, &is, &placement, keep_files).await?;
    let before = Placement::of(is.groups);
    let undo = match before.0.iter().map(|group| format!(" --group {group}")).collect::<String>() {
        groups if groups.is_empty() => " --all".to_owned(),
        groups => groups,
    };
    let text = format!("{app} goes to {placement}.\n  undo  althing app place {app}{undo}\n");
    let command = Command::Arrange {
        application: app.clone(),
        placement: Some(placement),
        definition: Definition::default(),
        keep_files,
        rollout: None,
    };
    change_saying(context, &command, &["althing", "app", "show", &app], &text).await
}
