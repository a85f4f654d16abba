//! Which changes are valid, by the findings that earlier drafts failed on; and what no sequence of changes breaks.

mod raising;

use std::collections::BTreeSet;

use quickcheck::quickcheck;

use super::*;
use crate::handling::{Handling, Switching};
use crate::identity::{Identity, Scheme};
use crate::manifest::Extent;
use crate::record::{Definition, Genesis, Newcomer};
use crate::rng::Rng;
use crate::rollout::{AS_BEFORE, Batch, Hook, NEW, Rollout, Wish};
use crate::state::Terms;
use crate::statement::{Address, ContentList, Envelope, Holding, Holds, Id16, Position, Vote};
use crate::time::Millis;

mod placing;

const SCHEME: Scheme = Scheme::SimulatedHash;
const ROOT: Hash = Hash([7; 32]);

fn identity(number: usize) -> Identity {
    let mut seed = [0x5a; 32];
    seed[..8].copy_from_slice(&(number as u64).to_le_bytes());
    Identity::from_seed(seed).simulated()
}

fn store(number: usize) -> Id16 {
    Id16([number as u8; 16])
}

fn address(number: usize) -> Address {
    let port = 7000 + number as u16 * 2;
    Address { control: ([127, 0, 0, 1], port).into(), bulk: ([127, 0, 0, 1], port + 1).into() }
}

fn newcomer(number: usize) -> Newcomer {
    let name = format!("web{number}");
    Newcomer { member: identity(number).id(), store: store(number), name, address: address(number) }
}

/// An entity of so many voters, web0 to web(n-1), at epoch 10, with the application `shop`.
fn entity(voters: usize) -> State {
    let (at, nonce) = (WallTime(1), Id16::default());
    let genesis = Genesis {
        format: Genesis::NEWEST,
        name: "farm".into(),
        founder: newcomer(0),
        at,
        nonce,
        inherited: None,
        governance: Default::default(),
    };
    let mut state = State::genesis(&genesis);
    for number in 1..voters {
        let Newcomer { member: id, store, name, address } = newcomer(number);
        state.members.push(Member {
            id,
            store,
            name,
            role: Role::Voter,
            addresses: vec![address],
            since: 0,
            service: crate::state::Service::In,
            labels: std::collections::BTreeMap::new(),
        });
    }
    state.epoch = 10;
    does(&mut state, 0, create("shop", "/srv/shop", Policy::Majority));
    state
}

fn create(name: &str, root: &str, policy: Policy) -> Change {
    create_with(name, root, policy, Vec::new(), Handling::default())
}

fn create_with(name: &str, root: &str, policy: Policy, unmanaged: Vec<String>, handling: Handling) -> Change {
    let (application, root) = (name.into(), root.into());
    let terms = Terms { handling, ..Terms::default() };
    Change::Create { application, root, policy, unmanaged, adopts: true, terms }
}

fn open(name: &str) -> Change {
    let (application, reason) = (name.into(), "a reason".into());
    let (root, auto) = (None, None);
    Change::Open { application, expires: WallTime(60_000), reason, implicit: false, root, auto }
}

fn abort(name: &str) -> Change {
    Change::Abort { application: name.into() }
}

fn sign(state: &State, by: usize, statement: Statement) -> Signed {
    sign_from(state, by, store(by), statement)
}

fn sign_from(state: &State, by: usize, store: Id16, statement: Statement) -> Signed {
    let position = Position { incarnation: 1, sequence: 1 };
    let envelope = Envelope { entity: state.entity, store, position, statement };
    Checked::sign(&identity(by), envelope).signed().clone()
}

fn intent(state: &State, by: usize, change: Change) -> Signed {
    let number = Rng::new(Hash::of(format!("{change:?}{}", state.epoch).as_bytes()).0).draw();
    intent_at(state, by, number, WallTime(1000), change)
}

fn intent_at(state: &State, by: usize, number: u64, at: WallTime, change: Change) -> Signed {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_le_bytes());
    let intent =
        Intent { id: Id16(id), seen: state.epoch, at, by: "ada".into(), change, mandate: Default::default() };
    sign(state, by, Statement::Intent(Box::new(intent)))
}

fn tries(state: &State, by: usize, change: Change) -> Result<State, Invalid> {
    state.with_changes(&[intent(state, by, change)], SCHEME)
}

fn does(state: &mut State, by: usize, change: Change) {
    *state = tries(state, by, change.clone()).unwrap_or_else(|invalid| panic!("{change:?}: {invalid}"));
}

fn holding(state: &State, by: usize, root: Hash) -> Signed {
    let basis = state.applications.get("shop").map_or(0, |shop| shop.basis);
    let application = "shop".to_owned();
    sign(state, by, Statement::Holding(Holding { application, basis, root, extent: Extent::default() }))
}

fn holdings(state: &State, by: &[usize], root: Hash) -> Vec<Signed> {
    by.iter().map(|by| holding(state, *by, root)).collect()
}

