//! A backup of an entity: the chain from the genesis on, and on wish the content in force. Never keys and votes: what is
//! restored from it is a newcomer, and cannot contradict what a member signed (findings 3, 18).
//!
//! A backup is [`MAGIC`] and frames: four bytes of length, big-endian, then the canonical CBOR of a [`Part`]. Each frame
//! moves the seal, `BLAKE3("althing backup 1", seal ‖ frame)`; the last part says what it came to. Here frames are only
//! made and judged; hosts write and read them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::audit::Auditor;
use crate::codec;
use crate::hash::{Hash, Hasher};
use crate::identity::Scheme;
use crate::limits;
use crate::manifest::{Directory, Extent, Item, Manifest};
use crate::record::{Genesis, Link};
use crate::time::WallTime;

/// What a backup begins with; the digit is its version.
pub const MAGIC: &[u8; 16] = b"althing backup 1";
/// One frame: a directory of a manifest, with room for what is around it.
pub const FRAME_BYTES: usize = limits::DIRECTORY_BYTES + 1024;
/// Bytes of a file in one frame.
pub const PIECE_BYTES: usize = 1 << 20;

const DOMAIN: &str = "althing backup 1";

/// One frame of a backup.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Part {
    /// The first.
    Beginning {
        /// The genesis of the entity.
        genesis: Genesis,
        /// When it was made, by the clock of the member that made it.
        at: WallTime,
        /// Whether the content in force follows the chain.
        content: bool,
    },
    /// The next record of the chain.
    Link(Box<Link>),
    /// A directory of a manifest, canonical bytes.
    Directory(ByteBuf),
    /// A file follows in pieces.
    File(Hash, u64),
    /// The next bytes of the file.
    Piece(ByteBuf),
    /// The last: the seal of all frames before.
    End(Hash),
}

/// Why a backup is not one, or not whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// Does not begin as one.
    #[error("it does not begin as a backup")]
    Magic,
    /// A frame is too long or not what this program writes.
    #[error("frame {0} is not understood")]
    Frame(u64),
    /// A frame where another kind must be.
    #[error("frame {0} stands where it may not")]
    Order(u64),
    /// The seal differs.
    #[error("the seal does not hold: it was changed after it was made")]
    Seal,
    /// It ends before its end.
    #[error("it ends early")]
    Cut,
    /// A record does not hold.
    #[error("the chain does not hold at epoch {0}: {1}")]
    Chain(u64, String),
    /// The bytes of a file are not those of its name.
    #[error("the bytes of {0} are others")]
    Content(Hash),
    /// Content in force is not in it.
    #[error("content of {0} is missing")]
    Lacks(String),
}

/// Makes frames.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    seal: Hash,
}

impl Writer {
    /// The frame of a part, as it is written after those before.
    pub fn frame(&mut self, part: &Part) -> Vec<u8> {
        let body = codec::encode(part);
        self.seal = next(&self.seal, &body);
        let mut frame = (body.len() as u32).to_be_bytes().to_vec();
        frame.extend(body);
        frame
    }

    /// The last frame.
    pub fn end(mut self) -> Vec<u8> {
        let seal = self.seal;
        self.frame(&Part::End(seal))
    }
}

fn next(seal: &Hash, body: &[u8]) -> Hash {
    Hash::in_domain(DOMAIN, &[&seal.0[..], body].concat())
}

/// What a whole backup has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Contents {
    /// Name of the entity.
    pub entity: String,
    /// Its id.
    pub id: Hash,
    /// RFC 3339.
    pub at: String,
    /// Records of the chain.
    pub epoch: u64,
    /// Members of the roster then.
    pub members: Vec<String>,
    /// Whether the content in force is in it.
    pub with_content: bool,
    /// Applications then.
    pub applications: Vec<Kept>,
}

/// An application in a backup.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Kept {
    /// Its name.
    pub name: String,
    /// Its root directory.
    pub path: String,
    /// The revision in force then; 0 without one.
    pub revision: u64,
    /// Its root.
    pub root: Option<Hash>,
    /// How much it is.
    pub extent: Extent,
}

