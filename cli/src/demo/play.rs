//! The demo from its beginning to its end, however it ends.

use std::time::Instant;

use althing_protocol::control::Code;
use tokio::signal::unix::{SignalKind, signal};

use super::acts::Act;
use super::entity::{Entity, names};
use super::keys::{KEYS, Keys, Wish};
use super::members::{Member, Members};
use super::place::Place;
use super::story::Story;
use super::tree::Tree;
use crate::args::tools::Demo;
use crate::context::Context;
use crate::error::{Error, Failure, Result};
use crate::exit::{self, Exit};

/// Plays. What is left afterwards is nothing, or, after a failure, the directory that the error names.
pub(super) async fn run(context: &Context, args: Demo) -> Result<Exit> {
    let place = Place::new(args.keep.as_deref())?;
    let story = Story::new(context);
    let (path, fate) = (place.path().display(), place.fate());
    let count = usize::from(args.members);
    story.tell(&format!("starting {count} members on this machine            data in {path}, {fate}"))?;
    let members = match Members::start(count, place.path()) {
        Ok(members) => members,
        Err(error) => return Err(kept(error, place)),
    };
    let mut entity = Entity {
        members,
        story,
        place: place.path().to_owned(),
        revision: 0,
        tree: Tree::default(),
        before: Tree::default(),
        deadline: Instant::now(),
    };
    let played = tokio::select! {
        played = play(&mut entity, args.auto) => played,
        interrupted = interrupted() => interrupted,
    };
    let late = entity.members.stop().await.join(" ");
    let stopped = if late.is_empty() || played.is_err() {
        played
    } else {
        Err(Failure::new(Code::Failed, format!("{late} did not stop in time and had to be killed")).into())
    };
    match stopped {
        Err(Error::Failed(failure)) if failure.code != exit::INTERRUPTED.number => {
            Err(kept(Error::Failed(failure), place))
        }
        stopped => {
            let removed = place.close()?;
            stopped?;
            entity.story.hint(&format!(
                "all {count} stopped, {removed}.   Next: `althing run` and `althing init` on a real machine"
            ))?;
            Ok(Exit::OK)
        }
    }
}

/// Leaves the directory and says where it is.
fn kept(error: Error, place: Place) -> Error {
    match error {
        Error::Failed(failure) if failure.code != exit::USAGE.number => {
            let path = place.keep();
            let logs = path.join("web*.log");
            failure.fact("data", path.display()).fact("logs", logs.display()).into()
        }
        // Nobody reads what would be said.
        error => error,
    }
}

async fn play(entity: &mut Entity, auto: bool) -> Result<()> {
    let began = Instant::now();
    for act in Act::OPENING {
        entity.play(act).await?;
    }
    if auto {
        for act in Act::REST {
            entity.play(act).await?;
        }
        let acts = Act::OPENING.len() + Act::REST.len();
        let seconds = began.elapsed().as_secs_f64();
        return entity.story.tell(&format!("all {acts} acts ended as they should, in {seconds:.1} s"));
    }
    let all: Vec<&Member> = entity.members.all().iter().collect();
    let dir = all[0].dir.display();
    entity.story.hint(&format!(
        "\n         Shell     althing --dir {dir} status          (or any of {})\n",
        names(&all)
    ))?;
    entity.story.hint(KEYS)?;
    let mut keys = Keys::new()?;
    loop {
        match keys.next().await {
            Wish::Quit => return Ok(()),
            Wish::Help => {}
            Wish::Play(acts) => {
                for act in acts {
                    entity.play(act).await?;
                }
            }
        }
        entity.story.hint(KEYS)?;
    }
}

/// Ends with Ctrl-C, with SIGTERM, and with the terminal.
async fn interrupted() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    let so = "the members are stopped, and nothing is left of them";
    Err(Failure::new(exit::INTERRUPTED, "interrupted").fact("so", so).into())
}
