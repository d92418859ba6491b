//! Counters of the fleet, about each seat and about the fleet itself. One writer: the fleet's
//! thread.
//!
//! The counters of a seat outlive its replicas.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{Counter, Histogram};

/// Counters of the fleet about one seat.
#[derive(Debug, Default)]
pub struct SeatCounters {
    /// Time from a heartbeat to its answer, if that proved health.
    pub heartbeats: Histogram,
    /// Heartbeats that failed.
    pub missed: Counter,
    /// Replicas of the seat that died.
    pub deaths: Counter,
    /// Successors that took the seat.
    pub replaced: Counter,
    /// Replicas that could not be started for it.
    pub failed_starts: Counter,
}

/// Counters of the fleet about itself.
#[derive(Debug)]
pub struct FleetCounters {
    /// Time from the order to start a replica to its first answer.
    pub spawns: Histogram,
    /// Time from the verdict on a dead replica to the first answer of its successor.
    pub replacements: Histogram,
    /// Rollouts by the stage that they reached, in the order of `RolloutStage::ALL`.
    pub rollouts: [Counter; 6],
    engine_up: AtomicBool,
}

impl Default for FleetCounters {
    fn default() -> Self {
        Self {
            spawns: Histogram::default(),
            replacements: Histogram::default(),
            rollouts: Default::default(),
            engine_up: AtomicBool::new(true),
        }
    }
}

impl FleetCounters {
    /// Records whether the engine answers.
    pub fn engine_answers(&self, answers: bool) {
        self.engine_up.store(answers, Ordering::Relaxed);
    }

    /// Returns `true` if the engine answered its last call. A built-in engine always does.
    #[must_use]
    pub fn engine_is_up(&self) -> bool {
        self.engine_up.load(Ordering::Relaxed)
    }
}
