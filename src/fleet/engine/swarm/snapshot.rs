//! A service and its tasks in the words of the API, turned into a snapshot.
//!
//! Pure. A state word that is not known here is that of a task which does not run yet, so that a
//! newer engine changes nothing.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::fleet::engine::service::{
    ServiceSettings, ServiceSnapshot, Task, TaskContainer, TaskId, TaskStage,
};
use crate::ring::Seat;
use crate::roster::ReplicaAddr;

/// Words of tasks that do not run any more.
const FINAL_STATES: [&str; 6] = [
    "complete", "shutdown", "failed", "rejected", "remove", "orphaned",
];

/// The place in which the tasks of a service are reached.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// ID of our own node.
    pub(super) node: String,
    /// ID of the network.
    pub(super) network: String,
    /// Port on which the replicas listen.
    pub(super) port: u16,
}

/// Returns the snapshot of a service with these settings and these wanted tasks. Elements that are
/// no tasks of a slot are left out.
pub(super) fn snapshot(
    name: Arc<str>,
    service: &Value,
    settings: ServiceSettings,
    listed: &Value,
    place: &Place,
) -> ServiceSnapshot {
    let listed = listed.as_array().map_or(&[][..], Vec::as_slice);
    let mut seats = BTreeMap::new();
    let mut tasks = BTreeMap::new();
    for (id, value) in listed
        .iter()
        .filter_map(|one| Some((one["ID"].as_str()?, one)))
    {
        let Some(task) = task(value, place) else {
            continue;
        };
        if is_wanted(value)
            && let Ok(name) = format!("S{}", task.seat).parse()
        {
            seats.insert(task.seat, name);
        }
        tasks.insert(TaskId::from(id), task);
    }
    let delay = &service["Spec"]["UpdateConfig"]["Delay"];
    ServiceSnapshot {
        service: name,
        version: version(service),
        wanted: replicas(&service["Spec"]).unwrap_or_default(),
        stopped_update: stopped_update(service),
        update_delay: Duration::from_nanos(delay.as_u64().unwrap_or_default()),
        settings,
        seats,
        tasks,
    }
}

/// Returns the version of a service.
pub(super) fn version(service: &Value) -> u64 {
    service["Version"]["Index"].as_u64().unwrap_or_default()
}

/// Returns the number of tasks in the specification of a service; `None` if that is not replicated.
pub(super) fn replicas(spec: &Value) -> Option<usize> {
    let replicas = &spec["Mode"]["Replicated"]["Replicas"];
    usize::try_from(replicas.as_u64()?).ok()
}

/// Returns the number of forced updates in a template of tasks.
pub(super) fn generation(template: &Value) -> u64 {
    template["ForceUpdate"].as_u64().unwrap_or_default()
}

/// Returns `true` if an update of a service stands, or is being turned back, so that any write of
/// the service resumes it.
pub(super) fn is_resumable(service: &Value) -> bool {
    let state = service["UpdateStatus"]["State"].as_str();
    matches!(
        state,
        Some("paused" | "rollback_started" | "rollback_paused")
    )
}

/// Returns the reason for which an update of a service was stopped or turned back.
fn stopped_update(service: &Value) -> Option<String> {
    let status = &service["UpdateStatus"];
    let is_stopped = is_resumable(service) || status["State"] == "rollback_completed";
    is_stopped.then(|| status["Message"].as_str().unwrap_or_default().to_owned())
}

/// Reads a task; `None` if it has no slot.
pub(super) fn task(value: &Value, place: &Place) -> Option<Task> {
    let slot = u32::try_from(value["Slot"].as_u64()?).ok()?;
    let created = value["CreatedAt"].as_str().unwrap_or_default();
    let created = humantime::parse_rfc3339(created);
    (slot > 0).then(|| Task {
        seat: Seat(slot),
        stage: stage(value),
        addr: addr(value, place),
        created: created.unwrap_or(SystemTime::UNIX_EPOCH),
        generation: generation(&value["Spec"]),
        container: container(value, place),
    })
}

