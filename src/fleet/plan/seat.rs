//! Record of one seat: its holder, its successor, and the delay before the next start.
//!
//! A dead holder stays in its seat, as `Down`, until a successor has answered. So the roster always
//! says which replica served there last.

use std::mem;
use std::time::{Duration, Instant};

use super::backend::Backend;
use super::backoff::Backoff;
use super::seat_history::SeatHistory;
use crate::fleet::version::Version;
use crate::load::SlowStart;
use crate::ring::Seat;
use crate::roster::{Health, ReplicaAddr, ReplicaId, ReplicaName};

/// Last replica that answered in a seat.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    pub(super) id: ReplicaId,
    pub(super) name: ReplicaName,
    pub(super) addr: ReplicaAddr,
    pub(super) health: Health,
    /// `true` if an order keeps new requests from it.
    pub(super) drained: bool,
    /// Version that it runs; `None` for a fixed backend.
    pub(super) version: Option<Version>,
    /// `true` if it does not know its seat, so that a replica started for the seat is to follow.
    pub(super) stands_in: bool,
}

/// Seat that is wanted, or is being removed.
#[derive(Debug)]
pub(super) struct SeatRecord {
    pub(super) seat: Seat,
    /// Name of its first replica, for as long as the seat has had no holder.
    pub(super) first_name: ReplicaName,
    /// Version that its next replica runs; `None` with fixed backends.
    pub(super) version: Option<Version>,
    /// Addresses of its fixed backend; `None` with other engines.
    pub(super) backend: Option<Backend>,
    pub(super) holder: Option<Holder>,
    /// Replica that is being started for it.
    pub(super) successor: Option<ReplicaId>,
    /// Delay before the next start.
    pub(super) backoff: Backoff,
    /// Time since which its holder is down.
    pub(super) down_since: Option<Instant>,
    /// Time since which its holder is up.
    pub(super) up_since: Option<Instant>,
    /// Time at which its holder last began to get requests; `None` for a first replica that joins
    /// together with others.
    pub(super) joined_at: Option<Instant>,
    /// Time since which its holder is up and was never suspect.
    pub(super) steady_since: Option<Instant>,
    /// `true` if an order to the former balancer drained its first holder.
    pub(super) begins_drained: bool,
    /// `true` if it served the balancer that is being taken over.
    pub(super) inherited: bool,
    /// `true` for a first seat in which no replica has answered yet.
    pub(super) awaits_first_answer: bool,
    /// `true` if an order took it off the ring, and its replicas have not ended yet.
    pub(super) leaving: bool,
    /// Number of its holders that were found dead.
    pub(super) deaths: u64,
    /// Former holders.
    pub(super) past: SeatHistory,
    /// Failed start or death because of which it has no living holder, as a phrase.
    pub(super) failure: Option<String>,
}

impl SeatRecord {
    /// Seat without a holder, whose first replica is to have this name and this version.
    pub(super) fn new(seat: Seat, first_name: ReplicaName, version: Option<Version>) -> Self {
        Self {
            seat,
            first_name,
            version,
            backend: None,
            holder: None,
            successor: None,
            backoff: Backoff::default(),
            down_since: None,
            up_since: None,
            joined_at: None,
            steady_since: None,
            begins_drained: false,
            inherited: false,
            awaits_first_answer: false,
            leaving: false,
            deaths: 0,
            past: SeatHistory::default(),
            failure: None,
        }
    }

    /// Returns the id of its holder, dead or alive.
    pub(super) fn holder_id(&self) -> Option<ReplicaId> {
        self.holder.as_ref().map(|holder| holder.id)
    }

    /// Returns `true` if its holder has answered and is not dead.
    pub(super) fn is_held(&self) -> bool {
        let holder = self.holder.as_ref();
        holder.is_some_and(|holder| holder.health != Health::Down)
    }

    /// Returns `true` if it has a holder that needs no successor.
    pub(super) fn is_filled(&self) -> bool {
        let stands_in = self.holder.as_ref().is_some_and(|h| h.stands_in);
        self.is_held() && !stands_in
    }

    /// Returns `true` if it has had no holder, and its first replica is to have this name.
    pub(super) fn is_kept_for(&self, name: &ReplicaName) -> bool {
        self.holder.is_none() && self.first_name == *name
    }

    /// Returns the name of its holder, or that of its first replica.
    pub(super) fn display_name(&self) -> &ReplicaName {
        let holder = self.holder.as_ref();
        holder.map_or(&self.first_name, |holder| &holder.name)
    }

    /// Records an answer in the seat. Returns `true` if it is the first in a first seat, whose
    /// replica has a slow start only if it joins late.
    pub(super) fn record_first_answer(&mut self, joins_late: bool, now: Instant) -> bool {
        let is_first = mem::take(&mut self.awaits_first_answer);
        if is_first && joins_late {
            self.joined_at = Some(now);
        }
        is_first
    }

    /// Gives the seat to a replica that has answered, and whose version it has from now on. Returns
    /// the former holder.
    pub(super) fn set_holder(&mut self, holder: Holder, now: Instant) -> Option<Holder> {
        self.successor = None;
        self.version.clone_from(&holder.version);
        self.holder_answers(now);
        self.holder.replace(holder)
    }

    /// Returns the slow start of its holder over `time`, unless that is over.
    pub(super) fn slow_start(&self, time: Duration, now: Instant) -> Option<SlowStart> {
        SlowStart::new(self.joined_at?, time, now)
    }

    /// Records the death of its holder.
    pub(super) fn holder_died(&mut self, now: Instant) {
        let up_for = self.up_since.take().map(|up| now - up);
        self.backoff.record_death(now, up_for);
        self.down_since = Some(now);
        self.deaths += 1;
    }

    /// Records that its holder answers, for the first time or again.
    pub(super) fn holder_answers(&mut self, now: Instant) {
        self.up_since = Some(now);
        self.joined_at = Some(now).filter(|_| !self.awaits_first_answer);
        self.steady_since = Some(now);
        self.down_since = None;
        self.backoff.allow_now();
        self.failure = None;
    }
}
