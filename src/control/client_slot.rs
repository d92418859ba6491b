//! The place of one client: held while an answer of it is worked out or streams, lent before and after.
//!
//! So connections that are kept open, that begin a line or a head and go no further, or that do not read what is
//! written to them keep nobody out. Surprising: a stream is under way as long as it is open, and its place is
//! never lent.

use std::future::poll_fn;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use super::connection_slots::{EvictableSlot, PinnedSlot};

/// The place; clones share it.
#[derive(Clone, Debug)]
pub(super) struct HttpSlot(Arc<Mutex<SlotState>>);

#[derive(Debug)]
enum SlotState {
    Evictable(EvictableSlot),
    Pinned(PinnedSlot),
    /// Another has it.
    Evicted,
}

impl HttpSlot {
    /// Of a client who owes or is owed nothing yet.
    pub(super) fn new(place: EvictableSlot) -> Self {
        Self(Arc::new(Mutex::new(SlotState::Evictable(place))))
    }

    /// A whole line or head has come: the place is the client's until [`Room::rest`]. `false` if another has it.
    pub(super) fn busy(&self) -> bool {
        let mut now = self.lock();
        *now = match mem::replace(&mut *now, SlotState::Evicted) {
            SlotState::Evictable(place) => {
                place.pin().map_or(SlotState::Evicted, SlotState::Pinned)
            }
            other => other,
        };
        matches!(*now, SlotState::Pinned(_))
    }

    /// The answer is made.
    pub(super) fn idle(&self) {
        let mut now = self.lock();
        *now = match mem::replace(&mut *now, SlotState::Evicted) {
            SlotState::Pinned(held) => SlotState::Evictable(held.make_evictable()),
            other => other,
        };
    }

    /// Waits until another has the place and no answer is owed. Cancel safe.
    pub(super) async fn evicted(&self) {
        poll_fn(|cx| self.poll_evicted(cx)).await;
    }

    /// Ready when another has the place and no answer is owed.
    pub(super) fn poll_evicted(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut *self.lock() {
            SlotState::Evictable(place) => place.poll_evicted(cx),
            SlotState::Pinned(_) => Poll::Pending,
            SlotState::Evicted => Poll::Ready(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, SlotState> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
