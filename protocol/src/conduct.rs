//! What other members do wrong, and what follows: they are named, then left alone for a growing time (design §10,
//! findings 12, 43).
//!
//! Two kinds are told apart. What no member does that runs this program (a signature that does not hold, a message
//! that does not decode) is held against whoever brought it the first time, because members pass on only what they
//! have checked. What an honest member may do for a moment (more than its share) counts only if it goes on.

use std::collections::BTreeMap;

use crate::budget::{Bucket, Rate};
use crate::identity::MemberId;
use crate::time::{Instant, Millis};

/// Something a member did.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Offence {
    /// A message, request or frame that is not what the protocol says.
    Malformed,
    /// A statement that is out of its bounds.
    Form,
    /// A statement of another entity. For a moment it may be the entity that succeeds this one, which this member was not
    /// told of yet.
    Foreign,
    /// A statement whose signature does not hold.
    Signature,
    /// A record, proposed under its own signature, that is no valid child of the head.
    Record,
    /// A chain whose certificates do not hold.
    Chain,
    /// Content that is not what it was asked for by name.
    Content,
    /// More messages, statements, questions or streams than its share.
    Flood,
    /// Exchanges that it began and did not end.
    Slow,
    /// Connections that it makes and loses, again and again.
    Flapping,
}

impl Offence {
    /// The thing that is counted, for people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Malformed => "messages that cannot be understood",
            Self::Form => "statements that are out of bounds",
            Self::Foreign => "statements of another entity",
            Self::Signature => "statements without their signature",
            Self::Record => "proposals that are not valid",
            Self::Chain => "records without their certificate",
            Self::Content => "pieces of content that are something else",
            Self::Flood => "times more than its share",
            Self::Slow => "exchanges begun and not ended",
            Self::Flapping => "connections made and lost",
        }
    }

    /// How many points it is worth.
    fn points(self) -> u64 {
        match self {
            Self::Flood | Self::Slow | Self::Flapping | Self::Foreign => 1,
            Self::Malformed | Self::Form | Self::Signature | Self::Record | Self::Chain | Self::Content => 4,
        }
    }
}

/// What follows from an offence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Counted.
    Noted,
    /// To be told to people.
    Tell,
    /// To be told, and the member is left alone for this long.
    Shun(Millis),
}

/// A member with so many points is named.
const NAMED: u64 = 3;
/// A member with so many points is left alone for a while.
const SHUNNED: u64 = 24;
/// A point is forgotten after this.
const FORGIVEN: Millis = Millis::seconds(10);
/// An offence that an honest member may commit for a moment counts once in this time.
const MOMENT: Millis = Millis(1000);
/// Somebody who goes on is told of again after this.
const TOLD_AGAIN: Millis = Millis::seconds(60);
/// The first time that somebody is left alone; it doubles with each further time.
const SHUN_FIRST: Millis = Millis::seconds(5);
/// It does not grow above this: a member that was mended should not need a restart of the others.
const SHUN_CAP: Millis = Millis::seconds(300);
/// Who did nothing for so long begins anew.
const CLEAN: Millis = Millis::seconds(3600);

/// Signatures of one carrier's statements that are looked at, beside four for each member of the roster.
const SIGNATURES: Rate = Rate { burst: 4096, per_second: 512 };
/// Bytes of answers to one peer's questions. A question costs at least [`QUESTION`].
const ANSWERS: Rate = Rate { burst: 32 << 20, per_second: 4 << 20 };
/// What a question costs beside the bytes of its answer: it is looked for.
const QUESTION: u64 = 16 << 10;

/// What one member did, and what it may still use.
#[derive(Clone, Debug)]
struct Account {
    counts: BTreeMap<Offence, u64>,
    points: u64,
    /// Until when the points were forgiven.
    forgiven: Instant,
    last: Instant,
    told: Option<Instant>,
    momentary: BTreeMap<Offence, Instant>,
    shunned_until: Instant,
    shuns: u32,
    /// From the first one on, as how much it holds depends on the roster.
    signatures: Option<Bucket>,
    answers: Bucket,
}

