//! The swarm of the fake engine: one service whose tasks run in its containers. The test decides
//! which tasks there are, as a swarm would, or has the engine keep as many as the service wants.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::process::signal;
use super::super::{Ringmaster, Signal, TEST_TIMEOUT, eventually};
use super::api::failure;
use super::{Container, Host};

/// A service of the fake swarm, and what the engine says of its node.
#[derive(Debug)]
pub(super) struct FakeService {
    /// The answer to `GET /info`.
    pub(super) info: Value,
    /// The service, as the API has it.
    pub(super) service: Value,
    /// Other services of the swarm.
    pub(super) others: Vec<Value>,
    pub(super) tasks: Vec<FakeTask>,
    /// `true` if a change of the service is carried out.
    pub(super) obeys: bool,
}

/// A task; its container has the same name.
#[derive(Clone, Debug)]
pub(super) struct FakeTask {
    pub(super) id: String,
    pub(super) slot: u32,
    pub(super) desired: String,
    /// Number of the forced update that made it.
    pub(super) generation: u64,
    /// State word in place of the one that follows from its container.
    state: Option<String>,
}

impl Default for FakeService {
    fn default() -> Self {
        Self {
            info: json!({"Swarm": {
                "NodeID": "node1", "LocalNodeState": "active", "ControlAvailable": true,
            }}),
            service: service("s1", "web", json!({"Replicated": {"Replicas": 0}})),
            others: Vec::new(),
            tasks: Vec::new(),
            obeys: false,
        }
    }
}

/// Returns a service on the network n1.
pub(crate) fn service(id: &str, name: &str, mode: Value) -> Value {
    json!({
        "ID": id, "Version": {"Index": 10},
        "Spec": {
            "Name": name, "Mode": mode,
            "TaskTemplate": {
                "Networks": [{"Target": "n1"}],
                "RestartPolicy": {"Condition": "any", "Delay": 0},
            },
        },
    })
}

impl Host {
    /// A balancer that follows the service and is ready.
    #[track_caller]
    pub(crate) fn follower(&self, args: &[&str]) -> Ringmaster {
        self.launch_follower(args).ready()
    }

    /// A balancer that follows the service and has announced itself.
    #[track_caller]
    pub(crate) fn launch_follower(&self, args: &[&str]) -> Ringmaster {
        self.launch_follower_of(self.port, args)
    }

    /// The same for replicas at another port.
    #[track_caller]
    pub(crate) fn launch_follower_of(&self, port: u16, args: &[&str]) -> Ringmaster {
        let port = port.to_string();
        let own = ["--engine", "swarm", "--replica-port", &port];
        Ringmaster::launch(self.command(), &[&own[..], args].concat())
    }

    /// Starts a task in each of these slots, and has the service want as many.
    pub(crate) fn runs_slots(self: &Arc<Self>, slots: &[u32]) {
        for slot in slots {
            self.start_task(*slot);
        }
        self.wants(slots.len());
    }

    /// Creates and starts a wanted task in this slot, and returns its ID.
    pub(crate) fn start_task(self: &Arc<Self>, slot: u32) -> String {
        let id = self.prepare_task(slot);
        self.run_task(&id);
        id
    }

    /// Creates a wanted task that does not run yet, and returns its ID.
    pub(crate) fn prepare_task(&self, slot: u32) -> String {
        let number = self.containers().len() + 1;
        let id = format!("task{number}slot{slot}");
        let env = vec![format!("SERVER_ID={slot}")];
        let service = ("com.docker.swarm.service.name", "web");
        let labels = [service].map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.make(&id, BTreeMap::from(labels), env);
        let mut state = self.state();
        let template = &state.swarm.service["Spec"]["TaskTemplate"];
        let task = FakeTask {
            id: id.clone(),
            slot,
            desired: "running".to_owned(),
            generation: template["ForceUpdate"].as_u64().unwrap_or_default(),
            state: None,
        };
        state.swarm.tasks.push(task);
        drop(state);
        id
    }

    /// Starts the container of a task, and waits until its replica listens.
    pub(crate) fn run_task(self: &Arc<Self>, id: &str) {
        let Container { id, ip, .. } = self.container(id);
        eventually(TEST_TIMEOUT, "a replica", || {
            // Another process may have its port for a moment.
            self.run(&id);
            TcpStream::connect((ip, self.port)).is_ok()
        });
    }

    /// Sets the number of replicas that the service wants.
    pub(crate) fn wants(&self, replicas: usize) {
        self.edit_service(|service| {
            service["Spec"]["Mode"]["Replicated"]["Replicas"] = json!(replicas);
        });
    }

