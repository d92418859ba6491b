//! `loadgen`: puts load on a balancer or a replica, and says who answered, how fast, and what failed.
//!
//! Exit code 0: every request was answered rightly; 1: some were not, or nothing could be measured;
//! 2: usage. One thread does it all, so that a measured latency holds as little of ours as possible.

mod bars;
mod cli;
mod client;
mod distribution;
mod duel;
mod experiment;
mod guard;
mod ids;
mod latency;
mod load;
mod outcome;
mod pace;
mod reply;
mod report;
mod signals;
mod spawn;
mod tally;
mod target;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};

use crate::cli::{Args, Command};

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(code) => code,
        Err(err) => {
            // There is nowhere left to report that stderr is gone.
            let _ = writeln!(std::io::stderr(), "loadgen: {err:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> anyhow::Result<ExitCode> {
    let plan = match args.command {
        Command::Guard(guard) => return Err(guard::become_guarded(&guard)),
        Command::Duel(args) => return event_loop()?.block_on(duel::perform(args)),
        Command::Run(run) => experiment::Plan::run(run),
        Command::Distribution(load) => experiment::Plan::distribution(load),
    };
    event_loop()?.block_on(experiment::perform(plan))
}

fn event_loop() -> anyhow::Result<LocalRuntime> {
    Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .context("cannot start the event loop")
}
