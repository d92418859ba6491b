//! Ringmaster, a balancer that keeps its own replicas alive. The map of the house, from the roof down;
//! imports only go down, and files of one folder may import each other:
//!
//! ```text
//! 5  main -> lib::run -> config                  wiring, exit codes, signals
//! 4  proxy/   the data port     control/         the control port
//! 3  fleet/   the replica manager
//! 2  roster   admin (orders as they cross)       peer (who may command)
//! 1  ring/    who owns a key                     pure: no socket, no clock, no randomness
//! 0  wire/    bytes and sockets                  metrics cells, shutdown
//! ```
//!
//! What holds everywhere, checked by tests/tidy.rs where it can be: `proxy` never imports `fleet` or
//! `control`; no request waits for a lock, an engine call or a command (but for the admin paths and a
//! request that waits for a seat, by channel); `wire` never says "replica" and returns what happened;
//! only `fleet` writes the roster; `ring` and `fleet/plan` never touch a clock, a socket or a random
//! source; no byte read from a client is ever lost; there is no unsafe code.
//!
//! Threads: one per worker, one for the fleet, one for the control port, and the main thread, which
//! waits for a signal or for one of them to end.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "ringmaster runs on Linux only; elsewhere use it in a container: docker-compose up --build"
);

pub mod admin;
pub mod config;
pub mod control;
pub mod fleet;
pub mod metrics;
pub mod peer;
pub mod proxy;
pub mod ring;
pub mod roster;
pub mod shutdown;
pub mod wire;

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use config::{Args, Command, Config, LogFormat, Replicas};
use fleet::Fleet;
use roster::ReplicaAddr;
use wire::socket::{self, Port};

/// Evidence that may wait for the fleet; more is lost, being hints.
const EVIDENCE_WAITING: usize = 1024;
/// Descriptors kept back from client connections: listeners, heartbeats, children, logs.
const SPARE_DESCRIPTORS: u64 = 256;
/// How long the fleet may take to remove its replicas once nothing is in flight.
const FLEET_STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs the program: 0 when it ended as asked, 1 when it could not go on, 2 for bad usage.
#[must_use]
pub fn run() -> ExitCode {
    let Command::Serve(serve_args) = Args::parse().command;
    let config = match serve_args.check() {
        Ok(config) => config,
        Err(sentence) => {
            say(format_args!("error: {sentence}"));
            return ExitCode::from(2);
        }
    };
    start_logging(&config);
    match serve(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            say(format_args!("ringmaster: {err:#}"));
            ExitCode::FAILURE
        }
    }
}

/// A line on stderr, which may be closed: then there is no one to tell.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn start_logging(config: &Config) {
    let log = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_max_level(config.log_level)
        .with_target(false);
    match config.log_format {
        LogFormat::Text => log
            .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
            .init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    // A panic ends one session, or with its thread the program; either way it belongs in the log.
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
}

