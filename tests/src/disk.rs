//! A disk of a member's own, from which the power can be taken: an ext4 file system on a loop device.
//!
//! A cut makes the kernel give up the file system at once: its journal is aborted, nothing that was not written by then
//! reaches the device any more, and what comes back when it is mounted again is what a machine finds after a power cut:
//! what was synced, and of the rest whatever had been written by chance. That needs the superuser and loop devices;
//! [`Disk::works_here`] says whether there are any.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// Room for a member that has a small site: its store, its tree, its trash, the reserve.
const BYTES: u64 = 384 << 20;
/// Where images are quickest to sync: the cut is what counts, not the device below.
const MEMORY: &str = "/dev/shm";

/// A mounted disk. Unmounted and removed when dropped.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    mount: PathBuf,
    mounted: bool,
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            // Lazily: whatever still looks at it keeps nobody from going.
            let _ = Command::new("umount").arg("-l").arg(&self.mount).status();
        }
        let _ = fs::remove_file(&self.image);
    }
}

impl Disk {
    /// Why no disk can be made on this machine, if that is so.
    pub fn works_here(base: &Path) -> Result<(), String> {
        let mut disk = Self::make(base, "trial").map_err(|error| format!("{error:#}"))?;
        let lost = disk.mount.join("lost");
        let kept = disk.mount.join("kept");
        let tried = (|| -> Result<()> {
            fs::write(&kept, "synced")?;
            fs::File::open(&kept)?.sync_all()?;
            fs::File::open(&disk.mount)?.sync_all()?;
            fs::write(&lost, "not synced")?;
            disk.cut()?;
            disk.mount_again()?;
            ensure!(fs::read(&kept)? == b"synced", "a cut took what was synced");
            ensure!(!lost.exists(), "a cut left what was not synced");
            Ok(())
        })();
        tried.map_err(|error| format!("{error:#}"))
    }

    /// A new, empty disk, mounted at a directory of this name.
    pub fn make(base: &Path, name: &str) -> Result<Self> {
        sweep();
        let quick = Path::new(MEMORY);
        let place = if quick.is_dir() { quick } else { base };
        let image = place.join(format!("althing-{}-{name}.img", std::process::id()));
        let mount = base.join(format!("{name}-disk"));
        fs::create_dir_all(&mount)?;
        fs::File::create(&image)?.set_len(BYTES)?;
        let mut disk = Self { image, mount, mounted: false };
        let options = ["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-J", "size=4"];
        run(Command::new("mkfs.ext4").args(options).arg(&disk.image))?;
        disk.mount_again()?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// Takes the power away: from this moment nothing reaches the device. Then [`Self::mount_again`].
    pub fn cut(&mut self) -> Result<()> {
        let device = self.device()?;
        let name = device.file_name().context("a device has a name")?;
        // The kernel's own way to try what it does when a file system fails: the journal is aborted, and with
        // `errors=remount-ro` no page and no inode is written back any more.
        fs::write(Path::new("/sys/fs/ext4").join(name).join("trigger_fs_error"), "power")?;
        Ok(())
    }

    /// Mounts it, after a cut what is left of it. Nobody may have a file of it open.
    pub fn mount_again(&mut self) -> Result<()> {
        if self.mounted {
            run(Command::new("umount").arg(&self.mount))?;
            self.mounted = false;
        }
        // Nothing is written by itself before a test is over, so that a cut costs as much as it can.
        let options = "loop,errors=remount-ro,commit=600";
        run(Command::new("mount").args(["-t", "ext4", "-o", options]).arg(&self.image).arg(&self.mount))?;
        self.mounted = true;
        Ok(())
    }

    fn device(&self) -> Result<PathBuf> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let at = self.mount.to_string_lossy();
        let mut lines = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let found = lines.rfind(|line| line.get(1) == Some(&at.as_ref()));
        Ok(PathBuf::from(found.with_context(|| format!("nothing is mounted at {at}"))?[0]))
    }
}

/// Unmounts and removes what test processes that were killed have left: their images tell whose they were.
fn sweep() {
    let devices = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let mut left: Vec<(PathBuf, Option<PathBuf>)> = Vec::new();
    for device in devices {
        if let Ok(image) = fs::read_to_string(device.path().join("loop/backing_file")) {
            left.push((PathBuf::from(image.trim()), Some(Path::new("/dev").join(device.file_name()))));
        }
    }
    let images = fs::read_dir(MEMORY).into_iter().flatten().flatten();
    left.extend(images.map(|image| (image.path(), None)));
    for (image, device) in left.iter().filter(|(image, _)| is_left_over(image)) {
        if let Some(device) = device {
            let _ = Command::new("umount").args(["-l", "-q"]).arg(device).status();
        }
        let _ = fs::remove_file(image);
    }
}

fn is_left_over(image: &Path) -> bool {
    let name = image.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let owner = name.strip_prefix("althing-").and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
    owner.is_some_and(|pid| name.ends_with(".img") && !Path::new(&format!("/proc/{pid}")).exists())
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
