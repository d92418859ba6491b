//! SIGINT and SIGTERM: end the load, print the measurements so far, stop the child processes.
//!
//! The handlers are registered before any child is started, so that no signal can leave a child
//! behind.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Handlers of both signals.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Registers the handlers.
    pub(crate) fn register() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?,
            terminate: signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?,
        })
    }

    /// Waits for one of the signals. Cancel safe.
    pub(crate) async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
