//! Children that cannot be left behind: they are killed when they are dropped, and by the kernel when
//! we are killed ourselves.
//!
//! A program is not started directly but through `loadgen guard`, which asks the kernel to be killed
//! with us, takes its place on the CPUs, and then becomes the program: a parent-death signal and an
//! affinity outlive execve(2) (prctl(2), PR_SET_PDEATHSIG; sched_setaffinity(2)), and asking between
//! fork and exec would need unsafe code. Each has a process group of its own, so that Ctrl-C reaches us
//! alone, and we stop them in order. What they say is kept in memory: there is no log file.

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

/// How often is looked whether a child has ended.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// How much of the log's end is quoted, in lines, and how much of it is looked at, in bytes.
const QUOTED_LOG_LINES: usize = 5;
const MAX_LOG_BYTES: usize = 256 * 1024;

/// A running child. Dropped without [`Self::stop`], it is killed.
#[derive(Debug)]
pub(crate) struct ChildGuard {
    child: Child,
    log: File,
}

/// A command that becomes `program` under guard, on these CPUs (none: on ours). Arguments may follow.
///
/// # Errors
/// We cannot tell where we are ourselves.
pub(crate) fn command(program: &Path, cpus: &[usize]) -> anyhow::Result<Command> {
    let us = std::env::current_exe().context("cannot tell where loadgen is")?;
    let mut command = Command::new(us);
    command.arg("guard");
    for cpu in cpus {
        command.arg(format!("--cpu={cpu}"));
    }
    command.arg(std::process::id().to_string()).arg(program);
    Ok(command)
}

impl ChildGuard {
    /// Starts what [`command`] has begun.
    ///
    /// # Errors
    /// No process could be made. A program that cannot be run ends later, with its reason in the log.
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

    /// Its process id, which stays its own until it is dropped or stopped.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// The kernel does not know it as our child.
    pub(crate) fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Sends `signal` and waits for the end; `None` if that takes longer than `patience`. Cancel safe.
    ///
    /// # Errors
    /// The signal could not be sent.
    pub(crate) async fn stop(
        &mut self,
        signal: Signal,
        limit: Duration,
    ) -> io::Result<Option<ExitStatus>> {
        // It is our child and not reaped, so the id is still its own, even if it has ended.
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

    /// What it has said so far, or the first part of it.
    pub(crate) fn log(&self) -> String {
        let mut bytes = vec![0; MAX_LOG_BYTES];
        // Read at an offset of our own: the child writes at the one we share.
        let len = self.log.read_at(&mut bytes, 0).unwrap_or_default();
        String::from_utf8_lossy(&bytes[..len]).into_owned()
    }

    /// The end of its log, to be added to a sentence.
    pub(crate) fn quoted_log(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let last = &lines[lines.len().saturating_sub(QUOTED_LOG_LINES)..];
        last.iter().map(|line| format!("\n  {line}")).collect()
    }
}

impl Drop for ChildGuard {
    fn drop(&mut self) {
        // Both do nothing for a child that has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Becomes the guarded program; returns only if that failed.
pub(crate) fn exec_guarded(guard: &GuardArgs) -> anyhow::Error {
    // First the signal, then the look: a parent that ends between the two is noticed either way.
    if let Err(err) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return anyhow::Error::new(err).context("cannot ask to end with the parent");
    }
    if getppid() != Some(guard.parent) {
        return anyhow::anyhow!("the parent has ended already");
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

/// Binds this thread, and what it starts, to these CPUs; to none in particular if there are none.
///
/// # Errors
/// One of them is not ours to use.
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

/// A folder of our own, removed when it is dropped.
#[derive(Debug)]
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    /// The name is random, and a folder that exists is not taken.
    ///
    /// # Errors
    /// The folder for temporary files is not ours to write to.
    pub(crate) fn create() -> anyhow::Result<Self> {
        let name = format!("loadgen-{:016x}", rand::random::<u64>());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path)
            .with_context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