fn commit(evidence: Vec<Signed>) -> Change {
    Change::Commit {
        application: "shop".into(),
        root: ROOT,
        extent: Extent::default(),
        evidence,
        wish: Wish::default(),
    }
}

fn adopt(root: Hash, evidence: Vec<Signed>) -> Change {
    Change::Adopt { application: "shop".into(), root, extent: Extent::default(), evidence }
}

/// Settles `root` as the next revision of `shop`.
fn settle(state: &mut State, root: Hash) {
    does(state, 0, open("shop"));
    let voters: Vec<usize> = (0..state.members.len()).collect();
    let evidence = holdings(state, &voters, root);
    let change = Change::Commit {
        application: "shop".into(),
        root,
        extent: Extent::default(),
        evidence,
        wish: Wish::default(),
    };
    does(state, 0, change);
}

/// (finding 2)
#[test]
fn what_a_newer_version_brings_waits_for_that_version() {
    let mut state = entity(3);
    let arrange = Change::Arrange {
        application: "shop".into(),
        terms: Terms::default(),
        definition: Definition::default(),
        keep_files: false,
    };
    assert!(tries(&state, 0, arrange.clone()).is_ok());
    state.protocol = 1;
    assert_eq!(tries(&state, 0, arrange), Err(Invalid::Version { needs: 2, has: 1 }));
    assert!(tries(&state, 0, create("other", "/srv/other", Policy::Majority)).is_ok());
}

fn wishes(state: &mut State, root: Hash, wish: Wish) {
    does(state, 0, open("shop"));
    let evidence = holdings(state, &[0, 1, 2], root);
    let (application, extent) = ("shop".into(), Extent::default());
    does(state, 0, Change::Commit { application, root, extent, evidence, wish });
}

fn undo(state: &State, revision: u64, root: Hash) -> Change {
    let evidence = holdings(state, &[0, 1], root);
    Change::Undo { application: "shop".into(), revision, why: "it failed".into(), evidence }
}

/// (finding 21)
#[test]
fn only_a_revision_on_probation_is_undone_and_once() {
    let mut state = entity(3);
    let (good, bad) = (Hash::of(b"good"), Hash::of(b"bad"));
    settle(&mut state, good);
    let probation = Wish { probation: Millis(1000), ..Wish::default() };
    wishes(&mut state, bad, probation);
    assert_eq!(tries(&state, 1, undo(&state, 1, good)).err(), Some(Invalid::Stale));
    let elsewhere = tries(&state, 1, undo(&state, 2, Hash::of(b"other"))).err();
    assert_eq!(elsewhere, Some(Invalid::Evidence { have: 0, need: 2 }));
    let mut going_on = state.clone();
    does(&mut going_on, 2, Change::GoOn { application: "shop".into(), revision: 2 });
    assert!(matches!(tries(&going_on, 1, undo(&going_on, 2, good)), Err(Invalid::NotSo(_))));
    let basis = state.applications["shop"].basis;
    assert_eq!(going_on.applications["shop"].basis, basis, "what was promised is promised still");
    let mut open_again = state.clone();
    does(&mut open_again, 2, open("shop"));
    assert!(matches!(tries(&open_again, 1, undo(&open_again, 2, good)), Err(Invalid::WindowOpen(_))));

    let change = undo(&state, 2, good);
    does(&mut state, 1, change);
    let shop = &state.applications["shop"];
    let settled = shop.settled().expect("settled");
    assert_eq!((settled.number, settled.root, settled.plan.undoes), (3, good, Some(2)));
    assert!(matches!(tries(&state, 1, undo(&state, 3, bad)), Err(Invalid::NotSo(_))), "once");
    wishes(&mut state, bad, Wish::default());
    assert!(matches!(tries(&state, 1, undo(&state, 4, good)), Err(Invalid::NotSo(_))), "not licensed");
}

/// (finding 20)
#[test]
fn a_commit_says_how_its_revision_gets_onto_the_members() {
    let mut state = entity(3);
    let terms = Terms { rollout: Rollout::of_new(), ..Terms::default() };
    does(
        &mut state,
        0,
        Change::Arrange {
            application: "shop".into(),
            terms,
            definition: Definition::default(),
            keep_files: false,
        },
    );
    settle(&mut state, ROOT);
    let plan = |state: &State| state.applications["shop"].settled().expect("settled").plan;
    assert_eq!(plan(&state).batch, AS_BEFORE, "nothing runs yet that could be kept going");
    settle(&mut state, Hash::of(b"second"));
    assert_eq!(plan(&state).batch, NEW);
    let batch = Some(Batch::Members(2));
    wishes(&mut state, Hash::of(b"third"), Wish { batch, ..Wish::default() });
    assert_eq!(plan(&state).batch, Batch::Members(2));
    wishes(&mut state, Hash::of(b"third"), Wish { again: true, ..Wish::default() });
    assert!(plan(&state).again, "meant, although nothing differs");
    wishes(&mut state, Hash::of(b"fourth"), Wish { again: true, ..Wish::default() });
    assert!(!plan(&state).again, "something differs: it is a revision like any other");
}

