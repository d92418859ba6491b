//! Exit of the replica with its parent, by two means. The kernel kills the replica when the thread
//! that started it exits (PR_SET_PDEATHSIG, prctl(2)). The replica exits when the pipe on its stdin
//! closes.
//!
//! The signal also ends a stopped replica. The pipe also works after the parent called exec.
//! Without `--parent` neither is used, and stdin is never read.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd;

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use tokio::net::unix::pipe::Receiver;

/// Requests that the kernel kills this process when the thread that started it exits.
///
/// # Errors
/// The parent is not `pid`: it exited before the request took effect.
pub(crate) fn die_with_parent(pid: Pid) -> anyhow::Result<()> {
    // The signal is set before the check, so a parent that exits between the two is noticed.
    set_parent_process_death_signal(Some(Signal::KILL))
        .context("cannot set the parent-death signal")?;
    ensure!(
        getppid() == Some(pid),
        "the parent is not process {} (--parent)",
        pid.as_raw_nonzero()
    );
    Ok(())
}

/// Read end of the pipe that the parent holds open until it exits.
#[derive(Debug)]
pub(crate) struct ParentPipe(Receiver);

impl ParentPipe {
    /// Uses stdin, which must be a pipe.
    pub(crate) fn from_stdin() -> anyhow::Result<Self> {
        let stdin = io::stdin().as_fd().try_clone_to_owned()?;
        let pipe = Receiver::from_owned_fd(stdin).context("--parent needs a pipe as stdin")?;
        Ok(Self(pipe))
    }

    /// Waits until the last writer has closed the pipe. Written bytes are ignored.
    async fn closed(&self) {
        let mut ignored = [0; 64];
        while self.0.readable().await.is_ok() {
            match self.0.try_read(&mut ignored) {
                Ok(0) => return,
                Ok(_) => {}
                Err(err) if err.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }
}

/// Waits until the parent has exited. Without a pipe it waits for ever.
pub(crate) async fn parent_exited(pipe: Option<ParentPipe>) {
    match pipe {
        Some(pipe) => pipe.closed().await,
        None => std::future::pending().await,
    }
}
