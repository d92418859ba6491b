//! Results as written to the JSON file: every sample of every round, and the summary of the tables.
//! Times are in microseconds.

use serde::Serialize;

use super::fairness::FairnessResult;
use super::memory_row::{HeldState, MemoryRow};
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
    pub(crate) memory: Vec<MemoryResult>,
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
    /// Requests per second of the latencies at a fixed rate.
    pub(crate) rate: Option<f64>,
    #[serde(rename = "lanes")]
    pub(crate) peers: Vec<PeerResult>,
}

/// Results of one peer in one scenario.
#[derive(Debug, Default, Serialize)]
pub(crate) struct PeerResult {
    pub(crate) name: String,
    /// Name of the baseline peer in the same setting.
    pub(crate) base: String,
    /// Name of this peer in the first setting of the scenario.
    pub(crate) first: String,
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

/// Memory of one peer in one scenario.
#[derive(Debug, Serialize)]
pub(crate) struct MemoryResult {
    /// Name of the scenario, and its data.
    #[serde(rename = "row")]
    pub(crate) scenario: &'static str,
    #[serde(skip)]
    pub(crate) row: &'static MemoryRow,
    pub(crate) name: String,
    pub(crate) connections: usize,
    pub(crate) samples: Vec<MemorySample>,
    /// Filled in at the end.
    pub(crate) summary: Option<MemorySummary>,
}

/// Memory of one peer in one round.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct MemorySample {
    pub(crate) round: u32,
    pub(crate) kib_before: u64,
    pub(crate) kib_after: u64,
    /// CPU used per second while the connections were held.
    pub(crate) cpu_us_per_second: f64,
}

/// Summary of a peer's memory, as shown in the table.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct MemorySummary {
    /// Growth for each connection; `None` if they are closed when memory is read.
    pub(crate) kib_per_connection: Option<Spread>,
    pub(crate) mib_in_all: Spread,
    pub(crate) cpu_us_per_second: f64,
}

/// Summary of a peer, as shown in the table.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    pub(crate) cpu_us: Option<Spread>,
    /// CPU per request ÷ that of the baseline in the same round.
    pub(crate) ratio: Option<Spread>,
    /// CPU per request ÷ that in the first setting in the same round.
    pub(crate) growth: Option<Spread>,
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
    fn summarise(&self, peers: &[Self]) -> Option<Summary> {
        let named = |name: &str| peers.iter().find(|peer| peer.name == name);
        let own = |value: fn(&Sample) -> f64| Spread::from_values(self.closed.iter().map(value));
        let against = |of: fn(&Self) -> Vec<RoundValue>, other: Option<&Self>| {
            other.and_then(|other| Spread::from_values(ratios(&of(self), &of(other))))
        };
        let base = named(&self.base);
        let first = named(&self.first).filter(|first| first.name != self.name);
        let ticks = |of: fn(&Sample) -> u64| as_f64(self.closed.iter().map(of).sum());
        let (user, system) = (ticks(|s| s.user_ticks), ticks(|s| s.system_ticks));
        let busy = self.closed.iter();
        let busy = busy.filter_map(|sample| Some(sample.busy(sample.cpu_us?)));
        Some(Summary {
            cpu_us: Spread::from_values(self.cpu().into_iter().map(|(_, value)| value)),
            ratio: against(Self::cpu, base),
            growth: against(Self::cpu, first),
            per_second: own(Sample::per_second)?,
            per_second_ratio: against(Self::per_second, base),
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
        let peers = self.peers.iter();
        let summaries: Vec<_> = peers.map(|peer| peer.summarise(&self.peers)).collect();
        for (peer, summary) in self.peers.iter_mut().zip(summaries) {
            peer.summary = summary;
        }
    }
}

impl MemoryResult {
    /// Fills in the summary.
    pub(crate) fn summarise(&mut self) {
        let kib = |kib: u64| as_f64(kib);
        let samples = self.samples.iter();
        let growth = samples.clone().map(|sample| {
            let grown = kib(sample.kib_after) - kib(sample.kib_before);
            grown / as_f64(self.connections as u64)
        });
        let in_all = samples.clone().map(|sample| kib(sample.kib_after) / 1024.0);
        let held = self.row.held != HeldState::Closed;
        self.summary = Spread::from_values(in_all).map(|mib_in_all| MemorySummary {
            kib_per_connection: Spread::from_values(growth).filter(|_| held),
            mib_in_all,
            cpu_us_per_second: median(samples.map(|sample| sample.cpu_us_per_second))
                .unwrap_or_default(),
        });
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::compare::memory_row;

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
            base: "haproxy-http".into(),
            closed: (1..).zip(cpu_us).map(sample).collect(),
            ..PeerResult::default()
        }
    }

    #[test]
    fn a_summary_compares_within_rounds() {
        let mut scenario = ScenarioResult {
            name: "small",
            title: String::new(),
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

    #[test]
    fn growth_is_against_the_first_setting() {
        let mut peers = vec![
            sample_peer("ringmaster b3", &[8.0, 10.0]),
            sample_peer("ringmaster b64", &[10.0, 15.0]),
        ];
        for peer in &mut peers {
            peer.first = "ringmaster b3".into();
        }
        let growth = |peer: &PeerResult| peer.summarise(&peers).unwrap().growth;
        assert_eq!(growth(&peers[0]), None);
        let found = growth(&peers[1]).unwrap();
        assert_eq!((found.min, found.max), (1.25, 1.5));
    }

    #[test]
    fn memory_is_per_connection_while_they_are_held() {
        let sample = |round, kib_after| MemorySample {
            round,
            kib_before: 10_240,
            kib_after,
            cpu_us_per_second: 5.0,
        };
        let mut result = MemoryResult {
            scenario: "waiting",
            row: &memory_row::WAITING,
            name: "ringmaster".into(),
            connections: 100,
            samples: vec![sample(1, 10_740), sample(2, 10_940)],
            summary: None,
        };
        result.summarise();
        let summary = result.summary.unwrap();
        let each = summary.kib_per_connection.unwrap();
        assert_eq!((each.min, each.max), (5.0, 7.0));
        assert!((summary.mib_in_all.max - 10_940.0 / 1024.0).abs() < 1e-9);
        result.row = &memory_row::ROUNDS;
        result.summarise();
        assert_eq!(result.summary.unwrap().kib_per_connection, None);
    }
}
