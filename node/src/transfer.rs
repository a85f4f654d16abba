//! Content between members: a request names what is wanted, the answer brings it, each piece is checked by its hash
//! before it counts (PROTOCOL.md §7).
//!
//! Request: 4 bytes of length, then canonical CBOR of a list of [`Want`]s. Answer, for each want in order: one byte
//! (0 not here, 1 follows), and if it follows, 8 bytes of length and the bytes.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use althing_protocol::codec;
use althing_protocol::effect::{Fetched, Want};
use althing_protocol::hash::Hash;
use althing_protocol::limits;
use althing_protocol::manifest::Directory;
use althing_store::Store;
use anyhow::{Context, bail, ensure};
use tokio_util::io::SyncIoBridge;

use crate::files::Files;
use crate::net::{BulkStream, Net, PeerKey};
use crate::writer::end;

/// Largest request: 256 wants of 50 bytes, with room.
const REQUEST_BYTES: u32 = 64 << 10;
/// A holder that sends nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(30);
const BUFFER: usize = 64 << 10;

/// What is on this member already: in the store, or else in the application's live tree, from where it is copied.
pub(crate) fn look_here(store: &Store, tree: Option<&Files>, wants: &[Want]) -> Fetched {
    let mut fetched = Fetched::default();
    for want in wants {
        let here = match want {
            Want::File(name, size) => store.content().rely_on(name, *size),
            Want::Directory(name) => match store.rely_on_directory(name) {
                Ok(Some(directory)) => {
                    fetched.directories.push((*name, directory));
                    true
                }
                Ok(None) => false,
                Err(error) => {
                    tracing::warn!(%error, "a directory of a manifest cannot be read: it is fetched again");
                    false
                }
            },
        };
        if here { fetched.done.push(*want) } else { fetched.missing.push(*want) }
    }
    if let Some(tree) = tree {
        look_in_tree(tree, &mut fetched);
    }
    fetched
}

/// What the store lost, or never had, may lie in the tree: a member that joins with its files need not fetch them.
fn look_in_tree(tree: &Files, fetched: &mut Fetched) {
    let sizes = fetched.missing.iter().filter_map(|want| match want {
        Want::File(name, size) => Some((*name, *size)),
        Want::Directory(_) => None,
    });
    match tree.lend(&sizes.collect()) {
        Ok(lent) => {
            let is_here = |want: &Want| matches!(want, Want::File(name, _) if lent.contains(name));
            let (here, missing) = std::mem::take(&mut fetched.missing).into_iter().partition(is_here);
            let here: Vec<Want> = here;
            fetched.done.extend(here);
            fetched.missing = missing;
        }
        Err(fault) if fault.is_fatal() => end(&fault),
        // Others have it.
        Err(fault) => tracing::debug!(%fault, "nothing was taken from the live tree"),
    }
}

/// Asks one holder. What came before a failure counts.
pub(crate) async fn fetch(net: &Net, store: Arc<Store>, from: PeerKey, wants: Vec<Want>) -> Fetched {
    let opened = tokio::time::timeout(PATIENCE, net.open_bulk(from)).await;
    let stream = match opened {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return nothing(wants, error.to_string()),
        Err(_) => return nothing(wants, "no answer".to_owned()),
    };
    let asked = wants.clone();
    let work = tokio::task::spawn_blocking(move || receive(&store, stream, &wants));
    let all: u64 = asked.iter().map(|want| if let Want::File(_, size) = want { *size } else { 0 }).sum();
    // At least 64 KiB/s over the whole request; the bytes that came are kept by the next attempt's look here.
    let limit = PATIENCE + Duration::from_secs(all >> 16);
    match tokio::time::timeout(limit, work).await {
        Ok(Ok(fetched)) => fetched,
        Ok(Err(error)) => nothing(asked, error.to_string()),
        Err(_) => nothing(asked, "the holder is too slow".to_owned()),
    }
}

fn nothing(missing: Vec<Want>, error: String) -> Fetched {
    Fetched { missing, error: Some(error), ..Fetched::default() }
}

