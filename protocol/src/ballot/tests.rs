//! The voting rules, one by one, in the traces that broke earlier drafts of them; and agreement whatever happens.

mod supermajority;

use std::collections::BTreeSet;

use quickcheck::quickcheck;

use super::*;
use crate::identity::{Identity, Scheme};
use crate::record::{Genesis, Newcomer};
use crate::rng::Rng;
use crate::state::{Member, Role};
use crate::statement::{Address, Envelope, Id16, Position, Statement};
use crate::time::WallTime;

const NOBODY: Outlook = Outlook { candidate: None, may_vote: true };

fn identity(number: usize) -> Identity {
    Identity::from_seed([number as u8 + 1; 32]).simulated()
}

/// An entity of so many voters, and the hash of its head.
fn entity(voters: usize) -> (State, Hash) {
    let address = Address { control: ([127, 0, 0, 1], 1).into(), bulk: ([127, 0, 0, 1], 2).into() };
    let newcomer = |number: usize| Newcomer {
        member: identity(number).id(),
        store: Id16([number as u8; 16]),
        name: format!("web{number}"),
        address,
    };
    let (format, nonce) = (Genesis::NEWEST, Id16::default());
    let genesis = Genesis {
        format,
        name: "farm".into(),
        founder: newcomer(0),
        at: WallTime(0),
        nonce,
        inherited: None,
        governance: Default::default(),
    };
    let mut state = State::genesis(&genesis);
    for number in 1..voters {
        let Newcomer { member: id, store, name, address } = newcomer(number);
        state.members.push(Member {
            id,
            store,
            name,
            role: Role::Voter,
            addresses: vec![address],
            since: 0,
            service: crate::state::Service::In,
            labels: std::collections::BTreeMap::new(),
        });
    }
    (state, genesis.id())
}

/// One voter's ballot, whose own votes come back to it as soon as they are cast.
#[derive(Clone)]
struct Voter {
    identity: Identity,
    state: State,
    head: Hash,
    ballot: Ballot,
    now: Instant,
    sequence: u64,
    said: Vec<Checked>,
    acts: Vec<Act>,
}

impl Voter {
    fn new(number: usize, of: usize) -> Self {
        let (state, head) = entity(of);
        let identity = identity(number);
        let ballot = Ballot::new(identity.id(), &state, head, None);
        let (said, acts) = (Vec::new(), Vec::new());
        Self { identity, state, head, ballot, now: Instant(1000), sequence: 0, said, acts }
    }

    /// The process died; the promise is on its disk.
    fn restart(&mut self) {
        let promise = self.ballot.promise().clone();
        self.ballot = Ballot::new(self.identity.id(), &self.state, self.head, Some(promise));
    }

    fn sign(&mut self, vote: Vote) -> Checked {
        self.sequence += 1;
        signed(&self.identity, self.state.entity, vote, self.sequence)
    }

    fn advance(&mut self, outlook: &Outlook) -> &mut Self {
        loop {
            let mut acts = Vec::new();
            self.ballot.advance(self.now, outlook, &mut acts);
            let mut cast = Vec::new();
            for act in acts {
                if let Act::Promise { votes, .. } = &act {
                    cast.extend(votes.clone());
                }
                self.acts.push(act);
            }
            if cast.is_empty() {
                return self;
            }
            for vote in cast {
                let checked = self.sign(vote);
                self.ballot.vote(&checked, &mut self.acts);
                self.said.push(checked);
            }
        }
    }

    fn hear(&mut self, votes: &[&Checked]) -> &mut Self {
        for vote in votes {
            self.ballot.vote(vote, &mut self.acts);
        }
        self.advance(&NOBODY)
    }

    fn wait(&mut self, ms: u64) -> &mut Self {
        self.now = self.now + Millis(ms);
        self.advance(&NOBODY)
    }

    /// A proposal of `from`, with the prevotes that are shown with it.
    fn proposed(&mut self, from: usize, value: &[u8], pol: &[Checked]) -> &mut Self {
        self.learn(value, true);
        let (from, round) = (identity(from).id(), self.ballot.round());
        self.ballot.propose(from, round, Record::hash_of(value), pol);
        self.advance(&NOBODY)
    }

