//! Discovery before the fleet starts: its seats, the replicas that exist already, and the names of
//! the others.
//!
//! It starts nothing. Only containers can exist before this process; child processes end with their
//! parent.

mod adoption;
mod containers;
mod event_loop;
mod handover;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use super::engine::{Environment, Management, SwarmNode};
use super::heartbeat::ProbeKind;
use super::names;
use super::plan::{InitialSeat, Plan, Policy, ProbeWording};
use super::publisher;
use super::settings::{FleetSettings, ReplicaSettings};
use super::version::{Program, Version};
use crate::metrics::ReplicaCounters;
use crate::ring::Seat;
use crate::roster::{ReplicaName, Roster};
pub(super) use containers::ExistingContainers;
use event_loop::event_loop;
use handover::{backend_seats, inherited_seats};

/// The discovered fleet, and the plan for it.
#[derive(Debug)]
pub struct Discovery {
    pub(super) settings: FleetSettings,
    pub(super) plan: Plan,
    /// The environment of the engine.
    pub(super) survey: EngineSurvey,
}

/// The environment of an engine that depends on one.
#[derive(Debug)]
pub(super) enum EngineSurvey {
    /// Child processes and fixed backends depend on none.
    Nothing,
    /// The environment of containers, and what becomes of those that exist.
    Containers(Box<ExistingContainers>),
    /// Our own node of a swarm.
    Swarm(Box<SwarmNode>),
}

impl EngineSurvey {
    fn environment(&self) -> Option<&Environment> {
        match self {
            Self::Containers(existing) => Some(&existing.0),
            Self::Nothing | Self::Swarm(_) => None,
        }
    }
}

impl Discovery {
    /// Returns the initial roster, with all seats on the ring.
    ///
    /// Its members are the replicas that run already. They are down until they answer, or up when
    /// there are no heartbeats.
    #[must_use]
    pub fn initial_roster(&self) -> Roster {
        // The address of a name may come later.
        let has_names = self
            .plan
            .backends()
            .keys()
            .any(|addr| addr.literal().is_none());
        let watched = self.settings.heartbeat.is_some() || has_names;
        let workers = self.settings.workers;
        let new = |_, _| Arc::new(ReplicaCounters::new(workers));
        publisher::build_roster(self.plan.view(), watched, new)
    }

    /// Returns the address at which a user of this machine reaches our listener at `listening`: the
    /// published port, if this program runs in a container.
    #[must_use]
    pub fn seen_from_host(&self, listening: SocketAddr) -> SocketAddr {
        match self.survey.environment() {
            Some(environment) => environment.seen_from_host(listening),
            None => listening,
        }
    }

    /// Returns the number of wanted replicas.
    #[must_use]
    pub fn wanted(&self) -> usize {
        self.plan.status().wanted
    }

    /// Returns the host's address on the network of the replicas, if it is to be trusted.
    #[must_use]
    pub fn gateway(&self) -> Option<IpAddr> {
        self.survey.environment()?.gateway
    }
}

/// Discovers the fleet. With containers this takes the fleet's lock.
///
/// # Errors
/// When the settings contradict each other or the ring has no room. With containers also when the
/// engine does not answer, lacks an image or a network, or another balancer runs this fleet.
pub fn discover(settings: FleetSettings) -> anyhow::Result<Discovery> {
    settings.check()?;
    let now = Instant::now();
    let policy = policy(&settings);
    let (mut plan, survey) = match &settings.replicas {
        ReplicaSettings::Process { wanted, .. } => {
            let seats = match &settings.seats {
                None => new_seats(settings.names.first_names(wanted.count)),
                Some(seats) => inherited_seats(seats, &names::random_name),
            };
            (
                Plan::resume(policy, &seats, &[], now)?,
                EngineSurvey::Nothing,
            )
        }
        ReplicaSettings::Fixed(fixed) => {
            let seats = backend_seats(&fixed.backends, settings.seats.as_deref());
            (
                Plan::resume(policy, &seats, &[], now)?,
                EngineSurvey::Nothing,
            )
        }
        ReplicaSettings::Swarm(wanted) => {
            let node = event_loop()?.block_on(SwarmNode::survey(wanted))?;
            // The seats follow when the fleet begins.
            (
                Plan::resume(policy, &[], &[], now)?,
                EngineSurvey::Swarm(Box::new(node)),
            )
        }
        ReplicaSettings::Docker(wanted) => {
            let (plan, existing) = containers::discover(&settings, wanted, policy, now)?;
            (plan, EngineSurvey::Containers(Box::new(existing)))
        }
    };
    if settings.taken_over_from.is_some() {
        plan.begin_acquiring();
    }
    Ok(Discovery {
        settings,
        plan,
        survey,
    })
}

/// Returns the settings of the plan.
fn policy(settings: &FleetSettings) -> Policy {
    let heartbeat = settings.heartbeat.as_ref();
    Policy {
        keeper: match settings.replicas {
            ReplicaSettings::Fixed(_) => Management::External,
            ReplicaSettings::Swarm(_) => Management::Orchestrated,
            ReplicaSettings::Process { .. } | ReplicaSettings::Docker(_) => Management::Managed,
        },
        watched: heartbeat.is_some(),
        ring: settings.ring.clone(),
        bound: settings.bound,
        misses: heartbeat.map_or(1, |heartbeat| heartbeat.misses.max(1)),
        replace_after: heartbeat.map_or_else(Default::default, |h| h.replace_after),
        interval: heartbeat.map_or_else(Default::default, |heartbeat| heartbeat.interval),
        start_timeout: settings.start_timeout,
        drain_timeout: settings.drain_timeout,
        slow_start: settings.slow_start,
        max_replicas: settings.max_replicas,
        standbys: settings.standbys,
        version: match &settings.replicas {
            ReplicaSettings::Process { wanted, .. } => Some(Version::new(match &wanted.command {
                Some(command) => Program::Command(command.clone()),
                None => Program::Bundled,
            })),
            // The image of containers is looked up later.
            ReplicaSettings::Docker(_) | ReplicaSettings::Fixed(_) | ReplicaSettings::Swarm(_) => {
                None
            }
        },
        wording: wording(settings),
        keep: matches!(&settings.replicas, ReplicaSettings::Docker(wanted) if wanted.keep),
    }
}

/// Returns the words for failed heartbeats.
fn wording(settings: &FleetSettings) -> ProbeWording {
    let heartbeat = settings.heartbeat.as_ref();
    let request = heartbeat.and_then(|heartbeat| match &heartbeat.probe.kind {
        ProbeKind::Get { path, .. } => Some(format!("GET {path}")),
        ProbeKind::Connect => None,
    });
    ProbeWording {
        request,
        timeout: heartbeat.map_or_else(Default::default, |heartbeat| heartbeat.timeout),
        port_hint: match &settings.replicas {
            ReplicaSettings::Docker(_) | ReplicaSettings::Swarm(_) => "see --replica-port",
            ReplicaSettings::Process { wanted, .. } if wanted.command.is_some() => {
                "the command must listen on 127.0.0.1:$PORT, or on $SOCKET if it names that"
            }
            ReplicaSettings::Process { .. } | ReplicaSettings::Fixed(_) => "",
        },
    }
}

/// Returns seats 1, 2, 3 … for these names.
fn new_seats(names: impl Iterator<Item = ReplicaName>) -> Vec<InitialSeat> {
    let seats = (1..)
        .map(Seat)
        .zip(names)
        .map(|(seat, name)| InitialSeat::new(seat, name, None));
    seats.collect()
}
