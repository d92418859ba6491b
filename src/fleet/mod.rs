//! The fleet: the replica manager, and the only writer of the roster. It starts, probes, replaces,
//! drains and removes replicas.
//!
//! An engine event, a heartbeat, evidence or an order arrives in the inbox of one task
//! (`event_loop`). The task passes it to a pure state machine (`plan`) and applies the actions that
//! this returns: publish, start, probe, drain, remove, answer, record. The data path never waits
//! for any of it.
//!
//! The fleet has a thread of its own that lives as long as the process (`start`): a child's
//! parent-death signal fires when the thread that forked it ends.

mod discovery;
mod engine;
mod event_loop;
mod event_recorder;
mod events;
mod handle;
mod heartbeat;
mod journal;
mod names;
mod plan;
mod publisher;
mod readiness;
mod rollout_event;
mod settings;
mod start;
mod state_file;
#[cfg(test)]
mod tests;
mod version;

pub use discovery::{Discovery, discover};
pub use engine::{
    CheckedContainer, ContainerOptions, ContainerSettings, FLEET_LABEL, Image, LookupSettings,
    OWNER_LABEL, OwnPorts, ProcessSettings, PullPolicy, SEAT_LABEL, ServiceReading, SwarmSettings,
    check_create, engine_address, lock_name, with_tag,
};
pub use events::{EventKind, ReplicaEvent, Setting, SettingChange};
pub use handle::Fleet;
pub use heartbeat::{Probe, ProbeKind};
pub use journal::{Event, EventBody, JOURNAL_EVENTS, Journal};
pub use names::NamePattern;
pub use plan::{Ownership, Status};
pub use rollout_event::{RolloutEvent, RolloutStage};
pub use settings::{
    FixedSettings, FleetSettings, HeartbeatSettings, Inherited, ReplicaSettings, bundled_replica,
};
pub use start::{THREAD_NAME, start};
pub use state_file::{prepare_state_file, read_state_file};
