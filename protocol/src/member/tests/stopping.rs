//! Contradictions, forks and successors: what stops a member from settling, what does not, and how it goes on.

use super::*;
use crate::control::{Code, Outcome};
use crate::record::JoinRequest;
use crate::succession::{Origin, Succession};

fn resolve(keep: Option<&Hash>) -> Command {
    Command::Resolve { keep: keep.map(ToString::to_string) }
}

/// A voting member of which two branches are known: a chain of so many links here, another one elsewhere.
fn branches(length: usize) -> (Lone, Vec<Link>, Vec<Link>) {
    let mut lone = Lone::voting();
    let chain = |note: &str, lone: &Lone| {
        let (mut state, mut head) = (lone.state().clone(), lone.head());
        let mut links = Vec::new();
        for at in 0..length {
            let (link, next) = link(&state, head, &format!("{note}{at}"), &[2, 3]);
            (state, head) = (next, link.certificate.value);
            links.push(link);
        }
        links
    };
    let (here, there) = (chain("here", &lone), chain("there", &lone));
    here.chunks(limits::CHAIN_RECORDS).for_each(|links| lone.hear(2, Message::Chain(links.to_vec())));
    assert_eq!(lone.state().epoch, length as u64);
    (lone, here, there)
}

#[test]
fn a_second_certificate_of_an_epoch_stops_settling() {
    let (mut lone, here, there) = branches(1);
    let (mine, theirs) = (here[0].certificate.value, there[0].certificate.value);
    lone.hear(3, Message::Chain(there.clone()));
    assert_eq!(lone.told("chain.fork"), 1);
    assert!(!lone.member.may_vote());
    let shown = lone.sent.iter().filter(|(to, message)| {
        *to == id(2) && matches!(message, Message::Chain(links) if links[..] == there[..])
    });
    assert_eq!(shown.count(), 1, "others learn of it");
    // Durably, and both are kept: ours is in the chain.
    let mut lone = Lone::start(lone.disk);
    lone.meet();
    assert!(!lone.member.may_vote());
    assert!(lone.disk.contains_key(&(Family::Chain, 1u64.to_be_bytes().to_vec())));
    assert_eq!(lone.ask(Command::Leave).expect_err("stopped").code, Code::Contradiction);
    // Which branch goes on must be said, and must be this one.
    assert_eq!(lone.ask(resolve(None)).expect_err("which?").code, Code::KeepNeeded);
    let refusal = lone.ask(resolve(Some(&theirs))).expect_err("not here");
    assert_eq!((refusal.code, refusal.code.exit()), (Code::OtherBranch, 107));
    assert!(refusal.remedies.iter().any(|(_, command)| command.join(" ") == "althing leave --purge"));
    assert!(!lone.member.may_vote(), "a refused command changes nothing");
    assert_eq!(lone.ask(resolve(Some(&mine))), Ok(Outcome::Done));
    assert!(lone.member.may_vote());
    // The same fork again is no news; what was found is kept.
    lone.hear(3, Message::Chain(there));
    assert!(lone.member.may_vote());
    assert_eq!(lone.ask(resolve(None)).expect_err("nothing").code, Code::NothingToResolve);
    let mut lone = Lone::start(lone.disk);
    lone.meet();
    assert!(lone.member.may_vote());
    assert_eq!(lone.member.roster().expect("a roster").evidence.len(), 1);
}

#[test]
fn a_fork_further_back_is_found_from_its_end() {
    let (mut lone, _, there) = branches(4);
    let next = {
        // The other branch is ahead by one: only its end does not fit here.
        let mut other = Lone::voting();
        other.hear(2, Message::Chain(there.clone()));
        link(other.state(), other.head(), "there4", &[2, 3]).0
    };
    lone.sent.clear();
    lone.hear(3, Message::Chain(vec![next]));
    assert_eq!(lone.told("chain.fork"), 0);
    assert!(
        lone.sent.contains(&(id(3), Message::GetChain(0))),
        "the links since the beginning are asked for"
    );
    lone.hear(3, Message::Chain(there));
    assert_eq!(lone.told("chain.fork"), 1);
    assert!(!lone.member.may_vote());
}

