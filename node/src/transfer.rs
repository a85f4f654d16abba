//! Content between members: a request names what is wanted, the answer brings it, each piece is checked by its hash
//! before it counts (PROTOCOL.md §7).
//!
//! Request: 4 bytes of length, then canonical CBOR of a list of [`Want`]s. Answer, for each want in order: one byte
//! (0 not here, 1 follows, 2 a part that is zeros only), and if it follows, 8 bytes of length and the bytes.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use althing_protocol::codec;
use althing_protocol::effect::{Fetched, Want};
use althing_protocol::hash::Hash;
use althing_protocol::limits;
use althing_protocol::manifest::Directory;
use althing_protocol::parts::{Division, Outline};
use althing_store::{Came, CommitError, ContentError, Outlined, Put, Store, Verdict, is_hole};
use anyhow::{Context, bail, ensure};
use tokio_util::io::SyncIoBridge;

use crate::files::Files;
use crate::net::{BulkStream, Net, PeerKey};
use crate::writer::end;

/// A holder that sends nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(30);
const BUFFER: usize = 64 << 10;

/// What is on this member already: in the store, or else in the application's live tree, from where it is copied.
pub(crate) fn look_here(store: &Store, tree: Option<&Files>, wants: &[Want]) -> Fetched {
    let mut fetched = Fetched::default();
    for want in wants {
        let here = match want {
            Want::File(name, size) => store.content().rely_on(name, *size) || is_whole(store, name, *size),
            Want::Outline(name, size) => store.content().has_outline(name, *size),
            Want::Part(name, size, index) => store.content().has_part(name, *size, *index),
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

/// Whether a large file is complete with the parts that came.
fn is_whole(store: &Store, name: &Hash, size: u64) -> bool {
    store.content().finish_parts(name, size).unwrap_or_else(|error| {
        if error.is_fatal() {
            end(&error);
        }
        tracing::warn!(%name, %error, "a large file could not be put together");
        false
    })
}

/// What the store lost, or never had, may lie in the tree: a member that joins with its files need not fetch them.
fn look_in_tree(tree: &Files, fetched: &mut Fetched) {
    let sizes = fetched.missing.iter().filter_map(|want| match want {
        Want::File(name, size) => Some((*name, *size)),
        Want::Directory(_) | Want::Outline(..) | Want::Part(..) => None,
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

/// What one holder gave, and whether that was what it was asked for.
pub(crate) struct Given {
    pub(crate) fetched: Fetched,
    /// It sent something else: no honest member does.
    pub(crate) abused: bool,
}

/// Asks one holder. What came before a failure counts.
pub(crate) async fn fetch(net: &Net, store: Arc<Store>, from: PeerKey, wants: Vec<Want>) -> Given {
    let opened = tokio::time::timeout(PATIENCE, net.open_bulk(from)).await;
    let stream = match opened {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return nothing(wants, error.to_string()),
        Err(_) => return nothing(wants, "no answer".to_owned()),
    };
    let asked = wants.clone();
    let mut stream = stream;
    stream.limit(Some(time_for(&asked)));
    let work = tokio::task::spawn_blocking(move || receive(&store, stream, &wants));
    // The bytes that came are kept by the next attempt's look here.
    match tokio::time::timeout(time_for(&asked), work).await {
        Ok(Ok(fetched)) => fetched,
        Ok(Err(error)) => nothing(asked, error.to_string()),
        Err(_) => nothing(asked, "the holder is too slow".to_owned()),
    }
}

/// How long a request may take in all: at least 64 KiB a second. It ends the stream as well: what blocks on it stops.
fn time_for(wants: &[Want]) -> Duration {
    // For an outline all of the file is read there. Who is given up meanwhile has it when it is asked again.
    let size = |want: &Want| match want {
        Want::Outline(_, size) => *size >> 10,
        want => want.bytes().unwrap_or(limits::DIRECTORY_BYTES as u64),
    };
    let all = wants.iter().map(size).fold(0, u64::saturating_add);
    PATIENCE + Duration::from_secs(all >> 16)
}

/// What no honest member sends: content that is something else, a request that is none.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Abuse(String);

/// What somebody asked for was found to be damaged here, and was put aside.
#[derive(Debug, thiserror::Error)]
#[error("{content} was damaged and is at {} now", .aside.display())]
pub(crate) struct Rotten {
    pub(crate) content: Hash,
    pub(crate) aside: PathBuf,
}

fn nothing(missing: Vec<Want>, error: String) -> Given {
    Given { fetched: Fetched { missing, error: Some(error), ..Fetched::default() }, abused: false }
}

fn receive(store: &Store, stream: BulkStream, wants: &[Want]) -> Given {
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
            Want::File(name, size) => take_file(&mut stream, &mut batch, name, *size)
                .inspect(|taken| fetched.bytes += if *taken { *size } else { 0 }),
            Want::Outline(name, size) => take_outline(&mut stream, store, name, *size),
            Want::Part(name, size, index) => {
                take_part(&mut stream, store, (name, *size, *index)).map(|came| {
                    fetched.bytes += came.unwrap_or(0);
                    came.is_some()
                })
            }
        };
        match taken {
            Ok(true) => fetched.done.push(*want),
            Ok(false) => {}
            Err(why) => error = Some(why),
        }
    }
    let durable = batch.finish().map_err(anyhow::Error::from).and_then(|()| {
        Ok(store.put_directories(directories.iter().map(|(name, directory)| (name, directory)))?)
    });
    durable.as_ref().err().into_iter().chain(&error).for_each(end_if_fatal);
    if let Err(why) = durable {
        return nothing(wants.to_vec(), format!("{why:#}"));
    }
    fetched.missing = wants.iter().filter(|want| !fetched.done.contains(want)).copied().collect();
    fetched.directories = directories;
    let abused = error.as_ref().is_some_and(is_abuse);
    fetched.error = error.map(|why| format!("{why:#}"));
    Given { fetched, abused }
}

/// What may or may not be on the disk is nothing to go on with.
fn end_if_fatal(error: &anyhow::Error) {
    let content = error.downcast_ref::<ContentError>().is_some_and(ContentError::is_fatal);
    let index = error.downcast_ref::<CommitError>().is_some_and(CommitError::is_fatal);
    if content || index {
        end(error);
    }
}

/// Whether the other side is at fault, and not the wire, the disk or the time.
pub(crate) fn is_abuse(error: &anyhow::Error) -> bool {
    let wrong = matches!(error.downcast_ref(), Some(ContentError::WrongHash { .. }));
    wrong || error.downcast_ref::<Abuse>().is_some()
}

fn ask(stream: &mut impl Write, wants: &[Want]) -> anyhow::Result<()> {
    let bytes = codec::encode(&wants);
    stream.write_all(&(bytes.len() as u32).to_be_bytes())?;
    stream.write_all(&bytes)?;
    Ok(stream.flush()?)
}

/// What an answer begins with.
enum Head {
    Nothing,
    Follows(u64),
    Zeros,
}

/// The length of what follows, if the holder has it, where zeros are no answer.
fn head(stream: &mut impl Read) -> anyhow::Result<Option<u64>> {
    match any_head(stream)? {
        Head::Follows(length) => Ok(Some(length)),
        Head::Nothing => Ok(None),
        Head::Zeros => bail!(Abuse("zeros where no part was wanted".to_owned())),
    }
}

fn any_head(stream: &mut impl Read) -> anyhow::Result<Head> {
    let mut found = [0];
    stream.read_exact(&mut found).context("the holder ended")?;
    match found[0] {
        0 => Ok(Head::Nothing),
        1 => {
            let mut length = [0; 8];
            stream.read_exact(&mut length)?;
            Ok(Head::Follows(u64::from_be_bytes(length)))
        }
        2 => Ok(Head::Zeros),
        other => bail!(Abuse(format!("an answer that begins with {other}"))),
    }
}

fn take_directory(stream: &mut impl Read, name: &Hash) -> anyhow::Result<Option<Directory>> {
    let Some(length) = head(stream)? else { return Ok(None) };
    if length > limits::DIRECTORY_BYTES as u64 {
        bail!(Abuse(format!("a directory of {length} bytes")));
    }
    let mut bytes = Vec::new();
    stream.take(length).read_to_end(&mut bytes)?;
    if Hash::of(&bytes) != *name {
        bail!(Abuse(format!("the holder sent something else than {name}")));
    }
    // Its name fits, so it is whoever made it that is at fault, not the holder.
    Ok(Some(Directory::decode(&bytes)?))
}

fn take_file(
    stream: &mut impl Read,
    batch: &mut althing_store::ContentBatch,
    name: &Hash,
    size: u64,
) -> anyhow::Result<bool> {
    let Some(length) = head(stream)? else { return Ok(false) };
    if length != size {
        bail!(Abuse(format!("{length} bytes, and {size} were wanted")));
    }
    let mut rest = stream.take(length);
    batch.add(name, size, &mut rest)?;
    // What the store had already is not read by it, but it is on the wire.
    std::io::copy(&mut rest, &mut std::io::sink())?;
    Ok(true)
}

fn take_outline(stream: &mut impl Read, store: &Store, name: &Hash, size: u64) -> anyhow::Result<bool> {
    let Some(length) = head(stream)? else { return Ok(false) };
    if Some(length) != Outline::length(size) {
        bail!(Abuse(format!("an outline of {length} bytes")));
    }
    let mut bytes = Vec::new();
    stream.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != length {
        bail!("the holder ended");
    }
    if !store.content().put_outline(name, size, &bytes)? {
        bail!(Abuse(format!("the holder sent something else than the outline of {name}")));
    }
    Ok(true)
}

/// Bytes that came for a part, if it is right now.
fn take_part(
    stream: &mut impl Read,
    store: &Store,
    (name, size, index): (&Hash, u64, u32),
) -> anyhow::Result<Option<u64>> {
    let wanted = Want::Part(*name, size, index).bytes();
    let (put, came) = match any_head(stream)? {
        Head::Nothing => return Ok(None),
        Head::Zeros => (store.content().put_part((name, size, index), Came::Zeros)?, 0),
        Head::Follows(length) if Some(length) != wanted => {
            bail!(Abuse(format!("{length} bytes, and {wanted:?} were wanted")));
        }
        Head::Follows(length) => {
            let mut rest = stream.take(length);
            let put = store.content().put_part((name, size, index), Came::Bytes(&mut rest))?;
            // What was not read is on the wire all the same.
            std::io::copy(&mut rest, &mut std::io::sink())?;
            (put, length)
        }
    };
    match put {
        Put::Right => Ok(Some(came)),
        Put::Elsewhere => Ok(None),
        Put::Wrong => bail!(Abuse(format!("part {index} of {name} is something else"))),
    }
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
        if length as usize > limits::FETCH_BYTES {
            bail!(Abuse(format!("a request of {length} bytes")));
        }
        let mut bytes = vec![0; length as usize];
        stream.as_mut().limit(Some(PATIENCE));
        stream.read_exact(&mut bytes)?;
        let wants = Want::decode_all(&bytes).map_err(|error| Abuse(error.to_string()))?;
        stream.as_mut().limit(Some(time_for(&wants)));
        for want in &wants {
            answer(store, &mut stream, want)?;
        }
        stream.flush()?;
        // The next request may take as long as a stream may be idle.
        stream.as_mut().limit(None);
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
                if !send_whole(file.take(*size), stream, name)? {
                    put_aside(store, name)?;
                    bail!("{name} was not read as it is");
                }
            }
            _ => stream.write_all(&[0])?,
        },
        Want::Outline(name, size) => match store.content().outline(name, *size)? {
            Outlined::Is(bytes) => {
                stream.write_all(&[1])?;
                stream.write_all(&(bytes.len() as u64).to_be_bytes())?;
                stream.write_all(&bytes)?;
            }
            Outlined::NotHere => stream.write_all(&[0])?,
            Outlined::Damaged => {
                put_aside(store, name)?;
                stream.write_all(&[0])?;
            }
        },
        Want::Part(name, size, index) => answer_part(store, stream, name, (*size, *index))?,
    }
    Ok(())
}

/// Sends a file, but for its end if it is not what its name says: whoever gets it would take an honest member for one that
/// serves something else. False then.
fn send_whole(mut file: impl Read, stream: &mut impl Write, name: &Hash) -> anyhow::Result<bool> {
    let (mut hasher, mut buffer) = (blake3::Hasher::new(), vec![0; BUFFER]);
    let (mut held, mut length) = (vec![0; BUFFER], 0);
    loop {
        let count = match file.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            // What the disk does not give any more is as good as changed.
            Err(_) => return Ok(false),
        };
        if count == 0 {
            break;
        }
        stream.write_all(&held[..length])?;
        hasher.update(&buffer[..count]);
        std::mem::swap(&mut held, &mut buffer);
        length = count;
    }
    let right = hasher.finalize().as_bytes() == &name.0;
    if right {
        stream.write_all(&held[..length])?;
    }
    Ok(right)
}

