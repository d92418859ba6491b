//! The roster: one immutable, versioned snapshot of the ring, who sits where, and their health; its one
//! writer (the fleet), and how the workers receive it. Ring and members are published together, so no
//! reader ever sees one of them newer than the other.
//!
//! It is pushed: each worker follows a `watch` and stores the version it has adopted in its `seen`
//! cell. A replica that left may be stopped once every worker has seen a version without it.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use crate::load::LoadBound;
use crate::metrics::ReplicaCounters;
use crate::ring::{Ring, Seat};

/// One life of one replica; never used twice while the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(pub u64);

/// Where a replica accepts requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReplicaAddr(pub SocketAddr);

impl fmt::Display for ReplicaAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A replica's name: legal as a hostname and as a container name. Validated once, here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaName(Arc<str>);

/// The longest legal replica name, in bytes: the longest hostname label (RFC 1035 §2.3.4).
pub const MAX_NAME: usize = 63;

/// A text that is no replica name.
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
        // Both are words of commands, where a name may stand.
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

/// What routing may do with a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Route to it.
    Up,
    /// Skip it, unless only suspects remain.
    Suspect,
    /// Never route to it.
    Down,
}

/// A replica in a seat.
#[derive(Clone, Debug)]
pub struct Member {
    /// Which life of which replica this is.
    pub id: ReplicaId,
    /// Where it sits.
    pub seat: Seat,
    /// What it is called.
    pub name: ReplicaName,
    /// Where it accepts requests.
    pub addr: ReplicaAddr,
    /// What routing may do with it.
    pub health: Health,
    /// Whether it gets no new requests, by order. Those it has go on.
    pub drained: bool,
    /// What the workers count about it.
    pub cells: Arc<ReplicaCounters>,
}

/// The snapshot. A seat on the ring without a member is one whose replica has not started yet.
#[derive(Clone, Debug)]
pub struct Roster {
    /// Grows by one with every change; the first is 0.
    pub version: u64,
    /// Who owns which key.
    pub ring: Arc<dyn Ring>,
    /// How far above the mean a seat's load may lie.
    pub bound: LoadBound,
    /// Whether health may change by itself: false when heartbeats are off, and then there is no point
    /// in waiting for a seat to come up.
    pub watched: bool,
    members: Vec<Member>,
}

impl Roster {
    /// A snapshot of `members`, in any order, over `ring`.
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

    /// Whether the ring or the bound differ from those of `other`. The fleet makes a new ring whenever the
    /// seats change, and for nothing else.
    #[must_use]
    pub fn ring_or_bound_differs(&self, other: &Self) -> bool {
        !std::ptr::addr_eq(Arc::as_ptr(&self.ring), Arc::as_ptr(&other.ring))
            || self.bound != other.bound
    }

    /// Who sits in `seat`.
    #[must_use]
    pub fn member(&self, seat: Seat) -> Option<&Member> {
        self.position(seat).map(|at| &self.members[at])
    }

    /// Where among the [`Self::members`] the one in `seat` stands.
    #[must_use]
    pub fn position(&self, seat: Seat) -> Option<usize> {
        // Seats are mostly 1..=N without gaps, so the place of seat n is mostly n-1.
        let guess = (seat.0 as usize).wrapping_sub(1);
        match self.members.get(guess) {
            Some(member) if member.seat == seat => Some(guess),
            _ => self
                .members
                .binary_search_by_key(&seat, |member| member.seat)
                .ok(),
        }
    }

    /// All members, by seat.
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

/// The end of whoever only looks.
#[derive(Clone, Debug)]
pub struct Observer(watch::Receiver<Arc<Roster>>);

impl Observer {
    /// The newest roster.
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

/// One writer and `workers` readers of the roster, all starting from `first`.
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

    /// The newest roster.
    #[must_use]
    pub fn latest(&self) -> Arc<Roster> {
        Arc::clone(&self.tx.borrow())
    }

    /// An end to look at the newest roster from.
    #[must_use]
    pub fn observer(&self) -> Observer {
        Observer(self.tx.subscribe())
    }

    /// The oldest version that some worker still works with.
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
    /// The worker's number, counted from 0.
    #[must_use]
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// The newest roster, which counts as received.
    pub fn latest(&mut self) -> Arc<Roster> {
        Arc::clone(&self.rx.borrow_and_update())
    }

    /// Waits for a roster newer than the last received; `None` when the writer is gone. Cancel safe.
    pub async fn changed(&mut self) -> Option<Arc<Roster>> {
        self.rx.changed().await.ok()?;
        Some(self.latest())
    }

    /// Tells the writer that this worker routes by `version` or newer from here on.
    pub fn acknowledge(&self, version: u64) {
        self.seen[self.worker].store(version, Ordering::Release);
    }
}

/// What the data path saw of a replica. It is a hint to look, never a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Of whom.
    pub id: ReplicaId,
    /// What.
    pub sign: EvidenceKind,
}

/// The kinds of [`Evidence`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvidenceKind {
    /// A fresh connection was refused or found no host: the seat becomes suspect.
    Refused,
    /// A fresh connection was not made in time: heartbeat now.
    ConnectTimeout,
    /// A connection ended or was reset before the reply was whole: heartbeat now.
    Lost,
    /// The reply did not come in time: heartbeat now.
    ReplyTimeout,
}

#[cfg(test)]
mod tests;