/// What the member asked this one for last.
fn asked_for(lone: &Lone, who: u8) -> Option<u64> {
    lone.sent.iter().rev().find_map(|(to, message)| match message {
        Message::GetChain(after) if *to == id(who) => Some(*after),
        _ => None,
    })
}

fn beat(epoch: u64, head: &Hash) -> Message {
    Message::Beat(crate::wire::Beat { epoch, head: head.low(), knowledge: 0, round: 0 })
}

#[test]
fn a_fork_further_back_is_found_where_both_branches_are_as_long() {
    let (mut lone, here, there) = branches(6);
    lone.hear(3, beat(6, &there[5].certificate.value));
    assert_eq!(asked_for(&lone, 3), Some(5));
    lone.hear(3, Message::Chain(there[5..].to_vec()));
    assert_eq!((asked_for(&lone, 3), lone.told("chain.fork")), (Some(0), 0), "its head alone does not tell");
    // An answer may hold but some of them, which are no news.
    lone.hear(3, Message::Chain(here[..1].to_vec()));
    assert_eq!(asked_for(&lone, 3), Some(1));
    lone.hear(3, Message::Chain(there[1..].to_vec()));
    assert_eq!(lone.told("chain.fork"), 0, "the record where it begins is the same for all of this branch");
    let asked = |lone: &Lone| lone.sent.iter().filter(|sent| **sent == (id(3), Message::GetChain(0))).count();
    assert_eq!(asked(&lone), 1, "not again and again");
    lone.pass(10_000);
    lone.hear(3, Message::Chain(there[5..].to_vec()));
    assert_eq!(asked(&lone), 2);
    lone.hear(3, Message::Chain(there));
    assert_eq!(lone.told("chain.fork"), 1);
    assert_eq!(lone.ask(resolve(Some(&here[0].certificate.value))), Ok(Outcome::Done));
}

#[test]
fn who_is_behind_on_another_branch_is_asked_where_it_begins() {
    let (mut lone, here, there) = branches(4);
    lone.hear(3, beat(2, &here[1].certificate.value));
    assert_eq!(asked_for(&lone, 3), None, "behind on this one");
    lone.hear(3, beat(2, &there[1].certificate.value));
    assert_eq!(asked_for(&lone, 3), Some(0));
    lone.hear(3, Message::Chain(there[..2].to_vec()));
    assert_eq!(lone.told("chain.fork"), 1);
}

#[test]
fn a_fork_older_than_the_trail_is_found_by_those_who_decided_here_and_there() {
    let (mut lone, here, mut there) = branches(limits::TRAIL_EPOCHS + 6);
    // The trail begins with the record of the sixth epoch or the seventh, which names who decided the next one.
    let oldest =
        usize::try_from(lone.member.entity.as_ref().expect("in an entity").trail.first()).expect("small");
    lone.hear(3, Message::Chain(there[..oldest].to_vec()));
    assert_eq!(lone.told("chain.fork"), 0, "nobody remembers who decided then");
    let mut one_of_three = there[oldest].clone();
    one_of_three.certificate.votes.truncate(1);
    lone.hear(3, Message::Chain(vec![one_of_three]));
    assert_eq!((lone.told("chain.fork"), lone.told("evidence.forged")), (0, 0), "others may decide there");
    // There somebody else decides as well by now: beside a quorum of those who do so here, that is no matter.
    let certificate = &mut there[oldest].certificate;
    let (epoch, round, value) = (certificate.epoch, certificate.round, Some(certificate.value));
    let parent = there[oldest - 1].certificate.value;
    let vote = Statement::Vote(Vote { epoch, round, parent, step: Step::Precommit, value, relied: None });
    there[oldest].certificate.votes.insert(0, said(lone.state().entity, 4, (9, 1), vote));
    lone.hear(3, Message::Chain(there[oldest..oldest + 9].to_vec()));
    assert_eq!(lone.told("chain.fork"), 1, "once for a branch");
    assert!(!lone.member.may_vote());
    // Others of this branch that are further on name a later record.
    assert_eq!(lone.ask(resolve(Some(&here[oldest + 3].certificate.value))), Ok(Outcome::Done));
    lone.hear(3, Message::Chain(there[oldest..].to_vec()));
    assert!(lone.member.may_vote(), "the same branch is no news");
}

