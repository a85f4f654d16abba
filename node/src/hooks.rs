//! Hooks: programs of an application's settled content, run by the daemon as its own user (docs/threats.md). The bytes
//! that run come from the store by their settled names, never from the live tree, into a directory that is the
//! daemon's own; there is no shell between, the environment holds what is documented and nothing else, and what takes
//! too long is killed with everything that it started. Of one application one runs at a time, also after the daemon
//! was killed in the middle of one: `earlier.rs`.

mod earlier;

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use althing_protocol::hash::Hash;
use althing_protocol::manifest::Item;
use althing_protocol::path::ItemPath;
use althing_protocol::rollout::{Hook, Kind, Ran};
use althing_store::{Purpose, Store};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process_group};

pub(crate) use self::earlier::tidy;

/// Output that is kept for people; the rest is read and dropped.
const OUTPUT: usize = 300;
/// The end of a hook is looked for this often.
const PAUSE: Duration = Duration::from_millis(10);
/// A program that was just written may be held open by another thread's child for a moment.
const BUSY_TRIES: u32 = 50;
/// Where hooks find programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What is to be run.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Of which application.
    pub(crate) application: String,
    /// This member's name.
    pub(crate) member: String,
    /// When.
    pub(crate) kind: Kind,
    /// What.
    pub(crate) hook: Hook,
    /// The settled root that the program is taken from.
    pub(crate) from: Hash,
    /// The root that it is about.
    pub(crate) root: Hash,
    /// The number of that revision.
    pub(crate) revision: u64,
    /// The live tree.
    pub(crate) live: PathBuf,
    /// A directory of the daemon for this run alone; absent before and after.
    pub(crate) place: PathBuf,
}

/// Runs it to its end, or to the end of its time.
pub(crate) fn run(store: &Store, request: &Request) -> Ran {
    let ran =
        attempt(store, request).unwrap_or_else(|error| Ran::Badly(format!("could not be run: {error}")));
    if let Err(error) = clear(&request.place) {
        tracing::warn!(place = %request.place.display(), %error, "what a hook was run in was not removed");
    }
    ran
}

fn attempt(store: &Store, request: &Request) -> io::Result<Ran> {
    let Some((mode, content)) = program_of(store, request)? else { return Ok(Ran::Absent) };
    if mode & 0o111 == 0 {
        return Ok(Ran::Badly("is not executable".to_owned()));
    }
    if !earlier::end(&request.place)? {
        return Ok(Ran::Badly("waits for an earlier run, which cannot be ended".to_owned()));
    }
    clear(&request.place)?;
    fs::create_dir_all(&request.place)?;
    fs::set_permissions(&request.place, Permissions::from_mode(0o700))?;
    let lives = earlier::mark(&request.place)?;
    let program = request.place.join("hook");
    copy(store, &content, &program, 0o500)?;
    let root = match request.kind {
        Kind::After => request.live.clone(),
        Kind::Check => {
            let staged = request.place.join("staged");
            materialise(store, &request.root, &staged)?;
            staged
        }
    };
    let mut child = start(&program, (&root, &lives), request)?;
    earlier::name(&request.place, &child)?;
    watch(&mut child, Duration::from_millis(request.hook.limit.0))
}

/// Mode and content of the program, if it is there.
fn program_of(store: &Store, request: &Request) -> io::Result<Option<(u32, Hash)>> {
    let Ok(path) = ItemPath::new(request.hook.path.as_bytes()) else { return Ok(None) };
    let manifest = store.manifest(&request.from).map_err(io::Error::other)?;
    let items = manifest.ok_or_else(|| io::Error::other("its content is not complete here"))?;
    let items = items.items().map_err(io::Error::other)?;
    Ok(match items.get(&path) {
        Some(Item::File { mode, content, .. }) => Some((*mode, *content)),
        _ => None,
    })
}

/// What rotted on the disk and was not found by the scrub yet must not be run, nor be checked in the place of what was
/// settled: nothing is executable before its bytes were hashed.
fn copy(store: &Store, content: &Hash, to: &Path, mode: u32) -> io::Result<()> {
    let from = store.content().open(content).map_err(io::Error::other)?;
    let mut from = from.ok_or_else(|| io::Error::other("its content is not complete here"))?;
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(to)?;
    io::copy(&mut from, &mut file)?;
    file.rewind()?;
    let copied = blake3::Hasher::new().update_reader(&mut file)?.finalize();
    if copied.as_bytes() != &content.0 {
        let what = Hash(*copied.as_bytes());
        return Err(io::Error::other(format!("its content {content} is damaged here: it reads as {what}")));
    }
    file.set_permissions(Permissions::from_mode(mode))
}

