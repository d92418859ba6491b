//! Replica that the engine holds: its phase, missed heartbeats and silence.
//!
//! Only transitions that need nothing but the replica itself are here. Those that concern seats,
//! events or actions are functions over `state`.

use std::time::Instant;

use super::probe_failure::ProbeFailures;
use super::silence::Silence;
use super::types::{Policy, Traffic};
use crate::fleet::engine::TaskId;
use crate::fleet::version::Version;
use crate::ring::Seat;
use crate::roster::{ReplicaAddr, ReplicaName};

/// Replica that the engine holds.
#[derive(Debug)]
pub(super) struct Replica {
    /// Seat that it has or is to have; `None` for a standby.
    pub(super) seat: Option<Seat>,
    pub(super) name: ReplicaName,
    /// Version that it runs; `None` for a fixed backend.
    pub(super) version: Option<Version>,
    pub(super) addr: Option<ReplicaAddr>,
    /// Task that runs it, if it is one of a service.
    pub(super) task: Option<TaskId>,
    pub(super) phase: Phase,
    /// Missed heartbeats in a row.
    misses: u32,
    /// Time of the last answered heartbeat.
    last_ok: Option<Instant>,
    silence: Option<Silence>,
    /// Failed heartbeats since the last healthy answer.
    pub(super) failures: ProbeFailures,
    /// `true` if an event has reported the silence that goes on. Answers of the data path may
    /// interrupt that silence.
    silence_reported: bool,
    /// `true` if it serves one connection at a time.
    pub(super) iterative: bool,
    /// `true` if it ran before this process did.
    was_found: bool,
    /// Its start, if it was found and the engine tells that.
    pub(super) started: Option<Instant>,
    /// Time at which its task was last killed for its silence.
    pub(super) evicted_at: Option<Instant>,
    /// Exit reason of a replica whose removal is deferred.
    pub(super) ended: Option<String>,
}

/// Stage in a replica's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Started and not yet answered.
    Starting { until: Instant },
    /// Answered, and waiting for the other replicas of its `/add`.
    Answered,
    /// Warm, without a seat.
    Standby { since: Instant },
    /// Former standby that is being given a seat.
    Promoting { until: Instant },
    /// Holds its seat.
    Up,
    /// Holds its seat, and routing skips it.
    Suspect,
    /// Down and still probed: it may answer again.
    Unresponsive,
    /// Probed at a further address of a fixed backend, or as a task of a slot. The seat is taken
    /// with the first answer.
    Candidate { since: Instant },
    /// Off the ring, and finishing the requests that it has begun.
    Draining { until: Instant },
    /// The engine was told to remove it. `exit_unknown`: it refused a connection, and the engine
    /// has not yet reported how it ended.
    Removing { exit_unknown: bool },
}

impl Replica {
    /// Replica that the engine is to start.
    pub(super) fn new(seat: Option<Seat>, name: ReplicaName, until: Instant) -> Self {
        Self::in_phase(seat, name, Phase::Starting { until })
    }

    /// Replica that ran before this process did.
    pub(super) fn found(
        seat: Option<Seat>,
        name: ReplicaName,
        addr: ReplicaAddr,
        phase: Phase,
    ) -> Self {
        Self {
            addr: Some(addr),
            was_found: true,
            ..Self::in_phase(seat, name, phase)
        }
    }

    /// Fixed backend that is probed at a further address, or task of a service that is to get its
    /// seat, from `since` on.
    pub(super) fn candidate(
        seat: Seat,
        name: ReplicaName,
        addr: ReplicaAddr,
        since: Instant,
    ) -> Self {
        Self {
            addr: Some(addr),
            ..Self::in_phase(Some(seat), name, Phase::Candidate { since })
        }
    }

    fn in_phase(seat: Option<Seat>, name: ReplicaName, phase: Phase) -> Self {
        Self {
            seat,
            name,
            version: None,
            addr: None,
            task: None,
            phase,
            misses: 0,
            last_ok: None,
            silence: None,
            failures: ProbeFailures::default(),
            silence_reported: false,
            iterative: false,
            was_found: false,
            started: None,
            evicted_at: None,
            ended: None,
        }
    }

