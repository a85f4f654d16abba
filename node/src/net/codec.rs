//! One frame per direction of a stream: a 4-byte big-endian length, then one CBOR value. On lines, where most of what is
//! said is a few bytes, the first of the four says what it is, and the body follows as it is.
//!
//! The length is compared with the limit before anything is reserved, a frame that ends early is an error, and all
//! requests that are being read share one room: nothing is ever silently cut, and nothing that is begun costs much.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::limits::{FIRST_RESERVE, MESSAGE_TIMEOUT};
use althing_protocol::frame::{Frame, OVERHEAD};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::StreamProtocol;
use libp2p::request_response::Codec;

/// Reads and writes the frames of one protocol.
#[derive(Debug, Clone)]
pub(super) struct FrameCodec {
    /// The largest body of a request.
    pub(super) request: usize,
    /// The largest body of a response.
    pub(super) response: usize,
    /// For requests that are being read, of all peers together.
    pub(super) room: Room,
}

/// Memory for frames that have not come to their end: without it, everybody who begins large ones and does not end them
/// would take as much as its streams may carry.
#[derive(Debug, Clone)]
pub(super) struct Room(Arc<AtomicUsize>);

/// A part of the room, until the frame is read or given up.
struct Taken<'a>(&'a Room, usize);

impl Room {
    /// So many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    fn take(&self, bytes: usize) -> Option<usize> {
        let less = |left: usize| left.checked_sub(bytes);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).ok().map(|_| bytes)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_add(self.1, Ordering::Relaxed);
    }
}

impl Codec for FrameCodec {
    type Protocol = StreamProtocol;
    type Request = Frame;
    type Response = Frame;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Frame>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_frame(io, self.request, Some(&self.room)).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Frame>
    where
        T: AsyncRead + Unpin + Send,
    {
        // An answer was asked for: how many there may be is bounded where they are asked.
        read_frame(io, self.response, None).await
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, frame: Frame) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_frame(io, &frame, self.request).await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, frame: Frame) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_frame(io, &frame, self.response).await
    }
}

async fn read_frame<T: AsyncRead + Unpin + Send>(
    io: &mut T,
    limit: usize,
    room: Option<&Room>,
) -> io::Result<Frame> {
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let length = u32::from_be_bytes(length) as usize;
    if length > limit + OVERHEAD {
        return Err(too_large(length, limit));
    }
    let bytes = read_bytes(io, length, room).await?;
    Frame::decode(&bytes, limit).map_err(invalid)
}

/// What is said on a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// A message.
    Message(Vec<u8>),
    /// "Do you live?"
    Hello,
    /// "I do."
    Taken,
}

const MESSAGE: u8 = 0;
const HELLO: u8 = 1;
const TAKEN: u8 = 2;

impl Said {
    /// Its kind and the length of its body, four bytes, and the body.
    pub(super) fn encode(&self) -> Vec<u8> {
        let (kind, body) = match self {
            Self::Message(body) => (MESSAGE, &body[..]),
            Self::Hello => (HELLO, &[][..]),
            Self::Taken => (TAKEN, &[][..]),
        };
        // Nothing that is longer is taken: CONTROL_MESSAGE.
        let [_, length @ ..] = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
        [&[kind][..], &length, body].concat()
    }

    /// The next one on a line: it may come whenever the peer likes, and must end soon after it began.
    pub(super) async fn read<T: AsyncRead + Unpin + Send>(
        io: &mut T,
        limit: usize,
        room: &Room,
    ) -> io::Result<Self> {
        let mut head = [0; 4];
        io.read_exact(&mut head).await?;
        let [kind, a, b, c] = head;
        match (kind, u32::from_be_bytes([0, a, b, c]) as usize) {
            (MESSAGE, length) if length > limit => Err(too_large(length, limit)),
            (MESSAGE, length) => {
                let body = tokio::time::timeout(MESSAGE_TIMEOUT, read_bytes(io, length, Some(room)));
                body.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map(Self::Message)
            }
            (HELLO, 0) => Ok(Self::Hello),
            (TAKEN, 0) => Ok(Self::Taken),
            _ => Err(invalid(format!("{head:?} begins nothing that is said on a line"))),
        }
    }
}

/// So many bytes.
async fn read_bytes<T: AsyncRead + Unpin + Send>(
    io: &mut T,
    length: usize,
    room: Option<&Room>,
) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length.min(FIRST_RESERVE));
    let mut taken = room.map(|room| Taken(room, 0));
    while bytes.len() < length {
        // What is claimed is nothing; what has come takes room, a step ahead.
        let step = (length - bytes.len()).min(FIRST_RESERVE);
        if let Some(taken) = &mut taken {
            taken.1 += taken.0.take(step).ok_or_else(|| io::Error::from(io::ErrorKind::QuotaExceeded))?;
        }
        let come = bytes.len();
        io.take(step as u64).read_to_end(&mut bytes).await?;
        if bytes.len() < come + step {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(bytes)
}

async fn write_frame<T: AsyncWrite + Unpin + Send>(
    io: &mut T,
    frame: &Frame,
    limit: usize,
) -> io::Result<()> {
    let bytes = frame.encode();
    if bytes.len() > limit + OVERHEAD {
        return Err(too_large(bytes.len(), limit));
    }
    let prefix = u32::try_from(bytes.len()).map_err(invalid)?;
    // In one piece: a stream is not worth two packets.
    io.write_all(&[&prefix.to_be_bytes()[..], &bytes].concat()).await?;
    io.flush().await
}

fn too_large(length: usize, limit: usize) -> io::Error {
    invalid(format!("a frame of {length} bytes; the limit is {limit}"))
}

fn invalid(reason: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.to_string())
}

