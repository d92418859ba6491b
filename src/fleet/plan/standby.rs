//! Standbys: replicas that are warm and have no seat, so that an empty one is filled within milliseconds.
//!
//! A standby is called to a seat by the heartbeat that gives it the seat's number, and takes it by its
//! answer, which is what makes its own answers right from the first on. Surprising: somebody's own server
//! takes no notice of the number; it only stands in, until one that was started for the seat follows it, for
//! no other way would teach it its seat, or let the next balancer know which seat its container has.

use std::time::Duration;

use super::{Action, Environment, Ownership, Phase, Plan, Replica};
use crate::fleet::engine::{Management, StopMode};
use crate::fleet::events::EventKind;
use crate::roster::{ReplicaAddr, ReplicaId};

/// How long a standby may take to take the seat that it is called to.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_millis(250);

impl Plan {
    /// Starts standbys for those that are lacking, unless it must wait.
    pub(super) fn fill_standbys(&mut self, world: &mut dyn Environment) {
        let waits = self.standbys.must_wait(self.now);
        let lent = matches!(self.hold, Ownership::Offering | Ownership::Released);
        if self.policy.keeper == Management::External || self.closed || waits || lent {
            return;
        }
        let lives = self.lives.values();
        let have = lives.filter(|life| life.seat.is_none() && !life.is_going());
        for _ in have.count()..self.policy.standbys {
            let name = self.free_name(world);
            self.start(None, name);
        }
    }

    /// How many are warm.
    pub(super) fn warm(&self) -> usize {
        self.lives.values().filter(|life| life.is_warm()).count()
    }

    /// A standby has answered for the first time.
    pub(super) fn park_standby(&mut self, id: ReplicaId) {
        let since = self.now;
        let Some(life) = self.lives.get_mut(&id) else {
            return;
        };
        life.phase = Phase::Standby { since };
        let name = life.name.clone();
        self.record(EventKind::Standby, None, name, "", |_| {});
    }

    /// Calls a standby to the empty place at `at`; whether there is one.
    pub(super) fn promote(&mut self, at: usize) -> bool {
        let until = self.now + CALL_TIMEOUT;
        if self.hold != Ownership::Owned {
            return false;
        }
        let Some((id, addr)) = self.fittest() else {
            return false;
        };
        let place = &mut self.places[at];
        let seat = place.seat;
        place.successor = Some(id);
        if let Some(life) = self.lives.get_mut(&id) {
            if let Phase::Standby { since } = life.phase {
                self.standbys.reset_after(self.now - since);
            }
            life.seat = Some(seat);
            life.phase = Phase::Promoting { until };
        }
        self.actions.push(Action::AssignSeat(id, addr, seat));
        true
    }

    /// The standby that has missed the fewest heartbeats, and of these the oldest.
    fn fittest(&self) -> Option<(ReplicaId, ReplicaAddr)> {
        let answers = |life: &Replica| life.is_warm() && life.misses < self.policy.misses;
        let warm = self.lives.iter().filter(|(_, life)| answers(life));
        let fittest = warm.min_by_key(|(id, life)| (life.misses, **id));
        fittest.and_then(|(id, life)| Some((*id, life.addr?)))
    }

    /// [`super::Pulse::Seated`].
    pub(super) fn seated(&mut self, id: ReplicaId, knows: bool) {
        if let Some(Phase::Promoting { .. }) = self.phase(id) {
            self.take_seat(id, !knows);
        }
    }

    /// A standby is dead, with a seat before it or without.
    pub(super) fn drop_standby(&mut self, id: ReplicaId, why: &str) {
        if self.is_shared(id) {
            return;
        }
        let now = self.now;
        let Some(life) = self.lives.get(&id) else {
            return;
        };
        let (seat, name) = (life.seat, life.name.clone());
        let warm_for = match life.phase {
            Phase::Standby { since } => Some(now - since),
            _ => None,
        };
        self.standbys.record_death(now, warm_for);
        if let Some(place) = seat.and_then(|seat| self.place_mut(seat)) {
            place.successor = None;
        }
        self.record(EventKind::Down, None, name, why, |_| {});
        self.remove(id, StopMode::Kill);
    }

    /// A standby did not start.
    pub(super) fn standby_not_started(&mut self, id: ReplicaId, why: &str) {
        let Some(life) = self.lives.get(&id) else {
            return;
        };
        let name = life.name.clone();
        self.standbys.record_failure(self.now);
        self.record(EventKind::Failed, None, name, why, |_| {});
        self.remove(id, StopMode::Kill);
    }
}

impl Replica {
    fn is_warm(&self) -> bool {
        matches!(self.phase, Phase::Standby { .. })
    }

    fn is_going(&self) -> bool {
        matches!(self.phase, Phase::Removing { .. })
    }
}
