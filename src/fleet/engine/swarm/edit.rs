//! Changes of a service in the words of the API.
//!
//! Pure. A change keeps every field that it does not name, also those of a newer engine.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::labels;
use super::snapshot::{generation, replicas};
use crate::fleet::engine::service::{ServiceChange, TaskId};
use crate::orders::OrderError;

/// Applies a change to the specification of a service. `wanted` has the tasks that exist, of which
/// alone a drain is kept. Returns `false` if the service is so already.
///
/// # Errors
/// The refusal of the order.
pub(super) fn apply(
    spec: &mut Value,
    change: &ServiceChange,
    wanted: &BTreeSet<TaskId>,
) -> Result<bool, OrderError> {
    let before = spec.clone();
    match change {
        ServiceChange::Add { .. } | ServiceChange::Remove(_) | ServiceChange::Scale(_) => {
            let n = number_after(replicas(&json!({"Spec": spec})), change)?;
            spec["Mode"]["Replicated"]["Replicas"] = json!(n);
        }
        ServiceChange::Ring(ring) => set_label(spec, labels::RING, ring.to_string()),
        ServiceChange::Bound(bound) => set_label(spec, labels::BOUND, bound.to_string()),
        ServiceChange::Weight(seat, weight) => {
            let weights = labels::weights(&spec["Labels"]).with(*seat, *weight);
            set_label(spec, labels::WEIGHTS, labels::weight_list(&weights));
        }
        ServiceChange::Drain(task, drained) => {
            let mut tasks = labels::drained(&spec["Labels"]);
            tasks.retain(|other| wanted.contains(other) && other != task);
            if *drained {
                tasks.insert(task.clone());
            }
            let tasks: Vec<String> = tasks.iter().map(ToString::to_string).collect();
            set_label(spec, labels::DRAINED, tasks.join(","));
        }
        ServiceChange::Replace(image) => {
            let template = &mut spec["TaskTemplate"];
            template["ForceUpdate"] = json!(generation(template) + 1);
            if let Some(image) = image {
                template["ContainerSpec"]["Image"] = json!(image);
            }
        }
    }
    Ok(*spec != before)
}

/// Marks a specification as that of an order.
pub(super) fn set_mark(spec: &mut Value, mark: &str) {
    set_label(spec, labels::ORDER, mark.to_owned());
}

/// Returns `true` if the order of this mark was the last to change a service.
pub(super) fn has_mark(service: &Value, mark: &str) -> bool {
    service["Spec"]["Labels"][labels::ORDER] == *mark
}

/// Sets a label, or removes it if it is empty.
fn set_label(spec: &mut Value, name: &str, value: String) {
    if !spec["Labels"].is_object() {
        spec["Labels"] = json!({});
    }
    let Some(all) = spec["Labels"].as_object_mut() else {
        return;
    };
    match value.is_empty() {
        true => all.remove(name),
        false => all.insert(name.to_owned(), value.into()),
    };
}

/// Returns the number of wanted tasks after a change.
///
/// # Errors
/// The refusal of the order.
fn number_after(now: Option<usize>, change: &ServiceChange) -> Result<usize, OrderError> {
    let now = now.ok_or_else(|| OrderError::unavailable("the service is not replicated"))?;
    match *change {
        ServiceChange::Add { from, .. } if from.is_some_and(|from| from != now) => {
            Err(OrderError::changed_by_others())
        }
        ServiceChange::Add { n, max, .. } if now.saturating_add(n) > max => {
            Err(OrderError::too_many(n, now, max))
        }
        ServiceChange::Add { n, .. } => Ok(now + n),
        ServiceChange::Remove(n) => {
            let rest = now.checked_sub(n);
            rest.ok_or_else(|| OrderError::too_few(n, now))
        }
        ServiceChange::Scale(n) => Ok(n),
        _ => Ok(now),
    }
}
