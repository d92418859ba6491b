//! Which key a request has, and which seat serves it.
//!
//! A key's home is the ring's word alone. A seat that is not up is passed over in ring order, so only its
//! own keys move, and they come back. What a full or slow one does not take goes to the least loaded of
//! all: in ring order it would fill the next, and the one after that.

use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::pool::{InFlight, Pool};
use super::record::How;
use super::tried::Tried;
use super::view::View;
use super::worker::Worker;
use crate::balance::Balance;
use crate::ring::{Key, Seat};
use crate::roster::{Health, ReplicaId};

/// How long a request that every seat has lost or refused waits for the roster to say more, before it
/// tries a seat again that it was lost on.
const SECOND_THOUGHT: Duration = Duration::from_millis(200);

/// Why no seat serves a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nobody {
    /// There are no seats at all.
    Empty,
    /// None came up in time.
    Down,
}

enum Choice {
    Serve(Rc<Pool>, How),
    Wait,
    Empty,
}

/// The replica that is to serve `key`, now in flight: the first seat in ring order that is up and not
/// tried, or the least loaded of these should that be full or slow; else the first suspect. When there is none, waits for one for at most the seat-wait.
pub(super) async fn next(worker: &Worker, key: Key, tried: &mut Tried) -> Result<InFlight, Nobody> {
    let mut until = None;
    loop {
        let view = worker.view();
        // No await may stand between choosing and counting: a drain trusts the count.
        let choice = choose(&view, &worker.balance(), key, tried);
        if matches!(choice, Choice::Wait | Choice::Serve(_, How::FailedOver))
            && let Some(home) = absent(&view, key)
        {
            tried.turn_from(home);
        }
        match choice {
            Choice::Serve(pool, how) => {
                let (in_flight, fold) = InFlight::enter(pool, how);
                if fold {
                    worker.fold(&view);
                }
                return Ok(in_flight);
            }
            Choice::Empty => return Err(Nobody::Empty),
            Choice::Wait => {}
        }
        let watched = view.roster.watched;
        drop(view);
        if !watched && tried.lost.is_empty() {
            return Err(Nobody::Down);
        }
        let now = Instant::now();
        let until = *until.get_or_insert(now + worker.settings.limits.seat_wait);
        if now >= until {
            return Err(Nobody::Down);
        }
        let thought = if watched {
            SECOND_THOUGHT
        } else {
            Duration::ZERO
        };
        let wake = if tried.lost.is_empty() {
            until
        } else {
            until.min(now + thought)
        };
        let _place = worker.wait_for_seat().ok_or(Nobody::Down)?;
        match Box::pin(timeout_at(wake, worker.changed.notified())).await {
            // A replica that refused it may have come back under the same address.
            Ok(()) => tried.refused.retain(|id| !is_up(&worker.view(), *id)),
            // The fleet has nothing against those who lost it: their connection just ended.
            Err(_) => tried.lost.clear(),
        }
    }
}

fn is_up(view: &View, id: ReplicaId) -> bool {
    let mut pools = view.pools.iter();
    pools.any(|pool| pool.id == id && pool.is_open())
}

fn choose(view: &View, balance: &Balance, key: Key, tried: &Tried) -> Choice {
    let Some(home) = view.roster.ring.owner(key) else {
        return Choice::Empty;
    };
    let up = |at: usize| {
        let pool = &view.pools[at];
        pool.is_open() && !tried.contains(pool.id)
    };
    let at_home = view.roster.position(home).filter(|at| up(*at));
    let first = match at_home.or_else(|| first_up(view, key, up)) {
        Some(first) if balance.takes(first) => first,
        Some(first) => balance.least(up).unwrap_or(first),
        None => {
            let suspect = first_suspect(view, key, tried);
            let how = if suspect.is_some_and(|(seat, _)| seat == home) {
                How::Home
            } else {
                How::FailedOver
            };
            let serve = |(_, pool): (_, &Rc<Pool>)| Choice::Serve(Rc::clone(pool), how);
            return suspect.map_or(Choice::Wait, serve);
        }
    };
    let how = match at_home {
        Some(at) if at == first => How::Home,
        Some(_) => How::Spilled,
        None => How::FailedOver,
    };
    Choice::Serve(Rc::clone(&view.pools[first]), how)
}

/// The replica of a key's home, if that is not up.
fn absent(view: &View, key: Key) -> Option<&Rc<Pool>> {
    let at = view.roster.position(view.roster.ring.owner(key)?)?;
    view.pools
        .get(at)
        .filter(|pool| pool.health.get() != Health::Up)
}

/// The place of the first seat in ring order that is `up`.
fn first_up(view: &View, key: Key, up: impl Fn(usize) -> bool) -> Option<usize> {
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
fn first_suspect<'v>(view: &'v View, key: Key, tried: &Tried) -> Option<(Seat, &'v Rc<Pool>)> {
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