/// Serves until a signal, or until a part of it ends that must not.
fn serve(mut config: Config) -> anyhow::Result<()> {
    limit_connections(&mut config);
    let replicas = fleet_replicas(&config.replicas)?;
    let settings = fleet::Settings {
        replicas,
        ring: config.ring,
        heartbeat: config.heartbeat.clone(),
        start_timeout: config.start_timeout,
        drain_timeout: config.drain_timeout,
        max_replicas: config.max_replicas,
        workers: config.workers,
    };
    let first = fleet::first_roster(&settings)?;
    if let Some(path) = &config.ready_file {
        remove_ready_file(path)?;
    }
    let control = listen(config.control, "--control")?;
    let data = listen_shared(config.listen, config.workers)?;
    let addresses = Addresses {
        listen: data[0].local_addr()?,
        control: control.local_addr()?,
    };

    let (publisher, subscribers) = roster::channel(config.workers, first);
    let (desk, orders) = admin::desk();
    let (evidence, evidence_seen) = mpsc::channel(EVIDENCE_WAITING);
    let (stop_workers, workers_stop) = shutdown::channel();
    let (stop_control, control_stops) = shutdown::channel();
    let fleet = fleet::start(settings, publisher, orders, evidence_seen)?;
    let workers = proxy::start(proxy::Start {
        settings: Arc::new(config.proxy),
        listeners: data,
        subscribers,
        evidence,
        desk: desk.clone(),
        shutdown: workers_stop,
    })?;
    let context = control_context(desk, config.access, &fleet);
    let control = control::start(control, context, control_stops)?;
    announce(&addresses, &config.replicas);
    let house = House {
        fleet,
        workers: Watched::new("a worker", workers),
        control: Watched::new("the control port", [control]),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(house.live(config.ready_file, &addresses, stop_workers, stop_control))
}

/// The two addresses that were bound.
struct Addresses {
    listen: SocketAddr,
    control: SocketAddr,
}

/// The threads of the program.
struct House {
    fleet: Fleet,
    workers: Watched,
    control: Watched,
}

impl House {
    async fn live(
        mut self,
        ready_file: Option<PathBuf>,
        addresses: &Addresses,
        stop_workers: shutdown::Trigger,
        stop_control: shutdown::Trigger,
    ) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut status = self.fleet.status();
        let ready = async {
            // An error means that the fleet is gone, which is told elsewhere.
            let complete = status.wait_for(|status| status.complete).await.is_ok();
            match ready_file.filter(|_| complete) {
                Some(path) => write_ready_file(&path, addresses),
                None => Ok(()),
            }
        };
        let mut ready = std::pin::pin!(ready);
        let mut waiting = true;
        loop {
            tokio::select! {
                written = &mut ready, if waiting => {
                    waiting = false;
                    written?;
                }
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                () = self.fleet.ended() => bail!("the fleet ended unexpectedly"),
                end = self.workers.first_end() => bail!("{end} ended unexpectedly"),
                end = self.control.first_end() => bail!("{end} ended unexpectedly"),
            }
        }
        tracing::info!("draining: no new connections; answering what has begun");
        let stop = async {
            stop_workers.pull();
            self.workers.all_ended().await;
            let stopped = self.fleet.stop(FLEET_STOP_TIMEOUT).await;
            stop_control.pull();
            self.control.all_ended().await;
            stopped
        };
        tokio::select! {
            stopped = stop => stopped,
            _ = terminate.recv() => bail!("a second signal; stopped at once"),
            _ = interrupt.recv() => bail!("a second signal; stopped at once"),
        }
    }
}

/// Threads whose end is reported.
struct Watched {
    what: &'static str,
    left: usize,
    ends: mpsc::UnboundedReceiver<String>,
}

impl Watched {
    fn new<T: Outcome + Send + 'static>(
        what: &'static str,
        threads: impl IntoIterator<Item = thread::JoinHandle<T>>,
    ) -> Self {
        let (tx, ends) = mpsc::unbounded_channel();
        let mut left = 0;
        for thread in threads {
            left += 1;
            let tx = tx.clone();
            thread::spawn(move || {
                let how = thread
                    .join()
                    .map_or(" (panicked)".to_owned(), Outcome::describe);
                // Nobody listens any more when the program ends.
                let _ = tx.send(how);
            });
        }
        Self { what, left, ends }
    }

    /// Waits for the first end. Cancel safe.
    async fn first_end(&mut self) -> String {
        let how = self.ends.recv().await.unwrap_or_default();
        self.left -= 1;
        format!("{}{how}", self.what)
    }

    async fn all_ended(&mut self) {
        while self.left > 0 {
            self.first_end().await;
        }
    }
}

/// What a thread has to say at its end.
trait Outcome {
    fn describe(self) -> String;
}

impl Outcome for () {
    fn describe(self) -> String {
        String::new()
    }
}

impl Outcome for io::Result<()> {
    fn describe(self) -> String {
        self.map_or_else(|err| format!(" ({err})"), |()| String::new())
    }
}

/// Leaves descriptors for everything that is not a client connection; each of those may need two.
fn limit_connections(config: &mut Config) {
    let wanted = &mut config.proxy.limits.max_connections;
    let rest = socket::raise_descriptor_limit().saturating_sub(SPARE_DESCRIPTORS);
    let room = usize::try_from(rest / 2).unwrap_or(usize::MAX).max(1);
    if room < *wanted {
        tracing::warn!(
            "--max-connections {wanted} is lowered to {room}: only {rest} descriptors are left for them"
        );
        *wanted = room;
    }
}

