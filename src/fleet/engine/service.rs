//! A service as an orchestrator reports it, and the changes that an order makes to it: the values
//! that cross the seam between an engine and the plan.
//!
//! The orchestrator keeps the number of tasks, starts and replaces them. Each task has a slot,
//! which outlives it and is the number of its seat. What all balancers of the service must agree
//! on stands in the service itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::load::LoadBound;
use crate::ring::{Seat, Spec, Weight, Weights};
use crate::roster::{ReplicaAddr, ReplicaName};

/// ID of a task; never reused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::fleet) struct TaskId(Arc<str>);

impl From<&str> for TaskId {
    fn from(id: &str) -> Self {
        Self(id.into())
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Full ID of the container of a task on our own node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::fleet) struct TaskContainer(pub(in crate::fleet) Arc<str>);

/// Stage in the life of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::fleet) enum TaskStage {
    /// Wanted, and not running yet.
    Coming,
    /// Running and wanted.
    Runs,
    /// Running, and to end: its replica finishes its requests.
    Leaving,
    /// Ended, for this reason.
    Ended(String),
}

/// A task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::fleet) struct Task {
    /// Seat of its slot.
    pub(in crate::fleet) seat: Seat,
    /// Stage.
    pub(in crate::fleet) stage: TaskStage,
    /// Address on the network of the balancer, once it has one there.
    pub(in crate::fleet) addr: Option<ReplicaAddr>,
    /// Time of its creation: a newer task of a slot is to replace an older one.
    pub(in crate::fleet) created: SystemTime,
    /// Number of forced updates of the service before it was made.
    pub(in crate::fleet) generation: u64,
    /// Its container, if that is on our own node.
    pub(in crate::fleet) container: Option<TaskContainer>,
}

/// Settings that the balancers of a service share, because they stand in the service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::fleet) struct ServiceSettings {
    /// Kind of ring; `None`: that of the flags.
    pub(in crate::fleet) ring: Option<Spec>,
    /// Limit of a seat's load above the mean; `None`: that of the flags.
    pub(in crate::fleet) bound: Option<LoadBound>,
    /// Weights of the seats.
    pub(in crate::fleet) weights: Weights,
    /// Tasks from which an order keeps new requests.
    pub(in crate::fleet) drained: BTreeSet<TaskId>,
}

/// A service and its tasks at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::fleet) struct ServiceSnapshot {
    /// Name of the service.
    pub(in crate::fleet) service: Arc<str>,
    /// Version, which grows with every change of the service.
    pub(in crate::fleet) version: u64,
    /// Number of tasks that the service wants.
    pub(in crate::fleet) wanted: usize,
    /// Reason for which the orchestrator has stopped its rolling update, or turned it back; `None`
    /// also without an update.
    pub(in crate::fleet) stopped_update: Option<String>,
    /// Time between two steps of a rolling update.
    pub(in crate::fleet) update_delay: Duration,
    /// Settings that stand in the service.
    pub(in crate::fleet) settings: ServiceSettings,
    /// Slots of wanted tasks, with the names of their replicas. A slot whose task has failed is
    /// among them, because another task is to follow.
    pub(in crate::fleet) seats: BTreeMap<Seat, ReplicaName>,
    /// Tasks that are wanted, and those that were wanted before and have not ended. A task that has
    /// ended is reported once.
    pub(in crate::fleet) tasks: BTreeMap<TaskId, Task>,
}

/// Number of a change, which matches its result to its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::fleet) struct ChangeId(pub(in crate::fleet) u64);

/// Change of a service. It is applied to the newest version, or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::fleet) enum ServiceChange {
    /// Want more tasks.
    Add {
        /// Number of further tasks.
        n: usize,
        /// Largest number of tasks in all.
        max: usize,
        /// Number of wanted tasks on which the order relies; `None`: any.
        from: Option<usize>,
    },
    /// Want fewer tasks, by this number.
    Remove(usize),
    /// Want this number of tasks.
    Scale(usize),
    /// Set the kind of ring.
    Ring(Spec),
    /// Set the load bound.
    Bound(LoadBound),
    /// Set the weight of a seat.
    Weight(Seat, Weight),
    /// Keep new requests from a task, or no longer.
    Drain(TaskId, bool),
    /// Replace all tasks, by this image if one is given.
    Replace(Option<String>),
}

/// A service after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fleet) struct ChangedService {
    /// Version: a snapshot of this one or of a later one has the change.
    pub(in crate::fleet) version: u64,
    /// Number of its forced updates.
    pub(in crate::fleet) generation: u64,
}
