//! The end of a container by order: it is told to end, how it did is reported, and it is removed.
//!
//! It is tried for a while and then given up, for whoever has ordered it waits. Surprising: a container
//! that nobody has ever heard of again after it was made is looked for by its name, in the list of the
//! fleet's own.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::api::{ApiError, Id};
use super::container_task::{ContainerTask, RECHECK_DELAYS};
use super::{DeadContainer, MAX_STARTS, Shared};
use crate::fleet::engine::{EngineEvent, StopMode};
use crate::roster::ReplicaId;

/// How long those that are being started go first: the engine does one thing at a time, more or less, and
/// nobody waits for a corpse.
const YIELD_TIMEOUT: Duration = Duration::from_secs(1);
/// How often it is looked whether they have started.
const YIELD_POLL: Duration = Duration::from_millis(20);
/// How long it is tried to remove a container.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Between two tries.
const REMOVE_RETRY_DELAY: Duration = Duration::from_millis(100);

impl ContainerTask {
    /// Has it end, and reports how it did if nobody has: a corpse that is gone cannot be asked. Whether it is
    /// known to have ended.
    async fn stop_and_report(&self, farewell: StopMode, container: &Id) -> bool {
        let api = &self.dock.api;
        let said = match farewell {
            StopMode::Graceful => api.stop(container).await,
            StopMode::Kill | StopMode::Detach => api.kill(container).await,
        };
        if let Err(fault) = said {
            // Most likely it has ended by itself; one that does not listen is removed by force.
            tracing::debug!("container {container} was told to end: {fault}");
        }
        if self.is_told {
            return true;
        }
        for pause in RECHECK_DELAYS {
            if let Some(how) = self.inspect_exit(container).await {
                let id = self.id;
                self.send_event(EngineEvent::Ended { id, how });
                return true;
            }
            sleep(pause).await;
        }
        false
    }

    /// Leaves its corpse there if it is the last that tells of its seat.
    fn keep_as_marker(&self, container: &Id) -> bool {
        let (stays, before) = self.dock.kept.should_keep(self.id, self.seat, container);
        discard(&self.dock, before);
        stays
    }

    /// Waits for a while until nothing is being started.
    async fn yield_to_starts(&self) {
        let begun = Instant::now();
        while self.dock.starts.available_permits() < MAX_STARTS && begun.elapsed() < YIELD_TIMEOUT {
            sleep(YIELD_POLL).await;
        }
    }

    /// Ends and removes the container, if there is one.
    pub(super) async fn stop_and_remove(&self, farewell: StopMode) {
        let Shared { api, book, .. } = &*self.dock;
        let name = self.container_name();
        if farewell == StopMode::Kill {
            self.yield_to_starts().await;
        }
        let begun = Instant::now();
        let mut asked = false;
        while begun.elapsed() < REMOVE_TIMEOUT {
            // What was never identified may have been made all the same.
            let container = match book.container(&name) {
                Some(container) => container,
                None => match api.list().await {
                    Ok(list) => match list.into_iter().find(|listed| listed.name == name) {
                        Some(listed) => listed.id,
                        None => return,
                    },
                    Err(_) => {
                        sleep(REMOVE_RETRY_DELAY).await;
                        continue;
                    }
                },
            };
            let _turn = self.dock.removals.acquire().await;
            if !asked {
                asked = true;
                let has_ended = self.stop_and_report(farewell, &container).await;
                if has_ended && farewell == StopMode::Kill && self.keep_as_marker(&container) {
                    return;
                }
            }
            match api.remove(&container).await {
                Ok(()) | Err(ApiError::Missing(_)) => return,
                // It is being removed already.
                Err(ApiError::Conflict(_)) => {}
                Err(fault) => tracing::debug!("cannot remove container {name}: {fault}"),
            }
            sleep(REMOVE_RETRY_DELAY).await;
        }
        tracing::warn!("container {name} could not be removed within {REMOVE_TIMEOUT:?}");
    }
}

/// Removes containers that nobody looks after; one for which that fails is a stray, and tried again.
pub(super) fn discard(dock: &Arc<Shared>, containers: impl IntoIterator<Item = Id>) {
    for container in containers {
        let dock = Arc::clone(dock);
        tokio::spawn(async move {
            let _turn = dock.removals.acquire().await;
            if let Err(fault) = dock.api.remove(&container).await {
                tracing::debug!("cannot remove container {container}: {fault}");
            }
        });
    }
}

/// Removes what was found and is to go, but for the last of a seat that nobody fills.
pub(super) fn discard_found(dock: &Arc<Shared>, found: impl Iterator<Item = DeadContainer>) {
    for (container, seat) in found {
        // Nobody of ours has this number.
        let (stays, before) = dock.kept.should_keep(ReplicaId(0), seat, &container);
        let gone = (!stays).then_some(container);
        discard(dock, before.into_iter().chain(gone));
    }
}

/// Removes what calls without a clear answer have left.
pub(super) async fn remove_leftovers(dock: &Shared) {
    let left = dock.api.list().await.unwrap_or_default();
    let left = left.iter().filter(|listed| listed.labels.is_replica());
    for listed in left {
        if let Err(fault) = dock.api.remove(&listed.id).await {
            tracing::warn!("cannot remove container {}: {fault}", listed.name);
        }
    }
}
