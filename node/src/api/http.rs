//! The Unix socket: who may call is a matter of the file's mode, who calls is told by the kernel.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Query, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::{Api, Call, wall};

/// A body of a call: far above any command.
const BODY_BYTES: usize = 1 << 20;
/// A call's head and body must be here by then: who may open the socket must still not hold its connections for ever.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Calls under way at once; more wait to be accepted.
const CALLS: usize = 256;

/// Removes the socket's file when the daemon ends.
pub(crate) struct Socket(std::path::PathBuf);

impl Drop for Socket {
    fn drop(&mut self) {
        // Left behind, it is replaced at the next start.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The group that may give commands where no other is named.
const GROUP: &str = "althing";

/// Listens on a socket of the file system, for the superuser, the user of this process, and a group. The store's lock
/// is held: a socket that is there belongs to a daemon that died.
pub(crate) fn listen(
    api: Api,
    path: &Path,
    group: Option<&str>,
    stop: CancellationToken,
) -> anyhow::Result<Socket> {
    let gid = group_id(&std::fs::read_to_string("/etc/group").unwrap_or_default(), group.unwrap_or(GROUP));
    if let (Some(group), None) = (group, gid) {
        anyhow::bail!("there is no group {group} on this machine (api.group)");
    }
    make_directory(path, gid)?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).context("the old socket");
        }
        _ => {}
    }
    let listener =
        UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
    hand_over(path, gid)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    tokio::spawn(accept(listener, api, stop));
    Ok(Socket(path.to_owned()))
}

/// Makes the directory of the socket if it is not there: the group may go through it, others may not.
fn make_directory(socket: &Path, gid: Option<u32>) -> anyhow::Result<()> {
    let Some(directory) = socket.parent().filter(|directory| !directory.exists()) else { return Ok(()) };
    std::fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {} for the socket", directory.display()))?;
    hand_over(directory, gid)?;
    Ok(std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o750))?)
}

/// Gives a file to the group. Who is not the superuser may only give it to a group of its own; it stays as it is then.
fn hand_over(path: &Path, gid: Option<u32>) -> anyhow::Result<()> {
    let Some(gid) = gid else { return Ok(()) };
    match std::os::unix::fs::chown(path, None, Some(gid)) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            tracing::info!(gid, path = %path.display(), "not given to the group: this process may not");
            Ok(())
        }
        given => given.with_context(|| format!("cannot give {} to the group {gid}", path.display())),
    }
}

/// The number of a group, from the text of `/etc/group`.
fn group_id(groups: &str, name: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        if fields.first() == Some(&name) { fields.get(2)?.parse().ok() } else { None }
    })
}

async fn accept(listener: UnixListener, api: Api, stop: CancellationToken) {
    let calls = Arc::new(Semaphore::new(CALLS));
    loop {
        let Ok(call) = Arc::clone(&calls).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let api = api.clone();
                tokio::spawn(async move {
                    serve(stream, api).await;
                    drop(call);
                });
            }
            Err(error) => {
                // Too many open files: the calls under way will end.
                tracing::warn!(%error, "a call was not accepted");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: UnixStream, api: Api) {
    let by =
        stream.peer_cred().map_or_else(|_| "unknown".to_owned(), |credentials| user_name(credentials.uid()));
    let router = Router::new().fallback(handle).with_state((api, by));
    let service = hyper_util::service::TowerToHyperService::new(router);
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(hyper_util::rt::TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(hyper_util::rt::TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a call ended early");
    }
}

/// The name of a user, or its number.
fn user_name(uid: u32) -> String {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.get(2)?.parse() == Ok(uid)).then(|| fields[0].to_owned())
    });
    named.unwrap_or_else(|| uid.to_string())
}

async fn handle(
    State((api, by)): State<(Api, String)>,
    method: Method,
    uri: Uri,
    Query(query): Query<BTreeMap<String, String>>,
    body: Body,
) -> Response {
    let path = uri.path().trim_start_matches("/v1/").to_owned();
    let body = match tokio::time::timeout(HEAD_WITHIN, to_bytes(body, BODY_BYTES)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large").into_response(),
        Err(_) => return (StatusCode::REQUEST_TIMEOUT, "the body did not come").into_response(),
    };
    let body = (method != Method::GET).then(|| String::from_utf8_lossy(&body).into_owned());
    let changes = body.is_some();
    let call = Call { path, query, body, by };
    if changes {
        return stream_answer(api, call);
    }
    if call.path == "backup" {
        return match api.backup(&call).await {
            Ok(frames) => stream_backup(frames),
            Err(refusal) => {
                let value = super::error_document(&refusal, "");
                json_response(status_of(&value), &value)
            }
        };
    }
    match api.answer(call, None).await {
        Ok(value) => json_response(StatusCode::OK, &value),
        Err(value) => json_response(status_of(&value), &value),
    }
}

fn status_of(error: &Value) -> StatusCode {
    match error["error"]["exit"].as_u64() {
        Some(105) => StatusCode::NOT_FOUND,
        Some(64 | 65) => StatusCode::BAD_REQUEST,
        Some(77) => StatusCode::FORBIDDEN,
        Some(69 | 75 | 106) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::CONFLICT,
    }
}

fn json_response(status: StatusCode, value: &Value) -> Response {
    let mut text = value.to_string();
    text.push('\n');
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// The frames as they come.
fn stream_backup(frames: mpsc::Receiver<Vec<u8>>) -> Response {
    let frames = stream::unfold(frames, |mut frames| async move {
        let frame = frames.recv().await?;
        Some((Ok::<_, Infallible>(frame), frames))
    });
    ([(header::CONTENT_TYPE, "application/octet-stream")], Body::from_stream(frames)).into_response()
}

/// Progress as it comes, then the answer, each a line.
fn stream_answer(api: Api, call: Call) -> Response {
    let (lines, receiver) = mpsc::unbounded_channel::<Value>();
    tokio::spawn(async move {
        let (progress, mut told) = mpsc::unbounded_channel();
        let forward = {
            let lines = lines.clone();
            async move {
                while let Some(progress) = told.recv().await {
                    if lines.send(json!({ "at": wall().rfc3339(), "progress": progress })).is_err() {
                        return;
                    }
                }
            }
        };
        let (answer, ()) = futures::join!(api.answer(call, Some(progress)), forward);
        let (Ok(value) | Err(value)) = answer;
        // Whoever asked may have gone; what it asked for goes on.
        let _ = lines.send(value);
    });
    let lines = stream::unfold(receiver, |mut receiver| async move {
        let value = receiver.recv().await?;
        Some((Ok::<_, Infallible>(format!("{value}\n")), receiver))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_by_name() {
        let groups = "root:x:0:\nalthing:x:997:ada,bo\nalthing2:x:998:\n";
        assert_eq!(group_id(groups, "althing"), Some(997));
        assert_eq!(group_id(groups, "nobody"), None);
    }

    #[test]
    fn the_directory_of_a_socket_is_not_for_others() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("run/althing.sock");
        make_directory(&path, None).expect("made");
        let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o7777;
        let run = dir.path().join("run");
        assert_eq!(mode(&run), 0o750);
        // What is there already keeps its mode.
        std::fs::set_permissions(&run, std::fs::Permissions::from_mode(0o700)).expect("set");
        make_directory(&path, None).expect("there");
        assert_eq!(mode(&run), 0o700);
    }
}
