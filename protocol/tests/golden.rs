//! What version 1 of the protocol looks like in bytes. `golden/v1.txt` was written by the last program that spoke only
//! version 1 (`golden/v1-generator.rs`, which is kept to show how): a name and hexadecimal digits a line. While version 1 is in
//! force, members of both programs must make the same bytes of the same values, and the same states of the same
//! records, or they would fork (finding 19, PROTOCOL.md W6 and E10).

use std::collections::BTreeMap;

use althing_protocol::backup;
use althing_protocol::codec;
use althing_protocol::frame::Frame;
use althing_protocol::hash::{hex, unhex};
use althing_protocol::identity::Scheme;
use althing_protocol::invitation::{Answer, Invitation};
use althing_protocol::manifest::Directory;
use althing_protocol::member::saved::{Saved, read_link};
use althing_protocol::metrics::Report;
use althing_protocol::record::{Change, FORMAT, Genesis, JoinRequest, Link, Readmission, Record};
use althing_protocol::state::State;
use althing_protocol::statement::{Envelope, Signed, Statement};
use althing_protocol::wire::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Everything in the file, in its order.
fn golden() -> Vec<(String, Vec<u8>)> {
    let line = |line: &str| {
        let (name, digits) = line.split_once(' ').expect("a name and digits");
        (name.to_owned(), unhex(digits).expect("hexadecimal digits"))
    };
    include_str!("golden/v1.txt").lines().map(line).collect()
}

fn one(name: &str) -> Vec<u8> {
    golden().into_iter().find(|(known, _)| known == name).expect(name).1
}

fn all(kind: &str) -> Vec<(String, Vec<u8>)> {
    let found: Vec<_> = golden().into_iter().filter(|(name, _)| name.starts_with(kind)).collect();
    assert!(!found.is_empty(), "{kind}");
    found
}

/// The bytes decode, and the value has exactly these bytes.
fn same<T: Serialize + DeserializeOwned>(name: &str, bytes: &[u8]) -> T {
    let value: T = codec::decode(bytes, usize::MAX).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    assert_eq!(hex(&codec::encode(&value)), hex(bytes), "{name}");
    value
}

fn chain() -> (Genesis, Vec<Link>) {
    let genesis = same("genesis", &one("genesis"));
    let links = all("link/").iter().map(|(name, bytes)| same(name, bytes)).collect();
    (genesis, links)
}

#[test]
fn an_entity_of_version_1_keeps_its_id_and_its_first_state() {
    for (name, state) in [("genesis", None), ("genesis-inherited", Some("state-inherited"))] {
        let genesis: Genesis = same(name, &one(name));
        assert_eq!(genesis.id().0.to_vec(), one(&format!("{name}-id")));
        let first = State::genesis(&genesis);
        assert_eq!(first.protocol, 1);
        if let Some(state) = state {
            assert_eq!(hex(&codec::encode(&first)), hex(&one(state)), "{state}");
        }
    }
}

#[test]
fn the_records_of_version_1_lead_to_the_states_they_led_to() {
    let (genesis, links) = chain();
    let (mut state, mut head) = (State::genesis(&genesis), genesis.id());
    let mut kinds = BTreeMap::new();
    for link in &links {
        let value = link.certificate.value;
        assert_eq!(Record::hash_of(&link.record), value);
        assert_eq!(state.check_certificate(&head, &link.certificate, Scheme::Ed25519), Ok(()));
        let record = Record::decode(&link.record).expect("a record");
        let next = state.after(&head, &record, Scheme::Ed25519).expect("valid");
        // The present program would propose the very same record of these intents.
        let made = state.with_changes(&record.changes, Scheme::Ed25519).expect("valid");
        let (entity, epoch, changes) = (state.entity, made.epoch, record.changes.clone());
        let again = Record { format: FORMAT, entity, epoch, parent: head, changes, state: made.hash() };
        assert_eq!(hex(&again.encode()), hex(&link.record), "epoch {epoch}");
        for signed in &record.changes {
            let envelope: Envelope = same("a change", &signed.bytes);
            let Statement::Intent(intent) = envelope.statement else { panic!("not an intent") };
            assert_eq!(intent.change.needs(), 1);
            let kind = format!("{:?}", intent.change);
            *kinds.entry(kind.split([' ', '(']).next().map(str::to_owned)).or_insert(0) += 1;
        }
        (state, head) = (next, value);
    }
    assert_eq!(kinds.len(), 24, "every kind of change of version 1: {kinds:?}");
    assert_eq!(hex(&codec::encode(&state)), hex(&one("state")));
    assert_eq!(state.hash().0.to_vec(), one("state-hash"));
    assert_eq!(head.0.to_vec(), one("head"));
}

