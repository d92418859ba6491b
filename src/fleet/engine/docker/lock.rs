//! The lock of a fleet, which keeps a second balancer from the same fleet: a container that is
//! created and never started. Its name exists once per engine, and its label names the owner.
//!
//! A stale lock, whose owner has ended, is taken over. An owner that cannot be checked from here
//! counts as alive: a process of another machine or another PID namespace. The error then names the
//! container to remove. `docker container prune` removes containers that do not run, so the lock is
//! checked against each list and created again.
//!
//! A label of the lock has the wanted seats. Labels cannot change, so a lock with other seats is
//! created under another name and renamed when the former lock is removed (`next_lock`).

mod next_lock;
mod owner;

use std::time::Duration;

use anyhow::bail;

use tokio::sync::Mutex;
use tokio::time::sleep;

use super::api::{Api, ApiError};
use super::api_types::{ContainerInfo, ListedContainer};
use super::container_id::ContainerId;
use super::spec::ContainerTemplate;
use super::wanted_seats::WantedSeats;
use next_lock::{replace, take_next_lock};
use owner::{LockOwner, describe_rival, owner_of};

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
    container: Mutex<Option<HeldLock>>,
    /// Wanted seats of the owner that has ended, whose lock was in the way.
    pub(super) inherited: Option<WantedSeats>,
}

/// The container of the lock, and the wanted seats in its label.
#[derive(Clone, Debug)]
struct HeldLock {
    id: ContainerId,
    wanted: WantedSeats,
}

impl Lock {
    /// Takes the lock for this program. `container` is our own container, and `handed_over_by` the
    /// process on this machine that hands its lock over. The label of the lock has the seats of a
    /// lock that was in the way, or else the `first` ones.
    ///
    /// # Errors
    /// When another balancer holds it, or a container that is not ours has its name.
    pub(super) async fn acquire(
        api: &Api,
        template: &ContainerTemplate,
        container: Option<&ContainerId>,
        handed_over_by: Option<u32>,
        first: WantedSeats,
    ) -> anyhow::Result<Self> {
        let this = LockOwner::current(container)?;
        let mut inherited = None::<WantedSeats>;
        let held_as = |id, wanted, inherited| Self {
            owner: this.clone(),
            container: Mutex::new(Some(HeldLock { id, wanted })),
            inherited,
        };
        let (name, fleet) = (template.lock_name(), &template.fleet);
        for attempt in 0..LOCK_ATTEMPTS {
            sleep(attempt * LOCK_RETRY_DELAY).await;
            let wanted = inherited.as_ref().unwrap_or(&first).clone();
            let body = template.lock(&this.to_label(), &wanted);
            match api.create(&name, body).await {
                Ok(id) => match take_next_lock(api, template, &this, handed_over_by).await {
                    Ok(next) => return Ok(held_as(id, wanted, next.or(inherited))),
                    Err(err) => {
                        let _ = api.remove(&id).await;
                        return Err(err);
                    }
                },
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
                return Ok(held_as(held.id, wanted, inherited));
            }
            let handed_over = handed_over_by.is_some_and(|pid| owner.is_process(pid));
            if !handed_over && !owner.has_ended(&this, api).await {
                bail!("{}", describe_rival(&owner, fleet, &name));
            }
            let reason = if handed_over {
                "hands it over"
            } else {
                "has ended"
            };
            tracing::info!("took over the lock of {}, which {reason}", owner.describe());
            inherited = held.labels.wanted.clone().or(inherited);
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
        let Some(lock) = &mut *container else {
            return false;
        };
        if list.iter().any(|listed| listed.id == lock.id) {
            return true;
        }
        let (name, fleet) = (template.lock_name(), &template.fleet);
        let body = template.lock(&self.owner.to_label(), &lock.wanted);
        match api.create(&name, body).await {
            Ok(created) => {
                tracing::warn!("the lock {name} of fleet {fleet} was gone; it is made again");
                lock.id = created;
                true
            }
            Err(ApiError::Conflict(_)) => match api.inspect(&name).await {
                Ok(held) if owner_of(&held, template).is_ok_and(|owner| owner == self.owner) => {
                    lock.id = held.id;
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

    /// Writes the wanted seats into the label of the lock, by a lock that replaces it. Returns
    /// `true` if they are there.
    pub(super) async fn record(
        &self,
        api: &Api,
        template: &ContainerTemplate,
        wanted: &WantedSeats,
    ) -> bool {
        let mut container = self.container.lock().await;
        let Some(lock) = container.as_mut().filter(|lock| lock.wanted != *wanted) else {
            return true;
        };
        match replace(api, template, &self.owner, &lock.id, wanted).await {
            Ok(id) => {
                let wanted = wanted.clone();
                *lock = HeldLock { id, wanted };
                true
            }
            Err(err) => {
                tracing::debug!("cannot record the wanted seats in the lock: {err}");
                false
            }
        }
    }

    /// Returns `true` if the lock is this container.
    pub(super) fn is(&self, id: &ContainerId) -> bool {
        // A task that has it locked checks it just now.
        self.container
            .try_lock()
            .is_ok_and(|lock| lock.as_ref().is_some_and(|lock| lock.id == *id))
    }

    /// Releases the lock.
    pub(super) async fn release(&self, api: &Api) {
        let Some(lock) = self.container.lock().await.take() else {
            return;
        };
        match api.remove(&lock.id).await {
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
