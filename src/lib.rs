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
//! What holds everywhere, checked by tests/tidy.rs where it can be: `proxy` never imports `fleet` or
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

mod access_log;
pub mod admin;
pub mod balance;
pub mod config;
pub mod control;
mod ctl;
mod docs;
pub mod fleet;
mod healthcheck;
mod house;
mod log;
pub mod metrics;
pub mod peer;
pub mod proxy;
pub mod ring;
pub mod roster;
pub mod shutdown;
mod start;
pub mod stats;
pub mod wire;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tokio::sync::mpsc;

use config::{Args, Command, Config, CtlArgs};
use fleet::Fleet;
use house::{House, Watched};

/// Evidence that may wait for the fleet; more is lost, being hints.
const EVIDENCE_WAITING: usize = 1024;

/// Runs the program: 0 when it ended as asked, 1 when it could not go on, 2 for bad usage.
#[must_use]
pub fn run() -> ExitCode {
    let serve_args = match Args::read().command {
        Command::Serve(serve_args) => serve_args,
        Command::Ctl(ctl_args) => return command(&ctl_args),
        Command::Healthcheck { control } => {
            return ended(healthcheck::ask(control).map_err(|err| format!("{control}: {err}")));
        }
        Command::Docs { folder } => {
            let written = docs::write(&folder);
            return ended(written.map_err(|err| format!("{}: {err}", folder.display())));
        }
    };
    let config = match serve_args.check() {
        Ok(config) => config,
        Err(sentence) => return misused(&sentence),
    };
    let logging = log::start(config.log_format, config.log_level);
    let (alarm, alarms) = mpsc::unbounded_channel();
    report_panics(alarm);
    let served = serve(config, alarms);
    drop(logging);
    ended(served.map_err(|err| format!("{err:#}")))
}

/// Sends a running balancer a command; 1 also when it refuses.
fn command(ctl_args: &CtlArgs) -> ExitCode {
    let line = match ctl_args.line() {
        Ok(line) => line,
        Err(sentence) => return misused(&sentence),
    };
    match ctl::send(&ctl_args.control, ctl_args.control_token.as_ref(), &line) {
        Ok(false) => ExitCode::FAILURE,
        sent => ended(sent),
    }
}

fn misused(sentence: &str) -> ExitCode {
    log::say(format_args!("error: {sentence}"));
    ExitCode::from(2)
}

fn ended<T>(how: Result<T, String>) -> ExitCode {
    match how {
        Ok(_) => ExitCode::SUCCESS,
        Err(sentence) => {
            log::say(format_args!("ringmaster: {sentence}"));
            ExitCode::FAILURE
        }
    }
}

/// A panic ends one session, or one task of the fleet, which is fatal: a heartbeat that went missing would
/// never be noticed.
fn report_panics(alarm: mpsc::UnboundedSender<String>) {
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!("{panic}");
        if std::thread::current().name() == Some(fleet::THREAD) {
            // Nobody listens any more when the program ends.
            let _ = alarm.send(panic.to_string());
        }
    }));
}

/// Serves until a signal, or until a part of it ends that must not.
fn serve(mut config: Config, alarms: mpsc::UnboundedReceiver<String>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let signals = house::Signals::catch(&runtime)?;
    start::limit_descriptors(&mut config.proxy.limits, config.workers)?;
    warn_of_anyone(&config);
    let port = Arc::new(metrics::Port::new(config.workers));
    let writer = start_access_log(&mut config, &port)?;
    let ledger = stats::Ledger::default();
    let settings = start::fleet_settings(&config, ledger.clone())?;
    let control = start::listen(config.control, "--control")?;
    let data = start::listen_shared(config.listen, config.workers)?;
    let addresses = start::Addresses {
        listen: data[0].local_addr()?,
        control: control.local_addr()?,
    };

    // Only now: another program that serves on these ports may have written it.
    if let Some(path) = &config.ready_file {
        start::remove_ready_file(path)?;
    }
    // Last of what can fail for a reason of the user's: with containers it takes the fleet's lock.
    let survey = fleet::survey(settings)?;
    for access in config.proxy.admin.iter_mut().chain([&mut config.access]) {
        access.gateway = survey.gateway();
    }
    let wanted = survey.wanted();
    let (publisher, subscribers) = roster::channel(config.workers, survey.first_roster());
    let observer = publisher.observer();
    let (desk, orders) = admin::desk();
    let (evidence, evidence_seen) = mpsc::channel(EVIDENCE_WAITING);
    let (stops, heard) = house::stops();
    let fleet = fleet::start(survey, publisher, orders, evidence_seen)?;
    let workers = proxy::start(proxy::Start {
        settings: Arc::new(config.proxy),
        listeners: data,
        subscribers,
        evidence,
        port: Arc::clone(&port),
        desk: desk.clone(),
        shutdown: heard.workers,
        cut: heard.cut,
    })?;
    let known = Known {
        desk,
        access: config.access,
        roster: observer,
        max_replicas: config.max_replicas,
        recorder: stats::Recorder::new(ledger, port, Instant::now()),
        engine: config.replicas.engine(),
    };
    let control = control::start(control, control_context(known, &fleet), heard.control)?;
    start::announce(&addresses, &config.replicas, wanted);
    let house = House {
        fleet,
        workers: Watched::new("a worker", workers),
        control: Watched::new("the control port", [control]),
        signals,
        alarms,
    };
    let lived = runtime.block_on(house.live(config.ready_file, &addresses, stops));
    // However it ended: what was cut off is written down, too.
    if let Some(writer) = writer {
        writer.finish();
    }
    lived
}

fn start_access_log(
    config: &mut Config,
    port: &Arc<metrics::Port>,
) -> anyhow::Result<Option<access_log::Writer>> {
    let Some(target) = &config.access_log else {
        return Ok(None);
    };
    let (log, writer) = access_log::start(target, config.access_log_format, Arc::clone(port))?;
    config.proxy.access_log = Some(log);
    Ok(Some(writer))
}

fn warn_of_anyone(config: &Config) {
    let admin = config.proxy.admin.as_ref();
    if admin.is_some_and(|admin| admin.anyone) {
        tracing::warn!(
            "--data-port-admin any: whoever reaches the data port may add and remove replicas"
        );
    }
}

/// What the control port has of others than the fleet.
struct Known {
    desk: admin::Desk,
    access: peer::Access,
    roster: roster::Observer,
    max_replicas: usize,
    recorder: stats::Recorder,
    engine: &'static str,
}

fn control_context(known: Known, fleet: &Fleet) -> control::Context {
    let standing = fleet.status();
    let standing = move || {
        let status = *standing.borrow();
        control::Standing {
            wanted: status.wanted,
            answered: status.answered,
            up: status.up,
            standbys: status.standbys,
        }
    };
    control::Context {
        desk: known.desk,
        access: known.access,
        roster: known.roster,
        max_replicas: known.max_replicas,
        sources: control::Sources {
            recorder: known.recorder,
            standing: Arc::new(standing),
            engine: known.engine,
            started: SystemTime::now(),
        },
        ready: Arc::new(fleet.readiness()),
        journal: fleet.journal(),
        limits: control::Limits::default(),
    }
}
