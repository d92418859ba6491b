//! What happened to the fleet: one event for every change, as a line for people, and the journal, a
//! bounded ring buffer that any thread may read.
//!
//! It decides nothing: the plan says what happened, the clock time is added here. "detected within" is
//! the time since the replica's last good answer, which bounds what cannot be known: when it died.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use crate::ring::Seat;
use crate::roster::ReplicaName;

/// How many events the journal keeps; older ones are forgotten.
pub const JOURNAL_EVENTS: usize = 1024;

/// What kind of change an event tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A replica took a seat that was empty.
    Joined,
    /// Routing skips it until it answers a heartbeat.
    Suspect,
    /// A suspect or silent one answers again.
    Up,
    /// It is dead, for certain or by silence.
    Down,
    /// A successor took the seat of a dead one.
    Replaced,
    /// A replica did not start.
    Failed,
    /// A successor is not needed, or an `/add` is undone.
    Withdrawn,
    /// Many fell silent at once: perhaps it is us, so nobody is replaced for a while.
    Held,
    /// It left the ring by order and finishes what it has begun.
    Leaving,
    /// Nothing is left of one that was removed by order.
    Left,
    /// The engine's word about one that had been given up already.
    Ended,
}

impl Kind {
    /// The word for it in the list of events.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Suspect => "suspect",
            Self::Up => "up",
            Self::Down => "down",
            Self::Replaced => "replaced",
            Self::Failed => "failed",
            Self::Withdrawn => "withdrawn",
            Self::Held => "held",
            Self::Leaving => "leaving",
            Self::Left => "left",
            Self::Ended => "ended",
        }
    }
}

/// One change, as the plan tells it. Displayed, it is the log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What kind of change.
    pub kind: Kind,
    /// Where on the ring.
    pub seat: Seat,
    /// Whom it is about.
    pub name: ReplicaName,
    /// Whose seat it took, for a successor.
    pub before: Option<ReplicaName>,
    /// Why, in a phrase; may be empty.
    pub reason: String,
    /// For a death: the time since its last good answer, so at most this long after it died.
    pub detected_within: Option<Duration>,
    /// For a successor: the time from the verdict on the dead one to its own first answer.
    pub replaced_after: Option<Duration>,
    /// How many replicas are up after it.
    pub up: usize,
    /// How many are wanted.
    pub wanted: usize,
}

impl Note {
    /// The reason with the times, in one phrase; may be empty.
    fn account(&self) -> String {
        let mut parts = Vec::new();
        if !self.reason.is_empty() {
            parts.push(self.reason.clone());
        }
        if let Some(time) = self.detected_within {
            parts.push(format!("detected within {}", Millis(time)));
        }
        if let Some(time) = self.replaced_after {
            parts.push(format!("{} after its death", Millis(time)));
        }
        parts.join(", ")
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, seat) = (&self.name, self.seat);
        match self.kind {
            Kind::Joined | Kind::Replaced => write!(f, "replica {name} took seat {seat}")?,
            Kind::Suspect => write!(f, "replica {name} is suspect")?,
            Kind::Up => write!(f, "replica {name} is up again")?,
            Kind::Down => write!(f, "replica {name} is down")?,
            Kind::Failed => write!(f, "replica {name} did not start in seat {seat}")?,
            Kind::Withdrawn => write!(f, "replica {name} is withdrawn from seat {seat}")?,
            Kind::Held => f.write_str("nobody is replaced for a while")?,
            Kind::Leaving => write!(f, "replica {name} leaves seat {seat}")?,
            Kind::Left => write!(f, "replica {name} is gone from seat {seat}")?,
            Kind::Ended => write!(f, "replica {name} ended")?,
        }
        if let Some(before) = &self.before {
            write!(f, " after {before}")?;
        }
        match self.account().as_str() {
            "" => {}
            account => write!(f, ": {account}")?,
        }
        write!(f, "; {} of {} up", self.up, self.wanted)
    }
}

/// A duration in milliseconds as people read it: `0.4 ms`, `41 ms`.
struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_secs_f64() * 1000.0;
        let digits = usize::from(millis < 10.0);
        write!(f, "{millis:.digits$} ms")
    }
}

/// A note with its number and time. Displayed, it is one aligned line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Counts from 1 without gaps.
    pub number: u64,
    /// The clock time at which the fleet noted it.
    pub at: SystemTime,
    /// What happened.
    pub note: Note,
}

