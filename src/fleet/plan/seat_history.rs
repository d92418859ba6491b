//! Who held a seat before, and how that ended: what `show` tells of the dead.
//!
//! Only the last few are kept. Surprising: the verdict comes first and the engine's word of how a
//! replica ended often later, when its successor serves already; both belong to one entry.

use std::collections::VecDeque;
use std::time::Instant;

use super::Plan;
use crate::fleet::engine::Ending;
use crate::orders::PastReplica;
use crate::roster::{ReplicaId, ReplicaName};

/// How many a seat keeps.
const KEPT: usize = 4;

/// The last who held a seat, the newest last.
#[derive(Debug, Default)]
pub(super) struct Obituaries(VecDeque<Obituary>);

#[derive(Debug)]
struct Obituary {
    id: ReplicaId,
    name: ReplicaName,
    at: Instant,
    reason: String,
    ending: Option<Ending>,
}

impl Obituaries {
    /// What there is to tell at `now`, the newest first.
    pub(super) fn told(&self, now: Instant) -> Vec<PastReplica> {
        let newest_first = self.0.iter().rev();
        let told = newest_first.map(|one| PastReplica {
            name: one.name.clone(),
            ago: now.saturating_duration_since(one.at),
            reason: one.reason.clone(),
            exit: one.ending.as_ref().map(|ending| ending.how.clone()),
            last_lines: one
                .ending
                .as_ref()
                .map_or_else(Vec::new, |e| e.said.clone()),
        });
        told.collect()
    }
}

impl Plan {
    /// Notes that `id` holds its seat no more, or does so in vain.
    pub(super) fn bury(&mut self, id: ReplicaId, reason: String) {
        let Some(life) = self.lives.get(&id) else {
            return;
        };
        let (seat, name, at) = (life.seat, life.name.clone(), self.now);
        let Some(place) = seat.and_then(|seat| self.place_mut(seat)) else {
            return;
        };
        let kept = &mut place.past.0;
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Obituary {
            id,
            name,
            at,
            reason,
            ending: None,
        });
    }

    /// Adds how it ended, if it was noted.
    pub(super) fn note_ending(&mut self, id: ReplicaId, ending: &Ending) {
        let all = self.places.iter_mut().flat_map(|place| &mut place.past.0);
        if let Some(one) = all.rev().find(|one| one.id == id) {
            if one.reason == ending.to_string() {
                // The verdict was the engine's word itself.
                one.reason.clone_from(&ending.how);
            }
            one.ending = Some(ending.clone());
        }
    }
}