    fn learn(&mut self, value: &[u8], agreeable: bool) {
        let next = self.state.clone();
        self.ballot.learn(value.to_vec(), Some(next), agreeable);
    }

    fn prevoted(&self, round: u32) -> Option<Option<Hash>> {
        self.ballot.promise().prevotes.get(&round).map(|(value, _)| *value)
    }

    fn precommitted(&self, round: u32) -> Option<Option<Hash>> {
        self.ballot.promise().precommits.get(&round).copied()
    }

    fn settled(&self) -> Option<&Certificate> {
        self.acts.iter().find_map(|act| match act {
            Act::Settled(certificate) => Some(certificate),
            _ => None,
        })
    }
}

fn signed(identity: &Identity, entity: Hash, vote: Vote, sequence: u64) -> Checked {
    let position = Position { incarnation: 1, sequence };
    let statement = Statement::Vote(vote);
    Checked::sign(identity, Envelope { entity, store: Id16::default(), position, statement })
}

/// A vote of voter `by` for `value` (empty: none) in the entity of so many voters.
fn vote(by: usize, of: usize, round: u32, step: Step, value: &[u8], relied: Option<u32>) -> Checked {
    let (state, parent) = entity(of);
    let value = (!value.is_empty()).then(|| Record::hash_of(value));
    let vote = Vote { epoch: 1, round, parent, step, value, relied };
    signed(&identity(by), state.entity, vote, u64::from(round) * 2 + 1)
}

fn prevote(by: usize, round: u32, value: &[u8]) -> Checked {
    vote(by, 3, round, Step::Prevote, value, None)
}

fn precommit(by: usize, round: u32, value: &[u8]) -> Checked {
    vote(by, 3, round, Step::Precommit, value, None)
}

const V: &[u8] = b"the record V";
const W: &[u8] = b"the record W";

/// (finding 8)
#[test]
fn a_vote_that_its_author_contradicted_counts_for_nothing_and_ends_its_round() {
    let mut c = Voter::new(2, 3);
    c.learn(V, true);
    c.clone().hear(&[&precommit(0, 0, V), &precommit(1, 0, V)]).settled().expect("two of three");
    c.hear(&[&precommit(0, 0, V), &precommit(0, 0, W), &precommit(1, 0, V)]);
    assert!(c.acts.iter().any(|act| matches!(act, Act::Equivocation(_))));
    assert_eq!(c.settled(), None, "one honest vote is left");
    c.wait(400);
    assert_eq!(c.ballot.round(), 1, "a quorum has cast something");
}

/// (finding 1)
#[test]
fn a_late_quorum_of_prevotes_makes_no_precommit_in_a_round_that_was_left() {
    let mut c = Voter::new(2, 3);
    c.learn(W, true);
    c.proposed(0, V, &[]);
    assert_eq!(c.prevoted(0), Some(Some(Record::hash_of(V))));
    // A precommitted none and B precommitted V, before A's prevote for V gets here.
    c.hear(&[&precommit(0, 0, b""), &precommit(1, 0, V)]).wait(400);
    assert_eq!((c.ballot.round(), c.precommitted(0)), (1, None));
    c.proposed(0, W, &[]).hear(&[&prevote(0, 1, W)]);
    assert_eq!(c.precommitted(1), Some(Some(Record::hash_of(W))));
    let lock = c.ballot.promise().lock;
    c.hear(&[&prevote(0, 0, V)]).wait(10);
    assert_eq!(c.precommitted(0), None, "the round was left");
    assert_eq!(c.ballot.promise().lock, lock, "the lock is not lowered");
    assert_eq!(c.ballot.promise().valid.as_ref().map(|pol| pol.round), Some(1));
    assert_eq!(c.settled(), None);
}