/// The tree of a root, which nobody is meant to write to.
fn materialise(store: &Store, root: &Hash, at: &Path) -> io::Result<()> {
    let manifest = store.manifest(root).map_err(io::Error::other)?;
    let manifest = manifest.ok_or_else(|| io::Error::other("the staged content is not complete here"))?;
    let items = manifest.items().map_err(io::Error::other)?;
    fs::create_dir(at)?;
    for (path, item) in &items {
        let to = at.join(std::ffi::OsStr::from_bytes(path.as_bytes()));
        match item {
            Item::Directory { .. } => fs::create_dir(&to)?,
            Item::File { mode, content, size, .. } => {
                store.room().admit(Purpose::Content, *size)?;
                copy(store, content, &to, mode & 0o777 & !0o222)?;
            }
            Item::Symlink { target, .. } => symlink(std::ffi::OsStr::from_bytes(target), &to)?,
        }
    }
    // Last, so that what lies in them could be written before.
    for (path, item) in items.iter().rev() {
        if let Item::Directory { mode, .. } = item {
            let to = at.join(std::ffi::OsStr::from_bytes(path.as_bytes()));
            fs::set_permissions(&to, Permissions::from_mode(mode & 0o777 & !0o222))?;
        }
    }
    Ok(())
}

fn start(program: &Path, (root, lives): (&Path, &File), request: &Request) -> io::Result<Child> {
    let mut tries = 0;
    loop {
        let mut command = Command::new(program);
        command
            .args(&request.hook.arguments)
            .current_dir(root)
            .env_clear()
            .env("PATH", PATH)
            .env("LANG", "C.UTF-8")
            .env("ALTHING_APPLICATION", &request.application)
            .env("ALTHING_HOOK", request.kind.to_string())
            .env("ALTHING_REVISION", request.revision.to_string())
            .env("ALTHING_DIGEST", request.root.to_string())
            .env("ALTHING_ROOT", root)
            .env("ALTHING_MEMBER", &request.member)
            .stdin(lives.try_clone()?)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && tries < BUSY_TRIES => {
                tries += 1;
                std::thread::sleep(PAUSE);
            }
            started => return started,
        }
    }
}

/// Waits for its end, reading what it says meanwhile.
fn watch(child: &mut Child, limit: Duration) -> io::Result<Ran> {
    let deadline = Instant::now() + limit;
    let mut said = Vec::new();
    let out = child.stdout.take().map(|out| File::from(std::os::fd::OwnedFd::from(out)));
    let err = child.stderr.take().map(|err| File::from(std::os::fd::OwnedFd::from(err)));
    let mut pipes: Vec<File> = out.into_iter().chain(err).collect();
    for pipe in &pipes {
        fcntl_setfl(pipe, fcntl_getfl(pipe)? | OFlags::NONBLOCK)?;
    }
    loop {
        let ended = child.try_wait()?;
        // After its end once more: what it said last is what it failed of.
        pipes.iter_mut().for_each(|pipe| drain(pipe, &mut said));
        if let Some(status) = ended {
            return Ok(verdict(status, &said));
        }
        if Instant::now() >= deadline {
            kill(child);
            let text =
                format!("took longer than {} s and was killed{}", limit.as_secs_f64(), first_lines(&said));
            return Ok(Ran::Badly(text));
        }
        std::thread::sleep(PAUSE);
    }
}

fn drain(pipe: &mut File, said: &mut Vec<u8>) {
    let mut buffer = [0; 4096];
    // As much as there is now, but not for ever: whoever writes all the time is looked at again.
    for _ in 0..64 {
        match pipe.read(&mut buffer) {
            Ok(count) if count > 0 => {
                let room = OUTPUT.saturating_sub(said.len()).min(count);
                said.extend_from_slice(&buffer[..room]);
            }
            _ => return,
        }
    }
}

fn verdict(status: ExitStatus, said: &[u8]) -> Ran {
    if status.success() {
        return Ran::Well;
    }
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended in an unknown way".to_owned(),
    };
    Ran::Badly(how + &first_lines(said))
}

/// `: line; line`, without what would upset a terminal.
fn first_lines(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).take(5);
    let lines: Vec<String> =
        lines.map(|line| line.chars().filter(|letter| !letter.is_control()).collect()).collect();
    if lines.is_empty() { String::new() } else { format!(": {}", lines.join("; ")) }
}

/// The whole group: what it started has no business to go on.
fn kill(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw)
        && let Err(error) = kill_process_group(group, Signal::KILL)
    {
        tracing::warn!(%error, "a hook that took too long could not be killed");
    }
    // It was killed: it has ended, or will when the kernel lets it.
    let _ = child.wait();
}

/// Removes what a run needed, or an earlier one that was interrupted has left.
pub(crate) fn clear(place: &Path) -> io::Result<()> {
    if !place.exists() {
        return Ok(());
    }
    writable(place)?;
    fs::remove_dir_all(place)
}

fn writable(directory: &Path) -> io::Result<()> {
    fs::set_permissions(directory, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            writable(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
