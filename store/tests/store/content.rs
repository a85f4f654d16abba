//! File bytes: what is there is complete and right.

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use althing_protocol::hash::Hash;
use althing_store::{Added, Content, ContentError, Verdict};
use quickcheck::QuickCheck;

use crate::open;

fn add(content: &Content, bytes: &[u8]) -> Hash {
    let hash = Hash::of(bytes);
    let mut batch = content.batch();
    batch.add(&hash, bytes.len() as u64, &mut &bytes[..]).unwrap();
    batch.finish().unwrap();
    hash
}

fn read(content: &Content, hash: &Hash) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    content.open(hash).unwrap()?.read_to_end(&mut bytes).unwrap();
    Some(bytes)
}

fn place(dir: &Path, hash: &Hash) -> PathBuf {
    dir.join("content").join(&hash.hex()[..2]).join(hash.hex())
}

fn staged_files(dir: &Path) -> usize {
    let batches = fs::read_dir(dir.join("staging")).unwrap();
    batches.map(|batch| fs::read_dir(batch.unwrap().path()).unwrap().count()).sum()
}

#[test]
fn any_bytes_come_back_from_every_way_of_adding() {
    fn check(parts: Vec<Vec<u8>>, repeat: u16) -> bool {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir.path().join("store"));
        let all: Vec<_> = parts.into_iter().map(|part| part.repeat(1 + usize::from(repeat % 5000))).collect();
        let mut batch = store.content().batch();
        for (index, bytes) in all.iter().enumerate() {
            let wanted = (Hash::of(bytes), bytes.len() as u64);
            match index % 3 {
                0 => drop(batch.add(&wanted.0, wanted.1, &mut &bytes[..]).unwrap()),
                1 => assert_eq!(batch.add_any(&mut &bytes[..]).unwrap(), wanted),
                _ => {
                    let mut file = tempfile::tempfile_in(dir.path()).unwrap();
                    file.write_all(bytes).unwrap();
                    assert_eq!(batch.add_file(&file).unwrap(), wanted);
                }
            }
            assert!(!store.content().has(&wanted.0), "not before the end");
        }
        batch.finish().unwrap();
        assert_eq!(fs::read_dir(dir.path().join("store/staging")).unwrap().count(), 0);
        all.iter().all(|bytes| {
            let hash = Hash::of(bytes);
            read(store.content(), &hash).as_ref() == Some(bytes)
                && store.content().size(&hash) == Some(bytes.len() as u64)
                && store.content().verify(&hash).unwrap() == Verdict::Sound
        })
    }
    QuickCheck::new().tests(15).quickcheck(check as fn(_, _) -> bool);
}

#[test]
fn many_files_in_one_batch() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut batch = store.content().batch();
    for number in 0..300u32 {
        batch.add_any(&mut &number.to_be_bytes()[..]).unwrap();
    }
    batch.finish().unwrap();
    assert!((0..300u32).all(|number| store.content().has(&Hash::of(&number.to_be_bytes()))));
}

#[test]
fn other_bytes_are_refused_and_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let content = store.content();
    let good = Hash::of(b"good bytes");
    let mut batch = content.batch();
    let wrong = batch.add(&good, 10, &mut &b"evil bytes"[..]).unwrap_err();
    assert!(matches!(wrong, ContentError::WrongHash { expected, .. } if expected == good), "{wrong}");
    let short = batch.add(&good, 10, &mut &b"good byte"[..]).unwrap_err();
    assert!(matches!(short, ContentError::WrongSize { expected: 10, found: 9, .. }), "{short}");
    let endless = batch.add(&good, 10, &mut std::io::repeat(1)).unwrap_err();
    assert!(matches!(endless, ContentError::WrongSize { expected: 10, found: 11, .. }), "{endless}");
    assert_eq!(staged_files(dir.path()), 0);
    assert_eq!(batch.add(&good, 10, &mut &b"good bytes"[..]).unwrap(), Added::Staged);
    assert_eq!(batch.add(&good, 10, &mut std::io::repeat(1)).unwrap(), Added::Held, "within the batch");
    batch.finish().unwrap();
    assert_eq!(read(content, &good).unwrap(), b"good bytes");
    assert_eq!(content.batch().add(&good, 10, &mut std::io::repeat(1)).unwrap(), Added::Held);
}