/// (finding 1) A start does not go back to an earlier round.
#[test]
fn after_a_start_the_round_is_what_it_was_and_no_second_vote_is_cast() {
    let mut c = Voter::new(2, 3);
    c.proposed(0, V, &[]).hear(&[&precommit(0, 0, b""), &precommit(1, 0, b"")]).wait(400);
    assert_eq!(c.ballot.round(), 1);
    c.restart();
    c.said.clear();
    c.proposed(1, W, &[]);
    assert_eq!(c.ballot.round(), 1);
    c.restart();
    c.proposed(0, V, &[]);
    let rounds: Vec<u32> = c.said.iter().filter_map(|vote| vote.vote().map(|vote| vote.round)).collect();
    assert_eq!(rounds, [1], "one prevote in round 1, before and after the start");
    assert_eq!(c.prevoted(1), Some(Some(Record::hash_of(W))));
}

/// (finding 3) Whoever precommitted one value and prevotes another on the strength of nothing newer forgot its lock.
#[test]
fn a_forgotten_lock_is_proved_by_two_signatures() {
    let forgot = |relied| {
        let mut a = Voter::new(0, 3);
        let later = vote(1, 3, 1, Step::Prevote, W, relied);
        a.hear(&[&precommit(1, 0, V), &later]);
        a.acts.iter().any(|act| matches!(act, Act::Equivocation(_)))
    };
    assert!(forgot(None));
    assert!(!forgot(Some(0)), "a quorum of the same round released the lock");
}

/// (findings 3, 9) A vote says what it rests on.
#[test]
fn a_prevote_signs_the_quorum_it_relied_on() {
    let mut a = Voter::new(0, 3);
    a.hear(&[&precommit(1, 0, b""), &precommit(2, 0, b"")]).wait(400);
    a.proposed(1, V, &[prevote(1, 0, V), prevote(2, 0, V)]);
    assert_eq!(a.ballot.promise().prevotes.get(&1), Some(&(Some(Record::hash_of(V)), Some(0))));
}

/// (finding 4)
#[test]
fn precommits_of_different_rounds_are_not_counted_together() {
    let mut c = Voter::new(2, 3);
    c.learn(V, true);
    c.hear(&[&precommit(0, 0, V), &precommit(1, 2, V)]).wait(5000);
    assert_eq!(c.settled(), None);
    c.hear(&[&precommit(1, 0, V)]);
    assert_eq!(c.settled().map(|certificate| (certificate.round, certificate.votes.len())), Some((0, 2)));
}

/// (finding 8)
#[test]
fn two_votes_of_one_step_are_evidence_and_only_the_first_counts() {
    let mut c = Voter::new(2, 3);
    c.learn(V, true);
    c.learn(W, true);
    c.hear(&[&precommit(0, 0, W), &precommit(0, 0, V), &precommit(1, 0, V)]);
    assert!(c.acts.iter().any(|act| matches!(act, Act::Equivocation(_))));
    assert_eq!(c.settled(), None);
}

/// (finding 9) The clock, the lists and the disk are asked of a fresh proposal only.
#[test]
fn a_shown_quorum_ends_the_argument_about_what_is_agreeable() {
    let reluctant = |pol: &[Checked]| {
        let mut c = Voter::new(2, 3);
        c.learn(V, false);
        c.hear(&[&precommit(0, 0, b""), &precommit(1, 0, b"")]).wait(400);
        c.ballot.propose(identity(0).id(), 1, Record::hash_of(V), pol);
        c.advance(&NOBODY);
        c.prevoted(1)
    };
    assert_eq!(reluctant(&[]), None, "a fresh one is not voted for");
    assert_eq!(reluctant(&[prevote(0, 0, V), prevote(1, 0, V)]), Some(Some(Record::hash_of(V))));
    assert_eq!(reluctant(&[prevote(0, 0, V)]), None, "one prevote is no quorum");
    assert_eq!(reluctant(&[prevote(0, 0, V), prevote(0, 0, V)]), None, "nor the same one twice");
    assert_eq!(reluctant(&[prevote(0, 0, V), prevote(1, 0, W)]), None, "nor one for another value");
}

