//! One daemon and its directory, and the commands that are run against it.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use althing_protocol::control::Code;
use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::ports::Ports;
use crate::{Disk, Json, Tree, older, post, program, wait_until};

/// A daemon starts within this.
const START: Duration = Duration::from_secs(30);
/// Seconds after which a command hangs.
const HANGS: &str = "60";
/// Lines of a log that are shown.
const TAIL: usize = 60;

/// What a command printed and how it ended.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The command, for messages.
    pub command: String,
    /// Exit code; -1 for a signal.
    pub code: i32,
    /// All of it.
    pub stdout: String,
    /// All of it.
    pub stderr: String,
}

impl Ran {
    /// Runs a prepared command to its end.
    pub fn of(command: &mut Command, input: &str) -> Result<Self> {
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not read its input is not at fault.
            let _ = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output()?;
        Ok(Self {
            command: words.join(" "),
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// It ended with this code.
    pub fn ended(self, code: i32) -> Result<Self> {
        ensure!(self.code == code, "expected exit {code} of {self:#?}");
        Ok(self)
    }

    /// The one document that it printed, having ended well.
    pub fn document(self) -> Result<Value> {
        let ran = self.ended(0)?;
        serde_json::from_str(&ran.stdout).with_context(|| format!("not one JSON document: {ran:#?}"))
    }

    /// The error that it printed, with this exit code and number, and nothing on standard output (cli.md).
    pub fn refused(self, exit: i32, code: &str) -> Result<Value> {
        let ran = self.ended(exit)?;
        ensure!(ran.stdout.is_empty(), "an error with something on standard output: {ran:#?}");
        let document: Value = serde_json::from_str(&ran.stderr)
            .with_context(|| format!("not one JSON document on standard error: {ran:#?}"))?;
        ensure!(document.text("/schema")? == "althing.error/1", "{document}");
        ensure!(document.text("/error/code")? == code, "expected {code} in {document}");
        ensure!(document.number("/error/exit")? == exit as u64, "{document}");
        has_the_shape(&document).with_context(|| document.to_string())?;
        Ok(document)
    }
}

/// What scripts rely on in every error (cli.md "JSON contract").
fn has_the_shape(document: &Value) -> Result<()> {
    ensure!(document.text("/at")?.ends_with('Z'), "a moment");
    let code = document.text("/error/code")?;
    if let Some(known) = Code::ALL.iter().find(|known| known.number() == code) {
        ensure!(document.text("/error/name")? == known.name(), "its name is {}", known.name());
        ensure!(document.number("/error/exit")? == u64::from(known.exit()), "its exit is {}", known.exit());
    }
    ensure!(!document.text("/error/message")?.is_empty(), "no message");
    ensure!(document.at("/error/facts")?.as_object().is_some(), "facts by name");
    ensure!(document.text("/error/explain")? == format!("althing explain {code}"), "what explains it");
    ensure!(!document.list("/error/remedies")?.is_empty(), "nothing to do");
    for remedy in document.list("/error/remedies")? {
        ensure!(!remedy.text("/text")?.is_empty(), "{remedy}");
        ensure!(remedy.texts("/command")?.first() == Some(&"althing"), "{remedy}");
    }
    Ok(())
}

/// A member, running or not.
#[derive(Debug)]
pub struct Member {
    /// `web1`
    pub name: String,
    /// Its `--dir`.
    pub dir: PathBuf,
    /// Its `--prefix`.
    pub prefix: PathBuf,
    /// The newest protocol version that its program speaks, if it is to behave as an older one.
    pub speaks: Option<u32>,
    /// What its daemon logs, if not what it does by itself or the environment says.
    pub level: Option<String>,
    /// Whether its daemon may give files to other users.
    pub may_give_files: bool,
    log: PathBuf,
    ports: Ports,
    process: Option<Child>,
    /// What `dir` and `prefix` lie on, if it is a disk of its own. After the process, so that it goes last.
    disk: Option<Disk>,
    config: Option<PathBuf>,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Member {
    /// A member that was never started.
    pub(crate) fn new(base: &Path, name: &str) -> Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            dir: base.join(name),
            prefix: base.join(format!("{name}-root")),
            speaks: None,
            level: None,
            may_give_files: true,
            log: base.join(format!("{name}.log")),
            ports: Ports::take()?,
            process: None,
            disk: None,
            config: None,
        })
    }

    /// A member that was never started, on a disk from which the power can be taken.
    pub(crate) fn on_disk(base: &Path, name: &str) -> Result<Self> {
        let disk = Disk::make(base, name)?;
        let mut member = Self::new(base, name)?;
        member.dir = disk.path().join("althing");
        member.prefix = disk.path().join("root");
        member.disk = Some(disk);
        Ok(member)
    }

    /// Where messages go.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.first)
    }

    /// Both of its ports, as `127.0.0.1:7800`.
    pub fn listening(&self) -> [String; 2] {
        [self.ports.first, self.ports.first + 1].map(|port| format!("127.0.0.1:{port}"))
    }

