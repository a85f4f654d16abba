//! Looking at a store without opening it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use althing_protocol::effect::Family;
use althing_store::{Glimpse, OpenError};

use crate::{open, put, scratch};

/// Every file below a directory, with its bytes.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn a_store_in_use_is_seen_as_it_is_and_nothing_of_it_is_changed() {
    let dir = scratch();
    let store = open(dir.path());
    store.commit(&[put(Family::Meta, b"one", b"1"), put(Family::Votes, b"two", b"2")]).unwrap();
    let before = files(dir.path());
    let glimpse = Glimpse::of(dir.path()).unwrap();
    assert_eq!(glimpse.read_all(Family::Meta).unwrap(), [(b"one".to_vec(), b"1".to_vec())]);
    assert_eq!(glimpse.read_all(Family::Votes).unwrap(), [(b"two".to_vec(), b"2".to_vec())]);
    assert_eq!(files(dir.path()), before);
    store.commit(&[put(Family::Meta, b"one", b"3")]).unwrap();
    assert_eq!(glimpse.read_all(Family::Meta).unwrap()[0].1, b"1", "it is a moment");
    assert_eq!(Glimpse::of(dir.path()).unwrap().read_all(Family::Meta).unwrap()[0].1, b"3");
}

#[test]
fn a_store_that_nobody_has_open_is_seen_and_opens_afterwards() {
    let dir = scratch();
    let store = open(dir.path());
    for number in 0..500_u32 {
        store.commit(&[put(Family::Chain, &number.to_be_bytes(), &[7; 2000])]).unwrap();
    }
    drop(store);
    let before = files(dir.path());
    assert_eq!(Glimpse::of(dir.path()).unwrap().read_all(Family::Chain).unwrap().len(), 500);
    assert_eq!(files(dir.path()), before);
    assert_eq!(open(dir.path()).read_all(Family::Chain).unwrap().len(), 500);
}

#[test]
fn where_no_store_is_none_is_made() {
    let dir = scratch();
    for path in [dir.path().to_owned(), dir.path().join("nowhere")] {
        let error = Glimpse::of(&path).unwrap_err();
        assert!(matches!(error, OpenError::Absent { .. }), "{error}");
    }
    assert!(files(dir.path()).is_empty() && !dir.path().join("nowhere").exists());
}

#[test]
fn a_store_of_a_newer_program_is_not_looked_at() {
    let dir = scratch();
    drop(open(dir.path()));
    fs::write(dir.path().join("format"), "3\n").unwrap();
    assert!(matches!(Glimpse::of(dir.path()), Err(OpenError::Newer { found: 3, .. })));
}
