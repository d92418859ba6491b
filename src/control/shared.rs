//! State that all control connections share, in either protocol.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::context::ControlContext;
use crate::shutdown::Shutdown;

/// The shared state.
pub(super) struct Shared {
    pub(super) context: ControlContext,
    /// Permits for streams.
    streams: Arc<Semaphore>,
    pub(super) shutdown: Shutdown,
}

impl Shared {
    pub(super) fn new(context: ControlContext, shutdown: Shutdown) -> Self {
        Self {
            streams: Arc::new(Semaphore::new(context.limits.streams)),
            context,
            shutdown,
        }
    }

    /// Returns a permit to stream, valid while it is held.
    ///
    /// # Errors
    /// A sentence, when the limit of streams is reached.
    pub(super) fn acquire_stream(&self) -> Result<OwnedSemaphorePermit, String> {
        let permit = Arc::clone(&self.streams).try_acquire_owned();
        let streams = self.context.limits.streams;
        permit.map_err(|_| format!("{streams} streams are open already"))
    }
}