/// (finding 10) With one of three gone, the two that are left can always meet in one round.
#[test]
fn an_entry_proof_moves_a_member_at_once() {
    let mut c = Voter::new(2, 3);
    c.hear(&[&prevote(0, 7, b"")]);
    assert_eq!(c.ballot.round(), 0, "one message proves nothing");
    c.hear(&[&precommit(0, 6, b""), &precommit(1, 6, b"")]);
    assert_eq!(c.ballot.round(), 7, "a quorum of the round before, and one message");
    let mut d = Voter::new(2, 3);
    d.hear(&[&prevote(0, 9, b""), &prevote(1, 9, V)]);
    assert_eq!(d.ballot.round(), 9, "n-q+1 messages of the round itself");
}

/// (finding 10) A number without a proof drags nobody away.
#[test]
fn a_round_far_ahead_is_not_even_kept() {
    let mut c = Voter::new(2, 3);
    c.hear(&[&prevote(0, u32::MAX, V), &prevote(1, u32::MAX, V)]).wait(60_000);
    assert_eq!(c.ballot.round(), 0);
    assert!(c.ballot.rounds.keys().all(|round| *round <= limits::ROUNDS_AHEAD));
}

/// (finding 11) a
#[test]
fn without_an_acceptable_proposal_none_is_prevoted_in_time() {
    let mut b = Voter::new(1, 3);
    b.hear(&[&prevote(0, 0, V)]).wait(500);
    assert_eq!(b.prevoted(0), None);
    b.wait(200);
    assert_eq!(b.prevoted(0), Some(None));
    // A quorum of mixed prevotes and a time-out: none is precommitted, and the next round comes.
    b.wait(400);
    assert_eq!(b.precommitted(0), Some(None));
    b.hear(&[&precommit(0, 0, b"")]).wait(400);
    assert_eq!(b.ballot.round(), 1);
}

/// (finding 11) b
#[test]
fn a_lock_is_something_to_propose_and_keeps_the_rounds_running() {
    let mut a = Voter::new(0, 3);
    a.proposed(1, V, &[]).hear(&[&prevote(1, 0, V)]);
    assert_eq!(a.ballot.promise().lock, Some((Record::hash_of(V), 0)));
    a.restart();
    assert!(a.ballot.deadline(&NOBODY).is_none(), "not before it looked");
    a.advance(&NOBODY);
    assert!(a.ballot.is_running());
    // Nobody answers: the next rounds come with the precommits of the others only, and V is proposed there.
    a.learn(V, true);
    a.hear(&[&precommit(1, 0, b""), &precommit(2, 0, b"")]).wait(400).wait(2000);
    let proposed = a.acts.iter().any(|act| {
        matches!(act, Act::Propose { value, pol: Some(pol) } if *value == Record::hash_of(V) && pol.round == 0)
    });
    assert!(proposed, "{:?}", a.acts);
}

/// (finding 11) c
#[test]
fn a_record_is_asked_for_and_never_voted_for_unseen() {
    let mut c = Voter::new(2, 3);
    c.ballot.propose(identity(0).id(), 0, Record::hash_of(V), &[]);
    c.hear(&[&prevote(0, 0, V), &prevote(1, 0, V)]);
    assert_eq!((c.prevoted(0), c.precommitted(0)), (None, None));
    assert!(c.acts.contains(&Act::Lacking(Record::hash_of(V))));
    assert!(c.ballot.has_asked(&Record::hash_of(V)));
    assert!(!c.ballot.has_asked(&Record::hash_of(W)), "nobody else's bytes are wanted");
    c.learn(V, false);
    c.advance(&NOBODY);
    assert_eq!(c.precommitted(0), Some(Some(Record::hash_of(V))));
}

