//! What a member does that has a good key and means no good.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use althing_protocol::hash::Hash;
use althing_protocol::identity::SignatureBytes;
use althing_protocol::limits;
use althing_protocol::manifest::{Directory, Entry, Extent, Node};
use althing_protocol::metrics::Report;
use althing_protocol::parts::{Division, Outline, PartHasher};
use althing_protocol::record::{Certificate, Change, Link, Policy, Record};
use althing_protocol::rollout::Wish;
use althing_protocol::state::Terms;
use althing_protocol::statement::{Holding, Holds, Id16, Position, Proposal, Signed, Statement, Step, Vote};
use althing_protocol::time::WallTime;
use althing_protocol::wire::{Beat, Have, Message, Place};
use althing_tests::{Cluster, Json, Random, wait_until};
use anyhow::{Context, Result, ensure};
use serde_bytes::ByteBuf;

use crate::hostile::{Heard, Hostile, Serving};

/// One attack.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&mut Hostile, &mut Cluster) -> Result<()>,
    /// What the others say it did, where it is not merely useless.
    pub(crate) named: Option<&'static str>,
}

const fn attack(
    name: &'static str,
    run: fn(&mut Hostile, &mut Cluster) -> Result<()>,
    named: Option<&'static str>,
) -> Attack {
    Attack { name, run, named }
}

const MALFORMED: Option<&str> = Some("messages that cannot be understood");
const FORM: Option<&str> = Some("statements that are out of bounds");
const FOREIGN: Option<&str> = Some("statements of another entity");
const SIGNATURE: Option<&str> = Some("statements without their signature");
const RECORD: Option<&str> = Some("proposals that are not valid");
const CHAIN: Option<&str> = Some("records without their certificate");
const FLOOD: Option<&str> = Some("times more than its share");

/// All but the contradiction, which stops settling and so comes last.
pub(crate) const ATTACKS: [Attack; 29] = [
    attack("random bytes", random_bytes, MALFORMED),
    attack("nested arrays, 4 MiB deep", nested, MALFORMED),
    attack("a list that claims to be endless", claims, MALFORMED),
    attack("a million positions in one message", positions, MALFORMED),
    attack("a statement of another entity", foreign, FOREIGN),
    attack("a statement in the name of another member", in_anothers_name, SIGNATURE),
    attack("thousands of statements without a signature", unsigned, SIGNATURE),
    attack("a report with the letters that move a screen's cursor", control_characters, FORM),
    attack("every statement that it heard, again and again", replay, None),
    attack("a proposal that removes everybody else", usurps, RECORD),
    attack("a chain that it signed alone", forged_chain, CHAIN),
    attack("an epoch and a round at the end of time", end_of_time, None),
    attack("intents of the future, and of the past", out_of_time, None),
    attack("thousands of intents that are older than all others", intents, None),
    attack("megabytes of statements under its own signature", large_statements, None),
    attack("votes for nothing in all rounds", empty_votes, None),
    attack("what others said before they were started again", lies_about_the_past, SIGNATURE),
    attack("questions whose answers are large", questions, FLOOD),
    attack("calls that are none", calls, None),
    attack("paths that lead out of an application", escapes, None),
    attack("content requests that are none", bulk_garbage, MALFORMED),
    attack("content streams that say nothing", bulk_silence, None),
    attack("content that is something else", other_content, None),
    attack("an outline that is something else", other_outline, None),
    attack("parts that are something else", other_parts, None),
    attack("content that never comes", no_content, None),
    attack("content that never ends", endless_content, None),
    attack("a few directories that stand for a million million", bomb, None),
    attack("more messages than its share", messages, FLOOD),
];

/// Bytes that mean nothing.
fn random_bytes(hostile: &mut Hostile, _: &mut Cluster) -> Result<()> {
    hostile.send(&Random::new(5).bytes(1000))
}

/// A decoder that recurses would run out of stack.
fn nested(hostile: &mut Hostile, _: &mut Cluster) -> Result<()> {
    hostile.send(&vec![0x81; limits::MESSAGE_BYTES])
}

