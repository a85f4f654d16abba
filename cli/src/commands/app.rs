//! `app` and `trash`.

use althing_protocol::control::{Command, Outcome};
use althing_protocol::handling::{Handling, Switching};
use althing_protocol::placement::Placement;
use althing_protocol::record;
use althing_protocol::rollout::{Rollout, Wish};
use althing_protocol::view::Diff as DiffView;
use serde::Deserialize;
use serde_json::json;

use super::{change, change_saying, define, millis, path_here, path_on_members, source, verify};
use crate::args::Output;
use crate::args::app::{self as args, App, AppVerb, Diff, Items, New, Policy, Trash, TrashVerb};
use crate::ask;
use crate::client::{Done, Query, printable};
use crate::context::{Context, print};
use crate::error::Result;
use crate::exit::Exit;
use crate::render::{apps, diff as diff_screen, document, trash as trash_screen};

/// What came of `trash restore`: not a command of the protocol, which knows no trash.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Restore {
    /// It is back.
    Restored {
        /// Where.
        path: String,
    },
}

pub(super) async fn app(context: &Context, args: App) -> Result<Exit> {
    match args.verb.unwrap_or(AppVerb::List { watch: false }) {
        AppVerb::List { watch } => context.look(watch, &Query::new("apps"), apps::screen).await,
        AppVerb::New(args) => new(context, args).await,
        AppVerb::Place(args) => define::place(context, args).await,
        AppVerb::Check { manifest } => define::check(context, &manifest),
        AppVerb::Apply { manifest, keep_files, dry_run } => {
            define::apply(context, &manifest, keep_files, dry_run).await
        }
        AppVerb::Show { app, manifest: true } => define::show(context, &app).await,
        AppVerb::Show { app, manifest: false } => {
            context.read(&Query::new("app").with("name", app), apps::one).await
        }
        AppVerb::Items(args) => items(context, args).await,
        AppVerb::Diff(args) => diff(context, args).await,
        AppVerb::History { app } => {
            context.read(&Query::new("history").with("app", app), apps::history).await
        }
        AppVerb::Verify { app, everywhere: true, exit_code } => {
            verify::everywhere(context, app, exit_code).await
        }
        AppVerb::Verify { app, everywhere: false, exit_code } => {
            looked(context, &Command::Verify { application: app.clone() }, &app, exit_code).await
        }
        AppVerb::Repair { app, exit_code } => {
            looked(context, &Command::Repair { application: app.clone() }, &app, exit_code).await
        }
        AppVerb::Rollback { app, to } => rollback(context, app, to).await,
        AppVerb::Pause { app, lasts } => {
            let text =
                format!("Repair of {app} is stopped on every member.\n  undo  althing app resume {app}\n");
            let command = Command::Pause { application: app.clone(), lasts: Some(millis(lasts)) };
            change_saying(context, &command, &["althing", "app", "show", &app], &text).await
        }
        AppVerb::Resume { app } => {
            let text = format!("Repair of {app} goes on.\n");
            let command = Command::Pause { application: app.clone(), lasts: None };
            change_saying(context, &command, &["althing", "app", "show", &app], &text).await
        }
        AppVerb::Remove { app, keep_files, confirm } => remove(context, app, keep_files, confirm).await,
    }
}

async fn remove(context: &Context, app: String, keep_files: bool, confirm: Option<String>) -> Result<Exit> {
    let files = if keep_files { "Its files stay." } else { "Its files go to the trash, for 7 days." };
    let question = format!("Take {app} out of the entity, with all of its revisions? {files}");
    ask::severe(context, &question, &app, confirm.as_deref())?;
    let command = Command::Discard { application: app.clone(), keep_files };
    change(context, &command, &["althing", "events", "--app", &app]).await
}

