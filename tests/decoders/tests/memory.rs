//! What decoding costs: bombs that claim much or nest deeply take a small multiple of their own length.
//!
//! One test in a program of its own, because the allocator counts for the whole process.

use althing_decoders::{ALL, Decoder};
use peak_alloc::PeakAlloc;

#[global_allocator]
static PEAK: PeakAlloc = PeakAlloc;

/// Most bytes a decoder may hold at once for one byte that came. The worst is a position, three bytes that become
/// sixteen in a vector that doubles, encoded again to be compared.
const FACTOR: usize = 24;
/// And whatever the length: serde reserves up to a megabyte for a list that claims to be long, and once more for each
/// list that is being read inside of it; the members that some decoders give what they read to.
const FIXED: usize = 4 << 20;

fn cost(decoder: &Decoder, bytes: &[u8]) -> usize {
    let before = PEAK.current_usage();
    PEAK.reset_peak_usage();
    (decoder.run)(bytes);
    PEAK.peak_usage().saturating_sub(before)
}

fn head(major: u8, length: u64) -> Vec<u8> {
    [vec![major << 5 | 27], length.to_be_bytes().to_vec()].concat()
}

/// Hostile bytes of any type, as long as the decoder takes.
fn bombs(limit: usize) -> Vec<(&'static str, Vec<u8>)> {
    let fill = |with: &[u8], length: usize| with.iter().copied().cycle().take(length).collect::<Vec<u8>>();
    let of = |head: Vec<u8>, with: &[u8]| [head.clone(), fill(with, limit - head.len())].concat();
    let claims = |major| [1 << 20, 1 << 32, 1 << 40, u64::MAX].map(|length| head(major, length));
    let mut bombs = vec![
        ("nested arrays", fill(&[0x81], limit)),
        ("nested endless arrays", fill(&[0x9f], limit)),
        ("nested maps", fill(&[0xa1, 0x00], limit)),
        ("nested tags", fill(&[0xc1], limit)),
        ("endless byte strings", fill(&[0x5f, 0x41, 0x00], limit)),
        ("small integers", of(head(4, limit as u64 - 9), &[0])),
        ("empty arrays", of(head(4, limit as u64 - 9), &[0x80])),
        ("nested JSON arrays", fill(b"[", limit)),
        ("nested JSON objects", fill(b"{\"a\":", limit)),
        ("JSON escapes", [b"{\"path\":\"".to_vec(), fill(b"\\u0041", limit - 16)].concat()),
        ("base 32", [b"althing1".to_vec(), fill(b"a", limit - 8)].concat()),
        ("base 58", fill(b"z", limit)),
    ];
    for major in [2, 3, 4, 5] {
        bombs.extend(claims(major).map(|bytes| ("a claim", bytes)));
        bombs.extend(claims(major).map(|bytes| ("a claim and zeros", of(bytes, &[0]))));
    }
    // What a message of the largest kind could be full of.
    for (name, element) in
        [("Announce", &[0x82, 0x58, 0x20][..]), ("Have", &[0x82, 0x00, 0x00]), ("Push", &[0x83])]
    {
        let prefix =
            [vec![0xa1, 0x60 | name.len() as u8], name.as_bytes().to_vec(), head(4, limit as u64 / 4)]
                .concat();
        if prefix.len() < limit {
            bombs.push(("a message of many", of(prefix, element)));
        }
    }
    bombs
}

/// A message with as many positions as fit: it decodes, and says only then how many there are.
fn positions(limit: usize) -> Vec<u8> {
    let author = [vec![0x58, 0x20], vec![7; 32]].concat();
    let count = (limit - 64) / 3;
    let mut bytes =
        [&[0xa1, 0x64][..], b"Have", &[0x81, 0x82], &author, &[0x9a], &(count as u32).to_be_bytes()].concat();
    bytes.extend([0x82, 0x01, 0x02].iter().copied().cycle().take(count * 3));
    bytes
}

#[test]
fn no_bytes_cost_more_than_a_small_multiple_of_themselves() {
    let mut worst: Vec<(usize, &str, &str)> = Vec::new();
    for decoder in ALL {
        // The whole length only where something could be large.
        let limit = decoder.limit.min(4 << 20);
        let mut bombs = bombs(limit);
        if decoder.name == "message" {
            bombs.push(("many positions", positions(limit)));
        }
        bombs.extend((decoder.seeds)().into_iter().map(|bytes| ("a seed", bytes)));
        for (what, bytes) in bombs {
            let cost = cost(&decoder, &bytes);
            let most = bytes.len() * FACTOR + FIXED;
            assert!(cost <= most, "{} of {}: {} bytes cost {cost}", what, decoder.name, bytes.len());
            worst.push((cost / bytes.len().max(1 << 16), decoder.name, what));
        }
    }
    worst.sort_unstable_by(|a, b| b.cmp(a));
    println!("most for a byte: {:?}", &worst[..8]);
}
