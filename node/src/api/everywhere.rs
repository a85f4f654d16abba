//! The entity as each of its members sees it, side by side: who hears whom, who lags, whose clock is off.

use std::time::Instant;

use althing_protocol::view::{Everywhere, Seen, SeenApp, Status};
use serde_json::Value;

use super::{Answered, Api, Call, document, wall};

impl Api {
    /// Asks every member of the roster for its status and compares the answers with this member's.
    pub(super) async fn everywhere(&self, call: &Call) -> Answered {
        let own = self.own_name().await;
        let members = self.view(|member, _| member.members()).await?.members;
        let asked = members.into_iter().map(|member| {
            let mut call = Call { path: "status".to_owned(), body: None, ..call.clone() };
            call.query.clear();
            call.query.insert("on".to_owned(), member.name.clone());
            async move {
                let (sent, at) = (Instant::now(), wall());
                let answer = Box::pin(self.answer(call, None)).await;
                let took = sent.elapsed();
                (member.name, answer, at.0 as f64 / 1000.0 + took.as_secs_f64() / 2.0, took.as_secs_f64())
            }
        });
        let answers = futures::future::join_all(asked).await;
        let mut rows: Vec<(Seen, Option<Status>)> = answers
            .into_iter()
            .map(|(name, answer, middle, took)| seen(name, answer, middle, took))
            .collect();
        let reference =
            rows.iter().find(|(seen, _)| seen.member == own).and_then(|(_, status)| status.clone());
        if let Some(reference) = &reference {
            for (seen, status) in &mut rows {
                seen.differs = status.as_ref().map_or_else(Vec::new, |status| differences(reference, status));
            }
        }
        let members = rows.into_iter().map(|(seen, _)| seen).collect();
        document("althing.everywhere/1", &Everywhere { reference: own, members })
    }
}

/// One row. `middle` is this member's clock half way between question and answer.
fn seen(name: String, answer: Result<Value, Value>, middle: f64, took: f64) -> (Seen, Option<Status>) {
    let at = answer.as_ref().ok().and_then(|value| seconds(value["at"].as_str()?));
    let said = match &answer {
        Ok(value) => serde_json::from_value::<Status>(value.clone()).map_err(|error| error.to_string()),
        Err(error) => Err(error["error"]["message"].as_str().unwrap_or("no answer").to_owned()),
    };
    let (status, silent) = match said {
        Ok(status) => (Some(status), None),
        Err(why) => (None, Some(why)),
    };
    let entity = status.as_ref().map(|status| &status.entity);
    let app = |app: &althing_protocol::view::AppView| SeenApp {
        name: app.name.clone(),
        revision: app.revision,
        agree: app.agree,
        of: app.of,
    };
    let row = Seen {
        member: name,
        silent,
        hears: status.as_ref().map_or(0, |status| status.members.reachable),
        of: status.as_ref().map_or(0, |status| status.members.total),
        health: status.as_ref().map(|status| status.health.state),
        epoch: entity.map(|entity| entity.epoch),
        roster_revision: entity.map(|entity| entity.roster_revision),
        applications: status.iter().flat_map(|status| status.applications.iter().map(app)).collect(),
        clock_offset_seconds: at.map(|at| rounded(at - middle)),
        round_trip_seconds: status.as_ref().map(|_| rounded(took)),
        differs: Vec::new(),
    };
    (row, status)
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

fn seconds(rfc3339: &str) -> Option<f64> {
    let at: jiff::Timestamp = rfc3339.parse().ok()?;
    Some(at.as_millisecond() as f64 / 1000.0)
}

/// What the other sees otherwise, in words, most important first.
fn differences(reference: &Status, other: &Status) -> Vec<String> {
    let mut found = Vec::new();
    let (mine, theirs) = (&reference.entity, &other.entity);
    if theirs.roster_revision != mine.roster_revision {
        found.push(format!("has roster {}", theirs.roster_revision));
    }
    if theirs.epoch < mine.epoch {
        found.push(format!("lacks {} records", mine.epoch - theirs.epoch));
    }
    for name in other.members.unheard.iter().filter(|name| !reference.members.unheard.contains(name)) {
        found.push(format!("does not hear {name}"));
    }
    for name in reference.members.unheard.iter().filter(|name| !other.members.unheard.contains(name)) {
        found.push(format!("hears {name}"));
    }
    for app in &other.applications {
        let same = reference.applications.iter().find(|same| same.name == app.name);
        if same.is_some_and(|same| (same.revision, same.agree) != (app.revision, app.agree)) {
            found.push(format!("sees {} of {} agree on {} {}", app.agree, app.of, app.name, app.revision));
        }
    }
    if other.health.state != reference.health.state {
        found.push(format!("says {}", format!("{:?}", other.health.state).to_lowercase()));
    }
    found
}
