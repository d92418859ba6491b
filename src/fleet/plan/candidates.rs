//! Candidates of fixed backends: the addresses of a name that are probed besides the holder of its
//! seat.
//!
//! A name may have several addresses, and others from one lookup to the next. All of them are
//! probed while the seat has no holder that answers, or while the name no longer has the holder's
//! address. The first candidate that answers takes the seat; the others are given up. So a holder
//! is kept while it answers, and a move begins with the new address and not with the end of the old
//! one.

use std::time::Instant;

use super::backend::Backend;
use super::backend_change::BackendOrder;
use super::replica::{Phase, Replica};
use super::seat::SeatRecord;
use super::state::PlanState;
use super::types::{Action, Environment};
use super::{deaths, seating};
use crate::fleet::engine::{Management, StopMode};
use crate::fleet::events::EventKind;
use crate::orders::BackendAddr;
use crate::ring::Seat;
use crate::roster::{ReplicaAddr, ReplicaId, ReplicaName};

/// Address that is to be probed for a seat.
#[derive(Debug)]
struct Wanted {
    seat: Seat,
    name: ReplicaName,
    addr: ReplicaAddr,
}

/// Handles the result of a lookup; an error is a sentence.
pub(super) fn on_resolved(
    state: &mut PlanState,
    addr: &BackendAddr,
    result: &Result<Vec<ReplicaAddr>, String>,
) {
    let backends = state.seats.iter_mut();
    let backends = backends.filter_map(|record| record.backend.as_mut());
    let new = state.orders.backend_mut();
    let new = new.and_then(BackendOrder::new_address_mut);
    let backends = backends.chain(new.map(|new| &mut new.backend));
    for backend in backends.filter(|backend| backend.addr == *addr) {
        backend.record(result.clone());
    }
}

/// Adapts the candidates to the holders and to the addresses of their names.
pub(super) fn follow(state: &mut PlanState, env: &dyn Environment) {
    if state.policy.keeper != Management::External {
        return;
    }
    give_up_left_addresses(state, env);
    let mut wanted: Vec<Wanted> = Vec::new();
    for record in state.seats.wanted() {
        wanted.extend(wanted_candidates(state, record));
    }
    wanted.extend(wanted_by_order(state));
    let is_wanted = |replica: &Replica| {
        let mut wanted = wanted.iter();
        wanted.any(|one| Some(one.seat) == replica.seat && Some(one.addr) == replica.addr)
    };
    let candidates = state.replicas.iter();
    let candidates = candidates.filter(|(_, replica)| replica.is_candidate());
    let unwanted = candidates.filter(|(_, replica)| !is_wanted(replica));
    for id in unwanted.map(|(id, _)| id).collect::<Vec<_>>() {
        state.remove(id, StopMode::Detach);
    }
    for candidate in wanted {
        start(state, candidate);
    }
    report_failed_lookups(state);
}

/// Returns the time at which the next failed lookup is reported.
pub(super) fn deadline(state: &PlanState) -> Option<Instant> {
    let due = |record: &SeatRecord| {
        let backend = record.backend.as_ref()?;
        let is_reported = !record.is_held() && !record.leaving;
        backend.failures.news_due().filter(|_| is_reported)
    };
    state.seats.iter().filter_map(due).min()
}

/// Reports each name that does not resolve while its seat has no holder that answers.
fn report_failed_lookups(state: &mut PlanState) {
    let (now, mut news) = (state.now, Vec::new());
    for record in state.seats.iter_mut() {
        if record.is_held() || record.leaving {
            continue;
        }
        let name = record.display_name().clone();
        let Some(backend) = &mut record.backend else {
            continue;
        };
        if backend.failures.take_news(now, None)
            && let Some(reason) = backend.lookup_failure()
        {
            news.push((record.seat, name, reason));
        }
    }
    for (seat, name, reason) in news {
        state.record(EventKind::Failing, seat, name, reason);
    }
}

