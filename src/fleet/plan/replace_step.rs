//! Step of a replacement: the seat, its former holder, and the version that it is to run.

use super::backoff::Backoff;
use crate::fleet::version::Version;
use crate::ring::Seat;
use crate::roster::ReplicaId;

/// Seat to be replaced.
#[derive(Debug)]
pub(super) struct ReplaceStep {
    pub(super) seat: Seat,
    /// Holder that is to leave: at the order, or, for another version, when the step begins.
    pub(super) holder: Option<ReplicaId>,
    /// Version that the seat is to run; `None`: the one that it runs.
    pub(super) version: Option<Version>,
    /// `true` if that is its former version: nothing is to do once its holder runs it.
    pub(super) is_back: bool,
    /// Delay before the next attempt.
    pub(super) backoff: Backoff,
}

impl ReplaceStep {
    /// Replacement of the holder by this version, or by the one that the seat runs.
    pub(super) fn new(seat: Seat, holder: Option<ReplicaId>, version: Option<Version>) -> Self {
        Self {
            seat,
            holder,
            version,
            is_back: false,
            backoff: Backoff::default(),
        }
    }

    /// Return to the former version.
    pub(super) fn back(seat: Seat, version: Version) -> Self {
        Self {
            is_back: true,
            ..Self::new(seat, None, Some(version))
        }
    }

    /// Returns `true` if this version is the one that the step wants.
    pub(super) fn wants(&self, version: Option<&Version>) -> bool {
        self.version.is_none() || self.version.as_ref() == version
    }
}
