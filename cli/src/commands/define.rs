//! `app check` and `app apply`: an application as a file says it is.

use std::path::Path;

use althing_protocol::control::{Code, Command};
use althing_protocol::view::AppView;
use serde_json::json;

use crate::args::Output;
use crate::client::Query;
use crate::context::{Context, print};
use crate::error::{Error, Failure, Result};
use crate::exit::Exit;
use crate::manifest::{self, Manifest};
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

fn fields(manifest: &Manifest) -> serde_json::Value {
    json!({
        "name": manifest.name,
        "path": manifest.root,
        "policy": manifest::policy(manifest.policy),
        "switching": manifest.handling.switching,
    })
}

/// What is to be done so that the entity has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Create,
    Define,
    Nothing,
}

impl Step {
    fn word(self) -> &'static str {
        match self {
            Self::Create => "created",
            Self::Define => "changed",
            Self::Nothing => "unchanged",
        }
    }

    fn text(self, manifest: &Manifest, dry: bool) -> String {
        let name = &manifest.name;
        match (self, dry) {
            (Self::Create, true) => format!("Would define {}.\n", manifest::shown(manifest)),
            (Self::Create, false) => {
                format!(
                    "Defined {}; it has no content yet.\n  next  althing deploy {name} --from DIR\n",
                    manifest::shown(manifest)
                )
            }
            (Self::Define, true) => {
                format!("Would change {name}: policy {}.\n", manifest::policy(manifest.policy))
            }
            (Self::Define, false) => {
                format!("Changed {name}: policy {}.\n", manifest::policy(manifest.policy))
            }
            (Self::Nothing, _) => format!("{name} is as the manifest says.\n"),
        }
    }
}

pub(super) async fn apply(context: &Context, path: &Path, dry: bool) -> Result<Exit> {
    let manifest = manifest::read(path)?;
    let step = step(context, &manifest).await?;
    let (application, policy) = (manifest.name.clone(), manifest.policy);
    let command = match step {
        _ if dry => None,
        Step::Create => {
            let root = manifest.root.clone();
            let (source, replace, unmanaged) = (None, false, Vec::new());
            let handling = manifest.handling.clone();
            Some(Command::Create { application, root, policy, source, replace, unmanaged, handling })
        }
        Step::Define => Some(Command::Define { application, policy }),
        Step::Nothing => None,
    };
    if let Some(command) = command {
        let hint = ["althing", "app", "show", &manifest.name];
        context.command(&command, &hint).await?;
    }
    let text = match context.output {
        Output::Json => {
            let mut body = fields(&manifest);
            body["result"] = json!(step.word());
            body["dry_run"] = json!(dry);
            document::own("althing.applied/1", body)
        }
        Output::Table => step.text(&manifest, dry),
    };
    print(&text)?;
    Ok(Exit::OK)
}

async fn step(context: &Context, manifest: &Manifest) -> Result<Step> {
    let found = context.document::<AppView>(&Query::new("app").with("name", &manifest.name)).await;
    let is = match found {
        Ok(document) => document.body,
        Err(Error::Failed(failure)) if failure.code == Code::NoSuchApplication.number() => {
            return Ok(Step::Create);
        }
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
        let (is, says) = (is.handling.switching.name(), manifest.handling.switching.name());
        let text = format!("{} is switched {is}, and the manifest says {says}", manifest.name);
        return Err(Failure::new(Code::OtherHandling, text)
            .fact(
                "so",
                "nothing was changed: how a tree is handled is the same for the whole life of an application",
            )
            .remedy("see what it is", &["althing", "app", "show", &manifest.name])
            .into());
    }
    Ok(if is.policy == manifest::policy(manifest.policy) { Step::Nothing } else { Step::Define })
}
