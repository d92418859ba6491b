//! Runs the experiments one after the other, restores the balancer after each, and writes the
//! report.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use crate::balancer::BalancerUnderTest;
use crate::chart;
use crate::cli::{ExperimentArgs, KillArgs, Repeats};
use crate::console::{note, print};
use crate::html_report;
use crate::load::{Load, raise_descriptor_limit};
use crate::machine::{processor, sysctl};
use crate::results::ExperimentResult;
use crate::signals::Signals;
use crate::{distribution, recovery, ring_comparison, scaling};

/// An experiment and its arguments.
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

/// Runs the experiments, prints their results and writes the report.
///
/// # Errors
/// An experiment failed, or the balancer could not be restored. Results of the experiments before
/// it are still printed and written.
pub(crate) async fn run(args: &ExperimentArgs, all: &[Experiment]) -> anyhow::Result<ExitCode> {
    create_out_dir(args.out.as_ref())?;
    raise_descriptor_limit();
    let mut signals = Signals::register()?;
    // One seed for all experiments, so that they use the same IDs.
    let seed = Load::from_args(&args.load).seed;
    let (mut found, mut failed) = (Vec::new(), None);
    for experiment in all {
        let mut balancer = BalancerUnderTest::new(&args.load, args.control.as_ref());
        balancer.load.seed = seed;
        let outcome = tokio::select! {
            outcome = experiment.run(&mut balancer) => outcome,
            () = signals.received() => Err(anyhow::anyhow!("interrupted; the unfinished experiment is not reported")),
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
        write_files(folder, &found, &run_conditions(args, seed))?;
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

/// Writes CSV and JSON of each experiment, SVG and PNG of each chart, and one HTML page.
///
/// # Errors
/// A file in the directory cannot be written.
fn write_files(
    folder: &Path,
    all: &[ExperimentResult],
    about: &[(&str, String)],
) -> anyhow::Result<()> {
    let put = |name: String, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    };
    for result in all {
        put(format!("{}.csv", result.name), result.csv.as_bytes())?;
        let json = serde_json::to_string_pretty(&result.json)? + "\n";
        put(format!("{}.json", result.name), json.as_bytes())?;
        for chart in &result.charts {
            put(format!("{}.svg", chart.stem), chart::svg(chart)?.as_bytes())?;
            put(format!("{}.png", chart.stem), &chart::png(chart)?)?;
        }
    }
    put(
        "report.html".into(),
        html_report::html(all, about)?.as_bytes(),
    )
}

/// Conditions of the run that a reader needs to judge the figures.
fn run_conditions(args: &ExperimentArgs, seed: u64) -> Vec<(&'static str, String)> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let processor = processor().unwrap_or_else(|| "unknown".to_owned());
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let build = if cfg!(debug_assertions) {
        "debug (too slow for figures)"
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
        ("machine", format!("{cpus} CPUs, {processor}")),
        ("kernel", format!("Linux {}", sysctl("kernel/osrelease"))),
        ("build", build.to_owned()),
        (
            "time",
            humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string(),
        ),
    ]
}

/// Creates the directory for the files, before anything is started.
///
/// # Errors
/// The directory cannot be created.
fn create_out_dir(folder: Option<&PathBuf>) -> anyhow::Result<()> {
    let Some(folder) = folder else { return Ok(()) };
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}
