//! Scenario `fairness`: latencies of small requests beside 20 clients at full speed, and the
//! throughput of these clients.

use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;

use super::args::DuelPlan;
use super::bulk::Bulk;
use super::bulk_kind::BulkKind;
use super::load::PeerLoad;
use super::peer::Peer;
use super::proxy::Proxy;
use super::scenario::{SMALL, Shape};
use crate::arrivals::Rate;
use crate::float::as_f64;
use crate::spread;

/// Peers that read HTTP, and no proxy as a reference for the load itself.
pub(crate) const FAIRNESS_PEERS: [Peer; 4] = [
    Peer::Direct,
    Peer::Ringmaster,
    Peer::HaproxyHttp,
    Peer::NginxHttp,
];

/// Rate and shape of the small requests. They are few, so that large bodies have the rest of the
/// proxy.
pub(crate) const SMALL_PER_SECOND: f64 = 200.0;
pub(crate) const SMALL_REQUESTS: Shape = Shape {
    connections: 8,
    ..SMALL
};

/// Time in which a proxy serves only the large bodies before measuring begins.
const BULK_ALONE: Duration = Duration::from_millis(200);
/// Time that a proxy gets to close the large bodies.
const CLOSE_DELAY: Duration = Duration::from_millis(100);

const MIB: f64 = 1024.0 * 1024.0;

/// Returns an empty result for each kind and peer.
pub(crate) fn empty_results(peers: &[Peer]) -> Vec<FairnessResult> {
    let empty = |bulk| {
        peers.iter().map(move |peer| FairnessResult {
            bulk,
            name: peer.name(),
            samples: Vec::new(),
            summary: None,
        })
    };
    BulkKind::ALL.into_iter().flat_map(empty).collect()
}

/// Measures one kind on one peer in one round.
///
/// # Errors
/// A small request failed, or no large body came through.
pub(crate) async fn sample(
    bulk: &Bulk,
    proxy: &Proxy,
    kind: BulkKind,
    plan: &DuelPlan,
    round: u32,
) -> anyhow::Result<FairnessSample> {
    let addr = *proxy.addrs.first().context("no address")?;
    let measured = async {
        bulk.begin(addr, kind).await?;
        let mut load = PeerLoad::new(SMALL_REQUESTS, &proxy.addrs);
        load.each_once().await.context("beside large bodies")?;
        tokio::time::sleep(BULK_ALONE).await;
        let (start, before) = (Instant::now(), bulk.moved());
        let result = load.run(Rate::new(SMALL_PER_SECOND), plan.span).await?;
        let moved = bulk.moved() - before;
        let at = |quantile| result.latencies.quantile(quantile).as_secs_f64() * 1e6;
        anyhow::Ok(FairnessSample {
            round,
            requests: result.requests,
            failed: result.failed,
            p50_us: at(0.5),
            p99_us: at(0.99),
            mib_per_second: as_f64(moved) / MIB / start.elapsed().as_secs_f64(),
        })
    };
    let sample = measured.await;
    bulk.end();
    tokio::time::sleep(CLOSE_DELAY).await;
    sample
}

/// Small requests to one peer beside large bodies of one kind.
#[derive(Debug, Serialize)]
pub(crate) struct FairnessResult {
    pub(crate) bulk: BulkKind,
    pub(crate) name: &'static str,
    pub(crate) samples: Vec<FairnessSample>,
    /// Medians of the samples, filled in at the end.
    pub(crate) summary: Option<FairnessSample>,
}

/// Measurements of one round.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct FairnessSample {
    pub(crate) round: u32,
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Throughput of the large bodies.
    pub(crate) mib_per_second: f64,
}

impl FairnessResult {
    /// Fills in the medians.
    pub(crate) fn summarise(&mut self) {
        let median = |of: fn(&FairnessSample) -> f64| {
            spread::median(self.samples.iter().map(of)).unwrap_or_default()
        };
        let last = self.samples.last();
        self.summary = last.map(|last| FairnessSample {
            round: last.round,
            requests: self.samples.iter().map(|sample| sample.requests).sum(),
            failed: self.samples.iter().map(|sample| sample.failed).sum(),
            p50_us: median(|sample| sample.p50_us),
            p99_us: median(|sample| sample.p99_us),
            mib_per_second: median(|sample| sample.mib_per_second),
        });
    }
}