#[cfg(test)]
mod tests {
    use althing_protocol::frame::Declined;
    use futures::executor::block_on;
    use futures::io::Cursor;

    use super::*;

    fn written(frame: &Frame, limit: usize) -> io::Result<Vec<u8>> {
        let mut io = Cursor::new(Vec::new());
        block_on(write_frame(&mut io, frame, limit))?;
        Ok(io.into_inner())
    }

    fn read(bytes: Vec<u8>, limit: usize) -> io::Result<Frame> {
        block_on(read_frame(&mut Cursor::new(bytes), limit, Some(&Room::new(8 << 20))))
    }

    #[test]
    fn every_frame_comes_back() {
        let reasons = [Declined::Busy, Declined::Unanswered, Declined::TooLarge(u64::MAX)];
        let mut frames =
            vec![Frame::Hello, Frame::Taken, Frame::Body(Vec::new()), Frame::Body(vec![7; 4 << 20])];
        frames.extend(reasons.map(Frame::Declined));
        for frame in frames {
            assert_eq!(read(written(&frame, 4 << 20).unwrap(), 4 << 20).unwrap(), frame);
        }
    }

    fn heard(bytes: Vec<u8>, limit: usize) -> io::Result<Said> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(Said::read(&mut Cursor::new(bytes), limit, &Room::new(8 << 20)))
    }

    #[test]
    fn everything_that_is_said_comes_back_and_costs_four_bytes() {
        for said in [Said::Hello, Said::Taken, Said::Message(Vec::new()), Said::Message(vec![7; 4 << 20])] {
            let length = if let Said::Message(body) = &said { body.len() } else { 0 };
            let bytes = said.encode();
            assert_eq!(bytes.len(), 4 + length);
            assert_eq!(heard(bytes, 4 << 20).unwrap(), said);
        }
    }

    #[test]
    fn what_is_not_said_on_lines_is_an_error() {
        let too_long = Said::Message(vec![7; 11]).encode();
        for bytes in [vec![3, 0, 0, 0], vec![255; 4], vec![HELLO, 0, 0, 1, 0], vec![TAKEN, 1, 0, 0], too_long]
        {
            assert_eq!(heard(bytes, 10).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
        for bytes in [vec![], vec![MESSAGE, 0, 0], vec![MESSAGE, 0, 0, 2, 7]] {
            assert_eq!(heard(bytes, 10).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn a_body_at_the_limit_passes_and_a_larger_one_does_not() {
        assert!(written(&Frame::Body(vec![1; 1000]), 1000).is_ok());
        assert!(written(&Frame::Body(vec![1; 1100]), 1000).is_err());
        let bytes = written(&Frame::Body(vec![1; 1100]), 2000).unwrap();
        assert_eq!(read(bytes, 1000).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_frame_that_ends_early_is_an_error() {
        let mut bytes = written(&Frame::Body(vec![1; 1000]), 1000).unwrap();
        bytes.pop();
        assert_eq!(read(bytes, 1000).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn bytes_after_the_value_are_an_error() {
        let mut bytes = written(&Frame::Taken, 10).unwrap();
        bytes.push(0);
        bytes[3] += 1;
        assert_eq!(read(bytes, 10).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn frames_that_do_not_end_give_their_room_back() {
        let room = Room::new(FIRST_RESERVE * 2);
        let mut begun = written(&Frame::Body(vec![1; FIRST_RESERVE * 3]), FIRST_RESERVE * 3).unwrap();
        let read = |bytes: Vec<u8>| block_on(read_frame(&mut Cursor::new(bytes), 4 << 20, Some(&room)));
        assert_eq!(read(begun.clone()).unwrap_err().kind(), io::ErrorKind::QuotaExceeded);
        begun.truncate(FIRST_RESERVE);
        assert_eq!(read(begun).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(room.0.load(Ordering::Relaxed), FIRST_RESERVE * 2);
    }

    #[test]
    fn a_claimed_length_is_not_reserved() {
        let mut bytes = u32::MAX.to_be_bytes().to_vec();
        assert_eq!(read(bytes.clone(), 4 << 20).unwrap_err().kind(), io::ErrorKind::InvalidData);
        bytes[..4].copy_from_slice(&(4u32 << 20).to_be_bytes());
        assert_eq!(read(bytes, 4 << 20).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
