//! Whatever happens to the log of the votes: either everything that was acknowledged is there, or nothing opens.

use std::fs;
use std::path::{Path, PathBuf};

use althing_protocol::effect::Family;
use althing_store::{OpenError, Store};
use quickcheck::{Arbitrary, Gen, QuickCheck};

use crate::{open, put, scratch};

/// Commits before the one that is cut off.
const BEFORE: u64 = 12;
/// A value that spans several blocks of the log, and one that does not.
const SIZES: [usize; 3] = [90, 5_000, 80_000];

/// A closed store whose last commit was not acknowledged, and the length of its log before that commit.
struct Scene {
    dir: tempfile::TempDir,
    log: PathBuf,
    acknowledged: usize,
}

fn scene(last: usize) -> Scene {
    let dir = scratch();
    let store = open(dir.path());
    let log = newest_log(dir.path());
    for number in 1..=BEFORE {
        let size = SIZES[number as usize % 2];
        store.commit(&[put(Family::Votes, &number.to_be_bytes(), &vec![number as u8; size])]).unwrap();
    }
    let acknowledged = fs::metadata(&log).unwrap().len() as usize;
    let mark = fs::read(dir.path().join("acknowledged")).unwrap();
    store.commit(&[put(Family::Votes, &(BEFORE + 1).to_be_bytes(), &vec![7; last])]).unwrap();
    drop(store);
    fs::write(dir.path().join("acknowledged"), mark).unwrap();
    Scene { dir, log, acknowledged }
}

fn newest_log(dir: &Path) -> PathBuf {
    let logs = fs::read_dir(dir.join("votes")).unwrap().map(|entry| entry.unwrap().path());
    logs.filter(|path| path.extension().is_some_and(|extension| extension == "log")).max().unwrap()
}

/// How many commits there are, without a gap, or that the store was refused.
fn found(dir: &Path) -> Option<u64> {
    match Store::open(dir) {
        Ok(store) => {
            let keys = store.read_all(Family::Votes).unwrap();
            for (number, (key, _)) in (1u64..).zip(&keys) {
                assert_eq!(*key, number.to_be_bytes(), "a gap");
            }
            Some(keys.len() as u64)
        }
        Err(OpenError::Corrupt { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn an_end_that_was_cut_off_opens() {
    for size in SIZES {
        let whole = scene(size);
        let length = fs::metadata(&whole.log).unwrap().len() as usize;
        assert_eq!(found(whole.dir.path()), Some(BEFORE + 1));
        for step in 0..8 {
            let cut = scene(size);
            let keep = cut.acknowledged + (length - cut.acknowledged) * step / 8;
            let log = fs::OpenOptions::new().write(true).open(&cut.log).unwrap();
            log.set_len(keep as u64).unwrap();
            assert_eq!(found(cut.dir.path()), Some(BEFORE), "{size} bytes, cut at {keep}");
            assert_eq!(found(cut.dir.path()), Some(BEFORE), "and it goes on opening");
            let store = open(cut.dir.path());
            store.commit(&[put(Family::Votes, &(BEFORE + 1).to_be_bytes(), b"again")]).unwrap();
            drop(store);
            assert_eq!(found(cut.dir.path()), Some(BEFORE + 1), "and goes on");
        }
    }
}

/// A power cut: the file is as long as it should be, but not all of its pages arrived.
#[test]
fn an_end_with_lost_pages_opens() {
    for size in SIZES {
        for lost in 0..4 {
            let scene = scene(size);
            let mut bytes = fs::read(&scene.log).unwrap();
            let length = bytes.len();
            let page = scene.acknowledged + (length - scene.acknowledged) * lost / 4;
            bytes[page..length.min(page + 4096)].fill(0);
            fs::write(&scene.log, bytes).unwrap();
            assert_eq!(found(scene.dir.path()), Some(BEFORE), "{size} bytes, lost from {page}");
        }
    }
}

#[test]
fn an_acknowledged_end_that_is_gone_is_noticed() {
    let dir = scratch();
    let store = open(dir.path());
    let log = newest_log(dir.path());
    store.commit(&[put(Family::Votes, b"a", b"1")]).unwrap();
    let before = fs::read(&log).unwrap();
    store.commit(&[put(Family::Votes, b"lock", b"r3")]).unwrap();
    drop(store);
    fs::write(log, before).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(error.to_string().contains("the last 1 are lost"), "{error}");
    assert!(error.to_string().contains("re-admitted"), "{error}");
}

/// A change of some bytes of a log.
#[derive(Clone, Debug)]
struct Damage {
    place: usize,
    length: usize,
    with: Option<u8>,
}

impl Arbitrary for Damage {
    fn arbitrary(g: &mut Gen) -> Self {
        let length = *g.choose(&[1, 1, 2, 7, 512, 4096]).unwrap();
        Self { place: usize::arbitrary(g), length, with: Option::arbitrary(g).map(|with: u8| with & 1) }
    }
}

/// Damage before the last record is noticed even though the mark does not help: it is set to nothing here.
#[test]
fn damage_to_what_was_acknowledged_never_opens() {
    fn check(damage: Damage) -> bool {
        let scene = scene(SIZES[0]);
        fs::write(scene.dir.path().join("acknowledged"), fresh_mark()).unwrap();
        let mut bytes = fs::read(&scene.log).unwrap();
        let original = bytes.clone();
        let from = damage.place % scene.acknowledged;
        let to = scene.acknowledged.min(from + damage.length);
        for byte in &mut bytes[from..to] {
            *byte = damage.with.map_or(*byte ^ 0x10, |with| with.wrapping_mul(255));
        }
        fs::write(&scene.log, &bytes).unwrap();
        let unchanged = bytes == original || original[from..to] == bytes[from..to];
        found(scene.dir.path()) == unchanged.then_some(BEFORE + 1)
    }
    QuickCheck::new().tests(60).quickcheck(check as fn(Damage) -> bool);
}

fn fresh_mark() -> Vec<u8> {
    let dir = scratch();
    drop(open(dir.path()));
    fs::read(dir.path().join("acknowledged")).unwrap()
}

#[test]
fn a_damaged_table_never_opens_or_reads_wrong() {
    let dir = scratch();
    let store = open(dir.path());
    store.commit(&[put(Family::Votes, b"lock", &[9; 3000])]).unwrap();
    drop(store);
    drop(open(dir.path())); // Replaying writes the log out as a table.
    let tables = fs::read_dir(dir.path().join("votes")).unwrap().map(|entry| entry.unwrap().path());
    for table in tables.filter(|path| path.extension().is_some_and(|extension| extension == "sst")) {
        let mut bytes = fs::read(&table).unwrap();
        bytes[10] ^= 1;
        fs::write(&table, bytes).unwrap();
    }
    if let Ok(store) = Store::open(dir.path()) {
        store.read(Family::Votes, b"lock").unwrap_err();
    }
}

#[test]
fn a_damaged_index_says_that_it_is_not_the_votes() {
    let dir = scratch();
    drop(open(dir.path()));
    let current = dir.path().join("index/CURRENT");
    fs::write(&current, "nonsense").unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, OpenError::CorruptIndex { .. }), "{error}");
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    open(dir.path());
}
