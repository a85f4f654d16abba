//! `member out`, `in`, `spare`, `rename`, `label`.

use std::time::Duration;

use althing_protocol::control::Command;

use super::{change_saying, millis};
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;

/// Where Ctrl-C says to look.
const HINT: [&str; 2] = ["althing", "members"];

pub(super) async fn out(
    context: &Context,
    member: String,
    reason: String,
    lasts: Option<Duration>,
) -> Result<Exit> {
    let so = "it takes no traffic, and counts in the majority as before";
    let text = format!("{member} is out of service: {so}.\n  undo  althing member in {member}\n");
    let command = Command::TakeOut { member, reason, lasts: lasts.map(millis), anyway: context.yes };
    change_saying(context, &command, &HINT, &text).await
}

pub(super) async fn bring_in(context: &Context, member: String) -> Result<Exit> {
    let text = format!("{member} is in service.\n  undo  althing member out {member}\n");
    change_saying(context, &Command::BringIn { member }, &HINT, &text).await
}

pub(super) async fn spare(context: &Context, member: String, off: bool) -> Result<Exit> {
    if off {
        let text = format!(
            "{member} is not a spare any more: it counts in the majority as soon as it has caught up.\n  undo  althing member spare {member}\n"
        );
        return change_saying(context, &Command::Enlist { member }, &HINT, &text).await;
    }
    let so = "it holds all content, does not count in the majority, and waits to be brought into service";
    let text = format!("{member} is a spare: {so}.\n  undo  althing member spare {member} --off\n");
    change_saying(context, &Command::Spare { member, anyway: context.yes }, &HINT, &text).await
}

pub(super) async fn rename(context: &Context, member: String, name: String) -> Result<Exit> {
    let text = format!("{member} is called {name} now.\n  undo  althing member rename {name} {member}\n");
    change_saying(context, &Command::Rename { member, name }, &HINT, &text).await
}

pub(super) async fn label(
    context: &Context,
    member: String,
    labels: Vec<(String, Option<String>)>,
    keep_files: bool,
) -> Result<Exit> {
    let text = format!("The labels of {member} are set.\n  look  althing member show {member}\n");
    let command = Command::Label { member, labels: labels.into_iter().collect(), keep_files };
    change_saying(context, &command, &HINT, &text).await
}
