//! Every error code of the registry is raised, with its exit code and its document, and changes nothing. The codes and
//! what raises them are in `errors/table.rs`; that its remedies parse is checked by the program itself, wherever a
//! refusal passes through it.

#[path = "errors/table.rs"]
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use althing_protocol::control::Code;
use althing_protocol::effect::{Family, Write};
use althing_protocol::invitation::Invitation;
use althing_store::Store;
use althing_tests::{Cluster, Json, Member, Ran, Site, program, story, wait_until};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use table::{Attempt, On, ROWS, Raised, When};

const LIMIT: Duration = Duration::from_secs(30);

/// What the words in braces stand for.
struct Scene {
    words: BTreeMap<&'static str, String>,
}

#[test]
fn every_code_is_raised_and_changes_nothing() {
    story(3, |cluster| {
        let scene = Scene::set(cluster)?;
        for when in [When::All, When::OneAway, When::Alone, When::Damaged] {
            arrange(cluster, when)?;
            for row in ROWS {
                let attempts = match &row.raised {
                    Raised::Here(attempts) => attempts.iter(),
                    Raised::By(test) => {
                        if when == When::All {
                            eprintln!("{} is raised by {test}", row.code);
                        }
                        continue;
                    }
                };
                for attempt in attempts.filter(|attempt| attempt.when == when) {
                    let what = || format!("{}: {attempt:?}", row.code);
                    scene.refused(cluster, row.code, attempt).with_context(what)?;
                }
            }
        }
        Ok(())
    });
}

impl std::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`althing {}` on {:?} ({:?})", self.words, self.on, self.when)
    }
}

impl Scene {
    fn set(cluster: &mut Cluster) -> Result<Self> {
        let site = Site::make(&cluster.path("site"), 10, 5)?;
        let next = site.next(&cluster.path("next"), 5)?;
        let (site, next) = (site.root.display().to_string(), next.root.display().to_string());
        for application in ["shop", "api"] {
            cluster.web(1).json(&["app", "new", application, "--from", &site])?;
            cluster.agreed(application, 1, LIMIT)?;
        }
        cluster.web(2).json(&["update", "open", "api", "--for", "1h"])?;
        for name in ["web2", "web3"] {
            cluster.web(1).json(&["member", "out", name])?;
        }
        let taken = cluster.web(1).root("taken");
        fs::create_dir_all(&taken)?;
        fs::write(taken.join("mine.txt"), "kept")?;
        let invitation = cluster.invite(&[])?;
        let revoked = cluster.web(1).json(&["invite"])?;
        cluster.web(1).json(&["invite", "revoke", revoked.text("/id")?])?;
        let last = if invitation.ends_with('a') { "b" } else { "a" };
        let mistyped = format!("{}{last}", &invitation[..invitation.len() - 1]);
        let mut nowhere = Invitation::decode(&invitation)?;
        nowhere.addresses = vec!["127.0.0.1:1".parse()?];
        let mut words = BTreeMap::from([
            ("dir", cluster.directory().display().to_string()),
            ("site", site),
            ("next", next),
            ("revoked", revoked.text("/invitation")?.to_owned()),
            ("mistyped", mistyped),
            ("nowhere", nowhere.encode()),
            ("invitation", invitation),
        ]);
        let files = [
            ("bad-manifest", "name = \"other\"\nroot = \"../etc\"\n"),
            ("moving-manifest", "name = \"shop\"\nroot = \"/srv/elsewhere\"\n"),
            ("other-manifest", "name = \"shop\"\nswitching = \"release\"\n"),
            ("bad-config", "[node]\nlisen = \"10.0.0.11:7800\"\n"),
            ("garbage", "this is no backup"),
        ];
        for (name, text) in files {
            let path = cluster.path(&format!("{name}.toml"));
            fs::write(&path, text)?;
            words.insert(name, path.display().to_string());
        }
        cluster.add()?;
        Ok(Self { words })
    }

    fn filled(&self, word: &str) -> Result<String> {
        let (Some(start), Some(end)) = (word.find('{'), word.find('}')) else { return Ok(word.to_owned()) };
        let name = &word[start + 1..end];
        let value = self.words.get(name).with_context(|| format!("nothing stands for {name}"))?;
        Ok(format!("{}{value}{}", &word[..start], &word[end + 1..]))
    }

    fn refused(&self, cluster: &Cluster, code: &str, attempt: &Attempt) -> Result<()> {
        let code = Code::ALL.iter().copied().find(|known| known.number() == code).context("a code")?;
        let mut words = Vec::new();
        for word in attempt.words.split(' ').chain(["--json"]) {
            words.push(self.filled(word)?);
        }
        let mut command = match attempt.on {
            On::Web(number) => cluster.members[number - 1].command(&[])?,
            On::Outsider => cluster.members[3].command(&[])?,
            On::Nobody => {
                let mut command = Command::new(program()?);
                command.arg("--dir").arg(cluster.path("nobody"));
                command
            }
        };
        let before = state(cluster)?;
        let ran = Ran::of(command.args(&words), &self.filled(attempt.input)?)?;
        let refused = ran.refused(code.exit().into(), code.number())?;
        let message = refused.text("/error/message")?;
        ensure!(message.contains(attempt.says), "{:?} is not in {refused}", attempt.says);
        let after = state(cluster)?;
        ensure!(before == after, "something changed: {before:#} became {after:#}");
        Ok(())
    }
}

