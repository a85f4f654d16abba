//! Faults and deployments that somebody asks for by time and name happen then and there, for so long, and nothing else does.

use crate::timeline::{Entry, Outcome};
use crate::{Options, simulate};

fn run(words: &str) -> Outcome {
    let options: Options = words.parse().expect("these are options");
    let outcome = simulate(&Options { surveys: true, ..options });
    assert_eq!(outcome.violations, [], "{words}");
    outcome
}

/// Seconds since the beginning at which something was told, by whom.
fn told<'a>(outcome: &'a Outcome, text: &str) -> Vec<(f64, &'a str)> {
    let such = |entry: &&Entry| entry.seconds >= outcome.begun && entry.text.contains(text);
    let at = |entry: &'a Entry| ((entry.seconds - outcome.begun).round(), entry.host.as_str());
    outcome.timeline.iter().filter(such).map(at).collect()
}

#[test]
fn a_partition_parts_those_that_are_named_and_is_healed_when_it_was_said() {
    let outcome = run("--seed 2 --members 5 --minutes 3 --fault partition@20.5+60:m5,m4 --deploy 40:m2");
    assert_eq!(told(&outcome, "are cut off"), [(21.0, "")]);
    assert!(told(&outcome, "m5 m4 are cut off").len() == 1, "exactly these");
    assert_eq!(told(&outcome, "the network is whole again"), [(81.0, "")]);
    let apart = outcome.surveys.iter().find(|survey| survey.when.contains("network")).expect("it was healed");
    let majority: Vec<bool> = apart.members.iter().map(|seen| seen.majority).collect();
    assert_eq!(majority, [true, true, true, false, false]);
    assert_eq!(told(&outcome, "is asked"), [(40.0, "m2")], "administrators do nothing else");
}

#[test]
fn a_crash_strikes_each_host_that_is_named_and_it_starts_when_it_was_said() {
    let outcome =
        run("--seed 3 --members 5 --minutes 2 --fault crash@30+45:m2,m3 --deploy 60:m2 --deploy 100:m2");
    assert_eq!(told(&outcome, "crashes"), [(30.0, "m2"), (30.0, "m3")]);
    assert_eq!(outcome.crashes, 2);
    assert_eq!(told(&outcome, "nobody answers"), [(60.0, "m2")], "it is down then");
    assert_eq!(told(&outcome, "is asked"), [(100.0, "m2")], "and up again then");
    let end = outcome.surveys.last().expect("the end");
    assert!(end.members.iter().all(|seen| seen.runs && seen.applications[0].there == Some(2)), "{end:?}");
}

#[test]
fn a_link_is_that_of_the_two_that_are_named() {
    let outcome = run("--seed 4 --members 4 --minutes 2 --fault flap@30:m3,m1");
    assert!(told(&outcome, "the link of m3 and m1 flaps").len() == 1);
}

#[test]
fn a_second_cut_is_told_to_be_none() {
    let outcome =
        run("--seed 4 --members 4 --minutes 2 --fault partition@30+60:m3 --fault partition@40+5:m2");
    assert_eq!(told(&outcome, "something is").len(), 1);
    assert_eq!(told(&outcome, "the network is whole again"), [(90.0, "")]);
}

#[test]
fn what_is_said_again_goes_from_the_first_that_is_named_to_the_second() {
    let outcome = run("--seed 4 --members 4 --minutes 2 --fault old-chain@30:m3,m1 --fault old-chain@60:m2");
    assert_eq!(told(&outcome, "old-chain at m3 m1 strikes"), [(30.0, "")]);
    assert_eq!(told(&outcome, "old-chain at m2 strikes"), [(60.0, "")], "the other end is any");
    assert_eq!(outcome.sometimes.get("old certificates were sent again"), Some(&2));
}

#[test]
fn those_that_are_named_are_clogged_and_nobody_else() {
    let outcome = run("--seed 4 --members 5 --minutes 2 --fault swizzle@30:m5,m2");
    assert_eq!(told(&outcome, "m5 m2 are clogged"), [(30.0, "")]);
}

#[test]
fn who_asks_for_an_upgrade_has_programs_that_can_be_upgraded() {
    let outcome =
        run("--seed 2 --members 4 --minutes 3 --fault upgrade@30 --fault upgrade@60 --fault upgrade@90");
    let upgrades = told(&outcome, "to run another program").len();
    assert!(upgrades > 0 && outcome.sometimes.contains_key("a program was upgraded"), "{outcome:?}");
}

#[test]
fn what_cannot_strike_is_told() {
    let outcome = run("--seed 4 --members 4 --minutes 2 --fault crash@30+60:m3 --fault pause@40:m3");
    assert_eq!(told(&outcome, "pause at m3 is asked for, and cannot strike now"), [(40.0, "")]);
}

#[test]
fn an_image_is_taken_of_the_disk_that_is_named_and_put_back_there() {
    let outcome = run("--seed 4 --members 5 --minutes 4 --fault old-disk@30:m3 --fault old-disk@90:m3");
    assert_eq!(told(&outcome, "an image of its disk is taken"), [(30.0, "m3")]);
    assert_eq!(told(&outcome, "an old image of its disk is put back"), [(90.0, "m3")]);
}

/// From 33 on statements are passed on over an overlay, and all that join say something to all.
#[test]
fn more_members_than_push_to_everybody_come_together_and_live() {
    let outcome = run("--seed 2 --members 36 --minutes 0.5 --deploy 10:m2 --fault alone@5+20:m18");
    let whole = told(&outcome, "the network is whole again");
    let applied = told(&outcome, "revision.applied");
    assert!(whole == [(25.0, "")] && applied.iter().any(|(at, host)| *at >= 25.0 && *host == "m18"));
}
