//! The ugly days, many at a time: processes that are killed, machines that lose their power, snapshots that are put back,
//! disks that are gone, all while one deployment follows another. Nothing that was reported is lost, nothing forks,
//! nobody is stuck, and each day is named in the events. Few of each by default; `ALTHING_KILLS`, `ALTHING_CUTS`,
//! `ALTHING_SNAPSHOTS` and `ALTHING_LOST_DISKS` choose how many, `ALTHING_MEMBERS` and `ALTHING_SEED` among how many
//! members and which. Each ends with a line of what it saw.

#[path = "ugly/books.rs"]
mod books;
#[path = "ugly/stream.rs"]
mod stream;

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use althing_tests::{Cluster, Json, Member, from_env, story, story_on_disks, wait_until};
use anyhow::{Context, Result, ensure};

use books::{closed, epoch, named, told};
use stream::Stream;

pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// What may take a moment: done again until it goes well.
pub(crate) fn soon<T>(what: &str, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let mut done = None;
    wait_until(LIMIT, what, || {
        done = Some(attempt().map_err(|error| format!("{error:#}"))?);
        Ok(())
    })?;
    done.context("it went well")
}

/// How many members, and the seed.
fn setting() -> (usize, u64) {
    (usize::try_from(from_env("ALTHING_MEMBERS", 5)).unwrap_or(5), from_env("ALTHING_SEED", 1))
}

/// The line of result.
fn result(days: &str, began: Instant, stream: &Stream, named: &str) -> Result<()> {
    let (settled, failed) = (stream.reported.len(), stream.failed.len());
    ensure!(settled > 1, "no deployment was settled at all: {:?}", stream.failed);
    let took = began.elapsed().as_secs();
    eprintln!(
        "{days}, {settled} deployments reported as settled and {failed} not: 0 lost, 0 forked, 0 stuck; {named}; {took} s"
    );
    Ok(())
}

/// Most of the time who is down comes back at once; sometimes it is away while the others go on, but never so many that
/// nothing can be settled.
fn come_back(cluster: &mut Cluster, stream: &mut Stream) -> Result<()> {
    let down = cluster.members.iter().filter(|member| !member.is_running()).count();
    let most = (cluster.members.len() - 1) / 2;
    if stream.random.below(3) > 0 || down >= most {
        let away = cluster.members.iter_mut().filter(|member| !member.is_running());
        away.take(down).try_for_each(Member::start)?;
    }
    Ok(())
}

/// So many interruptions of random members while deployments go on, and their events.
fn interruptions(
    cluster: &mut Cluster,
    stream: &mut Stream,
    count: u64,
    interrupt: fn(&mut Member) -> Result<()>,
) -> Result<String> {
    let mut interrupted: BTreeMap<usize, u64> = BTreeMap::new();
    for number in 0..count {
        stream.go_on(cluster)?;
        sleep(Duration::from_millis(stream.random.below(1200) as u64));
        let victim = stream.random.below(cluster.members.len());
        if cluster.members[victim].is_running() {
            *interrupted.entry(victim).or_default() += 1;
        }
        interrupt(&mut cluster.members[victim]).with_context(|| format!("interruption {number}"))?;
        sleep(Duration::from_millis(stream.random.below(700) as u64));
        come_back(cluster, stream).with_context(|| format!("after interruption {number}"))?;
    }
    closed(cluster, stream)?;
    let mut all = 0;
    for (victim, times) in &interrupted {
        let member = &cluster.members[*victim];
        let found = told(member, "node.interrupted")?;
        ensure!(found == *times, "{} was interrupted {times} times and tells of {found}", member.name);
        all += found;
    }
    let more: u64 = interrupted.values().sum();
    ensure!(all == more && all > 0, "{all} of {more}");
    Ok(format!("{all} runs of nodes cut short, each with its event node.interrupted"))
}

#[test]
fn killed_at_random_during_a_stream_of_deployments() {
    let kills = from_env("ALTHING_KILLS", 8);
    let (members, seed) = setting();
    story(members, |cluster| {
        let (began, mut stream) = (Instant::now(), Stream::first(cluster, seed)?);
        let kill = |member: &mut Member| {
            member.kill();
            Ok(())
        };
        let named = interruptions(cluster, &mut stream, kills, kill)?;
        result(&format!("{kills} kills"), began, &stream, &named)
    });
}

