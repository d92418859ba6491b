//! Limits of requests in flight per replica (`--max-in-flight-per-replica`), which the workers
//! share. Without the flag, a request only checks that there is no limit.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::roster::ReplicaId;

/// Rule for the requests in flight per replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InFlightRule {
    /// Maximum number of requests in flight at a replica, over all workers; at least 1.
    pub max: usize,
    /// Maximum number of requests that wait for a replica at its limit, over all workers.
    pub queue: usize,
    /// Maximum time in queues, over all replicas that a request tries.
    pub queue_timeout: Duration,
}

/// Limits of the replicas, shared by all workers.
#[derive(Debug)]
pub struct InFlightLimits {
    /// Rule for each replica.
    pub rule: InFlightRule,
    /// Locked only when a worker follows a new roster.
    by_replica: Mutex<HashMap<ReplicaId, Weak<InFlightLimit>>>,
}

impl InFlightLimits {
    /// Returns limits by this rule.
    #[must_use]
    pub fn new(rule: InFlightRule) -> Self {
        Self {
            rule,
            by_replica: Mutex::default(),
        }
    }

    /// Returns the limit of a replica, which is the same for all workers.
    pub(super) fn of(&self, id: ReplicaId) -> Arc<InFlightLimit> {
        // No code panics while the lock is held.
        let by_replica = self.by_replica.lock();
        let mut by_replica = by_replica.unwrap_or_else(PoisonError::into_inner);
        if let Some(limit) = by_replica.get(&id).and_then(Weak::upgrade) {
            return limit;
        }
        by_replica.retain(|_, limit| limit.strong_count() > 0);
        let limit = Arc::new(InFlightLimit::new(self.rule));
        by_replica.insert(id, Arc::downgrade(&limit));
        limit
    }
}

/// Limit of one replica, and the number of requests in its queue.
#[derive(Debug)]
pub(super) struct InFlightLimit {
    pub(super) free: Arc<Semaphore>,
    pub(super) waiting: AtomicUsize,
    pub(super) max_waiting: usize,
}

/// Right of one request to be in flight at a replica. Dropping it admits the longest waiter.
#[derive(Debug)]
pub(super) struct InFlightPermit(pub(super) OwnedSemaphorePermit);

impl InFlightLimit {
    fn new(rule: InFlightRule) -> Self {
        Self {
            free: Arc::new(Semaphore::new(rule.max)),
            waiting: AtomicUsize::new(0),
            max_waiting: rule.queue,
        }
    }

    /// Returns a permit if one is free and no request waits for it.
    pub(super) fn try_admit(&self) -> Option<InFlightPermit> {
        let permit = Arc::clone(&self.free).try_acquire_owned();
        permit.ok().map(InFlightPermit)
    }

    /// Gives back a permit that was handed over.
    pub(super) fn release(&self) {
        self.free.add_permits(1);
    }

    /// Returns `true` if the permit is one of this limit.
    pub(super) fn has_issued(&self, permit: &InFlightPermit) -> bool {
        Arc::ptr_eq(permit.0.semaphore(), &self.free)
    }
}

impl InFlightPermit {
    /// Ends the permit's own care for its end: the holder calls [`InFlightLimit::release`]. So a
    /// request is smaller by the permit.
    pub(super) fn hand_over(self) {
        self.0.forget();
    }
}

#[cfg(test)]
impl InFlightLimits {
    /// Returns the number of replicas that are known.
    pub(super) fn known(&self) -> usize {
        self.by_replica.lock().unwrap().len()
    }
}
