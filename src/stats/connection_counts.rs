//! Sums of the counters of whole connections, which exist only in the balance modes that have them.

use crate::metrics::{ConnectionCounters, ConnectionEnd, HistogramSnapshot};

/// Counts of the whole connections of one seat, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Connections that have ended, in the order of [`ConnectionEnd::ALL`].
    pub ends: [u64; ConnectionEnd::ALL.len()],
    /// Time from the start of a connection to the replica until it was accepted.
    pub connects: HistogramSnapshot,
    /// Durations, divided by [`crate::metrics::DURATION_SCALE`].
    pub durations: HistogramSnapshot,
}

impl ConnectionCounts {
    pub(super) fn read(counters: &ConnectionCounters) -> Self {
        Self {
            ends: counters.ends(),
            connects: counters.connects.read(),
            durations: counters.durations.read(),
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (count, more) in self.ends.iter_mut().zip(other.ends) {
            *count += more;
        }
        self.connects.add(&other.connects);
        self.durations.add(&other.durations);
    }
}

/// Adds `more`, if there are any, to the counts.
pub(super) fn add(counts: &mut Option<Box<ConnectionCounts>>, more: Option<&ConnectionCounts>) {
    if let Some(more) = more {
        counts.get_or_insert_default().add(more);
    }
}
