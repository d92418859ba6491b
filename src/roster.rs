//! The roster: one immutable, versioned snapshot of the ring, its seats, their replicas and their
//! health. The fleet is its one writer. Ring and members are published together, so that no reader
//! sees one of them newer than the other.
//!
//! Each worker follows a `watch` channel and stores the version that it has adopted. A replica that
//! left may be stopped once every worker has adopted a version without it.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use crate::load::LoadBound;
use crate::metrics::ReplicaCounters;
use crate::ring::{Ring, Seat};

/// Identity of one replica process or container; never reused while the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(pub u64);

/// Address where a replica accepts requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReplicaAddr(pub SocketAddr);

impl fmt::Display for ReplicaAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Name of a replica: legal as a hostname and as a container name. Validated once, here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaName(Arc<str>);

/// Maximum length of a replica name, in bytes: the longest hostname label (RFC 1035 §2.3.4).
pub const MAX_NAME: usize = 63;

/// Error for a text that is not a replica name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a legal replica name: [A-Za-z0-9][A-Za-z0-9_.-]{{0,62}}, and not 'json' or 'all'"
)]
pub struct BadReplicaName(String);

impl FromStr for ReplicaName {
    type Err = BadReplicaName;

    fn from_str(text: &str) -> Result<Self, BadReplicaName> {
        let bytes = text.as_bytes();
        let first = bytes.first().is_some_and(u8::is_ascii_alphanumeric);
        let rest = bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(b));
        // Both are keywords of commands, in places where a name is allowed.
        let is_word = ["json", "all"].contains(&text);
        if first && rest && bytes.len() <= MAX_NAME && !is_word {
            Ok(Self(text.into()))
        } else {
            Err(BadReplicaName(
                text.chars()
                    .take(2 * MAX_NAME)
                    .flat_map(char::escape_debug)
                    .collect(),
            ))
        }
    }
}

impl fmt::Display for ReplicaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for ReplicaName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Routing permission of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Route to it.
    Up,
    /// Skip it, unless only suspects remain.
    Suspect,
    /// Never route to it.
    Down,
}

/// Replica in a seat.
#[derive(Clone, Debug)]
pub struct Member {
    /// Identity of the replica.
    pub id: ReplicaId,
    /// Its seat.
    pub seat: Seat,
    /// Its name.
    pub name: ReplicaName,
    /// Address where it accepts requests.
    pub addr: ReplicaAddr,
    /// Routing permission.
    pub health: Health,
    /// `true` if it gets no new requests, by order. Requests in progress continue.
    pub drained: bool,
    /// Counters of the workers about it.
    pub cells: Arc<ReplicaCounters>,
}

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

/// Observation of a replica on the data path. It triggers a heartbeat and is never a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Observed replica.
    pub id: ReplicaId,
    /// Kind of observation.
    pub sign: EvidenceKind,
}

/// Kinds of [`Evidence`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvidenceKind {
    /// A new connection was refused or found no host: the seat becomes suspect.
    Refused,
    /// A new connection timed out: heartbeat now.
    ConnectTimeout,
    /// A connection ended or was reset before the reply was complete: heartbeat now.
    Lost,
    /// The reply timed out: heartbeat now.
    ReplyTimeout,
}

#[cfg(test)]
mod tests;