    /// Changes the service, which gets a new version.
    pub(crate) fn edit_service(&self, edit: impl FnOnce(&mut Value)) {
        let mut state = self.state();
        let service = &mut state.swarm.service;
        let version = service["Version"]["Index"].as_u64().expect("a version");
        service["Version"]["Index"] = json!(version + 1);
        edit(service);
    }

    /// Replaces the answer about our node.
    pub(crate) fn set_info(&self, info: Value) {
        self.state().swarm.info = info;
    }

    /// Adds another service.
    pub(crate) fn add_service(&self, service: Value) {
        self.state().swarm.others.push(service);
    }

    /// The swarm no longer wants a task, which runs on: `shutdown`, or `remove` for its slot.
    pub(crate) fn ends_task(&self, id: &str, desired: &str) {
        self.edit_task(id, |task| desired.clone_into(&mut task.desired));
    }

    /// Has a task show this state, whatever its container does.
    pub(crate) fn shows_state(&self, id: &str, word: Option<&str>) {
        self.edit_task(id, |task| task.state = word.map(str::to_owned));
    }

    /// Moves a task to another slot; its replica keeps its number.
    pub(crate) fn set_slot(&self, id: &str, slot: u32) {
        self.edit_task(id, |task| task.slot = slot);
    }

    fn edit_task(&self, id: &str, edit: impl FnOnce(&mut FakeTask)) {
        let mut state = self.state();
        let mut tasks = state.swarm.tasks.iter_mut();
        edit(tasks.find(|task| task.id == id).expect("a task"));
    }

    /// Kills the replica of a task. The swarm still shows the task as wanted.
    pub(crate) fn kill_task(&self, id: &str) {
        let container = self.container(id);
        signal(container.pid.expect("it runs"), Signal::KILL);
        self.wait_for_end(&container.id);
    }

    /// Forgets a task, whose replica ends.
    pub(crate) fn forget_task(&self, id: &str) {
        self.state().swarm.tasks.retain(|task| task.id != id);
        self.kill_task(id);
    }

    /// Answers a call about the swarm; `None` if it is about something else.
    pub(super) fn answer_of_swarm(&self, words: &[&str], query: &str) -> Option<(u16, Vec<u8>)> {
        let containers = self.containers();
        let state = self.state();
        let swarm = &state.swarm;
        let services = swarm.others.iter().chain([&swarm.service]);
        let json = |value: Value| (200, value.to_string().into_bytes());
        let missing = || (404, failure("not found"));
        Some(match words {
            ["info"] => json(swarm.info.clone()),
            ["services"] => json(services.cloned().collect()),
            ["services", id] => {
                let mut found = services.filter(|service| service["ID"] == **id);
                found.next().cloned().map_or_else(missing, json)
            }
            ["networks"] => json(json!([
                {"Id": "n0", "Name": "ingress", "Driver": "overlay", "Ingress": true},
                {"Id": "n1", "Name": "app_ring", "Driver": "overlay"},
                {"Id": "n2", "Name": "other", "Driver": "overlay"},
            ])),
            ["tasks"] => {
                assert!(
                    query.contains("desired-state"),
                    "only wanted tasks: {query}"
                );
                let is_wanted = |task: &&FakeTask| task.desired == "running";
                let wanted = swarm.tasks.iter().filter(is_wanted);
                json(wanted.map(|task| described(task, &containers)).collect())
            }
            ["tasks", id] => {
                let found = swarm.tasks.iter().find(|task| task.id == **id);
                found.map_or_else(missing, |task| json(described(task, &containers)))
            }
            _ => return None,
        })
    }
}

fn described(task: &FakeTask, containers: &[Container]) -> Value {
    let container = containers.iter().position(|one| one.name == task.id);
    let container = container.expect("its container");
    let Container { ip, pid, state, .. } = &containers[container];
    let word = match (pid, state.as_str()) {
        (Some(_), _) => "running",
        (None, "created") => "preparing",
        (None, _) => "failed",
    };
    let word = task.state.as_deref().unwrap_or(word);
    let error = match word {
        "failed" => "task: non-zero exit (137)",
        _ => "",
    };
    json!({
        "ID": task.id, "ServiceID": "s1", "Slot": task.slot, "DesiredState": task.desired,
        "Spec": {"ForceUpdate": task.generation}, "NodeID": "node1",
        "CreatedAt": format!("2026-11-30T10:00:{container:02}.5Z"),
        "Status": {
            "State": word, "Err": error, "ContainerStatus": {"ContainerID": containers[container].id},
        },
        "NetworksAttachments": [
            {"Network": {"ID": "n0"}, "Addresses": ["10.255.0.7/16"]},
            {"Network": {"ID": "n1"}, "Addresses": [format!("{ip}/24")]},
        ],
    })
}
