//! `update` and `deploy`.

use althing_protocol::control::{Code, Command, Outcome};
use althing_protocol::rollout::Wish;
use althing_protocol::view::Document;

use super::{app, change, change_saying, millis, rolling_out as progress, source};
use crate::args::Output;
use crate::args::update::{Commit, Deploy, Open, RolloutArgs, Update, UpdateVerb};
use crate::ask;
use crate::client::{Done, Query};
use crate::context::{Context, print};
use crate::error::{Failure, Result, usage};
use crate::exit::Exit;
use crate::render::apps::Apps;
use crate::render::{diff as diff_screen, document, update as screens};

pub(super) async fn update(context: &Context, args: Update) -> Result<Exit> {
    match args.verb.unwrap_or(UpdateVerb::List) {
        UpdateVerb::List => list(context).await,
        UpdateVerb::Open(args) => open(context, args).await,
        UpdateVerb::Stage { app, from } => {
            let application = which(context, app).await?;
            let hint = ["althing", "update", "status", &application.clone()];
            change(context, &Command::Stage { application, source: source(&from)? }, &hint).await
        }
        UpdateVerb::Diff { app, stat, exit_code } => {
            let query = Query::new("update-diff").with("app", which(context, app).await?);
            app::differences(context, &query, exit_code, |document, look| {
                diff_screen::update(document, look, stat)
            })
            .await
        }
        UpdateVerb::Status { app } => {
            let query = Query::new("update").with("app", which(context, app).await?);
            context.read(&query, screens::screen).await
        }
        UpdateVerb::Extend { app, lasts } => {
            let application = which(context, app).await?;
            let hint = ["althing", "update", "status", &application.clone()];
            change(context, &Command::Extend { application, lasts: millis(lasts) }, &hint).await
        }
        UpdateVerb::Commit(args) => commit(context, args).await,
        UpdateVerb::Abort { app } => abort(context, app).await,
    }
}

async fn open(context: &Context, args: Open) -> Result<Exit> {
    let hint = ["althing", "update", "status", &args.app.clone()];
    let (application, lasts) = (args.app, millis(args.lasts));
    let auto = args.auto.then(|| millis(args.quiet_for));
    let command = Command::Open { application, lasts, reason: args.reason, adopt: args.adopt, auto };
    change(context, &command, &hint).await
}

async fn commit(context: &Context, args: Commit) -> Result<Exit> {
    if args.goes_on {
        return go_on(context, args).await;
    }
    let application = which(context, args.app).await?;
    ask::moderate(
        context,
        &format!("Commit the open update of {application} and roll it out to all members?"),
    )?;
    let wish = Wish { again: args.allow_empty, ..wish(&args.rollout) };
    let command = Command::Commit { application: application.clone(), expect: args.expect, wish };
    let done = context.change(&command, &["althing", "update", "status", &application]).await?;
    everywhere(context, args.wait, &done).await
}

fn wish(args: &RolloutArgs) -> Wish {
    let probation = args.probation.map(millis).unwrap_or_default();
    Wish { batch: args.batch, probation, again: false }
}

/// Lets a roll-out go on that a hook has stopped.
async fn go_on(context: &Context, args: Commit) -> Result<Exit> {
    let Some(application) = args.app else {
        return Err(usage("name the application whose roll-out is to go on").into());
    };
    ask::moderate(
        context,
        &format!(
            "Roll {application} out to the other members although a hook fails? Nobody undoes it any more."
        ),
    )?;
    let text = format!("The roll-out of {application} goes on, whichever hooks fail.\n");
    let command = Command::GoOn { application: application.clone() };
    let hint = ["althing", "update", "status", &application];
    change_saying(context, &command, &hint, &text).await?;
    if args.wait { progress::until_everywhere(context, &application, None).await } else { Ok(Exit::OK) }
}

async fn abort(context: &Context, app: Option<String>) -> Result<Exit> {
    let application = which(context, app).await?;
    ask::moderate(context, &format!("Close the update window of {application} without a change?"))?;
    let text = format!(
        "The update window of {application} is closed; what was changed here is put back, and kept in the trash:\n  althing trash list {application}\n"
    );
    let command = Command::Abort { application: application.clone() };
    change_saying(context, &command, &["althing", "update", "status", &application], &text).await
}

pub(super) async fn deploy(context: &Context, args: Deploy) -> Result<Exit> {
    let hint = ["althing", "app", "show", &args.app.clone()];
    let (source, replace) = (source(&args.from)?, args.replace);
    let (application, reason, wish) = (args.app, args.reason, wish(&args.rollout));
    let command = Command::Deploy { application, source, reason, replace, wish };
    let done = context.change(&command, &hint).await?;
    everywhere(context, args.wait, &done).await
}

/// With `--wait`: not done before every member has it.
async fn everywhere(context: &Context, wanted: bool, done: &Done) -> Result<Exit> {
    let (Outcome::Settled { application, revision, .. } | Outcome::Unchanged { application, revision }) =
        &done.outcome
    else {
        return Ok(Exit::OK);
    };
    if !wanted {
        return Ok(Exit::OK);
    }
    progress::until_everywhere(context, application, Some(*revision)).await
}

/// The open windows only, as people and as programs want them.
async fn list(context: &Context) -> Result<Exit> {
    let mut apps: Document<Apps> = context.document(&Query::new("apps")).await?;
    apps.body.applications.retain(|app| app.window.is_some());
    match context.output {
        Output::Table => print(&screens::list(&apps, &context.look))?,
        Output::Json => {
            print(&document::of_member("althing.updates/1", &apps.at, &apps.answered_by, &apps.body))?;
        }
    }
    Ok(Exit::OK)
}

/// The application that was named, or the one whose window is open on the member that answers.
async fn which(context: &Context, named: Option<String>) -> Result<String> {
    if let Some(name) = named {
        return Ok(name);
    }
    let apps: Document<Apps> = context.document(&Query::new("apps")).await?;
    let here = |window: &althing_protocol::view::WindowView| window.member == apps.answered_by;
    let open: Vec<&str> = apps
        .body
        .applications
        .iter()
        .filter(|app| app.window.as_ref().is_some_and(here))
        .map(|app| app.name.as_str())
        .collect();
    match open.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => Err(Failure::new(Code::NoWindow, format!("no update window is open on {}", apps.answered_by))
            .remedy("see all windows", &["althing", "update", "list"])
            .remedy("open one", &["althing", "update", "open", "APPLICATION"])
            .into()),
        many => Err(usage(format!("several update windows are open on {}: name one", apps.answered_by))
            .fact("open", many.join(" "))
            .into()),
    }
}
