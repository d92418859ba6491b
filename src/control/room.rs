//! The place of an HTTP client: its own while a request of it is answered, on sufferance before and after.
//!
//! So connections that are kept open, or that begin a head and go no further, keep nobody out. Surprising: an
//! answer that streams is under way as long as the stream is open, and its place is never lent.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::OwnedSemaphorePermit;

use super::places::{Place, Places};

/// The place; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Room {
    places: Places,
    now: Arc<Mutex<Now>>,
}

#[derive(Debug)]
enum Now {
    Lent(Place),
    Held(OwnedSemaphorePermit),
    /// Another has it.
    Gone,
}

impl Room {
    /// Of a client who has begun a request.
    pub(super) fn new(places: &Places, place: Place) -> Self {
        Self {
            places: places.clone(),
            now: Arc::new(Mutex::new(Now::Lent(place))),
        }
    }

    /// A whole head has come: the place is the client's until [`Room::rest`].
    pub(super) fn enter(&self) {
        let mut now = self.now();
        if let Now::Lent(place) = mem::replace(&mut *now, Now::Gone) {
            *now = place.keep().map_or(Now::Gone, Now::Held);
        }
    }

    /// The answer is made.
    pub(super) fn rest(&self) {
        let mut now = self.now();
        if let Now::Held(permit) = mem::replace(&mut *now, Now::Gone) {
            *now = Now::Lent(self.places.lend(permit));
        }
    }

    /// Ready when another has the place and no answer is owed.
    pub(super) fn poll_lost(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut *self.now() {
            Now::Lent(place) => place.poll_lost(cx),
            Now::Held(_) => Poll::Pending,
            Now::Gone => Poll::Ready(()),
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        // Nothing panics while it is held.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
