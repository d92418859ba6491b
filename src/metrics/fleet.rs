//! What the fleet counts: about each seat, and about all of them. One writer: the fleet's thread.
//!
//! A seat's cells here outlive the replicas that sit in it.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{Counter, Histogram};

/// What the fleet counts about one seat.
#[derive(Debug, Default)]
pub struct SeatCounters {
    /// From a heartbeat to its answer, when that was health.
    pub heartbeats: Histogram,
    /// Heartbeats that came to nothing.
    pub missed: Counter,
    /// Replicas that died there.
    pub deaths: Counter,
    /// Successors that took the seat.
    pub replaced: Counter,
    /// Replicas that could not be started for it.
    pub failed_starts: Counter,
}

/// What the fleet counts about itself.
#[derive(Debug)]
pub struct FleetCounters {
    /// From the order to start a replica to its first answer.
    pub spawns: Histogram,
    /// From the verdict on a dead replica to the first answer of its successor.
    pub replacements: Histogram,
    engine_up: AtomicBool,
}

impl Default for FleetCounters {
    fn default() -> Self {
        Self {
            spawns: Histogram::default(),
            replacements: Histogram::default(),
            engine_up: AtomicBool::new(true),
        }
    }
}

impl FleetCounters {
    /// Notes whether the engine answers.
    pub fn engine_answers(&self, answers: bool) {
        self.engine_up.store(answers, Ordering::Relaxed);
    }

    /// Whether the engine answered when it was last asked; one that is part of this program always does.
    #[must_use]
    pub fn engine_is_up(&self) -> bool {
        self.engine_up.load(Ordering::Relaxed)
    }
}