async fn new(context: &Context, args: New) -> Result<Exit> {
    let root = match &args.root {
        Some(root) => path_on_members(root, "--root")?,
        None => format!("/srv/{}", args.app),
    };
    let policy = match args.policy {
        Policy::Majority => record::Policy::Majority,
        Policy::Certified => record::Policy::Certified,
    };
    let source = args.from.as_deref().map(source).transpose()?;
    let hint = ["althing", "app", "show", &args.app.clone()];
    let (application, replace, unmanaged) = (args.app, args.replace, args.unmanaged);
    let switching = match args.switching {
        args::Switching::InPlace => Switching::InPlace,
        args::Switching::Release => Switching::Release,
    };
    let rollout = args.batch.map(|batch| Rollout { batch, ..Rollout::default() });
    let command = Command::Create {
        application,
        root,
        policy,
        source,
        replace,
        unmanaged,
        handling: Handling { switching, owners: args.owners, xattrs: args.xattrs },
        placement: Placement::of(args.groups),
        adopts: None,
        rollout,
    };
    change(context, &command, &hint).await
}

async fn items(context: &Context, args: Items) -> Result<Exit> {
    let query = Query::new("items")
        .with("app", args.app)
        .with_any("prefix", args.prefix)
        .with_any("revision", args.revision)
        .with_any("observed", args.observed.then_some(1));
    context.read_long(&query, apps::items).await
}

async fn diff(context: &Context, args: Diff) -> Result<Exit> {
    let query = Query::new("diff")
        .with("app", args.app)
        .with_any("member", args.member)
        .with_any("from", args.from)
        .with_any("to", args.to);
    differences(context, &query, args.exit_code, |document, look| {
        diff_screen::screen(document, look, args.stat)
    })
    .await
}

/// Shows a diff, and with `--exit-code` tells by it.
pub(super) async fn differences(
    context: &Context,
    query: &Query,
    exit_code: bool,
    screen: impl Fn(&althing_protocol::view::Document<DiffView>, &crate::render::Look) -> String,
) -> Result<Exit> {
    let answer = context.client.get(query).await?;
    let document = answer.document::<DiffView>()?;
    match context.output {
        Output::Json => print(&format!("{}\n", answer.line()))?,
        Output::Table => crate::pager::show(&screen(&document, &context.look))?,
    }
    Ok(if exit_code && !document.body.changes.is_empty() { Exit::DIFFERENT } else { Exit::OK })
}

async fn looked(context: &Context, command: &Command, app: &str, exit_code: bool) -> Result<Exit> {
    let done = context.change(command, &["althing", "app", "show", app]).await?;
    let agrees = !matches!(done.outcome, Outcome::Looked { agrees: false, .. });
    Ok(if exit_code && !agrees { Exit::DIFFERENT } else { Exit::OK })
}

async fn rollback(context: &Context, app: String, to: u64) -> Result<Exit> {
    ask::moderate(context, &format!("Make the content of revision {to} the next revision of {app}?"))?;
    let command = Command::Rollback { application: app.clone(), to, wish: Wish::default() };
    change(context, &command, &["althing", "app", "history", &app]).await
}

pub(super) async fn trash(context: &Context, args: Trash) -> Result<Exit> {
    match args.verb.unwrap_or(TrashVerb::List { app: None }) {
        TrashVerb::List { app } => {
            context.read_long(&Query::new("trash").with_any("app", app), trash_screen::screen).await
        }
        TrashVerb::Restore { id, to } => {
            let body = json!({ "id": id, "to": path_here(to)? });
            let done: Done<Restore> = context.post("trash/restore", &body, &["althing", "trash"]).await?;
            let Restore::Restored { path } = done.outcome;
            print(&match context.output {
                Output::Json => {
                    let body = json!({ "id": id, "path": path });
                    document::of_member("althing.restored/1", &done.at, &done.answered_by, body)
                }
                Output::Table => format!("Restored to {} on {}.\n", printable(&path), done.answered_by),
            })?;
            Ok(Exit::OK)
        }
    }
}
