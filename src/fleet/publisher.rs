//! The publisher of the roster: it adds the counters of each member to the plan's roster.
//!
//! It decides nothing. The counters of a replica live as long as the plan knows it, because a
//! draining replica is no longer in the roster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::plan::{MemberDraft, RosterDraft, Traffic};
use crate::metrics::ReplicaCounters;
use crate::ring::Seat;
use crate::roster::{Member, Publisher, ReplicaId, Roster};
use crate::stats::CounterRegistry;

/// Builds the roster of `draft`, with the counters that `counters_of` returns for each member.
pub(super) fn build_roster(
    draft: RosterDraft,
    watched: bool,
    mut counters_of: impl FnMut(ReplicaId, Seat) -> Arc<ReplicaCounters>,
) -> Roster {
    let member = |draft: MemberDraft| {
        let counters = counters_of(draft.id, draft.seat);
        if draft.iterative {
            counters.set_iterative();
        }
        Member {
            id: draft.id,
            seat: draft.seat,
            name: draft.name,
            addr: draft.addr,
            health: draft.health,
            drained: draft.drained,
            slow_start: draft.slow_start,
            counters,
        }
    };
    let members = draft.members.into_iter().map(member).collect();
    Roster::new(draft.version, draft.ring, draft.bound, watched, members)
}

/// The only writer of the roster, with the counters of its replicas.
#[derive(Debug)]
pub(super) struct RosterPublisher {
    publisher: Publisher,
    workers: usize,
    /// Counters of every replica that is or was in the roster.
    counters: BTreeMap<ReplicaId, Arc<ReplicaCounters>>,
    registry: CounterRegistry,
}

impl RosterPublisher {
    /// Creates a publisher that continues from the initial roster.
    pub(super) fn new(publisher: Publisher, workers: usize, registry: CounterRegistry) -> Self {
        let initial = publisher.latest();
        for member in initial.members() {
            registry.register(member.seat, &member.counters);
        }
        let members = initial.members().iter();
        let counters = members.map(|member| (member.id, Arc::clone(&member.counters)));
        Self {
            counters: counters.collect(),
            publisher,
            workers,
            registry,
        }
    }

    /// Publishes `draft`, and drops the counters of replicas that the plan does not know.
    pub(super) fn publish(&mut self, draft: RosterDraft, is_known: impl Fn(ReplicaId) -> bool) {
        let watched = self.publisher.latest().watched;
        self.counters.retain(|id, _| is_known(*id));
        let Self {
            workers,
            counters,
            registry,
            ..
        } = self;
        let counters_of = |id, seat| {
            let entry = counters.entry(id).or_insert_with(|| {
                let new = Arc::new(ReplicaCounters::new(*workers));
                registry.register(seat, &new);
                new
            });
            Arc::clone(entry)
        };
        let roster = build_roster(draft, watched, counters_of);
        self.publisher.publish(roster);
    }

    /// Returns the version that was published last.
    pub(super) fn version(&self) -> u64 {
        self.publisher.latest().version
    }

    /// Returns `true` if every worker has acknowledged the latest roster.
    pub(super) fn acknowledged_by_all(&self) -> bool {
        self.publisher.min_acknowledged() >= self.version()
    }

    /// Returns the number of exchanges with `id`, over all workers.
    pub(super) fn in_flight(&self, id: ReplicaId) -> u64 {
        let counters = self.counters.get(&id);
        counters.map_or(0, |counters| counters.in_flight())
    }

    /// Returns `true` if a worker diverts the requests of `id` because of its errors.
    pub(super) fn is_ejected(&self, id: ReplicaId) -> bool {
        let counters = self.counters.get(&id);
        counters.is_some_and(|counters| counters.is_ejected())
    }

    /// Returns `true` if every worker routes by `version` or newer and no exchange with `id` is
    /// left.
    ///
    /// The order of the two checks matters: once the version is acknowledged, no new request can
    /// enter.
    pub(super) fn is_idle(&self, id: ReplicaId, version: u64) -> bool {
        self.publisher.min_acknowledged() >= version && self.in_flight(id) == 0
    }

    /// Returns the time of the last answer of `id` on the data path.
    pub(super) fn last_answer(&self, id: ReplicaId) -> Option<Instant> {
        self.counters.get(&id)?.last_answer()
    }

    /// Returns the data path's traffic with `id`, over all workers.
    pub(super) fn traffic(&self, id: ReplicaId) -> Traffic {
        let traffic = |counters: &Arc<ReplicaCounters>| Traffic {
            in_flight: counters.in_flight(),
            slow: counters.slow_requests(),
            replied: counters.replied(),
        };
        self.counters.get(&id).map(traffic).unwrap_or_default()
    }
}
