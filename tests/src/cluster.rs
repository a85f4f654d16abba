//! An entity of daemons on this machine.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::{Disk, Json, Member, Tree, wait_until};

/// Everything that ends by itself does so within this, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// One entity at a time, so that times mean something: within a process this, across processes nextest's groups.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Members, the first of which founded the entity.
#[derive(Debug)]
pub struct Cluster {
    /// web1, web2…
    pub members: Vec<Member>,
    /// Each has a disk of its own.
    on_disks: bool,
    /// What the programs of further members speak, if not everything.
    pub speaks: Option<u32>,
    /// What the daemons of further members log, if not what they do by themselves.
    pub level: Option<String>,
    directory: TempDir,
}

/// Starts an entity of so many members and hands it to `test`. If that fails, shows what the daemons logged.
pub fn story(members: usize, test: impl FnOnce(&mut Cluster) -> Result<()>) {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    tell(Cluster::empty().expect("a temporary directory"), members, test);
}

/// The same with a disk for each member, from which the power can be taken. Where no disk can be made it says so, and
/// nothing is tested.
pub fn story_on_disks(members: usize, test: impl FnOnce(&mut Cluster) -> Result<()>) {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let cluster = Cluster { on_disks: true, ..Cluster::empty().expect("a temporary directory") };
    if let Err(why) = Disk::works_here(cluster.directory()) {
        eprintln!("skipped: no disk can be made here from which the power could be taken: {why}");
        return;
    }
    tell(cluster, members, test);
}

fn tell(mut cluster: Cluster, members: usize, test: impl FnOnce(&mut Cluster) -> Result<()>) {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        cluster.found(members)?;
        test(&mut cluster)?;
        cluster.nobody_died()
    }));
    if !matches!(outcome, Ok(Ok(()))) {
        cluster.show_logs();
    }
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(error)) => panic!("{error:#}"),
        Err(panic) => resume_unwind(panic),
    }
}

impl Cluster {
    /// Nobody yet.
    pub fn empty() -> Result<Self> {
        let mut directory = tempfile::Builder::new().prefix("althing-").tempdir()?;
        directory.disable_cleanup(std::env::var_os("ALTHING_KEEP").is_some());
        Ok(Self { members: Vec::new(), on_disks: false, speaks: None, level: None, directory })
    }

    /// For files of the test.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The directory of everything.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A further machine whose daemon waits; it is not in the entity.
    pub fn add(&mut self) -> Result<&mut Member> {
        let name = format!("web{}", self.members.len() + 1);
        let mut member = Member::new(self.directory.path(), &name)?;
        member.speaks = self.speaks;
        member.level = self.level.clone();
        member.start()?;
        self.members.push(member);
        self.members.last_mut().context("just added")
    }

    /// Starts so many daemons, founds the entity on the first, joins the others, waits until all count.
    pub fn found(&mut self, members: usize) -> Result<()> {
        let make = if self.on_disks { Member::on_disk } else { Member::new };
        for number in 1..=members {
            let mut member = make(self.directory.path(), &format!("web{number}"))?;
            member.speaks = self.speaks;
            member.level = self.level.clone();
            member.launch()?;
            self.members.push(member);
        }
        self.members.iter_mut().try_for_each(Member::answers)?;
        if members == 0 {
            return Ok(());
        }
        self.members[0].json(&["init", "--name", "demo", "--member-name", "web1"])?;
        if members > 1 {
            let invitation = self.invite(&["--uses", &(members - 1).to_string()])?;
            for member in &self.members[1..] {
                member.join(&invitation)?.document()?;
            }
        }
        self.settled_roster(members)
    }

    /// A new invitation, made by the first member.
    pub fn invite(&self, words: &[&str]) -> Result<String> {
        let made = self.members[0].json(&[&["invite"], words].concat())?;
        Ok(made.text("/invitation")?.to_owned())
    }

    /// A further machine, in the entity.
    pub fn join(&mut self) -> Result<&mut Member> {
        let invitation = self.invite(&[])?;
        let member = self.add()?;
        member.join(&invitation)?.document()?;
        Ok(member)
    }

