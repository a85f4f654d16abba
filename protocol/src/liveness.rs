//! Who answers (design §5.6). It never touches the roster: a quorum is of all voters, heard or not.
//!
//! While version 1 of the protocol is in force, every member listens to every other. From version 2 on a member
//! listens to its neighbours in the [`Circle`] and takes the word of those that it can reach for the rest: their
//! reports name the neighbours they miss. Somebody is taken for gone when most of its neighbours that can be reached
//! miss it; what the unreachable once said of it does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::circle::{Asker, Circle};
use crate::identity::MemberId;
use crate::time::{Instant, Millis};

/// Heartbeats come this often while nothing is being decided, in version 1.
pub const BEAT: Millis = Millis(1000);
/// And this often while something is.
pub const BUSY_BEAT: Millis = Millis(250);
/// A neighbour is asked this often while nothing is being decided, from version 2 on.
pub const PULSE: Millis = Millis(2500);
/// In version 1, a member that was not heard for so long is not reachable.
pub const SILENCE: Millis = Millis(3500);
/// From version 2 on, a neighbour that was not heard for so long is asked out of turn.
const DOUBT: Millis = Millis(2900);
/// And again after this.
const DOUBT_AGAIN: Millis = Millis(300);
/// And missed when it was not heard for so long: five questions were not answered.
const MISSED: Millis = Millis(4300);
/// So long after its connection broke, if it does not come back.
const GRACE: Millis = Millis(1200);
/// In a large entity changes of what is said wait for others, so long for so many members.
const PAUSE: Millis = Millis(10);
const PAUSE_MEMBERS: u64 = 200;
/// Rounds of finding out who is gone: each takes away somebody whose word made another reachable.
const ROUNDS: usize = 16;

/// When each peer was heard last, and what others say of those that are not.
#[derive(Clone, Debug, Default)]
pub struct Liveness {
    heard: BTreeMap<MemberId, Instant>,
    lost: BTreeMap<MemberId, Instant>,
    watch: Option<Watch>,
    /// Counts changes of who can be reached, as far as [`Liveness::conclude`] finds them.
    changes: u64,
}

/// What there is to know from version 2 on. Members are numbers of the circle.
#[derive(Clone, Debug)]
struct Watch {
    circle: Arc<Circle>,
    me: Option<usize>,
    /// Who has said anything.
    said: Vec<bool>,
    /// Which of its neighbours each misses, as its report says: a bit for each in their order.
    missed: Vec<u8>,
    connected: Vec<bool>,
    up: Vec<bool>,
    /// When somebody who is not up was known to be for the last time.
    seen: BTreeMap<usize, Instant>,
    /// When that was found out last: who is up was up then.
    concluded: Instant,
    /// What it was found out from.
    from: (BTreeSet<usize>, BTreeSet<usize>),
    asked: BTreeMap<usize, Instant>,
    /// Something changed since.
    stale: bool,
}

impl Liveness {
    /// Anything came from this peer, or in version 1 a fresh statement of it by way of others.
    pub fn heard(&mut self, peer: MemberId, now: Instant) {
        let was = self.is_heard(&peer, now);
        self.heard.insert(peer, now);
        self.lost.remove(&peer);
        if let Some(watch) = &mut self.watch {
            watch.stale |= !was;
        }
    }

    /// There is a connection to this peer.
    pub fn connected(&mut self, peer: MemberId, now: Instant) {
        self.heard(peer, now);
        self.set_connected(&peer, true);
    }

    /// Its connection broke.
    pub fn lost(&mut self, peer: MemberId, now: Instant) {
        self.lost.entry(peer).or_insert(now);
        self.set_connected(&peer, false);
    }

    fn set_connected(&mut self, peer: &MemberId, connected: bool) {
        if let Some(watch) = &mut self.watch
            && let Some(number) = watch.circle.number(peer)
        {
            watch.connected[number] = connected;
            watch.stale = true;
        }
    }

    /// It is not in the roster any more.
    pub fn forget(&mut self, keep: &BTreeSet<MemberId>) {
        self.heard.retain(|peer, _| keep.contains(peer));
        self.lost.retain(|peer, _| keep.contains(peer));
    }

