//! Messages between members (PROTOCOL.md §6). The connection says who sends; what others may need as evidence is a
//! signed statement inside.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use serde_tuple::{Deserialize_tuple, Serialize_tuple};

use crate::codec::{self, DecodeError};
use crate::hash::Hash;
use crate::identity::{MemberId, SignatureBytes};
use crate::limits;
use crate::record::{Link, Readmission};
use crate::statement::{Id16, Position, Signed};
use crate::succession::Succession;

/// "I live, and this is what I know": sent regularly, and all that is sent while nothing changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Beat {
    /// Epoch of the sender's head.
    pub epoch: u64,
    /// First eight bytes of the head.
    pub head: u64,
    /// Order-independent sum of the statements it holds.
    pub knowledge: u64,
    /// Its round of the epoch that is being decided.
    pub round: u32,
}

/// A statement by its place: author, incarnation, sequence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Place {
    /// Who said it.
    pub author: MemberId,
    /// Where in its life.
    pub position: Position,
}

/// What a peer holds of one author.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Have {
    /// The author.
    pub author: MemberId,
    /// Every statement held of it.
    pub positions: Vec<Position>,
}

/// The answer to "what is the highest you hold from me?" (finding 3). It shows what the asker itself has signed: a
/// mere word could make any member that starts believe that its disk was put back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Highest {
    /// Echo of the question.
    pub incarnation: u64,
    /// The newest small statement and the newest vote that the answerer has of the asker; neither if it knows none.
    pub said: Vec<Signed>,
}

/// One message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Message {
    /// Heartbeat.
    Beat(Beat),
    /// Statements, new to the receiver as far as the sender knows.
    Push(Vec<Signed>),
    /// "I hold these; ask if you lack them."
    Announce(Vec<Place>),
    /// "Send me these, and from now on push to me."
    Graft(Vec<Place>),
    /// "You pushed what I had; announce only, from now on."
    Prune,
    /// Anti-entropy, first step: one sum an author.
    Summary(Vec<(MemberId, u64)>),
    /// Second step: everything held of the authors whose sums differ.
    Have(Vec<Have>),
    /// Third step: what is lacking.
    Want(Vec<Place>),
    /// "Send me the records after this epoch."
    GetChain(u64),
    /// Settled records with their certificates, in order.
    Chain(Vec<Link>),
    /// "Send me the bytes of this record."
    GetRecord(Hash),
    /// Bytes of a record.
    Record(ByteBuf),
    /// "What is the highest you hold from me?", with my store and incarnation. Of a store that the roster does not
    /// name there is no answer.
    AskHighest(Id16, u64),
    /// The answer.
    Highest(Highest),
    /// A member asks to count again from a new store.
    Readmission(Readmission),
    /// The sender's entity succeeds the receiver's.
    Succession(Succession),
    /// From version 2 on: "I live, and this is a hash of what I know."
    Pulse(u64),
    /// The answer to a pulse: "so do I, and mine is the same."
    Echo,
    /// The answer if it is not, and what is sent in place of a pulse while something is decided; with the sum of
    /// the reports that the sender holds.
    Known(Beat, u64),
}

impl Message {
    /// Canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// What these bytes are, if they are a message: `Push`. Nothing else of them is looked at.
    pub fn kind(bytes: &[u8]) -> &str {
        let text = bytes.strip_prefix(b"\xa1").unwrap_or(bytes);
        let Some((head, rest)) = text.split_first() else { return "" };
        // A name is shorter than 24 letters, so its length is in the byte before it.
        let length = usize::from(head & 0x1f);
        let name = rest.get(..length).filter(|_| (0x60..0x78).contains(head));
        name.and_then(|name| std::str::from_utf8(name).ok()).unwrap_or("")
    }

    /// Whether these bytes are a heartbeat, if they are a message.
    pub fn is_beat(bytes: &[u8]) -> bool {
        let kinds: [&[u8]; 4] = [b"\xa1\x64Beat", b"\xa1\x65Pulse", b"\x64Echo", b"\xa1\x65Known"];
        kinds.iter().any(|kind| bytes.starts_with(kind))
    }

