//! Choice of the seat that serves a key.
//!
//! The ring alone assigns a key's home. A seat that is down, suspect or slow is skipped in ring
//! order, so only its own keys move, and they return to it later. The overflow of a full seat goes
//! to the least loaded one: in ring order it would fill the next seat, and then the one after that.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::access_record::RouteReason;
use super::attempted::Attempted;
use super::error_reply::ErrorReply;
use super::in_flight::InFlight;
use super::roster_view::RosterView;
use super::upstream::Upstream;
use super::worker::Worker;
use crate::load::{GuardVerdict, LoadView};
use crate::ring::{Key, Seat};
use crate::roster::{Health, ReplicaId};

/// Wait of a request that every seat has lost or refused. After it without news from the roster, a
/// seat that lost the request is tried again.
const RETRY_LOST_AFTER: Duration = Duration::from_millis(200);

/// Reason why no seat serves a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoReplica {
    /// The ring has no seats.
    Empty,
    /// No seat came up in time.
    Down,
}

impl NoReplica {
    /// Returns the reply to a client whose request no seat serves.
    pub(super) fn error_reply(self, worker: &Worker, attempted: &Attempted) -> ErrorReply {
        let sentence = match (self, &attempted.unreached) {
            (Self::Empty, _) => "there are no replicas".to_owned(),
            (Self::Down, Some(unreached)) if worker.view().any_accepts_requests() => {
                unreached.to_string()
            }
            (Self::Down, _) => "no replica is up".to_owned(),
        };
        ErrorReply::new(503, sentence)
    }
}

enum Choice {
    Serve(Rc<Upstream>, RouteReason),
    /// The replica may be slow: wait for any answer of it, at most until this time.
    Hold(Rc<Upstream>, RouteReason, Instant),
    Wait,
    Empty,
}

/// Event that a request waits for before a replica can be chosen.
enum Blocked {
    /// An answer of this replica, at most until this time.
    Held(Rc<Upstream>, Instant),
    /// A seat that is up. `watched` is `true` if health may change by itself.
    Down { watched: bool },
}

/// Chooses the replica for `key` and counts the request there. `now` is the current time.
///
/// The first seat in ring order that is up, not slow and untried serves it. If that seat is full,
/// the least loaded one does; without any, the first suspect. If there is none at all, it waits for
/// at most the seat wait.
pub(super) async fn select(
    worker: &Worker,
    key: Key,
    attempted: &mut Attempted,
    now: Instant,
) -> Result<InFlight, NoReplica> {
    match try_select(worker, key, attempted, now)? {
        Ok(in_flight) => Ok(in_flight),
        // Rare and large: boxed, so that a request is small.
        Err(blocked) => Box::pin(wait(worker, key, attempted, blocked)).await,
    }
}

/// Returns the replica if there is one now, otherwise the event to wait for.
fn try_select(
    worker: &Worker,
    key: Key,
    attempted: &mut Attempted,
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
    let (in_flight, merge_due) = InFlight::begin(upstream, reason, now);
    if merge_due {
        worker.merge_loads(&view);
    }
    Ok(Ok(in_flight))
}

async fn wait(
    worker: &Worker,
    key: Key,
    attempted: &mut Attempted,
    mut blocked: Blocked,
) -> Result<InFlight, NoReplica> {
    let mut until = None;
    loop {
        let slot = worker.wait_for_seat();
        match blocked {
            Blocked::Held(upstream, due) => hold(&upstream, due).await,
            Blocked::Down { watched } => {
                let _slot = slot.ok_or(NoReplica::Down)?;
                let now = Instant::now();
                let until = *until.get_or_insert(now + worker.settings.limits.seat_wait);
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
                    // The fleet reports nothing against the replicas that lost it: only the
                    // connection ended.
                    Err(_) => attempted.lost.clear(),
                }
            }
        }
        match try_select(worker, key, attempted, Instant::now())? {
            Ok(in_flight) => return Ok(in_flight),
            Err(next) => blocked = next,
        }
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

fn choose(
    view: &RosterView,
    load: &mut LoadView,
    key: Key,
    attempted: &Attempted,
    now: Instant,
) -> Choice {
    let Some(owner) = view.roster.ring.owner(key) else {
        return Choice::Empty;
    };
    let untried = |at: usize| {
        let upstream = &view.upstreams[at];
        upstream.accepts_requests() && !attempted.contains(upstream.id)
    };
    let up = |at: usize| untried(at) && !view.upstreams[at].errors.is_avoided(now);
    let home = view.roster.position(owner).filter(|at| untried(*at));
    let first = home.filter(|at| up(*at));
    let first = first.or_else(|| first_up(view, key, up));
    // An ejected replica is better than none.
    let Some(first) = first.or_else(|| first_up(view, key, untried)) else {
        let suspect = first_suspect(view, key, attempted);
        let reason = if suspect.is_some_and(|(seat, _)| seat == owner) {
            RouteReason::Home
        } else {
            RouteReason::FailedOver
        };
        let serve = |(_, upstream): (_, &Rc<Upstream>)| Choice::Serve(Rc::clone(upstream), reason);
        return suspect.map_or(Choice::Wait, serve);
    };
    let serve = |at: usize, away: RouteReason| {
        let reason = match home {
            Some(home) if home == at => RouteReason::Home,
            // It is ejected.
            Some(home) if !up(home) => RouteReason::Diverted,
            Some(_) => away,
            None => RouteReason::FailedOver,
        };
        (Rc::clone(&view.upstreams[at]), reason)
    };
    let (upstream, reason) = if load.is_full(first) {
        serve(load.least_loaded(up).unwrap_or(first), RouteReason::Spilled)
    } else {
        match load.verdict(first, now.into_std()) {
            GuardVerdict::Send => serve(first, RouteReason::Home),
            GuardVerdict::Hold(due) => {
                let (upstream, reason) = serve(first, RouteReason::Home);
                return Choice::Hold(upstream, reason, Instant::from_std(due));
            }
            GuardVerdict::Avoid { news } => {
                if news {
                    view.upstreams[first].mark_slow();
                }
                let quick = |at: usize| up(at) && !load.is_slow(at);
                let other = first_up(view, key, |at| quick(at) && !load.is_full(at));
                let other = other.or_else(|| first_up(view, key, quick));
                serve(other.unwrap_or(first), RouteReason::Diverted)
            }
        }
    };
    Choice::Serve(upstream, reason)
}

/// Returns the replica of a key's home if it is not up.
fn home_if_down(view: &RosterView, key: Key) -> Option<&Rc<Upstream>> {
    let at = view.roster.position(view.roster.ring.owner(key)?)?;
    view.upstreams
        .get(at)
        .filter(|upstream| upstream.health.get() != Health::Up)
}

/// Returns the index of the first seat in ring order that is `up`.
fn first_up(view: &RosterView, key: Key, up: impl Fn(usize) -> bool) -> Option<usize> {
    let mut first = None;
    view.roster.ring.walk(key, &mut |seat| {
        first = view.roster.position(seat).filter(|at| up(*at));
        if first.is_some() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    first
}

/// Returns the first seat in ring order that is neither down nor drained.
fn first_suspect<'v>(
    view: &'v RosterView,
    key: Key,
    attempted: &Attempted,
) -> Option<(Seat, &'v Rc<Upstream>)> {
    let mut first = None;
    view.roster.ring.walk(key, &mut |seat| {
        let upstream = view
            .upstream(seat)
            .filter(|upstream| !attempted.contains(upstream.id));
        first = upstream.map(|upstream| (seat, upstream));
        if first.is_some() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    first
}
