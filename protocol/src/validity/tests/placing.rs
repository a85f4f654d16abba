//! Placement in records: groups, the basis, windows, evidence (findings 15, 16, 22, 42).

use super::*;
use crate::placement::Placement;

/// Six voters: web0 to web2 are in the group `web`, web3 in `db`; `shop` goes to `web`, `api` to all, `data` to `db`.
fn grouped() -> State {
    let mut state = entity(6);
    (0..3).for_each(|number| does(&mut state, 0, group(number, "web")));
    does(&mut state, 0, group(3, "db"));
    does(&mut state, 0, place("shop", &["web"]));
    does(&mut state, 0, create("api", "/srv/api", Policy::Majority));
    does(&mut state, 0, create("data", "/srv/data", Policy::Majority));
    does(&mut state, 0, place("data", &["db"]));
    state
}

fn group(number: usize, groups: &str) -> Change {
    let labels = [("group".to_owned(), Some(groups.to_owned()))].into();
    Change::Label { member: identity(number).id(), labels, keep_files: false }
}

fn place(name: &str, groups: &[&str]) -> Change {
    let (application, definition) = (name.to_owned(), Definition::default());
    let terms = Terms::placed(Placement::of(groups.iter().copied()));
    Change::Arrange { application, terms, definition, keep_files: false }
}

fn bases(state: &State) -> [u64; 3] {
    ["api", "data", "shop"].map(|name| state.applications[name].basis)
}

/// (finding 16) A record moves the basis of the applications whose holders it changes, and of no other.
#[test]
fn the_basis_moves_with_the_own_holders_only() {
    let mut state = grouped();
    let moved = |state: &mut State, change: Change| {
        let before = bases(state);
        does(state, 0, change);
        let after = bases(state);
        [0, 1, 2].map(|at| after[at] != before[at])
    };
    let zone = Change::Label {
        member: identity(0).id(),
        labels: [("zone".to_owned(), Some("b".to_owned()))].into(),
        keep_files: false,
    };
    assert_eq!(moved(&mut state, zone), [false, false, false]);
    assert_eq!(
        moved(&mut state, place("api", &[])),
        [true, false, false],
        "the application itself was arranged"
    );
    // Perhaps it keeps `data`; that does not depend on other groups.
    assert_eq!(moved(&mut state, group(5, "web")), [false, false, true]);
    assert_eq!(moved(&mut state, group(5, "web,cache")), [false, false, false]);
    // web4 is in no group: only what goes to everybody, and what it keeps, has other holders without it.
    let keeps = state_has_keeper(&state, "data", 4);
    assert_eq!(moved(&mut state, Change::Remove { member: identity(4).id() }), [true, keeps, false]);
    // A spare is no holder of anything.
    does(&mut state, 0, Change::Spare { member: identity(5).id(), anyway: false });
    assert_eq!(moved(&mut state, Change::Remove { member: identity(5).id() }), [false, false, false]);
}

fn state_has_keeper(state: &State, name: &str, number: usize) -> bool {
    state.keepers(name, &state.applications[name]).contains(&identity(number).id())
}

/// In an entity that still uses version 1 the bytes of the next state are what that version makes of them.
#[test]
fn version_1_moves_every_basis_and_knows_no_placement() {
    let mut state = entity(4);
    state.protocol = 1;
    does(&mut state, 0, create("api", "/srv/api", Policy::Majority));
    does(&mut state, 0, Change::Spare { member: identity(3).id(), anyway: false });
    let basis = state.applications["api"].basis;
    does(&mut state, 0, Change::Remove { member: identity(3).id() });
    assert_ne!(state.applications["api"].basis, basis);
    let version = Err(Invalid::Version { needs: 2, has: 1 });
    assert_eq!(tries(&state, 0, place("api", &["web"])), version);
    does(&mut state, 0, group(1, "any text: it is a label like others"));
}

