//! Results as written to the JSON file: every sample of every round, and the summary of the tables.
//! Times are in microseconds.

use serde::Serialize;

use super::fairness::FairnessResult;
use super::stats::{RoundValue, ratios};
use super::strace::SyscallCounts;
use crate::float::as_f64;
use crate::spread::{Spread, median};

/// Results of a run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) rounds: u32,
    pub(crate) peers: Vec<PeerNote>,
    /// Peers that were skipped, with the reason.
    pub(crate) skipped: Vec<PeerNote>,
    pub(crate) scenarios: Vec<ScenarioResult>,
    pub(crate) idle: Vec<IdleResult>,
    pub(crate) fairness: Vec<FairnessResult>,
    /// Errors during the run.
    pub(crate) faults: Vec<String>,
}

/// The machine of the run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Machine {
    pub(crate) kernel: String,
    /// TCP congestion control: with `bbr`, large bodies are paced by timers, even on loopback.
    pub(crate) congestion_control: String,
    pub(crate) processor: String,
    pub(crate) cpus: usize,
    /// CPUs of the load, and of a proxy with one worker.
    pub(crate) load_cpus: Vec<usize>,
    pub(crate) proxy_cpus: Vec<usize>,
}

/// A name and a sentence about it.
#[derive(Debug, Serialize)]
pub(crate) struct PeerNote {
    pub(crate) name: String,
    pub(crate) about: String,
}

/// Results of one scenario.
#[derive(Debug, Serialize)]
pub(crate) struct ScenarioResult {
    pub(crate) name: &'static str,
    pub(crate) title: String,
    /// Name of the baseline peer.
    pub(crate) base: String,
    /// Requests per second of the latencies at a fixed rate.
    pub(crate) rate: Option<f64>,
    #[serde(rename = "lanes")]
    pub(crate) peers: Vec<PeerResult>,
}

/// Results of one peer in one scenario.
#[derive(Debug, Default, Serialize)]
pub(crate) struct PeerResult {
    pub(crate) name: String,
    /// Samples without a rate: each connection sends as fast as it is answered.
    pub(crate) closed: Vec<Sample>,
    /// Samples at a fixed rate.
    pub(crate) open: Vec<Sample>,
    pub(crate) calls: Option<SyscallCounts>,
    /// Filled in at the end.
    pub(crate) summary: Option<Summary>,
}

/// Measurements of one load on one peer.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Sample {
    pub(crate) round: u32,
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    pub(crate) seconds: f64,
    /// CPU of the proxy per request; `None` without a proxy.
    pub(crate) cpu_us: Option<f64>,
    /// Clock ticks of the proxy in user mode and in kernel mode.
    pub(crate) user_ticks: u64,
    pub(crate) system_ticks: u64,
    /// CPU of the load and the backends per request.
    pub(crate) load_cpu_us: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
}

/// Idle connections of one peer.
#[derive(Debug, Serialize)]
pub(crate) struct IdleResult {
    pub(crate) name: String,
    pub(crate) connections: usize,
    pub(crate) kib_before: u64,
    pub(crate) kib_after: u64,
    pub(crate) kib_per_connection: f64,
    /// CPU used per second while idle.
    pub(crate) cpu_us_per_second: f64,
}

/// Summary of a peer, as shown in the table.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    pub(crate) cpu_us: Option<Spread>,
    /// CPU per request ÷ that of the baseline in the same round.
    pub(crate) ratio: Option<Spread>,
    pub(crate) per_second: Spread,
    /// Requests per second ÷ those of the baseline in the same round.
    pub(crate) per_second_ratio: Option<Spread>,
    /// Share of the proxy's CPU time spent in user mode.
    pub(crate) user_share: Option<f64>,
    /// Share of the time that the proxy, and the load, were on a CPU.
    pub(crate) busy: Option<f64>,
    pub(crate) load_busy: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Medians at the fixed rate.
    pub(crate) open: Option<Quantiles>,
}

/// Latencies in microseconds, from the due time of each request.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Quantiles {
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
}

impl PeerNote {
    /// Returns the pair.
    pub(crate) fn new(name: &str, about: impl Into<String>) -> Self {
        let (name, about) = (name.to_owned(), about.into());
        Self { name, about }
    }
}

impl Sample {
    /// Requests per second.
    pub(crate) fn per_second(&self) -> f64 {
        as_f64(self.requests) / self.seconds.max(f64::MIN_POSITIVE)
    }

    fn busy(&self, cpu_us: f64) -> f64 {
        cpu_us * self.per_second() / 1e6
    }
}