/// (finding 12) A valid value comes before anything fresh.
#[test]
fn what_had_a_quorum_is_proposed_and_not_what_is_new() {
    let mut a = Voter::new(0, 3);
    a.learn(V, true);
    a.learn(W, true);
    a.hear(&[&prevote(1, 0, V), &prevote(2, 0, V)]);
    a.hear(&[&precommit(1, 0, b""), &precommit(2, 0, b"")]).wait(400);
    a.now = a.now + Millis(2000);
    let fresh = Outlook { candidate: Some((Record::hash_of(W), Turn::Own)), may_vote: true };
    a.acts.clear();
    a.advance(&fresh);
    let proposals: Vec<&Act> = a.acts.iter().filter(|act| matches!(act, Act::Propose { .. })).collect();
    assert!(
        proposals.iter().all(|act| {
            matches!(act, Act::Propose { value, pol: Some(_) } if *value == Record::hash_of(V))
        })
    );
}

/// (finding 12) Nobody's turn is last in every epoch, and a lone originator does not wait for 999 others.
#[test]
fn turns_rotate_and_contenders_come_first() {
    let voters = 5;
    let turn = |epoch: u64, number: usize| {
        let mut voter = Voter::new(number, voters);
        voter.state.epoch = epoch;
        voter.ballot = Ballot::new(voter.identity.id(), &voter.state, voter.head, None);
        voter.ballot.running = Some(Instant(0));
        (voter.ballot.my_turn(1, Turn::Others), voter.ballot.my_turn(1, Turn::Own))
    };
    let firsts: BTreeSet<usize> = (0..voters as u64)
        .filter_map(|epoch| (0..voters).min_by_key(|number| turn(epoch, *number).0))
        .collect();
    assert_eq!(firsts.len(), voters, "each is first in one of {voters} epochs");
    assert!((0..voters).all(|number| turn(0, number).1 == Instant(0)), "who contends alone is first");
}

/// Who has proposed counts itself among those that the others take for contenders: else it comes last in its own round.
#[test]
fn every_contender_is_first_in_a_round_by_its_own_count_too() {
    let voters = 5;
    let mut second = Voter::new(2, voters);
    second.learn(V, true);
    second.ballot.running = Some(Instant(0));
    second.ballot.propose(identity(1).id(), 0, Record::hash_of(W), &[]);
    let epoch = second.state.epoch + 1;
    let own =
        (1..=voters as u64).find(|round| (epoch + round) % voters as u64 == 2).expect("one of five") as u32;
    assert_ne!(second.ballot.my_turn(own, Turn::Others), Instant(0), "it has not contended yet");
    second.ballot.proposed.insert(0);
    assert_eq!(second.ballot.my_turn(own, Turn::Others), Instant(0));
    assert_ne!(second.ballot.my_turn(own + 1, Turn::Others), Instant(0), "the other one's");
}

/// (finding 43) Votes for another parent are nothing here, and of each member one proposal a round is looked at.
#[test]
fn votes_name_their_parent_and_proposals_are_counted() {
    let mut c = Voter::new(2, 3);
    c.learn(V, true);
    for by in [0, 1] {
        let mut vote = precommit(by, 0, V).vote().cloned().expect("a vote");
        vote.parent = Hash::of(b"another entity's head");
        let vote = signed(&identity(by), c.state.entity, vote, 9);
        c.hear(&[&vote]);
    }
    assert_eq!(c.settled(), None);
    for number in 0..100_u8 {
        c.ballot.propose(identity(0).id(), 3, Hash::of(&[number]), &[]);
    }
    c.ballot.propose(Identity::from_seed([77; 32]).id(), 3, Hash::of(b"x"), &[]);
    assert_eq!(c.ballot.rounds[&3].proposals.len(), 1);
}

/// A message of one voter that others may have heard of or not.
enum Said {
    Vote(Checked),
    Proposal { from: usize, round: u32, value: Hash, pol: Vec<Checked> },
}

