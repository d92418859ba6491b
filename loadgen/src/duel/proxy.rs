//! A running peer: started under guard on the CPUs of the proxies, reached, and stopped in order.
//!
//! HAProxy and nginx cannot be asked which free port they chose, so one is chosen for them; if somebody
//! else takes it first, another is. Their files are removed as soon as they run: they never look again.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal};
use tokio::net::TcpStream;

use super::account::Usage;
use super::config::{self, Stage};
use super::peer::{Contender, Peer};
use crate::guard::{self, Folder, Guarded, POLL};
use crate::spawn::Spawned;

/// From the start to the first connection.
const READY_TIMEOUT: Duration = Duration::from_secs(10);

/// From SIGTERM to the end.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// How often another port is tried.
const ATTEMPTS: u32 = 3;

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
    /// It ended at once, or took no connection in time.
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
    let mut command = guard::command(program, &seats.cpus)?;
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with(RINGMASTER_ENV) {
            command.env_remove(name);
        }
    }
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    command.args(config::ringmaster(&stage(
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
    let text = config::text(contender, &stage(listen, backends, seats, folder.path()));
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    let mut command = guard::command(program, &seats.cpus)?;
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

fn free_port() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

async fn reach(child: &mut Guarded, addr: SocketAddr) -> anyhow::Result<()> {
    let start = Instant::now();
    while TcpStream::connect(addr).await.is_err() {
        if let Some(status) = child.ended()? {
            bail!("it ended ({status}){}", child.quoted_log());
        }
        if start.elapsed() > READY_TIMEOUT {
            let log = child.quoted_log();
            bail!("it took no connection within {READY_TIMEOUT:?}{log}");
        }
        tokio::time::sleep(POLL).await;
    }
    // Somebody else's port would also be reached.
    match child.ended()? {
        Some(status) => bail!("it ended ({status}){}", child.quoted_log()),
        None => Ok(()),
    }
}
