//! A running peer: started under guard on the CPUs of the proxies, probed, and stopped in order.
//!
//! HAProxy and nginx do not report a port chosen by the kernel, so loadgen chooses one and tries
//! another if it is taken. The configuration is removed once the program runs: it is read only at
//! the start.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal};

use super::backend_addr::BackendAddr;
use super::installed::InstalledPeer;
use super::load::PeerLoad;
use super::peer::Peer;
use super::peer_config::{self, ProxySetup};
use super::proc_usage::Usage;
use super::scenario::{Body, Shape};
use crate::child_process::{self, ChildGuard, POLL_INTERVAL, TempDir};
use crate::spawn::SpawnedRingmaster;

/// Time from the start to the first answer.
const READY_TIMEOUT: Duration = Duration::from_secs(10);

/// Time from SIGTERM to the exit.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Number of attempts, each with another port.
const START_ATTEMPTS: u32 = 3;

/// Range of ports to choose from.
const PORT_RANGE: RangeInclusive<u16> = 15_000..=31_999;

/// Request that a proxy must answer before it counts as running.
const PROBE_SHAPE: Shape = Shape {
    title: "",
    body: Body::Length(1),
    connections: 1,
    close: false,
    paced: false,
};

/// Prefix of ringmaster's environment variables. They are removed: the defaults are measured.
const RINGMASTER_ENV_PREFIX: &str = "RINGMASTER_";

/// A running proxy. Dropping it without [`Self::stop`] kills it.
#[derive(Debug)]
pub(crate) struct Proxy {
    name: &'static str,
    /// Addresses for clients.
    pub(crate) addrs: Vec<SocketAddr>,
    /// Address of the metrics; `None` if the proxy has none.
    pub(crate) metrics: Option<SocketAddr>,
    /// Directory of an access log.
    _folder: Option<TempDir>,
    /// `None` without a proxy.
    child: Option<ChildGuard>,
}

impl Proxy {
    /// Starts the peer in front of the backends. Cancel safe.
    ///
    /// # Errors
    /// The program exited at once, or did not answer in time.
    pub(crate) async fn start(
        installed: &InstalledPeer,
        setup: &ProxySetup<'_>,
        cpus: &[usize],
    ) -> anyhow::Result<Self> {
        let Some(program) = &installed.program else {
            return Ok(Self {
                name: installed.peer.name(),
                addrs: setup
                    .backends
                    .iter()
                    .filter_map(BackendAddr::port)
                    .collect(),
                metrics: None,
                _folder: None,
                child: None,
            });
        };
        let mut attempt = 1;
        loop {
            let started = match installed.peer {
                Peer::Ringmaster => ringmaster(program, setup, cpus).await,
                _ => other(installed, program, setup, cpus).await,
            };
            match started {
                Err(_) if attempt < START_ATTEMPTS => attempt += 1,
                ended => {
                    return ended
                        .with_context(|| format!("cannot start {}", installed.peer.name()));
                }
            }
        }
    }

    /// Process ID; `None` without a proxy.
    pub(crate) fn pid(&self) -> Option<Pid> {
        self.child.as_ref().map(ChildGuard::pid)
    }

    /// Resource usage; `None` without a proxy.
    ///
    /// # Errors
    /// The process has exited.
    pub(crate) fn usage(&self) -> anyhow::Result<Option<Usage>> {
        self.pid().map(Usage::read).transpose()
    }

    /// Stops the proxy with SIGTERM; kills it after 5 s.
    ///
    /// # Errors
    /// The proxy had to be killed.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        let Some(mut child) = self.child else {
            return Ok(());
        };
        match child.stop(Signal::TERM, STOP_TIMEOUT).await? {
            Some(_) => Ok(()),
            None => bail!(
                "{} did not stop within {STOP_TIMEOUT:?} and was killed",
                self.name
            ),
        }
    }
}

async fn ringmaster(
    program: &Path,
    setup: &ProxySetup<'_>,
    cpus: &[usize],
) -> anyhow::Result<Proxy> {
    let mut command = child_process::command(program, cpus)?;
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with(RINGMASTER_ENV_PREFIX) {
            command.env_remove(name);
        }
    }
    let folder = setup.setting.access_log.then(TempDir::create).transpose()?;
    let setup = ProxySetup {
        folder: folder.as_ref().map_or(Path::new(""), TempDir::path),
        ..*setup
    };
    command.args(peer_config::ringmaster(&setup));
    let spawned = SpawnedRingmaster::start_command(command).await?;
    Ok(Proxy {
        name: Peer::Ringmaster.name(),
        addrs: vec![spawned.listen],
        metrics: spawned.control,
        _folder: folder,
        child: Some(spawned.into_child()),
    })
}

async fn other(
    installed: &InstalledPeer,
    program: &Path,
    setup: &ProxySetup<'_>,
    cpus: &[usize],
) -> anyhow::Result<Proxy> {
    let folder = TempDir::create()?;
    let listen = free_port().context("no loopback port is free")?;
    let file = folder.path().join("config");
    let setup = ProxySetup {
        listen,
        metrics: free_port().context("no loopback port is free")?,
        folder: folder.path(),
        ..*setup
    };
    let mut command = child_process::command(program, cpus)?;
    if installed.peer == Peer::Relay {
        command.args(peer_config::relay(&setup));
    } else {
        let text = peer_config::text(installed, &setup);
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        arguments(&mut command, installed.peer, folder.path(), &file);
    }
    let mut child = ChildGuard::start(command)?;
    reach(&mut child, listen).await?;
    Ok(Proxy {
        name: installed.peer.name(),
        addrs: vec![listen],
        metrics: setup.setting.scraped.then_some(setup.metrics),
        _folder: None,
        child: Some(child),
    })
}

fn arguments(command: &mut Command, peer: Peer, folder: &Path, file: &Path) {
    match peer {
        // Runs in the foreground, without a master.
        Peer::HaproxyHttp | Peer::HaproxyTcp => command.arg("-db").arg("-f").arg(file),
        _ => command
            .args(["-e", "stderr", "-p"])
            .arg(folder)
            .arg("-c")
            .arg(file),
    };
}

/// Returns a free port outside the kernel's ephemeral range. Within it the port could be taken by a
/// client, or by the connection that probes it.
fn free_port() -> std::io::Result<SocketAddr> {
    let port = rand::random_range(PORT_RANGE);
    TcpListener::bind(("127.0.0.1", port))?.local_addr()
}

/// Waits for an answer of the backends: another program's server would also accept a connection.
async fn reach(child: &mut ChildGuard, addr: SocketAddr) -> anyhow::Result<()> {
    let start = Instant::now();
    loop {
        let answered = PeerLoad::new(PROBE_SHAPE, &[addr]).each_once().await;
        if let Some(status) = child.try_wait()? {
            bail!("the process exited ({status}){}", child.quoted_log());
        }
        match answered {
            Ok(()) => return Ok(()),
            Err(err) if start.elapsed() > READY_TIMEOUT => {
                let log = child.quoted_log();
                bail!("the process did not answer within {READY_TIMEOUT:?}: {err:#}{log}");
            }
            Err(_) => tokio::time::sleep(POLL_INTERVAL).await,
        }
    }
}
