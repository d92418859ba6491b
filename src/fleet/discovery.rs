//! The look around before the fleet begins: which seats there are, who sits in them already, and what
//! everybody else is to be called.
//!
//! It starts nothing. Only containers can be there before us; child processes end with their parent.

mod adoption;
mod handover;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use tokio::task::JoinSet;

use super::engine::{Environment, Found, Management, State};
use super::heartbeat;
use super::plan::{InitialSeat, Plan, Policy};
use super::publisher;
use super::{FleetSettings, HeartbeatSettings, ReplicaSettings, names};
use crate::metrics::ReplicaCounters;
use crate::ring::Seat;
use crate::roster::{ReplicaName, Roster};
use adoption::{AdoptionPlan, ProbedContainer, classify};
use handover::inherited;

/// What was found, and the plan for it.
#[derive(Debug)]
pub struct Discovery {
    pub(super) settings: FleetSettings,
    pub(super) plan: Plan,
    /// With containers: where we stand, and what is there.
    pub(super) containers: Option<(Environment, AdoptionPlan)>,
}

impl Discovery {
    /// The roster to begin with: all seats on the ring; members only if they run already, down until they
    /// answer, or up when there are no heartbeats.
    #[must_use]
    pub fn initial_roster(&self) -> Roster {
        let watched = self.settings.heartbeat.is_some();
        let workers = self.settings.workers;
        let new = |_, _| Arc::new(ReplicaCounters::new(workers));
        publisher::build_roster(self.plan.view(), watched, new)
    }

    /// How many replicas are wanted.
    #[must_use]
    pub fn wanted(&self) -> usize {
        self.plan.status().wanted
    }

    /// The host, as the network of our replicas sees it, if its word is to be trusted.
    #[must_use]
    pub fn gateway(&self) -> Option<IpAddr> {
        self.containers.as_ref()?.0.gateway
    }
}

/// Looks around. With containers this takes the fleet's lock.
///
/// # Errors
/// When the settings contradict each other, the ring has no room, or the engine of containers does not
/// answer, misses something, or has another balancer of this fleet.
pub fn discover(settings: FleetSettings) -> anyhow::Result<Discovery> {
    settings.check()?;
    let now = Instant::now();
    let policy = settings.policy();
    let numbered = |count: usize| (1..=count).filter_map(|n| format!("S{n}").parse().ok());
    let (mut plan, containers) = match &settings.replicas {
        ReplicaSettings::Process { wanted, .. } => {
            let first = match &settings.seats {
                None => fresh(numbered(wanted.count)),
                Some(seats) => inherited(seats, &names::random_name),
            };
            (Plan::resume(policy, &first, &[], now)?, None)
        }
        ReplicaSettings::Fixed(backends) => {
            let before: Vec<_> = settings.seats.iter().flatten().collect();
            let before = |name| {
                before
                    .iter()
                    .find(|before| before.name.as_ref() == Some(name))
            };
            let first = (1..)
                .map(Seat)
                .zip(backends)
                .map(|(seat, (name, addr))| InitialSeat {
                    seat,
                    name: name.clone(),
                    addr: Some(*addr),
                    drained: before(name).is_some_and(|before| before.drained),
                    serves: before(name).is_some(),
                });
            (
                Plan::resume(policy, &first.collect::<Vec<_>>(), &[], now)?,
                None,
            )
        }
        ReplicaSettings::Docker(wanted) => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .context("no event loop to look around")?;
            let names: Vec<ReplicaName> = numbered(wanted.count).collect();
            runtime.block_on(async {
                let ground = Environment::survey(wanted, settings.taken_over_from).await?;
                let sorted = discover_containers(&ground, names, &settings).await;
                let (asked, seats) = (wanted.count, sorted.first.len());
                if asked != seats && settings.seats.is_none() {
                    tracing::warn!(
                        "{asked} replicas are asked for; {seats} seats of an earlier run were found and count"
                    );
                }
                match Plan::resume(policy, &sorted.first, &sorted.standbys, now) {
                    Ok(plan) => Ok::<_, anyhow::Error>((plan, Some((ground, sorted)))),
                    Err(err) => {
                        ground.release().await;
                        Err(err.into())
                    }
                }
            })?
        }
    };
    if settings.taken_over_from.is_some() {
        plan.borrow();
    }
    Ok(Discovery {
        settings,
        plan,
        containers,
    })
}

impl FleetSettings {
    fn policy(&self) -> Policy {
        let heartbeat = self.heartbeat.as_ref();
        Policy {
            keeper: match self.replicas {
                ReplicaSettings::Fixed(_) => Management::External,
                ReplicaSettings::Process { .. } | ReplicaSettings::Docker(_) => Management::Managed,
            },
            watched: heartbeat.is_some(),
            ring: self.ring.clone(),
            bound: self.bound,
            misses: heartbeat.map_or(1, |heartbeat| heartbeat.misses.max(1)),
            replace_after: heartbeat.map_or_else(Default::default, |h| h.replace_after),
            interval: heartbeat.map_or_else(Default::default, |heartbeat| heartbeat.interval),
            start_timeout: self.start_timeout,
            drain_timeout: self.drain_timeout,
            max_replicas: self.max_replicas,
            standbys: self.standbys,
            keep: matches!(&self.replicas, ReplicaSettings::Docker(wanted) if wanted.keep),
        }
    }
}

/// Seats 1, 2, 3 … for these names.
fn fresh(names: impl Iterator<Item = ReplicaName>) -> Vec<InitialSeat> {
    let first = (1..)
        .map(Seat)
        .zip(names)
        .map(|(seat, name)| InitialSeat::new(seat, name, None));
    first.collect()
}

/// Finds the seats; `names` are for those that begin when nothing is there.
async fn discover_containers(
    ground: &Environment,
    names: Vec<ReplicaName>,
    settings: &FleetSettings,
) -> AdoptionPlan {
    let asked = probe_all(&ground.found, settings.heartbeat.as_ref()).await;
    let mut sorted = classify(asked, settings.standbys, names::random_name);
    if let Some(seats) = &settings.seats {
        sorted.inherit(seats, &names::random_name);
        return sorted;
    }
    if !sorted.first.is_empty() {
        return sorted;
    }
    for (seat, name) in (1..).map(Seat).zip(names) {
        let name = if ground.is_free(name.as_ref()).await {
            name
        } else {
            let other = names::random_name();
            tracing::warn!(
                "a container that is not ours has the name of {name}: seat {seat} begins with {other}"
            );
            other
        };
        sorted.first.push(InitialSeat::new(seat, name, None));
    }
    sorted
}

async fn probe_all(found: &[Found], heartbeat: Option<&HeartbeatSettings>) -> Vec<ProbedContainer> {
    let mut asking = JoinSet::new();
    for found in found.iter().cloned() {
        let heartbeat = heartbeat.cloned();
        asking.spawn(async move {
            let answer = match (&found.state, heartbeat) {
                (State::Runs(addr), Some(HeartbeatSettings { ask, timeout, .. })) => {
                    heartbeat::identify(*addr, &ask, timeout).await
                }
                _ => None,
            };
            (found, answer)
        });
    }
    asking.join_all().await
}
