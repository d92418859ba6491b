//! Places for connections: a bounded number of them, and which connection makes room when all are taken.
//!
//! A place is held while an answer is being worked out. Otherwise it is only lent: before the first line, while
//! an answer is written, at a prompt and between two requests. When all places are taken, a newcomer gets the one
//! that was lent longest ago, so that connections that only sit there keep nobody out. It knows nothing of what
//! clients say.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::{Notify, oneshot};

/// All places; clones share them.
#[derive(Clone, Debug)]
pub(super) struct Slots(Arc<SlotsInner>);

#[derive(Debug)]
struct SlotsInner {
    count: usize,
    taken: Mutex<SlotTable>,
    /// Notified when a place is free or was lent.
    changed: Notify,
}

/// The places that are taken.
#[derive(Debug, Default)]
struct SlotTable {
    held: usize,
    /// How many were lent so far.
    came: u64,
    /// By the order of lending. Dropping the sender tells the connection that its place is lost.
    lent: BTreeMap<u64, oneshot::Sender<()>>,
}

/// A place that another connection may get.
#[derive(Debug)]
pub(super) struct EvictableSlot {
    places: Slots,
    number: u64,
    lost: oneshot::Receiver<()>,
}

/// A place that no other connection can get.
#[derive(Debug)]
pub(super) struct PinnedSlot(Slots);

impl Slots {
    /// This many places, all free.
    pub(super) fn new(count: usize) -> Self {
        Self(Arc::new(SlotsInner {
            count,
            taken: Mutex::default(),
            changed: Notify::new(),
        }))
    }

    /// Whether a newcomer would have to be made room for.
    pub(super) fn is_full(&self) -> bool {
        let taken = self.lock();
        taken.held + taken.lent.len() >= self.0.count
    }

    /// A place for a newcomer: a free one, or the one that was lent longest ago. `None` when all are held.
    pub(super) fn acquire(&self) -> Option<EvictableSlot> {
        let mut taken = self.lock();
        if taken.held + taken.lent.len() >= self.0.count {
            taken.lent.pop_first()?;
        }
        Some(self.insert(&mut taken))
    }

    /// Waits for a place. Cancel safe.
    pub(super) async fn acquire_next(&self) -> EvictableSlot {
        loop {
            if let Some(place) = self.acquire() {
                return place;
            }
            self.0.changed.notified().await;
        }
    }

    fn insert(&self, taken: &mut SlotTable) -> EvictableSlot {
        let (stay, lost) = oneshot::channel();
        taken.came += 1;
        let number = taken.came;
        taken.lent.insert(number, stay);
        EvictableSlot {
            places: self.clone(),
            number,
            lost,
        }
    }

    fn lock(&self) -> MutexGuard<'_, SlotTable> {
        // Nothing panics while it is held.
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EvictableSlot {
    /// Waits until the place was given to another. Cancel safe.
    pub(super) async fn evicted(&mut self) {
        poll_fn(|cx| self.poll_evicted(cx)).await;
    }

    /// Ready when the place was given to another.
    pub(super) fn poll_evicted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.lost).poll(cx).map(drop)
    }

    /// Holds the place while an answer is owed; `None` if it was given to another.
    pub(super) fn pin(self) -> Option<PinnedSlot> {
        let mut taken = self.places.lock();
        taken.lent.remove(&self.number)?;
        taken.held += 1;
        drop(taken);
        Some(PinnedSlot(self.places.clone()))
    }
}

impl Drop for EvictableSlot {
    fn drop(&mut self) {
        if self.places.lock().lent.remove(&self.number).is_some() {
            self.places.0.changed.notify_one();
        }
    }
}

impl PinnedSlot {
    /// Lends the place again, as the last one to be given to another.
    pub(super) fn make_evictable(self) -> EvictableSlot {
        let places = self.0.clone();
        let mut taken = places.lock();
        let place = places.insert(&mut taken);
        drop(taken);
        // Gives its own place back and notifies whoever waits.
        drop(self);
        place
    }
}

impl Drop for PinnedSlot {
    fn drop(&mut self) {
        self.0.lock().held -= 1;
        self.0.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn the_place_that_was_lent_longest_ago_goes_first_and_a_held_one_never() {
        let places = Slots::new(2);
        let held = places.acquire().unwrap().pin().unwrap();
        let mut first = places.acquire().unwrap();
        assert!(places.is_full());
        let second = places.acquire().unwrap();
        first.evicted().await;
        assert!(first.pin().is_none());
        let second = second.pin().unwrap();
        assert!(places.acquire().is_none(), "both are held");
        let mut lent = held.make_evictable();
        drop(places.acquire().unwrap());
        lent.evicted().await;
        drop((second, lent));
        assert!(!places.is_full());
        let all = [places.acquire().unwrap(), places.acquire().unwrap()];
        assert!(places.is_full());
        drop(all);
    }

    #[tokio::test]
    async fn who_waits_gets_a_place_that_is_given_back_or_lent() {
        let places = Slots::new(1);
        for lends in [false, true] {
            let held = places.acquire().unwrap().pin().unwrap();
            let waiting = tokio::spawn({
                let places = places.clone();
                async move { places.acquire_next().await }
            });
            // It has looked, and waits.
            tokio::task::yield_now().await;
            let lent = match lends {
                true => Some(held.make_evictable()),
                false => {
                    drop(held);
                    None
                }
            };
            let place = timeout(Duration::from_secs(15), waiting).await;
            drop((place.unwrap().unwrap(), lent));
        }
        assert!(!places.is_full());
    }
}
