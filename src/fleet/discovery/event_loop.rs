//! The event loop on which an engine is surveyed, before the fleet has one.

use anyhow::Context as _;
use tokio::runtime::{Builder, Runtime};

/// Returns an event loop for the discovery.
///
/// # Errors
/// The system gives none.
pub(super) fn event_loop() -> anyhow::Result<Runtime> {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_all().build();
    runtime.context("no event loop for the discovery")
}
