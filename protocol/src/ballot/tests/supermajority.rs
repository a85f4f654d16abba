//! More than two thirds, against voters that lie (findings 6, 12; design §5.2).

use quickcheck::quickcheck;

use super::*;
use crate::governance::QuorumRule;

fn voter(number: usize, of: usize, rule: QuorumRule) -> Voter {
    let mut voter = Voter::new(number, of);
    voter.state.governance.quorum = rule;
    voter.ballot = Ballot::new(voter.identity.id(), &voter.state, voter.head, None);
    voter
}

/// The voter whose turn is this one in a round of epoch 1.
fn whose(turn: usize, of: usize, round: usize) -> usize {
    (turn + 1 + round) % of
}

#[test]
fn more_than_two_thirds_lock_settle_and_end_a_round() {
    let of = |by, step, value: &[u8]| vote(by, 7, 0, step, value, None);
    let mut voter = voter(0, 7, QuorumRule::Supermajority);
    voter.learn(V, true);
    let precommits: Vec<Checked> = (1..5).map(|by| of(by, Step::Precommit, V)).collect();
    voter.hear(&precommits.iter().collect::<Vec<_>>());
    assert_eq!(voter.settled(), None, "four of seven are a majority and not enough");
    let prevotes: Vec<Checked> = (1..5).map(|by| of(by, Step::Prevote, V)).collect();
    voter.hear(&prevotes.iter().collect::<Vec<_>>());
    assert_eq!(voter.ballot.promise().lock, None);
    voter.hear(&[&of(5, Step::Precommit, V)]);
    assert_eq!(voter.settled().expect("five of seven").votes.len(), 5);
}

/// (finding 10) f + 1 speakers prove a round: one of them is honest.
#[test]
fn as_many_as_may_lie_and_one_more_prove_a_later_round() {
    let speaks = |by| vote(by, 7, 4, Step::Prevote, b"", None);
    let mut voter = voter(0, 7, QuorumRule::Supermajority);
    voter.hear(&[&speaks(1), &speaks(2)]);
    assert_eq!(voter.ballot.round(), 0, "two of seven may lie");
    voter.hear(&[&speaks(3)]);
    assert_eq!(voter.ballot.round(), 4);
}

/// (finding 12 iii)
#[test]
fn a_proposal_before_its_turn_waits_and_the_earlier_turn_wins() {
    let (first, third) = (whose(0, 4, 0), whose(2, 4, 0));
    let me = whose(3, 4, 0);
    let mut alone = voter(me, 4, QuorumRule::Supermajority);
    alone.proposed(third, V, &[]);
    assert_eq!(alone.prevoted(0), None, "its turn has not come");
    let until = alone.ballot.deadline(&NOBODY).expect("a turn is waited for");
    assert_eq!(until, Instant(1000) + Millis(2 * SLOT.0));
    let mut both = alone.clone();
    alone.wait(2 * SLOT.0);
    assert_eq!(alone.prevoted(0), Some(Some(Record::hash_of(V))), "nobody else proposed");
    both.learn(W, true);
    both.proposed(first, W, &[]);
    assert_eq!(both.prevoted(0), Some(Some(Record::hash_of(W))), "the first turn is there at once");
    let mut usual = voter(me, 4, QuorumRule::Majority);
    usual.proposed(third, V, &[]);
    assert_eq!(usual.prevoted(0), Some(Some(Record::hash_of(V))), "a majority needs no turns");
}

/// (finding 12) One that proposes something else to each splits the votes only while it is its turn.
#[test]
fn who_proposes_in_every_round_splits_no_round_of_anybody_else() {
    let of = 4;
    for round in 1..8 {
        let owner = whose(0, of, round);
        let liar = (owner + 1) % of;
        let honest: Vec<usize> = (0..of).filter(|number| *number != liar).collect();
        for number in honest.iter().filter(|number| **number != owner) {
            let mut voter = voter(*number, of, QuorumRule::Supermajority);
            voter.ballot.promise.round = round as u32;
            voter.learn(W, true);
            // What the liar tells this voter alone comes first; what is due comes later in the same turn.
            let lie = format!("a record for {number} only");
            voter.proposed(liar, lie.as_bytes(), &[]);
            voter.proposed(owner, W, &[]);
            assert_eq!(voter.prevoted(round as u32), Some(Some(Record::hash_of(W))), "round {round}");
        }
    }
}

