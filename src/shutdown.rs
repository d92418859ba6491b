//! The shutdown request, sent across threads to every task that must stop.
//!
//! It carries no deadline, and its sender waits for no task: each part drains under its own limits.

use tokio::sync::watch;

/// Sender of the request. Dropping it cancels as well, so that a crashed owner also stops its
/// tasks.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

/// Receiver of the request.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

/// Returns a trigger and its first receiver; clone the receiver for more.
#[must_use]
pub fn channel() -> (Trigger, Shutdown) {
    let (tx, rx) = watch::channel(false);
    (Trigger(tx), Shutdown(rx))
}

impl Trigger {
    /// Requests shutdown, irrevocably.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Returns `true` once shutdown was requested.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Waits until shutdown is requested. Cancel safe.
    pub async fn cancelled(&mut self) {
        // An error means that the trigger was dropped, which is a request too.
        let _ = self.0.wait_for(|requested| *requested).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dropped_trigger_is_a_stop() {
        let (trigger, mut shutdown) = channel();
        assert!(!shutdown.is_cancelled());
        drop(trigger);
        shutdown.cancelled().await;
        assert!(shutdown.is_cancelled());
    }
}
