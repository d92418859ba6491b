//! The life of one container, from being made to being gone, in one task: make and start it, look at it
//! when somebody has a hint, and part from it (`parting`) when told to.
//!
//! It believes only what it sees by looking at its own container by ID: "runs", "ended" or "is not
//! there"; a look that fails says nothing. Surprising: the sign that a replica is dead (its connections
//! end) is some 20 ms faster than the engine's knowledge of it, so a look that still sees it run is
//! repeated for a while.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;

use super::api::{ApiError, Id};
use super::api_types::{self, ContainerInfo, RunState};
use super::registry::CheckSignal;
use super::removal::discard;
use super::{RunningContainer, Shared};
use crate::fleet::engine::{EngineEvent, ExitReport, StopMode};
use crate::ring::Seat;
use crate::roster::{ReplicaAddr, ReplicaId, ReplicaName};

/// The pauses between looks after a nudge, as long as the container is seen to run.
pub(super) const RECHECK_DELAYS: [Duration; 6] = [
    Duration::from_millis(20),
    Duration::from_millis(30),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
];

/// The task that looks after one container.
#[derive(Debug)]
pub(super) struct ContainerTask {
    pub(super) id: ReplicaId,
    pub(super) seat: Option<Seat>,
    pub(super) name: ReplicaName,
    pub(super) dock: Arc<Shared>,
    pub(super) nudge: Arc<CheckSignal>,
    pub(super) told: oneshot::Receiver<StopMode>,
    /// Whether there may be a container, be its ID known or not.
    pub(super) may_exist: bool,
    /// Whether its end was reported.
    pub(super) is_told: bool,
}

/// Why nothing was started: a report, or the farewell that came first.
enum StartAborted {
    Report(EngineEvent),
    Farewell(StopMode),
}

impl ContainerTask {
    /// All of it; `berth` is where it runs already, if it was found.
    pub(super) async fn run(mut self, berth: Option<RunningContainer>) {
        let id = self.id;
        let begun = match berth {
            Some(berth) => Ok(berth),
            None => self.bring_up().await,
        };
        let farewell = match begun {
            Ok(RunningContainer { container, addr }) => {
                self.identify(&container);
                self.send_event(EngineEvent::Started { id, addr });
                self.supervise(&container).await
            }
            Err(StartAborted::Report(report)) => {
                self.send_event(report);
                self.stop_requested().await
            }
            Err(StartAborted::Farewell(farewell)) => farewell,
        };
        // One that is left stays in the book: nobody may take it for a stray.
        if farewell != StopMode::Detach {
            if self.may_exist {
                self.stop_and_remove(farewell).await;
            }
            self.dock.book.unregister(&self.container_name());
        }
        self.send_event(EngineEvent::Removed { id });
    }

    pub(super) fn send_event(&self, report: EngineEvent) {
        self.dock.reports.send(report);
    }

    pub(super) fn container_name(&self) -> String {
        self.dock.recipe.container_name(self.name.as_ref())
    }

    fn identify(&self, container: &Id) {
        self.dock.book.identify(&self.container_name(), container);
        let before = self
            .seat
            .and_then(|seat| self.dock.kept.supersede(seat, container));
        discard(&self.dock, before);
    }

    /// Waits for the order to go; a fleet that is gone gives it too.
    async fn stop_requested(&mut self) -> StopMode {
        (&mut self.told).await.unwrap_or(StopMode::Detach)
    }

    /// Makes and starts the container, when it is its turn.
    async fn bring_up(&mut self) -> Result<RunningContainer, StartAborted> {
        let dock = Arc::clone(&self.dock);
        let _turn = tokio::select! {
            biased;
            farewell = self.stop_requested() => return Err(StartAborted::Farewell(farewell)),
            turn = dock.starts.acquire() => turn,
        };
        let made = self.create().await;
        let started = match made {
            Ok(container) => {
                self.identify(&container);
                self.start(container).await
            }
            Err(report) => Err(report),
        };
        started.map_err(StartAborted::Report)
    }

    fn start_failed(&self, why: impl ToString) -> EngineEvent {
        EngineEvent::Failed {
            id: self.id,
            why: why.to_string(),
        }
    }

