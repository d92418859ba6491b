//! Command-line arguments. A usage error ends the program with exit code 2 before anything is
//! started.
//!
//! Flags shared by several subcommands are structs, flattened into each of them.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use rustix::process::Pid;

use crate::compare::args::DuelArgs;
use crate::load_args::LoadArgs;
use crate::run_args::RunArgs;

/// Default rings of the fourth experiment. The last is a custom ring with 512 slots and 9 virtual
/// servers. Its functions contain no square, so keys reach every slot. The factor 45 spaces the
/// virtual servers of 2 to 6 seats evenly; it was found by trying all odd factors.
const DEFAULT_RINGS: [&str; 4] = [
    "uniform",
    "classic",
    "classic-brief",
    "classic:h=i,phi=(9*i+j)*45",
];

/// Experiments and measurements against ringmaster.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send requests; report answers per server, latencies and failures
    Run(RunArgs),
    /// Experiment 1: how evenly 3 replicas share requests with random IDs
    Distribution(ExperimentArgs),
    /// Experiment 2: average per server, busiest against the mean, and variation, for N = 2 to 6
    Scaling {
        #[command(flatten)]
        common: ExperimentArgs,
        #[command(flatten)]
        repeats: Repeats,
    },
    /// Experiment 3: kill replicas under load; show failures, detection and replacement times
    Recovery {
        #[command(flatten)]
        common: ExperimentArgs,
        #[command(flatten)]
        kill: KillArgs,
    },
    /// Experiment 4: distribution and scaling for several rings, beside their expected shares
    Hashes {
        #[command(flatten)]
        common: ExperimentArgs,
        #[command(flatten)]
        repeats: Repeats,
        #[command(flatten)]
        rings: RingArgs,
    },
    /// All four experiments
    All {
        #[command(flatten)]
        common: ExperimentArgs,
        #[command(flatten)]
        repeats: Repeats,
        #[command(flatten)]
        kill: KillArgs,
        #[command(flatten)]
        rings: RingArgs,
    },
    /// Measure ringmaster, HAProxy and nginx side by side: the cost of one request
    Duel(DuelArgs),
    /// Become PROGRAM, and die with the parent process
    #[command(hide = true)]
    Guard(GuardArgs),
    /// Pass bytes between clients and backends, unread
    #[command(hide = true)]
    Relay(RelayArgs),
}

/// Flags shared by the four experiments.
#[derive(Debug, clap::Args)]
pub(crate) struct ExperimentArgs {
    #[command(flatten)]
    pub(crate) load: LoadArgs,

    /// Control port of --target, whose replicas are added, removed and killed [default:
    /// localhost:5001; distribution then leaves the target unchanged]
    #[arg(long, value_name = "ADDR", conflicts_with = "spawn", requires = "target", value_parser = parse_control)]
    pub(crate) control: Option<String>,

    /// Directory for CSV, JSON, SVG and PNG charts, and report.html [default: no files]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// Number of repetitions.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Repeats {
    /// Number of loads for each N, each with its own seed
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) repeats: u64,
}

/// Number and method of kills.
#[derive(Debug, clap::Args)]
pub(crate) struct KillArgs {
    /// Number of kills, evenly spaced over the load
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub(crate) kills: u64,

    /// Command that kills a replica, followed by its name, for example 'docker kill' [default:
    /// SIGKILL with --spawn, otherwise the control command 'kill']
    #[arg(long, value_name = "COMMAND")]
    pub(crate) kill_with: Option<String>,
}

/// Rings to compare.
#[derive(Debug, clap::Args)]
pub(crate) struct RingArgs {
    /// Ring to measure; repeatable [default: uniform, classic, classic-brief and a custom one]
    #[arg(long = "ring", value_name = "SPEC", value_parser = parse_ring)]
    rings: Vec<String>,
}

impl RingArgs {
    /// Returns the given rings, or the default rings if none was given.
    pub(crate) fn rings(self) -> Vec<String> {
        if self.rings.is_empty() {
            DEFAULT_RINGS.map(str::to_owned).to_vec()
        } else {
            self.rings
        }
    }
}

/// Flags of the hidden subcommand `guard`.
#[derive(Debug, clap::Args)]
pub(crate) struct GuardArgs {
    /// CPU to run on; repeatable
    #[arg(long = "cpu", value_name = "N")]
    pub(crate) cpus: Vec<usize>,

    /// Process to die with
    #[arg(value_parser = parse_pid)]
    pub(crate) parent: Pid,

    /// Program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<OsString>,
}

/// Flags of the hidden subcommand `relay`.
#[derive(Debug, clap::Args)]
pub(crate) struct RelayArgs {
    /// Address for clients
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: SocketAddr,

    /// Size of the bodies; large ones are spliced
    #[arg(long, value_name = "N")]
    pub(crate) body_bytes: usize,

    /// Backends, each for one client in turn
    #[arg(required = true)]
    pub(crate) backends: Vec<SocketAddr>,
}

fn parse_control(text: &str) -> Result<String, &'static str> {
    let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    let port = port.and_then(|(_, port)| port.parse().ok());
    match port {
        Some(1_u16..) => Ok(text.to_owned()),
        _ => Err("a control port is host:port"),
    }
}

fn parse_ring(text: &str) -> Result<String, &'static str> {
    if !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b';')
    {
        Ok(text.to_owned())
    } else {
        Err("a ring is visible ASCII without spaces and ;")
    }
}

fn parse_pid(text: &str) -> Result<Pid, &'static str> {
    text.parse()
        .ok()
        .filter(|raw: &i32| *raw > 0)
        .and_then(Pid::from_raw)
        .ok_or("a process id is a positive integer")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_of_the_flags_is_valid() {
        Args::command().debug_assert();
    }

    #[test]
    fn invalid_flags_are_refused() {
        let refused =
            |words: &[&str]| Args::try_parse_from([&["loadgen"], words].concat()).is_err();
        for line in [
            "run --requests 0",
            "run --concurrency 0",
            "run --concurrency 20001",
            "run --rate 0",
            "run --path home",
            "run --path /a b",
            "run --target ftp://a",
            "distribution --path /home",
            "scaling --repeats 0",
            "recovery --kills 0",
            "hashes --ring a b",
            "all --control localhost",
            "all --control localhost:5001",
        ] {
            let words: Vec<&str> = line.splitn(3, ' ').collect();
            assert!(refused(&words), "{line}");
        }
        assert!(refused(&["run", "--spawn", "--target", "http://a"]));
    }
}
