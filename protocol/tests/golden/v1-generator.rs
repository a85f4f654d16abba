//! Writes what version 1 of the protocol looks like in bytes: `golden > v1.txt`, a name and hexadecimal digits a line.
//! Run with the program at the commit before version 2 of the protocol; it does not compile against later types.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use althing_protocol::backup::{Part, Writer};
use althing_protocol::codec;
use althing_protocol::effect::{Input, Output};
use althing_protocol::control::Command;
use althing_protocol::hash::Hash;
use althing_protocol::identity::{Identity, Scheme};
use althing_protocol::invitation::Invitation;
use althing_protocol::manifest::Extent;
use althing_protocol::member::saved::Saved;
use althing_protocol::member::{Config, Member};
use althing_protocol::metrics::{Ratio, Report};
use althing_protocol::record::{
    Certificate, Change, FORMAT, Genesis, JoinRequest, Link, Newcomer, Policy, Readmission, Record,
};
use althing_protocol::state::State;
use althing_protocol::statement::{
    Address, Checked, Envelope, Holding, Holds, Id16, Intent, Position, Signed, Statement, Step, Vote,
};
use althing_protocol::succession::{Inheritance, Origin, Succession};
use althing_protocol::time::{Instant, Now, WallTime};
use althing_protocol::wire::Message;
use serde_bytes::ByteBuf;

const WALL: u64 = 1_800_000_000_000;
const SCHEME: Scheme = Scheme::Ed25519;

fn key(seed: u8) -> Identity {
    Identity::from_seed([seed; 32])
}

fn address(seed: u8) -> Address {
    let control = SocketAddr::from(([10, 0, 0, seed], 7800));
    Address { control, bulk: SocketAddr::from(([10, 0, 0, seed], 7801)) }
}

fn newcomer(seed: u8) -> Newcomer {
    Newcomer {
        member: key(seed).id(),
        store: Id16([seed; 16]),
        name: format!("web{seed}"),
        address: address(seed),
    }
}

struct Chain {
    genesis: Genesis,
    state: State,
    head: Hash,
    sequence: u64,
    stores: BTreeMap<u8, Id16>,
    lines: Vec<(String, Vec<u8>)>,
    links: Vec<Link>,
}

impl Chain {
    fn sign(&mut self, by: u8, statement: Statement) -> Signed {
        self.sequence += 1;
        let position = Position { incarnation: 1, sequence: self.sequence };
        let store = self.stores.get(&by).copied().unwrap_or(Id16([by; 16]));
        let envelope = Envelope { entity: self.state.entity, store, position, statement };
        Checked::sign(&key(by), envelope).signed().clone()
    }

    fn intent(&mut self, by: u8, change: Change) -> Signed {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(self.sequence + 1).to_be_bytes());
        let at = WallTime(WALL + self.state.epoch * 1000);
        let intent = Intent { id: Id16(id), seen: self.state.epoch, at, by: "ada".into(), change };
        self.sign(by, Statement::Intent(Box::new(intent)))
    }

    /// Settles these changes.
    fn settle(&mut self, changes: Vec<(u8, Change)>) {
        let signed: Vec<Signed> = changes.into_iter().map(|(by, change)| self.intent(by, change)).collect();
        let next = self.state.with_changes(&signed, SCHEME).unwrap_or_else(|why| {
            panic!("epoch {}: {why}", self.state.epoch + 1)
        });
        let (entity, epoch) = (self.state.entity, next.epoch);
        let record =
            Record { format: FORMAT, entity, epoch, parent: self.head, changes: signed, state: next.hash() };
        let bytes = record.encode();
        let value = Record::hash_of(&bytes);
        let voters: Vec<u8> = (1..=9).filter(|seed| self.state.is_voter(&key(*seed).id())).collect();
        let votes = voters.iter().take(self.state.quorum()).map(|seed| {
            self.sign(*seed, Statement::Vote(Vote {
                epoch,
                round: 0,
                parent: self.head,
                step: Step::Precommit,
                value: Some(value),
                relied: None,
            }))
        });
        let votes = votes.collect();
        let certificate = Certificate { epoch, round: 0, value, votes };
        assert_eq!(self.state.check_certificate(&self.head, &certificate, SCHEME), Ok(()));
        let link = Link { record: ByteBuf::from(bytes), certificate };
        self.lines.push((format!("link/{epoch:02}"), codec::encode(&link)));
        self.links.push(link);
        (self.state, self.head) = (next, value);
    }

    fn holdings(&mut self, by: &[u8], root: Hash, extent: Extent) -> Vec<Signed> {
        let basis = self.state.applications["web"].basis;
        let holding = Holding { application: "web".into(), basis, root, extent };
        by.iter().map(|by| self.sign(*by, Statement::Holding(holding.clone()))).collect()
    }

    fn promote(&mut self, seed: u8) {
        let holds = self.sign(seed, Statement::Holds(Holds { epoch: self.state.epoch, head: self.head }));
        self.settle(vec![(seed, Change::Promote { member: key(seed).id(), holds })]);
    }
}

