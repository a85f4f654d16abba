//! Whose turn it is to be served content, or told a whole tree: few at a time, and nobody all the turns.

use std::collections::BTreeMap;
use std::sync::Arc;

use althing_protocol::identity::MemberId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many turns there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    /// At once.
    pub(crate) all: usize,
    /// Of these, of one member.
    pub(crate) of_one: usize,
    /// So many more of one member may wait; what comes beyond is turned away. Who waits costs little, and must not be able
    /// to wait with thousands.
    pub(crate) waiting: usize,
}

/// Streams of content. A member fetches one root from us with one stream, and may have a few applications. Who holds its
/// streams without reading them keeps only itself waiting.
pub(crate) const STREAMS: Share = Share { all: 16, of_one: 4, waiting: 16 };
/// Trees that are read, compared and written out for other members: each may take hundreds of megabytes.
pub(crate) const TREES: Share = Share { all: 2, of_one: 1, waiting: 8 };

/// The turns.
#[derive(Debug)]
pub(crate) struct Serving {
    share: Share,
    all: Arc<Semaphore>,
    by_member: BTreeMap<MemberId, Own>,
}

/// What one member has.
#[derive(Clone, Debug)]
struct Own {
    turns: Arc<Semaphore>,
    /// Places to wait in, and to be served in.
    places: Arc<Semaphore>,
}

impl Own {
    fn new(share: Share) -> Self {
        let of = |count| Arc::new(Semaphore::new(count));
        Self { turns: of(share.of_one), places: of(share.of_one + share.waiting) }
    }
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _place: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Serving {
    pub(crate) fn new(share: Share) -> Self {
        Self { share, all: Arc::new(Semaphore::new(share.all)), by_member: BTreeMap::new() }
    }

    /// Waits for a turn of this member: first among its own, then among all. None if too many of its own wait.
    pub(crate) fn turn(&mut self, of: MemberId) -> impl Future<Output = Option<Turn>> + Send + use<> {
        let own = self.by_member.entry(of).or_insert_with(|| Own::new(self.share)).clone();
        let (place, all) = (own.places.try_acquire_owned(), Arc::clone(&self.all));
        async move {
            let place = place.ok()?;
            let own = own.turns.acquire_owned().await.ok()?;
            Some(Turn { _place: place, _own: own, _all: all.acquire_owned().await.ok()? })
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
        let mut serving = Serving::new(STREAMS);
        let mut taken = |of: u8| serving.turn(MemberId([of; 32])).now_or_never().flatten();
        let greedy: Vec<_> = (0..100).map(|_| taken(1)).collect();
        assert_eq!(greedy.iter().flatten().count(), STREAMS.of_one);
        let other = taken(2);
        assert!(other.is_some());
        drop(greedy);
        assert!(taken(1).is_some(), "its turns come back");
    }

    #[test]
    fn no_more_of_one_member_wait_than_there_are_places() {
        let mut serving = Serving::new(STREAMS);
        let member = MemberId([1; 32]);
        let turns: Vec<_> =
            (0..STREAMS.of_one).map(|_| serving.turn(member).now_or_never().flatten()).collect();
        let mut waiting: Vec<_> = (0..STREAMS.waiting).map(|_| Box::pin(serving.turn(member))).collect();
        assert!(waiting.iter_mut().all(|turn| turn.now_or_never().is_none()));
        assert!(matches!(serving.turn(member).now_or_never(), Some(None)), "there is no place left");
        drop(turns);
        assert!(waiting[0].as_mut().now_or_never().flatten().is_some());
        drop(waiting);
        assert!(serving.turn(member).now_or_never().flatten().is_some());
    }
}