    /// From now on as version 2 says, with this roster; `said` is what each author's report says.
    pub fn watch<'a>(
        &mut self,
        me: &MemberId,
        circle: Arc<Circle>,
        connected: &BTreeSet<MemberId>,
        said: impl Iterator<Item = (MemberId, &'a [MemberId])>,
    ) {
        let (count, before) = (circle.len(), self.watch.take());
        let seen_before =
            |number: usize| before.as_ref()?.seen(before.as_ref()?.circle.number(&circle.id(number))?);
        let seen = (0..count).filter_map(|number| Some((number, seen_before(number)?))).collect();
        let mut watch = Watch {
            me: circle.number(me),
            said: vec![false; count],
            missed: vec![0; count],
            connected: vec![false; count],
            up: vec![false; count],
            seen,
            concluded: Instant::default(),
            from: Default::default(),
            asked: BTreeMap::new(),
            stale: true,
            circle,
        };
        let numbers = connected.iter().filter_map(|id| watch.circle.number(id));
        let numbers: Vec<usize> = numbers.collect();
        numbers.into_iter().for_each(|number| watch.connected[number] = true);
        said.for_each(|(author, missed)| watch.said(&author, Some(missed)));
        self.watch = Some(watch);
        self.changes += 1;
    }

    /// A report of this member says that it misses these; `None`: it may not know any more what it said.
    pub fn said(&mut self, author: &MemberId, missed: Option<&[MemberId]>) {
        if let Some(watch) = &mut self.watch {
            watch.said(author, missed);
        }
    }

    /// We ourselves stood still until now: what was not heard meanwhile is nobody's fault.
    pub fn forgive(&mut self, now: Instant) {
        let least = Instant(now.0.saturating_sub(PULSE.0));
        for (peer, at) in &mut self.heard {
            if !self.lost.contains_key(peer) {
                *at = (*at).max(least);
            }
        }
    }

    /// Neighbours that are to be asked in turn: of two, one asks the other.
    pub fn to_ask(&self) -> Vec<MemberId> {
        self.near(|asker| asker == Asker::Self_)
    }

    /// All neighbours, by whom this member is watched.
    pub fn neighbours(&self) -> Vec<MemberId> {
        self.near(|_| true)
    }

    fn near(&self, which: impl Fn(Asker) -> bool) -> Vec<MemberId> {
        let Some(watch) = &self.watch else { return Vec::new() };
        let near = watch.me.into_iter().flat_map(|me| watch.circle.near(me));
        near.filter(|(_, asker)| which(*asker)).map(|(number, _)| watch.circle.id(*number)).collect()
    }

    /// Neighbours that are missed.
    pub fn missed(&self, now: Instant) -> Vec<MemberId> {
        let Some(watch) = &self.watch else { return Vec::new() };
        let near = watch.me.into_iter().flat_map(|me| watch.circle.near(me));
        near.map(|(number, _)| watch.circle.id(*number)).filter(|id| !self.is_heard(id, now)).collect()
    }

    /// Neighbours that have to be asked out of turn; they count as asked.
    pub fn doubted(&mut self, now: Instant) -> Vec<MemberId> {
        let Some(mut watch) = self.watch.take() else { return Vec::new() };
        let mut doubted = Vec::new();
        for (number, _) in watch.me.map(|me| watch.circle.near(me)).unwrap_or_default() {
            let id = watch.circle.id(*number);
            let doubt = self.heard.get(&id).is_some_and(|at| now - *at >= DOUBT && now - *at < MISSED);
            if doubt && watch.asked.get(number).is_none_or(|at| now - *at >= DOUBT_AGAIN) {
                watch.asked.insert(*number, now);
                doubted.push(id);
            }
        }
        self.watch = Some(watch);
        doubted
    }

    /// Heard by this member itself.
    fn is_heard(&self, peer: &MemberId, now: Instant) -> bool {
        self.is_heard_within(peer, if self.watch.is_some() { MISSED } else { SILENCE }, now)
    }

    fn is_heard_within(&self, peer: &MemberId, silence: Millis, now: Instant) -> bool {
        let heard = self.heard.get(peer).is_some_and(|at| now - *at < silence);
        heard && self.lost.get(peer).is_none_or(|at| now - *at < GRACE)
    }

