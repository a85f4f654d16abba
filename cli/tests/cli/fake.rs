//! A node on a Unix socket that answers canned documents and remembers what it was asked. Plain threads: a test
//! reads as a story, and what the program under test does with its sockets is not hidden behind a library.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// `GET /v1/status`
    pub(crate) line: String,
    /// The body, `null` without one.
    pub(crate) body: Value,
}

/// What the node does with a request, step by step.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// The status line and headers; the body follows in chunks.
    Head(u16),
    /// A chunk.
    Send(String),
    /// Time goes by.
    Pause(Duration),
    /// The connection ends where it is.
    Cut,
}

/// A whole answer.
pub(crate) fn answer(status: u16, body: &str) -> Vec<Step> {
    vec![Step::Head(status), Step::Send(body.to_owned())]
}

/// A fake node; gone with its directory when dropped.
pub(crate) struct Node {
    dir: TempDir,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Node {
    /// A node that answers as `answers` says, which is told how many requests came before.
    pub(crate) fn new(answers: impl Fn(&Asked, usize) -> Vec<Step> + Send + 'static) -> Self {
        let dir = TempDir::new().expect("a directory");
        let listener = UnixListener::bind(dir.path().join("althing.sock")).expect("a socket");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(request) = receive(&stream) else { continue };
                let before = {
                    let mut seen = seen.lock().expect("no panic");
                    seen.push(request.clone());
                    seen.len() - 1
                };
                perform(stream, &answers(&request, before));
            }
        });
        Self { dir, asked }
    }

    /// A node that always answers the same.
    pub(crate) fn always(status: u16, body: &str) -> Self {
        let steps = answer(status, body);
        Self::new(move |_, _| steps.clone())
    }

    /// The program, told to talk to this node.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = althing(line);
        command.arg("--dir").arg(self.dir.path());
        command
    }

    /// Runs the program to its end, without input.
    pub(crate) fn run(&self, line: &str) -> Ran {
        Ran::of(self.command(line).output().expect("the program runs"))
    }

    /// Runs the program to its end with this on stdin.
    pub(crate) fn run_with(&self, line: &str, input: &str) -> Ran {
        let mut command = self.command(line);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().expect("the program starts");
        child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("read");
        Ran::of(child.wait_with_output().expect("the program ends"))
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }

    /// The lines of what was asked so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Exit code.
    pub(crate) code: i32,
    /// The answer.
    pub(crate) stdout: String,
    /// Messages.
    pub(crate) stderr: String,
}

impl Ran {
    /// From what a process left.
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Checks that it went well and said nothing beside its answer.
    pub(crate) fn answered(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{self:?}");
        self.stdout
    }
}

/// The program with this command line, split at spaces, in an environment of its own.
pub(crate) fn althing(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_althing"));
    command.args(line.split_whitespace()).stdin(Stdio::null());
    for variable in ["ALTHING_DIR", "ALTHING_NODE", "NO_COLOR", "CLICOLOR_FORCE", "PAGER"] {
        command.env_remove(variable);
    }
    command.env("TZ", "UTC").env("TERM", "xterm");
    command
}

fn receive(stream: &UnixStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let line = line.trim().strip_suffix(" HTTP/1.1")?.to_owned();
    Some(Asked { line, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
}

/// The program may go away at any time: that is its right.
fn perform(mut stream: UnixStream, steps: &[Step]) {
    for step in steps {
        let done = match step {
            Step::Head(status) => write!(
                stream,
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
            ),
            Step::Send(text) => write!(stream, "{:x}\r\n{text}\r\n", text.len()),
            Step::Pause(time) => {
                std::thread::sleep(*time);
                Ok(())
            }
            Step::Cut => return,
        };
        if done.is_err() {
            return;
        }
    }
    let _ = stream.write_all(b"0\r\n\r\n");
}
