//! What was found while another balancer serves from it still, which we take over from: it is left as it is.
//!
//! Until all is ours none of it is removed, none is called to a seat, and one that does not answer gets no
//! successor: it may be we who ask at the wrong port or for the wrong path, and then we must not be ready.
//! Surprising: one that has ended for certain gets a successor at once, for nobody serves from it; its corpse
//! goes when all is ours.

use super::seats::SeatRecord;
use super::{Action, Environment, Ownership, Phase, Plan};
use crate::fleet::engine::{ExitReport, Management, StopMode};
use crate::roster::ReplicaId;

impl Plan {
    /// What was found is the other balancer's until [`super::Input::Hold`] says that it is ours.
    pub(in crate::fleet) fn borrow(&mut self) {
        self.hold = Ownership::Acquiring;
    }

    /// Whether another balancer serves from it still.
    pub(super) fn is_shared(&self, id: ReplicaId) -> bool {
        let was_found = self.lives.get(&id).is_some_and(|life| life.was_found);
        was_found && self.hold == Ownership::Acquiring && self.policy.keeper == Management::Managed
    }

    /// Whether who sits there may yet serve another balancer, whatever we think of it.
    pub(super) fn is_left_to_old_balancer(&self, place: &SeatRecord) -> bool {
        let holder = place.holder.as_ref().map(|holder| holder.id);
        let holder = holder.filter(|id| self.is_shared(*id));
        let life = holder.and_then(|id| self.lives.get(&id));
        life.is_some_and(|life| life.ended.is_none())
    }

    /// One of theirs does not answer, which is no more than that.
    pub(super) fn shared_refused(&mut self, id: ReplicaId, why: String, world: &dyn Environment) {
        let Some(life) = self.lives.get_mut(&id) else {
            return;
        };
        if let Phase::Up | Phase::Suspect = life.phase {
            life.phase = Phase::Unresponsive;
            self.mark_dead(id, why, world);
        }
    }

    /// One of theirs has ended.
    pub(super) fn shared_ended(
        &mut self,
        id: ReplicaId,
        ending: &ExitReport,
        world: &dyn Environment,
    ) {
        let how = ending.to_string();
        let Some(life) = self.lives.get_mut(&id) else {
            return;
        };
        life.ended = Some(how.clone());
        if let Phase::Up | Phase::Suspect | Phase::Unresponsive = life.phase {
            life.phase = Phase::Unresponsive;
            self.mark_dead(id, how, world);
        }
        self.record_exit(id, ending);
    }

    /// All is ours: does what had to wait for that.
    pub(super) fn complete_handover(&mut self) {
        let put_off = std::mem::take(&mut self.put_off);
        let put_off = put_off.into_iter();
        let removals = put_off.map(|(id, farewell)| Action::Remove(id, farewell));
        self.actions.extend(removals);
        let mut ended = Vec::new();
        for (id, life) in &mut self.lives {
            ended.extend(life.ended.take().map(|how| (*id, how)));
        }
        for (id, how) in ended {
            match self.phase(id) {
                Some(Phase::Standby { .. }) => self.drop_standby(id, &how),
                _ => self.remove(id, StopMode::Kill),
            }
        }
    }
}
