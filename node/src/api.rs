//! The API: HTTP with JSON over a Unix socket for this machine, and the same calls carried to any peer (design §9).
//!
//! A [`Call`] is answered the same way wherever it comes from; `on=MEMBER` has it answered by that member.

mod afar;
mod candidate;
mod chain;
mod changes;
mod content;
mod events;
mod everywhere;
mod http;
mod past;
mod reads;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) use althing_protocol::call::Call;
use althing_protocol::control::{Code, Refusal};
use althing_protocol::identity::MemberId;
use althing_protocol::member::Member;
use althing_protocol::statement::Address;
use althing_protocol::time::WallTime;
use althing_store::Store;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use chain::for_each_link;
pub(crate) use http::listen;

use crate::daemon::{Happening, Live, ending};
use crate::net::{Net, NetError, PeerKey};
use crate::serving::Serving;

/// A peer that answers a relayed call takes at most this long, unless the call says otherwise.
const RELAY: Duration = Duration::from_secs(10);
/// Changing calls may wait for content to spread.
const RELAY_CHANGE: Duration = Duration::from_secs(119);

/// What a call is answered with: lines of JSON, the last of which is the answer.
pub(crate) type Answered = Result<Value, Refusal>;

#[derive(Clone)]
pub(crate) struct Api {
    shared: Arc<Shared>,
}

/// What every call may need.
pub(crate) struct Shared {
    pub(crate) store: Arc<Store>,
    pub(crate) net: Net,
    pub(crate) to: mpsc::Sender<Happening>,
    /// Number of the newest event.
    pub(crate) events: watch::Receiver<u64>,
    /// Where this member listens.
    pub(crate) address: Address,
    /// Turns of other members at whole trees.
    pub(crate) trees: Mutex<Serving>,
    /// Whether calls may cut this member off.
    pub(crate) faults: bool,
}

impl Api {
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// Asks the loop something about the member.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Member, &Live) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let (answer, answered) = oneshot::channel();
        let query = Happening::Query(Box::new(move |member, live| {
            // Whoever asked may have gone.
            let _ = answer.send(question(member, live));
        }));
        self.shared.to.send(query).await.map_err(|_| ending())?;
        answered.await.map_err(|_| ending())
    }

    /// Asks for a document that only a member of an entity has.
    async fn view<T: Send + 'static>(
        &self,
        view: impl FnOnce(&Member, &Live) -> Option<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        let found = self.ask(move |member, live| view(member, live).ok_or_else(|| not_in_entity(member)));
        found.await?
    }

    /// The name of this member in its entity.
    async fn own_name(&self) -> String {
        let name = self.ask(|member, _| member.state().map(|state| state.name_of(&member.id()))).await;
        name.ok().flatten().unwrap_or_default()
    }

    /// The name of another member.
    async fn name_of(&self, peer: PeerKey) -> String {
        let id = MemberId(peer);
        let name = self.ask(move |member, _| member.state().map(|state| state.name_of(&id))).await;
        name.ok().flatten().unwrap_or_else(|| id.to_string())
    }

    /// Answers a call here or on another member. `progress` takes lines that come before the answer.
    pub(crate) async fn answer(
        &self,
        call: Call,
        progress: Option<mpsc::UnboundedSender<Value>>,
    ) -> Result<Value, Value> {
        match self.target(&call).await {
            Ok(None) => self.answer_here(&call, progress).await,
            Ok(Some(peer)) => self.relay(peer, call).await,
            Err(refusal) => Err(error_document(&refusal, &self.own_name().await)),
        }
    }

    async fn answer_here(
        &self,
        call: &Call,
        progress: Option<mpsc::UnboundedSender<Value>>,
    ) -> Result<Value, Value> {
        let by = self.own_name().await;
        match self.here(call, progress).await {
            Ok(Value::Object(mut document)) => {
                document.entry("at").or_insert_with(|| json!(wall().rfc3339()));
                document.entry("answered_by").or_insert_with(|| json!(by));
                Ok(Value::Object(document))
            }
            Ok(other) => Ok(other),
            Err(refusal) => Err(error_document(&refusal, &by)),
        }
    }

    /// The member that shall answer, if it is another.
    async fn target(&self, call: &Call) -> Result<Option<PeerKey>, Refusal> {
        let Some(name) = call.query.get("on").cloned() else { return Ok(self.deputy(call).await) };
        let wanted = name.clone();
        let found = self.view(move |member, _| {
            member.state().map(|state| state.member_named(&wanted).map(|found| found.id))
        });
        let id = found.await?.ok_or_else(|| no_member(&name))?;
        Ok((id.0 != self.shared.net.key()).then_some(id.0))
    }

    async fn relay(&self, peer: PeerKey, mut call: Call) -> Result<Value, Value> {
        let name = match call.query.remove("on") {
            Some(name) => name,
            None => self.name_of(peer).await,
        };
        let patience = if call.body.is_some() { RELAY_CHANGE } else { RELAY };
        let body = serde_json::to_vec(&call).unwrap_or_default();
        let changes = call.body.is_some();
        let failed = |error: &NetError| error_document(&unanswered(&name, error, changes), "");
        let answer = self.shared.net.request(peer, body, patience).await.map_err(|error| failed(&error))?;
        let value: Value =
            serde_json::from_slice(&answer).map_err(|error| failed(&NetError::Broken(error.to_string())))?;
        if value.get("error").is_some() { Err(value) } else { Ok(value) }
    }

    /// Answers a peer's call. Only members of the roster may call.
    pub(crate) async fn relayed(&self, from: MemberId, body: &[u8]) -> Vec<u8> {
        let name = self.ask(move |member, _| {
            member.state().and_then(|state| state.member(&from).map(|m| m.name.clone()))
        });
        let value = match (name.await.ok().flatten(), serde_json::from_slice::<Call>(body)) {
            (Some(name), Ok(mut call)) => {
                // It was sent here: nothing is passed on twice.
                call.query.remove("on");
                call.by = format!("{}@{name}", call.by);
                self.answer_from_afar(from, &call).await
            }
            (None, _) => error_document(&Refusal::new(Code::Denied, "not a member of this entity"), ""),
            (_, Err(error)) => error_document(&Refusal::new(Code::Input, error.to_string()), ""),
        };
        serde_json::to_vec(&value).unwrap_or_default()
    }

    async fn answer_from_afar(&self, from: MemberId, call: &Call) -> Value {
        let own = self.own_name().await;
        if let Err(refusal) = afar::refuse(call, &own) {
            return error_document(&refusal, &own);
        }
        let _turn = if afar::takes_a_tree(call) {
            let turn = self.shared.trees.lock().unwrap_or_else(PoisonError::into_inner).turn(from);
            let Some(turn) = turn.await else { return error_document(&afar::too_many(), &own) };
            Some(turn)
        } else {
            None
        };
        match self.answer_here(call, None).await {
            Ok(value) | Err(value) => value,
        }
    }

    async fn here(&self, call: &Call, progress: Option<mpsc::UnboundedSender<Value>>) -> Answered {
        if call.body.is_some() {
            return self.change(call, progress).await;
        }
        self.read(call).await
    }
}

