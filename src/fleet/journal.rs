//! The journal: every change with its number and its time, in a bounded ring buffer that any thread may
//! read, follow and take up again.
//!
//! Numbers begin with 1 whenever the program starts, so a number alone does not tell which journal it is
//! of: [`Journal::run`] does.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::events::{ReplicaEvent, SettingChange};

/// How many events the journal keeps; older ones are forgotten.
pub const JOURNAL_EVENTS: usize = 1024;

/// What an event tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventBody {
    /// A change of a replica.
    Replica(ReplicaEvent),
    /// A switch of the ring or the bound, and who ordered it: an address.
    Switch(SettingChange, String),
}

/// A change with its number and time. Displayed, it is one aligned line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Counts from 1 without gaps.
    pub seq: u64,
    /// The clock time at which the fleet noted it.
    pub at: SystemTime,
    /// What happened.
    pub what: EventBody,
}

impl Event {
    /// What it tells of a replica, if it does.
    #[must_use]
    pub fn replica_event(&self) -> Option<&ReplicaEvent> {
        match &self.what {
            EventBody::Replica(note) => Some(note),
            EventBody::Switch(..) => None,
        }
    }

    /// The event for programs. Every event has all of these fields, and what does not apply is null:
    ///
    /// | field | what |
    /// |---|---|
    /// | `seq` | its number: counts from 1 without gaps while the program runs |
    /// | `time` | RFC 3339, UTC, with milliseconds |
    /// | `kind` | the [`super::Kind::word`] of a replica's change, or `ring`, `bound` for a switch |
    /// | `seat`, `name` | where on the ring, and who; null for a switch, and the seat of a standby |
    /// | `before` | for `replaced`: whose seat it took |
    /// | `from`, `to` | for a switch: what it was, and what it is, as it is typed |
    /// | `by` | for a switch: the address of whoever ordered it |
    /// | `reason` | why, in a phrase; may be empty |
    /// | `detected_within_ms` | for `down`, and for a `suspect` that is silent: the time since its last good answer, in milliseconds |
    /// | `replaced_after_ms` | for `replaced`: from the verdict on the dead one to its own first answer |
    /// | `saved` | for `replaced` and `up`: how many requests other replicas got since the seat's replica last answered its heartbeat, because it was not up, or had refused or lost them |
    /// | `up`, `wanted` | how many replicas are up after it, and how many are wanted |
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut json = json!({
            "seq": self.seq,
            "time": humantime::format_rfc3339_millis(self.at).to_string(),
            "seat": null, "name": null, "before": null, "from": null, "to": null, "by": null,
            "detected_within_ms": null, "replaced_after_ms": null, "saved": null,
        });
        match &self.what {
            EventBody::Replica(note) => {
                // To the microsecond: more would only be noise.
                let millis = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
                json["kind"] = note.kind.as_str().into();
                json["seat"] = note.seat.map(|seat| seat.0).into();
                json["name"] = note.name.as_ref().into();
                json["before"] = note.before.as_ref().map(AsRef::as_ref).into();
                json["reason"] = note.reason.as_str().into();
                json["detected_within_ms"] = note.detected_within.map(millis).into();
                json["replaced_after_ms"] = note.replaced_after.map(millis).into();
                json["saved"] = note.saved.into();
                json["up"] = note.up.into();
                json["wanted"] = note.wanted.into();
            }
            EventBody::Switch(switch, by) => {
                json["kind"] = switch.dial.as_str().into();
                json["from"] = switch.from.as_str().into();
                json["to"] = switch.to.as_str().into();
                json["by"] = by.as_str().into();
                json["reason"] = "".into();
                json["up"] = switch.up.into();
                json["wanted"] = switch.wanted.into();
            }
        }
        json
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, seat, name, up, wanted) = match &self.what {
            EventBody::Replica(note) => (
                note.kind.as_str(),
                note.seat
                    .map_or_else(|| "-".to_owned(), |seat| seat.to_string()),
                note.name.as_ref(),
                note.up,
                note.wanted,
            ),
            EventBody::Switch(switch, _) => (
                switch.dial.as_str(),
                "-".to_owned(),
                switch.to.as_str(),
                switch.up,
                switch.wanted,
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
            account => write!(f, "  {account}"),
        }
    }
}

impl Event {
    /// Whom or what it comes after, why, by whom, and the times; may be empty.
    fn details(&self) -> String {
        let parts = match &self.what {
            EventBody::Replica(note) => [
                note.before.as_ref().map(|before| format!("after {before}")),
                Some(note.details()),
                None,
            ],
            EventBody::Switch(switch, by) => [
                Some(format!("after {}", switch.from)),
                None,
                Some(format!("by {by}")),
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
    kept: Arc<Mutex<VecDeque<Event>>>,
    newest: watch::Sender<u64>,
}

impl Default for Journal {
    /// An empty one.
    fn default() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let millis = since.map_or(0, |since| since.as_millis());
        Self {
            run: u64::try_from(millis).unwrap_or_default(),
            kept: Arc::default(),
            newest: watch::Sender::new(0),
        }
    }
}

impl Journal {
    /// Tells this journal from those of earlier and later starts: when it began, in milliseconds since 1970.
    #[must_use]
    pub fn run(&self) -> u64 {
        self.run
    }

    /// The events that are kept and have a number above `after`, oldest first; 0 means all.
    #[must_use]
    pub fn since(&self, after: u64) -> Vec<Event> {
        let kept = self.lock();
        let from = kept.partition_point(|event| event.seq <= after);
        kept.range(from..).cloned().collect()
    }

    /// The number of the newest event, now and whenever it grows.
    #[must_use]
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Adds an event. The journal is the fleet's to write.
    pub(crate) fn push(&self, at: SystemTime, what: EventBody) {
        let seq = *self.newest.borrow() + 1;
        {
            let mut kept = self.lock();
            if kept.len() == JOURNAL_EVENTS {
                kept.pop_front();
            }
            kept.push_back(Event { seq, at, what });
        }
        self.newest.send_replace(seq);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Event>> {
        // Nothing panics while it is held, and half a push would still be a valid buffer.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
