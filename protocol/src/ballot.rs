//! Deciding one epoch: signed votes, rounds and locks (design §5.2, PROTOCOL.md V1–V11).
//!
//! A [`Ballot`] is a machine of its own: votes and proposals go in, votes to cast and a settled value come out.
//! It never sends: [`crate::member::Member`] makes a vote durable before anybody else can see it, and only then
//! hands it back here, as one vote among others.

use std::collections::{BTreeMap, BTreeSet};

use serde_tuple::{Deserialize_tuple, Serialize_tuple};

use crate::governance::QuorumRule;
use crate::hash::Hash;
use crate::identity::MemberId;
use crate::limits;
use crate::member::Sabotage;
use crate::record::{Certificate, Record};
use crate::state::State;
use crate::statement::{Checked, Signed, Step, Vote};
use crate::time::{Instant, Millis};

/// How long a round waits for an acceptable proposal before it prevotes none; grows with the round.
const PROPOSAL_WAIT: Millis = Millis(600);
/// How long a quorum of mixed votes waits for the rest; grows with the round.
const VOTE_WAIT: Millis = Millis(300);
/// By how much the waits grow with each round.
const GROWTH: Millis = Millis(200);
/// Waits grow for so many rounds.
const GROWING_ROUNDS: u32 = 40;
/// Distance of two proposers' turns in a round.
const SLOT: Millis = Millis(120);
/// By how much it grows with each round where receivers wait for turns (finding 12): as much as the waits do, so that
/// a round always has room for the same number of them.
const SLOT_GROWTH: Millis = Millis(40);

/// A quorum of prevotes for one value in one round ("POL"): it may be proposed, and releases older locks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Pol {
    /// For which record.
    pub value: Hash,
    /// In which round.
    pub round: u32,
    /// The signed prevotes.
    pub votes: Vec<Signed>,
}

/// What must be on disk before a vote leaves, for the epoch that is being decided.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize_tuple, Deserialize_tuple)]
pub struct Promise {
    /// The epoch.
    pub epoch: u64,
    /// The round this member is in; never decreases.
    pub round: u32,
    /// Own prevotes: round, value, the POL round relied on.
    pub prevotes: BTreeMap<u32, (Option<Hash>, Option<u32>)>,
    /// Own precommits.
    pub precommits: BTreeMap<u32, Option<Hash>>,
    /// The value this member is locked on, and since which round.
    pub lock: Option<(Hash, u32)>,
    /// The newest value known to have had a POL.
    pub valid: Option<Pol>,
}

/// What a ballot wants done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act {
    /// The promise changed: make it durable with these records, then cast these votes.
    Promise {
        /// Own votes that may leave once the promise is durable.
        votes: Vec<Vote>,
        /// Values whose record bytes must be durable with it.
        records: Vec<Hash>,
        /// A voter's round is another one: votes that prove that it may be entered, durable with it (rule 7).
        entry: Option<Vec<Signed>>,
    },
    /// Propose this value in the current round.
    Propose {
        /// Which record.
        value: Hash,
        /// With this POL, or as a fresh proposal.
        pol: Option<Pol>,
    },
    /// A quorum precommitted this in one round.
    Settled(Certificate),
    /// Votes name a record whose bytes are not here.
    Lacking(Hash),
    /// Two votes of one member contradict each other.
    Equivocation(Box<(Checked, Checked)>),
}

/// What a ballot must know from outside to decide (rule 2, 9).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outlook {
    /// A record this member could propose, and whether one of its intents is its own.
    pub candidate: Option<(Hash, Turn)>,
    /// Whether this member may vote: a voter, not mute, not burnt, no unresolved fork.
    pub may_vote: bool,
}

/// Whose turn a fresh proposal is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// This member originated the change: it may propose at once in round 0.
    Own,
    /// Another member did.
    Others,
}

#[derive(Clone, Debug, Default)]
struct Round {
    prevotes: BTreeMap<MemberId, Checked>,
    precommits: BTreeMap<MemberId, Checked>,
    /// In the order of arrival; one per author is looked at (finding 43).
    proposals: Vec<(MemberId, Hash, Option<Pol>)>,
    /// Votes that their authors contradicted: cast, so that rounds end, and counted for nothing (finding 8).
    void: BTreeSet<(Step, MemberId)>,
}

