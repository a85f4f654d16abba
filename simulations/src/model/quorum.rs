//! How many votes are enough (design §5.1). An oracle of its own: nothing here comes from `protocol`.

/// The voters of one epoch, as far as counting goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Electorate {
    /// Voters of the roster, reachable or not.
    pub voters: usize,
    /// Voters that may sign anything at any time.
    pub liars: usize,
    /// Votes needed.
    pub quorum: usize,
}

impl Electorate {
    /// A `majority` roster: more than half of the voters.
    pub const fn majority(voters: usize) -> Self {
        Self { voters, liars: 0, quorum: voters / 2 + 1 }
    }

    /// A `supermajority` roster with as many liars as it promises to bear: ceil(n/3) - 1.
    pub const fn supermajority(voters: usize) -> Self {
        Self { voters, liars: voters.div_ceil(3) - 1, quorum: 2 * voters / 3 + 1 }
    }

    /// The same roster with this many liars, borne or not.
    pub const fn with_liars(self, liars: usize) -> Self {
        Self { liars, ..self }
    }

    /// Voters that follow the rules.
    pub const fn honest(self) -> usize {
        self.voters - self.liars
    }

    /// Honest votes that make a quorum when every liar helps. The model depends on `(honest, needed)` only.
    pub const fn needed(self) -> usize {
        self.quorum.saturating_sub(self.liars)
    }

    /// Messages of a later round that prove one honest member entered it properly (rule 7).
    pub const fn jump(self) -> usize {
        self.voters - self.quorum + 1
    }
}

#[cfg(test)]
mod tests {
    use althing_protocol::governance::QuorumRule;

    use super::*;

    /// What is proved here is what the program does.
    #[test]
    fn the_program_counts_as_the_model_does() {
        for voters in 1..1000 {
            for (rule, roster) in [
                (QuorumRule::Majority, Electorate::majority(voters)),
                (QuorumRule::Supermajority, Electorate::supermajority(voters)),
            ] {
                assert_eq!(
                    (rule.of(voters), rule.proof(voters)),
                    (roster.quorum, roster.jump()),
                    "{roster:?}"
                );
            }
        }
    }

    #[test]
    fn two_quorums_share_an_honest_member() {
        for voters in 1..60 {
            for roster in [Electorate::majority(voters), Electorate::supermajority(voters)] {
                assert!(2 * roster.quorum - voters > roster.liars, "{roster:?}");
                assert!(roster.honest() >= roster.quorum, "the honest can decide alone: {roster:?}");
            }
        }
    }
}