    /// Whether these bytes say that nothing differs.
    pub(crate) fn is_echo(bytes: &[u8]) -> bool {
        bytes == b"\x64Echo"
    }

    /// Decodes what a peer sent.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() <= limits::MESSAGE_BYTES
            && let Some(message) = in_short(bytes)
        {
            return Ok(message);
        }
        let message: Self = codec::decode(bytes, limits::MESSAGE_BYTES)?;
        let (count, limit) = message.count();
        if count > limit {
            return Err(DecodeError::Malformed(format!("{count} entries, and at most {limit} are allowed")));
        }
        Ok(message)
    }

    /// The protocol version that a program must speak to read it; of what it carries, statements and records say that
    /// themselves.
    pub fn needs(&self) -> u32 {
        match self {
            Self::Beat(_)
            | Self::Push(_)
            | Self::Announce(_)
            | Self::Graft(_)
            | Self::Prune
            | Self::Summary(_)
            | Self::Have(_)
            | Self::Want(_)
            | Self::GetChain(_)
            | Self::Chain(_)
            | Self::GetRecord(_)
            | Self::Record(_)
            | Self::AskHighest(..)
            | Self::Highest(_)
            | Self::Readmission(_) => 1,
            Self::Succession(succession) => 1 + u32::from(!succession.approvals.is_empty()),
            Self::Pulse(_) | Self::Echo | Self::Known(..) => 2,
        }
    }

    /// How many entries it has, and how many it may have.
    fn count(&self) -> (usize, usize) {
        match self {
            Self::Announce(places) | Self::Graft(places) | Self::Want(places) => {
                (places.len(), limits::PLACES_PER_MESSAGE)
            }
            Self::Summary(sums) => (sums.len(), limits::MEMBERS + limits::PAST_MEMBERS),
            Self::Have(haves) => {
                // An author without positions is an entry, too.
                let positions = haves.iter().map(|have| have.positions.len() + 1);
                (positions.sum(), limits::PLACES_PER_MESSAGE)
            }
            Self::Chain(links) => (links.len(), limits::CHAIN_RECORDS),
            Self::Highest(highest) => (highest.said.len(), 2),
            Self::Beat(_)
            | Self::Push(_)
            | Self::Prune
            | Self::GetChain(_)
            | Self::GetRecord(_)
            | Self::Record(_)
            | Self::AskHighest(..)
            | Self::Readmission(_)
            | Self::Succession(_)
            | Self::Pulse(_)
            | Self::Echo
            | Self::Known(..) => (0, 0),
        }
    }
}

impl Beat {
    /// A hash of it and of the reports that are held: what a pulse carries. The round is of no use to whoever hears
    /// it.
    pub fn digest(&self, reports: u64) -> u64 {
        let numbers = [self.epoch, self.head, self.knowledge, reports].map(u64::to_be_bytes);
        Hash::in_domain("althing pulse 1", &numbers.concat()).low()
    }
}

/// A message, if it is of the kinds that nearly all are of, and in canonical form. Their few shapes need neither a decoder
/// for all of CBOR nor to be encoded again. What is not understood here the decoder judges.
fn in_short(bytes: &[u8]) -> Option<Message> {
    if Message::is_echo(bytes) {
        return Some(Message::Echo);
    }
    let (head, mut rest) = bytes.split_at_checked(6)?;
    let message = match head {
        b"\xa1\x64Push" => Message::Push(statements(&mut rest)?),
        b"\xa1\x65Puls" => Message::Pulse(number(skip(&mut rest, b"e")?)?),
        b"\xa1\x65Know" => {
            let rest = skip(&mut rest, b"n\x82\x84")?;
            let (epoch, head, knowledge) = (number(rest)?, number(rest)?, number(rest)?);
            let round = u32::try_from(number(rest)?).ok()?;
            Message::Known(Beat { epoch, head, knowledge, round }, number(rest)?)
        }
        _ => return None,
    };
    rest.is_empty().then_some(message)
}

