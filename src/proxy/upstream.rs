//! What one worker holds about one replica: its idle connections, its health as last published, and the
//! worker's cells. It lives as long as the roster or an exchange knows the replica.
//!
//! A kept connection that turns out closed says nothing about the replica: it may have closed it for
//! being idle. Only a fresh connection tells.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::local_notify::{LocalNotify, Waiter};
use super::private_slots::PrivateSlots;
use crate::load::{self, LoadView, Relief, ReplyOutcome};
use crate::metrics::{ReplicaCounters, WorkerCounters};
use crate::ring::Seat;
use crate::roster::{Health, Member, ReplicaAddr, ReplicaId, ReplicaName};
use crate::wire::socket;

/// A connection idle for longer than this is not trusted with a request that may be sent only once.
const TRUSTED_IDLE_TIME: Duration = Duration::from_secs(1);

/// What one worker holds about one replica.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) id: ReplicaId,
    pub(super) seat: Seat,
    pub(super) name: ReplicaName,
    pub(super) addr: ReplicaAddr,
    pub(super) health: Cell<Health>,
    /// Whether it gets no new requests, by order.
    drained: Cell<bool>,
    counters: Arc<ReplicaCounters>,
    worker: usize,
    /// The worker's view of the load, and which place of it is this replica's.
    load: Rc<RefCell<LoadView>>,
    index: Cell<usize>,
    /// Time at which it was last chosen.
    pub(super) chosen_at: Cell<Instant>,
    idle: RefCell<Vec<IdleConnection>>,
    /// Connections to it that are a client's own.
    pub(super) private: PrivateSlots<Self>,
    retired: Cell<bool>,
    /// Told when the replica is worse off than before.
    degraded: LocalNotify,
    /// Wakes requests that the slow guard holds back.
    relief: LocalNotify,
}

/// What a request needs of a kept connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReusePolicy {
    /// It may turn out closed: the request can be sent again.
    Any,
    /// The kernel has not heard of its end: the request was lost before, and whoever is lost with it now
    /// shall have died holding it.
    Alive,
    /// It was in use a moment ago, too: the request must not be sent twice.
    Once,
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
            counters: Arc::clone(&member.cells),
            worker,
            load: Rc::clone(load),
            index: Cell::new(usize::MAX),
            chosen_at: Cell::new(Instant::now()),
            idle: RefCell::default(),
            private: PrivateSlots::default(),
            retired: Cell::new(false),
            degraded: LocalNotify::default(),
            relief: LocalNotify::default(),
        }
    }

    /// Takes in what the roster says. Whoever waits for the replica hears of a turn for the worse; to be
    /// drained is none.
    pub(super) fn set_health(&self, health: Health, drained: bool) {
        let before = self.health.replace(health);
        self.drained.set(drained);
        if !self.may_serve() || self.counters.is_iterative() {
            self.clear();
        }
        if is_worse(health, before) {
            self.degraded.notify_all();
        }
        self.relief.notify_all();
    }

    /// Has requests that wait for a replica that is not up look again whether another one is.
    pub(super) fn reconsider(&self) {
        if self.health.get() != Health::Up {
            self.degraded.notify_all();
        }
    }

    /// Closes all idle connections, and keeps none from here on: the replica left the roster.
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
    }

    /// A kept connection that is fit for a request with this need.
    pub(super) fn take_idle(&self, policy: ReusePolicy, now: Instant) -> Option<TcpStream> {
        let mut idle = self.idle.borrow_mut();
        while let Some(newest) = idle.pop() {
            let fresh = newest.until > now
                && !(policy == ReusePolicy::Once && now - newest.since >= TRUSTED_IDLE_TIME);
            if !fresh {
                // Those below it are older still, but may serve requests that can be repeated.
                if newest.until <= now {
                    idle.clear();
                } else {
                    idle.push(newest);
                }
                return None;
            }
            let silent = match policy {
                ReusePolicy::Any => socket::is_idle_cached(&newest.stream),
                ReusePolicy::Alive | ReusePolicy::Once => socket::is_idle(&newest.stream),
            };
            if silent {
                return Some(newest.stream);
            }
        }
        None
    }

    /// Keeps a connection on which nothing is owed, for at most `keep`. None is kept to a replica that
    /// serves one connection at a time: requests of others would wait for its end.
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

    /// Whether connections to it are kept for later requests.
    pub(super) fn keeps_connections(&self) -> bool {
        !self.retired.get() && self.may_serve() && !self.counters.is_iterative()
    }

    /// Notes an answer of the replica, which took so long.
    pub(super) fn answered(&self, now: Instant, time: Duration) {
        self.counters().first_byte.observe(time);
        self.counters.answered(self.worker, now.into_std());
    }

    /// Whether new requests go to it without hesitation.
    pub(super) fn accepts_requests(&self) -> bool {
        self.health.get() == Health::Up && !self.drained.get()
    }

    /// Whether new requests may go to it, should there be nobody better.
    pub(super) fn may_serve(&self) -> bool {
        self.health.get() != Health::Down && !self.drained.get()
    }

    /// Takes a place in the worker's view of the load.
    pub(super) fn set_index(&self, index: usize) -> load::SeatInput {
        self.index.set(index);
        load::SeatInput {
            seat: self.seat,
            replica_id: self.id.0,
            open: self.accepts_requests(),
            requests: self.requests(),
        }
    }

    /// Notes that it was chosen. Returns `true` if it is time to read what the other workers have counted.
    pub(super) fn record_choice(&self, now: Instant) -> bool {
        self.chosen_at.set(now);
        let mut load = self.load.borrow_mut();
        load.record_choice(self.index.get(), now.into_std())
    }

    /// Notes how the wait for the head of a reply ended, and what that changes for the slow guard.
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

    /// Whether the roster still offers it to requests.
    pub(super) fn is_offered(&self) -> bool {
        !self.retired.get() && !self.drained.get()
    }

    /// A listener for a turn of its health for the worse.
    pub(super) fn degraded_waiter(&self) -> Waiter<'_> {
        self.degraded.waiter()
    }

    /// Requests for which any worker chose it.
    pub(super) fn requests(&self) -> u64 {
        self.counters.requests()
    }

    /// Publishes that this worker found it slow, and logs why.
    pub(super) fn mark_slow(&self) {
        self.counters().slow.store(true, Ordering::Relaxed);
        tracing::info!(
            "seat {} is slow: requests wait that others would have been answered; its keys go to the next seat (--slow-guard)",
            self.seat
        );
    }

    /// A listener for the end of a wait that the slow guard ordered.
    pub(super) fn relief_waiter(&self) -> Waiter<'_> {
        self.relief.waiter()
    }

    /// The worker's own cell.
    pub(super) fn counters(&self) -> &WorkerCounters {
        self.counters.worker(self.worker)
    }
}

/// Whether a replica's health is worse than it was.
pub(super) fn is_worse(health: Health, before: Health) -> bool {
    match before {
        Health::Up => health != Health::Up,
        Health::Suspect => health == Health::Down,
        Health::Down => false,
    }
}

#[cfg(test)]
mod tests;