impl Round {
    /// Votes that count.
    fn counted(&self, step: Step) -> impl Iterator<Item = &Checked> {
        let cast = if step == Step::Prevote { &self.prevotes } else { &self.precommits };
        cast.iter().filter(move |(author, _)| !self.void.contains(&(step, **author))).map(|(_, vote)| vote)
    }
}

/// The record of a value, and whether it is a valid child of the head.
#[derive(Clone, Debug)]
struct Known {
    bytes: Vec<u8>,
    next: Option<State>,
    /// My clock, my lists and my disk agree with it (asked only of proposals without a POL (finding 9)).
    agreeable: bool,
}

/// The machine that decides one epoch.
#[derive(Clone, Debug)]
pub struct Ballot {
    me: MemberId,
    epoch: u64,
    parent: Hash,
    voters: Vec<MemberId>,
    rule: QuorumRule,
    quorum: usize,
    promise: Promise,
    rounds: BTreeMap<u32, Round>,
    records: BTreeMap<Hash, Known>,
    /// What the present round was entered on, until that is told.
    entry: Vec<Signed>,
    /// Since when the current round runs; `None` while nobody proposes (no rounds run then).
    running: Option<Instant>,
    prevote_wait: Option<Instant>,
    precommit_wait: Option<Instant>,
    proposed: BTreeSet<u32>,
    contending: BTreeSet<MemberId>,
    asked: BTreeSet<Hash>,
    /// When the rules were applied last.
    looked: Instant,
    /// For which outlook, if nothing more follows from what was known then.
    rested: Option<Outlook>,
    settled: bool,
    /// A rule broken on purpose, for the simulator.
    sabotage: Option<Sabotage>,
}

impl Ballot {
    /// The ballot for the child of `head`, where this member may already have promised something.
    pub fn new(me: MemberId, state: &State, head: Hash, promise: Option<Promise>) -> Self {
        let epoch = state.epoch + 1;
        let promise = promise
            .filter(|promise| promise.epoch == epoch)
            .unwrap_or(Promise { epoch, ..Promise::default() });
        Self {
            me,
            epoch,
            parent: head,
            voters: state.voters().map(|voter| voter.id).collect(),
            rule: state.governance.quorum,
            quorum: state.quorum(),
            promise,
            rounds: BTreeMap::new(),
            records: BTreeMap::new(),
            entry: Vec::new(),
            running: None,
            prevote_wait: None,
            precommit_wait: None,
            proposed: BTreeSet::new(),
            contending: BTreeSet::new(),
            asked: BTreeSet::new(),
            looked: Instant::default(),
            rested: None,
            settled: false,
            sabotage: None,
        }
    }

    /// Breaks a rule on purpose, for the simulator.
    #[doc(hidden)]
    pub fn sabotage(&mut self, sabotage: Option<Sabotage>) {
        self.sabotage = sabotage;
        match sabotage {
            Some(Sabotage::HalfQuorum) => self.quorum = self.voters.len().div_ceil(2),
            Some(Sabotage::ForgottenLock) => self.promise.lock = None,
            Some(Sabotage::ForgottenRound) => self.promise.round = 0,
            _ => {}
        }
    }

    fn breaks(&self, rule: Sabotage) -> bool {
        self.sabotage == Some(rule)
    }

    /// The epoch that is being decided.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The present round.
    pub fn round(&self) -> u32 {
        self.promise.round
    }

    /// What this member promised in this epoch.
    pub fn promise(&self) -> &Promise {
        &self.promise
    }

    /// Whether the ballot is under way: something was proposed or voted, and nothing is settled.
    pub fn is_running(&self) -> bool {
        self.running.is_some() && !self.settled
    }

    /// The bytes of a record that votes name.
    pub fn record(&self, value: &Hash) -> Option<&[u8]> {
        self.records.get(value).map(|known| &known.bytes[..])
    }

    /// The state that a record leads to, if it is valid.
    pub fn next_state(&self, value: &Hash) -> Option<&State> {
        self.records.get(value)?.next.as_ref()
    }

