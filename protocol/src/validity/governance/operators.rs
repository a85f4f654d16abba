//! What members may do alone where operators govern, and what a signature is worth (finding 6).

use std::collections::BTreeMap;

use super::tests::{NOW, SCHEME, entity, id, identity, newcomer, signed};
use crate::governance::{Authority, Governance, Operator, OperatorKey, Operators, QuorumRule};
use crate::hash::Hash;
use crate::identity::Identity;
use crate::manifest::Extent;
use crate::order::{Mandate, Order};
use crate::record::{Change, Definition, JoinRequest, Policy, Readmission};
use crate::rollout::Wish;
use crate::state::{Service, State, Terms};
use crate::statement::{Holding, Holds, Id16, Intent, Signed, Statement};
use crate::time::{Millis, WallTime};
use crate::validity::{Invalid, Licence};

fn operator(number: u8) -> Identity {
    Identity::from_seed([200 + number; 32])
}

fn operators(needed: u32, numbers: &[u8]) -> Operators {
    let one =
        |number: &u8| Operator { name: format!("op{number}"), key: OperatorKey(operator(*number).id().0) };
    Operators { needed, keys: numbers.iter().map(one).collect() }
}

/// Four members, governed by two of the operators 1 to 3.
fn governed() -> State {
    let authority = Authority::Operators(operators(2, &[1, 2, 3]));
    let mut state = entity(4, Governance { authority, ..Governance::default() });
    let shop = create("shop", "/srv/shop");
    state = asks(&state, 0, shop, &[1, 2]).expect("two have signed");
    state
}

fn create(name: &str, root: &str) -> Change {
    let (application, root, policy, terms) = (name.into(), root.into(), Policy::Majority, Terms::default());
    Change::Create { application, root, policy, unmanaged: Vec::new(), adopts: true, terms }
}

/// An intent of a member, signed by these operators.
fn intent(state: &State, by: u8, change: Change, signers: &[u8]) -> Intent {
    let mut id = [by; 16];
    id[..8].copy_from_slice(&state.epoch.to_be_bytes());
    let until = if signers.is_empty() { WallTime(0) } else { NOW + Millis::seconds(3600) };
    let mandate = Mandate { until, approvals: Vec::new() };
    let mut intent = Intent { id: Id16(id), seen: state.epoch, at: NOW, by: "ada".into(), change, mandate };
    let order = Order::of(state, super::tests::id(by), &intent);
    intent.mandate.approvals = signers.iter().map(|number| order.sign(&operator(*number))).collect();
    intent
}

fn settles(state: &State, by: u8, intent: Intent) -> Result<State, Invalid> {
    state.with_changes(&[signed(state, by, state.epoch + 1, Statement::Intent(Box::new(intent)))], SCHEME)
}

fn asks(state: &State, by: u8, change: Change, signers: &[u8]) -> Result<State, Invalid> {
    settles(state, by, intent(state, by, change, signers))
}

fn remove(number: u8) -> Change {
    Change::Remove { member: id(number) }
}

fn open(root: Option<Hash>) -> Change {
    let (application, expires) = ("shop".into(), NOW + Millis::seconds(600));
    Change::Open { application, expires, reason: "better".into(), implicit: root.is_some(), root, auto: None }
}

fn evidence(state: &State, root: Hash) -> Vec<Signed> {
    let (basis, extent) = (state.applications["shop"].basis, Extent::default());
    let holding = Statement::Holding(Holding { application: "shop".into(), basis, root, extent });
    (0..3).map(|by| signed(state, by, 50 + u64::from(by), holding.clone())).collect()
}

fn commit(state: &State, root: Hash) -> Change {
    let (application, extent) = ("shop".into(), Extent::default());
    Change::Commit { application, root, extent, evidence: evidence(state, root), wish: Wish::default() }
}

fn arrange() -> Change {
    let (application, definition) = ("shop".into(), Definition::default());
    Change::Arrange { application, terms: Terms::default(), definition, keep_files: false }
}

