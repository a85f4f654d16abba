//! Calls that only look.

use std::sync::Arc;

use althing_protocol::control::{Code, Refusal};
use althing_protocol::effect::Family;
use althing_protocol::limits;
use althing_protocol::member::saved::read_link;
use althing_protocol::member::{Member, roster};
use althing_protocol::record::Record;
use althing_protocol::view::{AppView, CertificateView, Version};
use althing_store::{Pair, Store};
use serde_json::json;

use crate::daemon::Live;

use super::{Answered, Api, Call, document, no_application, no_member};

impl Api {
    pub(super) async fn read(&self, call: &Call) -> Answered {
        let query = |name: &str| call.query.get(name).cloned();
        match call.path.as_str() {
            "status" => document("althing.status/1", &self.view(|member, _| member.status()).await?),
            "members" => document("althing.members/1", &self.view(|member, _| member.members()).await?),
            "member" => self.member(query("name")).await,
            "apps" => self.apps().await,
            "app" => document("althing.app/1", &self.app_in_full(call, &needed(call, "name")?).await?),
            "update" => document("althing.window/1", &self.app(&needed(call, "app")?).await?),
            "history" => {
                let name = needed(call, "app")?;
                let wanted = name.clone();
                let history =
                    self.view(move |member, _| member.state().map(|_| member.history(&wanted))).await?;
                document("althing.history/1", &history.ok_or_else(|| no_application(&name))?)
            }
            "votes" => self.votes(query("app")).await,
            "why" => match number(call, "at_ms")? {
                Some(at) => self.why_at(call, at).await,
                None => self.why(query("subject")).await,
            },
            "everywhere" => self.everywhere(call).await,
            "audit" => self.audit(call).await,
            "health" => document("althing.health/1", &self.view(|member, _| member.health()).await?),
            "balance" => document("althing.balance/1", &self.view(|member, _| member.balance()).await?),
            "roster" => document("althing.roster/1", &self.view(|member, _| member.roster()).await?),
            "roster-history" => self.roster_history().await,
            "requests" => document("althing.requests/1", &self.view(|member, _| member.requests()).await?),
            "invitations" => {
                document("althing.invitations/1", &self.view(|member, _| member.invitations()).await?)
            }
            "version" => self.version().await,
            "items" => self.items(call).await,
            "diff" => self.diff(call).await,
            "update-diff" => self.update_diff(&needed(call, "app")?).await,
            "events" => self.events(call).await,
            "trash" => self.trash(query("app")).await,
            other => Err(Refusal::new(Code::Input, format!("there is no call {other}"))),
        }
    }

    async fn version(&self) -> Answered {
        let in_entity = self.ask(|member, _| member.state().is_some()).await?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        document(
            "althing.version/1",
            &Version { version, protocol: althing_protocol::state::PROTOCOL, in_entity },
        )
    }

    async fn member(&self, name: Option<String>) -> Answered {
        let name = match name {
            Some(name) => name,
            None => self.own_name().await,
        };
        let members = self.view(|member, _| member.members()).await?.members;
        let found = members.into_iter().find(|member| member.name == name || member.id == name);
        document("althing.member/1", &found.ok_or_else(|| no_member(&name))?)
    }

    async fn apps(&self) -> Answered {
        let applications = self.view(|member, _| member.status()).await?.applications;
        Ok(json!({ "schema": "althing.apps/1", "applications": applications }))
    }

    pub(super) async fn app(&self, name: &str) -> Result<AppView, Refusal> {
        let applications = self.view(|member, _| member.status()).await?.applications;
        applications.into_iter().find(|app| app.name == name).ok_or_else(|| no_application(name))
    }

    async fn votes(&self, app: Option<String>) -> Answered {
        let wanted = app.clone();
        let mut votes = self.view(move |member, _| member.votes(wanted.as_deref())).await?;
        for votes in votes.applications.iter_mut().filter(|votes| votes.certificate.is_none()) {
            votes.certificate = self.certificate(&votes.application).await?;
        }
        match app {
            Some(app) if votes.applications.is_empty() => Err(no_application(&app)),
            _ => document("althing.votes/1", &votes),
        }
    }

