//! What one worker holds about one replica: its idle connections, its health as last published, and the
//! worker's cells. It lives as long as the roster or an exchange knows the replica.
//!
//! A kept connection that turns out closed says nothing about the replica: it may have closed it for
//! being idle. Only a fresh connection tells.

mod in_flight;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::local_notify::{Bell, Ear};
use super::private_connections::Register;
use crate::load::{self, LoadView};
use crate::metrics::{ReplicaCounters, WorkerCounters};
use crate::ring::Seat;
use crate::roster::{Health, Member, ReplicaAddr, ReplicaId, ReplicaName};
use crate::wire::socket;

pub(super) use in_flight::InFlight;

/// A connection idle for longer than this is not trusted with a request that may be sent only once.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// What one worker holds about one replica.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) id: ReplicaId,
    pub(super) seat: Seat,
    pub(super) name: ReplicaName,
    pub(super) addr: ReplicaAddr,
    pub(super) health: Cell<Health>,
    /// Whether it gets no new requests, by order.
    drained: Cell<bool>,
    cells: Arc<ReplicaCounters>,
    worker: usize,
    /// The worker's view of the load, and which place of it is this replica's.
    balance: Rc<RefCell<LoadView>>,
    place: Cell<usize>,
    /// Time at which it was last chosen.
    pub(super) chosen_at: Cell<Instant>,
    idle: RefCell<Vec<Idle>>,
    /// Connections to it that are a client's own.
    pub(super) private: Register,
    retired: Cell<bool>,
    /// Told when the replica is worse off than before.
    doubt: Bell,
    /// Wakes requests that the slow guard holds back.
    relief: Bell,
}

/// What a request needs of a kept connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// It may turn out closed: the request can be sent again.
    Any,
    /// The kernel has not heard of its end: the request was lost before, and whoever is lost with it now
    /// shall have died holding it.
    Alive,
    /// It was in use a moment ago, too: the request must not be sent twice.
    Once,
}

#[derive(Debug)]
struct Idle {
    stream: TcpStream,
    since: Instant,
    until: Instant,
}

impl Pool {
    pub(super) fn new(member: &Member, worker: usize, balance: &Rc<RefCell<LoadView>>) -> Self {
        Self {
            id: member.id,
            seat: member.seat,
            name: member.name.clone(),
            addr: member.addr,
            health: Cell::new(member.health),
            drained: Cell::new(member.drained),
            cells: Arc::clone(&member.cells),
            worker,
            balance: Rc::clone(balance),
            place: Cell::new(usize::MAX),
            chosen_at: Cell::new(Instant::now()),
            idle: RefCell::default(),
            private: Register::default(),
            retired: Cell::new(false),
            doubt: Bell::default(),
            relief: Bell::default(),
        }
    }

    /// Takes in what the roster says. Whoever waits for the replica hears of a turn for the worse; to be
    /// drained is none.
    pub(super) fn set_health(&self, health: Health, drained: bool) {
        let before = self.health.replace(health);
        self.drained.set(drained);
        if !self.may_serve() || self.cells.is_iterative() {
            self.clear();
        }
        if is_worse(health, before) {
            self.doubt.ring();
        }
        self.relief.ring();
    }

    /// Has requests that wait for a replica that is not up look again whether another one is.
    pub(super) fn reconsider(&self) {
        if self.health.get() != Health::Up {
            self.doubt.ring();
        }
    }

    /// Closes all idle connections, and keeps none from here on: the replica left the roster.
    pub(super) fn retire(&self) {
        self.retired.set(true);
        self.place.set(usize::MAX);
        self.relief.ring();
        self.clear();
    }

    /// Closes all idle connections.
    fn clear(&self) {
        self.idle.borrow_mut().clear();
        self.private.close();
    }

    /// Closes idle connections that are too old or were closed by the replica.
    pub(super) fn sweep(&self, now: Instant) {
        let fit = |idle: &Idle| idle.until > now && socket::is_idle_cached(&idle.stream);
        self.idle.borrow_mut().retain(fit);
        self.private.sweep();
    }

    /// A kept connection that is fit for a request with this need.
    pub(super) fn take(&self, need: Need, now: Instant) -> Option<TcpStream> {
        let mut idle = self.idle.borrow_mut();
        while let Some(newest) = idle.pop() {
            let fresh =
                newest.until > now && !(need == Need::Once && now - newest.since >= TRUSTED_IDLE);
            if !fresh {
                // Those below it are older still, but may serve requests that can be repeated.
                if newest.until <= now {
                    idle.clear();
                } else {
                    idle.push(newest);
                }
                return None;
            }
            let silent = match need {
                Need::Any => socket::is_idle_cached(&newest.stream),
                Need::Alive | Need::Once => socket::is_idle(&newest.stream),
            };
            if silent {
                return Some(newest.stream);
            }
        }
        None
    }

    /// Keeps a connection on which nothing is owed, for at most `keep`. None is kept to a replica that
    /// serves one connection at a time: requests of others would wait for its end.
    pub(super) fn give(&self, stream: TcpStream, keep: Duration, most: usize, now: Instant) {
        let mut idle = self.idle.borrow_mut();
        if self.keeps() && idle.len() < most && !keep.is_zero() {
            idle.push(Idle {
                stream,
                since: now,
                until: now + keep,
            });
        }
    }

    /// Whether connections to it are kept for later requests.
    pub(super) fn keeps(&self) -> bool {
        !self.retired.get() && self.may_serve() && !self.cells.is_iterative()
    }

    /// Notes an answer of the replica, which took so long.
    pub(super) fn answered(&self, now: Instant, time: Duration) {
        self.cell().first_byte.observe(time);
        self.cells.answered(self.worker, now.into_std());
    }

    /// Whether new requests go to it without hesitation.
    pub(super) fn is_open(&self) -> bool {
        self.health.get() == Health::Up && !self.drained.get()
    }

    /// Whether new requests may go to it, should there be nobody better.
    pub(super) fn may_serve(&self) -> bool {
        self.health.get() != Health::Down && !self.drained.get()
    }

    /// Takes a place in the worker's view of the load.
    pub(super) fn sit(&self, place: usize) -> load::SeatInput {
        self.place.set(place);
        load::SeatInput {
            seat: self.seat,
            replica_id: self.id.0,
            open: self.is_open(),
            requests: self.requests(),
        }
    }

    /// Requests for which any worker chose it.
    pub(super) fn requests(&self) -> u64 {
        self.cells.requests()
    }

    /// Publishes that this worker found it slow, and logs why.
    pub(super) fn becomes_slow(&self) {
        self.cell().slow.store(true, Ordering::Relaxed);
        tracing::info!(
            "seat {} is slow: requests wait that others would have been answered; its keys go to the next seat (--slow-guard)",
            self.seat
        );
    }

    /// A listener for the end of a wait that the slow guard ordered.
    pub(super) fn relief_ear(&self) -> Ear<'_> {
        self.relief.ear()
    }

    /// The worker's own cell.
    pub(super) fn cell(&self) -> &WorkerCounters {
        self.cells.worker(self.worker)
    }
}

/// Whether a replica's health is worse than it was.
fn is_worse(health: Health, before: Health) -> bool {
    match before {
        Health::Up => health != Health::Up,
        Health::Suspect => health == Health::Down,
        Health::Down => false,
    }
}

#[cfg(test)]
mod tests;