#[test]
fn what_a_roll_out_may_say_is_bounded() {
    let mut state = entity(3);
    let hook = |path: &str, limit| Hook { path: path.into(), arguments: Vec::new(), limit };
    let arrange = |rollout| {
        let (application, terms) = ("shop".into(), Terms { rollout, ..Terms::default() });
        Change::Arrange { application, terms, definition: Definition::default(), keep_files: false }
    };
    let refused = |state: &State, change| matches!(tries(state, 0, change), Err(Invalid::Text(_)));
    for bad in [
        Rollout { batch: Batch::Members(0), ..Rollout::default() },
        Rollout { after: vec![hook("/bin/true", Millis(1))], ..Rollout::default() },
        Rollout { check: vec![hook("check", limits::HOOK_MAX + Millis(1))], ..Rollout::default() },
    ] {
        assert!(refused(&state, arrange(bad.clone())), "{bad:?}");
    }
    does(&mut state, 0, open("shop"));
    let evidence = holdings(&state, &[0, 1], ROOT);
    let wish = Wish { probation: limits::PROBATION_MAX + Millis(1), ..Wish::default() };
    let (application, extent) = ("shop".into(), Extent::default());
    assert!(refused(&state, Change::Commit { application, root: ROOT, extent, evidence, wish }));
    let (application, reason) = ("shop".into(), String::new());
    let auto = Some(Millis(1));
    let expires = WallTime(60_000);
    let mut closed = state.clone();
    does(&mut closed, 0, abort("shop"));
    assert!(refused(
        &closed,
        Change::Open { application, expires, reason, implicit: false, root: None, auto }
    ));
}

/// (finding 28)
#[test]
fn a_window_that_commits_by_itself_stays_open() {
    let mut state = entity(3);
    let (application, reason, auto) = ("shop".into(), String::new(), Some(Millis(2000)));
    let expires = WallTime(60_000);
    does(&mut state, 1, Change::Open { application, expires, reason, implicit: false, root: None, auto });
    for round in 0..2u8 {
        let root = Hash::of(&[round]);
        let evidence = holdings(&state, &[0, 1], root);
        let (application, extent, wish) = ("shop".into(), Extent::default(), Wish::default());
        let commit = Change::Commit { application, root, extent, evidence, wish };
        assert!(tries(&state, 2, commit.clone()).is_err(), "only its author");
        does(&mut state, 1, commit);
        let shop = &state.applications["shop"];
        assert_eq!(shop.root_hash(), Some(root));
        assert!(shop.window.as_ref().is_some_and(|window| window.author == identity(1).id()));
        assert_eq!(shop.basis, state.epoch, "what was promised before is not evidence for the next");
    }
    let root = Hash::of(b"on probation");
    let evidence = holdings(&state, &[0, 1], root);
    let wish = Wish { probation: Millis(1000), ..Wish::default() };
    let (application, extent) = ("shop".into(), Extent::default());
    let commit = Change::Commit { application, root, extent, evidence, wish };
    assert!(matches!(tries(&state, 1, commit), Err(Invalid::NotSo(_))), "nothing could be undone");
    does(&mut state, 0, Change::Remove { member: identity(1).id() });
    assert!(state.applications["shop"].window.is_none(), "it ends with its author");
}

#[test]
fn what_is_said_of_roll_outs_needs_version_two_and_nothing_else_does() {
    let mut state = entity(3);
    settle(&mut state, ROOT);
    state.protocol = 1;
    let needs = Some(Invalid::Version { needs: 2, has: 1 });
    let (application, reason, auto) = ("shop".to_owned(), String::new(), Some(Millis(2000)));
    let expires = WallTime(60_000);
    let auto =
        Change::Open { application: application.clone(), expires, reason, implicit: false, root: None, auto };
    assert_eq!(tries(&state, 0, auto).err(), needs);
    assert_eq!(tries(&state, 0, Change::GoOn { application, revision: 1 }).err(), needs);
    let wish = Wish { again: true, ..Wish::default() };
    does(&mut state, 0, open("shop"));
    let evidence = holdings(&state, &[0, 1], ROOT);
    let Change::Commit { application, root, extent, .. } = commit(Vec::new()) else { unreachable!() };
    let wished = Change::Commit { application, root, extent, evidence: evidence.clone(), wish };
    assert_eq!(tries(&state, 0, wished).err(), needs);
    assert!(tries(&state, 0, commit(evidence)).is_ok());
}