#[test]
fn a_forged_certificate_does_nothing_and_its_sender_is_named() {
    let (mut lone, _, _) = branches(1);
    let head = three();
    // One of three signed, and one vote is of somebody else's hand.
    let (few, _) = link(&head.state, head.record, "there0", &[2]);
    let (mut stolen, _) = link(&head.state, head.record, "there0", &[2, 3]);
    stolen.certificate.votes[1].author = id(1);
    for forged in [few, stolen] {
        lone.hear(3, Message::Chain(vec![forged]));
    }
    assert_eq!((lone.told("chain.fork"), lone.told("evidence.forged")), (0, 1));
    let named =
        lone.events.iter().find(|event| event.kind == "evidence.forged").and_then(|event| event.subject);
    assert_eq!(named, Some(id(3)));
    assert!(lone.member.may_vote());
}

#[test]
fn two_votes_in_one_place_stop_settling_until_they_are_acknowledged() {
    let mut lone = Lone::voting();
    let (entity, parent) = (lone.state().entity, lone.head());
    let vote = |value: &[u8], at| {
        let (step, value) = (Step::Prevote, Some(Hash::of(value)));
        said(
            entity,
            2,
            (5, at),
            Statement::Vote(Vote { epoch: 1, round: 0, parent, step, value, relied: None }),
        )
    };
    lone.hear(2, Message::Push(vec![vote(b"x", 1), vote(b"y", 2)]));
    assert_eq!(lone.told("vote.equivocation"), 1);
    assert!(!lone.member.may_vote());
    let refusal = lone.ask(Command::Leave).expect_err("stopped");
    assert_eq!(refusal.remedies[0].1.join(" "), "althing resolve --confirm demo");
    let mut lone = Lone::start(lone.disk);
    lone.meet();
    assert!(!lone.member.may_vote(), "durably");
    assert_eq!(lone.ask(resolve(None)), Ok(Outcome::Done));
    assert_eq!(lone.told("evidence.resolved"), 1);
    assert!(lone.member.may_vote());
    lone.hear(2, Message::Push(vec![vote(b"x", 3), vote(b"y", 4)]));
    assert!(lone.member.may_vote(), "the same liar in the same epoch is no news");
}

fn vote(lone: &Lone, by: u8, at: u64, (step, round): (Step, u32), value: Option<&[u8]>) -> Signed {
    let (entity, parent, value) = (lone.state().entity, lone.head(), value.map(Hash::of));
    let vote = Vote { epoch: 1, round, parent, step, value, relied: None };
    said(entity, by, (5, at), Statement::Vote(vote))
}

#[test]
fn an_older_vote_that_contradicts_a_newer_one_is_evidence() {
    let mut lone = Lone::voting();
    let place = (Step::Prevote, 0);
    let (older, newer) = (vote(&lone, 2, 1, place, Some(b"x")), vote(&lone, 2, 2, place, Some(b"y")));
    // What was said before, in a fresh envelope, is none.
    let same = vote(&lone, 2, 1, place, Some(b"y"));
    lone.hear(2, Message::Push(vec![newer]));
    lone.hear(3, Message::Push(vec![same]));
    assert!(lone.member.may_vote());
    lone.hear(3, Message::Push(vec![older]));
    assert_eq!(lone.told("vote.equivocation"), 1);
    assert!(!lone.member.may_vote());
}

