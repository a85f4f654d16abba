//! Large files between real daemons: in parts, from several holders, gone on with after a kill.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::thread;
use std::time::Duration;

use althing_tests::{Json, story, wait_until};
use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(120);
const MIB: u64 = 1 << 20;

/// So many MiB of which the second half is a hole, but for its last byte.
fn image(at: &Path, mib: u64, seed: u8) -> Result<blake3::Hash> {
    let file = File::create(at)?;
    for number in 0..mib / 2 {
        let bytes: Vec<u8> = (0..MIB).map(|at| ((at >> 10) ^ (at * 31) ^ number) as u8 ^ seed).collect();
        file.write_all_at(&bytes, number * MIB)?;
    }
    file.write_all_at(b"x", mib * MIB - 1)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(at)?)?;
    Ok(hasher.finalize())
}

#[test]
fn a_large_file_comes_in_parts_and_a_kill_does_not_begin_it_again() {
    story(3, |cluster| {
        let site = cluster.path("site");
        fs::create_dir(&site)?;
        let hash = image(&site.join("image"), 192, 7)?;
        let from = site.to_string_lossy().into_owned();
        cluster.web(1).json(&["app", "new", "shop", "--from", &from])?;
        cluster.agreed("shop", 1, LIMIT)?;
        let name = hash.to_hex().to_string();
        for number in [1, 2, 3] {
            let member = cluster.web(number);
            let mut hasher = blake3::Hasher::new();
            hasher.update_reader(File::open(member.root("shop").join("image"))?)?;
            ensure!(hasher.finalize() == hash, "on web{number}");
            let kept = member.dir.join("content").join(&name[..2]).join(&name);
            ensure!(kept.metadata()?.blocks() * 512 < 110 * MIB, "the hole became bytes on web{number}");
        }
        // A newcomer has two or three to get it from, and is killed on the way: while `join` still waits, as a fast machine
        // has all of it by the time that `join` returns.
        let invitation = cluster.invite(&[])?;
        let newcomer = &*cluster.add()?;
        let at = |place: &str| newcomer.dir.join(place);
        let (gathered, whole) = (at("partial").join(&name), at("content").join(&name[..2]).join(&name));
        thread::scope(|scope| {
            let joining = scope.spawn(|| newcomer.join(&invitation));
            let begun = wait_until(LIMIT, "something of it is there", || match fs::metadata(&gathered) {
                // More than can be under way without a part that is complete.
                Ok(found) if found.blocks() * 512 > 26 * MIB => Ok(()),
                _ if whole.exists() => Ok(()),
                _ => Err("nothing".to_owned()),
            });
            let killed = newcomer.signal(Signal::KILL);
            // Its daemon is gone, before it could answer or after.
            let _ = joining.join();
            begun.and(killed)
        })?;
        let last = cluster.members.len();
        cluster.web(last).kill();
        let was_whole = whole.exists();
        let here = if was_whole { &whole } else { &gathered };
        let came = fs::metadata(here)?.blocks() * 512;
        cluster.web(last).start()?;
        wait_until(LIMIT, "it is whole", || if whole.exists() { Ok(()) } else { Err("not yet".to_owned()) })?;
        wait_until(LIMIT, "it is applied", || {
            let found = fs::metadata(cluster.web(last).root("shop").join("image"));
            found.map(|_| ()).map_err(|error| error.to_string())
        })?;
        let told = cluster.web(last).json(&["events", "--kind", "content.fetched"])?;
        // Others had it once, too, and tell of it.
        let own = format!("{}/", cluster.web(last).name);
        let is_own = |event: &&Value| event["id"].as_str().is_some_and(|id| id.starts_with(&own));
        let events: Vec<&Value> = told.list("/events")?.iter().filter(is_own).collect();
        ensure!(was_whole || !events.is_empty(), "it told nothing of what it fetched: {told}");
        for event in events {
            let text = event["text"].as_str().context("a text")?;
            let bytes = text.split(", ").last().and_then(|last| last.split(' ').next());
            let bytes: u64 = bytes.context("a number")?.parse()?;
            // Half of it, and the part that ends it; of each of five requests under way one part may not have been complete.
            ensure!(bytes + came <= (100 + 5 * 4) * MIB, "{came} bytes were here, and: {text}");
        }
        let most = cluster.web(last).most_memory().context("of the newcomer")?;
        ensure!(most < 400 * MIB, "{most} bytes of memory");
        Ok(())
    });
}
