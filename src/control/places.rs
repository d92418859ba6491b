//! The places of the control port: how many clients are served at once, and who makes room.
//!
//! A client that has not sent its first line, waits at a prompt or between two requests, holds its place on sufferance: when all places are taken, the
//! one that has been silent longest gives its place up to the newcomer, so that a neighbour who only
//! connects cannot keep a health check out. It knows nothing of what clients say.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// All places; clones share them.
#[derive(Clone, Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    silent: Arc<Mutex<Silent>>,
}

/// The places of the silent, by the order of their coming. To drop one's sender tells its client to go.
#[derive(Debug, Default)]
struct Silent {
    came: u64,
    places: BTreeMap<u64, (OwnedSemaphorePermit, oneshot::Sender<()>)>,
}

/// A place on sufferance.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    number: u64,
    lost: oneshot::Receiver<()>,
}

impl Places {
    /// This many places, all free.
    pub(super) fn new(count: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(count)),
            silent: Arc::default(),
        }
    }

    /// Whether a newcomer would have to be made room for.
    pub(super) fn all_taken(&self) -> bool {
        self.free.available_permits() == 0
    }

    /// A place for a newcomer: a free one, or that of the one who has been silent longest. `None` when all
    /// have spoken.
    pub(super) fn take(&self) -> Option<Place> {
        let free = Arc::clone(&self.free).try_acquire_owned().ok();
        let mut silent = self.silent();
        let permit = match free {
            Some(permit) => permit,
            None => silent.places.pop_first()?.1.0,
        };
        Some(self.note(&mut silent, permit))
    }

    /// Puts the place of a client who falls silent again on sufferance, behind those who are silent already.
    pub(super) fn lend(&self, permit: OwnedSemaphorePermit) -> Place {
        self.note(&mut self.silent(), permit)
    }

    fn note(&self, silent: &mut Silent, permit: OwnedSemaphorePermit) -> Place {
        let (stay, lost) = oneshot::channel();
        silent.came += 1;
        let number = silent.came;
        silent.places.insert(number, (permit, stay));
        Place {
            places: self.clone(),
            number,
            lost,
        }
    }

    fn forget(&self, number: u64) -> Option<OwnedSemaphorePermit> {
        let place = self.silent().places.remove(&number);
        place.map(|(permit, _)| permit)
    }

    fn silent(&self) -> MutexGuard<'_, Silent> {
        // Nothing panics while it is held.
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until the place was given to another. Cancel safe.
    pub(super) async fn lost(&mut self) {
        poll_fn(|cx| self.poll_lost(cx)).await;
    }

    /// Ready when the place was given to another.
    pub(super) fn poll_lost(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.lost).poll(cx).map(drop)
    }

    /// Keeps the place for good, since its client has spoken; `None` if it was given to another.
    pub(super) fn keep(self) -> Option<OwnedSemaphorePermit> {
        self.places.forget(self.number)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.places.forget(self.number));
    }
}
