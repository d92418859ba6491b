//! The verdicts: what heartbeats and the data path's evidence say about one replica.
//!
//! It starts nobody; that a seat is empty is seen by whoever fills seats. Dead for certain (ended,
//! refused) is final, unless nobody keeps N; dead by silence is not, for who speaks again before its
//! successor keeps the seat. How long a silence must be for that is in `silence`. Surprising: the data
//! path can make a seat suspect, never dead.

use std::time::Instant;

use super::seats::Holder;
use super::{Action, Miss, Phase, Plan, Pulse, World};
use crate::fleet::engine::{Farewell, Keeper};
use crate::fleet::events::Kind;
use crate::roster::{Evidence, EvidenceKind, Health, ReplicaId};

impl Plan {
    /// [`super::Input::Pulse`].
    pub(super) fn pulse(&mut self, id: ReplicaId, pulse: Pulse, world: &mut dyn World) {
        match pulse {
            Pulse::Answered => self.answered(id),
            Pulse::Seated { knows } => self.seated(id, knows),
            Pulse::Missed { sent, why } => self.missed(id, sent, why, world),
            Pulse::Broken => {
                let usable = matches!(self.phase(id), Some(Phase::Up | Phase::Suspect));
                if let Some(Phase::Standby { .. }) = self.phase(id) {
                    self.actions.push(Action::Look(id));
                }
                if usable {
                    self.suspect(id, "its connection ended");
                    self.actions.push(Action::Look(id));
                }
            }
            Pulse::Iterative => self.is_iterative(id),
            Pulse::Refused(why) => self.refused(id, why, world),
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
            Phase::Starting { .. } if in_group => life.phase = Phase::Ready,
            Phase::Starting { .. } if life.seat.is_none() => self.stand_by(id),
            Phase::Starting { .. } => self.take_seat(id, false),
            Phase::Suspect => {
                life.phase = Phase::Up;
                let (seat, name) = (life.seat, life.name.clone());
                self.set_health(id, Health::Up);
                self.note(Kind::Up, seat, name, "", |_| {});
            }
            Phase::Silent => self.speak_again(id),
            Phase::Ready
            | Phase::Standby { .. }
            | Phase::Called { .. }
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
        let was_called = matches!(life.phase, Phase::Called { .. });
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
            return self.note(Kind::Joined, seat, name, origin, |_| {});
        };
        let serves = matches!(self.phase(former.id), Some(Phase::Up | Phase::Suspect));
        let reason = match (serves, former.stands_in) {
            (true, true) => "it stood in",
            (true, false) => "by order",
            (false, _) => origin,
        };
        self.note(Kind::Replaced, seat, name.clone(), reason, |note| {
            note.before = Some(former.name);
            note.replaced_after = down_since.map(|down| now - down);
        });
        if serves {
            self.bury(former.id, format!("replaced by {name}, {reason}"));
            self.let_finish(former.id);
        } else {
            // It was silent, and nobody needs it to speak any more.
            self.remove(former.id, Farewell::Kill);
        }
    }

    /// One that was down answers before its successor does: it keeps the seat.
    fn speak_again(&mut self, id: ReplicaId) {
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
        if !self.is_turn_of(seat) {
            self.withdraw(seat, &format!("{name} spoke first"));
        }
        let first = self.awaited.remove(&seat);
        let kind = if first { Kind::Joined } else { Kind::Up };
        self.note(kind, seat, name, "", |_| {});
    }

