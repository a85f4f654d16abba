//! The multiplexer of control connections, without the pings that it sends of its own accord.
//!
//! Yamux measures the round trip of a connection that is in use every 10 s, from both sides: with it, it lets the window
//! of a stream grow. That cannot be turned off, and costs more than all that members at rest have to say. Between two
//! pings yamux waits for the answer to the first, however long that takes. So the first ping leaves, and with it the
//! round trip is known; the second is dropped where it would leave, and there is no third. What a peer asks is answered
//! as ever: to a program that pings, nothing differs.
//!
//! What is looked at is what our own yamux writes, never what a peer sent. All but the pings leaves as it was written.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use libp2p::yamux;

/// Bytes of the header of a frame: version, kind, flags (two bytes), stream (four), length or number (four).
const HEADER: usize = 12;
/// The kind of a frame that has a body; the length is the body's.
const DATA: u8 = 0;
/// The kind of pings and their answers.
const PING: u8 = 2;
/// The flag of a ping that wants an answer, in the second byte of the flags.
const ASKS: u8 = 1;

/// Which pings leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pings {
    /// All: windows follow the round trip as it changes.
    Often,
    /// The first on each connection.
    Once,
}

/// Yamux over a [`Quiet`] connection.
#[derive(Debug, Clone)]
pub(super) struct Muxer {
    config: yamux::Config,
    pings: Pings,
}

impl Muxer {
    /// The multiplexer that this configuration makes.
    pub(super) fn new(config: yamux::Config, pings: Pings) -> Self {
        Self { config, pings }
    }
}

impl UpgradeInfo for Muxer {
    type Info = <yamux::Config as UpgradeInfo>::Info;
    type InfoIter = <yamux::Config as UpgradeInfo>::InfoIter;

