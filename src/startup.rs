//! Steps taken once at the start: the descriptor limit, the fleet's settings, the listening
//! sockets, the line with the addresses, and the ready file.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};

use crate::config::{Config, DEFAULT_MAX_CONNECTIONS, ReplicaSource};
use crate::fleet;
use crate::orders::BackendSeat;
use crate::proxy::ProxyLimits;
use crate::stats::CounterRegistry;
use crate::terminal;
use crate::whole_file;
use crate::wire::port_owner::{ListeningProcess, listening_process};
use crate::wire::socket::{self, PortSharing};

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

/// Bound addresses of the data port and the control port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) listen: SocketAddr,
    pub(crate) control: SocketAddr,
}

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
        ReplicaSource::Fixed(fixed) => {
            let own_ports = own_ports(config.listen, config.control);
            for (name, addr) in &fixed.backends {
                if let Some(port) = own_ports.reached_by_backend(addr) {
                    bail!("--backend {name}={addr} is our own port ({port})");
                }
            }
            let flags = BackendSeat::in_first_seats(&fixed.backends);
            let backends = match &fixed.state {
                Some(path) => saved_backends(path, &flags, &own_ports)?,
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
pub(crate) fn own_ports(listen: SocketAddr, control: SocketAddr) -> fleet::OwnPorts {
    fleet::OwnPorts(vec![(listen, "--listen"), (control, "--control")])
}

/// Returns the backends of the state file, or those of the flags without one.
///
/// # Errors
/// The file cannot be read, is malformed, or has a backend at a port of ours, whose requests would
/// go round for ever.
fn saved_backends(
    path: &Path,
    flags: &[BackendSeat],
    own_ports: &fleet::OwnPorts,
) -> anyhow::Result<Vec<BackendSeat>> {
    let saved = fleet::read_state_file(path).map_err(|err| anyhow!("--state {err}"))?;
    let Some(saved) = saved else {
        return Ok(flags.to_vec());
    };
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

/// Prints one line with both addresses and the wanted number of replicas on stdout.
pub(crate) fn print_addresses(addresses: Addresses, replicas: &ReplicaSource, count: usize) {
    let url = |addr: SocketAddr| match addr.ip() {
        ip if ip.is_loopback() || ip.is_unspecified() => {
            format!("http://localhost:{}", addr.port())
        }
        _ => format!("http://{addr}"),
    };
    let (data, control) = (url(addresses.listen), url(addresses.control));
    let (noun, engine) = (replica_noun(count), replicas.engine());
    // A closed stdout is no reason to refuse service.
    let _ = writeln!(
        io::stdout(),
        "data {data}, control and dashboard {control}, {count} {noun} ({engine})"
    );
}

fn replica_noun(count: usize) -> &'static str {
    if count == 1 { "replica" } else { "replicas" }
}

/// Checks that the ready file can be written, as far as that shows beforehand. An existing file
/// stays: it may belong to another process.
///
/// # Errors
/// When the file cannot be written. Found only after all replicas answered, the error would end a
/// service that already works.
pub(crate) fn check_ready_file_writable(path: &Path) -> anyhow::Result<()> {
    let tried = whole_file::try_replacing(path);
    tried.with_context(|| format!("--ready-file {}", path.display()))
}

/// Removes a stale ready file: it would announce a process that is gone.
pub(crate) fn remove_ready_file(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => {
            Err(err).with_context(|| format!("--ready-file {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Writes the ready file under another name and renames it, so that a reader sees it whole or not
/// at all.
pub(crate) fn write_ready_file(path: &Path, addresses: &Addresses) -> anyhow::Result<()> {
    let Addresses { listen, control } = addresses;
    let text = format!(r#"{{"listen":"{listen}","control":"{control}"}}"#);
    whole_file::replace(path, format!("{text}\n").as_bytes(), false)
        .with_context(|| format!("--ready-file {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::replica_noun;

    #[test]
    fn one_replica_is_singular() {
        let nouns = [0, 1, 2].map(replica_noun);
        assert_eq!(nouns, ["replicas", "replica", "replicas"]);
    }
}