fn story() -> Chain {
    let genesis = Genesis {
        format: FORMAT,
        name: "shop-fe".into(),
        founder: newcomer(1),
        at: WallTime(WALL),
        nonce: Id16([9; 16]),
        inherited: None,
    };
    let state = State::genesis(&genesis);
    let head = genesis.id();
    let mut chain = Chain {
        genesis,
        state,
        head,
        sequence: 0,
        stores: BTreeMap::new(),
        lines: Vec::new(),
        links: Vec::new(),
    };
    let (web, api) = (|| "web".to_owned(), || "api".to_owned());
    let (first, second) = (Hash::of(b"first"), Hash::of(b"second"));
    let extent = Extent { items: 3, bytes: 70_000 };
    let (member, spare) = (key(11), key(12));
    let expires = WallTime(WALL + 3_600_000);
    let invite = |key: &Identity, uses, spare, note: &str| Change::Invite {
        key: key.id(),
        uses,
        expires,
        note: note.into(),
        spare,
    };
    chain.settle(vec![(1, invite(&member, 9, false, "rack 4")), (1, invite(&spare, 1, true, ""))]);
    let request = |chain: &Chain, seed: u8, by: &Identity| {
        Change::Admit(JoinRequest::sign(chain.state.entity, newcomer(seed), by, &key(seed)))
    };
    let (b, c) = (request(&chain, 2, &member), request(&chain, 3, &member));
    chain.settle(vec![(1, b), (1, c)]);
    chain.promote(2);
    chain.promote(3);
    let d = request(&chain, 4, &spare);
    chain.settle(vec![(2, d)]);
    chain.settle(vec![
        (1, Change::Create {
            application: web(),
            root: "/srv/web".into(),
            policy: Policy::Majority,
            unmanaged: vec!["log/**".into(), "*.tmp".into()],
            adopts: true,
        }),
        (3, Change::Create {
            application: api(),
            root: "/srv/api".into(),
            policy: Policy::Certified,
            unmanaged: Vec::new(),
            adopts: false,
        }),
    ]);
    let open = |implicit| Change::Open { application: web(), expires, reason: "release".into(), implicit };
    chain.settle(vec![(1, open(false))]);
    chain.settle(vec![(1, Change::Extend { application: web(), expires: WallTime(WALL + 7_200_000) })]);
    let evidence = chain.holdings(&[1, 2], first, extent);
    chain.settle(vec![(1, Change::Commit { application: web(), root: first, extent, evidence })]);
    chain.settle(vec![(2, open(true))]);
    chain.settle(vec![(1, Change::Abort { application: web() })]);
    chain.settle(vec![(3, open(false))]);
    chain.settle(vec![(1, Change::Expire { application: web() })]);
    let evidence = chain.holdings(&[1, 3], second, extent);
    chain.settle(vec![(3, Change::Adopt { application: web(), root: second, extent, evidence })]);
    chain.settle(vec![(1, Change::Pause { application: web(), until: Some(expires) })]);
    chain.settle(vec![
        (1, Change::Pause { application: web(), until: None }),
        (2, Change::Define { application: web(), policy: Policy::Certified }),
    ]);
    let out = |seed: u8, until| Change::TakeOut {
        member: key(seed).id(),
        reason: "new disk".into(),
        until,
        anyway: false,
    };
    chain.settle(vec![(1, out(2, Some(expires))), (1, out(3, None))]);
    chain.settle(vec![
        (1, Change::Return { member: key(2).id() }),
        (1, Change::BringIn { member: key(3).id() }),
    ]);
    let labels = BTreeMap::from([("rack".to_owned(), None), ("zone".to_owned(), Some("b".to_owned()))]);
    chain.settle(vec![
        (1, Change::Label { member: key(2).id(), labels }),
        (1, Change::Rename { member: key(3).id(), name: "web9".into() }),
        (3, Change::Move { addresses: vec![address(30), address(31)] }),
    ]);
    chain.settle(vec![(1, Change::Spare { member: key(3).id(), anyway: false })]);
    chain.settle(vec![(1, Change::Enlist { member: key(3).id() })]);
    chain.promote(3);
    let request =
        Readmission::sign(chain.state.entity, Id16([2; 16]), Id16([22; 16]), address(22), &key(2));
    chain.lines.push(("readmission".into(), codec::encode(&request)));
    chain.settle(vec![(1, Change::Readmit(request))]);
    chain.stores.insert(2, Id16([22; 16]));
    chain.promote(2);
    chain.settle(vec![
        (1, Change::Revoke { key: member.id() }),
        (1, Change::Remove { member: key(4).id() }),
        (1, Change::Discard { application: api(), keep_files: true }),
    ]);
    chain
}

