//! The demo with its real members: what it says, and what it leaves behind.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::fake::{Ran, althing};

/// Command lines of processes whose data lie below `place`.
fn processes(place: &Path) -> Vec<String> {
    let place = place.to_str().expect("text");
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let command = |entry: fs::DirEntry| {
        let bytes = fs::read(entry.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&bytes).replace('\0', " "))
    };
    entries.filter_map(command).filter(|command| command.contains(place)).collect()
}

/// Waits until nothing runs there any more.
fn gone(place: &Path) {
    let until = Instant::now() + Duration::from_secs(20);
    while !processes(place).is_empty() {
        assert!(Instant::now() < until, "still there: {:?}", processes(place));
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn all_acts_end_well_and_nothing_is_left() {
    let place = TempDir::new().expect("a directory");
    let ran = Ran::of(
        althing("demo --auto --json").env("TMPDIR", place.path()).output().expect("the program runs"),
    );
    let lines: Vec<Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    let acts: Vec<&str> = lines.iter().filter_map(|line| line["act"].as_str()).collect();
    assert_eq!(acts, ["roster", "deploy", "drift", "kill", "partition", "update"]);
    for line in &lines {
        assert_eq!(
            (line["schema"].as_str(), line["ok"].as_bool()),
            (Some("althing.demo/1"), Some(true)),
            "{line}"
        );
        assert!(line["seconds"].is_f64() && line["detail"].is_string(), "{line}");
    }
    assert_eq!(processes(place.path()), Vec::<String>::new());
    assert_eq!(fs::read_dir(place.path()).expect("listed").count(), 0);
}

#[test]
fn members_die_with_a_demo_that_is_killed() {
    let place = TempDir::new().expect("a directory");
    let mut command = althing("demo --members 4");
    let mut demo = command
        .env("TMPDIR", place.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let told = BufReader::new(demo.stdout.take().expect("piped"));
    let founded = told.lines().map_while(Result::ok).find(|line| line.contains("founded"));
    assert!(founded.is_some(), "no entity was founded");
    assert_eq!(processes(place.path()).len(), 4);
    demo.kill().expect("it runs");
    demo.wait().expect("it ended");
    gone(place.path());
}

#[test]
fn keys_quit_and_keep_keeps() {
    let place = TempDir::new().expect("a directory");
    let keep = place.path().join("kept");
    let mut command = althing("demo --members 4 --keep");
    let piped = command.arg(&keep).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut demo = piped.spawn().expect("the program starts");
    demo.stdin.take().expect("piped").write_all(b"1\nnonsense\nq\n").expect("read");
    let ran = Ran::of(demo.wait_with_output().expect("it ends"));
    let told = ran.answered();
    assert!(told.contains("1 drift   2 kill a member"), "{told}");
    assert!(told.contains("repaired") && !told.contains("cut apart"), "{told}");
    assert!(keep.join("web3.log").is_file() && keep.join("web1-root/srv/site/index.html").is_file());
    gone(place.path());
    let few = Ran::of(althing("demo --members 2").output().expect("the program runs"));
    assert_eq!(few.code, 64, "{few:?}");
    let again = Ran::of(althing("demo --keep").arg(&keep).output().expect("the program runs"));
    assert_eq!(again.code, 64, "{again:?}");
}

#[test]
fn an_interrupt_ends_everything() {
    let place = TempDir::new().expect("a directory");
    let mut command = althing("demo --members 4");
    let piped = command.env("TMPDIR", place.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut demo = piped.stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut told = BufReader::new(demo.stdout.take().expect("piped")).lines().map_while(Result::ok);
    assert!(told.any(|line| line.contains("founded")));
    let id = rustix::process::Pid::from_child(&demo);
    rustix::process::kill_process(id, rustix::process::Signal::INT).expect("it runs");
    // What it prints until its end is of no interest, but must go somewhere.
    told.for_each(drop);
    assert_eq!(demo.wait().expect("it ends").code(), Some(130));
    assert_eq!(processes(place.path()), Vec::<String>::new());
    assert_eq!(fs::read_dir(place.path()).expect("listed").count(), 0);
}
