//! Counters and rates of the balancer: `stats`, `watch`, `GET /stats` and `GET /history`.
//!
//! This module only renders: workers and fleet count, `crate::stats` subtracts. Counts are since
//! the start; rates, shares and times are of the window, which is the last seconds. Names and
//! meanings of JSON fields and of words in lines are stable; new ones may be added.

mod json;
mod lines;
mod report;

use std::time::Instant;

use serde_json::Value;
use tokio::time::{self, Interval, MissedTickBehavior, interval_at};

use self::report::StatsReport;
use super::context::ControlContext;
use super::ring_report::Report;
use crate::stats::TICK;

/// Returns the clock by which samples are taken. It begins after one tick: the sampler takes a
/// snapshot at its start itself. After a delay, missed samples are not taken in a burst.
pub(super) fn ticks() -> Interval {
    let mut ticks = interval_at(time::Instant::now() + TICK, TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Reads the counters and renders them on a helper thread.
///
/// # Errors
/// When that thread panicked.
pub(super) async fn report(context: &ControlContext) -> Result<Report, String> {
    let context = context.clone();
    let work = move || report_at(&context, Instant::now());
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| "the counts could not be read".into())
}

/// Returns the rates of the last two minutes, as JSON. No counter is read.
pub(super) fn history(context: &ControlContext) -> Value {
    json::render_timeline(&context.sources.recorder.timeline())
}

/// Returns the report of this moment.
pub(super) fn report_at(context: &ControlContext, now: Instant) -> Report {
    let roster = context.roster.latest();
    let report = StatsReport::new(&context.sources, &roster, now);
    (lines::render(&report), json::render(&report))
}
