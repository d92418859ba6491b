//! The seam behind which processes, containers and fixed addresses look the same: the [`Engine`]
//! trait, its events, and the values that cross it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;

use super::exit_report::ExitReport;
use super::service::{ChangeId, ChangedService, ServiceChange, ServiceSnapshot, TaskContainer};
use crate::fleet::version::Version;
use crate::orders::{BackendAddr, OrderError, VersionRequest};
use crate::ring::Seat;
use crate::roster::{ReplicaAddr, ReplicaId, ReplicaName};

/// The `SERVER_ID` of a standby: no seat has this number.
const STANDBY_SERVER_ID: u32 = 0;

/// Returns the `SERVER_ID` of a replica that is started for `seat`.
pub(super) fn server_id(seat: Option<Seat>) -> u32 {
    seat.map_or(STANDBY_SERVER_ID, |seat| seat.0)
}

/// The party that keeps the number of replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fleet) enum Management {
    /// The fleet: it starts, replaces, adds and removes replicas.
    Managed,
    /// The operator: the replicas are given, and the fleet only probes them.
    External,
    /// An orchestrator: it starts, replaces and removes the tasks of a service, and the fleet
    /// follows and probes them.
    Orchestrated,
}

impl Management {
    /// Returns `true` if the fleet starts and removes replicas.
    pub(in crate::fleet) fn is_managed(self) -> bool {
        self == Self::Managed
    }
}

/// The way in which a replica is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fleet) enum StopMode {
    /// Ask it to end, and kill it when it has not ended within a grace period.
    Graceful,
    /// Kill it at once: it is silent, not needed, or dead already.
    Kill,
    /// Leave it running and forget it. An engine whose replicas cannot outlive this process stops
    /// them gracefully instead.
    Detach,
}

/// A report of an engine about one replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::fleet) enum EngineEvent {
    /// The replica runs and accepts connections, or will in a moment, at this address.
    Started {
        /// The replica.
        id: ReplicaId,
        /// Its address.
        addr: ReplicaAddr,
    },
    /// The replica could not be started.
    Failed {
        /// The replica.
        id: ReplicaId,
        /// The reason, in a phrase.
        why: String,
    },
    /// The replica could not be started because of its name, which stays unusable.
    NameRefused {
        /// The replica.
        id: ReplicaId,
        /// The reason, in a phrase that follows "the name S4 ".
        why: String,
    },
    /// The name of a fixed backend was looked up.
    Resolved {
        /// The backend.
        addr: BackendAddr,
        /// Its addresses, at least one, or the reason of the failure, in a sentence.
        result: Result<Vec<ReplicaAddr>, String>,
    },
    /// The service or its tasks have changed.
    Service(Arc<ServiceSnapshot>),
    /// A change of the service was made, or refused.
    Changed {
        /// The change.
        id: ChangeId,
        /// The service with the change, or the refusal of its order.
        result: Result<ChangedService, OrderError>,
    },
    /// The replica ended, which is certain.
    Ended {
        /// The replica.
        id: ReplicaId,
        /// The exit status and the last output.
        how: ExitReport,
    },
    /// Nothing is left of the replica. This is the last event about it.
    Removed {
        /// The replica.
        id: ReplicaId,
    },
}

/// A way to run replicas. Every replica that was started must be removed, and is reported `Removed`
/// exactly once and within a bounded time after that.
pub(in crate::fleet) trait Engine: fmt::Debug + Send {
    /// Returns the party that keeps the number of replicas.
    fn management(&self) -> Management;

    /// Begins the work that needs no replica, on the fleet's event loop. Called once, and first. An
    /// engine that works for its replicas alone has nothing to do here.
    fn begin(&mut self) {}

    /// Starts a replica of this version; without a seat it is a standby. `Started`, `Failed` or
    /// `NameRefused` follows, or `Ended` when it ended meanwhile. A replica that was found running
    /// under this name is adopted.
    fn start(
        &mut self,
        id: ReplicaId,
        seat: Option<Seat>,
        name: &ReplicaName,
        version: Option<&Version>,
    );

