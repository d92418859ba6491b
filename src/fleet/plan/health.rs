//! The verdicts: what heartbeats and the data path's evidence say about one replica.
//!
//! It starts nobody; that a seat is empty is seen by whoever fills seats. Dead for certain (ended,
//! refused) is final, unless nobody keeps N; dead by silence is not, for who speaks again before its
//! successor keeps the seat. How long a silence must be for that is in `silence`. Surprising: the data
//! path can make a seat suspect, never dead.

use std::time::Instant;

use super::seats::Holder;
use super::{Action, Environment, MissReason, Phase, Plan, ProbeEvent};
use crate::fleet::engine::{Management, StopMode};
use crate::fleet::events::EventKind;
use crate::roster::{Evidence, EvidenceKind, Health, ReplicaId};

impl Plan {
    /// [`super::Input::Pulse`].
    pub(super) fn probe_event(
        &mut self,
        id: ReplicaId,
        pulse: ProbeEvent,
        world: &mut dyn Environment,
    ) {
        match pulse {
            ProbeEvent::Answered => self.answered(id),
            ProbeEvent::Seated { knows } => self.seated(id, knows),
            ProbeEvent::Missed { sent, why } => self.missed(id, sent, why, world),
            ProbeEvent::Broken => {
                let usable = matches!(self.phase(id), Some(Phase::Up | Phase::Suspect));
                if let Some(Phase::Standby { .. }) = self.phase(id) {
                    self.actions.push(Action::CheckAlive(id));
                }
                if usable {
                    self.suspect(id, "its connection ended");
                    self.actions.push(Action::CheckAlive(id));
                }
            }
            ProbeEvent::Iterative => self.is_iterative(id),
            ProbeEvent::Refused(why) => self.refused(id, why, world),
        }
    }

    fn answered(&mut self, id: ReplicaId) {
        let now = self.now;
        let in_group = self.is_in_group(id);
        let Some(life) = self.lives.get_mut(&id) else {
            return;
        };
        life.misses = 0;
        life.silence = None;
        life.silence_told = false;
        life.last_ok = Some(now);
        match life.phase {
            Phase::Starting { .. } if in_group => life.phase = Phase::Answered,
            Phase::Starting { .. } if life.seat.is_none() => self.park_standby(id),
            Phase::Starting { .. } => self.take_seat(id, false),
            Phase::Suspect => {
                life.phase = Phase::Up;
                let (seat, name) = (life.seat, life.name.clone());
                self.set_health(id, Health::Up);
                self.record(EventKind::Up, seat, name, "", |_| {});
            }
            Phase::Unresponsive => self.recover(id),
            Phase::Answered
            | Phase::Standby { .. }
            | Phase::Promoting { .. }
            | Phase::Up
            | Phase::Draining { .. }
            | Phase::Removing { .. } => {}
        }
    }

    /// A replica has answered for the first time since it was started for a wanted seat, or called to it.
    pub(super) fn take_seat(&mut self, id: ReplicaId, stands_in: bool) {
        let now = self.now;
        let Some(life) = self.lives.get_mut(&id) else {
            return;
        };
        let (Some(seat), Some(addr)) = (life.seat, life.addr) else {
            return;
        };
        let was_called = matches!(life.phase, Phase::Promoting { .. });
        life.phase = Phase::Up;
        let name = life.name.clone();
        let Some(place) = self.place_mut(seat) else {
            return;
        };
        let holder = Holder {
            id,
            name: name.clone(),
            addr,
            health: Health::Up,
            drained: place.holder.is_none() && place.begins_drained,
            stands_in,
        };
        let former = place.holder.replace(holder);
        let down_since = place.down_since;
        place.successor = None;
        place.holder_answers(now);
        self.awaited.remove(&seat);
        self.changed = true;
        let origin = if was_called { "from standby" } else { "" };
        let Some(former) = former else {
            return self.record(EventKind::Joined, seat, name, origin, |_| {});
        };
        let serves = matches!(self.phase(former.id), Some(Phase::Up | Phase::Suspect));
        let reason = match (serves, former.stands_in) {
            (true, true) => "it stood in",
            (true, false) => "by order",
            (false, _) => origin,
        };
        self.record(EventKind::Replaced, seat, name.clone(), reason, |note| {
            note.before = Some(former.name);
            note.replaced_after = down_since.map(|down| now - down);
        });
        if serves {
            self.record_death(former.id, format!("replaced by {name}, {reason}"));
            self.drain(former.id);
        } else {
            // It was silent, and nobody needs it to speak any more.
            self.remove(former.id, StopMode::Kill);
        }
    }

    /// One that was down answers before its successor does: it keeps the seat.
    fn recover(&mut self, id: ReplicaId) {
        let now = self.now;
        let Some(life) = self.lives.get_mut(&id) else {
            return;
        };
        let Some(seat) = life.seat else { return };
        life.phase = Phase::Up;
        let name = life.name.clone();
        self.set_health(id, Health::Up);
        if let Some(place) = self.place_mut(seat) {
            place.holder_answers(now);
        }
        if !self.is_step_for(seat) {
            self.cancel_successor(seat, &format!("{name} spoke first"));
        }
        let first = self.awaited.remove(&seat);
        let kind = if first {
            EventKind::Joined
        } else {
            EventKind::Up
        };
        self.record(kind, seat, name, "", |_| {});
    }

