//! What gossip costs and how fast it is, in entities of up to forty members.

use super::*;

const LAN: (u64, u64) = (200, 1000);

fn at_rest(members: usize, lost: u64) -> Entity {
    let mut entity = Entity::new(Scale { members, lost, delay: LAN, seed: 3 });
    entity.run(20 * SECOND);
    entity
}

#[test]
fn members_at_rest_say_little_and_nobody_is_called_unreachable() {
    for members in [9, 40] {
        let mut entity = at_rest(members, 0);
        let before = entity.false_notices();
        let rest = entity.rest(60 * SECOND);
        assert!(rest.payload <= 60.0 && rest.wire <= 250.0, "{members}: {rest:?} {:?}", entity.kinds());
        assert_eq!(entity.false_notices() - before, 0, "{members}");
    }
}

#[test]
fn who_begins_at_rest_has_everybodys_report_and_says_no_more_than_who_started() {
    for members in [12, 40] {
        let mut entity = Entity::at_rest(Scale { members, lost: 0, delay: LAN, seed: 3 });
        entity.run(SECOND);
        let rest = entity.rest(30 * SECOND);
        let kinds: Vec<String> = entity.kinds().into_iter().map(|(kind, ..)| kind).collect();
        assert_eq!(kinds, ["Echo", "Puls"], "{members}: {rest:?} {:?}", entity.kinds());
        let started = at_rest(members, 0).rest(30 * SECOND);
        assert!((rest.messages - started.messages).abs() < 0.1, "{members}: {rest:?}, and {started:?}");
        for host in &entity.hosts {
            let seen = host.member.as_ref().and_then(Member::members).map(|seen| seen.members);
            assert!(
                seen.is_some_and(|seen| seen.iter().filter(|seen| seen.version.is_some()).count() == members)
            );
        }
        assert_eq!(entity.told, [], "{members}");
    }
}

#[test]
fn a_machine_that_dies_silently_is_known_to_all_within_five_seconds() {
    for members in [3, 9, 40] {
        let spread = at_rest(members, 0).crash(members - 1);
        assert!(spread.all.is_some_and(|all| all <= 5000), "{members}: {spread:?}");
    }
}

#[test]
fn loss_makes_nobody_unreachable_that_lives() {
    for lost in [50, 100, 200] {
        let mut entity = at_rest(40, lost);
        let before = entity.false_notices();
        entity.run(120 * SECOND);
        assert_eq!(entity.false_notices() - before, 0, "{lost} of a thousand lost");
    }
}

#[test]
fn whoever_starts_has_everybodys_report_within_a_second() {
    let mut entity = at_rest(40, 0);
    entity.kill(39);
    entity.run(10 * SECOND);
    let time = entity.newcomer(39);
    assert!(time.is_some_and(|time| time <= 1000), "{time:?}");
}

#[test]
fn what_is_settled_is_soon_known_to_those_that_do_not_vote() {
    let mut entity = at_rest(40, 0);
    let (_, known) = entity.settle(1);
    // Whoever missed the votes hears of it from a neighbour's next pulse, and asks for the chain.
    assert!(known.half <= 40 && known.all.is_some_and(|all| all <= 3500), "{known:?}");
}

/// Of how many members each knows that they have this epoch, on average, and the least.
fn known_epochs(entity: &Entity, epoch: u64) -> (usize, usize) {
    let known = entity.hosts.iter().filter_map(|host| {
        let seen = host.member.as_ref()?.members()?.members;
        Some(seen.iter().filter(|seen| seen.epoch == Some(epoch)).count())
    });
    let known: Vec<usize> = known.collect();
    (known.iter().sum::<usize>() / known.len().max(1), known.iter().copied().min().unwrap_or_default())
}

#[test]
fn a_new_epoch_is_told_by_each_of_many_at_its_own_time_and_known_of_all_in_the_end() {
    let mut entity = at_rest(100, 0);
    entity.under_way().forget();
    let (_, known) = entity.settle(1);
    assert!(known.all.is_some_and(|all| all <= 3500), "{known:?}");
    let epoch = entity.hosts[0].epoch;
    entity.run(SECOND);
    let (average, _) = known_epochs(&entity, epoch);
    assert!((9..30).contains(&average), "voters, and who drew a short time: {average}");
    // All tell it within ten seconds, and what passes it on gathers for a moment.
    let mut reports = Vec::new();
    for _ in 0..11 {
        entity.rest(SECOND);
        let pushed = entity.kinds().into_iter().find(|(kind, ..)| kind == "Push");
        reports.push(pushed.map_or(0, |(_, _, bytes)| bytes));
    }
    assert_eq!(known_epochs(&entity, epoch), (100, 100));
    // At once they would be 100 reports of more than 200 bytes to each of 100 members, and more than one copy.
    let most = reports.iter().max().copied().unwrap_or_default();
    assert!(most < reports.iter().sum::<u64>() / 4, "{reports:?}");
    assert!(entity.under_way().most() < 500_000, "{:?}", entity.under_way());
    let rest = entity.rest(20 * SECOND);
    let kinds: Vec<String> = entity.kinds().into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(kinds, ["Echo", "Puls"], "{rest:?}: all know the same");
}

#[test]
fn of_two_records_that_are_settled_in_a_row_a_member_of_many_tells_once() {
    let mut entity = at_rest(100, 0);
    entity.settle(1);
    entity.settle(2);
    let epoch = entity.hosts[0].epoch;
    assert_eq!(epoch, entity.hosts[99].epoch);
    let rest = entity.rest(15 * SECOND);
    assert_eq!(known_epochs(&entity, epoch), (100, 100));
    let pushed = entity.kinds().into_iter().find(|(kind, ..)| kind == "Push");
    let bytes = pushed.map_or(0, |(_, _, bytes)| bytes);
    // A report is about 230 bytes, and comes to a member some three times while links are not pruned yet.
    assert!(bytes < 100 * 100 * 230 * 4, "{bytes}, {rest:?}");
}