#[test]
fn drift_never_settles_what_was_settled_before() {
    let mut state = entity(3);
    settle(&mut state, ROOT);
    settle(&mut state, Hash::of(b"second"));
    let evidence = holdings(&state, &[0, 1, 2], ROOT);
    assert_eq!(tries(&state, 0, adopt(ROOT, evidence)), Err(Invalid::KnownRoot));
    let fresh = Hash::of(b"made by hand");
    let evidence = holdings(&state, &[0, 1, 2], fresh);
    assert!(tries(&state, 0, adopt(fresh, evidence)).is_ok());
}

/// (finding 5) A list says what is seen; only a Holding promises.
#[test]
fn only_holdings_of_this_content_and_basis_are_evidence() {
    let mut state = entity(3);
    does(&mut state, 0, open("shop"));
    let judge = |evidence| tries(&state, 0, commit(evidence)).err();
    let short = |have| Some(Invalid::Evidence { have, need: 2 });
    assert_eq!(judge(holdings(&state, &[0, 1], ROOT)), None);
    assert_eq!(judge(holdings(&state, &[0], ROOT)), short(1));
    assert_eq!(judge(holdings(&state, &[0, 0, 0], ROOT)), short(1));
    assert_eq!(judge(holdings(&state, &[0, 1], Hash::of(b"other"))), short(0));
    let other = |holding: Holding| sign(&state, 1, Statement::Holding(holding));
    let good = Holding {
        application: "shop".into(),
        basis: state.applications["shop"].basis,
        root: ROOT,
        extent: Extent::default(),
    };
    let earlier = other(Holding { basis: good.basis - 1, ..good.clone() });
    assert_eq!(judge(vec![holding(&state, 0, ROOT), earlier]), short(1));
    let elsewhere = other(Holding { application: "api".into(), ..good.clone() });
    assert_eq!(judge(vec![holding(&state, 0, ROOT), elsewhere]), short(1));
    let list = ContentList {
        application: "shop".into(),
        basis: good.basis,
        applied: Some(good.basis),
        seen: true,
        observed: Some(ROOT),
        extent: Extent::default(),
        left: 0,
        course: crate::rollout::Course::default(),
    };
    let list = sign(&state, 1, Statement::List(list));
    assert_eq!(judge(vec![holding(&state, 0, ROOT), list]), Some(Invalid::Kind));
    let stranger = sign(&state, 9, Statement::Holding(good.clone()));
    assert_eq!(judge(vec![holding(&state, 0, ROOT), stranger]), short(1));
    let restored = sign_from(&state, 1, store(8), Statement::Holding(good));
    assert_eq!(judge(vec![holding(&state, 0, ROOT), restored]), short(1), "another store of web1");
}

/// (finding 9) Time never makes a commit invalid; it only lets others propose to close the window.
#[test]
fn a_commit_after_the_expiry_is_valid() {
    let mut state = entity(3);
    does(&mut state, 0, open("shop"));
    let evidence = holdings(&state, &[0, 1], ROOT);
    let late = intent_at(&state, 0, 1, WallTime(u64::MAX / 2), commit(evidence));
    assert!(state.with_changes(&[late], SCHEME).is_ok());
}

/// (finding 13) Whoever joins does not count before it has said that it holds the head.
#[test]
fn newcomers_are_learners_until_they_hold_the_head() {
    let mut state = entity(1);
    let quorum = state.quorum();
    admit(&mut state, 1);
    assert_eq!(state.quorum(), quorum);
    let holds = |state: &State, by, epoch| {
        let head = Hash::of(b"head");
        sign(state, by, Statement::Holds(Holds { epoch, head }))
    };
    let promote = |holds| Change::Promote { member: identity(1).id(), holds };
    let before = holds(&state, 1, state.member(&identity(1).id()).map_or(0, |member| member.since) - 1);
    assert_eq!(tries(&state, 0, promote(before)), Err(Invalid::Stale));
    let ahead = holds(&state, 1, state.epoch + 5);
    assert_eq!(tries(&state, 0, promote(ahead)), Err(Invalid::Stale));
    let anothers = holds(&state, 0, state.epoch);
    assert_eq!(tries(&state, 0, promote(anothers)), Err(Invalid::Stale));
    let own = holds(&state, 1, state.epoch);
    does(&mut state, 0, promote(own.clone()));
    assert_eq!((state.quorum(), state.voters().count()), (2, 2));
    assert_eq!(tries(&state, 0, promote(own)), Err(Invalid::Stale), "once");
}

fn admit(state: &mut State, number: usize) {
    let key = identity(100 + number);
    let expires = WallTime(50_000);
    does(state, 0, Change::Invite { key: key.id(), uses: 1, expires, note: String::new(), spare: false });
    let request = JoinRequest::sign(state.entity, newcomer(number), &key, &identity(number));
    does(state, 0, Change::Admit(request));
}