    fn missed(
        &mut self,
        id: ReplicaId,
        sent: Instant,
        why: MissReason,
        world: &mut dyn Environment,
    ) {
        let (limit, was_mute) = (self.policy.misses, self.is_unresponsive(id));
        let Some(life) = self.lives.get_mut(&id) else {
            return;
        };
        if !matches!(
            life.phase,
            Phase::Answered
                | Phase::Standby { .. }
                | Phase::Up
                | Phase::Suspect
                | Phase::Draining { .. }
        ) {
            return;
        }
        let served = world.last_answer(id).is_some_and(|at| at > sent);
        if served && why == MissReason::Silent {
            life.misses = 0;
            life.silence = None;
            return;
        }
        if why != MissReason::Silent && life.silence.take().is_some() && was_mute {
            // Wrong answers after a silence are counted from the first of them.
            life.misses = 0;
        }
        life.misses = life.misses.saturating_add(1);
        let late = why == MissReason::Silent && self.is_silent_too_long(id, sent, world);
        let Some(life) = self.lives.get_mut(&id).filter(|life| life.misses >= limit) else {
            return;
        };
        let reason = match why {
            MissReason::Silent => format!("heartbeat missed {} times", life.misses),
            MissReason::Wrong(status) => {
                format!("heartbeat failed {limit} times, last with {status}")
            }
            MissReason::Closed => format!("heartbeat failed {limit} times, last without an answer"),
            MissReason::Garbled => format!("heartbeat failed {limit} times, last with no HTTP"),
        };
        if why == MissReason::Silent && !late {
            return self.mark_unresponsive(id, reason, world);
        }
        match life.phase {
            Phase::Answered => return self.undo_add(id, reason),
            Phase::Standby { .. } => return self.drop_standby(id, &reason),
            Phase::Draining { .. } => return self.abandon_drain(id, reason),
            _ => life.phase = Phase::Unresponsive,
        }
        let (seat, name, last_ok) = (life.seat, life.name.clone(), life.last_ok);
        match why {
            MissReason::Silent => self.mark_dead(id, reason, world),
            // It may answer everything else as ever: that is no measure of when this began.
            _ => self.mark_dead_since(id, reason, last_ok),
        }
        if let Some(seat) = seat.filter(|_| !was_mute) {
            self.record_silence(seat, name);
        }
    }

    fn refused(&mut self, id: ReplicaId, why: String, world: &mut dyn Environment) {
        if self.is_shared(id) {
            return self.shared_refused(id, why, world);
        }
        match (self.phase(id), self.policy.keeper) {
            (Some(Phase::Answered), _) => self.undo_add(id, why),
            (Some(Phase::Standby { .. } | Phase::Promoting { .. }), _) => {
                self.drop_standby(id, &why)
            }
            (Some(Phase::Draining { .. }), _) => self.abandon_drain(id, why),
            (Some(Phase::Up | Phase::Suspect), Management::External) => {
                if let Some(life) = self.lives.get_mut(&id) {
                    life.phase = Phase::Unresponsive;
                }
                self.mark_dead(id, why, world);
            }
            (Some(Phase::Up | Phase::Suspect | Phase::Unresponsive), Management::Managed) => {
                self.mark_dead(id, why, world);
                self.remove(id, StopMode::Kill);
                if let Some(life) = self.lives.get_mut(&id) {
                    life.phase = Phase::Removing { unexplained: true };
                }
            }
            // One that is being started may be refused for as long as it has time.
            _ => {}
        }
    }

    /// One that was finishing what it had begun is dead: others may take that over.
    fn abandon_drain(&mut self, id: ReplicaId, reason: String) {
        self.set_health(id, Health::Down);
        self.record_exit_reason(id, reason);
        self.remove(id, StopMode::Kill);
    }

    /// A holder is dead; if it was down already, this is only how.
    pub(super) fn mark_dead(&mut self, id: ReplicaId, reason: String, world: &dyn Environment) {
        let last = self.lives.get(&id).and_then(|life| life.last_ok);
        self.mark_dead_since(id, reason, last.max(world.last_answer(id)));
    }

    /// The same of one that was well at `last`.
    fn mark_dead_since(&mut self, id: ReplicaId, reason: String, last: Option<Instant>) {
        let now = self.now;
        let Some(place) = self.held_by(id) else {
            return;
        };
        if !place.is_held() {
            // One that was found and has never answered had time to; now it is certain that it will not.
            place.patience.is_certain();
            return self.record_exit_reason(id, reason);
        }
        place.holder_died(now);
        self.set_health(id, Health::Down);
        self.record_death(id, reason.clone());
        let Some(life) = self.lives.get(&id) else {
            return;
        };
        let (seat, name) = (life.seat, life.name.clone());
        self.record(EventKind::Down, seat, name, reason, |note| {
            note.detected_within = last.map(|at| now.saturating_duration_since(at));
        });
    }

    /// [`super::Input::Evidence`]: a reason to look, never a verdict.
    pub(super) fn evidence(&mut self, evidence: Evidence) {
        let Evidence { id, sign } = evidence;
        let usable = matches!(self.phase(id), Some(Phase::Up | Phase::Suspect));
        if !usable || !self.policy.watched {
            return;
        }
        let refused = sign == EvidenceKind::Refused;
        if refused {
            self.suspect(id, "it refused a connection");
        }
        // A replica that no longer listens may go on answering on a held connection.
        self.actions.push(Action::ProbeNow(id, refused));
    }

    fn suspect(&mut self, id: ReplicaId, reason: &str) {
        let Some(life) = self.lives.get_mut(&id) else {
            return;
        };
        if life.phase == Phase::Up {
            life.phase = Phase::Suspect;
            let (seat, name) = (life.seat, life.name.clone());
            self.set_health(id, Health::Suspect);
            self.record(EventKind::Suspect, seat, name, reason, |_| {});
        }
    }
}