#[test]
fn whoever_is_stopped_shows_it_to_those_that_vote() {
    let mut lone = Lone::voting();
    let place = (Step::Precommit, 0);
    let both = vec![vote(&lone, 2, 1, place, Some(b"x")), vote(&lone, 2, 2, place, None)];
    lone.hear(2, Message::Push(both.clone()));
    assert!(!lone.member.may_vote());
    let report = |votes| Statement::Report(Box::new(crate::metrics::Report { votes, ..Default::default() }));
    let shown = |lone: &Lone| {
        let to =
            |(to, message): &&(MemberId, Message)| *to == id(3) && *message == Message::Push(both.clone());
        lone.sent.iter().filter(to).count()
    };
    for (at, votes, count) in [(1, true, 1), (2, false, 0)] {
        let said = said(lone.state().entity, 3, (5, at), report(votes));
        lone.hear(3, Message::Push(vec![said]));
        lone.sent.clear();
        lone.pass(2_500);
        assert_eq!(shown(&lone), count, "votes: {votes}");
    }
}

#[test]
fn whoever_finds_two_votes_in_its_own_name_shows_them_and_signs_none() {
    let mut lone = Lone::voting();
    let place = (Step::Precommit, 0);
    // Its key is in other hands: it never said either.
    let both = vec![vote(&lone, 1, 1, place, Some(b"x")), vote(&lone, 1, 2, place, None)];
    lone.hear(2, Message::Push(both.clone()));
    assert_eq!((lone.told("store.burnt"), lone.told("vote.equivocation")), (1, 1));
    assert!(!lone.member.may_vote());
    let report = crate::metrics::Report { votes: true, ..Default::default() };
    let report = said(lone.state().entity, 3, (5, 1), Statement::Report(Box::new(report)));
    lone.hear(3, Message::Push(vec![report]));
    lone.sent.clear();
    lone.pass(2_500);
    let pushed = |to: u8| lone.sent.iter().filter(move |(peer, _)| *peer == id(to));
    assert!(pushed(3).any(|(_, message)| *message == Message::Push(both.clone())), "it is told");
    // Those two go as they came, and no vote of this member goes with them.
    let signed = lone.sent.iter().filter_map(|(_, message)| match message {
        Message::Push(statements) => Some(statements),
        _ => None,
    });
    let own = signed.flatten().filter(|signed| signed.author == id(1) && !both.contains(signed));
    let read = own.map(|signed| Checked::check(signed.clone(), &lone.state().entity, Scheme::SimulatedHash));
    assert!(read.flatten().all(|checked| checked.vote().is_none()));
    // Not even when that is acknowledged: another machine has its store.
    assert_eq!(lone.ask(resolve(None)), Ok(Outcome::Done));
    assert!(!lone.member.may_vote());
}

#[test]
fn whoever_is_stopped_is_not_woken_for_a_round_that_it_does_not_end() {
    let mut lone = Lone::voting();
    // A quorum has precommitted nothing: the round ends when the rest had the time to do so, too.
    let nothing = |lone: &Lone, by| vote(lone, by, 1, (Step::Precommit, 0), None);
    let votes = [2, 3].map(|by| nothing(&lone, by));
    lone.hear(2, Message::Push(votes.to_vec()));
    let other = vote(&lone, 2, 2, (Step::Precommit, 0), Some(b"x"));
    lone.hear(2, Message::Push(vec![other]));
    assert!(!lone.member.may_vote());
    lone.pass(5_000);
    let due = lone.member.deadline().expect("heartbeats go on");
    assert!(due.0 > lone.mono + 100, "woken again after {} ms", due.0 - lone.mono);
}

