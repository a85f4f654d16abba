//! The entity that every member of a [`super::Scale`] is in: one genesis, and one state with all of them.

use std::collections::BTreeMap;

use althing_protocol::hash::Hash;
use althing_protocol::identity::{Identity, MemberId};
use althing_protocol::member::saved::{Beginning, Head, Life, Saved};
use althing_protocol::member::{Config, Member};
use althing_protocol::record::{Genesis, Newcomer};
use althing_protocol::state::{self, Role, Service, State};
use althing_protocol::statement::{Address, Id16};
use althing_protocol::time::{Now, WallTime};
use althing_protocol::trail::Trail;

/// Members beyond these hold and pass on everything, and do not vote.
pub(super) const VOTERS: usize = 9;

/// The key of a member.
fn key(at: usize) -> Identity {
    Identity::from_seed(Hash::of(&(at as u64).to_be_bytes()).0).simulated()
}

/// Its name.
pub(super) fn name(at: usize) -> String {
    format!("m{}", at + 1)
}

fn store(at: usize) -> Id16 {
    Id16((at as u128 + 1).to_be_bytes())
}

fn address(at: usize) -> Address {
    let at = at as u32;
    let control = (std::net::Ipv4Addr::from(0x0a00_0000 + at), 7800).into();
    Address { control, bulk: control }
}

/// What all of them begin with, made once.
pub(super) struct Roster {
    /// In the order of the roster.
    pub(super) ids: Vec<MemberId>,
    genesis: Genesis,
    head: Head,
}

impl Roster {
    /// So many members.
    pub(super) fn new(count: usize) -> Self {
        let ids: Vec<MemberId> = (0..count).map(|at| key(at).id()).collect();
        let founder = Newcomer { member: ids[0], store: store(0), name: name(0), address: address(0) };
        let genesis = Genesis {
            format: Genesis::NEWEST,
            name: "scale".into(),
            founder,
            at: WallTime(0),
            nonce: Id16([9; 16]),
            inherited: None,
            governance: Box::default(),
        };
        let mut state = State::genesis(&genesis);
        let member = |(at, id): (usize, &MemberId)| state::Member {
            id: *id,
            store: store(at),
            name: name(at),
            role: if at < VOTERS { Role::Voter } else { Role::Follower },
            addresses: vec![address(at)],
            since: 0,
            service: Service::In,
            labels: BTreeMap::new(),
        };
        state.members = ids.iter().enumerate().map(member).collect();
        let record = genesis.id();
        Self { ids, genesis, head: Head { trail: Trail::begin(&state, record), state, record } }
    }

    /// A member that finds the entity on its disk.
    pub(super) fn member(&self, at: usize, incarnation: u64, seed: [u8; 32], now: Now) -> Member {
        let life = Life { store: store(at), incarnation: incarnation - 1, reserved: 1 << 16 };
        let genesis = self.genesis.clone();
        let saved = Saved {
            life: Some(life),
            head: Some(self.head.clone()),
            beginning: Some(Beginning::of(genesis)),
            ..Saved::default()
        };
        let config = Config { commons: Some(super::pool::COMMONS), ..Config::default() };
        Member::restore(key(at), config, seed, saved, now)
    }
}