#[test]
fn a_dropped_batch_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut batch = store.content().batch();
    let (hash, _) = batch.add_any(&mut &b"never finished"[..]).unwrap();
    drop(batch);
    assert!(!store.content().has(&hash));
    assert_eq!(fs::read_dir(dir.path().join("staging")).unwrap().count(), 0);
}

#[test]
fn leftovers_of_a_crash_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let hash = add(open(dir.path()).content(), b"kept");
    fs::create_dir(dir.path().join("staging/0")).unwrap();
    fs::write(dir.path().join("staging/0/0"), b"half").unwrap();
    fs::write(dir.path().join("staging/stray"), b"half").unwrap();
    let store = open(dir.path());
    assert_eq!(fs::read_dir(dir.path().join("staging")).unwrap().count(), 0);
    assert_eq!(add(store.content(), b"new"), Hash::of(b"new"));
    assert!(store.content().has(&hash));
}

#[test]
fn a_damaged_file_is_put_aside_and_can_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let content = store.content();
    let hash = add(content, b"what it should be");
    let file = OpenOptions::new().write(true).open(place(dir.path(), &hash)).unwrap();
    file.write_all_at(b"W", 0).unwrap();
    assert!(!content.lacks_damaged().unwrap());
    let Verdict::Damaged { aside } = content.verify(&hash).unwrap() else { panic!("not noticed") };
    assert_eq!(fs::read(aside).unwrap(), b"What it should be");
    assert!(!content.has(&hash));
    assert!(content.open(&hash).unwrap().is_none());
    assert_eq!(content.verify(&hash).unwrap(), Verdict::Missing);
    assert!(content.lacks_damaged().unwrap(), "also for the process that is started next");
    add(content, b"what it should be");
    assert!(!content.lacks_damaged().unwrap());
    assert_eq!(content.verify(&hash).unwrap(), Verdict::Sound);

    // One of another length is noticed without reading it.
    file_of_length(&place(dir.path(), &hash), 3);
    let mut batch = content.batch();
    assert_eq!(batch.add(&hash, 17, &mut &b"what it should be"[..]).unwrap(), Added::Staged);
    batch.finish().unwrap();
    assert_eq!(content.verify(&hash).unwrap(), Verdict::Sound);
}

fn file_of_length(path: &Path, length: u64) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(length).unwrap();
}

#[test]
fn few_damaged_files_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for number in 0..20u8 {
        let hash = add(store.content(), &[number]);
        fs::write(place(dir.path(), &hash), b"damage").unwrap();
        assert!(matches!(store.content().verify(&hash).unwrap(), Verdict::Damaged { .. }));
    }
    assert_eq!(fs::read_dir(dir.path().join("damaged")).unwrap().count(), 16);
}

#[test]
fn a_file_is_added_whole_wherever_it_is_read() {
    // Two file systems, of which at most one is the store's: at least one of them cannot share blocks.
    for place in [Path::new("/dev/shm"), Path::new("/tmp")] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let Ok(mut file) = tempfile::tempfile_in(place) else { continue };
        let bytes: Vec<u8> = (0..700_001u32).map(|at| (at / 7) as u8).collect();
        file.write_all(&bytes).unwrap();
        file.seek(SeekFrom::Start(77)).unwrap();
        let mut batch = store.content().batch();
        assert_eq!(batch.add_file(&file).unwrap(), (Hash::of(&bytes), bytes.len() as u64));
        batch.finish().unwrap();
        assert_eq!(file.stream_position().unwrap(), 77);
        assert_eq!(read(store.content(), &Hash::of(&bytes)), Some(bytes));
    }
}
