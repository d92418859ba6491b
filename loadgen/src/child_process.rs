//! Child processes that never outlive loadgen. Dropping the guard kills the child; the kernel kills
//! it when loadgen dies.
//!
//! A program is started through `loadgen guard`, which requests a parent-death signal, sets the CPU
//! affinity, and then becomes the program by execve(2). Both settings survive execve (prctl(2)
//! PR_SET_PDEATHSIG, sched_setaffinity(2)). Setting them between fork and exec would need unsafe
//! code.
//!
//! Each child has its own process group: Ctrl-C reaches loadgen alone, which then stops its
//! children in order. Output is kept in memory; there is no log file.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::cli::GuardArgs;

/// Interval between checks whether a child has exited.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Number of log lines that an error quotes, and the part of the log that is searched for them.
const QUOTED_LOG_LINES: usize = 5;
const MAX_LOG_BYTES: usize = 256 * 1024;

/// A running child process. Dropping it without [`Self::stop`] kills the process.
#[derive(Debug)]
pub(crate) struct ChildGuard {
    child: Child,
    log: File,
}

/// Returns a command that runs `program` under guard on these CPUs, or on all of ours if `cpus` is
/// empty. The caller may add arguments.
///
/// # Errors
/// The path of loadgen cannot be determined.
pub(crate) fn command(program: &Path, cpus: &[usize]) -> anyhow::Result<Command> {
    let us = std::env::current_exe().context("cannot determine the path of loadgen")?;
    let mut command = Command::new(us);
    command.arg("guard");
    for cpu in cpus {
        command.arg(format!("--cpu={cpu}"));
    }
    command.arg(std::process::id().to_string()).arg(program);
    Ok(command)
}

impl ChildGuard {
    /// Starts a command made by [`command`].
    ///
    /// # Errors
    /// No process could be created. A program that cannot be executed exits later, with the reason
    /// in its log.
    pub(crate) fn start(mut command: Command) -> io::Result<Self> {
        let log = File::from(memfd_create("log", MemfdFlags::CLOEXEC)?);
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?)
            .process_group(0)
            .spawn()?;
        Ok(Self { child, log })
    }

    /// Process ID. It cannot be reused before the guard is dropped or the exit was observed.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Returns the exit status once the child has exited.
    ///
    /// # Errors
    /// waitpid(2) failed.
    pub(crate) fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Sends `signal` and waits for the exit; returns `None` after `limit`. Cancel safe.
    ///
    /// # Errors
    /// The signal could not be sent.
    pub(crate) async fn stop(
        &mut self,
        signal: Signal,
        limit: Duration,
    ) -> io::Result<Option<ExitStatus>> {
        // The child is not reaped yet, so the ID is still its own even if it has exited.
        kill_process(self.pid(), signal)?;
        let start = Instant::now();
        while start.elapsed() < limit {
            let status = self.try_wait()?;
            if status.is_some() {
                return Ok(status);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(None)
    }

    /// Output of the child so far, at most the first 256 KiB.
    pub(crate) fn log(&self) -> String {
        let mut bytes = vec![0; MAX_LOG_BYTES];
        // Read at an explicit offset: the child writes at the offset that both share.
        let len = self.log.read_at(&mut bytes, 0).unwrap_or_default();
        String::from_utf8_lossy(&bytes[..len]).into_owned()
    }

    /// Last lines of the output, formatted to follow an error sentence.
    pub(crate) fn quoted_log(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let last = &lines[lines.len().saturating_sub(QUOTED_LOG_LINES)..];
        last.iter().map(|line| format!("\n  {line}")).collect()
    }
}

impl Drop for ChildGuard {
    fn drop(&mut self) {
        // Both calls do nothing for a child that was already reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Becomes the guarded program (execve(2)). Returns the error if that failed.
pub(crate) fn exec_guarded(guard: &GuardArgs) -> anyhow::Error {
    // Request the signal before checking the parent, so that a parent that exits in between is
    // noticed.
    if let Err(err) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return anyhow::Error::new(err).context("cannot set the parent-death signal");
    }
    if getppid() != Some(guard.parent) {
        return anyhow::anyhow!("the parent process has exited already");
    }
    if let Err(err) = pin(&guard.cpus) {
        return err;
    }
    let Some((program, args)) = guard.command.split_first() else {
        return anyhow::anyhow!("no program was given");
    };
    let err = Command::new(program).args(args).exec();
    anyhow::Error::new(err).context(format!("cannot start {}", program.display()))
}

/// Pins this thread, and the processes it starts, to these CPUs. An empty list changes nothing.
///
/// # Errors
/// A CPU is not available to this process.
pub(crate) fn pin(cpus: &[usize]) -> anyhow::Result<()> {
    if cpus.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    for cpu in cpus.iter().filter(|cpu| **cpu < CpuSet::MAX_CPU) {
        set.set(*cpu);
    }
    sched_setaffinity(None, &set).with_context(|| format!("cannot use the CPUs {cpus:?}"))
}

/// A temporary directory, removed when dropped.
#[derive(Debug)]
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    /// Creates a directory with a random name. An existing directory is never reused.
    ///
    /// # Errors
    /// The directory for temporary files is not writable.
    pub(crate) fn create() -> anyhow::Result<Self> {
        let name = format!("loadgen-{:016x}", rand::random::<u64>());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }

    /// Path of the directory.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
