//! Operators govern: their keys are on no machine. A request waits for the second signature, also while its member is
//! started again, and a signature serves once.

use althing_protocol::codec;
use althing_protocol::control::{Code, Command, Outcome, Reply};
use althing_protocol::effect::Input;
use althing_protocol::governance::{Authority, Operator, OperatorKey, Operators, QuorumRule};
use althing_protocol::hash::{hex, unhex};
use althing_protocol::identity::{Identity, Scheme};
use althing_protocol::limits;
use althing_protocol::order::{Approval, Mandate, Order};
use althing_protocol::record::{Change, Policy, Record};
use althing_protocol::statement::{Checked, Envelope, Id16, Intent, Position, Proposal, Statement};
use althing_protocol::succession::Warrant;
use althing_protocol::time::WallTime;
use althing_protocol::wire::Message;

use super::{WEB, answer, assert_holds, assert_rest, at_rest, deploy, revision};
use crate::world::{SECOND, World};

fn operator(number: u8) -> Identity {
    Identity::from_seed([100 + number; 32]).simulated()
}

/// Two of the operators 1 to 3.
fn authority() -> Authority {
    let one = |number| Operator { name: format!("op{number}"), key: OperatorKey(operator(number).id().0) };
    Authority::Operators(Operators { needed: 2, keys: [1, 2, 3].map(one).to_vec() })
}

/// Has an order made of a command.
fn draft(world: &mut World, at: usize, command: Command) -> (String, Order) {
    let done = answer(world, at, Command::Draft { command: Box::new(command) }).expect("an order");
    let Outcome::Draft { id, order, .. } = done else { panic!("{done:?}") };
    let order = unhex(&order).and_then(|bytes| Order::decode(&bytes).ok()).expect("an order");
    (id, order)
}

fn signed(world: &mut World, at: usize, id: &str, approvals: &[Approval]) -> Reply {
    answer(
        world,
        at,
        Command::Sign { id: id.to_owned(), approvals: hex(&codec::encode(&approvals.to_vec())) },
    )
}

/// Five members, and operators whose word they need.
fn governed() -> World {
    let mut world = at_rest(5);
    let (id, order) = draft(&mut world, 0, Command::SetAuthority { authority: authority() });
    let both = [order.sign(&operator(1)), order.sign(&operator(3))];
    assert_eq!(signed(&mut world, 0, &id, &both), Ok(Outcome::Authority { authority: authority() }));
    world
}

/// (finding 6) A member that founds another entity by itself silences nobody.
#[test]
fn the_entity_is_begun_anew_only_by_word_of_operators() {
    let mut world = governed();
    for at in [2, 3, 4] {
        world.crash(at, "as its site burns down");
    }
    world.run(10 * SECOND);
    let recover = |approvals: &str| Command::Recover { keep: vec!["m2".into()], approvals: approvals.into() };
    let refusal = answer(&mut world, 0, recover("")).expect_err("no operator has signed");
    assert_eq!(refusal.code, Code::NeedsOperators);
    let done = answer(&mut world, 0, Command::Draft { command: Box::new(recover("")) }).expect("a warrant");
    let Outcome::Draft { order, need: 2, .. } = done else { panic!("{done:?}") };
    let warrant = unhex(&order).and_then(|bytes| Warrant::decode(&bytes).ok()).expect("a warrant");
    let by = |numbers: &[u8]| {
        let approvals: Vec<Approval> =
            numbers.iter().map(|number| warrant.sign(&operator(*number))).collect();
        hex(&codec::encode(&approvals))
    };
    for few in [&[1][..], &[1, 1], &[1, 9]] {
        let refusal = answer(&mut world, 0, recover(&by(few))).expect_err("one of two");
        assert_eq!(refusal.code, Code::NeedsOperators, "{few:?}");
    }
    let done = answer(&mut world, 0, recover(&by(&[1, 2]))).expect("two have signed");
    let Outcome::Recovered { invitation: None, .. } = done else { panic!("operators invite: {done:?}") };
    let state = world.reference.state().expect("the new entity");
    assert_eq!(state.governance.authority, authority(), "who governed governs");
    world.start(2);
    let superseded = |world: &World| {
        let status = world.hosts[2].member.as_ref().and_then(|member| member.status());
        status.is_some_and(|status| status.attention.iter().any(|one| one.condition == "superseded"))
    };
    assert!(world.run_until(30 * SECOND, superseded), "it believes what operators have signed");
    assert_holds(&world);
}