#[test]
fn what_members_of_version_1_say_is_read_and_said_the_same() {
    for (name, bytes) in all("decoder/statement/") {
        let envelope: Envelope = same(&name, &bytes);
        assert_eq!(envelope.statement.needs(), 1, "{name}");
    }
    for (name, bytes) in all("decoder/message/").into_iter().chain(all("message/")) {
        let message: Message = same(&name, &bytes);
        assert_eq!(message.needs(), 1, "{name}");
        assert_eq!(Message::decode(&bytes), Ok(message), "{name}");
    }
    for (name, bytes) in all("decoder/changes/") {
        let changes: Vec<Change> = same(&name, &bytes);
        assert!(changes.iter().all(|change| change.needs() == 1), "{name}");
    }
    let signed: Signed = same("signed/report", &one("signed/report"));
    let envelope: Envelope = same("signed/report", &signed.bytes);
    let Statement::Report(report) = envelope.statement else { panic!("not a report") };
    assert_eq!((report.protocol, report.epoch, report.capacity), (1, 77, 4000));
    let _: Report = same("report", &codec::encode(&report));
    let _: Readmission = same("readmission", &one("readmission"));
    all("decoder/record/").iter().for_each(|(name, bytes)| drop(same::<Record>(name, bytes)));
    all("decoder/directory/").iter().for_each(|(name, bytes)| drop(same::<Directory>(name, bytes)));
    for (name, bytes) in all("decoder/frame/") {
        let frame = Frame::decode(&bytes, 1 << 20).expect(&name);
        assert_eq!(frame.encode(), bytes, "{name}");
    }
}

#[test]
fn strangers_of_version_1_are_understood_and_answered_the_same() {
    for (name, bytes) in all("decoder/join/") {
        let request: JoinRequest = same(&name, &bytes);
        assert_eq!(request.abilities.speaks(), 1);
        assert!(request.holds(Scheme::SimulatedHash), "{name}");
    }
    all("decoder/answer/").iter().for_each(|(name, bytes)| drop(same::<Answer>(name, bytes)));
    for (name, bytes) in all("decoder/invitation/").into_iter().chain(all("invitation")) {
        let text = String::from_utf8(bytes).expect("text");
        let invitation = Invitation::decode(&text).expect(&name);
        assert_eq!((invitation.protocol, invitation.checkpoint), (1, None), "{name}");
        assert_eq!(invitation.encode(), text, "{name}");
    }
}

#[test]
fn the_disk_of_a_member_of_version_1_is_read() {
    let pairs = |kind: &str| {
        let pair = |(name, bytes): (String, Vec<u8>)| {
            // The last part of a name counts what was written: the newest of a key stays.
            let key = name.strip_prefix(kind).and_then(|rest| rest.rsplit_once('/')).expect("a key").0;
            (key.as_bytes().to_vec(), bytes)
        };
        all(kind).into_iter().map(pair).collect::<BTreeMap<_, _>>()
    };
    let saved = Saved::read(pairs("saved/meta/"), pairs("saved/votes/")).expect("readable");
    let head = saved.head.expect("a head");
    assert_eq!((head.state.protocol, head.state.epoch), (1, 3));
    assert!(saved.life.is_some() && saved.beginning.is_some() && saved.promise.is_some());
    assert_eq!((saved.records.len(), saved.leaving.len()), (3, 1));
    for (_, bytes) in all("saved/") {
        assert_eq!(bytes[0], 1, "the format of a value");
    }
    for (name, bytes) in all("saved/chain/") {
        let link = read_link(&bytes).expect(&name);
        assert_eq!(hex(&codec::encode(&link)), hex(&bytes[1..]), "{name}");
    }
}

#[test]
fn a_backup_of_version_1_is_checked() {
    let bytes = one("backup");
    let mut rest = bytes.strip_prefix(backup::MAGIC).expect("a backup");
    let mut reader = backup::Reader::default();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (body, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        reader.take(body, Scheme::Ed25519).expect("a good frame");
        rest = after;
    }
    let contents = reader.finish().expect("a whole backup");
    assert_eq!((contents.epoch, contents.id.0.to_vec()), (25, one("genesis-id")));
}
