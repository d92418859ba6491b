//! `loadgen duel`: measures ringmaster, HAProxy and nginx side by side, in one run, on one machine.
//!
//! Each proxy has one thread on one CPU; the load and the backends have another CPU. The main
//! figure is the CPU time of the proxy per request, as a ratio to HAProxy's in the same round: the
//! speed of a machine drifts, but ratios within a round hold.
//!
//! A run finds the installed peers and starts the backends. For each scenario it starts the
//! proxies, measures all rounds, and stops the proxies. Memory is measured with a fresh proxy each
//! time. At the end it prints the tables.

mod affinity;
mod aim;
pub(crate) mod args;
mod backend;
mod backend_addr;
mod bulk;
mod bulk_kind;
mod cell;
mod chart;
mod connection;
mod discard;
mod fairness;
mod installed;
mod load;
mod markdown;
mod measure;
mod memory;
mod memory_row;
mod memory_table;
mod peer;
mod peer_config;
mod proc_usage;
mod proxy;
pub(crate) mod relay;
mod results;
mod rounds;
mod scenario;
mod scrape;
mod setting;
mod socket_backends;
mod stats;
mod strace;
mod table;
mod testbed;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use crate::console::{note, print};
use crate::load::raise_descriptor_limit;
use crate::signals::Signals;
use args::DuelArgs;
use backend_addr::BackendAddr;
use fairness::FairnessResult;
use installed::InstalledPeer;
use markdown::Readme;
use peer_config::ProxySetup;
use results::{MemoryResult, PeerNote, ScenarioResult};
use scenario::SMALL;
use setting::PLAIN;
use testbed::Testbed;

/// Measures the scenarios and peers of `args`, prints the tables, and writes the files.
///
/// # Errors
/// Nothing could be measured, or a file could not be written.
pub(crate) async fn run(args: DuelArgs) -> anyhow::Result<ExitCode> {
    let plan = args.plan()?;
    let (mut installed_peers, mut skipped) = (Vec::new(), Vec::new());
    for peer in &plan.peers {
        match InstalledPeer::find(*peer, &args) {
            Ok(installed) => installed_peers.push(installed),
            Err(about) => skipped.push(PeerNote::new(peer.name(), about)),
        }
    }
    if args.print_configs {
        print(&configs(&installed_peers, &skipped))?;
        return Ok(ExitCode::SUCCESS);
    }
    // Creates the files before the work, so that an unwritable path is reported at once.
    for path in [&args.json, &args.svg].into_iter().flatten() {
        write(path, "")?;
    }
    let readme = args.readme.as_deref().map(Readme::read).transpose()?;
    raise_descriptor_limit();
    let mut signals = Signals::register()?;
    for PeerNote { name, about } in &skipped {
        note(&format!("{name} is skipped: {about}"));
    }
    let testbed = Testbed::set_up(installed_peers, skipped, plan.rounds)?;
    let interrupted = tokio::select! {
        () = measure::all(&testbed, &plan) => false,
        () = signals.received() => true,
    };
    if interrupted {
        testbed.fault("interrupted".to_owned());
    }
    let mut results = testbed.results.into_inner();
    results
        .scenarios
        .iter_mut()
        .for_each(ScenarioResult::summarise);
    results
        .fairness
        .iter_mut()
        .for_each(FairnessResult::summarise);
    results.memory.iter_mut().for_each(MemoryResult::summarise);
    print(&table::text(&results))?;
    if let Some(readme) = readme.filter(|_| !interrupted) {
        readme.write(&markdown::text(&results))?;
    }
    if let Some(path) = &args.json {
        write(path, &(serde_json::to_string_pretty(&results)? + "\n"))?;
    }
    if let Some(path) = &args.svg {
        write(path, &chart::svg(&results)?)?;
    }
    Ok(if results.faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Returns the configuration of each peer, with example ports.
fn configs(installed_peers: &[InstalledPeer], skipped: &[PeerNote]) -> String {
    let addr = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let ports = (8001..).take(PLAIN.backends).map(addr);
    let backends: Vec<BackendAddr> = ports.map(BackendAddr::Port).collect();
    let setup = ProxySetup {
        listen: addr(8000),
        metrics: addr(8999),
        backends: &backends,
        setting: PLAIN,
        body: SMALL.body,
        clients: SMALL.connections,
        folder: Path::new("/tmp/loadgen"),
    };
    let mut text = String::new();
    for installed in installed_peers {
        let (name, version) = (installed.peer.name(), &installed.version);
        text += &format!(
            "# {name}: {version}\n{}\n",
            peer_config::text(installed, &setup)
        );
    }
    for PeerNote { name, about } in skipped {
        text += &format!("# {name} is skipped: {about}\n");
    }
    text
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
