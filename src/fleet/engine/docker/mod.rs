//! The engine of containers: each replica is a container on a network that we are on, reached by the
//! address that the container engine reports for it.
//!
//! One task looks after each container (`life`), one more listens to the engine's events and lists (`watch`).
//! Before the first start `ground` finds out where we are and what is there already. The client library
//! is named in `api`, `logs`, `seen` and `spec` alone. Surprising: containers outlive us, on purpose (`--on-exit
//! keep`) or not (SIGKILL), and the next balancer of the fleet takes them over as they are; so a lock
//! keeps two balancers of one fleet apart.

mod api;
mod api_types;
mod container_task;
mod environment;
mod lock;
mod logs;
mod reconcile;
mod registry;
mod removal;
mod seat_markers;
mod spec;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Notify, Semaphore, oneshot};

use self::api::{Api, Id};
use self::container_task::ContainerTask;
use self::lock::Lock;
use self::registry::{CheckSignal, Registry};
use self::removal::{discard, discard_found, remove_leftovers};
use self::seat_markers::SeatMarkers;
use self::spec::ContainerTemplate;
use super::{CloseFuture, Engine, EngineEvents, Management, StopMode, VacantSeats};
use crate::metrics::FleetCounters;
use crate::ring::Seat;
use crate::roster::{ReplicaAddr, ReplicaId, ReplicaName};

pub(in crate::fleet) use self::environment::Environment;

/// Containers that are being started at a time; more slow each other down.
const MAX_STARTS: usize = 4;
/// Containers that are being removed at a time.
const MAX_REMOVALS: usize = 8;

/// What containers are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Image {
    /// The image of the container we are in; it holds the bundled replica too.
    Own,
    /// This one, which may be anybody's.
    Named(String),
}

/// What is wanted of the engine of containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerSettings {
    /// How many replicas at first, unless some are there already.
    pub count: usize,
    /// What they are made of.
    pub image: Image,
    /// Where they listen.
    pub port: u16,
    /// More of their environment, as `K=V`.
    pub env: Vec<String>,
    /// The most memory of one, in bytes.
    pub memory: i64,
    /// The most CPU time of one, in billionths of a CPU; `None`: no limit.
    pub nano_cpus: Option<i64>,
    /// The network they are on; `None`: the one we are on.
    pub network: Option<String>,
    /// Whose they are: one engine may hold several fleets.
    pub fleet: String,
    /// Whether they are left running when we are told to stop.
    pub keep: bool,
    /// Whether the gateway of our bridge is trusted; then there must be one.
    pub trust_gateway: bool,
}

/// A container that was there before us.
#[derive(Clone, Debug)]
pub(in crate::fleet) struct Found {
    pub(in crate::fleet) container: Id,
    /// The seat it was made for or was given; `None` for a standby.
    pub(in crate::fleet) seat: Option<Seat>,
    /// Whether only what it wrote tells of that.
    pub(in crate::fleet) is_written: bool,
    pub(in crate::fleet) name: ReplicaName,
    pub(in crate::fleet) state: State,
    /// When it was made, in seconds since 1970.
    pub(in crate::fleet) made: i64,
}

/// What it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::fleet) enum State {
    /// It runs and may answer here.
    Runs(ReplicaAddr),
    /// It does not; why, in a phrase.
    Ended(String),
}

/// A running container and where it answers.
#[derive(Clone, Debug)]
struct RunningContainer {
    container: Id,
    addr: ReplicaAddr,
}

/// What all tasks share.
#[derive(Debug)]
struct Shared {
    api: Api,
    recipe: ContainerTemplate,
    book: Registry,
    kept: SeatMarkers,
    starts: Semaphore,
    removals: Semaphore,
    reports: EngineEvents,
    lock: Lock,
    /// Where it is noted whether the engine answers.
    cells: Arc<FleetCounters>,
    /// Whether another process takes over, or we do and do not serve yet: containers that nobody here knows are
    /// the other one's.
    held: AtomicBool,
    /// A list is due now.
    relist: Notify,
}

impl Shared {
    fn no_image(&self) -> String {
        environment::no_image(&self.recipe.image_name)
    }

    fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed)
    }
}

/// The order to go, for the task that looks after a container, and its nudge.
#[derive(Debug)]
struct TaskHandle {
    container_name: String,
    tell: oneshot::Sender<StopMode>,
    nudge: Arc<CheckSignal>,
}

/// A container that is to go, and the seat that it told of if it has ended.
type DeadContainer = (Id, Option<Seat>);

