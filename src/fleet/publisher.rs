//! The roster as the workers get it: the plan's view with the cells of each member.
//!
//! It owns the publisher and the cells, and decides nothing. Cells live as long as the plan knows their
//! replica, in the roster or out of it, since one that drains is no longer in the roster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::plan::{RosterDraft, Traffic};
use crate::metrics::ReplicaCounters;
use crate::ring::Seat;
use crate::roster::{Member, Publisher, ReplicaId, Roster};
use crate::stats::CounterRegistry;

/// The roster of `view`, with the cells that `cells_of` has for each member.
pub(super) fn build_roster(
    view: RosterDraft,
    watched: bool,
    mut cells_of: impl FnMut(ReplicaId, Seat) -> Arc<ReplicaCounters>,
) -> Roster {
    let member = |shown: super::plan::MemberDraft| {
        let cells = cells_of(shown.id, shown.seat);
        if shown.iterative {
            cells.set_iterative();
        }
        Member {
            id: shown.id,
            seat: shown.seat,
            name: shown.name,
            addr: shown.addr,
            health: shown.health,
            drained: shown.drained,
            cells,
        }
    };
    let members = view.members.into_iter().map(member).collect();
    Roster::new(view.version, view.ring, view.bound, watched, members)
}

/// The press: one writer of the roster, with all its cells.
#[derive(Debug)]
pub(super) struct RosterPublisher {
    publisher: Publisher,
    workers: usize,
    /// The cells of every replica that is or was in the roster.
    cells: BTreeMap<ReplicaId, Arc<ReplicaCounters>>,
    ledger: CounterRegistry,
}

impl RosterPublisher {
    /// Goes on from the roster that was published first.
    pub(super) fn new(publisher: Publisher, workers: usize, ledger: CounterRegistry) -> Self {
        let first = publisher.latest();
        for member in first.members() {
            ledger.register(member.seat, &member.cells);
        }
        let members = first.members().iter();
        let cells = members.map(|member| (member.id, Arc::clone(&member.cells)));
        Self {
            cells: cells.collect(),
            publisher,
            workers,
            ledger,
        }
    }

    /// Publishes `view`, and forgets the cells of those whom the plan does not know.
    pub(super) fn publish(&mut self, view: RosterDraft, is_known: impl Fn(ReplicaId) -> bool) {
        let watched = self.publisher.latest().watched;
        self.cells.retain(|id, _| is_known(*id));
        let Self {
            workers,
            cells,
            ledger,
            ..
        } = self;
        let cells_of = |id, seat| {
            let entry = cells.entry(id).or_insert_with(|| {
                let new = Arc::new(ReplicaCounters::new(*workers));
                ledger.register(seat, &new);
                new
            });
            Arc::clone(entry)
        };
        let roster = build_roster(view, watched, cells_of);
        self.publisher.publish(roster);
    }

    /// The version that was published last.
    pub(super) fn version(&self) -> u64 {
        self.publisher.latest().version
    }

    /// Whether every worker goes by what was published last.
    pub(super) fn acknowledged_by_all(&self) -> bool {
        self.publisher.min_acknowledged() >= self.version()
    }

    /// What is under way with `id`, over all workers.
    pub(super) fn in_flight(&self, id: ReplicaId) -> u64 {
        self.cells.get(&id).map_or(0, |cells| cells.in_flight())
    }

    /// Whether every worker routes by `version` or newer and nothing is in flight to `id`. The order
    /// of the two questions matters: once the version is seen, no new request can enter.
    pub(super) fn is_idle(&self, id: ReplicaId, version: u64) -> bool {
        self.publisher.min_acknowledged() >= version && self.in_flight(id) == 0
    }

    /// When the data path last had an answer from `id`.
    pub(super) fn last_answer(&self, id: ReplicaId) -> Option<Instant> {
        self.cells.get(&id)?.last_answer()
    }

    /// What the data path has under way with `id`, over all workers.
    pub(super) fn traffic(&self, id: ReplicaId) -> Traffic {
        let traffic = |cells: &Arc<ReplicaCounters>| Traffic {
            in_flight: cells.in_flight(),
            slow: cells.slow_requests(),
            replied: cells.replied(),
        };
        self.cells.get(&id).map(traffic).unwrap_or_default()
    }
}