    /// How many distinct voters precommitted anything in the present round (for people).
    pub fn tally(&self) -> BTreeMap<Option<Hash>, usize> {
        let mut tally = BTreeMap::new();
        for vote in self.rounds.get(&self.promise.round).into_iter().flat_map(|round| round.prevotes.values())
        {
            *tally.entry(vote.vote().and_then(|vote| vote.value)).or_default() += 1;
        }
        tally
    }

    /// Takes a record's bytes. `next` is the state it leads to, `None` if it is not a valid child of the head;
    /// `agreeable` says whether clock, lists and disk of this member agree with it.
    pub fn learn(&mut self, bytes: Vec<u8>, next: Option<State>, agreeable: bool) -> Hash {
        self.rested = None;
        let value = Record::hash_of(&bytes);
        self.records.entry(value).or_insert(Known { bytes, next, agreeable }).agreeable |= agreeable;
        value
    }

    /// Whether a proposal is worth looking at its record and evidence: of a voter, for a round that is not past, unless
    /// it shows a POL, and the first of its author for it (finding 43).
    pub fn considers(&self, from: &MemberId, round: u32, shows_pol: bool) -> bool {
        let now = self.promise.round;
        let in_time = round >= now || shows_pol;
        let near = round <= now.saturating_add(limits::PROPOSAL_ROUNDS_AHEAD);
        let proposals = self.rounds.get(&round).map(|round| &round.proposals);
        let first = proposals.is_none_or(|proposals| proposals.iter().all(|(author, ..)| author != from));
        in_time && near && first && self.voters.contains(from)
    }

    /// Takes a proposal whose record was learned. A POL that is not a quorum for the value is ignored.
    pub fn propose(&mut self, from: MemberId, round: u32, value: Hash, pol: &[Checked]) {
        let far = round > self.promise.round.saturating_add(limits::ROUNDS_AHEAD);
        if far || !self.voters.contains(&from) {
            return;
        }
        self.rested = None;
        let pol = self.check_pol(value, round, pol);
        self.contending.insert(from);
        let proposals = &mut self.rounds.entry(round).or_default().proposals;
        if !proposals.iter().any(|(author, ..)| *author == from) {
            proposals.push((from, value, pol));
        }
    }

    fn check_pol(&self, value: Hash, before: u32, votes: &[Checked]) -> Option<Pol> {
        let round = votes.first()?.vote()?.round;
        let good = |checked: &&Checked| {
            checked.vote().is_some_and(|vote| {
                vote.epoch == self.epoch
                    && vote.parent == self.parent
                    && vote.round == round
                    && vote.step == Step::Prevote
                    && vote.value == Some(value)
            }) && self.voters.contains(&checked.author())
        };
        let by: BTreeMap<MemberId, &Checked> =
            votes.iter().filter(good).map(|vote| (vote.author(), vote)).collect();
        if by.len() < self.quorum || round >= before {
            return None;
        }
        Some(Pol { value, round, votes: by.values().map(|vote| vote.signed().clone()).collect() })
    }

    /// Takes a vote of a roster member, own votes included. Returns evidence if it contradicts an earlier one.
    pub fn vote(&mut self, checked: &Checked, acts: &mut Vec<Act>) {
        let Some(vote) = checked.vote() else { return };
        let ours =
            vote.epoch == self.epoch && vote.parent == self.parent && self.voters.contains(&checked.author());
        if !ours || vote.round > self.promise.round.saturating_add(limits::ROUNDS_AHEAD) {
            return;
        }
        self.rested = None;
        let round = self.rounds.entry(vote.round).or_default();
        let votes = if vote.step == Step::Prevote { &mut round.prevotes } else { &mut round.precommits };
        match votes.get(&checked.author()) {
            Some(_) if self.sabotage == Some(Sabotage::NoEvidence) => {}
            Some(earlier) if earlier.vote() != Some(vote) => {
                acts.push(Act::Equivocation(Box::new((earlier.clone(), checked.clone()))));
                round.void.insert((vote.step, checked.author()));
            }
            Some(_) => {}
            None => {
                votes.insert(checked.author(), checked.clone());
                self.find_amnesia(checked, acts);
            }
        }
    }

