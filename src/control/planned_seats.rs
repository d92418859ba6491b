//! The seats after a planned change of their number, for `plan`.
//!
//! Pure. The fleet's checks are made here as far as the seats and their names allow.

use std::collections::{BTreeMap, BTreeSet};

use super::ring_query::PlannedChange;
use crate::orders::{BackendChange, ChangeRequest, OrderError};
use crate::ring::Seat;
use crate::roster::ReplicaName;

/// Returns the seats after a change of their number, and those of the removed seats that the order
/// would draw. Enters the new names into `names`.
///
/// # Errors
/// A sentence, when the fleet would refuse the change.
pub(super) fn seats_after(
    change: &PlannedChange,
    seats: &BTreeSet<Seat>,
    names: &mut BTreeMap<Seat, ReplicaName>,
    max: usize,
) -> Result<(BTreeSet<Seat>, Vec<Seat>), String> {
    let kept = |seats| (seats, Vec::new());
    match change {
        PlannedChange::Add(change) => seats_after_add(change, seats, names, max).map(kept),
        PlannedChange::AddBackend(BackendChange { name, .. }) => {
            let change = ChangeRequest::named(name.clone());
            seats_after_add(&change, seats, names, max).map(kept)
        }
        PlannedChange::Rm(change) => seats_after_rm(change, seats, names),
        PlannedChange::RmAll => seats_after_scale(0, seats, max).map(kept),
        PlannedChange::Scale(n) => seats_after_scale(*n, seats, max).map(kept),
        PlannedChange::Weight(..)
        | PlannedChange::Ring(_)
        | PlannedChange::Bound(_)
        | PlannedChange::Replace(_) => Ok(kept(seats.clone())),
    }
}

/// Checks that a fleet of at most `max` replicas has room for `n` more.
///
/// # Errors
/// The fleet has no such room.
pub(super) fn check_room(n: usize, wanted: usize, max: usize) -> Result<(), OrderError> {
    match wanted.saturating_add(n) > max {
        true => Err(OrderError::too_many(n, wanted, max)),
        false => Ok(()),
    }
}

/// Returns the seats after an `add`, and enters the new names into `names`.
fn seats_after_add(
    change: &ChangeRequest,
    seats: &BTreeSet<Seat>,
    names: &mut BTreeMap<Seat, ReplicaName>,
    max: usize,
) -> Result<BTreeSet<Seat>, String> {
    let taken = |name: &&ReplicaName| names.values().any(|other| other == *name);
    if let Some(name) = change.names.iter().find(taken) {
        return Err(format!("the name {name} is taken"));
    }
    let (n, wanted) = (change.n, seats.len());
    check_room(n, wanted, max).map_err(|refusal| refusal.sentence)?;
    let free = (1..).map(Seat).filter(|seat| !seats.contains(seat));
    let new: Vec<Seat> = free.take(n).collect();
    names.extend(new.iter().copied().zip(change.names.iter().cloned()));
    Ok(seats.iter().copied().chain(new).collect())
}

/// Returns the `n` seats after a `scale`: the lowest free ones join, the highest go.
fn seats_after_scale(
    n: usize,
    seats: &BTreeSet<Seat>,
    max: usize,
) -> Result<BTreeSet<Seat>, String> {
    if n > max && n > seats.len() {
        return Err(OrderError::too_large_scale(n, max).sentence);
    }
    let free = (1..).map(Seat).filter(|seat| !seats.contains(seat));
    let new = free.take(n.saturating_sub(seats.len()));
    Ok(seats.iter().copied().take(n).chain(new).collect())
}

/// Returns the seat of the replica of this name.
///
/// # Errors
/// A sentence, when there is none.
pub(super) fn seat_of(
    name: &ReplicaName,
    names: &BTreeMap<Seat, ReplicaName>,
) -> Result<Seat, String> {
    let named = names.iter().find(|(_, other)| *other == name);
    let seat = named.map(|(seat, _)| *seat);
    seat.ok_or_else(|| format!("there is no replica named {name}"))
}

/// Returns the seats after an `rm`, and those of the removed seats that were not named.
fn seats_after_rm(
    change: &ChangeRequest,
    seats: &BTreeSet<Seat>,
    names: &BTreeMap<Seat, ReplicaName>,
) -> Result<(BTreeSet<Seat>, Vec<Seat>), String> {
    let mut rest = seats.clone();
    for name in &change.names {
        rest.remove(&seat_of(name, names)?);
    }
    let (n, wanted) = (change.n, seats.len());
    if n > wanted {
        return Err(OrderError::too_few(n, wanted).sentence);
    }
    let unnamed = n.saturating_sub(wanted - rest.len());
    let highest = (0..unnamed).filter_map(|_| rest.pop_last());
    let mut assumed: Vec<Seat> = highest.collect();
    assumed.reverse();
    Ok((rest, assumed))
}
