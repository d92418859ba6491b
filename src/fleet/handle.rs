//! The handle of the running fleet, for the threads that serve, stop or hand over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::bail;
use tokio::sync::{oneshot, watch};

use super::engine::ServiceReading;
use super::event_loop::Stop;
use super::journal::Journal;
use super::plan::{Ownership, Status};
use super::readiness;
use crate::orders::BackendSeat;
use crate::shutdown;

/// The fixed backends of a fleet; empty lists with other engines.
#[derive(Debug)]
pub(super) struct FixedBackends {
    /// Backends of the flags.
    pub(super) flags: Vec<BackendSeat>,
    /// Backends in effect.
    pub(super) latest: watch::Receiver<Vec<BackendSeat>>,
}

/// The running fleet. Dropping it stops the fleet without waiting for its end.
#[derive(Debug)]
pub struct Fleet {
    pub(super) status: watch::Receiver<Status>,
    pub(super) backends: FixedBackends,
    pub(super) journal: Journal,
    pub(super) service: watch::Receiver<Option<ServiceReading>>,
    pub(super) close: shutdown::Trigger,
    pub(super) ownership: watch::Sender<Ownership>,
    pub(super) stop: oneshot::Sender<Stop>,
    pub(super) handover: Arc<AtomicBool>,
    pub(super) thread: thread::JoinHandle<bool>,
}

impl Fleet {
    /// Returns the status, now and after every change.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Returns the fixed backends of the flags, and those in effect, which orders may have changed.
    /// Both are empty with other engines.
    #[must_use]
    pub fn fixed_backends(&self) -> (Vec<BackendSeat>, Vec<BackendSeat>) {
        let FixedBackends { flags, latest } = &self.backends;
        (flags.clone(), latest.borrow().clone())
    }

    /// Returns the journal of its events.
    #[must_use]
    pub fn journal(&self) -> Journal {
        self.journal.clone()
    }

    /// Returns the latest reading of the followed service; `None` before the first one, and with
    /// other engines.
    #[must_use]
    pub fn service_reading(&self) -> watch::Receiver<Option<ServiceReading>> {
        self.service.clone()
    }

    /// Returns a function that checks whether requests can be served at the time of its call. Its
    /// error is the reason, in a sentence.
    pub fn readiness(&self) -> impl Fn() -> Result<(), String> + Send + Sync + use<> {
        let (status, journal) = (self.status(), self.journal());
        move || readiness::evaluate(&status.borrow(), &journal)
    }

    /// Waits until its thread has ended. Before a stop that is a fault: the program cannot go on.
    /// Cancel safe.
    pub async fn ended(&self) {
        thread_ended(self.status.clone()).await;
    }

    /// Refuses the changes that are under way and all later ones, at once. The list is still
    /// answered, and the replicas are kept as they are.
    pub fn refuse_changes(&self) {
        self.close.cancel();
    }

    /// Sets the owner of the replicas during a takeover. Changes that are under way are finished.
    /// With containers, those that the other process has started are left alone.
    pub fn set_ownership(&self, ownership: Ownership) {
        self.ownership.send_replace(ownership);
    }

    /// Begins or ends a handover. While it is active and this handle is dropped, all that can
    /// outlive this process is left to the other balancer. It begins active when another process is
    /// taken over.
    pub fn set_handover(&self, active: bool) {
        self.handover.store(active, Ordering::Relaxed);
    }

    /// Removes all replicas within `limit` and ends. Replicas that are left after that end with
    /// this process.
    ///
    /// # Errors
    /// When a replica was left, or the thread panicked.
    pub async fn stop(self, limit: Duration) -> anyhow::Result<()> {
        let leave = false;
        self.end(Stop { limit, leave }).await
    }

    /// Ends within `limit` and leaves to another balancer the replicas that can outlive this
    /// process. The roster stays as it is.
    ///
    /// # Errors
    /// When that was not possible in time, or the thread panicked.
    pub async fn leave(self, limit: Duration) -> anyhow::Result<()> {
        let leave = true;
        self.end(Stop { limit, leave }).await
    }

    async fn end(self, stop: Stop) -> anyhow::Result<()> {
        let limit = stop.limit;
        // If the fleet has ended already, joining its thread returns the result.
        let _ = self.stop.send(stop);
        thread_ended(self.status).await;
        match self.thread.join() {
            Ok(true) => Ok(()),
            Ok(false) => bail!("the fleet did not stop within {limit:?}: replicas are left"),
            Err(_) => bail!("the fleet panicked"),
        }
    }
}

/// Waits for the end of the thread, which holds the status sender as long as it lives.
async fn thread_ended(mut status: watch::Receiver<Status>) {
    while status.changed().await.is_ok() {}
}
