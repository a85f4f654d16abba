//! What is written is what is read, now and after opening again.

use std::collections::BTreeMap;

use althing_protocol::effect::{Family, Write};
use althing_protocol::hash::Hash;
use althing_protocol::manifest::{Directory, Item, Manifest};
use althing_protocol::path::ItemPath;
use althing_store::{CommitError, EVENTS_KEPT, ReadError};
use quickcheck::{QuickCheck, TestResult};

use crate::{open, put, scratch};

#[test]
fn committed_values_are_read_in_order() {
    let dir = scratch();
    let store = open(dir.path());
    let epochs: Vec<Write> = (0..300u64)
        .map(|epoch| put(Family::Chain, &epoch.to_be_bytes(), format!("record {epoch}").as_bytes()))
        .collect();
    store.commit(&epochs).unwrap();
    store.commit(&[put(Family::Meta, b"id", b"1"), put(Family::Votes, b"id", b"2")]).unwrap();
    drop(store);

    let store = open(dir.path());
    assert_eq!(store.read(Family::Meta, b"id").unwrap().unwrap(), b"1");
    assert_eq!(store.read(Family::Votes, b"id").unwrap().unwrap(), b"2");
    assert_eq!(store.read(Family::Chain, b"id").unwrap(), None);
    assert_eq!(store.read_all(Family::Chain).unwrap().len(), 300);
    let some = store.read_from(Family::Chain, &256u64.to_be_bytes(), 2).unwrap();
    assert_eq!(some[0], (256u64.to_be_bytes().to_vec(), b"record 256".to_vec()));
    assert_eq!(some.len(), 2);
    assert_eq!(store.read_from(Family::Chain, &[], 0).unwrap(), []);
    store.commit(&[Write { family: Family::Meta, key: b"id".to_vec(), value: None }]).unwrap();
    assert_eq!(store.read(Family::Meta, b"id").unwrap(), None);
}

#[test]
fn a_refused_batch_changes_nothing() {
    let dir = scratch();
    let store = open(dir.path());
    for key in [vec![], vec![0; 256]] {
        let batch = [put(Family::Meta, b"good", b"1"), put(Family::Meta, &key, b"2")];
        let error = store.commit(&batch).unwrap_err();
        assert!(matches!(error, CommitError::Refused(_)) && !error.is_fatal());
    }
    assert_eq!(store.read_all(Family::Meta).unwrap(), []);
}

/// Any sequence of batches leaves what a map would hold.
#[test]
fn commits_are_like_those_of_a_map() {
    fn check(batches: Vec<Vec<(u8, Option<Vec<u8>>)>>) -> TestResult {
        let dir = scratch();
        let mut model = BTreeMap::new();
        let store = open(dir.path());
        for batch in &batches {
            let mut writes = Vec::new();
            for (key, value) in batch {
                writes.push(Write { family: Family::Votes, key: vec![*key], value: value.clone() });
                match value {
                    Some(value) => model.insert(vec![*key], value.clone()),
                    None => model.remove(&vec![*key]),
                };
            }
            store.commit(&writes).unwrap();
        }
        drop(store);
        let found = open(dir.path()).read_all(Family::Votes).unwrap();
        TestResult::from_bool(found == model.into_iter().collect::<Vec<_>>())
    }
    QuickCheck::new().tests(12).quickcheck(check as fn(_) -> TestResult);
}

fn tree() -> Manifest {
    let path =
        |text: &str| text.split('/').fold(ItemPath::root(), |path, name| path.join(name.as_bytes()).unwrap());
    let mut items = BTreeMap::new();
    for index in 0..40 {
        items.insert(path(&format!("d{index}")), Item::directory(0o755));
        let file = Item::file(0o644, index, Hash::of(&index.to_be_bytes()));
        items.insert(path(&format!("d{index}/f")), file);
    }
    items.insert(path("d0/below"), Item::directory(0o700));
    items.insert(path("d0/below/link"), Item::symlink(b"../f"));
    Manifest::from_items(&items).unwrap()
}

