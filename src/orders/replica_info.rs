//! Information about each replica, sent from the fleet to the control port.
//!
//! Values only: the control port formats them as text and JSON. An age is measured on the fleet's
//! monotonic clock. `FleetSnapshot::at` converts ages to wall-clock time, so that the same event
//! always shows the same timestamp.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::backend_addr::BackendAddr;
use crate::ring::{Seat, Weight};
use crate::roster::{ReplicaAddr, ReplicaName};

/// Information about all replicas.
#[derive(Clone, Debug)]
pub struct FleetSnapshot {
    /// Time of the snapshot: the wall-clock time at the fleet's start plus the monotonic time
    /// since.
    pub at: SystemTime,
    /// By seat, standbys last.
    pub all: Vec<ReplicaInfo>,
    /// `true` if an order has changed the version of a replica.
    pub has_other_versions: bool,
    /// The replacement that is under way.
    pub replacement: Option<ReplacementInfo>,
}

/// Progress of a replacement. Displayed, it is a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplacementInfo {
    /// Version of the new replicas; `None`: that of their predecessors.
    pub version: Option<String>,
    /// `true` if the former versions are being brought back.
    pub back: bool,
    /// Number of seats that are done.
    pub done: usize,
    /// Number of all seats of the replacement.
    pub total: usize,
    /// Number of failures since it began, or since it turned back.
    pub failures: usize,
    /// `true` while the version is looked up, which may mean a pull.
    pub preparing: bool,
}

impl ReplacementInfo {
    /// Returns the progress in a phrase: `replaced 1 of 3`.
    #[must_use]
    pub fn progress(&self) -> String {
        let Self { done, total, .. } = self;
        match self.back {
            true if *total == 0 => "no seat had changed".to_owned(),
            true => format!("brought back {done} of {total}"),
            false => format!("replaced {done} of {total}"),
        }
    }
}

impl fmt::Display for ReplacementInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (done, total) = (self.done, self.total);
        if self.preparing {
            let version = self.version.as_deref().unwrap_or_default();
            return write!(f, "looking up {version}, for {total} to replace");
        }
        match (&self.version, self.back) {
            (_, true) => write!(
                f,
                "bringing the former versions back: {done} of {total} done"
            )?,
            (None, _) => write!(f, "replacing: {done} of {total} done")?,
            (Some(version), _) => write!(f, "replacing by {version}: {done} of {total} done")?,
        }
        match self.failures {
            0 => Ok(()),
            1 => f.write_str(", 1 failure"),
            failures => write!(f, ", {failures} failures"),
        }
    }
}

/// Replica, or seat that waits for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaInfo {
    /// Name of the replica. For a waiting seat, the name of its last or first replica.
    pub name: ReplicaName,
    /// Seat; `None` for a standby.
    pub seat: Option<Seat>,
    /// Stage of its life.
    pub state: ReplicaState,
    /// Address where it accepts requests, once known.
    pub addr: Option<ReplicaAddr>,
    /// Address of a fixed backend as typed, with the host that `addr` was looked up from.
    pub backend: Option<BackendAddr>,
    /// Identity in the engine: `pid:4711`, `container:0123456789ab`.
    pub engine_id: Option<String>,
    /// Time since it came up.
    pub up_for: Option<Duration>,
    /// Number of deaths in its seat.
    pub deaths: u64,
    /// Duration of the last answered heartbeat.
    pub heartbeat: Option<Duration>,
    /// Requests and tunnels in progress.
    pub in_flight: u64,
    /// Weight of its seat; `None` for a standby.
    pub weight: Option<Weight>,
    /// Version that it runs; `None` for a fixed backend.
    pub version: Option<String>,
    /// `true` if `/rep` lists it.
    pub in_rep_list: bool,
    /// Reason for which the seat waits, the duration of the replica's silence, or its failure.
    pub reason: Option<String>,
    /// Earlier holders of the seat and earlier outages, the latest first.
    pub past: Vec<PastReplica>,
}

/// Replica that died or was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastReplica {
    /// Name of the replica.
    pub name: ReplicaName,
    /// Time since the event.
    pub ago: Duration,
    /// Verdict, as a phrase.
    pub reason: String,
    /// Exit reason from the engine, with the exit code if there was one.
    pub exit: Option<String>,
    /// Last lines that it wrote.
    pub last_lines: Vec<String>,
}

/// Stage of a replica's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaState {
    /// The replica was started and has not answered.
    Starting,
    /// The replica has answered and waits for the others of its `/add`.
    Answered,
    /// The replica serves requests.
    Up,
    /// The replica answers with errors, and some worker diverts its requests (`--eject-5xx`).
    Ejected,
    /// The replica gets no new requests, by order.
    Drained,
    /// Routing skips the replica until it answers a heartbeat.
    Suspect,
    /// The replica is down, and health-checked: it may recover.
    Silent,
    /// The replica is down and is not replaced.
    Down,
    /// The replica has left the ring and finishes its requests.
    Leaving,
    /// The replica is being removed.
    Removing,
    /// The seat is empty, and no replica is being started for it at the moment.
    Waiting,
    /// The replica is up, and waits for a seat.
    Standby,
    /// The standby is being assigned its seat.
    Promoting,
}

impl ReplicaState {
    /// Returns the state's label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Answered => "answered",
            Self::Up => "up",
            Self::Ejected => "ejected",
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
