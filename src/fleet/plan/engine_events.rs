//! The engine's word: replicas that started, failed to, ended, or are gone; and what is due by time.
//!
//! It gives no verdict on the living. Surprising: an engine's word may be late, so each report is read
//! by the phase its replica is in now, and about one that nobody knows any more it means nothing.

use super::standby::CALL_TIMEOUT;
use super::{Action, Phase, Plan, World};
use crate::fleet::engine::{Ending, Farewell, Report};
use crate::fleet::events::Kind;
use crate::orders::OrderError;
use crate::roster::{Health, ReplicaAddr, ReplicaId};

impl Plan {
    /// Introduces the replicas that run already to the engine.
    pub(super) fn begin(&mut self) {
        let starts = self.lives.iter();
        let starts = starts.map(|(id, life)| Action::Start(*id, life.seat, life.name.clone()));
        self.actions.extend(starts);
    }

    /// [`super::Input::Engine`].
    pub(super) fn report(&mut self, report: Report, world: &mut dyn World) {
        match report {
            Report::Started { id, addr } => self.started(id, addr),
            Report::Failed { id, why } => {
                if let Some(Phase::Starting { .. }) = self.phase(id) {
                    self.not_started(id, why);
                }
            }
            Report::NameRefused { id, why } => {
                if let Some(Phase::Starting { .. }) = self.phase(id) {
                    self.name_refused(id, &why, world);
                }
            }
            Report::Ended { id, how } => self.ended(id, how, world),
            Report::Removed { id } => {
                if !self.left {
                    self.set_health(id, Health::Down);
                }
                self.lives.remove(&id);
            }
        }
    }

    fn started(&mut self, id: ReplicaId, addr: ReplicaAddr) {
        let watched = self.policy.watched;
        let Some(life) = self.lives.get_mut(&id) else {
            return;
        };
        match life.phase {
            Phase::Starting { .. } => {
                life.addr = Some(addr);
                self.actions.push(Action::Watch(id, addr));
            }
            Phase::Silent | Phase::Standby { .. } if watched => {
                self.actions.push(Action::Watch(id, addr));
            }
            _ => {}
        }
    }

    /// The engine cannot use the name of one that was being started: an order that asked for it was
    /// wrong, any other seat gets another name.
    fn name_refused(&mut self, id: ReplicaId, why: &str, world: &mut dyn World) {
        let Some(life) = self.lives.get(&id) else {
            return;
        };
        let (seat, sentence) = (life.seat, format!("the name {} {why}", life.name));
        let Some(seat) = seat else {
            return self.standby_not_started(id, &sentence);
        };
        if self.is_in_group(id) {
            return self.refuse_add(id, OrderError::invalid(sentence));
        }
        let name = self.free_name(world);
        if let Some(place) = self.place_mut(seat) {
            place.first_name = name;
        }
        self.not_started(id, sentence);
    }

    /// One that was being started is given up.
    pub(super) fn not_started(&mut self, id: ReplicaId, why: String) {
        if self.is_in_group(id) {
            return self.undo_add(id, why);
        }
        let Some(life) = self.lives.get(&id) else {
            return;
        };
        let Some(seat) = life.seat else {
            return self.standby_not_started(id, &why);
        };
        let (name, now) = (life.name.clone(), self.now);
        if let Some(place) = self.place_mut(seat) {
            place.successor = None;
            // Nobody waits for the successor of one that still serves, and may go on to.
            if !place.is_filled() {
                place.patience.wait(now);
                place.failure = Some(format!("{name}: {why}"));
            }
        }
        self.note(Kind::Failed, seat, name.clone(), why.clone(), |_| {});
        self.remove(id, Farewell::Kill);
        if self.is_turn_of(seat) {
            self.refuse_replace(&name, &why);
        }
    }

    fn ended(&mut self, id: ReplicaId, ending: Ending, world: &mut dyn World) {
        if self.is_theirs(id) {
            return self.theirs_ended(id, &ending, world);
        }
        let how = ending.to_string();
        match self.phase(id) {
            Some(Phase::Starting { .. }) => self.not_started(id, how),
            Some(Phase::Ready) => self.undo_add(id, how),
            Some(Phase::Standby { .. } | Phase::Called { .. }) => self.lose_standby(id, &how),
            Some(Phase::Up | Phase::Suspect | Phase::Silent) => {
                self.die(id, how, world);
                self.remove(id, Farewell::Kill);
            }
            Some(Phase::Draining { .. }) => {
                self.set_health(id, Health::Down);
                self.remove(id, Farewell::Kill);
            }
            Some(Phase::Removing { unexplained: true }) => self.explain(id, how),
            Some(Phase::Removing { unexplained: false }) => self.set_health(id, Health::Down),
            None => {}
        }
        self.note_ending(id, &ending);
    }

    /// Notes how one ended that had been given up before.
    pub(super) fn explain(&mut self, id: ReplicaId, how: String) {
        if let Some(life) = self.lives.get(&id) {
            let (seat, name) = (life.seat, life.name.clone());
            self.note(Kind::Ended, seat, name, how, |_| {});
        }
    }

    /// [`super::Input::Drained`].
    pub(super) fn drained(&mut self, id: ReplicaId) {
        if let Some(Phase::Draining { .. }) = self.phase(id) {
            self.remove(id, Farewell::Ask);
        }
    }

    /// Does what was due by now: starts that took too long, and drains.
    pub(super) fn expire(&mut self) {
        let now = self.now;
        let due = self.lives.iter().filter(|(_, life)| match life.phase {
            Phase::Starting { until } | Phase::Called { until } | Phase::Draining { until } => {
                until <= now
            }
            _ => false,
        });
        let due: Vec<_> = due.map(|(id, life)| (*id, life.phase)).collect();
        for (id, phase) in due {
            let late = |limit| format!("it did not answer within {limit:?}");
            match phase {
                Phase::Draining { .. } => self.remove(id, Farewell::Ask),
                Phase::Called { .. } => self.lose_standby(id, &late(CALL_TIMEOUT)),
                _ => self.not_started(id, late(self.policy.start_timeout)),
            }
        }
    }
}
