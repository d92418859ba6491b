//! The discovery of the fleet, on a thread of its own so that a signal can end it.

use std::thread;

use anyhow::{Context as _, bail};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::fleet;
use crate::supervisor::Signals;

/// Discovers the fleet, unless a signal comes first: a pull of the image may take minutes.
pub(super) fn discover(
    runtime: &Runtime,
    signals: &mut Signals,
    settings: fleet::FleetSettings,
) -> anyhow::Result<fleet::Discovery> {
    let (done, discovered) = oneshot::channel();
    thread::spawn(move || {
        // The receiver is gone after a signal.
        let _ = done.send(fleet::discover(settings));
    });
    runtime.block_on(async {
        tokio::select! {
            biased;
            discovery = discovered => discovery.context("the discovery of the fleet panicked")?,
            () = signals.next_stop_signal() => bail!("a signal came before the replicas were found"),
        }
    })
}
