//! Looks at RocksDB's write-ahead log before RocksDB does: is a bad place its end, or damage?
//!
//! No recovery mode of RocksDB answers that. `AbsoluteConsistency` refuses every incomplete end, so a killed process
//! or a power cut makes the store useless. `TolerateCorruptedTailRecords` refuses an end whose pages reached the disk
//! in another order (a power cut), and silently drops up to 32 KiB of good records behind a damaged length or a
//! zeroed header. `PointInTime` drops everything behind any damage. But here each record is synced before the next
//! is begun: an end that was never acknowledged has **no intact beginning of a record behind it**. Such a log may be
//! opened in `PointInTime`; any other is damaged.
//!
//! The format (db/log_format.h): blocks of 32 KiB; in each, fragments of checksum (4), length (2), type (1), payload.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const BLOCK_BYTES: usize = 32 << 10;
const HEADER_BYTES: usize = 7;

/// A whole record, and the first, a middle and the last part of one.
const FULL: u8 = 1;
const FIRST: u8 = 2;
const LAST: u8 = 4;

/// Why a log must not be opened.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It could not be read.
    Io(io::Error),
    /// Acknowledged records are bad.
    Damaged(String),
}

/// Checks every log of a database. No database has no logs.
pub(crate) fn check(database: &Path) -> Result<(), Failure> {
    for path in logs(database).map_err(Failure::Io)? {
        let bytes = fs::read(&path).map_err(Failure::Io)?;
        match examine(&bytes) {
            Condition::Complete => {}
            Condition::Incomplete { at } => {
                tracing::info!(log = %path.display(), at, "the last write was never completed");
            }
            Condition::Damaged { at, intact } => {
                return Err(Failure::Damaged(format!(
                    "{} is bad at byte {at}, with an acknowledged record behind it at byte {intact}",
                    path.display()
                )));
            }
        }
    }
    Ok(())
}

fn logs(database: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(database) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut logs = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            logs.push(path);
        }
    }
    logs.sort();
    Ok(logs)
}

/// What a log is like.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Every byte belongs to an intact record.
    Complete,
    /// Intact up to `at`, and nothing that was acknowledged behind.
    Incomplete {
        /// The first bad byte.
        at: usize,
    },
    /// Bad in the middle.
    Damaged {
        /// The first bad byte.
        at: usize,
        /// An intact record behind it.
        intact: usize,
    },
}

/// Walks through a log.
pub(crate) fn examine(log: &[u8]) -> Condition {
    let mut at = 0;
    let mut inside = false;
    let mut record = 0;
    while at < log.len() {
        let left = BLOCK_BYTES - at % BLOCK_BYTES;
        if left < HEADER_BYTES {
            at += left;
            continue;
        }
        let Some(fragment) = fragment(log, at) else { return behind(log, at) };
        let begins = matches!(fragment.kind, FULL | FIRST);
        // Commits are written one after another: no record begins inside another one.
        if begins && inside {
            return Condition::Damaged { at: record, intact: at };
        }
        if begins {
            record = at;
        } else if fragment.kind <= LAST && !inside {
            return behind(log, at);
        }
        inside = fragment.kind <= LAST && !matches!(fragment.kind, FULL | LAST);
        at += HEADER_BYTES + fragment.length;
    }
    if inside { Condition::Incomplete { at: record } } else { Condition::Complete }
}

struct Fragment {
    kind: u8,
    length: usize,
}

/// An intact fragment at this place, which must lie within one block.
fn fragment(log: &[u8], at: usize) -> Option<Fragment> {
    let header = log.get(at..at + HEADER_BYTES)?;
    let kind = header[6];
    let length = usize::from(u16::from_le_bytes([header[4], header[5]]));
    if kind == 0 || HEADER_BYTES + length > BLOCK_BYTES - at % BLOCK_BYTES {
        return None;
    }
    let covered = log.get(at + HEADER_BYTES - 1..at + HEADER_BYTES + length)?;
    let stored = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
    (masked(crc32c(covered)) == stored).then_some(Fragment { kind, length })
}

