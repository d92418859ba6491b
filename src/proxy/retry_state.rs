//! Retry state of one request: which replicas were tried, and whether it may be retried.
//!
//! A request that two replicas were lost with is never given to a third. A request may leave one
//! silent replica for another. If the second falls silent too, the request itself is slow and waits
//! there.

use std::fmt;

use super::access_record::RouteReason;
use super::attempted::Attempted;
use super::in_flight::InFlight;
use super::progress::OnSilence;
use super::request::ProxiedRequest;
use super::response_state::ResponseError;
use super::retry_budget::BudgetExhausted;
use super::worker::Worker;
use crate::metrics::Retry;
use crate::roster::{EvidenceKind, ReplicaId};

/// Number of replicas lost with a request after which no other one gets it: the request may be what
/// kills them.
const MAX_LOST_REPLICAS: usize = 2;

/// Retry state of one request.
#[derive(Debug, Default)]
pub(super) struct RetryState {
    pub(super) attempted: Attempted,
    /// Replicas that were lost while they held the request, each once.
    pub(super) lost_replicas: Vec<ReplicaId>,
    retries: u32,
    /// Number of times that the request was sent on to another connection or another replica.
    pub(super) reroutes: u32,
    /// `true` once the request was delayed before another replica.
    delayed: bool,
}

/// Options of a request if it fails at its current replica.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryChances {
    /// `true` if the request may be retried after a lost connection.
    pub(super) repeatable: bool,
    pub(super) silence: OnSilence,
    /// `true` if another replica may answer in place of a status of `--retry-on`.
    pub(super) status_leaves: bool,
}

/// Reason why a lost request is not retried.
#[derive(Debug)]
pub(super) enum RetryDenied {
    /// The request is not idempotent, no longer buffered, or was retried often enough.
    Unrepeatable,
    /// The retry budget is exhausted.
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
    /// Returns the options of the request if it fails at this replica, as far as the budget allows
    /// it then. A kept connection that ends was most likely idle for too long, so its retry does
    /// not count.
    pub(super) fn chances(
        &self,
        worker: &Worker,
        request: &ProxiedRequest,
        in_flight: &InFlight,
        reused: bool,
    ) -> RetryChances {
        let id = in_flight.upstream().id;
        let has_left = self.lost_replicas.iter().any(|holder| *holder != id);
        let again = request.outgoing.idempotent && request.outgoing.replayable;
        let left = self.retries < worker.settings.retries;
        RetryChances {
            repeatable: again && (reused || left && !has_left),
            silence: match has_left && in_flight.was_up() {
                true => OnSilence::IsSlow,
                false if again && left => OnSilence::Leaves,
                false => OnSilence::Stays,
            },
            status_leaves: again && left && self.status_leaves(worker, in_flight),
        }
    }

    /// Returns `true` if an untried replica could answer a request in place of this one.
    fn status_leaves(&self, worker: &Worker, in_flight: &InFlight) -> bool {
        let own = in_flight.upstream().id;
        let is_other = |id| id != own && !self.attempted.contains(id);
        !worker.settings.retry_on.is_empty()
            && in_flight.reason != RouteReason::Private
            && (worker.view().upstreams.iter())
                .any(|other| is_other(other.id) && other.accepts_requests())
    }

    /// Records a reply with a status of `--retry-on`, of which the client has seen nothing. The
    /// request is sent to another replica.
    pub(super) fn record_status(&mut self, request: &mut ProxiedRequest, in_flight: &InFlight) {
        let upstream = in_flight.upstream();
        // The replica has answered, so it is not added to `lost_replicas`.
        self.attempted.lost.push(upstream.id);
        self.attempted.mark_failed(upstream);
        self.retries += 1;
        self.reroutes += 1;
        request.outgoing.rewind();
        upstream.counters().retried(Retry::Status);
    }

    /// Returns `true` if the request may be given to this replica. A third one is refused.
    pub(super) fn may_try(&self, id: ReplicaId) -> bool {
        self.lost_replicas.len() < MAX_LOST_REPLICAS || self.lost_replicas.contains(&id)
    }

    /// Returns `true`, at most once, if the request is about to go to another replica than the one
    /// it was lost with.
    pub(super) fn needs_delay(&mut self, id: ReplicaId) -> bool {
        let needs_delay =
            !self.delayed && !self.lost_replicas.is_empty() && !self.lost_replicas.contains(&id);
        self.delayed |= needs_delay;
        needs_delay
    }

    /// Records that the connection to a replica ended or was given up before the client saw any
    /// part of a reply, and reports a loss to the fleet. The request is retried.
    ///
    /// # Errors
    /// The reason why the request is not retried.
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
        if matches!(broken, ResponseError::Lost) {
            worker.report_evidence(upstream.id, EvidenceKind::Lost);
        }
        let is_degraded = matches!(broken, ResponseError::Degraded);
        // A silent replica is more than an old connection.
        let reused = reused && !is_degraded;
        if request.outgoing.is_unsent() {
            // With nothing sent, the failure counts as a refusal, unless the connection was only an
            // old one.
            if !reused {
                self.attempted.refused.push(upstream.id);
            }
        } else if (repeatable || is_degraded) && request.outgoing.replayable {
            worker.take_retry().map_err(RetryDenied::OverBudget)?;
            if !matches!(broken, ResponseError::Stale) {
                // A replica that was not up when it was chosen was silent before it got the
                // request.
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
            ResponseError::Degraded => Retry::Degraded,
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

#[cfg(test)]
mod tests;
