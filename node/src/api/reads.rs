//! Calls that only look.

use althing_protocol::control::{Code, Refusal};
use althing_protocol::view::{AppView, Version};
use serde_json::json;

use super::{Answered, Api, Call, document, no_application, no_member, not_in_entity};

impl Api {
    pub(super) async fn read(&self, call: &Call) -> Answered {
        let query = |name: &str| call.query.get(name).cloned();
        match call.path.as_str() {
            "status" => document("althing.status/1", &self.view(|member, _| member.status()).await?),
            "members" => document("althing.members/1", &self.view(|member, _| member.members()).await?),
            "member" => self.member(query("name")).await,
            "apps" => self.apps().await,
            "app" => document("althing.app/1", &self.app(&needed(call, "name")?).await?),
            "update" => document("althing.window/1", &self.app(&needed(call, "app")?).await?),
            "history" => {
                let name = needed(call, "app")?;
                let wanted = name.clone();
                let history =
                    self.view(move |member, _| member.state().map(|_| member.history(&wanted))).await?;
                document("althing.history/1", &history.ok_or_else(|| no_application(&name))?)
            }
            "votes" => self.votes(query("app")).await,
            "why" => self.why(query("subject")).await,
            "health" => document("althing.health/1", &self.view(|member, _| member.health()).await?),
            "balance" => document("althing.balance/1", &self.view(|member, _| member.balance()).await?),
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
        let votes = self.view(move |member, _| member.votes(wanted.as_deref())).await?;
        match app {
            Some(app) if votes.applications.is_empty() => Err(no_application(&app)),
            _ => document("althing.votes/1", &votes),
        }
    }

    async fn why(&self, subject: Option<String>) -> Answered {
        let wanted = subject.clone();
        let (inside, why) =
            self.ask(move |member, _| (member.state().is_some(), member.why(wanted.as_deref()))).await?;
        if !inside {
            return Err(not_in_entity());
        }
        let unknown = || {
            let subject = subject.unwrap_or_default();
            Refusal::new(Code::NoSuchItem, format!("there is no member or application {subject}"))
                .try_("see who and what there is", "althing status")
        };
        document("althing.why/1", &why.ok_or_else(unknown)?)
    }
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