    fn protocol_info(&self) -> Self::InfoIter {
        self.config.protocol_info()
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> InboundConnectionUpgrade<C> for Muxer {
    type Output = yamux::Muxer<Quiet<C>>;
    type Error = io::Error;
    type Future = <yamux::Config as InboundConnectionUpgrade<Quiet<C>>>::Future;

    fn upgrade_inbound(self, io: C, info: Self::Info) -> Self::Future {
        self.config.upgrade_inbound(Quiet::new(io, self.pings), info)
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> OutboundConnectionUpgrade<C> for Muxer {
    type Output = yamux::Muxer<Quiet<C>>;
    type Error = io::Error;
    type Future = <yamux::Config as OutboundConnectionUpgrade<Quiet<C>>>::Future;

    fn upgrade_outbound(self, io: C, info: Self::Info) -> Self::Future {
        self.config.upgrade_outbound(Quiet::new(io, self.pings), info)
    }
}

/// A connection on which yamux writes.
#[derive(Debug)]
pub(super) struct Quiet<C> {
    io: C,
    pings: Pings,
    /// One has left.
    pinged: bool,
    header: [u8; HEADER],
    /// So many bytes of the header have been written here.
    taken: usize,
    /// And so many of them have left.
    left: usize,
    /// So many bytes of the body are to come.
    body: usize,
}

impl<C> Quiet<C> {
    fn new(io: C, pings: Pings) -> Self {
        Self { io, pings, pinged: false, header: [0; HEADER], taken: 0, left: 0, body: 0 }
    }

    /// Takes what there is of a header, and forgets one that is whole and is not to leave.
    fn take_header(&mut self, buf: &[u8]) -> usize {
        let count = buf.len().min(HEADER - self.taken);
        self.header[self.taken..self.taken + count].copy_from_slice(&buf[..count]);
        self.taken += count;
        let [version, kind, _, flags, ..] = self.header;
        if self.taken == HEADER && version == 0 && kind == PING && flags & ASKS != 0 {
            if self.pinged {
                self.taken = 0;
            }
            self.pinged = true;
        }
        count
    }
}

impl<C: AsyncWrite + Unpin> Quiet<C> {
    /// Lets what there is of the header leave, and if that is all of it, expects what comes after it.
    fn poll_header(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.left < self.taken {
            let count = ready!(Pin::new(&mut self.io).poll_write(cx, &self.header[self.left..self.taken]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.left += count;
        }
        if self.taken == HEADER {
            let [_, kind, .., a, b, c, d] = self.header;
            self.body = if kind == DATA { u32::from_be_bytes([a, b, c, d]) as usize } else { 0 };
            (self.taken, self.left) = (0, 0);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_whole_header(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.taken == HEADER { self.poll_header(cx) } else { Poll::Ready(Ok(())) }
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Quiet<C> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.pings == Pings::Often {
            return Pin::new(&mut self.io).poll_write(cx, buf);
        }
        ready!(self.poll_whole_header(cx))?;
        if self.body == 0 {
            return Poll::Ready(Ok(self.take_header(buf)));
        }
        let part = &buf[..buf.len().min(self.body)];
        let count = ready!(Pin::new(&mut self.io).poll_write(cx, part))?;
        self.body -= count;
        Poll::Ready(Ok(count))
    }

    /// A header that is not whole yet stays until it is.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_whole_header(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_header(cx))?;
        Pin::new(&mut self.io).poll_close(cx)
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Quiet<C> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use futures::executor::block_on;
    use futures::{AsyncReadExt, AsyncWriteExt};
    use libp2p::core::StreamMuxer;
    use quickcheck::{Arbitrary, Gen, QuickCheck};

    use super::*;

    /// What yamux waits between an answer and its next ping.
    const PAUSE: Duration = Duration::from_secs(10);

    /// A connection that takes few bytes at once.
    #[derive(Clone, Default)]
    struct Wire(Arc<Mutex<Ends>>);

    #[derive(Default)]
    struct Ends {
        written: Vec<u8>,
        to_read: VecDeque<u8>,
        /// How many bytes the next writes take; none: it is not ready. Of more, all.
        takes: VecDeque<usize>,
        broken: bool,
        closed: bool,
    }

    impl AsyncWrite for Wire {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            let mut ends = self.0.lock().unwrap();
            if ends.broken {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let takes = ends.takes.pop_front().unwrap_or(usize::MAX);
            if takes == 0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let count = takes.min(buf.len());
            ends.written.extend(&buf[..count]);
            Poll::Ready(Ok(count))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.0.lock().unwrap().closed = true;
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncRead for Wire {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
            let mut ends = self.0.lock().unwrap();
            if ends.to_read.is_empty() {
                return Poll::Pending;
            }
            let count = ends.to_read.len().min(buf.len());
            for (to, from) in buf.iter_mut().zip(ends.to_read.drain(..count)) {
                *to = from;
            }
            Poll::Ready(Ok(count))
        }
    }

    fn frame(kind: u8, flags: u8, stream: u32, length: u32) -> Vec<u8> {
        [&[0, kind, 0, flags][..], &stream.to_be_bytes(), &length.to_be_bytes()].concat()
    }

    fn ping(number: u32) -> Vec<u8> {
        frame(PING, ASKS, 0, number)
    }

    fn answer(number: u32) -> Vec<u8> {
        frame(PING, 2, 0, number)
    }

    /// A frame as yamux writes them. Bodies look like pings as often as not.
    #[derive(Debug, Clone)]
    struct Frame(Vec<u8>);

    impl Arbitrary for Frame {
        fn arbitrary(g: &mut Gen) -> Self {
            let (stream, number) = (u32::arbitrary(g) % 8, u32::arbitrary(g));
            let flags = *g.choose(&[0, 1, 2, 4, 8]).unwrap();
            Self(match u8::arbitrary(g) % 6 {
                0 => ping(number),
                1 => answer(number),
                // Credit, and the end.
                2 => frame(1, flags, stream, number),
                3 => frame(3, 0, 0, number),
                _ => {
                    let pings = ping(number).repeat(usize::arbitrary(g) % 4);
                    let body = if bool::arbitrary(g) { pings } else { Vec::arbitrary(g) };
                    let length = u32::try_from(body.len()).unwrap();
                    [frame(DATA, flags, stream, length), body].concat()
                }
            })
        }
    }

    fn is_ping(frame: &Frame) -> bool {
        frame.0.len() == HEADER && frame.0.starts_with(&[0, PING, 0, ASKS])
    }

    /// Writes all of it in pieces of these lengths, and flushes after every other one.
    fn write(quiet: &mut Quiet<Wire>, mut bytes: &[u8], pieces: &[u8]) {
        let pieces = pieces.iter().map(|piece| usize::from(*piece % 30) + 1);
        for (n, piece) in pieces.chain(std::iter::repeat(usize::MAX)).enumerate() {
            let (now, later) = bytes.split_at(piece.min(bytes.len()));
            block_on(quiet.write_all(now)).unwrap();
            if n % 2 == 0 {
                block_on(quiet.flush()).unwrap();
            }
            bytes = later;
            if bytes.is_empty() {
                return block_on(quiet.flush()).unwrap();
            }
        }
    }

    #[test]
    fn whatever_the_pieces_all_leaves_but_the_later_pings() {
        fn law(frames: Vec<Frame>, pieces: Vec<u8>, takes: Vec<u8>) -> bool {
            let bytes = frames.iter().flat_map(|frame| frame.0.clone()).collect::<Vec<_>>();
            let mut pings = 0;
            let leaves = |frame: &&Frame| {
                pings += usize::from(is_ping(frame));
                !is_ping(frame) || pings == 1
            };
            let expected: Vec<u8> = frames.iter().filter(leaves).flat_map(|frame| frame.0.clone()).collect();
            [(Pings::Once, &expected), (Pings::Often, &bytes)].into_iter().all(|(pings, expected)| {
                let wire = Wire::default();
                wire.0.lock().unwrap().takes = takes.iter().map(|takes| usize::from(takes % 20)).collect();
                write(&mut Quiet::new(wire.clone(), pings), &bytes, &pieces);
                wire.0.lock().unwrap().written == *expected
            })
        }
        QuickCheck::new().tests(2000).quickcheck(law as fn(Vec<Frame>, Vec<u8>, Vec<u8>) -> bool);
    }

    #[test]
    fn what_is_no_frame_leaves_as_it_is_before_the_connection_closes() {
        fn law(bytes: Vec<u8>, pieces: Vec<u8>) -> bool {
            // No version 0 and no kind of frame: of these bytes nothing is a ping or has a body.
            let bytes: Vec<u8> = bytes.into_iter().map(|byte| byte | 0x80).collect();
            let wire = Wire::default();
            let mut quiet = Quiet::new(wire.clone(), Pings::Once);
            write(&mut quiet, &bytes, &pieces);
            block_on(quiet.close()).unwrap();
            let ends = wire.0.lock().unwrap();
            ends.closed && ends.written == bytes
        }
        QuickCheck::new().quickcheck(law as fn(Vec<u8>, Vec<u8>) -> bool);
    }

    #[test]
    fn what_comes_is_read_as_it_is_and_what_breaks_is_told() {
        let wire = Wire::default();
        let come = [ping(7), ping(8), vec![9; 30]].concat();
        wire.0.lock().unwrap().to_read.extend(&come);
        let mut quiet = Quiet::new(wire.clone(), Pings::Once);
        let mut read = vec![0; come.len()];
        block_on(quiet.read_exact(&mut read)).unwrap();
        assert_eq!(read, come);
        wire.0.lock().unwrap().broken = true;
        block_on(quiet.write_all(&answer(7))).unwrap();
        for result in [block_on(quiet.flush()), block_on(quiet.write_all(&[1])), block_on(quiet.close())] {
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        }
        assert!(!wire.0.lock().unwrap().closed);
    }

    #[test]
    fn a_body_is_as_long_as_its_header_says_and_nothing_is_reserved_for_it() {
        let wire = Wire::default();
        let mut quiet = Quiet::new(wire.clone(), Pings::Once);
        let bytes = [ping(0), frame(DATA, 0, 1, u32::MAX), ping(1).repeat(1000)].concat();
        write(&mut quiet, &bytes, &[]);
        assert_eq!(wire.0.lock().unwrap().written, bytes);
        assert_eq!(quiet.body, u32::MAX as usize - HEADER * 1000);
    }

    #[test]
    fn yamux_pings_a_connection_in_use_once_and_answers_what_it_is_asked() {
        let mut both = [Pings::Once, Pings::Often].map(|pings| {
            let wire = Wire::default();
            let muxer = Muxer::new(yamux::Config::default(), pings);
            let info = muxer.protocol_info().next().unwrap();
            (pings, wire.clone(), block_on(muxer.upgrade_inbound(wire, info)).unwrap())
        });
        let poll = |muxer: &mut yamux::Muxer<Quiet<Wire>>| {
            let mut cx = Context::from_waker(std::task::Waker::noop());
            assert!(Pin::new(muxer).poll(&mut cx).is_pending());
        };
        for (_, wire, muxer) in &mut both {
            poll(muxer);
            assert_eq!(wire.0.lock().unwrap().written, ping(0));
            wire.0.lock().unwrap().to_read.extend(answer(0));
            poll(muxer);
        }
        std::thread::sleep(PAUSE);
        for (pings, wire, muxer) in &mut both {
            wire.0.lock().unwrap().to_read.extend(ping(5));
            poll(muxer);
            let more = if *pings == Pings::Often { ping(1) } else { Vec::new() };
            assert_eq!(wire.0.lock().unwrap().written, [ping(0), more, answer(5)].concat(), "{pings:?}");
        }
    }
}
