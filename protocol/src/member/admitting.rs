//! Letting strangers in: what the member that was asked answers (PROTOCOL.md J3, J13), and when.

use std::collections::BTreeMap;

use super::ended::Fate as Ended;
use super::joining::expired;
use super::operation::{PATIENCE, SYSTEM};
use super::voting::Fate;
use super::{Core, Entity};
use crate::codec;
use crate::control::{Code, Refusal};
use crate::effect::Output;
use crate::identity::MemberId;
use crate::invitation::{Answer, Sponsor, Welcome};
use crate::limits;
use crate::record::{Abilities, Change, JoinRequest};
use crate::statement::Id16;
use crate::time::{Instant, Millis, WallTime};
use crate::view::JoiningView;

/// Whoever asks this member to be let in.
#[derive(Default)]
pub(super) struct Strangers {
    /// Asked before this member could know what to answer: ticket, since when, what.
    early: Vec<(u64, Instant, JoinRequest)>,
    /// By ticket: their admission is being settled.
    waiting: BTreeMap<u64, Waiting>,
}

struct Waiting {
    intent: Id16,
    newcomer: MemberId,
    name: String,
    speaks: u32,
    /// Since when there is no majority that could settle it.
    lost: Option<Instant>,
}

/// So long a member that hears of newer records waits for them before it says that an invitation is none.
const CATCH_UP: Millis = Millis(10_000);

impl Entity {
    /// A stranger asks: check what can be checked now, and have it settled.
    pub(super) fn join_asked(&mut self, core: &mut Core, ticket: u64, bytes: &[u8]) {
        let request = match codec::decode::<JoinRequest>(bytes, limits::JOIN_BYTES) {
            Ok(request) => request,
            Err(fault) => {
                tracing::debug!(%fault, "a join request was not understood");
                return;
            }
        };
        if request.abilities != Abilities::default() && core.config.speaks < 2 {
            tracing::debug!("a join request is of a version that this program does not speak");
            return;
        }
        // Whoever does not have the invitation's secret learns nothing, waits for nothing and makes nobody vote
        // (finding 37).
        if request.entity != self.state.entity || !request.holds(core.scheme()) {
            answer(core, ticket, &Answer::Refused(not_open(None, &self.state.name_of(&core.me()))));
            return;
        }
        let room = self.strangers.early.len() < limits::EARLY_STRANGERS;
        if room && self.is_too_early(core, core.now.mono, &request) {
            self.strangers.early.push((ticket, core.now.mono, request));
            return;
        }
        self.ask_for(core, ticket, &request);
    }

    /// Whether this member may know better in a moment: it has just started, or has not the newest records.
    fn is_too_early(&self, core: &Core, since: Instant, request: &JoinRequest) -> bool {
        let behind = || {
            let newer = self.highest_heard(core).is_some_and(|epoch| epoch > self.state.epoch);
            (newer || self.is_on_its_way()) && core.now.mono - since < CATCH_UP
        };
        let key = &request.invitation;
        let known = self.state.invitations.contains_key(key) || self.ended.of(key).is_some();
        self.is_settling_in(core) || (!known && !self.is_stopped() && behind())
    }

    fn ask_for(&mut self, core: &mut Core, ticket: u64, request: &JoinRequest) {
        let (newcomer, name) = (request.newcomer.member, request.newcomer.name.clone());
        let speaks = request.abilities.speaks();
        match self.admit(core, request) {
            Ok(intent) => {
                let waiting = Waiting { intent, newcomer, name, speaks, lost: None };
                self.strangers.waiting.insert(ticket, waiting);
            }
            Err(refusal) => answer(core, ticket, &Answer::Refused(spoken(refusal, speaks))),
        }
    }