/// Gives up each holder that does not answer and whose address the name no longer has: the address
/// may be that of a foreign server by now.
fn give_up_left_addresses(state: &mut PlanState, env: &dyn Environment) {
    let mut left = Vec::new();
    for record in state.seats.wanted() {
        let (Some(backend), Some(holder)) = (&record.backend, &record.holder) else {
            continue;
        };
        let phase = state.replicas.phase(holder.id);
        let answers = !matches!(phase, Some(Phase::Suspect | Phase::Unresponsive));
        if !answers && backend.has_left(holder.addr) {
            let reason = format!(
                "{} no longer resolves to {}",
                backend.addr.host(),
                holder.addr
            );
            left.push((holder.id, record.is_held(), reason));
        }
    }
    for (id, is_held, reason) in left {
        if is_held {
            deaths::mark_dead(state, id, reason, env);
        }
        state.remove(id, StopMode::Detach);
    }
}

/// Returns the addresses that are to be probed for this seat besides that of its holder.
fn wanted_candidates(state: &PlanState, record: &SeatRecord) -> Vec<Wanted> {
    let Some(backend) = &record.backend else {
        return Vec::new();
    };
    let holder = record.holder.as_ref();
    let is_kept = holder.is_some_and(|holder| {
        record.is_held() && !state.is_silent(record) && !backend.has_left(holder.addr)
    });
    if is_kept {
        return Vec::new();
    }
    let mut wanted = wanted_besides(state, record.seat, record.display_name(), backend);
    if !state.policy.watched {
        // No address is tried: the first counts as up.
        wanted.truncate(1);
    }
    wanted
}

/// Returns the addresses of a backend for a seat, besides one that is probed there already.
fn wanted_besides(
    state: &PlanState,
    seat: Seat,
    name: &ReplicaName,
    backend: &Backend,
) -> Vec<Wanted> {
    let record = state.seats.get(seat);
    let holder = record.and_then(|record| record.holder.as_ref());
    let probed = holder.filter(|holder| state.is_probed(holder.id));
    let addresses = backend.addresses_besides(probed.map(|holder| holder.addr));
    let wanted = addresses.into_iter().map(|addr| Wanted {
        seat,
        name: name.clone(),
        addr,
    });
    wanted.collect()
}

/// Returns the addresses that an order has tried, besides one that its seat has already.
fn wanted_by_order(state: &PlanState) -> Vec<Wanted> {
    let order = state.orders.backend().filter(|_| state.policy.watched);
    let Some(new) = order.and_then(BackendOrder::new_address) else {
        return Vec::new();
    };
    wanted_besides(state, new.seat, &new.name, &new.backend)
}

/// Handles the first answer of a candidate: it takes the seat, or an order goes on.
pub(super) fn on_answered(state: &mut PlanState, id: ReplicaId) {
    let replica = state.replicas.get(id);
    let place = replica.and_then(|replica| Some((replica.seat, replica.addr?)));
    let order = state.orders.backend_mut();
    let new = order.and_then(BackendOrder::new_address_mut);
    let is_of_order = new
        .zip(place)
        .is_some_and(|(new, (seat, addr))| new.record_answer(id, seat, addr));
    if !is_of_order {
        seating::take_seat(state, id, false);
    }
}

/// Begins to probe a candidate, unless it is probed already. Without heartbeats it takes the seat
/// at once.
fn start(state: &mut PlanState, wanted: Wanted) {
    let Wanted { seat, name, addr } = wanted;
    let is_same = |replica: &Replica| {
        replica.is_candidate() && replica.seat == Some(seat) && replica.addr == Some(addr)
    };
    if state.replicas.values().any(is_same) {
        return;
    }
    let id = state
        .replicas
        .insert(Replica::candidate(seat, name, addr, state.now));
    if state.policy.watched {
        state.effects.push(Action::StartProbing(id, addr));
    } else {
        seating::take_seat(state, id, false);
    }
}
