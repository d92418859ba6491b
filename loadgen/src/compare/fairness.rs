//! What small requests have to bear beside 20 clients that send or receive at full speed: their latencies at
//! a fixed rate, and what the large bodies get meanwhile.

use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;

use super::args::DuelPlan;
use super::bulk::{Bulk, BulkKind};
use super::load::PeerLoad;
use super::peer::Peer;
use super::proxy::Proxy;
use super::scenario::{SMALL, Shape};
use crate::arrivals::Rate;
use crate::float::as_f64;
use crate::spread::Spread;

/// Who takes part: those that read HTTP, and none at all for what the load itself makes of it.
pub(crate) const FAIRNESS_PEERS: [Peer; 4] = [
    Peer::Direct,
    Peer::Ringmaster,
    Peer::HaproxyHttp,
    Peer::NginxHttp,
];

/// The small requests: few, so that the large bodies have the rest of the proxy.
pub(crate) const SMALL_PER_SECOND: f64 = 200.0;
pub(crate) const SMALL_REQUESTS: Shape = Shape {
    connections: 8,
    ..SMALL
};

/// How long a proxy has the large bodies alone before anything counts.
const BULK_ALONE: Duration = Duration::from_millis(200);
/// How long a proxy is given to close them.
const CLOSE_DELAY: Duration = Duration::from_millis(100);

const MIB: f64 = 1024.0 * 1024.0;

/// Lines to fill in, for each kind and peer.
pub(crate) fn empty_results(peers: &[Peer]) -> Vec<FairnessResult> {
    let all = BulkKind::ALL.into_iter();
    all.flat_map(|kind| {
        peers
            .iter()
            .map(move |peer| FairnessResult::new(kind, peer.name()))
    })
    .collect()
}

/// Measures one line in one round.
///
/// # Errors
/// A small request was not answered, or no large body came through.
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

/// Small requests of one peer beside large bodies of one kind.
#[derive(Debug, Serialize)]
pub(crate) struct FairnessResult {
    pub(crate) bulk: BulkKind,
    pub(crate) name: &'static str,
    pub(crate) samples: Vec<FairnessSample>,
    /// The medians; filled in at the end.
    pub(crate) summary: Option<FairnessSample>,
}

/// One round of it.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct FairnessSample {
    pub(crate) round: u32,
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// What arrived of the large bodies.
    pub(crate) mib_per_second: f64,
}

impl FairnessResult {
    /// Nothing measured yet.
    pub(crate) fn new(bulk: BulkKind, name: &'static str) -> Self {
        Self {
            bulk,
            name,
            samples: Vec::new(),
            summary: None,
        }
    }

    /// Fills in what follows from the samples.
    pub(crate) fn summarise(&mut self) {
        let median = |of: fn(&FairnessSample) -> f64| {
            let spread = Spread::from_values(self.samples.iter().map(of));
            spread.map_or(0.0, |spread| spread.median)
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
