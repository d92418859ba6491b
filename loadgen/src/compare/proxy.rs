//! A running peer: started under guard on the CPUs of the proxies, reached, and stopped in order.
//!
//! HAProxy and nginx cannot be asked which free port they chose, so one is chosen for them; if somebody
//! else takes it first, another is. Their files are removed as soon as they run: they never look again.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal};

use super::load::Load;
use super::peer::{Contender, Peer};
use super::peer_config::{self, Stage};
use super::proc_usage::Usage;
use super::scenario::Shape;
use crate::child_process::{self, Folder, Guarded, POLL};
use crate::spawn::Spawned;

/// From the start to the first answer.
const READY_TIMEOUT: Duration = Duration::from_secs(10);

/// From SIGTERM to the end.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// How often another port is tried.
const ATTEMPTS: u32 = 3;

/// Where ports are taken from.
const PORTS: RangeInclusive<u16> = 15_000..=31_999;

/// What a proxy has to answer before it counts as running.
const PROBE: Shape = Shape {
    title: "",
    body_bytes: 1,
    connections: 1,
    close: false,
    paced: false,
};

/// What ringmaster takes for a flag: its defaults are what is measured.
const RINGMASTER_ENV: &str = "RINGMASTER_";

/// How many of a peer's own threads and connections there may be, and where.
#[derive(Debug, Clone)]
pub(crate) struct Seats {
    pub(crate) workers: usize,
    pub(crate) clients: usize,
    pub(crate) cpus: Vec<usize>,
}

/// A peer that takes connections. Dropped without [`Self::stop`], it is killed.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// Where to connect to.
    pub(crate) addrs: Vec<SocketAddr>,
    /// `None` for no proxy at all.
    child: Option<Guarded>,
}

impl Proxy {
    /// Starts it in front of `backends`. Cancel safe.
    ///
    /// # Errors
    /// It ended at once, or did not answer in time.
    pub(crate) async fn start(
        contender: &Contender,
        backends: &[SocketAddr],
        seats: &Seats,
    ) -> anyhow::Result<Self> {
        let Some(program) = &contender.program else {
            return Ok(Self {
                addrs: backends.to_vec(),
                child: None,
            });
        };
        let mut attempt = 1;
        loop {
            let started = match contender.peer {
                Peer::Ringmaster => ringmaster(program, backends, seats).await,
                _ => other(contender, program, backends, seats).await,
            };
            match started {
                Err(_) if attempt < ATTEMPTS => attempt += 1,
                ended => {
                    return ended
                        .with_context(|| format!("cannot start {}", contender.peer.name()));
                }
            }
        }
    }

    /// Its process, if it is one.
    pub(crate) fn pid(&self) -> Option<Pid> {
        self.child.as_ref().map(Guarded::pid)
    }

    /// What it has used, if it is a process.
    ///
    /// # Errors
    /// It has ended.
    pub(crate) fn usage(&self) -> anyhow::Result<Option<Usage>> {
        self.pid().map(Usage::of).transpose()
    }

    /// Stops it in order; kills it if that takes too long.
    ///
    /// # Errors
    /// It did not stop by itself.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        let Some(mut child) = self.child else {
            return Ok(());
        };
        match child.stop(Signal::TERM, STOP_TIMEOUT).await? {
            Some(_) => Ok(()),
            None => bail!("it did not stop within {STOP_TIMEOUT:?} and was killed"),
        }
    }
}

async fn ringmaster(
    program: &Path,
    backends: &[SocketAddr],
    seats: &Seats,
) -> anyhow::Result<Proxy> {
    let mut command = child_process::command(program, &seats.cpus)?;
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with(RINGMASTER_ENV) {
            command.env_remove(name);
        }
    }
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    command.args(peer_config::ringmaster(&stage(
        any,
        backends,
        seats,
        Path::new(""),
    )));
    let spawned = Spawned::with(command).await?;
    Ok(Proxy {
        addrs: vec![spawned.listen],
        child: Some(spawned.into_child()),
    })
}

async fn other(
    contender: &Contender,
    program: &Path,
    backends: &[SocketAddr],
    seats: &Seats,
) -> anyhow::Result<Proxy> {
    let folder = Folder::create()?;
    let listen = free_port().context("no loopback port is free")?;
    let file = folder.path().join("config");
    let text = peer_config::text(contender, &stage(listen, backends, seats, folder.path()));
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    let mut command = child_process::command(program, &seats.cpus)?;
    arguments(&mut command, contender.peer, folder.path(), &file);
    let mut child = Guarded::start(command)?;
    reach(&mut child, listen).await?;
    Ok(Proxy {
        addrs: vec![listen],
        child: Some(child),
    })
}

fn arguments(command: &mut Command, peer: Peer, folder: &Path, file: &Path) {
    match peer {
        // In the foreground, without a master.
        Peer::HaproxyHttp | Peer::HaproxyTcp => command.arg("-db").arg("-f").arg(file),
        _ => command
            .args(["-e", "stderr", "-p"])
            .arg(folder)
            .arg("-c")
            .arg(file),
    };
}

fn stage<'a>(
    listen: SocketAddr,
    backends: &'a [SocketAddr],
    seats: &Seats,
    folder: &'a Path,
) -> Stage<'a> {
    Stage {
        listen,
        backends,
        workers: seats.workers,
        clients: seats.clients,
        folder,
    }
}

/// A port that nobody listens on, outside the range from which the kernel gives away its own: in there a
/// client's port, or ours while we try to connect, could be the same.
fn free_port() -> std::io::Result<SocketAddr> {
    let port = rand::random_range(PORTS);
    TcpListener::bind(("127.0.0.1", port))?.local_addr()
}

/// Waits for an answer of the backends: somebody else's server would also take a connection.
async fn reach(child: &mut Guarded, addr: SocketAddr) -> anyhow::Result<()> {
    let start = Instant::now();
    loop {
        let answered = Load::new(PROBE, &[addr]).each_once().await;
        if let Some(status) = child.ended()? {
            bail!("it ended ({status}){}", child.quoted_log());
        }
        match answered {
            Ok(()) => return Ok(()),
            Err(err) if start.elapsed() > READY_TIMEOUT => {
                let log = child.quoted_log();
                bail!("it did not answer within {READY_TIMEOUT:?}: {err:#}{log}");
            }
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}