    /// Looks a version up, so that replicas of it can be started; this may take minutes. The error
    /// is a sentence.
    fn prepare(&self, request: &VersionRequest) -> PrepareFuture;

    /// Returns the replica's identifier on this machine, for people who look for it there:
    /// `pid:4711`, `container:0123456789ab`. `None` if it has none, or none yet.
    fn handle(&self, _id: ReplicaId) -> Option<String> {
        None
    }

    /// Checks whether a suspect still runs: `Ended` follows if it does not. An engine that is
    /// notified of every exit, or of none, has nothing to do here.
    fn check_alive(&mut self, _id: ReplicaId) {}

    /// Kills a replica as a fault would, if it runs: `Ended` follows, or it falls silent. An engine
    /// that did not start its replicas has nothing to do here.
    fn kill(&mut self, _id: ReplicaId) {}

    /// Kills the container of a task, as a fault would. An engine that follows no service has
    /// nothing to do here.
    fn kill_task(&mut self, _container: TaskContainer) {}

    /// Removes a replica: `Removed` follows.
    fn remove(&mut self, id: ReplicaId, mode: StopMode);

    /// Begins or ends a handover, during which another process shares the replicas. Until it ends,
    /// the engine removes nothing that it does not know. An engine that knows only its own replicas
    /// has nothing to do here.
    fn set_handover(&mut self, _active: bool) {}

    /// Replaces the list of wanted seats without a replica. An engine whose replicas do not outlive
    /// this process has nothing to do here.
    fn set_vacant_seats(&mut self, _vacant: VacantSeats) {}

    /// Replaces the set of wanted seats. An engine whose replicas do not outlive this process has
    /// nothing to do here.
    fn set_wanted_seats(&mut self, _wanted: &BTreeSet<Seat>) {}

    /// Replaces the set of fixed backends. Their names are looked up, and each change is reported
    /// as `Resolved`. `true`: lookups are due now and more often, because a server does not answer.
    /// An engine that knows the addresses of its replicas has nothing to do here.
    fn set_backends(&mut self, _backends: BTreeMap<BackendAddr, bool>) {}

    /// Changes the service for an order: `Changed` follows within a bounded time. An engine that
    /// follows no service has nothing to do here.
    fn change_service(&mut self, _id: ChangeId, _change: ServiceChange) {}

    /// Checks the address of a backend that an order names, as far as that needs no lookup. An
    /// engine without such orders has nothing to do here.
    ///
    /// # Errors
    /// A sentence.
    fn check_backend(&self, _addr: &BackendAddr) -> Result<(), String> {
        Ok(())
    }

    /// Releases the engine's other resources, after all replicas were removed. With `leave`,
    /// another balancer goes on with the replicas that are left. No other call follows.
    fn close(&mut self, _leave: bool) -> CloseFuture {
        Box::pin(std::future::ready(()))
    }
}

/// Wanted seats without a replica, and the last replica that answered in each.
pub(in crate::fleet) type VacantSeats = BTreeMap<Seat, Option<ReplicaId>>;

/// The work of [`Engine::prepare`].
pub(in crate::fleet) type PrepareFuture =
    Pin<Box<dyn Future<Output = Result<Version, String>> + Send>>;

/// The work of [`Engine::close`].
pub(in crate::fleet) type CloseFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The sender of an engine's events. The channel is unbounded because an engine must never wait. It
/// stays small: at most four events are sent per replica, and one per change of a name's addresses
/// or of a service.
#[derive(Clone, Debug)]
pub(in crate::fleet) struct EngineEvents(UnboundedSender<EngineEvent>);

impl EngineEvents {
    /// Creates a sender of events to `inbox`.
    pub(in crate::fleet) fn new(inbox: UnboundedSender<EngineEvent>) -> Self {
        Self(inbox)
    }

    /// Sends an event; it is dropped if the fleet has ended.
    pub(super) fn send(&self, event: EngineEvent) {
        let _ = self.0.send(event);
    }
}
