//! The idle private connections to one replica, each in the slot of the client that it serves.
//!
//! The client's session owns the slot, and the replica's pool can empty it: when the replica is down, drained
//! or gone, or when the server has closed the connection.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::wire::socket;

/// Place of one private connection while no request is on it.
#[derive(Debug, Default)]
pub(super) struct PrivateSlot {
    /// The connection, and when the server closes it, as far as it has said.
    idle: RefCell<Option<(TcpStream, Option<Instant>)>>,
}

impl PrivateSlot {
    /// Returns `true` if it holds a connection that is open. One that is not is closed.
    pub(super) fn is_usable(&self) -> bool {
        self.close_if(|stream, until| is_over(until) || !socket::is_idle(stream));
        self.idle.borrow().is_some()
    }

    /// Takes the connection out.
    pub(super) fn take(&self) -> Option<TcpStream> {
        let (stream, _) = self.idle.take()?;
        Some(stream)
    }

    /// Puts a connection in that the server keeps until then.
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
#[derive(Debug, Default)]
pub(super) struct PrivateSlots(RefCell<Vec<Weak<PrivateSlot>>>);

impl PrivateSlots {
    /// Adds an empty slot. It lives as long as the returned pointer.
    pub(super) fn add(&self) -> Rc<PrivateSlot> {
        let slot = Rc::default();
        self.0.borrow_mut().push(Rc::downgrade(&slot));
        slot
    }

    /// Closes the idle connections.
    pub(super) fn close(&self) {
        self.close_if(|_, _| true);
    }

    /// Closes the idle connections that the server has closed, or soon will.
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
