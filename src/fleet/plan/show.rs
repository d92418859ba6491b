//! What `show` tells: a card for every replica, and for every seat in which there is none.
//!
//! It changes nothing. What only the engine, the heartbeats and the workers know is filled in by the
//! fleet's task, which finds them by the replica's id.

use std::time::Instant;

use super::seats::SeatRecord;
use super::{Phase, Plan, Replica};
use crate::fleet::engine::Management;
use crate::orders::{ReplicaInfo, ReplicaState};
use crate::roster::ReplicaId;

impl Plan {
    /// All cards, by seat; the holder of a seat before its successor.
    pub(in crate::fleet) fn cards(&self, now: Instant) -> Vec<(Option<ReplicaId>, ReplicaInfo)> {
        let lives = self.lives.iter();
        let mut cards: Vec<_> = lives
            .map(|(id, life)| (Some(*id), self.replica_info(*id, life, now)))
            .collect();
        let empty = self.places.iter().filter(|place| self.is_empty(place));
        cards.extend(empty.map(|place| (None, self.empty(place, now))));
        cards.sort_by_key(|(id, card)| (card.seat.is_none(), card.seat, *id));
        cards
    }

    fn replica_info(&self, id: ReplicaId, life: &Replica, now: Instant) -> ReplicaInfo {
        let place = self
            .places
            .iter()
            .find(|place| Some(place.seat) == life.seat);
        let holds = |place: &&SeatRecord| place.holder.as_ref().is_some_and(|h| h.id == id);
        let held = place.filter(holds);
        let drained = held.is_some_and(|place| place.holder.as_ref().is_some_and(|h| h.drained));
        let up_since = match life.phase {
            Phase::Standby { since } => Some(since),
            _ => held.and_then(|place| place.up_since),
        };
        ReplicaInfo {
            name: life.name.clone(),
            seat: life.seat,
            state: match self.is_unresponsive(id) {
                true if !drained => ReplicaState::Silent,
                _ => self.state(life.phase, drained),
            },
            addr: life.addr,
            engine_id: None,
            up_for: up_since.map(|at| now.saturating_duration_since(at)),
            deaths: place.map_or(0, |place| place.died),
            heartbeat: None,
            in_flight: 0,
            in_rep_list: held.is_some_and(SeatRecord::is_held),
            reason: self.silence(id, now),
            past: place.map_or_else(Vec::new, |place| place.past.past_replicas(now)),
        }
    }

    fn state(&self, phase: Phase, drained: bool) -> ReplicaState {
        match phase {
            Phase::Starting { .. } => ReplicaState::Starting,
            Phase::Answered => ReplicaState::Answered,
            Phase::Standby { .. } => ReplicaState::Standby,
            Phase::Promoting { .. } => ReplicaState::Promoting,
            Phase::Up | Phase::Suspect if drained => ReplicaState::Drained,
            Phase::Up => ReplicaState::Up,
            Phase::Suspect => ReplicaState::Suspect,
            Phase::Unresponsive if self.policy.keeper == Management::External => ReplicaState::Down,
            Phase::Unresponsive => ReplicaState::Silent,
            Phase::Draining { .. } => ReplicaState::Leaving,
            Phase::Removing { .. } => ReplicaState::Removing,
        }
    }

    /// Whether nobody serves in a seat, and nobody is being started for it.
    fn is_empty(&self, place: &SeatRecord) -> bool {
        let holder = place.holder.as_ref().map(|holder| holder.id);
        let all = holder.into_iter().chain(place.successor);
        let mut phases = all.filter_map(|id| self.phase(id));
        let is_dead = |phase: &Phase| matches!(phase, Phase::Removing { .. });
        !place.leaving && phases.all(|phase| is_dead(&phase))
    }

    /// The card of a seat that waits.
    fn empty(&self, place: &SeatRecord, now: Instant) -> ReplicaInfo {
        let wait = place.patience.retry_at.map(|at| {
            let wait = at.saturating_duration_since(now);
            format!("the next start is in {:.1} s", wait.as_secs_f64())
        });
        let reasons: Vec<String> = wait.into_iter().chain(place.failure.clone()).collect();
        let holder = place.holder.as_ref().map(|holder| &holder.name);
        ReplicaInfo {
            name: holder.unwrap_or(&place.first_name).clone(),
            seat: Some(place.seat),
            state: ReplicaState::Waiting,
            addr: None,
            engine_id: None,
            up_for: None,
            deaths: place.died,
            heartbeat: None,
            in_flight: 0,
            in_rep_list: false,
            reason: (!reasons.is_empty()).then(|| reasons.join("; ")),
            past: place.past.past_replicas(now),
        }
    }
}