fn take_out(number: u8, anyway: bool) -> Change {
    Change::TakeOut { member: id(number), reason: "disk".into(), until: None, anyway }
}

/// One of each kind, as member web0 would ask for it, and whose word it needs. The match in `State::licence` has no arm
/// for the rest: a new kind does not compile without one, and belongs here.
fn all(state: &State) -> Vec<(Change, Licence)> {
    use Licence::{Members, Operators as Signed};
    let (key, application) = (operator(9).id(), || "shop".to_owned());
    let root = Hash::of(b"root");
    let invitation = Change::Invite { key, uses: 1, expires: NOW, note: String::new(), spare: false };
    let request = JoinRequest::sign(state.entity, newcomer(9), &operator(9), &identity(9));
    let address = newcomer(3).address;
    let readmission = Readmission::sign(state.entity, Id16([3; 16]), Id16([33; 16]), address, &identity(3));
    let holds = signed(state, 3, 1, Statement::Holds(Holds { epoch: 1, head: root }));
    let (extent, evidence) = (Extent::default(), Vec::new());
    let (wish, why) = (Wish::default(), String::new());
    vec![
        (invitation, Signed),
        (Change::Revoke { key }, Signed),
        (Change::Admit(request), Members),
        (Change::Promote { member: id(3), holds }, Members),
        (remove(0), Members),
        (remove(3), Signed),
        (take_out(3, false), Members),
        (take_out(3, true), Members),
        (Change::BringIn { member: id(3) }, Members),
        (Change::Return { member: id(3) }, Members),
        (Change::Spare { member: id(3), anyway: false }, Signed),
        (Change::Enlist { member: id(3) }, Signed),
        (Change::Rename { member: id(3), name: "web33".into() }, Signed),
        (Change::Label { member: id(3), labels: BTreeMap::new(), keep_files: false }, Signed),
        (Change::Readmit(readmission), Signed),
        (Change::Move { addresses: vec![address] }, Members),
        (Change::SetQuorum { rule: QuorumRule::Supermajority }, Signed),
        (Change::SetAuthority { authority: Authority::Members }, Signed),
        (Change::Raise { protocol: crate::state::PROTOCOL + 1 }, Signed),
        (create("api", "/srv/api"), Signed),
        (arrange(), Signed),
        (Change::Discard { application: application(), keep_files: false }, Signed),
        (Change::Define { application: application(), policy: Policy::Certified }, Signed),
        (open(None), Signed),
        (Change::Extend { application: application(), expires: NOW }, Signed),
        (
            Change::Commit { application: application(), root, extent, evidence: evidence.clone(), wish },
            Signed,
        ),
        (Change::GoOn { application: application(), revision: 1 }, Signed),
        (Change::Undo { application: application(), revision: 1, why, evidence: evidence.clone() }, Members),
        (Change::Abort { application: application() }, Members),
        (Change::Expire { application: application() }, Members),
        (Change::Adopt { application: application(), root, extent, evidence }, Members),
        (Change::Pause { application: application(), until: None }, Signed),
    ]
}

#[test]
fn what_a_member_may_have_alone_is_said_of_every_kind_of_change() {
    let state = governed();
    for (change, licence) in all(&state) {
        assert_eq!(state.licence(&id(0), &change), licence, "{change:?}");
        let alone = asks(&state, 0, change.clone(), &[]);
        let lacks = alone == Err(Invalid::Orders { have: 0, need: 2 });
        assert_eq!(lacks, licence == Licence::Operators, "{change:?}: {alone:?}");
    }
    let kind = |change: &Change| format!("{change:?}").split([' ', '(']).next().map(str::to_owned);
    let kinds: std::collections::BTreeSet<String> =
        all(&state).iter().filter_map(|(change, _)| kind(change)).collect();
    assert_eq!(kinds.len(), 30, "one of each kind: {kinds:?}");
    let free = entity(4, Governance::default());
    assert!(asks(&free, 0, remove(3), &[]).is_ok(), "where members govern, a member's word is enough");
}

