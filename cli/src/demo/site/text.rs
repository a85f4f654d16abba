//! What is in the files: made from a seed, compressible where such files are.

use std::fmt::Write as _;

/// How an image begins.
pub(super) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

const WORDS: &str = "the a of and under over between old new stone water light harbour wind ship road letter house \
    morning winter bridge market song island river garden bird lamp rope map salt bread boat night door window \
    carries opens holds turns keeps follows leaves finds builds crosses slowly always never again where when";

/// SplitMix64 (Steele, Lea, Flood 2014): the same on every machine.
pub(super) struct Random {
    state: u64,
    words: Vec<&'static str>,
}

impl Random {
    /// The same seed gives the same numbers.
    pub(super) fn new(seed: &str) -> Self {
        // FNV-1a, for a number from a text.
        let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let state = seed.bytes().fold(0xcbf2_9ce4_8422_2325, fold);
        Self { state, words: WORDS.split_whitespace().collect() }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `limit`, without it.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn word(&mut self) -> &'static str {
        let at = self.below(self.words.len());
        self.words[at]
    }

    fn sentence(&mut self) -> String {
        let words: Vec<&str> = (0..6 + self.below(9)).map(|_| self.word()).collect();
        words.join(" ") + ". "
    }

    /// Sentences.
    pub(super) fn prose(&mut self, bytes: usize) -> Vec<u8> {
        let mut text = String::new();
        while text.len() < bytes {
            text.push_str(&self.sentence());
        }
        text.push('\n');
        text.into_bytes()
    }

    /// An HTML page.
    pub(super) fn page(&mut self, title: &str, bytes: usize) -> Vec<u8> {
        let mut text = format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
             <link rel=\"stylesheet\" href=\"/css/site.css\">\n<h1>On {title}</h1>\n"
        );
        while text.len() < bytes {
            let _ = writeln!(text, "<p>{}{}{}</p>", self.sentence(), self.sentence(), self.sentence());
        }
        text.into_bytes()
    }

    /// A style sheet.
    pub(super) fn style(&mut self, bytes: usize) -> Vec<u8> {
        let mut text = String::new();
        while text.len() < bytes {
            let word = self.word();
            let (margin, colour) = (self.below(32), self.below(1 << 24));
            let _ = writeln!(text, ".{word} {{ margin: {margin}px; color: #{colour:06x}; }}");
        }
        text.into_bytes()
    }

    /// A program for the browser.
    pub(super) fn script(&mut self, bytes: usize) -> Vec<u8> {
        let mut text = String::from("'use strict';\n");
        while text.len() < bytes {
            let (word, other, number) = (self.word(), self.word(), self.below(999));
            let _ = writeln!(
                text,
                "export function {word}{number}({other}) {{ return {other} * {number} + 1; }}"
            );
        }
        text.into_bytes()
    }

    /// A table as JSON.
    pub(super) fn table(&mut self, name: &str, rows: usize) -> Vec<u8> {
        let rows: Vec<String> = (0..rows)
            .map(|row| {
                format!(
                    "  {{\"{name}\": {row}, \"depth\": {}, \"width\": {}}}",
                    self.below(90),
                    self.below(900)
                )
            })
            .collect();
        format!("[\n{}\n]\n", rows.join(",\n")).into_bytes()
    }

    /// Bytes that do not compress, after those by which the kind of file is known.
    pub(super) fn binary(&mut self, magic: &[u8], bytes: usize) -> Vec<u8> {
        let mut content = magic.to_vec();
        while content.len() < bytes {
            content.extend(self.next().to_le_bytes());
        }
        content
    }
}
