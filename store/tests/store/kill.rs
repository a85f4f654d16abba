//! A writing process is killed again and again; everything it said was done must be there.

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use althing_protocol::effect::Family;
use althing_protocol::hash::Hash;
use althing_store::Store;

use crate::{open, put};

const CHILD: &str = "ALTHING_STORE_TEST_CHILD";
const KILLS: u64 = 30;

#[test]
fn what_was_acknowledged_survives_kills() {
    if let Some(dir) = std::env::var_os(CHILD) {
        write_for_ever(dir.as_ref());
    }
    let dir = tempfile::tempdir().unwrap();
    let mut said = Said::default();
    // Where the processor is busy elsewhere, most lives end before anything is written.
    for kill in 0..20 * KILLS {
        if kill >= KILLS && said.commits > KILLS {
            break;
        }
        // From "while it opens" to "after many commits".
        let life = Duration::from_millis(kill * kill % 17 * 12 + kill % 7);
        run_and_kill(dir.path(), life, &mut said);
        check(dir.path(), &said);
    }
    assert!(said.commits > KILLS, "the child hardly wrote: {said:?}");
}

/// The highest numbers that the child said.
#[derive(Debug, Default)]
struct Said {
    commits: u64,
    events: u64,
    records: u64,
    content: u64,
}

fn run_and_kill(dir: &Path, life: Duration, said: &mut Said) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::what_was_acknowledged_survives_kills", "--nocapture"])
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let output = child.stdout.take().unwrap();
    let reader =
        std::thread::spawn(move || BufReader::new(output).lines().map_while(Result::ok).collect::<Vec<_>>());
    std::thread::sleep(life);
    child.kill().unwrap();
    child.wait().unwrap();
    for line in reader.join().unwrap() {
        let Some((what, number)) = line.split_once('=') else { continue };
        // The last line may be cut off, but only what is whole ends with a point.
        let Some(Ok(number)) = number.strip_suffix('.').map(str::parse::<u64>) else { continue };
        let slot = match what {
            "commit" => &mut said.commits,
            "event" => &mut said.events,
            "record" => &mut said.records,
            "content" => &mut said.content,
            _ => continue,
        };
        *slot = number.max(*slot);
    }
}

fn check(dir: &Path, said: &Said) {
    let store = open(dir);
    let commits = last(&store);
    assert!(commits >= said.commits, "{commits} of {said:?}");
    let chain = store.read_all(Family::Chain).unwrap();
    assert_eq!(chain.len() as u64, commits, "a batch was split");
    assert!(store.last_event() >= said.events, "{said:?}");
    let record = store.record("number").unwrap().map_or(0, |value| number(&value));
    assert!(record >= said.records, "{said:?}");
    // Earlier ones were read when they were new.
    for content in said.content.saturating_sub(60) + 1..=said.content {
        let hash = Hash::of(&bytes(content));
        assert_eq!(store.content().verify(&hash).unwrap(), althing_store::Verdict::Sound, "{content}");
    }
    assert_eq!(std::fs::read_dir(dir.join("staging")).unwrap().count(), 0);
    store.scan_cache("app").unwrap();
}

fn last(store: &Store) -> u64 {
    store.read(Family::Meta, b"number").unwrap().map_or(0, |value| number(&value))
}

fn number(value: &[u8]) -> u64 {
    u64::from_be_bytes(value[..8].try_into().unwrap())
}

fn bytes(number: u64) -> Vec<u8> {
    number.to_be_bytes().repeat(1 + (number as usize * 997) % 9000)
}

fn say(what: &str, number: u64) {
    let mut out = std::io::stdout().lock();
    // One write: what the parent reads was said after the fact.
    out.write_all(format!("\n{what}={number}.\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// Writes everything there is to write, from several threads, until it is killed.
fn write_for_ever(dir: &Path) -> ! {
    let store = open(dir);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut at = last(&store);
            while !stop.load(Ordering::Relaxed) {
                at += 1;
                let value = [&at.to_be_bytes()[..], &vec![1; (at as usize * 811) % 40_000]].concat();
                let key = at.to_be_bytes();
                let writes = [
                    put(Family::Chain, &key, &value),
                    put(Family::Meta, b"number", &key),
                    put(Family::Votes, b"vote", &value),
                ];
                store.commit(&writes).unwrap();
                say("commit", at);
            }
        });
        scope.spawn(|| {
            loop {
                say("event", store.append_events(&[vec![2; 300], vec![3; 5000]]).unwrap());
                let at = store.record("number").unwrap().map_or(0, |value| number(&value)) + 1;
                store.put_record("number", Some(&at.to_be_bytes())).unwrap();
                say("record", at);
                let cache: Vec<_> =
                    (0..200u32).map(|path| (path.to_be_bytes().to_vec(), Some(vec![4; 100]))).collect();
                store.update_scan_cache("app", &cache).unwrap();
            }
        });
        let mut at = 0;
        loop {
            let mut batch = store.content().batch();
            for _ in 0..5 {
                at += 1;
                let bytes = bytes(at);
                batch.add(&Hash::of(&bytes), bytes.len() as u64, &mut &bytes[..]).unwrap();
            }
            batch.finish().unwrap();
            say("content", at);
        }
    })
}
