//! One bulk stream: its type, and how both ends agree that it is open.
//!
//! A stream counts as open when the acceptor has said one byte: libp2p drops inbound streams silently when
//! its hand-over is full, and only this byte tells the opener that the daemon has the stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::{PeerId, Stream};
use libp2p_stream::OpenStreamError;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::sleep;
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt};

use super::super::NetError;
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
#[derive(Debug)]
pub struct BulkStream(Compat<Stream>);

impl AsyncRead for BulkStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for BulkStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Takes an inbound stream and tells the opener.
pub(super) async fn accept(stream: Stream) -> io::Result<BulkStream> {
    let mut stream = BulkStream(stream.compat());
    stream.write_all(&[ACCEPTED]).await?;
    stream.flush().await?;
    Ok(stream)
}

/// Opens a stream on an existing connection and waits until the other daemon has it.
pub(super) async fn open(streams: &mut libp2p_stream::Control, peer: PeerId) -> Result<BulkStream, NetError> {
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
        let mut stream = BulkStream(stream.compat());
        match stream.read_u8().await {
            Ok(ACCEPTED) => return Ok(stream),
            Ok(other) => lost = NetError::Broken(format!("the peer began with {other}")),
            Err(error) => lost = NetError::Broken(error.to_string()),
        }
    }
    Err(lost)
}
