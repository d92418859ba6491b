//! The task of one container: it creates and starts the container, supervises it, and removes it
//! (`removal`) on request.

use std::sync::Arc;

use tokio::sync::{Notify, oneshot};
use tokio::time::sleep;

use super::api::ApiError;
use super::api_types::{ContainerInfo, RunState};
use super::container_id::ContainerId;
use super::removal::{discard, stop_and_remove};
use super::replica_container::{RECHECK_DELAYS, ReplicaContainer};
use super::shared::{RunningContainer, Shared};
use super::spec::missing_image;
use crate::fleet::engine::interface::{EngineEvent, StopMode};
use crate::roster::ReplicaAddr;

/// Number of attempts to create a container whose name is taken by a leftover of ours.
const CREATE_ATTEMPTS: u32 = 2;

/// The task that supervises one container.
#[derive(Debug)]
pub(super) struct ContainerTask {
    replica: ReplicaContainer,
    stop_requested: oneshot::Receiver<StopMode>,
    kill_requested: Arc<Notify>,
    /// `true` if a container may exist, even if its ID is not known.
    may_exist: bool,
    /// `true` if its exit was reported.
    exit_reported: bool,
}

/// The reason why no container was started.
enum StartAborted {
    /// The start failed, with this event.
    Failed(EngineEvent),
    /// A stop request came first.
    Stopped(StopMode),
}

impl ContainerTask {
    /// Creates a task that has not begun.
    pub(super) fn new(
        replica: ReplicaContainer,
        stop_requested: oneshot::Receiver<StopMode>,
        kill_requested: Arc<Notify>,
    ) -> Self {
        Self {
            replica,
            stop_requested,
            kill_requested,
            may_exist: false,
            exit_reported: false,
        }
    }

    /// Runs the task to its end. `adopted` is the container if it runs already.
    pub(super) async fn run(mut self, adopted: Option<RunningContainer>) {
        let id = self.replica.id;
        self.may_exist = adopted.is_some();
        let running = match adopted {
            Some(running) => Ok(running),
            None => self.create_and_start().await,
        };
        let mode = match running {
            Ok(RunningContainer { container, addr }) => {
                self.identify(&container);
                self.replica.send_event(EngineEvent::Started { id, addr });
                self.supervise(&container).await
            }
            Err(StartAborted::Failed(event)) => {
                self.replica.send_event(event);
                self.stop_requested().await
            }
            Err(StartAborted::Stopped(mode)) => mode,
        };
        // A detached container stays registered, so that the reconciler does not remove it as a
        // stray.
        if mode != StopMode::Detach {
            if self.may_exist {
                stop_and_remove(&self.replica, mode, self.exit_reported).await;
            }
            let name = self.replica.container_name();
            self.replica.shared.registry.unregister(&name);
        }
        self.replica.send_event(EngineEvent::Removed { id });
    }

    /// Enters the container's ID in the registry, and removes the marker that it supersedes.
    fn identify(&self, container: &ContainerId) {
        let shared = &self.replica.shared;
        let name = self.replica.container_name();
        shared.registry.identify(&name, container);
        let seat = self.replica.seat;
        let superseded = seat.and_then(|seat| shared.markers.record_created(seat, container));
        discard(shared, superseded);
    }

    /// Waits for the stop request; the end of the fleet counts as [`StopMode::Detach`].
    async fn stop_requested(&mut self) -> StopMode {
        (&mut self.stop_requested).await.unwrap_or(StopMode::Detach)
    }

    /// Creates and starts the container, as soon as one of the permits for starts is free.
    async fn create_and_start(&mut self) -> Result<RunningContainer, StartAborted> {
        let shared = Arc::clone(&self.replica.shared);
        let _permit = tokio::select! {
            biased;
            mode = self.stop_requested() => return Err(StartAborted::Stopped(mode)),
            permit = shared.starts.acquire() => permit,
        };
        let created = self.create().await;
        let started = match created {
            Ok(container) => {
                self.identify(&container);
                self.start(container).await
            }
            Err(event) => Err(event),
        };
        started.map_err(StartAborted::Failed)
    }

    fn start_failed(&self, why: impl ToString) -> EngineEvent {
        EngineEvent::Failed {
            id: self.replica.id,
            why: why.to_string(),
        }
    }

