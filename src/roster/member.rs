//! Member of a roster: a replica in its seat, with its address and health.

use std::fmt;
use std::sync::Arc;

use super::ReplicaName;
use crate::load::SlowStart;
use crate::metrics::ReplicaCounters;
use crate::ring::Seat;
use crate::wire::stream_addr::StreamAddr;

/// Identity of one replica process or container; never reused while the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(pub u64);

/// Address where a replica accepts requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaAddr(pub StreamAddr);

impl fmt::Display for ReplicaAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
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
    /// Its slow start, while it takes only a part of its keys.
    pub slow_start: Option<SlowStart>,
    /// Counters of the workers about it.
    pub counters: Arc<ReplicaCounters>,
}
