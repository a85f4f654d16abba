//! The board: what is kept, compared and counted.

use quickcheck::quickcheck;

use super::*;
use crate::hash::Hash;
use crate::identity::Identity;
use crate::metrics::Report;
use crate::statement::{Envelope, Holds, Id16, Statement, Step, Vote};

const ALL: Compared = Compared::Everything;

fn statement(author: u8, sequence: u8, epoch: u8) -> Checked {
    let position = Position { incarnation: 1, sequence: u64::from(sequence) };
    let (epoch, parent) = (u64::from(epoch % 4), Hash::of(b"p"));
    let vote = Vote { epoch, round: 0, parent, step: Step::Prevote, value: None, relied: None };
    let statement =
        if epoch == 3 { Statement::Holds(Holds { epoch, head: parent }) } else { Statement::Vote(vote) };
    let envelope = Envelope { entity: Hash::of(b"e"), store: Id16([0; 16]), position, statement };
    Checked::sign(&Identity::from_seed([author % 3; 32]).simulated(), envelope)
}

fn board(said: &[(u8, u8, u8)]) -> Board {
    let mut board = Board::default();
    for (author, sequence, epoch) in said {
        board.insert(&statement(*author, *sequence, *epoch));
    }
    board
}

quickcheck! {
    fn one_exchange_makes_two_boards_equal(a: Vec<(u8, u8, u8)>, b: Vec<(u8, u8, u8)>) -> bool {
        // Distinct positions, as honest authors make them.
        let distinct = |said: Vec<(u8, u8, u8)>, odd: u8| -> Vec<(u8, u8, u8)> {
            said.into_iter().enumerate().map(|(at, (author, _, epoch))| (author, (at as u8 % 100) * 2 + odd, epoch)).collect()
        };
        let (mut a, mut b) = (board(&distinct(a, 0)), board(&distinct(b, 1)));
        let (push, want) = a.compare(&b.differing(&a.summary(ALL), ALL), ALL);
        let answer = b.at(&want);
        let take = |board: &mut Board, signed: Vec<Signed>| for signed in signed {
            let checked = Checked::check(signed, &Hash::of(b"e"), crate::identity::Scheme::SimulatedHash).expect("good");
            board.insert(&checked);
        };
        take(&mut b, push);
        take(&mut a, answer);
        a.knowledge() == b.knowledge() && a.summary(ALL) == b.summary(ALL) && b.differing(&a.summary(ALL), ALL).is_empty()
    }

    fn the_order_of_arrival_does_not_matter(said: Vec<(u8, u8, u8)>) -> bool {
        let said: Vec<(u8, u8, u8)> = said.into_iter().enumerate().map(|(at, (a, _, e))| (a, at as u8, e)).take(200).collect();
        let mut back = said.clone();
        back.reverse();
        board(&said).knowledge() == board(&back).knowledge()
    }
}

/// A report, or a vote as `statement` makes it.
fn said(author: u8, sequence: u8, kind: u8) -> Checked {
    if kind.is_multiple_of(3) {
        return statement(author, sequence, kind);
    }
    let position = Position { incarnation: 1, sequence: u64::from(sequence) };
    // Who is restored has another store.
    let (entity, store) = (Hash::of(b"e"), Id16([kind / 200; 16]));
    let report = Report { epoch: u64::from(sequence), ..Report::default() };
    let envelope = Envelope { entity, store, position, statement: Statement::Report(Box::new(report)) };
    Checked::sign(&Identity::from_seed([author % 3; 32]).simulated(), envelope)
}

quickcheck! {
    fn sums_are_those_of_what_is_there(all: Vec<(u8, u8, u8)>, kept: u8) -> bool {
        let mut board = Board::default();
        for (author, sequence, kind) in all {
            board.insert(&said(author, sequence, kind));
        }
        let counted = |board: &Board| {
            let sum = |report: bool| {
                let such = board.iter().filter(|checked| (checked.statement().slot() == Slot::Report) == report);
                such.fold(0, |sum: u64, checked| sum.wrapping_add(checked.sum()))
            };
            let total = board.summary(ALL).into_iter().fold(0, |sum: u64, (_, one)| sum.wrapping_add(one));
            (board.knowledge(), board.reports()) == (sum(false), sum(true))
                && total == sum(false).wrapping_add(sum(true))
                && board.lone.iter().all(|Lone(checked)| !board.authors.contains_key(checked.author_ref()))
        };
        let before = counted(&board);
        board.retain(|checked| checked.position().sequence % 4 != u64::from(kept % 4));
        before && counted(&board)
    }

    fn who_is_alone_is_kept_as_any_other(all: Vec<(u8, u8, u8)>) -> bool {
        // The same with a vote of everybody first, so that nobody is alone; then those are taken away.
        let (mut alone, mut others) = (Board::default(), Board::default());
        (0..3).for_each(|author| drop(others.insert(&statement(author, 0, 1))));
        let same = all.iter().all(|(author, sequence, kind)| {
            let checked = said(*author, sequence.saturating_add(1), *kind);
            let (one, other) = (alone.insert(&checked), others.insert(&checked));
            one == other
        });
        let is_first = |checked: &Checked| checked.position().sequence == 0;
        others.retain(|checked| !is_first(checked));
        let at = |board: &Board| board.iter().map(|checked| checked.signed().clone()).collect::<Vec<_>>();
        same && at(&alone) == at(&others) && alone.summary(ALL) == others.summary(ALL)
    }
}