impl Event {
    /// The event for programs: `time` in RFC 3339, durations in milliseconds.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let note = &self.note;
        let millis = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1000.0);
        serde_json::json!({
            "number": self.number,
            "time": humantime::format_rfc3339_millis(self.at).to_string(),
            "kind": note.kind.word(),
            "seat": note.seat.0,
            "name": note.name.as_ref(),
            "before": note.before.as_ref().map(AsRef::as_ref),
            "reason": note.reason,
            "detected_within_ms": millis(note.detected_within),
            "replaced_after_ms": millis(note.replaced_after),
            "up": note.up,
            "wanted": note.wanted,
        })
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let note = &self.note;
        write!(
            f,
            "{} seat {:<3} {:<9} {:<10} {}/{} up",
            humantime::format_rfc3339_millis(self.at),
            note.seat,
            note.kind.word(),
            note.name,
            note.up,
            note.wanted,
        )?;
        match (&note.before, note.account().as_str()) {
            (None, "") => Ok(()),
            (None, account) => write!(f, "  {account}"),
            (Some(before), "") => write!(f, "  after {before}"),
            (Some(before), account) => write!(f, "  after {before}, {account}"),
        }
    }
}

/// The last [`JOURNAL_EVENTS`] events; clones share them.
#[derive(Clone, Debug)]
pub struct Journal {
    kept: Arc<Mutex<VecDeque<Event>>>,
    newest: watch::Sender<u64>,
}

impl Journal {
    pub(super) fn new() -> Self {
        Self {
            kept: Arc::default(),
            newest: watch::Sender::new(0),
        }
    }

    /// The events that are kept and have a number above `after`, oldest first; 0 means all.
    #[must_use]
    pub fn since(&self, after: u64) -> Vec<Event> {
        let kept = self.lock();
        kept.iter()
            .filter(|event| event.number > after)
            .cloned()
            .collect()
    }

    /// The number of the newest event, now and whenever it grows.
    #[must_use]
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    pub(super) fn push(&self, at: SystemTime, note: Note) {
        let number = *self.newest.borrow() + 1;
        {
            let mut kept = self.lock();
            if kept.len() == JOURNAL_EVENTS {
                kept.pop_front();
            }
            kept.push_back(Event { number, at, note });
        }
        self.newest.send_replace(number);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Event>> {
        // Nothing panics while it is held, and half a push would still be a valid buffer.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(kind: Kind) -> Note {
        Note {
            kind,
            seat: Seat(2),
            name: "S2".parse().unwrap(),
            before: None,
            reason: String::new(),
            detected_within: None,
            replaced_after: None,
            up: 2,
            wanted: 3,
        }
    }

    #[test]
    fn log_lines_read_as_sentences() {
        let down = Note {
            reason: "heartbeat missed 3 times".to_owned(),
            ..note(Kind::Down)
        };
        assert_eq!(
            down.to_string(),
            "replica S2 is down: heartbeat missed 3 times; 2 of 3 up"
        );
        let ended = Note {
            reason: "signal: 9 (SIGKILL)".to_owned(),
            detected_within: Some(Duration::from_micros(1_240)),
            ..note(Kind::Down)
        };
        assert_eq!(
            ended.to_string(),
            "replica S2 is down: signal: 9 (SIGKILL), detected within 1.2 ms; 2 of 3 up"
        );
        let replaced = Note {
            name: "s-k3f9xq".parse().unwrap(),
            before: Some("S2".parse().unwrap()),
            replaced_after: Some(Duration::from_millis(41)),
            up: 3,
            ..note(Kind::Replaced)
        };
        assert_eq!(
            replaced.to_string(),
            "replica s-k3f9xq took seat 2 after S2: 41 ms after its death; 3 of 3 up"
        );
    }

    #[test]
    fn events_are_one_aligned_line() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        let line = |note| {
            Event {
                number: 1,
                at,
                note,
            }
            .to_string()
        };
        assert_eq!(
            line(note(Kind::Joined)),
            "1970-01-01T00:00:01.500Z seat 2   joined    S2         2/3 up"
        );
        let withdrawn = Note {
            seat: Seat(117),
            reason: "S2 spoke first".to_owned(),
            name: "s-abcdef".parse().unwrap(),
            ..note(Kind::Withdrawn)
        };
        assert_eq!(
            line(withdrawn),
            "1970-01-01T00:00:01.500Z seat 117 withdrawn s-abcdef   2/3 up  S2 spoke first"
        );
    }

    #[test]
    fn the_journal_forgets_the_oldest_and_tells_of_the_newest() {
        let journal = Journal::new();
        let newest = journal.newest();
        for _ in 0..JOURNAL_EVENTS + 5 {
            journal.push(SystemTime::UNIX_EPOCH, note(Kind::Up));
        }
        let all = journal.since(0);
        assert_eq!((all.len(), all[0].number), (JOURNAL_EVENTS, 6));
        assert_eq!(*newest.borrow(), 1029);
        assert_eq!(journal.since(1027).len(), 2);
    }
}
