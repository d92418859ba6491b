//! The slot of one client: pinned while an answer is worked out or streams, evictable before and
//! after.
//!
//! So a client that is idle, sends part of a line or head, or does not read its answer cannot keep
//! others out. A stream is pinned as long as it is open.

use std::future::poll_fn;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use super::connection_slots::{EvictableSlot, PinnedSlot};

/// The slot; clones share it.
#[derive(Clone, Debug)]
pub(super) struct ClientSlot(Arc<Mutex<SlotState>>);

#[derive(Debug)]
enum SlotState {
    Evictable(EvictableSlot),
    Pinned(PinnedSlot),
    /// The slot belongs to another client.
    Evicted,
}

impl ClientSlot {
    /// Wraps the slot of a client that is owed no answer.
    pub(super) fn new(slot: EvictableSlot) -> Self {
        Self(Arc::new(Mutex::new(SlotState::Evictable(slot))))
    }

    /// Pins the slot until [`Self::unpin`], for a complete line or head. Returns `false` if another
    /// client has it.
    pub(super) fn pin(&self) -> bool {
        let mut state = self.lock();
        *state = match mem::replace(&mut *state, SlotState::Evicted) {
            SlotState::Evictable(slot) => slot.pin().map_or(SlotState::Evicted, SlotState::Pinned),
            other => other,
        };
        matches!(*state, SlotState::Pinned(_))
    }

    /// Makes the slot evictable again, after the answer was worked out.
    pub(super) fn unpin(&self) {
        let mut state = self.lock();
        *state = match mem::replace(&mut *state, SlotState::Evicted) {
            SlotState::Pinned(slot) => SlotState::Evictable(slot.make_evictable()),
            other => other,
        };
    }

    /// Waits until another client has the slot. Cancel safe.
    pub(super) async fn evicted(&self) {
        poll_fn(|cx| self.poll_evicted(cx)).await;
    }

    /// Ready when another client has the slot.
    pub(super) fn poll_evicted(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut *self.lock() {
            SlotState::Evictable(slot) => slot.poll_evicted(cx),
            SlotState::Pinned(_) => Poll::Pending,
            SlotState::Evicted => Poll::Ready(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, SlotState> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