/// A member's good key in the hands of somebody who would like to govern.
fn usurp(world: &mut World, number: u8, change: Change, signed_by: Option<&Identity>) {
    let (at, liar) = (world.hosts[0].now(world.now).wall, world.hosts[4].id);
    let state = world.reference.state().expect("there is an entity").clone();
    let head = world.reference.head().expect("there is an entity").record;
    let mandate = Mandate::default();
    let mut intent =
        Intent { id: Id16([number; 16]), seen: state.epoch, at, by: "admin".into(), change, mandate };
    if let Some(key) = signed_by {
        intent.mandate.until = at + limits::ORDER_LIFE;
        let order = Order::of(&state, liar, &intent);
        intent.mandate.approvals = vec![order.sign(key), order.sign(&operator(1))];
    }
    let store = state.member(&liar).expect("it is a member").store;
    let sign = |world: &World, sequence, statement| {
        let position = Position { incarnation: 100, sequence: u64::from(number) * 10 + sequence };
        let envelope = Envelope { entity: state.entity, store, position, statement };
        Checked::sign(&world.hosts[4].identity, envelope).signed().clone()
    };
    let bare = Intent { mandate: Mandate::default(), ..intent.clone() };
    let bare = sign(world, 1, Statement::Intent(Box::new(bare)));
    let change = sign(world, 2, Statement::Intent(Box::new(intent)));
    // The state that would result if members governed: nothing else is wrong with it.
    let mut free = state.clone();
    free.governance.authority = Authority::Members;
    let mut next =
        free.with_changes(&[bare], Scheme::SimulatedHash).expect("valid, but for whose word it is");
    next.governance = state.governance.clone();
    let (entity, epoch) = (state.entity, state.epoch + 1);
    let changes = vec![change.clone()];
    let record = Record { format: 1, entity, epoch, parent: head, changes, state: next.hash() };
    let record = record.encode().into();
    let proposal = Proposal { epoch, round: 0, parent: head, record, pol: Vec::new() };
    let proposal = sign(world, 3, Statement::Proposal(proposal));
    for to in 0..4 {
        let bytes = Message::Push(vec![change.clone(), proposal.clone()]).encode();
        world.give(to, Input::Received { from: liar, bytes });
    }
}

#[test]
fn a_member_that_would_govern_is_refused_by_all_and_named() {
    let mut world = governed();
    world.crash(4, "and its key is in other hands");
    world.hosts[4].liar = true;
    let me = world.hosts[4].identity.clone();
    let open = || Change::Open {
        application: WEB.into(),
        expires: WallTime(0),
        reason: "trust me".into(),
        implicit: false,
        root: None,
        auto: None,
    };
    let remove = Change::Remove { member: world.hosts[0].id };
    let key = operator(50).id();
    let invite = Change::Invite { key, uses: 9, expires: WallTime(0), note: String::new(), spare: false };
    let policy = Policy::Certified;
    let changes = [
        (remove.clone(), None),
        (open(), None),
        (invite, None),
        (Change::Define { application: WEB.into(), policy }, None),
        (Change::SetQuorum { rule: QuorumRule::Supermajority }, None),
        // One operator has signed, and the member itself.
        (remove, Some(&me)),
        (open(), Some(&me)),
    ];
    let before = world.reference.state().expect("there is an entity").clone();
    for (number, (change, signed_by)) in (1..).zip(changes) {
        usurp(&mut world, number, change, signed_by);
        world.run(15 * SECOND);
        assert_holds(&world);
    }
    let after = world.reference.state().expect("there is an entity");
    assert_eq!((&after.members, &after.applications), (&before.members, &before.applications));
    assert_eq!((&after.governance, after.epoch), (&before.governance, before.epoch), "nothing was settled");
    assert!(world.sometimes["a liar was named"] >= 4, "by each of the others");
}

