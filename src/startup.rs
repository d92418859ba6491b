//! Steps taken once at the start: the descriptor limit, the fleet's settings, the listening
//! sockets; and in a file of their own, the line with the addresses and the ready file.

mod announcement;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use anyhow::{anyhow, bail};

pub(crate) use announcement::{
    Addresses, check_ready_file_writable, print_addresses, remove_ready_file, write_ready_file,
};

use crate::config::{Config, DEFAULT_MAX_CONNECTIONS, ListenOn, ReplicaSource};
use crate::fleet;
use crate::orders::BackendSeat;
use crate::proxy::ProxyLimits;
use crate::stats::CounterRegistry;
use crate::terminal;
use crate::wire::port_owner::{ListeningProcess, listening_process};
use crate::wire::socket::{self, PortSharing};
use crate::wire::unix_listener::{self, SocketFile, UnixListen};

/// Descriptors kept back from client connections: the control port (at most 224), heartbeats, child
/// processes, logs, and the needs of [`FREE_WORKERS`] workers.
const SPARE_DESCRIPTORS: u64 = 400;
/// Number of workers whose descriptors the spare ones cover.
const FREE_WORKERS: usize = 8;
/// Descriptors of one worker: its listener, the duplicate for a successor, and its event loop.
const WORKER_DESCRIPTORS: u64 = 7;
/// Number of pipes that is always allowed: the spare descriptors cover them.
const MIN_PIPES: usize = 64;
/// Largest number of pipes: each holds up to 256 KiB of kernel memory.
const MAX_PIPES: usize = 1024;
/// Smallest limit of client connections with which the program starts.
const MIN_CONNECTIONS: usize = 16;

/// Reserves descriptors for everything that is not a client connection; a client connection may
/// need two. The workers' pipes get the rest.
///
/// # Errors
/// When fewer than [`MIN_CONNECTIONS`] client connections would remain.
pub(crate) fn limit_descriptors(limits: &mut ProxyLimits, workers: usize) -> anyhow::Result<()> {
    let wanted = &mut limits.max_connections;
    let allowed = socket::raise_descriptor_limit();
    let more = u64::try_from(workers.saturating_sub(FREE_WORKERS)).unwrap_or(u64::MAX);
    let spare = SPARE_DESCRIPTORS.saturating_add(more.saturating_mul(WORKER_DESCRIPTORS));
    let rest = allowed.saturating_sub(spare);
    let room = usize::try_from(rest / 2).unwrap_or(usize::MAX);
    if room < MIN_CONNECTIONS {
        let least = spare.saturating_add(2 * MIN_CONNECTIONS as u64);
        bail!(
            "only {allowed} descriptors are allowed (ulimit -n), and {least} are needed at least with --workers {workers}"
        );
    }
    if room < *wanted {
        let sentence = format!(
            "--max-connections {wanted} is lowered to {room}: only {rest} descriptors are left for them"
        );
        match *wanted == DEFAULT_MAX_CONNECTIONS.get() {
            // That is the default, whether it was typed or not.
            true => tracing::info!("{sentence}"),
            false => tracing::warn!("{sentence}"),
        }
        *wanted = room;
    }
    let pipes = (room - *wanted).clamp(MIN_PIPES, MAX_PIPES);
    limits.pipes_per_worker = (pipes / workers).max(1);
    Ok(())
}

/// Builds the fleet's settings.
///
/// # Errors
/// A backend is our own port, or the path of the bundled replica is unknown.
pub(crate) fn fleet_settings(
    config: &Config,
    ledger: CounterRegistry,
) -> anyhow::Result<fleet::FleetSettings> {
    Ok(fleet::FleetSettings {
        replicas: fleet_replicas(config)?,
        ring: config.ring.clone(),
        bound: config.bound,
        heartbeat: config.heartbeat.clone(),
        start_timeout: config.start_timeout,
        drain_timeout: config.drain_timeout,
        slow_start: config.slow_start,
        max_replicas: config.max_replicas,
        standbys: config.standbys,
        names: config.names.clone(),
        seats: None,
        taken_over_from: None,
        workers: config.workers,
        counters: ledger,
    })
}

fn fleet_replicas(config: &Config) -> anyhow::Result<fleet::ReplicaSettings> {
    Ok(match &config.replicas {
        ReplicaSource::Process(wanted) => fleet::ReplicaSettings::Process {
            binary: fleet::bundled_replica()?,
            wanted: wanted.clone(),
        },
        ReplicaSource::Docker(containers) => fleet::ReplicaSettings::Docker(containers.clone()),
        ReplicaSource::Swarm(swarm) => fleet::ReplicaSettings::Swarm(swarm.clone()),
        ReplicaSource::Fixed(fixed) => {
            let own_ports = own_ports(config.listen, config.control);
            for (name, addr, _) in &fixed.backends {
                if let Some(port) = own_ports.reached_by_backend(addr) {
                    bail!("--backend {name}={addr} is our own port ({port})");
                }
            }
            let flags = BackendSeat::in_first_seats(&fixed.backends);
            let backends = match &fixed.state {
                Some(path) => saved_backends(path, &flags, &own_ports, config.max_replicas)?,
                None => flags.clone(),
            };
            fleet::ReplicaSettings::Fixed(fleet::FixedSettings {
                backends,
                flags,
                state: fixed.state.clone(),
                lookups: fleet::LookupSettings {
                    interval: fixed.resolve_interval,
                    own_ports,
                },
            })
        }
    })
}

