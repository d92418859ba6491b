//! The view of the fleet that the engine gets: the seats that are wanted or vacant, and the fixed
//! backends.

use crate::fleet::engine::Engine;
use crate::fleet::plan::Plan;

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
