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
pub(super) struct Places(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    count: usize,
    taken: Mutex<Taken>,
    /// Notified when a place is free or was lent.
    changed: Notify,
}

/// The places that are taken.
#[derive(Debug, Default)]
struct Taken {
    held: usize,
    /// How many were lent so far.
    came: u64,
    /// By the order of lending. Dropping the sender tells the connection that its place is lost.
    lent: BTreeMap<u64, oneshot::Sender<()>>,
}

/// A place that another connection may get.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    number: u64,
    lost: oneshot::Receiver<()>,
}

/// A place that no other connection can get.
#[derive(Debug)]
pub(super) struct Held(Places);

impl Places {
    /// This many places, all free.
    pub(super) fn new(count: usize) -> Self {
        Self(Arc::new(Inner {
            count,
            taken: Mutex::default(),
            changed: Notify::new(),
        }))
    }

    /// Whether a newcomer would have to be made room for.
    pub(super) fn all_taken(&self) -> bool {
        let taken = self.taken();
        taken.held + taken.lent.len() >= self.0.count
    }

    /// A place for a newcomer: a free one, or the one that was lent longest ago. `None` when all are held.
    pub(super) fn take(&self) -> Option<Place> {
        let mut taken = self.taken();
        if taken.held + taken.lent.len() >= self.0.count {
            taken.lent.pop_first()?;
        }
        Some(self.note(&mut taken))
    }

    /// Waits for a place. Cancel safe.
    pub(super) async fn wait(&self) -> Place {
        loop {
            if let Some(place) = self.take() {
                return place;
            }
            self.0.changed.notified().await;
        }
    }

    fn note(&self, taken: &mut Taken) -> Place {
        let (stay, lost) = oneshot::channel();
        taken.came += 1;
        let number = taken.came;
        taken.lent.insert(number, stay);
        Place {
            places: self.clone(),
            number,
            lost,
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Nothing panics while it is held.
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Holds the place while an answer is owed; `None` if it was given to another.
    pub(super) fn hold(self) -> Option<Held> {
        let mut taken = self.places.taken();
        taken.lent.remove(&self.number)?;
        taken.held += 1;
        drop(taken);
        Some(Held(self.places.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.places.taken().lent.remove(&self.number).is_some() {
            self.places.0.changed.notify_one();
        }
    }
}

impl Held {
    /// Lends the place again, as the last one to be given to another.
    pub(super) fn lend(self) -> Place {
        let places = self.0.clone();
        let mut taken = places.taken();
        let place = places.note(&mut taken);
        drop(taken);
        // Gives its own place back and notifies whoever waits.
        drop(self);
        place
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.taken().held -= 1;
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
        let places = Places::new(2);
        let held = places.take().unwrap().hold().unwrap();
        let mut first = places.take().unwrap();
        assert!(places.all_taken());
        let second = places.take().unwrap();
        first.lost().await;
        assert!(first.hold().is_none());
        let second = second.hold().unwrap();
        assert!(places.take().is_none(), "both are held");
        let mut lent = held.lend();
        drop(places.take().unwrap());
        lent.lost().await;
        drop((second, lent));
        assert!(!places.all_taken());
        let all = [places.take().unwrap(), places.take().unwrap()];
        assert!(places.all_taken());
        drop(all);
    }

    #[tokio::test]
    async fn who_waits_gets_a_place_that_is_given_back_or_lent() {
        let places = Places::new(1);
        for lends in [false, true] {
            let held = places.take().unwrap().hold().unwrap();
            let waiting = tokio::spawn({
                let places = places.clone();
                async move { places.wait().await }
            });
            // It has looked, and waits.
            tokio::task::yield_now().await;
            let lent = match lends {
                true => Some(held.lend()),
                false => {
                    drop(held);
                    None
                }
            };
            let place = timeout(Duration::from_secs(15), waiting).await;
            drop((place.unwrap().unwrap(), lent));
        }
        assert!(!places.all_taken());
    }
}
