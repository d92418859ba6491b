//! Table of the seats.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

use super::seat::SeatRecord;
use crate::fleet::engine::{ExitReport, VacantSeats};
use crate::fleet::version::Version;
use crate::ring::Seat;
use crate::roster::{Health, ReplicaId, ReplicaName};

/// All seats, in the order of `/rep`: the first seats, then those of each `/add`.
#[derive(Debug)]
pub(super) struct SeatTable {
    seats: Vec<SeatRecord>,
}

impl SeatTable {
    /// Table of these distinct seats.
    pub(super) fn new(seats: Vec<SeatRecord>) -> Self {
        Self { seats }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &SeatRecord> {
        self.seats.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut SeatRecord> {
        self.seats.iter_mut()
    }

    /// Returns the seats that are wanted: all but those that are being removed.
    pub(super) fn wanted(&self) -> impl Iterator<Item = &SeatRecord> {
        self.seats.iter().filter(|record| !record.leaving)
    }

    /// Returns N, the number of wanted seats.
    pub(super) fn wanted_count(&self) -> usize {
        self.wanted().count()
    }

    /// Returns the numbers of all seats, those that are being removed included.
    pub(super) fn all_seats(&self) -> BTreeSet<Seat> {
        self.seats.iter().map(|record| record.seat).collect()
    }

    /// Returns the numbers of the wanted seats.
    pub(super) fn wanted_seats(&self) -> BTreeSet<Seat> {
        self.wanted().map(|record| record.seat).collect()
    }

    pub(super) fn get(&self, seat: Seat) -> Option<&SeatRecord> {
        self.seats.iter().find(|record| record.seat == seat)
    }

    pub(super) fn get_mut(&mut self, seat: Seat) -> Option<&mut SeatRecord> {
        self.seats.iter_mut().find(|record| record.seat == seat)
    }

    /// Returns the seat that `id` holds.
    pub(super) fn held_by(&self, id: ReplicaId) -> Option<&SeatRecord> {
        self.seats
            .iter()
            .find(|record| record.holder_id() == Some(id))
    }

    /// Returns the seat that `id` holds, mutably.
    pub(super) fn held_by_mut(&mut self, id: ReplicaId) -> Option<&mut SeatRecord> {
        self.seats
            .iter_mut()
            .find(|record| record.holder_id() == Some(id))
    }

    /// Appends a seat.
    pub(super) fn push(&mut self, record: SeatRecord) {
        self.seats.push(record);
    }

    /// Removes a seat and returns its record.
    pub(super) fn remove(&mut self, seat: Seat) -> Option<SeatRecord> {
        let at = self.seats.iter().position(|record| record.seat == seat)?;
        Some(self.seats.remove(at))
    }

    /// Returns `true` if each of the first seats has had an answer, or was removed by order.
    pub(super) fn has_all_first_answers(&self) -> bool {
        !self.seats.iter().any(|record| record.awaits_first_answer)
    }

    /// Returns `true` if a first replica of `seat` would join others that have been up for longer
    /// than `slow_start`, or have served the former balancer while the seat did not.
    pub(super) fn joins_late(&self, seat: Seat, slow_start: Duration, now: Instant) -> bool {
        let is_inherited = self.get(seat).is_some_and(|record| record.inherited);
        let mut others = self.seats.iter().filter(|record| record.seat != seat);
        others.any(|other| {
            let served = other.inherited && !is_inherited;
            let up_for = other.up_since.map(|up| now.saturating_duration_since(up));
            let is_older = up_for.is_some_and(|up_for| up_for > slow_start);
            served && (other.is_held() || other.awaits_first_answer) || is_older
        })
    }

    /// Sets the health of the holder `id`. Returns `true` if the roster shows the difference: a
    /// seat that is being removed is no longer in the roster.
    pub(super) fn set_health(&mut self, id: ReplicaId, health: Health, now: Instant) -> bool {
        let Some(record) = self.held_by_mut(id) else {
            return false;
        };
        record.steady_since = match health {
            Health::Up => record.steady_since.or(Some(now)),
            _ => None,
        };
        let leaving = record.leaving;
        record.holder.as_mut().is_some_and(|holder| {
            let differs = holder.health != health;
            holder.health = health;
            differs && !leaving
        })
    }

    /// Adds the engine's exit report to the newest history entry of `id`, if there is one.
    pub(super) fn record_exit(&mut self, id: ReplicaId, exit: &ExitReport) {
        let mut records = self.seats.iter_mut().rev();
        records.any(|record| record.past.record_exit(id, exit));
    }

    /// Returns the number of wanted seats whose holder is up and takes requests.
    pub(super) fn up_count(&self) -> usize {
        self.wanted()
            .filter_map(|record| record.holder.as_ref())
            .filter(|holder| holder.health == Health::Up && !holder.drained)
            .count()
    }

    /// Returns the distinct versions that the living holders of wanted seats run.
    pub(super) fn versions(&self) -> HashSet<&Version> {
        let held = self.wanted().filter(|record| record.is_held());
        let holders = held.filter_map(|record| record.holder.as_ref());
        holders
            .filter_map(|holder| holder.version.as_ref())
            .collect()
    }

    /// Returns the number of wanted seats whose holder is alive and drained by order.
    pub(super) fn drained_count(&self) -> usize {
        self.wanted()
            .filter_map(|record| record.holder.as_ref())
            .filter(|holder| holder.health != Health::Down && holder.drained)
            .count()
    }

    /// Returns the number of inherited seats whose replica has not answered this process yet.
    pub(super) fn unanswered_inherited_count(&self) -> usize {
        self.wanted()
            .filter(|record| record.inherited && !record.is_held())
            .count()
    }

    /// Returns the names that `/rep` lists.
    pub(super) fn listed(&self) -> Vec<ReplicaName> {
        let held = self.seats.iter().filter(|record| record.is_held());
        held.filter_map(|record| record.holder.as_ref())
            .map(|holder| holder.name.clone())
            .collect()
    }

    /// Returns the wanted seats that have no holder or a stand-in, each with its last holder.
    pub(super) fn vacant(&self) -> VacantSeats {
        self.wanted()
            .filter(|record| !record.is_filled())
            .map(|record| (record.seat, record.holder_id()))
            .collect()
    }
}
