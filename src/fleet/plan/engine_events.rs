//! The engine's word: replicas that started, failed to, ended, or are gone; and what is due by time.
//!
//! It gives no verdict on the living. Surprising: an engine's word may be late, so each report is read
//! by the phase its replica is in now, and about one that nobody knows any more it means nothing.

use super::standby::CALL_TIMEOUT;
use super::{Action, Environment, Phase, Plan};
use crate::fleet::engine::{EngineEvent, ExitReport, StopMode};
use crate::fleet::events::EventKind;
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
    pub(super) fn report(&mut self, report: EngineEvent, world: &mut dyn Environment) {
        match report {
            EngineEvent::Started { id, addr } => self.started(id, addr),
            EngineEvent::Failed { id, why } => {
                if let Some(Phase::Starting { .. }) = self.phase(id) {
                    self.not_started(id, why);
                }
            }
            EngineEvent::NameRefused { id, why } => {
                if let Some(Phase::Starting { .. }) = self.phase(id) {
                    self.name_refused(id, &why, world);
                }
            }
            EngineEvent::Ended { id, how } => self.ended(id, how, world),
            EngineEvent::Removed { id } => {
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
                self.actions.push(Action::StartProbing(id, addr));
            }
            Phase::Unresponsive | Phase::Standby { .. } if watched => {
                self.actions.push(Action::StartProbing(id, addr));
            }
            _ => {}
        }
    }

    /// The engine cannot use the name of one that was being started: an order that asked for it was
    /// wrong, any other seat gets another name.
    fn name_refused(&mut self, id: ReplicaId, why: &str, world: &mut dyn Environment) {
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
                place.patience.record_failure(now);
                place.failure = Some(format!("{name}: {why}"));
            }
        }
        self.record(EventKind::Failed, seat, name.clone(), why.clone(), |_| {});
        self.remove(id, StopMode::Kill);
        if self.is_step_for(seat) {
            self.refuse_replace(&name, &why);
        }
    }

    fn ended(&mut self, id: ReplicaId, ending: ExitReport, world: &mut dyn Environment) {
        if self.is_shared(id) {
            return self.shared_ended(id, &ending, world);
        }
        let how = ending.to_string();
        match self.phase(id) {
            Some(Phase::Starting { .. }) => self.not_started(id, how),
            Some(Phase::Answered) => self.undo_add(id, how),
            Some(Phase::Standby { .. } | Phase::Promoting { .. }) => self.drop_standby(id, &how),
            Some(Phase::Up | Phase::Suspect | Phase::Unresponsive) => {
                self.mark_dead(id, how, world);
                self.remove(id, StopMode::Kill);
            }
            Some(Phase::Draining { .. }) => {
                self.set_health(id, Health::Down);
                self.remove(id, StopMode::Kill);
            }
            Some(Phase::Removing { unexplained: true }) => self.record_exit_reason(id, how),
            Some(Phase::Removing { unexplained: false }) => self.set_health(id, Health::Down),
            None => {}
        }
        self.record_exit(id, &ending);
    }

    /// Notes how one ended that had been given up before.
    pub(super) fn record_exit_reason(&mut self, id: ReplicaId, how: String) {
        if let Some(life) = self.lives.get(&id) {
            let (seat, name) = (life.seat, life.name.clone());
            self.record(EventKind::Ended, seat, name, how, |_| {});
        }
    }

    /// [`super::Input::Drained`].
    pub(super) fn drained(&mut self, id: ReplicaId) {
        if let Some(Phase::Draining { .. }) = self.phase(id) {
            self.remove(id, StopMode::Graceful);
        }
    }

    /// Does what was due by now: starts that took too long, and drains.
    pub(super) fn expire(&mut self) {
        let now = self.now;
        let due = self.lives.iter().filter(|(_, life)| match life.phase {
            Phase::Starting { until } | Phase::Promoting { until } | Phase::Draining { until } => {
                until <= now
            }
            _ => false,
        });
        let due: Vec<_> = due.map(|(id, life)| (*id, life.phase)).collect();
        for (id, phase) in due {
            let late = |limit| format!("it did not answer within {limit:?}");
            match phase {
                Phase::Draining { .. } => self.remove(id, StopMode::Graceful),
                Phase::Promoting { .. } => self.drop_standby(id, &late(CALL_TIMEOUT)),
                _ => self.not_started(id, late(self.policy.start_timeout)),
            }
        }
    }
}
