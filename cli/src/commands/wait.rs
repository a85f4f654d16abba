//! `wait`: asks again and again until all conditions hold at once.

use std::time::{Duration, Instant};

use althing_protocol::control::Code;
use althing_protocol::view::{Members, Status};
use serde_json::json;

use crate::args::Output;
use crate::client::Query;
use crate::condition::Condition;
use crate::context::{Context, print};
use crate::error::{Error, Failure, Result};
use crate::exit::{self, Exit};
use crate::render::document;
use crate::render::time::span;

/// How long to wait, unless `--timeout` says otherwise.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);

pub(super) async fn wait(context: &Context, conditions: &[Condition]) -> Result<Exit> {
    let took = until(context, conditions).await?;
    let texts: Vec<&str> = conditions.iter().map(Condition::text).collect();
    match context.output {
        Output::Table if context.quiet => {}
        Output::Table => print(&format!("{} after {}\n", texts.join(", "), span(took.as_secs_f64())))?,
        Output::Json => {
            let body = json!({ "conditions": texts, "met": true, "seconds": took.as_secs_f64() });
            print(&document::own("althing.wait/1", body))?;
        }
    }
    Ok(Exit::OK)
}

/// Returns how long it took.
pub(super) async fn until(context: &Context, conditions: &[Condition]) -> Result<Duration> {
    let start = Instant::now();
    let patience = context.client.timeout.unwrap_or(PATIENCE);
    let mut unmet;
    loop {
        let left = patience.saturating_sub(start.elapsed());
        match tokio::time::timeout(left.max(PAUSE), look(context, conditions)).await {
            Ok(found) => unmet = found?,
            Err(_) => unmet = vec![("answer".to_owned(), "the node does not answer in time".to_owned())],
        }
        if unmet.is_empty() {
            return Ok(start.elapsed());
        }
        if start.elapsed() + PAUSE > patience {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let mut failure =
        Failure::new(exit::TIMED_OUT, format!("not so within {}", span(patience.as_secs_f64())));
    for (condition, found) in unmet {
        failure = failure.fact(&condition, found);
    }
    Err(failure.remedy("see what is so", &["althing", "status"]).into())
}

/// What does not hold now, and what is so instead. A node that is down, starting or not in an entity may still come.
async fn look(context: &Context, conditions: &[Condition]) -> Result<Vec<(String, String)>> {
    let found = async {
        let status = context.document::<Status>(&Query::new("status")).await?;
        let members = if conditions.iter().any(Condition::needs_members) {
            Some(context.document::<Members>(&Query::new("members")).await?)
        } else {
            None
        };
        let members = members.map(|members| members.body);
        let unmet = |condition: &Condition| {
            let found = condition.unmet(&status.body, members.as_ref())?;
            Some((condition.text().to_owned(), found))
        };
        Ok(conditions.iter().filter_map(unmet).collect())
    };
    match found.await {
        Err(Error::Failed(failure)) if may_come(&failure) => {
            Ok(vec![(failure.name.clone(), failure.message.clone())])
        }
        found => found,
    }
}

fn may_come(failure: &Failure) -> bool {
    let passing = [Code::NodeDown, Code::NotInEntity, Code::PeerDown, Code::Mute];
    passing.iter().any(|code| failure.code == code.number()) || failure.code == exit::TIMED_OUT.number
}