    /// A precommit for one value and a later prevote for another that relies on nothing newer: whoever signed both
    /// forgot its lock (finding 3).
    fn find_amnesia(&self, checked: &Checked, acts: &mut Vec<Act>) {
        let author = checked.author();
        for (at, round) in &self.rounds {
            let Some(precommit) = round.precommits.get(&author) else { continue };
            let Some(locked) = precommit.vote().and_then(|vote| vote.value) else { continue };
            for (_, later) in self.rounds.range(at + 1..) {
                let Some(prevote) = later.prevotes.get(&author) else { continue };
                let Some(vote) = prevote.vote() else { continue };
                let released = vote.relied.is_some_and(|relied| relied >= *at);
                if vote.value.is_some_and(|value| value != locked) && !released {
                    acts.push(Act::Equivocation(Box::new((precommit.clone(), prevote.clone()))));
                }
            }
        }
    }

    /// Applies the rules until nothing more follows. Call after every input and whenever [`Self::deadline`] passes.
    pub fn advance(&mut self, now: Instant, outlook: &Outlook, acts: &mut Vec<Act>) {
        let rests = self.rested.as_ref() == Some(outlook) && !self.breaks(Sabotage::Restless);
        if self.settled || (rests && self.deadline(outlook).is_none_or(|at| now < at)) {
            return;
        }
        self.rested = None;
        if self.find_settled(acts) {
            return;
        }
        self.looked = now;
        let mut votes = Vec::new();
        let (before, stood) = (self.promise.clone(), self.standing());
        let asked = acts.len();
        self.join_later_round(now);
        self.start_if_needed(now, outlook);
        self.raise_valid();
        if outlook.may_vote && self.voters.contains(&self.me) {
            self.prevote(now, &mut votes);
            self.precommit(now, &mut votes);
            self.precommit_late(&mut votes);
        }
        self.next_round(now, outlook);
        self.ask_for_records(acts);
        if self.promise != before {
            let named = votes.iter().filter_map(|vote| vote.value);
            let kept =
                self.promise.valid.iter().map(|pol| pol.value).chain(self.promise.lock.map(|lock| lock.0));
            let records: BTreeSet<Hash> = named.chain(kept).collect();
            let records = records.into_iter().filter(|value| self.records.contains_key(value)).collect();
            let moved = self.promise.round != before.round && self.voters.contains(&self.me);
            let entry = moved.then(|| std::mem::take(&mut self.entry));
            acts.push(Act::Promise { votes, records, entry });
        }
        self.maybe_propose(now, outlook, acts);
        // What changed may lead to more the next time.
        if acts.len() == asked && self.standing() == stood {
            self.rested = Some(outlook.clone());
        }
    }

    /// All that the rules change, but for the promise: a change of that is an act.
    fn standing(&self) -> impl PartialEq + use<> {
        (self.running, self.prevote_wait, self.precommit_wait, self.asked.len(), self.proposed.len())
    }

    /// Rule 6: q precommits for one value of one and the same round.
    fn find_settled(&mut self, acts: &mut Vec<Act>) -> bool {
        for (round, votes) in &self.rounds {
            let mixed = if self.breaks(Sabotage::MixedRounds) { self.mixed(*round) } else { Vec::new() };
            let cast = || votes.counted(Step::Precommit).filter(|_| mixed.is_empty()).chain(&mixed);
            let Some(value) = quorum_value(cast(), self.quorum) else { continue };
            if !self.records.contains_key(&value) {
                // Once until the next occasion: two members that lack it must not make each other ask.
                if self.asked.insert(value) {
                    acts.push(Act::Lacking(value));
                }
                continue;
            }
            let signed = |vote: &&Checked| vote.vote().is_some_and(|vote| vote.value == Some(value));
            let votes = cast().filter(signed).map(|vote| vote.signed().clone()).collect();
            let (epoch, round) = (self.epoch, *round);
            self.settled = true;
            acts.push(Act::Settled(Certificate { epoch, round, value, votes }));
            return true;
        }
        false
    }

