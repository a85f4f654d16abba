//! `completions`, and the hidden command that its scripts call.

use std::time::Duration;

use althing_protocol::view::{Members, Status};
use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Cli;
use crate::client::Query;
use crate::complete::{self, Wanted};
use crate::context::{Context, print};
use crate::error::Result;
use crate::exit::Exit;

/// A key was pressed: who waits for names longer than this goes without.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) fn script(shell: Shell) -> Result<Exit> {
    if let Some(script) = complete::script(shell) {
        print(script)?;
        return Ok(Exit::OK);
    }
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "althing", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::OK)
}

/// Prints what fits at the last word, one a line; nothing when nobody answers.
pub(super) async fn complete(context: &Context, words: &[String]) -> Result<Exit> {
    let found = match complete::wanted(words) {
        Wanted::Words(words) => words,
        Wanted::Free => Vec::new(),
        names => tokio::time::timeout(PATIENCE, names_of(context, &names)).await.unwrap_or_default(),
    };
    let typed = words.last().map_or("", String::as_str);
    let fitting: String =
        found.iter().filter(|name| name.starts_with(typed)).map(|name| format!("{name}\n")).collect();
    print(&fitting)?;
    Ok(Exit::OK)
}

/// An error is no answer: a prompt is no place for it.
async fn names_of(context: &Context, wanted: &Wanted) -> Vec<String> {
    match wanted {
        Wanted::Member => {
            let members = context.document::<Members>(&Query::new("members")).await;
            members
                .map(|members| members.body.members.into_iter().map(|member| member.name).collect())
                .unwrap_or_default()
        }
        _ => {
            let status = context.document::<Status>(&Query::new("status")).await;
            status
                .map(|status| status.body.applications.into_iter().map(|app| app.name).collect())
                .unwrap_or_default()
        }
    }
}
