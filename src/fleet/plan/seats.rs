//! The book of seats: who holds each one, who is being started for it, and how long to wait before the
//! next try. Also the small questions about it that all parts of the plan ask.
//!
//! It gives no verdicts. Surprising: a dead holder stays in its seat, as `Down`, until its successor
//! has answered, so that the roster always says who sat there last.

use std::time::Instant;

use super::backoff::Backoff;
use super::seat_history::SeatHistory;
use super::{Action, Ownership, Phase, Plan, Replica};
use crate::fleet::engine::{StopMode, VacantSeats};
use crate::fleet::events::{EventKind, ReplicaEvent};
use crate::ring::Seat;
use crate::roster::{Health, ReplicaAddr, ReplicaId, ReplicaName};

/// Who was the last to answer in a seat.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    pub(super) id: ReplicaId,
    pub(super) name: ReplicaName,
    pub(super) addr: ReplicaAddr,
    pub(super) health: Health,
    /// Whether it gets no new requests, by order.
    pub(super) drained: bool,
    /// Whether it does not know its seat, and one that does is to follow.
    pub(super) stands_in: bool,
}

/// A seat that is wanted, or is being left.
#[derive(Debug)]
pub(super) struct SeatRecord {
    pub(super) seat: Seat,
    /// The name it starts with, for as long as nobody has answered in it.
    pub(super) first_name: ReplicaName,
    pub(super) holder: Option<Holder>,
    /// Who is being started for it.
    pub(super) successor: Option<ReplicaId>,
    /// How long to wait before the next start.
    pub(super) patience: Backoff,
    /// Since when its holder is down.
    pub(super) down_since: Option<Instant>,
    /// Since when its holder is up.
    pub(super) up_since: Option<Instant>,
    /// Whether the first in it is to get no requests, by an order to the balancer before us.
    pub(super) begins_drained: bool,
    /// Whether somebody in it served the balancer that is taken over.
    pub(super) is_owed: bool,
    /// It is off the ring by order and waits for the end of its replicas.
    pub(super) leaving: bool,
    /// How often a holder of it was found dead.
    pub(super) died: u64,
    /// Who held it before.
    pub(super) past: SeatHistory,
    /// Why the last start for it failed, until one succeeds.
    pub(super) failure: Option<String>,
}

impl SeatRecord {
    pub(super) fn new(seat: Seat, first_name: ReplicaName) -> Self {
        Self {
            seat,
            first_name,
            holder: None,
            successor: None,
            patience: Backoff::default(),
            down_since: None,
            up_since: None,
            begins_drained: false,
            is_owed: false,
            leaving: false,
            died: 0,
            past: SeatHistory::default(),
            failure: None,
        }
    }

    /// Whether somebody who has answered and is not dead holds it.
    pub(super) fn is_held(&self) -> bool {
        let holder = self.holder.as_ref();
        holder.is_some_and(|holder| holder.health != Health::Down)
    }

    /// Whether somebody holds it for whom no other is to be started.
    pub(super) fn is_filled(&self) -> bool {
        let stands_in = self.holder.as_ref().is_some_and(|h| h.stands_in);
        self.is_held() && !stands_in
    }

    /// Whether nobody has answered in it, and one of this name is to be the first.
    pub(super) fn is_kept_for(&self, name: &ReplicaName) -> bool {
        self.holder.is_none() && self.first_name == *name
    }

    /// Its holder died, who once answered: the successor may start at once, unless this is a habit.
    pub(super) fn holder_died(&mut self, now: Instant) {
        let up_for = self.up_since.take().map(|up| now - up);
        self.patience.record_death(now, up_for);
        self.down_since = Some(now);
        self.died += 1;
    }

    /// Its holder answers, as a new one or again.
    pub(super) fn holder_answers(&mut self, now: Instant) {
        self.up_since = Some(now);
        self.down_since = None;
        self.patience.retry_at = None;
        self.failure = None;
    }
}

impl Replica {
    pub(super) fn new(
        seat: Option<Seat>,
        name: ReplicaName,
        addr: Option<ReplicaAddr>,
        phase: Phase,
    ) -> Self {
        Self {
            seat,
            name,
            addr,
            phase,
            misses: 0,
            last_ok: None,
            silence: None,
            silence_told: false,
            iterative: false,
            was_found: false,
            ended: None,
        }
    }

    /// One that ran before we did.
    pub(super) fn found(
        seat: Option<Seat>,
        name: ReplicaName,
        addr: ReplicaAddr,
        phase: Phase,
    ) -> Self {
        Self {
            was_found: true,
            ..Self::new(seat, name, Some(addr), phase)
        }
    }
}

impl Plan {
    /// N.
    pub(super) fn wanted(&self) -> usize {
        self.places.iter().filter(|place| !place.leaving).count()
    }

    /// How many wanted seats are served by one that is up and takes requests.
    pub(super) fn up(&self) -> usize {
        let shown = self.places.iter().filter(|place| !place.leaving);
        shown
            .filter_map(|place| place.holder.as_ref())
            .filter(|holder| holder.health == Health::Up && !holder.drained)
            .count()
    }

