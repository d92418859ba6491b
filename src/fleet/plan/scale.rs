//! `scale`: an `/add` with random names, or an `/rm` of the highest seats.
//!
//! A `scale` is checked when its turn comes, so two waiting orders do not add up. The highest seats
//! need not be the newest, because an `/add` takes freed seats first.

use std::collections::BTreeSet;

use super::order_book::ActiveOrder;
use super::state::PlanState;
use super::types::{Environment, OrderId};
use super::{add, rm};
use crate::orders::{ChangeRequest, OrderError};

/// Checks a `scale` to `n` replicas and begins it. Returns `None` if there are `n` already.
///
/// # Errors
/// When `n` is above the limit, or the ring has no room.
pub(super) fn begin(
    state: &mut PlanState,
    order_id: OrderId,
    n: usize,
    env: &mut dyn Environment,
) -> Result<Option<ActiveOrder>, OrderError> {
    let (wanted, max) = (state.seats.wanted_count(), state.policy.max_replicas);
    if n > max && n > wanted {
        return Err(OrderError::too_large_scale(n, max));
    }
    if n > wanted {
        let change = ChangeRequest {
            n: n - wanted,
            names: Vec::new(),
        };
        return add::begin(state, order_id, &change, env).map(Some);
    }
    if n == wanted {
        return Ok(None);
    }
    let mut seats = state.seats.wanted_seats();
    let mut highest = BTreeSet::new();
    for _ in n..wanted {
        highest.extend(seats.pop_last());
    }
    rm::remove_seats(state, order_id, highest).map(Some)
}
