//! The event log: this member's, or of all members that answer, in one order by time.

use std::collections::BTreeMap;
use std::time::Duration;

use althing_protocol::codec;
use althing_protocol::control::{Code, Refusal};
use althing_protocol::event::Severity;
use althing_protocol::time::{Millis, WallTime};
use althing_protocol::view::{EventView, Events};
use serde_json::{Value, json};

use super::reads::number;
use super::{Answered, Api, Call, document, wall};
use crate::daemon::Logged;

/// Events in one answer, at most.
const PAGE: usize = 1000;
/// Events read at once.
const CHUNK: usize = 500;
/// Longest wait for something new.
const WAIT_MAX: u64 = 30;

/// Where reading goes on: the last number seen of each member.
type Cursor = BTreeMap<String, u64>;

impl Api {
    pub(super) async fn events(&self, call: &Call) -> Answered {
        let own = self.own_name().await;
        let wait = number(call, "wait_seconds")?.unwrap_or(0).min(WAIT_MAX);
        let cursor = parse_cursor(call.query.get("after").map_or("", String::as_str), &own)?;
        let until = tokio::time::Instant::now() + Duration::from_secs(wait);
        let mut news = self.shared.events.clone();
        loop {
            let (events, next) = self.gather(call, &own, &cursor).await?;
            let over = tokio::time::Instant::now() >= until;
            if !events.is_empty() || over {
                let cursor = next
                    .iter()
                    .map(|(name, number)| format!("{name}:{number}"))
                    .collect::<Vec<_>>()
                    .join(",");
                return document("althing.events/1", &Events { events, cursor });
            }
            // Events of others are looked for once a second, our own at once.
            let pause = tokio::time::sleep(Duration::from_secs(1));
            tokio::select! { _ = news.changed() => {}, () = pause => {} }
        }
    }

    async fn gather(
        &self,
        call: &Call,
        own: &str,
        cursor: &Cursor,
    ) -> Result<(Vec<EventView>, Cursor), Refusal> {
        let mut next = cursor.clone();
        let mut events = self.own_events(call, own, cursor.get(own).copied().unwrap_or(0), &mut next).await?;
        if !call.query.contains_key("local") {
            for (name, page) in self.others_events(call, own, cursor).await {
                if let Ok(page) = serde_json::from_value::<Events>(page) {
                    let theirs = parse_cursor(&page.cursor, &name)?;
                    next.extend(theirs);
                    // What was settled is in this member's own log as well.
                    events.extend(page.events.into_iter().filter(|event| event.epoch.is_none()));
                }
            }
        }
        events.sort_by(|a, b| (&a.at, &a.id).cmp(&(&b.at, &b.id)));
        let surplus = events.len().saturating_sub(PAGE);
        events.drain(..surplus);
        Ok((events, next))
    }

    async fn others_events(&self, call: &Call, own: &str, cursor: &Cursor) -> Vec<(String, Value)> {
        let members = self.ask(|member, _| member.members()).await.ok().flatten();
        let names = members.into_iter().flat_map(|members| members.members);
        let names =
            names.filter(|member| member.state == "alive" && member.name != own).map(|member| member.name);
        let calls = names.map(|name| {
            let mut call = Call { body: None, ..call.clone() };
            call.query.insert("on".into(), name.clone());
            call.query.insert("local".into(), "1".into());
            call.query.insert("wait_seconds".into(), "0".into());
            let after = cursor.get(&name).map(|number| format!("{name}:{number}")).unwrap_or_default();
            call.query.insert("after".into(), after);
            async move { (name, Box::pin(self.answer(call, None)).await) }
        });
        let answers = futures::future::join_all(calls).await;
        answers.into_iter().filter_map(|(name, answer)| Some((name, answer.ok()?))).collect()
    }

    async fn own_events(
        &self,
        call: &Call,
        own: &str,
        after: u64,
        next: &mut Cursor,
    ) -> Result<Vec<EventView>, Refusal> {
        let store = self.shared.store.clone();
        let read = tokio::task::spawn_blocking(move || {
            let (mut all, mut from) = (Vec::new(), after);
            loop {
                let chunk = store.events_after(from, CHUNK)?;
                let Some((last, _)) = chunk.last() else { return Ok::<_, althing_store::ReadError>(all) };
                from = *last;
                all.extend(chunk);
            }
        });
        let failed = |error: String| Refusal::new(Code::Failed, error);
        let stored = read
            .await
            .map_err(|error| failed(error.to_string()))?
            .map_err(|error| failed(error.to_string()))?;
        next.insert(own.to_owned(), stored.last().map_or(after, |(number, _)| *number));
        let names = self.ask(|member, _| member.state().cloned()).await?;
        let filter = Filter::new(call)?;
        let mut events = Vec::new();
        for (number, bytes) in stored {
            let Ok(logged) = codec::decode::<Logged>(&bytes, usize::MAX) else { continue };
            let subject = logged.event.subject;
            let named = subject.zip(names.as_ref()).map(|(id, state)| state.name_of(&id));
            let view = EventView {
                id: format!("{own}/{number}"),
                at: WallTime(logged.at).rfc3339(),
                severity: logged.event.severity,
                kind: logged.event.kind,
                member: named.unwrap_or_else(|| own.to_owned()),
                application: logged.event.application,
                epoch: logged.event.epoch,
                text: logged.event.text,
            };
            if filter.takes(&view, logged.at) {
                events.push(view);
            }
        }
        let most = number(call, "limit")?.map_or(PAGE, |limit| limit as usize).min(PAGE);
        let surplus = events.len().saturating_sub(most);
        events.drain(..surplus);
        Ok(events)
    }
}

struct Filter {
    since: u64,
    until: u64,
    severity: Severity,
    members: Vec<String>,
    apps: Vec<String>,
    kinds: Vec<String>,
}

impl Filter {
    fn new(call: &Call) -> Result<Self, Refusal> {
        let list = |name: &str| -> Vec<String> {
            call.query
                .get(name)
                .map(|names| names.split(',').map(str::to_owned).collect())
                .unwrap_or_default()
        };
        let severity = call.query.get("severity").map_or("info", String::as_str);
        let severity = serde_json::from_value(json!(severity))
            .map_err(|_| Refusal::new(Code::Input, "severity is info, notice, warning or critical"))?;
        let since = number(call, "since_seconds")?.map_or(0, |seconds| {
            let ago = Millis::seconds(seconds);
            wall().0.saturating_sub(ago.0)
        });
        let until = number(call, "until_ms")?.unwrap_or(u64::MAX);
        Ok(Self { since, until, severity, members: list("member"), apps: list("app"), kinds: list("kind") })
    }

    fn takes(&self, event: &EventView, at: u64) -> bool {
        let among =
            |names: &[String], name: &str| names.is_empty() || names.iter().any(|other| other == name);
        at >= self.since
            && at <= self.until
            && event.severity >= self.severity
            && among(&self.members, &event.member)
            && among(&self.apps, event.application.as_deref().unwrap_or_default())
            && (self.kinds.is_empty() || self.kinds.iter().any(|kind| event.kind.starts_with(kind.as_str())))
    }
}

fn parse_cursor(text: &str, own: &str) -> Result<Cursor, Refusal> {
    let bad = || Refusal::new(Code::Input, "not a cursor that an earlier answer gave");
    let mut cursor = Cursor::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (name, number) = part.rsplit_once(':').unwrap_or((own, part));
        cursor.insert(name.to_owned(), number.parse().map_err(|_| bad())?);
    }
    Ok(cursor)
}