    /// Planted: the precommits of all rounds so far, each voter's once for a value.
    fn mixed(&self, last: u32) -> Vec<Checked> {
        let of = |(_, round): (&u32, &Round)| round.precommits.clone();
        let value = |vote: &Checked| vote.vote().and_then(|vote| vote.value);
        let cast =
            self.rounds.range(..=last).flat_map(of).map(|(author, vote)| ((author, value(&vote)), vote));
        cast.collect::<BTreeMap<_, _>>().into_values().collect()
    }

    /// Rule 7, second half: an entry proof of a later round moves this member there at once.
    fn join_later_round(&mut self, now: Instant) {
        let round = self.promise.round;
        let proof = if self.breaks(Sabotage::BlindEntry) { 1 } else { self.rule.proof(self.voters.len()) };
        let later = self.rounds.range(round + 1..).rev().find_map(|(at, votes)| {
            let speakers: BTreeMap<&MemberId, &Checked> =
                votes.prevotes.iter().chain(&votes.precommits).collect();
            let before = self.rounds.get(&(*at - 1)).filter(|votes| votes.precommits.len() >= self.quorum);
            match before {
                _ if speakers.len() >= proof => Some((*at, signed(speakers.into_values().take(proof)))),
                Some(before) if !speakers.is_empty() => {
                    Some((*at, signed(before.precommits.values().take(self.quorum))))
                }
                _ => None,
            }
        });
        if let Some((at, entry)) = later {
            self.enter(at, entry, now);
        }
    }

    fn enter(&mut self, round: u32, entry: Vec<Signed>, now: Instant) {
        debug_assert!(round > self.promise.round, "the round never decreases");
        self.promise.round = round;
        self.entry = entry;
        self.running = Some(now);
        self.prevote_wait = None;
        self.precommit_wait = None;
    }

    /// A round runs once somebody proposes or votes, or this member has something to propose (rule 8, 9).
    fn start_if_needed(&mut self, now: Instant, outlook: &Outlook) {
        if self.running.is_none() && (self.has_something(outlook) || self.is_talked_about(self.promise.round))
        {
            self.running = Some(now);
        }
    }

    fn has_something(&self, outlook: &Outlook) -> bool {
        outlook.candidate.is_some() || self.promise.lock.is_some() || self.promise.valid.is_some()
    }

    fn is_talked_about(&self, round: u32) -> bool {
        self.rounds.range(round..).any(|(_, votes)| {
            !(votes.prevotes.is_empty() && votes.precommits.is_empty() && votes.proposals.is_empty())
        })
    }

    /// Rule 4, second half: a POL of any round only raises `valid`; so does one shown in a proposal.
    fn raise_valid(&mut self) {
        let newest = self.promise.valid.as_ref().map(|pol| pol.round);
        let mut found: Option<Pol> = None;
        for (round, votes) in &self.rounds {
            let shown = votes.proposals.iter().filter_map(|(_, _, pol)| pol.clone());
            let counted = quorum_value(votes.counted(Step::Prevote), self.quorum).map(|value| {
                let signed = |vote: &&Checked| vote.vote().is_some_and(|vote| vote.value == Some(value));
                let votes =
                    votes.counted(Step::Prevote).filter(signed).map(|vote| vote.signed().clone()).collect();
                Pol { value, round: *round, votes }
            });
            for pol in shown.chain(counted) {
                let newer =
                    newest.max(found.as_ref().map(|pol| pol.round)).is_none_or(|newest| pol.round > newest);
                if newer && pol.round <= self.promise.round && self.is_valid(&pol.value) {
                    found = Some(pol);
                }
            }
        }
        if found.is_some() {
            self.promise.valid = found;
        }
    }

    fn is_valid(&self, value: &Hash) -> bool {
        self.records.get(value).is_some_and(|known| known.next.is_some())
    }

    /// Rules 1, 2 and 3.
    fn prevote(&mut self, now: Instant, votes: &mut Vec<Vote>) {
        let round = self.promise.round;
        if self.promise.prevotes.contains_key(&round) {
            return;
        }
        // A promise of a program that left the prevote out: for none it binds to nothing.
        let left_out = self.promise.precommits.contains_key(&round);
        if left_out && self.breaks(Sabotage::LonePrecommit) {
            return;
        }
        let choice = self.acceptable(round, now).filter(|_| !left_out);
        let late = left_out || self.running.is_some_and(|since| now >= since + self.wait(PROPOSAL_WAIT));
        if choice.is_none() && !late {
            return;
        }
        let (value, relied) = choice.map_or((None, None), |(value, relied)| (Some(value), relied));
        self.promise.prevotes.insert(round, (value, relied));
        votes.push(self.my_vote(Step::Prevote, value, relied));
    }

