//! `loadgen duel`: ringmaster, HAProxy and nginx side by side, in one run, on one machine.
//!
//! The proxies have one thread on one CPU; the load and the backends behind them have another. The
//! figure is what the proxy's process used of its CPU, per request, as a ratio to HAProxy's in the same
//! round: speeds of machines drift, ratios within a round hold. A run is: find the peers, start the
//! backends, and for each scenario start the proxies, go through the rounds, stop them; then the table.

mod affinity;
mod args;
mod backend;
mod bulk;
mod chart;
mod connection;
mod fairness;
mod idle;
mod load;
mod peer;
mod peer_config;
mod proc_usage;
mod proxy;
mod results;
mod rounds;
mod scenario;
mod stats;
mod strace;
mod table;
mod testbed;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

pub(crate) use args::DuelArgs;

use crate::run_cmd::{note, print, raise_descriptor_limit};
use crate::signals::Signals;
use backend::BACKENDS;
use fairness::Beside;
use peer::Contender;
use peer_config::Stage;
use results::{Measured, Named};
use testbed::Stand;

/// Measures what `args` name, prints the table, writes the files.
///
/// # Errors
/// Nothing could be measured, or a file could not be written.
pub(crate) async fn perform(args: DuelArgs) -> anyhow::Result<ExitCode> {
    let plan = args.plan()?;
    let (mut contenders, mut skipped) = (Vec::new(), Vec::new());
    for peer in &plan.peers {
        match Contender::find(*peer, &args) {
            Ok(contender) => contenders.push(contender),
            Err(about) => skipped.push(Named::new(peer.name(), about)),
        }
    }
    if args.print_configs {
        print(&configs(&contenders, &skipped))?;
        return Ok(ExitCode::SUCCESS);
    }
    // A file that cannot be written is noticed now, and not after all the work.
    for path in [&args.json, &args.svg].into_iter().flatten() {
        write(path, "")?;
    }
    raise_descriptor_limit();
    let mut signals = Signals::catch()?;
    for Named { name, about } in &skipped {
        note(&format!("{name} is skipped: {about}"));
    }
    let stand = Stand::set_up(contenders, skipped, plan.rounds)?;
    let interrupted = tokio::select! {
        () = stand.measure(&plan) => false,
        () = signals.caught() => true,
    };
    if interrupted {
        stand.fault("interrupted".to_owned());
    }
    let mut record = stand.record.into_inner();
    record.scenarios.iter_mut().for_each(Measured::summarise);
    record.fairness.iter_mut().for_each(Beside::summarise);
    print(&table::text(&record))?;
    if let Some(path) = &args.json {
        write(path, &(serde_json::to_string_pretty(&record)? + "\n"))?;
    }
    if let Some(path) = &args.svg {
        write(path, &chart::svg(&record)?)?;
    }
    Ok(if record.faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// How each peer would be started, with ports that stand for those chosen at the start.
fn configs(contenders: &[Contender], skipped: &[Named]) -> String {
    let addr = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let backends: Vec<SocketAddr> = (8001..).take(BACKENDS).map(addr).collect();
    let stage = Stage {
        listen: addr(8000),
        backends: &backends,
        workers: 1,
        clients: 64,
        folder: Path::new("/tmp/loadgen"),
    };
    let mut text = String::new();
    for contender in contenders {
        let (name, version) = (contender.peer.name(), &contender.version);
        text += &format!(
            "# {name}: {version}\n{}\n",
            peer_config::text(contender, &stage)
        );
    }
    for Named { name, about } in skipped {
        text += &format!("# {name} is skipped: {about}\n");
    }
    text
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