    /// In how many seats somebody served the balancer before us, and nobody answers us.
    pub(super) fn unanswered_inherited(&self) -> usize {
        let owed = self.places.iter().filter(|place| place.is_owed);
        owed.filter(|place| !place.leaving && !place.is_held())
            .count()
    }

    /// How many wanted seats are held by one that gets no requests by order.
    pub(super) fn drained_count(&self) -> usize {
        let shown = self.places.iter().filter(|place| !place.leaving);
        shown
            .filter_map(|place| place.holder.as_ref())
            .filter(|holder| holder.health != Health::Down && holder.drained)
            .count()
    }

    /// What `/rep` lists.
    pub(in crate::fleet) fn listed(&self) -> Vec<ReplicaName> {
        let held = self.places.iter().filter(|place| place.is_held());
        held.filter_map(|place| place.holder.as_ref())
            .map(|holder| holder.name.clone())
            .collect()
    }

    /// Whether a replica of this name is there, comes or goes, or a seat is kept for one.
    pub(super) fn is_taken(&self, name: &ReplicaName) -> bool {
        self.is_in_use(name) || self.places.iter().any(|place| place.is_kept_for(name))
    }

    /// Whether a replica of this name is there, comes or goes.
    pub(super) fn is_in_use(&self, name: &ReplicaName) -> bool {
        let mut holders = self.places.iter().filter_map(|place| place.holder.as_ref());
        holders.any(|holder| holder.name == *name)
            || self.lives.values().any(|life| life.name == *name)
    }

    pub(super) fn place_mut(&mut self, seat: Seat) -> Option<&mut SeatRecord> {
        self.places.iter_mut().find(|place| place.seat == seat)
    }

    /// The place that `id` holds.
    pub(super) fn held_by(&mut self, id: ReplicaId) -> Option<&mut SeatRecord> {
        let holds = |place: &&mut SeatRecord| place.holder.as_ref().is_some_and(|h| h.id == id);
        self.places.iter_mut().find(holds)
    }

    pub(super) fn phase(&self, id: ReplicaId) -> Option<Phase> {
        self.lives.get(&id).map(|life| life.phase)
    }

    /// Sets the health of one that holds a seat, in the roster too.
    pub(super) fn set_health(&mut self, id: ReplicaId, health: Health) {
        let Some(place) = self.held_by(id) else {
            return;
        };
        let leaving = place.leaving;
        if let Some(holder) = &mut place.holder {
            // One that is leaving is in the roster no more.
            let shows = holder.health != health && !leaving;
            holder.health = health;
            self.changed |= shows;
        }
    }

    /// Starts a replica for `seat`, or a standby.
    pub(super) fn start(&mut self, seat: Option<Seat>, name: ReplicaName) -> ReplicaId {
        let id = ReplicaId(self.next_id);
        self.next_id += 1;
        let until = self.now + self.policy.start_timeout;
        let life = Replica::new(seat, name.clone(), None, Phase::Starting { until });
        self.lives.insert(id, life);
        self.actions.push(Action::Start(id, seat, name));
        id
    }

    /// The seats that are wanted and that nobody fills, and who was the last to answer in each. `None` at the end:
    /// it stays as it was, for whoever comes next.
    pub(in crate::fleet) fn vacant(&self) -> Option<VacantSeats> {
        let wanted = |place: &&SeatRecord| !place.leaving && !place.is_filled();
        let vacant = self.places.iter().filter(wanted);
        let last = |place: &SeatRecord| place.holder.as_ref().map(|holder| holder.id);
        let vacant = vacant.map(|place| (place.seat, last(place)));
        (!self.stopping).then(|| vacant.collect())
    }

    /// Has the engine remove it, once, and not before it is ours.
    pub(super) fn remove(&mut self, id: ReplicaId, farewell: StopMode) {
        let is_theirs = self.is_shared(id);
        let Some(life) = self.lives.get_mut(&id) else {
            return;
        };
        if !matches!(life.phase, Phase::Removing { .. }) {
            life.phase = Phase::Removing { unexplained: false };
            // It may have a seat by now that is not ours to give.
            let given = self.hold == Ownership::Released || is_theirs;
            if is_theirs && !self.stopping {
                return self.put_off.push((id, farewell));
            }
            let farewell = if given { StopMode::Detach } else { farewell };
            self.actions.push(Action::Remove(id, farewell));
        }
    }

    /// Notes a change; the caller may add to the note.
    pub(super) fn record(
        &mut self,
        kind: EventKind,
        seat: impl Into<Option<Seat>>,
        name: ReplicaName,
        reason: impl Into<String>,
        add: impl FnOnce(&mut ReplicaEvent),
    ) {
        let mut note = ReplicaEvent {
            kind,
            seat: seat.into(),
            name,
            before: None,
            reason: reason.into(),
            detected_within: None,
            replaced_after: None,
            saved: None,
            up: self.up(),
            wanted: self.wanted(),
        };
        add(&mut note);
        self.actions.push(Action::Record(note));
    }
}
