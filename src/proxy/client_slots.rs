//! The slots for client connections, which all workers share. At the limit, the longest idle client of the
//! newcomer's worker makes room; where that worker has none, one of another worker does.
//!
//! Only a newcomer that finds no slot looks at another worker. A client that is being served, or whose
//! request has begun to come, never makes room: then newcomers wait, here and in the kernel's queue.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};

use super::worker::Worker;

/// How long a newcomer waits before it asks for another client to go: one that was told to go may have
/// spoken, or none was idle for long enough.
const EVICTION_RETRY_INTERVAL: Duration = Duration::from_millis(50);
/// A limit that no newcomer has met for so long is told again when it is met.
const LULL: Duration = Duration::from_secs(10);

/// The slots for client connections.
#[derive(Debug)]
pub(super) struct ClientSlots {
    free: Arc<Semaphore>,
    max: usize,
    requests: Box<[SlotRequest]>,
    begun: Instant,
    /// When the limit was met last, in milliseconds since `begun`, and 1; 0: never.
    last_full: AtomicU64,
}

/// What one worker and the others have to tell each other.
#[derive(Debug, Default)]
#[repr(align(128))]
struct SlotRequest {
    /// Whether it wants a client of another worker to go.
    wanted: AtomicBool,
    /// Notified when another worker does.
    requested: Notify,
}

impl ClientSlots {
    /// As many slots for so many workers.
    pub(super) fn new(max: usize, workers: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(max)),
            max,
            requests: (0..workers).map(|_| SlotRequest::default()).collect(),
            begun: Instant::now(),
            last_full: AtomicU64::new(0),
        }
    }

    /// Waits for a slot for a newcomer of `worker`, and has idle clients make room. `None` is never seen:
    /// the semaphore is not closed.
    pub(super) async fn acquire(&self, worker: &Worker) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return Some(permit);
        }
        let mut permit = pin!(Arc::clone(&self.free).acquire_owned());
        loop {
            self.log_limit(Instant::now());
            let _request = self.make_room(worker);
            tokio::select! {
                biased;
                permit = &mut permit => return permit.ok(),
                () = sleep(EVICTION_RETRY_INTERVAL) => {}
            }
        }
    }

    /// Lets idle clients of `worker` go for newcomers of the others, for ever.
    pub(super) async fn mark_idle(&self, worker: &Worker) {
        loop {
            self.requests[worker.index()].requested.notified().await;
            let now = Instant::now();
            for other in &self.requests {
                // Each wish is granted by one worker alone.
                if worker.idle.has_settled(now) && other.wanted.swap(false, Ordering::AcqRel) {
                    worker.idle.evict_longest(now);
                }
            }
        }
    }

    /// Has one idle client go: of `worker`, or else of another as long as the wish is held.
    fn make_room(&self, worker: &Worker) -> Option<EvictionRequest<'_>> {
        if worker.idle.evict_longest(Instant::now()) {
            return None;
        }
        let own = worker.index();
        let wanted = &self.requests[own].wanted;
        wanted.store(true, Ordering::Release);
        let others = self.requests.iter().enumerate();
        let others = others.filter(|(at, _)| *at != own);
        others.for_each(|(_, other)| other.requested.notify_one());
        Some(EvictionRequest(wanted))
    }

    /// Tells that the limit is met: once for as long as it goes on.
    fn log_limit(&self, now: Instant) {
        if self.should_log(now) {
            tracing::warn!(
                "all {} connections are in use (--max-connections): the longest idle client is closed for each new one, and new ones wait while none is idle",
                self.max
            );
        }
    }

    /// Notes that the limit is met. Returns `true` if it was not for a while.
    fn should_log(&self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.begun);
        let now = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let lull = u64::try_from(LULL.as_millis()).unwrap_or(u64::MAX);
        let before = self
            .last_full
            .swap(now.saturating_add(1), Ordering::Relaxed);
        before == 0 || now.saturating_add(1).saturating_sub(before) > lull
    }
}

/// A newcomer's wish that a client of another worker goes. Dropping it takes it back.
struct EvictionRequest<'s>(&'s AtomicBool);

impl Drop for EvictionRequest<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_told_once_while_it_is_met() {
        let (slots, step) = (ClientSlots::new(1, 1), LULL / 2);
        let at = |steps: u32| slots.begun + steps * step;
        let news: Vec<bool> = [0, 1, 2, 4, 6, 9, 10]
            .map(|steps| slots.should_log(at(steps)))
            .into();
        // Between 6 and 9 lies more than a lull.
        assert_eq!(news, [true, false, false, false, false, true, false]);
    }
}
