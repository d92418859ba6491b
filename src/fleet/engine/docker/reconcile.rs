//! Follows the container engine's events, and lists all containers of the fleet from time to time.
//!
//! Events get lost when a reader is slow and when the engine restarts, so the list is
//! authoritative. Both only request checks: no container is declared dead because a list is short,
//! empty or refused. An unsupervised container of the fleet is a stray: an indeterminate call has
//! left it. It is removed once two lists in a row have shown it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::container_id::ContainerId;
use super::shared::Shared;

/// Interval between lists.
const LIST_INTERVAL: Duration = Duration::from_secs(10);
/// Delay between the list at the opening of an event stream and the next list, which shows what
/// happened while the stream was being opened.
const RELIST_DELAY: Duration = Duration::from_secs(1);
/// Minimum delay before the event stream is opened again.
const REOPEN_DELAY_MIN: Duration = Duration::from_millis(100);
/// Maximum delay before the event stream is opened again.
const REOPEN_DELAY_MAX: Duration = Duration::from_secs(2);

/// Follows events and lists for ever.
pub(super) async fn watch(shared: Arc<Shared>) {
    tokio::join!(watch_events(&shared), poll_list(&shared));
}

/// Reads events, and opens their stream again whenever it breaks.
async fn watch_events(shared: &Shared) {
    let mut delay = REOPEN_DELAY_MIN;
    loop {
        let begin = Instant::now();
        let mut events = shared.api.events();
        shared.relist.notify_one();
        while let Some(event) = events.next().await {
            if let (Some(id), true) = (&event.id, event.is_end) {
                shared.registry.may_have_ended(id, event.exit_code);
                if shared.lock.is(id) {
                    shared.relist.notify_one();
                }
            }
        }
        delay = if begin.elapsed() > REOPEN_DELAY_MAX {
            REOPEN_DELAY_MIN
        } else {
            REOPEN_DELAY_MAX.min(2 * delay)
        };
        tracing::debug!("the event stream of the container engine broke; reopening in {delay:?}");
        sleep(delay).await;
    }
}

/// Lists all containers of the fleet at intervals, and whenever a list is due.
async fn poll_list(shared: &Shared) {
    let mut strays = BTreeSet::new();
    let mut answered = true;
    let mut delay = LIST_INTERVAL;
    loop {
        delay = match timeout(delay, shared.relist.notified()).await {
            Ok(()) => RELIST_DELAY,
            Err(_) => LIST_INTERVAL,
        };
        match shared.api.list().await {
            Ok(list) => {
                if !answered {
                    tracing::info!("the container engine answers again");
                }
                answered = true;
                shared.counters.engine_answers(true);
                let seen = shared.registry.reconcile(&list).into_iter().collect();
                if shared.handover_active() {
                    strays.clear();
                } else {
                    shared
                        .lock
                        .reconcile(&shared.api, &shared.template, &list)
                        .await;
                    strays = remove_strays(shared, &strays, seen).await;
                }
            }
            Err(err) => {
                if answered {
                    tracing::warn!("cannot list containers, replicas run on unwatched: {err}");
                }
                answered = false;
                shared.counters.engine_answers(false);
            }
        }
    }
}

/// Removes the containers that are strays in this list and were in the last one. Returns the strays
/// of this list.
async fn remove_strays(
    shared: &Shared,
    previous: &BTreeSet<ContainerId>,
    seen: BTreeSet<ContainerId>,
) -> BTreeSet<ContainerId> {
    let is_known = |id: &ContainerId| shared.registry.has(id) || shared.markers.has(id);
    for id in seen.intersection(previous).filter(|id| !is_known(id)) {
        match shared.api.remove(id).await {
            Ok(()) => tracing::info!("removed stray container {id}"),
            Err(err) => tracing::debug!("cannot remove the stray container {id}: {err}"),
        }
    }
    seen
}
