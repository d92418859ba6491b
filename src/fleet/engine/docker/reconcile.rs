//! The engine's hints: its events, and a list of all our containers from time to time.
//!
//! Events get lost when a reader is slow and when the engine restarts, so the list is the truth. Still
//! both only nudge whoever looks after a container: nothing is removed or declared dead here because a
//! list is short, empty or was refused. Surprising: a container of ours that nobody looks after is
//! removed, once two lists in a row have shown it: it was left by a call without a clear answer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::Shared;
use super::api::Id;

/// Between lists.
const LIST_INTERVAL: Duration = Duration::from_secs(10);
/// Between the list at the beginning of a stream of events and the next, which sees what happened while
/// the stream was only being opened.
const LIST_RETRY_DELAY: Duration = Duration::from_secs(1);
/// The first pause before the stream of events is opened again.
const REOPEN_DELAY_MIN: Duration = Duration::from_millis(100);
/// The longest.
const REOPEN_DELAY_MAX: Duration = Duration::from_secs(2);

/// Watches for ever.
pub(super) async fn watch(dock: Arc<Shared>) {
    tokio::join!(watch_events(&dock), poll_list(&dock));
}

/// Reads events and opens their stream again whenever it is cut.
async fn watch_events(dock: &Shared) {
    let mut pause = REOPEN_DELAY_MIN;
    loop {
        let begun = Instant::now();
        let mut events = dock.api.events();
        dock.relist.notify_one();
        while let Some(event) = events.next().await {
            if let (Some(id), true) = (&event.id, event.is_end) {
                dock.book.may_have_ended(id, event.code);
                if dock.lock.is(id) {
                    dock.relist.notify_one();
                }
            }
        }
        pause = if begun.elapsed() > REOPEN_DELAY_MAX {
            REOPEN_DELAY_MIN
        } else {
            REOPEN_DELAY_MAX.min(2 * pause)
        };
        tracing::debug!("the engine's events are cut; again in {pause:?}");
        sleep(pause).await;
    }
}

/// Lists all containers of the fleet, again and again.
async fn poll_list(dock: &Shared) {
    let mut strays = BTreeSet::new();
    let mut answers = true;
    let mut pause = LIST_INTERVAL;
    loop {
        pause = match timeout(pause, dock.relist.notified()).await {
            Ok(()) => LIST_RETRY_DELAY,
            Err(_) => LIST_INTERVAL,
        };
        match dock.api.list().await {
            Ok(list) => {
                if !answers {
                    tracing::info!("the container engine answers again");
                }
                answers = true;
                dock.cells.engine_answers(true);
                let met = dock.book.reconcile(&list).into_iter().collect();
                if dock.is_held() {
                    strays.clear();
                } else {
                    dock.lock.reconcile(&dock.api, &dock.recipe, &list).await;
                    strays = remove_strays(dock, &strays, met).await;
                }
            }
            Err(fault) => {
                if answers {
                    tracing::warn!("cannot list containers, replicas run on unwatched: {fault}");
                }
                answers = false;
                dock.cells.engine_answers(false);
            }
        }
    }
}

/// Removes those that were strays before and still are; returns the new ones.
async fn remove_strays(dock: &Shared, before: &BTreeSet<Id>, met: BTreeSet<Id>) -> BTreeSet<Id> {
    let is_known = |id: &Id| dock.book.has(id) || dock.kept.has(id);
    for id in met.intersection(before).filter(|id| !is_known(id)) {
        match dock.api.remove(id).await {
            Ok(()) => tracing::info!("removed container {id}, which nobody looked after"),
            Err(fault) => tracing::debug!("cannot remove the stray container {id}: {fault}"),
        }
    }
    met
}
