//! Ejection of replicas that answer with server errors (`--eject-5xx`). At most half of the
//! replicas that are up are avoided, except for the time of a probe, so errors that all of them
//! give change nothing.

use tokio::time::Instant;

use super::in_flight::InFlight;
use super::roster_view::RosterView;
use super::upstream::Upstream;
use super::worker::Worker;
use crate::load::{EjectionRule, ErrorEvidence, ErrorVerdict, ErrorWatch};

/// Records the status of a final reply.
pub(super) fn record_reply(worker: &Worker, in_flight: &InFlight, status: u16, now: Instant) {
    if let Some(rule) = worker.settings.eject {
        judge(worker, rule, in_flight, status, now);
    }
}

fn judge(worker: &Worker, rule: EjectionRule, in_flight: &InFlight, status: u16, now: Instant) {
    let upstream = in_flight.upstream();
    let is_error = (500..=599).contains(&status);
    let mut errors = upstream.errors.watch();
    if errors.is_none() && !is_error && !rule.counts_all() {
        // Nothing is counted before the first error.
        return;
    }
    let watch = errors.get_or_insert_default();
    match watch.record(rule, is_error, in_flight.is_probe, now.into_std()) {
        ErrorVerdict::None => {}
        // The other replicas are counted, and this watch is borrowed.
        ErrorVerdict::Eject(evidence) => match may_eject(&worker.view(), upstream, now) {
            true => eject(upstream, watch, evidence, now),
            false if watch.spare() => tracing::warn!(
                "seat {} is not ejected, because half of the replicas are: {evidence}",
                upstream.seat
            ),
            false => {}
        },
        ErrorVerdict::Prolonged(_) if !may_eject(&worker.view(), upstream, now) => {
            watch.clear();
            upstream.publish_spared();
        }
        ErrorVerdict::Prolonged(time) => {
            upstream.publish_ejected(true);
            tracing::info!(
                "seat {} stays ejected for {} s: a probe was answered with {status}",
                upstream.seat,
                time.as_secs()
            );
        }
        ErrorVerdict::Recovered => {
            upstream.publish_ejected(false);
            tracing::info!(
                "seat {} answers without errors; its keys return",
                upstream.seat
            );
        }
    }
}

/// Returns `true` if at most half of the replicas that are up are avoided, this one included.
fn may_eject(view: &RosterView, candidate: &Upstream, now: Instant) -> bool {
    let up = view
        .upstreams
        .iter()
        .filter(|upstream| upstream.accepts_requests());
    let others = up.clone().filter(|upstream| upstream.id != candidate.id);
    let avoided = others.filter(|upstream| upstream.errors.is_avoided(now));
    2 * (avoided.count() + 1) <= up.count()
}

fn eject(upstream: &Upstream, watch: &mut ErrorWatch, evidence: ErrorEvidence, now: Instant) {
    watch.eject(now.into_std());
    upstream.publish_ejected(true);
    upstream.counters().ejections.add(1);
    tracing::warn!(
        "seat {} is ejected (--eject-5xx): {evidence}; its keys go to the next seat",
        upstream.seat
    );
}
