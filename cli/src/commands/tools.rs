//! `version`.

use althing_protocol::control::{Code, Command};
use serde_json::json;

use crate::args::Output;
use crate::ask;
use crate::client::Query;
use crate::context::{Context, print};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::render::document;

/// The version of this program is an answer even when no node is there to give its own.
pub(super) async fn version(context: &Context) -> Result<Exit> {
    let client = env!("CARGO_PKG_VERSION");
    let node = match context.client.get(&Query::new("version")).await {
        Ok(answer) => Some(answer),
        Err(Error::Failed(failure)) if failure.code == Code::NodeDown.number() => None,
        Err(error) => return Err(error),
    };
    if context.output == Output::Json {
        let text = match node {
            None => document::own("althing.version/1", json!({ "client": client })),
            Some(answer) => {
                let mut document = answer.value().clone();
                document["client"] = json!(client);
                format!("{document}\n")
            }
        };
        print(&text)?;
        return Ok(Exit::OK);
    }
    let text = match node {
        None => format!("althing {client}\nno node answers at {}\n", context.client.socket.display()),
        Some(answer) => {
            let node = answer.document::<althing_protocol::view::Version>()?;
            let entity = if node.body.in_entity { "in an entity" } else { "not in an entity" };
            let name =
                if node.answered_by.is_empty() { String::new() } else { format!(" {}", node.answered_by) };
            format!(
                "althing {client}\nnode{name} {}, protocol {}, {entity}\n",
                node.body.version, node.body.protocol
            )
        }
    };
    print(&text)?;
    Ok(Exit::OK)
}

/// Has the entity use a newer protocol version.
pub(super) async fn settle(context: &Context, protocol: u32) -> Result<Exit> {
    let question = format!(
        "Have the entity use protocol {protocol}? Programs that do not speak it are refused from then on, for good."
    );
    ask::moderate(context, &question)?;
    let command = Command::Raise { protocol };
    super::change(context, &command, &["althing", "version", "--entity"]).await
}

/// Which versions the members run, as their reports say.
pub(super) async fn versions(context: &Context) -> Result<Exit> {
    context.read(&Query::new("members"), crate::render::versions::screen).await
}
