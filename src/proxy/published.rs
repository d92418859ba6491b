//! State of a replica in one worker that the worker publishes for the control port.

use std::sync::atomic::Ordering;

use super::upstream::Upstream;

impl Upstream {
    /// Publishes that this worker found the replica slow, and logs it.
    pub(super) fn mark_slow(&self) {
        self.counters().slow.store(true, Ordering::Relaxed);
        tracing::info!(
            "seat {} is slow (--slow-guard): its requests wait longer than those of other seats; its keys go to the next seat",
            self.seat
        );
    }

    /// Publishes whether this worker avoids the replica because of its errors.
    pub(super) fn publish_ejected(&self, ejected: bool) {
        self.counters().ejected.store(ejected, Ordering::Relaxed);
    }

    /// Publishes that the replica is not ejected any more, because too many are, and logs it.
    pub(super) fn publish_spared(&self) {
        self.publish_ejected(false);
        tracing::warn!(
            "seat {} is not ejected any more, because half of the replicas are",
            self.seat
        );
    }

    /// Publishes whether this worker found the replica at its bound.
    pub(super) fn publish_full(&self, full: bool) {
        let published = &self.counters().full;
        if published.load(Ordering::Relaxed) != full {
            published.store(full, Ordering::Relaxed);
        }
    }
}
