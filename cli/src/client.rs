//! Talking to the node: HTTP/1.1 and JSON over its Unix socket (design §11). One connection per request.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use althing_protocol::control::{Code, Progress};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::error::{Error, Failure, Result, bug};
use crate::exit;

mod answer;
mod query;

pub(crate) use answer::{Answer, Done, printable};
pub(crate) use query::Query;

/// How long a reading command waits for its answer, unless `--timeout` says otherwise.
const READING: Duration = Duration::from_secs(30);

/// Where to ask, and on whose behalf.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// The node's socket.
    pub(crate) socket: PathBuf,
    /// The member that shall answer, if not the one of the socket.
    pub(crate) on: Option<String>,
    /// `--timeout`.
    pub(crate) timeout: Option<Duration>,
}

impl Client {
    /// Asks for a document.
    pub(crate) async fn get(&self, query: &Query) -> Result<Answer> {
        let limit = self.timeout.unwrap_or(READING).saturating_add(query.patience());
        let body = async {
            let response = self.send(Method::GET, query, Bytes::new()).await?;
            let failed = !response.status().is_success();
            let status = response.status();
            let body = response.into_body().collect().await.map_err(|error| self.cut_off(&error))?.to_bytes();
            let text = String::from_utf8(body.into()).map_err(|_| bug("the node's answer is not text"))?;
            if failed {
                return Err(refusal(&text, status.as_u16()));
            }
            Answer::new(text)
        };
        within(limit, body).await
    }

    /// Asks for a change and reports how far it is until it is done.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
        mut progress: impl FnMut(&Progress),
    ) -> Result<Done<T>> {
        let work = async {
            let query = Query::new(path);
            let response = self.send(Method::POST, &query, Bytes::from(body.to_string())).await?;
            let status = response.status();
            let mut lines = Lines::new(response.into_body());
            let mut last = String::new();
            while let Some(line) = lines.next().await.map_err(|error| self.cut_off(&error))? {
                match serde_json::from_str::<Line>(&line) {
                    Ok(Line { progress: Some(at), .. }) => progress(&at),
                    Ok(Line { outcome: Some(outcome), at, answered_by, .. }) => {
                        return done(at, answered_by, outcome);
                    }
                    _ => last = line,
                }
            }
            if last.is_empty() && status.is_success() {
                Err(self.unfinished())
            } else {
                Err(refusal(&last, status.as_u16()))
            }
        };
        match self.timeout {
            Some(limit) => within(limit, work).await,
            None => work.await,
        }
    }

    /// Asks for bytes, and hands them on as they come. Each piece may take as long as a document.
    pub(crate) async fn download(
        &self,
        query: &Query,
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let limit = self.timeout.unwrap_or(READING);
        let response = within(limit, self.send(Method::GET, query, Bytes::new())).await?;
        let (status, mut body) = (response.status(), response.into_body());
        if !status.is_success() {
            let body = body.collect().await.map_err(|error| self.cut_off(&error))?.to_bytes();
            return Err(refusal(&String::from_utf8_lossy(&body), status.as_u16()));
        }
        loop {
            let frame = tokio::time::timeout(limit, body.frame()).await.map_err(|_| timed_out(limit))?;
            match frame {
                Some(frame) => {
                    take(&frame.map_err(|error| self.cut_off(&error))?.into_data().unwrap_or_default())?
                }
                None => return Ok(()),
            }
        }
    }

    async fn send(&self, method: Method, query: &Query, body: Bytes) -> Result<Response<Incoming>> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.no_node(&error))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.cut_off(&error))?;
        // Ends with the request: either side closing is seen by the answer's body.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(query.path_on(self.on.as_deref()))
            .header(header::HOST, "althing")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, application/x-ndjson")
            .body(Full::new(body))
            .map_err(|error| bug(format!("a request could not be made: {error}")))?;
        sender.send_request(request).await.map_err(|error| self.cut_off(&error))
    }

    /// Nobody listens at the socket, or we may not talk to who does.
    fn no_node(&self, error: &io::Error) -> Error {
        let socket = self.socket.display();
        if error.kind() == io::ErrorKind::PermissionDenied {
            return Failure::new(Code::Denied, format!("you may not talk to the node at {socket}"))
                .fact("reason", error)
                .fact("allowed", "the superuser, the user of the node, and the group of the socket")
                .fact("group", group_of(&self.socket))
                .into();
        }
        let reason = match error.kind() {
            io::ErrorKind::NotFound => "there is no socket: the node was never started there".to_owned(),
            io::ErrorKind::ConnectionRefused => "the socket is there, but the node is not running".to_owned(),
            _ => error.to_string(),
        };
        let failure =
            Failure::new(Code::NodeDown, format!("no node answers at {socket}")).fact("reason", reason);
        let usual = crate::socket::of(Path::new(crate::args::DIRECTORY));
        match self.socket.parent().and_then(Path::to_str) {
            Some(dir) if self.socket != usual && self.socket.ends_with("althing.sock") => {
                failure.remedy("start it", &["althing", "run", "--dir", dir]).into()
            }
            _ => failure
                .remedy("see whether it can start", &["althing", "config", "check"])
                .remedy("start it", &["althing", "run"])
                .into(),
        }
    }

    /// The connection ended before the answer did.
    fn cut_off(&self, error: &hyper::Error) -> Error {
        Failure::new(Code::NodeDown, format!("the node at {} stopped answering", self.socket.display()))
            .fact("reason", error)
            .fact("so", "what it was asked to do may have been done, or may go on")
            .remedy("see what is so", &["althing", "status"])
            .into()
    }

    fn unfinished(&self) -> Error {
        Failure::new(Code::NodeDown, format!("the node at {} ended its answer early", self.socket.display()))
            .fact("so", "what it was asked to do may have been done, or may go on")
            .remedy("see what is so", &["althing", "status"])
            .into()
    }
}

