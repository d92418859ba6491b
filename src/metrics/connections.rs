//! Counters of whole connections: of the balance modes in which a connection is a tunnel to one
//! replica from its beginning.

use std::time::Duration;

use super::{Counter, Histogram};

/// Factor between the classes of [`Histogram`] and those of a connection's duration, which are 5 ms
/// to 5,000 s.
pub const DURATION_SCALE: u32 = 100;

/// Counters of one worker about the connections of one replica.
#[derive(Debug, Default)]
pub struct ConnectionCounters {
    ends: [Counter; ConnectionEnd::ALL.len()],
    /// Time from the start of a connection to the replica until it was accepted.
    pub connects: Histogram,
    /// Durations, divided by [`DURATION_SCALE`].
    pub durations: Histogram,
}

/// Way in which a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionEnd {
    /// Both sides ended it in order.
    Ended,
    /// The client reset it, or was gone.
    ClientReset,
    /// The replica reset it, or was gone.
    ReplicaReset,
    /// Neither side sent a byte for the tunnel timeout.
    TimedOut,
}

impl ConnectionEnd {
    /// All ends, in the order of their declaration.
    pub const ALL: [Self; 4] = [
        Self::Ended,
        Self::ClientReset,
        Self::ReplicaReset,
        Self::TimedOut,
    ];

    /// Returns the label in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::ClientReset => "client_reset",
            Self::ReplicaReset => "replica_reset",
            Self::TimedOut => "timed_out",
        }
    }
}

impl ConnectionCounters {
    /// Counts a connection that has ended, `open` after the replica accepted it.
    pub fn ended(&self, end: ConnectionEnd, open: Duration) {
        self.ends[end as usize].add(1);
        self.durations.observe(open / DURATION_SCALE);
    }

    /// Returns the number of connections by end, in the order of [`ConnectionEnd::ALL`].
    #[must_use]
    pub fn ends(&self) -> [u64; ConnectionEnd::ALL.len()] {
        self.ends.each_ref().map(Counter::get)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_and_duration_is_counted_in_its_class() {
        let counters = ConnectionCounters::default();
        for end in ConnectionEnd::ALL
            .into_iter()
            .chain([ConnectionEnd::TimedOut])
        {
            counters.ended(end, Duration::from_secs(3_600));
        }
        assert_eq!(counters.ends(), [1, 1, 1, 2]);
        let durations = counters.durations.read();
        assert_eq!(
            durations.sum() * DURATION_SCALE,
            Duration::from_secs(5 * 3_600)
        );
        let hour = [31_500_000, 40_000_000];
        assert_eq!(durations.at_most(&hour).collect::<Vec<_>>(), [0, 5]);
    }
}