#[test]
fn a_manifest_is_whole_or_absent() {
    let dir = scratch();
    let store = open(dir.path());
    let tree = tree();
    let (missing, _) = tree.directories.iter().find(|(name, _)| **name != tree.root).unwrap();
    store.put_directories(tree.directories.iter().filter(|(name, _)| *name != missing)).unwrap();
    assert_eq!(store.manifest(&tree.root), Ok(None));
    assert_eq!(store.directory(missing), Ok(None));
    store.put_directories(tree.directories.iter()).unwrap();
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.manifest(&tree.root), Ok(Some(tree.clone())));
    let bytes = store.directory_bytes(&tree.root).unwrap().unwrap();
    assert_eq!(Hash::of(&bytes), tree.root);
}

#[test]
fn a_directory_under_a_wrong_name_is_refused() {
    let dir = scratch();
    let store = open(dir.path());
    let name = Hash::of(b"something else");
    let directory = Directory { format: 1, entries: vec![] };
    let error = store.put_directories([(&name, &directory)].into_iter()).unwrap_err();
    assert!(matches!(error, CommitError::Refused(_)));
    assert_eq!(store.directory(&name), Ok(None));
}

#[test]
fn the_scan_cache_is_by_application() {
    let dir = scratch();
    let store = open(dir.path());
    let pair = |path: &[u8], value: &[u8]| (path.to_vec(), Some(value.to_vec()));
    store.update_scan_cache("web", &[pair(b"b", b"2"), pair(b"a/\0x", b"1"), pair(b"c", b"3")]).unwrap();
    store.update_scan_cache("web2", &[pair(b"a", b"other")]).unwrap();
    store.update_scan_cache("web", &[(b"c".to_vec(), None), pair(b"b", b"22")]).unwrap();
    drop(store);
    let store = open(dir.path());
    let wanted = vec![(b"a/\0x".to_vec(), b"1".to_vec()), (b"b".to_vec(), b"22".to_vec())];
    assert_eq!(store.scan_cache("web"), Ok(wanted), "closing writes the cache out");
    store.forget_scan_cache("web").unwrap();
    assert_eq!(store.scan_cache("web"), Ok(vec![]));
    assert_eq!(store.scan_cache("web2").unwrap().len(), 1);
    assert!(store.update_scan_cache("a\0b", &[]).is_err());
}

#[test]
fn events_are_numbered_without_gaps_and_bounded() {
    let dir = scratch();
    let store = open(dir.path());
    assert_eq!((store.last_event(), store.append_events(&[]).unwrap()), (0, 0));
    assert_eq!(store.append_events(&[b"one".to_vec(), b"two".to_vec()]).unwrap(), 2);
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.last_event(), 2);
    assert_eq!(store.events_after(1, 9), Ok(vec![(2, b"two".to_vec())]));
    assert_eq!(store.events_after(2, 9), Ok(vec![]));
    assert_eq!(store.events_after(u64::MAX, 9), Ok(vec![]));

    let mut last = 2;
    while last < EVENTS_KEPT + 500 {
        let events: Vec<_> = (0..1500).map(|at| (last + 1 + at).to_be_bytes().to_vec()).collect();
        last = store.append_events(&events).unwrap();
    }
    let check = |store: &althing_store::Store| {
        let events = store.events_after(0, usize::MAX).unwrap();
        assert_eq!(events.len() as u64, EVENTS_KEPT);
        assert_eq!(events[0].0, last - EVENTS_KEPT + 1);
        assert!(events.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0));
        assert!(events.iter().all(|(number, event)| *event == number.to_be_bytes()));
        assert_eq!(store.last_event(), last);
    };
    check(&store);
    drop(store);
    check(&open(dir.path()));
}

#[test]
fn records_are_listed_by_prefix() {
    let dir = scratch();
    let store = open(dir.path());
    store.put_record("trash/2", Some(b"b")).unwrap();
    store.put_records(&[("trash/1", Some(b"a")), ("trasi", Some(b"c")), ("journal", Some(b""))]).unwrap();
    drop(store);
    let store = open(dir.path());
    let wanted = vec![("trash/1".to_owned(), b"a".to_vec()), ("trash/2".to_owned(), b"b".to_vec())];
    assert_eq!(store.records_below("trash/"), Ok(wanted));
    assert_eq!(store.records_below("").unwrap().len(), 4);
    assert_eq!(store.record("journal"), Ok(Some(vec![])));
    store.put_record("journal", None).unwrap();
    assert_eq!(store.record("journal"), Ok::<_, ReadError>(None));
}
