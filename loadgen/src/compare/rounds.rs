//! Rounds of one scenario that measures CPU. Each round measures every peer once, and starts with
//! another peer than the last, so that drift of the machine favours none.

use std::time::Duration;

use anyhow::Context;
use rustix::process::getpid;

use super::args::DuelPlan;
use super::load::{LoadResult, PeerLoad};
use super::proc_usage::Usage;
use super::proxy::Proxy;
use super::results::{PeerResult, Sample, ScenarioResult};
use super::scenario::Shape;
use super::scrape::scrape_forever;
use super::stats::round_down_to_two_digits;
use super::strace::Strace;
use super::testbed::Testbed;
use crate::arrivals::Rate;
use crate::float::as_f64;
use crate::spread::median;

/// Time that a proxy gets to fall asleep: its CPU time is exact only then.
const IDLE_DELAY: Duration = Duration::from_millis(10);

/// Share of the slowest peer's throughput that is the fixed rate for all.
const FIXED_RATE_SHARE: f64 = 0.5;

/// A scenario that is measured in rounds.
#[derive(Debug)]
pub(crate) struct Rounds<'a> {
    pub(crate) plan: &'a DuelPlan,
    pub(crate) testbed: &'a Testbed,
    /// Proxies, in the order of their results.
    pub(crate) runners: Vec<Runner>,
    /// Index of the scenario in the results.
    pub(crate) index: usize,
}

/// A proxy of the scenario, and its load.
#[derive(Debug)]
pub(crate) struct Runner {
    pub(crate) proxy: Proxy,
    pub(crate) shape: Shape,
    /// The metrics are requested when a load begins, and once per second after that.
    pub(crate) scraped: bool,
}

impl Rounds<'_> {
    /// Measures all rounds and stores each sample immediately. Cancel safe: child processes are
    /// killed.
    pub(crate) async fn run(self, strace: bool) {
        let closed = |peer: &mut PeerResult, sample| peer.closed.push(sample);
        self.measure(None, closed).await;
        if self.runners.iter().any(|runner| runner.shape.paced) {
            self.measure_open().await;
        }
        if strace {
            self.measure_syscalls().await;
        }
        let proxies = self.runners.into_iter().map(|runner| runner.proxy);
        self.testbed.stop_all(proxies.collect()).await;
    }

    async fn measure_open(&self) {
        let Some(rate) = self.plan.rate.or_else(|| self.half_of_slowest_throughput()) else {
            return;
        };
        self.update(|scenario| scenario.rate = Some(rate.per_second()));
        let open = |peer: &mut PeerResult, sample| peer.open.push(sample);
        self.measure(Some(rate), open).await;
    }

    /// Measures every peer in every round, and stores each sample by `store`.
    async fn measure(&self, rate: Option<Rate>, store: fn(&mut PeerResult, Sample)) {
        for round in 1..=self.plan.rounds {
            for peer_index in self.peer_order(round) {
                match self.sample(peer_index, round, rate).await {
                    Ok(sample) => {
                        self.update(|scenario| store(&mut scenario.peers[peer_index], sample))
                    }
                    Err(err) => self.fault(peer_index, &err),
                }
            }
        }
    }

    fn half_of_slowest_throughput(&self) -> Option<Rate> {
        let results = self.testbed.results.borrow();
        let peers = results.scenarios[self.index].peers.iter();
        let rates = peers.filter_map(|peer| median(peer.closed.iter().map(Sample::per_second)));
        let slowest = rates.min_by(f64::total_cmp)?;
        Rate::new(round_down_to_two_digits(slowest * FIXED_RATE_SHARE))
    }

    async fn measure_syscalls(&self) {
        for (peer_index, runner) in self.runners.iter().enumerate() {
            let Some(pid) = runner.proxy.pid() else {
                continue;
            };
            let mut load = PeerLoad::new(runner.shape, &runner.proxy.addrs);
            // The warm-up connects, so that strace does not count it.
            let warm_up = self.plan.warm_up(runner.shape.connections);
            if let Err(err) = load.run(None, warm_up).await {
                self.fault(peer_index, &err);
                continue;
            }
            let strace = match Strace::attach(pid, &self.testbed.load_cpus).await {
                Ok(strace) => strace,
                Err(err) => return self.testbed.disable_strace(&err),
            };
            let counted = async {
                let result = load.run(None, self.plan.span).await?;
                strace.detach(result.requests).await
            };
            match counted.await {
                Ok(calls) => self.update(|scenario| scenario.peers[peer_index].calls = Some(calls)),
                Err(err) => self.fault(peer_index, &err.context("under strace")),
            }
        }
    }

    /// Indexes of the peers in the order of this round.
    fn peer_order(&self, round: u32) -> Vec<usize> {
        let count = self.runners.len();
        let first = usize::try_from(round).unwrap_or_default();
        (first..first + count)
            .map(|peer_index| peer_index % count)
            .collect()
    }

    async fn sample(
        &self,
        peer_index: usize,
        round: u32,
        rate: Option<Rate>,
    ) -> anyhow::Result<Sample> {
        let Runner {
            proxy,
            shape,
            scraped,
        } = &self.runners[peer_index];
        let mut load = PeerLoad::new(*shape, &proxy.addrs);
        let warm_up = self.plan.warm_up(shape.connections);
        load.run(None, warm_up).await.context("warming up")?;
        tokio::time::sleep(IDLE_DELAY).await;
        let before = (proxy.usage()?, Usage::read(getpid())?);
        let result = if *scraped {
            let addr = proxy.metrics.context("no address of the metrics")?;
            tokio::select! {
                result = load.run(rate, self.plan.span) => result?,
                err = scrape_forever(addr) => return Err(err),
            }
        } else {
            load.run(rate, self.plan.span).await?
        };
        tokio::time::sleep(IDLE_DELAY).await;
        let after = (proxy.usage()?, Usage::read(getpid())?);
        if let Some(fault) = &result.fault {
            let name = self.name(peer_index);
            self.testbed.fault(format!(
                "{name}, round {round}: {} failed: {fault}",
                result.failed
            ));
        }
        let used = after.0.zip(before.0).map(|(after, before)| after - before);
        Ok(sample(round, &result, used, after.1 - before.1))
    }

    fn update(&self, write: impl FnOnce(&mut ScenarioResult)) {
        write(&mut self.testbed.results.borrow_mut().scenarios[self.index]);
    }

    fn name(&self, peer_index: usize) -> String {
        let results = self.testbed.results.borrow();
        let scenario = &results.scenarios[self.index];
        format!("{}, {}", scenario.name, scenario.peers[peer_index].name)
    }

    fn fault(&self, peer_index: usize, err: &anyhow::Error) {
        let name = self.name(peer_index);
        self.testbed.fault(format!("{name}: {err:#}"));
    }
}

fn sample(round: u32, result: &LoadResult, proxy: Option<Usage>, load: Usage) -> Sample {
    let per_request = |usage: Usage| {
        let requests = as_f64(result.requests.max(1));
        usage.cpu.as_secs_f64() * 1e6 / requests
    };
    let at = |quantile| result.latencies.quantile(quantile).as_secs_f64() * 1e6;
    let ticks = proxy.unwrap_or_default();
    Sample {
        round,
        requests: result.requests,
        failed: result.failed,
        seconds: result.took.as_secs_f64(),
        cpu_us: proxy.map(per_request),
        user_ticks: ticks.user_ticks,
        system_ticks: ticks.system_ticks,
        load_cpu_us: per_request(load),
        p50_us: at(0.5),
        p99_us: at(0.99),
        p999_us: at(0.999),
    }
}
