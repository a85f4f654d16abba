//! One bulk stream: its type, and how both ends agree that it is open.
//!
//! A stream counts as open when the acceptor has said one byte: libp2p drops inbound streams silently when
//! its hand-over is full, and only this byte tells the opener that the daemon has the stream.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};

use libp2p::{PeerId, Stream};
use libp2p_stream::OpenStreamError;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::super::NetError;
use super::super::limits::BULK_STREAM_IDLE;
use super::super::swarms::BULK_PROTOCOL;

/// What the acceptor says first.
const ACCEPTED: u8 = 1;
/// A stream lost in the hand-over is opened again, so many times in all.
const TRIES: u32 = 10;
/// Before it is opened again it waits, up to this and then up to twice as long each time: when many open at
/// once, the acceptor has room for a few of them only.
const RETRY_WITHIN: Duration = Duration::from_millis(10);
/// The longest of these delays.
const RETRY_CAP: Duration = Duration::from_millis(320);

/// A stream of bytes between two members, both ways. Read and write concurrently: a writer whose peer does
/// not read waits.
///
/// It fails when the last connection to its peer goes, and when nothing moves for long. Both are ours to see to: when
/// we close a connection ourselves, yamux forgets its streams without waking who reads from them.
pub struct BulkStream {
    stream: Compat<Stream>,
    /// The last connection to the peer is gone.
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Nothing moves.
    idle: Pin<Box<Sleep>>,
    /// It takes too long, however little moves.
    limit: Option<Pin<Box<Sleep>>>,
}

impl fmt::Debug for BulkStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkStream").finish_non_exhaustive()
    }
}

impl BulkStream {
    fn new(stream: Stream, cut: CancellationToken) -> Self {
        let (cut, idle) = (Box::pin(cut.cancelled_owned()), Box::pin(sleep(BULK_STREAM_IDLE)));
        Self { stream: stream.compat(), cut, idle, limit: None }
    }

    /// Gives what comes next so much time in all, or no limit: a peer that takes a byte a minute is never idle.
    pub fn limit(&mut self, within: Option<Duration>) {
        self.limit = within.map(|within| Box::pin(sleep(within)));
    }

    /// What the stream came to; waiting has two more ends.
    fn or_end<T>(&mut self, cx: &mut Context<'_>, found: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if self.limit.as_mut().is_some_and(|limit| limit.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer is too slow")));
        }
        if found.is_ready() {
            self.idle.as_mut().reset(Instant::now() + BULK_STREAM_IDLE);
        } else if self.cut.as_mut().poll(cx).is_ready() {
            let text = "the connection was closed";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, text)));
        } else if self.idle.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "nothing moved on the stream")));
        }
        found
    }
}

impl AsyncRead for BulkStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let found = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.or_end(cx, found)
    }
}

impl AsyncWrite for BulkStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let found = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.or_end(cx, found)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let found = Pin::new(&mut self.stream).poll_flush(cx);
        self.or_end(cx, found)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let found = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.or_end(cx, found)
    }
}

/// Takes an inbound stream and tells the opener.
pub(super) async fn accept(stream: Stream, cut: CancellationToken) -> io::Result<BulkStream> {
    let mut stream = BulkStream::new(stream, cut);
    stream.write_all(&[ACCEPTED]).await?;
    stream.flush().await?;
    Ok(stream)
}

/// Opens a stream on an existing connection and waits until the other daemon has it.
pub(super) async fn open(
    streams: &mut libp2p_stream::Control,
    peer: PeerId,
    cut: &CancellationToken,
) -> Result<BulkStream, NetError> {
    let mut lost = NetError::Busy;
    for attempt in 0..TRIES {
        if attempt > 0 {
            let most = (RETRY_WITHIN * (1 << (attempt - 1))).min(RETRY_CAP);
            sleep(most * (getrandom::u32().unwrap_or(u32::MAX) >> 24) / 256).await;
        }
        let stream = match streams.open_stream(peer, BULK_PROTOCOL).await {
            Ok(stream) => stream,
            Err(OpenStreamError::UnsupportedProtocol(_)) => return Err(NetError::Stranger),
            Err(error) => {
                lost = NetError::Broken(error.to_string());
                continue;
            }
        };
        let mut stream = BulkStream::new(stream, cut.clone());
        match stream.read_u8().await {
            Ok(ACCEPTED) => return Ok(stream),
            Ok(other) => lost = NetError::Broken(format!("the peer began with {other}")),
            Err(error) => lost = NetError::Broken(error.to_string()),
        }
    }
    Err(lost)
}
