//! §5.5.11: no mute member and no non-voter has a vote in any certificate. Counted here anew, without the protocol's own
//! check of certificates.

use std::collections::BTreeSet;

use althing_protocol::governance::QuorumRule;
use althing_protocol::identity::MemberId;
use althing_protocol::record::Link;
use althing_protocol::statement::{Checked, Step};

use crate::reference::Settled;
use crate::world::World;

/// Counts the votes of a certificate.
pub(super) fn count(world: &World, at: usize, link: &Link, parent: &Settled) -> Result<(), String> {
    let state = &parent.state;
    let mut voters: BTreeSet<MemberId> = BTreeSet::new();
    for signed in &link.certificate.votes {
        let scheme = world.hosts[at].identity.scheme();
        let checked =
            Checked::check(signed.clone(), &state.entity, scheme).map_err(|fault| fault.to_string())?;
        let vote = checked.vote().ok_or("something else than a vote in a certificate")?;
        let about = vote.epoch == link.certificate.epoch
            && vote.round == link.certificate.round
            && vote.step == Step::Precommit
            && vote.parent == parent.record
            && vote.value == Some(link.certificate.value);
        if !about {
            return Err("a vote of another decision in a certificate".into());
        }
        let member = state.member(&checked.author()).ok_or("a vote of nobody in the roster")?;
        if !state.is_voter(&checked.author()) || member.store != checked.store() {
            return Err(format!("{} has no vote, and it counts", member.name));
        }
        if !voters.insert(checked.author()) {
            return Err(format!("{} is in a certificate twice", member.name));
        }
    }
    let all = state.members.iter().filter(|member| state.is_voter(&member.id)).count();
    let enough = match state.governance.quorum {
        QuorumRule::Majority => voters.len() * 2 > all,
        QuorumRule::Supermajority => voters.len() * 3 > all * 2,
    };
    if !enough {
        return Err(format!("{} of {all} votes are no {}", voters.len(), state.governance.quorum));
    }
    Ok(())
}
