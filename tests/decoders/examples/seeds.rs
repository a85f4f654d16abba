//! Writes the seeds of every decoder below a directory, for a fuzzer to begin with: `seeds DIRECTORY`.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let to = PathBuf::from(std::env::args().nth(1).expect("a directory to write to"));
    for decoder in althing_decoders::ALL {
        let directory = to.join(decoder.name);
        std::fs::create_dir_all(&directory)?;
        for (number, bytes) in (decoder.seeds)().into_iter().enumerate() {
            std::fs::write(directory.join(format!("seed-{number}")), bytes)?;
        }
    }
    Ok(())
}