    fn missed(&mut self, id: ReplicaId, sent: Instant, why: Miss, world: &mut dyn World) {
        let (limit, was_mute) = (self.policy.misses, self.is_mute(id));
        let Some(life) = self.lives.get_mut(&id) else {
            return;
        };
        if !matches!(
            life.phase,
            Phase::Ready
                | Phase::Standby { .. }
                | Phase::Up
                | Phase::Suspect
                | Phase::Draining { .. }
        ) {
            return;
        }
        let served = world.last_answer(id).is_some_and(|at| at > sent);
        if served && why == Miss::Silent {
            life.misses = 0;
            life.silence = None;
            return;
        }
        if why != Miss::Silent && life.silence.take().is_some() && was_mute {
            // Wrong answers after a silence are counted from the first of them.
            life.misses = 0;
        }
        life.misses = life.misses.saturating_add(1);
        let late = why == Miss::Silent && self.is_silent_too_long(id, sent, world);
        let Some(life) = self.lives.get_mut(&id).filter(|life| life.misses >= limit) else {
            return;
        };
        let reason = match why {
            Miss::Silent => format!("heartbeat missed {} times", life.misses),
            Miss::Wrong(status) => format!("heartbeat failed {limit} times, last with {status}"),
            Miss::Closed => format!("heartbeat failed {limit} times, last without an answer"),
            Miss::Garbled => format!("heartbeat failed {limit} times, last with no HTTP"),
        };
        if why == Miss::Silent && !late {
            return self.fall_silent(id, reason, world);
        }
        match life.phase {
            Phase::Ready => return self.undo_add(id, reason),
            Phase::Standby { .. } => return self.lose_standby(id, &reason),
            Phase::Draining { .. } => return self.give_up(id, reason),
            _ => life.phase = Phase::Silent,
        }
        let (seat, name, last_ok) = (life.seat, life.name.clone(), life.last_ok);
        match why {
            Miss::Silent => self.die(id, reason, world),
            // It may answer everything else as ever: that is no measure of when this began.
            _ => self.die_of(id, reason, last_ok),
        }
        if let Some(seat) = seat.filter(|_| !was_mute) {
            self.fell_silent(seat, name);
        }
    }

    fn refused(&mut self, id: ReplicaId, why: String, world: &mut dyn World) {
        if self.is_theirs(id) {
            return self.theirs_refused(id, why, world);
        }
        match (self.phase(id), self.policy.keeper) {
            (Some(Phase::Ready), _) => self.undo_add(id, why),
            (Some(Phase::Standby { .. } | Phase::Called { .. }), _) => self.lose_standby(id, &why),
            (Some(Phase::Draining { .. }), _) => self.give_up(id, why),
            (Some(Phase::Up | Phase::Suspect), Keeper::Nobody) => {
                if let Some(life) = self.lives.get_mut(&id) {
                    life.phase = Phase::Silent;
                }
                self.die(id, why, world);
            }
            (Some(Phase::Up | Phase::Suspect | Phase::Silent), Keeper::Fleet) => {
                self.die(id, why, world);
                self.remove(id, Farewell::Kill);
                if let Some(life) = self.lives.get_mut(&id) {
                    life.phase = Phase::Removing { unexplained: true };
                }
            }
            // One that is being started may be refused for as long as it has time.
            _ => {}
        }
    }

    /// One that was finishing what it had begun is dead: others may take that over.
    fn give_up(&mut self, id: ReplicaId, reason: String) {
        self.set_health(id, Health::Down);
        self.explain(id, reason);
        self.remove(id, Farewell::Kill);
    }

    /// A holder is dead; if it was down already, this is only how.
    pub(super) fn die(&mut self, id: ReplicaId, reason: String, world: &dyn World) {
        let last = self.lives.get(&id).and_then(|life| life.last_ok);
        self.die_of(id, reason, last.max(world.last_answer(id)));
    }

    /// The same of one that was well at `last`.
    fn die_of(&mut self, id: ReplicaId, reason: String, last: Option<Instant>) {
        let now = self.now;
        let Some(place) = self.held_by(id) else {
            return;
        };
        if !place.is_held() {
            // One that was found and has never answered had time to; now it is certain that it will not.
            place.patience.is_certain();
            return self.explain(id, reason);
        }
        place.holder_died(now);
        self.set_health(id, Health::Down);
        self.bury(id, reason.clone());
        let Some(life) = self.lives.get(&id) else {
            return;
        };
        let (seat, name) = (life.seat, life.name.clone());
        self.note(Kind::Down, seat, name, reason, |note| {
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
        self.actions.push(Action::Poke(id, refused));
    }

    fn suspect(&mut self, id: ReplicaId, reason: &str) {
        let Some(life) = self.lives.get_mut(&id) else {
            return;
        };
        if life.phase == Phase::Up {
            life.phase = Phase::Suspect;
            let (seat, name) = (life.seat, life.name.clone());
            self.set_health(id, Health::Suspect);
            self.note(Kind::Suspect, seat, name, reason, |_| {});
        }
    }
}
