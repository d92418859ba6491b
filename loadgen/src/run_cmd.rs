//! `loadgen run`: starts a ringmaster if requested, sends the load, stops the ringmaster, prints
//! the report.
//!
//! After Ctrl-C the requests sent so far are reported.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

use anyhow::bail;

use crate::cli::RunArgs;
use crate::client::RequestTemplate;
use crate::console::{note, print};
use crate::counters::Counters;
use crate::load::{self, Load, raise_descriptor_limit};
use crate::outcome::Expected;
use crate::signals::Signals;
use crate::spawn::{DEFAULT_REPLICAS, SpawnedRingmaster};
use crate::target::Target;
use crate::text_report::LoadReport;

/// Checked arguments of `loadgen run`.
#[derive(Debug)]
pub(crate) struct RunPlan {
    /// `None`: start a ringmaster.
    target: Option<Target>,
    path: String,
    load: Load,
}

impl RunPlan {
    /// Returns the plan of the arguments.
    pub(crate) fn from_args(args: RunArgs) -> Self {
        let load = Load::from_args(&args.load);
        Self {
            target: (!args.load.spawn).then_some(args.load.target),
            path: args.path,
            load,
        }
    }
}

/// Sends the load, prints the report, and returns the exit code.
///
/// # Errors
/// Nothing could be measured.
pub(crate) async fn run(plan: RunPlan) -> anyhow::Result<ExitCode> {
    raise_descriptor_limit();
    let mut signals = Signals::register()?;
    let report = match &plan.target {
        Some(target) => {
            let addr = target.reach().await?;
            measure(&plan, target, addr, &mut signals).await?
        }
        None => measure_spawned(&plan, &mut signals).await?,
    };
    print(&(report.summary() + &report.servers()))?;
    Ok(if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn measure_spawned(plan: &RunPlan, signals: &mut Signals) -> anyhow::Result<LoadReport> {
    let spawned = tokio::select! {
        spawned = SpawnedRingmaster::start(DEFAULT_REPLICAS, None) => spawned?,
        () = signals.received() => bail!("interrupted while ringmaster was starting"),
    };
    let target = Target::from_addr(spawned.listen);
    note(&format!(
        "started ringmaster with {} replicas on {target}",
        DEFAULT_REPLICAS
    ));
    let report = measure(plan, &target, spawned.listen, signals).await;
    spawned.stop().await?;
    report
}

async fn measure(
    plan: &RunPlan,
    target: &Target,
    addr: SocketAddr,
    signals: &mut Signals,
) -> anyhow::Result<LoadReport> {
    let template = Rc::new(RequestTemplate::get(
        addr,
        &target.authority,
        &plan.path,
        Expected::for_path(&plan.path),
    ));
    let counters = Rc::new(RefCell::new(Counters::new()?));
    let start = Instant::now();
    let interrupted = tokio::select! {
        () = load::run(plan.load, template, Rc::clone(&counters)) => false,
        () = signals.received() => true,
    };
    let took = start.elapsed();
    Ok(LoadReport {
        url: format!("{target}{}", plan.path),
        load: plan.load,
        took,
        interrupted,
        counters: counters.replace(Counters::new()?),
    })
}
