//! The engine of containers: each replica is a container on a network that we share, reached at the
//! address that the container engine reports.
//!
//! One task supervises each container (`container_task`); another follows the engine's events and
//! lists (`reconcile`). Before the first start, `environment` finds our own container and the
//! replicas that are there. Only `api`, `logs`, `spec` and the two files of API types name the
//! client library.
//!
//! Containers outlive this process, on purpose (`--on-exit keep`) or not (SIGKILL). The next
//! balancer of the fleet adopts them as they are; a lock keeps two balancers of one fleet apart.

mod api;
mod api_types;
mod container_id;
mod container_task;
mod create_check;
mod environment;
mod found_container;
mod found_versions;
mod image;
mod image_types;
mod lock;
mod logs;
mod network_types;
mod own_container;
mod reconcile;
mod registry;
mod removal;
mod replica_container;
mod seat_markers;
mod settings;
mod shared;
mod spec;
mod wanted_seats;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, oneshot, watch};
use tokio::time::sleep;

use self::container_task::ContainerTask;
use self::image::find_image;
use self::registry::CheckSignal;
use self::removal::{discard, discard_found, remove_leftovers};
use self::replica_container::ReplicaContainer;
use self::shared::{DeadContainer, RunningContainer, Shared};
use self::wanted_seats::WantedSeats;
use super::interface::{
    CloseFuture, Engine, EngineEvents, Management, PrepareFuture, StopMode, VacantSeats,
};
use crate::fleet::version::{Program, Version};
use crate::metrics::FleetCounters;
use crate::orders::VersionRequest;
use crate::ring::Seat;
use crate::roster::{ReplicaId, ReplicaName};

pub use self::create_check::{CheckedContainer, check_create};
pub(in crate::fleet) use self::environment::Environment;
pub(in crate::fleet) use self::found_container::{FoundContainer, FoundState};
pub use self::image::with_tag;
pub(super) use self::own_container::own_container_id;
pub use self::settings::{ContainerOptions, ContainerSettings, Image, PullPolicy};
pub use self::spec::{FLEET_LABEL, OWNER_LABEL, SEAT_LABEL, lock_name};

/// Delay before the wanted seats are written into the lock again.
const RECORD_RETRY_DELAY: Duration = Duration::from_secs(1);

/// The requests to a container's task.
#[derive(Debug)]
struct TaskHandle {
    container_name: String,
    stop: oneshot::Sender<StopMode>,
    kill: Arc<Notify>,
    check: Arc<CheckSignal>,
}

/// Containers by replica.
#[derive(Debug)]
pub(in crate::fleet) struct Docker {
    shared: Arc<Shared>,
    tasks: HashMap<ReplicaId, TaskHandle>,
    /// Adopted containers that run already, until their replicas are started.
    adopted: HashMap<ReplicaName, RunningContainer>,
    /// Containers to remove at the first start, or when the handover ends.
    discarded: Vec<DeadContainer>,
    is_watching: bool,
    keep: bool,
    /// Wanted seats, for the label of the lock.
    wanted: watch::Sender<WantedSeats>,
}

impl Docker {
    /// Creates an engine in this environment. It starts the `adopted` by supervising them as they
    /// are, and removes the `discarded`.
    pub(in crate::fleet) fn new(
        environment: Environment,
        adopted: &[FoundContainer],
        discarded: &[FoundContainer],
        events: EngineEvents,
        counters: Arc<FleetCounters>,
    ) -> Self {
        let running = |found: &FoundContainer| match found.state {
            FoundState::Runs(addr) => {
                let container = found.container.clone();
                Some((found.name.clone(), RunningContainer { container, addr }))
            }
            FoundState::Ended(_) => None,
        };
        let dead = |found: &FoundContainer| {
            let has_ended = matches!(found.state, FoundState::Ended(_));
            (found.container.clone(), found.seat.filter(|_| has_ended))
        };
        Self {
            discarded: discarded.iter().map(dead).collect(),
            adopted: adopted.iter().filter_map(running).collect(),
            keep: environment.keep,
            shared: Arc::new(Shared::new(environment, events, counters)),
            tasks: HashMap::new(),
            is_watching: false,
            wanted: watch::Sender::default(),
        }
    }
}

impl Engine for Docker {
    fn management(&self) -> Management {
        Management::Managed
    }

