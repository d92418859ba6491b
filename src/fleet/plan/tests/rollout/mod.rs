//! Replacements by another version.

mod failures;
mod orders;
mod steps;

use super::super::*;
use super::bench::*;
use crate::orders::{Order, OrderError, ReplacePace};

/// Orders version 2 for all seats at a pace other than the default, and finds it.
fn roll_out_at(bench: &mut Bench, change: impl FnOnce(&mut ReplacePace)) {
    let mut order = request("all");
    change(&mut order.pace);
    bench.order(Order::Replace(order));
    bench.feed(Input::Prepared(OrderId(1), Ok(version("v2"))));
}

/// Lets the replica `new` answer, and the one that it replaces, `old`, end.
fn takes_over(bench: &mut Bench, new: ReplicaId, old: ReplicaId) {
    bench.rises(new);
    assert_eq!(bench.draining(), [old]);
    bench.feed(Input::Drained(old));
    bench.gone(old);
}

/// Replaces the next seat, whose holder is `old`, and lets its time of monitoring pass.
fn replaces_next(bench: &mut Bench, old: ReplicaId) -> ReplicaId {
    let new = bench.started()[0];
    takes_over(bench, new, old);
    bench.after(5 * SEC);
    new
}

fn unavailable(sentence: &str) -> OrderError {
    OrderError::unavailable(sentence)
}
