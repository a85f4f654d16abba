//! Large files that come in parts: in any order, over restarts, and nothing that is not right counts.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::{Command, Stdio};

use althing_protocol::hash::Hash;
use althing_protocol::limits::{LARGE_FILE, PART_BYTES};
use althing_protocol::parts::Division;
use althing_store::{Came, Outlined, Put, Store, Verdict};

use crate::{open, scratch};

/// Two parts of zeros in the middle, and an end that is shorter than a part.
fn sample() -> (Vec<u8>, Hash, Division) {
    let size = LARGE_FILE + 2 * PART_BYTES + 12_345;
    let mut bytes: Vec<u8> = (0..size).map(|at| ((at >> 9) ^ (at * 13)) as u8 | 1).collect();
    bytes[PART_BYTES as usize..3 * PART_BYTES as usize].fill(0);
    let (name, division) = (Hash::of(&bytes), Division::of(size).unwrap());
    (bytes, name, division)
}

fn put_whole(store: &Store, bytes: &[u8], name: &Hash) {
    let mut batch = store.content().batch();
    batch.add(name, bytes.len() as u64, &mut &bytes[..]).unwrap();
    batch.finish().unwrap();
}

/// The outline, from a store that has the file whole.
fn outline(bytes: &[u8], name: &Hash) -> Vec<u8> {
    let (dir, size) = (scratch(), bytes.len() as u64);
    let store = open(dir.path());
    assert_eq!(store.content().outline(name, size).unwrap(), Outlined::NotHere);
    put_whole(&store, bytes, name);
    assert_eq!(store.content().outline(name, size + 1).unwrap(), Outlined::NotHere, "of no such size");
    let first = store.content().outline(name, size).unwrap();
    assert_eq!(store.content().outline(name, size).unwrap(), first);
    let Outlined::Is(outline) = first else { panic!("{first:?}") };
    outline.to_vec()
}

fn gathered(dir: &Path) -> usize {
    fs::read_dir(dir.join("partial")).unwrap().count()
}

fn part(bytes: &[u8], division: Division, index: u32) -> &[u8] {
    let (begins, length) = division.range(index).unwrap();
    &bytes[begins as usize..(begins + length) as usize]
}

