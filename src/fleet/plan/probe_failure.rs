//! Failures of heartbeats in words: what was asked, what came, and the flag that may be at fault.
//!
//! A verdict needs several failures, and a replica that has never answered gets none for a long
//! time. Therefore each failure is kept with its replica, for `show` and for the reason of a failed
//! start. The first failure and each change of it become events, at most one for each delay of a
//! back-off.

use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::probe_types::{MissReason, ProbeWording, Refusal};
use crate::roster::ReplicaAddr;

/// Time after the start of a replica in which refused connections and silence are usual.
const USUAL_START: Duration = Duration::from_secs(2);

/// Failure of a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ProbeFailure {
    /// There was no healthy answer.
    Missed(MissReason),
    /// The replica does not listen at its address.
    Refused(Refusal),
    /// The name of the replica's host does not resolve, for the reason in this sentence.
    Unresolved(String),
}

impl ProbeFailure {
    /// Describes the failure of a heartbeat to `addr`.
    pub(super) fn describe(&self, addr: Option<ReplicaAddr>, wording: &ProbeWording) -> String {
        let addr = addr.map_or_else(|| "its address".to_owned(), |addr| addr.to_string());
        let timeout = wording.timeout;
        let request = wording.request.as_deref();
        match self {
            Self::Missed(MissReason::Wrong(status)) => {
                let request = request.unwrap_or("the heartbeat");
                let hint = match status {
                    400..500 => "; see --heartbeat-path",
                    _ => "",
                };
                format!("{request} answered {status}{hint}")
            }
            Self::Missed(MissReason::Garbled) => {
                format!("{addr} does not speak HTTP; see --heartbeat-path tcp")
            }
            Self::Missed(MissReason::Closed) => match request {
                Some(request) => {
                    format!("{addr} closed the connection before it answered {request}")
                }
                None => format!("{addr} closed the connection"),
            },
            Self::Missed(MissReason::Silent) => match request {
                Some(request) => format!("{request} got no answer from {addr} within {timeout:?}"),
                None => format!("no connection to {addr} within {timeout:?}"),
            },
            Self::Refused(refusal @ Refusal::Connection) if !wording.port_hint.is_empty() => {
                format!("{refusal} at {addr}; {}", wording.port_hint)
            }
            Self::Refused(refusal @ Refusal::OtherReplica(_)) => refusal.to_string(),
            Self::Refused(refusal) => format!("{refusal} at {addr}"),
            Self::Unresolved(sentence) => sentence.clone(),
        }
    }

    /// Returns `true` if something answered, so that "it did not answer" would be wrong.
    pub(super) fn is_answer(&self) -> bool {
        matches!(
            self,
            Self::Missed(MissReason::Wrong(_) | MissReason::Garbled)
        )
    }

    /// Returns `true` for a failure that is usual while a replica starts.
    fn is_usual_at_start(&self) -> bool {
        matches!(
            self,
            Self::Refused(_) | Self::Missed(MissReason::Silent | MissReason::Closed)
        )
    }
}

/// Failures of one replica's heartbeats since its last healthy answer.
#[derive(Clone, Debug, Default)]
pub(super) struct ProbeFailures {
    last: Option<ProbeFailure>,
    /// The failure that the last event reported.
    reported: Option<ProbeFailure>,
    /// Delay before the next event.
    pace: Backoff,
}

impl ProbeFailures {
    /// Returns the last failure.
    pub(super) fn last(&self) -> Option<&ProbeFailure> {
        self.last.as_ref()
    }

    /// Records a failure.
    pub(super) fn record(&mut self, failure: ProbeFailure) {
        self.last = Some(failure);
    }

    /// Records a failure that another event reports.
    pub(super) fn record_reported(&mut self) {
        self.reported.clone_from(&self.last);
    }

    /// Returns `true` if an event is to report the last failure at `now`. `started`: the start of a
    /// replica that is still starting.
    pub(super) fn take_news(&mut self, now: Instant, started: Option<Instant>) -> bool {
        let is_young = started.is_some_and(|at| now.saturating_duration_since(at) < USUAL_START);
        let is_news = self.last.as_ref().is_some_and(|failure| {
            self.reported.as_ref() != Some(failure) && !(is_young && failure.is_usual_at_start())
        });
        if !is_news || self.pace.must_wait(now) {
            return false;
        }
        self.pace.record_failure(now);
        self.record_reported();
        true
    }

    /// Returns the time at which an event may report the last failure, if none has.
    pub(super) fn news_due(&self) -> Option<Instant> {
        let is_news = self.last.is_some() && self.reported != self.last;
        self.pace.not_before().filter(|_| is_news)
    }

    /// Forgets all failures: the replica has answered.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
