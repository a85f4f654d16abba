//! Strangers at a member, and a newcomer at the addresses of its invitation: the final errors of a join (J13).

use super::*;
use crate::control::{Code, Outcome, Refusal};
use crate::invitation::{Invitation, Sponsor};
use crate::record::{Abilities, JoinRequest};

fn invitation(seed: u8) -> Identity {
    Identity::from_seed([100 + seed; 32]).simulated()
}

/// Settles a change with the votes of the others.
fn happens(lone: &mut Lone, change: Change) {
    let (link, _) = settle(lone.state(), lone.head(), change, &[2, 3]);
    lone.hear(2, Message::Chain(vec![link]));
}

fn invite(lone: &mut Lone, seed: u8) {
    let (key, expires) = (invitation(seed).id(), WallTime(1_000_000));
    happens(lone, Change::Invite { key, uses: 1, expires, note: String::new(), spare: false });
}

fn request(lone: &Lone, seed: u8, with: u8, clock: u64) -> JoinRequest {
    let newcomer = Newcomer {
        member: id(seed),
        store: Id16([seed; 16]),
        name: format!("m{seed}"),
        address: address(seed.into()),
    };
    let abilities = Abilities::of(PROTOCOL).at(WallTime(clock));
    JoinRequest::sign_as(abilities, lone.state().entity, newcomer, &invitation(with), &key(seed))
}

fn asks(lone: &mut Lone, request: &JoinRequest) {
    lone.give(Input::JoinAsked { ticket: 1, bytes: codec::encode(request) });
}