/// The conduct of all others, as this member saw it. Never shared: it proves nothing to anybody else.
#[derive(Clone, Debug, Default)]
pub struct Conduct {
    accounts: BTreeMap<MemberId, Account>,
}

impl Conduct {
    fn account(&mut self, who: MemberId, now: Instant) -> &mut Account {
        self.accounts.entry(who).or_insert_with(|| Account {
            counts: BTreeMap::new(),
            points: 0,
            forgiven: now,
            last: now,
            told: None,
            momentary: BTreeMap::new(),
            shunned_until: Instant::default(),
            shuns: 0,
            signatures: None,
            answers: Bucket::full(ANSWERS, now),
        })
    }

    /// Counts what a member did `times` times.
    pub fn offended(&mut self, who: MemberId, offence: Offence, times: u64, now: Instant) -> Verdict {
        let account = self.account(who, now);
        account.forgive(now);
        let count = account.counts.entry(offence).or_default();
        *count = count.saturating_add(times);
        let momentary = offence.points() == 1;
        if momentary && account.momentary.get(&offence).is_some_and(|at| now - *at < MOMENT) {
            return Verdict::Noted;
        }
        account.momentary.insert(offence, now);
        let times = if momentary { 1 } else { times };
        account.points = account.points.saturating_add(offence.points().saturating_mul(times));
        account.verdict(now)
    }

    /// Whether a member is left alone now.
    pub fn is_shunned(&self, who: &MemberId, now: Instant) -> bool {
        self.accounts.get(who).is_some_and(|account| now < account.shunned_until)
    }

    /// Whether one more signature that this carrier brought may be looked at. The others will bring it again.
    pub fn may_verify(&mut self, carrier: MemberId, members: usize, now: Instant) -> bool {
        let more = 4 * members as u64;
        let rate = Rate { burst: SIGNATURES.burst + more, per_second: SIGNATURES.per_second + more };
        let signatures = &mut self.account(carrier, now).signatures;
        signatures.get_or_insert_with(|| Bucket::full(rate, now)).take(rate, now, 1)
    }

    /// Whether one more question of this peer is answered; its answer is to be paid for with [`Self::answered`].
    pub fn may_ask(&mut self, peer: MemberId, now: Instant) -> bool {
        let answers = &mut self.account(peer, now).answers;
        let open = answers.is_open(ANSWERS, now);
        answers.spend(QUESTION);
        open
    }

    /// A question of this peer was answered with so many bytes.
    pub fn answered(&mut self, peer: MemberId, bytes: usize, now: Instant) {
        self.account(peer, now).answers.spend(bytes as u64);
    }

    /// What a member did, if it is to be told: `3 statements without their signature, 1 …`.
    pub fn of(&self, who: &MemberId, now: Instant) -> Option<String> {
        let account = self.accounts.get(who)?;
        let recent = account.told.is_some() && now - account.last < CLEAN;
        let counted = account.counts.iter().map(|(offence, count)| format!("{count} {}", offence.text()));
        recent.then(|| counted.collect::<Vec<_>>().join(", "))
    }

    /// Forgets who is neither a member nor a past one.
    pub fn retain(&mut self, keep: impl Fn(&MemberId) -> bool) {
        self.accounts.retain(|who, _| keep(who));
    }
}

impl Account {
    fn forgive(&mut self, now: Instant) {
        if now - self.last >= CLEAN {
            (self.shuns, self.points) = (0, 0);
            self.counts.clear();
        }
        let forgotten = (now - self.forgiven).0 / FORGIVEN.0;
        self.points = self.points.saturating_sub(forgotten);
        self.forgiven = self.forgiven + Millis(forgotten * FORGIVEN.0);
        self.last = now;
    }