    pub(super) fn misses(&self) -> u32 {
        self.misses
    }

    pub(super) fn last_ok(&self) -> Option<Instant> {
        self.last_ok
    }

    /// Returns `true` if it ran before this process did.
    pub(super) fn was_found(&self) -> bool {
        self.was_found
    }

    pub(super) fn is_warm(&self) -> bool {
        matches!(self.phase, Phase::Standby { .. })
    }

    pub(super) fn is_candidate(&self) -> bool {
        matches!(self.phase, Phase::Candidate { .. })
    }

    pub(super) fn is_removing(&self) -> bool {
        matches!(self.phase, Phase::Removing { .. })
    }

    /// Returns the end of the time for starting, promotion or draining.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Starting { until } | Phase::Promoting { until } | Phase::Draining { until } => {
                Some(until)
            }
            _ => None,
        }
    }

    /// Returns `true` if it holds its seat and routing skips it because it missed `limit`
    /// heartbeats.
    pub(super) fn is_skipped(&self, limit: u32) -> bool {
        self.phase == Phase::Suspect && self.misses >= limit
    }

    /// Returns `true` if it counts as dead because it was silent for too long.
    pub(super) fn is_dead_by_silence(&self) -> bool {
        self.phase == Phase::Unresponsive && self.silence.is_some()
    }

    /// Returns the silence of a replica that [`Self::is_skipped`].
    pub(super) fn skipped_silence(&self, limit: u32) -> Option<Silence> {
        self.silence.filter(|_| self.is_skipped(limit))
    }

    /// Returns `true` if a missed heartbeat counts in this phase.
    pub(super) fn counts_misses(&self) -> bool {
        matches!(
            self.phase,
            Phase::Answered
                | Phase::Standby { .. }
                | Phase::Up
                | Phase::Suspect
                | Phase::Draining { .. }
        )
    }

    /// Records an answered heartbeat.
    pub(super) fn record_answer(&mut self, now: Instant) {
        self.excuse_misses();
        self.silence_reported = false;
        self.last_ok = Some(now);
    }

    /// Forgets the misses and the silence, because the data path had an answer meanwhile.
    pub(super) fn excuse_misses(&mut self) {
        self.misses = 0;
        self.silence = None;
        self.failures.clear();
    }

    /// Counts a heartbeat with a wrong answer. If the replica was skipped for silence before, the
    /// count starts again: wrong answers after a silence are counted from the first of them.
    pub(super) fn record_wrong_answer(&mut self, was_skipped: bool) {
        if self.silence.take().is_some() && was_skipped {
            self.misses = 0;
        }
        self.misses = self.misses.saturating_add(1);
    }

    /// Counts an unanswered heartbeat, sent at `sent`. Returns `true` if the replica is dead by
    /// silence.
    pub(super) fn record_silent_miss(
        &mut self,
        sent: Instant,
        traffic: Traffic,
        now: Instant,
        policy: &Policy,
    ) -> bool {
        let silence = self
            .silence
            .get_or_insert_with(|| Silence::new(sent, traffic));
        // As a suspect it would lose the request that keeps it busy to another replica, and have no
        // explanation left.
        if silence.account_for(traffic, self.iterative, now) {
            return false;
        }
        self.misses = self.misses.saturating_add(1);
        // Routing skips it first, however long each miss took: only then does it show whether a
        // request is slow.
        let least = policy.misses + u32::from(!policy.replace_after.is_zero());
        self.misses >= least && silence.lasted(now) >= policy.replace_after
    }

    /// Turns a silent holder into a suspect. Returns `true` if an event is to report it; a replica
    /// that is about to take or to leave a seat only gets more time.
    pub(super) fn suspect_for_silence(&mut self, limit: u32) -> bool {
        match self.phase {
            Phase::Up => {}
            Phase::Suspect if self.misses == limit && !self.silence_reported => {}
            _ => return false,
        }
        self.phase = Phase::Suspect;
        self.silence_reported = true;
        true
    }
}
