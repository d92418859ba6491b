//! End of the replica with its parent, by two means: the kernel kills it when the thread that started
//! it ends (PR_SET_PDEATHSIG, prctl(2)), and it exits when the pipe on its stdin closes.
//!
//! The signal also reaches a stopped replica. The pipe also works when an exec replaced the parent.
//! Without `--parent` neither is used, and stdin is never touched.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd;

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use tokio::net::unix::pipe::Receiver;

/// Asks the kernel to kill this process when its parent ends.
///
/// # Errors
/// The parent is not `pid`: it ended before the request could take effect.
pub(crate) fn die_with_parent(pid: Pid) -> anyhow::Result<()> {
    // First the signal, then the look: a parent that ends between the two is noticed either way.
    set_parent_process_death_signal(Some(Signal::KILL))
        .context("cannot ask to end with the parent")?;
    ensure!(
        getppid() == Some(pid),
        "the parent is not process {} (--parent)",
        pid.as_raw_nonzero()
    );
    Ok(())
}

/// The reading end of a pipe that the parent holds open as long as it lives.
#[derive(Debug)]
pub(crate) struct ParentPipe(Receiver);

impl ParentPipe {
    /// Takes stdin, which must be a pipe.
    pub(crate) fn from_stdin() -> anyhow::Result<Self> {
        let stdin = io::stdin().as_fd().try_clone_to_owned()?;
        let pipe = Receiver::from_owned_fd(stdin).context("--parent needs a pipe as stdin")?;
        Ok(Self(pipe))
    }

    /// Returns when the last writer has closed the pipe. What it writes is ignored.
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

/// Returns when the parent is gone; never, if there is none to watch.
pub(crate) async fn parent_exited(leash: Option<ParentPipe>) {
    match leash {
        Some(leash) => leash.closed().await,
        None => std::future::pending().await,
    }
}