/// Judges frames one by one.
#[derive(Default)]
pub struct Reader {
    seal: Hash,
    frames: u64,
    beginning: Option<(WallTime, bool)>,
    auditor: Option<Auditor>,
    directories: BTreeMap<Hash, Directory>,
    files: BTreeSet<Hash>,
    /// Bytes that the file before still lacks, and what came of it so far.
    lacks: u64,
    file: Option<(Hash, Hasher)>,
    ended: bool,
}

impl Reader {
    /// The part in a frame's body, if it holds after those before. After an error nothing more may be read.
    pub fn take(&mut self, body: &[u8], scheme: Scheme) -> Result<Part, BackupError> {
        let number = self.frames;
        let part: Part = codec::decode(body, FRAME_BYTES).map_err(|_| BackupError::Frame(number))?;
        let in_place = match &part {
            Part::Beginning { .. } => number == 0,
            Part::Piece(piece) => !piece.is_empty() && piece.len() as u64 <= self.lacks,
            Part::Link(_) => number > 0 && self.lacks == 0 && self.directories.is_empty(),
            Part::Directory(_) | Part::File(..) => {
                self.lacks == 0 && self.beginning.is_some_and(|(_, it)| it)
            }
            Part::End(_) => number > 0 && self.lacks == 0,
        };
        if !in_place || self.ended {
            return Err(BackupError::Order(number));
        }
        self.judge(&part, scheme)?;
        self.seal = next(&self.seal, body);
        self.frames += 1;
        Ok(part)
    }

    fn judge(&mut self, part: &Part, scheme: Scheme) -> Result<(), BackupError> {
        match part {
            Part::Beginning { genesis, at, content } => {
                self.beginning = Some((*at, *content));
                self.auditor = Some(Auditor::new(genesis));
            }
            Part::Link(link) => {
                let auditor = self.auditor.as_mut().ok_or(BackupError::Order(self.frames))?;
                let broken = |error: crate::validity::Invalid| {
                    BackupError::Chain(link.certificate.epoch, error.to_string())
                };
                auditor.check(link, scheme).map_err(broken)?;
            }
            Part::Directory(bytes) => {
                let directory = Directory::decode(bytes).map_err(|_| BackupError::Frame(self.frames))?;
                self.directories.insert(Hash::of(bytes), directory);
            }
            Part::File(name, size) => {
                self.files.insert(*name);
                self.lacks = *size;
                self.file = Some((*name, Hasher::default()));
                self.compare()?;
            }
            Part::Piece(piece) => {
                self.lacks -= piece.len() as u64;
                self.file.iter_mut().for_each(|(_, hasher)| hasher.add(piece));
                self.compare()?;
            }
            Part::End(seal) if *seal == self.seal => self.ended = true,
            Part::End(_) => return Err(BackupError::Seal),
        }
        Ok(())
    }

    /// Whether a file that is whole is what its name says.
    fn compare(&mut self) -> Result<(), BackupError> {
        if self.lacks > 0 {
            return Ok(());
        }
        match self.file.take() {
            Some((name, hasher)) if hasher.hash() != name => Err(BackupError::Content(name)),
            _ => Ok(()),
        }
    }

    /// What it was, after the last frame.
    pub fn finish(&self) -> Result<Contents, BackupError> {
        let (Some(auditor), Some((at, with_content)), true) = (&self.auditor, self.beginning, self.ended)
        else {
            return Err(BackupError::Cut);
        };
        let state = auditor.state();
        let kept = state.applications.iter().map(|(name, application)| Kept {
            name: name.clone(),
            path: application.root.clone(),
            revision: application.settled().map_or(0, |revision| revision.number),
            root: application.root_hash(),
            extent: application.settled().map(|revision| revision.extent).unwrap_or_default(),
        });
        let applications: Vec<Kept> = kept.collect();
        if with_content {
            applications.iter().try_for_each(|kept| self.has(kept))?;
        }
        Ok(Contents {
            entity: state.name.clone(),
            id: state.entity,
            at: at.rfc3339(),
            epoch: state.epoch,
            members: state.members.iter().map(|member| member.name.clone()).collect(),
            with_content,
            applications,
        })
    }

    /// The tree of a settled root: what is in force of an application.
    pub fn manifest(&self, root: Hash) -> Manifest {
        Manifest { root, directories: self.directories.clone() }
    }

