//! Decoders that only read.

use std::str::FromStr;

use althing_protocol::call::Call;
use althing_protocol::codec;
use althing_protocol::control::Command;
use althing_protocol::effect::Want;
use althing_protocol::frame::Frame;
use althing_protocol::hash::Hash;
use althing_protocol::identity::{MemberId, SignatureBytes};
use althing_protocol::invitation::{Answer, Invitation};
use althing_protocol::limits;
use althing_protocol::manifest::Directory;
use althing_protocol::member::saved::{Saved, read_link};
use althing_protocol::parts::Outline;
use althing_protocol::path::ItemPath;
use althing_protocol::record::{JoinRequest, Link, Record};
use althing_protocol::statement::{Signed, Unverified};
use althing_protocol::wire::Message;
use serde_bytes::ByteBuf;

use crate::entity;

/// A frame of the control or API protocol, after its length.
pub(crate) fn frame(bytes: &[u8]) {
    if let Ok(frame) = Frame::decode(bytes, 4 << 20) {
        assert_eq!(frame.encode(), bytes);
    }
}

/// A control message, and the statements and links in it.
pub(crate) fn message(bytes: &[u8]) {
    let Ok(message) = Message::decode(bytes) else { return };
    assert_eq!(message.encode(), bytes);
    match message {
        Message::Push(statements) => statements.into_iter().for_each(read),
        Message::Chain(links) => links.iter().for_each(link),
        _ => {}
    }
}

/// The bytes of an envelope, as somebody signed them.
pub(crate) fn statement(bytes: &[u8]) {
    let (author, signature) = (entity::liar().id(), SignatureBytes([7; 64]));
    read(Signed { author, bytes: ByteBuf::from(bytes), signature });
}

fn read(signed: Signed) {
    let bytes = signed.bytes.clone();
    let Ok(statement) = Unverified::read(signed, &entity::id()) else { return };
    assert_eq!(codec::encode(statement.envelope()), bytes.into_vec());
    let slot = statement.envelope().statement.slot();
    assert_eq!(slot, statement.envelope().statement.clone().slot());
}

fn link(link: &Link) {
    record(&link.record);
}

/// A record.
pub(crate) fn record(bytes: &[u8]) {
    let Ok(record) = Record::decode(bytes) else { return };
    assert_eq!(record.encode(), bytes);
    record.changes.into_iter().for_each(read);
}

/// A directory of a manifest.
pub(crate) fn directory(bytes: &[u8]) {
    let Ok(directory) = Directory::decode(bytes) else { return };
    assert_eq!(directory.encode(), bytes);
    for entry in &directory.entries {
        let path = ItemPath::root().join(&entry.name).expect("names of a directory are names");
        stays_below(&path);
    }
}

/// The request of a fetch.
pub(crate) fn wants(bytes: &[u8]) {
    if let Ok(wants) = Want::decode_all(bytes) {
        assert_eq!(codec::encode(&wants), bytes);
        assert!(wants.len() <= limits::WANTS_PER_FETCH);
    }
}

/// The outline of a large file: its size and name are the asker's own, and come first here.
pub(crate) fn outline(bytes: &[u8]) {
    let Some((size, rest)) = bytes.split_first_chunk() else { return };
    let Some((name, rest)) = rest.split_first_chunk() else { return };
    let size = u64::from_be_bytes(*size);
    let Some(outline) = Outline::prove(rest, &Hash(*name), size) else { return };
    assert_eq!(outline.bytes(), rest);
    assert_eq!(Outline::length(size), Some(rest.len() as u64));
    let mut other = rest.to_vec();
    other[size as usize % rest.len()] ^= 1;
    assert_eq!(Outline::prove(&other, &Hash(*name), size), None, "one outline for each name");
}

/// A stranger's request to join.
pub(crate) fn join(bytes: &[u8]) {
    if let Ok(request) = codec::decode::<JoinRequest>(bytes, limits::JOIN_BYTES) {
        assert_eq!(codec::encode(&request), bytes);
        let _: bool = request.holds(entity::SCHEME);
    }
}

/// The answer to it.
pub(crate) fn answer(bytes: &[u8]) {
    if let Ok(answer) = codec::decode::<Answer>(bytes, limits::MESSAGE_BYTES) {
        assert_eq!(codec::encode(&answer), bytes);
    }
}

/// The text of an invitation.
pub(crate) fn invitation(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(invitation) = Invitation::decode(&text) {
        assert_eq!(Invitation::decode(&invitation.encode()), Ok(invitation));
    }
}

/// The text of a member's id.
pub(crate) fn member_id(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(id) = MemberId::from_str(&text) {
        assert_eq!(id.to_string(), text);
    }
}

/// The text of a hash.
pub(crate) fn hash(bytes: &[u8]) {
    if let Ok(hash) = Hash::from_str(&String::from_utf8_lossy(bytes)) {
        assert_eq!(Hash::from_str(&hash.to_string()), Ok(hash));
    }
}

/// A path of an item.
pub(crate) fn path(bytes: &[u8]) {
    if let Ok(path) = ItemPath::new(bytes) {
        stays_below(&path);
    }
}

/// Whatever it is joined to.
fn stays_below(path: &ItemPath) {
    let bytes = path.as_bytes();
    assert!(!bytes.starts_with(b"/") && !bytes.contains(&0), "{path:?}");
    let mut parts = bytes.split(|byte| *byte == b'/');
    assert!(path.is_root() || parts.all(|part| !matches!(part, b"" | b"." | b"..")), "{path:?}");
}

/// A call that another member relays, and the command in its body.
pub(crate) fn call(bytes: &[u8]) {
    let Ok(call) = serde_json::from_slice::<Call>(bytes) else { return };
    let again = serde_json::to_vec(&call).expect("a call is text");
    assert_eq!(serde_json::from_slice::<Call>(&again).ok().as_ref(), Some(&call));
    if let Some(body) = call.body {
        command(body.as_bytes());
    }
}

/// The body of a changing call.
pub(crate) fn command(bytes: &[u8]) {
    let Ok(command) = serde_json::from_slice::<Command>(bytes) else { return };
    let again = serde_json::to_vec(&command).expect("a command is text");
    assert_eq!(serde_json::from_slice::<Command>(&again).ok(), Some(command));
}

/// Values of the store, under each of their keys: a disk may say anything.
pub(crate) fn saved(bytes: &[u8]) {
    let held = format!("held/a/{}", Hash::default().hex());
    for key in ["life", "head", "beginning", "evidence", "applied/a", &held, "other"] {
        let meta = [(key.as_bytes().to_vec(), bytes.to_vec())];
        let _: Option<Saved> = Saved::read(meta, []).ok();
    }
    for key in ["promise", "entry", "record/a"] {
        let _: Option<Saved> = Saved::read([], [(key.as_bytes().to_vec(), bytes.to_vec())]).ok();
    }
    let _: Option<Link> = read_link(bytes).ok();
}
