//! Heartbeats: one task for each replica, which asks it again and again and tells what came of it.
//!
//! It gives no verdict: it says answered, missed, broken or refused, and the plan judges. Between two
//! heartbeats it holds the connection and notices its end at once, which is the fastest sign of death.
//! A heartbeat that is only a connection is a fresh one each time, which takes the held one's place.
//! Surprising: such an end alone proves nothing, since servers close kept connections as they like; so
//! it is only a reason to ask again at once, and a server that makes it a habit gets a connection for
//! each heartbeat. So does one that serves one connection at a time ([`iterative`]): a held connection
//! would leave it none for requests. Our own lateness is no miss: see [`wait::punctual`].

mod iterative;
mod probe;
mod prober;
mod response;
mod timing;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;

use super::plan::ProbeEvent;
use crate::metrics::SeatCounters;
use crate::ring::Seat;
use crate::roster::{ReplicaAddr, ReplicaId};
use prober::Prober;

pub use probe::ProbeKind;
use probe::ProbeOutcome;
pub(super) use probe::identify;
pub(super) use response::Identity;

/// How to ask.
#[derive(Clone, Debug)]
pub(super) struct ProbeSchedule {
    /// Time between heartbeats.
    pub(super) interval: Duration,
    /// An answer later than this is a miss.
    pub(super) timeout: Duration,
    /// What to ask.
    pub(super) ask: ProbeKind,
    /// Ask one that has never answered again and again without delay: it is just starting.
    pub(super) eager: bool,
}

/// Whom to ask.
#[derive(Clone, Debug)]
pub(super) struct ProbeTarget {
    /// Which life of which replica.
    pub(super) id: ReplicaId,
    /// Where it answers.
    pub(super) addr: ReplicaAddr,
    /// Who it is; an answer of somebody else means that its address is another's by now.
    pub(super) expected: Option<Identity>,
    /// The seat that it was not started for and is to take.
    pub(super) gives: Option<Seat>,
}

impl ProbeTarget {
    /// Somebody else's answer is as good as a refusal.
    fn recognise(&self, outcome: ProbeOutcome) -> ProbeOutcome {
        match (outcome, &self.expected) {
            (ProbeOutcome::Healthy(_, Some(who)), Some(expected)) if !who.agrees_with(expected) => {
                let Identity { name, seat } = who;
                let seat = seat.map_or_else(|| "no seat".to_owned(), |seat| format!("seat {seat}"));
                ProbeOutcome::Refused(format!("its address is that of {name} in {seat}"))
            }
            (outcome, _) => outcome,
        }
    }
}

/// The heartbeats of one replica; they end when it is dropped.
#[derive(Debug)]
pub(super) struct HeartbeatHandle {
    poke: Arc<ProbeTrigger>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct ProbeTrigger {
    now: Notify,
    fresh: AtomicBool,
    /// How long the last answer took, in microseconds and at least 1; 0 before the first.
    latency: AtomicU64,
}

impl HeartbeatHandle {
    /// Begins to ask `patient`, at once, and sends what comes of it to `pulses`. There is at most one
    /// heartbeat under way, so the channel cannot grow without end. Times and misses are counted in
    /// `cells`.
    pub(super) fn start(
        patient: ProbeTarget,
        rhythm: ProbeSchedule,
        cells: Arc<SeatCounters>,
        pulses: UnboundedSender<(ReplicaId, ProbeEvent)>,
    ) -> Self {
        let poke = Arc::new(ProbeTrigger::default());
        let watcher = Prober::new(patient, rhythm, cells, pulses, Arc::clone(&poke));
        let task = tokio::spawn(watcher.run());
        Self { poke, task }
    }

    /// Asks now rather than at the next beat; on a fresh connection if so said.
    pub(super) fn probe_now(&self, fresh: bool) {
        if fresh {
            self.poke.fresh.store(true, Ordering::Relaxed);
        }
        self.poke.now.notify_one();
    }

    /// How long the last heartbeat took that was answered.
    pub(super) fn latency(&self) -> Option<Duration> {
        let micros = self.poke.latency.load(Ordering::Relaxed);
        (micros > 0).then(|| Duration::from_micros(micros))
    }
}

impl Drop for HeartbeatHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests;