/// Tries every byte behind a bad place as the beginning of a record: a checksum does not fit by accident.
fn behind(log: &[u8], at: usize) -> Condition {
    let found = (at + 1..log.len()).find(|place| {
        log.get(place + HEADER_BYTES - 1).is_some_and(|kind| matches!(*kind, FULL | FIRST))
            && fragment(log, *place).is_some_and(|fragment| fragment.length > 0)
    });
    found.map_or(Condition::Incomplete { at }, |intact| Condition::Damaged { at, intact })
}

/// RocksDB masks checksums, so that a checksum of bytes with checksums in them is no weaker.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), reflected.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| TABLE[usize::from((crc as u8) ^ byte)] ^ (crc >> 8))
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;

    /// As RocksDB writes it; gives the log and where each record begins.
    fn log(records: &[Vec<u8>]) -> (Vec<u8>, Vec<usize>) {
        let mut log = Vec::new();
        let mut begins = Vec::new();
        for record in records {
            let mut rest = &record[..];
            let mut first = true;
            loop {
                let mut left = BLOCK_BYTES - log.len() % BLOCK_BYTES;
                if left < HEADER_BYTES {
                    log.resize(log.len() + left, 0);
                    left = BLOCK_BYTES;
                }
                if first {
                    begins.push(log.len());
                }
                let (part, behind) = rest.split_at(rest.len().min(left - HEADER_BYTES));
                let kind = match (first, behind.is_empty()) {
                    (true, true) => FULL,
                    (true, false) => FIRST,
                    (false, false) => 3,
                    (false, true) => LAST,
                };
                let covered = [&[kind], part].concat();
                log.extend(masked(crc32c(&covered)).to_le_bytes());
                log.extend((part.len() as u16).to_le_bytes());
                log.extend(covered);
                (rest, first) = (behind, false);
                if rest.is_empty() {
                    break;
                }
            }
        }
        (log, begins)
    }

    /// A commit is never empty: it holds at least its number.
    fn commits(sizes: &[u16]) -> Vec<Vec<u8>> {
        let few = sizes.iter().take(6);
        few.map(|size| vec![(*size % 251) as u8; 12 + usize::from(*size)]).collect()
    }

    #[test]
    fn the_checksum_is_that_of_rfc_3720() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    }

    quickcheck! {
        fn what_is_written_is_complete(sizes: Vec<u16>) -> bool {
            examine(&log(&commits(&sizes)).0) == Condition::Complete
        }

        fn any_beginning_is_complete_or_incomplete(sizes: Vec<u16>, length: usize) -> bool {
            let (mut log, _) = log(&commits(&sizes));
            log.truncate(length % (log.len() + 1));
            !matches!(examine(&log), Condition::Damaged { .. })
        }

        fn a_changed_byte_before_the_last_record_is_damage(sizes: Vec<u16>, place: usize, bits: u8) -> bool {
            let (mut log, begins) = log(&commits(&sizes));
            let last = begins.last().copied().unwrap_or_default();
            // Between blocks there may be bytes of nobody.
            let gap = |at: usize| last - at < HEADER_BYTES || BLOCK_BYTES - at % BLOCK_BYTES < HEADER_BYTES;
            let at = place % last.max(1);
            if last == 0 || bits == 0 || gap(at) {
                return true;
            }
            log[at] ^= bits;
            matches!(examine(&log), Condition::Damaged { intact, .. } if begins.contains(&intact))
        }

        fn a_changed_byte_in_the_last_record_is_no_damage(sizes: Vec<u16>, place: usize, bits: u8) -> bool {
            let (mut log, begins) = log(&commits(&sizes));
            let Some(last) = begins.last().copied() else { return true };
            let at = last + place % (log.len() - last);
            log[at] ^= bits;
            !matches!(examine(&log), Condition::Damaged { .. })
        }
    }
}
