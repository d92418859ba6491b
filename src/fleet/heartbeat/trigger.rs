//! The state that a heartbeat task shares with its handle.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// Requests for an immediate heartbeat, and the latency of the last one.
#[derive(Debug, Default)]
pub(super) struct ProbeTrigger {
    now: Notify,
    fresh: AtomicBool,
    /// Latency of the last answer, in microseconds and at least 1; 0 before the first.
    latency: AtomicU64,
}

impl ProbeTrigger {
    /// Requests a heartbeat now, on a fresh connection if `fresh`.
    pub(super) fn request(&self, fresh: bool) {
        if fresh {
            self.fresh.store(true, Ordering::Relaxed);
        }
        self.now.notify_one();
    }

    /// Waits for a request. Cancel safe.
    pub(super) async fn requested(&self) {
        self.now.notified().await;
    }

    /// Returns `true` if a fresh connection was requested, and resets that.
    pub(super) fn take_fresh(&self) -> bool {
        self.fresh.swap(false, Ordering::Relaxed)
    }

    /// Stores the latency of an answer.
    pub(super) fn set_latency(&self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.latency.store(micros.max(1), Ordering::Relaxed);
    }

    /// Returns the latency of the last answer.
    pub(super) fn latency(&self) -> Option<Duration> {
        let micros = self.latency.load(Ordering::Relaxed);
        (micros > 0).then(|| Duration::from_micros(micros))
    }
}