    fn has(&self, kept: &Kept) -> Result<(), BackupError> {
        let Some(root) = kept.root else { return Ok(()) };
        let lacks = || BackupError::Lacks(kept.name.clone());
        let items = self.manifest(root).items().map_err(|_| lacks())?;
        let here = |item: &Item| match item {
            Item::File { content, .. } => self.files.contains(content),
            Item::Directory { .. } | Item::Symlink { .. } => true,
        };
        if items.values().all(here) { Ok(()) } else { Err(lacks()) }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};

    use super::*;
    use crate::identity::Identity;
    use crate::record::Newcomer;
    use crate::statement::{Address, Id16};

    fn genesis() -> Genesis {
        let socket = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7800);
        let address = Address { control: socket, bulk: socket };
        let member = Identity::from_seed([1; 32]).id();
        let founder = Newcomer { member, store: Id16([1; 16]), name: "web1".into(), address };
        Genesis {
            format: Genesis::NEWEST,
            name: "farm".into(),
            founder,
            at: WallTime(0),
            nonce: Id16([7; 16]),
            inherited: None,
            governance: Default::default(),
        }
    }

    fn frames(parts: &[Part]) -> Vec<Vec<u8>> {
        let mut writer = Writer::default();
        let mut frames: Vec<Vec<u8>> = parts.iter().map(|part| writer.frame(part)).collect();
        frames.push(writer.end());
        frames.into_iter().map(|frame| frame[4..].to_vec()).collect()
    }

    fn read(frames: &[Vec<u8>]) -> Result<Contents, BackupError> {
        let mut reader = Reader::default();
        for frame in frames {
            reader.take(frame, Scheme::Ed25519)?;
        }
        reader.finish()
    }

    fn beginning(content: bool) -> Part {
        Part::Beginning { genesis: genesis(), at: WallTime(0), content }
    }

    fn file(bytes: &[u8]) -> [Part; 2] {
        [Part::File(Hash::of(bytes), bytes.len() as u64), Part::Piece(ByteBuf::from(bytes))]
    }

    #[test]
    fn what_was_written_is_read() {
        let contents = read(&frames(&[beginning(false)])).expect("whole");
        assert_eq!((contents.entity.as_str(), contents.epoch, contents.members.len()), ("farm", 0, 1));
        let [head, piece] = file(b"hello");
        assert!(read(&frames(&[beginning(true), head, piece])).is_ok());
    }

    #[test]
    fn every_byte_counts() {
        let [head, piece] = file(b"hello");
        let good = frames(&[beginning(true), head, piece]);
        for at in 0..good.len() {
            for byte in 0..good[at].len() {
                let mut bad = good.clone();
                bad[at][byte] ^= 1;
                assert!(read(&bad).is_err(), "frame {at}, byte {byte}");
            }
            let mut shorter = good.clone();
            shorter.remove(at);
            assert!(read(&shorter).is_err(), "without frame {at}");
        }
    }

    #[test]
    fn files_are_what_their_names_say() {
        let name = Hash::of(b"other");
        let wrong = [Part::File(name, 5), Part::Piece(ByteBuf::from(&b"hello"[..]))];
        let [head, piece] = wrong;
        assert_eq!(read(&frames(&[beginning(true), head, piece])), Err(BackupError::Content(name)));
        let [empty, _] = file(b"");
        assert!(read(&frames(&[beginning(true), empty])).is_ok());
    }

    #[test]
    fn parts_stand_where_they_may() {
        let [head, piece] = file(b"hello");
        assert_eq!(read(&frames(std::slice::from_ref(&head))), Err(BackupError::Order(0)));
        assert_eq!(read(&frames(&[beginning(true), piece.clone()])), Err(BackupError::Order(1)));
        assert_eq!(read(&frames(&[beginning(false), head.clone()])), Err(BackupError::Order(1)));
        assert_eq!(read(&frames(&[beginning(true), head.clone(), head.clone()])), Err(BackupError::Order(2)));
        assert_eq!(
            read(&frames(&[beginning(true), head.clone()])),
            Err(BackupError::Order(2)),
            "a file is cut"
        );
        let mut twice = frames(&[beginning(true)]);
        twice.push(twice[1].clone());
        assert_eq!(read(&twice), Err(BackupError::Order(2)));
    }
}
