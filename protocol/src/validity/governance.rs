//! Changes of who decides (design §5.1).

use super::{Draft, Invalid};
use crate::governance::QuorumRule;

impl Draft<'_> {
    /// Decided by the rule before; from the next epoch on votes and Holdings are counted by this one, so that all
    /// Holdings are asked for anew (finding 16).
    pub(super) fn set_quorum(self, rule: QuorumRule) -> Result<(), Invalid> {
        if self.next.governance.quorum == rule {
            return Err(Invalid::NotSo("the quorum rule is in force already"));
        }
        self.next.governance.quorum = rule;
        self.placed_voters_changed();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
