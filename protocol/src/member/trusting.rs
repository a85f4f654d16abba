//! How long a member may be away and still believe what it is shown (finding 36, PROTOCOL.md J14). The keys of a majority
//! that was decommissioned can sign another chain, long after it ceased to be one; whoever was there meanwhile knows better,
//! and whoever was away does not. So a member that was away for longer than its trusting period takes nothing newer for
//! settled, and votes for nothing, until an administrator vouches for a checkpoint with an invitation. It keeps, serves and
//! repairs what it has.
//!
//! What is compared with the period is the time since a quorum last confirmed the head, as the disk has it, and only by a
//! start: a clock that jumps stops nobody whose process runs.

use super::checkpoint::Way;
use super::joining::{Entering, expired};
use super::saved;
use super::{Core, Durable, Entity};
use crate::control::{Code, Refusal};
use crate::effect::Write;
use crate::event::{Event, Severity};
use crate::invitation::{Checkpoint, Invitation};
use crate::liveness::SILENCE;
use crate::state::State;
use crate::time::{Instant, Millis, WallTime};

/// What is on the disk is at most so much older than the truth.
const KEPT_EVERY: Millis = Millis::seconds(3600);

/// When a quorum last confirmed the head of this member.
#[derive(Default)]
pub(super) struct Trusting {
    /// When it is kept next, if nothing is written before that it could go with.
    due: Instant,
    /// Nothing newer is believed: so long it had not been confirmed when this process started.
    lapsed: Option<Millis>,
    /// Somebody has vouched since then.
    vouched: bool,
}

impl Trusting {
    /// What a start makes of what is on its disk. Whoever decides alone has nobody to be deceived by.
    pub(super) fn at_start(core: &Core, state: &State, confirmed: Option<WallTime>) -> Self {
        let alone = state.voters().all(|voter| voter.id == core.me());
        let away = confirmed.map(|at| core.now.wall - at);
        let period = core.config.trusting_period.filter(|_| !alone);
        let lapsed = period.and_then(|period| away.filter(|away| *away > period));
        let fresh = away.is_none_or(|away| away < KEPT_EVERY);
        let due = if fresh { core.now.mono + KEPT_EVERY } else { core.now.mono };
        Self { due, lapsed, vouched: false }
    }
}

/// An administrator vouched, and that is durable.
pub(super) struct Vouched {
    request: u64,
    checkpoint: Checkpoint,
}

impl Entity {
    /// Whether this member was away for too long to believe what it is shown.
    pub(super) fn is_lapsed(&self) -> bool {
        self.trusting.lapsed.is_some()
    }

    /// Whether an administrator vouched for what this member follows.
    pub(super) fn is_vouched(&self) -> bool {
        self.trusting.vouched
    }

    /// Whether a member of the roster decides nothing because it cannot know what is settled: it was away for too long, or
    /// has not reached the checkpoint that was vouched for.
    pub(super) fn is_kept_back(&self, core: &Core) -> bool {
        self.is_lapsed() || (self.is_on_its_way() && self.me(core).is_some())
    }

    /// The answer to who asks such a member for something.
    pub(super) fn why_kept_back(&self, core: &Core) -> Option<Refusal> {
        if let Some(away) = self.trusting.lapsed {
            let period = core.config.trusting_period.map(span).unwrap_or_default();
            let text = format!(
                "no quorum confirmed this member's epoch {} for {} before it started, and its trusting period is {period}: it takes nothing newer for settled until an administrator vouches for a checkpoint",
                self.state.epoch,
                span(away)
            );
            return Some(
                Refusal::new(Code::Mute, text)
                    .fact("meanwhile", "it serves and repairs what was settled before")
                    .try_("make an invitation, on a member that you trust", "althing invite")
                    .try_("and give it to this one", "althing join -"),
            );
        }
        self.is_kept_back(core).then(|| {
            let text = "this member follows the chain to the checkpoint that was vouched for, and decides nothing until it is there";
            Refusal::new(Code::Mute, text).try_("see how it is", "althing status")
        })
    }

    pub(super) fn attend_trusting(&mut self, core: &mut Core) {
        let why = self.trusting.lapsed.and(self.why_kept_back(core));
        self.tell(core, "lapsed", why.is_some(), || {
            let text = why.map(|refusal| refusal.message).unwrap_or_default();
            Event::new(Severity::Critical, "trust.lapsed", text)
        });
        if core.now.mono >= self.trusting.due
            && let Some(write) = self.confirmation(core)
        {
            core.persist(vec![write], Durable::Nothing);
        }
    }

    /// That a quorum has the head now, to be kept. An older program would not read it, so it is kept from protocol
    /// version 2 on.
    pub(super) fn confirmation(&mut self, core: &Core) -> Option<Write> {
        if self.state.protocol < 2 || self.is_kept_back(core) {
            return None;
        }
        self.confirmed(core).filter(|age| *age <= SILENCE)?;
        self.trusting.due = core.now.mono + KEPT_EVERY;
        Some(saved::put_confirmed(&core.now.wall))
    }

    /// An administrator gives this member, which was away for too long, an invitation of its entity: what it names is
    /// settled, and whatever leads there.
    pub(super) fn vouch(
        &mut self,
        core: &mut Core,
        request: u64,
        invitation: &Invitation,
    ) -> Result<(), Refusal> {
        let (now, name) = (core.now.wall, &self.state.name);
        if now >= invitation.expires {
            return Err(expired(invitation.expires, "this machine", now));
        }
        let Some(checkpoint) = invitation.checkpoint else {
            let text =
                "the invitation names no checkpoint: it was made while the entity used protocol version 1";
            return Err(
                Refusal::new(Code::InvitationBad, text).try_("make another, on a member", "althing invite")
            );
        };
        let epoch = checkpoint.epoch;
        let own = if epoch == self.state.epoch { Some(self.head) } else { self.trail.record(epoch) };
        if own.is_some_and(|own| own != checkpoint.record) {
            let text = format!("this member has another record in epoch {epoch} than the invitation names");
            return Err(Refusal::new(Code::InvitationBad, text)
                .fact(
                    "so",
                    "this member's chain and that of whoever made the invitation differ; nothing was changed",
                )
                .try_("compare the chains", "althing audit --verify")
                .try_(
                    "to give up what this member has",
                    &format!("althing leave --purge --confirm {name}"),
                ));
        }
        let Some(mut beginning) = self.beginning.clone() else {
            return Err(Refusal::new(Code::Failed, "this member does not know how its entity began"));
        };
        beginning.checkpoint = Some(checkpoint);
        let writes = vec![saved::put_beginning(&beginning), saved::put_confirmed(&now)];
        self.beginning = Some(beginning);
        core.persist(writes, Durable::Vouched(Vouched { request, checkpoint }));
        Ok(())
    }

    /// It goes on: at once if it has the checkpoint, otherwise when the hashes of the records have led it there.
    pub(super) fn vouched(&mut self, core: &mut Core, vouched: Vouched) {
        let Vouched { request, checkpoint } = vouched;
        (self.trusting.lapsed, self.trusting.vouched) = (None, true);
        self.way = Way::new(&self.state, self.head, checkpoint);
        let text = format!("an administrator vouched for epoch {}", checkpoint.epoch);
        core.event(Event::new(Severity::Notice, "trust.vouched", text));
        let name = self.state.name_of(&core.me());
        self.entering = Some(Entering { request, name, founded: false, recovered: None, life: None });
    }
}

/// `45 d`
fn span(of: Millis) -> String {
    let hours = of.0 / 3_600_000;
    if hours < 48 { format!("{hours} h") } else { format!("{} d", hours / 24) }
}