    fn start(
        &mut self,
        id: ReplicaId,
        seat: Option<Seat>,
        name: &ReplicaName,
        version: Option<&Version>,
    ) {
        let image = match version.map(Version::program) {
            Some(Program::Image(image)) => image,
            _ => &self.shared.template.image,
        };
        let running = self.adopted.remove(name);
        let container_name = self.shared.template.container_name(name.as_ref());
        let check = self.shared.registry.register(&container_name);
        if let Some(running) = &running {
            // Before the first list, in which the container would count as a stray.
            let registry = &self.shared.registry;
            registry.identify(&container_name, &running.container);
        }
        let (stop, stop_requested) = oneshot::channel();
        let replica = ReplicaContainer {
            id,
            seat,
            name: name.clone(),
            image: image.clone(),
            shared: Arc::clone(&self.shared),
            check: Arc::clone(&check),
        };
        let kill = Arc::<Notify>::default();
        let task = ContainerTask::new(replica, stop_requested, Arc::clone(&kill));
        let handle = TaskHandle {
            container_name,
            stop,
            kill,
            check,
        };
        self.tasks.insert(id, handle);
        tokio::spawn(task.run(running));
        if !self.is_watching {
            self.is_watching = true;
            tokio::spawn(reconcile::watch(Arc::clone(&self.shared)));
            tokio::spawn(record_seats(
                Arc::clone(&self.shared),
                self.wanted.subscribe(),
            ));
            if !self.shared.handover_active() {
                discard_found(&self.shared, self.discarded.drain(..));
            }
        }
    }

    fn prepare(&self, request: &VersionRequest) -> PrepareFuture {
        let shared = Arc::clone(&self.shared);
        let request = request.clone();
        Box::pin(async move {
            let VersionRequest::Image(name) = request else {
                return Err("containers run an image, not a command: replace all IMAGE".to_owned());
            };
            let pull = shared.template.pull;
            let image = find_image(&shared.api, &name, pull).await;
            let image = image.map_err(|err| format!("{err:#}"))?;
            Ok(Version::new(Program::Image(image.into_version(&name))))
        })
    }

    fn handle(&self, id: ReplicaId) -> Option<String> {
        let name = &self.tasks.get(&id)?.container_name;
        let container = self.shared.registry.container(name)?;
        Some(format!("container:{container}"))
    }

    fn check_alive(&mut self, id: ReplicaId) {
        if let Some(task) = self.tasks.get(&id) {
            task.check.request_check();
        }
    }

    fn kill(&mut self, id: ReplicaId) {
        if let Some(task) = self.tasks.get(&id) {
            task.kill.notify_one();
        }
    }

    fn remove(&mut self, id: ReplicaId, mode: StopMode) {
        if let Some(task) = self.tasks.remove(&id) {
            // Sending fails only if the task has panicked; its container is a stray then.
            let _ = task.stop.send(mode);
        }
    }

    fn set_handover(&mut self, active: bool) {
        let was_active = self.shared.set_handover(active);
        if was_active && !active {
            discard_found(&self.shared, self.discarded.drain(..));
            self.shared.relist.notify_one();
            let shared = Arc::clone(&self.shared);
            tokio::spawn(async move {
                shared.lock.reacquire(&shared.api, &shared.template).await;
            });
        }
    }

    fn set_vacant_seats(&mut self, vacant: VacantSeats) {
        discard(&self.shared, self.shared.markers.set_vacant(vacant));
    }

    fn set_wanted_seats(&mut self, wanted: &BTreeSet<Seat>) {
        self.wanted.send_if_modified(|last| {
            let differs = last.0 != *wanted;
            last.0.clone_from(wanted);
            differs
        });
    }

    fn close(&mut self, leave: bool) -> CloseFuture {
        let (shared, keep) = (Arc::clone(&self.shared), self.keep || leave);
        Box::pin(async move {
            // During a handover the other balancer's containers cannot be told from ours.
            if !keep && !shared.handover_active() {
                remove_leftovers(&shared).await;
            }
            shared.lock.release(&shared.api).await;
        })
    }
}

/// Writes the wanted seats into the label of the lock, whenever they change.
async fn record_seats(shared: Arc<Shared>, mut wanted: watch::Receiver<WantedSeats>) {
    // The first seats were set before this task began.
    wanted.mark_changed();
    while wanted.changed().await.is_ok() {
        let mut seats = wanted.borrow_and_update().clone();
        // During a handover the other balancer has the lock.
        while shared.handover_active()
            || !shared
                .lock
                .record(&shared.api, &shared.template, &seats)
                .await
        {
            sleep(RECORD_RETRY_DELAY).await;
            seats.clone_from(&wanted.borrow_and_update());
        }
    }
}
