//! Trees that are hard to see: changes without a trace, content that rots in the store, file systems that vanish.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use althing_tests::{Cluster, Json, Site, story, wait_until};
use anyhow::{Context, Result, ensure};

const LIMIT: Duration = Duration::from_secs(120);

fn deployed(cluster: &mut Cluster) -> Result<Site> {
    let site = Site::make(&cluster.path("site"), 30, 5)?;
    let from = site.root.to_string_lossy().into_owned();
    cluster.web(1).json(&["app", "new", "shop", "--from", &from])?;
    let all: Vec<usize> = (1..=cluster.members.len()).collect();
    cluster.have(&all, "shop", &site.tree, LIMIT)?;
    cluster.agreed("shop", 1, LIMIT)?;
    Ok(site)
}

/// Neither notifications nor size, times or inode show this change: only reading everything does.
#[test]
fn app_verify_finds_what_left_no_trace() {
    story(3, |cluster| {
        let site = deployed(cluster)?;
        let path = site.tree.files().into_iter().find(|path| path.to_string_lossy().contains("/page-"));
        let at = cluster.web(2).root("shop").join(path.context("a page")?);
        let bytes: Vec<u8> = fs::read(&at)?.iter().map(|byte| byte ^ 0x55).collect();
        cluster.web(2).blind(true)?;
        fs::write(&at, &bytes)?;
        // Whatever hints come, its scans believe what they know.
        std::thread::sleep(Duration::from_secs(2));
        ensure!(fs::read(&at)? == bytes, "it was repaired without being read");
        cluster.agreed("shop", 1, LIMIT)?;
        let found =
            cluster.web(1).run(&["app", "verify", "shop", "--everywhere", "--exit-code", "--json"])?;
        let text = found.ended(2)?.stdout;
        let at =
            |member: &str, found: &str| text.contains(&format!(r#""found":"{found}","member":"{member}""#));
        ensure!(at("web1", "agrees") && at("web2", "differs") && at("web3", "agrees"), "{text}");
        cluster.web(2).blind(false)?;
        cluster.have(&[2], "shop", &site.tree, LIMIT)?;
        cluster.web(2).run(&["app", "verify", "shop", "--exit-code"])?.ended(0)?;
        Ok(())
    });
}

#[test]
fn content_that_rots_is_found_and_fetched_again() {
    story(3, |cluster| {
        let site = deployed(cluster)?;
        let path = site.tree.files().into_iter().find(|path| path.to_string_lossy().contains("/page-"));
        let name = blake3::hash(&fs::read(site.root.join(path.context("a page")?))?).to_hex().to_string();
        let content = cluster.web(2).dir.join("content").join(&name[..2]).join(&name);
        let good = fs::read(&content).context("web2 has it in its store")?;
        fs::write(&content, "rot")?;
        cluster.web(2).scrub()?;
        wait_until(LIMIT, "it is there again", || match fs::read(&content) {
            Ok(bytes) if bytes == good => Ok(()),
            other => Err(format!("{} bytes", other.map_or(0, |bytes| bytes.len()))),
        })?;
        let words = ["events", "--member", "web2", "--kind", "content.damaged"];
        let told = cluster.web(2).json(&words)?;
        ensure!(told.list("/events")?.len() == 1, "{told}");
        ensure!(fs::read(cluster.web(2).dir.join("damaged").join(&name))? == b"rot");
        cluster.agreed("shop", 1, LIMIT).map(|_| ())
    });
}

fn succeeds(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}

/// Mounts memory at a directory until the test ends.
struct Mounted<'a>(&'a Path);

impl Mounted<'_> {
    fn unmount(&self) -> bool {
        succeeds(Command::new("umount").arg("-l").arg(self.0))
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        // Most often it is unmounted already.
        let _ = Command::new("umount").args(["-l", "-q"]).arg(self.0).status();
    }
}

