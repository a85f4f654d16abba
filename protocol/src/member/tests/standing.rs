//! A store that is not what others know of it, and a key that two machines have.

use super::*;
use crate::control::Code;
use crate::record::Readmission;

fn request(state: &State, who: u8, store: u8, port: u16) -> Readmission {
    let replaced = state.member(&id(who)).expect("in the roster").store;
    Readmission::sign(state.entity, replaced, Id16([store; 16]), address(port), &key(who))
}

/// The newest request that the member sent.
fn asked(lone: &Lone) -> Option<Readmission> {
    lone.sent.iter().rev().find_map(|(_, message)| match message {
        Message::Readmission(request) => Some(*request),
        _ => None,
    })
}

/// Something signed with the member's key and store that it never said.
fn twin(lone: &Lone) -> Message {
    let holds = Statement::Holds(Holds { epoch: 0, head: lone.head() });
    Message::Push(vec![said(lone.state().entity, 1, (7, 1), holds)])
}

#[test]
fn a_twin_is_found_out_by_what_it_says() {
    let mut lone = Lone::voting();
    let old = lone.member.core.life.store;
    let twin = twin(&lone);
    lone.hear(2, twin.clone());
    assert!(!lone.member.may_vote());
    assert_eq!(lone.told("store.burnt"), 1);
    let fresh = lone.member.core.life.store;
    assert_ne!(old, fresh, "it speaks from a new store, if at all");
    let request = asked(&lone).expect("it asks at once");
    assert_eq!((request.replaced, request.store), (old, fresh));
    // The same again, and a start: the new store stays, and is still not the admitted one.
    lone.hear(2, twin);
    let mut lone = Lone::start(lone.disk);
    assert_eq!(lone.member.core.life.store, fresh);
    lone.meet();
    assert!(!lone.member.may_vote());
    assert_eq!(lone.member.deputies().len(), 2, "others can settle its re-admission");
    // Re-admitted by the others, it is a learner and says that it has caught up.
    let (link, next) = settle(lone.state(), lone.head(), Change::Readmit(request), &[2, 3]);
    lone.hear(2, Message::Chain(vec![link]));
    assert_eq!((lone.state(), lone.told("member.readmitted")), (&next, 1));
    assert!(!lone.member.may_vote(), "it does not vote in the epoch that re-admits it");
    let holds = |checked: &Checked| matches!(checked.statement(), Statement::Holds(_));
    let entity = lone.member.entity.as_ref().expect("in an entity");
    assert!(entity.board.of(&id(1)).any(holds));
}

#[test]
fn a_twin_is_found_out_by_a_vote_of_an_earlier_life_that_is_not_promised() {
    let mut lone = Lone::voting();
    let vote = |lone: &Lone, value: &[u8]| {
        let (parent, value) = (lone.head(), Some(Hash::of(value)));
        let vote = Vote { epoch: 1, round: 0, parent, step: Step::Prevote, value, relied: None };
        said(lone.state().entity, 1, (0, 5), Statement::Vote(vote))
    };
    let twin = vote(&lone, b"x");
    lone.hear(2, Message::Push(vec![twin]));
    assert_eq!(lone.told("store.burnt"), 1);
    assert!(!lone.member.may_vote());
}

#[test]
fn what_it_said_itself_is_no_twin() {
    let mut lone = Lone::voting();
    let holds = Statement::Holds(Holds { epoch: 0, head: lone.head() });
    let entity = lone.state().entity;
    lone.hear(2, Message::Push(vec![said(entity, 1, (0, 5), holds.clone())]));
    assert!(lone.member.may_vote(), "an earlier life");
    // A signature that does not hold proves nothing.
    let mut forged = said(entity, 2, (7, 1), holds);
    forged.author = id(1);
    lone.hear(2, Message::Push(vec![forged]));
    assert!(lone.member.may_vote());
}

#[test]
fn a_rival_with_the_same_key_makes_both_mute() {
    let mut lone = Lone::voting();
    let rival = request(lone.state(), 1, 77, 700);
    lone.hear(2, Message::Readmission(rival));
    assert!(!lone.member.may_vote());
    assert_eq!((lone.told("store.burnt"), lone.told("member.doubled")), (1, 1));
    // A request that somebody made up does nothing.
    let mut other = Lone::voting();
    let forged = Readmission { signature: request(other.state(), 2, 77, 700).signature, ..rival };
    other.hear(2, Message::Readmission(forged));
    assert!(other.member.may_vote());
}

