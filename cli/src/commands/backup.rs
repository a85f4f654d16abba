//! `backup create`, `backup check`, `backup restore`.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use althing_protocol::backup::{BackupError, Contents, FRAME_BYTES, MAGIC, Part, Reader};
use althing_protocol::control::Code;
use althing_protocol::identity::Scheme;
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use crate::args::Output;
use crate::args::tools::BackupVerb;
use crate::client::Query;
use crate::context::{Context, print};
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::extract::Trees;
use crate::render::document;
use crate::render::size::{bytes, of_things};

pub(super) async fn backup(context: &Context, verb: BackupVerb) -> Result<Exit> {
    match verb {
        BackupVerb::Create { file, with_content } => create(context, &file, with_content).await,
        BackupVerb::Check { file } => {
            let contents = check(&file)?;
            report(context, "checked", &file, &contents)
        }
        BackupVerb::Restore { file, to: None } => restore(context, &file),
        BackupVerb::Restore { file, to: Some(to) } => extract(context, &file, &to),
    }
}

/// The file appears under its name when it is whole, checked and synced.
async fn create(context: &Context, path: &Path, with_content: bool) -> Result<Exit> {
    if path.exists() {
        let text = format!("{} is there already, and is not overwritten", path.display());
        return Err(Failure::new(Code::Unsafe, text)
            .remedy("check what it is", &["althing", "backup", "check", &named(path)])
            .into());
    }
    let partial = beside(path);
    let written = write(context, &partial, with_content).await;
    let contents = written.and_then(|()| check(&partial)).inspect_err(|_| {
        // What is not whole is of no use to anybody; that it could not be removed says nothing more.
        let _ = std::fs::remove_file(&partial);
    })?;
    put_in_place(&partial, path)?;
    report(context, "created", path, &contents)
}

/// A name of its own next to the file: no other backup's, and nothing that anybody has there.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.partial", std::process::id()));
    path.with_file_name(name)
}

/// Never over something that came there meanwhile, where the file system can tell; and once this is said to be done, it is
/// there after a power failure, too.
fn put_in_place(partial: &Path, path: &Path) -> Result<()> {
    let cannot = |error: io::Error| {
        let failure = Failure::new(Code::Failed, format!("{} cannot be written", path.display()));
        failure.fact("reason", error).fact("the backup is at", partial.display())
    };
    match rustix::fs::renameat_with(CWD, partial, CWD, path, RenameFlags::NOREPLACE) {
        // A stick or a share that has no such flag.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) if !path.exists() => {
            std::fs::rename(partial, path)
        }
        renamed => renamed.map_err(io::Error::from),
    }
    .map_err(cannot)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match File::open(directory).and_then(|directory| directory.sync_all()) {
        // Nor do all of these take that of a directory.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => Ok(synced.map_err(cannot)?),
    }
}

async fn write(context: &Context, path: &Path, with_content: bool) -> Result<()> {
    let cannot = |error: io::Error| {
        Failure::new(Code::Failed, format!("{} cannot be written", path.display())).fact("reason", error)
    };
    // A backup names everything and may have all content: it is for its owner alone.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(cannot)?;
    let query = Query::new("backup").with_any("content", with_content.then_some(1));
    context
        .client
        .download(&query, |piece| file.write_all(piece).map_err(|error| cannot(error).into()))
        .await?;
    Ok(file.sync_all().map_err(cannot)?)
}

