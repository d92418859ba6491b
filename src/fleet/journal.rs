//! The journal: every event with its number and time, in a bounded ring buffer that any thread may
//! read and follow.
//!
//! Numbers begin with 1 whenever the program starts, so a number alone does not identify the
//! journal. [`Journal::run`] does.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::events::{ReplicaEvent, SettingChange};
use super::rollout_event::RolloutEvent;

/// Number of events that the journal keeps; older ones are dropped.
pub const JOURNAL_EVENTS: usize = 1024;

/// Event word of a rollout.
const ROLLOUT: &str = "rollout";

/// The change behind an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventBody {
    /// A change of a replica.
    Replica(ReplicaEvent),
    /// A change of the ring or the bound, and the client address of its order; `None` if another
    /// balancer of the service got that.
    Setting(SettingChange, Option<String>),
    /// A stage of a replacement by another version, and the client address of the order that caused
    /// it; `None` if failures did.
    Rollout(RolloutEvent, Option<String>),
}

/// A change with its number and time. Displayed, it is one aligned line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Counts from 1 without gaps.
    pub seq: u64,
    /// Clock time at which the fleet recorded it.
    pub at: SystemTime,
    /// The change.
    pub body: EventBody,
}

impl Event {
    /// Returns the change of a replica; `None` for anything else.
    #[must_use]
    pub fn replica_event(&self) -> Option<&ReplicaEvent> {
        match &self.body {
            EventBody::Replica(event) => Some(event),
            EventBody::Setting(..) | EventBody::Rollout(..) => None,
        }
    }

    /// Returns the event for programs. Every event has all of these fields; a field that does not
    /// apply is null:
    ///
    /// | field | content |
    /// |---|---|
    /// | `seq` | number of the event: counts from 1 without gaps while the program runs |
    /// | `time` | RFC 3339, UTC, with milliseconds |
    /// | `kind` | [`EventKind::as_str`] for a replica; `ring` or `bound` for a setting; `rollout` |
    /// | `seat`, `name` | of the replica, or null; `seat` null for a standby |
    /// | `before` | for `replaced`: name of the former replica |
    /// | `from`, `to` | for a setting: former and new value, as typed; `to` for a rollout: the version |
    /// | `stage` | for a rollout: [`RolloutStage::as_str`] |
    /// | `by` | for a setting or a rollout: client address of the order; null if failures caused the stage, or another balancer of the service got the order |
    /// | `reason` | reason, in a phrase; may be empty |
    /// | `detected_within_ms` | `down`, silent `suspect`: time since the last good answer |
    /// | `replaced_after_ms` | `replaced`: time from the verdict on the dead replica to the successor's answer |
    /// | `saved` | `replaced`, `up`: requests that others served during the incident |
    /// | `up`, `wanted` | number of replicas that are up after it, and of wanted ones |
    ///
    /// An incident begins with the last heartbeat that the seat's replica answered. `saved` counts
    /// the seat's requests from then on that went to others: the replica was not up, or refused or
    /// lost them.
    ///
    /// [`EventKind::as_str`]: super::EventKind::as_str
    /// [`RolloutStage::as_str`]: super::RolloutStage::as_str
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut json = json!({
            "seq": self.seq,
            "time": humantime::format_rfc3339_millis(self.at).to_string(),
            "seat": null, "name": null, "before": null, "from": null, "to": null, "stage": null, "by": null,
            "detected_within_ms": null, "replaced_after_ms": null, "saved": null,
        });
        match &self.body {
            EventBody::Replica(event) => {
                // Rounded to microseconds: more digits would be noise.
                let millis = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
                json["kind"] = event.kind.as_str().into();
                json["seat"] = event.seat.map(|seat| seat.0).into();
                json["name"] = event.name.as_ref().into();
                json["before"] = event.before.as_ref().map(AsRef::as_ref).into();
                json["reason"] = event.reason.as_str().into();
                json["detected_within_ms"] = event.detected_within.map(millis).into();
                json["replaced_after_ms"] = event.replaced_after.map(millis).into();
                json["saved"] = event.saved.into();
                json["up"] = event.up.into();
                json["wanted"] = event.wanted.into();
            }
            EventBody::Setting(change, by) => {
                json["kind"] = change.setting.as_str().into();
                json["from"] = change.from.as_str().into();
                json["to"] = change.to.as_str().into();
                json["by"] = by.as_deref().into();
                json["reason"] = "".into();
                json["up"] = change.up.into();
                json["wanted"] = change.wanted.into();
            }
            EventBody::Rollout(event, by) => {
                json["kind"] = ROLLOUT.into();
                json["to"] = event.version.as_str().into();
                json["stage"] = event.stage.as_str().into();
                json["by"] = by.as_deref().into();
                json["reason"] = event.reason.as_str().into();
                json["up"] = event.up.into();
                json["wanted"] = event.wanted.into();
            }
        }
        json
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, seat, name, up, wanted) = match &self.body {
            EventBody::Replica(event) => (
                event.kind.as_str(),
                event
                    .seat
                    .map_or_else(|| "-".to_owned(), |seat| seat.to_string()),
                event.name.as_ref(),
                event.up,
                event.wanted,
            ),
            EventBody::Setting(change, _) => (
                change.setting.as_str(),
                "-".to_owned(),
                change.to.as_str(),
                change.up,
                change.wanted,
            ),
            EventBody::Rollout(event, _) => (
                ROLLOUT,
                "-".to_owned(),
                event.version.as_str(),
                event.up,
                event.wanted,
            ),
        };
        write!(
            f,
            "{:<5} {} seat {seat:<3} {kind:<9} {name:<10} {up}/{wanted} up",
            self.seq,
            humantime::format_rfc3339_millis(self.at),
        )?;
        match self.details().as_str() {
            "" => Ok(()),
            details => write!(f, "  {details}"),
        }
    }
}