    /// Whether it can be reached, as far as this member knows.
    pub fn is_reachable(&self, peer: &MemberId, now: Instant) -> bool {
        if self.is_heard(peer, now) {
            return true;
        }
        let Some(watch) = &self.watch else { return false };
        watch.circle.number(peer).is_some_and(|number| watch.up[number])
    }

    /// How long ago it was heard, by this member or by others that it takes at their word.
    pub fn age(&self, peer: &MemberId, now: Instant) -> Option<Millis> {
        let number = self.watch.as_ref().and_then(|watch| Some((watch, watch.circle.number(peer)?)));
        let seen = number.and_then(|(watch, number)| watch.seen(number));
        self.heard.get(peer).copied().max(seen).map(|at| now - at)
    }

    /// Finds out who can be reached, if anything changed or `anyway`.
    pub fn conclude(&mut self, now: Instant, anyway: Anyway) {
        let is_due = |watch: &Watch| watch.stale && now - watch.concluded >= watch.pause();
        if anyway == Anyway::No && !self.watch.as_ref().is_some_and(is_due) {
            return;
        }
        let Some(mut watch) = self.watch.take() else { return };
        let heard = self.heard.keys().filter(|peer| self.is_heard_within(peer, MISSED, now));
        let heard: BTreeSet<usize> = heard.filter_map(|peer| watch.circle.number(peer)).collect();
        let lost: BTreeSet<usize> = self.lost.keys().filter_map(|peer| watch.circle.number(peer)).collect();
        self.changes += u64::from(watch.look(now, (heard, lost)));
        self.watch = Some(watch);
    }

    /// When what changed will be concluded from, if anything did and it was not yet.
    pub fn waits_until(&self) -> Option<Instant> {
        let watch = self.watch.as_ref().filter(|watch| watch.stale)?;
        Some(watch.concluded + watch.pause())
    }

    /// Another number whenever somebody can be reached who could not be before, or the other way round, from version 2 on.
    pub fn changes(&self) -> Option<u64> {
        self.watch.as_ref().map(|_| self.changes)
    }

    /// Who of the members is to be kept a connection to; `None`: everybody.
    pub fn links(&self) -> Option<BTreeSet<MemberId>> {
        let watch = self.watch.as_ref()?;
        let linked = watch.circle.linked(watch.me?)?;
        Some(linked.iter().map(|number| watch.circle.id(*number)).collect())
    }

    /// The next moment at which a neighbour is to be asked out of turn, or somebody heard may stop to be so.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let watch = self.watch.as_ref()?;
        let near = watch.me.into_iter().flat_map(|me| watch.circle.near(me)).map(|(number, _)| *number);
        let times = near.flat_map(|number| {
            let id = watch.circle.id(number);
            let at = self.heard.get(&id).copied();
            let next = watch.asked.get(&number).map_or(Instant(0), |asked| *asked + DOUBT_AGAIN);
            let doubt =
                at.map(|at| (at + DOUBT).max(next)).filter(|doubt| *doubt < at.unwrap_or(*doubt) + MISSED);
            [doubt, at.map(|at| at + MISSED)]
        });
        let lost = self.lost.values().map(|lost| *lost + GRACE);
        times.flatten().chain(lost).filter(|at| *at > now).min()
    }
}

/// Whether to look although nothing is known to have changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Anyway {
    /// Time has passed.
    Yes,
    /// Only if something changed.
    No,
}

impl Watch {
    fn said(&mut self, author: &MemberId, missed: Option<&[MemberId]>) {
        let Some(number) = self.circle.number(author) else { return };
        let said = missed.is_some();
        let is_missed = |near: usize| missed.is_some_and(|missed| missed.contains(&self.circle.id(near)));
        let near = self.circle.near(number).iter().enumerate().filter(|(_, (near, _))| is_missed(*near));
        let missed = near.fold(0, |missed, (place, _)| missed | 1 << place);
        if (self.said[number], self.missed[number]) != (said, missed) {
            (self.said[number], self.missed[number]) = (said, missed);
            self.stale = true;
        }
    }

    /// Whether a member says that it misses this neighbour.
    fn misses(&self, number: usize, other: usize) -> bool {
        let missed = self.missed[number];
        let mut near = self.circle.near(number).iter();
        missed != 0 && near.position(|(near, _)| *near == other).is_some_and(|place| missed >> place & 1 == 1)
    }

