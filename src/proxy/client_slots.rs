//! The slots for client connections, shared by all workers. At the limit, a client of the new
//! client's worker is evicted: the one whose head has been incomplete longest, or the longest idle
//! one. If that worker has neither, another worker evicts one of its own.
//!
//! Other workers are asked only when there is no free slot. A client whose head is complete is
//! never evicted. New clients then wait here and in the kernel's queue.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep};

use super::client_slot::ClientSlot;
use super::worker::Worker;

/// Wait between two eviction requests of one new client. An evicted client may have sent a request
/// meanwhile, or no client was idle for long enough.
const EVICTION_RETRY_INTERVAL: Duration = Duration::from_millis(50);
/// Time without a full limit after which the next one is logged again.
const LULL: Duration = Duration::from_secs(10);

/// The slots for client connections.
#[derive(Debug)]
pub(super) struct ClientSlots {
    free: Arc<Semaphore>,
    max: usize,
    requests: Box<[SlotRequest]>,
    begun: Instant,
    /// Time of the last full limit, in milliseconds since `begun` plus 1; 0 means never.
    last_full: AtomicU64,
}

/// Eviction request between one worker and the others.
#[derive(Debug, Default)]
#[repr(align(128))]
struct SlotRequest {
    /// `true` if this worker wants another worker to evict a client.
    wanted: AtomicBool,
    /// Notified when another worker wants a client of this one evicted.
    requested: Notify,
}

impl ClientSlots {
    /// Creates `max` slots, shared by `workers` workers.
    pub(super) fn new(max: usize, workers: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(max)),
            max,
            requests: (0..workers).map(|_| SlotRequest::default()).collect(),
            begun: Instant::now(),
            last_full: AtomicU64::new(0),
        }
    }

    /// Waits for a slot for a new client of `worker` and evicts idle clients meanwhile. `None` is
    /// never returned, because the semaphore is never closed.
    pub(super) async fn acquire(&self, worker: &Worker) -> Option<ClientSlot> {
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return Some(permit.into());
        }
        let mut permit = pin!(Arc::clone(&self.free).acquire_owned());
        loop {
            self.log_limit(Instant::now());
            let _request = self.make_room(worker);
            tokio::select! {
                biased;
                permit = &mut permit => return permit.ok().map(ClientSlot::from),
                () = sleep(EVICTION_RETRY_INTERVAL) => {}
            }
        }
    }

    /// Evicts idle clients of `worker` for new clients of the other workers, for ever.
    pub(super) async fn evict_for_others(&self, worker: &Worker) {
        loop {
            self.requests[worker.index()].requested.notified().await;
            let now = Instant::now();
            for other in &self.requests {
                // Exactly one worker takes each request.
                let evictable = &worker.evictable;
                if evictable.has_settled(now) && other.wanted.swap(false, Ordering::AcqRel) {
                    evictable.evict_one(now);
                }
            }
        }
    }

    /// Evicts one idle client of `worker`. If there is none, asks the other workers for as long as
    /// the returned request lives.
    fn make_room(&self, worker: &Worker) -> Option<EvictionRequest<'_>> {
        if worker.evictable.evict_one(Instant::now()) {
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

    /// Logs that the limit is reached, once until it has been free for [`LULL`].
    fn log_limit(&self, now: Instant) {
        if self.should_log(now) {
            tracing::warn!(
                "all {} connections are in use (--max-connections): the longest idle client is closed for each new one, and new ones wait while none is idle",
                self.max
            );
        }
    }

    /// Records that the limit is reached. Returns `true` if it was not during the last [`LULL`].
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

/// Request of a new client to evict a client of another worker. Dropping it withdraws the request.
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
    fn the_limit_is_logged_once_while_it_lasts() {
        let (slots, step) = (ClientSlots::new(1, 1), LULL / 2);
        let at = |steps: u32| slots.begun + steps * step;
        let news: Vec<bool> = [0, 1, 2, 4, 6, 9, 10]
            .map(|steps| slots.should_log(at(steps)))
            .into();
        // The pause between 6 and 9 is longer than a lull.
        assert_eq!(news, [true, false, false, false, false, true, false]);
    }
}
