//! The engines: how replicas are started and removed, and who keeps their number. This is the seam
//! behind which processes, containers and fixed addresses look the same.
//!
//! A call returns at once and never fails; what came of it arrives later as a [`Report`] in the fleet's
//! inbox. Surprising: an engine remembers every replica it was told to start, even one that failed or
//! ended by itself, until it is told to remove it; only then does it say [`Report::Removed`].

mod docker;
mod exit_report;
mod fixed;
mod process;

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;

use tokio::sync::mpsc::UnboundedSender;

use crate::ring::Seat;
use crate::roster::{ReplicaAddr, ReplicaId, ReplicaName};

/// The `SERVER_ID` of a standby: no seat has this number.
const NO_SEAT: u32 = 0;

/// What a replica that is started for `seat` is told as its `SERVER_ID`.
fn server_id(seat: Option<Seat>) -> u32 {
    seat.map_or(NO_SEAT, |seat| seat.0)
}

pub use docker::{ContainerSettings, Image};
pub(super) use docker::{Docker, Environment, Found, State};
pub(super) use exit_report::ExitReport;
pub(super) use fixed::Fixed;
pub(super) use process::Process;
pub use process::ProcessSettings;

/// Who sees to it that there are N replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Management {
    /// The fleet: it starts, replaces, adds and removes.
    Managed,
    /// Nobody: the replicas are given, and only watched.
    External,
}

/// How a replica is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopMode {
    /// Ask it to end, and end it when it has not within a grace.
    Graceful,
    /// End it at once: it is silent, not needed, or dead already.
    Kill,
    /// Leave it running and forget it; an engine whose replicas cannot outlive us asks them to end.
    Detach,
}

/// What an engine has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EngineEvent {
    /// The replica runs and accepts, or will in a moment, at this address.
    Started {
        /// Which one.
        id: ReplicaId,
        /// Where.
        addr: ReplicaAddr,
    },
    /// The replica could not be started.
    Failed {
        /// Which one.
        id: ReplicaId,
        /// Why, in a phrase.
        why: String,
    },
    /// The replica could not be started because of its name, which stays unusable.
    NameRefused {
        /// Which one.
        id: ReplicaId,
        /// Why, in a phrase that follows "the name S4 ".
        why: String,
    },
    /// The replica ended, which is certain.
    Ended {
        /// Which one.
        id: ReplicaId,
        /// How, with its last words.
        how: ExitReport,
    },
    /// Nothing is left of the replica; the last report about it.
    Removed {
        /// Which one.
        id: ReplicaId,
    },
}

/// A way of having replicas. Every replica that was started must be removed, and is reported `Removed`
/// exactly once and within a bounded time after that.
pub(super) trait Engine: fmt::Debug + Send {
    /// Who keeps N.
    fn management(&self) -> Management;

    /// Starts a replica, without a seat as a standby: `Started`, `Failed` or `NameRefused` follows, or
    /// `Ended` when it ended meanwhile. One that was found running under this name is taken over.
    fn start(&mut self, id: ReplicaId, seat: Option<Seat>, name: &ReplicaName);

    /// What a replica is to the machine, for people who look for it there: `pid:4711`,
    /// `container:0123456789ab`. `None` if it is nothing, or nothing yet.
    fn handle(&self, id: ReplicaId) -> Option<String>;

    /// Looks whether a suspect still runs: `Ended` follows if it does not. An engine that is told of
    /// every end by itself has nothing to do here.
    fn check_alive(&mut self, id: ReplicaId);

    /// Removes a replica: `Removed` follows.
    fn remove(&mut self, id: ReplicaId, farewell: StopMode);

    /// Another process takes over and does what it sees fit, or has given that up; or we take over, and may remove
    /// what was found only when that is over. An engine that is told of
    /// its own replicas alone has nothing to do here.
    fn set_handover(&mut self, _holds: bool) {}

    /// These wanted seats have nobody who fills them. An engine whose replicas do not outlive us has nothing to
    /// do here.
    fn set_vacant_seats(&mut self, _vacant: VacantSeats) {}

    /// The last call, after everything was removed: gives back what the engine holds besides. With `leave`
    /// another balancer goes on with what was left.
    fn close(&mut self, _leave: bool) -> CloseFuture {
        Box::pin(std::future::ready(()))
    }
}

/// Seats that nobody fills, and who was the last to answer in each.
pub(super) type VacantSeats = BTreeMap<Seat, Option<ReplicaId>>;

/// An engine's last act.
pub(super) type CloseFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where an engine leaves its reports. It is unbounded because an engine must never wait, and bounded
/// in fact: there are at most four reports in the life of a replica.
#[derive(Clone, Debug)]
pub(super) struct EngineEvents(UnboundedSender<EngineEvent>);

impl EngineEvents {
    /// Reports that end in `inbox`.
    pub(super) fn new(inbox: UnboundedSender<EngineEvent>) -> Self {
        Self(inbox)
    }

    fn send(&self, report: EngineEvent) {
        // A fleet that is gone needs no reports.
        let _ = self.0.send(report);
    }
}
