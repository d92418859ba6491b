//! The tasks of a service, as an orchestrator reports them: the values that an engine passes to the
//! plan.
//!
//! The orchestrator keeps the number of tasks, starts and replaces them. Each task has a slot,
//! which outlives it and is the number of its seat.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::ring::Seat;
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
}

/// The tasks of a service at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::fleet) struct ServiceSnapshot {
    /// Name of the service.
    pub(in crate::fleet) service: Arc<str>,
    /// Slots of wanted tasks, with the names of their replicas. A slot whose task has failed is
    /// among them, because another task is to follow.
    pub(in crate::fleet) seats: BTreeMap<Seat, ReplicaName>,
    /// Tasks that are wanted, and those that were wanted before and have not ended. A task that has
    /// ended is reported once.
    pub(in crate::fleet) tasks: BTreeMap<TaskId, Task>,
}
