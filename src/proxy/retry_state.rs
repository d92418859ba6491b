//! What has happened to one request so far, and what may still be done with it.
//!
//! The one thing that must never be done: give a third replica a request that two were lost with. One with
//! which a replica fell silent may leave it for a second; if that falls silent too, it is the request that
//! is slow, and it waits there.

use std::fmt;

use super::attempted::Attempted;
use super::in_flight::InFlight;
use super::progress::OnSilence;
use super::request::ProxiedRequest;
use super::response_state::ResponseError;
use super::retry_budget::BudgetExhausted;
use super::worker::Worker;
use crate::metrics::Retry;
use crate::roster::ReplicaId;

/// A request is not given to a third replica after this many were lost holding it: it may be what kills
/// them.
const MAX_LOST_REPLICAS: usize = 2;

/// What has happened to a request so far.
#[derive(Debug, Default)]
pub(super) struct RetryState {
    pub(super) attempted: Attempted,
    /// Replicas that were lost holding the request, each once.
    pub(super) lost_replicas: Vec<ReplicaId>,
    retries: u32,
    /// How often it went on to another connection or another replica.
    pub(super) reroutes: u32,
    /// Whether it has paused before another replica.
    delayed: bool,
}

/// What may be done with a request should it fail with the replica that has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryChances {
    /// Whether it may be sent again if the connection is lost.
    pub(super) repeatable: bool,
    pub(super) silence: OnSilence,
}

/// Why a request that was lost does not go on.
#[derive(Debug)]
pub(super) enum RetryDenied {
    /// It cannot be sent again, or was often enough.
    Unrepeatable,
    /// Too many others were.
    OverBudget(BudgetExhausted),
}

impl fmt::Display for RetryDenied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unrepeatable => f.write_str("the replica closed its connection too early"),
            Self::OverBudget(exhausted) => {
                write!(f, "the replica was lost with this request, and {exhausted}")
            }
        }
    }
}

impl RetryState {
    /// What may be done with the request should it fail with this replica, if the budget allows it then.
    /// A kept connection that ends is first of all an old connection: that costs no retry.
    pub(super) fn chances(
        &self,
        worker: &Worker,
        request: &ProxiedRequest,
        in_flight: &InFlight,
        reused: bool,
    ) -> RetryChances {
        let id = in_flight.upstream().id;
        let has_left = self.lost_replicas.iter().any(|holder| *holder != id);
        let again = request.idempotent && request.outgoing.replayable;
        let left = self.retries < worker.settings.retries;
        RetryChances {
            repeatable: again && (reused || left && !has_left),
            silence: match has_left && in_flight.was_up() {
                true => OnSilence::IsSlow,
                false if again && left => OnSilence::Leaves,
                false => OnSilence::Stays,
            },
        }
    }

    /// Whether the request may be given to this replica: not to a third one.
    pub(super) fn may_try(&self, id: ReplicaId) -> bool {
        self.lost_replicas.len() < MAX_LOST_REPLICAS || self.lost_replicas.contains(&id)
    }

    /// Whether it is about to go to another replica than the one it was lost with; once.
    pub(super) fn needs_delay(&mut self, id: ReplicaId) -> bool {
        let moves_on =
            !self.delayed && !self.lost_replicas.is_empty() && !self.lost_replicas.contains(&id);
        self.delayed |= moves_on;
        moves_on
    }

    /// The connection to a replica ended or is given up, and the client has seen nothing: the request goes
    /// on.
    ///
    /// # Errors
    /// When it does not.
    pub(super) fn record_failure(
        &mut self,
        worker: &Worker,
        request: &mut ProxiedRequest,
        in_flight: &InFlight,
        broken: &ResponseError,
        reused: bool,
        repeatable: bool,
    ) -> Result<(), RetryDenied> {
        let upstream = in_flight.upstream();
        let is_degraded = matches!(broken, ResponseError::Degraded);
        // A silent replica is no old connection.
        let reused = reused && !is_degraded;
        if request.outgoing.is_unsent() {
            // As good as refused, unless it was only an old connection.
            if !reused {
                self.attempted.refused.push(upstream.id);
            }
        } else if (repeatable || is_degraded) && request.outgoing.replayable {
            worker.take_retry().map_err(RetryDenied::OverBudget)?;
            if !matches!(broken, ResponseError::Stale) {
                // It was silent before it got the request.
                let holds = in_flight.was_up() || !is_degraded;
                self.record_lost(upstream.id, reused, holds);
            }
            request.outgoing.rewind();
        } else {
            return Err(RetryDenied::Unrepeatable);
        }
        self.attempted.mark_failed(upstream);
        self.reroutes += 1;
        upstream.counters().retried(match broken {
            ResponseError::Degraded => Retry::Doubted,
            _ if reused => Retry::Stale,
            _ => Retry::Lost,
        });
        Ok(())
    }

    fn record_lost(&mut self, id: ReplicaId, reused: bool, holds: bool) {
        self.retries += u32::from(!reused);
        if holds && !self.lost_replicas.contains(&id) {
            self.lost_replicas.push(id);
        }
        if !reused {
            self.attempted.lost.push(id);
        }
    }
}