#[test]
fn a_file_system_that_vanishes_is_said_and_not_filled() {
    story(3, |cluster| {
        let disk = cluster.path("web3-root").join("srv");
        let kept = cluster.path("kept");
        fs::create_dir_all(&disk)?;
        fs::create_dir_all(&kept)?;
        if !succeeds(Command::new("mount").args(["-t", "tmpfs", "-o", "size=16m", "none"]).arg(&kept)) {
            eprintln!("skipped: nothing can be mounted here");
            return Ok(());
        }
        let (_kept, mounted) = (Mounted(&kept), Mounted(&disk));
        ensure!(succeeds(Command::new("mount").arg("--bind").arg(&kept).arg(&disk)));
        let site = deployed(cluster)?;
        // The root is watched from when it was seen first; before that only the scan of every minute sees it go.
        fs::write(cluster.web(3).root("shop").join("index.html"), "by hand")?;
        cluster.have(&[3], "shop", &site.tree, LIMIT)?;
        ensure!(mounted.unmount());
        wait_until(LIMIT, "web3 says that it is gone", || condition(cluster, 3))?;
        wait_until(LIMIT, "web1 sees it", || condition(cluster, 1))?;
        cluster.web(3).refused(75, "E422", &["app", "verify", "shop"])?;
        // A new revision is not written underneath either.
        let next = site.next(&cluster.path("next"), 9)?;
        cluster.web(1).json(&["deploy", "shop", "--from", &next.root.to_string_lossy()])?;
        cluster.have(&[1, 2], "shop", &next.tree, LIMIT)?;
        std::thread::sleep(Duration::from_secs(2));
        ensure!(fs::read_dir(&disk)?.count() == 0, "something was made underneath");
        let votes = cluster.web(1).json(&["vote", "shop"])?;
        ensure!(votes.to_string().contains("unreadable"), "{votes}");

        ensure!(succeeds(Command::new("mount").arg("--bind").arg(&kept).arg(&disk)));
        cluster.have(&[3], "shop", &next.tree, LIMIT)?;
        cluster.agreed("shop", 2, LIMIT).map(|_| ())
    });
}

fn condition(cluster: &Cluster, number: usize) -> Result<(), String> {
    let status = cluster.members[number - 1].json(&["status"]).map_err(|error| error.to_string())?;
    if status.to_string().contains("root-vanished") { Ok(()) } else { Err(status.to_string()) }
}

/// Names that are no text, links to no text, directories with nothing in them: deployed, repaired, shown. Things that no
/// manifest can name are in nobody's way.
#[test]
fn names_that_are_no_text_empty_directories_and_special_things_are_handled() {
    story(3, |cluster| {
        let site = Site::make(&cluster.path("site"), 6, 5)?;
        let odd = OsStr::from_bytes(b"odd-\xff\xfe\n");
        fs::create_dir_all(site.root.join("empty/below"))?;
        fs::write(site.root.join("empty").join(odd), "odd")?;
        symlink(OsStr::from_bytes(b"to-\xff"), site.root.join("link"))?;
        let site = Site::at(&site.root)?;
        let from = site.root.to_string_lossy().into_owned();
        cluster.web(1).json(&["app", "new", "shop", "--from", &from])?;
        cluster.have(&[1, 2, 3], "shop", &site.tree, LIMIT)?;
        cluster.agreed("shop", 1, LIMIT)?;
        let path_b64 = "ZW1wdHkvb2RkLf/+Cg==";
        let items = cluster.web(2).json(&["app", "items", "shop"])?;
        items.find("/items", "path_b64", path_b64)?;
        ensure!(items.find("/items", "path", "link")?["target_b64"] == "dG8t/w==", "{items}");
        items.find("/items", "path", "empty/below")?;

        // Drift of such a file: shown by its bytes, put right, and listed in the trash by them.
        let root = cluster.web(2).root("shop");
        fs::write(root.join("empty").join(odd), "changed")?;
        fs::remove_dir(root.join("empty/below"))?;
        cluster.have(&[2], "shop", &site.tree, LIMIT)?;
        wait_until(LIMIT, "the trash lists it", || {
            let trash =
                cluster.members[1].json(&["trash", "list", "shop"]).map_err(|error| error.to_string())?;
            trash.find("/items", "path_b64", path_b64).map(|_| ()).map_err(|error| error.to_string())
        })?;

        // A pipe and a socket are seen by nobody, and nobody waits for their other ends.
        ensure!(succeeds(Command::new("mkfifo").arg(root.join("pipe"))));
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket"))?;
        cluster.web(2).run(&["app", "verify", "shop", "--exit-code"])?.ended(0)?;
        cluster.agreed("shop", 1, LIMIT)?;
        let next = site.next(&cluster.path("next"), 9)?;
        cluster.web(1).json(&["deploy", "shop", "--from", &next.root.to_string_lossy()])?;
        cluster.agreed("shop", 2, LIMIT)?;
        for name in ["pipe", "socket"] {
            ensure!(fs::symlink_metadata(root.join(name)).is_ok(), "{name} is where it was");
        }
        Ok(())
    });
}
