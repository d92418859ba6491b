//! The word "stop", from whoever decides it to everyone who must hear it, across threads.
//!
//! It carries no deadline and waits for nobody: each part drains under its own limits.

use tokio::sync::watch;

/// The end that says it. Dropping it says it too: whoever decides must not vanish unnoticed.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

/// The end that hears it.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

/// A trigger and its first listener; clone the listener for more.
#[must_use]
pub fn channel() -> (Trigger, Shutdown) {
    let (tx, rx) = watch::channel(false);
    (Trigger(tx), Shutdown(rx))
}

impl Trigger {
    /// Says it, once and for all.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Whether it was said.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Waits until it is said. Cancel safe.
    pub async fn cancelled(&mut self) {
        // An error means that the trigger is gone, which says it too.
        let _ = self.0.wait_for(|said| *said).await;
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
