//! A ringmaster started by loadgen: process engine, free loopback ports. It is stopped at the end,
//! and killed by the kernel if loadgen dies.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal};
use serde::Deserialize;

use crate::child_process::{self, ChildGuard, POLL_INTERVAL, TempDir};

/// Number of replicas of an experiment, except where it varies them.
pub(crate) const DEFAULT_REPLICAS: u64 = 3;

/// Time from the start to the ready file.
const READY_TIMEOUT: Duration = Duration::from_secs(15);

/// Time from SIGTERM to the exit. Draining takes at most 10 s of it.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// Exit code of a usage error.
const USAGE_EXIT_CODE: i32 = 2;

/// A running ringmaster. Dropping it without [`Self::stop`] kills it and its replicas.
#[derive(Debug)]
pub(crate) struct SpawnedRingmaster {
    child: ChildGuard,
    /// Address of the data port.
    pub(crate) listen: SocketAddr,
    /// Address of the control port.
    pub(crate) control: Option<SocketAddr>,
}

/// The balancer refused an argument or a command; the text is its error sentence.
#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

/// Fields of the ready file that loadgen uses.
#[derive(Debug, Deserialize)]
struct ReadyFile {
    listen: SocketAddr,
    control: Option<SocketAddr>,
}

/// Path of the ringmaster beside loadgen.
///
/// # Errors
/// The file does not exist; the error shows the build command.
pub(crate) fn ringmaster_path() -> anyhow::Result<PathBuf> {
    let us = std::env::current_exe().context("cannot determine the path of loadgen")?;
    let ringmaster = us.with_file_name("ringmaster");
    ensure!(
        ringmaster.is_file(),
        "{} does not exist; build it with: cargo build --release --workspace",
        ringmaster.display()
    );
    Ok(ringmaster)
}

impl SpawnedRingmaster {
    /// Starts ringmaster and waits until all replicas have answered. Cancel safe: the process is
    /// killed.
    ///
    /// # Errors
    /// There is no ringmaster beside loadgen, it exited ([`Refusal`]: it does not know `ring`), or
    /// it was not ready in time.
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

    /// Starts `command` with a ready file and waits for it. Cancel safe: the process is killed.
    ///
    /// # Errors
    /// The process exited, or it was not ready in time.
    pub(crate) async fn start_command(mut command: std::process::Command) -> anyhow::Result<Self> {
        let folder = TempDir::create()?;
        let ready_file = folder.path().join("ready.json");
        command.arg("--ready-file").arg(&ready_file);
        let mut child = ChildGuard::start(command).context("cannot start ringmaster")?;
        let start = Instant::now();
        loop {
            if let Ok(text) = fs::read(&ready_file)
                && let Ok(ReadyFile { listen, control }) = serde_json::from_slice(&text)
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
                bail!("ringmaster exited ({status}){}", child.quoted_log());
            }
            if start.elapsed() > READY_TIMEOUT {
                let log = child.quoted_log();
                bail!("ringmaster was not ready within {READY_TIMEOUT:?}{log}");
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Process ID.
    pub(crate) fn pid(&self) -> Pid {
        self.child.pid()
    }

    /// Returns the bare process, for callers that stop it themselves.
    pub(crate) fn into_child(self) -> ChildGuard {
        self.child
    }

    /// Stops ringmaster with SIGTERM and waits for its exit. Kills it after 15 s.
    ///
    /// # Errors
    /// The process had to be killed, or its exit code was not 0.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let stopped = self.child.stop(Signal::TERM, STOP_TIMEOUT).await;
        let Some(status) = stopped.context("cannot stop ringmaster")? else {
            bail!("ringmaster did not stop within {STOP_TIMEOUT:?} and was killed");
        };
        ensure!(
            status.success(),
            "ringmaster exited with an error ({status}){}",
            self.child.quoted_log()
        );
        Ok(())
    }
}