/// What is settled, as each member that runs has it, and what is on the disk of the member that is asked most. Not the
/// epoch: a creation that is taken back leaves its records.
fn state(cluster: &Cluster) -> Result<Value> {
    let mut all = serde_json::Map::new();
    for member in cluster.members.iter().take(3).filter(|member| member.is_running()) {
        let roster = member.json(&["member", "list"])?;
        let fixed = |entry: &Value| json!([entry["name"], entry["id"], entry["counts"], entry["service"]]);
        let roster: Vec<Value> = roster.list("/members")?.iter().map(fixed).collect();
        let apps = member.json(&["app", "list"])?;
        let fixed = |entry: &Value| json!([entry["name"], entry["revision"], entry["root"], entry["path"]]);
        let apps: Vec<Value> = apps.list("/applications")?.iter().map(fixed).collect();
        let invitations = member.json(&["invite", "list"])?["invitations"].clone();
        let window = |name: &str| -> Result<Value> {
            Ok(member.json(&["update", "status", name])?["window"]["member"].clone())
        };
        let windows = json!([window("shop")?, window("api")?]);
        let files = format!("{:?}", althing_tests::Tree::read(&member.prefix)?.files());
        all.insert(member.name.clone(), json!([roster, apps, invitations, windows, files]));
    }
    Ok(Value::Object(all))
}

/// Brings about an act of the scene.
fn arrange(cluster: &mut Cluster, when: When) -> Result<()> {
    match when {
        When::All => {}
        When::OneAway => {
            cluster.web(3).kill();
            hears(cluster, 2)?;
        }
        When::Alone => {
            cluster.web(2).kill();
            hears(cluster, 1)?;
        }
        When::Damaged => {
            cluster.web(1).stop()?;
            // As a bad sector would: a link in the middle is gone.
            let store = Store::open(&cluster.web(1).dir)?;
            let gone = Write { family: Family::Chain, key: 2_u64.to_be_bytes().to_vec(), value: None };
            store.commit(&[gone])?;
            drop(store);
            cluster.web(1).start()?;
        }
    }
    Ok(())
}

fn hears(cluster: &Cluster, members: u64) -> Result<()> {
    wait_until(LIMIT, &format!("web1 hears {members}"), || {
        let status = cluster.members[0].json(&["status"]).map_err(|error| error.to_string())?;
        let heard = status.number("/members/reachable").map_err(|error| error.to_string())?;
        if heard == members { Ok(()) } else { Err(status.to_string()) }
    })
    .map(|_| ())
}

/// E415, and E416 meanwhile: who comes second waits until the first has its answer.
#[test]
fn a_source_that_never_rests_is_refused() {
    story(1, |cluster| {
        let site = Site::make(&cluster.path("site"), 10, 5)?;
        let from = site.root.display().to_string();
        cluster.web(1).json(&["app", "new", "shop", "--from", &from])?;
        let (rests, busy) = (AtomicBool::new(false), site.root.join("growing.log"));
        fs::write(&busy, vec![b'x'; 8 << 20])?;
        let one: &Member = &cluster.members[0];
        let before = one.revision("shop")?;
        let words = ["deploy", "shop", "--from", &from];
        let (first, second) = std::thread::scope(|scope| {
            let writes = scope.spawn(|| -> Result<()> {
                let mut file = fs::OpenOptions::new().append(true).open(&busy)?;
                while !rests.load(Ordering::Relaxed) {
                    file.write_all(b"and so on\n")?;
                }
                Ok(())
            });
            // Whichever is asked first reads the tree; the other one is told to wait.
            let asked = [
                scope.spawn(|| one.run(&[&words[..], &["--json"]].concat())),
                scope.spawn(|| one.run(&[&words[..], &["--json"]].concat())),
            ];
            let ended: Vec<_> = asked.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
            rests.store(true, Ordering::Relaxed);
            writes.join().map_err(|_| anyhow::anyhow!("the writer died"))??;
            let mut ended = ended.into_iter().map(|ran| ran.map_err(|_| anyhow::anyhow!("it died"))?);
            let (one, other) = (ended.next().context("one")??, ended.next().context("another")??);
            Ok::<_, anyhow::Error>(if one.stderr.contains("E415") { (one, other) } else { (other, one) })
        })?;
        let first = first.refused(75, "E415")?;
        ensure!(first.text("/error/message")?.contains("growing.log"), "{first}");
        let second = second.refused(75, "E416")?;
        ensure!(second.text("/error/message")?.contains("another request for shop"), "{second}");
        ensure!(cluster.web(1).revision("shop")? == before, "it changed something");
        ensure!(cluster.web(1).json(&["update", "status", "shop"])?["window"].is_null());
        Ok(())
    });
}

/// E421: a member that lost its index and its live tree, and hears nobody from whom it could have them again.
#[test]
fn content_that_is_not_held_is_not_backed_up() {
    story(3, |cluster| {
        let site = Site::make(&cluster.path("site"), 10, 5)?;
        cluster.web(1).json(&["app", "new", "shop", "--from", &site.root.display().to_string()])?;
        cluster.agreed("shop", 1, LIMIT)?;
        cluster.web(3).stop()?;
        [1, 2].into_iter().for_each(|number| cluster.web(number).kill());
        let member = cluster.web(3);
        fs::remove_dir_all(member.dir.join("index"))?;
        fs::remove_dir_all(&member.prefix)?;
        member.start()?;
        let to = cluster.path("farm.backup");
        let name = to.display().to_string();
        let words = ["backup", "create", &name, "--with-content"];
        let refused = cluster.web(3).refused(106, "E421", &words)?;
        ensure!(refused.text("/error/message")?.contains("does not hold all content of shop"), "{refused}");
        ensure!(!to.exists(), "it left something");
        [1, 2].into_iter().try_for_each(|number| cluster.web(number).start())?;
        cluster.have(&[3], "shop", &site.tree, LIMIT)?;
        cluster.agreed("shop", 1, LIMIT)?;
        cluster.web(3).json(&words)?;
        Ok(())
    });
}
