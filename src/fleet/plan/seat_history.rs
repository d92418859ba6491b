//! Who held a seat before, and how that ended: what `show` tells of the dead.
//!
//! Only the last few are kept. Surprising: the verdict comes first and the engine's word of how a
//! replica ended often later, when its successor serves already; both belong to one entry.

use std::collections::VecDeque;
use std::time::Instant;

use super::Plan;
use crate::fleet::engine::ExitReport;
use crate::orders::PastReplica;
use crate::roster::{ReplicaId, ReplicaName};

/// How many a seat keeps.
const MAX_PAST_HOLDERS: usize = 4;

/// The last who held a seat, the newest last.
#[derive(Debug, Default)]
pub(super) struct SeatHistory(VecDeque<PastHolder>);

#[derive(Debug)]
struct PastHolder {
    id: ReplicaId,
    name: ReplicaName,
    at: Instant,
    reason: String,
    ending: Option<ExitReport>,
}

impl SeatHistory {
    /// What there is to tell at `now`, the newest first.
    pub(super) fn past_replicas(&self, now: Instant) -> Vec<PastReplica> {
        let newest_first = self.0.iter().rev();
        let told = newest_first.map(|one| PastReplica {
            name: one.name.clone(),
            ago: now.saturating_duration_since(one.at),
            reason: one.reason.clone(),
            exit: one.ending.as_ref().map(|ending| ending.reason.clone()),
            last_lines: one
                .ending
                .as_ref()
                .map_or_else(Vec::new, |e| e.last_lines.clone()),
        });
        told.collect()
    }
}

impl Plan {
    /// Notes that `id` holds its seat no more, or does so in vain.
    pub(super) fn record_death(&mut self, id: ReplicaId, reason: String) {
        let Some(life) = self.lives.get(&id) else {
            return;
        };
        let (seat, name, at) = (life.seat, life.name.clone(), self.now);
        let Some(place) = seat.and_then(|seat| self.place_mut(seat)) else {
            return;
        };
        let kept = &mut place.past.0;
        if kept.len() == MAX_PAST_HOLDERS {
            kept.pop_front();
        }
        kept.push_back(PastHolder {
            id,
            name,
            at,
            reason,
            ending: None,
        });
    }

    /// Adds how it ended, if it was noted.
    pub(super) fn record_exit(&mut self, id: ReplicaId, ending: &ExitReport) {
        let all = self.places.iter_mut().flat_map(|place| &mut place.past.0);
        if let Some(one) = all.rev().find(|one| one.id == id) {
            if one.reason == ending.to_string() {
                // The verdict was the engine's word itself.
                one.reason.clone_from(&ending.reason);
            }
            one.ending = Some(ending.clone());
        }
    }
}
