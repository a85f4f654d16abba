//! A member that comes back after a long time (finding 36, J14): what it believes, and whom.

use super::*;
use crate::control::{Code, Outcome};
use crate::invitation::{Checkpoint, Invitation};

const DAY: u64 = 24 * 3_600_000;
/// The epoch at which the member goes away.
const BASE: u64 = 2;

/// A voter with two records, the first of which was confirmed by the others when the second came.
fn confirmed() -> Lone {
    let mut lone = Lone::voting();
    for note in ["a", "z"] {
        let (link, _) = link(lone.state(), lone.head(), note, &[2, 3]);
        [2, 3].into_iter().for_each(|from| lone.hear(from, Message::Chain(vec![link.clone()])));
    }
    assert_eq!(lone.state().epoch, BASE);
    assert!(lone.disk.contains_key(&(Family::Meta, b"confirmed".to_vec())));
    lone
}

/// The same machine, started again so much later.
fn later(disk: &BTreeMap<(Family, Vec<u8>), Vec<u8>>, days: u64, period: Option<u64>) -> Lone {
    let mut lone = Lone::start_at(disk.clone(), days * DAY, period.map(|days| Millis(days * DAY)));
    lone.meet();
    lone
}

/// Links that follow the head, as these voters sign them.
fn links(lone: &Lone, notes: &[&str]) -> Vec<Link> {
    let (mut state, mut head, mut links) = (lone.state().clone(), lone.head(), Vec::new());
    for note in notes {
        let (link, next) = link(&state, head, note, &[2, 3]);
        (state, head) = (next, link.certificate.value);
        links.push(link);
    }
    links
}

fn invitation(lone: &Lone, checkpoint: Option<Checkpoint>) -> Invitation {
    let protocol = if checkpoint.is_some() { 2 } else { 1 };
    let (entity, addresses) = (lone.state().entity, vec![address(2).control]);
    let expires = WallTime(1_000 * DAY);
    Invitation { entity, secret: [5; 16], expires, addresses, succeeds: None, protocol, checkpoint }
}

fn given(lone: &mut Lone, invitation: &Invitation) {
    let command = Command::Join { invitation: invitation.encode(), member: "x".into(), address: address(1) };
    lone.give(Input::Requested { request: 1, by: "ada".into(), command });
}

fn at(link: &Link) -> Checkpoint {
    Checkpoint { epoch: link.certificate.epoch, record: link.certificate.value }
}

fn conditions(lone: &Lone) -> Vec<String> {
    let status = lone.member.status().expect("in an entity");
    status.attention.into_iter().map(|one| one.condition).collect()
}

fn shown(lone: &mut Lone, links: &[Link]) {
    lone.hear(3, Message::Chain(links.to_vec()));
}

#[test]
fn a_member_that_was_away_for_too_long_believes_nobody_until_somebody_vouches() {
    let away = confirmed();
    let forged = links(&away, &["eve"]);
    for (days, period, believes) in
        [(45, None, true), (45, Some(60), true), (45, Some(30), false), (29, Some(30), true)]
    {
        let mut lone = later(&away.disk, days, period);
        assert_eq!(lone.member.may_vote(), believes, "{days} {period:?}");
        shown(&mut lone, &forged);
        assert_eq!(lone.state().epoch, BASE + u64::from(believes), "{days} {period:?}");
        assert_eq!(conditions(&lone).contains(&"unvouched".to_owned()), !believes);
        assert_eq!(lone.told("trust.lapsed"), usize::from(!believes));
    }

    let mut lone = later(&away.disk, 45, Some(30));
    let refusal =
        lone.ask(Command::TakeOut { member: "m2".into(), reason: String::new(), lasts: None, anyway: false });
    let refusal = refusal.expect_err("it decides nothing");
    assert_eq!(refusal.code, Code::Mute);
    assert!(
        refusal.message.contains("for 44 d before it started, and its trusting period is 30 d"),
        "{refusal}"
    );
    let why = lone.member.why(Some("m1")).expect("a member");
    assert_eq!((why.because.as_str(), why.automatic), ("unvouched", false));

    // Its own head is vouched for: it goes on at once.
    let own = Checkpoint { epoch: BASE, record: lone.head() };
    let invitation = invitation(&lone, Some(own));
    given(&mut lone, &invitation);
    assert!(matches!(lone.replies.pop(), Some(Ok(Outcome::Member { .. }))));
    assert!(lone.member.may_vote());
    assert_eq!(lone.told("trust.vouched"), 1);
    let next = links(&lone, &["b"]);
    shown(&mut lone, &next);
    assert_eq!(lone.state().epoch, BASE + 1);
    // And that it was vouched for is on its disk.
    assert!(later(&lone.disk, 46, Some(30)).member.may_vote());
}

