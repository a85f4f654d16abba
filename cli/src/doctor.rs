//! What `doctor` looks at, as facts, and what it makes of them. Judging is a function of the facts, so that tests can
//! have any machine.

use std::fmt::Write as _;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use althing_protocol::view::{Document, Everywhere, Status};
use serde::Serialize;

use crate::error::Result;
use crate::render::Look;
use crate::render::colour::Paint;
use crate::render::size::bytes;

/// Clocks may be so far apart, in seconds.
const SPREAD: (f64, f64) = (0.2, 1.0);
/// Free space below which a file system is too full.
const FREE: (u64, u64) = (5 << 30, 1 << 30);
/// Open files that a node may need: RocksDB, connections, trees that are read.
const FILES: u64 = 4096;
/// Watches that other programs use.
const WATCHES_OF_OTHERS: u64 = 1024;

/// What is known.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// `--dir`
    pub(crate) dir: PathBuf,
    /// What it answers.
    pub(crate) status: Option<Document<Status>>,
    /// Or why not, and whether that is because it is in no entity.
    pub(crate) silent: Option<(bool, String)>,
    /// What all members say.
    pub(crate) everywhere: Option<Everywhere>,
    /// What this machine allows.
    pub(crate) machine: Machine,
}

/// What this machine allows; nothing where it cannot be told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    /// fs.inotify.max_user_watches
    pub(crate) watches: Option<u64>,
    /// Open files that the node may have.
    pub(crate) files: Option<u64>,
    /// Bytes free where the data directory is.
    pub(crate) free: Option<u64>,
    /// Mode of the data directory.
    pub(crate) mode: Option<u32>,
}

/// How something is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// As it should be.
    Ok,
    /// Works, not as well as it could.
    Warning,
    /// Does not work.
    Error,
    /// Cannot be told.
    Skipped,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Check {
    /// `clock`
    pub(crate) name: &'static str,
    /// How it is.
    pub(crate) state: State,
    /// For people.
    pub(crate) text: String,
    /// What mends it: a command of this program, or of the shell.
    pub(crate) fix: Option<String>,
    /// What `--fix` does.
    #[serde(skip)]
    pub(crate) mend: Option<Mend>,
}

/// What `--fix` can do: only what cannot harm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Mend {
    /// Sets a mode.
    Mode(PathBuf, u32),
}

impl Check {
    fn new(name: &'static str, state: State, text: impl Into<String>) -> Self {
        Self { name, state, text: text.into(), fix: None, mend: None }
    }

    fn fix(mut self, command: impl Into<String>) -> Self {
        self.fix = Some(command.into());
        self
    }
}

/// What this machine says of itself.
pub(crate) fn machine(dir: &Path, proc: &Path) -> Machine {
    let number = |path: &str| std::fs::read_to_string(proc.join(path)).ok()?.trim().parse().ok();
    // The pid of the node is the first word of the file that it holds locked.
    let holder = std::fs::read_to_string(dir.join("lock")).unwrap_or_default();
    let pid = holder.split_whitespace().next();
    let limits = pid.map(|pid| proc.join(pid).join("limits")).filter(|path| path.exists());
    let limits = limits.unwrap_or_else(|| proc.join("self/limits"));
    let free = rustix::fs::statvfs(dir).ok().map(|stat| stat.f_bavail * stat.f_frsize);
    Machine {
        watches: number("sys/fs/inotify/max_user_watches"),
        files: std::fs::read_to_string(limits).ok().and_then(|text| open_files(&text)),
        free,
        mode: std::fs::metadata(dir).ok().map(|data| data.permissions().mode() & 0o7777),
    }
}

/// The soft limit of open files in a process' limits.
fn open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let soft = line.split_whitespace().next()?;
    if soft == "unlimited" { Some(u64::MAX) } else { soft.parse().ok() }
}

/// Judges everything, in the order in which one thing needs the other.
pub(crate) fn examine(facts: &Facts) -> Vec<Check> {
    let mut checks = vec![node(facts)];
    checks.extend(facts.everywhere.as_ref().map(peers));
    checks.extend(facts.everywhere.as_ref().map(clock));
    checks.push(watches(facts));
    checks.push(files(&facts.machine));
    checks.push(space(&facts.machine));
    checks.push(mode(facts));
    checks
}

fn node(facts: &Facts) -> Check {
    match (&facts.status, &facts.silent) {
        (Some(status), _) => {
            let entity = &status.body.entity.name;
            Check::new("node", State::Ok, format!("node answers as {}, entity {entity}", status.answered_by))
        }
        (None, Some((true, _))) => {
            Check::new("node", State::Warning, "node answers; this machine is in no entity yet")
                .fix("althing init --name ENTITY, or althing join")
        }
        (None, silent) => {
            let why = silent.as_ref().map_or("no node answers", |(_, why)| why.as_str());
            Check::new("node", State::Error, why).fix("althing config check, then althing run")
        }
    }
}

