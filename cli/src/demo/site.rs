//! The site that the demo deploys: the same at every run, and shaped as sites are. Some thousand files of all usual
//! kinds, nested directories, links (one of them to nothing), a program, a name that is not ASCII.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

mod text;

use text::Random;

/// Sections of the site.
const TOPICS: [&str; 20] = [
    "harbours",
    "bridges",
    "tides",
    "islands",
    "lighthouses",
    "ferries",
    "maps",
    "weather",
    "knots",
    "sails",
    "rivers",
    "canals",
    "locks",
    "birds",
    "stones",
    "winters",
    "markets",
    "gardens",
    "letters",
    "songs",
];
const ARTICLES: usize = 30;
const IMAGES: usize = 15;

/// The page that everybody sees first.
pub(super) const FRONT: &str = "index.html";
/// Its style.
pub(super) const STYLE: &str = "css/site.css";
/// Its program.
pub(super) const SCRIPT: &str = "js/app.js";
/// An executable of the site.
pub(super) const PROGRAM: &str = "bin/rebuild-index";

/// Writes the site below `root`, which must be there and empty.
pub(super) fn build(root: &Path) -> io::Result<()> {
    let site = Site { root };
    for (number, topic) in TOPICS.iter().enumerate() {
        site.section(topic, number as u64)?;
    }
    let mut random = Random::new("style and programs");
    for number in 0..40 {
        let name =
            if number == 0 { STYLE.to_owned() } else { format!("css/components/part-{number:02}.css") };
        site.file(&name, 0o644, random.style(6_000))?;
    }
    for number in 0..80 {
        let name = if number == 0 { SCRIPT.to_owned() } else { format!("js/modules/module-{number:02}.js") };
        site.file(&name, 0o644, random.script(9_000))?;
    }
    for number in 0..8 {
        site.file(&format!("fonts/face-{number}.woff2"), 0o644, random.binary(b"wOF2", 60_000))?;
    }
    site.oddities(&mut random)?;
    site.front(1)
}

/// Makes the next revision of it: pages change, come and go, and so do an image, a link and a mode.
pub(super) fn revise(root: &Path, revision: u64) -> io::Result<()> {
    let site = Site { root };
    let mut random = Random::new(&format!("revision {revision}"));
    let topic = TOPICS[revision as usize % TOPICS.len()];
    for number in 0..10 {
        let topic = TOPICS[(revision as usize + number) % TOPICS.len()];
        site.file(&article(topic, number), 0o644, random.page(topic, 8_000))?;
    }
    site.file(&format!("news/revision-{revision}.html"), 0o644, random.page("news", 4_000))?;
    site.file(&format!("img/{topic}/extra-{revision}.png"), 0o644, random.binary(text::PNG, 40_000))?;
    if revision > 2 {
        fs::remove_file(root.join(format!("news/revision-{}.html", revision - 1)))?;
    }
    fs::remove_file(root.join("current"))?;
    symlink(format!("releases/{revision}"), root.join("current"))?;
    site.file(&format!("releases/{revision}/CHANGES.txt"), 0o640, random.prose(900))?;
    let mode = if revision.is_multiple_of(2) { 0o750 } else { 0o755 };
    fs::set_permissions(root.join(PROGRAM), Permissions::from_mode(mode))?;
    site.front(revision)
}

fn article(topic: &str, number: usize) -> String {
    format!("articles/{topic}/{}/{topic}-{number:02}.html", 2021 + number / 6)
}

struct Site<'a> {
    root: &'a Path,
}

impl Site<'_> {
    fn section(&self, topic: &str, number: u64) -> io::Result<()> {
        let mut random = Random::new(topic);
        for number in 0..ARTICLES {
            let bytes = 3_000 + random.below(8_000);
            self.file(&article(topic, number), 0o644, random.page(topic, bytes))?;
        }
        for number in 0..IMAGES {
            let (kind, bytes) = if number % 3 == 0 { ("full", 36_000) } else { ("thumb", 3_000) };
            let bytes = bytes + random.below(3_000);
            self.file(
                &format!("img/{topic}/{kind}/{number:02}.png"),
                0o644,
                random.binary(text::PNG, bytes),
            )?;
        }
        let newest = article(topic, ARTICLES - 1);
        let newest = newest.trim_start_matches(&format!("articles/{topic}/"));
        symlink(newest, self.root.join(format!("articles/{topic}/latest.html")))?;
        self.file(&format!("data/{number:02}-{topic}.json"), 0o644, random.table(topic, 60))
    }

    /// What every old site has somewhere.
    fn oddities(&self, random: &mut Random) -> io::Result<()> {
        let script = "#!/bin/sh\nset -eu\nfind articles -name '*.html' | sort > data/index.txt\n";
        self.file(PROGRAM, 0o755, script.into())?;
        self.file("robots.txt", 0o644, "User-agent: *\nDisallow: /data/\n".into())?;
        self.file(".htaccess", 0o640, "Options -Indexes\nErrorDocument 404 /404.html\n".into())?;
        self.file("404.html", 0o644, random.page("nothing here", 1_200))?;
        self.file(".nojekyll", 0o644, Vec::new())?;
        self.file("downloads/Preisliste 2026 – Übersicht.csv", 0o644, random.prose(2_000))?;
        self.file("releases/1/CHANGES.txt", 0o640, random.prose(900))?;
        self.file("img/brand/logo.png", 0o644, random.binary(text::PNG, 12_000))?;
        self.directory("uploads", 0o750)?;
        symlink("releases/1", self.root.join("current"))?;
        symlink("brand/logo.png", self.root.join("img/logo.png"))?;
        symlink("../../shared/catalogue.zip", self.root.join("downloads/catalogue.zip"))
    }

    fn front(&self, revision: u64) -> io::Result<()> {
        let links: String = TOPICS
            .iter()
            .map(|topic| format!("  <li><a href=\"articles/{topic}/latest.html\">{topic}</a></li>\n"))
            .collect();
        let page = format!(
            "<!doctype html>\n<title>The coast</title>\n<link rel=\"stylesheet\" href=\"{STYLE}\">\n\
             <script src=\"{SCRIPT}\" defer></script>\n<h1>The coast, revision {revision}</h1>\n<ul>\n{links}</ul>\n"
        );
        self.file(FRONT, 0o644, page.into_bytes())
    }

    /// Modes are set whatever the umask is.
    fn file(&self, path: &str, mode: u32, bytes: Vec<u8>) -> io::Result<()> {
        let at = self.root.join(path);
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.directory(parent, 0o755)?;
        }
        fs::write(&at, bytes)?;
        fs::set_permissions(at, Permissions::from_mode(mode))
    }

    fn directory(&self, path: &str, mode: u32) -> io::Result<()> {
        let mut at = self.root.to_owned();
        for name in path.split('/') {
            at.push(name);
            if !at.is_dir() {
                fs::create_dir(&at)?;
                fs::set_permissions(&at, Permissions::from_mode(mode))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::tree::Tree;

    #[test]
    fn it_is_a_real_site_and_always_the_same() {
        let (one, two) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("two"));
        let read = |root: &Path| Tree::read(root).expect("readable");
        build(one.path()).expect("built");
        build(two.path()).expect("built");
        let first = read(one.path());
        assert_eq!(first.differences(&read(two.path())), None);
        assert!(first.files() >= 1_000, "{} files", first.files());
        assert!((8_000_000..12_000_000).contains(&first.bytes()), "{} bytes", first.bytes());
        for revision in 2..30 {
            let before = read(one.path());
            revise(one.path(), revision).expect("revised");
            assert!(before.differences(&read(one.path())).is_some());
        }
    }
}