/// Returns the container of a task of our own node.
fn container(task: &Value, place: &Place) -> Option<TaskContainer> {
    let id = task["Status"]["ContainerStatus"]["ContainerID"].as_str()?;
    let is_here = task["NodeID"] == *place.node && !id.is_empty();
    is_here.then(|| TaskContainer(id.into()))
}

/// Returns `true` if the swarm wants the task to run, or to be ready to run.
fn is_wanted(task: &Value) -> bool {
    matches!(task["DesiredState"].as_str(), Some("running" | "ready"))
}

fn stage(task: &Value) -> TaskStage {
    let state = task["Status"]["State"].as_str().unwrap_or_default();
    match (state, is_wanted(task)) {
        _ if FINAL_STATES.contains(&state) => TaskStage::Ended(end(&task["Status"], state)),
        ("running", true) => TaskStage::Runs,
        ("running", false) => TaskStage::Leaving,
        (_, true) => TaskStage::Coming,
        // It is to end before it ran.
        (_, false) => TaskStage::Ended(end(&task["Status"], state)),
    }
}

/// Returns the reason of a task's end in a phrase.
fn end(status: &Value, state: &str) -> String {
    let reason = status["Err"].as_str().filter(|reason| !reason.is_empty());
    reason.map_or_else(|| format!("task {state}"), str::to_owned)
}