    fn admit(&mut self, core: &mut Core, request: &JoinRequest) -> Result<Id16, Refusal> {
        let (id, me) = (&request.newcomer.member, self.state.name_of(&core.me()));
        // It asked before and missed the answer, or lost its store.
        let is_member = self.state.member(id).is_some();
        let Some(invitation) = self.state.invitations.get(&request.invitation) else {
            let last = self.ended.of(&request.invitation);
            let itself = matches!(last, Some(Ended::Used { newcomer, .. }) if newcomer == id);
            let refusal = || self.why_not_open(core, &request.invitation);
            return (itself && is_member).then_some(Id16::default()).ok_or_else(refusal);
        };
        if core.now.wall >= invitation.expires {
            return Err(expired(invitation.expires, &me, core.now.wall));
        }
        let (uses, speaks) = (self.state.protocol, request.abilities.speaks());
        if speaks < uses {
            // An older program reads no code that is newer than it.
            let code = if speaks < 2 { Code::Failed } else { Code::Protocol };
            let text = format!(
                "the entity uses protocol {uses}, and this request is of protocol {speaks}: install the program that the members run, and ask for a new invitation"
            );
            return Err(Refusal::new(code, text).try_("on a member", "althing invite"));
        }
        compare_clocks(request.abilities.clock, core.now.wall, &me)?;
        if is_member {
            return Ok(Id16::default());
        }
        if self.state.past.iter().any(|past| past.id == *id) && self.state.kept_name(id).is_none() {
            let text = "this machine was in the roster before; its key is not admitted again";
            return Err(Refusal::new(Code::NameTaken, text)
                .try_("forget the key there, then join anew", "althing leave --purge"));
        }
        self.originate(core, SYSTEM, Change::Admit(request.clone())).map_err(|refusal| {
            if refusal.code == Code::NoMajority { not_admitted(&me, &refusal.message) } else { refusal }
        })
    }

    fn why_not_open(&self, core: &Core, key: &MemberId) -> Refusal {
        let me = self.state.name_of(&core.me());
        match self.ended.of(key) {
            Some(Ended::Used { newcomer, name, at }) => {
                let now = self.state.member(newcomer).map_or(name, |member| &member.name);
                not_open(Some((now, *at)), &me)
            }
            Some(Ended::Revoked { by, on, at }) => {
                let (on, at) = (self.state.name_of(on), at.rfc3339());
                Refusal::new(
                    Code::InvitationRevoked,
                    format!("this invitation was revoked by {by} on {on} at {at}"),
                )
                .fact("by", format!("{by} on {on}"))
                .fact("at", at)
                .try_("ask any member for another", "althing invite")
            }
            None => not_open(None, &me),
        }
    }

    /// Answers strangers whose admission was settled or has failed.
    pub(super) fn attend_strangers(&mut self, core: &mut Core) {
        for (ticket, since, request) in std::mem::take(&mut self.strangers.early) {
            if self.is_too_early(core, since, &request) {
                self.strangers.early.push((ticket, since, request));
            } else {
                self.ask_for(core, ticket, &request);
            }
        }
        for (ticket, mut waiting) in std::mem::take(&mut self.strangers.waiting) {
            if self.state.member(&waiting.newcomer).is_some() {
                if let Some(welcome) = self.welcome(core) {
                    answer(core, ticket, &Answer::Welcome(Box::new(welcome)));
                }
                continue;
            }
            match self.why_not_yet(core, &mut waiting) {
                None => {
                    self.strangers.waiting.insert(ticket, waiting);
                }
                Some(refusal) => {
                    self.withdraw(core, waiting.intent);
                    answer(core, ticket, &Answer::Refused(spoken(refusal, waiting.speaks)));
                }
            }
        }
    }

    /// Why a stranger that waits is not let in; `None` while it may still be.
    fn why_not_yet(&mut self, core: &Core, waiting: &mut Waiting) -> Option<Refusal> {
        match self.fate(core, &waiting.intent) {
            Fate::Pending if self.has_majority(core) => {
                waiting.lost = None;
                None
            }
            Fate::Pending => {
                let since = *waiting.lost.get_or_insert(core.now.mono);
                let lost = core.now.mono - since >= PATIENCE;
                let why = "it was lost while this was voted on; what others have begun to settle may still let it in";
                lost.then(|| not_admitted(&self.state.name_of(&core.me()), why))
            }
            Fate::Dead(invalid) => Some(self.explain(core, &invalid)),
            Fate::Settled | Fate::Gone => {
                Some(Refusal::new(Code::Undecided, "the entity did not settle this join in time"))
            }
        }
    }

    fn welcome(&self, core: &Core) -> Option<Welcome> {
        let address = *self.me(core)?.addresses.first()?;
        let sponsor = Sponsor { member: core.me(), address };
        let beginning = self.beginning.as_ref()?;
        Some(Welcome {
            genesis: beginning.genesis.clone(),
            sponsor,
            succession: beginning.succession.clone(),
        })
    }

    /// Whoever is on its way in: asks this member, or is in the roster and does not count yet.
    pub(super) fn joining_views(&self) -> Vec<JoiningView> {
        let early = self.strangers.early.iter().map(|(_, _, request)| (&request.newcomer.name, "asks"));
        let waiting = self.strangers.waiting.values().map(|waiting| (&waiting.name, "asks"));
        let learners = self.state.members.iter().filter(|member| member.role == crate::state::Role::Learner);
        let learners = learners.map(|member| (&member.name, "learns"));
        let all = early.chain(waiting).chain(learners);
        all.map(|(name, stage)| JoiningView { name: name.clone(), stage: stage.to_owned() }).collect()
    }
}