/// What a member of version 1 writes to its disk and sends, while it founds an entity and works in it.
fn lived(lines: &mut Vec<(String, Vec<u8>)>) {
    let mut now = Now { mono: Instant(1), wall: WallTime(WALL) };
    let config = Config { version: "0.1.0".into(), address: Some(address(1)), sabotage: None };
    let mut member = Member::restore(key(1), config, [3; 32], Saved::default(), now);
    let mut out = Vec::new();
    member.step(now, Input::Tick, &mut out);
    let mut waiting = vec![
        Command::Init { name: "shop-fe".into(), member: "web1".into(), address: address(1) },
        Command::Create {
            application: "web".into(),
            root: "/srv/web".into(),
            policy: Policy::Majority,
            source: None,
            replace: false,
            unmanaged: vec!["log/**".into()],
        },
        Command::Pause { application: "web".into(), lasts: None },
        Command::Discard { application: "web".into(), keep_files: false },
    ];
    waiting.reverse();
    let mut number = 0;
    let mut wrote = 0;
    for _ in 0..4000 {
        let outputs = std::mem::take(&mut out);
        for output in outputs {
            match output {
                Output::Persist { batch, writes } => {
                    for write in writes {
                        let text = String::from_utf8(write.key.clone()).ok();
                        let text = text.filter(|text| !text.chars().any(char::is_control));
                        let name = text.unwrap_or_else(|| althing_protocol::hash::hex(&write.key));
                        if let Some(value) = write.value {
                            let kind = format!("saved/{:?}/{name}/{wrote:03}", write.family).to_lowercase();
                            lines.push((kind, value));
                            wrote += 1;
                        }
                    }
                    member.step(now, Input::Persisted(batch), &mut out);
                }
                Output::Send { bytes, .. } => lines.push((format!("sent/{wrote:03}"), bytes)),
                _ => {}
            }
        }
        if out.is_empty() {
            now.mono.0 += 100;
            now.wall.0 += 100;
            let idle = now.mono.0 % 5_001 == 1;
            if let Some(command) = waiting.last().cloned().filter(|_| now.mono.0 % 5_000 == 1 || idle) {
                waiting.pop();
                number += 1;
                member.step(now, Input::Requested { request: number, by: "ada".into(), command }, &mut out);
            }
            member.step(now, Input::Tick, &mut out);
        }
        if wrote > 40 {
            break;
        }
    }
}