#[test]
fn whoever_lags_behind_a_succession_accuses_nobody_and_judges_it_when_it_has_caught_up() {
    // In the third epoch member 7 is let in, whose word is then a member's.
    let chain = |lone: &Lone, admits: bool| {
        let invitation = key(6);
        let newcomer =
            Newcomer { member: id(7), store: Id16([7; 16]), name: "m7".into(), address: address(7) };
        let invite = Change::Invite {
            key: invitation.id(),
            uses: 1,
            expires: WallTime(1000),
            note: String::new(),
            spare: false,
        };
        let admit = Change::Admit(JoinRequest::sign(lone.state().entity, newcomer, &invitation, &key(7)));
        let other = Change::Revoke { key: invitation.id() };
        let (first, state) = settle(lone.state(), lone.head(), invite, &[2, 3]);
        let (second, state) =
            settle(&state, first.certificate.value, if admits { admit } else { other }, &[2, 3]);
        (vec![first, second], state)
    };
    for (admits, by_member, superseded, forged) in
        [(true, true, 1, 0), (false, true, 0, 1), (true, false, 0, 1)]
    {
        let mut lone = Lone::voting();
        let (links, state) = chain(&lone, admits);
        let head = links[1].certificate.value;
        let origin = Origin { entity: state.entity, epoch: 2, head, state: state.hash(), kept: Vec::new() };
        let signer = key(if by_member { 7 } else { 8 });
        let succession = Succession::sign(&origin, Hash::of(b"new"), Vec::new(), &signer);
        for _ in 0..2 {
            lone.hear(3, Message::Succession(succession.clone()));
        }
        assert_eq!((lone.told("succession.unjudged"), lone.told("evidence.forged")), (1, 0));
        assert!(lone.member.may_vote());
        assert!(lone.sent.contains(&(id(3), Message::GetChain(0))), "{:?}", lone.sent);
        lone.hear(3, Message::Chain(links[..1].to_vec()));
        assert_eq!((lone.told("entity.superseded"), lone.told("evidence.forged")), (0, 0));
        lone.hear(3, Message::Chain(links[1..].to_vec()));
        assert_eq!((lone.told("entity.superseded"), lone.told("evidence.forged")), (superseded, forged));
        assert_eq!(lone.member.may_vote(), superseded == 0);
    }
}

#[test]
fn the_word_of_a_founder_that_was_removed_since_counts_for_nothing_and_names_nobody() {
    let mut lone = Lone::voting();
    let (entity, head, state) = (lone.state().entity, lone.head(), lone.state().hash());
    let origin = Origin { entity, epoch: 0, head, state, kept: Vec::new() };
    let (link, _) = settle(lone.state(), lone.head(), Change::Remove { member: id(3) }, &[2, 3]);
    lone.hear(2, Message::Chain(vec![link]));
    assert!(lone.state().member(&id(3)).is_none());
    lone.hear(2, Message::Succession(Succession::sign(&origin, Hash::of(b"new"), Vec::new(), &key(3))));
    assert_eq!((lone.told("evidence.forged"), lone.told("entity.superseded")), (0, 0));
    assert!(lone.member.may_vote());
}

#[test]
fn whoever_learns_of_a_successor_goes_mute() {
    let mut lone = Lone::voting();
    let origin = |lone: &Lone| Origin {
        entity: lone.state().entity,
        epoch: 0,
        head: lone.head(),
        state: lone.state().hash(),
        kept: Vec::new(),
    };
    let stranger = Succession::sign(&origin(&lone), Hash::of(b"new"), Vec::new(), &key(9));
    let forged = Succession { by: id(2), ..stranger.clone() };
    let foreign = Succession { entity: Hash::of(b"other"), ..stranger.clone() };
    for bad in [stranger, forged, foreign] {
        lone.hear(3, Message::Succession(bad));
    }
    assert!(lone.member.may_vote());
    assert_eq!(lone.told("evidence.forged"), 1);
    let good = Succession::sign(&origin(&lone), Hash::of(b"new"), Vec::new(), &key(2));
    lone.hear(3, Message::Succession(good.clone()));
    assert_eq!(lone.told("entity.superseded"), 1);
    assert!(!lone.member.may_vote());
    assert!(lone.sent.contains(&(id(2), Message::Succession(good))), "it is passed on");
    let mut lone = Lone::start(lone.disk);
    lone.meet();
    assert!(!lone.member.may_vote(), "durably");
    // A person may judge otherwise.
    let head = lone.head();
    assert_eq!(lone.ask(resolve(None)).expect_err("which?").code, Code::KeepNeeded);
    assert_eq!(lone.ask(resolve(Some(&head))), Ok(Outcome::Done));
    assert!(lone.member.may_vote());
}
