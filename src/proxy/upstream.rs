//! State of one replica in one worker: idle connections, the last published health, and the
//! worker's counters. It lives as long as the roster or an exchange refers to the replica.
//!
//! A kept connection that turns out closed proves nothing about the replica, which may have closed
//! it for being idle. Only a fresh connection is evidence.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::in_flight_limit::InFlightLimit;
use super::local_notify::{LocalNotify, Waiter};
use super::private_slots::PrivateSlots;
use super::reuse_policy::ReusePolicy;
use super::upstream_errors::UpstreamErrors;
use crate::load::{self, LoadView, Relief, ReplyOutcome};
use crate::metrics::{ReplicaCounters, WorkerCounters};
use crate::ring::{Seat, Weight};
use crate::roster::{Health, Member, ReplicaAddr, ReplicaId, ReplicaName};
use crate::wire::socket;

/// Maximum idle time of a connection for a request that must not be sent twice.
const TRUSTED_IDLE_TIME: Duration = Duration::from_secs(1);

/// State of one replica in one worker.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) id: ReplicaId,
    pub(super) seat: Seat,
    pub(super) name: ReplicaName,
    pub(super) addr: ReplicaAddr,
    pub(super) health: Cell<Health>,
    /// `true` if an order keeps new requests away.
    drained: Cell<bool>,
    counters: Arc<ReplicaCounters>,
    /// Limit of requests in flight, if there is one.
    pub(super) limit: Option<Arc<InFlightLimit>>,
    worker: usize,
    /// The worker's view of the load, in which `index` is this replica's.
    load: Rc<RefCell<LoadView>>,
    index: Cell<usize>,
    /// Time at which the replica was last chosen.
    pub(super) chosen_at: Cell<Instant>,
    idle: RefCell<Vec<IdleConnection>>,
    /// Private connections to the replica.
    pub(super) private: PrivateSlots<Self>,
    retired: Cell<bool>,
    /// Notified when the replica's health degrades.
    degraded: LocalNotify,
    /// Wakes the requests that the slow guard holds back.
    relief: LocalNotify,
    /// Server errors, if any.
    pub(super) errors: UpstreamErrors,
}

#[derive(Debug)]
struct IdleConnection {
    stream: TcpStream,
    since: Instant,
    until: Instant,
}

impl Upstream {
    pub(super) fn new(member: &Member, worker: usize, load: &Rc<RefCell<LoadView>>) -> Self {
        Self {
            id: member.id,
            seat: member.seat,
            name: member.name.clone(),
            addr: member.addr,
            health: Cell::new(member.health),
            drained: Cell::new(member.drained),
            counters: Arc::clone(&member.counters),
            limit: None,
            worker,
            load: Rc::clone(load),
            index: Cell::new(usize::MAX),
            chosen_at: Cell::new(Instant::now()),
            idle: RefCell::default(),
            private: PrivateSlots::default(),
            retired: Cell::new(false),
            degraded: LocalNotify::default(),
            relief: LocalNotify::default(),
            errors: UpstreamErrors::default(),
        }
    }

    /// Returns the state with this limit of requests in flight.
    pub(super) fn with_limit(self, limit: Option<Arc<InFlightLimit>>) -> Self {
        Self { limit, ..self }
    }

    /// Applies the health in the roster. Requests that wait for the replica are notified if it is
    /// worse than before; a drain does not count as worse.
    pub(super) fn set_health(&self, health: Health, drained: bool) {
        let before = self.health.replace(health);
        self.drained.set(drained);
        if before != Health::Up && health == Health::Up {
            // Another process may answer there now.
            self.errors.clear();
            self.publish_ejected(false);
        }
        if !self.may_serve() || self.counters.is_iterative() {
            self.clear();
        }
        if is_worse(health, before) {
            self.degraded.notify_all();
        }
        self.relief.notify_all();
    }

    /// Notifies the requests that wait for a replica that is not up, because another one may be up
    /// now.
    pub(super) fn reconsider(&self) {
        if self.health.get() != Health::Up {
            self.degraded.notify_all();
        }
    }

    /// Closes all idle connections and keeps no more: the replica left the roster.
    pub(super) fn retire(&self) {
        self.retired.set(true);
        self.index.set(usize::MAX);
        self.relief.notify_all();
        self.clear();
    }

    /// Closes all idle connections.
    fn clear(&self) {
        self.idle.borrow_mut().clear();
        self.private.close();
    }

    /// Closes idle connections that are too old or were closed by the replica.
    pub(super) fn sweep(&self, now: Instant) {
        let fit = |idle: &IdleConnection| idle.until > now && socket::is_idle_cached(&idle.stream);
        self.idle.borrow_mut().retain(fit);
        self.private.sweep();
        if self.errors.is_ejected() {
            self.publish_ejected(self.errors.is_avoided(now));
        }
    }

