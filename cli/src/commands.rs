//! From verbs to what they do. Each command resolves its arguments, asks the node, and prints.

use std::path::{Path, PathBuf};
use std::time::Duration;

use althing_protocol::control::{Code, Command};
use althing_protocol::effect::Source;
use althing_protocol::time::Millis;

use crate::args::Verb;
use crate::context::Context;
use crate::error::{Failure, Result, usage};
use crate::exit::Exit;
use crate::{daemon, demo, simulate};

mod app;
mod backup;
mod completions;
mod config;
mod define;
mod doctor;
mod entity;
mod events;
mod explain;
mod look;
mod operator;
mod rolling_out;
mod serving;
mod standing;
mod tools;
mod update;
mod verify;
mod wait;

/// Does what was asked. Blocking verbs run here; the others on a runtime of one thread.
pub(crate) fn run(context: &Context, verb: Verb) -> Result<Exit> {
    match verb {
        Verb::Run(args) => daemon::run(context, args),
        Verb::Demo(args) => demo::run_demo(context, args),
        Verb::Simulate(args) => simulate::run(context, &args),
        Verb::Explain(args) => explain::explain(context, args.code.as_deref()),
        Verb::Completions(args) => completions::script(args.shell),
        Verb::Config(args) => config::config(context, args),
        Verb::Operator(args) => operator::operator(context, &args),
        verb => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(talk(context, verb))
        }
    }
}

/// The verbs that talk to a node.
async fn talk(context: &Context, verb: Verb) -> Result<Exit> {
    match verb {
        Verb::Init(args) => entity::init(context, args).await,
        Verb::Invite(args) => entity::invite(context, args).await,
        Verb::Join(args) => entity::join(context, args).await,
        Verb::Leave(args) => entity::leave(context, args).await,
        Verb::Roster(args) => standing::roster(context, args).await,
        Verb::Resolve(args) => standing::resolve(context, args).await,
        Verb::Request(args) => operator::request(context, args).await,
        Verb::Status(args) => look::status(context, &args).await,
        Verb::Why(args) => look::why(context, args).await,
        Verb::Events(args) => events::events(context, args).await,
        Verb::Health(args) => look::health(context, &args).await,
        Verb::Vote(args) => look::vote(context, args).await,
        Verb::Member(args) => look::member(context, args).await,
        Verb::App(args) => app::app(context, args).await,
        Verb::Update(args) => update::update(context, args).await,
        Verb::Deploy(args) => update::deploy(context, args).await,
        Verb::Trash(args) => app::trash(context, args).await,
        Verb::Audit(args) => look::audit(context, args).await,
        Verb::Balance(args) => look::balance(context, args).await,
        Verb::Wait(args) => wait::wait(context, &args.conditions).await,
        Verb::Version(args) if args.entity => tools::versions(context).await,
        Verb::Version(crate::args::tools::Version { settle: Some(protocol), .. }) => {
            tools::settle(context, protocol).await
        }
        Verb::Version(_) => tools::version(context).await,
        Verb::Backup(args) => backup::backup(context, args.verb).await,
        Verb::Doctor(args) => doctor::doctor(context, args.fix).await,
        Verb::Complete(args) => completions::complete(context, &args.words).await,
        Verb::Run(_)
        | Verb::Demo(_)
        | Verb::Simulate(_)
        | Verb::Explain(_)
        | Verb::Completions(_)
        | Verb::Operator(_)
        | Verb::Config(_) => Err(crate::error::bug("a verb without a node was sent to one").into()),
    }
}

/// Sends a command, reports what it brought about, and is done; `hint` is where Ctrl-C says to look.
async fn change(context: &Context, command: &Command, hint: &[&str]) -> Result<Exit> {
    context.change(command, hint).await.map(|_| Exit::OK)
}

/// The same for a command whose outcome has nothing to say: says `text` instead.
async fn change_saying(context: &Context, command: &Command, hint: &[&str], text: &str) -> Result<Exit> {
    context.change(command, hint).await?;
    if !context.quiet {
        crate::context::print(text)?;
    }
    Ok(Exit::OK)
}

/// A span as the protocol counts it.
fn millis(span: Duration) -> Millis {
    Millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

/// A directory as the node, which has another working directory, finds it.
fn source(directory: &Path) -> Result<Source> {
    Ok(Source::Directory(text(&std::path::absolute(directory)?)?))
}

/// A path that goes into a request.
fn text(path: &Path) -> Result<String> {
    let wrong = || Failure::new(Code::Input, format!("the path {} is not UTF-8", path.display()));
    Ok(path.to_str().ok_or_else(wrong)?.to_owned())
}

/// A path on members: absolute as it is given, for it means nothing here.
fn path_on_members(path: &Path, flag: &str) -> Result<String> {
    if !path.is_absolute() {
        return Err(usage(format!("{flag} is a path on every member and begins with /")).into());
    }
    text(path)
}

/// A path on this machine, made absolute.
fn path_here(path: Option<PathBuf>) -> Result<Option<String>> {
    path.map(|path| text(&std::path::absolute(path)?)).transpose()
}