/// (finding 13) A majority may be removed at once, but never the last voter.
#[test]
fn a_majority_may_be_removed_and_the_last_voter_not() {
    let state = entity(5);
    let removals = [2, 3, 4].map(|number| {
        let change = Change::Remove { member: identity(number).id() };
        intent_at(&state, 0, number as u64, WallTime(1), change)
    });
    let after = state.with_changes(&removals, SCHEME).expect("valid");
    assert_eq!((after.voters().count(), after.quorum(), after.past.len()), (2, 2, 3));
    let mut state = after;
    does(&mut state, 0, Change::Remove { member: identity(1).id() });
    assert_eq!(tries(&state, 0, Change::Remove { member: identity(0).id() }), Err(Invalid::LastVoter));
}

/// (findings 16, 42) Evidence is counted under one roster and one definition only.
#[test]
fn the_basis_moves_with_what_concerns_the_application_and_with_nothing_else() {
    let mut state = entity(4);
    does(&mut state, 0, create("api", "/srv/api", Policy::Certified));
    let basis = |state: &State, name: &str| state.applications[name].basis;
    let before = basis(&state, "shop");
    does(&mut state, 1, open("api"));
    let key = identity(55).id();
    does(
        &mut state,
        1,
        Change::Invite { key, uses: 1, expires: WallTime(9000), note: String::new(), spare: false },
    );
    does(&mut state, 1, Change::Move { addresses: vec![address(70)] });
    assert_eq!(basis(&state, "shop"), before);
    does(&mut state, 0, open("shop"));
    assert_eq!(basis(&state, "shop"), state.epoch);
    does(&mut state, 0, abort("shop"));
    assert_eq!(basis(&state, "shop"), state.epoch);
    let evidence = holdings(&state, &[0, 1, 2], ROOT);
    does(&mut state, 0, Change::Remove { member: identity(3).id() });
    assert_eq!(basis(&state, "shop"), state.epoch, "the placed voters changed");
    does(&mut state, 0, open("shop"));
    let refused = tries(&state, 0, commit(evidence));
    assert_eq!(refused, Err(Invalid::Evidence { have: 0, need: 2 }));
}

/// (finding 22) One or two members are no majority that could overrule what was settled.
#[test]
fn drift_is_adopted_by_three_and_more_and_only_where_the_policy_says_so() {
    for voters in 1..=4 {
        let state = entity(voters);
        let all: Vec<usize> = (0..voters).collect();
        let result = tries(&state, 0, adopt(ROOT, holdings(&state, &all, ROOT)));
        assert_eq!(result.is_ok(), voters >= 3, "{voters} voters");
    }
    let mut state = entity(3);
    state.applications.get_mut("shop").expect("there").policy = Policy::Certified;
    let evidence = holdings(&state, &[0, 1, 2], ROOT);
    assert_eq!(tries(&state, 0, adopt(ROOT, evidence)), Err(Invalid::NotAdoptable));
}

/// (finding 27)
#[test]
fn an_application_that_is_switched_as_a_whole_has_a_second_place_and_leaves_no_paths_alone() {
    let mut state = entity(3);
    let release = || Handling { switching: Switching::Release, ..Handling::default() };
    let new = |name: &str, root: &str, handling: Handling| {
        create_with(name, root, Policy::Majority, Vec::new(), handling)
    };
    let with =
        |unmanaged: Vec<String>| create_with("web", "/data/web", Policy::Majority, unmanaged, release());
    assert!(matches!(tries(&state, 0, with(vec!["*.log".into()])), Err(Invalid::NotSo(_))));
    does(&mut state, 0, with(Vec::new()));
    assert_eq!(state.applications["web"].terms.handling, release());
    for (root, handling) in [
        ("/data/web.releases", Handling::default()),
        ("/data/web.releases/below", Handling::default()),
        ("/data/web/below", Handling::default()),
        ("/data", release()),
    ] {
        let overlap = Err(Invalid::Overlap("web".into()));
        assert_eq!(tries(&state, 0, new("other", root, handling)).map(|_| ()), overlap, "{root}");
    }
    does(&mut state, 0, new("near", "/data/near.releases/deep", Handling::default()));
    let around = tries(&state, 0, new("around", "/data/near", release()));
    assert_eq!(around.map(|_| ()), Err(Invalid::Overlap("near".into())), "its releases would lie around it");
    assert!(tries(&state, 0, new("around", "/data/near", Handling::default())).is_ok());
    let arrange = Change::Arrange {
        application: "web".into(),
        terms: Terms::default(),
        definition: Definition::default(),
        keep_files: false,
    };
    assert!(matches!(tries(&state, 0, arrange), Err(Invalid::NotSo(_))), "for the whole life of it");
}

/// (finding 24) Only where nobody brought content of his own.
#[test]
fn the_first_content_is_adopted_where_the_application_says_so() {
    let mut state = entity(3);
    let evidence = holdings(&state, &[0, 1, 2], ROOT);
    assert!(tries(&state, 0, adopt(ROOT, evidence.clone())).is_ok());
    state.applications.get_mut("shop").expect("there").adopts = false;
    assert_eq!(tries(&state, 0, adopt(ROOT, evidence)), Err(Invalid::NotAdoptable));
    settle(&mut state, Hash::of(b"brought"));
    let evidence = holdings(&state, &[0, 1, 2], ROOT);
    assert!(tries(&state, 0, adopt(ROOT, evidence)).is_ok(), "drift is another matter");
}