fn peers(everywhere: &Everywhere) -> Check {
    let others = everywhere.members.iter().filter(|seen| seen.member != everywhere.reference);
    let (silent, answering): (Vec<_>, Vec<_>) = others.partition(|seen| seen.silent.is_some());
    let (count, all) = (answering.len(), answering.len() + silent.len());
    if let Some(first) = silent.first() {
        let names: Vec<&str> = silent.iter().map(|seen| seen.member.as_str()).collect();
        let text = format!("{count} of {all} others answer; not: {}", names.join(" "));
        return Check::new("peers", State::Warning, text).fix(format!("althing why {}", first.member));
    }
    let worst = answering.iter().filter_map(|seen| seen.round_trip_seconds).fold(0.0, f64::max);
    let text = format!("{count} of {all} others answer; worst round trip {:.1} ms", worst * 1000.0);
    Check::new("peers", State::Ok, text)
}

/// How far clocks are apart: an offset is only known to half of the way there and back.
fn clock(everywhere: &Everywhere) -> Check {
    let offsets = everywhere.members.iter().filter_map(|seen| {
        let (offset, way) = (seen.clock_offset_seconds?, seen.round_trip_seconds.unwrap_or(0.0));
        Some(((offset.abs() - way / 2.0).max(0.0), seen.member.as_str()))
    });
    let (spread, member) = offsets.fold((0.0, ""), |worst, one| if one.0 > worst.0 { one } else { worst });
    let text = format!("clocks within {:.0} ms of {}'s", spread * 1000.0, everywhere.reference);
    let fix = format!("check the time service of {member}: timedatectl status");
    match spread {
        spread if spread >= SPREAD.1 => Check::new("clock", State::Error, text).fix(fix),
        spread if spread >= SPREAD.0 => Check::new("clock", State::Warning, text).fix(fix),
        _ => Check::new("clock", State::Ok, text),
    }
}

fn watches(facts: &Facts) -> Check {
    let Some(allowed) = facts.machine.watches else {
        return Check::new("watches", State::Skipped, "inotify watches: the limit cannot be read");
    };
    let items: u64 =
        facts.status.iter().flat_map(|status| &status.body.applications).map(|app| app.items).sum();
    let needed = items + WATCHES_OF_OTHERS;
    if allowed >= needed {
        return Check::new(
            "watches",
            State::Ok,
            format!("inotify watches: {allowed} allowed, {items} items to watch at most"),
        );
    }
    let enough = needed.next_power_of_two();
    let text = format!(
        "inotify watches: {allowed} allowed, up to {needed} needed; changes are found by scans instead"
    );
    Check::new("watches", State::Warning, text).fix(format!(
        "echo 'fs.inotify.max_user_watches={enough}' | sudo tee /etc/sysctl.d/60-althing.conf && sudo sysctl --system"
    ))
}

fn files(machine: &Machine) -> Check {
    match machine.files {
        None => Check::new("files", State::Skipped, "open files: the limit cannot be read"),
        Some(limit) if limit < FILES => {
            let text = format!("open files: {limit} allowed, and {FILES} may be needed");
            Check::new("files", State::Warning, text)
                .fix("set LimitNOFILE=65536 in the service, then restart it")
        }
        Some(limit) => Check::new("files", State::Ok, format!("open files: {limit} allowed")),
    }
}

fn space(machine: &Machine) -> Check {
    let Some(free) = machine.free else {
        return Check::new("space", State::Skipped, "free space: the data directory is not there");
    };
    let text = format!("free space: {} where the data is", bytes(free));
    match free {
        free if free < FREE.1 => Check::new("space", State::Error, text).fix("make room: althing trash list"),
        free if free < FREE.0 => {
            Check::new("space", State::Warning, text).fix("make room: althing trash list")
        }
        _ => Check::new("space", State::Ok, text),
    }
}

fn mode(facts: &Facts) -> Check {
    let dir = facts.dir.display();
    match facts.machine.mode {
        None => Check::new("directory", State::Skipped, format!("{dir} is not there, or not for you to see")),
        Some(mode) if mode & 0o077 == 0 => {
            Check::new("directory", State::Ok, format!("{dir} is for the node alone ({mode:04o})"))
        }
        Some(mode) => {
            let text = format!("{dir} can be read by others ({mode:04o}), and holds this member's key");
            let mend = Some(Mend::Mode(facts.dir.clone(), 0o700));
            Check { mend, ..Check::new("directory", State::Error, text).fix(format!("chmod 0700 {dir}")) }
        }
    }
}