    /// What proves the revision in force, from the chain: the member itself has the newest certificate only.
    async fn certificate(&self, application: &str) -> Result<Option<CertificateView>, Refusal> {
        let wanted = application.to_owned();
        let settled = self.view(move |member, _| member.state().map(|_| member.history(&wanted))).await?;
        let Some(epoch) = settled.and_then(|history| Some(history.revisions.first()?.epoch)) else {
            return Ok(None);
        };
        let store = Arc::clone(&self.shared.store);
        let read = move || store.read_from(Family::Chain, &epoch.to_be_bytes(), 1);
        let found = tokio::task::spawn_blocking(read).await;
        let links = found.map_err(failed)?.map_err(failed)?;
        let Some((_, bytes)) = links.first() else { return Ok(None) };
        let certificate = read_link(bytes).map_err(failed)?.certificate;
        if certificate.epoch != epoch {
            // This member joined later and has not read so far back.
            return Ok(None);
        }
        let named = move |member: &Member, _: &Live| {
            let state = member.state()?;
            Some(CertificateView {
                epoch: certificate.epoch,
                round: certificate.round,
                record: certificate.value,
                signed_by: certificate.votes.iter().map(|vote| state.name_of(&vote.author)).collect(),
            })
        };
        self.view(named).await.map(Some)
    }

    /// The chain is read to its end: records that change the roster may be anywhere in it.
    async fn roster_history(&self) -> Answered {
        let (genesis, names) = self.view(|member, _| member.roster_beginning()).await?;
        let store = Arc::clone(&self.shared.store);
        let read = move || {
            let mut broken = None;
            let records =
                Records { store: &store, next: 0, page: Vec::new().into_iter(), broken: &mut broken };
            let history = roster::history(&genesis, &names, records);
            broken.map_or(Ok(history), Err)
        };
        let history = tokio::task::spawn_blocking(read).await.map_err(failed)?;
        document("althing.roster-history/1", &history.map_err(failed)?)
    }

    pub(super) async fn why(&self, subject: Option<String>) -> Answered {
        let wanted = subject.clone();
        let why = self.view(move |member, _| member.state().map(|_| member.why(wanted.as_deref()))).await?;
        let unknown = || {
            let subject = subject.unwrap_or_default();
            Refusal::new(Code::NoSuchItem, format!("there is no member or application {subject}"))
                .try_("see who and what there is", "althing status")
        };
        document("althing.why/1", &why.ok_or_else(unknown)?)
    }
}

/// The records of the chain, page by page; ends early with what is wrong in `broken`.
struct Records<'a> {
    store: &'a Store,
    next: u64,
    page: std::vec::IntoIter<Pair>,
    broken: &'a mut Option<String>,
}

impl Records<'_> {
    fn read(&mut self) -> Result<Option<Record>, String> {
        if self.page.as_slice().is_empty() {
            let page = self.store.read_from(Family::Chain, &self.next.to_be_bytes(), limits::CHAIN_RECORDS);
            self.page = page.map_err(|error| error.to_string())?.into_iter();
        }
        let Some((key, bytes)) = self.page.next() else { return Ok(None) };
        let epoch = <[u8; 8]>::try_from(key).map_err(|key| format!("a link of the chain under {key:?}"))?;
        self.next = u64::from_be_bytes(epoch) + 1;
        let link = read_link(&bytes).map_err(|error| error.to_string())?;
        Record::decode(&link.record).map(Some).map_err(|error| error.to_string())
    }
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        self.read().unwrap_or_else(|why| {
            *self.broken = Some(why);
            None
        })
    }
}

fn failed(error: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::Failed, error.to_string())
}

/// A parameter that must be there.
pub(super) fn needed(call: &Call, name: &str) -> Result<String, Refusal> {
    let missing = || Refusal::new(Code::Input, format!("the call needs the parameter {name}"));
    call.query.get(name).filter(|value| !value.is_empty()).cloned().ok_or_else(missing)
}

/// A number, if the parameter is there.
pub(super) fn number(call: &Call, name: &str) -> Result<Option<u64>, Refusal> {
    let bad = |_| Refusal::new(Code::Input, format!("the parameter {name} is not a number"));
    call.query.get(name).map(|value| value.parse().map_err(bad)).transpose()
}

/// Whether a flag is set.
pub(super) fn flag(call: &Call, name: &str) -> bool {
    call.query.get(name).is_some_and(|value| value != "0" && value != "false")
}
