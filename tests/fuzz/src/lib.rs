//! What all fuzz targets do.

/// Gives the bytes to the decoder of this name, as far as it takes them.
pub fn run(name: &str, bytes: &[u8]) {
    let decoder = althing_decoders::named(name).expect("every target has a decoder");
    (decoder.run)(&bytes[..bytes.len().min(decoder.limit)]);
}
