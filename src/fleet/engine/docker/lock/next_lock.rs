//! The replacement of a lock by one with other wanted seats.
//!
//! The next lock is created under a name of its own, and gets the lock's name when the former lock
//! is removed. A balancer that finds the name free in between also finds the next lock, and gives
//! up.

use std::time::Duration;

use anyhow::bail;
use tokio::time::sleep;

use super::owner::{LockOwner, describe_rival, owner_of};
use crate::fleet::engine::docker::api::{Api, ApiError};
use crate::fleet::engine::docker::container_id::ContainerId;
use crate::fleet::engine::docker::spec::ContainerTemplate;
use crate::fleet::engine::docker::wanted_seats::WantedSeats;

/// Number of attempts to give the next lock its name, while another balancer gives it back.
const RENAME_ATTEMPTS: u32 = 5;
/// Delay between attempts; it grows with each attempt.
const RENAME_RETRY_DELAY: Duration = Duration::from_millis(50);

/// Replaces the `former` lock of `owner` by one with these wanted seats. Returns the new lock.
pub(super) async fn replace(
    api: &Api,
    template: &ContainerTemplate,
    owner: &LockOwner,
    former: &ContainerId,
    wanted: &WantedSeats,
) -> Result<ContainerId, ApiError> {
    let (name, next_name) = (template.lock_name(), template.next_lock_name());
    if let Ok(left_over) = api.inspect(&next_name).await
        && owner_of(&left_over, template).is_ok()
    {
        api.remove(&left_over.id).await?;
    }
    let body = template.lock(&owner.to_label(), wanted);
    let next = api.create(&next_name, body).await?;
    match api.remove(former).await {
        Ok(()) | Err(ApiError::Missing(_)) => {}
        Err(err) => return Err(err),
    }
    let mut attempt = 0;
    loop {
        match api.rename(&next, &name).await {
            // A balancer that found the name free gives it back when it finds the next lock.
            Err(ApiError::Conflict(_)) if attempt < RENAME_ATTEMPTS => attempt += 1,
            renamed => return renamed.map(|()| next),
        }
        sleep(attempt * RENAME_RETRY_DELAY).await;
    }
}

/// Removes the next lock of an owner that has ended while it replaced its lock. Returns the wanted
/// seats of that lock, if there was one.
///
/// # Errors
/// A sentence, when its owner is replacing its lock just now, or the engine does not answer.
pub(super) async fn take_next_lock(
    api: &Api,
    template: &ContainerTemplate,
    this: &LockOwner,
    handed_over_by: Option<u32>,
) -> anyhow::Result<Option<WantedSeats>> {
    let (fleet, name) = (&template.fleet, template.next_lock_name());
    let next = match api.inspect(&name).await {
        Ok(next) => next,
        Err(ApiError::Missing(_)) => return Ok(None),
        Err(err) => bail!("cannot inspect the lock {name} of fleet {fleet}: {err}"),
    };
    let Ok(owner) = owner_of(&next, template) else {
        return Ok(None);
    };
    let handed_over = handed_over_by.is_some_and(|pid| owner.is_process(pid));
    if owner != *this && !handed_over && !owner.has_ended(this, api).await {
        bail!("{}", describe_rival(&owner, fleet, &name));
    }
    // A lock that is left is removed before the next replacement.
    let _ = api.remove(&next.id).await;
    Ok(next.labels.wanted)
}
