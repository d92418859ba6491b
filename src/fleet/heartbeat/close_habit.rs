//! The closes of a server's held connections: which are usual for it, and which are suspicious.

use std::time::Duration;

use tokio::time::Instant;

/// Time after an answer within which a close is usual for the server, not suspicious.
pub(super) const USUAL_CLOSE: Duration = Duration::from_millis(20);
/// Number of consecutive closes after one answer, from which on each connection is expected to
/// carry one answer only.
const CLOSES_EACH_TIME: u32 = 2;

/// The recent answers and closes of one server.
#[derive(Debug, Default)]
pub(super) struct CloseHabit {
    last_answer: Option<Instant>,
    /// Number of consecutive held connections that were closed before a second answer.
    closes: u32,
}

impl CloseHabit {
    /// Records a good answer, on a held connection if `reused`.
    pub(super) fn record_answer(&mut self, at: Instant, reused: bool) {
        self.last_answer = Some(at);
        if reused {
            self.closes = 0;
        }
    }

    /// Records the close of a held connection.
    pub(super) fn record_close(&mut self) {
        self.closes = self.closes.saturating_add(1);
    }

    /// Returns `true` if the server has ever answered.
    pub(super) fn has_answered(&self) -> bool {
        self.last_answer.is_some()
    }

    /// Returns `true` if the server closes each connection after one answer.
    pub(super) fn closes_each_time(&self) -> bool {
        self.closes >= CLOSES_EACH_TIME
    }

    /// Returns the time until which a close is usual; `None` before the first answer.
    pub(super) fn usual_until(&self) -> Option<Instant> {
        self.last_answer.map(|at| at + USUAL_CLOSE)
    }
}