    /// The first proposal of the round that rule 2 lets this member vote for, and the POL round it relies on.
    fn acceptable(&self, round: u32, now: Instant) -> Option<(Hash, Option<u32>)> {
        self.considered(round, now).into_iter().find_map(|(_, value, pol)| {
            let known = self.records.get(value)?;
            known.next.as_ref()?;
            let shown = pol.as_ref().map(|pol| pol.round);
            let lock_allows = match self.promise.lock {
                None => true,
                Some(_) if self.breaks(Sabotage::NoLocks) => true,
                Some((locked, since)) => {
                    locked == *value || shown.is_some_and(|shown| since <= shown && shown < round)
                }
            };
            let own_lock = self.own_lock(value);
            let signed = own_lock.filter(|_| !self.breaks(Sabotage::UnsignedReliance));
            let agreed = known.agreeable || shown.is_some() || own_lock.is_some();
            // The newest POL that this vote rests on, shown or locked on. Without the lock, an honest member that
            // moved its lock would look as if it had forgotten one (model: "lock not signed").
            (lock_allows && agreed).then_some((*value, shown.max(signed)))
        })
    }

    /// Since which round this member is locked on a value.
    fn own_lock(&self, value: &Hash) -> Option<u32> {
        self.promise.lock.filter(|lock| lock.0 == *value).map(|lock| lock.1)
    }

    /// A prevote that is still out is cast before the precommit: for the value, if rule 2 lets it without a POL, or for none.
    /// Of the prevotes that made the quorum one may be lost with its author's disk, and this one may be the one it takes then
    /// for the round to end.
    fn prevote_first(&mut self, polled: Option<Hash>, votes: &mut Vec<Vote>) {
        let round = self.promise.round;
        if self.promise.prevotes.contains_key(&round) || self.breaks(Sabotage::LonePrecommit) {
            return;
        }
        let agreeable = |value: &Hash| self.records.get(value).is_some_and(|known| known.agreeable);
        let allowed = |value: &Hash| match self.promise.lock {
            None => agreeable(value),
            Some((locked, _)) => locked == *value,
        };
        let value = polled.filter(allowed);
        let relied = value.and_then(|value| self.own_lock(&value));
        self.promise.prevotes.insert(round, (value, relied));
        votes.push(self.my_vote(Step::Prevote, value, relied));
    }

    /// Rules 4 and 5: only in the current round, only once (finding 1), and after the prevote.
    fn precommit(&mut self, now: Instant, votes: &mut Vec<Vote>) {
        let round = self.promise.round;
        if self.promise.precommits.contains_key(&round) {
            return;
        }
        let Some(votes_cast) = self.rounds.get(&round) else { return };
        let counted = || votes_cast.counted(Step::Prevote);
        let polled = quorum_value(counted(), self.quorum).filter(|value| self.is_valid(value));
        let nils = counted().filter(|vote| vote.vote().is_some_and(|vote| vote.value.is_none())).count();
        let any = votes_cast.prevotes.len() >= self.quorum;
        if any && self.prevote_wait.is_none() {
            self.prevote_wait = Some(now + self.wait(VOTE_WAIT));
        }
        let waited = any && self.prevote_wait.is_some_and(|until| now >= until);
        if polled.is_none() && nils < self.quorum && !waited {
            return;
        }
        self.prevote_first(polled, votes);
        if let Some(value) = polled {
            self.promise.lock = Some((value, round));
        }
        self.promise.precommits.insert(round, polled);
        votes.push(self.my_vote(Step::Precommit, polled, None));
    }

