//! Reports that nobody waits for, in a large entity (PROTOCOL.md G13). When a record is settled, all members have a new
//! epoch to tell: at once these would be as many messages as there are pairs of members. So each tells it at a time of
//! its own, and whoever passes such reports on gathers some of them first.

use super::{Core, Entity};
use crate::circle::EVERYBODY;
use crate::identity::MemberId;
use crate::metrics::Report;
use crate::statement::{Checked, Slot, Statement};
use crate::time::{Instant, Millis};
use crate::wire::Place;

/// Nothing is gathered among fewer members.
const LARGE: usize = 64;
/// Within so long for each member all have told a new epoch.
const EACH: u64 = 100;
/// Members for each millisecond that reports wait for others before they are pushed on.
const PUSH_MEMBERS: u64 = 2;
/// And no longer than this.
const PUSH_MOST: Millis = Millis(2_000);
/// They are announced after so many times that: by then they were pushed to everybody.
const ANNOUNCE: u64 = 10;
/// And to so many of those that are told only, drawn anew each time: the place of a report has a fifth of its bytes.
const ANNOUNCE_TO: usize = 3;

/// What waits to be passed on.
#[derive(Default)]
pub(super) struct Gathered {
    push: Option<Instant>,
    /// With who brought each.
    to_push: Vec<(Checked, Option<MemberId>)>,
    announce: Option<Instant>,
    to_announce: Vec<Place>,
}

impl Gathered {
    fn add(&mut self, checked: &Checked, from: Option<MemberId>, now: Instant, rest: Millis) {
        self.drop_of(checked.author());
        self.to_push.push((checked.clone(), from));
        self.push.get_or_insert(now + rest);
        self.to_announce.push(Place { author: checked.author(), position: checked.position() });
        self.announce.get_or_insert(now + Millis(rest.0 * ANNOUNCE));
    }

    /// A newer one of this author takes the place of what was not passed on yet.
    fn drop_of(&mut self, author: MemberId) {
        self.to_push.retain(|(waiting, _)| waiting.author() != author);
        self.to_announce.retain(|place| place.author != author);
    }

    /// When something is to be passed on.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.push.into_iter().chain(self.announce).min()
    }
}

impl Entity {
    /// Whether reports that nobody waits for are gathered.
    fn gathers(&self) -> bool {
        self.is_sparse() && self.state.members.len() >= LARGE
    }

    /// Whether others can wait to hear that this member's epoch is another one. Not of a voter where these are few: by
    /// their words it is known whether an epoch still is the newest.
    pub(super) fn tells_epoch_later(&self, core: &Core) -> bool {
        let few = self.state.voters().count() <= EVERYBODY;
        self.gathers() && !(few && self.state.is_voter(&core.me()))
    }

    /// When this member tells its new epoch: all others do so as well, each in its own time.
    pub(super) fn time_for_epoch(&self, core: &mut Core) -> Instant {
        let longest = EACH * self.state.members.len() as u64;
        core.now.mono + Millis(core.rng.below(longest))
    }

    /// Whether nobody waits for a report: all that is new in it are its epoch and readings.
    pub(super) fn is_routine(&self, checked: &Checked) -> bool {
        let Statement::Report(report) = checked.statement() else { return false };
        let held = || self.board.get(checked.author_ref(), &Slot::Report);
        let held = || match held()?.statement() {
            Statement::Report(held) => Some(held),
            _ => None,
        };
        self.gathers() && held().is_some_and(|held| is_alike(held, report))
    }

    /// It is passed on with others.
    pub(super) fn gather(&mut self, core: &Core, checked: &Checked, from: Option<MemberId>) {
        let rest = Millis(self.state.members.len() as u64 / PUSH_MEMBERS).min(PUSH_MOST);
        self.spread.gathered.add(checked, from, core.now.mono, rest);
    }

    /// What is said now replaces what waits.
    pub(super) fn gather_no_more(&mut self, author: MemberId) {
        self.spread.gathered.drop_of(author);
    }

    pub(super) fn attend_gathered(&mut self, core: &mut Core) {
        let (now, gathered) = (core.now.mono, &mut self.spread.gathered);
        if gathered.push.is_some_and(|at| now >= at) {
            gathered.push = None;
            let reports = std::mem::take(&mut gathered.to_push);
            self.push_on(core, &reports);
        }
        let gathered = &mut self.spread.gathered;
        if gathered.announce.is_some_and(|at| now >= at) {
            gathered.announce = None;
            let places = std::mem::take(&mut gathered.to_announce);
            let mut to = self.overlay.announce_to(None);
            core.rng.shuffle(&mut to);
            to.truncate(ANNOUNCE_TO);
            self.announce_all(core, &places, &to);
        }
    }
}

/// Whether two reports say the same but for the epoch and small movements.
pub(super) fn is_alike(a: &Report, b: &Report) -> bool {
    a.unheard == b.unheard && a.votes == b.votes && a.addresses == b.addresses && a.troubles == b.troubles
}
