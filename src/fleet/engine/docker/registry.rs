//! The registry of supervised containers, by container name. It turns events and lists into check
//! requests for the one task that supervises the container.
//!
//! It decides nothing: a check request only causes an inspection. A name is registered before its
//! container is created, so that a new container never counts as a stray.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::api_types::ListedContainer;
use super::container_id::ContainerId;

/// The check requests to the task of one container.
#[derive(Debug, Default)]
pub(super) struct CheckSignal {
    check: Notify,
    exit_code: Mutex<Option<i64>>,
}

impl CheckSignal {
    /// Requests an inspection now. Requests that come together count as one.
    pub(super) fn request_check(&self) {
        self.check.notify_one();
    }

    /// Waits for a request. Cancel safe.
    pub(super) async fn requested(&self) {
        self.check.notified().await;
    }

    /// Returns the exit code that an event reported, for a container that cannot be inspected any
    /// more.
    pub(super) fn exit_code(&self) -> Option<i64> {
        *self
            .exit_code
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn set_exit_code(&self, code: i64) {
        *self
            .exit_code
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(code);
    }
}

#[derive(Debug)]
struct RegistryEntry {
    container: Option<ContainerId>,
    check: Arc<CheckSignal>,
}

/// Supervised containers.
#[derive(Debug, Default)]
pub(super) struct Registry(Mutex<HashMap<String, RegistryEntry>>);

impl Registry {
    /// Registers the name of a container that will be created or was found.
    pub(super) fn register(&self, name: &str) -> Arc<CheckSignal> {
        let check = Arc::new(CheckSignal::default());
        let entry = RegistryEntry {
            container: None,
            check: Arc::clone(&check),
        };
        self.lock().insert(name.to_owned(), entry);
        check
    }

    /// Enters the ID of a registered container.
    pub(super) fn identify(&self, name: &str, container: &ContainerId) {
        if let Some(entry) = self.lock().get_mut(name) {
            entry.container = Some(container.clone());
        }
    }

    /// Removes a name.
    pub(super) fn unregister(&self, name: &str) {
        self.lock().remove(name);
    }

    /// Returns the container of this name, if it was created.
    pub(super) fn container(&self, name: &str) -> Option<ContainerId> {
        self.lock().get(name)?.container.clone()
    }

    /// Returns `true` if the container with this ID is supervised.
    pub(super) fn has(&self, container: &ContainerId) -> bool {
        let registry = self.lock();
        let mut entries = registry.values();
        entries.any(|entry| entry.container.as_ref() == Some(container))
    }

    /// Requests a check of a container that may have ended, according to an event.
    pub(super) fn may_have_ended(&self, container: &ContainerId, exit_code: Option<i64>) {
        let registry = self.lock();
        let mut entries = registry.values();
        let found = entries.find(|entry| entry.container.as_ref() == Some(container));
        if let Some(entry) = found {
            if let Some(code) = exit_code {
                entry.check.set_exit_code(code);
            }
            entry.check.request_check();
        }
    }

    /// Compares the registry with a list of all containers of the fleet. Requests a check of each
    /// registered container that does not run there, and returns the unsupervised ones.
    pub(super) fn reconcile(&self, list: &[ListedContainer]) -> Vec<ContainerId> {
        let registry = self.lock();
        for entry in registry.values() {
            let Some(id) = &entry.container else { continue };
            if !list.iter().any(|listed| listed.id == *id && listed.runs) {
                entry.check.request_check();
            }
        }
        let is_supervised = |listed: &ListedContainer| {
            let mut entries = registry.values();
            registry.contains_key(&listed.name)
                || entries.any(|entry| entry.container.as_ref() == Some(&listed.id))
        };
        let strays = list.iter().filter(|listed| listed.labels.is_replica());
        let strays = strays.filter(|listed| !is_supervised(listed));
        strays.map(|listed| listed.id.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, RegistryEntry>> {
        // No code panics while the lock is held, and every single change leaves the map valid.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::engine::docker::api_types::{ContainerLabels, SeatLabel};
    use crate::ring::Seat;

    fn id(number: u8) -> ContainerId {
        format!("{number:064x}").parse().unwrap()
    }

    fn listed(number: u8, name: &str, runs: bool) -> ListedContainer {
        ListedContainer {
            id: id(number),
            name: name.to_owned(),
            labels: ContainerLabels {
                seat: Some(SeatLabel::Seat(Seat(1))),
                ..ContainerLabels::default()
            },
            runs,
            created: 0,
        }
    }

    async fn is_requested(check: &CheckSignal) -> bool {
        let now = std::time::Duration::ZERO;
        tokio::time::timeout(now, check.requested()).await.is_ok()
    }

    #[tokio::test]
    async fn a_list_requests_checks_of_missing_containers_and_names_the_strays() {
        let registry = Registry::default();
        let [runs, ended, missing, coming] =
            ["a", "b", "c", "d"].map(|name| registry.register(name));
        for (name, number) in [("a", 1), ("b", 2), ("c", 3)] {
            registry.identify(name, &id(number));
        }
        let mut lock = listed(9, "lock", false);
        lock.labels.seat = None;
        let list = [
            listed(1, "a", true),
            listed(2, "b", false),
            listed(4, "d", false),
            listed(5, "e", true),
            lock,
        ];
        assert_eq!(registry.reconcile(&list), [id(5)]);
        assert!(!is_requested(&runs).await && !is_requested(&coming).await);
        assert!(is_requested(&ended).await && is_requested(&missing).await);
        assert_eq!(registry.reconcile(&[]), []);
        assert!(is_requested(&runs).await);
    }

    #[tokio::test]
    async fn an_event_requests_a_check_and_carries_the_exit_code() {
        let registry = Registry::default();
        let check = registry.register("a");
        registry.may_have_ended(&id(1), Some(3));
        assert!(!is_requested(&check).await, "no ID was entered yet");
        registry.identify("a", &id(1));
        registry.may_have_ended(&id(1), Some(137));
        registry.may_have_ended(&id(1), None);
        assert!(is_requested(&check).await);
        assert_eq!(check.exit_code(), Some(137));
        registry.unregister("a");
        assert!(!registry.has(&id(1)));
    }
}
