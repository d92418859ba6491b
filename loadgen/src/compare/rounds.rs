//! The rounds of one scenario: in each, every peer is asked in turn, beginning with another one each time,
//! so that no drift of the machine favours one of them.

use std::time::Duration;

use anyhow::Context;
use rustix::process::getpid;

use super::args::Plan;
use super::load::{Driven, Load};
use super::proc_usage::Usage;
use super::proxy::Proxy;
use super::results::{Measured, Sample};
use super::scenario::Shape;
use super::stats::{Spread, round_down};
use super::strace::{Calls, Strace};
use super::testbed::Stand;
use crate::arrivals::Rate;
use crate::counters::as_f64;

/// How long a proxy is given to fall asleep: its CPU time is exact only then.
const SETTLE: Duration = Duration::from_millis(10);

/// The part of the slowest proxy's requests per second at which latencies are measured for all.
const FIXED_PART: f64 = 0.5;

/// Everything about one scenario but idle connections.
#[derive(Debug)]
pub(crate) struct Rounds<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) stand: &'a Stand,
    pub(crate) shape: Shape,
    /// The peers, as they stand in the record.
    pub(crate) proxies: Vec<Proxy>,
    /// Where this scenario is in the record.
    pub(crate) index: usize,
}

impl Rounds<'_> {
    /// Measures, writing down each sample as it is taken. Cancel safe: nothing is left running.
    pub(crate) async fn all(mut self, strace: bool) {
        self.closed().await;
        if self.shape.paced {
            self.open().await;
        }
        if strace {
            self.calls().await;
        }
        for proxy in self.proxies {
            if let Err(err) = proxy.stop().await {
                self.stand.fault(format!("{err:#}"));
            }
        }
    }

    async fn closed(&mut self) {
        for round in 1..=self.plan.rounds {
            for lane in self.order(round) {
                match self.sample(lane, round, None).await {
                    Ok(sample) => self.note(|measured| measured.lanes[lane].closed.push(sample)),
                    Err(err) => self.fault(lane, &err),
                }
            }
        }
    }

    async fn open(&mut self) {
        let Some(rate) = self.plan.rate.or_else(|| self.half_of_the_slowest()) else {
            return;
        };
        self.note(|measured| measured.rate = Some(rate.per_second()));
        for round in 1..=self.plan.rounds {
            for lane in self.order(round) {
                match self.sample(lane, round, Some(rate)).await {
                    Ok(sample) => self.note(|measured| measured.lanes[lane].open.push(sample)),
                    Err(err) => self.fault(lane, &err),
                }
            }
        }
    }

    fn half_of_the_slowest(&self) -> Option<Rate> {
        let record = self.stand.record.borrow();
        let lanes = record.scenarios[self.index].lanes.iter();
        let rates = lanes.filter_map(|lane| {
            let spread = Spread::of(lane.closed.iter().map(Sample::per_second))?;
            Some(spread.median)
        });
        let slowest = rates.min_by(f64::total_cmp)?;
        Rate::new(round_down(slowest * FIXED_PART))
    }

    async fn calls(&self) {
        for (lane, proxy) in self.proxies.iter().enumerate() {
            let Some(pid) = proxy.pid() else {
                continue;
            };
            let mut load = Load::new(self.shape, &proxy.addrs);
            // Connections are made before anything counts.
            let warm_up = self.plan.warm_up(self.shape.connections);
            if let Err(err) = load.drive(None, warm_up).await {
                self.fault(lane, &err);
                continue;
            }
            let strace = match Strace::attach(pid, &self.stand.load_cpus).await {
                Ok(strace) => strace,
                Err(err) => return self.stand.without_strace(&err),
            };
            match self.count(&mut load, strace).await {
                Ok(calls) => self.note(|measured| measured.lanes[lane].calls = Some(calls)),
                Err(err) => self.fault(lane, &err.context("under strace")),
            }
        }
    }

    async fn count(&self, load: &mut Load, strace: Strace) -> anyhow::Result<Calls> {
        let driven = load.drive(None, self.plan.span).await?;
        strace.detach(driven.requests).await
    }

    /// Lanes of a round in their order.
    fn order(&self, round: u32) -> Vec<usize> {
        let count = self.proxies.len();
        let first = usize::try_from(round).unwrap_or_default();
        (first..first + count).map(|lane| lane % count).collect()
    }

    async fn sample(&self, lane: usize, round: u32, rate: Option<Rate>) -> anyhow::Result<Sample> {
        let proxy = &self.proxies[lane];
        let mut load = Load::new(self.shape, &proxy.addrs);
        let warm_up = self.plan.warm_up(self.shape.connections);
        load.drive(None, warm_up).await.context("warming up")?;
        tokio::time::sleep(SETTLE).await;
        let before = (proxy.usage()?, Usage::of(getpid())?);
        let driven = load.drive(rate, self.plan.span).await?;
        tokio::time::sleep(SETTLE).await;
        let after = (proxy.usage()?, Usage::of(getpid())?);
        if let Some(fault) = &driven.fault {
            let name = self.name(lane);
            self.stand.fault(format!(
                "{name}, round {round}: {} failed: {fault}",
                driven.failed
            ));
        }
        let used = after.0.zip(before.0).map(|(after, before)| after - before);
        Ok(sample(round, &driven, used, after.1 - before.1))
    }

    fn note(&self, write: impl FnOnce(&mut Measured)) {
        write(&mut self.stand.record.borrow_mut().scenarios[self.index]);
    }

    fn name(&self, lane: usize) -> String {
        let record = self.stand.record.borrow();
        let measured = &record.scenarios[self.index];
        format!("{}, {}", measured.name, measured.lanes[lane].name)
    }

    fn fault(&self, lane: usize, err: &anyhow::Error) {
        let name = self.name(lane);
        self.stand.fault(format!("{name}: {err:#}"));
    }
}

fn sample(round: u32, driven: &Driven, proxy: Option<Usage>, load: Usage) -> Sample {
    let per_request = |usage: Usage| {
        let requests = as_f64(driven.requests.max(1));
        usage.cpu.as_secs_f64() * 1e6 / requests
    };
    let at = |quantile| driven.latencies.quantile(quantile).as_secs_f64() * 1e6;
    let ticks = proxy.unwrap_or_default();
    Sample {
        round,
        requests: driven.requests,
        failed: driven.failed,
        seconds: driven.took.as_secs_f64(),
        cpu_us: proxy.map(per_request),
        user_ticks: ticks.user_ticks,
        system_ticks: ticks.system_ticks,
        load_cpu_us: per_request(load),
        p50_us: at(0.5),
        p99_us: at(0.99),
        p999_us: at(0.999),
    }
}
