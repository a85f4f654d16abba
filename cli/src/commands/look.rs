//! Commands that read one document and show it; and the commands of `member`.

use althing_protocol::control::Command;

use super::{change_saying, serving};
use crate::args::look::{Audit, Balance, BalanceVerb, Health, Member, MemberVerb, Status, Vote, Why};
use crate::ask;
use crate::client::Query;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::render::{
    audit as audit_screen, everywhere, health as health_screen, members, status as status_screen, votes,
    why as why_screen,
};

pub(super) async fn status(context: &Context, args: &Status) -> Result<Exit> {
    if args.everywhere {
        return context.look(args.watch, &Query::new("everywhere"), everywhere::screen).await;
    }
    context.look(args.watch, &Query::new("status"), status_screen::screen).await
}

pub(super) async fn why(context: &Context, args: Why) -> Result<Exit> {
    let at = args.at.map(|at| at.milliseconds());
    let query = Query::new("why").with_any("subject", args.subject).with_any("at_ms", at);
    context.read(&query, why_screen::screen).await
}

pub(super) async fn health(context: &Context, args: &Health) -> Result<Exit> {
    context.look(args.watch, &Query::new("health"), health_screen::screen).await
}

pub(super) async fn vote(context: &Context, args: Vote) -> Result<Exit> {
    context.read(&Query::new("votes").with_any("app", args.app), votes::screen).await
}

pub(super) async fn audit(context: &Context, args: Audit) -> Result<Exit> {
    let query = Query::new("audit")
        .with_any("since_seconds", args.since.map(|since| since.as_secs()))
        .with_any("by", args.by)
        .with_any("verify", args.verify.then_some(1));
    context.read_long(&query, audit_screen::screen).await
}

pub(super) async fn balance(context: &Context, args: Balance) -> Result<Exit> {
    let watch = matches!(args.verb, Some(BalanceVerb::Show { watch: true }));
    context.look(watch, &Query::new("balance"), health_screen::balance).await
}

pub(super) async fn member(context: &Context, args: Member) -> Result<Exit> {
    match args.verb.unwrap_or(MemberVerb::List { watch: false }) {
        MemberVerb::List { watch } => context.look(watch, &Query::new("members"), members::screen).await,
        MemberVerb::Out { member, reason, lasts } => serving::out(context, member, reason, lasts).await,
        MemberVerb::In { member } => serving::bring_in(context, member).await,
        MemberVerb::Spare { member, off } => serving::spare(context, member, off).await,
        MemberVerb::Rename { member, name } => serving::rename(context, member, name).await,
        MemberVerb::Label { member, labels, keep_files } => {
            serving::label(context, member, labels, keep_files).await
        }
        MemberVerb::Show { member } => {
            context.read(&Query::new("member").with("name", member), members::one).await
        }
        MemberVerb::Readmit { member } => {
            let text = format!(
                "{member} is re-admitted, as a learner in its old place; it counts when it has caught up.\n  see  althing member show {member}\n"
            );
            change_saying(context, &Command::Readmit { member }, &["althing", "roster"], &text).await
        }
        MemberVerb::Remove { member, confirm } => {
            let question =
                format!("Remove {member} from the roster for good? It needs a new invitation to come back.");
            ask::severe(context, &question, &member, confirm.as_deref())?;
            let text = format!("{member} is removed.\n  back in  althing invite\n");
            change_saying(context, &Command::Remove { member }, &["althing", "members"], &text).await
        }
    }
}
