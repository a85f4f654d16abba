//! Whose turn it is to be served content: few at a time, and nobody all the turns.

use std::collections::BTreeMap;
use std::sync::Arc;

use althing_protocol::identity::MemberId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Streams that are served at once.
const SERVED: usize = 16;
/// Of these, of one member: it fetches one root from us with one stream, and may have a few applications. Who holds its
/// streams without reading them keeps only itself waiting.
const SERVED_PER_MEMBER: usize = 4;
/// Streams of one member that wait for its turns; more are ended at once. Who waits costs little, and must not be able to
/// wait with thousands.
const WAITING_PER_MEMBER: usize = 16;

/// The turns.
#[derive(Debug)]
pub(crate) struct Serving {
    all: Arc<Semaphore>,
    by_member: BTreeMap<MemberId, Own>,
}

/// What one member has.
#[derive(Clone, Debug)]
struct Own {
    turns: Arc<Semaphore>,
    /// Places to wait in.
    places: Arc<Semaphore>,
}

impl Default for Own {
    fn default() -> Self {
        let of = |count| Arc::new(Semaphore::new(count));
        Self { turns: of(SERVED_PER_MEMBER), places: of(WAITING_PER_MEMBER) }
    }
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Default for Serving {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(SERVED)), by_member: BTreeMap::new() }
    }
}

impl Serving {
    /// Waits for a turn of this member: first among its own, then among all. None if too many of its streams wait.
    pub(crate) fn turn(&mut self, of: MemberId) -> impl Future<Output = Option<Turn>> + Send + use<> {
        let own = self.by_member.entry(of).or_default().clone();
        let (place, all) = (own.places.try_acquire_owned(), Arc::clone(&self.all));
        async move {
            let _place = place.ok()?;
            let own = own.turns.acquire_owned().await.ok()?;
            Some(Turn { _own: own, _all: all.acquire_owned().await.ok()? })
        }
    }

    /// Forgets whoever is not a peer any more.
    pub(crate) fn retain(&mut self, is_peer: impl Fn(&MemberId) -> bool) {
        self.by_member.retain(|member, _| is_peer(member));
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn one_member_does_not_take_the_turns_of_all() {
        let mut serving = Serving::default();
        let mut taken = |of: u8| serving.turn(MemberId([of; 32])).now_or_never().flatten();
        let greedy: Vec<_> = (0..100).map(|_| taken(1)).collect();
        assert_eq!(greedy.iter().flatten().count(), SERVED_PER_MEMBER);
        let other = taken(2);
        assert!(other.is_some());
        drop(greedy);
        assert!(taken(1).is_some(), "its turns come back");
    }

    #[test]
    fn no_more_of_one_member_wait_than_there_are_places() {
        let mut serving = Serving::default();
        let member = MemberId([1; 32]);
        let turns: Vec<_> =
            (0..SERVED_PER_MEMBER).map(|_| serving.turn(member).now_or_never().flatten()).collect();
        let mut waiting: Vec<_> = (0..WAITING_PER_MEMBER).map(|_| Box::pin(serving.turn(member))).collect();
        assert!(waiting.iter_mut().all(|turn| turn.now_or_never().is_none()));
        assert!(matches!(serving.turn(member).now_or_never(), Some(None)), "there is no place left");
        drop(turns);
        assert!(waiting[0].as_mut().now_or_never().flatten().is_some());
        drop(waiting);
        assert!(serving.turn(member).now_or_never().flatten().is_some());
    }
}
