//! Statements, each read once: all members of the world get the same bytes, and what one of them has read is read for
//! all. What cannot be read is looked at every time.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use althing_protocol::codec::DecodeError;
use althing_protocol::statement::Envelope;

/// So many are remembered: what was said long ago hardly comes again.
const REMEMBERED: usize = 4096;

type Known = HashMap<Box<[u8]>, Arc<Envelope>, BuildHasherDefault<Folded>>;

thread_local! {
    /// By their bytes, all of which are compared; nothing goes by the order of the map. A world never leaves its thread.
    static READ: RefCell<Known> = RefCell::new(Known::default());
}

/// A new world begins.
pub(crate) fn forget() {
    READ.with_borrow_mut(HashMap::clear);
}

/// What [`Envelope::read`] says.
pub(crate) fn read(bytes: &[u8]) -> Result<Arc<Envelope>, DecodeError> {
    if let Some(known) = READ.with_borrow(|known| known.get(bytes).cloned()) {
        return Ok(known);
    }
    let envelope = Envelope::read(bytes)?;
    READ.with_borrow_mut(|known| {
        if known.len() == REMEMBERED {
            known.clear();
        }
        known.insert(bytes.into(), envelope.clone());
    });
    Ok(envelope)
}

/// A quick hash, for a table that nobody attacks.
#[derive(Default)]
struct Folded(u64);

impl Folded {
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.add(u64::from_le_bytes(*word)));
        rest.iter().for_each(|byte| self.add(u64::from(*byte)));
    }

    fn write_usize(&mut self, length: usize) {
        self.add(length as u64);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

#[cfg(test)]
mod tests {
    use althing_protocol::codec;
    use althing_protocol::hash::Hash;
    use althing_protocol::statement::{Holds, Id16, Position, Statement};

    use super::*;

    fn said(epoch: u64) -> Vec<u8> {
        let statement = Statement::Holds(Holds { epoch, head: Hash::of(b"head") });
        let position = Position { incarnation: 1, sequence: epoch };
        codec::encode(&Envelope { entity: Hash::of(b"e"), store: Id16([3; 16]), position, statement })
    }

    #[test]
    fn what_was_read_is_what_would_be_read_now_and_nothing_else_is() {
        forget();
        for _ in 0..2 {
            for epoch in 0..5 {
                let bytes = said(epoch);
                assert_eq!(read(&bytes), Envelope::read(&bytes));
                // Longer, shorter, and changed ones are not what was read.
                let longer = [&bytes[..], &[0]].concat();
                assert!(read(&longer).is_err() && read(&bytes[1..]).is_err());
                let mut changed = bytes;
                changed[3] ^= 1;
                assert_eq!(read(&changed), Envelope::read(&changed));
            }
        }
        forget();
        assert!(READ.with_borrow(HashMap::is_empty));
    }

    #[test]
    fn what_is_remembered_does_not_grow_without_end() {
        forget();
        for epoch in 0..2 * REMEMBERED as u64 {
            assert!(read(&said(epoch)).is_ok());
        }
        assert!(READ.with_borrow(HashMap::len) <= REMEMBERED);
    }
}