/// The group whose users may talk to a node, as far as it can be seen from outside.
fn group_of(socket: &Path) -> String {
    use std::os::unix::fs::MetadataExt as _;
    let gid = [Some(socket), socket.parent()]
        .into_iter()
        .flatten()
        .find_map(|path| Some(std::fs::metadata(path).ok()?.gid()));
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let name = |gid: u32| {
        groups.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            (fields.get(2)?.parse() == Ok(gid)).then(|| fields[0].to_owned())
        })
    };
    gid.map_or_else(|| "not to be seen".to_owned(), |gid| name(gid).unwrap_or_else(|| gid.to_string()))
}

/// A line of the answer to a change.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    at: String,
    #[serde(default)]
    answered_by: String,
    #[serde(default)]
    progress: Option<Progress>,
    #[serde(default)]
    outcome: Option<Value>,
}

fn done<T: DeserializeOwned>(at: String, answered_by: String, outcome: Value) -> Result<Done<T>> {
    let outcome = serde_json::from_value(outcome).map_err(|error| {
        bug(format!("it was done, but what came of it is not understood: {error}"))
            .fact("likely", "the node is of another version")
            .remedy("see what is so", &["althing", "status"])
    })?;
    Ok(Done { at, answered_by, outcome })
}

/// The lines of a body as they come.
struct Lines {
    body: Incoming,
    held: Vec<u8>,
}

impl Lines {
    fn new(body: Incoming) -> Self {
        Self { body, held: Vec::new() }
    }

    async fn next(&mut self) -> std::result::Result<Option<String>, hyper::Error> {
        loop {
            if let Some(end) = self.held.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.held.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line).trim().to_owned();
                if line.is_empty() {
                    continue;
                }
                return Ok(Some(line));
            }
            match self.body.frame().await {
                Some(frame) => self.held.extend(frame?.into_data().unwrap_or_default()),
                None if self.held.is_empty() => return Ok(None),
                None => self.held.push(b'\n'),
            }
        }
    }
}

/// The error that a node's answer states, or the best that can be said without one.
fn refusal(text: &str, status: u16) -> Error {
    #[derive(Deserialize)]
    struct Envelope {
        error: Failure,
    }
    match serde_json::from_str::<Envelope>(text) {
        Ok(Envelope { mut error }) => {
            debug_assert!(error.can_be_followed(), "a remedy cannot be typed: {:?}", error.remedies);
            error.document = Some(text.to_owned());
            error.into()
        }
        Err(_) => Failure::new(Code::Failed, format!("the node refused and did not say why (HTTP {status})"))
            .fact("answer", text.chars().take(200).collect::<String>())
            .fact("client", env!("CARGO_PKG_VERSION"))
            .remedy("compare the versions", &["althing", "version"])
            .into(),
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(timed_out(limit)))
}

fn timed_out(limit: Duration) -> Error {
    let span = crate::render::time::span(limit.as_secs_f64());
    Failure::new(exit::TIMED_OUT, format!("no answer within {span}"))
        .fact("so", "what the node was asked to do may go on")
        .into()
}
