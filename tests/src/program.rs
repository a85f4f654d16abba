//! Where the program under test is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};

/// The `althing` program: `ALTHING_BIN`, or the one beside this test executable, built if it is not there.
pub fn program() -> Result<&'static Path> {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(found);
    }
    let found = find()?;
    Ok(FOUND.get_or_init(|| found))
}

/// What speaks an older version of the protocol: `ALTHING_OLDER`, a program of that time, if there is one; else the one of
/// now, which is told to behave so.
pub fn older() -> Result<Option<PathBuf>> {
    let Some(given) = std::env::var_os("ALTHING_OLDER") else { return Ok(None) };
    let path = PathBuf::from(given);
    ensure!(path.is_file(), "ALTHING_OLDER is {}, which is no file", path.display());
    Ok(Some(path))
}

fn find() -> Result<PathBuf> {
    if let Some(given) = std::env::var_os("ALTHING_BIN") {
        let path = PathBuf::from(given);
        ensure!(path.is_file(), "ALTHING_BIN is {}, which is no file", path.display());
        return Ok(path);
    }
    // target/debug/deps/e2e-… or target/debug/measure
    let own = std::env::current_exe()?;
    let mut profile = own.parent().context("this program is in no directory")?;
    if profile.ends_with("deps") {
        profile = profile.parent().context("deps is in no directory")?;
    }
    let path = profile.join("althing");
    if !path.is_file() {
        build(profile)?;
    }
    ensure!(path.is_file(), "{} is not there, and building althing-cli did not make it", path.display());
    Ok(path)
}

fn build(profile: &Path) -> Result<()> {
    let target = profile.parent().context("the profile is in no directory")?;
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--locked", "-p", "althing-cli", "--target-dir"]).arg(target);
    if profile.ends_with("release") {
        command.arg("--release");
    }
    let status = command.current_dir(env!("CARGO_MANIFEST_DIR")).status()?;
    ensure!(status.success(), "cargo build -p althing-cli: {status}");
    Ok(())
}
