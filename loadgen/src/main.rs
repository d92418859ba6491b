//! `loadgen`: sends load to a balancer or a replica, and reports answers per server, latencies and
//! failures.
//!
//! Exit code 0: every request was answered as expected; 1: a request failed, or nothing could be
//! measured; 2: bad usage. One thread does all the work, so that measured latencies contain little
//! of loadgen's own delay.

mod arrivals;
mod balancer;
mod chart;
mod chi_square;
mod child_process;
mod cli;
mod client;
mod compare;
mod console;
mod control;
mod counters;
mod distribution;
mod expected_shares;
mod float;
mod html_report;
mod http_reply;
mod latency;
mod latency_chart;
mod load;
mod load_args;
mod load_stats;
mod machine;
mod outcome;
mod progress;
mod recovery;
mod report_files;
mod request;
mod request_ids;
mod results;
mod ring_comparison;
mod run_args;
mod run_cmd;
mod run_report;
mod scaling;
mod signals;
mod spawn;
mod spread;
mod suite;
mod target;
mod text;
mod text_report;
mod timeline;
mod timer;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};

use crate::cli::{Args, Command};
use crate::suite::Experiment;

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(code) => code,
        Err(err) => {
            // A closed stderr cannot be reported anywhere.
            let _ = writeln!(std::io::stderr(), "loadgen: {err:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (common, all) = match args.command {
        Command::Guard(args) => return Err(child_process::exec_guarded(&args)),
        Command::Relay(args) => {
            let Err(err) = compare::relay::run(args);
            return Err(err);
        }
        Command::Duel(args) => return event_loop()?.block_on(compare::run(args)),
        Command::Run(args) => return event_loop()?.block_on(run_cmd::run(args)),
        Command::Distribution(common) => (common, vec![Experiment::Distribution]),
        Command::Scaling { common, repeats } => (common, vec![Experiment::Scaling(repeats)]),
        Command::Recovery { common, kill } => (common, vec![Experiment::Recovery(kill)]),
        Command::Hashes {
            common,
            repeats,
            rings,
        } => (common, vec![Experiment::Hashes(repeats, rings.rings())]),
        Command::All {
            common,
            repeats,
            kill,
            rings,
        } => {
            let all = vec![
                Experiment::Distribution,
                Experiment::Scaling(repeats),
                Experiment::Recovery(kill),
                Experiment::Hashes(repeats, rings.rings()),
            ];
            (common, all)
        }
    };
    event_loop()?.block_on(suite::run(&common, &all))
}

fn event_loop() -> anyhow::Result<LocalRuntime> {
    Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .context("cannot start the event loop")
}
