//! A ringmaster of our own: started with the process engine on free loopback ports, stopped at the
//! end, and gone even if we are killed.
//!
//! It is not started directly but through `loadgen guard`, which asks the kernel to be killed with us
//! and then becomes ringmaster: a parent-death signal outlives execve(2) (prctl(2), PR_SET_PDEATHSIG),
//! and asking between fork and exec would need unsafe code. It has a process group of its own, so that
//! Ctrl-C reaches us alone, and we stop it in order.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};
use serde::Deserialize;

use crate::cli::GuardArgs;

/// From the start to the ready file.
const READY_TIMEOUT: Duration = Duration::from_secs(15);

/// From SIGTERM to the exit: its drain takes 10 s at most.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// How often is looked whether it is ready or gone.
const POLL: Duration = Duration::from_millis(2);

/// How much of the log's end is quoted when it did not start, in lines.
const QUOTED_LINES: usize = 5;

/// A running ringmaster. Dropped without [`Self::stop`], it is killed, and its replicas with it.
#[derive(Debug)]
pub(crate) struct Spawned {
    child: Child,
    folder: Folder,
    /// Its data port.
    pub(crate) listen: SocketAddr,
}

/// What the ready file says, as far as we use it.
#[derive(Debug, Deserialize)]
struct Ready {
    listen: SocketAddr,
}

impl Spawned {
    /// Starts one and waits until all its replicas have answered. Cancel safe: nothing is left running.
    ///
    /// # Errors
    /// There is no ringmaster beside us, it ended at once, or it was not ready in time.
    pub(crate) async fn start(replicas: u64) -> anyhow::Result<Self> {
        let us = std::env::current_exe().context("cannot tell where loadgen is")?;
        let ringmaster = us.with_file_name("ringmaster");
        ensure!(
            ringmaster.is_file(),
            "there is no {}; build it with: cargo build --release --workspace",
            ringmaster.display()
        );
        let folder =
            Folder::create().context("cannot make a folder for ringmaster's ready file")?;
        let mut spawned = Self {
            child: guarded(&us, &ringmaster, replicas, &folder)?,
            folder,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        spawned.listen = spawned.ready().await?.listen;
        Ok(spawned)
    }

    async fn ready(&mut self) -> anyhow::Result<Ready> {
        let start = Instant::now();
        loop {
            if let Ok(text) = fs::read(self.folder.ready_file())
                && let Ok(ready) = serde_json::from_slice(&text)
            {
                return Ok(ready);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("ringmaster ended ({status}){}", self.folder.quoted_log());
            }
            if start.elapsed() > READY_TIMEOUT {
                let log = self.folder.quoted_log();
                bail!("ringmaster was not ready within {READY_TIMEOUT:?}{log}");
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Stops it in order and waits for its end; kills it if that takes too long.
    ///
    /// # Errors
    /// It did not stop by itself, or said that something had gone wrong.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        // It is our child and not reaped, so the id is still its own, even if it has ended.
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).context("cannot stop ringmaster")?;
        let Some(status) = self.ended().await? else {
            bail!("ringmaster did not stop within {STOP_TIMEOUT:?} and was killed");
        };
        ensure!(
            status.success(),
            "ringmaster ended badly ({status}){}",
            self.folder.quoted_log()
        );
        Ok(())
    }

    async fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        let start = Instant::now();
        while start.elapsed() < STOP_TIMEOUT {
            let status = self.child.try_wait()?;
            if status.is_some() {
                return Ok(status);
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(None)
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        // Both do nothing for a child that has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn guarded(us: &Path, ringmaster: &Path, replicas: u64, folder: &Folder) -> anyhow::Result<Child> {
    let log = File::create(folder.log()).context("cannot write ringmaster's log")?;
    Command::new(us)
        .arg("guard")
        .arg(std::process::id().to_string())
        .arg(ringmaster)
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--control",
            "127.0.0.1:0",
        ])
        .args(["--replicas", &replicas.to_string()])
        .arg("--ready-file")
        .arg(folder.ready_file())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
        .context("cannot start ringmaster")
}

/// Becomes the guarded program; returns only if that failed.
pub(crate) fn become_guarded(guard: &GuardArgs) -> anyhow::Error {
    // First the signal, then the look: a parent that ends between the two is noticed either way.
    if let Err(err) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return anyhow::Error::new(err).context("cannot ask to end with the parent");
    }
    if getppid() != Some(guard.parent) {
        return anyhow::anyhow!("the parent has ended already");
    }
    let Some((program, args)) = guard.command.split_first() else {
        return anyhow::anyhow!("no program was given");
    };
    let err = Command::new(program).args(args).exec();
    anyhow::Error::new(err).context(format!("cannot start {}", program.display()))
}

/// A folder of our own for the ready file and the log, removed when it is dropped.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    /// The name is random, and a folder that exists is not taken.
    fn create() -> io::Result<Self> {
        let name = format!("loadgen-{:016x}", rand::random::<u64>());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    fn ready_file(&self) -> PathBuf {
        self.0.join("ready.json")
    }

    fn log(&self) -> PathBuf {
        self.0.join("ringmaster.log")
    }

    /// The end of the log, to be added to a sentence.
    fn quoted_log(&self) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let last = &lines[lines.len().saturating_sub(QUOTED_LINES)..];
        last.iter().map(|line| format!("\n  {line}")).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
