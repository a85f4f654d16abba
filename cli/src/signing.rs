//! Commands that operators sign: the node makes the order, this program decodes it, shows what it does, signs it, and
//! sends the signature. The key stays here.

use althing_protocol::codec;
use althing_protocol::control::{Code, Command, Outcome};
use althing_protocol::hash::{hex, unhex};
use althing_protocol::identity::{Identity, MemberId};
use althing_protocol::order::{Approval, Order};
use althing_protocol::succession::Warrant;
use althing_protocol::time::WallTime;
use althing_protocol::view::{RequestView, Requests, RosterView};
use serde_json::json;

use crate::client::{Done, Query};
use crate::context::Context;
use crate::error::{Failure, Result, bug};
use crate::{ask, key};

/// Asks for a command with the keys of `--sign`.
pub(crate) async fn ordered(context: &Context, command: &Command, hint: &[&str]) -> Result<Done> {
    let done = one(context, command, hint).await?;
    // A definition and the first content are two orders; the second waits for the first.
    let Command::Create { source: Some(source), application, replace, .. } = command else { return Ok(done) };
    let (application, source, replace) = (application.clone(), source.clone(), *replace);
    let reason = "first content".to_owned();
    one(context, &Command::Deploy { application, source, reason, replace, wish: Default::default() }, hint)
        .await
}

async fn one(context: &Context, command: &Command, hint: &[&str]) -> Result<Done> {
    let keys = keys(context)?;
    let draft = Command::Draft { command: Box::new(command.clone()) };
    let done: Done = context.post("command", &json!({ "command": draft }), hint).await?;
    let Outcome::Draft { id, order, .. } = &done.outcome else { return Ok(done) };
    if let Command::Recover { keep, .. } = command {
        let approvals = hex(&codec::encode(&warrant(context, order, &keys).await?));
        let command = Command::Recover { keep: keep.clone(), approvals };
        return context.post("command", &json!({ "command": command }), hint).await;
    }
    let approvals = sign(context, order, &keys).await?;
    send(context, id, approvals, hint).await
}

/// What lets one member begin the entity anew. The question that names the entity was asked before.
async fn warrant(context: &Context, warrant: &str, keys: &[Identity]) -> Result<Vec<Approval>> {
    let bytes = unhex(warrant).ok_or_else(|| bug("the node's warrant is not in hexadecimal digits"))?;
    let warrant = Warrant::decode(&bytes)
        .map_err(|error| bug(format!("what the node wants signed is not understood: {error}")))?;
    let roster = context.document::<RosterView>(&Query::new("roster")).await?.body;
    if warrant.entity != roster.id {
        let text = "the warrant is of another entity: nothing was signed";
        return Err(Failure::new(Code::SignatureBad, text).into());
    }
    if !context.quiet {
        eprintln!("  to sign  {} may begin the entity anew", warrant.by);
        eprintln!("  entity   {} ({}), after epoch {}", roster.entity, warrant.entity.short(), warrant.epoch);
    }
    ask::moderate(context, "Sign this?")?;
    Ok(keys.iter().map(|key| warrant.sign(key)).collect())
}

/// Signs what waits, on the member where it does.
pub(crate) async fn waiting(context: &Context, id: &str) -> Result<Done> {
    let keys = keys(context)?;
    let request = find(context, id).await?;
    let approvals = sign(context, &request.order, &keys).await?;
    let there = context.asking(&request.member);
    send(&there, &request.id, approvals, &["althing", "request", "list"]).await
}

/// The request of this id, or the start of it.
pub(crate) async fn find(context: &Context, id: &str) -> Result<RequestView> {
    let found = context.document::<Requests>(&Query::new("requests")).await?.body.requests;
    let mut found = found.into_iter().filter(|request| request.id.starts_with(id));
    match (found.next(), found.next()) {
        (Some(request), None) => Ok(request),
        (Some(_), Some(_)) => {
            Err(Failure::new(Code::Input, format!("{id} names more than one request")).into())
        }
        (None, _) => Err(Failure::new(Code::NoSuchRequest, format!("no request {id} waits for signatures"))
            .remedy("see what waits", &["althing", "request", "list"])
            .into()),
    }
}

fn keys(context: &Context) -> Result<Vec<Identity>> {
    context.sign.iter().map(|path| key::read_secret(path)).collect()
}

/// Shows what is signed, as it is signed, asks, and signs it.
async fn sign(context: &Context, order: &str, keys: &[Identity]) -> Result<Vec<Approval>> {
    let bytes = unhex(order).ok_or_else(|| bug("the node's order is not in hexadecimal digits"))?;
    let order = Order::decode(&bytes)
        .map_err(|error| bug(format!("what the node wants signed is not understood: {error}")))?;
    let roster = context.document::<RosterView>(&Query::new("roster")).await?.body;
    if order.entity != roster.id {
        return Err(
            Failure::new(Code::SignatureBad, "the order is of another entity: nothing was signed").into()
        );
    }
    let name = |id: &MemberId| {
        let known = roster.members.iter().find(|member| member.id == id.to_string());
        known.map_or_else(|| "unknown".to_owned(), |member| member.name.clone())
    };
    if !context.quiet {
        let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as u64);
        eprintln!("  to sign  {}", order.words(WallTime(now), name));
        eprintln!("  entity   {} ({}), at epoch {}", roster.entity, order.entity.short(), order.seen);
        eprintln!("  member   {} ({}), asked by {}", name(&order.member), order.member, order.by);
        eprintln!("  until    {}", order.until.rfc3339());
    }
    ask::moderate(context, "Sign this?")?;
    Ok(keys.iter().map(|key| order.sign(key)).collect())
}

async fn send(context: &Context, id: &str, approvals: Vec<Approval>, hint: &[&str]) -> Result<Done> {
    let command = Command::Sign { id: id.to_owned(), approvals: hex(&codec::encode(&approvals)) };
    context.post("command", &json!({ "command": command }), hint).await
}
