//! The ugly days: `roster`, `resolve`, `leave --purge`.

use althing_protocol::control::{Command, Outcome};
use althing_protocol::governance::{Authority, QuorumRule};
use althing_protocol::view::RosterView;
use serde_json::json;

use super::change_saying;
use crate::args::entity::{Resolve, Roster, RosterVerb, Whose};
use crate::ask;
use crate::client::{Done, Query};
use crate::context::{Context, print};
use crate::error::{Error, Result, usage};
use crate::exit::Exit;
use crate::render::roster as screens;

pub(super) async fn roster(context: &Context, args: Roster) -> Result<Exit> {
    match args.verb.unwrap_or(RosterVerb::Show) {
        RosterVerb::Show => context.read(&Query::new("roster"), screens::show).await,
        RosterVerb::History => context.read_long(&Query::new("roster-history"), screens::history).await,
        RosterVerb::Authority { kind, operators, operator_key, confirm } => {
            let authority = match kind {
                Whose::Members if operators.is_some() || !operator_key.is_empty() => {
                    return Err(usage("--operators and --operator-key go with `operators`").into());
                }
                Whose::Operators if operators.is_none() => {
                    return Err(usage("add --operators K and --operator-key FILE for each of them").into());
                }
                _ => super::entity::authority(operators, &operator_key)?,
            };
            govern(context, authority, confirm.as_deref()).await
        }
        RosterVerb::Quorum { rule, confirm } => quorum(context, rule.into(), confirm.as_deref()).await,
        RosterVerb::Recover { keep, confirm } => recover(context, keep, confirm.as_deref()).await,
    }
}

/// Says what it means for this roster, and asks.
async fn quorum(context: &Context, rule: QuorumRule, confirm: Option<&str>) -> Result<Exit> {
    let roster = context.document::<RosterView>(&Query::new("roster")).await?.body;
    if roster.quorum != rule {
        let voters = usize::try_from(roster.voters).unwrap_or(usize::MAX);
        let needed = rule.of(voters);
        let question = format!(
            "Have {needed} of {voters} voters settle in {}, instead of {}? {} may be away then.",
            roster.entity,
            roster.majority,
            voters - needed
        );
        ask::severe(context, &question, &roster.entity, confirm)?;
    }
    super::change(context, &Command::SetQuorum { rule }, &["althing", "roster"]).await
}

/// Says what it means, and asks.
async fn govern(context: &Context, authority: Authority, confirm: Option<&str>) -> Result<Exit> {
    let roster = context.document::<RosterView>(&Query::new("roster")).await?.body;
    let question = match &authority {
        Authority::Members => format!("Let any member of {} ask for any change again?", roster.entity),
        Authority::Operators(operators) => format!(
            "Have {} of {} operators sign what administrators ask for in {}? Without their keys it cannot be undone.",
            operators.needed,
            operators.keys.len(),
            roster.entity
        ),
    };
    ask::severe(context, &question, &roster.entity, confirm)?;
    super::change(context, &Command::SetAuthority { authority }, &["althing", "roster"]).await
}

async fn recover(context: &Context, keep: Vec<String>, confirm: Option<&str>) -> Result<Exit> {
    let roster = context.document::<RosterView>(&Query::new("roster")).await?.body;
    let question = format!(
        "Begin {} anew without a majority? {} of {} voters are heard here, {} would settle.\nMembers of the old entity that come back go mute; what this member does not know is lost.",
        roster.entity, roster.reachable, roster.voters, roster.majority
    );
    ask::severe(context, &question, &roster.entity, confirm)?;
    super::change(context, &Command::Recover { keep, approvals: String::new() }, &["althing", "roster"]).await
}

pub(super) async fn resolve(context: &Context, args: Resolve) -> Result<Exit> {
    let roster = context.document::<RosterView>(&Query::new("roster")).await?.body;
    let open = roster.evidence.iter().filter(|evidence| evidence.resolved_by.is_none());
    let found: Vec<&str> = open.map(|evidence| evidence.text.as_str()).collect();
    if !found.is_empty() {
        let question = format!("Acknowledge {} and let this member settle again?", found.join(", "));
        ask::severe(context, &question, &roster.entity, args.confirm.as_deref())?;
    }
    let text = "Acknowledged on this member; what was found is kept.\n  see  althing roster\n";
    change_saying(context, &Command::Resolve { keep: args.keep }, &["althing", "status"], text).await
}

/// Leaves, if the others can be told, and forgets the entity either way.
pub(super) async fn purge(context: &Context, confirm: Option<&str>) -> Result<Exit> {
    let roster = context.document::<RosterView>(&Query::new("roster")).await?;
    let (entity, name) = (roster.body.entity, roster.answered_by);
    let question = format!(
        "Forget {entity} on this machine for good? Key, votes and chain go; files and content stay. It can only join anew."
    );
    ask::severe(context, &question, &entity, confirm)?;
    let left: Result<Done<Outcome>> =
        context.post("command", &json!({ "command": Command::Leave }), &["althing", "status"]).await;
    let told = match left {
        Ok(_) => true,
        Err(Error::Failed(failure)) => {
            if !context.quiet {
                eprintln!("  the others were not told: {}", failure.message);
                eprintln!("  there  althing member remove {name}");
            }
            false
        }
        Err(other) => return Err(other),
    };
    let done: Done<Outcome> = context.post("purge", &json!({}), &["althing", "status"]).await?;
    context.report(&done)?;
    if !context.quiet {
        let so = if told { "left and forgot" } else { "forgot" };
        print(&format!("This machine {so} {entity}; its node starts anew.\n  back in  althing join\n"))?;
    }
    Ok(Exit::OK)
}