    /// Makes the container; one of ours that has its name and that nobody looks after gives way.
    async fn create(&mut self) -> Result<Id, EngineEvent> {
        let dock = Arc::clone(&self.dock);
        let Shared { api, recipe, .. } = &*dock;
        let name = self.container_name();
        let id = self.id;
        let refused = |why: &str| EngineEvent::NameRefused {
            id,
            why: why.to_owned(),
        };
        for _ in 0..2 {
            let body = recipe.replica(self.seat, &self.name);
            match api.create(&name, body).await {
                Ok(container) => {
                    self.may_exist = true;
                    return Ok(container);
                }
                Err(ApiError::Conflict(_)) => match api.inspect(&name).await {
                    Ok(other) if self.is_replaceable(&other) => {
                        // Whether that worked shows when it is tried again.
                        let _ = api.remove(&other.id).await;
                    }
                    Ok(_) => return Err(refused("is taken by a container that is not ours")),
                    Err(ApiError::Missing(_)) => {}
                    Err(fault) => return Err(self.start_failed(fault)),
                },
                Err(ApiError::Missing(_)) => return Err(self.start_failed(self.dock.no_image())),
                Err(ApiError::Refused { status: 400, .. }) if name.len() < 2 => {
                    return Err(refused("is too short for a container"));
                }
                Err(ApiError::Indeterminate(why)) => {
                    self.may_exist = true;
                    return self.find().await.ok_or_else(|| self.start_failed(why));
                }
                Err(fault) => return Err(self.start_failed(fault)),
            }
        }
        Err(refused("is taken by a container that does not go"))
    }

    fn is_replaceable(&self, other: &ContainerInfo) -> bool {
        let Shared { recipe, book, .. } = &*self.dock;
        let is_ours = other.labels.fleet.as_ref() == Some(&recipe.fleet);
        is_ours
            && !self.dock.is_held()
            && other.labels.is_replica()
            && other.name == self.container_name()
            && !book.has(&other.id)
    }

    /// Looks for the container that may have been made.
    async fn find(&self) -> Option<Id> {
        let name = self.container_name();
        let list = self.dock.api.list().await.ok()?;
        let found = list.into_iter().find(|listed| listed.name == name)?;
        Some(found.id)
    }

    async fn start(&self, container: Id) -> Result<RunningContainer, EngineEvent> {
        let Shared { api, recipe, .. } = &*self.dock;
        match api.start(&container).await {
            // After no clear answer it may run all the same.
            Ok(()) | Err(ApiError::Indeterminate(_)) => {}
            Err(fault) => return Err(self.start_failed(fault)),
        }
        let seen = api.inspect(container.as_str()).await;
        let seen = seen.map_err(|fault| self.start_failed(fault))?;
        match seen.run {
            RunState::Runs => {}
            RunState::Ended(how) => {
                let id = self.id;
                let how = self.with_log_tail(how, &container).await;
                return Err(EngineEvent::Ended { id, how });
            }
        }
        let Some(ip) = seen.addr_on(&recipe.network) else {
            return Err(self.start_failed("its container has no address on our network"));
        };
        Ok(RunningContainer {
            container,
            addr: ReplicaAddr((ip, recipe.port).into()),
        })
    }

    /// Reports its end, if it comes, and waits for the order to go.
    async fn supervise(&mut self, container: &Id) -> StopMode {
        let nudge = Arc::clone(&self.nudge);
        let mut looks = RECHECK_DELAYS.len();
        loop {
            let pause = RECHECK_DELAYS.get(looks).copied();
            tokio::select! {
                biased;
                farewell = self.stop_requested() => return farewell,
                () = nudge.requested() => looks = 0,
                () = sleep(pause.unwrap_or_default()), if pause.is_some() => looks += 1,
            }
            if let Some(how) = self.inspect_exit(container).await {
                let id = self.id;
                self.is_told = true;
                self.send_event(EngineEvent::Ended { id, how });
                return self.stop_requested().await;
            }
        }
    }

    /// Looks whether the container has ended, and how.
    pub(super) async fn inspect_exit(&self, container: &Id) -> Option<ExitReport> {
        match self.dock.api.inspect(container.as_str()).await {
            Ok(seen) => match seen.run {
                RunState::Runs => None,
                RunState::Ended(how) => Some(self.with_log_tail(how, container).await),
            },
            Err(ApiError::Missing(_)) => {
                // An event may have told of its exit code.
                let code = api_types::code(self.nudge.code());
                Some(format!("{code}, and was removed").into())
            }
            Err(fault) => {
                tracing::debug!("cannot look at container {container}: {fault}");
                None
            }
        }
    }

    async fn with_log_tail(&self, how: String, container: &Id) -> ExitReport {
        ExitReport::with_output(how, &self.dock.api.last_words(container).await)
    }
}
