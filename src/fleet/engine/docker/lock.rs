//! The lock of a fleet, which keeps a second balancer from the same fleet: a container that is
//! created and never started. Its name exists once per engine, and its label names the owner.
//!
//! A stale lock, whose owner has ended, is taken over. An owner that cannot be checked from here
//! counts as alive: a process of another machine or another PID namespace. The error then names the
//! container to remove. `docker container prune` removes containers that do not run, so the lock is
//! checked against each list and created again.

mod owner;

use std::time::Duration;

use anyhow::{Context as _, bail};

use tokio::sync::Mutex;
use tokio::time::sleep;

use super::api::{Api, ApiError};
use super::api_types::{ContainerInfo, ListedContainer};
use super::container_id::ContainerId;
use super::spec::ContainerTemplate;
use owner::LockOwner;

/// Number of attempts to take a lock that others change meanwhile.
const LOCK_ATTEMPTS: u32 = 5;
/// Delay between attempts. It grows with each attempt, so that one of many contenders succeeds.
const LOCK_RETRY_DELAY: Duration = Duration::from_millis(50);

/// The held lock.
#[derive(Debug)]
pub(super) struct Lock {
    owner: LockOwner,
    /// `None` once it was released. Locked across API calls, so that the container is not created
    /// again meanwhile.
    container: Mutex<Option<ContainerId>>,
}

impl Lock {
    /// Takes the lock for this program. `container` is our own container, and `handed_over_by` the
    /// process on this machine that hands its lock over.
    ///
    /// # Errors
    /// When another balancer holds it, or a container that is not ours has its name.
    pub(super) async fn acquire(
        api: &Api,
        template: &ContainerTemplate,
        container: Option<&ContainerId>,
        handed_over_by: Option<u32>,
    ) -> anyhow::Result<Self> {
        let this = LockOwner::current(container)?;
        let held_as = |id| Self {
            owner: this.clone(),
            container: Mutex::new(Some(id)),
        };
        let (name, fleet) = (template.lock_name(), &template.fleet);
        for attempt in 0..LOCK_ATTEMPTS {
            sleep(attempt * LOCK_RETRY_DELAY).await;
            match api.create(&name, template.lock(&this.to_label())).await {
                Ok(id) => return Ok(held_as(id)),
                Err(ApiError::Conflict(_) | ApiError::Indeterminate(_)) => {}
                Err(err) => bail!("cannot create the lock {name} of fleet {fleet}: {err}"),
            }
            let held = match api.inspect(&name).await {
                Ok(held) => held,
                Err(ApiError::Missing(_)) => continue,
                Err(err) => bail!("cannot inspect the lock {name} of fleet {fleet}: {err}"),
            };
            let owner = owner_of(&held, template)?;
            if owner == this {
                // We created it, and the answer was indeterminate.
                return Ok(held_as(held.id));
            }
            let handed_over = handed_over_by.is_some_and(|pid| owner.is_process(pid));
            if !handed_over && !owner.has_ended(&this, api).await {
                bail!(
                    "another balancer runs fleet {fleet}: {}; give this one another --fleet, or \
                     remove container {name} if that one is gone",
                    owner.describe()
                );
            }
            let reason = if handed_over {
                "hands it over"
            } else {
                "has ended"
            };
            tracing::info!("took over the lock of {}, which {reason}", owner.describe());
            // The next attempt shows whether this worked.
            let _ = api.remove(&held.id).await;
        }
        bail!("the lock {name} of fleet {fleet} is contended; try again")
    }

    /// Takes the lock back from a process that it was handed over to and that has ended.
    pub(super) async fn reacquire(&self, api: &Api, template: &ContainerTemplate) {
        for attempt in 0..LOCK_ATTEMPTS {
            sleep(attempt * LOCK_RETRY_DELAY).await;
            if self.reconcile(api, template, &[]).await {
                return;
            }
        }
        // From now on each list checks the lock.
    }

    /// Creates the lock again if it is missing from this list of all containers of the fleet.
    /// Returns `true` if it is held then. An incomplete list does no harm, because the name is
    /// taken.
    pub(super) async fn reconcile(
        &self,
        api: &Api,
        template: &ContainerTemplate,
        list: &[ListedContainer],
    ) -> bool {
        let mut container = self.container.lock().await;
        let Some(id) = &*container else { return false };
        if list.iter().any(|listed| listed.id == *id) {
            return true;
        }
        let (name, fleet) = (template.lock_name(), &template.fleet);
        match api
            .create(&name, template.lock(&self.owner.to_label()))
            .await
        {
            Ok(created) => {
                tracing::warn!("the lock {name} of fleet {fleet} was gone; it is made again");
                *container = Some(created);
                true
            }
            Err(ApiError::Conflict(_)) => match api.inspect(&name).await {
                Ok(held) if owner_of(&held, template).is_ok_and(|owner| owner == self.owner) => {
                    *container = Some(held.id);
                    true
                }
                // The lock of a process whose takeover from us has failed.
                Ok(held) if is_stale(&held, template, &self.owner, api).await => {
                    // The next attempt shows whether this worked.
                    let _ = api.remove(&held.id).await;
                    false
                }
                Ok(_) => {
                    tracing::warn!(
                        "another balancer has the lock {name} and treats our containers as its own; \
                         stop one of the two"
                    );
                    false
                }
                Err(err) => {
                    tracing::debug!("cannot inspect the lock {name}: {err}");
                    false
                }
            },
            Err(err) => {
                tracing::debug!("cannot create the lock {name} again: {err}");
                false
            }
        }
    }

    /// Returns `true` if the lock is this container.
    pub(super) fn is(&self, id: &ContainerId) -> bool {
        // A task that has it locked checks it just now.
        self.container
            .try_lock()
            .is_ok_and(|container| container.as_ref() == Some(id))
    }

    /// Releases the lock.
    pub(super) async fn release(&self, api: &Api) {
        let Some(container) = self.container.lock().await.take() else {
            return;
        };
        match api.remove(&container).await {
            Ok(()) | Err(ApiError::Missing(_)) => {}
            Err(err) => tracing::warn!("cannot remove the lock of the fleet: {err}"),
        }
    }
}

/// Returns `true` if the owner of the lock has ended, as seen by `this`.
async fn is_stale(
    held: &ContainerInfo,
    template: &ContainerTemplate,
    this: &LockOwner,
    api: &Api,
) -> bool {
    match owner_of(held, template) {
        Ok(owner) => owner.has_ended(this, api).await,
        Err(_) => false,
    }
}

/// Returns the owner of a lock.
///
/// # Errors
/// When the container is not a lock of the fleet.
fn owner_of(held: &ContainerInfo, template: &ContainerTemplate) -> anyhow::Result<LockOwner> {
    let is_ours = held.labels.fleet.as_ref() == Some(&template.fleet);
    let label = held.labels.owner.as_deref().filter(|_| is_ours);
    let owner = label.and_then(LockOwner::from_label);
    owner.with_context(|| {
        let (name, fleet) = (&held.name, &template.fleet);
        format!(
            "container {name} is not ours, but fleet {fleet} needs its name; choose another --fleet"
        )
    })
}
