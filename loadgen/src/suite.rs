//! Runs the experiments one after the other, restores the balancer after each, and writes the
//! report.
//!
//! Of several experiments, the one that the balancer refuses is left out, and the others run.

use std::process::ExitCode;

use crate::balancer::BalancerUnderTest;
use crate::cli::{ExperimentArgs, KillArgs, Repeats};
use crate::console::print;
use crate::control::RefusedCommand;
use crate::load::{Load, raise_descriptor_limit};
use crate::report_files::{create_out_dir, write_files};
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
    /// Name of its subcommand and of its files.
    fn name(&self) -> &'static str {
        match self {
            Self::Distribution => "distribution",
            Self::Scaling(_) => "scaling",
            Self::Recovery(_) => "recovery",
            Self::Hashes(..) => "hashes",
        }
    }

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
    create_out_dir(args.out.as_deref())?;
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
            // The others may be possible on this balancer.
            Err(err) if all.len() > 1 && err.is::<RefusedCommand>() => {
                let result = ExperimentResult::left_out(experiment.name(), &format!("{err:#}"));
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
        let load = Load {
            seed,
            ..Load::from_args(&args.load)
        };
        write_files(folder, &found, &load)?;
    }
    match failed {
        Some(err) => Err(err),
        None if found.iter().all(|result| result.clean) => Ok(ExitCode::SUCCESS),
        None => Ok(ExitCode::FAILURE),
    }
}