/// The invitation is not open any more; who used it last and when, if that is known.
fn not_open(used: Option<(&str, WallTime)>, me: &str) -> Refusal {
    let refusal = match used {
        Some((name, at)) => {
            let text = format!(
                "this invitation was used as often as it may, the last time by {name} at {}",
                at.rfc3339()
            );
            Refusal::new(Code::InvitationUsed, text).fact("by", name).fact("at", at.rfc3339())
        }
        None => {
            let text = format!(
                "this invitation was used as often as it may, was revoked, or is not of this entity: {me} does not know which"
            );
            Refusal::new(Code::InvitationUsed, text)
        }
    };
    refusal.try_("ask any member for another", "althing invite")
}

fn not_admitted(me: &str, why: &str) -> Refusal {
    let text = format!("{me} has no majority to let this machine in: {why}");
    Refusal::new(Code::NotAdmitted, text)
        .try_("see who is heard, on a member", "althing member list")
        .try_("try again when they are back", "althing join")
}

/// A newcomer originates what makes it count, and members drop what is of another time.
fn compare_clocks(there: WallTime, here: WallTime, me: &str) -> Result<(), Refusal> {
    let (ahead, behind) = (there - here, here - there);
    if there == WallTime::default() || ahead.max(behind) <= limits::CLOCKS_DIFFER {
        return Ok(());
    }
    let (by, word) = if ahead > behind { (ahead, "ahead of") } else { (behind, "behind") };
    let most = limits::CLOCKS_DIFFER.0 / 60_000;
    let text = format!(
        "this machine's clock is {} {word} that of {me}, and they may differ by {most} min",
        span(by)
    );
    Err(Refusal::new(Code::ClocksDiffer, text)
        .fact("this machine", there.rfc3339())
        .fact(me, here.rfc3339())
        .try_("compare the clocks of the members, on one of them", "althing status --everywhere")
        .try_("set the clock that is wrong, then join again", "althing join"))
}

/// `7 min`, `2 h`, `3 d`
fn span(of: Millis) -> String {
    let minutes = of.0 / 60_000;
    match minutes {
        0..120 => format!("{minutes} min"),
        120..2880 => format!("{} h", minutes / 60),
        _ => format!("{} d", minutes / 1440),
    }
}

/// Programs of version 1 read none of the newer codes.
fn spoken(mut refusal: Refusal, speaks: u32) -> Refusal {
    if speaks < 2 {
        refusal.code = match refusal.code {
            Code::InvitationRevoked => Code::InvitationUsed,
            Code::NotAdmitted => Code::NoMajority,
            Code::ClocksDiffer => Code::Failed,
            code => code,
        };
    }
    refusal
}

fn answer(core: &mut Core, ticket: u64, answer: &Answer) {
    core.out.push(Output::JoinAnswer { ticket, bytes: codec::encode(answer) });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_compared_both_ways_and_only_where_they_are_said() {
        let here = WallTime(100 * 60_000);
        for (there, text) in [
            (WallTime(93 * 60_000), Some("7 min behind that of web1")),
            (WallTime(95 * 60_000), None),
            (WallTime(105 * 60_000), None),
            (WallTime(105 * 60_000 + 1), Some("5 min ahead of that of web1")),
            (WallTime(100 * 60_000 + 7_200_000), Some("2 h ahead of")),
            (WallTime(0), None),
        ] {
            let refusal = compare_clocks(there, here, "web1").err();
            assert_eq!(refusal.is_some(), text.is_some(), "{there:?}: {refusal:?}");
            let message = refusal.map(|refusal| refusal.message).unwrap_or_default();
            assert!(message.contains(text.unwrap_or_default()), "{message}");
        }
    }

    #[test]
    fn programs_of_version_1_are_told_in_codes_that_they_read() {
        for (code, older) in [
            (Code::InvitationRevoked, Code::InvitationUsed),
            (Code::NotAdmitted, Code::NoMajority),
            (Code::ClocksDiffer, Code::Failed),
            (Code::NameTaken, Code::NameTaken),
        ] {
            assert_eq!(spoken(Refusal::new(code, "no"), 1).code, older);
            assert_eq!(spoken(Refusal::new(code, "no"), 2).code, code);
        }
    }
}
