//! Addresses of one fixed backend: the address as typed, the addresses that its lookups found, and
//! the reason why lookups fail.
//!
//! A failed lookup changes no address: a resolver that is down must not take a server down.

use super::probe_failure::{ProbeFailure, ProbeFailures};
use crate::orders::BackendAddr;
use crate::roster::ReplicaAddr;

/// Fixed backend of a seat.
#[derive(Clone, Debug)]
pub(super) struct Backend {
    pub(super) addr: BackendAddr,
    /// Addresses of the last lookup that found any, in the resolver's order.
    found: Vec<ReplicaAddr>,
    /// Failed lookups since then.
    pub(super) failures: ProbeFailures,
}

impl Backend {
    /// Backend at this address, whose name was not looked up yet.
    pub(super) fn new(addr: BackendAddr) -> Self {
        Self {
            found: addr.literal().into_iter().collect(),
            addr,
            failures: ProbeFailures::default(),
        }
    }

    /// Records the result of a lookup; an error is a sentence.
    pub(super) fn record(&mut self, result: Result<Vec<ReplicaAddr>, String>) {
        match result {
            Ok(found) => {
                self.failures.clear();
                self.found = found;
            }
            Err(sentence) => self.failures.record(ProbeFailure::Unresolved(sentence)),
        }
    }

    /// Returns the reason for which lookups fail, in a sentence.
    pub(super) fn lookup_failure(&self) -> Option<String> {
        match self.failures.last()? {
            ProbeFailure::Unresolved(sentence) => Some(sentence.clone()),
            _ => None,
        }
    }

    /// Returns `true` if the last lookup found `addr`.
    pub(super) fn has(&self, addr: ReplicaAddr) -> bool {
        self.found.contains(&addr)
    }

    /// Returns `true` if the last lookup did not find `addr`, but others.
    pub(super) fn has_left(&self, addr: ReplicaAddr) -> bool {
        !self.found.is_empty() && !self.found.contains(&addr)
    }

    /// Returns the addresses besides that of the holder.
    pub(super) fn addresses_besides(&self, holder: Option<ReplicaAddr>) -> Vec<ReplicaAddr> {
        let others = self.found.iter().copied();
        others.filter(|addr| Some(*addr) != holder).collect()
    }
}
