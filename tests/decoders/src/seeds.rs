//! Good bytes for every decoder.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use althing_protocol::attributes::Attributes;
use althing_protocol::call::Call;
use althing_protocol::codec;
use althing_protocol::control::{Code, Command, Refusal};
use althing_protocol::effect::{Source, Want};
use althing_protocol::frame::{Declined, Frame};
use althing_protocol::governance::{Authority, QuorumRule};
use althing_protocol::handling::{Handling, Switching};
use althing_protocol::hash::Hash;
use althing_protocol::identity::Identity;
use althing_protocol::invitation::{Answer, Checkpoint, Invitation, Sponsor, Welcome};
use althing_protocol::limits;
use althing_protocol::manifest::{Directory, Entry, Extent, Node};
use althing_protocol::member::saved::{Head, Life};
use althing_protocol::metrics::Report;
use althing_protocol::order::Order;
use althing_protocol::parts::{Division, Outline, PartHasher};
use althing_protocol::placement::Placement;
use althing_protocol::record::{
    Certificate, Change, Definition, JoinRequest, Link, Newcomer, Policy, Record,
};
use althing_protocol::rollout::{Course, Wish};
use althing_protocol::state::Terms;
use althing_protocol::statement::{
    ContentList, Envelope, Holding, Holds, Id16, Intent, Position, Proposal, Statement, Step, Vote, Waiting,
};
use althing_protocol::time::{Millis, WallTime};
use althing_protocol::trail::Trail;
use althing_protocol::wire::{Beat, Have, Highest, Message, Place};
use serde_bytes::ByteBuf;

use crate::entity;

fn hash() -> Hash {
    Hash::of(b"seed")
}

fn extent() -> Extent {
    Extent { items: 3, bytes: 4096 }
}

pub(crate) fn frames() -> Vec<Vec<u8>> {
    let frames = [
        Frame::Hello,
        Frame::Body(vec![1, 2, 3]),
        Frame::Taken,
        Frame::Declined(Declined::Busy),
        Frame::Declined(Declined::TooLarge(5)),
    ];
    frames.iter().map(Frame::encode).collect()
}

fn vote(step: Step, round: u32, value: Option<Hash>, relied: Option<u32>) -> Statement {
    Statement::Vote(Vote { epoch: 1, round, parent: entity::id(), step, value, relied })
}

fn intent(change: Change) -> Statement {
    let at = WallTime(1_800_000_000_000);
    Statement::Intent(Box::new(Intent {
        id: Id16([4; 16]),
        seen: 0,
        at,
        by: "root".into(),
        change,
        mandate: Default::default(),
    }))
}

fn valid_record() -> Record {
    let change = entity::sign(7, intent(Change::Pause { application: "web".into(), until: None }));
    let state = entity::state();
    let next = state.with_changes(std::slice::from_ref(&change), entity::SCHEME).expect("a valid change");
    let (entity, parent) = (entity::id(), entity::id());
    Record { format: 1, entity, epoch: 1, parent, changes: vec![change], state: next.hash() }
}

fn statements() -> Vec<Statement> {
    let record = valid_record().encode();
    let value = Record::hash_of(&record);
    let report = Report {
        version: "0.1.0".into(),
        addresses: vec![entity::address()],
        unheard: vec![entity::honest().id()],
        ..Report::default()
    };
    let propose = |record: Vec<u8>| {
        Statement::Proposal(Proposal {
            epoch: 1,
            round: 0,
            parent: entity::id(),
            record: ByteBuf::from(record),
            pol: vec![entity::sign(9, vote(Step::Prevote, 0, Some(value), None))],
        })
    };
    let list = ContentList {
        application: "web".into(),
        basis: 0,
        applied: Some(0),
        seen: true,
        observed: Some(hash()),
        extent: extent(),
        left: 2,
        course: Course { busy: true, ends: true, ..Course::default() },
    };
    vec![
        vote(Step::Prevote, 0, Some(value), None),
        vote(Step::Precommit, 0, None, Some(3)),
        propose(record),
        propose(vec![0x80]),
        intent(Change::Pause { application: "web".into(), until: Some(WallTime(5)) }),
        Statement::Withdrawn(Id16([4; 16]), WallTime(5)),
        Statement::List(list),
        Statement::Holding(Holding { application: "web".into(), basis: 0, root: hash(), extent: extent() }),
        Statement::Holds(Holds { epoch: 0, head: entity::id() }),
        Statement::Report(Box::new(report)),
        Statement::Waiting(Box::new(waiting())),
    ]
}

