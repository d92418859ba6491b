//! Progress of a replacement: the seats still to be replaced, those that are being replaced, those
//! that are done, and the failures.
//!
//! A replacement goes forward, or brings former versions back. It knows nothing of the seats
//! themselves: `replace_steps` looks at them.

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, Instant};

use super::replace_failures::ReplaceFailures;
use super::replace_step::ReplaceStep;
use super::types::OrderId;
use crate::fleet::engine::ExitReport;
use crate::fleet::version::Version;
use crate::orders::{OrderError, OrderResult, ReplacePace, ReplacementInfo};
use crate::ring::Seat;
use crate::roster::{ReplicaId, ReplicaName};

/// Replacement of some seats, a few at a time.
#[derive(Debug)]
pub(super) struct RollingReplace {
    /// Order that began it; `None` if that was a `replace back`.
    order_id: Option<OrderId>,
    /// Orders that wait for the former versions.
    back_orders: Vec<OrderId>,
    pace: ReplacePace,
    /// Version that was ordered.
    version: Option<Version>,
    /// `true` if new seats and standbys are to run that version, too.
    is_fleet_wide: bool,
    pending: VecDeque<ReplaceStep>,
    current: Vec<ReplaceStep>,
    done: Vec<ReplaceStep>,
    failures: ReplaceFailures,
    /// Answers to the order and to the orders that wait for the former versions, set at the end.
    results: Option<(OrderResult, OrderResult)>,
}

impl RollingReplace {
    /// Replacement by what the seats run. No step has begun.
    pub(super) fn by_same(
        order_id: OrderId,
        pace: ReplacePace,
        pending: VecDeque<ReplaceStep>,
    ) -> Self {
        Self {
            order_id: Some(order_id),
            back_orders: Vec::new(),
            pace,
            version: None,
            is_fleet_wide: false,
            pending,
            current: Vec::new(),
            done: Vec::new(),
            failures: ReplaceFailures::default(),
            results: None,
        }
    }

    /// Replacement by this version. No step has begun.
    pub(super) fn by_version(
        order_id: OrderId,
        pace: ReplacePace,
        version: Version,
        is_fleet_wide: bool,
        pending: VecDeque<ReplaceStep>,
    ) -> Self {
        Self {
            version: Some(version),
            is_fleet_wide,
            ..Self::by_same(order_id, pace, pending)
        }
    }

    /// Return to former versions, by order. No step has begun.
    pub(super) fn back(
        order_id: OrderId,
        pace: ReplacePace,
        pending: VecDeque<ReplaceStep>,
    ) -> Self {
        Self {
            order_id: None,
            back_orders: vec![order_id],
            failures: ReplaceFailures::back_by_order(),
            ..Self::by_same(order_id, pace, pending)
        }
    }

    /// Returns the orders that get an answer.
    pub(super) fn order_ids(&self) -> impl Iterator<Item = OrderId> {
        self.order_id.into_iter().chain(self.back_orders.clone())
    }

    /// Returns the time for which each new replica is monitored. A former version is not.
    pub(super) fn monitor(&self) -> Duration {
        match self.goes_back() {
            true => Duration::ZERO,
            false => self.pace.monitor,
        }
    }

    /// Returns `true` if new seats and standbys are to run the ordered version, too.
    pub(super) fn is_fleet_wide(&self) -> bool {
        self.is_fleet_wide
    }

