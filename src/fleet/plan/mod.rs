//! Plan of the fleet: a pure state machine from what is wanted and what was seen to actions.
//!
//! All verdicts, replacement, back-off, self-suspicion and the execution of orders are here, so
//! that every race can be tested. It has no clock, no socket and no randomness of its own: the
//! caller passes the time, and [`Environment`] answers the rest. Every step looks at all seats, so
//! a seat is filled because it is empty, and not because an event asked for it.
//!
//! [`Plan`] only coordinates. The data are at the bottom: `backoff`, `probe_failure`, `silence`,
//! `replica`, `backend`, `seat`, `seat_history`, `seat_table`, `order_book`, `backend_change`,
//! `rolling_replace`, `former_versions`, `mass_silence`, `handover`, `followed_service`,
//! `effects`. `state` bundles them, and the transitions in the other files are functions over that
//! state.

mod add;
mod backend;
mod backend_change;
mod backend_order;
mod backoff;
mod candidates;
mod deaths;
mod drain;
mod effects;
mod engine_events;
mod eviction;
mod followed_service;
mod former_versions;
mod handover;
mod health;
mod mass_silence;
mod order_book;
mod orders;
mod ownership;
mod probe_failure;
mod probe_types;
mod replace;
mod replace_failures;
mod replace_outcome;
mod replace_step;
mod replace_steps;
mod replacement;
mod replica;
mod replica_table;
mod resume;
mod ring_settings;
mod rm;
mod rolling_replace;
mod routine;
mod scale;
mod seat;
mod seat_history;
mod seat_table;
mod seating;
mod service;
mod service_change;
mod service_effect;
mod service_order;
mod service_ring;
mod show;
mod shutdown;
mod silence;
mod standby;
mod state;
#[cfg(test)]
mod tests;
mod types;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use crate::fleet::engine::VacantSeats;
use crate::fleet::version::Version;
use crate::orders::{BackendAddr, BackendSeat, ReplacementInfo, ReplicaInfo};
use crate::ring::{RingError, Seat};
use crate::roster::{ReplicaId, ReplicaName};
use backend_change::BackendOrder;
pub(super) use probe_types::{MissReason, ProbeEvent, ProbeWording, Refusal};
use replica::Replica;
use seat::SeatRecord;
use state::PlanState;
pub(super) use types::{
    Action, Environment, InitialSeat, InitialStandby, Input, MemberDraft, OrderId, Policy,
    RosterDraft, Traffic,
};

pub use types::{Ownership, Status};

/// Plan of the fleet.
#[derive(Debug)]
pub(super) struct Plan {
    state: PlanState,
}

impl Plan {
    /// Plan for the seats and standbys that were found; the seats are distinct. A replica that runs
    /// already has time to answer before a successor is started beside it.
    ///
    /// # Errors
    /// When the ring has no room for the seats.
    pub(super) fn resume(
        policy: Policy,
        first: &[InitialSeat],
        standbys: &[InitialStandby],
        now: Instant,
    ) -> Result<Self, RingError> {
        let state = resume::initial_state(policy, first, standbys, now)?;
        Ok(Self { state })
    }

    /// Leaves the replicas that were found to the old balancer until [`Input::Ownership`] reports
    /// the end of the takeover.
    pub(super) fn begin_acquiring(&mut self) {
        self.state.handover.set(Ownership::Acquiring);
    }

    /// Handles one input at `now` and returns the actions that follow from it.
    pub(super) fn step(
        &mut self,
        input: Input,
        now: Instant,
        env: &mut dyn Environment,
    ) -> Vec<Action> {
        let state = &mut self.state;
        state.now = now;
        match input {
            Input::Begin => engine_events::begin(state),
            Input::Engine(event) => engine_events::on_engine_event(state, event, env),
            Input::Probe(id, event) => health::on_probe(state, id, event, env),
            Input::Evidence(evidence) => health::on_evidence(state, evidence),
            Input::Drained(id) => engine_events::on_drained(state, id),
            Input::Saved(order_id, result) => backend_order::saved(state, order_id, result),
            Input::Prepared(order_id, version) => replace::prepared(state, order_id, version),
            Input::Order(order_id, order) => orders::accept(state, order_id, order),
            Input::Close => orders::close(state),
            Input::Ownership(ownership) => ownership::set(state, ownership),
            Input::Stop { leave } => shutdown::begin(state, leave),
            Input::Tick => {}
        }
        engine_events::expire(state);
        if state.shutdown.is_some() {
            shutdown::finish(state);
        } else {
            while orders::finish_active(state, env) || orders::begin_next(state, env) {}
            replacement::fill(state, env);
            standby::fill(state, env);
            candidates::follow(state, env);
            service::follow(state, env);
            eviction::evict(state);
            service_order::advance(state);
        }
        state.effects.take()
    }

    /// Records the answer of a replica that serves and has missed nothing. Returns `false` for
    /// every other input, which needs a step.
    pub(super) fn record_routine(&mut self, input: &Input, now: Instant) -> bool {
        routine::record(&mut self.state, input, now)
    }

