//! What there is to know of one replica, as it crosses from the fleet to whoever shows it.
//!
//! Values only: how a card looks in text and in JSON is the control port's. Surprising: a card tells how
//! long ago something was, because the fleet's clock is not that of the wall; only all of them together say
//! when that is, by a clock that nobody sets, so that a moment is the same whenever it is asked for.

use std::time::{Duration, SystemTime};

use crate::ring::Seat;
use crate::roster::{ReplicaAddr, ReplicaName};

/// The cards of everybody.
#[derive(Clone, Debug)]
pub struct FleetSnapshot {
    /// When they were made: the clock time at the start of the fleet and what has passed since.
    pub at: SystemTime,
    /// By seat, standbys last.
    pub all: Vec<ReplicaInfo>,
}

/// A replica, or a seat that waits for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaInfo {
    /// What it is called; of a seat that waits, who was there last or is to be the first.
    pub name: ReplicaName,
    /// Where it sits; `None` for a standby.
    pub seat: Option<Seat>,
    /// Where it is in its life.
    pub state: ReplicaState,
    /// Where it accepts requests, once that is known.
    pub addr: Option<ReplicaAddr>,
    /// What it is to the machine: `pid:4711`, `container:0123456789ab`.
    pub engine_id: Option<String>,
    /// How long ago it came up.
    pub up_for: Option<Duration>,
    /// How often somebody in its seat was found dead.
    pub deaths: u64,
    /// How long the last heartbeat took that was answered.
    pub heartbeat: Option<Duration>,
    /// Requests and tunnels under way.
    pub in_flight: u64,
    /// Whether `/rep` lists it.
    pub in_rep_list: bool,
    /// Why the seat waits, or for how long the replica has been silent.
    pub reason: Option<String>,
    /// Who sat there before, or how it was down before, the last first.
    pub past: Vec<PastReplica>,
}

/// One who was found dead or was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastReplica {
    /// What it was called.
    pub name: ReplicaName,
    /// How long ago that was.
    pub ago: Duration,
    /// The verdict, in a phrase.
    pub reason: String,
    /// The engine's word of its end, with its exit code, if there was one.
    pub exit: Option<String>,
    /// The last lines that it wrote.
    pub last_lines: Vec<String>,
}

/// Where a replica is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaState {
    /// It was started and has not answered.
    Starting,
    /// It has answered and waits for the others of its `/add`.
    Answered,
    /// It serves.
    Up,
    /// It gets no new requests, by order.
    Drained,
    /// Routing skips it until it answers a heartbeat.
    Suspect,
    /// It is down, and watched: it may speak again.
    Silent,
    /// It is down, and nobody replaces it.
    Down,
    /// It left the ring and finishes what it has begun.
    Leaving,
    /// It is being removed.
    Removing,
    /// Nobody is in the seat and nobody is being started for it, for the moment.
    Waiting,
    /// It is up, and waits for a seat.
    Standby,
    /// It is being told which seat it is to take.
    Promoting,
}

impl ReplicaState {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Answered => "answered",
            Self::Up => "up",
            Self::Drained => "drained",
            Self::Suspect => "suspect",
            Self::Silent => "silent",
            Self::Down => "down",
            Self::Leaving => "leaving",
            Self::Removing => "removing",
            Self::Waiting => "waiting",
            Self::Standby => "standby",
            Self::Promoting => "promoting",
        }
    }
}
