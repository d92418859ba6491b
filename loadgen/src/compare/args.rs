//! Arguments of `loadgen duel`, and the plan made from them.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use clap::ValueEnum;

use super::peer::Peer;
use super::scenario::Scenario;
use crate::arrivals::{LoadLength, Rate};

/// Divisor of the warm-up: it takes a quarter of the measured time.
const WARM_UP_DIVISOR: u32 = 4;

/// Highest number of warm-up requests per connection, for loads of a fixed number of requests.
const WARM_UP_REQUESTS: u64 = 64;

/// Defaults: all scenarios take about 40 minutes.
const DEFAULT_ROUNDS: u32 = 5;
const DEFAULT_DURATION: Duration = Duration::from_millis(800);

/// Defaults with `--quick`: enough to see that everything works, too short for figures.
const QUICK_ROUNDS: u32 = 2;
const QUICK_DURATION: Duration = Duration::from_millis(200);
const QUICK_SETTLE_DELAY: Duration = Duration::from_millis(200);

/// Time before memory is read. All proxies release unused memory faster by default.
const SETTLE_DELAY: Duration = Duration::from_secs(3);

/// Flags of `loadgen duel`.
#[derive(Debug, clap::Args)]
pub(crate) struct DuelArgs {
    /// Scenario to measure; repeatable [default: all]
    #[arg(long = "scenario", value_name = "NAME")]
    pub(crate) scenarios: Vec<Scenario>,

    /// Peer to measure; repeatable [default: all]
    #[arg(long = "peer", value_name = "NAME")]
    pub(crate) peers: Vec<Peer>,

    /// Number of rounds; each round measures every peer once [default: 5]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: Option<u32>,

    /// Duration of one load [default: 800ms]
    #[arg(long, value_parser = humantime::parse_duration)]
    pub(crate) duration: Option<Duration>,

    /// Number of requests of one load, instead of a duration
    #[arg(long, conflicts_with = "duration", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) requests: Option<u64>,

    /// Fixed rate for latencies, the same for all peers [default: half of the slowest peer's
    /// throughput]
    #[arg(long, value_name = "PER_SECOND")]
    pub(crate) rate: Option<Rate>,

    /// Number of connections [default: depends on the scenario]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=5000))]
    pub(crate) connections: Option<u32>,

    /// Number of connections in the scenario idle
    #[arg(long, value_name = "N", default_value_t = 4000, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub(crate) idle: u32,

    /// Use defaults of 2 rounds and 200ms: a check that everything works, too short for figures
    #[arg(long)]
    pub(crate) quick: bool,

    /// Path of ringmaster [default: the one beside loadgen]
    #[arg(long, value_name = "PATH")]
    pub(crate) ringmaster: Option<PathBuf>,

    /// Path of HAProxy [default: haproxy in PATH]
    #[arg(long, value_name = "PATH")]
    pub(crate) haproxy: Option<PathBuf>,

    /// Path of nginx [default: nginx in PATH]
    #[arg(long, value_name = "PATH")]
    pub(crate) nginx: Option<PathBuf>,

    /// Print the configuration of each peer and exit
    #[arg(long)]
    pub(crate) print_configs: bool,

    /// Write every sample of every round to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Replace the tables between the marks of this README by those of this run
    #[arg(long, value_name = "FILE")]
    pub(crate) readme: Option<PathBuf>,

    /// Draw a chart of the CPU per request into this file, as SVG
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
}

/// Checked arguments, with every default filled in.
#[derive(Debug)]
pub(crate) struct DuelPlan {
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) rounds: u32,
    /// Length of one measured load.
    pub(crate) span: LoadLength,
    pub(crate) rate: Option<Rate>,
    /// Replaces the number of the scenario.
    pub(crate) connections: Option<usize>,
    pub(crate) idle: usize,
    /// Time that a proxy gets to release memory before it is read.
    pub(crate) settle: Duration,
}