/// An order with one signature.
fn waiting() -> Waiting {
    let order = Order {
        entity: entity::id(),
        member: entity::liar().id(),
        id: Id16([7; 16]),
        seen: 0,
        until: WallTime(1_800_000_060_000),
        by: "ada".into(),
        basis: Some(3),
        change: Change::Pause { application: "web".into(), until: Some(WallTime(5)) },
    };
    let approvals = vec![order.sign(&Identity::from_seed([61; 32]))];
    Waiting { order, approvals }
}

/// Whole conversations: a vector of statements each.
pub(crate) fn said() -> Vec<Vec<u8>> {
    let all = statements();
    let settles = vec![all[0].clone(), all[2].clone(), vote(Step::Precommit, 0, Some(record_name()), None)];
    let alone = all.iter().map(|one| codec::encode(&vec![one]));
    alone.chain([codec::encode(&all), codec::encode(&settles)]).chain(messages()).collect()
}

fn record_name() -> Hash {
    Record::hash_of(&valid_record().encode())
}

pub(crate) fn envelopes() -> Vec<Vec<u8>> {
    let position = Position { incarnation: 1, sequence: 2 };
    let wrap = |statement| Envelope { entity: entity::id(), store: Id16([3; 16]), position, statement };
    statements().into_iter().map(|statement| codec::encode(&wrap(statement))).collect()
}

pub(crate) fn messages() -> Vec<Vec<u8>> {
    let position = Position { incarnation: 1, sequence: 2 };
    let place = Place { author: entity::honest().id(), position };
    let signed: Vec<_> =
        statements().into_iter().enumerate().map(|(at, one)| entity::sign(at as u64, one)).collect();
    let votes = vec![entity::sign(3, vote(Step::Precommit, 0, Some(record_name()), None))];
    let certificate = Certificate { epoch: 1, round: 0, value: record_name(), votes: votes.clone() };
    let link = Link { record: ByteBuf::from(valid_record().encode()), certificate };
    let messages = [
        Message::Beat(Beat { epoch: 0, head: entity::id().low(), knowledge: 7, round: 1 }),
        Message::Beat(Beat { epoch: u64::MAX, head: 1, knowledge: 0, round: u32::MAX }),
        Message::Push(signed),
        Message::Announce(vec![place]),
        Message::Graft(vec![place]),
        Message::Prune,
        Message::Pulse(u64::MAX),
        Message::Echo,
        Message::Known(Beat { epoch: 1, head: 2, knowledge: 3, round: 0 }, 4),
        Message::Summary(vec![(entity::honest().id(), 5)]),
        Message::Have(vec![Have { author: entity::honest().id(), positions: vec![position] }]),
        Message::Want(vec![place]),
        Message::GetChain(0),
        Message::Chain(vec![link]),
        Message::GetRecord(hash()),
        Message::Record(ByteBuf::from(valid_record().encode())),
        Message::AskHighest(Id16([1; 16]), 1),
        Message::Highest(Highest { incarnation: 1, said: votes }),
    ];
    messages.iter().map(Message::encode).collect()
}

pub(crate) fn records() -> Vec<Vec<u8>> {
    vec![valid_record().encode()]
}

pub(crate) fn directories() -> Vec<Vec<u8>> {
    let extended = [("user.mime".into(), ByteBuf::from(b"text/html".to_vec()))].into();
    let tagged = Attributes { extended, ..Attributes::owned("www-data", "#33") };
    let with =
        |name: &str, node, attributes| Entry { name: ByteBuf::from(name.as_bytes()), node, attributes };
    let entry = |name: &str, node| with(name, node, Attributes::default());
    let entries = vec![
        entry("a", Node::File(0o644, 12, hash())),
        entry("b", Node::Directory(0o755, hash())),
        entry("c", Node::Symlink(ByteBuf::from(b"../elsewhere".as_slice()))),
    ];
    let empty = Directory { format: 1, entries: Vec::new() };
    let owned = vec![with("a", Node::File(0o4755, 1, hash()), tagged)];
    let owned = Directory { format: 1, entries: owned };
    vec![Directory { format: 1, entries }.encode(), empty.encode(), owned.encode()]
}

pub(crate) fn wants() -> Vec<Vec<u8>> {
    let large = 1 << 30;
    vec![codec::encode(&vec![
        Want::Directory(hash()),
        Want::File(hash(), 1 << 20),
        Want::Outline(hash(), large),
        Want::Part(hash(), large, 17),
    ])]
}

