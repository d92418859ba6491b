//! `loadgen run`: starts a ringmaster if requested, sends the load, stops the ringmaster, prints
//! the report.
//!
//! After Ctrl-C the requests sent so far are reported.

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;

use anyhow::bail;

use crate::balancer::BalancerUnderTest;
use crate::console::print;
use crate::counters::Counters;
use crate::load::raise_descriptor_limit;
use crate::report_files::{create_out_dir, write_files};
use crate::request::RequestSpec;
use crate::run_args::RunArgs;
use crate::run_report;
use crate::signals::Signals;
use crate::spawn::DEFAULT_REPLICAS;
use crate::text_report::LoadReport;

/// Sends the load, prints the report, and returns the exit code.
///
/// # Errors
/// Nothing could be measured.
pub(crate) async fn run(mut args: RunArgs) -> anyhow::Result<ExitCode> {
    create_out_dir(args.out.as_deref())?;
    raise_descriptor_limit();
    let mut signals = Signals::register()?;
    let request = args.request();
    if let Some(url) = args.url {
        args.load.target = url.target;
    }
    let mut balancer = BalancerUnderTest::new(&args.load, None);
    balancer.load.duration = args.duration;
    balancer.load.is_counted = args.duration.is_none() || args.load.requests.is_some();
    let measured = measure(&request, &mut balancer, &mut signals).await;
    balancer.close().await?;
    let report = measured?;
    let result = run_report::result(&report);
    if args.json {
        print(&(serde_json::to_string_pretty(&result.json)? + "\n"))?;
    } else {
        print(&result.notes)?;
    }
    let clean = result.clean;
    if let Some(folder) = &args.out {
        write_files(folder, &[result], &report.load)?;
    }
    Ok(if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn measure(
    request: &RequestSpec,
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
        .measure_until(request, seed, counters, signals.received())
        .await
}
