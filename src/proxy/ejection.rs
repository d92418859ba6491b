//! Ejection of replicas that answer with server errors (`--eject-5xx`). At most half of the
//! replicas that are up are ejected, so errors that all of them give change nothing.

use std::rc::Rc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::roster_view::RosterView;
use super::upstream::Upstream;
use super::worker::Worker;
use crate::load::{EjectionRule, ErrorEvidence, ErrorVerdict, ErrorWatch};

/// Records the status of a final reply.
pub(super) fn record_reply(worker: &Worker, upstream: &Rc<Upstream>, status: u16, now: Instant) {
    if let Some(rule) = worker.settings.eject {
        judge(worker, rule, upstream, status, now);
    }
}

fn judge(worker: &Worker, rule: EjectionRule, upstream: &Upstream, status: u16, now: Instant) {
    let mut errors = upstream.errors.watch();
    let is_error = (500..=599).contains(&status);
    if errors.is_none() && !is_error {
        // The watch begins with the first error.
        return;
    }
    let watch = errors.get_or_insert_default();
    match watch.record(rule, is_error, now.into_std()) {
        ErrorVerdict::None => {}
        ErrorVerdict::Eject(evidence) => {
            // The others are counted, and this watch is borrowed.
            match may_eject(&worker.view(), upstream) {
                true => eject(upstream, watch, evidence, now),
                false if watch.spare() => tracing::warn!(
                    "seat {} is not ejected, because half of the replicas are: {evidence}",
                    upstream.seat
                ),
                false => {}
            }
        }
        ErrorVerdict::Prolonged(time) => tracing::info!(
            "seat {} stays ejected for {} s: a probe was answered with {status}",
            upstream.seat,
            time.as_secs()
        ),
        ErrorVerdict::Recovered => {
            *errors = None;
            upstream.counters().ejected.store(false, Ordering::Relaxed);
            tracing::info!(
                "seat {} answers without errors; its keys return",
                upstream.seat
            );
        }
    }
}

/// Returns `true` if at most half of the replicas that are up are ejected, this one included.
fn may_eject(view: &RosterView, candidate: &Upstream) -> bool {
    let up = view
        .upstreams
        .iter()
        .filter(|upstream| upstream.accepts_requests());
    let others = up.clone().filter(|upstream| upstream.id != candidate.id);
    let ejected = others
        .filter(|upstream| upstream.errors.is_ejected())
        .count()
        + 1;
    2 * ejected <= up.count()
}

fn eject(upstream: &Upstream, watch: &mut ErrorWatch, evidence: ErrorEvidence, now: Instant) {
    watch.eject(now.into_std());
    upstream.counters().ejected.store(true, Ordering::Relaxed);
    upstream.counters().ejections.add(1);
    tracing::warn!(
        "seat {} is ejected (--eject-5xx): {evidence}; its keys go to the next seat",
        upstream.seat
    );
}