fn refused(lone: &mut Lone) -> Refusal {
    match lone.answers.pop() {
        Some(Answer::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

/// Who comes with this invitation is told so.
fn told(lone: &mut Lone, with: u8) -> (Code, String) {
    let request = request(lone, 8, with, 0);
    asks(lone, &request);
    let refusal = refused(lone);
    assert!(!refusal.remedies.is_empty(), "{refusal:?}");
    (refusal.code, refusal.message)
}

fn tells_what_it_knows(lone: &mut Lone) {
    let (code, text) = told(lone, 1);
    assert_eq!(code, Code::InvitationUsed);
    assert!(text.contains("the last time by m7 at 1970-01-01T00:00:00.001Z"), "{text}");
    let (code, text) = told(lone, 2);
    assert_eq!(code, Code::InvitationRevoked);
    assert!(text.contains("revoked by ada on m2 at 1970-01-01T00:00:00.001Z"), "{text}");
    let (code, text) = told(lone, 3);
    assert_eq!(code, Code::InvitationUsed);
    assert!(text.contains("m1 does not know which"), "{text}");
}

/// Invitation 1 let member 7 in, 2 was revoked.
fn busy() -> Lone {
    let mut lone = Lone::voting();
    invite(&mut lone, 1);
    let admitted = request(&lone, 7, 1, 0);
    happens(&mut lone, Change::Admit(admitted));
    invite(&mut lone, 2);
    happens(&mut lone, Change::Revoke { key: invitation(2).id() });
    assert_eq!(lone.state().epoch, 4);
    lone
}

#[test]
fn what_became_of_an_invitation_is_said_as_far_as_it_is_known() {
    let mut lone = busy();
    tells_what_it_knows(&mut lone);
    // Whoever was let in and missed the answer has it again.
    let again = request(&lone, 7, 1, 0);
    asks(&mut lone, &again);
    assert!(matches!(lone.answers.pop(), Some(Answer::Welcome(_))));

    // After a start from the links on the disk.
    let mut again = Lone::start(lone.disk.clone());
    again.meet();
    tells_what_it_knows(&mut again);

    // Without them it does not know, and says so.
    let without = lone.disk.into_iter().filter(|((family, _), _)| *family != Family::Chain).collect();
    let mut forgetful = Lone::start(without);
    forgetful.meet();
    for with in [1, 2] {
        let (code, text) = told(&mut forgetful, with);
        assert_eq!(code, Code::InvitationUsed);
        assert!(text.contains("was revoked, or is not of this entity: m1 does not know which"), "{text}");
    }
}

#[test]
fn who_does_not_have_the_secret_learns_nothing_of_the_invitation() {
    let mut lone = busy();
    let mut stolen = request(&lone, 8, 3, 0);
    stolen.invitation = invitation(2).id();
    asks(&mut lone, &stolen);
    let refusal = refused(&mut lone);
    assert_eq!(refusal.code, Code::InvitationUsed);
    assert!(!refusal.message.contains("ada"), "{refusal}");
}

#[test]
fn an_invitation_that_is_over_says_when_and_by_which_clock() {
    let mut lone = Lone::voting();
    invite(&mut lone, 1);
    lone.mono = 1_000_000;
    let request = request(&lone, 7, 1, 0);
    asks(&mut lone, &request);
    let refusal = refused(&mut lone);
    assert_eq!(refusal.code, Code::InvitationExpired);
    let text = "over at 1970-01-01T00:16:40.000Z, by the clock of m1, which says 1970-01-01T00:16:40.000Z";
    assert!(refusal.message.contains(text), "{refusal}");
}

#[test]
fn clocks_that_differ_by_more_than_five_minutes_are_no_good() {
    let mut lone = Lone::voting();
    invite(&mut lone, 1);
    let now = lone.mono;
    let ahead = request(&lone, 7, 1, now + 7 * 60_000 + 500);
    asks(&mut lone, &ahead);
    let refusal = refused(&mut lone);
    assert_eq!(refusal.code, Code::ClocksDiffer);
    let text = "this machine's clock is 7 min ahead of that of m1, and they may differ by 5 min";
    assert_eq!(refusal.message, text);
    assert_eq!(lone.member.status().expect("in an entity").joining, []);

    let near = request(&lone, 7, 1, now + 5 * 60_000);
    asks(&mut lone, &near);
    assert!(lone.answers.is_empty(), "{:?}", lone.answers);
    let joining = lone.member.status().expect("in an entity").joining;
    let shown: Vec<_> = joining.iter().map(|one| (one.name.as_str(), one.stage.as_str())).collect();
    assert_eq!(shown, [("m7", "asks")]);
}

#[test]
fn without_a_majority_nobody_is_let_in_and_a_start_waits_before_it_says_so() {
    let mut voting = Lone::voting();
    invite(&mut voting, 1);
    let mut lone = Lone::start(voting.disk);
    let request = request(&lone, 7, 1, 0);
    asks(&mut lone, &request);
    assert!(lone.answers.is_empty(), "{:?}", lone.answers);
    lone.pass(crate::liveness::SILENCE.0 + 1);
    let refusal = refused(&mut lone);
    assert_eq!(refusal.code, Code::NotAdmitted);
    assert!(refusal.message.contains("m1 has no majority to let this machine in: 1 of 3"), "{refusal}");
}

#[test]
fn a_majority_that_is_lost_while_a_stranger_waits_is_said() {
    let mut lone = Lone::voting();
    invite(&mut lone, 1);
    let request = request(&lone, 7, 1, 0);
    asks(&mut lone, &request);
    // In steps: whoever is not stepped for long takes it that it stood still itself.
    (0..14).for_each(|_| lone.pass(500));
    assert!(!lone.member.status().expect("in an entity").view.majority_reachable);
    assert!(lone.answers.is_empty(), "it may come back: {:?}", lone.answers);
    (0..6).for_each(|_| lone.pass(500));
    let refusal = refused(&mut lone);
    assert_eq!(refusal.code, Code::NotAdmitted);
    assert!(refusal.message.contains("lost while this was voted on"), "{refusal}");
    assert_eq!(lone.member.status().expect("in an entity").joining, []);
}

/// The founder lost its disk and was let in again by somebody who is not in the genesis: an answer that is lost is asked
/// for again.
#[test]
fn a_newcomer_goes_on_asking_who_let_it_in_as_long_as_the_chain_does_not_name_it() {
    let genesis = genesis();
    let state = State::genesis(&genesis);
    let record = genesis.id();
    let head = Head { trail: Trail::begin(&state, record), state, record };
    let life = Life { store: Id16([9; 16]), incarnation: 0, reserved: 0 };
    let who = invitation(5).id();
    let sponsor = Some(Sponsor { member: who, address: address(5) });
    let beginning = Beginning { sponsor, ..Beginning::of(genesis) };
    let mut disk = BTreeMap::new();
    for write in [saved::put_life(&life), saved::put_head(&head), saved::put_beginning(&beginning)] {
        disk.insert((write.family, write.key), write.value.expect("a value"));
    }
    let mut lone = Lone::start(disk);
    let asked = |lone: &mut Lone| {
        lone.pass(3_000);
        let sent = std::mem::take(&mut lone.sent);
        sent.iter().filter(|(to, message)| *to == who && matches!(message, Message::Beat(_))).count()
    };
    assert_eq!(asked(&mut lone), 0, "nobody is there");
    lone.give(Input::Connected(who));
    for _ in 0..3 {
        assert!(asked(&mut lone) > 0);
    }
    lone.give(Input::Disconnected(who));
    assert_eq!(asked(&mut lone), 0);
}

/// A machine in no entity, which joins with an invitation that names three addresses.
fn outsider(expires: u64) -> Lone {
    let mut lone = Lone::start(BTreeMap::new());
    let addresses = [1, 2, 3].map(|port| address(port).control).to_vec();
    let (entity, succeeds, checkpoint) = (Hash::of(b"x"), None, None);
    let (secret, expires) = ([7; 16], WallTime(expires));
    let text = Invitation { entity, secret, expires, addresses, succeeds, protocol: 2, checkpoint }.encode();
    let command = Command::Join { invitation: text, member: "m7".into(), address: address(7) };
    lone.give(Input::Requested { request: 1, by: "ada".into(), command });
    assert!(lone.replies.is_empty(), "{:?}", lone.replies);
    lone
}

fn answers(lone: &mut Lone, answer: Result<Answer, &str>) {
    let (join, _) = *lone.joins.last().expect("somebody was asked");
    let answer = answer.map(|answer| codec::encode(&answer)).map_err(str::to_owned);
    lone.give(Input::JoinAnswered { join, answer });
}

fn says(code: Code) -> Result<Answer, &'static str> {
    Ok(Answer::Refused(Refusal::new(code, "no")))
}

fn replied(lone: &mut Lone) -> Refusal {
    assert_eq!(lone.replies.len(), 1, "{:?}", lone.replies);
    lone.replies.remove(0).map(|outcome: Outcome| panic!("{outcome:?}")).expect_err("refused")
}

#[test]
fn a_newcomer_asks_one_address_after_the_other_and_says_what_each_said() {
    let mut lone = outsider(1_000_000);
    assert!(lone.member.joining().is_some_and(|text| text.contains("10.0.0.1:1 was asked")));
    answers(&mut lone, Err("refused"));
    answers(&mut lone, says(Code::NotAdmitted));
    // What comes late of an earlier one is of no matter.
    let (first, _) = lone.joins[0];
    lone.give(Input::JoinAnswered { join: first, answer: Err("late".into()) });
    assert!(lone.replies.is_empty());
    answers(&mut lone, Err("no answer"));
    let asked: Vec<u16> = lone.joins.iter().map(|(_, address)| address.control.port()).collect();
    assert_eq!(asked, [1, 2, 3]);
    let refusal = replied(&mut lone);
    assert_eq!(refusal.code, Code::NotAdmitted);
    let facts = [("10.0.0.1:1", "refused"), ("10.0.0.1:2", "no"), ("10.0.0.1:3", "no answer")];
    let facts = facts.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(refusal.facts, facts);
    assert_eq!(lone.member.joining(), None);
}

#[test]
fn what_is_final_ends_a_join_at_once() {
    for code in [Code::InvitationUsed, Code::InvitationRevoked, Code::ClocksDiffer, Code::NameTaken] {
        let mut lone = outsider(1_000_000);
        answers(&mut lone, says(code));
        assert_eq!((replied(&mut lone).code, lone.joins.len()), (code, 1));
    }
}

#[test]
fn where_nobody_answers_the_own_clock_says_whether_the_invitation_is_over() {
    for (expires, code) in [(1_000_000, Code::NoAnswer), (1_000, Code::InvitationExpired)] {
        let mut lone = outsider(expires);
        lone.pass(5_000);
        (0..3).for_each(|_| answers(&mut lone, Err("refused")));
        let refusal = replied(&mut lone);
        assert_eq!(refusal.code, code);
        assert!(refusal.facts.contains(&("10.0.0.1:3".to_owned(), "refused".to_owned())), "{refusal:?}");
        assert_eq!(refusal.message.contains("by the clock of this machine"), code == Code::InvitationExpired);
    }
}

#[test]
fn a_second_join_ends_the_first_which_is_told() {
    let mut lone = outsider(1_000_000);
    let first = lone.joins[0].0;
    let (addresses, expires) = (vec![address(9).control], WallTime(1_000_000));
    let entity = Hash::of(b"y");
    let other = Invitation {
        entity,
        secret: [8; 16],
        expires,
        addresses,
        succeeds: None,
        protocol: 2,
        checkpoint: None,
    };
    let command = Command::Join { invitation: other.encode(), member: "m7".into(), address: address(7) };
    lone.give(Input::Requested { request: 2, by: "ada".into(), command });
    assert!(replied(&mut lone).message.contains("another join was begun"));
    lone.give(Input::JoinAnswered { join: first, answer: Err("late".into()) });
    assert!(lone.replies.is_empty(), "the second one goes on");
    answers(&mut lone, Err("refused"));
    assert_eq!(replied(&mut lone).code, Code::NoAnswer);
}

#[test]
fn an_intent_that_can_never_be_settled_is_in_the_way_of_no_other() {
    let mut lone = Lone::voting();
    invite(&mut lone, 1);
    invite(&mut lone, 2);
    let revoke = |of: u8| Change::Revoke { key: invitation(of).id() };
    let originate = |lone: &mut Lone, change: Change| {
        let Member { core, entity, .. } = &mut lone.member;
        entity.as_mut().expect("in an entity").originate_once(core, change);
    };
    let intents = |lone: &Lone| {
        let entity = lone.member.entity.as_ref().expect("in an entity");
        entity.board.of(&id(1)).filter(|checked| checked.intent().is_some()).count()
    };
    originate(&mut lone, revoke(1));
    originate(&mut lone, revoke(2));
    assert_eq!(intents(&lone), 1, "one of a kind at a time");
    // Somebody else's is settled: the own one asks for what cannot be any more.
    happens(&mut lone, revoke(1));
    originate(&mut lone, revoke(2));
    assert_eq!(intents(&lone), 2);
}