#[test]
fn in_turn_everybody_proposes_and_nobody_before_its_turn() {
    for number in 0..4 {
        let mut voter = voter(number, 4, QuorumRule::Supermajority);
        voter.learn(V, true);
        let fresh = Outlook { candidate: Some((Record::hash_of(V), Turn::Own)), may_vote: true };
        voter.advance(&fresh);
        let turn = (0..4).find(|turn| whose(*turn, 4, 0) == number).expect("a turn") as u64;
        let proposed = |voter: &Voter| voter.acts.iter().any(|act| matches!(act, Act::Propose { .. }));
        assert_eq!(proposed(&voter), turn == 0, "web{number}");
        voter.now = Instant(1000) + Millis(turn * SLOT.0);
        voter.advance(&fresh);
        assert!(proposed(&voter), "web{number}");
    }
}

/// Voters of the real machine hear anything that was said in any order, and the last of them is a liar: whoever steps
/// may be told any vote of it.
fn with_a_liar(seed: u64, voters: usize, rule: QuorumRule, steps: u32) -> BTreeSet<Hash> {
    let mut rng = Rng::new(Hash::of(&seed.to_le_bytes()).0);
    let liar = voters - 1;
    let values: [&[u8]; 2] = [V, W];
    let mut all: Vec<Voter> = (0..liar).map(|number| voter(number, voters, rule)).collect();
    all.iter_mut().for_each(|voter| values.iter().for_each(|value| voter.learn(value, true)));
    let (mut board, mut outcome) = (Vec::<Checked>::new(), BTreeSet::new());
    for _ in 0..steps {
        let at = rng.below(liar as u64) as usize;
        let choice = values[rng.below(2) as usize];
        let round = all[at].ballot.round();
        let before = round.saturating_sub(rng.below(2) as u32);
        match rng.below(12) {
            0 => all[at].now = all[at].now + Millis(rng.below(900)),
            1..=3 => {
                let step = if rng.chance(500) { Step::Prevote } else { Step::Precommit };
                let lie = vote(liar, voters, before, step, choice, None);
                all[at].ballot.vote(&lie, &mut Vec::new());
            }
            4 | 5 => {
                let from = identity(rng.below(voters as u64) as usize).id();
                all[at].ballot.propose(from, round, Record::hash_of(choice), &[]);
            }
            _ => {
                if let Some(vote) = rng.pick(&board) {
                    all[at].ballot.vote(vote, &mut Vec::new());
                }
            }
        }
        all[at].advance(&NOBODY);
        board.append(&mut all[at].said);
        for act in all[at].acts.drain(..) {
            if let Act::Settled(certificate) = act {
                outcome.insert(certificate.value);
            }
        }
    }
    outcome
}

quickcheck! {
    /// (design §5.5.1)
    fn fewer_than_a_third_that_lie_fork_nothing(seed: u64) -> bool {
        [4, 5].iter().all(|voters| with_a_liar(seed, *voters, QuorumRule::Supermajority, 900).len() <= 1)
    }
}

/// The law above is worth something only if such runs settle, and if the same liar forks a majority.
#[test]
fn the_same_liar_forks_a_majority() {
    let outcomes = |voters, rule| (0..200).map(move |seed| with_a_liar(seed, voters, rule, 900).len());
    assert!(outcomes(3, QuorumRule::Majority).any(|settled| settled == 2));
    assert!(outcomes(4, QuorumRule::Supermajority).filter(|settled| *settled == 1).count() > 20);
}