/// Content that is damaged is moved away; it is an error if it was.
fn put_aside(store: &Store, name: &Hash) -> anyhow::Result<()> {
    match store.content().verify(name)? {
        Verdict::Damaged { aside } => bail!(Rotten { content: *name, aside }),
        Verdict::Missing | Verdict::Sound => Ok(()),
    }
}

fn answer_part(
    store: &Store,
    stream: &mut impl Write,
    name: &Hash,
    (size, index): (u64, u32),
) -> anyhow::Result<()> {
    let range = Division::of(size).and_then(|division| division.range(index));
    let file = store.content().open(name)?;
    let (Some((begins, length)), Some(mut file)) = (range, file) else { return Ok(stream.write_all(&[0])?) };
    if file.metadata()?.len() != size {
        return Ok(stream.write_all(&[0])?);
    }
    if is_hole(&file, begins, length) {
        return Ok(stream.write_all(&[2])?);
    }
    stream.write_all(&[1])?;
    stream.write_all(&length.to_be_bytes())?;
    file.seek(SeekFrom::Start(begins))?;
    let mut reader = std::io::BufReader::with_capacity(BUFFER, file).take(length);
    let sent = std::io::copy(&mut reader, stream)?;
    ensure!(sent == length, "{name} became shorter while it was sent");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_rotten_content_does_not_send_its_end_and_finds_it_out() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let bytes = vec![7; 3 * BUFFER + 5];
        let mut batch = store.content().batch();
        let (name, size) = batch.add_any(&mut &bytes[..]).unwrap();
        batch.finish().unwrap();
        let want = Want::File(name, size);
        let mut sent = Vec::new();
        answer(&store, &mut sent, &want).unwrap();
        assert_eq!(sent[9..], bytes);

        let at = dir.path().join("store/content").join(&name.hex()[..2]).join(name.hex());
        std::fs::write(&at, vec![8; bytes.len()]).unwrap();
        let mut sent = Vec::new();
        let error = answer(&store, &mut sent, &want).unwrap_err();
        assert!(error.downcast_ref::<Rotten>().is_some_and(|rotten| rotten.content == name), "{error}");
        assert!(sent.len() - 9 < bytes.len(), "whoever asked is told nothing wrong, but too little");
        assert!(!store.content().has(&name), "it is fetched again");
    }
}
