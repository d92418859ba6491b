//! The versions from before the last replacements, so that these can be taken back one after the
//! other.

use std::collections::{BTreeMap, VecDeque};

use crate::fleet::version::Version;
use crate::ring::Seat;

/// Number of replacements that can be taken back.
const MAX_HISTORY: usize = 8;

/// Former versions of the last [`MAX_HISTORY`] replacements, the latest last.
#[derive(Debug, Default)]
pub(super) struct VersionHistory(VecDeque<FormerVersions>);

impl VersionHistory {
    /// Adds the versions from before a replacement that begins.
    pub(super) fn push(&mut self, former: FormerVersions) {
        if self.0.len() == MAX_HISTORY {
            self.0.pop_front();
        }
        self.0.push_back(former);
    }

    /// Returns the versions from before the last replacement.
    pub(super) fn last(&self) -> Option<&FormerVersions> {
        self.0.back()
    }

    /// Removes the versions from before a replacement that was taken back.
    pub(super) fn pop(&mut self) -> Option<FormerVersions> {
        self.0.pop_back()
    }
}

/// Versions from before a replacement: of the fleet, and of the seats that it was to replace.
#[derive(Clone, Debug, Default)]
pub(super) struct FormerVersions {
    /// Version of the fleet, which the replacement of all seats changes.
    fleet: Option<Version>,
    is_fleet_wide: bool,
    seats: BTreeMap<Seat, Version>,
}

impl FormerVersions {
    /// Versions that new seats and standbys, and these seats, are to run at present.
    /// `is_fleet_wide`: the replacement also changes what new seats run.
    pub(super) fn new(
        fleet: Option<Version>,
        is_fleet_wide: bool,
        seats: impl Iterator<Item = (Seat, Version)>,
    ) -> Self {
        Self {
            fleet,
            is_fleet_wide,
            seats: seats.collect(),
        }
    }

    /// Returns the former version of a seat: of one that was added later, that of the fleet.
    pub(super) fn version(&self, seat: Seat) -> Option<&Version> {
        let of_fleet = || self.fleet.as_ref().filter(|_| self.is_fleet_wide);
        self.seats.get(&seat).or_else(of_fleet)
    }

    /// Returns the former version of new seats and standbys.
    pub(super) fn into_fleet_version(self) -> Option<Version> {
        self.fleet
    }
}
