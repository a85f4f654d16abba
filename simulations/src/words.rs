//! What administrators ask and are answered, in words for the timeline.

use althing_protocol::control::{Command, Outcome, Reply};
use althing_protocol::effect::Source;
use althing_protocol::time::Millis;

/// Longer texts are cut: an invitation is of no use to a reader.
const LONGEST: usize = 200;

/// What is asked.
pub(crate) fn asked(command: &Command) -> String {
    let text = match command {
        Command::Init { name, .. } => format!("init {name}"),
        Command::Join { member, .. } => format!("join as {member}"),
        Command::Invite { uses, spare, .. } => {
            format!("invite {uses}{}", if *spare { " as spares" } else { "" })
        }
        Command::Create { application, source, .. } => {
            format!("create {application}{}", source.as_ref().map_or(String::new(), from))
        }
        Command::Deploy { application, source, .. } => format!("deploy {application}{}", from(source)),
        Command::Stage { application, source } => format!("stage {application}{}", from(source)),
        Command::Open { application, lasts, .. } => {
            format!("open a window of {application} for {}", span(*lasts))
        }
        Command::Extend { application, lasts } => {
            format!("extend the window of {application} to {}", span(*lasts))
        }
        Command::Commit { application, .. } => format!("commit {application}"),
        Command::Abort { application } => format!("abort {application}"),
        Command::Rollback { application, to, .. } => format!("roll {application} back to revision {to}"),
        Command::Pause { application, lasts: Some(lasts) } => {
            format!("pause {application} for {}", span(*lasts))
        }
        Command::Pause { application, lasts: None } => format!("resume {application}"),
        Command::Repair { application } => format!("repair {application}"),
        Command::Verify { application } => format!("verify {application}"),
        Command::GoOn { application } => format!("go on with the roll-out of {application}"),
        Command::Remove { member } => format!("remove member {member}"),
        Command::Readmit { member } => format!("re-admit member {member}"),
        Command::Leave => "leave".to_owned(),
        other => format!("{other:?}"),
    };
    cut(&text)
}

/// What is answered.
pub(crate) fn answered(reply: &Reply) -> String {
    let text = match reply {
        Ok(Outcome::Done) => "done".to_owned(),
        Ok(Outcome::Settled { application, revision, holders, of, .. }) => {
            format!("revision {revision} of {application} is settled, and held by {holders} of {of}")
        }
        Ok(Outcome::Unchanged { application, revision }) => {
            format!("{application} is that already, as revision {revision}")
        }
        Ok(Outcome::Member { entity, member, voters, majority, .. }) => {
            format!("{member} is a member of {entity}: {majority} of {voters} settle")
        }
        Ok(Outcome::Looked { application, agrees, .. }) => {
            format!("{application} is {}", if *agrees { "as settled" } else { "not as settled" })
        }
        Ok(Outcome::Window { application, revision, .. }) => {
            format!("a window of {application} is open, over revision {revision}")
        }
        Ok(other) => format!("{other:?}"),
        Err(refusal) => format!("refused, {}: {}", refusal.code.name(), refusal.message),
    };
    cut(&text)
}

fn from(source: &Source) -> String {
    match source {
        Source::Live => " from its own tree".to_owned(),
        Source::Directory(path) => format!(" from {path}"),
    }
}

fn span(lasts: Millis) -> String {
    format!("{} s", lasts.0 as f64 / 1000.0)
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}
