//! Every decoder of bytes that come from others, as a plain function of bytes that panics if something does not hold
//! that must hold for any of them: what decodes is encoded to the same bytes, and nothing panics on the way.
//!
//! The same functions are fuzz targets (`tests/fuzz/`), run on random and mutated bytes with the tests (`tests/laws.rs`), and
//! are measured on bombs (`tests/memory.rs`). `docs/fuzzing.md` is the list for people.

mod entity;
mod reads;
mod seeds;

/// One decoder.
#[derive(Clone, Copy)]
pub struct Decoder {
    /// Names the fuzz target and its corpus.
    pub name: &'static str,
    /// The most bytes that it is given: what comes in larger pieces is refused before.
    pub limit: usize,
    /// Decodes, and checks what must hold.
    pub run: fn(&[u8]),
    /// Good bytes, from which mutation reaches what random bytes do not.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const ALL: [Decoder; 18] = [
    Decoder { name: "frame", limit: 4 << 20, run: reads::frame, seeds: seeds::frames },
    Decoder { name: "message", limit: 4 << 20, run: reads::message, seeds: seeds::messages },
    Decoder { name: "statement", limit: 2 << 20, run: reads::statement, seeds: seeds::envelopes },
    Decoder { name: "record", limit: 1 << 20, run: reads::record, seeds: seeds::records },
    Decoder { name: "directory", limit: 8 << 20, run: reads::directory, seeds: seeds::directories },
    Decoder { name: "wants", limit: 64 << 10, run: reads::wants, seeds: seeds::wants },
    Decoder { name: "outline", limit: 1 << 20, run: reads::outline, seeds: seeds::outlines },
    Decoder { name: "join", limit: 16 << 10, run: reads::join, seeds: seeds::joins },
    Decoder { name: "answer", limit: 1 << 20, run: reads::answer, seeds: seeds::answers },
    Decoder { name: "invitation", limit: 4 << 10, run: reads::invitation, seeds: seeds::invitations },
    Decoder { name: "member_id", limit: 4 << 10, run: reads::member_id, seeds: seeds::member_ids },
    Decoder { name: "hash", limit: 4 << 10, run: reads::hash, seeds: seeds::hashes },
    Decoder { name: "path", limit: 16 << 10, run: reads::path, seeds: seeds::paths },
    Decoder { name: "call", limit: 2 << 20, run: reads::call, seeds: seeds::calls },
    Decoder { name: "command", limit: 1 << 20, run: reads::command, seeds: seeds::commands },
    Decoder { name: "saved", limit: 1 << 20, run: reads::saved, seeds: seeds::saved },
    Decoder { name: "changes", limit: 1 << 20, run: entity::changes, seeds: seeds::changes },
    Decoder { name: "member", limit: 1 << 20, run: entity::member, seeds: seeds::said },
];

/// The decoder of this name.
pub fn named(name: &str) -> Option<Decoder> {
    ALL.into_iter().find(|decoder| decoder.name == name)
}