/// Lets voters of the real machine hear anything that was ever said, in any order and as often as it comes, while
/// clocks run as they like and processes start again from their promises.
fn anything_goes(seed: u64, voters: usize, steps: u32) -> (BTreeSet<Hash>, u32) {
    let mut rng = Rng::new(Hash::of(&seed.to_le_bytes()).0);
    let mut all: Vec<Voter> = (0..voters).map(|number| Voter::new(number, voters)).collect();
    let values: [&[u8]; 2] = [V, W];
    all.iter_mut().for_each(|voter| values.iter().for_each(|value| voter.learn(value, true)));
    let (mut board, mut outcome): (Vec<Said>, BTreeSet<Hash>) = (Vec::new(), BTreeSet::new());
    for _ in 0..steps {
        let at = rng.below(voters as u64) as usize;
        let candidate = Some((Record::hash_of(values[at % 2]), Turn::Own));
        let voter = &mut all[at];
        match rng.below(20) {
            0 => {
                voter.restart();
                values.iter().for_each(|value| voter.learn(value, true));
            }
            1..=4 => voter.now = voter.now + Millis(rng.below(1500)),
            _ => match rng.pick(&board) {
                Some(Said::Vote(vote)) => voter.ballot.vote(vote, &mut voter.acts),
                Some(Said::Proposal { from, round, value, pol }) => {
                    voter.ballot.propose(identity(*from).id(), *round, *value, pol);
                }
                None => {}
            },
        }
        voter.advance(&Outlook { candidate, may_vote: true });
        let (round, scheme, entity) = (voter.ballot.round(), Scheme::SimulatedHash, voter.state.entity);
        board.extend(voter.said.drain(..).map(Said::Vote));
        for act in voter.acts.drain(..) {
            match act {
                Act::Propose { value, pol } => {
                    let votes = pol.map(|pol| pol.votes).unwrap_or_default();
                    let check = |vote| Checked::check(vote, &entity, scheme).ok();
                    let pol = votes.into_iter().filter_map(check).collect();
                    board.push(Said::Proposal { from: at, round, value, pol });
                }
                Act::Settled(certificate) => {
                    outcome.insert(certificate.value);
                }
                Act::Equivocation(pair) => panic!("an honest voter is accused: {pair:?}"),
                Act::Promise { .. } | Act::Lacking(_) => {}
            }
        }
    }
    (outcome, all.iter().map(|voter| voter.ballot.round()).max().unwrap_or(0))
}

quickcheck! {
    /// (design §5.5.1)
    fn no_two_values_are_settled_whatever_is_heard(seed: u64) -> bool {
        (2..=5).all(|voters| anything_goes(seed, voters, 600).0.len() <= 1)
    }
}

/// The law above is worth something only if such runs get somewhere.
#[test]
fn such_runs_settle_and_some_take_several_rounds() {
    let runs: Vec<(BTreeSet<Hash>, u32)> = (0..60).map(|seed| anything_goes(seed, 3, 600)).collect();
    assert!(runs.iter().filter(|(settled, _)| settled.len() == 1).count() > 20);
    assert!(runs.iter().any(|(_, rounds)| *rounds >= 2));
    let values: BTreeSet<&Hash> = runs.iter().flat_map(|(settled, _)| settled).collect();
    assert_eq!(values.len(), 2, "each of the two values is settled in some run");
}

/// Seed 40571: one that prevoted may be gone with its disk, and all others have forgotten what it said.
#[test]
fn whoever_precommits_has_prevoted() {
    let both = [&prevote(0, 0, V), &prevote(1, 0, V)];
    let mut agrees = Voter::new(2, 3);
    agrees.learn(V, true);
    agrees.hear(&both);
    assert_eq!(agrees.prevoted(0), Some(Some(Record::hash_of(V))));
    assert_eq!(agrees.precommitted(0), Some(Some(Record::hash_of(V))));
    let steps: Vec<Step> = agrees.said.iter().map(|said| said.vote().expect("a vote").step).collect();
    assert_eq!(steps, [Step::Prevote, Step::Precommit]);

    let mut differs = Voter::new(2, 3);
    differs.learn(V, false);
    differs.hear(&both);
    assert_eq!(differs.prevoted(0), Some(None), "its clock or its lists say otherwise");
    assert_eq!(differs.precommitted(0), Some(Some(Record::hash_of(V))));

    let mut none = Voter::new(2, 3);
    none.hear(&[&prevote(0, 0, b""), &prevote(1, 0, b"")]);
    assert_eq!((none.prevoted(0), none.precommitted(0)), (Some(None), Some(None)));
}

