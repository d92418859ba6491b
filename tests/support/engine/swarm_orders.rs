//! Changes of the fake swarm's service by orders, and how the swarm carries them out.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::Host;
use super::api::failure;
use super::swarm::FakeTask;

impl Host {
    /// From now on the engine carries a change of the service out, as a swarm does: new tasks are
    /// in the lowest free slots, and the highest ones end.
    pub(crate) fn obeys(&self) {
        self.state().swarm.obeys = true;
    }

    /// The service, as the API has it.
    pub(crate) fn service(&self) -> Value {
        self.state().swarm.service.clone()
    }

    /// Replaces the service by this specification if it has this version.
    pub(super) fn update_service(self: &Arc<Self>, query: &str, spec: &Value) -> (u16, Vec<u8>) {
        let mut state = self.state();
        let service = &mut state.swarm.service;
        let version = service["Version"]["Index"].as_u64().expect("a version");
        if query != format!("version={version}") {
            let why = "rpc error: code = Unknown desc = update out of sequence";
            return (500, failure(why));
        }
        service["Version"]["Index"] = json!(version + 1);
        service["Spec"] = spec.clone();
        let obeys = state.swarm.obeys;
        drop(state);
        if obeys {
            self.carry_out(spec);
        }
        (200, b"{\"Warnings\":null}".to_vec())
    }

    /// Changes the service as an order at another balancer does, without an effect here.
    pub(super) fn change_by_others(&self) {
        self.edit_service(|service| {
            service["Spec"]["Labels"]["ringmaster.order"] = json!("another");
        });
    }

    /// Starts and ends tasks until there are as many as a specification wants, all of its forced
    /// update.
    fn carry_out(self: &Arc<Self>, spec: &Value) {
        let replicas = &spec["Mode"]["Replicated"]["Replicas"];
        let replicas = usize::try_from(replicas.as_u64().expect("a number")).expect("a number");
        let generation = spec["TaskTemplate"]["ForceUpdate"].as_u64();
        let wanted = || {
            let tasks = self.state().swarm.tasks.clone();
            let wanted = tasks.into_iter().filter(|task| task.desired == "running");
            let slots = wanted.map(|task| (task.slot, task));
            slots.collect::<BTreeMap<u32, FakeTask>>()
        };
        let ends = |id: &str, desired: &str| {
            self.ends_task(id, desired);
            self.kill_task(id);
        };
        for task in wanted().into_values().skip(replicas) {
            ends(&task.id, "remove");
        }
        let taken = wanted();
        let free = (1..).filter(|slot| !taken.contains_key(slot));
        for slot in free.take(replicas.saturating_sub(taken.len())) {
            self.start_task(slot);
        }
        for task in wanted().into_values() {
            if task.generation < generation.unwrap_or_default() {
                self.start_task(task.slot);
                ends(&task.id, "shutdown");
            }
        }
    }
}
