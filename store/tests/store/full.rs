//! A disk that is really full: a small one of memory, in a mount namespace of its own.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use althing_protocol::effect::Family;
use althing_store::{CommitError, OpenError, Space, Store};

use crate::put;

const INSIDE: &str = "ALTHING_STORE_TEST_NAMESPACE";

/// Runs a test again where it may mount; says no outside.
fn is_inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let can = Command::new("unshare").args(["-rm", "true"]).stderr(Stdio::null()).status();
    if !can.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no mount namespace can be made here");
        return false;
    }
    let status = Command::new("unshare")
        .arg("-rm")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .status();
    assert!(status.unwrap().success(), "inside the namespace");
    false
}

/// Takes all room there is.
fn fill(ballast: &Path) {
    let mut file = fs::OpenOptions::new().create(true).append(true).open(ballast).unwrap();
    let block = [1; 4096];
    while file.write_all(&block).is_ok() {}
}

fn content(store: &Store) -> Result<(), althing_store::ContentError> {
    let mut batch = store.content().batch();
    batch.add_any(&mut &[7; 50_000][..])?;
    batch.finish()
}

#[test]
fn votes_go_on_from_the_reserve_then_wait_and_nothing_is_lost() {
    if !is_inside("full::votes_go_on_from_the_reserve_then_wait_and_nothing_is_lost") {
        return;
    }
    let disk = tempfile::tempdir().unwrap();
    let mount =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=128m", "none"]).arg(disk.path()).status();
    assert!(mount.unwrap().success());
    let (dir, ballast) = (disk.path().join("store"), disk.path().join("ballast"));
    let store = Store::open(&dir).unwrap();
    assert!(dir.join("reserve").exists());
    let mut number = 0_u64;
    let mut commit = |store: &Store| {
        let result = store.commit(&[put(Family::Chain, &number.to_be_bytes(), &[5; 3000])]);
        number += u64::from(result.is_ok());
        result
    };
    commit(&store).unwrap();
    fill(&ballast);
    assert!(content(&store).unwrap_err().is_full(), "content stops first");
    for _ in 0..50 {
        commit(&store).unwrap();
    }
    store.append_events(&[vec![1; 100]]).unwrap();
    assert!(!dir.join("reserve").exists(), "given up for votes");
    assert!(content(&store).unwrap_err().is_full(), "what was given up is not for content");
    assert!(matches!(store.room().tend(), Space::Settlement { .. }));

    fill(&ballast);
    for _ in 0..3 {
        let refused = commit(&store).unwrap_err();
        assert!(matches!(refused, CommitError::Full { .. }), "{refused}: it may be tried again");
    }
    assert!(matches!(store.room().tend(), Space::Nothing { .. }));
    drop(store);
    // Closing gives back what logs had allocated ahead.
    fill(&ballast);
    assert!(matches!(Store::open(&dir), Err(OpenError::Full { .. })));

    fs::remove_file(&ballast).unwrap();
    let store = Store::open(&dir).unwrap();
    commit(&store).unwrap();
    content(&store).unwrap();
    assert_eq!(store.room().tend(), Space::Enough);
    assert!(dir.join("reserve").exists(), "made again");
    assert_eq!(store.read_all(Family::Chain).unwrap().len() as u64, number);
}
