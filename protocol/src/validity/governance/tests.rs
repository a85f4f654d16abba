//! Who decides, by the rules alone.

use crate::governance::{Governance, QuorumRule};
use crate::hash::Hash;
use crate::identity::{Identity, MemberId, Scheme};
use crate::manifest::Extent;
use crate::record::{Certificate, Change, Genesis, Newcomer, Policy};
use crate::state::{Member, Role, Service, State, Terms};
use crate::statement::{
    Address, Checked, Envelope, Holding, Id16, Intent, Position, Signed, Statement, Step, Vote,
};
use crate::time::WallTime;
use crate::validity::Invalid;

pub(super) const SCHEME: Scheme = Scheme::Ed25519;
pub(super) const NOW: WallTime = WallTime(1_795_442_400_000);

pub(super) fn identity(number: u8) -> Identity {
    Identity::from_seed([number + 1; 32])
}

pub(super) fn id(number: u8) -> MemberId {
    identity(number).id()
}

pub(super) fn newcomer(number: u8) -> Newcomer {
    let socket = |port| ([10, 0, 0, number], port).into();
    let address = Address { control: socket(7800), bulk: socket(7801) };
    Newcomer { member: id(number), store: Id16([number; 16]), name: format!("web{number}"), address }
}

/// Members web0…, all voters.
pub(super) fn entity(voters: u8, governance: Governance) -> State {
    let genesis = Genesis {
        format: Genesis::NEWEST,
        name: "farm".into(),
        founder: newcomer(0),
        at: NOW,
        nonce: Id16::default(),
        inherited: None,
        governance: Box::new(governance),
    };
    let mut state = State::genesis(&genesis);
    for number in 1..voters {
        let Newcomer { member: id, store, name, address } = newcomer(number);
        let (addresses, labels) = (vec![address], std::collections::BTreeMap::new());
        let (role, service) = (Role::Voter, Service::In);
        state.members.push(Member { id, store, name, role, addresses, since: 0, service, labels });
    }
    state
}

pub(super) fn signed(state: &State, by: u8, said: u64, statement: Statement) -> Signed {
    let position = Position { incarnation: 1, sequence: said };
    let envelope = Envelope { entity: state.entity, store: Id16([by; 16]), position, statement };
    Checked::sign(&identity(by), envelope).signed().clone()
}

/// An intent without a word of anybody else.
pub(super) fn plain(state: &State, by: u8, change: Change) -> Intent {
    let mut id = [by; 16];
    id[..8].copy_from_slice(&state.epoch.to_be_bytes());
    let (seen, by, mandate) = (state.epoch, "ada".into(), Default::default());
    Intent { id: Id16(id), seen, at: NOW, by, change, mandate }
}

fn asks(state: &State, change: Change) -> Result<State, Invalid> {
    let intent = Statement::Intent(Box::new(plain(state, 0, change)));
    state.with_changes(&[signed(state, 0, state.epoch + 1, intent)], SCHEME)
}

fn certificate(state: &State, head: &Hash, by: u8) -> Certificate {
    let (epoch, round, value) = (state.epoch + 1, 3, Hash::of(b"a record"));
    let (step, relied) = (Step::Precommit, None);
    let vote = Vote { epoch, round, parent: *head, step, value: Some(value), relied };
    let votes = (0..by).map(|by| signed(state, by, 7, Statement::Vote(vote.clone()))).collect();
    Certificate { epoch, round, value, votes }
}

#[test]
fn a_new_rule_counts_from_the_epoch_after_the_one_that_settled_it() {
    let (before, head) = (entity(7, Governance::default()), Hash::of(b"head"));
    let after = asks(&before, Change::SetQuorum { rule: QuorumRule::Supermajority }).expect("valid");
    assert_eq!((before.quorum(), after.quorum(), after.content_quorum(7)), (4, 5, 5));
    assert_eq!(after.roster_epoch, after.epoch, "who looks back finds the rule with the roster");
    let holds = |state: &State, by| state.check_certificate(&head, &certificate(state, &head, by), SCHEME);
    assert_eq!(holds(&before, 4), Ok(()), "the record of the change is decided by the rule before it");
    assert_eq!(holds(&after, 4), Err(Invalid::Certificate { have: 4, need: 5 }));
    assert_eq!(holds(&after, 5), Ok(()));
    let same = asks(&after, Change::SetQuorum { rule: QuorumRule::Supermajority });
    assert!(matches!(same, Err(Invalid::NotSo(_))), "{same:?}");
    let back = asks(&after, Change::SetQuorum { rule: QuorumRule::Majority }).expect("valid");
    assert_eq!(holds(&back, 4), Ok(()));
}

#[test]
fn a_rule_needs_the_second_protocol_version() {
    let mut state = entity(4, Governance::default());
    state.protocol = 1;
    let refused = asks(&state, Change::SetQuorum { rule: QuorumRule::Supermajority });
    assert_eq!(refused, Err(Invalid::Version { needs: 2, has: 1 }));
}

/// (finding 45)
#[test]
fn content_needs_as_many_holders_as_a_record_needs_votes() {
    let governance = Governance { quorum: QuorumRule::Supermajority, ..Governance::default() };
    let create = Change::Create {
        application: "shop".into(),
        root: "/srv/shop".into(),
        policy: Policy::Majority,
        unmanaged: Vec::new(),
        adopts: true,
        terms: Terms::default(),
    };
    let state = asks(&entity(6, governance), create).expect("valid");
    let (root, basis) = (Hash::of(b"root"), state.epoch);
    let holding = |by| {
        let (application, extent) = ("shop".into(), Extent::default());
        signed(&state, by, 9, Statement::Holding(Holding { application, basis, root, extent }))
    };
    let checked =
        |by: u8| state.check_evidence("shop", &root, &(0..by).map(holding).collect::<Vec<_>>(), SCHEME);
    assert_eq!(checked(4), Err(Invalid::Evidence { have: 4, need: 5 }));
    assert_eq!(checked(5), Ok(()));
    // A new rule makes all of them anew: they were gathered under another denominator.
    let back = asks(&state, Change::SetQuorum { rule: QuorumRule::Majority }).expect("valid");
    assert_eq!(back.applications["shop"].basis, back.epoch);
}
