//! Former holders of a seat and how they ended, for `show`.
//!
//! Only the last [`MAX_PAST_HOLDERS`] are kept. The plan's verdict comes first. The engine's exit
//! report often follows when a successor already serves; both belong to the same entry.

use std::collections::VecDeque;
use std::time::Instant;

use crate::fleet::engine::ExitReport;
use crate::orders::PastReplica;
use crate::roster::{ReplicaId, ReplicaName};

/// Number of former holders that a seat keeps.
const MAX_PAST_HOLDERS: usize = 4;

/// Last holders of a seat, the newest last.
#[derive(Debug, Default)]
pub(super) struct SeatHistory(VecDeque<PastHolder>);

/// Former holder of a seat.
#[derive(Debug)]
pub(super) struct PastHolder {
    id: ReplicaId,
    name: ReplicaName,
    at: Instant,
    reason: String,
    exit: Option<ExitReport>,
}

impl PastHolder {
    /// Holder that was given up at `at` for this reason.
    pub(super) fn new(id: ReplicaId, name: ReplicaName, at: Instant, reason: String) -> Self {
        Self {
            id,
            name,
            at,
            reason,
            exit: None,
        }
    }
}

impl SeatHistory {
    /// Returns the former holders with their age at `now`, the newest first.
    pub(super) fn past_replicas(&self, now: Instant) -> Vec<PastReplica> {
        let newest_first = self.0.iter().rev();
        let past = newest_first.map(|holder| PastReplica {
            name: holder.name.clone(),
            ago: now.saturating_duration_since(holder.at),
            reason: holder.reason.clone(),
            exit: holder.exit.as_ref().map(|exit| exit.reason.clone()),
            last_lines: holder
                .exit
                .as_ref()
                .map_or_else(Vec::new, |exit| exit.last_lines.clone()),
        });
        past.collect()
    }

    /// Adds a former holder and drops the oldest one beyond the limit.
    pub(super) fn push(&mut self, holder: PastHolder) {
        if self.0.len() == MAX_PAST_HOLDERS {
            self.0.pop_front();
        }
        self.0.push_back(holder);
    }

    /// Adds the exit report of a former holder. Returns `false` if the holder has no entry here.
    pub(super) fn record_exit(&mut self, id: ReplicaId, exit: &ExitReport) -> bool {
        let Some(holder) = self.0.iter_mut().rev().find(|holder| holder.id == id) else {
            return false;
        };
        if holder.reason == exit.to_string() {
            // The verdict was this report. Its quoted output is kept separately.
            holder.reason.clone_from(&exit.reason);
        }
        holder.exit = Some(exit.clone());
        true
    }
}