    /// What rule 4 forbids (finding 1): for the simulator only.
    fn precommit_late(&mut self, votes: &mut Vec<Vote>) {
        if !self.breaks(Sabotage::LatePrecommit) {
            return;
        }
        for (round, cast) in self.rounds.range(..self.promise.round) {
            let polled = quorum_value(cast.counted(Step::Prevote), self.quorum);
            let polled = polled.filter(|value| self.is_valid(value));
            if polled.is_none() || self.promise.precommits.contains_key(round) {
                continue;
            }
            self.promise.lock = polled.map(|value| (value, *round));
            self.promise.precommits.insert(*round, polled);
            votes.push(Vote { round: *round, ..self.my_vote(Step::Precommit, polled, None) });
        }
    }

    /// The proposals of a round that may be voted for now. With [`QuorumRule::Supermajority`] a proposer that takes
    /// others' turns gains nothing: by this member's own clock no proposal counts before its turn, and of several
    /// the one whose turn came first does (finding 12).
    fn considered(&self, round: u32, now: Instant) -> Vec<&(MemberId, Hash, Option<Pol>)> {
        let proposals = self.rounds.get(&round).map(|round| &round.proposals);
        let mut proposals: Vec<_> = proposals.into_iter().flatten().collect();
        if self.rule == QuorumRule::Supermajority {
            proposals.retain(|(author, ..)| now >= self.strict_turn(author, round));
            proposals.sort_by_key(|(author, ..)| self.rotated(author, round));
        }
        proposals
    }

    fn my_vote(&self, step: Step, value: Option<Hash>, relied: Option<u32>) -> Vote {
        Vote { epoch: self.epoch, round: self.promise.round, parent: self.parent, step, value, relied }
    }

    /// Rule 7, first half: q precommits of any kind in this round, and a time-out.
    fn next_round(&mut self, now: Instant, outlook: &Outlook) {
        let round = self.promise.round;
        let precommits = self.rounds.get(&round).map(|votes| &votes.precommits);
        let Some(precommits) = precommits.filter(|votes| votes.len() >= self.quorum) else { return };
        if self.breaks(Sabotage::EndlessRound) {
            return;
        }
        let until = *self.precommit_wait.get_or_insert(now + waiting(VOTE_WAIT, round));
        if now >= until {
            let entry = signed(precommits.values().take(self.quorum));
            self.enter(round + 1, entry, now);
            if !self.has_something(outlook) && !self.is_talked_about(round + 1) {
                self.running = None;
            }
        }
    }

    /// A quorum speaks of a record that is not here: without its bytes nothing can be voted or settled (finding 11).
    fn ask_for_records(&mut self, acts: &mut Vec<Act>) {
        for votes in self.rounds.values() {
            for step in [Step::Prevote, Step::Precommit] {
                let Some(value) = quorum_value(votes.counted(step), self.quorum) else { continue };
                if !self.records.contains_key(&value) && self.asked.insert(value) {
                    acts.push(Act::Lacking(value));
                }
            }
        }
    }

    /// Whether this record was asked for: nobody else's bytes are kept.
    pub fn has_asked(&self, value: &Hash) -> bool {
        self.asked.contains(value)
    }

    /// A record that was asked for did not come; ask again at the next occasion.
    pub fn ask_again(&mut self) {
        if !self.asked.is_empty() {
            (self.rested, self.asked) = (None, BTreeSet::new());
        }
    }

    /// Rule 9.
    fn maybe_propose(&mut self, now: Instant, outlook: &Outlook, acts: &mut Vec<Act>) {
        let round = self.promise.round;
        let done = self.proposed.contains(&round) || self.promise.prevotes.contains_key(&round);
        if done || !outlook.may_vote || !self.voters.contains(&self.me) || self.running.is_none() {
            return;
        }
        let Some((value, pol, turn)) = self.to_propose(outlook) else { return };
        let pol = pol.cloned();
        if now < self.my_turn(round, turn) {
            return;
        }
        self.proposed.insert(round);
        acts.push(Act::Propose { value, pol });
    }

    /// A valid value, else the lock, is proposed before anything fresh and never dropped (finding 12).
    fn to_propose(&self, outlook: &Outlook) -> Option<(Hash, Option<&Pol>, Turn)> {
        if let Some(pol) = &self.promise.valid {
            return Some((pol.value, Some(pol), Turn::Own));
        }
        if let Some((value, _)) = self.promise.lock {
            return Some((value, None, Turn::Own));
        }
        outlook.candidate.map(|(value, turn)| (value, None, turn))
    }

