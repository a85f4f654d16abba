//! Two votes of one member are found while another one is away: it is told when it is back, and nothing spins. Whoever
//! finds that its own key signed them tells it like anybody else.

use althing_protocol::control::Command;
use althing_protocol::effect::Input;
use althing_protocol::statement::{Checked, Envelope, Position, Signed, Statement, Step, Vote};
use althing_protocol::wire::Message;

use super::{answer, assert_holds, at_rest, deploy};
use crate::host::Standing;
use crate::world::{SECOND, World};

const LIAR: usize = 4;
const AWAY: usize = 3;

/// A precommit of the liar for the epoch that is being decided.
fn vote(world: &World, sequence: u64, value: Option<&[u8]>) -> Signed {
    let state = world.reference.state().expect("there is an entity");
    let parent = world.reference.head().expect("there is an entity").record;
    let store = state.member(&world.hosts[LIAR].id).expect("it is a member").store;
    let value = value.map(althing_protocol::hash::Hash::of);
    let vote = Vote { epoch: state.epoch + 1, round: 0, parent, step: Step::Precommit, value, relied: None };
    let position = Position { incarnation: 100, sequence };
    let statement = Statement::Vote(vote);
    let envelope = Envelope { entity: state.entity, store, position, statement };
    Checked::sign(&world.hosts[LIAR].identity, envelope).signed().clone()
}

fn votes(world: &World, at: usize) -> bool {
    world.hosts[at].member.as_ref().is_some_and(|member| member.may_vote())
}

#[test]
fn whoever_was_away_when_two_votes_were_found_is_told() {
    let mut world = at_rest(5);
    world.crash(LIAR, "and its key is in other hands");
    world.hosts[LIAR].liar = true;
    world.hosts[LIAR].spoil(Standing::PutBack);
    world.crash(AWAY, "for the story");
    let both = [vote(&world, 1, Some(b"one")), vote(&world, 2, None)];
    for at in 0..3 {
        let (from, bytes) = (world.hosts[LIAR].id, Message::Push(both.to_vec()).encode());
        world.give(at, Input::Received { from, bytes });
    }
    assert!((0..3).all(|at| !votes(&world, at)));
    // Nobody is kept busy by a round that nobody ends.
    let steps = world.steps;
    world.run(20 * SECOND);
    assert!(world.steps - steps < 20 * 5 * 60, "{} steps in 20 s", world.steps - steps);
    world.start(AWAY);
    assert!(world.run_until(20 * SECOND, |world| votes(world, AWAY)), "it knows of nothing yet");
    assert!(world.run_until(20 * SECOND, |world| !votes(world, AWAY)), "it was not told");
    assert_holds(&world);
    for at in 0..4 {
        answer(&mut world, at, Command::Resolve { keep: None }).expect("acknowledged");
    }
    let command = deploy(&mut world, AWAY);
    answer(&mut world, AWAY, command).expect("four of five are a majority");
}

#[test]
fn whoever_finds_two_votes_in_its_own_name_shows_them_and_that_is_no_vote_of_it() {
    let mut world = at_rest(5);
    world.hosts[LIAR].spoil(Standing::PutBack);
    // Only its own program hears both: its key was in other hands.
    let both = [vote(&world, 1, Some(b"one")), vote(&world, 2, None)];
    world.utter(0, LIAR, &Message::Push(both.to_vec()).encode());
    assert!(world.run_until(5 * SECOND, |world| !votes(world, LIAR)), "it goes on");
    assert!(world.run_until(20 * SECOND, |world| (0..4).all(|at| !votes(world, at))), "they were not told");
    assert_holds(&world);
    // What it signs itself is still looked at: this nobody has shown it.
    let other = vote(&world, 3, Some(b"two"));
    crate::invariants::sent(&mut world, LIAR, &Message::Push(vec![other]).encode());
    for clause in ["§5.5.3", "§5.5.9", "§5.5.11"] {
        assert!(world.violations.iter().any(|violation| violation.clause == clause), "{clause}");
    }
}
