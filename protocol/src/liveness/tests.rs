//! Who is reachable, by its own word and by that of others.

use super::*;
use crate::hash::Hash;

const NOW: Instant = Instant(1_000_000);

fn ids(count: usize) -> Vec<MemberId> {
    let mut ids: Vec<MemberId> =
        (0..count).map(|at| MemberId(Hash::of(&(at as u64).to_be_bytes()).0)).collect();
    ids.sort_unstable();
    ids
}

/// The first of so many, connected to all, who have all said that they miss nobody.
struct Seen {
    ids: Vec<MemberId>,
    circle: Arc<Circle>,
    liveness: Liveness,
}

impl Seen {
    fn new(count: usize) -> Self {
        let ids = ids(count);
        let circle = Arc::new(Circle::new(ids.iter().copied()));
        let mut liveness = Liveness::default();
        let connected = ids[1..].iter().copied().collect();
        liveness.watch(&ids[0], circle.clone(), &connected, ids[1..].iter().map(|id| (*id, &[][..])));
        let mut seen = Self { ids, circle, liveness };
        seen.hear(NOW);
        seen
    }

    /// All neighbours are heard.
    fn hear(&mut self, at: Instant) {
        self.liveness.neighbours().into_iter().for_each(|id| self.liveness.heard(id, at));
    }

    fn near(&self, number: usize) -> Vec<usize> {
        self.circle.near(number).iter().map(|(near, _)| *near).collect()
    }

    /// Somebody who is no neighbour of the first.
    fn far(&self) -> usize {
        (1..self.ids.len()).find(|number| !self.near(0).contains(number)).expect("not all are neighbours")
    }

    fn says(&mut self, author: usize, missed: &[usize]) {
        let missed: Vec<MemberId> = missed.iter().map(|number| self.ids[*number]).collect();
        self.liveness.said(&self.ids[author], Some(&missed));
    }

    fn reaches(&mut self, number: usize) -> bool {
        self.liveness.conclude(NOW, Anyway::No);
        self.liveness.is_reachable(&self.ids[number], NOW)
    }

    fn reached(&mut self) -> usize {
        (1..self.ids.len()).filter(|number| self.reaches(*number)).count()
    }
}

#[test]
fn in_version_1_everybody_is_listened_to() {
    let mut liveness = Liveness::default();
    let peer = ids(1)[0];
    assert!(!liveness.is_reachable(&peer, NOW));
    liveness.heard(peer, NOW);
    assert!(liveness.is_reachable(&peer, Instant(NOW.0 + SILENCE.0 - 1)));
    assert!(!liveness.is_reachable(&peer, NOW + SILENCE));
    liveness.lost(peer, NOW);
    assert!(liveness.is_reachable(&peer, NOW) && !liveness.is_reachable(&peer, NOW + GRACE));
    liveness.heard(peer, NOW + GRACE);
    assert!(liveness.is_reachable(&peer, NOW + GRACE));
    assert!(liveness.neighbours().is_empty() && liveness.deadline(NOW).is_none());
}

#[test]
fn those_that_are_not_heard_are_known_from_those_that_are() {
    for count in [2, 3, 9, 40, 300] {
        assert_eq!(Seen::new(count).reached(), count - 1, "of {count}");
    }
}

#[test]
fn one_that_misses_somebody_is_not_enough_and_most_of_its_neighbours_are() {
    let mut seen = Seen::new(40);
    let gone = seen.far();
    let near = seen.near(gone);
    for (told, author) in near.iter().enumerate() {
        seen.says(*author, &[gone]);
        assert_eq!(seen.reaches(gone), told < 2, "{} of {} say so", told + 1, near.len());
    }
    near.iter().take(2).for_each(|author| seen.says(*author, &[]));
    assert!(seen.reaches(gone), "two hear it again");
    assert_eq!(seen.reached(), 39);
}

#[test]
fn what_the_gone_said_of_each_other_does_not_count() {
    let mut seen = Seen::new(40);
    // Everybody but the first, its neighbours and theirs dies at once, and is missed by whoever is left.
    let mut left: BTreeSet<usize> = seen.near(0).into_iter().chain([0]).collect();
    left.extend(left.clone().iter().flat_map(|number| seen.near(*number)));
    for author in left.clone() {
        let missed: Vec<usize> = seen.near(author).into_iter().filter(|near| !left.contains(near)).collect();
        seen.says(author, &missed);
    }
    let gone: Vec<usize> = (0..40).filter(|number| !left.contains(number)).collect();
    gone.iter().for_each(|number| seen.liveness.lost(seen.ids[*number], Instant(NOW.0 - GRACE.0)));
    assert!(gone.len() > 5 && gone.iter().all(|number| !seen.reaches(*number)));
    assert_eq!(seen.reached(), left.len() - 1);
}

#[test]
fn who_started_anew_does_not_keep_the_dead_alive() {
    // Of five, three die; one of the others starts again, and said before that it hears all.
    let mut seen = Seen::new(5);
    for number in [2, 3, 4] {
        seen.liveness.lost(seen.ids[number], Instant(NOW.0 - GRACE.0));
    }
    seen.liveness.conclude(NOW, Anyway::Yes);
    assert_eq!(seen.reached(), 1);
    // A member that asks what was said in its name is not believed until it speaks again.
    let mut seen = Seen::new(9);
    let far = seen.far();
    let near = seen.near(far);
    near.iter().for_each(|author| seen.says(*author, &[far]));
    let (restarted, others) = near.split_first().expect("it has neighbours");
    seen.says(*restarted, &[]);
    others.iter().for_each(|author| seen.liveness.said(&seen.ids[*author], None));
    assert!(seen.reaches(far));
    seen.liveness.said(&seen.ids[*restarted], None);
    seen.liveness.lost(seen.ids[far], Instant(NOW.0 - GRACE.0));
    assert!(!seen.reaches(far), "nobody says anything of it, and there is no connection");
}

#[test]
fn a_neighbour_is_asked_out_of_turn_before_it_is_missed() {
    let mut seen = Seen::new(9);
    let mut asked = BTreeMap::new();
    let mut now = NOW;
    while let Some(next) = seen.liveness.deadline(now) {
        now = next;
        seen.liveness.doubted(now).into_iter().for_each(|id| *asked.entry(id).or_insert(0) += 1);
        if !seen.liveness.missed(now).is_empty() {
            break;
        }
    }
    assert_eq!(now, NOW + MISSED);
    assert_eq!((asked.len(), asked.values().min(), asked.values().max()), (4, Some(&5), Some(&5)));
    seen.liveness.forgive(now);
    assert!(seen.liveness.missed(now).is_empty(), "we ourselves stood still");
}

#[test]
fn the_age_of_somebody_is_that_of_the_last_word_about_it() {
    let mut seen = Seen::new(40);
    let far = seen.far();
    assert!(seen.reaches(far));
    let later = NOW + Millis(60_000);
    seen.hear(later);
    seen.liveness.conclude(later, Anyway::Yes);
    assert_eq!(seen.liveness.age(&seen.ids[far], later), Some(Millis(0)));
    seen.near(far).iter().for_each(|author| seen.says(*author, &[far]));
    seen.liveness.conclude(later + Millis(1_000), Anyway::No);
    assert_eq!(seen.liveness.age(&seen.ids[far], later + Millis(1_000)), Some(Millis(1_000)));
}
