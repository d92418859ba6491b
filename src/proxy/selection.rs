//! The replica of a request: chosen at once if possible, otherwise after a wait for a seat, for an
//! answer of a slow replica, or in the queue of one at its limit.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::access_record::RouteReason;
use super::attempted::Attempted;
use super::error_reply::ErrorReply;
use super::in_flight::InFlight;
use super::in_flight_limit::InFlightPermit;
use super::replica_queue::{self, Queued};
use super::roster_view::RosterView;
use super::route::{Choice, choose, home_if_down};
use super::upstream::Upstream;
use super::worker::Worker;
use crate::ring::Key;
use crate::roster::ReplicaId;

/// Wait of a request that every seat has lost or refused. After it without news from the roster, a
/// seat that lost the request is tried again.
const RETRY_LOST_AFTER: Duration = Duration::from_millis(200);

/// Reason why no replica serves a request.
#[derive(Debug)]
pub(super) enum NoReplica {
    /// The ring has no seats.
    Empty,
    /// No seat came up in time.
    Down,
    /// The replica is at its limit, and so is its queue.
    QueueFull(Rc<Upstream>, RouteReason),
    /// The replica was at its limit for the whole queue timeout.
    QueueTimeout(Rc<Upstream>, RouteReason),
}

impl NoReplica {
    /// Returns the replica whose queue was full or too slow, and the way to it.
    pub(super) fn queue(&self) -> Option<(&Upstream, RouteReason)> {
        match self {
            Self::QueueFull(upstream, reason) | Self::QueueTimeout(upstream, reason) => {
                Some((upstream, *reason))
            }
            Self::Empty | Self::Down => None,
        }
    }

    /// Returns the reply to a client whose request no replica serves.
    pub(super) fn error_reply(&self, worker: &Worker, attempted: &Attempted) -> ErrorReply {
        let limits = worker.settings.in_flight.as_ref();
        let rule = limits.map(|limits| limits.rule);
        let sentence = match (self, &attempted.unreached) {
            (Self::Empty, _) => "there are no replicas".to_owned(),
            (Self::Down, Some(unreached)) if worker.view().any_accepts_requests() => {
                unreached.to_string()
            }
            (Self::Down, _) => "no replica is up".to_owned(),
            (Self::QueueFull(upstream, _), _) => {
                format!(
                    "{} has as many requests as it may, and its queue is full",
                    upstream.name
                )
            }
            (Self::QueueTimeout(upstream, _), _) => {
                let limit = rule.map(|rule| rule.queue_timeout).unwrap_or_default();
                format!(
                    "{} has had as many requests as it may for {limit:?}",
                    upstream.name
                )
            }
        };
        ErrorReply::new(503, sentence)
    }
}

/// Event that a request waits for before a replica can be chosen.
enum Blocked {
    /// An answer of this replica, at most until this time.
    Held(Rc<Upstream>, Instant),
    /// A free place at this replica, and the way to it.
    Queued(Rc<Upstream>, RouteReason),
    /// A seat that is up. `watched` is `true` if health may change by itself.
    Down { watched: bool },
}

/// Chooses the replica for `key` and counts the request there. `now` is the current time.
///
/// If no seat is up, the request waits for one, at most for the seat wait. If the replica is at its
/// limit, the request waits in its queue.
pub(super) async fn select(
    worker: &Worker,
    key: Key,
    attempted: &mut Attempted,
    now: Instant,
) -> Result<InFlight, NoReplica> {
    match try_select(worker, key, attempted, &mut None, now)? {
        Ok(in_flight) => Ok(in_flight),
        // Rare and large: boxed, so that a request is small.
        Err(blocked) => Box::pin(wait(worker, key, attempted, blocked)).await,
    }
}

/// Returns the replica if there is one now, otherwise the event to wait for. `admitted` is the
/// permit for a replica in whose queue the request has waited.
fn try_select(
    worker: &Worker,
    key: Key,
    attempted: &mut Attempted,
    admitted: &mut Option<InFlightPermit>,
    now: Instant,
) -> Result<Result<InFlight, Blocked>, NoReplica> {
    let view = worker.view();
    // There must be no await between the choice and the count: a drain trusts the count.
    let choice = choose(&view, &mut worker.load(), key, attempted, now);
    if matches!(
        choice,
        Choice::Wait | Choice::Serve(_, RouteReason::FailedOver)
    ) && let Some(home) = home_if_down(&view, key)
    {
        attempted.mark_failed(home);
    }
    let (upstream, reason) = match choice {
        Choice::Serve(upstream, reason) => (upstream, reason),
        Choice::Hold(upstream, _, due) if worker.may_wait() => {
            return Ok(Err(Blocked::Held(upstream, due)));
        }
        Choice::Hold(upstream, reason, _) => (upstream, reason),
        Choice::Empty => return Err(NoReplica::Empty),
        Choice::Wait => {
            let watched = view.roster.watched;
            return Ok(Err(Blocked::Down { watched }));
        }
    };
    let permit = match &upstream.limit {
        None => None,
        Some(limit) => {
            // A permit for another replica is given back.
            let own = admitted.take().filter(|permit| limit.has_issued(permit));
            match own.or_else(|| limit.try_admit()) {
                None => return Ok(Err(Blocked::Queued(upstream, reason))),
                permit => permit,
            }
        }
    };
    let (in_flight, merge_due) = InFlight::begin(upstream, reason, permit, now);
    if merge_due {
        worker.merge_loads(&view);
    }
    Ok(Ok(in_flight))
}

