//! Choice of the seat that serves a key.
//!
//! The ring alone assigns a key's home. A seat that is down, suspect or slow is skipped in ring
//! order, so only its own keys move, and they return to it later. So are keys that a seat in slow
//! start does not take yet. The overflow of a full seat goes
//! to the least loaded one: in ring order it would fill the next seat, and then the one after that.

use std::ops::ControlFlow;
use std::rc::Rc;

use tokio::time::Instant;

use super::access_record::RouteReason;
use super::attempted::Attempted;
use super::roster_view::RosterView;
use super::slow_start;
use super::upstream::Upstream;
use crate::load::{GuardVerdict, LoadView};
use crate::ring::{Key, Seat};
use crate::roster::Health;

/// The seat for a request, as far as there is one now.
pub(super) enum Choice {
    Serve(Rc<Upstream>, RouteReason),
    /// The replica may be slow: wait for any answer of it, at most until this time.
    Hold(Rc<Upstream>, RouteReason, Instant),
    /// No seat is up.
    Wait,
    /// The ring has no seats.
    Empty,
}

/// Chooses the seat for `key` at the time `now`.
///
/// The first seat in ring order that is up, not slow and untried serves it. If that seat is full,
/// the least loaded one does; without any, the first suspect.
pub(super) fn choose(
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
    let is_avoided = |at: usize| view.upstreams[at].errors.is_avoided(now);
    let up = |at: usize| untried(at) && !is_avoided(at);
    let home = view.roster.position(owner).filter(|at| untried(*at));
    let first = home.filter(|at| !is_avoided(*at));
    let first = first.or_else(|| view.first_up(key, up));
    // An ejected replica is better than none.
    let Some(first) = first.or_else(|| view.first_up(key, untried)) else {
        let suspect = first_suspect(view, key, attempted);
        let reason = if suspect.is_some_and(|(seat, _)| seat == owner) {
            RouteReason::Home
        } else {
            RouteReason::FailedOver
        };
        let serve = |(_, upstream): (_, &Rc<Upstream>)| Choice::Serve(Rc::clone(upstream), reason);
        return suspect.map_or(Choice::Wait, serve);
    };
    let joining = first;
    let first = match view.roster.has_slow_starts {
        true => slow_start::serving_seat(view, key, joining, now, up),
        false => joining,
    };
    let serve = |at: usize, away: RouteReason| {
        let reason = match home {
            Some(home) if home == at => RouteReason::Home,
            // It is ejected, or in slow start.
            Some(home) if !up(home) || first != joining => RouteReason::Diverted,
            Some(_) => away,
            None => RouteReason::FailedOver,
        };
        (Rc::clone(&view.upstreams[at]), reason)
    };
    let (upstream, reason) = if load.is_full(first) {
        let least = load.least_loaded(|at| up(at) && slow_start::is_whole(view, at, now));
        serve(least.unwrap_or(first), RouteReason::Spilled)
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
                let other = first_quick(view, load, key, now, up);
                serve(other.unwrap_or(first), RouteReason::Diverted)
            }
        }
    };
    Choice::Serve(upstream, reason)
}

/// Returns the first seat in ring order that is `up` and not slow: one that is in slow start only
/// without any other, and one that is full only without any other of these.
fn first_quick(
    view: &RosterView,
    load: &LoadView,
    key: Key,
    now: Instant,
    up: impl Fn(usize) -> bool,
) -> Option<usize> {
    let quick = |at: usize| up(at) && !load.is_slow(at);
    let whole = |at: usize| quick(at) && slow_start::is_whole(view, at, now);
    let first = view.first_up(key, |at| whole(at) && !load.is_full(at));
    let first = first.or_else(|| view.first_up(key, whole));
    let first = first.or_else(|| view.first_up(key, |at| quick(at) && !load.is_full(at)));
    first.or_else(|| view.first_up(key, quick))
}

/// Returns the replica of a key's home if it is not up.
pub(super) fn home_if_down(view: &RosterView, key: Key) -> Option<&Rc<Upstream>> {
    let at = view.roster.position(view.roster.ring.owner(key)?)?;
    view.upstreams
        .get(at)
        .filter(|upstream| upstream.health.get() != Health::Up)
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
