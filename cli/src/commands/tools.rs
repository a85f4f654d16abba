//! `explain`, `version`, `completions`.

use althing_protocol::control::Code;
use clap::CommandFactory as _;
use clap_complete::Shell;
use serde_json::{Value, json};

use crate::args::{Cli, Output};
use crate::client::Query;
use crate::context::{Context, print};
use crate::error::{Error, Failure, Result};
use crate::exit::{self, Exit, Kind};
use crate::render::colour::Paint;
use crate::render::document;
use crate::render::table::{Cell, Table};

pub(super) fn explain(context: &Context, wanted: Option<&str>) -> Result<Exit> {
    let all = exit::all();
    let Some(wanted) = wanted else {
        return list(context, &all);
    };
    let same = |kind: &&Kind| {
        kind.name.eq_ignore_ascii_case(wanted)
            || kind.number.eq_ignore_ascii_case(wanted)
            || kind.number.strip_prefix('E') == Some(wanted)
    };
    let Some(kind) = all.iter().find(same) else {
        let failure = Failure::new(exit::NO_SUCH_CODE, format!("there is no error {wanted}"));
        return Err(failure.remedy("list all", &["althing", "explain"]).into());
    };
    match context.output {
        Output::Json => {
            print(&document::own("althing.explain/1", fields(kind)))?;
        }
        Output::Table => {
            let head = context.look.paint(Paint::Bold, &format!("{} {}", kind.number, kind.name));
            print(&format!("{head}   exit {}\n  {}\n", kind.exit, kind.meaning))?;
        }
    }
    Ok(Exit::OK)
}

fn fields(kind: &Kind) -> Value {
    json!({ "code": kind.number, "name": kind.name, "exit": kind.exit, "meaning": kind.meaning })
}

fn list(context: &Context, all: &[Kind]) -> Result<Exit> {
    if context.output == Output::Json {
        let codes: Vec<Value> = all.iter().map(fields).collect();
        print(&document::own("althing.codes/1", json!({ "codes": codes })))?;
        return Ok(Exit::OK);
    }
    let mut table = Table::new(&["CODE", "NAME", ">EXIT", "MEANING"]).keep(3);
    for kind in all {
        table.row([
            Cell::from(kind.number),
            Cell::from(kind.name),
            Cell::from(kind.exit.to_string()),
            Cell::from(kind.meaning),
        ]);
    }
    print(&table.text(&context.look))?;
    Ok(Exit::OK)
}

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

pub(super) fn completions(shell: Shell) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "althing", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::OK)
}
