//! What a store costs, and what it does when the disk does not take more.

use std::fs;
use std::path::Path;
use std::process::Command;

use althing_protocol::effect::Family;
use althing_store::{CommitError, Store};

use crate::{open, put};

const CHILD: &str = "ALTHING_STORE_TEST_LIMITS";

/// Runs one test of this binary again, in a process of its own and through a shell; gives what it printed.
fn in_child(test: &str, shell: &str, dir: &Path) -> String {
    let output = Command::new("sh")
        .args(["-c", &format!("{shell}; exec \"$@\""), "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, dir)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Kilobytes of memory that this process has in use.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Kilobytes that an idle store, which has been used, may add to a member.
const IDLE: u64 = 24 << 10;

#[test]
fn an_idle_store_is_small() {
    let Some(dir) = std::env::var_os(CHILD) else {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            print!("{}", in_child("limits::an_idle_store_is_small", ":", dir.path()));
        }
        return;
    };
    let before = resident();
    let store = open(dir.as_ref());
    let opened = resident();
    for number in 0..200u64 {
        store.commit(&[put(Family::Chain, &number.to_be_bytes(), &[5; 3000])]).unwrap();
        store.append_events(&[vec![6; 300]]).unwrap();
        store.update_scan_cache("app", &[(number.to_be_bytes().repeat(10), Some(vec![7; 60]))]).unwrap();
    }
    let used = resident();
    println!("resident: {before} kB before, {opened} kB with a store, {used} kB after use");
    assert!(used - before < IDLE, "{before} {opened} {used}");
}

#[test]
fn after_a_failed_write_nothing_is_acknowledged() {
    if let Some(dir) = std::env::var_os(CHILD) {
        fill(&open(dir.as_ref()));
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    // No file above 256 blocks of 512 bytes, and an error instead of a signal.
    let shell = "trap '' XFSZ; ulimit -f 256";
    let text = in_child("limits::after_a_failed_write_nothing_is_acknowledged", shell, dir.path());
    let acknowledged: u64 =
        text.lines().find_map(|line| line.strip_prefix("acknowledged=")).unwrap().parse().unwrap();
    let store = open(dir.path());
    let found = store.read_all(Family::Chain).unwrap().len() as u64;
    // The one that failed may be there: it was neither promised nor denied.
    assert!((acknowledged..=acknowledged + 1).contains(&found), "{found} of {acknowledged}");
    assert_eq!(store.read(Family::Chain, b"after").unwrap(), None);
    store.commit(&[put(Family::Chain, b"after", b"1")]).unwrap();
}

fn fill(store: &Store) {
    for number in 0..1000u64 {
        if let Err(error) = store.commit(&[put(Family::Chain, &number.to_be_bytes(), &[5; 3000])]) {
            assert!(error.is_fatal(), "{error}");
            let again = store.commit(&[put(Family::Chain, b"after", b"1")]).unwrap_err();
            assert!(matches!(again, CommitError::Fatal(_)), "{again}");
            println!("\nacknowledged={number}");
            return;
        }
    }
    panic!("there was no limit");
}