    /// Returns the time at which the plan needs the next step, if no input arrives before.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let state = &self.state;
        let limits = state.replicas.values().filter_map(Replica::deadline);
        let backoffs = state.seats.iter().map(|record| &record.backoff);
        let backoffs = backoffs.chain([&state.standby_backoff]);
        let starts = backoffs.filter_map(backoff::Backoff::not_before);
        let times = limits.chain(starts).chain(state.mass_silence.held_until());
        let times = times.chain(replace_steps::deadline(state));
        let order = state.orders.backend();
        let times = times.chain(order.and_then(BackendOrder::deadline));
        let times = times.chain(service_order::deadline(state));
        let times = times.chain(eviction::deadline(state));
        let times = times.chain(candidates::deadline(state));
        // Work that was due and not done in this step waits for something other than time.
        times.filter(|at| *at > state.now).min()
    }

    /// Returns the roster that the plan wants.
    pub(super) fn view(&self) -> RosterDraft {
        let state = &self.state;
        let member = |record: &SeatRecord| {
            let holder = record.holder.as_ref()?;
            let replica = state.replicas.get(holder.id);
            Some(MemberDraft {
                id: holder.id,
                seat: record.seat,
                name: holder.name.clone(),
                addr: holder.addr,
                health: holder.health,
                drained: holder.drained,
                slow_start: record.slow_start(state.policy.slow_start, state.now),
                iterative: replica.is_some_and(|replica| replica.iterative),
            })
        };
        RosterDraft {
            version: state.effects.roster_version(),
            ring: Arc::clone(&state.ring),
            bound: state.policy.bound,
            members: state.seats.wanted().filter_map(member).collect(),
        }
    }

    /// Returns the counts and the readiness of the fleet.
    pub(super) fn status(&self) -> Status {
        let state = &self.state;
        let replicas = || state.replicas.values();
        let mut seated = replicas().filter(|replica| replica.seat.is_some());
        let is_moving = seated.any(|replica| replica.deadline().is_some());
        Status {
            wanted: state.seats.wanted_count(),
            answered: state.seats.iter().filter(|seat| seat.is_held()).count(),
            up: state.seats.up_count(),
            unanswered_inherited: state.seats.unanswered_inherited_count(),
            drained: state.seats.drained_count(),
            standbys: replicas().filter(|replica| replica.is_warm()).count(),
            versions: state.seats.versions().len(),
            has_other_versions: self.has_other_versions(),
            replacing: self.replacement().is_some(),
            ownership: state.handover.ownership(),
            busy: state.orders.is_active() || is_moving,
            complete: state.seats.has_all_first_answers() && !service::is_unknown(state),
        }
    }

    /// Returns the names that `/rep` lists.
    pub(super) fn listed(&self) -> Vec<ReplicaName> {
        self.state.seats.listed()
    }

    /// Returns the descriptions for `show`, ordered by seat.
    pub(super) fn replica_infos(&self, now: Instant) -> Vec<(Option<ReplicaId>, ReplicaInfo)> {
        show::describe(&self.state, now)
    }

    /// Returns the wanted seats that need a replica, each with its last holder. `None` during a
    /// shutdown: the markers of the seats stay as they were, for the next balancer.
    pub(super) fn vacant(&self) -> Option<VacantSeats> {
        let is_running = self.state.shutdown.is_none();
        is_running.then(|| self.state.seats.vacant())
    }

    /// Returns the addresses of the fixed backends. `true`: a seat with this address has no holder
    /// that is up.
    pub(super) fn backends(&self) -> BTreeMap<BackendAddr, bool> {
        backend_order::addresses(&self.state)
    }

    /// Returns the fixed backends in the order of `/rep`, those that are being removed excluded.
    pub(super) fn backend_seats(&self) -> Vec<BackendSeat> {
        self.state.backend_seats()
    }

    /// Returns the wanted seats.
    pub(super) fn wanted_seats(&self) -> BTreeSet<Seat> {
        self.state.seats.wanted_seats()
    }

    /// Returns the seat that `id` has or is to have; `None` for a standby.
    pub(super) fn seat(&self, id: ReplicaId) -> Option<Seat> {
        let replica = self.state.replicas.get(id);
        replica.and_then(|replica| replica.seat)
    }

    /// Returns the version that `id` is to run; `None` for a fixed backend.
    pub(super) fn version(&self, id: ReplicaId) -> Option<&Version> {
        let replica = self.state.replicas.get(id);
        replica.and_then(|replica| replica.version.as_ref())
    }

    /// Returns `true` if a replica in a seat, or new ones, run another version than the settings
    /// say.
    pub(super) fn has_other_versions(&self) -> bool {
        let configured = self.state.policy.version.as_ref();
        let versions = self.state.seats.versions();
        let mut versions = versions.into_iter().chain(&self.state.version);
        versions.any(|version| Some(version) != configured)
    }

    /// Returns the progress of the replacement that is under way.
    pub(super) fn replacement(&self) -> Option<ReplacementInfo> {
        let state = &self.state;
        let of_service = || service_order::replacement(state);
        state.orders.replacement().or_else(of_service)
    }

    /// Returns `true` if the address of `id` is known, so that it already runs.
    pub(super) fn runs(&self, id: ReplicaId) -> bool {
        let replica = self.state.replicas.get(id);
        replica.is_some_and(|replica| replica.addr.is_some())
    }

    /// Returns `true` if the engine still holds `id`, or if `id` is the last holder of a seat.
    pub(super) fn knows(&self, id: ReplicaId) -> bool {
        self.state.replicas.contains(id) || self.state.seats.held_by(id).is_some()
    }
}