    /// Returns the version that was ordered.
    pub(super) fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }

    /// Returns `true` if former versions are being brought back.
    pub(super) fn goes_back(&self) -> bool {
        self.failures.turned_back()
    }

    /// Returns the steps that have begun and are not complete.
    pub(super) fn current(&self) -> &[ReplaceStep] {
        &self.current
    }

    /// Returns the steps that have begun and are not complete, mutably.
    pub(super) fn current_mut(&mut self) -> &mut [ReplaceStep] {
        &mut self.current
    }

    /// Makes the next pending step a current one and returns it. Returns `None` if none is left,
    /// or if as many are current as the pace allows.
    pub(super) fn next_step(&mut self) -> Option<&mut ReplaceStep> {
        if self.current.len() >= self.pace.parallel {
            return None;
        }
        let step = self.pending.pop_front()?;
        self.current.push(step);
        self.current.last_mut()
    }

    /// Moves the current steps that are complete to those that are done. Returns `true` if there
    /// was one.
    pub(super) fn complete_steps(&mut self, is_complete: impl Fn(&ReplaceStep) -> bool) -> bool {
        let before = self.done.len();
        self.done
            .extend(self.current.extract_if(.., |step| is_complete(step)));
        self.done.len() > before
    }

    /// Returns `true` if every step is done.
    pub(super) fn is_exhausted(&self) -> bool {
        self.pending.is_empty() && self.current.is_empty()
    }

    /// Records that a replica of this version did not start in `seat`. It is a failure if this
    /// replacement works on the seat, or has and monitors it.
    pub(super) fn record_failed_start(
        &mut self,
        seat: Seat,
        version: Option<&Version>,
        why: String,
        now: Instant,
    ) {
        let is_monitored = !self.monitor().is_zero();
        let mut current = self.current.iter_mut();
        if let Some(step) = current.find(|step| step.seat == seat && step.wants(version)) {
            step.backoff.record_failure(now);
            self.failures.record(why);
        } else if is_monitored
            && self
                .done
                .iter()
                .any(|step| step.seat == seat && step.wants(version))
        {
            self.failures.record(why);
        }
    }

    /// Records the death of the replica `id` in `seat`. It is a failure if this replacement put the
    /// replica there and is to monitor it.
    pub(super) fn record_death(
        &mut self,
        seat: Seat,
        id: ReplicaId,
        name: &ReplicaName,
        why: &str,
    ) {
        let mut steps = self.current.iter().chain(&self.done);
        let is_new = steps.any(|step| step.seat == seat && step.holder != Some(id));
        if is_new && !self.monitor().is_zero() {
            self.failures
                .record_death(id, format!("{name} died: {why}"));
        }
    }

    /// Adds the exit report of `id` to the failure that is its death.
    pub(super) fn record_exit(&mut self, id: ReplicaId, exit: &ExitReport) {
        self.failures.record_exit(id, exit);
    }

    /// Returns the last failure, if there were as many as the pace allows.
    pub(super) fn fatal_failure(&self) -> Option<&str> {
        self.failures.fatal(self.pace.max_failures)
    }

    /// Turns back for this reason. Returns the steps that have begun; those to bring the former
    /// versions back follow by [`Self::go_back`].
    pub(super) fn turn_back(&mut self, why: String) -> Vec<ReplaceStep> {
        let progress = self.info().progress();
        let limit = self.pace.max_failures;
        self.failures.turn_back(why, progress, limit);
        self.pending.clear();
        let mut begun = mem::take(&mut self.done);
        begun.append(&mut self.current);
        begun
    }

    /// Sets the steps that bring the former versions back.
    pub(super) fn go_back(&mut self, steps: VecDeque<ReplaceStep>) {
        self.pending = steps;
    }

    /// Adds an order that waits for the former versions.
    pub(super) fn join_back(&mut self, order_id: OrderId) {
        self.back_orders.push(order_id);
    }

    /// Returns `true` if the result is known.
    pub(super) fn is_finished(&self) -> bool {
        self.results.is_some()
    }

    /// Ends the replacement with success. A replacement that turned back has failed nevertheless.
    pub(super) fn succeed(&mut self, listed: Vec<ReplicaName>) {
        let forward = match self.failures.first() {
            None => Ok(listed.clone()),
            Some(first) => Err(OrderError::unavailable(format!("{first}; rolled back"))),
        };
        self.results = Some((forward, Ok(listed)));
    }

    /// Ends the replacement for this reason. Every seat keeps what it has.
    pub(super) fn fail(&mut self, why: &str) {
        let progress = self.info().progress();
        let sentence = match self.failures.first() {
            Some(first) if self.order_id.is_some() => {
                format!("{first}; rolling back failed: {why}; {progress}")
            }
            _ => format!("{why}; {progress}"),
        };
        let refusal = OrderError::unavailable(sentence);
        self.results = Some((Err(refusal.clone()), Err(refusal)));
    }

    /// Describes the progress.
    pub(super) fn info(&self) -> ReplacementInfo {
        ReplacementInfo {
            version: self.version.as_ref().map(ToString::to_string),
            back: self.goes_back(),
            done: self.done.len(),
            total: self.pending.len() + self.current.len() + self.done.len(),
            failures: self.failures.count(),
            preparing: false,
        }
    }

    /// Returns the answers of a finished replacement.
    pub(super) fn into_results(self) -> Vec<(OrderId, OrderResult)> {
        let unfinished = || Err(OrderError::unavailable("the replacement did not end"));
        let (forward, back) = self.results.unwrap_or_else(|| (unfinished(), unfinished()));
        let first = self.order_id.map(|order_id| (order_id, forward));
        let waiting = self.back_orders.into_iter();
        let waiting = waiting.map(|order_id| (order_id, back.clone()));
        first.into_iter().chain(waiting).collect()
    }
}