    /// Originators come first; then everybody in the order of the hierarchy, rotated by epoch and round (finding 12).
    /// Whoever has proposed in this epoch is taken for one of them by those who heard it, and has to take itself for one: if
    /// it came last by its own count, and first by theirs, no round would be its own.
    fn my_turn(&self, round: u32, turn: Turn) -> Instant {
        if self.rule == QuorumRule::Supermajority {
            return self.strict_turn(&self.me, round);
        }
        let since = self.running.unwrap_or_default();
        let rotated = |voter: &MemberId| self.rotated(voter, round);
        let contend = turn == Turn::Own || !self.proposed.is_empty();
        let contends = |voter: &MemberId| self.contending.contains(voter) || (*voter == self.me && contend);
        let mine = (!contends(&self.me), rotated(&self.me));
        let ahead =
            self.voters.iter().filter(|voter| (!contends(voter), rotated(voter)) < mine).count() as u64;
        let slot = if round == 0 && turn == Turn::Own { 0 } else { ahead.min(8) + u64::from(!contend) };
        since + Millis(slot * SLOT.0)
    }

    /// A voter's place in the order of turns: that of the hierarchy, rotated by epoch and round.
    fn rotated(&self, voter: &MemberId, round: u32) -> u64 {
        let count = self.voters.len() as u64;
        let at = self.voters.iter().position(|other| other == voter).unwrap_or(0) as u64;
        (at + count - (self.epoch + u64::from(round)) % count) % count
    }

    /// When a voter's turn comes in a round where nobody takes another's.
    fn strict_turn(&self, voter: &MemberId, round: u32) -> Instant {
        let distance = SLOT.0 + SLOT_GROWTH.0 * u64::from(round.min(GROWING_ROUNDS));
        self.running.unwrap_or_default() + Millis(self.rotated(voter, round) * distance)
    }

    fn wait(&self, base: Millis) -> Millis {
        waiting(base, self.promise.round)
    }

    /// When [`Self::advance`] may do something new without any input.
    pub fn deadline(&self, outlook: &Outlook) -> Option<Instant> {
        if self.settled {
            return None;
        }
        let since = self.running?;
        let round = self.promise.round;
        let voted = self.promise.prevotes.contains_key(&round);
        let nil = (!voted && outlook.may_vote).then(|| since + self.wait(PROPOSAL_WAIT));
        let turn = self.to_propose(outlook).map(|(_, _, turn)| self.my_turn(round, turn));
        let turn = turn.filter(|_| !voted && outlook.may_vote && !self.proposed.contains(&round));
        let precommitted = self.promise.precommits.contains_key(&round);
        let prevotes = self.prevote_wait.filter(|_| !precommitted && outlook.may_vote);
        let waiting = self.rounds.get(&round).filter(|_| self.rule == QuorumRule::Supermajority && !voted);
        let waiting = waiting.into_iter().flat_map(|round| &round.proposals);
        let waiting =
            waiting.map(|(author, ..)| self.strict_turn(author, round)).filter(|at| *at > self.looked);
        [nil, turn, prevotes, self.precommit_wait, waiting.min()].into_iter().flatten().min()
    }
}

fn signed<'a>(votes: impl Iterator<Item = &'a Checked>) -> Vec<Signed> {
    votes.map(|vote| vote.signed().clone()).collect()
}

fn waiting(base: Millis, round: u32) -> Millis {
    Millis(base.0 + GROWTH.0 * u64::from(round.min(GROWING_ROUNDS)))
}

/// The value, if any, that at least `quorum` of these votes name.
fn quorum_value<'a>(votes: impl Iterator<Item = &'a Checked>, quorum: usize) -> Option<Hash> {
    let mut counts: BTreeMap<Hash, usize> = BTreeMap::new();
    for value in votes.filter_map(|vote| vote.vote()?.value) {
        *counts.entry(value).or_default() += 1;
    }
    counts.into_iter().find(|(_, count)| *count >= quorum).map(|(value, _)| value)
}

#[cfg(test)]
mod tests;