#[test]
fn a_copy_of_what_was_replaced_takes_a_new_store_with_the_record_that_says_so() {
    let mut lone = Lone::voting();
    let old = lone.member.core.life.store;
    let request = request(lone.state(), 1, 55, 1);
    let (link, _) = settle(lone.state(), lone.head(), Change::Readmit(request), &[2, 3]);
    lone.hear(2, Message::Chain(vec![link]));
    let store = lone.member.core.life.store;
    assert!(store != old && store != Id16([55; 16]), "neither the old nor that of the other copy");
    assert!(!lone.member.may_vote());
    assert_eq!(Lone::start(lone.disk).member.core.life.store, store);
}

#[test]
fn requests_are_heeded_while_they_are_repeated_and_are_one() {
    let mut lone = Lone::voting();
    let readmit = || Command::Readmit { member: "m3".into() };
    assert_eq!(lone.ask(readmit()).expect_err("it has not asked").code, Code::NoRequest);
    let first = request(lone.state(), 3, 33, 3);
    lone.hear(3, Message::Readmission(first));
    let passed =
        |(to, message): &(MemberId, Message)| *to == id(2) && *message == Message::Readmission(first);
    assert!(lone.sent.iter().any(passed), "others need no connection to it");
    assert_eq!(lone.told("member.burnt"), 1);
    // Whoever is connected under its key sees what was asked in its name: it may be another machine.
    lone.sent.clear();
    lone.hear(2, Message::Readmission(first));
    lone.give(Input::Connected(id(3)));
    let shown =
        |(to, message): &&(MemberId, Message)| *to == id(3) && *message == Message::Readmission(first);
    assert_eq!(lone.sent.iter().filter(shown).count(), 2);
    // Its connection may have become that of another machine meanwhile: it is shown again, while it is heeded.
    lone.sent.clear();
    lone.pass(4_000);
    assert_eq!(lone.sent.iter().filter(shown).count(), 1);
    // A second machine with the same key: nobody is re-admitted until one is stopped.
    lone.hear(3, Message::Readmission(request(lone.state(), 3, 34, 30)));
    assert_eq!(lone.told("member.doubled"), 1);
    assert_eq!(lone.ask(readmit()).expect_err("two machines").code, Code::Doubled);
    // One falls silent.
    lone.pass(8_000);
    lone.hear(3, Message::Readmission(first));
    lone.pass(8_000);
    lone.hear(
        2,
        Message::Beat(crate::wire::Beat { epoch: 0, head: lone.head().low(), knowledge: 0, round: 0 }),
    );
    lone.replies.clear();
    lone.give(Input::Requested { request: 1, by: "ada".into(), command: readmit() });
    assert_eq!(lone.replies, [], "under way");
    // And the other, too.
    let mut lone = Lone::voting();
    lone.hear(3, Message::Readmission(first));
    lone.pass(13_000);
    assert_eq!(lone.ask(readmit()).expect_err("long ago").code, Code::NoRequest);
}

#[test]
fn of_a_store_that_is_not_the_admitted_one_nothing_is_said() {
    let mut lone = Lone::voting();
    let answers =
        |lone: &Lone| lone.sent.iter().filter(|(_, message)| matches!(message, Message::Highest(_))).count();
    lone.hear(2, Message::AskHighest(Id16([2; 16]), 4));
    assert_eq!(answers(&lone), 1);
    lone.hear(2, Message::AskHighest(Id16([22; 16]), 4));
    assert_eq!(answers(&lone), 1);
}

#[test]
fn a_settled_record_shows_what_this_store_signed_and_does_not_know() {
    // Nobody remembers anything of it, and the chain does: its vote of a later life is in a certificate.
    let mut lone = Lone::voting();
    let old = lone.member.core.life.store;
    let (link, next) = link(lone.state(), lone.head(), "a", &[1, 2]);
    lone.hear(2, Message::Chain(vec![link]));
    assert_eq!((lone.state(), lone.told("store.burnt")), (&next, 1));
    let store = lone.member.core.life.store;
    assert_ne!(store, old);
    assert!(!lone.member.may_vote());
    assert_eq!(Lone::start(lone.disk).member.core.life.store, store, "durable with the record");
}

#[test]
fn a_settled_record_with_what_it_knows_that_it_signed_burns_nothing() {
    let mut lone = Lone::voting();
    let (mut link, next) = link(lone.state(), lone.head(), "a", &[1, 2]);
    let vote = Checked::check(link.certificate.votes[0].clone(), &lone.state().entity, key(1).scheme());
    let statement = vote.expect("signed").statement().clone();
    let said_before = (lone.member.core.life.incarnation, lone.member.core.sequence);
    link.certificate.votes[0] = said(lone.state().entity, 1, said_before, statement);
    lone.hear(2, Message::Chain(vec![link]));
    assert_eq!((lone.state(), lone.told("store.burnt")), (&next, 0));
    assert!(lone.member.may_vote());
}