/// With the process everything goes that was not synced: in the store, in the live tree, in the journal of an apply.
#[test]
fn without_power_at_random_during_a_stream_of_deployments() {
    let cuts = from_env("ALTHING_CUTS", 4);
    let (members, seed) = setting();
    story_on_disks(members, |cluster| {
        let (began, mut stream) = (Instant::now(), Stream::first(cluster, seed)?);
        let named = interruptions(cluster, &mut stream, cuts, Member::cut_power)?;
        result(&format!("{cuts} power cuts"), began, &stream, &named)
    });
}

/// A machine is put back to what it was some deployments ago. Others know more of it than it does: it is mute, says so,
/// and counts again when somebody has it re-admitted.
#[test]
fn snapshots_put_back_during_a_stream_of_deployments() {
    let count = from_env("ALTHING_SNAPSHOTS", 2);
    let (members, seed) = setting();
    story(members, |cluster| {
        let (began, mut stream) = (Instant::now(), Stream::first(cluster, seed)?);
        for number in 0..count {
            put_back(cluster, &mut stream, number).with_context(|| format!("snapshot {number}"))?;
        }
        closed(cluster, &mut stream)?;
        let named = format!("{count} times member.burnt and member.readmitted");
        result(&format!("{count} snapshots put back"), began, &stream, &named)
    });
}

/// A member, and another one that looks on.
fn victim_and_witness(cluster: &Cluster, stream: &mut Stream) -> (usize, usize) {
    let victim = stream.random.below(cluster.members.len());
    let witness = (victim + 1 + stream.random.below(cluster.members.len() - 1)) % cluster.members.len();
    (victim, witness)
}

fn put_back(cluster: &mut Cluster, stream: &mut Stream, number: u64) -> Result<()> {
    let (victim, witness) = victim_and_witness(cluster, stream);
    let name = cluster.members[victim].name.clone();
    let snapshot = cluster.path(&format!("snapshot-{number}"));
    stream.go_on(cluster)?;
    sleep(Duration::from_millis(stream.random.below(800) as u64));
    cluster.members[victim].snapshot(&snapshot)?;
    // What the victim signs from here on is what it will not know of.
    for _ in 0..=stream.random.below(3) {
        stream.must_settle(cluster, &cluster.members[witness])?;
        stream.must_settle(cluster, &cluster.members[victim])?;
    }
    stream.go_on(cluster)?;
    cluster.members[victim].kill();
    let before = Before::of(&cluster.members[witness], &name)?;
    cluster.members[victim].put_back(&snapshot)?;
    std::fs::remove_dir_all(&snapshot)?;
    cluster.members[victim].start()?;
    stream.go_on(cluster)?;
    readmitted(cluster, (victim, witness), &before).with_context(|| name)
}

/// What another member had logged about the victim until now.
struct Before {
    epoch: u64,
    burnt: usize,
}

impl Before {
    fn of(witness: &Member, victim: &str) -> Result<Self> {
        Ok(Self { epoch: epoch(witness)?, burnt: burnt(witness, victim)? })
    }
}

/// How often a member logged that another one's store does not count.
fn burnt(witness: &Member, victim: &str) -> Result<usize> {
    let page = witness.json(&["events", "--since", "24h", "--kind", "member.burnt", "--member", victim])?;
    let log = format!("{}/", witness.name);
    let own = |event: &&serde_json::Value| event["id"].as_str().is_some_and(|id| id.starts_with(&log));
    Ok(page.list("/events")?.iter().filter(own).count())
}

/// The member's store is named as burnt, by itself and by another, and it is re-admitted there.
fn readmitted(cluster: &Cluster, who: (usize, usize), before: &Before) -> Result<()> {
    let (victim, witness) = (&cluster.members[who.0], &cluster.members[who.1]);
    soon(&format!("{} tells that its store is burnt", victim.name), || {
        let status = victim.json(&["status"])?;
        let subject = format!("member/{}", victim.name);
        let tells = |one: &serde_json::Value| one["condition"] == "store-burnt" && one["subject"] == subject;
        ensure!(status.list("/attention")?.iter().any(tells), "{status}");
        let logged = burnt(witness, &victim.name)?;
        ensure!(logged > before.burnt, "{} shows it, and {} did not log it", victim.name, witness.name);
        Ok(())
    })?;
    soon(&format!("{} is re-admitted by {}", victim.name, witness.name), || {
        witness.json(&["member", "readmit", &victim.name])
    })?;
    soon("its re-admission is named", || {
        let epoch = named(witness, "member.readmitted", &victim.name)?;
        ensure!(epoch.is_some_and(|epoch| epoch > before.epoch), "{epoch:?} since {}", before.epoch);
        Ok(())
    })?;
    cluster.settled_roster(cluster.members.len())
}

