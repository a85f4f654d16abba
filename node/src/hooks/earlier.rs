//! Runs that outlived their daemon. Every process of a run has a locked file as its input, an empty one: who lives holds
//! the lock, whatever became of the daemon that began it. Whoever comes next ends them before it begins another.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};

/// The locked file.
const LIVES: &str = "lives";
/// Number of the process group, and when its first process began.
const GROUP: &str = "group";
/// What was killed is waited for so often, with these pauses.
const TRIES: u32 = 500;
const PAUSE: Duration = Duration::from_millis(10);

/// Makes the file that a run's processes have as their input.
pub(super) fn mark(place: &Path) -> io::Result<File> {
    let path = place.join(LIVES);
    fs::write(&path, "")?;
    let lives = File::open(path)?;
    flock(&lives, FlockOperation::NonBlockingLockExclusive)?;
    Ok(lives)
}

/// Notes which processes these are.
pub(super) fn name(place: &Path, child: &Child) -> io::Result<()> {
    let began = began(child.id()).unwrap_or_default();
    fs::write(place.join(GROUP), format!("{} {began}", child.id()))
}

/// Ends what an earlier run has left running here; whether nothing is left.
pub(super) fn end(place: &Path) -> io::Result<bool> {
    let lives = match File::open(place.join(LIVES)) {
        Ok(lives) => lives,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    if is_free(&lives)? {
        return Ok(true);
    }
    kill(place);
    for _ in 0..TRIES {
        if is_free(&lives)? {
            return Ok(true);
        }
        std::thread::sleep(PAUSE);
    }
    Ok(false)
}

/// Ends and removes what a daemon that was stopped in the middle has left of all its applications.
pub(crate) fn tidy(hooks: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(hooks) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let places = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>()?;
    for place in places {
        if end(&place)? {
            super::clear(&place)?;
        }
    }
    Ok(())
}

fn is_free(lives: &File) -> io::Result<bool> {
    match flock(lives, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Kills the group, unless its number is somebody else's by now.
fn kill(place: &Path) {
    let noted = fs::read_to_string(place.join(GROUP)).unwrap_or_default();
    let Some((number, since)) = noted.split_once(' ') else { return };
    let Ok(number) = number.parse::<u32>() else { return };
    let same = since.parse().is_ok_and(|since: u64| began(number) == Some(since));
    let group = i32::try_from(number).ok().and_then(Pid::from_raw).filter(|_| same);
    if let Some(group) = group
        && let Err(error) = kill_process_group(group, Signal::KILL)
    {
        tracing::warn!(%error, "what an earlier daemon has left running could not be killed");
    }
}

/// When a process began, in ticks since the machine did.
fn began(number: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    // Its name may hold anything, and ends with the last bracket.
    text.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}
