//! Who may open a store, and which.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use althing_protocol::effect::Family;
use althing_store::{OpenError, Store};

use crate::{open, put, scratch};

#[test]
fn the_second_one_in_this_process_is_refused() {
    let dir = scratch();
    let store = open(dir.path());
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, OpenError::InUse { pid: Some(pid), .. } if pid == std::process::id()), "{error}");
    drop(store);
    open(dir.path());
}

#[test]
fn a_batch_of_content_keeps_the_store_locked() {
    let dir = scratch();
    let batch = open(dir.path()).content().batch();
    assert!(matches!(Store::open(dir.path()), Err(OpenError::InUse { .. })));
    drop(batch);
    open(dir.path());
}

const OTHER: &str = "ALTHING_STORE_TEST_OTHER";

#[test]
fn the_second_process_is_refused() {
    if let Some(dir) = std::env::var_os(OTHER) {
        let error = Store::open(dir.as_ref()).unwrap_err();
        println!("{error}");
        return;
    }
    let dir = scratch();
    let _store = open(dir.path());
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "opening::the_second_process_is_refused", "--nocapture"])
        .env(OTHER, dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains(&format!("is in use by another process (pid {})", std::process::id())), "{text}");
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let dir = scratch();
    drop(open(dir.path()));
    fs::write(dir.path().join("format"), "3\n").unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 3, supported: 2, .. }), "{error}");
    assert_eq!(fs::read_to_string(dir.path().join("format")).unwrap(), "3\n");
}

/// (finding 19)
#[test]
fn an_older_program_opens_the_store_until_its_format_is_raised() {
    let dir = scratch();
    let store = open(dir.path());
    assert_eq!(store.format().unwrap(), 1, "a store begins with what every program reads");
    store.commit(&[put(Family::Meta, b"id", b"1")]).unwrap();
    drop(store);
    let store = Store::open_up_to(dir.path(), 1).unwrap();
    store.raise_format(2).unwrap();
    store.raise_format(1).unwrap();
    assert_eq!(store.format().unwrap(), 2, "it never goes back");
    drop(store);
    let error = Store::open_up_to(dir.path(), 1).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 2, supported: 1, .. }), "{error}");
    assert!(error.to_string().contains("has store format 2, and this program reads up to 1"), "{error}");
    assert_eq!(open(dir.path()).read(Family::Meta, b"id").unwrap().as_deref(), Some(&b"1"[..]));
}

#[test]
fn only_the_owner_may_look() {
    let dir = scratch();
    let path = dir.path().join("a/store");
    let store = open(&path);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    let mut batch = store.content().batch();
    let (hash, _) = batch.add_any(&mut &b"secret"[..]).unwrap();
    batch.finish().unwrap();
    let hex = hash.hex();
    assert_eq!(mode(&path.join("content").join(&hex[..2]).join(&hex)), 0o600);
}

#[test]
fn a_store_without_its_votes_is_not_a_new_store() {
    for gone in ["votes", "acknowledged", "format"] {
        let dir = scratch();
        let store = open(dir.path());
        store.commit(&[put(Family::Votes, b"lock", b"r7")]).unwrap();
        drop(store);
        let path = dir.path().join(gone);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap()
        } else {
            fs::remove_file(path).unwrap()
        }
        let error = Store::open(dir.path()).unwrap_err();
        assert!(matches!(error, OpenError::Corrupt { .. }), "without {gone}: {error}");
        let again = Store::open(dir.path()).unwrap_err();
        assert!(matches!(again, OpenError::Corrupt { .. }), "the second time without {gone}: {again}");
    }
}

#[test]
fn a_store_whose_making_was_cut_off_is_made() {
    let dir = scratch();
    drop(open(dir.path()));
    fs::remove_file(dir.path().join("format")).unwrap();
    open(dir.path()).commit(&[put(Family::Meta, b"id", b"1")]).unwrap();
}
