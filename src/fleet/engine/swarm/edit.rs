//! Changes of a service in the words of the API.
//!
//! Pure. A change keeps every field that it does not name, also those of a newer engine.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::labels;
use super::snapshot::{generation, is_resumable, replicas};
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
        ServiceChange::Add { n, max, from } => {
            let now = wanted_number(spec)?;
            if from.is_some_and(|from| from != now) {
                return Err(OrderError::changed_by_others());
            }
            if now.saturating_add(*n) > *max {
                return Err(OrderError::too_many(*n, now, *max));
            }
            set_number(spec, now + n);
        }
        ServiceChange::Remove(n) => {
            let now = wanted_number(spec)?;
            let rest = now.checked_sub(*n);
            set_number(spec, rest.ok_or_else(|| OrderError::too_few(*n, now))?);
        }
        ServiceChange::Scale(n) => {
            wanted_number(spec)?;
            set_number(spec, *n);
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

/// Checks that a change does not resume an update which the swarm has stopped, as any write of the
/// service does. Only the next update may.
///
/// # Errors
/// The refusal of the order.
pub(super) fn check_update(service: &Value, change: &ServiceChange) -> Result<(), OrderError> {
    match change {
        ServiceChange::Replace(_) => Ok(()),
        _ if is_resumable(service) => Err(OrderError::unavailable(
            "the swarm has stopped an update of the service, which any other order would resume: \
             replace all IMAGE first",
        )),
        _ => Ok(()),
    }
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

/// Returns the number of wanted tasks.
///
/// # Errors
/// The service is not replicated any more.
fn wanted_number(spec: &Value) -> Result<usize, OrderError> {
    replicas(spec).ok_or_else(|| OrderError::unavailable("the service is not replicated"))
}

fn set_number(spec: &mut Value, n: usize) {
    spec["Mode"]["Replicated"]["Replicas"] = json!(n);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::Seat;

    fn spec(replicas: u64) -> Value {
        json!({"Mode": {"Replicated": {"Replicas": replicas}}, "TaskTemplate": {}})
    }

    fn after(mut spec: Value, change: &ServiceChange) -> Result<(bool, Value), String> {
        let wanted = ["t1", "t2"].map(TaskId::from).into();
        let changed = apply(&mut spec, change, &wanted).map_err(|refusal| refusal.sentence)?;
        Ok((changed, spec))
    }

    #[test]
    fn a_number_is_checked_against_the_newest_state() {
        let add = |n, max, from| ServiceChange::Add { n, max, from };
        let number = |change| {
            let (changed, spec) = after(spec(3), &change)?;
            Ok::<_, String>((changed, replicas(&spec)))
        };
        assert_eq!(number(add(2, 5, None)), Ok((true, Some(5))));
        assert_eq!(number(add(2, 5, Some(3))), Ok((true, Some(5))));
        let others = "others are changing the service; try again".to_owned();
        assert_eq!(number(add(2, 5, Some(2))), Err(others));
        let refusal = number(add(3, 5, None)).unwrap_err();
        assert!(refusal.starts_with("cannot add 3 to 3 replicas: at most 5"));
        assert_eq!(number(ServiceChange::Remove(3)), Ok((true, Some(0))));
        let refusal = number(ServiceChange::Remove(4)).unwrap_err();
        assert_eq!(refusal, "cannot remove 4 replicas: there are only 3");
        assert_eq!(number(ServiceChange::Scale(3)), Ok((false, Some(3))));
        let global = after(json!({"Mode": {"Global": {}}}), &ServiceChange::Scale(1));
        assert!(global.is_err());
    }

    #[test]
    fn labels_are_added_beside_others_and_removed_when_empty() {
        let mut before = spec(1);
        before["Labels"] = json!({"owner": "ops", labels::DRAINED: "t1,gone"});
        let (_, drained) = after(before, &ServiceChange::Drain("t2".into(), true)).unwrap();
        assert_eq!(
            drained["Labels"],
            json!({"owner": "ops", labels::DRAINED: "t1,t2"})
        );
        let ready = |spec, task: &str| after(spec, &ServiceChange::Drain(task.into(), false));
        let (_, ready_1) = ready(drained, "t1").unwrap();
        let (changed, none) = ready(ready_1, "t2").unwrap();
        assert!(changed);
        assert_eq!(none["Labels"], json!({"owner": "ops"}));
        let weight = ServiceChange::Weight(Seat(2), 4_u64.try_into().unwrap());
        let (_, weighted) = after(none, &weight).unwrap();
        assert_eq!(weighted["Labels"][labels::WEIGHTS], "2=4");
        let weight = ServiceChange::Weight(Seat(2), 1_u64.try_into().unwrap());
        let (_, none) = after(weighted, &weight).unwrap();
        assert_eq!(none["Labels"], json!({"owner": "ops"}));
    }

    #[test]
    fn a_replacement_is_a_new_generation() {
        let image = ServiceChange::Replace(Some("web:2".to_owned()));
        let (_, once) = after(spec(1), &image).unwrap();
        assert_eq!(once["TaskTemplate"]["ForceUpdate"], 1);
        assert_eq!(once["TaskTemplate"]["ContainerSpec"]["Image"], "web:2");
        let (changed, twice) = after(once, &ServiceChange::Replace(None)).unwrap();
        assert!(changed);
        assert_eq!(twice["TaskTemplate"]["ForceUpdate"], 2);
        assert_eq!(twice["TaskTemplate"]["ContainerSpec"]["Image"], "web:2");
    }

    #[test]
    fn a_stopped_update_is_resumed_by_the_next_one_alone() {
        let check = |state: &str, change| {
            check_update(&json!({"UpdateStatus": {"State": state}}), &change).is_ok()
        };
        for state in ["paused", "rollback_started", "rollback_paused"] {
            assert!(!check(state, ServiceChange::Scale(1)), "{state}");
            assert!(check(state, ServiceChange::Replace(None)), "{state}");
        }
        for state in ["", "updating", "completed", "rollback_completed"] {
            assert!(check(state, ServiceChange::Scale(1)), "{state}");
        }
    }
}
