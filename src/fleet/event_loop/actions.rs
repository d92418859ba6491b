//! The actions of the plan: each is one call to the engine, the heartbeats, the publisher or the
//! recorder.

use std::time::Instant;

use super::{FleetLoop, preparation};
use crate::fleet::engine::{ChangeId, Management};
use crate::fleet::plan::Action;

impl FleetLoop {
    /// Applies an action of the plan.
    pub(super) fn apply(&mut self, action: Action) {
        let pending = &mut self.pending;
        match action {
            Action::Publish => {
                let plan = &self.plan;
                self.publisher.publish(plan.view(), |id| plan.knows(id));
            }
            Action::Start(id, seat, name) => {
                self.engine.start(id, seat, &name, self.plan.version(id));
                if !self.plan.runs(id) {
                    pending.spawning.insert(id, Instant::now());
                }
                self.heartbeats.expect_identity(id, name, seat);
            }
            Action::StartProbing(id, addr) => {
                let seat = self.plan.seat(id);
                if let (Some(seat), Management::Orchestrated) = (seat, self.engine.management()) {
                    self.heartbeats.expect_seat(id, seat);
                }
                self.heartbeats.start(id, addr, seat, &self.counters);
            }
            Action::AssignSeat(id, addr, seat) => {
                self.heartbeats.assign_seat(id, addr, seat, &self.counters);
            }
            Action::ProbeNow(id, fresh) => self.heartbeats.probe_now(id, fresh),
            Action::CheckAlive(id) => self.engine.check_alive(id),
            Action::Kill(id) => self.engine.kill(id),
            Action::KillTask(container) => self.engine.kill_task(container),
            Action::Drain(id) => {
                pending.drains.insert(id, self.publisher.version());
            }
            Action::Remove(id, mode) => {
                self.heartbeats.remove(id);
                pending.spawning.remove(&id);
                pending.drains.remove(&id);
                self.engine.remove(id, mode);
            }
            Action::Answer(id, result) => pending.orders.complete(id, result),
            Action::Record(event) => self.recorder.record(event),
            Action::Rollout(id, event) => {
                let by = id.map(|id| pending.orders.client(id));
                self.recorder.record_rollout(event, by);
            }
            Action::Prepare(id, request) => {
                preparation::spawn(id, self.engine.prepare(&request), &self.prepared);
            }
            Action::Save(id, backends) => self.saver.save(id, backends),
            Action::ChangeService(id, change) => {
                self.engine.change_service(ChangeId(id.0), change);
            }
            Action::Switched(id, change) => {
                let by = id.map(|id| pending.orders.client(id));
                self.recorder.record_setting(change, by);
            }
            Action::Finished => pending.finished = true,
        }
    }
}