/// Containers by replica.
#[derive(Debug)]
pub(in crate::fleet) struct Docker {
    dock: Arc<Shared>,
    lives: HashMap<ReplicaId, TaskHandle>,
    /// Those that run already, until they are asked for.
    berths: HashMap<ReplicaName, RunningContainer>,
    /// Those that are to go, until the first start, or until all is ours.
    discarded: Vec<DeadContainer>,
    watching: bool,
    keep: bool,
}

impl Docker {
    /// An engine on this ground; the `adopted` are started by taking them over, the `discarded` removed.
    pub(in crate::fleet) fn new(
        ground: Environment,
        adopted: &[Found],
        discarded: &[Found],
        reports: EngineEvents,
        cells: Arc<FleetCounters>,
    ) -> Self {
        let berth = |found: &Found| match found.state {
            State::Runs(addr) => {
                let container = found.container.clone();
                Some((found.name.clone(), RunningContainer { container, addr }))
            }
            State::Ended(_) => None,
        };
        let corpse = |found: &Found| {
            let has_ended = matches!(found.state, State::Ended(_));
            (found.container.clone(), found.seat.filter(|_| has_ended))
        };
        Self {
            discarded: discarded.iter().map(corpse).collect(),
            berths: adopted.iter().filter_map(berth).collect(),
            dock: Arc::new(Shared {
                api: ground.api,
                recipe: ground.recipe,
                book: Registry::default(),
                kept: SeatMarkers::default(),
                starts: Semaphore::new(MAX_STARTS),
                removals: Semaphore::new(MAX_REMOVALS),
                reports,
                lock: ground.lock,
                cells,
                held: AtomicBool::new(false),
                relist: Notify::new(),
            }),
            lives: HashMap::new(),
            watching: false,
            keep: ground.keep,
        }
    }
}

impl Engine for Docker {
    fn management(&self) -> Management {
        Management::Managed
    }

    fn start(&mut self, id: ReplicaId, seat: Option<Seat>, name: &ReplicaName) {
        let berth = self.berths.remove(name);
        let container_name = self.dock.recipe.container_name(name.as_ref());
        let nudge = self.dock.book.register(&container_name);
        if let Some(berth) = &berth {
            // Before the first list, to which it would be a stray.
            self.dock.book.identify(&container_name, &berth.container);
        }
        let (tell, told) = oneshot::channel();
        let life = ContainerTask {
            id,
            seat,
            name: name.clone(),
            dock: Arc::clone(&self.dock),
            nudge: Arc::clone(&nudge),
            told,
            may_exist: berth.is_some(),
            is_told: false,
        };
        let leash = TaskHandle {
            container_name,
            tell,
            nudge,
        };
        self.lives.insert(id, leash);
        tokio::spawn(life.run(berth));
        if !self.watching {
            self.watching = true;
            tokio::spawn(reconcile::watch(Arc::clone(&self.dock)));
            if !self.dock.is_held() {
                discard_found(&self.dock, self.discarded.drain(..));
            }
        }
    }

    fn handle(&self, id: ReplicaId) -> Option<String> {
        let name = &self.lives.get(&id)?.container_name;
        let container = self.dock.book.container(name)?;
        Some(format!("container:{container}"))
    }

    fn check_alive(&mut self, id: ReplicaId) {
        if let Some(leash) = self.lives.get(&id) {
            leash.nudge.request_check();
        }
    }

    fn remove(&mut self, id: ReplicaId, farewell: StopMode) {
        if let Some(leash) = self.lives.remove(&id) {
            // A task that is gone has panicked; its container is a stray then.
            let _ = leash.tell.send(farewell);
        }
    }

    fn set_handover(&mut self, holds: bool) {
        let held = self.dock.held.swap(holds, Ordering::Relaxed);
        if held && !holds {
            discard_found(&self.dock, self.discarded.drain(..));
            self.dock.relist.notify_one();
            let dock = Arc::clone(&self.dock);
            tokio::spawn(async move { dock.lock.reacquire(&dock.api, &dock.recipe).await });
        }
    }

    fn set_vacant_seats(&mut self, vacant: VacantSeats) {
        discard(&self.dock, self.dock.kept.set_vacant(vacant));
    }

    fn close(&mut self, leave: bool) -> CloseFuture {
        let (dock, keep) = (Arc::clone(&self.dock), self.keep || leave);
        Box::pin(async move {
            // Of another process that takes over just now, nobody can tell which are its own.
            if !keep && !dock.is_held() {
                remove_leftovers(&dock).await;
            }
            dock.lock.release(&dock.api).await;
        })
    }
}
