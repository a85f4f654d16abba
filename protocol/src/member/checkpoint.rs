//! The checkpoint of an invitation (finding 36, PROTOCOL.md J12): a record that whoever made the invitation knew to be
//! settled. The keys of a majority that was decommissioned long ago can still sign another chain; a newcomer, which knows
//! nobody's word but the genesis, would believe it. So it first follows only the hashes of the records, which name their
//! parents, up to the checkpoint, and executes nothing that is not on that way.

use super::{Core, Entity};
use crate::control::{Code, Refusal};
use crate::event::{Event, Severity};
use crate::hash::Hash;
use crate::identity::MemberId;
use crate::invitation::Checkpoint;
use crate::record::{Link, Record};
use crate::state::State;

/// What a newcomer must find in the chain, and what of it was found.
#[derive(Clone, Debug)]
pub(super) struct Way {
    checkpoint: Checkpoint,
    /// Epoch and record that it begins after.
    from: (u64, Hash),
    /// Records by their hashes, each the parent of the next, as far as they were shown.
    shown: Vec<Hash>,
    /// The last one is the checkpoint.
    found: bool,
}

impl Way {
    /// From a state to a checkpoint that lies ahead of it.
    pub(super) fn new(state: &State, head: Hash, checkpoint: Checkpoint) -> Option<Self> {
        let from = (state.epoch, head);
        (checkpoint.epoch > state.epoch).then_some(Self { checkpoint, from, shown: Vec::new(), found: false })
    }

    fn end(&self) -> (u64, Hash) {
        let last = self.shown.last().copied().unwrap_or(self.from.1);
        (self.from.0 + self.shown.len() as u64, last)
    }

    /// Follows the hashes of these links; whether they lead past the checkpoint without it.
    fn follow(&mut self, links: &[Link]) -> bool {
        for link in links {
            let (epoch, parent) = self.end();
            let Ok(record) = Record::decode(&link.record) else { break };
            if self.found || record.epoch != epoch + 1 {
                continue;
            }
            let value = Record::hash_of(&link.record);
            let is_there = record.epoch == self.checkpoint.epoch;
            if record.parent != parent || (is_there && value != self.checkpoint.record) {
                // It may be the beginning that was wrong: whoever knows the chain shows all of it again.
                self.shown.clear();
                return true;
            }
            self.shown.push(value);
            self.found = is_there;
        }
        false
    }

    /// Whether a record lies on the way; beyond the checkpoint every one may.
    fn allows(&self, epoch: u64, record: &Hash) -> bool {
        let at = epoch.checked_sub(self.from.0 + 1).map(|at| at as usize);
        epoch > self.checkpoint.epoch || (self.found && at.and_then(|at| self.shown.get(at)) == Some(record))
    }
}

impl Entity {
    /// Whether this member has not reached the record that its invitation names: nothing of the state is acted on.
    pub(super) fn is_on_its_way(&self) -> bool {
        self.way.as_ref().is_some_and(|way| self.state.epoch < way.checkpoint.epoch)
    }

    /// The epoch that links are lacked from.
    pub(super) fn chain_until(&self) -> u64 {
        let way = self.way.as_ref().filter(|way| !way.found);
        way.map_or(self.state.epoch, |way| way.end().0.max(self.state.epoch))
    }

    /// Looks whether links lead to the checkpoint, before any of them is executed; whether they may be.
    pub(super) fn follow_way(&mut self, core: &mut Core, from: MemberId, links: &[Link]) -> bool {
        let Some(way) = self.way.as_mut().filter(|way| !way.found) else { return true };
        let astray = way.follow(links);
        let (epoch, found) = (way.checkpoint.epoch, way.found);
        self.tell(core, "other-chain", astray, || {
            let text = format!(
                "what the member that was asked shows is not the chain of the invitation: another record is settled in epoch {epoch} there, or before; nothing of it was taken"
            );
            Event::new(Severity::Critical, "chain.other", text).of(from)
        });
        if astray {
            self.give_up_entering(core, epoch);
        } else {
            let after = if found { self.state.epoch } else { self.chain_until() };
            self.ask_chain(core, from, after);
        }
        false
    }

    /// Whoever asked for the join is told.
    fn give_up_entering(&mut self, core: &mut Core, epoch: u64) {
        if self.is_vouched() {
            // It was vouched for to a member that was away: others may show the chain that leads there.
            return;
        }
        let Some(entering) = self.entering.take() else { return };
        let text = format!(
            "what answers at the invitation's addresses is another chain: it has another record in epoch {epoch}, or before"
        );
        let refusal = Refusal::new(Code::InvitationBad, text)
            .fact("likely", "members that were removed long ago, or whoever has their keys, answer there")
            .try_("forget what was begun here", "althing leave --purge")
            .try_("then join with an invitation of another member", "althing join");
        self.reply(core, entering.request, Err(refusal));
    }

    /// Whether a link may be executed here.
    pub(super) fn is_on_the_way(&self, link: &Link) -> bool {
        self.way.as_ref().is_none_or(|way| way.allows(link.certificate.epoch, &link.certificate.value))
    }

    /// The checkpoint was passed.
    pub(super) fn end_way(&mut self) {
        if !self.is_on_its_way() {
            self.way = None;
        }
    }
}

#[cfg(test)]
mod tests;