/// (finding 25)
#[test]
fn patterns_of_unmanaged_paths_stay_below_the_root_and_are_few() {
    let state = entity(3);
    let with = |unmanaged: Vec<String>| {
        let create = create_with("other", "/srv/other", Policy::Majority, unmanaged, Handling::default());
        tries(&state, 0, create).err()
    };
    for pattern in ["cache/**", "*.log", "var/[a-z]*/tmp", "..."] {
        assert_eq!(with(vec![pattern.into()]), None, "{pattern}");
    }
    for pattern in ["", "/etc", "../x", "a/./b", "a//b", "cache/", "a\nb", &"x".repeat(256)] {
        assert!(matches!(with(vec![pattern.into()]), Some(Invalid::Text(_))), "{pattern:?}");
    }
    assert_eq!(with(vec!["x".into(); 32]), None);
    assert!(matches!(with(vec!["x".into(); 33]), Some(Invalid::Full(_))));
}

#[test]
fn a_removed_application_is_gone_with_its_root_and_not_during_a_window() {
    let mut state = entity(3);
    settle(&mut state, ROOT);
    let discard = || Change::Discard { application: "shop".into(), keep_files: false };
    does(&mut state, 1, open("shop"));
    assert_eq!(tries(&state, 0, discard()), Err(Invalid::WindowOpen(identity(1).id())));
    does(&mut state, 2, abort("shop"));
    does(&mut state, 0, discard());
    assert_eq!(tries(&state, 0, discard()), Err(Invalid::Unknown("shop".into())));
    does(&mut state, 0, create("shop", "/srv", Policy::Certified));
    assert_eq!(state.applications["shop"].settled(), None, "it inherits nothing");
}

#[test]
fn a_window_is_extended_by_its_author_and_what_was_promised_in_it_counts() {
    let mut state = entity(3);
    does(&mut state, 1, open("shop"));
    let evidence = holdings(&state, &[0, 1, 2], ROOT);
    let extend = |expires| Change::Extend { application: "shop".into(), expires };
    assert_eq!(tries(&state, 0, extend(WallTime(90_000))), Err(Invalid::NoWindow));
    let too_long = WallTime(1000) + limits::WINDOW_MAX + Millis(10_000_000);
    assert!(matches!(tries(&state, 1, extend(too_long)), Err(Invalid::Text(_))));
    does(&mut state, 1, extend(WallTime(90_000)));
    let window = state.applications["shop"].window.clone().expect("open");
    assert_eq!(window.expires, WallTime(90_000));
    does(&mut state, 1, commit(evidence));
}

/// (finding 25) Two applications whose roots lie in each other would repair each other for ever.
#[test]
fn roots_are_disjoint() {
    let state = entity(3);
    let placed = |root| tries(&state, 0, create("other", root, Policy::Majority)).err();
    for root in ["/srv/shop", "/srv", "/srv/shop/www"] {
        assert_eq!(placed(root), Some(Invalid::Overlap("shop".into())), "{root}");
    }
    for root in ["/srv/shopping", "/srv/sho", "/shop"] {
        assert_eq!(placed(root), None, "{root}");
    }
    for root in ["/", "srv/x", "/srv/../etc", "/srv//x", "/srv/./x", "", "/srv/x/", "/srv/\n"] {
        assert!(matches!(placed(root), Some(Invalid::Text(_))), "{root:?}");
    }
}

/// (findings 28, 29; design §5.5.6)
#[test]
fn a_window_has_one_author_and_does_not_outlive_it() {
    let mut state = entity(3);
    does(&mut state, 1, open("shop"));
    assert_eq!(tries(&state, 2, open("shop")), Err(Invalid::WindowOpen(identity(1).id())));
    let both = [
        intent_at(&state, 2, 1, WallTime(1), abort("shop")),
        intent_at(&state, 2, 2, WallTime(1), open("shop")),
    ];
    assert!(state.with_changes(&both, SCHEME).is_ok(), "anybody may close it, and then open another");
    let evidence = holdings(&state, &[0, 1, 2], ROOT);
    assert_eq!(tries(&state, 2, commit(evidence.clone())), Err(Invalid::NoWindow));
    assert_eq!(tries(&state, 0, adopt(ROOT, evidence)), Err(Invalid::WindowOpen(identity(1).id())));
    does(&mut state, 0, Change::Remove { member: identity(1).id() });
    assert_eq!(state.applications["shop"].window, None);
}

