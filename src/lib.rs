//! Ringmaster, a balancer that keeps its own replicas alive. The map of the house, from the roof down;
//! imports only go down, and files of one folder may import each other:
//!
//! ```text
//! 5  main -> lib::run -> config                  wiring, exit codes, signals
//! 4  proxy/   the data port     control/         the control port
//! 3  fleet/   the replica manager
//! 2  roster   admin (orders as they cross)       peer (who may command)   stats (what was counted)
//! 1  ring/    who owns a key      balance        pure: no socket, no clock, no randomness
//! 0  wire/    bytes and sockets                  metrics cells, shutdown
//! ```
//!
//! What holds everywhere, checked by tests/architecture.rs where it can be: `proxy` never imports `fleet` or
//! `control`; no request waits for a lock, an engine call or a command (but for the admin paths and a
//! request that waits for a seat, by channel); `wire` never says "replica" and returns what happened;
//! only `fleet` writes the roster; `ring`, `balance` and `fleet/plan` never touch a clock, a socket or a
//! random source; no byte read from a client is ever lost; there is no unsafe code.
//!
//! Threads: one per worker, one for the fleet, one for the control port, and the main thread, which
//! waits for a signal or for one of them to end.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "ringmaster runs on Linux only; elsewhere use it in a container: docker-compose up --build"
);

pub mod access;
mod access_log;
pub mod config;
pub mod control;
mod ctl;
pub mod fleet;
mod healthcheck;
pub mod load;
mod logging;
mod manpages;
pub mod metrics;
pub mod orders;
pub mod proxy;
pub mod ring;
pub mod roster;
mod serve;
pub mod shutdown;
mod startup;
pub mod stats;
mod supervisor;
mod takeover;
mod terminal;
pub mod wire;

use std::process::ExitCode;

use tokio::sync::mpsc;

use config::{Args, CliCommand, CtlArgs};

/// Runs the program: 0 when it ended as asked, 1 when it could not go on, 2 for bad usage.
#[must_use]
pub fn run() -> ExitCode {
    let serve_args = match Args::read().command {
        CliCommand::Serve(serve_args) => serve_args,
        CliCommand::Ctl(ctl_args) => return run_ctl(&ctl_args),
        CliCommand::Healthcheck { control } => {
            return exit_code(healthcheck::run(control).map_err(|err| format!("{control}: {err}")));
        }
        CliCommand::Docs { folder } => {
            let written = manpages::write(&folder);
            return exit_code(written.map_err(|err| format!("{}: {err}", folder.display())));
        }
    };
    let config = match serve_args.check() {
        Ok(config) => config,
        Err(sentence) => return usage_error(&sentence),
    };
    let logging = logging::start(config.log_format, config.log_level);
    let (alarm, alarms) = mpsc::unbounded_channel();
    install_panic_hook(alarm);
    let served = serve::serve(config, alarms);
    drop(logging);
    exit_code(served.map_err(|err| format!("{err:#}")))
}

/// Sends a running balancer a command; 1 also when it refuses.
fn run_ctl(ctl_args: &CtlArgs) -> ExitCode {
    let line = match ctl_args.line() {
        Ok(line) => line,
        Err(sentence) => return usage_error(&sentence),
    };
    match ctl::send(&ctl_args.control, ctl_args.control_token.as_ref(), &line) {
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

/// A panic ends one session, or one task of the fleet, which is fatal: a heartbeat that went missing would
/// never be noticed.
fn install_panic_hook(alarm: mpsc::UnboundedSender<String>) {
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!("{panic}");
        if std::thread::current().name() == Some(fleet::THREAD_NAME) {
            // Nobody listens any more when the program ends.
            let _ = alarm.send(panic.to_string());
        }
    }));
}