/// A decoder that believes lengths would run out of memory.
fn claims(hostile: &mut Hostile, _: &mut Cluster) -> Result<()> {
    let head = [&[0xa1, 0x64][..], b"Push", &[0x9b, 0, 0, 1, 0, 0, 0, 0, 0, 0x83]].concat();
    hostile.send(&head)
}

/// Good form, and so many that looking for them would cost far more than sending them.
fn positions(hostile: &mut Hostile, _: &mut Cluster) -> Result<()> {
    let author = hostile.identity.id();
    let positions =
        (0..1_000_000).map(|sequence| Position { incarnation: 1, sequence: sequence % 20 }).collect();
    hostile.tell(&Message::Have(vec![Have { author, positions }]))
}

/// Its own good signature, over another entity, again and again: once could be a member that went over to it.
fn foreign(hostile: &mut Hostile, _: &mut Cluster) -> Result<()> {
    for sequence in 1..=6 {
        let holds = Statement::Holds(Holds { epoch: 1, head: Hash::of(b"elsewhere") });
        let signed =
            hostile.sign_at(Hash::of(b"another entity"), Position { incarnation: 5, sequence }, holds);
        hostile.push(vec![signed])?;
        std::thread::sleep(Duration::from_millis(1_200));
    }
    Ok(())
}

fn vote(hostile: &Hostile, round: u32, step: Step, value: Option<Hash>) -> Statement {
    let (epoch, parent) = hostile.head();
    Statement::Vote(Vote { epoch: epoch + 1, round, parent, step, value, relied: None })
}

/// A vote of an honest member, signed by the hostile one.
fn in_anothers_name(hostile: &mut Hostile, _: &mut Cluster) -> Result<()> {
    let vote = vote(hostile, 0, Step::Precommit, Some(Hash::of(b"mine")));
    let mut signed = hostile.sign(vote);
    signed.author = hostile.honest_ids().next().context("an honest member")?;
    // In its store, so that it is worth looking at.
    let store = hostile.state.member(&signed.author).context("in the roster")?.store;
    let (epoch, parent) = hostile.head();
    let vote = Vote { epoch: epoch + 1, round: 0, parent, step: Step::Prevote, value: None, relied: None };
    let envelope = althing_protocol::statement::Envelope {
        entity: hostile.entity(),
        store,
        position: Position { incarnation: 900, sequence: 1 },
        statement: Statement::Vote(vote),
    };
    signed.bytes = ByteBuf::from(althing_protocol::codec::encode(&envelope));
    hostile.push(vec![signed])
}

/// Each would cost the others a check of its signature, and its author nothing.
fn unsigned(hostile: &mut Hostile, _: &mut Cluster) -> Result<()> {
    let mut all: Vec<Signed> = Vec::new();
    for round in 0..4000 {
        let vote = vote(hostile, round % 60, Step::Prevote, None);
        let mut signed = hostile.sign_at(hostile.entity(), Position { incarnation: 2000, sequence: 1 }, vote);
        signed.signature = SignatureBytes([1; 64]);
        all.push(signed);
    }
    hostile.push(all)
}

/// What people see on their screens is not what a hostile member likes.
fn control_characters(hostile: &mut Hostile, _: &mut Cluster) -> Result<()> {
    let report = Report { version: "\u{1b}[2J0.1.0".into(), ..Report::default() };
    let signed = hostile.sign(Statement::Report(Box::new(report)));
    hostile.push(vec![signed])
}

/// Old statements are known, and cost little.
fn replay(hostile: &mut Hostile, _: &mut Cluster) -> Result<()> {
    let heard: Vec<Signed> = hostile.heard(|heard| heard.pushed.clone());
    for _ in 0..50 {
        hostile.push(heard.iter().take(1000).cloned().collect())?;
    }
    Ok(())
}

