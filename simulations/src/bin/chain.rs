//! What it costs to execute a long chain with real signatures: `chain [EPOCHS] [VOTERS]`, by default 10000 and 9.
//!
//! Who joins late, or checks a backup, executes every record since the beginning (finding 35). The chain is made first,
//! and is not in the figures: records that take a member out of a group and put it back, each settled by a bare majority.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use althing_protocol::codec;
use althing_protocol::hash::Hash;
use althing_protocol::identity::{Identity, Scheme};
use althing_protocol::order::Mandate;
use althing_protocol::record::{Certificate, Change, FORMAT, Genesis, Link, Newcomer, Record};
use althing_protocol::state::{Member, Role, Service, State};
use althing_protocol::statement::{
    Address, Checked, Envelope, Id16, Intent, Position, Signed, Statement, Step, Vote,
};
use althing_protocol::time::WallTime;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Result<Vec<u64>, _> = words.iter().map(|word| word.parse()).collect();
    let (epochs, voters) = match numbers.as_deref() {
        Ok([]) => (10_000, 9),
        Ok([epochs]) => (*epochs, 9),
        Ok([epochs, voters @ 1..=100]) => (*epochs, *voters),
        _ => {
            eprintln!("usage: chain [EPOCHS] [VOTERS]: numbers, at most 100 voters");
            return ExitCode::from(64);
        }
    };
    let mut chain = Chain::new(voters);
    let (mut state, mut head) = (chain.state.clone(), chain.head);
    let links: Vec<Link> = (0..epochs).map(|_| chain.settle()).collect();
    let bytes: usize = links.iter().map(|link| codec::encode(link).len()).sum();
    let begin = Instant::now();
    for link in &links {
        let checked = state.check_certificate(&head, &link.certificate, Scheme::Ed25519);
        checked.expect("a majority settled it");
        let record = Record::decode(&link.record).expect("a record");
        state = state.after(&head, &record, Scheme::Ed25519).expect("it leads on from its parent");
        head = link.certificate.value;
    }
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{} records, {voters} voters: {:.1} MB, {seconds:.1} s, {:.0} records/s, {:.0} B a record",
        links.len(),
        bytes as f64 / 1e6,
        links.len() as f64 / seconds,
        bytes as f64 / links.len().max(1) as f64
    );
    ExitCode::SUCCESS
}

/// An entity of so many voters, and all their keys.
struct Chain {
    keys: Vec<(Identity, Id16)>,
    state: State,
    head: Hash,
    sequence: u64,
}

impl Chain {
    fn new(voters: u64) -> Self {
        let key = |number: u64| Identity::from_seed(Hash::of(&number.to_le_bytes()).0);
        let store = |number: u64| Id16([number as u8; 16]);
        let keys: Vec<(Identity, Id16)> = (0..voters).map(|number| (key(number), store(number))).collect();
        let socket = std::net::SocketAddr::from(([10, 0, 0, 1], 7800));
        let address = Address { control: socket, bulk: socket };
        let founder = Newcomer { member: keys[0].0.id(), store: keys[0].1, name: "m0".to_owned(), address };
        let genesis = Genesis {
            format: Genesis::NEWEST,
            name: "long".to_owned(),
            founder,
            at: WallTime(0),
            nonce: Id16::default(),
            inherited: None,
            governance: Default::default(),
        };
        let mut state = State::genesis(&genesis);
        for (number, (key, store)) in keys.iter().enumerate().skip(1) {
            state.members.push(Member {
                id: key.id(),
                store: *store,
                name: format!("m{number}"),
                role: Role::Voter,
                addresses: vec![address],
                since: 0,
                service: Service::In,
                labels: BTreeMap::new(),
            });
        }
        Self { keys, state, head: genesis.id(), sequence: 0 }
    }

    fn sign(&mut self, by: usize, statement: Statement) -> Signed {
        self.sequence += 1;
        let (key, store) = &self.keys[by];
        let position = Position { incarnation: 1, sequence: self.sequence };
        let envelope = Envelope { entity: self.state.entity, store: *store, position, statement };
        Checked::sign(key, envelope).signed().clone()
    }

    /// The next record, with votes of a bare majority.
    fn settle(&mut self) -> Link {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(self.state.epoch + 1).to_le_bytes());
        let group = self.state.epoch.is_multiple_of(2).then(|| "a".to_owned());
        let labels = BTreeMap::from([("group".to_owned(), group)]);
        let change = Change::Label { member: self.keys[0].0.id(), labels, keep_files: false };
        let (seen, at) = (self.state.epoch, WallTime(self.state.epoch));
        let intent =
            Intent { id: Id16(id), seen, at, by: "admin".to_owned(), change, mandate: Mandate::default() };
        let changes = vec![self.sign(0, Statement::Intent(Box::new(intent)))];
        let next = self.state.with_changes(&changes, Scheme::Ed25519).expect("a change that is allowed");
        let (entity, epoch, parent) = (next.entity, next.epoch, self.head);
        let record = Record { format: FORMAT, entity, epoch, parent, changes, state: next.hash() }.encode();
        let value = Record::hash_of(&record);
        let vote = Vote { epoch, round: 0, parent, step: Step::Precommit, value: Some(value), relied: None };
        let majority = self.keys.len() / 2 + 1;
        let votes = (0..majority).map(|by| self.sign(by, Statement::Vote(vote.clone()))).collect();
        (self.state, self.head) = (next, value);
        Link { record: record.into(), certificate: Certificate { epoch, round: 0, value, votes } }
    }
}