impl PeerResult {
    fn cpu(&self) -> Vec<RoundValue> {
        let samples = self.closed.iter();
        samples
            .filter_map(|sample| Some((sample.round, sample.cpu_us?)))
            .collect()
    }

    fn per_second(&self) -> Vec<RoundValue> {
        let samples = self.closed.iter();
        samples
            .map(|sample| (sample.round, sample.per_second()))
            .collect()
    }

    /// Returns the summary; `None` without samples.
    fn summarise(&self, base: Option<&Self>) -> Option<Summary> {
        let own = |value: fn(&Sample) -> f64| Spread::from_values(self.closed.iter().map(value));
        let against = |of: fn(&Self) -> Vec<RoundValue>| {
            base.and_then(|base| Spread::from_values(ratios(&of(self), &of(base))))
        };
        let ticks = |of: fn(&Sample) -> u64| as_f64(self.closed.iter().map(of).sum());
        let (user, system) = (ticks(|s| s.user_ticks), ticks(|s| s.system_ticks));
        let busy = self.closed.iter();
        let busy = busy.filter_map(|sample| Some(sample.busy(sample.cpu_us?)));
        Some(Summary {
            cpu_us: Spread::from_values(self.cpu().into_iter().map(|(_, value)| value)),
            ratio: against(Self::cpu),
            per_second: own(Sample::per_second)?,
            per_second_ratio: against(Self::per_second),
            user_share: (user + system > 0.0).then(|| user / (user + system)),
            busy: median(busy),
            load_busy: own(|sample| sample.busy(sample.load_cpu_us))?.median,
            p50_us: own(|sample| sample.p50_us)?.median,
            p99_us: own(|sample| sample.p99_us)?.median,
            open: self.quantiles(),
        })
    }

    fn quantiles(&self) -> Option<Quantiles> {
        let open = |value: fn(&Sample) -> f64| median(self.open.iter().map(value));
        Some(Quantiles {
            p50_us: open(|sample| sample.p50_us)?,
            p99_us: open(|sample| sample.p99_us)?,
            p999_us: open(|sample| sample.p999_us)?,
        })
    }
}

impl ScenarioResult {
    /// Fills in the summaries of all peers.
    pub(crate) fn summarise(&mut self) {
        let base = self.peers.iter().find(|peer| peer.name == self.base);
        let peers = self.peers.iter();
        let summaries: Vec<_> = peers.map(|peer| peer.summarise(base)).collect();
        for (peer, summary) in self.peers.iter_mut().zip(summaries) {
            peer.summary = summary;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A peer whose samples have this CPU per request, in µs, at 10,000 requests/s.
    pub(crate) fn sample_peer(name: &str, cpu_us: &[f64]) -> PeerResult {
        let sample = |(round, cpu_us): (u32, &f64)| Sample {
            round,
            requests: 5_000,
            failed: 0,
            seconds: 0.5,
            cpu_us: (*cpu_us > 0.0).then_some(*cpu_us),
            user_ticks: 1,
            system_ticks: 9,
            load_cpu_us: 40.0,
            p50_us: 100.0,
            p99_us: 200.0 * f64::from(round),
            p999_us: 300.0,
        };
        PeerResult {
            name: name.into(),
            closed: (1..).zip(cpu_us).map(sample).collect(),
            ..PeerResult::default()
        }
    }

    #[test]
    fn a_summary_compares_within_rounds() {
        let mut scenario = ScenarioResult {
            name: "small",
            title: String::new(),
            base: "haproxy-http".into(),
            rate: None,
            peers: vec![
                sample_peer("direct", &[0.0, 0.0, 0.0]),
                sample_peer("ringmaster", &[8.0, 18.0, 8.5]),
                sample_peer("haproxy-http", &[10.0, 20.0, 10.0]),
                sample_peer("gone", &[]),
            ],
        };
        scenario.summarise();
        let summary = |index: usize| scenario.peers[index].summary.clone();
        let ringmaster = summary(1).unwrap();
        let ratio = ringmaster.ratio.unwrap();
        assert_eq!((ratio.min, ratio.median, ratio.max), (0.8, 0.85, 0.9));
        assert_eq!(ringmaster.cpu_us.unwrap().median, 8.5);
        assert_eq!(ringmaster.per_second.median, 10_000.0);
        assert_eq!(
            (ringmaster.user_share, ringmaster.p99_us),
            (Some(0.1), 400.0)
        );
        assert!((ringmaster.busy.unwrap() - 0.085).abs() < 1e-9);
        assert!((ringmaster.load_busy - 0.4).abs() < 1e-9);
        let direct = summary(0).unwrap();
        assert!(direct.cpu_us.is_none() && direct.ratio.is_none() && direct.busy.is_none());
        assert!(summary(3).is_none());
    }
}