/// (finding 37) An invitation is a key that never travels; a request is good for who signed it, and once.
#[test]
fn a_join_is_for_one_key_and_once() {
    let mut state = entity(3);
    let key = identity(50);
    let invite =
        Change::Invite { key: key.id(), uses: 1, expires: WallTime(5000), note: String::new(), spare: false };
    does(&mut state, 0, invite);
    let good = JoinRequest::sign(state.entity, newcomer(7), &key, &identity(7));
    let stolen = JoinRequest { newcomer: newcomer(8), ..good.clone() };
    assert!(matches!(tries(&state, 0, Change::Admit(stolen)), Err(Invalid::Statement(_))));
    let unsigned = JoinRequest::sign(state.entity, newcomer(7), &key, &identity(8));
    assert!(matches!(tries(&state, 0, Change::Admit(unsigned)), Err(Invalid::Statement(_))));
    let foreign = JoinRequest::sign(Hash::of(b"x"), newcomer(7), &key, &identity(7));
    assert!(matches!(tries(&state, 0, Change::Admit(foreign)), Err(Invalid::Statement(_))));
    does(&mut state, 0, Change::Admit(good.clone()));
    assert!(matches!(tries(&state, 0, Change::Admit(good.clone())), Err(Invalid::Unknown(_))), "used up");
    does(&mut state, 0, Change::Remove { member: identity(7).id() });
    let invite =
        Change::Invite { key: key.id(), uses: 2, expires: WallTime(5000), note: String::new(), spare: false };
    does(&mut state, 0, invite);
    assert!(matches!(tries(&state, 0, Change::Admit(good)), Err(Invalid::Taken(_))), "a past member");
}

/// (finding 39) The last revisions are named in the state, and no others.
#[test]
fn the_revisions_of_a_rollback_are_in_the_state() {
    let mut state = entity(3);
    for number in 1..=9_u8 {
        settle(&mut state, Hash([number; 32]));
    }
    let kept: Vec<u64> = state.applications["shop"].revisions.iter().map(|kept| kept.number).collect();
    assert_eq!(kept, [4, 5, 6, 7, 8, 9]);
    assert_eq!(kept.len(), limits::REVISIONS_KEPT + 1);
}

/// (findings 4, 43)
#[test]
fn a_certificate_is_a_quorum_of_one_round_for_one_child_of_the_head() {
    let state = entity(3);
    let head = Hash::of(b"head");
    let good = Vote {
        epoch: state.epoch + 1,
        round: 2,
        parent: head,
        step: Step::Precommit,
        value: Some(ROOT),
        relied: None,
    };
    let votes = |cast: &[(usize, &Vote)]| {
        let votes = cast.iter().map(|(by, vote)| sign(&state, *by, Statement::Vote((*vote).clone())));
        let certificate = Certificate { epoch: good.epoch, round: 2, value: ROOT, votes: votes.collect() };
        state.check_certificate(&head, &certificate, SCHEME)
    };
    assert_eq!(votes(&[(0, &good), (1, &good)]), Ok(()));
    assert_eq!(votes(&[(0, &good), (1, &good), (2, &good)]), Ok(()));
    assert_eq!(votes(&[(0, &good)]), Err(Invalid::Certificate { have: 1, need: 2 }));
    let stray = |by: usize| Err(Invalid::Stray(identity(by).id()));
    for bad in [
        Vote { round: 1, ..good.clone() },
        Vote { epoch: state.epoch, ..good.clone() },
        Vote { parent: Hash::of(b"other"), ..good.clone() },
        Vote { step: Step::Prevote, ..good.clone() },
        Vote { value: Some(Hash::of(b"other")), ..good.clone() },
        Vote { value: None, ..good.clone() },
    ] {
        assert_eq!(votes(&[(0, &good), (1, &bad)]), stray(1), "{bad:?}");
        assert_eq!(votes(&[(0, &good), (1, &good), (2, &bad)]), stray(2), "beside a quorum: {bad:?}");
    }
    assert_eq!(votes(&[(0, &good), (1, &good), (0, &good)]), stray(0), "one member twice");
    assert_eq!(votes(&[(0, &good), (1, &good), (9, &good)]), stray(9), "a stranger");
    let mut forged = sign(&state, 1, Statement::Vote(good.clone()));
    forged.signature.0[0] ^= 1;
    let certificate = Certificate { epoch: good.epoch, round: 2, value: ROOT, votes: vec![forged] };
    assert!(matches!(state.check_certificate(&head, &certificate, SCHEME), Err(Invalid::Statement(_))));
}

/// (finding 44)
#[test]
fn a_record_carries_several_independent_changes_and_none_twice() {
    let mut state = entity(3);
    does(&mut state, 0, create("api", "/srv/api", Policy::Majority));
    let changes = [
        intent_at(&state, 0, 1, WallTime(1), open("shop")),
        intent_at(&state, 1, 2, WallTime(1), open("api")),
    ];
    let after = state.with_changes(&changes, SCHEME).expect("both");
    assert!(after.applications.values().all(|application| application.window.is_some()));
    assert_eq!(after.with_changes(&changes[..1], SCHEME), Err(Invalid::Stale), "settled already");
    let twice = [changes[0].clone(), changes[0].clone()];
    assert_eq!(state.with_changes(&twice, SCHEME), Err(Invalid::Stale));
    assert_eq!(state.with_changes(&[], SCHEME), Err(Invalid::Count(0)));
    let many = vec![changes[0].clone(); limits::INTENTS_PER_RECORD + 1];
    assert!(matches!(state.with_changes(&many, SCHEME), Err(Invalid::Count(_))));
}

