//! Ringmaster, a balancer that keeps its own replicas alive. The layers from the top down; imports
//! only go down, and files of one folder may import each other without a cycle:
//!
//! ```text
//! 5  main -> lib::run -> config  engine_proxy    wiring, exit codes, signals
//! 4  proxy/   data port          control/        control port
//! 3  fleet/   replica manager
//! 2  roster   orders (add, rm, replace)          access (to commands)     clients   stats
//! 1  ring/    owner of a key     load            pure: no socket, no clock, no randomness
//! 0  wire/    bytes and sockets                  metrics counters, settings, log_interval, …
//! ```
//!
//! Invariants, checked by tests/architecture.rs where possible:
//! - `proxy` never imports `fleet` or `control`. No request waits for a lock, an engine call or a
//!   command. Exceptions, both by channel: the admin paths, and a request that waits for a seat.
//! - `wire` never says "replica" and returns results instead of acting on them.
//! - Only `fleet` writes the roster.
//! - `ring`, `load` and `fleet/plan` never touch a clock, a socket or a random source.
//! - No byte read from a client is ever lost; there is no unsafe code.
//!
//! Threads: one per worker, one for the fleet, one for the control port, and the main thread, which
//! waits for a signal or for the end of another thread.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "ringmaster runs on Linux only; elsewhere use it in a container: docker-compose up --build"
);

pub mod access;
mod access_log;
mod check;
pub mod clients;
pub mod config;
pub mod control;
mod ctl;
mod engine_proxy;
pub mod fleet;
mod healthcheck;
pub mod load;
mod log_interval;
mod logging;
mod manpages;
pub mod metrics;
pub mod orders;
pub mod proxy;
pub mod ring;
pub mod roster;
pub mod sandbox;
mod serve;
pub mod settings;
pub mod shutdown;
mod startup;
pub mod stats;
mod suggest;
mod supervisor;
mod takeover;
mod terminal;
pub mod token_bucket;
mod whole_file;
pub mod wire;

use std::process::ExitCode;

use tokio::sync::mpsc;

use config::{Args, CliCommand, CtlArgs, EngineProxyConfig};

/// Runs the program. Exit codes: 0 ended as requested, 1 failed, 2 bad usage.
#[must_use]
pub fn run() -> ExitCode {
    let (args, settings) = Args::read();
    let serve_args = match args.command {
        CliCommand::Serve(serve_args) => serve_args,
        CliCommand::Check(serve_args) => {
            let checked = check::run(*serve_args, &settings);
            return checked.map_or_else(|err| usage_error(&err), |()| ExitCode::SUCCESS);
        }
        CliCommand::Ctl(ctl_args) => return run_ctl(&ctl_args),
        CliCommand::Healthcheck { control } => {
            return exit_code(healthcheck::run(control).map_err(|err| format!("{control}: {err}")));
        }
        CliCommand::EngineProxy(proxy_args) => {
            let checked = proxy_args.check();
            return checked.map_or_else(|err| usage_error(&err), run_engine_proxy);
        }
        CliCommand::Docs { folder } => {
            let written = manpages::write(&folder);
            return exit_code(written.map_err(|err| format!("{}: {err}", folder.display())));
        }
    };
    let config = match serve_args.check() {
        Ok(config) => config,
        Err(sentence) => {
            let sentence = settings.name_in(&sentence);
            supervisor::report_failure(&sentence);
            return usage_error(&sentence);
        }
    };
    let logging = logging::start(config.log_format, config.log_level);
    for sentence in config::warnings(&settings) {
        tracing::warn!("{sentence}");
    }
    let (alarm, alarms) = mpsc::unbounded_channel();
    install_panic_hook(alarm);
    let served = serve::serve(config, settings.clone(), alarms);
    drop(logging);
    let served = served.map_err(|err| settings.name_in(&format!("{err:#}")));
    if let Err(sentence) = &served {
        supervisor::report_failure(sentence);
    }
    exit_code(served)
}

/// Holds the engine's socket for a balancer until a signal.
fn run_engine_proxy(config: EngineProxyConfig) -> ExitCode {
    let logging = logging::start(config.log_format, config.log_level);
    let served = engine_proxy::run(config);
    drop(logging);
    exit_code(served.map_err(|err| format!("{err:#}")))
}

/// Sends a command to a running balancer; exit code 1 also when the balancer refuses the command.
fn run_ctl(ctl_args: &CtlArgs) -> ExitCode {
    let line = match ctl_args.line() {
        Ok(line) => line,
        Err(sentence) => return usage_error(&sentence),
    };
    let token = match ctl_args.token() {
        Ok(token) => token,
        Err(sentence) => return usage_error(&sentence),
    };
    let send = match ctl_args.all_nodes {
        true if !ctl::only_reads(&line) => {
            return usage_error("--all-nodes goes with commands that only read");
        }
        true => ctl::ask_all_nodes,
        false => ctl::send,
    };
    match send(&ctl_args.control, token.as_ref(), &line) {
        Ok(false) => ExitCode::FAILURE,
        sent => exit_code(sent),
    }
}

fn usage_error(sentence: &str) -> ExitCode {
    logging::print_line(format_args!("error: {sentence}"));
    ExitCode::from(2)
}

fn exit_code<T>(how: Result<T, String>) -> ExitCode {
    match how {
        Ok(_) => ExitCode::SUCCESS,
        Err(sentence) => {
            logging::print_line(format_args!("ringmaster: {sentence}"));
            ExitCode::FAILURE
        }
    }
}

/// A panic ends one session. In a task of the fleet it ends the program: a heartbeat task that
/// vanished would never be noticed.
fn install_panic_hook(alarm: mpsc::UnboundedSender<String>) {
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!("{panic}");
        if std::thread::current().name() == Some(fleet::THREAD_NAME) {
            // The receiver is gone while the program ends.
            let _ = alarm.send(panic.to_string());
        }
    }));
}