/// Returns the address of a task on the network. The API has it with the length of its prefix.
fn addr(task: &Value, place: &Place) -> Option<ReplicaAddr> {
    let attachments = task["NetworksAttachments"].as_array()?;
    let mut attachments = attachments.iter();
    let ours = attachments.find(|one| one["Network"]["ID"] == *place.network)?;
    let ip = ours["Addresses"][0].as_str()?.split('/').next()?;
    let ip: IpAddr = ip.parse().ok()?;
    Some(ReplicaAddr((ip, place.port).into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};
    use proptest::test_runner::RngSeed;
    use serde_json::json;
    use std::cell::Cell;

    const CREATED: &str = "2026-11-30T10:00:00.123456789Z";

    fn place() -> Place {
        Place {
            node: "node1".to_owned(),
            network: "n1".to_owned(),
            port: 5000,
        }
    }

    fn raw(id: &str, slot: u64, desired: &str, state: &str) -> Value {
        json!({
            "ID": id, "Slot": slot, "DesiredState": desired, "CreatedAt": CREATED,
            "Status": {"State": state, "ContainerStatus": {"PID": 7}},
            "NetworksAttachments": [
                {"Network": {"ID": "n0"}, "Addresses": ["10.0.0.9/24"]},
                {"Network": {"ID": "n1"}, "Addresses": ["10.0.1.5/24"]},
            ],
        })
    }

    fn stages(snapshot: &ServiceSnapshot) -> Vec<String> {
        let tasks = snapshot.tasks.iter();
        tasks
            .map(|(id, task)| format!("{id} {} {:?}", task.seat, task.stage))
            .collect()
    }

    #[test]
    fn each_slot_with_a_wanted_task_is_a_seat() {
        let listed = json!([
            raw("a", 1, "running", "running"),
            // Two tasks in a slot, of which one has failed.
            raw("b", 4, "running", "failed"),
            raw("c", 4, "ready", "ready"),
            raw("d", 7, "running", "levitating"),
            raw("e", 9, "shutdown", "running"),
            raw("f", 0, "running", "running"),
            raw("g", u64::MAX, "running", "running"),
            {"ID": 5}, null,
        ]);
        let found = snapshot(
            "web".into(),
            &Value::Null,
            ServiceSettings::default(),
            &listed,
            &place(),
        );
        let seats: Vec<u32> = found.seats.keys().map(|seat| seat.0).collect();
        assert_eq!(
            seats,
            [1, 4, 7],
            "gaps stay, and slot 0 is that of a global service"
        );
        assert_eq!(found.seats[&Seat(4)].to_string(), "S4");
        assert_eq!(
            stages(&found),
            [
                "a 1 Runs",
                "b 4 Ended(\"task failed\")",
                "c 4 Coming",
                "d 7 Coming",
                "e 9 Leaving",
            ]
        );
        let none = snapshot(
            "web".into(),
            &Value::Null,
            ServiceSettings::default(),
            &Value::Null,
            &place(),
        );
        assert!(none.seats.is_empty() && none.tasks.is_empty());
    }

    #[test]
    fn a_task_is_reached_on_our_network() {
        let found = task(&raw("a", 1, "running", "running"), &place()).unwrap();
        let addr = found.addr.map(|addr| addr.to_string());
        assert_eq!(addr.as_deref(), Some("10.0.1.5:5000"));
        let created = humantime::format_rfc3339_nanos(found.created).to_string();
        assert_eq!(created, CREATED);
        let mut elsewhere = raw("a", 1, "running", "running");
        elsewhere["NetworksAttachments"][1]["Network"]["ID"] = json!("n2");
        assert_eq!(task(&elsewhere, &place()).unwrap().addr, None);
        for addresses in [json!([]), json!(["10.0.1.5.6/24"]), json!(null)] {
            let mut odd = raw("a", 1, "running", "running");
            odd["NetworksAttachments"][1]["Addresses"] = addresses;
            assert_eq!(task(&odd, &place()).unwrap().addr, None);
        }
    }

    #[test]
    fn only_a_task_of_our_own_node_has_its_container() {
        let container_of = |node: &str, id: Value| {
            let mut value = raw("a", 1, "running", "running");
            value["NodeID"] = json!(node);
            value["Status"]["ContainerStatus"]["ContainerID"] = id;
            container(&value, &place())
        };
        let found = Some(TaskContainer("c1".into()));
        assert_eq!(container_of("node1", json!("c1")), found);
        assert_eq!(container_of("node2", json!("c1")), None);
        assert_eq!(container_of("node1", json!("")), None);
        assert_eq!(container_of("node1", json!(null)), None);
    }

    #[test]
    fn a_task_that_is_to_end_leaves_and_then_has_a_reason() {
        let stage_of = |desired, state| stage(&raw("a", 1, desired, state));
        assert_eq!(stage_of("remove", "running"), TaskStage::Leaving);
        assert_eq!(
            stage_of("shutdown", "preparing"),
            TaskStage::Ended("task preparing".to_owned())
        );
        let mut failed = raw("a", 1, "shutdown", "failed");
        failed["Status"]["Err"] = json!("task: non-zero exit (137)");
        let reason = "task: non-zero exit (137)".to_owned();
        assert_eq!(stage(&failed), TaskStage::Ended(reason));
    }

    #[test]
    fn any_list_of_tasks_is_a_snapshot() {
        let list = json!([
            raw("a", 1, "running", "running"),
            raw("b", 2, "shutdown", "failed")
        ]);
        let list = list.to_string();
        let words = [
            "null",
            "-1",
            "18446744073709551615",
            "[]",
            "{}",
            "\"\"",
            "true",
            ",",
            "1e9",
        ];
        let (word, cut) = (select(words.to_vec()), 0..20_usize);
        let read = Cell::new(0);
        let config = ProptestConfig {
            cases: 4_000,
            rng_seed: RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        proptest!(config, |(word in word, at in any::<Index>(), cut in cut)| {
            let at = at.index(list.len());
            let end = (at + cut).min(list.len());
            let bent = [&list[..at], word, &list[end..]].concat();
            if let Ok(bent) = serde_json::from_str(&bent) {
                let service = json!({"Spec": bent});
                let settings = ServiceSettings::default();
                let snapshot = snapshot("web".into(), &service, settings, &bent, &place());
                assert!(snapshot.tasks.len() <= 2);
                read.set(read.get() + 1);
            }
        });
        let read = read.get();
        assert!(read > 100, "only {read} lists were JSON");
    }
}
