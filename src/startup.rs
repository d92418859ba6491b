//! What is done once at the start: room for descriptors, what the fleet goes by, the ports, the line for
//! people, the ready file.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::config::{Config, ReplicaSource};
use crate::fleet;
use crate::proxy::ProxyLimits;
use crate::roster::ReplicaAddr;
use crate::stats::CounterRegistry;
use crate::wire::socket::{self, PortSharing};

/// Descriptors kept back from client connections: the control port (224 at most), heartbeats, children, logs, and
/// those of a few workers.
const SPARE_DESCRIPTORS: u64 = 400;
/// For so many workers the spare ones are enough.
const FREE_WORKERS: usize = 8;
/// A worker's own: its listener, that once more for who takes over, and its event loop.
const WORKER_DESCRIPTORS: u64 = 7;
/// Pipes that there may always be: their descriptors are some of the spare ones.
const MIN_PIPES: usize = 64;
/// Pipes that there may be at most: each holds up to 256 KiB of the kernel's memory.
const MAX_PIPES: usize = 1024;
/// With room for fewer client connections than this it does not start.
const MIN_CONNECTIONS: usize = 16;

/// The two addresses that were bound.
#[derive(Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) listen: SocketAddr,
    pub(crate) control: SocketAddr,
}

/// Leaves descriptors for everything that is not a client connection; each of those may need two. The
/// workers' pipes get what is left, or nearly nothing.
///
/// # Errors
/// When hardly any would be left.
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
        tracing::warn!(
            "--max-connections {wanted} is lowered to {room}: only {rest} descriptors are left for them"
        );
        *wanted = room;
    }
    let pipes = (room - *wanted).clamp(MIN_PIPES, MAX_PIPES);
    limits.pipes_per_worker = (pipes / workers).max(1);
    Ok(())
}

/// What the fleet goes by.
///
/// # Errors
/// When a backend has no address, or the bundled replica cannot be looked for.
pub(crate) fn fleet_settings(
    config: &Config,
    ledger: CounterRegistry,
) -> anyhow::Result<fleet::FleetSettings> {
    Ok(fleet::FleetSettings {
        replicas: fleet_replicas(&config.replicas)?,
        ring: config.ring.clone(),
        bound: config.bound,
        heartbeat: config.heartbeat.clone(),
        start_timeout: config.start_timeout,
        drain_timeout: config.drain_timeout,
        max_replicas: config.max_replicas,
        standbys: config.standbys,
        seats: None,
        taken_over_from: None,
        workers: config.workers,
        ledger,
    })
}

fn fleet_replicas(replicas: &ReplicaSource) -> anyhow::Result<fleet::ReplicaSettings> {
    Ok(match replicas {
        ReplicaSource::Process(wanted) => fleet::ReplicaSettings::Process {
            binary: fleet::bundled_replica()?,
            wanted: wanted.clone(),
        },
        ReplicaSource::Docker(containers) => fleet::ReplicaSettings::Docker(containers.clone()),
        ReplicaSource::Fixed(backends) => {
            let resolved = backends.iter().map(|(name, addr)| {
                let mut found = addr
                    .to_socket_addrs()
                    .with_context(|| format!("--backend {name}={addr}"))?;
                let first = found
                    .next()
                    .with_context(|| format!("--backend {name}={addr}: no address"))?;
                Ok((name.clone(), ReplicaAddr(first)))
            });
            fleet::ReplicaSettings::Fixed(resolved.collect::<anyhow::Result<_>>()?)
        }
    })
}

/// A listener of the program's own on `addr`, which `flag` asks for.
pub(crate) fn listen(addr: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    socket::listen(addr, PortSharing::Own).map_err(|err| bind_error(&err, addr, flag))
}

/// One listener for each worker, on one port.
pub(crate) fn listen_shared(addr: SocketAddr, workers: usize) -> anyhow::Result<Vec<TcpListener>> {
    let fail = |err: io::Error| bind_error(&err, addr, "--listen");
    socket::check_port_free(addr).map_err(fail)?;
    let first = socket::listen(addr, PortSharing::Shared).map_err(fail)?;
    let mut listeners = vec![first];
    bind_remaining(&mut listeners, workers)?;
    Ok(listeners)
}

/// More sockets on the port of those that there are, until there is one for each worker; these do not listen yet.
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
        io::ErrorKind::AddrInUse => anyhow::anyhow!("port {} is taken ({flag})", addr.port()),
        _ => anyhow::anyhow!("cannot listen on {addr} ({flag}): {err}"),
    }
}

/// One line for people, on stdout: where to ask, and that `count` replicas are wanted.
pub(crate) fn print_addresses(addresses: &Addresses, replicas: &ReplicaSource, count: usize) {
    let url = |addr: SocketAddr| match addr.ip() {
        ip if ip.is_loopback() || ip.is_unspecified() => {
            format!("http://localhost:{}", addr.port())
        }
        _ => format!("http://{addr}"),
    };
    let (data, control) = (url(addresses.listen), url(addresses.control));
    // A closed stdout is no reason not to serve.
    let _ = writeln!(
        io::stdout(),
        "data {data}, control and dashboard {control}, {count} replicas ({})",
        replicas.engine()
    );
}

/// Whether the ready file can be written, as far as can be told beforehand. What stands there stays: it may be
/// another's.
///
/// # Errors
/// When it cannot; nobody would serve if that were heard of only when all replicas have answered.
pub(crate) fn check_ready_file_writable(path: &Path) -> anyhow::Result<()> {
    let temporary = temp_path(path);
    let tried = if path.is_dir() {
        Err(io::ErrorKind::IsADirectory.into())
    } else {
        std::fs::write(&temporary, "").and_then(|()| std::fs::remove_file(&temporary))
    };
    tried.with_context(|| format!("--ready-file {}", path.display()))
}

/// The name under which it is written first.
fn temp_path(path: &Path) -> OsString {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}", std::process::id()));
    temporary
}

/// A ready file of a former run would lie.
pub(crate) fn remove_ready_file(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => {
            Err(err).with_context(|| format!("--ready-file {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Whoever sees the file sees all of it: it is written under another name first.
pub(crate) fn write_ready_file(path: &Path, addresses: &Addresses) -> anyhow::Result<()> {
    let Addresses { listen, control } = addresses;
    let text = format!(r#"{{"listen":"{listen}","control":"{control}"}}"#);
    let temporary = temp_path(path);
    std::fs::write(&temporary, format!("{text}\n"))
        .and_then(|()| std::fs::rename(&temporary, path))
        .inspect_err(|_| {
            // Half a file under a name that nobody knows helps nobody; it may not even be there.
            let _ = std::fs::remove_file(&temporary);
        })
        .with_context(|| format!("--ready-file {}", path.display()))
}
