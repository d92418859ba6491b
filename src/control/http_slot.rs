//! The place of one client: held while an answer of it is worked out or streams, lent before and after.
//!
//! So connections that are kept open, that begin a line or a head and go no further, or that do not read what is
//! written to them keep nobody out. Surprising: a stream is under way as long as it is open, and its place is
//! never lent.

use std::future::poll_fn;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use super::connection_slots::{Held, Place};

/// The place; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<Mutex<Now>>);

#[derive(Debug)]
enum Now {
    Lent(Place),
    Held(Held),
    /// Another has it.
    Gone,
}

impl Room {
    /// Of a client who owes or is owed nothing yet.
    pub(super) fn new(place: Place) -> Self {
        Self(Arc::new(Mutex::new(Now::Lent(place))))
    }

    /// A whole line or head has come: the place is the client's until [`Room::rest`]. `false` if another has it.
    pub(super) fn enter(&self) -> bool {
        let mut now = self.now();
        *now = match mem::replace(&mut *now, Now::Gone) {
            Now::Lent(place) => place.hold().map_or(Now::Gone, Now::Held),
            other => other,
        };
        matches!(*now, Now::Held(_))
    }

    /// The answer is made.
    pub(super) fn rest(&self) {
        let mut now = self.now();
        *now = match mem::replace(&mut *now, Now::Gone) {
            Now::Held(held) => Now::Lent(held.lend()),
            other => other,
        };
    }

    /// Waits until another has the place and no answer is owed. Cancel safe.
    pub(super) async fn lost(&self) {
        poll_fn(|cx| self.poll_lost(cx)).await;
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
