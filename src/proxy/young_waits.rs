//! Waits of one worker that are too young for their clients to be watched by `client_watch`.

use std::cell::{Cell, RefCell};
use std::task::{Context, Waker};
use std::time::Duration;

use slab::Slab;
use tokio::sync::Notify;
use tokio::time::sleep;

/// Interval of the ticks. A wait is watched after one to two of them. Half of it would double the
/// wake-ups of a worker with slow replicas. Twice of it would exceed the 50 ms within which an end
/// is noticed.
pub(super) const YOUNG_WAIT_TICK: Duration = Duration::from_millis(10);

/// Waits of one worker that are too young to be watched.
#[derive(Debug, Default)]
pub(super) struct YoungWaits {
    waits: RefCell<Slab<WaitEntry>>,
    tick: Cell<u64>,
    /// `true` if a wait has begun since the last tick. The ticks go on as long as waits begin: a
    /// restart costs a write to the event loop's own descriptor.
    busy: Cell<bool>,
    /// `true` while the ticks pause because nothing waits.
    dormant: Cell<bool>,
    begun: Notify,
}

#[derive(Debug)]
struct WaitEntry {
    /// Tick before the wait began.
    since: u64,
    waker: Waker,
}

impl YoungWaits {
    /// Wakes each wait that has lasted for a tick, for ever.
    pub(super) async fn run(&self) {
        loop {
            if !self.busy.replace(false) && self.waits.borrow().is_empty() {
                self.dormant.set(true);
                self.begun.notified().await;
                self.dormant.set(false);
            }
            sleep(YOUNG_WAIT_TICK).await;
            self.tick.set(self.tick.get() + 1);
            let waits = self.waits.borrow();
            let grown = waits.iter().filter(|(_, wait)| self.has_grown(wait.since));
            grown.for_each(|(_, wait)| wait.waker.wake_by_ref());
        }
    }

    /// Returns `true` once a wait that began after the tick `since` has lasted for a whole tick.
    pub(super) fn has_grown(&self, since: u64) -> bool {
        self.tick.get() >= since + 2
    }

    /// Adds a wait. `first` holds the tick before the first wait of the request.
    pub(super) fn begin(&self, cx: &Context<'_>, first: &Cell<Option<u64>>) -> YoungWait<'_> {
        self.busy.set(true);
        if self.dormant.get() {
            self.begun.notify_one();
        }
        let since = first.get().unwrap_or_else(|| self.tick.get());
        first.set(Some(since));
        let waker = cx.waker().clone();
        let place = self.waits.borrow_mut().insert(WaitEntry { since, waker });
        YoungWait { waits: self, place }
    }
}

/// A young wait. Dropping it removes it.
#[derive(Debug)]
pub(super) struct YoungWait<'w> {
    waits: &'w YoungWaits,
    place: usize,
}

impl YoungWait<'_> {
    /// Returns `true` once the wait has lasted for a tick. Until then, registers `cx` to be woken.
    pub(super) fn has_grown(&self, cx: &Context<'_>) -> bool {
        let mut waits = self.waits.waits.borrow_mut();
        let Some(wait) = waits.get_mut(self.place) else {
            return true;
        };
        wait.waker.clone_from(cx.waker());
        self.waits.has_grown(wait.since)
    }
}

impl Drop for YoungWait<'_> {
    fn drop(&mut self) {
        self.waits.waits.borrow_mut().try_remove(self.place);
    }
}

#[cfg(test)]
impl YoungWaits {
    /// Returns the number of young waits.
    pub(super) fn len(&self) -> usize {
        self.waits.borrow().len()
    }

    /// Returns `true` if the ticks have stopped.
    pub(super) fn is_dormant(&self) -> bool {
        self.dormant.get()
    }
}
