//! Files of operators' keys. A secret one is for its owner alone, and is read by this program and sent nowhere.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use althing_protocol::control::Code;
use althing_protocol::governance::{Operator, OperatorKey};
use althing_protocol::hash::{hex, unhex};
use althing_protocol::identity::Identity;
use althing_protocol::validity::check_label;

use crate::error::{Failure, Result};

/// The first line of both kinds.
const TITLE: &str = "althing operator key 1";
/// More than either kind has.
const LONGEST: u64 = 4096;

/// A key as a file has it.
pub(crate) struct Key {
    /// Its owner, and the public half.
    pub(crate) operator: Operator,
    /// The secret half, if the file has it.
    secret: Option<Identity>,
}

/// Makes a key, and files of both halves.
pub(crate) fn make(path: &Path, name: Option<&str>) -> Result<Key> {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let name = name.unwrap_or(stem).to_owned();
    let wrong = |_| invalid(path, format!("{name:?} is no name of an operator: add --name NAME"));
    check_label(&name).map_err(wrong)?;
    let mut seed = [0; 32];
    fs::File::open("/dev/urandom")?.read_exact(&mut seed)?;
    let secret = Identity::from_seed(seed);
    let operator = Operator { name, key: OperatorKey(secret.id().0) };
    let public = format!("{TITLE}\nname: {}\npublic: {}\n", operator.name, operator.key);
    write(path, 0o600, &format!("{public}secret: {}\n", hex(&seed)))?;
    write(&public_path(path), 0o644, &public)?;
    Ok(Key { operator, secret: Some(secret) })
}

/// Where the public half lies.
pub(crate) fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

fn write(path: &Path, mode: u32, text: &str) -> Result<()> {
    let failed = |error| invalid(path, format!("it cannot be written: {error}"));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(())
}

/// Reads a key, or the public half of one.
pub(crate) fn read(path: &Path) -> Result<Key> {
    let failed = |error| invalid(path, format!("it cannot be read: {error}"));
    let mut text = String::new();
    let file = fs::File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode();
    file.take(LONGEST).read_to_string(&mut text).map_err(failed)?;
    let line =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::trim));
    let (Some(TITLE), Some(name), Some(public)) = (text.lines().next(), line("name"), line("public")) else {
        return Err(invalid(path, "it is something else".to_owned()).into());
    };
    let key: OperatorKey = public.parse().map_err(|error| invalid(path, format!("{error}")))?;
    let secret = match line("secret") {
        None => None,
        Some(_) if mode & 0o077 != 0 => {
            let failure = invalid(path, format!("others may read it (mode {:o})", mode & 0o777));
            return Err(failure.fact("try", format!("chmod 600 {}", path.display())).into());
        }
        Some(digits) => {
            let seed = unhex(digits).and_then(|bytes| bytes.try_into().ok());
            let secret = seed.map(Identity::from_seed).filter(|secret| secret.id().0 == key.0);
            Some(secret.ok_or_else(|| invalid(path, "its halves are not of one key".to_owned()))?)
        }
    };
    Ok(Key { operator: Operator { name: name.to_owned(), key }, secret })
}

/// Reads a key to sign with.
pub(crate) fn read_secret(path: &Path) -> Result<Identity> {
    let key = read(path)?;
    Ok(key
        .secret
        .ok_or_else(|| invalid(path, "it is only the public half, which signs nothing".to_owned()))?)
}

fn invalid(path: &Path, why: String) -> Failure {
    Failure::new(
        Code::KeyInvalid,
        format!("{} is not an operator's key that can be used: {why}", path.display()),
    )
    .fact("so", "nothing was signed or changed")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn message(result: Result<impl Sized>) -> String {
        match result.err().expect("an error") {
            crate::error::Error::Failed(failure) => format!("{} {}", failure.code, failure.message),
            crate::error::Error::Quiet(_) => String::new(),
        }
    }

    #[test]
    fn a_key_is_for_its_owner_alone_and_its_public_half_signs_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("ada.key");
        let made = make(&path, None).expect("made");
        assert_eq!(made.operator.name, "ada");
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, 0o600);
        let read_again = read(&public_path(&path)).expect("the public half");
        assert_eq!(read_again.operator, made.operator);
        assert!(message(read_secret(&public_path(&path))).contains("signs nothing"));
        assert_eq!(read_secret(&path).expect("secret").id().0, made.operator.key.0);
        assert!(message(make(&path, None)).starts_with("E631"), "nothing is written over");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("changed");
        assert!(message(read_secret(&path)).contains("others may read it (mode 640)"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("changed");
        let text = fs::read_to_string(&path).expect("read");
        let at = text.rfind(": ").expect("the secret") + 2;
        let other = if &text[at..=at] == "0" { "1" } else { "0" };
        fs::write(&path, format!("{}{other}{}", &text[..at], &text[at + 1..])).expect("written");
        assert!(message(read_secret(&path)).contains("not of one key"));
        fs::write(&path, "hello").expect("written");
        assert!(message(read(&path)).contains("something else"));
    }
}
