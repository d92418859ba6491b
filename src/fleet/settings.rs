//! Settings of the fleet.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;

use super::engine::{ContainerSettings, LookupSettings, ProcessSettings, SwarmSettings};
use super::heartbeat::Probe;
use super::names::NamePattern;
use crate::load::LoadBound;
use crate::orders::BackendSeat;
use crate::ring::{Seat, Spec, Weight};
use crate::roster::ReplicaName;
use crate::stats::CounterRegistry;

/// The kind of replicas, with its settings.
#[derive(Clone, Debug)]
pub enum ReplicaSettings {
    /// Child processes, named S1, S2, S3 …
    Process {
        /// The replica binary, unless a command replaces it; see [`bundled_replica`].
        binary: PathBuf,
        /// Settings of the engine.
        wanted: ProcessSettings,
    },
    /// Containers, named S1, S2, S3 … unless containers of the fleet exist already.
    Docker(ContainerSettings),
    /// Backends that the operator runs.
    Fixed(FixedSettings),
    /// Tasks of a service in a swarm.
    Swarm(SwarmSettings),
}

/// Settings of fixed backends.
#[derive(Clone, Debug)]
pub struct FixedSettings {
    /// The backends of the flags, in seats 1, 2, 3 …
    pub flags: Vec<BackendSeat>,
    /// The backends to begin with, in the order of `/rep`; seats and names are distinct.
    pub backends: Vec<BackendSeat>,
    /// File that keeps the list over a restart.
    pub state: Option<PathBuf>,
    /// Lookups of their hosts.
    pub lookups: LookupSettings,
}

/// Settings of heartbeats.
#[derive(Clone, Debug)]
pub struct HeartbeatSettings {
    /// Time between heartbeats.
    pub interval: Duration,
    /// Time after which a heartbeat without an answer is a miss.
    pub timeout: Duration,
    /// Number of consecutive misses after which routing skips a replica; at least 1.
    pub misses: u32,
    /// Time without an answer after which a replica counts as dead.
    pub replace_after: Duration,
    /// Form of a heartbeat.
    pub probe: Probe,
}

/// A seat of the balancer that is taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inherited {
    /// The seat.
    pub seat: Seat,
    /// Name of its replica; `None` if no replica lives there.
    pub name: Option<ReplicaName>,
    /// `true` if an order keeps new requests away from it.
    pub drained: bool,
    /// Weight of the seat.
    pub weight: Weight,
}

impl Inherited {
    /// Returns a seat of a balancer that has ended without telling the name of its replica.
    pub(super) fn unnamed(seat: Seat) -> Self {
        Self {
            seat,
            name: None,
            drained: false,
            weight: Weight::ONE,
        }
    }
}

/// Settings of the fleet.
#[derive(Clone, Debug)]
pub struct FleetSettings {
    /// The replicas.
    pub replicas: ReplicaSettings,
    /// The kind of ring.
    pub ring: Spec,
    /// Limit of a seat's load above the mean.
    pub bound: LoadBound,
    /// Heartbeats. `None`: every replica counts as up, and evidence is ignored; only with
    /// [`ReplicaSettings::Fixed`].
    pub heartbeat: Option<HeartbeatSettings>,
    /// Time from the start of a replica to its first answer.
    pub start_timeout: Duration,
    /// Time from leaving the ring to removal, for a replica that does not become idle.
    pub drain_timeout: Duration,
    /// Time within which a replica that joins comes to take all keys of its seat; 0 for at once.
    pub slow_start: Duration,
    /// Maximum number of wanted replicas.
    pub max_replicas: usize,
    /// Number of standbys outside the ring; 0 with [`ReplicaSettings::Fixed`]
    /// and [`ReplicaSettings::Swarm`].
    pub standbys: usize,
    /// Names of the first replicas, unless replicas of an earlier run exist.
    pub names: NamePattern,
    /// Number of workers of the data path; each has its own counters.
    pub workers: usize,
    /// Seats of the balancer that is taken over, in the order of its list, instead of S1, S2, S3 …
    pub seats: Option<Vec<Inherited>>,
    /// PID of the process that is taken over. Its lock is no obstacle, and the replicas that are
    /// found belong to it until [`Ownership::Owned`] is set. If the fleet is dropped, all is left
    /// to it.
    ///
    /// [`Ownership::Owned`]: super::Ownership::Owned
    pub taken_over_from: Option<u32>,
    /// Registry of the counters of seats, and of the fleet's own.
    pub counters: CounterRegistry,
}

impl FleetSettings {
    /// Checks settings that depend on each other.
    ///
    /// # Errors
    /// When two settings contradict each other.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        match &self.replicas {
            ReplicaSettings::Process { .. }
            | ReplicaSettings::Docker(_)
            | ReplicaSettings::Swarm(_)
                if self.heartbeat.is_none() =>
            {
                bail!("heartbeats can only be off with fixed backends")
            }
            ReplicaSettings::Process { .. } | ReplicaSettings::Docker(_) => Ok(()),
            ReplicaSettings::Fixed(_) | ReplicaSettings::Swarm(_) if self.standbys > 0 => {
                bail!("fixed backends and tasks of a swarm have no standbys")
            }
            ReplicaSettings::Swarm(_) => Ok(()),
            ReplicaSettings::Fixed(fixed) => {
                let mut seen = HashSet::new();
                let mut backends = fixed.backends.iter();
                match backends.find(|backend| !seen.insert(&backend.name)) {
                    Some(backend) => bail!("two backends are named {}", backend.name),
                    None => Ok(()),
                }
            }
        }
    }
}

/// Returns the path of the bundled replica binary, beside our own executable.
///
/// # Errors
/// When the system cannot tell the path of our executable.
pub fn bundled_replica() -> io::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("replica"))
}