    /// Creates the container. An unsupervised container of the fleet with the same name is
    /// replaced.
    async fn create(&mut self) -> Result<ContainerId, EngineEvent> {
        let shared = Arc::clone(&self.replica.shared);
        let Shared { api, template, .. } = &*shared;
        let name = self.replica.container_name();
        let id = self.replica.id;
        let refused = |why: &str| EngineEvent::NameRefused {
            id,
            why: why.to_owned(),
        };
        for _ in 0..CREATE_ATTEMPTS {
            let body = template.replica(self.replica.seat, &self.replica.name, &self.replica.image);
            match api.create(&name, body).await {
                Ok(container) => {
                    self.may_exist = true;
                    return Ok(container);
                }
                Err(ApiError::Conflict(_)) => match api.inspect(&name).await {
                    Ok(other) if self.is_replaceable(&other) => {
                        // The next attempt shows whether this worked.
                        let _ = api.remove(&other.id).await;
                    }
                    // An engine-proxy does not show the containers of others.
                    Ok(_) | Err(ApiError::Refused { status: 403, .. }) => {
                        return Err(refused("is taken by a container that is not ours"));
                    }
                    Err(ApiError::Missing(_)) => {}
                    Err(err) => return Err(self.start_failed(err)),
                },
                Err(ApiError::Missing(_)) => {
                    return Err(self.start_failed(missing_image(&self.replica.image.name)));
                }
                Err(ApiError::Refused { status: 400, .. }) if name.len() < 2 => {
                    return Err(refused("is too short for a container"));
                }
                Err(ApiError::Indeterminate(why)) => {
                    self.may_exist = true;
                    return self.find().await.ok_or_else(|| self.start_failed(why));
                }
                Err(err) => return Err(self.start_failed(err)),
            }
        }
        Err(refused("is taken by a container that cannot be removed"))
    }

    fn is_replaceable(&self, other: &ContainerInfo) -> bool {
        let shared = &*self.replica.shared;
        let is_ours = other.labels.fleet.as_ref() == Some(&shared.template.fleet);
        is_ours
            && !shared.handover_active()
            && other.labels.is_replica()
            && other.name == self.replica.container_name()
            && !shared.registry.has(&other.id)
    }

    /// Finds a container that may have been created, by its name in the list of the fleet.
    async fn find(&self) -> Option<ContainerId> {
        let name = self.replica.container_name();
        let list = self.replica.shared.api.list().await.ok()?;
        let found = list.into_iter().find(|listed| listed.name == name)?;
        Some(found.id)
    }

    async fn start(&self, container: ContainerId) -> Result<RunningContainer, EngineEvent> {
        let Shared { api, template, .. } = &*self.replica.shared;
        match api.start(&container).await {
            // After an indeterminate answer the container may run.
            Ok(()) | Err(ApiError::Indeterminate(_)) => {}
            Err(err) => return Err(self.start_failed(err)),
        }
        let info = api.inspect(container.as_str()).await;
        let info = info.map_err(|err| self.start_failed(err))?;
        match info.run_state {
            RunState::Runs => {}
            RunState::Ended(reason) => {
                let id = self.replica.id;
                let how = self.replica.with_log_tail(reason, &container).await;
                return Err(EngineEvent::Ended { id, how });
            }
        }
        let Some(ip) = info.addr_on(&template.network) else {
            return Err(self.start_failed("its container has no address on our network"));
        };
        Ok(RunningContainer {
            container,
            addr: ReplicaAddr((ip, template.port).into()),
        })
    }

    /// Kills the container as a fault would.
    async fn kill(&self, container: &ContainerId) {
        if let Err(err) = self.replica.shared.api.kill(container).await {
            tracing::warn!("cannot kill container {container}: {err}");
        }
    }

    /// Reports the exit of the container, if it comes, and waits for the stop request.
    async fn supervise(&mut self, container: &ContainerId) -> StopMode {
        let check = Arc::clone(&self.replica.check);
        let kill = Arc::clone(&self.kill_requested);
        let mut rechecks = RECHECK_DELAYS.len();
        loop {
            let delay = RECHECK_DELAYS.get(rechecks).copied();
            tokio::select! {
                biased;
                mode = self.stop_requested() => return mode,
                () = kill.notified() => {
                    self.kill(container).await;
                    rechecks = 0;
                }
                () = check.requested() => rechecks = 0,
                () = sleep(delay.unwrap_or_default()), if delay.is_some() => rechecks += 1,
            }
            if let Some(how) = self.replica.inspect_exit(container).await {
                let id = self.replica.id;
                self.exit_reported = true;
                self.replica.send_event(EngineEvent::Ended { id, how });
                return self.stop_requested().await;
            }
        }
    }
}
