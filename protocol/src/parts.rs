//! Large files in parts that can be had from anybody and checked one by one (F5).
//!
//! BLAKE3 is a tree: a file's hash is made of the values of its parts, and each part has its value, whatever the others
//! are. The list of these values, the *outline*, is proved by the file's own name. With it every part is checked before
//! it counts, though nothing but the plain BLAKE3 of the whole is in any manifest (decision 0036).

use blake3::hazmat::{ChainingValue, HasherExt, Mode, left_subtree_len};
use blake3::hazmat::{merge_subtrees_non_root, merge_subtrees_root};

use crate::hash::Hash;
use crate::limits::{LARGE_FILE, PART_BYTES, PARTS};

/// How a file is divided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Division {
    size: u64,
    part: u64,
}

impl Division {
    /// Of a file of so many bytes; `None` if it is had as a whole.
    pub fn of(size: u64) -> Option<Self> {
        if size <= LARGE_FILE {
            return None;
        }
        // Powers of two only: nothing else is a part of the tree.
        let part = size.div_ceil(PARTS).next_power_of_two().max(PART_BYTES);
        Some(Self { size, part })
    }

    /// How many parts there are: at least two.
    pub fn count(&self) -> u32 {
        u32::try_from(self.size.div_ceil(self.part)).unwrap_or(u32::MAX)
    }

    /// Where a part begins, and its bytes; `None` beyond the last.
    pub fn range(&self, index: u32) -> Option<(u64, u64)> {
        let begins = u64::from(index).checked_mul(self.part).filter(|begins| *begins < self.size)?;
        Some((begins, self.part.min(self.size - begins)))
    }
}

/// The value of each part of a file, in their order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outline {
    values: Vec<ChainingValue>,
}

impl Outline {
    /// From the bytes of one, if it is the outline of the file of this name and size.
    pub fn prove(bytes: &[u8], name: &Hash, size: u64) -> Option<Self> {
        let count = Division::of(size)?.count() as usize;
        let (values, rest) = bytes.as_chunks::<32>();
        if values.len() != count || !rest.is_empty() {
            return None;
        }
        Self::proved(values.to_vec(), name, size)
    }

    /// From what the parts of a file were found to be, if that is the file of this name and size.
    pub fn proved(values: Vec<ChainingValue>, name: &Hash, size: u64) -> Option<Self> {
        let division = Division::of(size).filter(|it| it.count() as usize == values.len())?;
        let left = left_subtree_len(size);
        let (first, second) = values.split_at(usize::try_from(left / division.part).ok()?);
        let whole = merge_subtrees_root(
            &merged(first, left, division.part),
            &merged(second, size - left, division.part),
            Mode::Hash,
        );
        (whole.as_bytes() == &name.0).then_some(Self { values })
    }

    /// Its bytes: the values, one after the other.
    pub fn bytes(&self) -> Vec<u8> {
        self.values.concat()
    }

    /// How long the outline of a file of this size is.
    pub fn length(size: u64) -> Option<u64> {
        Some(u64::from(Division::of(size)?.count()) * 32)
    }

    /// Whether a part has this value.
    pub fn is(&self, index: u32, value: &ChainingValue) -> bool {
        self.values.get(index as usize) == Some(value)
    }
}

/// The value of what these parts are together.
fn merged(values: &[ChainingValue], size: u64, part: u64) -> ChainingValue {
    match values {
        [] => [0; 32],
        [one] => *one,
        many => {
            let left = left_subtree_len(size);
            let at = usize::try_from(left / part).unwrap_or(1).clamp(1, many.len() - 1);
            let (first, second) = many.split_at(at);
            merge_subtrees_non_root(
                &merged(first, left, part),
                &merged(second, size - left, part),
                Mode::Hash,
            )
        }
    }
}

/// Finds the value of one part from its bytes, given bit by bit.
#[derive(Clone, Debug)]
pub struct PartHasher(blake3::Hasher);

impl PartHasher {
    /// Of the part that begins there, as [`Division::range`] says.
    pub fn new(begins: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.set_input_offset(begins);
        Self(hasher)
    }

    /// The next bytes. No more than the part has may be given.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Its value.
    pub fn value(&self) -> ChainingValue {
        self.0.finalize_non_root()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(size: u64) -> Vec<u8> {
        (0..size).map(|at| ((at >> 8) ^ (at >> 3) ^ (at * 7)) as u8).collect()
    }

    fn values(bytes: &[u8], division: Division) -> Vec<ChainingValue> {
        let value = |index| {
            let (begins, length) = division.range(index).expect("a part");
            let mut hasher = PartHasher::new(begins);
            for piece in bytes[begins as usize..(begins + length) as usize].chunks(100_000) {
                hasher.update(piece);
            }
            hasher.value()
        };
        (0..division.count()).map(value).collect()
    }

    #[test]
    fn the_values_of_the_parts_prove_the_plain_hash_of_the_whole() {
        let sizes = [
            LARGE_FILE + 1,
            LARGE_FILE + PART_BYTES - 1,
            LARGE_FILE + PART_BYTES,
            LARGE_FILE + PART_BYTES + 1,
            3 * LARGE_FILE - 1025,
        ];
        for size in sizes {
            let bytes = bytes(size);
            let (name, division) = (Hash::of(&bytes), Division::of(size).expect("large"));
            let values = values(&bytes, division);
            let outline = Outline::proved(values.clone(), &name, size).expect("it is this file");
            assert_eq!(Outline::prove(&outline.bytes(), &name, size).as_ref(), Some(&outline));
            assert_eq!(Outline::length(size), Some(outline.bytes().len() as u64));
            assert!((0..division.count()).all(|index| outline.is(index, &values[index as usize])));
            assert!(!outline.is(0, &values[1]) && !outline.is(division.count(), &values[0]));
            for at in 0..values.len() {
                let mut other = values.clone();
                other[at][7] ^= 1;
                assert_eq!(Outline::proved(other, &name, size), None, "part {at} of {size}");
            }
            let mut moved = values.clone();
            moved.swap(0, 1);
            assert_eq!(Outline::proved(moved, &name, size), None);
            assert_eq!(Outline::proved(values[1..].to_vec(), &name, size), None);
            assert_eq!(Outline::prove(&outline.bytes()[1..], &name, size), None);
        }
    }

    #[test]
    fn parts_cover_a_file_and_are_few() {
        assert_eq!(Division::of(LARGE_FILE), None);
        for size in [LARGE_FILE + 1, 1 << 30, (1 << 36) + 5, crate::limits::FILE_BYTES] {
            let division = Division::of(size).expect("large");
            assert!(division.count() >= 2 && u64::from(division.count()) <= PARTS, "{size}");
            let mut at = 0;
            for index in 0..division.count() {
                let (begins, length) = division.range(index).expect("a part");
                assert_eq!((begins, length > 0), (at, true));
                at += length;
            }
            assert_eq!((at, division.range(division.count())), (size, None));
        }
    }
}
