//! Which seat serves a key.
//!
//! A key's home is the ring's word alone. A seat that is down, suspect or slow is skipped in ring order, so
//! only its own keys move, and they come back. What a full one does not take goes to the least loaded of
//! all: in ring order it would fill the next, and the one after that.

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

/// How long a request that every seat has lost or refused waits for the roster to say more, before it
/// tries a seat again that it was lost on.
const RETRY_LOST_AFTER: Duration = Duration::from_millis(200);

/// Why no seat serves a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoReplica {
    /// There are no seats at all.
    Empty,
    /// None came up in time.
    Down,
}

impl NoReplica {
    /// The reply to a client whose request no seat serves.
    pub(super) fn error_reply(self, worker: &Worker, tried: &Attempted) -> ErrorReply {
        let sentence = match (self, &tried.unreached) {
            (Self::Empty, _) => "there are no replicas".to_owned(),
            (Self::Down, Some(unreached)) if worker.view().is_any_open() => unreached.to_string(),
            (Self::Down, _) => "no replica is up".to_owned(),
        };
        ErrorReply::new(503, sentence)
    }
}

enum Choice {
    Serve(Rc<Upstream>, RouteReason),
    /// The replica may be slow: wait until it answers anything, at most until this time.
    Hold(Rc<Upstream>, RouteReason, Instant),
    Wait,
    Empty,
}

/// What a request waits for before it can be given to a replica.
enum Blocked {
    /// An answer of this replica, at most until this time.
    Held(Rc<Upstream>, Instant),
    /// Any seat that is up; whether health may change by itself.
    Down { watched: bool },
}

/// The replica that is to serve `key`, now in flight: the first seat in ring order that is up, not slow
/// and not tried, or the least loaded of these should that be full; else the first suspect. When there is
/// none, waits for one for at most the seat-wait. `now` is the present time.
pub(super) async fn select(
    worker: &Worker,
    key: Key,
    tried: &mut Attempted,
    now: Instant,
) -> Result<InFlight, NoReplica> {
    match try_select(worker, key, tried, now)? {
        Ok(in_flight) => Ok(in_flight),
        // Rare, and large: boxed, so that a request is small.
        Err(blocked) => Box::pin(wait(worker, key, tried, blocked)).await,
    }
}

/// The replica if there is one now, else what to wait for.
fn try_select(
    worker: &Worker,
    key: Key,
    tried: &mut Attempted,
    now: Instant,
) -> Result<Result<InFlight, Blocked>, NoReplica> {
    let view = worker.view();
    // No await may stand between choosing and counting: a drain trusts the count.
    let choice = choose(&view, &mut worker.balance(), key, tried, now);
    if matches!(
        choice,
        Choice::Wait | Choice::Serve(_, RouteReason::FailedOver)
    ) && let Some(home) = home_if_down(&view, key)
    {
        tried.mark_failed(home);
    }
    let (pool, how) = match choice {
        Choice::Serve(pool, how) => (pool, how),
        Choice::Hold(pool, _, due) if worker.may_wait() => {
            return Ok(Err(Blocked::Held(pool, due)));
        }
        Choice::Hold(pool, how, _) => (pool, how),
        Choice::Empty => return Err(NoReplica::Empty),
        Choice::Wait => {
            let watched = view.roster.watched;
            return Ok(Err(Blocked::Down { watched }));
        }
    };
    let (in_flight, fold) = InFlight::begin(pool, how, now);
    if fold {
        worker.merge_loads(&view);
    }
    Ok(Ok(in_flight))
}

async fn wait(
    worker: &Worker,
    key: Key,
    tried: &mut Attempted,
    mut blocked: Blocked,
) -> Result<InFlight, NoReplica> {
    let mut until = None;
    loop {
        let place = worker.wait_for_seat();
        match blocked {
            Blocked::Held(pool, due) => hold(&pool, due).await,
            Blocked::Down { watched } => {
                let _place = place.ok_or(NoReplica::Down)?;
                let now = Instant::now();
                let until = *until.get_or_insert(now + worker.settings.limits.seat_wait);
                if now >= until || !watched && tried.lost.is_empty() {
                    return Err(NoReplica::Down);
                }
                let thought = if watched {
                    RETRY_LOST_AFTER
                } else {
                    Duration::ZERO
                };
                let wake = if tried.lost.is_empty() {
                    until
                } else {
                    until.min(now + thought)
                };
                match timeout_at(wake, worker.changed.notified()).await {
                    // A replica that refused it may have come back under the same address.
                    Ok(()) => tried.refused.retain(|id| !is_up(&worker.view(), *id)),
                    // The fleet has nothing against those who lost it: their connection just ended.
                    Err(_) => tried.lost.clear(),
                }
            }
        }
        match try_select(worker, key, tried, Instant::now())? {
            Ok(in_flight) => return Ok(in_flight),
            Err(next) => blocked = next,
        }
    }
}