/// A record that settles what it likes, in good form, under its own name.
fn usurps(hostile: &mut Hostile, _: &mut Cluster) -> Result<()> {
    let (epoch, parent) = hostile.head();
    let victims: Vec<_> = hostile.honest_ids().collect();
    let at = WallTime(1);
    let changes: Vec<Signed> =
        victims.into_iter().map(|member| hostile.intent(at, epoch, Change::Remove { member })).collect();
    let state = Hash::of(b"a state in which it is alone");
    let record = Record { format: 1, entity: hostile.entity(), epoch: epoch + 1, parent, changes, state };
    for round in 0..3 {
        let record = ByteBuf::from(record.encode());
        let proposal = Proposal { epoch: epoch + 1, round, parent, record, pol: Vec::new() };
        let signed = hostile.sign(Statement::Proposal(proposal));
        hostile.push(vec![signed])?;
    }
    Ok(())
}

/// A certificate with one vote, of a record with one change.
fn forged_chain(hostile: &mut Hostile, _: &mut Cluster) -> Result<()> {
    let (epoch, parent) = hostile.head();
    let change =
        hostile.intent(WallTime(1), epoch, Change::Pause { application: "shop".into(), until: None });
    let state = Hash::of(b"any");
    let record = Record {
        format: 1,
        entity: hostile.entity(),
        epoch: epoch + 1,
        parent,
        changes: vec![change],
        state,
    };
    let bytes = record.encode();
    let value = Record::hash_of(&bytes);
    let vote = vote(hostile, 0, Step::Precommit, Some(value));
    let votes = vec![hostile.sign(vote)];
    let certificate = Certificate { epoch: epoch + 1, round: 0, value, votes };
    hostile.tell(&Message::Chain(vec![Link { record: ByteBuf::from(bytes), certificate }]))
}

/// Numbers that overflow when one is added.
fn end_of_time(hostile: &mut Hostile, _: &mut Cluster) -> Result<()> {
    let beat = |epoch, round| Message::Beat(Beat { epoch, head: 1, knowledge: u64::MAX, round });
    hostile.tell(&beat(u64::MAX, u32::MAX))?;
    hostile.tell(&beat(u64::MAX - 1, 0))?;
    hostile.tell(&Message::GetChain(u64::MAX))?;
    hostile.tell(&Message::AskHighest(Id16([0; 16]), u64::MAX))?;
    let report = Report { epoch: u64::MAX, memory_used: u64::MAX, capacity: u64::MAX, ..Report::default() };
    let (_, parent) = hostile.head();
    let far = Vote {
        epoch: u64::MAX,
        round: u32::MAX,
        parent,
        step: Step::Prevote,
        value: None,
        relied: Some(u32::MAX),
    };
    let said = [Statement::Report(Box::new(report)), Statement::Vote(far)];
    let signed = said.into_iter().map(|statement| hostile.sign(statement)).collect();
    hostile.push(signed)
}

/// Intents that were seen at epochs that are not, at times that are not.
fn out_of_time(hostile: &mut Hostile, cluster: &mut Cluster) -> Result<()> {
    let pause = || Change::Pause { application: "shop".into(), until: Some(WallTime(u64::MAX)) };
    let times = [(0, 0), (u64::MAX, u64::MAX), (0, u64::MAX), (u64::MAX, 0)];
    let signed = times.into_iter().map(|(at, seen)| hostile.intent(WallTime(at), seen, pause())).collect();
    hostile.push(signed)?;
    std::thread::sleep(Duration::from_secs(1));
    let shown = cluster.web(1).json(&["app", "show", "shop"])?;
    ensure!(shown.text("/state")? != "paused", "{shown}");
    Ok(())
}

/// The oldest come first in a record: honest ones must not wait behind them.
fn intents(hostile: &mut Hostile, _: &mut Cluster) -> Result<()> {
    let now = std::time::UNIX_EPOCH.elapsed()?.as_millis() as u64;
    let (epoch, _) = hostile.head();
    for batch in 0..20 {
        let old = |number: u64| WallTime(now - 500_000 + batch * 100 + number);
        let nothing = || Change::Abort { application: "nowhere".into() };
        let signed = (0..100).map(|number| hostile.intent(old(number), epoch, nothing())).collect();
        hostile.push(signed)?;
    }
    Ok(())
}

