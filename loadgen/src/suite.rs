//! The experiments, one or all: each on its own, then what was left behind is put right, then the report.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use crate::balancer::BalancerUnderTest;
use crate::cli::{ExperimentArgs, KillArgs, Repeats};
use crate::results::{self, ExperimentResult};
use crate::run_cmd::{note, print, raise_descriptor_limit};
use crate::signals::Signals;
use crate::{distribution, recovery, ring_comparison, scaling};

/// One experiment with what it needs.
#[derive(Debug)]
pub(crate) enum Experiment {
    Distribution,
    Scaling(Repeats),
    Recovery(KillArgs),
    Hashes(Repeats, Vec<String>),
}

impl Experiment {
    async fn run(&self, balancer: &mut BalancerUnderTest) -> anyhow::Result<ExperimentResult> {
        match self {
            Self::Distribution => distribution::run(balancer).await,
            Self::Scaling(repeats) => scaling::run(balancer, repeats.repeats).await,
            Self::Recovery(kill) => {
                recovery::run(balancer, kill.kills, kill.kill_with.as_deref()).await
            }
            Self::Hashes(repeats, rings) => {
                ring_comparison::run(balancer, repeats.repeats, rings).await
            }
        }
    }
}

/// Makes them one after the other, prints and writes the report.
///
/// # Errors
/// One of them could not be made, or what was changed could not be put back. What was found before that
/// is printed and written all the same.
pub(crate) async fn run(args: &ExperimentArgs, all: &[Experiment]) -> anyhow::Result<ExitCode> {
    check_folder(args.out.as_ref())?;
    raise_descriptor_limit();
    let mut signals = Signals::register()?;
    // Drawn once, so that all of them are made with the same IDs.
    let seed = BalancerUnderTest::new(args).load.seed;
    let (mut found, mut failed) = (Vec::new(), None);
    for experiment in all {
        let mut balancer = BalancerUnderTest::new(args);
        balancer.load.seed = seed;
        let outcome = tokio::select! {
            outcome = experiment.run(&mut balancer) => outcome,
            () = signals.received() => Err(anyhow::anyhow!("interrupted; what was begun is not reported")),
        };
        let closed = balancer.close().await;
        match outcome.and_then(|result| closed.map(|()| result)) {
            Ok(result) => {
                print(&result.text())?;
                found.push(result);
            }
            Err(err) => {
                failed = Some(err);
                break;
            }
        }
    }
    if let Some(folder) = args.out.as_ref().filter(|_| !found.is_empty()) {
        results::write(folder, &found, &about(args, seed))?;
        note(&format!(
            "charts and figures are in {}",
            folder.join("report.html").display()
        ));
    }
    match failed {
        Some(err) => Err(err),
        None if found.iter().all(|result| result.clean) => Ok(ExitCode::SUCCESS),
        None => Ok(ExitCode::FAILURE),
    }
}

/// What a reader must know to judge the figures.
fn about(args: &ExperimentArgs, seed: u64) -> Vec<(&'static str, String)> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let build = if cfg!(debug_assertions) {
        "debug (not for figures of speed)"
    } else {
        "release"
    };
    vec![
        ("command", format!("loadgen {}", words.join(" "))),
        (
            "requests",
            format!(
                "{} over {} connections, seed {seed}",
                args.load.requests, args.load.concurrency
            ),
        ),
        (
            "machine",
            format!("{cpus} CPUs, {}", model.map_or("unknown", |pair| pair.1)),
        ),
        (
            "kernel",
            format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
        ),
        ("build", build.to_owned()),
        (
            "time",
            humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string(),
        ),
    ]
}

/// Whether files can be put there: looked at before anything is started.
///
/// # Errors
/// It is no folder, and none can be made.
fn check_folder(folder: Option<&PathBuf>) -> anyhow::Result<()> {
    let Some(folder) = folder else { return Ok(()) };
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}
