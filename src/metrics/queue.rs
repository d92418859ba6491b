//! Counters of the queue of a replica at its limit of requests in flight.

use std::time::Duration;

use super::{Counter, Histogram};

/// Counters of one worker about the queue of one replica.
#[derive(Debug, Default)]
pub struct QueueCounters {
    begun: Counter,
    ends: [Counter; QueueEnd::ALL.len()],
    /// Times in the queue, however they ended.
    pub waits: Histogram,
}

/// Way in which a request left a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueEnd {
    /// The replica served the request.
    Served,
    /// The time of `--queue-timeout` was over.
    TimedOut,
    /// The replica was down, drained or gone, so another one served the request.
    Moved,
    /// The client left.
    ClientLeft,
    /// The queue had no place for the request.
    Full,
}

impl QueueEnd {
    /// All ends, in the order of their declaration.
    pub const ALL: [Self; 5] = [
        Self::Served,
        Self::TimedOut,
        Self::Moved,
        Self::ClientLeft,
        Self::Full,
    ];

    /// Returns the label in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::TimedOut => "timed_out",
            Self::Moved => "moved",
            Self::ClientLeft => "client_left",
            Self::Full => "full",
        }
    }
}

impl QueueCounters {
    /// Counts a request that takes a place. Pairs with [`Self::ended`].
    pub fn begin(&self) {
        self.begun.add(1);
    }

    /// Counts the end of its wait.
    pub fn ended(&self, end: QueueEnd, waited: Duration) {
        self.ends[end as usize].add(1);
        self.waits.observe(waited);
    }

    /// Counts a request that found no place.
    pub fn refused(&self) {
        self.ends[QueueEnd::Full as usize].add(1);
    }

    /// Returns the number of requests by end, in the order of [`QueueEnd::ALL`].
    #[must_use]
    pub fn ends(&self) -> [u64; QueueEnd::ALL.len()] {
        self.ends.each_ref().map(Counter::get)
    }

    /// Returns the number of requests that have taken a place.
    #[must_use]
    pub fn begun(&self) -> u64 {
        self.begun.get()
    }
}
