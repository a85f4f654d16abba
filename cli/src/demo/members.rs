//! The members as processes. Each holds one end of a pipe and ends when the other one, here, is closed.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use althing_protocol::control::Code;
use rustix::process::{Pid, Signal, kill_process};

use super::ports;
use crate::client::Client;
use crate::error::{Failure, Result};

/// The longest path of a Unix socket (`sun_path` has 108 bytes, one of them for the end).
const SOCKET_PATH: usize = 107;
/// How long an orderly stop may take before a member is killed.
const STOPPING: Duration = Duration::from_secs(5);
/// Between two looks whether it has.
const PAUSE: Duration = Duration::from_millis(20);

/// One member.
pub(super) struct Member {
    /// `web1`
    pub(super) name: String,
    /// Its `--dir`.
    pub(super) dir: PathBuf,
    /// What it takes for the root of the file system.
    pub(super) root: PathBuf,
    /// What it prints.
    pub(super) log: PathBuf,
    port: u16,
    child: RefCell<Option<Child>>,
}

impl Member {
    /// Starts its process, anew after it was killed.
    pub(super) fn start(&self) -> Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let child = Command::new(std::env::current_exe()?)
            .arg("--dir")
            .arg(&self.dir)
            .args(["run", "--listen", &format!("127.0.0.1:{}", self.port), "--prefix"])
            .arg(&self.root)
            .args(["--allow-faults", "--until-eof"])
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C is for the demo, which then stops its members.
            .process_group(0)
            .spawn()?;
        self.child.replace(Some(child));
        Ok(())
    }

    /// As `kill -9` does.
    pub(super) fn kill(&self) -> io::Result<()> {
        match self.child.take() {
            Some(mut child) => {
                child.kill()?;
                child.wait().map(drop)
            }
            None => Ok(()),
        }
    }

    /// Talks to it, waiting so long for each answer.
    pub(super) fn client(&self, timeout: Duration) -> Client {
        Client { socket: self.dir.join("althing.sock"), on: None, timeout: Some(timeout) }
    }

    /// Asks it to stop.
    fn ask_to_stop(&self) {
        if let Some(child) = self.child.borrow_mut().as_mut() {
            drop(child.stdin.take());
            if let Ok(Some(id)) = i32::try_from(child.id()).map(Pid::from_raw) {
                // It may have gone already.
                let _ = kill_process(id, Signal::TERM);
            }
        }
    }

    /// How it ended, if it did.
    fn ended(&self) -> Option<String> {
        let status = self.child.borrow_mut().as_mut()?.try_wait().ok()??;
        Some(status.to_string())
    }

    /// The end of what it printed.
    fn last_line(&self) -> String {
        let tail = || -> io::Result<String> {
            let mut log = File::open(&self.log)?;
            let length = log.metadata()?.len();
            log.seek(SeekFrom::Start(length.saturating_sub(4096)))?;
            let mut bytes = Vec::new();
            log.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let text = tail().unwrap_or_else(|error| error.to_string());
        crate::client::printable(text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default())
    }
}

/// All members, in the order of their numbers. When they are dropped, no process is left.
pub(super) struct Members(Vec<Member>);

impl Members {
    /// Starts so many below `place`.
    pub(super) fn start(count: usize, place: &Path) -> Result<Self> {
        let ports = ports::pairs(count)?;
        let mut members = Self(Vec::new());
        for (number, port) in (1..).zip(ports) {
            let name = format!("web{number}");
            let (dir, root) = (place.join(&name), place.join(format!("{name}-root")));
            let log = place.join(format!("{name}.log"));
            let socket = dir.join("althing.sock");
            if socket.as_os_str().len() > SOCKET_PATH {
                let text = format!(
                    "{} is too long a path for a socket: choose a shorter directory",
                    socket.display()
                );
                return Err(Failure::new(Code::Input, text).into());
            }
            fs::create_dir(&dir)?;
            fs::create_dir(&root)?;
            let member = Member { name, dir, root, log, port, child: RefCell::new(None) };
            member.start()?;
            members.0.push(member);
        }
        Ok(members)
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Member] {
        &self.0
    }

    /// Fails if one ended that nobody killed.
    pub(super) fn check(&self) -> Result<()> {
        for member in &self.0 {
            if let Some(status) = member.ended() {
                let text = format!("{} ended by itself ({status})", member.name);
                return Err(Failure::new(Code::Failed, text).fact("said", member.last_line()).into());
            }
        }
        Ok(())
    }

    /// Stops all at once and in order. Names those that did not stop in time and were killed.
    pub(super) async fn stop(&self) -> Vec<&str> {
        self.0.iter().for_each(Member::ask_to_stop);
        let until = Instant::now() + STOPPING;
        let is_running = |member: &&Member| member.child.borrow().is_some() && member.ended().is_none();
        while self.0.iter().any(|member| is_running(&member)) && Instant::now() < until {
            tokio::time::sleep(PAUSE).await;
        }
        let late: Vec<&str> = self.0.iter().filter(is_running).map(|member| member.name.as_str()).collect();
        self.end();
        late
    }

    fn end(&self) {
        // Killing fails only for what has ended.
        self.0.iter().for_each(|member| drop(member.kill()));
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        self.end();
    }
}
