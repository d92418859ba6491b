//! The roster: one immutable, versioned snapshot of the ring, its seats, their replicas and their
//! health. The fleet is its one writer. Ring and members are published together, so that no reader
//! sees one of them newer than the other.
//!
//! Each worker follows a `watch` channel and stores the version that it has adopted. A replica that
//! left may be stopped once every worker has adopted a version without it.

mod evidence;
mod member;
mod name;

pub use evidence::{Evidence, EvidenceKind};
pub use member::{Health, Member, ReplicaAddr, ReplicaId};
pub use name::{BadReplicaName, MAX_NAME, ReplicaName};

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use crate::load::LoadBound;
use crate::ring::{Ring, RingHash, Seat};

/// The snapshot. A ring seat without a member belongs to a replica that has not started yet.
#[derive(Clone, Debug)]
pub struct Roster {
    /// Version, which grows by one with every change; the first is 0.
    pub version: u64,
    /// Ring that assigns keys to seats.
    pub ring: Arc<dyn Ring>,
    /// Limit of a seat's load above the mean.
    pub bound: LoadBound,
    /// `true` if health may change by itself. Without heartbeats it cannot, and waiting for a seat
    /// to come up is pointless.
    pub watched: bool,
    /// `true` if a replica is in slow start.
    pub has_slow_starts: bool,
    members: Vec<Member>,
}

impl Roster {
    /// Returns a snapshot of `members`, in any order, over `ring`.
    #[must_use]
    pub fn new(
        version: u64,
        ring: Arc<dyn Ring>,
        bound: LoadBound,
        watched: bool,
        mut members: Vec<Member>,
    ) -> Self {
        members.sort_by_key(|member| member.seat);
        Self {
            version,
            ring,
            bound,
            watched,
            has_slow_starts: members.iter().any(|member| member.slow_start.is_some()),
            members,
        }
    }

    /// Returns `true` if the ring or the bound differ from those of `other`. The fleet makes a new
    /// ring whenever the seats change, and only then.
    #[must_use]
    pub fn ring_or_bound_differs(&self, other: &Self) -> bool {
        !std::ptr::addr_eq(Arc::as_ptr(&self.ring), Arc::as_ptr(&other.ring))
            || self.bound != other.bound
    }

    /// Returns the hash of the ring and the bound.
    #[must_use]
    pub fn ring_hash(&self) -> RingHash {
        RingHash::new(&*self.ring, self.bound.limit().unwrap_or(0.0))
    }

    /// Returns the member in `seat`.
    #[must_use]
    pub fn member(&self, seat: Seat) -> Option<&Member> {
        self.position(seat).map(|at| &self.members[at])
    }

    /// Returns the index among [`Self::members`] of the member in `seat`.
    #[must_use]
    pub fn position(&self, seat: Seat) -> Option<usize> {
        // Seats are mostly 1..=N without gaps, so the index of seat n is mostly n-1.
        let guess = (seat.0 as usize).wrapping_sub(1);
        match self.members.get(guess) {
            Some(member) if member.seat == seat => Some(guess),
            _ => self
                .members
                .binary_search_by_key(&seat, |member| member.seat)
                .ok(),
        }
    }

    /// Returns all members, by seat.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }
}

/// The fleet's end: the one writer.
#[derive(Debug)]
pub struct Publisher {
    tx: watch::Sender<Arc<Roster>>,
    seen: Arc<[AtomicU64]>,
}

/// Read-only handle for threads that do not route.
#[derive(Clone, Debug)]
pub struct Observer(watch::Receiver<Arc<Roster>>);

impl Observer {
    /// Returns the newest roster.
    #[must_use]
    pub fn latest(&self) -> Arc<Roster> {
        Arc::clone(&self.0.borrow())
    }
}

/// A worker's end.
#[derive(Debug)]
pub struct Subscriber {
    rx: watch::Receiver<Arc<Roster>>,
    seen: Arc<[AtomicU64]>,
    worker: usize,
}

/// Returns one writer and `workers` readers of the roster, all starting from `first`.
#[must_use]
pub fn channel(workers: usize, first: Roster) -> (Publisher, Vec<Subscriber>) {
    let (tx, rx) = watch::channel(Arc::new(first));
    let seen: Arc<[AtomicU64]> = (0..workers).map(|_| AtomicU64::new(0)).collect();
    let reader = |worker| Subscriber {
        rx: rx.clone(),
        seen: Arc::clone(&seen),
        worker,
    };
    let readers = (0..workers).map(reader).collect();
    (Publisher { tx, seen }, readers)
}

impl Publisher {
    /// Replaces the roster for all readers.
    pub fn publish(&self, roster: Roster) {
        debug_assert!(roster.version > self.tx.borrow().version);
        self.tx.send_replace(Arc::new(roster));
    }

    /// Returns the newest roster.
    #[must_use]
    pub fn latest(&self) -> Arc<Roster> {
        Arc::clone(&self.tx.borrow())
    }

    /// Returns a read-only handle.
    #[must_use]
    pub fn observer(&self) -> Observer {
        Observer(self.tx.subscribe())
    }

    /// Returns the oldest version that a worker still uses.
    #[must_use]
    pub fn min_acknowledged(&self) -> u64 {
        self.seen
            .iter()
            .map(|cell| cell.load(Ordering::Acquire))
            .min()
            .unwrap_or(u64::MAX)
    }
}

impl Subscriber {
    /// Returns the worker's number, counted from 0.
    #[must_use]
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// Returns the newest roster and marks it as received.
    pub fn latest(&mut self) -> Arc<Roster> {
        Arc::clone(&self.rx.borrow_and_update())
    }

    /// Waits for a roster newer than the last received; `None` once the writer is gone. Cancel
    /// safe.
    pub async fn changed(&mut self) -> Option<Arc<Roster>> {
        self.rx.changed().await.ok()?;
        Some(self.latest())
    }

    /// Acknowledges that this worker routes by `version` or a newer one from here on.
    pub fn acknowledge(&self, version: u64) {
        self.seen[self.worker].store(version, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
