//! State of the plan at the start, made from the replicas that were found and the seats to be
//! filled.

use std::collections::BTreeSet;
use std::time::Instant;

use super::backend::Backend;
use super::backoff::Backoff;
use super::effects::Effects;
use super::followed_service::FollowedService;
use super::former_versions::VersionHistory;
use super::handover::Handover;
use super::mass_silence::MassSilence;
use super::order_book::OrderBook;
use super::replica::{Phase, Replica};
use super::replica_table::ReplicaTable;
use super::seat::{Holder, SeatRecord};
use super::seat_table::SeatTable;
use super::state::PlanState;
use super::types::{InitialSeat, InitialStandby, Policy};
use crate::ring::{RingError, Seat};
use crate::roster::Health;

/// Returns the state for these distinct seats and these standbys.
///
/// # Errors
/// When the ring has no room for the seats.
pub(super) fn initial_state(
    policy: Policy,
    first: &[InitialSeat],
    standbys: &[InitialStandby],
    now: Instant,
) -> Result<PlanState, RingError> {
    let on_ring: BTreeSet<Seat> = first.iter().map(|first| first.seat).collect();
    let weights = first.iter().map(|first| (first.seat, first.weight));
    let ring = policy.ring.build_weighted(&on_ring, &weights.collect())?;
    let mut replicas = ReplicaTable::new();
    let mut records: Vec<SeatRecord> = first
        .iter()
        .map(|first| initial_record(&policy, first, &mut replicas, now))
        .collect();
    if !policy.watched && records.iter().any(|record| record.inherited) {
        // No answer tells that these join a fleet that serves.
        let new = records.iter_mut().filter(|record| !record.inherited);
        new.for_each(|record| record.joined_at = Some(now));
    }
    for standby in standbys {
        let since = standby.started.unwrap_or(now);
        let phase = Phase::Standby { since };
        let mut replica = Replica::found(None, standby.name.clone(), standby.addr, phase);
        let version = standby.version.clone();
        replica.version = version.or_else(|| policy.version.clone());
        replicas.insert(replica);
    }
    Ok(PlanState {
        version: policy.version.clone(),
        former: VersionHistory::default(),
        policy,
        now,
        ring,
        seats: SeatTable::new(records),
        replicas,
        orders: OrderBook::default(),
        standby_backoff: Backoff::default(),
        mass_silence: MassSilence::default(),
        handover: Handover::new(),
        service: FollowedService::default(),
        shutdown: None,
        effects: Effects::default(),
    })
}

/// Returns the record of one seat, and adds its replica if that runs already. Such a replica has
/// time to answer before a successor is started beside it.
fn initial_record(
    policy: &Policy,
    first: &InitialSeat,
    replicas: &mut ReplicaTable,
    now: Instant,
) -> SeatRecord {
    let version = first.version.clone().or_else(|| policy.version.clone());
    let mut record = SeatRecord::new(first.seat, first.name.clone(), version.clone());
    record.begins_drained = first.drained;
    record.inherited = first.serves;
    record.awaits_first_answer = policy.watched;
    record.backend = first.backend.clone().map(Backend::new);
    let Some(addr) = first.addr else {
        return record;
    };
    if policy.keeper.is_managed() {
        let time_to_answer = policy.interval * (policy.misses + 1);
        let time_to_answer = time_to_answer.max(policy.replace_after);
        record.backoff.hold_until(now + time_to_answer);
    }
    let (phase, health) = if policy.watched {
        (Phase::Unresponsive, Health::Down)
    } else {
        (Phase::Up, Health::Up)
    };
    let mut replica = Replica::found(Some(first.seat), first.name.clone(), addr, phase);
    replica.version.clone_from(&version);
    replica.started = first.started;
    if !policy.watched {
        record.up_since = first.started;
    }
    record.holder = Some(Holder {
        id: replicas.insert(replica),
        name: first.name.clone(),
        addr,
        health,
        drained: first.drained,
        version,
        stands_in: false,
    });
    record
}