impl DuelArgs {
    /// Returns the plan.
    ///
    /// # Errors
    /// A given program does not exist.
    pub(crate) fn plan(&self) -> anyhow::Result<DuelPlan> {
        let named = [&self.ringmaster, &self.haproxy, &self.nginx];
        for path in named.into_iter().flatten() {
            ensure!(path.is_file(), "{} does not exist", path.display());
        }
        let (rounds, duration) = if self.quick {
            (QUICK_ROUNDS, QUICK_DURATION)
        } else {
            (DEFAULT_ROUNDS, DEFAULT_DURATION)
        };
        let duration = self.duration.unwrap_or(duration);
        Ok(DuelPlan {
            scenarios: named_or_all(&self.scenarios),
            peers: named_or_all(&self.peers),
            rounds: self.rounds.unwrap_or(rounds),
            span: self
                .requests
                .map_or(LoadLength::Time(duration), LoadLength::Requests),
            rate: self.rate,
            connections: self.connections.map(usize::try_from).transpose()?,
            idle: usize::try_from(self.idle)?,
            settle: if self.quick {
                QUICK_SETTLE_DELAY
            } else {
                SETTLE_DELAY
            },
        })
    }
}

/// Returns the named values, each once and in declaration order; all values if none was named.
fn named_or_all<T: ValueEnum + PartialEq>(named: &[T]) -> Vec<T> {
    let all = T::value_variants().iter();
    all.filter(|value| named.is_empty() || named.contains(value))
        .cloned()
        .collect()
}

impl DuelPlan {
    /// Length of the warm-up before a load over this number of connections.
    pub(crate) fn warm_up(&self, connections: usize) -> LoadLength {
        let fewer = |count: u64| count.min(WARM_UP_REQUESTS * connections as u64);
        match self.span {
            LoadLength::Time(time) => LoadLength::Time(time / WARM_UP_DIVISOR),
            LoadLength::Requests(count) => LoadLength::Requests(fewer(count)),
            LoadLength::First(count, time) => {
                LoadLength::First(fewer(count), time / WARM_UP_DIVISOR)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Args, Command};

    fn parse(line: &str) -> Result<DuelArgs, clap::Error> {
        let words = ["loadgen", "duel"]
            .into_iter()
            .chain(line.split_whitespace());
        match Args::try_parse_from(words)?.command {
            Command::Duel(args) => Ok(args),
            other => panic!("{other:?}"),
        }
    }

    fn plan(line: &str) -> DuelPlan {
        parse(line).unwrap().plan().unwrap()
    }

    #[test]
    fn all_scenarios_and_peers_are_the_default() {
        let plan = plan("");
        assert_eq!((plan.scenarios.len(), plan.peers.len()), (20, 7));
        assert_eq!(plan.rounds, DEFAULT_ROUNDS);
        assert_eq!(plan.span, LoadLength::Time(DEFAULT_DURATION));
        let quarter = LoadLength::Time(Duration::from_millis(200));
        assert_eq!(plan.warm_up(64), quarter);
    }

    #[test]
    fn named_values_come_once_and_in_order() {
        let plan = plan("--scenario 16m --scenario small --scenario 16m --quick --rounds 3");
        assert_eq!(plan.scenarios, [Scenario::Small, Scenario::Body16MiB]);
        assert_eq!(plan.rounds, 3);
        assert_eq!(plan.span, LoadLength::Time(QUICK_DURATION));
    }

    #[test]
    fn a_number_of_requests_replaces_the_duration() {
        let plan = plan("--requests 50 --peer direct");
        let all = LoadLength::Requests(50);
        assert_eq!((plan.span, plan.warm_up(64)), (all, all));
        assert_eq!(plan.peers, [Peer::Direct]);
    }

    #[test]
    fn invalid_flags_are_refused() {
        for line in ["--rounds 0", "--peer envoy", "--scenario 2k", "--idle 0"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