fn waiting(world: &World, at: usize) -> usize {
    let member = world.hosts[at].member.as_ref().expect("it runs");
    member.requests().expect("in the entity").requests.len()
}

#[test]
fn a_request_waits_for_the_second_signature_and_survives_its_member() {
    let mut world = governed();
    let number = revision(&world);
    let command = deploy(&mut world, 1);
    let refusal = answer(&mut world, 1, command.clone()).expect_err("no operator has signed");
    assert_eq!(refusal.code, Code::NeedsOperators);
    let (id, order) = draft(&mut world, 1, command);
    let one = signed(&mut world, 1, &id, &[order.sign(&operator(1))]).expect_err("one of two");
    assert_eq!(one.code, Code::RequestWaits);
    assert!(world.run_until(10 * SECOND, |world| (0..5).all(|at| waiting(world, at) == 1)), "all show it");
    world.crash(1, "and starts again");
    world.run(5 * SECOND);
    world.start(1);
    world.run(20 * SECOND);
    assert!((0..5).all(|at| waiting(&world, at) == 1), "it was on the disk");
    let done = signed(&mut world, 1, &id, &[order.sign(&operator(2))]).expect("two of three");
    assert!(matches!(&done, Outcome::Settled { application, .. } if application == WEB), "{done:?}");
    assert_eq!(revision(&world), number + 1);
    assert_rest(&mut world, 30);
    assert!((0..5).all(|at| waiting(&world, at) == 0), "it is carried out");
    let again = signed(&mut world, 1, &id, &[order.sign(&operator(1)), order.sign(&operator(2))]);
    assert_eq!(again.expect_err("a signature serves once").code, Code::NoSuchRequest);
}

#[test]
fn whoever_waits_too_long_or_is_withdrawn_waits_no_more() {
    let mut world = governed();
    let rename = || Command::Rename { member: "m5".into(), name: "last".into() };
    let (id, order) = draft(&mut world, 2, rename());
    assert_eq!(
        signed(&mut world, 2, &id, &[order.sign(&operator(1))]).expect_err("one").code,
        Code::RequestWaits
    );
    let stranger = signed(&mut world, 2, &id, &[order.sign(&operator(9))]);
    assert_eq!(stranger.expect_err("op9 is none").code, Code::NotAnOperator);
    let mut other = order.clone();
    other.seen += 1;
    let forged = signed(&mut world, 2, &id, &[other.sign(&operator(2))]);
    assert_eq!(forged.expect_err("of something else").code, Code::SignatureBad);
    world.run(5 * SECOND);
    assert_eq!(waiting(&world, 4), 1);
    answer(&mut world, 2, Command::Withdraw { id: id.clone() }).expect("withdrawn");
    assert!(
        world.run_until(10 * SECOND, |world| (0..5).all(|at| waiting(world, at) == 0)),
        "nobody shows it"
    );
    assert_eq!(
        signed(&mut world, 2, &id, &[order.sign(&operator(2))]).expect_err("gone").code,
        Code::NoSuchRequest
    );

    // What is settled meanwhile makes it stale in the end: members' own changes go on without operators.
    let (id, order) = draft(&mut world, 2, rename());
    for round in 0..33 {
        let out =
            Command::TakeOut { member: "m4".into(), reason: format!("{round}"), lasts: None, anyway: false };
        answer(&mut world, 0, out).expect("four of five serve");
        answer(&mut world, 0, Command::BringIn { member: "m4".into() }).expect("five of five");
    }
    let late = signed(&mut world, 2, &id, &[order.sign(&operator(1)), order.sign(&operator(2))]);
    assert!(matches!(late.expect_err("66 records later").code, Code::RequestOver | Code::NoSuchRequest));
    assert_holds(&world);
    assert_rest(&mut world, 30);
}
