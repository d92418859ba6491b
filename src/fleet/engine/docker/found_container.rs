//! A replica's container that was found at start.

use std::time::{Instant, SystemTime};

use super::container_id::ContainerId;
use crate::fleet::version::Version;
use crate::ring::Seat;
use crate::roster::{ReplicaAddr, ReplicaName};

/// A replica's container that was there before this process.
#[derive(Clone, Debug)]
pub(in crate::fleet) struct FoundContainer {
    pub(in crate::fleet) container: ContainerId,
    /// The seat that it was made for or was assigned; `None` for a standby.
    pub(in crate::fleet) seat: Option<Seat>,
    /// `true` if the seat was read from the container's log, not from its labels.
    pub(in crate::fleet) seat_is_from_log: bool,
    pub(in crate::fleet) name: ReplicaName,
    pub(in crate::fleet) state: FoundState,
    /// Version that it runs or ran; `None` if its image cannot be told.
    pub(in crate::fleet) version: Option<Version>,
    /// Image of the settings that its own was ordered in place of.
    pub(in crate::fleet) instead_of: Option<String>,
    /// Time of its start, unless the engine does not tell it.
    pub(in crate::fleet) started: Option<Instant>,
    /// Creation time, in seconds since 1970.
    pub(in crate::fleet) created: i64,
}

/// The state of a container that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::fleet) enum FoundState {
    /// The container runs and may answer at this address.
    Runs(ReplicaAddr),
    /// The container does not run or cannot be reached; the reason, in a phrase.
    Ended(String),
}

/// Converts a time in the past; `None` if it is in the future by this machine's clock.
pub(super) fn to_instant(time: SystemTime) -> Option<Instant> {
    let age = SystemTime::now().duration_since(time).ok()?;
    Instant::now().checked_sub(age)
}