/// Returns the ports that no backend may have.
pub(crate) fn own_ports(listen: ListenOn, control: ListenOn) -> fleet::OwnPorts {
    let listen = listen.addrs().map(|addr| (addr, "--listen"));
    let control = control.addrs().map(|addr| (addr, "--control"));
    fleet::OwnPorts(listen.chain(control).collect())
}

/// Returns the backends of the state file, or those of the flags without one.
///
/// # Errors
/// The file cannot be read, is malformed, has too many backends, or has one at a port of ours,
/// whose requests would go round for ever.
fn saved_backends(
    path: &Path,
    flags: &[BackendSeat],
    own_ports: &fleet::OwnPorts,
    max: usize,
) -> anyhow::Result<Vec<BackendSeat>> {
    let saved = fleet::read_state_file(path).map_err(|err| anyhow!("--state {err}"))?;
    let Some(saved) = saved else {
        return Ok(flags.to_vec());
    };
    if saved.len() > max {
        let (path, count) = (path.display(), saved.len());
        bail!("--state {path}: {count} backends are more than --max-replicas {max}");
    }
    for BackendSeat { name, addr, .. } in &saved {
        if let Some(port) = own_ports.reached_by_backend(addr) {
            bail!(
                "--state {}: {name}={addr} is our own port ({port})",
                path.display()
            );
        }
    }
    Ok(saved)
}

/// Logs that the backends are those of the state file, and not those of the flags.
pub(crate) fn log_state_file(replicas: &fleet::ReplicaSettings) {
    if let fleet::ReplicaSettings::Fixed(fixed) = replicas
        && let Some(path) = &fixed.state
        && fixed.backends != fixed.flags
    {
        let path = path.display();
        let ignored = match fixed.flags.is_empty() {
            true => "",
            false => "; --backend is ignored",
        };
        tracing::info!("the backends are read from --state {path}{ignored}");
    }
}

/// Writes the state file of fixed backends again, or tries whether it could be written, so that no
/// order fails for that later.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn prepare_state_file(replicas: &fleet::ReplicaSettings) -> anyhow::Result<()> {
    if let fleet::ReplicaSettings::Fixed(fixed) = replicas
        && let Some(path) = &fixed.state
    {
        let is_changed = fixed.backends != fixed.flags;
        fleet::prepare_state_file(path, &fixed.backends, is_changed)
            .map_err(|err| anyhow!("--state {err}"))?;
    }
    Ok(())
}

/// Listens on `addr`, which `flag` configures, on a socket of its own.
pub(crate) fn listen(addr: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    socket::listen(addr, PortSharing::Own).map_err(|err| bind_error(&err, addr, flag))
}

/// Listens on a Unix socket, which `flag` configures.
pub(crate) fn listen_unix(
    socket: &UnixListen,
    default_mode: u32,
    flag: &str,
) -> anyhow::Result<(TcpListener, SocketFile)> {
    let listening = unix_listener::listen(socket, default_mode, socket::BACKLOG);
    listening.map_err(|err| {
        let path = socket.path;
        match err.kind() {
            io::ErrorKind::AddrInUse => anyhow!("{path} is taken ({flag})"),
            _ => anyhow!("cannot listen on {path} ({flag}): {err}"),
        }
    })
}

/// Listens with one socket per worker on one port.
pub(crate) fn listen_shared(addr: SocketAddr, workers: usize) -> anyhow::Result<Vec<TcpListener>> {
    let fail = |err: io::Error| bind_error(&err, addr, "--listen");
    socket::check_port_free(addr).map_err(fail)?;
    let first = socket::listen(addr, PortSharing::Shared).map_err(fail)?;
    let mut listeners = vec![first];
    bind_remaining(&mut listeners, workers)?;
    Ok(listeners)
}

/// Binds further sockets to the port until each worker has one; the new sockets do not listen yet.
pub(crate) fn bind_remaining(
    listeners: &mut Vec<TcpListener>,
    workers: usize,
) -> anyhow::Result<()> {
    let bound = listeners[0].local_addr()?;
    while listeners.len() < workers {
        let more = socket::bind_shared(bound, PortSharing::Shared);
        listeners.push(more.map_err(|err| bind_error(&err, bound, "--listen"))?);
    }
    Ok(())
}

fn bind_error(err: &io::Error, addr: SocketAddr, flag: &str) -> anyhow::Error {
    match err.kind() {
        io::ErrorKind::AddrInUse => anyhow!("{}", describe_taken(addr, flag)),
        _ => anyhow!("cannot listen on {addr} ({flag}): {err}"),
    }
}

/// Describes a taken port, with the process that listens there if it can be seen.
fn describe_taken(addr: SocketAddr, flag: &str) -> String {
    let owner = listening_process(addr).map(|process| {
        let ListeningProcess { pid, name } = process;
        let name = terminal::escape(&name);
        let hint = match name == env!("CARGO_PKG_NAME") {
            true => "; 'serve --takeover' with its --control replaces it without a pause",
            false => "",
        };
        format!(" by process {pid}, {name}{hint}")
    });
    let port = addr.port();
    format!("port {port} is taken ({flag}){}", owner.unwrap_or_default())
}