/// Waits until a replica in doubt answers anything or its health changes, at most until `due`.
async fn hold(pool: &Upstream, due: Instant) {
    let (mut ear, mut listening) = (pool.relief_waiter(), false);
    let relief = poll_fn(|cx| {
        if std::mem::replace(&mut listening, true) {
            return Poll::Ready(());
        }
        ear.register(cx);
        Poll::Pending
    });
    let _ = timeout_at(due, relief).await;
}

fn is_up(view: &RosterView, id: ReplicaId) -> bool {
    let mut pools = view.pools.iter();
    pools.any(|pool| pool.id == id && pool.accepts_requests())
}

fn choose(
    view: &RosterView,
    balance: &mut LoadView,
    key: Key,
    tried: &Attempted,
    now: Instant,
) -> Choice {
    let Some(home) = view.roster.ring.owner(key) else {
        return Choice::Empty;
    };
    let up = |at: usize| {
        let pool = &view.pools[at];
        pool.accepts_requests() && !tried.contains(pool.id)
    };
    let at_home = view.roster.position(home).filter(|at| up(*at));
    let Some(first) = at_home.or_else(|| first_up(view, key, up)) else {
        let suspect = first_suspect(view, key, tried);
        let how = if suspect.is_some_and(|(seat, _)| seat == home) {
            RouteReason::Home
        } else {
            RouteReason::FailedOver
        };
        let serve = |(_, pool): (_, &Rc<Upstream>)| Choice::Serve(Rc::clone(pool), how);
        return suspect.map_or(Choice::Wait, serve);
    };
    let serve = |at: usize, away: RouteReason| {
        let how = match at_home {
            Some(home) if home == at => RouteReason::Home,
            Some(_) => away,
            None => RouteReason::FailedOver,
        };
        (Rc::clone(&view.pools[at]), how)
    };
    let (pool, how) = if balance.is_full(first) {
        serve(
            balance.least_loaded(up).unwrap_or(first),
            RouteReason::Spilled,
        )
    } else {
        match balance.verdict(first, now.into_std()) {
            GuardVerdict::Send => serve(first, RouteReason::Home),
            GuardVerdict::Hold(due) => {
                let (pool, how) = serve(first, RouteReason::Home);
                return Choice::Hold(pool, how, Instant::from_std(due));
            }
            GuardVerdict::Avoid { news } => {
                if news {
                    view.pools[first].mark_slow();
                }
                let quick = |at: usize| up(at) && !balance.is_slow(at);
                let other = first_up(view, key, |at| quick(at) && !balance.is_full(at));
                let other = other.or_else(|| first_up(view, key, quick));
                serve(other.unwrap_or(first), RouteReason::Diverted)
            }
        }
    };
    Choice::Serve(pool, how)
}

/// The replica of a key's home, if that is not up.
fn home_if_down(view: &RosterView, key: Key) -> Option<&Rc<Upstream>> {
    let at = view.roster.position(view.roster.ring.owner(key)?)?;
    view.pools
        .get(at)
        .filter(|pool| pool.health.get() != Health::Up)
}

/// The place of the first seat in ring order that is `up`.
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

/// The first seat in ring order that is at least not down and not drained.
fn first_suspect<'v>(
    view: &'v RosterView,
    key: Key,
    tried: &Attempted,
) -> Option<(Seat, &'v Rc<Upstream>)> {
    let mut first = None;
    view.roster.ring.walk(key, &mut |seat| {
        let pool = view.pool(seat).filter(|pool| !tried.contains(pool.id));
        first = pool.map(|pool| (seat, pool));
        if first.is_some() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    first
}