/// The waits of one request.
struct Waits<'w> {
    worker: &'w Worker,
    attempted: &'w mut Attempted,
    /// Time at which the wait for a seat ends, once it has begun.
    seat_end: Option<Instant>,
    /// Permit for the replica in whose queue the request has waited.
    admitted: Option<InFlightPermit>,
}

async fn wait(
    worker: &Worker,
    key: Key,
    attempted: &mut Attempted,
    mut blocked: Blocked,
) -> Result<InFlight, NoReplica> {
    let mut waits = Waits {
        worker,
        attempted,
        seat_end: None,
        admitted: None,
    };
    loop {
        match blocked {
            Blocked::Held(upstream, due) => {
                let _slot = worker.wait_for_seat();
                hold(&upstream, due).await;
            }
            Blocked::Queued(upstream, reason) => waits.in_queue(upstream, reason).await?,
            Blocked::Down { watched } => waits.for_seat(watched).await?,
        }
        let now = Instant::now();
        let admitted = &mut waits.admitted;
        match try_select(worker, key, waits.attempted, admitted, now)? {
            Ok(in_flight) => return Ok(in_flight),
            Err(next) => blocked = next,
        }
    }
}

impl Waits<'_> {
    /// Waits until a seat may be up.
    async fn for_seat(&mut self, watched: bool) -> Result<(), NoReplica> {
        self.admitted = None;
        let (worker, attempted) = (self.worker, &mut *self.attempted);
        let _slot = worker.wait_for_seat().ok_or(NoReplica::Down)?;
        let now = Instant::now();
        let until = now + worker.settings.limits.seat_wait;
        let until = *self.seat_end.get_or_insert(until);
        if now >= until || !watched && attempted.lost.is_empty() {
            return Err(NoReplica::Down);
        }
        let pause = if watched {
            RETRY_LOST_AFTER
        } else {
            Duration::ZERO
        };
        let wake = if attempted.lost.is_empty() {
            until
        } else {
            until.min(now + pause)
        };
        match timeout_at(wake, worker.changed.notified()).await {
            // A replica that refused the request may have come back under the same address.
            Ok(()) => attempted.refused.retain(|id| !is_up(&worker.view(), *id)),
            // The fleet reports nothing against the replicas that lost it: only the connection
            // ended.
            Err(_) => attempted.lost.clear(),
        }
        Ok(())
    }

    /// Waits in the queue of a replica until there is a place, or until another one should serve.
    async fn in_queue(
        &mut self,
        upstream: Rc<Upstream>,
        reason: RouteReason,
    ) -> Result<(), NoReplica> {
        let limits = self.worker.settings.in_flight.as_ref();
        let (Some(limits), Some(limit)) = (limits, &upstream.limit) else {
            return Ok(());
        };
        let (begun, left) = (Instant::now(), self.attempted.queue_time);
        let left = left.unwrap_or(limits.rule.queue_timeout);
        let queued = replica_queue::wait(&upstream, limit, begun + left).await;
        self.attempted.queue_time = Some(left.saturating_sub(begun.elapsed()));
        match queued {
            Queued::Admitted(permit) => self.admitted = Some(permit),
            Queued::Moved => {}
            Queued::Full => return Err(NoReplica::QueueFull(Rc::clone(&upstream), reason)),
            Queued::TimedOut => return Err(NoReplica::QueueTimeout(Rc::clone(&upstream), reason)),
        }
        Ok(())
    }
}

/// Waits until a possibly slow replica answers anything or its health changes, at most until `due`.
async fn hold(upstream: &Upstream, due: Instant) {
    let (mut waiter, mut listening) = (upstream.relief_waiter(), false);
    let relief = poll_fn(|cx| {
        if std::mem::replace(&mut listening, true) {
            return Poll::Ready(());
        }
        waiter.register(cx);
        Poll::Pending
    });
    let _ = timeout_at(due, relief).await;
}

fn is_up(view: &RosterView, id: ReplicaId) -> bool {
    let mut upstreams = view.upstreams.iter();
    upstreams.any(|upstream| upstream.id == id && upstream.accepts_requests())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::{InFlightLimits, InFlightRule};

    #[tokio::test(start_paused = true)]
    async fn the_times_in_all_queues_of_a_request_have_one_limit() {
        let rule = InFlightRule {
            max: 1,
            queue: 1,
            queue_timeout: Duration::from_secs(1),
        };
        let worker = Worker::with_settings(&[([127, 0, 0, 1], 1).into()], |settings| {
            settings.in_flight = Some(InFlightLimits::new(rule));
        });
        let key = Key(7);
        let (mut other, mut own) = (Attempted::default(), Attempted::default());
        let first = select(&worker, key, &mut other, Instant::now()).await;
        let frees = async {
            tokio::time::sleep(Duration::from_millis(600)).await;
            drop(first);
        };
        let now = Instant::now();
        let (second, ()) = tokio::join!(select(&worker, key, &mut own, now), frees);
        // The request is with the replica for long, and then a retry finds another one there.
        tokio::time::sleep(Duration::from_secs(5)).await;
        drop(second);
        let third = select(&worker, key, &mut other, Instant::now()).await;
        let begun = Instant::now();
        let retry = select(&worker, key, &mut own, begun).await;
        assert!(matches!(retry, Err(NoReplica::QueueTimeout(..))));
        let waited = begun.elapsed().as_millis();
        assert!((400..410).contains(&waited), "{waited} ms");
        drop(third);
    }
}
