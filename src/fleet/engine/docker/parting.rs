//! The end of a container by order: it is told to end, how it did is reported, and it is removed.
//!
//! It is tried for a while and then given up, for whoever has ordered it waits. Surprising: a container
//! that nobody has ever heard of again after it was made is looked for by its name, in the list of the
//! fleet's own.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::api::{Fault, Id};
use super::life::{LOOK_AGAIN, Life};
use super::{Dock, STARTS};
use crate::fleet::engine::{Farewell, Report};

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
    /// Has it end, and reports how it did if nobody has: a corpse that is gone cannot be asked.
    async fn say(&self, farewell: Farewell, container: &Id) {
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
            return;
        }
        for pause in LOOK_AGAIN {
            if let Some(how) = self.look(container).await {
                let id = self.id;
                return self.report(Report::Ended { id, how });
            }
            sleep(pause).await;
        }
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
                self.say(farewell, &container).await;
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