/// Good form and a good signature, and a hundred megabytes of it.
fn large_statements(hostile: &mut Hostile, _: &mut Cluster) -> Result<()> {
    let now = std::time::UNIX_EPOCH.elapsed()?.as_millis() as u64;
    let (epoch, _) = hostile.head();
    let junk = hostile.sign(Statement::Holds(Holds { epoch: 0, head: Hash::of(b"x") }));
    for _ in 0..100 {
        let (root, evidence) = (Hash::of(b"r"), vec![junk.clone(); 4000]);
        let commit = Change::Commit {
            application: "shop".into(),
            root,
            extent: Extent::default(),
            evidence,
            wish: Wish::default(),
        };
        let signed = hostile.intent(WallTime(now), epoch, commit);
        hostile.push(vec![signed])?;
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// It votes for nothing as far ahead as anybody listens.
fn empty_votes(hostile: &mut Hostile, _: &mut Cluster) -> Result<()> {
    let mut signed = Vec::new();
    for round in 0..200 {
        for step in [Step::Prevote, Step::Precommit] {
            let vote = vote(hostile, round, step, None);
            signed.push(hostile.sign(vote));
        }
    }
    hostile.push(signed)
}

/// A member that starts asks what it has said: a lie about that would silence it for ever.
fn lies_about_the_past(hostile: &mut Hostile, cluster: &mut Cluster) -> Result<()> {
    use althing_protocol::wire::Highest;
    cluster.web(2).restart()?;
    let victim = hostile.state.member_named("web2").context("web2")?;
    let (victim, store) = (victim.id, victim.store);
    let vote = vote(hostile, 40, Step::Precommit, Some(Hash::of(b"never")));
    let envelope = althing_protocol::statement::Envelope {
        entity: hostile.entity(),
        store,
        position: Position { incarnation: 1 << 40, sequence: 7 },
        statement: vote,
    };
    let said = vec![Signed {
        author: victim,
        bytes: ByteBuf::from(althing_protocol::codec::encode(&envelope)),
        signature: SignatureBytes([5; 64]),
    }];
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        // Whatever life it is in.
        for incarnation in 0..20 {
            hostile
                .net
                .send(victim.0, Message::Highest(Highest { incarnation, said: said.clone() }).encode())?;
        }
        hostile.push(said.clone())?;
        std::thread::sleep(Duration::from_millis(200));
    }
    cluster.settled_roster_of(&[1, 2, 3])
}

/// Small questions, each answered with all there is.
fn questions(hostile: &mut Hostile, _: &mut Cluster) -> Result<()> {
    let place =
        |sequence| Place { author: hostile.identity.id(), position: Position { incarnation: 1, sequence } };
    for _ in 0..60 {
        for _ in 0..25 {
            hostile.tell(&Message::GetChain(0))?;
            hostile.tell(&Message::Summary(Vec::new()))?;
            hostile.tell(&Message::Want((0..100).map(place).collect()))?;
            let haves = hostile.honest_ids().map(|author| Have { author, positions: Vec::new() });
            hostile.tell(&Message::Have(haves.collect()))?;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Calls of the API with nonsense, deep nonsense, and nonsense in good form.
fn calls(hostile: &mut Hostile, _: &mut Cluster) -> Result<()> {
    let deep = [b"{\"path\":".to_vec(), b"[".repeat(200_000)].concat();
    let large = vec![b' '; 2 << 20];
    let call = |path: &str, body: &str| {
        serde_json::json!({ "path": path, "query": { "on": "web1" }, "body": body, "by": "root" }).to_string()
    };
    let mut bodies = vec![vec![0; 1000], deep, large, b"null".to_vec(), b"{}".to_vec()];
    bodies.push(call("command", &"[".repeat(100_000)).into_bytes());
    bodies.push(call("../../etc/passwd", "{}").into_bytes());
    bodies.push(call("init", "{}").into_bytes());
    bodies.push(call("join", "{}").into_bytes());
    for body in &bodies {
        for answer in hostile.ask(body) {
            let done =
                answer.as_ref().is_ok_and(|answer| answer.windows(9).any(|part| part == b"\"outcome\""));
            ensure!(!done, "it was done: {answer:?}");
        }
    }
    Ok(())
}

fn create(application: String, root: &str) -> Change {
    let (root, unmanaged) = (root.to_owned(), Vec::new());
    Change::Create {
        application,
        root,
        policy: Policy::Certified,
        unmanaged,
        adopts: false,
        terms: Terms::default(),
    }
}

/// Applications whose root is elsewhere than it says.
fn escapes(hostile: &mut Hostile, cluster: &mut Cluster) -> Result<()> {
    let (epoch, _) = hostile.head();
    let now = WallTime(std::time::UNIX_EPOCH.elapsed()?.as_millis() as u64);
    let roots = ["/srv/../etc", "../etc", "etc", "/", "//etc", "/srv/shop/inside", "/srv/\u{0}x", "/srv/./x"];
    let mut signed = Vec::new();
    for (number, root) in roots.iter().enumerate() {
        let application = format!("evil{number}");
        signed.push(hostile.intent(now, epoch, create(application, root)));
    }
    for name in ["../up", "a/b", "", "-rf", "\u{1b}[2J"] {
        signed.push(hostile.intent(now, epoch, create(name.to_owned(), "/srv/evil")));
    }
    hostile.push(signed)?;
    std::thread::sleep(Duration::from_secs(2));
    let list = cluster.web(1).json(&["app", "list"])?;
    ensure!(list.list("/applications")?.len() == 1, "{list}");
    Ok(())
}

/// Requests for content that do not decode, or are larger than they may be.
fn bulk_garbage(hostile: &mut Hostile, _: &mut Cluster) -> Result<()> {
    let honest = hostile.honest.clone();
    for peer in honest {
        let opened = hostile.runtime.block_on(hostile.net.open_bulk(peer));
        let Ok(mut stream) = opened else { continue };
        hostile.write(&mut stream, &[0, 0, 0, 5, 1, 2, 3, 4, 5]);
        let Ok(mut stream) = hostile.runtime.block_on(hostile.net.open_bulk(peer)) else { continue };
        hostile.write(&mut stream, &[255; 70_000]);
    }
    Ok(())
}

/// Streams that are open and say nothing, and streams whose answers nobody reads.
fn bulk_silence(hostile: &mut Hostile, cluster: &mut Cluster) -> Result<()> {
    let mut streams = hostile.streams(20);
    for stream in &mut streams {
        hostile.write(stream, &[0, 0]);
    }
    // The others still get content from the member whose streams are held.
    std::thread::sleep(Duration::from_secs(1));
    cluster.web(1).json(&["status"])?;
    hostile.held.append(&mut streams);
    Ok(())
}

fn entry(name: &str, node: Node) -> Entry {
    Entry { name: ByteBuf::from(name.as_bytes()), node, attributes: Default::default() }
}

fn named(directory: &Directory) -> (Hash, Vec<u8>) {
    let bytes = directory.encode();
    (Hash::of(&bytes), bytes)
}

/// Opens a window and promises a root, so that the others come for it; then closes it.
fn promises(
    hostile: &mut Hostile,
    cluster: &mut Cluster,
    root: Hash,
    serving: Serving,
    wait: impl FnOnce(&mut Hostile, &Cluster) -> Result<()>,
) -> Result<()> {
    let expires = WallTime(std::time::UNIX_EPOCH.elapsed()?.as_millis() as u64 + 600_000);
    let (application, reason) = ("shop".to_owned(), "trust me".to_owned());
    let basis = hostile.settle(Change::Open {
        application: application.clone(),
        expires,
        reason,
        implicit: false,
        root: None,
        auto: None,
    })?;
    hostile.serve(serving);
    let holding = Holding { application, basis, root, extent: Extent { items: 2, bytes: 10 } };
    let signed = hostile.sign(Statement::Holding(holding));
    hostile.push(vec![signed.clone()])?;
    wait_until(Duration::from_secs(30), "the others come for the content", || {
        hostile.push(vec![signed.clone()]).map_err(|error| error.to_string())?;
        std::thread::sleep(Duration::from_millis(200));
        if hostile.heard(|heard| heard.asked) > 0 { Ok(()) } else { Err("not yet".into()) }
    })?;
    let waited = wait(hostile, cluster);
    cluster.web(1).json(&["update", "abort", "shop", "-y"])?;
    waited
}

/// It promises a root, and sends zeros.
fn other_content(hostile: &mut Hostile, cluster: &mut Cluster) -> Result<()> {
    promises(hostile, cluster, Hash::of(b"a root"), Serving::Zeros, |hostile, cluster| {
        hostile.is_asked()?;
        crate::named(cluster, &[1, 2, 3], "web4", "pieces of content that are something else")
    })
}

/// A tree with one large file.
fn with_large(size: u64, content: Hash) -> (Hash, BTreeMap<Hash, Vec<u8>>) {
    let entries = vec![entry("image", Node::File(0o644, size, content))];
    let (root, bytes) = named(&Directory { format: 1, entries });
    (root, BTreeMap::from([(root, bytes)]))
}

/// Whoever believes what it is served asks for each thing once.
fn is_asked_again(hostile: &Hostile, what: &str, asked: impl Fn(&Heard) -> u64, once: u64) -> Result<()> {
    let honest = hostile.honest.len() as u64;
    wait_until(Duration::from_secs(60), &format!("{what} is asked for again"), || {
        let asked = hostile.heard(|heard| asked(heard));
        if asked > honest * once { Ok(()) } else { Err(format!("{asked} times")) }
    })?;
    Ok(())
}

/// It promises a root with a large file, and lies about what its parts are.
fn other_outline(hostile: &mut Hostile, cluster: &mut Cluster) -> Result<()> {
    let size = limits::LARGE_FILE + 1;
    let (root, directories) = with_large(size, Hash::of(b"a large file"));
    let serving = Serving::Large(directories, vec![7; Outline::length(size).context("large")? as usize]);
    promises(hostile, cluster, root, serving, |hostile, _| {
        is_asked_again(hostile, "the outline", |heard| heard.outlines, 1)?;
        ensure!(hostile.heard(|heard| heard.parts) == 0, "parts of something were asked for");
        Ok(())
    })
}

/// It promises a root with a large file, says what its parts are, and sends others.
fn other_parts(hostile: &mut Hostile, cluster: &mut Cluster) -> Result<()> {
    let size = limits::LARGE_FILE + 1;
    let file: Vec<u8> = (0..size).map(|at| (at >> 7) as u8 | 1).collect();
    let (content, division) = (Hash::of(&file), Division::of(size).context("large")?);
    let values = (0..division.count()).filter_map(|index| division.range(index)).map(|(begins, length)| {
        let mut hasher = PartHasher::new(begins);
        hasher.update(&file[begins as usize..(begins + length) as usize]);
        hasher.value()
    });
    let outline = Outline::proved(values.collect(), &content, size).context("its outline")?;
    let (root, directories) = with_large(size, content);
    promises(hostile, cluster, root, Serving::Large(directories, outline.bytes()), |hostile, _| {
        is_asked_again(hostile, "a part", |heard| heard.parts, division.count().into())
    })?;
    for member in &cluster.members {
        let kept = member.dir.join("content").join(&content.hex()[..2]).join(content.hex());
        ensure!(!kept.exists(), "{} took it", member.name);
    }
    Ok(())
}

/// It promises a root, and is silent on every stream that asks for it.
fn no_content(hostile: &mut Hostile, cluster: &mut Cluster) -> Result<()> {
    promises(hostile, cluster, Hash::of(b"a third root"), Serving::Silence, |hostile, _| hostile.is_asked())
}

/// It promises a root with one file, and sends a file without end.
fn endless_content(hostile: &mut Hostile, cluster: &mut Cluster) -> Result<()> {
    promises(hostile, cluster, Hash::of(b"another root"), Serving::Endless, |hostile, _| hostile.is_asked())
}

/// Names that lead out of the root, devices that are none, and two names for one directory, forty levels deep.
fn bomb(hostile: &mut Hostile, cluster: &mut Cluster) -> Result<()> {
    let evil = Directory {
        format: 1,
        entries: vec![entry("../../../tmp/evil", Node::File(0o4777, 3, Hash::of(b"abc")))],
    };
    let (root, bytes) = named(&evil);
    let content = BTreeMap::from([(root, bytes), (Hash::of(b"abc"), b"abc".to_vec())]);
    promises(hostile, cluster, root, Serving::Content(content), |hostile, _| hostile.is_asked())?;
    ensure!(!std::path::Path::new("/tmp/evil").exists(), "it wrote outside");

    let (mut below, bytes) = named(&Directory { format: 1, entries: Vec::new() });
    let mut content = BTreeMap::from([(below, bytes)]);
    for _ in 0..40 {
        let entries =
            vec![entry("a", Node::Directory(0o755, below)), entry("b", Node::Directory(0o755, below))];
        let (name, bytes) = named(&Directory { format: 1, entries });
        content.insert(name, bytes);
        below = name;
    }
    promises(hostile, cluster, below, Serving::Content(content), |_, cluster| {
        wait_until(Duration::from_secs(30), "the bomb is refused", || {
            let events =
                cluster.members[0].json(&["events", "--limit", "200"]).map_err(|error| error.to_string())?;
            if events.to_string().contains("content.refused") { Ok(()) } else { Err("not yet".into()) }
        })
        .map(|_| ())
    })
}

/// As many messages as the wire takes, for some seconds.
fn messages(hostile: &mut Hostile, _: &mut Cluster) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until && hostile.heard(|heard| !heard.connected.is_empty()) {
        for _ in 0..400 {
            hostile.tell(&Message::Prune)?;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Whether a member has told that web4 contradicts itself.
fn told(member: &althing_tests::Member) -> std::result::Result<bool, String> {
    let events = member.json(&["events", "--limit", "200"]).map_err(|error| error.to_string())?;
    let events = events.list("/events").map_err(|error| error.to_string())?.iter().map(ToString::to_string);
    Ok(events.into_iter().any(|event| event.contains("vote.equivocation") && event.contains("web4")))
}

/// Two votes in one place: proof of a liar, that stops settling until an operator has looked. Content goes on.
pub(crate) fn contradicts(hostile: &mut Hostile, cluster: &mut Cluster, honest: &[usize]) -> Result<()> {
    wait_until(Duration::from_secs(90), "the contradiction is told", || {
        let text = |error: anyhow::Error| error.to_string();
        hostile.connected().map_err(text)?;
        // It may be behind still: what it floods with comes before what it is answered. Then the votes are of an epoch
        // that is over, and worth nothing.
        hostile.catch_up().map_err(text)?;
        for value in [Hash::of(b"one"), Hash::of(b"two")] {
            let vote = vote(hostile, 0, Step::Prevote, Some(value));
            let signed = hostile.sign(vote);
            hostile.push(vec![signed]).map_err(text)?;
            std::thread::sleep(Duration::from_millis(300));
        }
        std::thread::sleep(Duration::from_secs(2));
        let tells = |number: &usize| told(&cluster.members[number - 1]);
        honest.iter().try_for_each(|number| if tells(number)? { Ok(()) } else { Err("not yet".into()) })
    })?;
    Ok(())
}