    /// The daemon's process, if it runs.
    pub fn process(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// The program that this machine has.
    fn program(&self) -> Result<PathBuf> {
        let older = if self.speaks.is_some() { older()? } else { None };
        older.map_or_else(|| Ok(program()?.to_owned()), Ok)
    }

    /// The command that runs the daemon.
    pub fn daemon(&self) -> Result<Command> {
        // The daemon dies with this process even if that is killed: no handler of ours would run then.
        let mut command = if Path::new("/usr/bin/setpriv").exists() {
            let mut command = Command::new("/usr/bin/setpriv");
            command.args(["--pdeathsig", "KILL"]);
            if !self.may_give_files {
                command.args(["--bounding-set", "-chown", "--inh-caps", "-chown"]);
            }
            command.arg(self.program()?);
            command
        } else {
            ensure!(self.may_give_files, "needs setpriv to take rights away");
            Command::new(self.program()?)
        };
        command.arg("--dir").arg(&self.dir).args(["run", "--allow-faults", "--listen", &self.address()]);
        command.arg("--prefix").arg(&self.prefix).env_remove("ALTHING_SPEAKS");
        if let Some(config) = &self.config {
            command.arg("--config").arg(config);
        }
        if let Some(speaks) = self.speaks {
            command.env("ALTHING_SPEAKS", speaks.to_string());
        }
        if let Some(level) = self.level.clone().or_else(|| std::env::var("ALTHING_LOG").ok()) {
            command.args(["--log", &level]);
        }
        Ok(command)
    }

    /// The configuration file of this machine, from its next start on.
    pub fn configure(&mut self, config: &Path) {
        self.config = Some(config.to_owned());
    }

    /// Starts the daemon, without waiting until it answers.
    pub fn launch(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "{} is running", self.name);
        let mut log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        writeln!(log, "--- started by the test")?;
        let errors: File = log.try_clone()?;
        self.process = Some(self.daemon()?.stdin(Stdio::null()).stdout(log).stderr(errors).spawn()?);
        Ok(())
    }

    /// Starts the daemon and waits until it answers.
    pub fn start(&mut self) -> Result<()> {
        self.launch()?;
        self.answers()
    }

    /// Waits until the daemon answers.
    pub fn answers(&mut self) -> Result<()> {
        let what = format!("{} answers", self.name);
        wait_until(START, &what, || {
            if let Some(Ok(Some(status))) = self.process.as_mut().map(Child::try_wait) {
                return Err(format!("it ended: {status}"));
            }
            let ran = self.run(&["version", "--json"]).map_err(|error| error.to_string())?;
            let answered = ran.code == 0 && ran.stdout.contains("in_entity");
            if answered { Ok(()) } else { Err(format!("{ran:?}")) }
        })?;
        Ok(())
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Sends its process a signal, if it runs.
    pub fn signal(&self, signal: rustix::process::Signal) -> Result<()> {
        if let Some(process) = &self.process {
            rustix::process::kill_process(rustix::process::Pid::from_child(process), signal)?;
        }
        Ok(())
    }

    /// The power is gone: at one moment the process stands still and its disk takes no more; what was not on it by then
    /// is lost. The disk is mounted again, and nothing is started.
    pub fn cut_power(&mut self) -> Result<()> {
        self.signal(rustix::process::Signal::STOP)?;
        self.disk.as_mut().context("a disk of its own")?.cut()?;
        self.kill();
        self.disk.as_mut().context("a disk of its own")?.mount_again()
    }

    /// Copies everything of this machine elsewhere, as a snapshot of its disk at one moment: the process stands still
    /// meanwhile.
    pub fn snapshot(&self, to: &Path) -> Result<()> {
        self.signal(rustix::process::Signal::STOP)?;
        let copied = fs::create_dir_all(to).map_err(anyhow::Error::from).and_then(|()| {
            copy(&self.dir, &to.join("dir"))?;
            copy(&self.prefix, &to.join("prefix"))
        });
        self.signal(rustix::process::Signal::CONT)?;
        copied
    }

    /// Puts a snapshot back in the place of everything there is. The daemon must not run.
    pub fn put_back(&self, from: &Path) -> Result<()> {
        self.lose_everything()?;
        copy(&from.join("dir"), &self.dir)?;
        copy(&from.join("prefix"), &self.prefix)
    }

    /// Nothing is left of this machine. The daemon must not run.
    pub fn lose_everything(&self) -> Result<()> {
        ensure!(self.process.is_none(), "{} is running", self.name);
        for path in [&self.dir, &self.prefix].into_iter().filter(|path| path.exists()) {
            fs::remove_dir_all(path)?;
        }
        Ok(())
    }

    /// From the next start on it listens elsewhere.
    pub fn move_elsewhere(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "{} is running", self.name);
        self.ports = Ports::take()?;
        Ok(())
    }

