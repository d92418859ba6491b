//! The book of the containers that are being looked after, by container name: it turns hints of every
//! kind into a nudge for the one task that looks after that container.
//!
//! It judges nobody: a nudge only means to look. An entry is made before its container is, so that one
//! that has just been made is never taken for a stray.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::api::Id;
use super::api_types::ListedContainer;

/// Wakes the task that looks after one container.
#[derive(Debug, Default)]
pub(super) struct CheckSignal {
    look: Notify,
    code: Mutex<Option<i64>>,
}

impl CheckSignal {
    /// It is to look now. Nudges that come together are one.
    pub(super) fn request_check(&self) {
        self.look.notify_one();
    }

    /// Waits for a nudge. Cancel safe.
    pub(super) async fn requested(&self) {
        self.look.notified().await;
    }

    /// The exit code that an event told of, for a container that cannot be looked at any more.
    pub(super) fn code(&self) -> Option<i64> {
        *self.code.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_code(&self, code: i64) {
        *self.code.lock().unwrap_or_else(PoisonError::into_inner) = Some(code);
    }
}

#[derive(Debug)]
struct RegistryEntry {
    container: Option<Id>,
    nudge: Arc<CheckSignal>,
}

/// Who is looked after.
#[derive(Debug, Default)]
pub(super) struct Registry(Mutex<HashMap<String, RegistryEntry>>);

impl Registry {
    /// A container of this name will be made, or was found.
    pub(super) fn register(&self, name: &str) -> Arc<CheckSignal> {
        let nudge = Arc::new(CheckSignal::default());
        let entry = RegistryEntry {
            container: None,
            nudge: Arc::clone(&nudge),
        };
        self.lock().insert(name.to_owned(), entry);
        nudge
    }

    /// It has this ID.
    pub(super) fn identify(&self, name: &str, container: &Id) {
        if let Some(entry) = self.lock().get_mut(name) {
            entry.container = Some(container.clone());
        }
    }

    /// Nobody looks after it any more.
    pub(super) fn unregister(&self, name: &str) {
        self.lock().remove(name);
    }

    /// The container of this name, if it was made.
    pub(super) fn container(&self, name: &str) -> Option<Id> {
        self.lock().get(name)?.container.clone()
    }

    /// Whether somebody looks after the container with this ID.
    pub(super) fn has(&self, container: &Id) -> bool {
        let book = self.lock();
        let mut entries = book.values();
        entries.any(|entry| entry.container.as_ref() == Some(container))
    }

    /// An event told that this one may have ended.
    pub(super) fn may_have_ended(&self, container: &Id, code: Option<i64>) {
        let book = self.lock();
        let mut entries = book.values();
        let found = entries.find(|entry| entry.container.as_ref() == Some(container));
        if let Some(entry) = found {
            if let Some(code) = code {
                entry.nudge.set_code(code);
            }
            entry.nudge.request_check();
        }
    }

    /// Compares it with a list of all containers of the fleet: nudges those that should run there and do
    /// not, and returns those that nobody looks after.
    pub(super) fn reconcile(&self, list: &[ListedContainer]) -> Vec<Id> {
        let book = self.lock();
        for entry in book.values() {
            let Some(id) = &entry.container else { continue };
            if !list.iter().any(|listed| listed.id == *id && listed.runs) {
                entry.nudge.request_check();
            }
        }
        let is_looked_after = |listed: &ListedContainer| {
            let mut entries = book.values();
            book.contains_key(&listed.name)
                || entries.any(|entry| entry.container.as_ref() == Some(&listed.id))
        };
        let strays = list.iter().filter(|listed| listed.labels.is_replica());
        let strays = strays.filter(|listed| !is_looked_after(listed));
        strays.map(|listed| listed.id.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, RegistryEntry>> {
        // Nothing panics while it is held, and every single change leaves it valid.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::engine::docker::api_types::{ContainerLabels, SeatLabel};
    use crate::ring::Seat;

    fn id(number: u8) -> Id {
        format!("{number:064x}").parse().unwrap()
    }

    fn listed(number: u8, name: &str, runs: bool) -> ListedContainer {
        ListedContainer {
            id: id(number),
            name: name.to_owned(),
            labels: ContainerLabels {
                post: Some(SeatLabel::Seat(Seat(1))),
                ..ContainerLabels::default()
            },
            runs,
            made: 0,
        }
    }

    async fn is_nudged(nudge: &CheckSignal) -> bool {
        let now = std::time::Duration::ZERO;
        tokio::time::timeout(now, nudge.requested()).await.is_ok()
    }

    #[tokio::test]
    async fn a_list_nudges_those_it_misses_and_names_the_strays() {
        let book = Registry::default();
        let [runs, ended, missing, coming] = ["a", "b", "c", "d"].map(|name| book.register(name));
        for (name, number) in [("a", 1), ("b", 2), ("c", 3)] {
            book.identify(name, &id(number));
        }
        let mut lock = listed(9, "lock", false);
        lock.labels.post = None;
        let list = [
            listed(1, "a", true),
            listed(2, "b", false),
            listed(4, "d", false),
            listed(5, "e", true),
            lock,
        ];
        assert_eq!(book.reconcile(&list), [id(5)]);
        assert!(!is_nudged(&runs).await && !is_nudged(&coming).await);
        assert!(is_nudged(&ended).await && is_nudged(&missing).await);
        assert_eq!(book.reconcile(&[]), []);
        assert!(is_nudged(&runs).await);
    }

    #[tokio::test]
    async fn an_event_nudges_and_tells_the_exit_code() {
        let book = Registry::default();
        let nudge = book.register("a");
        book.may_have_ended(&id(1), Some(3));
        assert!(!is_nudged(&nudge).await, "not known by that ID yet");
        book.identify("a", &id(1));
        book.may_have_ended(&id(1), Some(137));
        book.may_have_ended(&id(1), None);
        assert!(is_nudged(&nudge).await);
        assert_eq!(nudge.code(), Some(137));
        book.unregister("a");
        assert!(!book.has(&id(1)));
    }
}