    /// Takes a kept connection that meets `policy`.
    pub(super) fn take_idle(&self, policy: ReusePolicy, now: Instant) -> Option<TcpStream> {
        let mut idle = self.idle.borrow_mut();
        while let Some(newest) = idle.pop() {
            let fresh = newest.until > now
                && !(policy == ReusePolicy::JustUsed && now - newest.since >= TRUSTED_IDLE_TIME);
            if !fresh {
                // The connections below are older still, but may serve requests that can be
                // retried.
                if newest.until <= now {
                    idle.clear();
                } else {
                    idle.push(newest);
                }
                return None;
            }
            let silent = match policy {
                ReusePolicy::MayBeClosed => socket::is_idle_cached(&newest.stream),
                ReusePolicy::Open | ReusePolicy::JustUsed => socket::is_idle(&newest.stream),
            };
            if silent {
                return Some(newest.stream);
            }
        }
        None
    }

    /// Keeps an idle connection for at most `keep`. No connection is kept to a replica that serves
    /// one at a time: requests of other clients would wait for its end.
    pub(super) fn put_idle(&self, stream: TcpStream, keep: Duration, max: usize, now: Instant) {
        let mut idle = self.idle.borrow_mut();
        if self.keeps_connections() && idle.len() < max && !keep.is_zero() {
            idle.push(IdleConnection {
                stream,
                since: now,
                until: now + keep,
            });
        }
    }

    /// Returns `true` if connections are kept for later requests.
    pub(super) fn keeps_connections(&self) -> bool {
        !self.retired.get() && self.may_serve() && !self.counters.is_iterative()
    }

    /// Records the time to the head of a reply.
    pub(super) fn answered(&self, now: Instant, time: Duration) {
        self.counters().first_byte.observe(time);
        self.counters.answered(self.worker, now.into_std());
    }

    /// Returns `true` if the replica is up and not drained.
    pub(super) fn accepts_requests(&self) -> bool {
        self.health.get() == Health::Up && !self.drained.get()
    }

    /// Returns `true` if new requests may go to the replica when no better one exists.
    pub(super) fn may_serve(&self) -> bool {
        self.health.get() != Health::Down && !self.drained.get()
    }

    /// Sets the replica's index in the worker's view of the load.
    pub(super) fn set_index(&self, index: usize, weight: Weight) -> load::SeatInput {
        self.index.set(index);
        load::SeatInput {
            seat: self.seat,
            replica_id: self.id.0,
            weight,
            open: self.accepts_requests(),
            requests: self.requests(),
        }
    }

    /// Records that the replica was chosen. Returns `true` if the counters of the other workers are
    /// due to be read.
    pub(super) fn record_choice(&self, now: Instant) -> bool {
        self.chosen_at.set(now);
        let mut load = self.load.borrow_mut();
        load.record_choice(self.index.get(), now.into_std())
    }

    /// Records the end of a wait for the head of a reply, and its effect on the slow guard.
    pub(super) fn record_end(&self, end: ReplyOutcome) {
        let relief = self.load.borrow_mut().record_end(self.index.get(), end);
        match relief {
            Relief::None => {}
            Relief::Room => self.relief.notify_all(),
            Relief::Recovered => {
                self.counters().slow.store(false, Ordering::Relaxed);
                tracing::info!("seat {} is not slow any more; its keys return", self.seat);
            }
        }
    }

    /// Returns `true` if the replica is in the roster and not drained.
    pub(super) fn is_offered(&self) -> bool {
        !self.retired.get() && !self.drained.get()
    }

    /// Returns a waiter that is notified when the replica's health degrades.
    pub(super) fn degraded_waiter(&self) -> Waiter<'_> {
        self.degraded.waiter()
    }

    /// Returns the number of requests for which any worker chose the replica.
    pub(super) fn requests(&self) -> u64 {
        self.counters.requests()
    }

    /// Returns a waiter for the end of a delay that the slow guard imposed, and for changes of the
    /// replica's state.
    pub(super) fn relief_waiter(&self) -> Waiter<'_> {
        self.relief.waiter()
    }

    /// Returns this worker's counters of the replica.
    pub(super) fn counters(&self) -> &WorkerCounters {
        self.counters.worker(self.worker)
    }
}

/// Returns `true` if a replica's health is worse than it was.
pub(super) fn is_worse(health: Health, before: Health) -> bool {
    match before {
        Health::Up => health != Health::Up,
        Health::Suspect => health == Health::Down,
        Health::Down => false,
    }
}

#[cfg(test)]
mod tests;
