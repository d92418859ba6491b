//! The private connections to one replica, each in the slot of the client that it serves.
//!
//! The client's session owns the slot. The replica can empty it too: when the replica is down,
//! drained or gone, or when the server has closed the connection. The slot names its replica by a
//! type parameter, so that this file depends on nothing of the data path.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::wire::socket;

/// Slot of one client for its private connection to `replica`.
#[derive(Debug)]
pub(super) struct PrivateSlot<Replica> {
    replica: Rc<Replica>,
    /// The connection while no request is on it, and the time when the server closes it, if
    /// announced.
    idle: RefCell<Option<(TcpStream, Option<Instant>)>>,
}

impl<Replica> PrivateSlot<Replica> {
    pub(super) fn replica(&self) -> &Rc<Replica> {
        &self.replica
    }

    /// Returns `true` if it holds a connection that can take a request. A connection that has
    /// ended, has unread bytes, or is past its time is dropped.
    pub(super) fn is_usable(&self) -> bool {
        self.close_if(|stream, until| is_over(until) || !socket::is_idle(stream));
        self.idle.borrow().is_some()
    }

    /// Takes the connection out for a request.
    pub(super) fn take(&self) -> Option<TcpStream> {
        let (stream, _) = self.idle.take()?;
        Some(stream)
    }

    /// Puts the connection back; the server keeps it until `until`, if announced.
    pub(super) fn put(&self, stream: TcpStream, until: Option<Instant>) {
        self.idle.replace(Some((stream, until)));
    }

    fn close_if(&self, unfit: impl Fn(&TcpStream, Option<Instant>) -> bool) {
        let mut idle = self.idle.borrow_mut();
        idle.take_if(|(stream, until)| unfit(stream, *until));
    }
}

fn is_over(until: Option<Instant>) -> bool {
    until.is_some_and(|until| until <= Instant::now())
}

/// Slots of the private connections to one replica.
#[derive(Debug)]
pub(super) struct PrivateSlots<Replica>(RefCell<Vec<Weak<PrivateSlot<Replica>>>>);

impl<Replica> Default for PrivateSlots<Replica> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<Replica> PrivateSlots<Replica> {
    /// Adds an empty slot, which lives as long as the returned pointer.
    pub(super) fn add(&self, replica: &Rc<Replica>) -> Rc<PrivateSlot<Replica>> {
        let slot = Rc::new(PrivateSlot {
            replica: Rc::clone(replica),
            idle: RefCell::default(),
        });
        self.0.borrow_mut().push(Rc::downgrade(&slot));
        slot
    }

    /// Closes the idle connections.
    pub(super) fn close(&self) {
        self.close_if(|_, _| true);
    }

    /// Closes the idle connections that the server has closed or soon closes.
    pub(super) fn sweep(&self) {
        self.close_if(|stream, until| is_over(until) || !socket::is_idle_cached(stream));
    }

    fn close_if(&self, unfit: impl Fn(&TcpStream, Option<Instant>) -> bool) {
        self.0.borrow_mut().retain(|slot| {
            let slot = slot.upgrade();
            slot.iter().for_each(|slot| slot.close_if(&unfit));
            slot.is_some()
        });
    }
}