#[test]
fn a_member_with_a_good_key_removes_nobody_opens_nothing_and_commits_nothing() {
    let state = governed();
    for change in [remove(3), open(None), open(Some(Hash::of(b"root"))), commit(&state, Hash::of(b"root"))] {
        for signers in [&[][..], &[1], &[9], &[1, 9]] {
            let asked = asks(&state, 2, change.clone(), signers);
            assert!(matches!(asked, Err(Invalid::Orders { .. } | Invalid::Mandate(_))), "{asked:?}");
        }
        let twice = {
            let mut twice = intent(&state, 2, change.clone(), &[1]);
            twice.mandate.approvals.push(twice.mandate.approvals[0]);
            settles(&state, 2, twice)
        };
        assert!(matches!(twice, Err(Invalid::Mandate(_))), "{twice:?}");
    }
    assert_eq!(asks(&state, 2, remove(3), &[3, 1]).expect("two of three").members.len(), 3);
}

#[test]
fn a_signature_is_worth_nothing_for_anything_else() {
    let state = governed();
    let good = intent(&state, 0, remove(3), &[1, 2]);
    let taken = |intent: Intent| settles(&state, 0, intent);
    assert!(taken(good.clone()).is_ok());
    let other = |change: &dyn Fn(&mut Intent)| {
        let mut intent = good.clone();
        change(&mut intent);
        taken(intent)
    };
    let bad = Err(Invalid::Mandate("a signature of an operator does not hold for this order"));
    assert_eq!(other(&|intent| intent.change = remove(2)), bad);
    assert_eq!(other(&|intent| intent.id = Id16([77; 16])), bad);
    assert_eq!(other(&|intent| intent.by = "eve".into()), bad);
    assert_eq!(other(&|intent| intent.mandate.until = NOW + Millis::seconds(7200)), bad);
    // Another member has it in hand, and another entity.
    assert_eq!(settles(&state, 1, good.clone()), bad);
    let mut elsewhere = state.clone();
    elsewhere.entity = Hash::of(b"another");
    assert_eq!(settles(&elsewhere, 0, good.clone()), bad);
    // It serves once, and not for ever.
    let after = taken(good.clone()).expect("valid");
    assert_eq!(settles(&after, 0, good.clone()), Err(Invalid::Stale));
    let mut later = state.clone();
    later.epoch += crate::limits::INTENT_EPOCHS + 1;
    assert_eq!(settles(&later, 0, good), Err(Invalid::Stale));
}

#[test]
fn a_window_that_was_signed_for_content_takes_that_and_nothing_else() {
    let (root, other) = (Hash::of(b"root"), Hash::of(b"other"));
    let state = asks(&governed(), 0, open(Some(root)), &[1, 3]).expect("signed");
    let wrong = asks(&state, 0, commit(&state, other), &[]);
    assert_eq!(wrong, Err(Invalid::Orders { have: 0, need: 2 }));
    let signed_other = asks(&state, 0, commit(&state, other), &[1, 2]);
    assert!(matches!(signed_other, Err(Invalid::NotSo(_))), "{signed_other:?}");
    let settled = asks(&state, 0, commit(&state, root), &[]).expect("that is what was signed");
    assert_eq!(settled.applications["shop"].root_hash(), Some(root));
    // Whoever holds it gives it up alone; another member does not close a window by hand.
    assert!(asks(&state, 0, Change::Abort { application: "shop".into() }, &[]).is_ok());
    let by_hand = asks(&governed(), 0, open(None), &[1, 3]).expect("signed");
    let abort = Change::Abort { application: "shop".into() };
    assert_eq!(asks(&by_hand, 1, abort.clone(), &[]), Err(Invalid::Orders { have: 0, need: 2 }));
    assert!(asks(&by_hand, 1, abort, &[2, 3]).is_ok());
}