fn receive(store: &Store, stream: BulkStream, wants: &[Want]) -> Fetched {
    let mut stream = SyncIoBridge::new(stream);
    let mut fetched = Fetched::default();
    let mut directories: Vec<(Hash, Directory)> = Vec::new();
    let mut batch = store.content().batch();
    let mut error = ask(&mut stream, wants).err();
    for want in wants {
        if error.is_some() {
            break;
        }
        let taken = match want {
            Want::Directory(name) => take_directory(&mut stream, name)
                .map(|found| found.map(|directory| directories.push((*name, directory))).is_some()),
            Want::File(name, size) => take_file(&mut stream, &mut batch, name, *size),
        };
        match taken {
            Ok(true) => {
                fetched.bytes += if let Want::File(_, size) = want { *size } else { 0 };
                fetched.done.push(*want);
            }
            Ok(false) => {}
            Err(why) => error = Some(why),
        }
    }
    let durable = batch.finish().map_err(anyhow::Error::from).and_then(|()| {
        Ok(store.put_directories(directories.iter().map(|(name, directory)| (name, directory)))?)
    });
    if let Err(why) = durable {
        return nothing(wants.to_vec(), format!("{why:#}"));
    }
    fetched.missing = wants.iter().filter(|want| !fetched.done.contains(want)).copied().collect();
    fetched.directories = directories;
    fetched.error = error.map(|why| format!("{why:#}"));
    fetched
}

fn ask(stream: &mut impl Write, wants: &[Want]) -> anyhow::Result<()> {
    let bytes = codec::encode(&wants);
    stream.write_all(&(bytes.len() as u32).to_be_bytes())?;
    stream.write_all(&bytes)?;
    Ok(stream.flush()?)
}

/// The length of what follows, if the holder has it.
fn head(stream: &mut impl Read) -> anyhow::Result<Option<u64>> {
    let mut found = [0];
    stream.read_exact(&mut found).context("the holder ended")?;
    if found[0] == 0 {
        return Ok(None);
    }
    let mut length = [0; 8];
    stream.read_exact(&mut length)?;
    Ok(Some(u64::from_be_bytes(length)))
}

fn take_directory(stream: &mut impl Read, name: &Hash) -> anyhow::Result<Option<Directory>> {
    let Some(length) = head(stream)? else { return Ok(None) };
    ensure!(length <= limits::DIRECTORY_BYTES as u64, "a directory of {length} bytes");
    let mut bytes = Vec::new();
    stream.take(length).read_to_end(&mut bytes)?;
    if Hash::of(&bytes) != *name {
        bail!("the holder sent something else than {name}");
    }
    Ok(Some(Directory::decode(&bytes)?))
}

fn take_file(
    stream: &mut impl Read,
    batch: &mut althing_store::ContentBatch,
    name: &Hash,
    size: u64,
) -> anyhow::Result<bool> {
    let Some(length) = head(stream)? else { return Ok(false) };
    ensure!(length == size, "{length} bytes, and {size} were wanted");
    let mut rest = stream.take(length);
    batch.add(name, size, &mut rest)?;
    // What the store had already is not read by it, but it is on the wire.
    std::io::copy(&mut rest, &mut std::io::sink())?;
    Ok(true)
}

/// Answers the requests of one stream until it ends.
pub(crate) fn serve(store: &Store, stream: BulkStream) -> anyhow::Result<()> {
    let mut stream = SyncIoBridge::new(stream);
    loop {
        let mut length = [0; 4];
        if stream.read_exact(&mut length).is_err() {
            return Ok(());
        }
        let length = u32::from_be_bytes(length);
        ensure!(length <= REQUEST_BYTES, "a request of {length} bytes");
        let mut bytes = vec![0; length as usize];
        stream.read_exact(&mut bytes)?;
        let wants: Vec<Want> = codec::decode(&bytes, REQUEST_BYTES as usize)?;
        ensure!(wants.len() <= limits::WANTS_PER_FETCH, "{} wants in one request", wants.len());
        for want in &wants {
            answer(store, &mut stream, want)?;
        }
        stream.flush()?;
    }
}

fn answer(store: &Store, stream: &mut impl Write, want: &Want) -> anyhow::Result<()> {
    match want {
        Want::Directory(name) => match store.directory_bytes(name)? {
            Some(bytes) => {
                stream.write_all(&[1])?;
                stream.write_all(&(bytes.len() as u64).to_be_bytes())?;
                stream.write_all(&bytes)?;
            }
            None => stream.write_all(&[0])?,
        },
        Want::File(name, size) => match store.content().open(name)? {
            Some(file) if file.metadata()?.len() == *size => {
                stream.write_all(&[1])?;
                stream.write_all(&size.to_be_bytes())?;
                let mut reader = std::io::BufReader::with_capacity(BUFFER, file).take(*size);
                let sent = std::io::copy(&mut reader, stream)?;
                ensure!(sent == *size, "{name} became shorter while it was sent");
            }
            _ => stream.write_all(&[0])?,
        },
    }
    Ok(())
}
