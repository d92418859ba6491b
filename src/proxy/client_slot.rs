//! The slot of a client connection, which is free again when it is dropped.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Slot that a client holds. Every idle client has one, so it is half as large as the semaphore's
/// own permit.
#[derive(Debug)]
pub(super) struct ClientSlot(Arc<Semaphore>);

impl From<OwnedSemaphorePermit> for ClientSlot {
    fn from(permit: OwnedSemaphorePermit) -> Self {
        let free = Arc::clone(permit.semaphore());
        permit.forget();
        Self(free)
    }
}

impl Drop for ClientSlot {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}