    /// When somebody was known to be up for the last time.
    fn seen(&self, number: usize) -> Option<Instant> {
        if self.up[number] { Some(self.concluded) } else { self.seen.get(&number).copied() }
    }

    /// How long changes wait for others: in a large entity, where they come by the thousand when many start.
    fn pause(&self) -> Millis {
        Millis(self.circle.len() as u64 / PAUSE_MEMBERS * PAUSE.0)
    }

    /// Finds out who is up; whether it is somebody else than before.
    fn look(&mut self, now: Instant, from: (BTreeSet<usize>, BTreeSet<usize>)) -> bool {
        let before = std::mem::replace(&mut self.concluded, now);
        if !std::mem::take(&mut self.stale) && self.from == from {
            return false;
        }
        let was = std::mem::take(&mut self.up);
        self.conclude(&from.0, &from.1);
        self.from = from;
        for (number, was) in was.iter().enumerate() {
            match (was, self.up[number]) {
                (true, false) => drop(self.seen.insert(number, before)),
                (false, true) => drop(self.seen.remove(&number)),
                _ => {}
            }
        }
        was != self.up
    }

    /// `heard` by this member itself; `lost`: there was a connection, and it broke.
    fn conclude(&mut self, heard: &BTreeSet<usize>, lost: &BTreeSet<usize>) {
        let mut gone = BTreeSet::new();
        for _ in 0..ROUNDS {
            self.up = self.reached(heard, lost, &gone);
            let found: Vec<usize> = (0..self.up.len())
                .filter(|number| self.up[*number] && Some(*number) != self.me && !heard.contains(number))
                .filter(|number| self.is_gone(*number, lost, &self.up))
                .collect();
            if found.is_empty() {
                break;
            }
            gone.extend(found);
        }
    }

    /// Whoever is heard, whoever they hear, and so on, unless more of those that are reached miss it. Of whom nobody
    /// that is reached says anything, a connection is all there is to know.
    fn reached(&self, heard: &BTreeSet<usize>, lost: &BTreeSet<usize>, gone: &BTreeSet<usize>) -> Vec<bool> {
        let count = self.circle.len();
        let (mut up, mut spoken_of) = (vec![false; count], vec![false; count]);
        let mut queue: Vec<usize> = heard.iter().copied().chain(self.me).collect();
        let mut unknown = 0;
        queue.iter().for_each(|number| up[*number] = true);
        loop {
            while let Some(speaker) = queue.pop() {
                if !self.said[speaker] || Some(speaker) == self.me {
                    continue;
                }
                let missed = self.missed[speaker];
                for (place, (number, _)) in self.circle.near(speaker).iter().enumerate() {
                    spoken_of[*number] = true;
                    let heard = missed >> place & 1 == 0 && !gone.contains(number);
                    if !up[*number] && heard && !self.is_gone(*number, lost, &up) {
                        up[*number] = true;
                        queue.push(*number);
                    }
                }
            }
            let is_next = |number: &usize| !up[*number] && !spoken_of[*number] && self.connected[*number];
            let Some(next) = (unknown..count).find(is_next) else { return up };
            unknown = next + 1;
            let near = self.me.is_some_and(|me| self.circle.near(me).iter().any(|(near, _)| *near == next));
            if !near && !gone.contains(&next) {
                up[next] = true;
                queue.push(next);
            }
        }
    }

    /// Whether more of its neighbours that are reached miss it than hear it. Where just one hears it, this member's
    /// own word is enough: that one may have started anew and not have said anything since.
    fn is_gone(&self, number: usize, lost: &BTreeSet<usize>, up: &[bool]) -> bool {
        let mine = self.me.is_some_and(|me| self.circle.near(me).iter().any(|(near, _)| *near == number))
            || lost.contains(&number);
        let others = self.circle.near(number).iter().map(|(near, _)| *near);
        let words = others.filter(|near| up[*near] && Some(*near) != self.me);
        let (mut missing, mut hearing) = (0, 0);
        for near in words.filter(|near| self.said[*near]) {
            *(if self.misses(near, number) { &mut missing } else { &mut hearing }) += 1;
        }
        missing + usize::from(mine) > hearing || (mine && hearing == 1)
    }
}

#[cfg(test)]
mod tests;