#[test]
fn who_answered_and_left_since_does_not_end_the_silence() {
    let mut head = three();
    let mut fourth = head.state.member(&id(3)).expect("it is there").clone();
    (fourth.id, fourth.store, fourth.name) = (id(4), Id16([4; 16]), "m4".into());
    fourth.addresses = vec![address(4)];
    head.state.members.push(fourth);
    head.trail = Trail::begin(&head.state, head.record);
    let mut lone = Lone::of(&head);
    [2, 3, 4].into_iter().for_each(|seed| lone.give(Input::Connected(id(seed))));
    lone.pass(1_100);
    let incarnation = lone.member.core.life.incarnation;
    let nothing = || Message::Highest(crate::wire::Highest { incarnation, said: Vec::new() });
    lone.hear(4, nothing());
    assert!(!lone.member.may_vote(), "three of four settle");

    let (link, _) = settle(lone.state(), lone.head(), Change::Remove { member: id(4) }, &[2, 3, 4]);
    lone.hear(2, Message::Chain(vec![link]));
    lone.pass(1_100);
    assert_eq!((lone.state().epoch, lone.state().quorum()), (1, 2));
    assert!(!lone.member.may_vote(), "nobody of those that are left has said what it knows");
    lone.hear(2, nothing());
    lone.pass(1_100);
    assert!(lone.member.may_vote());
}

/// Whoever is back in an entity that was begun anew, by an old disk, hears of a longer chain before it hears why.
#[test]
fn the_chain_of_another_entity_is_no_record_without_its_certificate() {
    let mut lone = Lone::voting();
    let mut other = three();
    (other.state.entity, other.record) = (Hash::of(b"other"), Hash::of(b"its genesis"));
    let (theirs, _) = link(&other.state, other.record, "a", &[2, 3]);
    lone.hear(2, Message::Chain(vec![theirs]));
    assert_eq!((lone.state().epoch, lone.told("peer.misbehaves")), (0, 0));

    let (mut ours, _) = link(lone.state(), lone.head(), "a", &[2, 3]);
    ours.certificate.votes.pop();
    lone.hear(2, Message::Chain(vec![ours]));
    assert_eq!((lone.state().epoch, lone.told("peer.misbehaves")), (0, 1));
}

/// Finding 10, when all lose power: whoever follows is shown why it may.
#[test]
fn what_brought_it_into_its_round_is_shown_after_a_start() {
    let mut lone = Lone::voting();
    let (entity, parent) = (lone.state().entity, lone.head());
    let nil = Vote { epoch: 1, round: 0, parent, step: Step::Precommit, value: None, relied: None };
    let nils = [2, 3].map(|by| said(entity, by, (1, 1), Statement::Vote(nil.clone())));
    lone.hear(2, Message::Push(nils.to_vec()));
    lone.pass(400);
    let promise = lone.member.promise().expect("it votes").clone();
    assert_eq!((promise.round, &promise.precommits), (1, &BTreeMap::new()), "it has no vote to show");

    let mut lone = Lone::start(lone.disk);
    let shown = |lone: &Lone| {
        let board = &lone.member.entity.as_ref().expect("in an entity").board;
        nils.iter().filter(|nil| board.iter().any(|it| it.signed() == *nil)).count()
    };
    // Of it nothing is its own: it may be shown, and remind its author, before the silence is over.
    assert_eq!((shown(&lone), lone.member.may_vote()), (2, false));
    lone.give(Input::Connected(id(2)));
    lone.hear(2, Message::AskHighest(Id16([2; 16]), 2));
    let reminded = |message: &Message| matches!(message, Message::Highest(it) if it.said.contains(&nils[0]));
    assert!(lone.sent.iter().any(|(to, message)| *to == id(2) && reminded(message)));
    lone.meet();
    assert_eq!((shown(&lone), lone.member.promise().map(|promise| promise.round)), (2, Some(1)));

    // An earlier program takes it for a record that leads nowhere. What is settled needs it no more.
    let saved = |lone: &Lone, key: &[u8]| lone.disk.get(&(Family::Votes, key.to_vec())).cloned();
    let entry = saved(&lone, b"entry").expect("kept");
    assert!(Record::decode(&saved::read_record(&entry).expect("in the form of one")).is_err());
    let mut other = Lone::start(lone.disk.clone());
    let (link, _) = link(other.state(), other.head(), "a", &[2, 3]);
    other.give(Input::Connected(id(2)));
    other.hear(2, Message::Chain(vec![link]));
    assert_eq!((other.state().epoch, saved(&other, b"entry")), (1, None));

    // With another store the promise is gone, and with it what it rested on.
    let twin = twin(&lone);
    lone.hear(2, twin);
    assert_eq!((saved(&lone, b"promise"), saved(&lone, b"entry")), (None, None));
}
