//! The end of a container by order: it is told to end, how it did is reported, and it is removed.
//!
//! It is tried for a while and then given up, for whoever has ordered it waits. Surprising: a container
//! that nobody has ever heard of again after it was made is looked for by its name, in the list of the
//! fleet's own.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::api::{Fault, Id};
use super::container_task::{LOOK_AGAIN, Life};
use super::{Corpse, Dock, STARTS};
use crate::fleet::engine::{Farewell, Report};
use crate::roster::ReplicaId;

/// How long those that are being started go first: the engine does one thing at a time, more or less, and
/// nobody waits for a corpse.
const YIELD: Duration = Duration::from_secs(1);
/// How often it is looked whether they have started.
const YIELD_POLL: Duration = Duration::from_millis(20);
/// How long it is tried to remove a container.
const REMOVING: Duration = Duration::from_secs(20);
/// Between two tries.
const TRY_AGAIN: Duration = Duration::from_millis(100);

impl Life {
    /// Has it end, and reports how it did if nobody has: a corpse that is gone cannot be asked. Whether it is
    /// known to have ended.
    async fn say(&self, farewell: Farewell, container: &Id) -> bool {
        let api = &self.dock.api;
        let said = match farewell {
            Farewell::Ask => api.stop(container).await,
            Farewell::Kill | Farewell::Leave => api.kill(container).await,
        };
        if let Err(fault) = said {
            // Most likely it has ended by itself; one that does not listen is removed by force.
            tracing::debug!("container {container} was told to end: {fault}");
        }
        if self.is_told {
            return true;
        }
        for pause in LOOK_AGAIN {
            if let Some(how) = self.look(container).await {
                let id = self.id;
                self.report(Report::Ended { id, how });
                return true;
            }
            sleep(pause).await;
        }
        false
    }

    /// Leaves its corpse there if it is the last that tells of its seat.
    fn rest(&self, container: &Id) -> bool {
        let (stays, before) = self.dock.kept.stays(self.id, self.seat, container);
        discard(&self.dock, before);
        stays
    }

    /// Waits for a while until nothing is being started.
    async fn let_others_start(&self) {
        let begun = Instant::now();
        while self.dock.starts.available_permits() < STARTS && begun.elapsed() < YIELD {
            sleep(YIELD_POLL).await;
        }
    }

    /// Ends and removes the container, if there is one.
    pub(super) async fn end(&self, farewell: Farewell) {
        let Dock { api, book, .. } = &*self.dock;
        let name = self.container_name();
        if farewell == Farewell::Kill {
            self.let_others_start().await;
        }
        let begun = Instant::now();
        let mut asked = false;
        while begun.elapsed() < REMOVING {
            // What was never identified may have been made all the same.
            let container = match book.container(&name) {
                Some(container) => container,
                None => match api.list().await {
                    Ok(list) => match list.into_iter().find(|listed| listed.name == name) {
                        Some(listed) => listed.id,
                        None => return,
                    },
                    Err(_) => {
                        sleep(TRY_AGAIN).await;
                        continue;
                    }
                },
            };
            let _turn = self.dock.removals.acquire().await;
            if !asked {
                asked = true;
                let has_ended = self.say(farewell, &container).await;
                if has_ended && farewell == Farewell::Kill && self.rest(&container) {
                    return;
                }
            }
            match api.remove(&container).await {
                Ok(()) | Err(Fault::Missing(_)) => return,
                // It is being removed already.
                Err(Fault::Conflict(_)) => {}
                Err(fault) => tracing::debug!("cannot remove container {name}: {fault}"),
            }
            sleep(TRY_AGAIN).await;
        }
        tracing::warn!("container {name} could not be removed within {REMOVING:?}");
    }
}

/// Removes containers that nobody looks after; one for which that fails is a stray, and tried again.
pub(super) fn discard(dock: &Arc<Dock>, containers: impl IntoIterator<Item = Id>) {
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
pub(super) fn discard_found(dock: &Arc<Dock>, found: impl Iterator<Item = Corpse>) {
    for (container, seat) in found {
        // Nobody of ours has this number.
        let (stays, before) = dock.kept.stays(ReplicaId(0), seat, &container);
        let gone = (!stays).then_some(container);
        discard(dock, before.into_iter().chain(gone));
    }
}

/// Removes what calls without a clear answer have left.
pub(super) async fn sweep(dock: &Dock) {
    let left = dock.api.list().await.unwrap_or_default();
    let left = left.iter().filter(|listed| listed.labels.is_replica());
    for listed in left {
        if let Err(fault) = dock.api.remove(&listed.id).await {
            tracing::warn!("cannot remove container {}: {fault}", listed.name);
        }
    }
}
