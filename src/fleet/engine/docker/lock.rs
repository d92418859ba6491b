//! The lock of a fleet: a container that is made and never started, whose name nobody else can have while
//! it exists and whose label says who holds it. It keeps a second balancer from the same fleet.
//!
//! The lock of an owner that is gone is taken over. Surprising: an owner that cannot be judged from here
//! (a process of another machine or another PID namespace) counts as alive; the sentence says what to
//! remove. And whoever cleans an engine up (`docker container prune`) removes what does not run, so the
//! lock is looked after and made again.

mod owner;

use std::time::Duration;

use anyhow::{Context as _, bail};

use tokio::sync::Mutex;
use tokio::time::sleep;

use super::api::{Api, ApiError, Id};
use super::api_types::{ContainerInfo, ListedContainer};
use super::spec::ContainerTemplate;
use owner::LockOwner;

/// How often a lock that changes under our hands is tried for.
const LOCK_ATTEMPTS: u32 = 5;
/// Between tries; a little longer each time, so that of many who try one gets it.
const LOCK_RETRY_DELAY: Duration = Duration::from_millis(50);

/// The lock, held.
#[derive(Debug)]
pub(super) struct Lock {
    owner: LockOwner,
    /// `None` once it was given back. Held across calls, so that nobody makes it again meanwhile.
    container: Mutex<Option<Id>>,
}

impl Lock {
    /// Takes the lock for this program; `container` is the one we are in, and `from` the process on this
    /// machine that lets us have it.
    ///
    /// # Errors
    /// When another balancer holds it, or a container that is not ours has its name.
    pub(super) async fn acquire(
        api: &Api,
        recipe: &ContainerTemplate,
        container: Option<&Id>,
        from: Option<u32>,
    ) -> anyhow::Result<Self> {
        let this = LockOwner::current(container)?;
        let held_as = |id| Self {
            owner: this.clone(),
            container: Mutex::new(Some(id)),
        };
        let (name, fleet) = (recipe.lock_name(), &recipe.fleet);
        for attempt in 0..LOCK_ATTEMPTS {
            sleep(attempt * LOCK_RETRY_DELAY).await;
            match api.create(&name, recipe.lock(&this.to_label())).await {
                Ok(id) => return Ok(held_as(id)),
                Err(ApiError::Conflict(_) | ApiError::Indeterminate(_)) => {}
                Err(fault) => bail!("cannot make the lock {name} of fleet {fleet}: {fault}"),
            }
            let held = match api.inspect(&name).await {
                Ok(held) => held,
                Err(ApiError::Missing(_)) => continue,
                Err(fault) => bail!("cannot look at the lock {name} of fleet {fleet}: {fault}"),
            };
            let owner = owner_of(&held, recipe)?;
            if owner == this {
                // We made it, and had no clear answer.
                return Ok(held_as(held.id));
            }
            let lets = from.is_some_and(|pid| owner.is_process(pid));
            if !lets && !owner.is_gone(&this, api).await {
                bail!(
                    "another balancer runs fleet {fleet}: {}; give this one another --fleet, or \
                     remove container {name} if that one is gone",
                    owner.describe()
                );
            }
            let how = if lets { "lets us have it" } else { "is gone" };
            tracing::info!("took over the lock of {}, which {how}", owner.describe());
            // Whether that worked shows when it is tried again.
            let _ = api.remove(&held.id).await;
        }
        bail!("the lock {name} of fleet {fleet} is fought for; try again")
    }

    /// Takes it again from a process that was let have it and has ended.
    pub(super) async fn reacquire(&self, api: &Api, recipe: &ContainerTemplate) {
        for attempt in 0..LOCK_ATTEMPTS {
            sleep(attempt * LOCK_RETRY_DELAY).await;
            if self.reconcile(api, recipe, &[]).await {
                return;
            }
        }
        // From now on it is the lists that look after it.
    }

    /// Makes it again if it is not in this list of all containers of the fleet; whether it is held then. A
    /// list that lies does no harm: the name is taken then.
    pub(super) async fn reconcile(
        &self,
        api: &Api,
        recipe: &ContainerTemplate,
        list: &[ListedContainer],
    ) -> bool {
        let mut container = self.container.lock().await;
        let Some(id) = &*container else { return false };
        if list.iter().any(|listed| listed.id == *id) {
            return true;
        }
        let (name, fleet) = (recipe.lock_name(), &recipe.fleet);
        match api.create(&name, recipe.lock(&self.owner.to_label())).await {
            Ok(made) => {
                tracing::warn!("the lock {name} of fleet {fleet} was gone; it is made again");
                *container = Some(made);
                true
            }
            Err(ApiError::Conflict(_)) => match api.inspect(&name).await {
                Ok(held) if owner_of(&held, recipe).is_ok_and(|owner| owner == self.owner) => {
                    *container = Some(held.id);
                    true
                }
                // One that was to take over from us, and came to nothing.
                Ok(held) if is_stale(&held, recipe, &self.owner, api).await => {
                    // Whether that worked shows when it is tried again.
                    let _ = api.remove(&held.id).await;
                    false
                }
                Ok(_) => {
                    tracing::warn!(
                        "another balancer has the lock {name} and takes our containers for its own; \
                         stop one of the two"
                    );
                    false
                }
                Err(fault) => {
                    tracing::debug!("cannot look at the lock {name}: {fault}");
                    false
                }
            },
            Err(fault) => {
                tracing::debug!("cannot make the lock {name} again: {fault}");
                false
            }
        }
    }

    /// Whether it is this container.
    pub(super) fn is(&self, id: &Id) -> bool {
        // Whoever holds it looks after it just now.
        self.container
            .try_lock()
            .is_ok_and(|container| container.as_ref() == Some(id))
    }

    /// Gives it back.
    pub(super) async fn release(&self, api: &Api) {
        let Some(container) = self.container.lock().await.take() else {
            return;
        };
        match api.remove(&container).await {
            Ok(()) | Err(ApiError::Missing(_)) => {}
            Err(fault) => tracing::warn!("cannot remove the lock of the fleet: {fault}"),
        }
    }
}

/// Whether it is the lock of an owner that is gone, as seen by `this`.
async fn is_stale(
    held: &ContainerInfo,
    recipe: &ContainerTemplate,
    this: &LockOwner,
    api: &Api,
) -> bool {
    match owner_of(held, recipe) {
        Ok(owner) => owner.is_gone(this, api).await,
        Err(_) => false,
    }
}

fn owner_of(held: &ContainerInfo, recipe: &ContainerTemplate) -> anyhow::Result<LockOwner> {
    let is_ours = held.labels.fleet.as_ref() == Some(&recipe.fleet);
    let label = held.labels.owner.as_deref().filter(|_| is_ours);
    let owner = label.and_then(LockOwner::from_label);
    owner.with_context(|| {
        let (name, fleet) = (&held.name, &recipe.fleet);
        format!(
            "container {name} is not ours, but fleet {fleet} needs its name; choose another --fleet"
        )
    })
}