/// An intent that nobody settled dies, and can then be forgotten.
#[test]
fn intents_grow_old() {
    let state = entity(3);
    let intent = intent(&state, 0, open("shop"));
    let mut later = state.clone();
    later.epoch += limits::INTENT_EPOCHS - 1;
    assert!(later.with_changes(std::slice::from_ref(&intent), SCHEME).is_ok());
    later.epoch += 1;
    assert_eq!(later.with_changes(&[intent], SCHEME), Err(Invalid::Stale));
}

/// A change drawn at random, often one that is not valid.
fn any_change(rng: &mut Rng, state: &State) -> Change {
    let name = ["shop", "api", "nothing"][rng.below(3) as usize];
    let number = rng.below(6) as usize;
    let root = Hash([rng.below(4) as u8; 32]);
    let evidence = holdings(state, &[0, 1, 2], root);
    let (application, extent) = ("shop".to_owned(), Extent::default());
    match rng.below(15) {
        0 => create(name, ["/srv/api", "/srv", "/x"][rng.below(3) as usize], Policy::Majority),
        1 | 2 => open(name),
        3 => abort(name),
        4 => Change::Expire { application: name.into() },
        5 => Change::Commit { application, root, extent, evidence, wish: Wish::default() },
        6 => Change::Adopt { application, root, extent, evidence },
        7 => Change::Remove { member: identity(number).id() },
        12 => Change::Discard { application: name.into(), keep_files: rng.chance(500) },
        13 => Change::Extend { application: name.into(), expires: WallTime(rng.below(99_999)) },
        8 => Change::Pause { application: name.into(), until: Some(WallTime(rng.below(99))) },
        9 => {
            let key = identity(50 + number).id();
            Change::Invite {
                key,
                uses: 2,
                expires: WallTime(0) + Millis(5000),
                note: String::new(),
                spare: false,
            }
        }
        11 => {
            let own = identity(number);
            let replaced = state.member(&own.id()).map_or(Id16::default(), |member| member.store);
            let store = Id16([rng.below(9) as u8; 16]);
            let address = newcomer(number).address;
            Change::Readmit(Readmission::sign(state.entity, replaced, store, address, &own))
        }
        10 => {
            let key = identity(50 + rng.below(6) as usize);
            Change::Admit(JoinRequest::sign(state.entity, newcomer(number), &key, &identity(number)))
        }
        _ => {
            let word = Holds { epoch: state.epoch, head: ROOT };
            let holds = sign(state, number, Statement::Holds(word));
            Change::Promote { member: identity(number).id(), holds }
        }
    }
}

fn is_sound(state: &State) -> bool {
    let ids: BTreeSet<_> = state.members.iter().map(|member| member.id).collect();
    let names: BTreeSet<_> = state.members.iter().map(|member| &member.name).collect();
    let apart = state.applications.iter().all(|(name, one)| {
        let others = state.applications.iter().filter(|(other, _)| *other != name);
        others.clone().all(|(_, other)| !lies_in(&one.root, &other.root))
    });
    let known = state.applications.values().all(|application| {
        let numbers: Vec<u64> = application.revisions.iter().map(|revision| revision.number).collect();
        let author = application.window.as_ref().map(|window| window.author);
        application.basis <= state.epoch
            && numbers.is_sorted_by(|a, b| a < b)
            && author.is_none_or(|author| state.member(&author).is_some())
    });
    let back = state.past.iter().all(|past| state.member(&past.id).is_none());
    ids.len() == state.members.len()
        && names.len() == ids.len()
        && state.voters().count() >= 1
        && state.quorum() * 2 > state.voters().count()
        && apart
        && known
        && back
}

quickcheck! {
    /// No sequence of valid changes leads to a state that is not sound, and each state decodes to itself.
    fn every_reachable_state_is_sound(seed: u64) -> bool {
        let mut rng = Rng::new(Hash::of(&seed.to_le_bytes()).0);
        let mut state = entity(3);
        for number in 0..60 {
            let (by, change) = (rng.below(5) as usize, any_change(&mut rng, &state));
            let signed = intent_at(&state, by, number, WallTime(1000), change);
            if let Ok(next) = state.with_changes(&[signed], SCHEME) {
                let bytes = crate::codec::encode(&next);
                let same: Result<State, _> = crate::codec::decode(&bytes, bytes.len());
                if !is_sound(&next) || next.epoch != state.epoch + 1 || same.ok().as_ref() != Some(&next) {
                    return false;
                }
                state = next;
            }
        }
        true
    }
}