    /// SIGTERM, as a service manager stops it; returns how it ended.
    pub fn stop(&mut self) -> Result<std::process::ExitStatus> {
        let mut process = self.process.take().context("not running")?;
        let pid = rustix::process::Pid::from_child(&process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let mut ended = None;
        let waited = wait_until(START, &format!("{} stops", self.name), || match process.try_wait() {
            Ok(Some(status)) => {
                ended = Some(status);
                Ok(())
            }
            other => Err(format!("{other:?}")),
        });
        if waited.is_err() {
            process.kill()?;
            process.wait()?;
        }
        waited?;
        ended.context("stopped")
    }

    /// kill -9 and start.
    pub fn restart(&mut self) -> Result<()> {
        self.kill();
        self.start()
    }

    /// Whether the daemon was started and not ended by the test.
    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Whether the daemon ended by itself: it never may.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.process.as_mut()?.try_wait().ok().flatten()
    }

    /// A command against this member, not run yet.
    pub fn command(&self, words: &[&str]) -> Result<Command> {
        // A command that hangs is a bug that must show, not a test that never ends.
        let mut command = Command::new("timeout");
        command.args(["-s", "KILL", HANGS]).arg(self.program()?).arg("--dir").arg(&self.dir).args(words);
        command.env_remove("ALTHING_DIR").env_remove("ALTHING_NODE").env("NO_COLOR", "1").env("TZ", "UTC");
        Ok(command)
    }

    /// Runs a command against this member.
    pub fn run(&self, words: &[&str]) -> Result<Ran> {
        Ran::of(&mut self.command(words)?, "")
    }

    /// Runs a command with `--json` and returns the document; anything but exit 0 is an error.
    pub fn json(&self, words: &[&str]) -> Result<Value> {
        self.run(&[words, &["--json"]].concat())?.document()
    }

    /// Runs a command with `--json` that must be refused so.
    pub fn refused(&self, exit: i32, code: &str, words: &[&str]) -> Result<Value> {
        self.run(&[words, &["--json"]].concat())?.refused(exit, code)
    }

    /// `join - -y` with this invitation.
    pub fn join(&self, invitation: &str) -> Result<Ran> {
        let words = ["join", "-", "-y", "--json", "--timeout", "40s", "--member-name", &self.name];
        Ran::of(&mut self.command(&words)?, invitation)
    }

    /// Cuts this member's connections to others, by name; an empty list heals.
    pub fn block(&self, members: &[&str]) -> Result<()> {
        let body = serde_json::json!({ "members": members });
        post(&self.dir.join("althing.sock"), "debug/block", &body).map(|_| ())
    }

    /// This member's disk is full at the write after so many more, for so long; the next call replaces what was asked.
    pub fn fill_disk(&self, after: u64, lasts: Duration) -> Result<()> {
        let milliseconds = u64::try_from(lasts.as_millis())?;
        self.debug("debug/disk", &serde_json::json!({ "full_after": after, "milliseconds": milliseconds }))
    }

    /// From now on no change of a file leaves a stamp that this member believes, until it is called with `false`.
    pub fn blind(&self, blind: bool) -> Result<()> {
        self.debug("debug/disk", &serde_json::json!({ "blind": blind }))
    }

    /// Has this member read all content of its store again, at once.
    pub fn scrub(&self) -> Result<()> {
        self.debug("debug/scrub", &serde_json::json!({}))
    }

    fn debug(&self, call: &str, body: &Value) -> Result<()> {
        post(&self.dir.join("althing.sock"), call, body).map(|_| ())
    }

    /// Where an application's root is.
    pub fn root(&self, application: &str) -> PathBuf {
        self.prefix.join("srv").join(application)
    }

    /// Whether the application's tree is this one.
    pub fn has(&self, application: &str, tree: &Tree) -> Result<(), String> {
        tree.is_at(&self.root(application)).map_err(|differs| format!("{}: {differs}", self.name))
    }

    /// Revision and root of an application as `status` says them.
    pub fn revision(&self, application: &str) -> Result<(u64, String)> {
        let shown = self.json(&["app", "show", application])?;
        Ok((shown.number("/revision")?, shown["root"].as_str().unwrap_or_default().to_owned()))
    }

    /// Most memory that the daemon has had at once, in bytes.
    pub fn most_memory(&self) -> Result<u64> {
        let process = self.process.as_ref().context("not running")?;
        // The daemon is what `setpriv` became: it has its process id.
        let status = fs::read_to_string(format!("/proc/{}/status", process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")).context("no VmHWM")?;
        Ok(kib.trim().parse::<u64>()? << 10)
    }

    /// Where its content is asked for.
    pub fn bulk_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.first + 1)
    }

    /// All that it has logged.
    pub fn whole_log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        let text = self.whole_log();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}

/// A directory as `cp -a` copies it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status()?;
    ensure!(status.success(), "cp -a {} {}: {status}", from.display(), to.display());
    Ok(())
}