/// Of files of zeros, found once.
pub(crate) fn outlines() -> Vec<Vec<u8>> {
    static OUTLINES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let sizes = [limits::LARGE_FILE + 1, limits::LARGE_FILE + 3 * limits::PART_BYTES];
        sizes.map(outline).to_vec()
    });
    OUTLINES.clone()
}

fn outline(size: u64) -> Vec<u8> {
    let (file, division) = (vec![0; size as usize], Division::of(size).expect("a large file"));
    let ranges = (0..division.count()).filter_map(|index| division.range(index));
    let values = ranges.map(|(begins, length)| {
        let mut hasher = PartHasher::new(begins);
        hasher.update(&file[..length as usize]);
        hasher.value()
    });
    let name = Hash::of(&file);
    let outline = Outline::proved(values.collect(), &name, size).expect("it is this file");
    [&size.to_be_bytes()[..], &name.0, &outline.bytes()].concat()
}

fn request() -> JoinRequest {
    let newcomer = Newcomer {
        member: entity::liar().id(),
        store: Id16([5; 16]),
        name: "web3".into(),
        address: entity::address(),
    };
    let invitation = Identity::from_seed([6; 32]).simulated();
    JoinRequest::sign(entity::id(), newcomer, &invitation, &entity::liar())
}

pub(crate) fn joins() -> Vec<Vec<u8>> {
    vec![codec::encode(&request())]
}

pub(crate) fn answers() -> Vec<Vec<u8>> {
    let sponsor = Sponsor { member: entity::honest().id(), address: entity::address() };
    let welcome = Welcome { genesis: entity::genesis(), sponsor, succession: None };
    let refusal = Refusal::new(Code::Input, "no").fact("name", "web3").try_("ask", "althing invite");
    vec![codec::encode(&Answer::Welcome(Box::new(welcome))), codec::encode(&Answer::Refused(refusal))]
}

pub(crate) fn invitations() -> Vec<Vec<u8>> {
    let addresses = vec![([10, 0, 0, 1], 7800).into(), ([0, 0, 0, 0, 0, 0, 0, 1], 7800).into()];
    let expires = WallTime(1_800_000_000_000);
    let (entity, secret) = (entity::id(), [7; 16]);
    let checkpoint = Some(Checkpoint { epoch: 77, record: hash() });
    let invitation =
        Invitation { entity, secret, expires, addresses, succeeds: None, protocol: 2, checkpoint };
    vec![invitation.encode().into_bytes()]
}

pub(crate) fn member_ids() -> Vec<Vec<u8>> {
    vec![entity::honest().id().to_string().into_bytes()]
}

pub(crate) fn hashes() -> Vec<Vec<u8>> {
    vec![hash().to_string().into_bytes(), hash().hex().into_bytes()]
}

pub(crate) fn paths() -> Vec<Vec<u8>> {
    vec![
        b"a/b/c.html".to_vec(),
        b"../x".to_vec(),
        b"a//b".to_vec(),
        b"/etc/passwd".to_vec(),
        b"a/./b".to_vec(),
    ]
}

fn labels() -> BTreeMap<String, Option<String>> {
    BTreeMap::from([("rack".to_owned(), None), ("zone".to_owned(), Some("b".to_owned()))])
}

pub(crate) fn commands() -> Vec<Vec<u8>> {
    let source = Source::Directory("/srv/new".into());
    let commands = [
        Command::Open {
            application: "web".into(),
            lasts: Millis::seconds(60),
            reason: "by hand".into(),
            adopt: true,
            auto: None,
        },
        Command::Create {
            application: "shop".into(),
            root: "/srv/shop".into(),
            policy: Policy::Certified,
            source: Some(source.clone()),
            replace: false,
            unmanaged: vec!["log/**".into()],
            handling: Handling { switching: Switching::Release, owners: true, xattrs: vec!["user.*".into()] },
            placement: Placement::of(["web", "cache"]),
            adopts: Some(true),
            rollout: None,
        },
        Command::Arrange {
            application: "shop".into(),
            placement: Some(Placement::of(["web"])),
            definition: definition(),
            keep_files: true,
            rollout: None,
        },
        Command::TakeOut {
            member: "web2".into(),
            reason: "new disk".into(),
            lasts: Some(Millis::seconds(60)),
            anyway: false,
        },
        Command::Label { member: "web2".into(), labels: labels(), keep_files: true },
        Command::Deploy {
            application: "web".into(),
            source,
            reason: "better".into(),
            replace: true,
            wish: Wish::default(),
        },
        Command::Commit { application: "web".into(), expect: Some(3), wish: Wish::default() },
    ];
    commands.iter().map(|command| serde_json::to_vec(command).expect("a command is text")).collect()
}