/// Mends what can be mended here; how many were.
pub(crate) fn fix(checks: &[Check]) -> Result<usize> {
    let mends: Vec<&Mend> = checks.iter().filter_map(|check| check.mend.as_ref()).collect();
    for Mend::Mode(path, mode) in &mends {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(*mode))
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    }
    Ok(mends.len())
}

/// `althing doctor`
pub(crate) fn screen(checks: &[Check], look: &Look) -> String {
    let mut text = String::new();
    for check in checks {
        let (word, paint) = match check.state {
            State::Ok => ("ok", Paint::Ok),
            State::Warning => ("WARNING", Paint::Warning),
            State::Error => ("ERROR", Paint::Critical),
            State::Skipped => ("skipped", Paint::Dim),
        };
        let _ = writeln!(text, "{}  {}", look.paint(paint, &format!("{word:<7}")), check.text);
        if let Some(fix) = &check.fix {
            let _ = writeln!(text, "         fix  {fix}");
        }
    }
    let count = |state| checks.iter().filter(|check| check.state == state).count();
    let mended = checks.iter().filter(|check| check.mend.is_some()).count();
    let _ = write!(text, "{} warnings, {} errors.", count(State::Warning), count(State::Error));
    if mended > 0 {
        let _ = write!(text, "   althing doctor --fix mends {mended} of them.");
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    fn facts() -> Facts {
        Facts {
            dir: "/var/lib/althing".into(),
            status: Some(samples::status()),
            everywhere: Some(samples::everywhere().body),
            machine: Machine {
                watches: Some(8192),
                files: Some(65_536),
                free: Some(41 << 30),
                mode: Some(0o700),
            },
            ..Facts::default()
        }
    }

    fn state(facts: &Facts, name: &str) -> State {
        examine(facts).iter().find(|check| check.name == name).map(|check| check.state).expect("a check")
    }

    #[test]
    fn the_screen_says_what_mends_each() {
        let expected = "\
ok       node answers as web1, entity shop-fe
WARNING  2 of 3 others answer; not: web9
         fix  althing why web9
WARNING  clocks within 411 ms of web1's
         fix  check the time service of web8: timedatectl status
ok       inotify watches: 8192 allowed, 5025 items to watch at most
ok       open files: 65536 allowed
ok       free space: 44 GB where the data is
ok       /var/lib/althing is for the node alone (0700)
2 warnings, 0 errors.
";
        assert_eq!(screen(&examine(&facts()), &Look::plain()), expected);
    }

    #[test]
    fn machines_that_are_short_of_something() {
        let mut short = facts();
        short.machine =
            Machine { watches: Some(100), files: Some(1024), free: Some(1 << 20), mode: Some(0o755) };
        assert_eq!(state(&short, "watches"), State::Warning);
        assert_eq!(state(&short, "files"), State::Warning);
        assert_eq!(state(&short, "space"), State::Error);
        assert_eq!(state(&short, "directory"), State::Error);
        short.machine = Machine::default();
        for name in ["watches", "files", "space", "directory"] {
            assert_eq!(state(&short, name), State::Skipped, "{name}");
        }
        let outside = Facts {
            silent: Some((true, "not in an entity".into())),
            status: None,
            everywhere: None,
            ..facts()
        };
        assert_eq!(state(&outside, "node"), State::Warning);
        let down = Facts {
            silent: Some((false, "no node answers".into())),
            status: None,
            everywhere: None,
            ..facts()
        };
        assert_eq!(state(&down, "node"), State::Error);
    }

    #[test]
    fn a_directory_is_mended() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("data");
        std::fs::create_dir(&path).expect("made");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("set");
        let facts =
            || Facts { dir: path.clone(), machine: machine(&path, Path::new("/proc")), ..Facts::default() };
        assert_eq!(state(&facts(), "directory"), State::Error);
        assert_eq!(fix(&examine(&facts())).expect("mended"), 1);
        assert_eq!(state(&facts(), "directory"), State::Ok);
    }

    #[test]
    fn limits_are_read_as_the_kernel_writes_them() {
        let text = "Limit                     Soft Limit           Hard Limit           Units\nMax open files            1024                 1048576              files\n";
        assert_eq!(open_files(text), Some(1024));
        assert_eq!(open_files("Max open files   unlimited unlimited files"), Some(u64::MAX));
        assert_eq!(open_files(""), None);
    }
}
