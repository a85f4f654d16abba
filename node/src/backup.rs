//! Backups: writing one from a running member's store, and making a directory from one (PROTOCOL.md is silent here: a
//! backup settles nothing). What is restored has content but no key, no votes and no state: it is a newcomer's.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::Path;

use althing_protocol::backup::{Contents, FRAME_BYTES, MAGIC, PIECE_BYTES, Part, Reader, Writer};
use althing_protocol::hash::Hash;
use althing_protocol::identity::Scheme;
use althing_protocol::manifest::{Directory, Item};
use althing_protocol::record::Genesis;
use althing_protocol::state::State;
use althing_protocol::time::WallTime;
use althing_store::Store;
use anyhow::{Context, bail, ensure};
use serde_bytes::ByteBuf;

use crate::api::for_each_link;

/// Hands a backup to `out`, frame by frame, until that returns an error.
pub(crate) fn write(
    store: &Store,
    (genesis, state): (&Genesis, &State),
    at: WallTime,
    content: bool,
    out: &mut dyn FnMut(Vec<u8>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut writer = Writer::default();
    out(MAGIC.to_vec())?;
    out(writer.frame(&Part::Beginning { genesis: genesis.clone(), at, content }))?;
    let mut gone = None;
    let read = for_each_link(store, State::genesis(genesis).epoch..=state.epoch, |link| {
        if gone.is_none() {
            gone = out(writer.frame(&Part::Link(Box::new(link.clone())))).err();
        }
        Ok(())
    });
    read.map_err(|refusal| anyhow::anyhow!(refusal.message))?;
    if let Some(error) = gone {
        return Err(error);
    }
    if content {
        let trees = state
            .applications
            .iter()
            .filter_map(|(name, application)| Some((name, application.root_hash()?)));
        let mut seen = BTreeSet::new();
        for (name, root) in trees {
            let manifest = store.manifest(&root)?;
            let manifest =
                manifest.with_context(|| format!("this member does not hold all content of {name}"))?;
            for (directory, bytes) in manifest.directories.iter().map(|(name, it)| (name, it.encode())) {
                if seen.insert(*directory) {
                    out(writer.frame(&Part::Directory(ByteBuf::from(bytes))))?;
                }
            }
            for item in manifest.items()?.into_values() {
                if let Item::File { content, size, .. } = item
                    && seen.insert(content)
                {
                    file(store, &content, size, &mut writer, out)?;
                }
            }
        }
    }
    out(writer.end())
}

fn file(
    store: &Store,
    name: &Hash,
    size: u64,
    writer: &mut Writer,
    out: &mut dyn FnMut(Vec<u8>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut from = store.content().open(name)?.with_context(|| format!("content {name} is not here"))?;
    out(writer.frame(&Part::File(*name, size)))?;
    let mut left = size;
    while left > 0 {
        let mut piece = vec![0; left.min(PIECE_BYTES as u64) as usize];
        from.read_exact(&mut piece).with_context(|| format!("content {name} is cut"))?;
        left -= piece.len() as u64;
        out(writer.frame(&Part::Piece(ByteBuf::from(piece))))?;
    }
    Ok(())
}

/// Reads the next frame's body; nothing at the end.
fn frame(from: &mut dyn Read) -> anyhow::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let length = u32::from_be_bytes(length) as usize;
    ensure!(length <= FRAME_BYTES, "a frame of {length} bytes");
    let mut body = vec![0; length];
    from.read_exact(&mut body).context("it ends early")?;
    Ok(Some(body))
}

/// Makes a data directory that has the content of a backup and nothing else: its node joins as a newcomer, and finds the
/// content here instead of fetching it. The directory must be new or empty.
pub fn restore(dir: &Path, from: &mut dyn Read) -> anyhow::Result<Contents> {
    let used = std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    ensure!(!used, "{} is not empty: a backup is never put over what is there", dir.display());
    let mut magic = [0; MAGIC.len()];
    from.read_exact(&mut magic).context("it ends early")?;
    ensure!(magic == *MAGIC, "it does not begin as a backup");
    let store = Store::open(dir)?;
    let mut reader = Reader::default();
    let mut directories: Vec<(Hash, Directory)> = Vec::new();
    let mut batch = store.content().batch();
    while let Some(body) = frame(from)? {
        match reader.take(&body, Scheme::Ed25519)? {
            Part::Directory(bytes) => directories.push((Hash::of(&bytes), Directory::decode(&bytes)?)),
            Part::File(name, size) => {
                let mut pieces = Pieces { reader: &mut reader, from, held: Vec::new(), left: size };
                batch.add(&name, size, &mut pieces)?;
                pieces.skip()?;
            }
            Part::Beginning { .. } | Part::Link(_) | Part::End(_) => {}
            Part::Piece(_) => bail!("a piece without a file"),
        }
    }
    let contents = reader.finish()?;
    batch.finish()?;
    store.put_directories(directories.iter().map(|(name, directory)| (name, directory)))?;
    Ok(contents)
}

/// The bytes of one file, out of the frames that follow.
struct Pieces<'a> {
    reader: &'a mut Reader,
    from: &'a mut dyn Read,
    held: Vec<u8>,
    left: u64,
}

impl Pieces<'_> {
    fn refill(&mut self) -> anyhow::Result<()> {
        let body = frame(self.from)?.context("it ends early")?;
        let Part::Piece(piece) = self.reader.take(&body, Scheme::Ed25519)? else { bail!("a file is cut") };
        self.left = self.left.checked_sub(piece.len() as u64).context("a file is too long")?;
        self.held = piece.into_vec();
        Ok(())
    }

    /// Goes to the end of the file, wherever it was left: content that was here already is not read.
    fn skip(mut self) -> anyhow::Result<()> {
        while self.left > 0 {
            self.refill()?;
        }
        Ok(())
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.held.is_empty() && self.left > 0 {
            self.refill().map_err(io::Error::other)?;
        }
        let count = self.held.len().min(to.len());
        to[..count].copy_from_slice(&self.held[..count]);
        self.held.drain(..count);
        Ok(count)
    }
}
