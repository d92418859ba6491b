//! The facts that the engine gets of the fleet: the seats that are wanted or vacant, and the fixed
//! backends.

use crate::fleet::engine::Engine;
use crate::fleet::plan::Plan;
use crate::orders::{Order, OrderError};

/// Replaces what the engine knows of the plan. During a shutdown the engine keeps what it knows,
/// for the next balancer.
pub(super) fn update(engine: &mut dyn Engine, plan: &Plan) {
    let Some(vacant) = plan.vacant() else {
        return;
    };
    engine.set_vacant_seats(vacant);
    engine.set_wanted_seats(&plan.wanted_seats());
    engine.set_backends(plan.backends());
}

/// Checks an order as far as it concerns the engine and nothing else.
///
/// # Errors
/// The address of a fixed backend cannot be one.
pub(super) fn check(engine: &dyn Engine, order: &Order) -> Result<(), OrderError> {
    match order {
        Order::AddBackend(change) | Order::SetBackend(change) => {
            let checked = engine.check_backend(&change.addr);
            checked.map_err(OrderError::invalid)
        }
        _ => Ok(()),
    }
}