    /// Waits until every running member hears so many voters, itself included, all of whom vote.
    pub fn settled_roster(&self, voters: usize) -> Result<()> {
        for member in self.running() {
            wait_until(PATIENCE, &format!("{} sees {voters} voters", member.name), || {
                let seen = member.json(&["member", "list"]).map_err(|error| error.to_string())?;
                let list = seen.list("/members").map_err(|error| error.to_string())?;
                let counts = |entry: &&Value| entry["counts"] == true && entry["votes"] == true;
                let alive = list.iter().filter(|entry| entry["state"] == "alive").filter(counts).count();
                if alive == voters && list.len() == voters { Ok(()) } else { Err(seen.to_string()) }
            })?;
        }
        Ok(())
    }

    /// Waits until these members vote, as each of them sees it, whatever the others do.
    pub fn settled_roster_of(&self, numbers: &[usize]) -> Result<()> {
        let names: Vec<&str> = numbers.iter().map(|number| self.members[number - 1].name.as_str()).collect();
        for number in numbers {
            let member = &self.members[number - 1];
            wait_until(PATIENCE, &format!("{} sees that {names:?} vote", member.name), || {
                let seen = member.json(&["member", "list"]).map_err(|error| error.to_string())?;
                let votes = |name: &&str| {
                    let found = seen.find("/members", "name", name);
                    found.is_ok_and(|entry| entry["state"] == "alive" && entry["votes"] == true)
                };
                if names.iter().all(votes) { Ok(()) } else { Err(seen.to_string()) }
            })?;
        }
        Ok(())
    }

    /// Members whose daemon runs.
    pub fn running(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.is_running())
    }

    /// A member by its number in its name: 3 is web3.
    pub fn web(&mut self, number: usize) -> &mut Member {
        &mut self.members[number - 1]
    }

    /// Waits until these members' trees are this one, to the byte; returns how long that took.
    pub fn have(
        &self,
        numbers: &[usize],
        application: &str,
        tree: &Tree,
        limit: Duration,
    ) -> Result<Duration> {
        let mut lacking: Vec<usize> = numbers.to_vec();
        wait_until(limit, &format!("{numbers:?} have the content of {application}"), || {
            let mut why = String::new();
            lacking.retain(|number| match self.members[number - 1].has(application, tree) {
                Ok(()) => false,
                Err(differs) => {
                    why = differs;
                    true
                }
            });
            if lacking.is_empty() { Ok(()) } else { Err(why) }
        })
    }

    /// Waits until every running member says that all members of the roster agree on this revision at least.
    pub fn agreed(&self, application: &str, revision: u64, limit: Duration) -> Result<Duration> {
        let total = self.members.len() as u64;
        let mut waiting: Vec<&Member> = self.running().collect();
        wait_until(limit, &format!("all agree on revision {revision} of {application}"), || {
            let mut why = String::new();
            waiting.retain(|member| match says_agreed(member, application, revision, total) {
                Ok(()) => false,
                Err(error) => {
                    why = format!("{}: {error}", member.name);
                    true
                }
            });
            if waiting.is_empty() { Ok(()) } else { Err(why) }
        })
    }

    /// Cuts the two groups of members apart; what is within a group goes on.
    pub fn cut(&self, one: &[usize], other: &[usize]) -> Result<()> {
        let name = |number: &usize| self.members[number - 1].name.as_str();
        for (these, those) in [(one, other), (other, one)] {
            let blocked: Vec<&str> = those.iter().map(name).collect();
            these.iter().try_for_each(|number| self.members[number - 1].block(&blocked))?;
        }
        Ok(())
    }

    /// Ends all cuts.
    pub fn heal(&self) -> Result<()> {
        self.running().try_for_each(|member| member.block(&[]))
    }

    /// No daemon ended by itself.
    pub fn nobody_died(&mut self) -> Result<()> {
        for member in &mut self.members {
            let ended = member.ended();
            ensure!(ended.is_none(), "{} ended by itself: {ended:?}", member.name);
        }
        Ok(())
    }

    /// The end of every log.
    pub fn show_logs(&self) {
        for member in &self.members {
            eprintln!("=== log of {}\n{}", member.name, member.log());
        }
    }
}

fn says_agreed(member: &Member, application: &str, revision: u64, total: u64) -> Result<()> {
    let shown = member.json(&["app", "show", application])?;
    let (agree, of) = (shown.number("/agree")?, shown.number("/of")?);
    let found = shown.number("/revision")?;
    ensure!(found >= revision, "revision {found}");
    ensure!(agree == of && of == total, "{agree} of {of} agree: {shown}");
    ensure!(shown.text("/state")? == "agreed", "{shown}");
    Ok(())
}
