//! `app verify --everywhere`: each member that an application goes to reads it again.

use althing_protocol::control::{Command, Outcome};
use althing_protocol::view::{AppView, Members};
use serde_json::json;

use crate::args::Output;
use crate::client::{Done, Query, printable};
use crate::context::{Context, print};
use crate::error::{Error, Result, bug};
use crate::exit::Exit;
use crate::render::document;
use crate::render::verify::{self as screen, Found, Verified};

/// All at once; each answers for itself, and one that does not answer hides nothing of the others.
pub(super) async fn everywhere(context: &Context, app: String, exit_code: bool) -> Result<Exit> {
    let view = context.document::<AppView>(&Query::new("app").with("name", &app)).await?;
    let members = match view.body.members {
        members if view.body.groups.is_empty() && members.is_empty() => {
            let all = context.document::<Members>(&Query::new("members")).await?.body.members;
            all.into_iter().map(|member| member.name).collect()
        }
        members => members,
    };
    let asked = members.into_iter().map(|member| one(context, member, &app));
    let found: Vec<Verified> = futures::future::try_join_all(asked).await?;
    let all_agree = found.iter().all(|one| matches!(one.found, Found::Agrees));
    print(&match context.output {
        Output::Json => {
            let body = json!({ "application": app, "members": found });
            document::of_member("althing.verified/1", &view.at, &view.answered_by, body)
        }
        Output::Table => screen::screen(&app, &found, &context.look),
    })?;
    let silent = found.iter().any(|one| matches!(one.found, Found::Silent { .. }));
    Ok(match (silent, exit_code && !all_agree) {
        (true, _) => Exit::FAILED,
        (false, true) => Exit::DIFFERENT,
        (false, false) => Exit::OK,
    })
}

async fn one(context: &Context, member: String, app: &str) -> Result<Verified> {
    let command = Command::Verify { application: app.to_owned() };
    let client = context.asking(&member).client;
    let done = client.post::<Outcome>("command", &json!({ "command": command }), |_| {}).await;
    let found = match done {
        Ok(Done { outcome: Outcome::Looked { agrees: true, .. }, .. }) => Found::Agrees,
        Ok(Done { outcome: Outcome::Looked { observed: Some(root), .. }, .. }) => {
            Found::Differs { root: root.to_string() }
        }
        Ok(Done { outcome: Outcome::Looked { observed: None, .. }, .. }) => Found::Absent,
        Ok(_) => return Err(bug("the node answered something else than was asked").into()),
        Err(Error::Failed(failure)) => {
            Found::Silent { code: failure.code.clone(), why: printable(&failure.message) }
        }
        Err(quiet) => return Err(quiet),
    };
    Ok(Verified { member, found })
}
