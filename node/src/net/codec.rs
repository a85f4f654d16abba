//! One frame per direction of a stream: a 4-byte big-endian length, then one CBOR value.
//!
//! The length is compared with the limit before anything is reserved, and a frame that ends early is an
//! error: nothing is ever silently cut.

use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::StreamProtocol;
use libp2p::request_response::Codec;
use serde::{Deserialize, Serialize};

use super::limits::{FIRST_RESERVE, FRAME_OVERHEAD};

/// What one side says on a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Frame {
    /// The first thing on a connection between members: are we peers on your side, too?
    Hello,
    /// Bytes whose meaning is not ours.
    Body(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Yes, we are peers; or: the control message has reached the daemon's queue.
    Taken,
    /// The request was not answered.
    Refused(Refusal),
}

/// Why a request was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Refusal {
    /// Too many wait already.
    Busy,
    /// The daemon gave no answer.
    Unanswered,
    /// The answer would be larger than the limit.
    TooLarge(u64),
}

/// Reads and writes the frames of one protocol.
#[derive(Debug, Clone, Copy)]
pub(super) struct FrameCodec {
    /// The largest body of a request.
    pub(super) request: usize,
    /// The largest body of a response.
    pub(super) response: usize,
}

impl Codec for FrameCodec {
    type Protocol = StreamProtocol;
    type Request = Frame;
    type Response = Frame;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Frame>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_frame(io, self.request).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Frame>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_frame(io, self.response).await
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

async fn read_frame<T: AsyncRead + Unpin + Send>(io: &mut T, limit: usize) -> io::Result<Frame> {
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let length = u32::from_be_bytes(length) as usize;
    if length > limit + FRAME_OVERHEAD {
        return Err(too_large(length, limit));
    }
    let mut bytes = Vec::with_capacity(length.min(FIRST_RESERVE));
    io.take(length as u64).read_to_end(&mut bytes).await?;
    if bytes.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    decode(&bytes)
}

fn decode(mut bytes: &[u8]) -> io::Result<Frame> {
    let frame = ciborium::from_reader(&mut bytes).map_err(invalid)?;
    if bytes.is_empty() { Ok(frame) } else { Err(invalid("bytes after the frame")) }
}

async fn write_frame<T: AsyncWrite + Unpin + Send>(
    io: &mut T,
    frame: &Frame,
    limit: usize,
) -> io::Result<()> {
    let mut bytes = vec![0; 4];
    ciborium::into_writer(frame, &mut bytes).map_err(invalid)?;
    let length = bytes.len() - 4;
    if length > limit + FRAME_OVERHEAD {
        return Err(too_large(length, limit));
    }
    let prefix = u32::try_from(length).map_err(invalid)?;
    bytes[..4].copy_from_slice(&prefix.to_be_bytes());
    io.write_all(&bytes).await?;
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
    use futures::executor::block_on;
    use futures::io::Cursor;

    use super::*;

    fn written(frame: &Frame, limit: usize) -> io::Result<Vec<u8>> {
        let mut io = Cursor::new(Vec::new());
        block_on(write_frame(&mut io, frame, limit))?;
        Ok(io.into_inner())
    }

    fn read(bytes: Vec<u8>, limit: usize) -> io::Result<Frame> {
        block_on(read_frame(&mut Cursor::new(bytes), limit))
    }

    #[test]
    fn every_frame_comes_back() {
        let refusals = [Refusal::Busy, Refusal::Unanswered, Refusal::TooLarge(u64::MAX)];
        let mut frames =
            vec![Frame::Hello, Frame::Taken, Frame::Body(Vec::new()), Frame::Body(vec![7; 4 << 20])];
        frames.extend(refusals.map(Frame::Refused));
        for frame in frames {
            assert_eq!(read(written(&frame, 4 << 20).unwrap(), 4 << 20).unwrap(), frame);
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
}