/// `{"schema":"althing.error/1",…}` (cli.md "JSON contract").
pub(crate) fn error_document(refusal: &Refusal, answered_by: &str) -> Value {
    let facts: serde_json::Map<String, Value> =
        refusal.facts.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let code = refusal.code;
    let mut remedies: Vec<Value> =
        refusal.remedies.iter().map(|(text, command)| json!({"text": text, "command": command})).collect();
    if remedies.is_empty() {
        // Never without a way on: then what the code's page says.
        let words = |command: &str| command.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let page = code.page().remedies.iter();
        remedies = page.map(|(text, command)| json!({"text": text, "command": words(command)})).collect();
    }
    json!({
        "schema": "althing.error/1",
        "at": wall().rfc3339(),
        "answered_by": answered_by,
        "error": {
            "code": code.number(), "name": code.name(), "exit": code.exit(), "message": refusal.message,
            "facts": facts, "remedies": remedies, "explain": format!("althing explain {}", code.number()),
        },
    })
}

/// A document with its schema; time and member are added by [`Api::answer`].
fn document(schema: &str, body: &impl Serialize) -> Answered {
    let body = serde_json::to_value(body).map_err(|error| Refusal::new(Code::Failed, error.to_string()))?;
    let Value::Object(fields) = body else { return Ok(body) };
    let mut document = serde_json::Map::new();
    document.insert("schema".into(), json!(schema));
    document.extend(fields);
    Ok(Value::Object(document))
}

fn wall() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime(since.as_millis() as u64)
}

/// What is so when a member that was asked gave no answer. A change that may have reached it may go on there.
fn unanswered(name: &str, error: &NetError, changes: bool) -> Refusal {
    let arrived = matches!(error, NetError::Timeout | NetError::Unanswered | NetError::Broken(_));
    if changes && arrived {
        let text = format!("{name} was asked and has not said how it ended: it may be done, or go on there");
        return Refusal::new(Code::Undecided, text)
            .fact("reason", error)
            .try_("see where it stands", "althing status")
            .try_("see what was settled", "althing audit --since 10m");
    }
    Refusal::new(Code::PeerDown, format!("{name} does not answer: {error}"))
        .fact("so", "nothing was asked of it")
        .try_("see who is heard", "althing member list")
}

fn not_in_entity(member: &Member) -> Refusal {
    let refusal = Refusal::new(Code::NotInEntity, "this machine is not in an entity yet");
    if let Some(joining) = member.joining() {
        // What is under way must not be begun again.
        return refusal.fact("joining", joining).try_("see how it is", "althing status");
    }
    refusal
        .try_("begin a new one", "althing init --name ENTITY")
        .try_("join one, with an invitation from any of its members", "althing join")
}

fn no_member(name: &str) -> Refusal {
    Refusal::new(Code::NoSuchMember, format!("there is no member {name}"))
        .try_("see who there is", "althing member list")
}

fn no_application(name: &str) -> Refusal {
    Refusal::new(Code::NoSuchApplication, format!("there is no application {name}"))
        .try_("see which there are", "althing app list")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_may_have_arrived_is_not_called_undone() {
        let code = |error: NetError, changes: bool| unanswered("web2", &error, changes).code;
        for error in [NetError::Timeout, NetError::Unanswered, NetError::Broken("reset".into())] {
            assert_eq!(code(error.clone(), true), Code::Undecided, "{error}");
            assert_eq!(code(error.clone(), false), Code::PeerDown, "{error}");
        }
        for error in [NetError::NotConnected, NetError::Stranger, NetError::Busy] {
            assert_eq!(code(error.clone(), true), Code::PeerDown, "{error}");
        }
    }

    #[test]
    fn an_error_is_never_without_a_way_on() {
        for code in Code::ALL {
            let document = error_document(&Refusal::new(*code, "no"), "web1");
            let remedies = document["error"]["remedies"].as_array().map_or(0, Vec::len);
            assert!(remedies > 0, "{document}");
        }
    }
}