fn fleet_replicas(replicas: &Replicas) -> anyhow::Result<fleet::Replicas> {
    Ok(match replicas {
        Replicas::Process(count) => fleet::Replicas::Process {
            binary: fleet::bundled_replica()?,
            count: *count,
        },
        Replicas::Fixed(backends) => {
            let resolved = backends.iter().map(|(name, addr)| {
                let mut found = addr
                    .to_socket_addrs()
                    .with_context(|| format!("--backend {name}={addr}"))?;
                let first = found
                    .next()
                    .with_context(|| format!("--backend {name}={addr}: no address"))?;
                Ok((name.clone(), ReplicaAddr(first)))
            });
            fleet::Replicas::Fixed(resolved.collect::<anyhow::Result<_>>()?)
        }
    })
}

fn listen(addr: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    socket::listen(addr, Port::Own).map_err(|err| taken(&err, addr, flag))
}

/// One listener for each worker, on one port.
fn listen_shared(addr: SocketAddr, workers: usize) -> anyhow::Result<Vec<TcpListener>> {
    let fail = |err: io::Error| taken(&err, addr, "--listen");
    socket::probe(addr).map_err(fail)?;
    let first = socket::listen(addr, Port::Shared).map_err(fail)?;
    let bound = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..workers {
        listeners.push(socket::listen(bound, Port::Shared).map_err(fail)?);
    }
    Ok(listeners)
}

fn taken(err: &io::Error, addr: SocketAddr, flag: &str) -> anyhow::Error {
    match err.kind() {
        io::ErrorKind::AddrInUse => anyhow::anyhow!("port {} is taken ({flag})", addr.port()),
        _ => anyhow::anyhow!("cannot listen on {addr} ({flag}): {err}"),
    }
}

fn control_context(desk: admin::Desk, access: peer::Access, fleet: &Fleet) -> control::Context {
    let (status, journal) = (fleet.status(), fleet.journal());
    let ready = move || {
        let status = *status.borrow();
        match (status.wanted, status.up) {
            (0, _) => Err("there are no replicas".to_owned()),
            (wanted, 0) => Err(format!("none of {wanted} replicas is up")),
            _ => Ok(()),
        }
    };
    let events = move || {
        let events = journal.since(0);
        let view = |event: &fleet::Event| control::EventView {
            text: event.to_string(),
            json: event.to_json(),
        };
        events.iter().map(view).collect()
    };
    control::Context {
        desk,
        access,
        ready: Arc::new(ready),
        events: Arc::new(events),
        limits: control::Limits::default(),
    }
}

/// One line for people, on stdout.
fn announce(addresses: &Addresses, replicas: &Replicas) {
    let url = |addr: SocketAddr| match addr.ip() {
        ip if ip.is_loopback() || ip.is_unspecified() => {
            format!("http://localhost:{}", addr.port())
        }
        _ => format!("http://{addr}"),
    };
    let (count, engine) = match replicas {
        Replicas::Process(count) => (*count, "process"),
        Replicas::Fixed(backends) => (backends.len(), "fixed"),
    };
    let (data, control) = (url(addresses.listen), url(addresses.control));
    // A closed stdout is no reason not to serve.
    let _ = writeln!(
        io::stdout(),
        "data {data}, control {control}, {count} replicas ({engine})"
    );
}

fn remove_ready_file(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => {
            Err(err).with_context(|| format!("--ready-file {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Whoever sees the file sees all of it: it is written under another name first.
fn write_ready_file(path: &Path, addresses: &Addresses) -> anyhow::Result<()> {
    let text = serde_json::json!({
        "listen": addresses.listen.to_string(),
        "control": addresses.control.to_string(),
    });
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}", std::process::id()));
    std::fs::write(&temporary, format!("{text}\n"))
        .and_then(|()| std::fs::rename(&temporary, path))
        .with_context(|| format!("--ready-file {}", path.display()))
}