impl Event {
    /// Returns what it replaces, the reason and figures, and the client of the order; may be empty.
    fn details(&self) -> String {
        let parts = match &self.body {
            EventBody::Replica(event) => [
                event
                    .before
                    .as_ref()
                    .map(|before| format!("after {before}")),
                Some(event.details()),
                None,
            ],
            EventBody::Setting(change, by) => [
                Some(format!("after {}", change.from)),
                None,
                by.as_ref().map(|by| format!("by {by}")),
            ],
            EventBody::Rollout(event, by) => [
                Some(event.stage.as_str().replace('_', " ")),
                Some(event.reason.clone()),
                by.as_ref().map(|by| format!("by {by}")),
            ],
        };
        let parts = parts.into_iter().flatten().filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join(", ")
    }
}

/// The last [`JOURNAL_EVENTS`] events; clones share them.
#[derive(Clone, Debug)]
pub struct Journal {
    run: u64,
    events: Arc<Mutex<VecDeque<Event>>>,
    newest: watch::Sender<u64>,
}

impl Default for Journal {
    /// Creates an empty journal.
    fn default() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let millis = since.map_or(0, |since| since.as_millis());
        Self {
            run: u64::try_from(millis).unwrap_or_default(),
            events: Arc::default(),
            newest: watch::Sender::new(0),
        }
    }
}

impl Journal {
    /// Returns the start time in milliseconds since 1970. It identifies this journal among those of
    /// earlier and later starts.
    #[must_use]
    pub fn run(&self) -> u64 {
        self.run
    }

    /// Returns the kept events with a number above `after`, oldest first; 0 means all.
    #[must_use]
    pub fn since(&self, after: u64) -> Vec<Event> {
        let events = self.lock();
        let from = events.partition_point(|event| event.seq <= after);
        events.range(from..).cloned().collect()
    }

    /// Returns the number of the newest event, now and whenever it grows.
    #[must_use]
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Appends an event. Only the fleet writes the journal.
    pub(crate) fn push(&self, at: SystemTime, body: EventBody) {
        let seq = *self.newest.borrow() + 1;
        {
            let mut events = self.lock();
            if events.len() == JOURNAL_EVENTS {
                events.pop_front();
            }
            events.push_back(Event { seq, at, body });
        }
        self.newest.send_replace(seq);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Event>> {
        // No code panics while the lock is held, and half a push would still be a valid buffer.
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
