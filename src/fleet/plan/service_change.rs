//! Change of a service, or the end of a task, that carries out an order; or its refusal.

use super::state::PlanState;
use super::{add, ring_settings};
use crate::fleet::engine::{ServiceChange, ServiceSnapshot, TaskContainer, TaskId};
use crate::orders::{
    Order, OrderError, ReplaceRequest, ReplaceTarget, VersionRequest, check_slot_names,
};
use crate::roster::ReplicaName;

/// Means by which an order is carried out.
#[derive(Debug)]
pub(super) enum OrderWork {
    /// A change of the service.
    Change(ServiceChange),
    /// The end of a task.
    KillTask(TaskContainer),
}

/// Returns the means by which an order is carried out.
///
/// # Errors
/// The service cannot be changed so.
pub(super) fn work_for(
    state: &PlanState,
    service: &ServiceSnapshot,
    order: Order,
) -> Result<OrderWork, OrderError> {
    let max = state.policy.max_replicas;
    Ok(OrderWork::Change(match order {
        Order::Add(change) => {
            let n = change.n;
            add::next_seats(state, n)?;
            check_slot_names(&change, |seat| service.seats.contains_key(seat))?;
            let from = (!change.names.is_empty()).then_some(service.wanted);
            ServiceChange::Add { n, max, from }
        }
        Order::Rm(change) if !change.names.is_empty() => {
            return Err(OrderError::unchosen_slots());
        }
        Order::Rm(change) => ServiceChange::Remove(change.n),
        Order::RmAll => ServiceChange::Scale(0),
        Order::Scale(n) if n > max && n > service.wanted => {
            return Err(OrderError::too_large_scale(n, max));
        }
        Order::Scale(n) => {
            if n > state.seats.wanted_count() {
                add::next_seats(state, n - state.seats.wanted_count())?;
            }
            ServiceChange::Scale(n)
        }
        Order::Ring(spec) => {
            ring_settings::build(state, &spec)?;
            ServiceChange::Ring(spec)
        }
        Order::Bound(bound) => ServiceChange::Bound(bound),
        Order::Weight(name, weight) => {
            let (seat, _) = ring_settings::reweighted(state, &name, weight)?;
            ServiceChange::Weight(seat, weight)
        }
        Order::Drain(name) => ServiceChange::Drain(task_of(state, &name)?, true),
        Order::Ready(name) => ServiceChange::Drain(task_of(state, &name)?, false),
        Order::Replace(request) => ServiceChange::Replace(image(service, request)?),
        Order::StopReplace | Order::ReplaceBack => {
            return Err(OrderError::invalid(
                "the swarm keeps no former version: replace all IMAGE, with the image of before",
            ));
        }
        Order::Kill(name) => {
            return container_of(state, service, &name).map(OrderWork::KillTask);
        }
        Order::AddBackend(_) | Order::SetBackend(_) => return Err(OrderError::no_backends()),
    }))
}

/// Returns the container of the task of this replica.
///
/// # Errors
/// The name is unknown, or its task is not on our own node.
fn container_of(
    state: &PlanState,
    service: &ServiceSnapshot,
    name: &ReplicaName,
) -> Result<TaskContainer, OrderError> {
    let task = service.tasks.get(&task_of(state, name)?);
    let container = task.and_then(|task| task.container.clone());
    container.ok_or_else(|| {
        OrderError::invalid(format!(
            "{name} runs on another node: send this to the balancer there"
        ))
    })
}

/// Returns the task of the replica of this name.
///
/// # Errors
/// The name is unknown, or its replica does not serve.
fn task_of(state: &PlanState, name: &ReplicaName) -> Result<TaskId, OrderError> {
    let seat = state.seat_named(name)?;
    let record = state.seats.get(seat).filter(|record| !record.leaving);
    let holder = record.and_then(|record| state.replicas.get(record.holder_id()?));
    let task = holder.and_then(|holder| holder.task.clone());
    task.ok_or_else(|| OrderError::invalid(format!("{name} does not serve")))
}

/// Returns the image that is to replace that of the service; `None` keeps it.
///
/// # Errors
/// The orchestrator cannot replace tasks so.
fn image(service: &ServiceSnapshot, request: ReplaceRequest) -> Result<Option<String>, OrderError> {
    let name = &service.service;
    if request.target != ReplaceTarget::All {
        let sentence = "a swarm replaces all or none: replace all";
        return Err(OrderError::invalid(sentence));
    }
    let has_default_pace = request.has_default_pace();
    let image = match request.version {
        None => None,
        Some(VersionRequest::Image(image)) => Some(image),
        Some(VersionRequest::Command(_)) => {
            return Err(OrderError::invalid(format!(
                "the swarm has the command of its tasks: docker service update --args … {name}"
            )));
        }
    };
    match has_default_pace {
        true => Ok(image),
        false => Err(OrderError::invalid(format!(
            "the swarm has the pace of its updates: docker service update --update-parallelism … {name}"
        ))),
    }
}
