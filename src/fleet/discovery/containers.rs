//! Discovery of a fleet of containers: its environment, those that exist, and their versions.

use std::collections::BTreeSet;
use std::time::Instant;

use tokio::task::JoinSet;

use super::adoption::{AdoptionPlan, ProbedContainer, classify};
use super::event_loop::event_loop;
use super::handover::inherit;
use crate::fleet::engine::{ContainerSettings, Environment, FoundContainer, FoundState};
use crate::fleet::heartbeat;
use crate::fleet::names;
use crate::fleet::plan::{InitialSeat, Plan, Policy};
use crate::fleet::settings::{FleetSettings, HeartbeatSettings, Inherited};
use crate::fleet::version::Version;
use crate::ring::Seat;
use crate::roster::ReplicaName;

/// Engine environment, and the plan for the containers that exist in it.
pub(in crate::fleet) type ExistingContainers = (Environment, AdoptionPlan);

/// Discovers a fleet of containers.
///
/// # Errors
/// As [`super::discover`].
pub(super) fn discover(
    settings: &FleetSettings,
    wanted: &ContainerSettings,
    mut policy: Policy,
    now: Instant,
) -> anyhow::Result<(Plan, ExistingContainers)> {
    let names: Vec<ReplicaName> = settings.names.first_names(wanted.count).collect();
    event_loop()?.block_on(async {
        let environment = Environment::survey(wanted, settings.taken_over_from).await?;
        let adoption = discover_containers(&environment, names, settings).await;
        policy.version = Some(environment.version());
        warn_of_versions(policy.version.as_ref(), &adoption);
        let (count, seats) = (wanted.count, adoption.seats.len());
        if count != seats && settings.seats.is_none() {
            tracing::warn!(
                "{count} replicas are configured; {seats} seats of an earlier run are kept instead"
            );
        }
        match Plan::resume(policy, &adoption.seats, &adoption.standbys, now) {
            Ok(plan) => Ok((plan, (environment, adoption))),
            Err(err) => {
                environment.release().await;
                Err(err.into())
            }
        }
    })
}

/// Warns of containers that keep another image than new replicas get.
fn warn_of_versions(new: Option<&Version>, adoption: &AdoptionPlan) {
    let Some(new) = new else { return };
    let runs = adoption.adopted.iter().filter(|found| found.seat.is_some());
    let others = runs.filter_map(|found| found.version.as_ref());
    let others: BTreeSet<String> = others
        .filter(|version| *version != new)
        .map(ToString::to_string)
        .collect();
    if !others.is_empty() {
        let others = Vec::from_iter(others).join(" and ");
        tracing::warn!(
            "replicas that were found run {others}, and new ones run {new}; 'replace all IMAGE' makes them alike"
        );
    }
}

/// Decides what becomes of the containers that exist. Without any, the seats begin with `names`.
async fn discover_containers(
    environment: &Environment,
    names: Vec<ReplicaName>,
    settings: &FleetSettings,
) -> AdoptionPlan {
    let probed = probe_all(&environment.found, settings.heartbeat.as_ref()).await;
    let mut adoption = classify(probed, settings.standbys, names::random_name);
    if let Some(seats) = &settings.seats {
        inherit(&mut adoption, seats, &names::random_name);
        return adoption;
    }
    if let Some(wanted) = environment.inherited_seats() {
        let seats: Vec<Inherited> = wanted
            .iter()
            .map(|seat| Inherited::unnamed(*seat))
            .collect();
        inherit(&mut adoption, &seats, &names::random_name);
        return adoption;
    }
    if !adoption.seats.is_empty() {
        return adoption;
    }
    for (seat, name) in (1..).map(Seat).zip(names) {
        let name = if environment.is_free(name.as_ref()).await {
            name
        } else {
            let other = names::random_name();
            tracing::warn!(
                "a container that is not ours has the name of {name}: seat {seat} begins with {other}"
            );
            other
        };
        adoption.seats.push(InitialSeat::new(seat, name, None));
    }
    adoption
}

/// Sends one heartbeat to each running container.
async fn probe_all(
    found: &[FoundContainer],
    heartbeat: Option<&HeartbeatSettings>,
) -> Vec<ProbedContainer> {
    let mut probes = JoinSet::new();
    for found in found.iter().cloned() {
        let heartbeat = heartbeat.cloned();
        probes.spawn(async move {
            let answer = match (&found.state, heartbeat) {
                (FoundState::Runs(addr), Some(HeartbeatSettings { probe, timeout, .. })) => {
                    heartbeat::identify(*addr, &probe, timeout).await
                }
                _ => None,
            };
            (found, answer)
        });
    }
    probes.join_all().await
}