/// A vote of its own epoch, so that none replaces another.
fn own_slot(sequence: u64) -> Checked {
    let position = Position { incarnation: 1, sequence };
    let (parent, step) = (Hash::of(b"p"), Step::Prevote);
    let vote = Vote { epoch: sequence, round: 0, parent, step, value: None, relied: None };
    let (entity, store) = (Hash::of(b"e"), Id16([0; 16]));
    let envelope = Envelope { entity, store, position, statement: Statement::Vote(vote) };
    Checked::sign(&Identity::from_seed([1; 32]).simulated(), envelope)
}

#[test]
fn who_says_too_much_is_kept_the_same_in_any_order() {
    let count = limits::STATEMENTS_PER_AUTHOR as u64 + 100;
    let all: Vec<Checked> = (1..=count).map(own_slot).collect();
    let (mut one, mut other) = (Board::default(), Board::default());
    all.iter().for_each(|checked| drop(one.insert(checked)));
    // The oldest last: they find no place any more.
    let taken: Vec<Taken> = all.iter().rev().map(|checked| other.insert(checked)).collect();
    assert_eq!(taken.iter().filter(|taken| **taken == Taken::Known).count(), 100);
    assert_eq!((one.summary(ALL), one.iter().count()), (other.summary(ALL), limits::STATEMENTS_PER_AUTHOR));
    one.retain(|_| false);
    assert_eq!((one.knowledge(), one.authors.values().map(|author| author.bytes).sum::<usize>()), (0, 0));
}

#[test]
fn large_statements_are_bounded_by_their_bytes() {
    let large = |sequence: u64| {
        let position = Position { incarnation: 1, sequence };
        let proposal = crate::statement::Proposal {
            epoch: 1,
            round: sequence as u32,
            parent: Hash::of(b"p"),
            record: vec![0; limits::RECORD_BYTES].into(),
            pol: Vec::new(),
        };
        let (entity, store, statement) = (Hash::of(b"e"), Id16([0; 16]), Statement::Proposal(proposal));
        let envelope = Envelope { entity, store, position, statement };
        Checked::sign(&Identity::from_seed([1; 32]).simulated(), envelope)
    };
    let mut board = Board::default();
    (1..=20).for_each(|sequence| drop(board.insert(&large(sequence))));
    let kept: Vec<u64> = board.iter().map(|checked| checked.position().sequence).collect();
    assert_eq!(kept, (18..=20).collect::<Vec<_>>());
}

#[test]
fn what_is_here_needs_no_look_at_its_signature_and_what_contradicts_it_does() {
    let mut board = Board::default();
    let held = own_slot(7);
    board.insert(&held);
    let read = |signed: Signed| Unverified::read(signed, &Hash::of(b"e")).expect("in form");
    assert!(board.has(&read(held.signed().clone())));
    assert!(!board.has(&read(own_slot(8).signed().clone())));
    let mut forged = held.signed().clone();
    forged.signature.0[0] ^= 1;
    assert!(!board.has(&read(forged)), "the same place, and not the same");
}

#[test]
fn one_position_with_two_contents_is_a_conflict() {
    let mut board = Board::default();
    let (a, b) = (statement(1, 5, 0), statement(1, 5, 0));
    assert_eq!(board.insert(&a), Taken::New);
    assert_eq!(board.insert(&b), Taken::Known);
    let position = Position { incarnation: 1, sequence: 5 };
    let vote = Vote { value: Some(Hash::of(b"x")), ..a.vote().expect("a vote").clone() };
    let envelope =
        Envelope { entity: Hash::of(b"e"), store: Id16([0; 16]), position, statement: Statement::Vote(vote) };
    let other = Checked::sign(&Identity::from_seed([1; 32]).simulated(), envelope);
    assert_eq!(board.insert(&other), Taken::Conflict(a));
}

fn overlay(members: usize) -> Overlay {
    let mut overlay = Overlay::default();
    overlay.set_members(members);
    for seed in 1..members {
        overlay.connected(Identity::from_seed([seed as u8; 32]).id());
    }
    overlay.refresh(&mut Rng::new([1; 32]));
    overlay
}

#[test]
fn where_everybody_is_connected_to_everybody_authors_push_to_all_and_nobody_passes_on() {
    let from = Identity::from_seed([1; 32]).id();
    let small = overlay(EVERYBODY);
    assert_eq!((small.push_to(None).len(), small.push_to(Some(&from)).len()), (EVERYBODY - 1, 0));
    assert!(small.announce_to(None).is_empty());
    let large = overlay(EVERYBODY + 1);
    assert_eq!((large.push_to(None).len(), large.announce_to(None).len()), (EAGER, LAZY));
}