fn is_zeros(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

fn put(store: &Store, (bytes, name, division): (&[u8], &Hash, Division), index: u32) -> Put {
    let mut from = part(bytes, division, index);
    store.content().put_part((name, bytes.len() as u64, index), Came::Bytes(&mut from)).unwrap()
}

#[test]
fn parts_in_any_order_over_a_restart_become_the_file_with_its_holes() {
    let (bytes, name, division) = sample();
    let (dir, size, outline) = (scratch(), bytes.len() as u64, outline(&bytes, &name));
    let all: Vec<u32> = (0..division.count()).rev().collect();
    let store = open(dir.path());
    assert_eq!(put(&store, (&bytes, &name, division), 0), Put::Elsewhere, "its outline is not here");
    assert!(!store.content().put_outline(&name, size, &outline[1..]).unwrap());
    let mut other = outline.clone();
    other[40] ^= 1;
    assert!(!store.content().put_outline(&name, size, &other).unwrap());
    assert!(!store.content().has_outline(&name, size));
    assert!(store.content().put_outline(&name, size, &outline).unwrap());
    for index in &all[..3] {
        assert_eq!(put(&store, (&bytes, &name, division), *index), Put::Right);
        assert!(store.content().has_part(&name, size, *index));
    }
    assert!(!store.content().finish_parts(&name, size).unwrap() && !store.content().has(&name));
    drop(store);

    let store = open(dir.path());
    assert!(store.content().has_outline(&name, size), "it is gone on with");
    let here: BTreeSet<u32> =
        (0..division.count()).filter(|index| store.content().has_part(&name, size, *index)).collect();
    assert_eq!(here, all[..3].iter().copied().collect());
    for index in &all[3..] {
        let came = if is_zeros(part(&bytes, division, *index)) {
            store.content().put_part((&name, size, *index), Came::Zeros).unwrap()
        } else {
            put(&store, (&bytes, &name, division), *index)
        };
        assert_eq!(came, Put::Right, "part {index}");
    }
    assert!(store.content().finish_parts(&name, size).unwrap());
    let file = store.content().open(&name).unwrap().unwrap();
    let mut found = vec![0; bytes.len()];
    file.read_exact_at(&mut found, 0).unwrap();
    assert!(found == bytes, "to the byte");
    assert!(file.metadata().unwrap().blocks() * 512 < size - PART_BYTES, "holes stay holes");
    assert_eq!(gathered(dir.path()), 0);
    let has = store.content().outline(&name, size).unwrap();
    assert_eq!(has, Outlined::Is(outline.into()), "it can be handed on");
}

#[test]
fn a_wrong_part_does_not_count_and_leaves_no_trace_in_the_right_one() {
    let (bytes, name, division) = sample();
    let (dir, size) = (scratch(), bytes.len() as u64);
    let store = open(dir.path());
    assert!(store.content().put_outline(&name, size, &outline(&bytes, &name)).unwrap());
    for index in 0..division.count() {
        let wrong = vec![0xaa; part(&bytes, division, index).len()];
        let mut from = &wrong[..];
        let came = store.content().put_part((&name, size, index), Came::Bytes(&mut from)).unwrap();
        assert_eq!(came, Put::Wrong);
        assert!(!store.content().has_part(&name, size, index));
        let mut short = &part(&bytes, division, index)[1..];
        store.content().put_part((&name, size, index), Came::Bytes(&mut short)).unwrap_err();
        assert_eq!(put(&store, (&bytes, &name, division), index), Put::Right);
        // What is right is not written over.
        let mut from = &wrong[..];
        let came = store.content().put_part((&name, size, index), Came::Bytes(&mut from)).unwrap();
        assert_eq!((came, from.len()), (Put::Right, wrong.len()));
    }
    assert!(store.content().finish_parts(&name, size).unwrap());
    let mut found = vec![0; bytes.len()];
    store.content().open(&name).unwrap().unwrap().read_exact_at(&mut found, 0).unwrap();
    assert!(found == bytes);
}

#[test]
fn parts_that_rotted_while_nobody_looked_are_had_again() {
    let (bytes, name, division) = sample();
    let (dir, size) = (scratch(), bytes.len() as u64);
    let store = open(dir.path());
    assert!(store.content().put_outline(&name, size, &outline(&bytes, &name)).unwrap());
    (0..division.count())
        .for_each(|index| assert_eq!(put(&store, (&bytes, &name, division), index), Put::Right));
    drop(store);
    let at = dir.path().join("partial").join(name.hex());
    fs::OpenOptions::new().write(true).open(&at).unwrap().write_all_at(b"rot", 100).unwrap();
    let store = open(dir.path());
    assert!(store.content().has_outline(&name, size));
    let lacking: Vec<u32> =
        (0..division.count()).filter(|index| !store.content().has_part(&name, size, *index)).collect();
    // Parts of zeros were never written, so nobody knows of them; they cost nothing to be had again.
    assert_eq!(lacking, [0, 1, 2]);
    assert!(!store.content().finish_parts(&name, size).unwrap());
    lacking.iter().for_each(|index| assert_eq!(put(&store, (&bytes, &name, division), *index), Put::Right));
    assert!(store.content().finish_parts(&name, size).unwrap());
}

#[test]
fn an_outline_that_was_not_written_to_the_end_loses_nothing() {
    let (bytes, name, division) = sample();
    let (dir, size, outline) = (scratch(), bytes.len() as u64, outline(&bytes, &name));
    let store = open(dir.path());
    assert!(store.content().put_outline(&name, size, &outline).unwrap());
    assert_eq!(put(&store, (&bytes, &name, division), 4), Put::Right);
    assert!(!store.content().has_outline(&name, size + 1), "of no such size");
    drop(store);
    let list = dir.path().join("partial").join(format!("{}.outline", name.hex()));
    fs::write(&list, &outline[..outline.len() - 1]).unwrap();
    let store = open(dir.path());
    assert!(!store.content().has_outline(&name, size) && !store.content().has_part(&name, size, 4));
    assert!(store.content().put_outline(&name, size, &outline).unwrap());
    assert!(store.content().has_part(&name, size, 4));
    // Without its bytes an outline is of no use, as after a kill when the file was put in place.
    drop(store);
    fs::remove_file(dir.path().join("partial").join(name.hex())).unwrap();
    let store = open(dir.path());
    assert!(!store.content().has_outline(&name, size));
}

/// Two applications that need the same file may both be at it.
#[test]
fn a_file_that_several_gather_at_once_is_right() {
    let (bytes, name, division) = sample();
    let (dir, size) = (scratch(), bytes.len() as u64);
    let store = open(dir.path());
    let outline = outline(&bytes, &name);
    std::thread::scope(|scope| {
        for liar in [false, true, false] {
            let (store, bytes, outline) = (&store, &bytes, &outline);
            scope.spawn(move || {
                assert!(store.content().put_outline(&name, size, outline).unwrap());
                for index in 0..division.count() {
                    if liar {
                        let wrong = vec![0xaa; part(bytes, division, index).len()];
                        let mut from = &wrong[..];
                        store.content().put_part((&name, size, index), Came::Bytes(&mut from)).unwrap();
                    } else if !store.content().has_part(&name, size, index) {
                        assert_eq!(put(store, (bytes, &name, division), index), Put::Right);
                    }
                }
            });
        }
    });
    assert!(store.content().finish_parts(&name, size).unwrap());
    assert_eq!(store.content().verify(&name).unwrap(), Verdict::Sound);
}

#[test]
fn what_was_gathered_goes_when_nobody_wants_it_or_it_came_another_way() {
    let (bytes, name, division) = sample();
    let (dir, size, outline) = (scratch(), bytes.len() as u64, outline(&bytes, &name));
    let store = open(dir.path());
    let begin = || {
        assert!(store.content().put_outline(&name, size, &outline).unwrap());
        assert_eq!(put(&store, (&bytes, &name, division), 0), Put::Right);
    };
    let collect = || store.collection(Vec::new).unwrap().finish().unwrap();
    begin();
    let unnamed = store.unnamed();
    assert_eq!((collect().files, gathered(dir.path())), (0, 2), "it is young");
    drop(unnamed);
    assert_eq!((collect().files, gathered(dir.path())), (1, 0), "nobody wants it");
    assert!(!store.content().has_part(&name, size, 0) && !store.content().has_outline(&name, size));
    begin();
    put_whole(&store, &bytes, &name);
    let _unnamed = store.unnamed();
    collect();
    assert_eq!(gathered(dir.path()), 0, "the whole is here");
    assert!(store.content().has(&name));
}

#[test]
fn whoever_is_asked_for_an_outline_finds_what_rotted() {
    let (bytes, name, _) = sample();
    let (dir, size) = (scratch(), bytes.len() as u64);
    let store = open(dir.path());
    put_whole(&store, &bytes, &name);
    let path = dir.path().join("content").join(&name.hex()[..2]).join(name.hex());
    fs::OpenOptions::new().write(true).open(&path).unwrap().write_all_at(b"rot", 100).unwrap();
    assert_eq!(store.content().outline(&name, size).unwrap(), Outlined::Damaged);
    assert!(matches!(store.content().verify(&name).unwrap(), Verdict::Damaged { .. }));
    assert_eq!(store.content().outline(&name, size).unwrap(), Outlined::NotHere);
}

#[test]
fn descriptors_of_what_was_put_are_closed() {
    let open_files = || fs::read_dir("/proc/self/fd").unwrap().count();
    let dir = scratch();
    let store = open(dir.path());
    let before = open_files();
    for number in 0..200_u32 {
        let bytes = number.to_le_bytes();
        put_whole(&store, &bytes, &Hash::of(&bytes));
    }
    // Other tests of this process, if they run in it, open a few.
    assert!(open_files() < before + 100, "{before}, then {}", open_files());
}

/// The directory in which a child of this test gathers.
const CHILD: &str = "ALTHING_STORE_TEST_GATHERS";

#[test]
fn what_was_gathered_survives_kills_and_nothing_counts_before_it_is_whole() {
    if let Some(dir) = std::env::var_os(CHILD) {
        gather_for_ever(dir.as_ref());
    }
    let (bytes, name, division) = sample();
    let (dir, size) = (scratch(), bytes.len() as u64);
    let full = (0..division.count()).filter(|index| !is_zeros(part(&bytes, division, *index))).count();
    // What the child said last: which parts were right, and whether the file was whole since it was begun.
    let (mut parts, mut wholes) = (BTreeSet::new(), 0);
    for kill in 0..8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "gathering::what_was_gathered_survives_kills_and_nothing_counts_before_it_is_whole",
            ])
            .args(["--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut few: Vec<String> =
            said.by_ref().filter(|line| line.ends_with('.')).take(2 + kill * 5 % 13).collect();
        child.kill().unwrap();
        few.extend(said);
        child.wait().unwrap();
        for line in few {
            match line.strip_suffix('.').and_then(|line| line.split_once('=')) {
                Some(("part", index)) => drop(parts.insert(index.parse::<u32>().unwrap())),
                Some(("begun", _)) => parts.clear(),
                Some(("whole", _)) => wholes += 1,
                _ => {}
            }
        }
        let store = open(dir.path());
        let content = store.content();
        if content.has(&name) {
            assert_eq!(content.verify(&name).unwrap(), Verdict::Sound);
        } else if parts.len() < full {
            let lost: Vec<&u32> =
                parts.iter().filter(|index| !content.has_part(&name, size, **index)).collect();
            assert!(lost.is_empty(), "{lost:?} of {parts:?}");
        }
    }
    assert!(wholes > 0, "it never came to an end");
}

/// Gathers the sample until it is killed, throws it away, and begins again. Parts of zeros are not said to be here.
fn gather_for_ever(dir: &Path) -> ! {
    let (bytes, name, division) = sample();
    let (store, size, outline) = (open(dir), bytes.len() as u64, outline(&bytes, &name));
    loop {
        if !store.content().has_outline(&name, size) {
            say("begun", 0);
            assert!(store.content().put_outline(&name, size, &outline).unwrap());
        }
        for index in 0..division.count() {
            if !store.content().has_part(&name, size, index) {
                assert_eq!(put(&store, (&bytes, &name, division), index), Put::Right);
            }
            if !is_zeros(part(&bytes, division, index)) {
                say("part", index);
            }
        }
        assert!(store.content().finish_parts(&name, size).unwrap());
        say("whole", 0);
        for _ in 0..2 {
            store.collection(Vec::new).unwrap().finish().unwrap();
        }
        assert!(!store.content().has(&name));
    }
}

fn say(what: &str, number: u32) {
    let mut out = std::io::stdout().lock();
    // One write: what the parent reads was said after the fact.
    out.write_all(format!("\n{what}={number}.\n").as_bytes()).unwrap();
    out.flush().unwrap();
}
