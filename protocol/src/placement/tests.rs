//! Groups, keepers and content quorums, by the state alone.

use std::collections::{BTreeMap, BTreeSet};

use quickcheck::quickcheck;

use super::*;
use crate::identity::Identity;
use crate::record::{Genesis, Newcomer, Policy};
use crate::state::{Role, Service};
use crate::statement::{Address, Id16};
use crate::time::WallTime;

fn id(number: u8) -> MemberId {
    Identity::from_seed([number; 32]).id()
}

/// Voters 1 to `count`; the members of the group `web` are these.
fn entity(count: u8, web: &[u8]) -> State {
    let socket = ([127, 0, 0, 1], 7000).into();
    let address = Address { control: socket, bulk: socket };
    let founder = Newcomer { member: id(1), store: Id16([1; 16]), name: "web1".into(), address };
    let genesis = Genesis {
        format: Genesis::NEWEST,
        name: "farm".into(),
        founder,
        at: WallTime(0),
        nonce: Id16::default(),
        inherited: None,
        governance: Default::default(),
    };
    let mut state = State::genesis(&genesis);
    state.members = (1..=count).map(|number| member(number, web.contains(&number))).collect();
    state
}

fn member(number: u8, in_web: bool) -> Member {
    let groups = if in_web { "all,web" } else { "all" };
    Member {
        id: id(number),
        store: Id16([number; 16]),
        name: format!("web{number}"),
        role: Role::Voter,
        addresses: Vec::new(),
        since: 0,
        service: Service::In,
        labels: BTreeMap::from([(GROUP.to_owned(), groups.to_owned())]),
    }
}

fn application(placement: Placement) -> Application {
    Application {
        root: "/srv/shop".into(),
        policy: Policy::Majority,
        basis: 0,
        revisions: Vec::new(),
        window: None,
        paused: None,
        unmanaged: Vec::new(),
        adopts: false,
        terms: Terms::placed(placement),
    }
}

fn web() -> Application {
    application(Placement::of(["web"]))
}

fn ids(numbers: &[u8]) -> BTreeSet<MemberId> {
    numbers.iter().map(|number| id(*number)).collect()
}

#[test]
fn a_label_lists_the_groups_of_a_member() {
    let mut one = member(1, true);
    assert_eq!(groups_of(&one).collect::<Vec<_>>(), ["all", "web"]);
    assert!(Placement::of(["cache", "web"]).takes(&one) && Placement::default().takes(&one));
    assert!(!Placement::of(["cache", "we"]).takes(&one));
    one.labels.clear();
    assert!(!Placement::of([""]).takes(&one) && Placement::default().takes(&one));
    let shown = [Placement::default(), Placement::of(["web"]), Placement::of(["web", "cache"])];
    assert_eq!(shown.map(|it| it.to_string()), ["all members", "group web", "groups cache web"]);
}

/// (finding 15)
#[test]
fn small_groups_have_keepers_and_large_ones_none() {
    let keepers = |count: u8, web: &[u8]| entity(count, web).keepers("shop", &self::web()).len();
    assert_eq!(
        [keepers(9, &[]), keepers(9, &[1]), keepers(9, &[1, 2]), keepers(9, &[1, 2, 3])],
        [3, 2, 1, 0]
    );
    assert_eq!([keepers(1, &[1]), keepers(2, &[1]), keepers(3, &[1]), keepers(2, &[])], [0, 1, 2, 2]);
    let everywhere = application(Placement::default());
    assert_eq!(entity(2, &[]).keepers("shop", &everywhere), []);
    // Spares neither count nor keep.
    let mut state = entity(4, &[1]);
    state.members.iter_mut().skip(2).for_each(|member| member.role = Role::Follower);
    assert_eq!(state.keepers("shop", &self::web()), [id(2)]);
}

/// (findings 15, 22; decision 0013) Of three holders any one may be lost, and one must be where the content goes.
#[test]
fn a_content_quorum_is_of_the_holders_one_of_which_shows_it() {
    let state = entity(9, &[4]);
    let keepers = state.keepers("shop", &web());
    let judge = |by: &[MemberId]| state.suffices("shop", &web(), &by.iter().copied().collect());
    assert_eq!(judge(&[id(4)]), Err(Invalid::Evidence { have: 1, need: 2 }));
    assert_eq!(judge(&[id(4), keepers[0]]), Ok(()));
    assert_eq!(judge(&keepers), Err(Invalid::OnlyKept));
    let two = entity(9, &[4, 5]);
    let keeper = two.keepers("shop", &web())[0];
    assert_eq!(two.suffices("shop", &web(), &[id(5), keeper].into()), Ok(()), "web4 is dead");
    // Where it goes nowhere, its keepers are all there is.
    let nowhere = entity(9, &[]);
    let all: BTreeSet<MemberId> = nowhere.holders("shop", &web());
    assert_eq!((all.len(), nowhere.suffices("shop", &web(), &all)), (3, Ok(())));
    let four = entity(100, &[1, 2, 3, 4]);
    assert_eq!(four.holders("shop", &web()), ids(&[1, 2, 3, 4]));
    assert!(four.suffices("shop", &web(), &ids(&[1, 2, 3])).is_ok());
    assert!(four.suffices("shop", &web(), &ids(&[1, 2])).is_err());
}

quickcheck! {
    fn there_are_three_holders_where_there_are_three_voters(count: u8, web: Vec<u8>) -> bool {
        let count = count % 12 + 1;
        let state = entity(count, &web);
        let (holders, placed) = (state.holders("shop", &self::web()), state.placed_voters(&self::web()).count());
        holders.len() == placed.max(usize::from(count).min(HOLDERS))
    }

    /// Whoever joins takes at most one keeper's place; whoever leaves has at most one successor.
    fn keepers_hardly_change_with_the_roster(count: u8, name: String) -> bool {
        let (small, large) = (entity(count % 12 + 4, &[1]), entity(count % 12 + 5, &[1]));
        let keepers = |state: &State| state.keepers(&name, &web()).into_iter().collect::<BTreeSet<_>>();
        keepers(&small).difference(&keepers(&large)).count() <= 1
    }

    fn applications_have_keepers_of_their_own(names: BTreeSet<String>) -> bool {
        let state = entity(20, &[1]);
        let kept: BTreeSet<MemberId> = names.iter().flat_map(|name| state.keepers(name, &web())).collect();
        // Of twenty names or more hardly all have the same two keepers.
        names.len() < 20 || kept.len() > 4
    }
}
