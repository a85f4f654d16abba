//! `doctor`: what on this machine or in the entity may go wrong before it does, each with what mends it.

use std::path::Path;

use althing_protocol::control::Code;
use althing_protocol::view::{Everywhere, Status};
use serde_json::json;

use crate::args::Output;
use crate::client::Query;
use crate::context::{Context, print};
use crate::doctor::{self, Check, Facts, State};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::render::document;

pub(super) async fn doctor(context: &Context, fix: bool) -> Result<Exit> {
    let facts = facts(context).await?;
    let mut checks = doctor::examine(&facts);
    if fix {
        let fixed = doctor::fix(&checks)?;
        if fixed > 0 {
            checks = doctor::examine(&self::facts(context).await?);
        }
        if !context.quiet {
            eprintln!("{fixed} mended");
        }
    }
    print(&match context.output {
        Output::Json => document::own("althing.doctor/1", json!({ "checks": checks })),
        Output::Table => doctor::screen(&checks, &context.look),
    })?;
    let bad = checks.iter().any(|check: &Check| check.state == State::Error);
    Ok(if bad { Exit::FAILED } else { Exit::OK })
}

async fn facts(context: &Context) -> Result<Facts> {
    let mut facts = Facts { dir: context.dir.clone(), ..Facts::default() };
    match context.document::<Status>(&Query::new("status")).await {
        Ok(status) => facts.status = Some(status),
        Err(Error::Failed(failure)) => {
            let outside = failure.code == Code::NotInEntity.number();
            facts.silent = Some((outside, failure.message));
        }
        Err(quiet) => return Err(quiet),
    }
    if facts.status.is_some() {
        match context.document::<Everywhere>(&Query::new("everywhere")).await {
            Ok(everywhere) => facts.everywhere = Some(everywhere.body),
            Err(Error::Failed(failure)) => facts.silent = Some((false, failure.message)),
            Err(quiet) => return Err(quiet),
        }
    }
    facts.machine = doctor::machine(&context.dir, Path::new("/proc"));
    Ok(facts)
}
