//! Sums of the counters of queues, which exist only with a limit of requests in flight.

use crate::metrics::{HistogramSnapshot, QueueCounters, QueueEnd};

/// Counts of the queue of one seat, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Requests that wait.
    pub waiting: u64,
    /// Requests that left, in the order of [`QueueEnd::ALL`].
    pub ends: [u64; QueueEnd::ALL.len()],
    /// Times in the queue.
    pub waits: HistogramSnapshot,
}

impl QueueCounts {
    pub(super) fn read(counters: &QueueCounters) -> Self {
        // The ends first: a request that leaves meanwhile still counts as one that waits.
        let ends = counters.ends();
        let left: u64 = ends.iter().sum::<u64>() - ends[QueueEnd::Full as usize];
        Self {
            waiting: counters.begun().saturating_sub(left),
            ends,
            waits: counters.waits.read(),
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.waiting += other.waiting;
        for (count, more) in self.ends.iter_mut().zip(other.ends) {
            *count += more;
        }
        self.waits.add(&other.waits);
    }
}

/// Adds `more`, if there are any, to the counts.
pub(super) fn add(counts: &mut Option<Box<QueueCounts>>, more: Option<&QueueCounts>) {
    if let Some(more) = more {
        counts.get_or_insert_default().add(more);
    }
}
