//! The engine of fixed backends: servers that the operator runs, at addresses or names.
//!
//! It never starts or stops a process and keeps no number. It looks names up, again and again, and
//! reports their addresses. The plan decides which address serves.

mod lookup;
mod own_ports;

use std::collections::{BTreeMap, HashMap};
use std::future::ready;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::interface::{Engine, EngineEvent, EngineEvents, Management, PrepareFuture, StopMode};
use crate::fleet::version::Version;
use crate::orders::{BackendAddr, OrderError, VersionRequest};
use crate::ring::Seat;
use crate::roster::{ReplicaId, ReplicaName};
pub use lookup::LookupSettings;
pub(in crate::fleet) use lookup::Resolver;
pub use own_ports::OwnPorts;

/// Lookups by backend.
#[derive(Debug)]
pub(in crate::fleet) struct Fixed {
    settings: LookupSettings,
    resolver: Resolver,
    names: HashMap<BackendAddr, NameLookup>,
    events: EngineEvents,
}

/// The task that looks one name up; dropping it ends the task.
#[derive(Debug)]
struct NameLookup {
    /// `true` while a server of this name does not answer.
    is_down: watch::Sender<bool>,
    task: AbortHandle,
}

impl Drop for NameLookup {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fixed {
    /// Creates an engine without backends.
    pub(in crate::fleet) fn new(
        settings: LookupSettings,
        resolver: Resolver,
        events: EngineEvents,
    ) -> Self {
        Self {
            settings,
            resolver,
            names: HashMap::new(),
            events,
        }
    }

    fn look_up(&self, addr: BackendAddr, is_down: bool) -> NameLookup {
        let (is_down, follower) = watch::channel(is_down);
        let (settings, resolver) = (self.settings.clone(), self.resolver.clone());
        let work = lookup::follow(addr, settings, resolver, follower, self.events.clone());
        let task = tokio::spawn(work).abort_handle();
        NameLookup { is_down, task }
    }
}

impl Engine for Fixed {
    fn management(&self) -> Management {
        Management::External
    }

    fn start(
        &mut self,
        id: ReplicaId,
        _seat: Option<Seat>,
        name: &ReplicaName,
        _version: Option<&Version>,
    ) {
        // The plan starts no backend.
        let why = format!("{name} is a fixed backend");
        self.events.send(EngineEvent::Failed { id, why });
    }

    fn prepare(&self, _request: &VersionRequest) -> PrepareFuture {
        // The plan refuses the order before.
        Box::pin(ready(Err(OrderError::fixed_backends().sentence)))
    }

    fn remove(&mut self, id: ReplicaId, _mode: StopMode) {
        self.events.send(EngineEvent::Removed { id });
    }

    fn check_backend(&self, addr: &BackendAddr) -> Result<(), String> {
        match self.settings.own_ports.reached_by_backend(addr) {
            Some(port) => Err(format!("{addr} is our own port ({port})")),
            None => Ok(()),
        }
    }

    fn set_backends(&mut self, backends: BTreeMap<BackendAddr, bool>) {
        self.names.retain(|addr, _| backends.contains_key(addr));
        for (addr, is_down) in backends {
            if addr.literal().is_some() {
                continue;
            }
            match self.names.get(&addr) {
                Some(name) => {
                    let set = |last: &mut bool| std::mem::replace(last, is_down) != is_down;
                    name.is_down.send_if_modified(set);
                }
                None => {
                    let name = self.look_up(addr.clone(), is_down);
                    self.names.insert(addr, name);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
