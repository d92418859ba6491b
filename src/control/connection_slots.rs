//! Slots for connections: a bounded number, and the choice of the connection that is closed when
//! all are taken.
//!
//! A connection *pins* its slot while an answer is worked out. Before its first line, while an
//! answer is written, at a prompt and between two HTTP requests its slot is *evictable*. When no
//! slot is free, a new client gets the slot that has been evictable longest, so that idle
//! connections keep no client out.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::{Notify, oneshot};

/// All slots; clones share them.
#[derive(Clone, Debug)]
pub(super) struct Slots(Arc<SlotsInner>);

#[derive(Debug)]
struct SlotsInner {
    count: usize,
    taken: Mutex<SlotTable>,
    /// Notified when a slot becomes free or evictable.
    changed: Notify,
}

/// The slots that are taken.
#[derive(Debug, Default)]
struct SlotTable {
    pinned: usize,
    /// Number of slots that became evictable so far.
    sequence: u64,
    /// Evictable slots, oldest first. Dropping the sender evicts the connection.
    evictable: BTreeMap<u64, oneshot::Sender<()>>,
}

/// A slot that another connection may get.
#[derive(Debug)]
pub(super) struct EvictableSlot {
    slots: Slots,
    number: u64,
    evicted: oneshot::Receiver<()>,
}

/// A slot that no other connection can get.
#[derive(Debug)]
pub(super) struct PinnedSlot {
    slots: Slots,
    /// `false` once the slot is evictable again, so that dropping this gives nothing back.
    is_pinned: bool,
}

impl SlotTable {
    /// Number of slots that are taken.
    fn len(&self) -> usize {
        self.pinned + self.evictable.len()
    }
}

impl Slots {
    /// Creates `count` free slots.
    pub(super) fn new(count: usize) -> Self {
        Self(Arc::new(SlotsInner {
            count,
            taken: Mutex::default(),
            changed: Notify::new(),
        }))
    }

    /// Returns `true` if no slot is free.
    pub(super) fn is_full(&self) -> bool {
        self.lock().len() >= self.0.count
    }

    /// Takes a free slot, or evicts the connection whose slot has been evictable longest. `None` if
    /// all slots are pinned.
    pub(super) fn acquire(&self) -> Option<EvictableSlot> {
        let mut taken = self.lock();
        if taken.len() >= self.0.count {
            taken.evictable.pop_first()?;
        }
        Some(self.insert(&mut taken))
    }

    /// Waits for a slot. Cancel safe.
    pub(super) async fn acquire_next(&self) -> EvictableSlot {
        loop {
            if let Some(slot) = self.acquire() {
                return slot;
            }
            self.0.changed.notified().await;
        }
    }

    fn insert(&self, taken: &mut SlotTable) -> EvictableSlot {
        let (keep, evicted) = oneshot::channel();
        taken.sequence += 1;
        let number = taken.sequence;
        taken.evictable.insert(number, keep);
        EvictableSlot {
            slots: self.clone(),
            number,
            evicted,
        }
    }

    fn lock(&self) -> MutexGuard<'_, SlotTable> {
        // No code panics while it holds the lock.
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EvictableSlot {
    /// Waits until the slot was given to another connection. Cancel safe.
    pub(super) async fn evicted(&mut self) {
        poll_fn(|cx| self.poll_evicted(cx)).await;
    }

    /// Ready when the slot was given to another connection.
    pub(super) fn poll_evicted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.evicted).poll(cx).map(drop)
    }

    /// Pins the slot while an answer is worked out. `None` if it was given to another connection.
    pub(super) fn pin(self) -> Option<PinnedSlot> {
        let mut taken = self.slots.lock();
        taken.evictable.remove(&self.number)?;
        taken.pinned += 1;
        drop(taken);
        Some(PinnedSlot {
            slots: self.slots.clone(),
            is_pinned: true,
        })
    }
}

impl Drop for EvictableSlot {
    fn drop(&mut self) {
        if self.slots.lock().evictable.remove(&self.number).is_some() {
            self.slots.0.changed.notify_one();
        }
    }
}

impl PinnedSlot {
    /// Makes the slot evictable again, after all slots that are evictable now.
    pub(super) fn make_evictable(mut self) -> EvictableSlot {
        let mut taken = self.slots.lock();
        taken.pinned -= 1;
        let slot = self.slots.insert(&mut taken);
        drop(taken);
        self.is_pinned = false;
        self.slots.0.changed.notify_one();
        slot
    }
}

impl Drop for PinnedSlot {
    fn drop(&mut self) {
        if self.is_pinned {
            self.slots.lock().pinned -= 1;
            self.slots.0.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn the_slot_that_was_evictable_longest_is_evicted_first_and_a_pinned_slot_never() {
        let slots = Slots::new(2);
        let pinned = slots.acquire().unwrap().pin().unwrap();
        let mut first = slots.acquire().unwrap();
        assert!(slots.is_full());
        let second = slots.acquire().unwrap();
        first.evicted().await;
        assert!(first.pin().is_none());
        let second = second.pin().unwrap();
        assert!(slots.acquire().is_none(), "both are pinned");
        let mut evictable = pinned.make_evictable();
        drop(slots.acquire().unwrap());
        evictable.evicted().await;
        drop((second, evictable));
        assert!(!slots.is_full());
        let all = [slots.acquire().unwrap(), slots.acquire().unwrap()];
        assert!(slots.is_full());
        drop(all);
    }

    #[tokio::test]
    async fn a_waiting_connection_gets_a_slot_that_becomes_free_or_evictable() {
        let slots = Slots::new(1);
        for makes_evictable in [false, true] {
            let pinned = slots.acquire().unwrap().pin().unwrap();
            let waiting = tokio::spawn({
                let slots = slots.clone();
                async move { slots.acquire_next().await }
            });
            // It has found no slot, and waits.
            tokio::task::yield_now().await;
            let evictable = match makes_evictable {
                true => Some(pinned.make_evictable()),
                false => {
                    drop(pinned);
                    None
                }
            };
            let slot = timeout(Duration::from_secs(15), waiting).await;
            drop((slot.unwrap().unwrap(), evictable));
        }
        assert!(!slots.is_full());
    }
}