#[test]
fn a_commit_is_signed_for_its_basis_and_gathers_evidence_afterwards() {
    let root = Hash::of(b"root");
    let state = asks(&governed(), 0, open(None), &[1, 2]).expect("signed");
    let (application, extent) = ("shop".into(), Extent::default());
    let bare = Change::Commit { application, root, extent, evidence: Vec::new(), wish: Wish::default() };
    let mut intent = intent(&state, 0, bare, &[1, 2]);
    intent.change = commit(&state, root);
    assert!(settles(&state, 0, intent.clone()).is_ok(), "the evidence is not signed");
    let moved = settles(&state, 1, super::tests::plain(&state, 1, remove(1))).expect("web1 leaves");
    assert!(settles(&moved, 0, intent).is_err(), "the basis is");
}

#[test]
fn members_take_each_other_out_within_bounds_and_undo_no_order() {
    let state = governed();
    let one = asks(&state, 0, take_out(1, false), &[]).expect("three of four serve");
    let two = asks(&one, 0, take_out(2, false), &[]).expect("half of them serve");
    let third = asks(&two, 0, take_out(3, false), &[]);
    assert_eq!(third, Err(Invalid::Orders { have: 0, need: 2 }));
    assert!(asks(&two, 0, take_out(3, false), &[1, 2]).is_ok());
    assert!(asks(&two, 0, Change::BringIn { member: id(1) }, &[]).is_ok(), "a member had it out");
    let held = asks(&state, 0, take_out(1, false), &[1, 2]).expect("signed");
    let Service::Out(out) = &held.member(&id(1)).expect("there").service else { panic!("not out") };
    assert!(out.ordered);
    let back = Change::BringIn { member: id(1) };
    assert_eq!(asks(&held, 1, back.clone(), &[]), Err(Invalid::Orders { have: 0, need: 2 }));
    assert_eq!(asks(&held, 1, take_out(1, false), &[]), Err(Invalid::Orders { have: 0, need: 2 }));
    assert!(asks(&held, 1, back, &[2, 3]).is_ok());
}

#[test]
fn new_operators_show_that_they_can_sign_and_old_ones_agree() {
    let to = |operators: Operators| Change::SetAuthority { authority: Authority::Operators(operators) };
    let free = entity(4, Governance::default());
    let first = to(operators(2, &[1, 2]));
    assert_eq!(asks(&free, 0, first.clone(), &[]), Err(Invalid::Orders { have: 0, need: 2 }));
    assert_eq!(asks(&free, 0, first.clone(), &[1]), Err(Invalid::Orders { have: 1, need: 2 }));
    let state = asks(&free, 0, first, &[1, 2]).expect("both have shown it");
    assert!(asks(&state, 0, remove(3), &[]).is_err(), "from now on");

    let next = to(operators(1, &[2, 4]));
    assert!(asks(&state, 0, next.clone(), &[2, 4]).is_err(), "one of the old ones is not enough");
    assert!(asks(&state, 0, to(operators(2, &[4, 5])), &[1, 2, 4]).is_err(), "nor one of the new ones");
    let state = asks(&state, 0, next, &[1, 2]).expect("two of the old, one of the new");
    assert!(asks(&state, 0, remove(3), &[1]).is_err(), "op1 is none any more");
    let nobody = to(operators(2, &[4]));
    assert!(matches!(asks(&state, 0, nobody, &[2, 4]), Err(Invalid::Text(_) | Invalid::Orders { .. })));
    let members = Change::SetAuthority { authority: Authority::Members };
    let free = asks(&state, 0, members, &[4]).expect("signed");
    assert!(asks(&free, 0, remove(3), &[]).is_ok());
    let stray = asks(&free, 0, remove(3), &[4]);
    assert!(matches!(stray, Err(Invalid::Mandate(_))), "a signature of nobody says nothing: {stray:?}");
}