#[test]
fn what_was_vouched_for_is_reached_by_hashes_before_anything_is_executed() {
    let away = confirmed();
    let (right, forged) = (links(&away, &["b", "c"]), links(&away, &["eve", "mallory", "trudy"]));
    let mut lone = later(&away.disk, 45, Some(30));
    let invitation = invitation(&lone, Some(at(&right[1])));
    given(&mut lone, &invitation);
    assert!(lone.replies.is_empty(), "not there yet: {:?}", lone.replies);
    // Also from the disk, if it is started again meanwhile.
    let again = later(&lone.disk, 45, Some(30));
    for mut lone in [lone, again] {
        assert!(!lone.member.may_vote());
        assert!(conditions(&lone).contains(&"unvouched".to_owned()));
        for _ in 0..2 {
            shown(&mut lone, &forged);
            assert_eq!(lone.state().epoch, BASE);
        }
        assert_eq!(lone.told("chain.other"), 1);
        assert!(lone.replies.is_empty(), "others may show it: {:?}", lone.replies);
        for _ in 0..2 {
            shown(&mut lone, &right);
        }
        assert_eq!((lone.state().epoch, lone.head()), (BASE + 2, right[1].certificate.value));
        assert!(lone.member.may_vote());
        assert!(lone.replies.iter().all(|reply| matches!(reply, Ok(Outcome::Member { .. }))));
    }
}

#[test]
fn an_invitation_that_does_not_fit_vouches_for_nothing() {
    let away = confirmed();
    let mut lone = later(&away.disk, 45, Some(30));
    let other = invitation(&lone, Some(Checkpoint { epoch: BASE, record: Hash::of(b"x") }));
    let none = invitation(&lone, None);
    let over = Invitation { expires: WallTime(DAY), ..other.clone() };
    let elsewhere = Invitation { entity: Hash::of(b"y"), ..other.clone() };
    for (invitation, code) in [
        (other, Code::InvitationBad),
        (none, Code::InvitationBad),
        (over, Code::InvitationExpired),
        (elsewhere, Code::InEntity),
    ] {
        given(&mut lone, &invitation);
        let refusal = lone.replies.pop().expect("an answer").expect_err("refused");
        assert_eq!(refusal.code, code, "{refusal}");
        assert!(!lone.member.may_vote() && conditions(&lone).contains(&"unvouched".to_owned()));
    }
    // Whoever is trusted joins nothing with an invitation of its own entity.
    let mut near = later(&away.disk, 1, Some(30));
    let own = invitation(&near, Some(Checkpoint { epoch: BASE, record: near.head() }));
    given(&mut near, &own);
    assert_eq!(near.replies.pop().expect("an answer").expect_err("refused").code, Code::InEntity);
}

#[test]
fn a_clock_that_jumps_stops_nobody_that_runs() {
    let away = confirmed();
    let mut lone = later(&away.disk, 1, Some(30));
    for (days, voted) in [(400, "b"), (2, "c")] {
        lone.ahead = days * DAY;
        lone.pass(100);
        assert!(lone.member.may_vote(), "{days}");
        let next = links(&lone, &[voted]);
        shown(&mut lone, &next);
        lone.pass(100);
        assert!(!conditions(&lone).contains(&"unvouched".to_owned()));
    }
    assert_eq!(lone.state().epoch, BASE + 2);
    // What the wrong clock had left on the disk is right again.
    assert!(later(&lone.disk, 3, Some(30)).member.may_vote());
    assert!(!later(&lone.disk, 33, Some(30)).member.may_vote());
}

#[test]
fn votes_are_believed_no_more_than_chains() {
    let away = confirmed();
    for (period, epoch) in [(None, BASE + 1), (Some(30), BASE)] {
        let mut lone = later(&away.disk, 45, period);
        let link = links(&lone, &["eve"]).remove(0);
        lone.hear(3, Message::Push(link.certificate.votes.clone()));
        // Whoever has the votes asks for their record.
        lone.hear(3, Message::Record(link.record.clone()));
        lone.pass(100);
        assert_eq!(lone.state().epoch, epoch, "{period:?}");
    }
}

#[test]
fn who_decides_alone_has_nobody_to_be_deceived_by() {
    let genesis = genesis();
    let state = State::genesis(&genesis);
    let record = genesis.id();
    let trail = Trail::begin(&state, record);
    let life = Life { store: Id16([1; 16]), incarnation: 0, reserved: 0 };
    let head = Head { state, record, trail };
    let mut disk = BTreeMap::new();
    for write in [saved::put_life(&life), saved::put_head(&head), saved::put_confirmed(&WallTime(1))] {
        disk.insert((write.family, write.key), write.value.expect("a value"));
    }
    let mut lone = Lone::start_at(disk, 400 * DAY, Some(Millis(DAY)));
    lone.pass(2_000);
    assert!(lone.member.may_vote());
}
