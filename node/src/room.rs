//! Room on this member's disk: waits for it before anything is opened, tends the reserve, and tells the protocol.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use althing_protocol::effect::{Input, Room as Told};
use althing_store::{OpenError, Room, Space, Store};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::daemon::Happening;

/// The disk is looked at this often.
const LOOK: Duration = Duration::from_millis(500);
/// A store that cannot be opened for lack of room is tried again this often.
const OPEN_AGAIN: Duration = Duration::from_secs(2);
/// So long it is said again that the disk is full.
const SAY_AGAIN: u32 = 150;

/// Opens the store, when there is room for it: a daemon that ended instead would only be started again and again.
/// Nothing if it was told to stop meanwhile.
pub(crate) async fn open_store(dir: &Path, speaks: u32) -> anyhow::Result<Option<Arc<Store>>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    for attempt in 0_u32.. {
        let path = dir.to_owned();
        match tokio::task::spawn_blocking(move || Store::open_up_to(&path, speaks)).await? {
            Err(error @ OpenError::Full { .. }) if attempt.is_multiple_of(SAY_AGAIN) => {
                tracing::error!(%error, "waiting for room on the disk");
            }
            Err(OpenError::Full { .. }) => {}
            result => return Ok(Some(Arc::new(result?))),
        }
        tokio::select! {
            () = tokio::time::sleep(OPEN_AGAIN) => {}
            _ = terminate.recv() => return Ok(None),
            _ = interrupt.recv() => return Ok(None),
        }
    }
    Ok(None)
}

/// Looks at the disk until the daemon ends.
pub(crate) async fn tend(room: Room, to: mpsc::Sender<Happening>, stop: CancellationToken) {
    let mut told = Told::Enough;
    let mut ticks = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        let looked = room.clone();
        let Ok(space) = tokio::task::spawn_blocking(move || looked.tend()).await else { return };
        let news = words(space, room.directory());
        // The free bytes in the words change all the time: only the kind is news.
        if std::mem::discriminant(&news) != std::mem::discriminant(&told) {
            told = news.clone();
            if to.send(Happening::Input(Input::Room(news))).await.is_err() {
                return;
            }
        }
    }
}

fn words(space: Space, dir: &Path) -> Told {
    let megabytes = |bytes: u64| format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10);
    match space {
        Space::Enough => Told::Enough,
        Space::Settlement { free } => Told::Votes(format!(
            "the disk of {} is full ({} free): votes go on, no content is taken",
            dir.display(),
            megabytes(free)
        )),
        Space::Nothing { free } => Told::Nothing(format!(
            "the disk of {} is full ({} free, the reserve is used): this member does not vote",
            dir.display(),
            megabytes(free)
        )),
    }
}
