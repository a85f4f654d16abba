//! `decoders::named("outline")` on the bytes that libFuzzer makes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| althing_fuzz::run("outline", bytes));
