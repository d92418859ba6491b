//! `loadgen run`: starts a ringmaster if requested, sends the load, stops the ringmaster, prints
//! the report.
//!
//! After Ctrl-C the requests sent so far are reported.

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;

use anyhow::bail;

use crate::balancer::BalancerUnderTest;
use crate::cli::RunArgs;
use crate::console::print;
use crate::counters::Counters;
use crate::load::raise_descriptor_limit;
use crate::signals::Signals;
use crate::spawn::DEFAULT_REPLICAS;
use crate::text_report::LoadReport;

/// Sends the load, prints the report, and returns the exit code.
///
/// # Errors
/// Nothing could be measured.
pub(crate) async fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    raise_descriptor_limit();
    let mut signals = Signals::register()?;
    let mut balancer = BalancerUnderTest::new(&args.load, None);
    let measured = measure(&args.path, &mut balancer, &mut signals).await;
    balancer.close().await?;
    let report = measured?;
    print(&(report.summary() + &report.servers()))?;
    Ok(if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn measure(
    path: &str,
    balancer: &mut BalancerUnderTest,
    signals: &mut Signals,
) -> anyhow::Result<LoadReport> {
    let prepared = async {
        match balancer.is_spawned() {
            true => balancer.open(DEFAULT_REPLICAS, None).await,
            false => balancer.attach().await,
        }
    };
    tokio::select! {
        prepared = prepared => prepared?,
        () = signals.received() => bail!("interrupted before the load began"),
    }
    let counters = Rc::new(RefCell::new(Counters::new()?));
    let seed = balancer.load.seed;
    balancer
        .measure_until(path, seed, counters, signals.received())
        .await
}