pub(crate) fn calls() -> Vec<Vec<u8>> {
    let body = commands().pop().map(|body| String::from_utf8_lossy(&body).into_owned());
    let query = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
    let call = Call { path: "command".into(), query, body, by: "root".into() };
    vec![serde_json::to_vec(&call).expect("a call is text")]
}

pub(crate) fn saved() -> Vec<Vec<u8>> {
    let head = Head {
        state: entity::state(),
        record: entity::id(),
        trail: Trail::begin(&entity::state(), entity::id()),
    };
    let life = Life { incarnation: 3, reserved: 65_536, ..Life::default() };
    let bodies = [codec::encode(&head), codec::encode(&life), codec::encode(&extent())];
    bodies.into_iter().map(|body| [vec![1], body].concat()).collect()
}

fn definition() -> Definition {
    Definition {
        policy: Some(Policy::Certified),
        unmanaged: Some(vec!["log/**".into()]),
        adopts: Some(false),
    }
}

/// One change of each kind, alone and together.
pub(crate) fn changes() -> Vec<Vec<u8>> {
    let (application, expires) = ("web".to_owned(), WallTime(1_800_000_000_000));
    let (key, member) = (Identity::from_seed([6; 32]).id(), entity::liar().id());
    let holding = Holding { application: "web".into(), basis: 0, root: hash(), extent: extent() };
    let evidence = vec![entity::sign(2, Statement::Holding(holding))];
    let holds = entity::sign(3, Statement::Holds(Holds { epoch: 0, head: entity::id() }));
    let all = vec![
        Change::Invite { key, uses: 2, expires, note: "rack 4".into(), spare: true },
        Change::Admit(request()),
        Change::Revoke { key },
        Change::Promote { member, holds },
        Change::Move { addresses: vec![entity::address()] },
        Change::SetAuthority { authority: Authority::Operators(entity::operators()) },
        Change::SetQuorum { rule: QuorumRule::Supermajority },
        Change::Create {
            application: "shop".into(),
            root: "/srv/shop".into(),
            policy: Policy::Certified,
            unmanaged: vec!["log/**".into(), "*.tmp".into()],
            adopts: true,
            terms: Terms::default(),
        },
        Change::Arrange {
            application: application.clone(),
            terms: Terms::placed(Placement::of(["web", "cache"])),
            definition: definition(),
            keep_files: true,
        },
        Change::Define { application: application.clone(), policy: Policy::Certified },
        Change::Extend { application: application.clone(), expires },
        Change::Open {
            application: application.clone(),
            expires,
            reason: "by hand".into(),
            implicit: false,
            root: None,
            auto: None,
        },
        Change::Commit {
            application: application.clone(),
            root: hash(),
            extent: extent(),
            evidence: evidence.clone(),
            wish: Wish { probation: Millis::seconds(60), ..Wish::default() },
        },
        Change::Undo {
            application: application.clone(),
            revision: 3,
            why: "it failed".into(),
            evidence: evidence.clone(),
        },
        Change::GoOn { application: application.clone(), revision: 3 },
        Change::Abort { application: application.clone() },
        Change::Expire { application: application.clone() },
        Change::Adopt { application: application.clone(), root: hash(), extent: extent(), evidence },
        Change::Pause { application: application.clone(), until: Some(expires) },
        Change::Discard { application, keep_files: true },
        Change::TakeOut { member, reason: "new disk".into(), until: Some(expires), anyway: false },
        Change::Return { member },
        Change::BringIn { member },
        Change::Label { member, labels: labels(), keep_files: false },
        Change::Rename { member, name: "web9".into() },
        Change::Spare { member, anyway: false },
        Change::Enlist { member },
        Change::Remove { member },
        Change::Raise { protocol: 3 },
    ];
    let alone = all.iter().map(|change| codec::encode(&vec![change]));
    // As many together as a record may have.
    let together = all.chunks(limits::INTENTS_PER_RECORD).map(|some| codec::encode(&some));
    alone.chain(together).collect()
}