    fn verdict(&mut self, now: Instant) -> Verdict {
        if self.points >= SHUNNED {
            let lasts = Millis((SHUN_FIRST.0 << self.shuns.min(16)).min(SHUN_CAP.0));
            self.shuns = self.shuns.saturating_add(1);
            self.points = 0;
            self.shunned_until = now + lasts;
            self.told = Some(now);
            return Verdict::Shun(lasts);
        }
        let due = self.told.is_none_or(|at| now - at >= TOLD_AGAIN);
        if self.points >= NAMED && due {
            self.told = Some(now);
            return Verdict::Tell;
        }
        Verdict::Noted
    }
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;

    const WHO: MemberId = MemberId([1; 32]);

    #[test]
    fn a_signature_that_does_not_hold_is_told_at_once_and_shuns_when_it_goes_on() {
        let mut conduct = Conduct::default();
        let mut offend = |ms| conduct.offended(WHO, Offence::Signature, 1, Instant(ms));
        assert_eq!(offend(0), Verdict::Tell);
        assert_eq!((1..5).map(&mut offend).filter(|verdict| *verdict == Verdict::Noted).count(), 4);
        assert_eq!(offend(5), Verdict::Shun(SHUN_FIRST));
        assert!(conduct.is_shunned(&WHO, Instant(6)));
        assert!(!conduct.is_shunned(&WHO, Instant(6) + SHUN_FIRST));
        let text = conduct.of(&WHO, Instant(6)).expect("told");
        assert_eq!(text, "6 statements without their signature");
    }

    #[test]
    fn too_much_for_a_moment_is_nothing_and_going_on_is_told() {
        let mut conduct = Conduct::default();
        for ms in 0..900 {
            assert_eq!(conduct.offended(WHO, Offence::Flood, 1, Instant(ms)), Verdict::Noted);
        }
        assert_eq!(conduct.of(&WHO, Instant(900)), None);
        let verdicts: Vec<Verdict> =
            (1..40).map(|s| conduct.offended(WHO, Offence::Flood, 1, Instant(s * 1000))).collect();
        assert_eq!(verdicts[1], Verdict::Tell);
        assert!(verdicts.contains(&Verdict::Shun(SHUN_FIRST)), "{verdicts:?}");
    }

    #[test]
    fn each_time_lasts_longer_up_to_a_cap_and_an_hour_forgives() {
        let mut conduct = Conduct::default();
        let mut now = Instant(0);
        let mut spans = Vec::new();
        for _ in 0..10 {
            if let Verdict::Shun(lasts) = conduct.offended(WHO, Offence::Malformed, 6, now) {
                now = now + lasts;
                spans.push(lasts.0);
            }
        }
        assert_eq!(spans[..3], [5000, 10_000, 20_000]);
        assert_eq!(spans.last(), Some(&SHUN_CAP.0));
        let later = now + CLEAN;
        assert_eq!(conduct.offended(WHO, Offence::Malformed, 6, later), Verdict::Shun(SHUN_FIRST));
    }

    #[test]
    fn one_carrier_may_bring_something_of_every_member_of_a_large_entity_at_once() {
        let mut conduct = Conduct::default();
        assert!(conduct.may_ask(WHO, Instant(0)), "it is known before");
        assert!((0..10_000).all(|_| conduct.may_verify(WHO, 10_000, Instant(0))));
        assert!((0..100_000).any(|_| !conduct.may_verify(WHO, 10_000, Instant(0))), "and not without end");
    }

    #[test]
    fn answers_are_given_until_their_bytes_are_used_up() {
        let mut conduct = Conduct::default();
        let asked = (0..1000).take_while(|_| {
            let may = conduct.may_ask(WHO, Instant(0));
            conduct.answered(WHO, 1 << 20, Instant(0));
            may
        });
        assert_eq!(asked.count(), 32);
        assert!(conduct.may_ask(WHO, Instant(1000)));
    }

    quickcheck! {
        fn nobody_is_shunned_for_a_moment(times: Vec<u8>) -> bool {
            // One momentary offence each ten seconds or less often is forgiven for ever.
            let mut conduct = Conduct::default();
            let mut now = Instant(0);
            times.iter().all(|more| {
                now = now + FORGIVEN + Millis(u64::from(*more));
                conduct.offended(WHO, Offence::Slow, 1, now) == Verdict::Noted
            })
        }
    }
}