fn main() {
    let mut chain = story();
    let mut lines = vec![
        ("genesis".to_owned(), codec::encode(&chain.genesis)),
        ("genesis-id".to_owned(), chain.genesis.id().0.to_vec()),
        ("state".to_owned(), codec::encode(&chain.state)),
        ("state-hash".to_owned(), chain.state.hash().0.to_vec()),
        ("head".to_owned(), chain.head.0.to_vec()),
    ];
    lines.append(&mut chain.lines);
    let origin = Origin {
        entity: chain.state.entity,
        epoch: chain.state.epoch,
        head: chain.head,
        state: chain.state.hash(),
        kept: vec![(key(1).id(), "web1".into()), (key(2).id(), "web2".into())],
    };
    let mut applications = chain.state.applications.clone();
    applications.values_mut().for_each(|application| application.window = None);
    let inherited = Inheritance { origin: origin.clone(), past: chain.state.past.clone(), applications };
    let again = Genesis {
        inherited: Some(Box::new(inherited)),
        nonce: Id16([8; 16]),
        ..chain.genesis.clone()
    };
    lines.push(("genesis-inherited".into(), codec::encode(&again)));
    lines.push(("genesis-inherited-id".into(), again.id().0.to_vec()));
    lines.push(("state-inherited".into(), codec::encode(&State::genesis(&again))));
    let succession = Succession::sign(&origin, again.id(), &key(1));
    lines.push(("message/succession".into(), Message::Succession(succession).encode()));
    let request = Readmission::sign(chain.state.entity, Id16([2; 16]), Id16([23; 16]), address(22), &key(2));
    lines.push(("message/readmission".into(), Message::Readmission(request).encode()));
    let mut report = Report {
        version: "0.1.0".into(),
        protocol: 1,
        addresses: vec![address(1)],
        cpu_now: Ratio(1234),
        memory_used: 1 << 30,
        memory_total: 1 << 34,
        disk_used: 5,
        disk_total: 1 << 40,
        capacity: 4000,
        unheard: vec![key(2).id()],
        epoch: 77,
        votes: true,
        ..Report::default()
    };
    [100, 2000, 2000, 9000].into_iter().for_each(|value| report.cpu.add(value));
    let report = chain.sign(1, Statement::Report(Box::new(report)));
    lines.push(("signed/report".into(), codec::encode(&report)));
    let invitation = Invitation {
        entity: chain.state.entity,
        secret: [7; 16],
        expires: WallTime(WALL),
        addresses: vec![address(1).control, "[::1]:7800".parse().expect("good")],
        succeeds: Some((Hash([5; 32]), 77)),
    };
    lines.push(("invitation".into(), invitation.encode().into_bytes()));
    let mut writer = Writer::default();
    let begin = Part::Beginning { genesis: chain.genesis.clone(), at: WallTime(WALL), content: false };
    let mut backup = [&b"althing backup 1"[..], &writer.frame(&begin)].concat();
    for link in &chain.links {
        backup.extend(writer.frame(&Part::Link(Box::new(link.clone()))));
    }
    backup.extend(writer.end());
    lines.push(("backup".into(), backup));
    lived(&mut lines);
    for decoder in althing_decoders::ALL {
        for (number, bytes) in (decoder.seeds)().into_iter().enumerate() {
            lines.push((format!("decoder/{}/{number:02}", decoder.name), bytes));
        }
    }
    for (name, bytes) in lines {
        println!("{name} {}", althing_protocol::hash::hex(&bytes));
    }
}
