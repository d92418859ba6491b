//! Private connections: one to a replica on which the server has authenticated a client by NTLM or
//! Negotiate ([`crate::wire::connection_auth`]) serves this client alone, until one of its ends closes.
//!
//! The client's session owns it. All its later requests take it, whatever their key: the handshake is three
//! requests on one connection, and the login is worth nothing on another. While it is idle, the replica's
//! pool can close it too, as it closes its own when the replica is down, drained or gone.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::access_record::RouteReason;
use super::upstream::{InFlight, Upstream};
use super::worker::Worker;
use crate::ring::Key;
use crate::wire::socket;

/// A client's own connection to a replica.
#[derive(Debug)]
pub(super) struct PrivateConnection {
    pool: Rc<Upstream>,
    /// The connection while no request is on it, and when the server will close it, as far as it has said.
    idle: RefCell<Option<(TcpStream, Option<Instant>)>>,
}

impl PrivateConnection {
    /// The replica for a request with this key, now in flight. `None` if the connection was closed, and then
    /// so it is here.
    pub(super) fn begin(&self, worker: &Worker, key: Key, now: Instant) -> Option<InFlight> {
        let mut idle = self.idle.borrow_mut();
        idle.take_if(|(stream, until)| is_over(*until) || !socket::is_idle(stream));
        if idle.is_none() || !self.pool.keeps_connections() {
            return None;
        }
        let view = worker.view();
        let how = match view.roster.ring.owner(key) == Some(self.pool.seat) {
            true => RouteReason::Home,
            false => RouteReason::Private,
        };
        let (in_flight, fold) = InFlight::begin(Rc::clone(&self.pool), how, now);
        if fold {
            worker.merge_loads(&view);
        }
        Some(in_flight)
    }

    /// The connection, for the request that has entered.
    pub(super) fn take(&self) -> Option<TcpStream> {
        let (stream, _) = self.idle.take()?;
        Some(stream)
    }

    /// Keeps `stream` for the next request of the client whose private connection is `own`, for as long as
    /// the server says that it does.
    pub(super) fn keep(
        own: &mut Option<Rc<Self>>,
        pool: &Rc<Upstream>,
        stream: TcpStream,
        keep: Duration,
        now: Instant,
    ) {
        if !pool.keeps_connections() || keep.is_zero() {
            return;
        }
        let same = own.take().filter(|own| Rc::ptr_eq(&own.pool, pool));
        let private = same.unwrap_or_else(|| {
            let private = Rc::new(Self {
                pool: Rc::clone(pool),
                idle: RefCell::default(),
            });
            pool.private.0.borrow_mut().push(Rc::downgrade(&private));
            private
        });
        private.idle.replace(Some((stream, now.checked_add(keep))));
        *own = Some(private);
    }
}

fn is_over(until: Option<Instant>) -> bool {
    until.is_some_and(|until| until <= Instant::now())
}

/// The private connections to one replica.
#[derive(Debug, Default)]
pub(super) struct PrivateConnections(RefCell<Vec<Weak<PrivateConnection>>>);

impl PrivateConnections {
    /// Closes those that are idle.
    pub(super) fn close(&self) {
        self.close_if(|_, _| true);
    }

    /// Closes those that are idle and were closed by the server, or soon will be.
    pub(super) fn sweep(&self) {
        self.close_if(|stream, until| is_over(until) || !socket::is_idle_cached(stream));
    }

    fn close_if(&self, unfit: impl Fn(&TcpStream, Option<Instant>) -> bool) {
        self.0.borrow_mut().retain(|private| {
            let Some(private) = private.upgrade() else {
                return false;
            };
            let mut idle = private.idle.borrow_mut();
            idle.take_if(|(stream, until)| unfit(stream, *until));
            true
        });
    }
}
