//! The removal of containers: a container is stopped, its exit is reported, and it is removed.
//!
//! An attempt is given up after a while, because a client may wait for the result. A container
//! whose ID never arrived is looked up by its name, in the list of the fleet.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::api::ApiError;
use super::container_id::ContainerId;
use super::replica_container::{RECHECK_DELAYS, ReplicaContainer};
use super::shared::{DeadContainer, Shared};
use crate::fleet::engine::interface::{EngineEvent, StopMode};
use crate::roster::ReplicaId;

/// Maximum time for which a removal yields to starts. The container engine serialises much of its
/// work, and a start is what clients wait for.
const YIELD_TIMEOUT: Duration = Duration::from_secs(1);
/// Interval at which a yielding removal checks whether the starts are done.
const YIELD_POLL: Duration = Duration::from_millis(20);
/// Time after which the removal of a container is given up.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Delay between two attempts to remove a container.
const REMOVE_RETRY_DELAY: Duration = Duration::from_millis(100);
/// The ID of no replica, for containers that were found and not adopted.
const NO_REPLICA: ReplicaId = ReplicaId(0);

/// Stops and removes a replica's container, if it has one. Its exit is reported unless
/// `exit_reported`.
pub(super) async fn stop_and_remove(
    replica: &ReplicaContainer,
    mode: StopMode,
    exit_reported: bool,
) {
    let shared = &*replica.shared;
    let name = replica.container_name();
    if mode == StopMode::Kill {
        yield_to_starts(shared).await;
    }
    let begin = Instant::now();
    let mut stopped = false;
    let limit = REMOVE_TIMEOUT.saturating_add(shared.template.stop_timeout);
    while begin.elapsed() < limit {
        // A container that was never identified may have been created.
        let container = match shared.registry.container(&name) {
            Some(container) => container,
            None => match shared.api.list().await {
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
        let _permit = shared.removals.acquire().await;
        if !stopped {
            stopped = true;
            let has_ended = stop_and_report(replica, mode, exit_reported, &container).await;
            if has_ended && mode == StopMode::Kill && keep_as_marker(replica, &container) {
                return;
            }
        }
        match shared.api.remove(&container).await {
            Ok(()) | Err(ApiError::Missing(_)) => return,
            // The container is being removed already.
            Err(ApiError::Conflict(_)) => {}
            Err(err) => tracing::debug!("cannot remove container {name}: {err}"),
        }
        sleep(REMOVE_RETRY_DELAY).await;
    }
    tracing::warn!("container {name} could not be removed within {limit:?}");
}

/// Stops the container, and reports its exit before it is removed, when it can no longer be
/// inspected. Returns `true` if it is known to have ended.
async fn stop_and_report(
    replica: &ReplicaContainer,
    mode: StopMode,
    exit_reported: bool,
    container: &ContainerId,
) -> bool {
    let api = &replica.shared.api;
    let stopped = match mode {
        StopMode::Graceful => {
            let grace = replica.shared.template.stop_timeout;
            api.stop(container, grace).await
        }
        StopMode::Kill | StopMode::Detach => api.kill(container).await,
    };
    if let Err(err) = stopped {
        // Most likely it has ended by itself; otherwise it is removed by force.
        tracing::debug!("cannot stop container {container}: {err}");
    }
    if exit_reported {
        return true;
    }
    for delay in RECHECK_DELAYS {
        if let Some(how) = replica.inspect_exit(container).await {
            let id = replica.id;
            replica.send_event(EngineEvent::Ended { id, how });
            return true;
        }
        sleep(delay).await;
    }
    false
}

/// Keeps an ended container if it is the last that marks its seat. Returns `true` if it is kept.
fn keep_as_marker(replica: &ReplicaContainer, container: &ContainerId) -> bool {
    let shared = &replica.shared;
    let (keep, superseded) = shared
        .markers
        .keep_if_last(replica.id, replica.seat, container);
    discard(shared, superseded);
    keep
}

/// Waits until no container is being started, for at most [`YIELD_TIMEOUT`].
async fn yield_to_starts(shared: &Shared) {
    let begin = Instant::now();
    while shared.is_starting() && begin.elapsed() < YIELD_TIMEOUT {
        sleep(YIELD_POLL).await;
    }
}

/// Removes unsupervised containers in the background. If that fails, the reconciler removes them as
/// strays.
pub(super) fn discard(shared: &Arc<Shared>, containers: impl IntoIterator<Item = ContainerId>) {
    for container in containers {
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            let _permit = shared.removals.acquire().await;
            if let Err(err) = shared.api.remove(&container).await {
                tracing::debug!("cannot remove container {container}: {err}");
            }
        });
    }
}

/// Removes containers that were found and not adopted, except the last of each vacant seat.
pub(super) fn discard_found(shared: &Arc<Shared>, found: impl Iterator<Item = DeadContainer>) {
    for (container, seat) in found {
        let (keep, superseded) = shared.markers.keep_if_last(NO_REPLICA, seat, &container);
        let removed = (!keep).then_some(container);
        discard(shared, superseded.into_iter().chain(removed));
    }
}

/// Removes the containers that calls with an indeterminate answer have left.
pub(super) async fn remove_leftovers(shared: &Shared) {
    let list = shared.api.list().await.unwrap_or_default();
    let leftovers = list.iter().filter(|listed| listed.labels.is_replica());
    for listed in leftovers {
        if let Err(err) = shared.api.remove(&listed.id).await {
            tracing::warn!("cannot remove container {}: {err}", listed.name);
        }
    }
}
