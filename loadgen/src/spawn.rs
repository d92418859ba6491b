//! A ringmaster of our own: started with the process engine on free loopback ports, stopped at the
//! end, and gone even if we are killed.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal};
use serde::Deserialize;

use crate::child_process::{self, ChildGuard, POLL_INTERVAL, TempDir};

/// Number of replicas that an experiment uses unless it says otherwise.
pub(crate) const DEFAULT_REPLICAS: u64 = 3;

/// From the start to the ready file.
const READY_TIMEOUT: Duration = Duration::from_secs(15);

/// From SIGTERM to the exit: its drain takes 10 s at most.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// The exit code of a program that does not take what it was told.
const USAGE_EXIT_CODE: i32 = 2;

/// A running ringmaster. Dropped without [`Self::stop`], it is killed, and its replicas with it.
#[derive(Debug)]
pub(crate) struct SpawnedRingmaster {
    child: ChildGuard,
    /// Its data port.
    pub(crate) listen: SocketAddr,
    /// Its control port.
    pub(crate) control: Option<SocketAddr>,
}

/// It would not have what it was told on its command line: its words.
#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

/// What the ready file says, as far as we use it.
#[derive(Debug, Deserialize)]
struct Ready {
    listen: SocketAddr,
    control: Option<SocketAddr>,
}

/// The ringmaster that was built beside us.
///
/// # Errors
/// There is none; the sentence says how to build it.
pub(crate) fn ringmaster_path() -> anyhow::Result<PathBuf> {
    let us = std::env::current_exe().context("cannot tell where loadgen is")?;
    let ringmaster = us.with_file_name("ringmaster");
    ensure!(
        ringmaster.is_file(),
        "there is no {}; build it with: cargo build --release --workspace",
        ringmaster.display()
    );
    Ok(ringmaster)
}

impl SpawnedRingmaster {
    /// Starts one and waits until all its replicas have answered. Cancel safe: nothing is left running.
    ///
    /// # Errors
    /// There is no ringmaster beside us, it ended at once ([`Refusal`]: it did not take `ring`), or it was
    /// not ready in time.
    pub(crate) async fn start(replicas: u64, ring: Option<&str>) -> anyhow::Result<Self> {
        let mut command = child_process::command(&ringmaster_path()?, &[])?;
        let listen = ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"];
        command.arg("serve").args(listen);
        command.args(["--replicas", &replicas.to_string()]);
        if let Some(ring) = ring {
            command.args(["--ring", ring]);
        }
        Self::start_command(command).await
    }

    /// Starts what `command` says (without its ready file) and waits until it is ready. Cancel safe.
    ///
    /// # Errors
    /// It ended at once, or it was not ready in time.
    pub(crate) async fn start_command(mut command: std::process::Command) -> anyhow::Result<Self> {
        let folder = TempDir::create()?;
        let ready_file = folder.path().join("ready.json");
        command.arg("--ready-file").arg(&ready_file);
        let mut child = ChildGuard::start(command).context("cannot start ringmaster")?;
        let start = Instant::now();
        loop {
            if let Ok(text) = fs::read(&ready_file)
                && let Ok(Ready { listen, control }) = serde_json::from_slice(&text)
            {
                return Ok(Self {
                    child,
                    listen,
                    control,
                });
            }
            if let Some(status) = child.try_wait()? {
                if status.code() == Some(USAGE_EXIT_CODE) {
                    let log = child.log();
                    let sentence = log.lines().next().unwrap_or_default();
                    bail!(Refusal(sentence.trim_start_matches("error: ").to_owned()));
                }
                bail!("ringmaster ended ({status}){}", child.quoted_log());
            }
            if start.elapsed() > READY_TIMEOUT {
                let log = child.quoted_log();
                bail!("ringmaster was not ready within {READY_TIMEOUT:?}{log}");
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> Pid {
        self.child.pid()
    }

    /// Its process, without a way to stop it in order.
    pub(crate) fn into_child(self) -> ChildGuard {
        self.child
    }

    /// Stops it in order and waits for its end; kills it if that takes too long.
    ///
    /// # Errors
    /// It did not stop by itself, or said that something had gone wrong.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let stopped = self.child.stop(Signal::TERM, STOP_TIMEOUT).await;
        let Some(status) = stopped.context("cannot stop ringmaster")? else {
            bail!("ringmaster did not stop within {STOP_TIMEOUT:?} and was killed");
        };
        ensure!(
            status.success(),
            "ringmaster ended badly ({status}){}",
            self.child.quoted_log()
        );
        Ok(())
    }
}