fn named(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn invalid(path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::new(Code::BackupInvalid, format!("{} is not a whole backup", path.display()))
        .fact("reason", error)
}

fn open(path: &Path) -> Result<BufReader<File>> {
    let failed = |error| Failure::new(Code::Input, format!("{} cannot be read: {error}", path.display()));
    Ok(BufReader::new(File::open(path).map_err(failed)?))
}

/// Reads all of it.
fn check(path: &Path) -> Result<Contents> {
    let reader = read(path, &mut |_| Ok(()))?;
    Ok(reader.finish().map_err(|error| invalid(path, error))?)
}

/// Plain files of all applications, for whoever has nobody left to join.
fn extract(context: &Context, path: &Path, to: &Path) -> Result<Exit> {
    let contents = check(path)?;
    if !contents.with_content {
        let text = format!("{} has no content: it was made without --with-content", path.display());
        return Err(Failure::new(Code::Input, text).into());
    }
    let mut trees = Trees::new(to)?;
    let reader = read(path, &mut |part| trees.take(part))?;
    trees.finish(&reader, &contents)?;
    report(context, "extracted", to, &contents)
}

/// Reads part by part, and judges each before it is handed on.
fn read(path: &Path, take: &mut dyn FnMut(&Part) -> Result<()>) -> Result<Reader> {
    let mut file = open(path)?;
    let cut = |_| invalid(path, BackupError::Cut);
    let mut magic = [0; MAGIC.len()];
    file.read_exact(&mut magic).map_err(cut)?;
    if magic != *MAGIC {
        return Err(invalid(path, BackupError::Magic).into());
    }
    let mut reader = Reader::default();
    let mut length = [0; 4];
    loop {
        match file.read_exact(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            read => read?,
        }
        let length = u32::from_be_bytes(length) as usize;
        if length > FRAME_BYTES {
            return Err(invalid(path, "a frame is longer than frames are").into());
        }
        let mut body = vec![0; length];
        file.read_exact(&mut body).map_err(cut)?;
        take(&reader.take(&body, Scheme::Ed25519).map_err(|error| invalid(path, error))?)?;
    }
    Ok(reader)
}

#[cfg(feature = "daemon")]
fn restore(context: &Context, path: &Path) -> Result<Exit> {
    check(path)?;
    let contents = althing_node::restore(&context.dir, &mut open(path)?).map_err(|error| {
        Failure::new(
            Code::Failed,
            format!("{} cannot be restored to {}", path.display(), context.dir.display()),
        )
        .fact("reason", format!("{error:#}"))
    })?;
    report(context, "restored", &context.dir, &contents)
}

/// There is no store in this program.
#[cfg(not(feature = "daemon"))]
fn restore(_context: &Context, path: &Path) -> Result<Exit> {
    check(path)?;
    Err(crate::error::usage("this program was built without the daemon, and cannot make its directory")
        .into())
}

fn report(context: &Context, result: &str, path: &Path, contents: &Contents) -> Result<Exit> {
    print(&match context.output {
        Output::Json => {
            let mut body =
                serde_json::to_value(contents).map_err(|error| crate::error::bug(error.to_string()))?;
            body["result"] = result.into();
            body["path"] = named(path).into();
            // The envelope has the moment of the answer.
            body["made_at"] = body["at"].take();
            if let Some(fields) = body.as_object_mut() {
                fields.remove("at");
            }
            document::own("althing.backup/1", body)
        }
        Output::Table => screen(result, path, contents),
    })?;
    Ok(Exit::OK)
}

fn screen(result: &str, path: &Path, contents: &Contents) -> String {
    let path = path.display();
    let (items, size) = contents
        .applications
        .iter()
        .fold((0, 0), |(items, size), kept| (items + kept.extent.items, size + kept.extent.bytes));
    let content = if contents.with_content {
        format!("with content: {}, {}", of_things(items, "item"), bytes(size))
    } else {
        "without content".to_owned()
    };
    let what = format!(
        "{} of {}, {}, {} ({content})",
        of_things(contents.epoch, "record"),
        contents.entity,
        of_things(contents.members.len() as u64, "member"),
        of_things(contents.applications.len() as u64, "application"),
    );
    match result {
        "created" => format!(
            "{path}: {what}. Every signature was checked.\n  look again  althing backup check {path}\n"
        ),
        "restored" => format!(
            "{path} has the content of {what}. It has no key and no vote: start it and let it join.\n  next  althing run --dir {path}\n        althing join --dir {path}\n"
        ),
        "extracted" => format!("{path} has the files of {what}, each application under its name.\n"),
        _ => format!("{path} holds: {what}, made {}.\n", contents.at),
    }
}

#[cfg(test)]
mod tests {
    use althing_protocol::backup::Kept;
    use althing_protocol::hash::Hash;
    use althing_protocol::manifest::Extent;

    use super::*;

    #[test]
    fn screens_say_what_is_in_it_and_what_comes_next() {
        let kept = Kept {
            name: "shop".into(),
            path: "/srv/shop".into(),
            revision: 42,
            root: Some(Hash([1; 32])),
            extent: Extent { items: 4118, bytes: 212_000_000 },
        };
        let contents = Contents {
            entity: "shop-fe".into(),
            id: Hash([1; 32]),
            at: "2026-11-23T14:05:07Z".into(),
            epoch: 77,
            members: vec!["web1".into(), "web2".into()],
            with_content: true,
            applications: vec![kept],
        };
        let expected = "\
f.backup: 77 records of shop-fe, 2 members, 1 application (with content: 4,118 items, 212 MB). Every signature was checked.
  look again  althing backup check f.backup
";
        assert_eq!(screen("created", Path::new("f.backup"), &contents), expected);
        let restored = screen("restored", Path::new("/tmp/new"), &contents);
        assert!(
            restored.ends_with("  next  althing run --dir /tmp/new\n        althing join --dir /tmp/new\n"),
            "{restored}"
        );
        let bare = Contents { with_content: false, ..contents };
        let checked = screen("checked", Path::new("f.backup"), &bare);
        assert!(
            checked.starts_with("f.backup holds: 77 records") && checked.contains("without content"),
            "{checked}"
        );
    }
}