/// An earlier program left the prevote out; its disk is found with such a promise.
#[test]
fn a_prevote_that_was_left_out_is_cast_for_none() {
    let mut c = Voter::new(2, 3);
    let value = Record::hash_of(V);
    let promise = Promise {
        epoch: 1,
        precommits: [(0, Some(value))].into(),
        lock: Some((value, 0)),
        ..Promise::default()
    };
    c.ballot = Ballot::new(c.identity.id(), &c.state, c.head, Some(promise));
    c.proposed(0, V, &[]);
    assert_eq!((c.prevoted(0), c.precommitted(0)), (Some(None), Some(Some(value))));
    assert_eq!(c.ballot.promise().lock, Some((value, 0)));
    // With the prevote of another that has not precommitted, the round ends.
    let mut other = Voter::new(0, 3);
    other.hear(&[]).wait(600);
    let left_out = c.said[0].clone();
    other.hear(&[&left_out, &precommit(2, 0, V)]).wait(600).wait(400);
    assert_eq!((other.prevoted(0), other.precommitted(0), other.ballot.round()), (Some(None), Some(None), 1));
}

/// Locked on V since round 0, it may not prevote W without an earlier POL, and moves its lock on this round's.
#[test]
fn who_is_locked_on_another_value_prevotes_none_before_it_moves_its_lock() {
    let mut c = Voter::new(2, 3);
    c.learn(V, true);
    c.learn(W, true);
    c.hear(&[&prevote(0, 0, V), &prevote(1, 0, V), &precommit(0, 0, b""), &precommit(1, 0, b"")]).wait(400);
    assert_eq!((c.ballot.round(), c.ballot.promise().lock), (1, Some((Record::hash_of(V), 0))));
    c.hear(&[&prevote(0, 1, W), &prevote(1, 1, W)]);
    assert_eq!((c.prevoted(1), c.precommitted(1)), (Some(None), Some(Some(Record::hash_of(W)))));
    assert_eq!(c.ballot.promise().lock, Some((Record::hash_of(W), 1)));
    c.hear(&[&precommit(0, 1, b""), &precommit(1, 1, b"")]).wait(600);
    c.hear(&[&prevote(0, 2, W), &prevote(1, 2, W)]);
    let relied = c.ballot.promise().prevotes[&2];
    assert_eq!(relied, (Some(Record::hash_of(W)), Some(1)), "its own lock, signed");
}

/// Finding 10, when all lose power: the votes of others are nowhere but in what each kept.
#[test]
fn the_votes_on_which_a_round_was_entered_are_kept_with_the_promise() {
    let entry = |voter: &Voter| {
        voter.acts.iter().rev().find_map(|act| match act {
            Act::Promise { entry: Some(entry), .. } => {
                Some(entry.iter().map(|vote| vote.bytes.to_vec()).collect::<BTreeSet<_>>())
            }
            _ => None,
        })
    };
    let kept = |votes: &[&Checked]| Some(votes.iter().map(|vote| vote.signed().bytes.to_vec()).collect());
    let (a, b) = (precommit(0, 0, b""), precommit(1, 0, V));
    let mut next = Voter::new(2, 3);
    next.hear(&[&a]);
    assert_eq!(entry(&next), None, "its round is the first one still");
    next.hear(&[&b]).wait(400);
    assert_eq!((next.ballot.round(), entry(&next)), (1, kept(&[&a, &b])));

    let mut behind = Voter::new(2, 3);
    behind.hear(&[&a, &b, &prevote(0, 1, V)]);
    assert_eq!((behind.ballot.round(), entry(&behind)), (1, kept(&[&a, &b])));

    let (a, b) = (prevote(0, 5, V), precommit(1, 5, V));
    let mut far = Voter::new(2, 3);
    far.hear(&[&a, &b]);
    assert_eq!((far.ballot.round(), entry(&far)), (5, kept(&[&a, &b])));
}
