//! `events`, once or as they happen.

use althing_protocol::view::Events as Page;

use crate::args::Output;
use crate::args::look::{Events, Severity};
use crate::client::Query;
use crate::context::{Context, print};
use crate::error::Result;
use crate::exit::Exit;
use crate::render::events as screens;

/// How long the node may hold an empty page back.
const WAIT: u64 = 25;
/// How far back a single page goes if nothing is said.
const SINCE: u64 = 24 * 3600;

pub(super) async fn events(context: &Context, args: Events) -> Result<Exit> {
    let query = filters(&args);
    if args.follow {
        return follow(context, &args, query).await;
    }
    let since = args.since.map_or(SINCE, |since| since.as_secs());
    let query = match args.after {
        Some(cursor) => query.with("after", cursor),
        None => query.with("since_seconds", since),
    };
    context.read_long(&query, screens::screen).await
}

fn filters(args: &Events) -> Query {
    let severity = args.severity.map(|severity| match severity {
        Severity::Info => "info",
        Severity::Notice => "notice",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    });
    let any_of = |names: &[String]| Some(names.join(",")).filter(|names| !names.is_empty());
    Query::new("events")
        .with_any("until_ms", args.until.map(|until| until.milliseconds()))
        .with_any("severity", severity)
        .with_any("limit", args.limit)
        .with_any("member", any_of(&args.member))
        .with_any("app", any_of(&args.app))
        .with_any("kind", any_of(&args.kind))
}

/// Pages of what is new, until interrupted or nobody reads any more. A page without news moves the cursor too.
async fn follow(context: &Context, args: &Events, filters: Query) -> Result<Exit> {
    let mut query = match (&args.after, args.since) {
        (Some(cursor), _) => filters.clone().with("after", cursor),
        (None, since) => filters.clone().with("since_seconds", since.map_or(0, |since| since.as_secs())),
    };
    loop {
        let page = context.document::<Page>(&query).await?;
        for event in &page.body.events {
            match context.output {
                Output::Json => print(&screens::document(event, &page.answered_by))?,
                Output::Table => print(&screens::line(event, &page.at, &context.look))?,
            }
        }
        query = filters.clone().with("after", page.body.cursor).waiting(WAIT);
    }
}
