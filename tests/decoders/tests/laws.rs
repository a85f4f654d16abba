//! Any bytes, and the good ones changed a little: the laws of every decoder hold, on stable and with every test run.

use std::path::Path;

use althing_decoders::{ALL, Decoder};
use quickcheck::QuickCheck;

/// Bytes of the committed corpus of a decoder, and its seeds.
fn known(decoder: &Decoder) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(decoder.name);
    let mut known = (decoder.seeds)();
    for entry in std::fs::read_dir(directory).into_iter().flatten() {
        known.push(std::fs::read(entry.expect("an entry").path()).expect("a file of the corpus"));
    }
    known
}

/// What is done to good bytes.
fn changed(mut bytes: Vec<u8>, other: &[u8], edits: &[(u8, u16, u8)]) -> Vec<u8> {
    for (what, at, by) in edits {
        let at = usize::from(*at) % bytes.len().max(1);
        match what % 7 {
            0 if !bytes.is_empty() => bytes[at] ^= by | 1,
            1 => bytes.truncate(at),
            2 => bytes.insert(at.min(bytes.len()), *by),
            // Lengths and numbers of CBOR that are as large as can be.
            3 => drop(bytes.splice(
                at.min(bytes.len())..at.min(bytes.len()),
                [0x1b, 255, 255, 255, 255, 255, 255, 255, *by],
            )),
            4 if !bytes.is_empty() => drop(bytes.remove(at)),
            5 => bytes.extend_from_slice(&other[usize::from(*by) % other.len().max(1)..]),
            _ => bytes.extend_from_within(at.min(bytes.len())..),
        }
    }
    bytes
}

#[test]
fn good_bytes_and_the_corpus_hold() {
    for decoder in ALL {
        for bytes in known(&decoder) {
            (decoder.run)(&bytes);
        }
    }
}

#[test]
fn random_bytes_hold() {
    fn hold(bytes: Vec<u8>) -> bool {
        ALL.iter().for_each(|decoder| (decoder.run)(&bytes));
        true
    }
    QuickCheck::new().tests(400).quickcheck(hold as fn(Vec<u8>) -> bool);
}

#[test]
fn changed_bytes_hold() {
    fn hold(pick: usize, other: usize, edits: Vec<(u8, u16, u8)>) -> bool {
        for decoder in ALL {
            let known = known(&decoder);
            let (bytes, other) = (known[pick % known.len()].clone(), &known[other % known.len()]);
            let bytes = changed(bytes, other, &edits[..edits.len().min(6)]);
            (decoder.run)(&bytes[..bytes.len().min(decoder.limit)]);
        }
        true
    }
    QuickCheck::new().tests(300).quickcheck(hold as fn(usize, usize, Vec<(u8, u16, u8)>) -> bool);
}
