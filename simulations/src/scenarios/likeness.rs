//! An entity that is like a real one has its members, its rule and its applications, and lives like any other.

use std::collections::BTreeMap;

use althing_protocol::governance::QuorumRule;
use althing_protocol::handling::Handling;
use althing_protocol::manifest::Extent;
use althing_protocol::placement::Placement;
use althing_protocol::record::Policy;
use althing_protocol::rollout::{Batch, Rollout};

use super::{assert_holds, assert_rest};
use crate::likeness::{self, Like, LikeApplication, Likeness};
use crate::world::World;
use crate::{Options, simulate};

fn member(name: &str, spare: bool, out: Option<&str>, groups: Option<&str>) -> Like {
    let labels = groups.map(|groups| ("group".to_owned(), groups.to_owned()));
    Like { name: name.into(), spare, out: out.map(str::to_owned), labels: labels.into_iter().collect() }
}

fn application(name: &str, policy: Policy, group: Option<&str>, extent: Option<Extent>) -> LikeApplication {
    let (rollout, adopts) = (Rollout { batch: Batch::Members(2), ..Rollout::default() }, false);
    LikeApplication {
        name: name.into(),
        root: format!("/srv/{name}"),
        policy,
        unmanaged: vec!["cache".into()],
        handling: Handling::default(),
        placement: Placement::of(group),
        rollout,
        adopts,
        extent,
    }
}

fn shop() -> Likeness {
    let extent = |items, bytes| Some(Extent { items, bytes });
    Likeness {
        name: "shop-fe".into(),
        epoch: 40,
        quorum: QuorumRule::Supermajority,
        members: vec![
            member("web1", false, None, Some("web")),
            member("web2", false, Some("new disk"), Some("web,big")),
            member("web3", false, None, None),
            member("db1", false, None, None),
            member("db2", false, None, None),
            member("idle1", true, None, None),
        ],
        applications: vec![
            application("pics", Policy::Certified, Some("big"), extent(120, 9_000_007)),
            application("shop", Policy::Majority, None, extent(57, 3_211_001)),
            application("soon", Policy::Majority, None, None),
        ],
        left_out: Vec::new(),
    }
}

#[test]
fn what_is_taken_over_is_there() {
    let mut world = World::new(Options { faults: false, ..Options::default() }.like(shop()));
    world.by_hand = true;
    likeness::found(&mut world, &shop());
    assert_rest(&mut world, 10);
    assert_holds(&world);
    let state = world.reference.state().expect("there is an entity").clone();
    let found = Likeness::of(&state).expect("it can be simulated");
    assert_eq!(Likeness { epoch: 40, ..found }, shop());
    let pics =
        world.hosts.iter().filter(|host| host.live.get("pics").is_some_and(|live| live.tree.is_some()));
    assert_eq!(pics.map(|host| host.name.as_str()).collect::<Vec<_>>(), ["web2"]);
}

#[test]
fn it_lives_through_what_is_asked_for_by_the_names_of_its_members() {
    let words = "--minutes 3 --fault crash@30.1+60:db1 --deploy 30:web2:shop --deploy 120:db2";
    let options = words.parse::<Options>().expect("these are options").like(shop());
    assert_eq!(options.check(), Ok(()));
    let outcome = simulate(&Options { surveys: true, ..options.clone() });
    assert_eq!(outcome.violations, []);
    assert_eq!(outcome, simulate(&Options { surveys: true, ..options.clone() }), "a seed is a seed");
    let end = outcome.surveys.last().expect("the end");
    let there = |name: &str| {
        let seen = end.members.iter().find(|seen| seen.name == name).expect("a member");
        seen.applications
            .iter()
            .map(|placed| (placed.name.as_str(), placed.there))
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(there("web2")["pics"], Some(1));
    assert_eq!(there("db1")["shop"], Some(3), "four of five voters are more than two thirds");
    for (words, why) in [
        ("--fault crash@30:m1", "no member \"m1\"; there are web1, web2"),
        ("--deploy 30:web1:blog", "no such application; there are pics, shop, soon"),
    ] {
        let refused = words.parse::<Options>().expect("options").like(shop()).check().expect_err(words);
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn what_is_too_large_is_made_smaller_and_that_is_said() {
    let mut large = shop();
    large.applications[1].extent = Some(Extent { items: 5_406, bytes: 40_000_000_000 });
    let mut world = World::new(Options { faults: false, ..Options::default() }.like(large.clone()));
    world.by_hand = true;
    likeness::found(&mut world, &large);
    assert_holds(&world);
    let mut state = world.reference.state().expect("there is an entity").clone();
    let settled = |state: &althing_protocol::state::State| {
        state.applications["shop"].settled().expect("settled").extent
    };
    assert_eq!(settled(&state), Extent { items: 200, bytes: 256_000_000 });
    let shop = state.applications.get_mut("shop").expect("an application");
    shop.revisions.last_mut().expect("settled").extent = Extent { items: 5_406, bytes: 40_000_000_000 };
    let again = Likeness::of(&state).expect("it can be simulated");
    let said = [
        "the 5406 items of shop: 200 are simulated",
        "the 40000000000 bytes of shop: 256000000 are simulated",
    ];
    assert_eq!(again.left_out, said);
    state.members.clear();
    assert!(Likeness::of(&state).is_err(), "nobody is no entity");
}
