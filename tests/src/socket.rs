//! The API without the program in between: HTTP/1.1 over the node's Unix socket, just enough for one call.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Calls that take longer have failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Posts to `/v1/PATH` and returns the last line of the answer; an error document is an error.
pub fn post(socket: &Path, path: &str, body: &Value) -> Result<Value> {
    let mut stream =
        UnixStream::connect(socket).with_context(|| format!("no node at {}", socket.display()))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let body = body.to_string();
    let length = body.len();
    write!(
        stream,
        "POST /v1/{path} HTTP/1.1\r\nHost: althing\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    // Lines of JSON begin with a brace; what is between them is the framing of chunks.
    let last = answer.lines().rfind(|line| line.starts_with('{'));
    let value: Value = serde_json::from_str(last.with_context(|| format!("no JSON in {answer}"))?)?;
    if value.get("error").is_some() {
        bail!("{path}: {value}");
    }
    Ok(value)
}