fn statements(rest: &mut &[u8]) -> Option<Vec<Signed>> {
    let count = length(rest, ARRAY)?;
    // Room for what there is, not for what is claimed.
    let mut statements = Vec::with_capacity(count.min(rest.len() / 100));
    for _ in 0..count {
        if length(rest, ARRAY)? != 3 {
            return None;
        }
        let author = MemberId(string(rest)?.try_into().ok()?);
        let bytes = ByteBuf::from(string(rest)?);
        let signature = SignatureBytes(string(rest)?.try_into().ok()?);
        statements.push(Signed { author, bytes, signature });
    }
    Some(statements)
}

/// Kinds of what follows: the first three bits of its head.
const NUMBER: u8 = 0;
const BYTES: u8 = 2;
const ARRAY: u8 = 4;

fn skip<'a, 'b>(rest: &'a mut &'b [u8], what: &[u8]) -> Option<&'a mut &'b [u8]> {
    *rest = rest.strip_prefix(what)?;
    Some(rest)
}

fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = length(rest, BYTES)?;
    let (string, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(string)
}

fn length(rest: &mut &[u8], kind: u8) -> Option<usize> {
    usize::try_from(head(rest, kind)?).ok()
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    head(rest, NUMBER)
}

/// The number in the head of what follows, if it is of this kind, and the number is written as short as can be.
fn head(rest: &mut &[u8], kind: u8) -> Option<u64> {
    let (first, after) = rest.split_first()?;
    let (size, least) = match first & 0x1f {
        number @ 0..24 => {
            *rest = after;
            return (first >> 5 == kind).then_some(u64::from(number));
        }
        24 => (1, 24),
        25 => (2, 1 << 8),
        26 => (4, 1 << 16),
        27 => (8, 1 << 32),
        _ => return None,
    };
    let (number, after) = after.split_at_checked(size)?;
    *rest = after;
    let number = number.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    (first >> 5 == kind && number >= least).then_some(number)
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;

    fn push(lengths: &[u16]) -> Vec<u8> {
        let signed = |(at, length): (usize, &u16)| Signed {
            author: MemberId([at as u8; 32]),
            bytes: ByteBuf::from(vec![7; usize::from(*length)]),
            signature: SignatureBytes([at as u8; 64]),
        };
        Message::Push(lengths.iter().enumerate().map(signed).collect()).encode()
    }

    /// What it would be without the short way.
    fn the_long_way(bytes: &[u8]) -> Result<Message, DecodeError> {
        codec::decode(bytes, limits::MESSAGE_BYTES)
    }

    #[test]
    fn statements_are_read_in_the_short_way_whatever_their_length() {
        for length in [0, 1, 23, 24, 255, 256, 65_535] {
            for count in [0, 1, 23, 24, 25, 300] {
                let lengths = vec![length; if length > 256 { count.min(2) } else { count }];
                let bytes = push(&lengths);
                assert_eq!(in_short(&bytes).ok_or(DecodeError::NotCanonical), the_long_way(&bytes));
            }
        }
    }

    #[test]
    fn a_longer_length_than_needed_and_what_follows_are_refused_in_the_short_way_as_well() {
        let author = [b"\xa1\x64Push\x81\x83\x58\x20".as_slice(), &[1; 32]].concat();
        let signature = [b"\x58\x40".as_slice(), &[2; 64]].concat();
        for (length, is_good) in [(&b"\x41x"[..], true), (b"\x58\x01x", false), (b"\x59\x00\x01x", false)] {
            let bytes = [&author[..], length, &signature[..]].concat();
            assert_eq!(in_short(&bytes).is_some(), is_good);
            assert_eq!(the_long_way(&bytes).is_ok(), is_good);
            assert_eq!(Message::decode(&bytes), the_long_way(&bytes));
            let longer = [&bytes[..], &[0]].concat();
            assert!(in_short(&longer).is_none() && Message::decode(&longer).is_err());
        }
    }

    #[test]
    fn heartbeats_are_read_in_the_short_way_whatever_their_numbers() {
        let numbers = [0, 23, 24, 255, 256, 65_535, 65_536, u64::from(u32::MAX), 1 << 32, u64::MAX];
        for epoch in numbers {
            for round in numbers.map(|number| u32::try_from(number).unwrap_or(7)) {
                let beat = Beat { epoch, head: round.into(), knowledge: epoch / 3, round };
                for message in [Message::Known(beat, epoch), Message::Pulse(epoch), Message::Echo] {
                    assert_eq!(in_short(&message.encode()), Some(message));
                }
            }
        }
        let large = codec::encode(&(1, 2, 3, 1_u64 << 32));
        let known = [b"\xa1\x65Known\x82".as_slice(), &large, &[5]].concat();
        assert!(in_short(&known).is_none() && Message::decode(&known).is_err());
    }

    quickcheck! {
        fn the_short_way_reads_nothing_that_the_long_one_does_not(
            lengths: Vec<u16>,
            beat: (u64, u64, u64, u32),
            which: u8,
            change: (usize, u8, usize)
        ) -> bool {
            let lengths: Vec<u16> = lengths.iter().take(5).map(|length| length % 300).collect();
            let (epoch, head, knowledge, round) = beat;
            let mut bytes = match which % 4 {
                0 => Message::Known(Beat { epoch, head, knowledge, round }, head).encode(),
                1 => Message::Pulse(epoch).encode(),
                _ => push(&lengths),
            };
            let (at, to, cut) = change;
            let (at, cut) = (at % bytes.len(), if cut % 4 == 0 { cut % bytes.len() } else { 0 });
            bytes[at] = to;
            bytes.truncate(bytes.len() - cut);
            Message::decode(&bytes) == the_long_way(&bytes)
        }
    }
    #[test]
    fn heartbeats_are_told_by_their_first_bytes_and_small() {
        let beat = Beat { epoch: 1000, head: u64::MAX, knowledge: u64::MAX, round: 0 };
        let beats = [
            Message::Beat(beat),
            Message::Pulse(beat.digest(u64::MAX)),
            Message::Echo,
            Message::Known(beat, u64::MAX),
        ];
        assert!(beats.iter().all(|message| Message::is_beat(&message.encode())));
        let kinds = beats.iter().map(|message| Message::kind(&message.encode()).to_owned());
        assert!(kinds.eq(["Beat", "Pulse", "Echo", "Known"]));
        let longer = [Message::AskHighest(Id16([1; 16]), 2), Message::Prune, Message::Push(Vec::new())];
        let kinds = longer.map(|message| Message::kind(&message.encode()).to_owned());
        assert_eq!(kinds, ["AskHighest", "Prune", "Push"]);
        assert!(
            [&b""[..], b"\xa1", b"\x64Ech", b"\xff", b"\x18\x18"]
                .iter()
                .all(|bytes| Message::kind(bytes).is_empty())
        );
        assert!(beats.iter().all(|it| Message::is_echo(&it.encode()) == (*it == Message::Echo)));
        assert!(
            !Message::is_beat(&Message::Prune.encode()) && !Message::is_beat(&Message::GetChain(1).encode())
        );
        assert_eq!(beats.map(|message| message.encode().len()), [29, 16, 5, 40]);
    }

    #[test]
    fn whatever_differs_makes_another_digest() {
        let beat = Beat { epoch: 1, head: 2, knowledge: 3, round: 4 };
        let others = [
            Beat { epoch: 2, ..beat }.digest(5),
            Beat { head: 3, ..beat }.digest(5),
            Beat { knowledge: 2, ..beat }.digest(5),
            beat.digest(6),
        ];
        assert!(others.iter().all(|other| *other != beat.digest(5)));
        assert_eq!(Beat { round: 9, ..beat }.digest(5), beat.digest(5));
    }
}