/// (finding 42)
#[test]
fn nobody_enters_or_leaves_under_an_open_window() {
    let mut state = grouped();
    does(&mut state, 0, open("shop"));
    let held = Err(Invalid::InWindow("shop".into()));
    assert_eq!(tries(&state, 1, group(4, "web")), held);
    assert_eq!(tries(&state, 1, group(1, "db")), held);
    assert_eq!(tries(&state, 1, place("shop", &[])), held);
    let unmanaged = Definition { unmanaged: Some(vec!["log/**".into()]), ..Definition::default() };
    let terms = state.applications["shop"].terms.clone();
    let arrange = |definition| Change::Arrange {
        application: "shop".into(),
        terms: terms.clone(),
        definition,
        keep_files: false,
    };
    assert_eq!(tries(&state, 1, arrange(unmanaged.clone())), held);
    // What concerns other applications, or nobody's place, goes on; so do joins.
    let policy = Definition { policy: Some(Policy::Certified), ..Definition::default() };
    for change in [group(4, "db"), group(0, "web,cache"), place("api", &["db"]), arrange(policy)] {
        tries(&state, 1, change.clone()).unwrap_or_else(|invalid| panic!("{change:?}: {invalid}"));
    }
    does(&mut state, 0, abort("shop"));
    does(&mut state, 1, group(4, "web"));
    does(&mut state, 1, arrange(unmanaged));
    assert_eq!(state.applications["shop"].unmanaged, ["log/**"]);
}

/// (findings 15, 45) Six members vote; three of them, and who keeps it, are asked for the content.
#[test]
fn only_the_placed_and_the_keepers_count_for_content() {
    let mut state = grouped();
    does(&mut state, 5, open("shop"));
    let judge = |evidence| tries(&state, 5, commit(evidence)).err();
    let short = |have| Some(Invalid::Evidence { have, need: 2 });
    assert_eq!(judge(holdings(&state, &[3, 4, 5], ROOT)), short(0));
    assert_eq!(judge(holdings(&state, &[0, 3, 4, 5], ROOT)), short(1));
    assert_eq!(judge(holdings(&state, &[0, 2], ROOT)), None);
    // One of the group is left, and two keep it with it.
    does(&mut state, 5, abort("shop"));
    [1, 2].into_iter().for_each(|number| does(&mut state, 5, group(number, "")));
    does(&mut state, 5, open("shop"));
    let keepers: Vec<usize> = (1..6).filter(|number| state_has_keeper(&state, "shop", *number)).collect();
    assert_eq!(keepers.len(), 2);
    let judge = |by: &[usize]| tries(&state, 5, commit(holdings(&state, by, ROOT))).err();
    assert_eq!(judge(&keepers), Some(Invalid::OnlyKept));
    assert_eq!(judge(&[0, keepers[1]]), None);
    assert_eq!(judge(&[0]), short(1));
}

/// (finding 22) A group of two has no majority that could not be one tampered member.
#[test]
fn drift_in_a_group_of_two_is_never_adopted() {
    let mut state = grouped();
    let fresh = Hash::of(b"made by hand");
    let evidence = holdings(&state, &[0, 1], fresh);
    assert!(tries(&state, 0, adopt(fresh, evidence)).is_ok(), "two of three");
    does(&mut state, 0, group(2, ""));
    let evidence = holdings(&state, &[0, 1, 2, 3, 4, 5], fresh);
    assert_eq!(tries(&state, 0, adopt(fresh, evidence)), Err(Invalid::NotAdoptable));
}

/// Roots are apart among all applications, wherever they go: nobody can be put where two of them meet.
#[test]
fn roots_are_disjoint_wherever_applications_go() {
    let mut state = grouped();
    let inside = create("more", "/srv/shop/more", Policy::Majority);
    assert_eq!(tries(&state, 0, inside), Err(Invalid::Overlap("shop".into())));
    let terms = Terms::placed(Placement::of(["db"]));
    let Change::Create { application, root, policy, unmanaged, adopts, .. } =
        create("x", "/srv/shop", Policy::Majority)
    else {
        panic!("no creation");
    };
    let there = Change::Create { application, root, policy, unmanaged, adopts, terms };
    assert_eq!(tries(&state, 0, there), Err(Invalid::Overlap("shop".into())));
    let bad = [place("shop", &["a b"]), group(0, "web,a b")];
    bad.into_iter().for_each(|change| assert!(matches!(tries(&state, 0, change), Err(Invalid::Text(_)))));
    let many: Vec<String> = (0..33).map(|number| format!("g{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(tries(&state, 0, place("shop", &many)).err(), Some(Invalid::Full("groups")));
    does(&mut state, 0, place("shop", &["web", "db"]));
}
