//! The engines: they start and remove replicas as child processes or containers, know the fixed
//! addresses of replicas that the operator runs, or follow the tasks of a service in a swarm.
//!
//! A call returns at once and never fails; its result arrives later as an [`EngineEvent`] in the
//! fleet's inbox. An engine remembers every replica that it was told to start, even a replica that
//! failed or ended by itself. Only when it is told to remove the replica does it send
//! [`EngineEvent::Removed`].

mod client;
mod docker;
mod exit_report;
mod fixed;
mod interface;
mod process;
mod service;
mod swarm;

pub use client::engine_address;
pub use docker::{
    CheckedContainer, ContainerOptions, ContainerSettings, FLEET_LABEL, Image, OWNER_LABEL,
    PullPolicy, SEAT_LABEL, check_create, lock_name, with_tag,
};
pub(super) use docker::{Docker, Environment, FoundContainer, FoundState};
pub(super) use exit_report::ExitReport;
pub(super) use fixed::{Fixed, Resolver};
pub use fixed::{LookupSettings, OwnPorts};
pub(super) use interface::{
    Engine, EngineEvent, EngineEvents, Management, PrepareFuture, StopMode, VacantSeats,
};
pub(super) use process::Process;
pub use process::ProcessSettings;
pub(super) use service::{
    ChangeId, ChangedService, ServiceChange, ServiceSnapshot, Task, TaskContainer, TaskId,
    TaskStage,
};
pub(super) use swarm::{PollReports, Swarm, SwarmNode};
pub use swarm::{ServiceReading, SwarmSettings};
