//! Which re-admissions are valid (findings 3, 18).

use super::*;
use crate::identity::Identity;
use crate::record::{Genesis, Newcomer};
use crate::statement::{Address, Envelope, Holds, Id16, Position};

const SCHEME: Scheme = Scheme::SimulatedHash;

fn key(seed: u8) -> Identity {
    Identity::from_seed([seed; 32]).simulated()
}

fn here(port: u16) -> Address {
    let control = std::net::SocketAddr::from(([10, 0, 0, 1], port));
    Address { control, bulk: control }
}

/// Members 1, 2 and 3, who vote from stores of their numbers.
fn three() -> State {
    let newcomer = |seed: u8| Newcomer {
        member: key(seed).id(),
        store: Id16([seed; 16]),
        name: format!("m{seed}"),
        address: here(u16::from(seed)),
    };
    let mut state = State::genesis(&Genesis {
        format: Genesis::NEWEST,
        name: "e".into(),
        founder: newcomer(1),
        at: WallTime(0),
        nonce: Id16::default(),
        inherited: None,
        governance: Default::default(),
    });
    for seed in [2, 3] {
        let Newcomer { member, store, name, address } = newcomer(seed);
        let addresses = vec![address];
        state.members.push(Member {
            id: member,
            store,
            name,
            role: Role::Voter,
            addresses,
            since: 0,
            service: crate::state::Service::In,
            labels: std::collections::BTreeMap::new(),
        });
    }
    state.epoch = 5;
    state
}

fn intent(state: &State, by: u8, change: Change) -> Signed {
    let id = Id16([state.epoch as u8; 16]);
    let intent = Intent {
        id,
        seen: state.epoch,
        at: WallTime(1),
        by: "ada".into(),
        change,
        mandate: Default::default(),
    };
    said(state, by, Id16([by; 16]), Statement::Intent(Box::new(intent)))
}

fn said(state: &State, by: u8, store: Id16, statement: Statement) -> Signed {
    let position = Position { incarnation: 1, sequence: 1 };
    let envelope = Envelope { entity: state.entity, store, position, statement };
    Checked::sign(&key(by), envelope).signed().clone()
}

fn request(state: &State, who: u8, replaced: u8, store: u8) -> Readmission {
    Readmission::sign(state.entity, Id16([replaced; 16]), Id16([store; 16]), here(900), &key(who))
}

fn after(state: &State, change: Change) -> Result<State, Invalid> {
    state.with_changes(&[intent(state, 1, change)], SCHEME)
}

#[test]
fn a_readmitted_member_is_a_learner_in_its_old_place() {
    let mut state = three();
    let window = Window {
        author: key(2).id(),
        by: String::new(),
        reason: String::new(),
        opened: WallTime(0),
        expires: WallTime(9),
        implicit: false,
        manner: crate::state::Manner::default(),
    };
    let application = Application {
        root: "/srv/a".into(),
        policy: Policy::Majority,
        basis: 1,
        revisions: Vec::new(),
        window: Some(window),
        paused: None,
        unmanaged: Vec::new(),
        adopts: true,
        terms: crate::state::Terms::default(),
    };
    state.applications.insert("a".into(), application);
    let next = after(&state, Change::Readmit(request(&state, 2, 2, 22))).expect("valid");
    let names: Vec<&str> = next.members.iter().map(|member| member.name.as_str()).collect();
    assert_eq!(names, ["m1", "m2", "m3"]);
    let member = next.member(&key(2).id()).expect("there");
    assert_eq!((member.role, member.store, member.since), (Role::Learner, Id16([22; 16]), 6));
    assert_eq!(member.addresses, [here(900)]);
    assert_eq!((next.voters().count(), next.quorum()), (2, 2));
    assert_eq!(next.applications["a"].window, None, "its window ends");
    assert_eq!(next.applications["a"].basis, 6, "evidence is gathered anew");
    // What it said from the old store counts for nothing; from the new one it is promoted as any learner.
    let holds = |store: u8, epoch: u64| {
        let holds = Statement::Holds(Holds { epoch, head: Hash::of(b"head") });
        Change::Promote { member: key(2).id(), holds: said(&state, 2, Id16([store; 16]), holds) }
    };
    assert!(after(&next, holds(2, 6)).is_err());
    assert!(after(&next, holds(22, 5)).is_err(), "not before it was re-admitted");
    assert!(after(&next, holds(22, 6)).expect("caught up").is_voter(&key(2).id()));
}

#[test]
fn a_request_serves_once() {
    let state = three();
    let first = request(&state, 2, 2, 22);
    let next = after(&state, Change::Readmit(first)).expect("valid");
    assert_eq!(after(&next, Change::Readmit(first)), Err(Invalid::Stale));
    let again = after(&next, Change::Readmit(request(&state, 2, 22, 23))).expect("a second loss");
    assert_eq!(after(&again, Change::Readmit(first)), Err(Invalid::Stale));
    assert_eq!(
        after(&state, Change::Readmit(request(&state, 2, 2, 2))),
        Err(Invalid::Stale),
        "the same store"
    );
}

#[test]
fn nobody_else_can_ask() {
    let state = three();
    let good = request(&state, 2, 2, 22);
    let forged = Readmission { signature: request(&state, 1, 2, 22).signature, ..good };
    let moved = Readmission { address: here(901), ..good };
    let other = Readmission { member: key(3).id(), replaced: Id16([3; 16]), ..good };
    for request in [forged, moved, other] {
        assert!(matches!(after(&state, Change::Readmit(request)), Err(Invalid::Statement(_))));
    }
    let foreign = Readmission::sign(Hash::of(b"f"), good.replaced, good.store, good.address, &key(2));
    assert!(matches!(after(&state, Change::Readmit(foreign)), Err(Invalid::Statement(_))));
    let stranger = request(&state, 9, 9, 22);
    assert_eq!(after(&state, Change::Readmit(stranger)), Err(Invalid::NotAMember(key(9).id())));
}

#[test]
fn the_last_voter_stays() {
    let mut state = three();
    state.members.truncate(1);
    assert_eq!(after(&state, Change::Readmit(request(&state, 1, 1, 22))), Err(Invalid::LastVoter));
}
