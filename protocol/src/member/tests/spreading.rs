//! How reports go on in an entity of more members than each is connected to.

use super::*;

const MEMBERS: u8 = 40;
const CONNECTED: std::ops::RangeInclusive<u8> = 2..=13;

/// Member 1 of forty, of whom three vote, connected to twelve.
fn many() -> Lone {
    let mut head = three();
    head.state.members.extend((4..=MEMBERS).map(|seed| crate::state::Member {
        id: id(seed),
        store: Id16([seed; 16]),
        name: format!("m{seed}"),
        role: Role::Follower,
        addresses: vec![address(seed.into())],
        since: 0,
        service: crate::state::Service::In,
        labels: BTreeMap::new(),
    }));
    head.trail = Trail::begin(&head.state, head.record);
    let mut many = Lone::of(&head);
    CONNECTED.for_each(|seed| many.give(Input::Connected(id(seed))));
    // With its next heartbeats it chooses whom it pushes to. It says nothing itself: it votes, and nobody has told it
    // what it has said.
    (0..4).for_each(|_| many.pass(250));
    many.sent.clear();
    many
}

fn report(many: &Lone, by: u8) -> Signed {
    said(many.state().entity, by, (1, 1), Statement::Report(Box::default()))
}

/// Who was pushed what, by the authors.
fn pushed(many: &Lone) -> BTreeMap<MemberId, Vec<Vec<MemberId>>> {
    let mut pushed: BTreeMap<MemberId, Vec<Vec<MemberId>>> = BTreeMap::new();
    for (to, message) in &many.sent {
        if let Message::Push(statements) = message {
            pushed.entry(*to).or_default().push(statements.iter().map(|signed| signed.author).collect());
        }
    }
    pushed
}

#[test]
fn reports_that_come_at_once_go_on_in_one_message_and_to_nobody_who_brought_them() {
    let mut many = many();
    let reports = [report(&many, 30), report(&many, 31)];
    many.hear(2, Message::Push(vec![reports[0].clone()]));
    many.hear(3, Message::Push(vec![reports[1].clone()]));
    assert!(pushed(&many).is_empty(), "they wait for each other");
    many.pass(10);
    let to = pushed(&many);
    assert!(to.len() > 2, "{to:?}");
    for (peer, messages) in to {
        let expected = match peer {
            peer if peer == id(2) => vec![vec![id(31)]],
            peer if peer == id(3) => vec![vec![id(30)]],
            _ => vec![vec![id(30), id(31)]],
        };
        assert_eq!(messages, expected);
    }
    let announced = |many: &Lone| many.sent.iter().any(|(_, sent)| matches!(sent, Message::Announce(_)));
    assert!(!announced(&many));
    many.pass(190);
    assert!(announced(&many), "to those whom they are not pushed to");
}

#[test]
fn what_else_is_new_goes_on_at_once() {
    let mut many = many();
    let holds = Statement::Holds(Holds { epoch: 0, head: many.head() });
    let holds = said(many.state().entity, 30, (1, 1), holds);
    many.hear(2, Message::Push(vec![holds]));
    assert!(pushed(&many).values().all(|messages| *messages == [[id(30)]]) && !pushed(&many).is_empty());
}

#[test]
fn a_link_is_pruned_when_more_than_a_quarter_of_what_it_brings_is_here() {
    let mut many = many();
    let pruned = |many: &Lone| many.sent.iter().any(|(to, sent)| *to == id(4) && *sent == Message::Prune);
    let reports: Vec<Signed> = (30..37).map(|by| report(&many, by)).collect();
    many.hear(2, Message::Push(vec![reports[0].clone()]));
    many.hear(4, Message::Push(reports[..4].to_vec()));
    assert!(!pruned(&many), "one of four");
    many.hear(4, Message::Push(reports[3..6].to_vec()));
    assert!(pruned(&many), "one of three");
}