/// A machine's disk is gone in the middle of a deployment. In turn: with its key, so that it is removed and another
/// machine comes in its place; without its key, so that it is re-admitted; and only its live tree.
#[test]
fn disks_lost_during_a_stream_of_deployments() {
    let count = from_env("ALTHING_LOST_DISKS", 3);
    let (members, seed) = setting();
    story(members, |cluster| {
        let (began, mut stream) = (Instant::now(), Stream::first(cluster, seed)?);
        for number in 0..count {
            let lost = [replaced, with_its_key, live_tree][number as usize % 3];
            let (victim, witness) = victim_and_witness(cluster, &mut stream);
            let name = cluster.members[victim].name.clone();
            // The deployment is under way on it or elsewhere; sometimes it has just begun, sometimes it is being applied.
            stream.go_on(cluster)?;
            stream.go_on(cluster)?;
            sleep(Duration::from_millis(stream.random.below(900) as u64));
            cluster.members[victim].kill();
            lost(cluster, &mut stream, (victim, witness))
                .with_context(|| format!("lost disk {number}, of {name}"))?;
        }
        closed(cluster, &mut stream)?;
        let named =
            "named by member.removed and member.joined, member.burnt and member.readmitted, or the repair";
        result(&format!("{count} lost disks"), began, &stream, named)
    });
}

fn replaced(cluster: &mut Cluster, stream: &mut Stream, who: (usize, usize)) -> Result<()> {
    let name = cluster.members[who.0].name.clone();
    let before = epoch(&cluster.members[who.1])?;
    cluster.members[who.0].lose_everything()?;
    stream.must_settle(cluster, &cluster.members[who.1])?;
    soon(&format!("{name} is removed"), || {
        let witness = &cluster.members[who.1];
        let list = witness.json(&["member", "list"])?;
        if !list.to_string().contains(&format!("\"name\":\"{name}\"")) {
            return Ok(());
        }
        witness.json(&["member", "remove", &name, "--confirm", &name]).map(|_| ())
    })?;
    let invitation = soon("an invitation is made", || {
        let made = cluster.members[who.1].json(&["invite"])?;
        Ok(made["invitation"].as_str().context("an invitation")?.to_owned())
    })?;
    cluster.members[who.0].start()?;
    stream.go_on(cluster)?;
    cluster.members[who.0].join(&invitation)?.document()?;
    cluster.settled_roster(cluster.members.len())?;
    let witness = &cluster.members[who.1];
    for kind in ["member.removed", "member.joined"] {
        let page = witness.json(&["events", "--since", "24h", "--kind", kind])?;
        let told = page["events"].as_array().into_iter().flatten();
        let told = told.filter(|event| event.to_string().contains(&name));
        let newest = told.filter_map(|event| event["epoch"].as_u64()).max();
        ensure!(newest.is_some_and(|epoch| epoch > before), "{kind} of {name} since {before}: {page}");
    }
    Ok(())
}

fn with_its_key(cluster: &mut Cluster, stream: &mut Stream, who: (usize, usize)) -> Result<()> {
    let victim = &cluster.members[who.0];
    let before = Before::of(&cluster.members[who.1], &victim.name)?;
    let key = std::fs::read(victim.dir.join("key"))?;
    victim.lose_everything()?;
    std::fs::create_dir_all(&victim.dir)?;
    private(&victim.dir.join("key"), &key)?;
    stream.must_settle(cluster, &cluster.members[who.1])?;
    cluster.members[who.0].start()?;
    let invitation = soon("an invitation is made", || {
        let made = cluster.members[who.1].json(&["invite"])?;
        Ok(made["invitation"].as_str().context("an invitation")?.to_owned())
    })?;
    stream.go_on(cluster)?;
    cluster.members[who.0].join(&invitation)?.refused(75, "E203")?;
    readmitted(cluster, who, &before)
}

fn private(path: &std::path::Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    Ok(())
}

fn live_tree(cluster: &mut Cluster, stream: &mut Stream, who: (usize, usize)) -> Result<()> {
    std::fs::remove_dir_all(&cluster.members[who.0].prefix)?;
    cluster.members[who.0].start()?;
    let tree = stream.must_settle(cluster, &cluster.members[who.1])?;
    cluster.have(&[who.0 + 1], "shop", &tree, LIMIT)?;
    cluster.settled_roster(cluster.members.len())
}
