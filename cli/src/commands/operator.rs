//! `operator` and `request`.

use althing_protocol::control::Command;
use serde_json::json;

use crate::args::Output;
use crate::args::operator::{Operator, OperatorVerb, Request, RequestVerb};
use crate::client::Query;
use crate::context::{Context, print};
use crate::error::{Result, usage};
use crate::exit::Exit;
use crate::key;
use crate::render::{document, requests as screens};
use crate::signing;

pub(super) fn operator(context: &Context, args: &Operator) -> Result<Exit> {
    let (made, text) = match &args.verb {
        OperatorVerb::Keygen { out, name } => {
            let made = key::make(out, name.as_deref())?;
            let (secret, public) = (out.display(), key::public_path(out).display().to_string());
            let text = format!(
                "Key of {} written to {secret}, for its owner alone and not encrypted: keep it off the members.\nThe public half, to give to whoever runs `althing roster authority operators`, is {public}.\n",
                made.operator.name
            );
            (made, text)
        }
        OperatorVerb::Show { file } => {
            let read = key::read(file)?;
            let text = format!("{}   {}\n", read.operator.name, read.operator.key);
            (read, text)
        }
    };
    let fields = json!({ "name": made.operator.name, "key": made.operator.key });
    match context.output {
        Output::Json => print(&format!("{}\n", document::own("althing.operator/1", fields).trim_end()))?,
        Output::Table => print(&text)?,
    }
    Ok(Exit::OK)
}

pub(super) async fn request(context: &Context, args: Request) -> Result<Exit> {
    match args.verb.unwrap_or(RequestVerb::List) {
        RequestVerb::List => context.read(&Query::new("requests"), screens::list).await,
        RequestVerb::Show { id } => {
            let request = signing::find(context, &id).await?;
            match context.output {
                Output::Json => {
                    print(&format!("{}\n", document::own("althing.request/1", json!(request)).trim_end()))?
                }
                Output::Table => print(&screens::show(&request))?,
            }
            Ok(Exit::OK)
        }
        RequestVerb::Sign { id } => {
            if context.sign.is_empty() {
                return Err(usage("add --sign FILE: the key of an operator").into());
            }
            let done = signing::waiting(context, &id).await?;
            context.report(&done)?;
            Ok(Exit::OK)
        }
        RequestVerb::Withdraw { id } => {
            let request = signing::find(context, &id).await?;
            let there = context.asking(&request.member);
            let text = format!("Request {} is withdrawn: {}.\n", &request.id[..8], request.text);
            let hint = ["althing", "request", "list"];
            super::change_saying(&there, &Command::Withdraw { id: request.id }, &hint, &text).await
        }
    }
}
