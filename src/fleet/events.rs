//! What happens to replicas, and to how keys are given out: one note for every change, in the words of
//! the log.
//!
//! It decides nothing: the plan says what happened, and the journal adds when. "detected within" is the
//! time since the replica's last good answer, which bounds what cannot be known: when it died.

use std::fmt;
use std::time::Duration;

use crate::ring::Seat;
use crate::roster::ReplicaName;

/// What kind of change an event tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
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
    /// It gets no new requests, by order.
    Drained,
    /// It gets requests again, by order.
    Ready,
    /// It left the ring by order and finishes what it has begun.
    Leaving,
    /// Nothing is left of one that was removed by order.
    Left,
    /// The engine's word about one that had been given up already.
    Ended,
    /// One without a seat answers, and waits for one.
    Standby,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Joined,
        Self::Suspect,
        Self::Up,
        Self::Down,
        Self::Replaced,
        Self::Failed,
        Self::Withdrawn,
        Self::Held,
        Self::Drained,
        Self::Ready,
        Self::Leaving,
        Self::Left,
        Self::Ended,
        Self::Standby,
    ];

    /// The word for it in the list of events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Suspect => "suspect",
            Self::Up => "up",
            Self::Down => "down",
            Self::Replaced => "replaced",
            Self::Failed => "failed",
            Self::Withdrawn => "withdrawn",
            Self::Held => "held",
            Self::Drained => "drained",
            Self::Ready => "ready",
            Self::Leaving => "leaving",
            Self::Left => "left",
            Self::Ended => "ended",
            Self::Standby => "standby",
        }
    }
}

/// One change, as the plan tells it. Displayed, it is the log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaEvent {
    /// What kind of change.
    pub kind: EventKind,
    /// Where on the ring; `None` for a standby.
    pub seat: Option<Seat>,
    /// Whom it is about.
    pub name: ReplicaName,
    /// Whose seat it took, for a successor.
    pub before: Option<ReplicaName>,
    /// Why, in a phrase; may be empty.
    pub reason: String,
    /// For a death or a silence: the time since its last good answer, so at most this long after it began.
    pub detected_within: Option<Duration>,
    /// For a successor: the time from the verdict on the dead one to its own first answer.
    pub replaced_after: Option<Duration>,
    /// When a seat's trouble is over: the requests that others got meanwhile. The plan does not know it.
    pub saved: Option<u64>,
    /// How many replicas are up after it.
    pub up: usize,
    /// How many are wanted.
    pub wanted: usize,
}

impl ReplicaEvent {
    /// The reason with the times, in one phrase; may be empty.
    pub(super) fn details(&self) -> String {
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
        match self.saved {
            None | Some(0) => {}
            Some(1) => parts.push("1 request saved".to_owned()),
            Some(saved) => parts.push(format!("{saved} requests saved")),
        }
        parts.join(", ")
    }
}

impl fmt::Display for ReplicaEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        let seat = self
            .seat
            .map_or_else(|| "no seat".to_owned(), |seat| format!("seat {seat}"));
        match self.kind {
            EventKind::Joined | EventKind::Replaced => write!(f, "replica {name} took {seat}")?,
            EventKind::Suspect => write!(f, "replica {name} is suspect")?,
            EventKind::Up => write!(f, "replica {name} is up again")?,
            EventKind::Down => write!(f, "replica {name} is down")?,
            EventKind::Failed if self.seat.is_none() => {
                write!(f, "replica {name} did not start as a standby")?;
            }
            EventKind::Failed => write!(f, "replica {name} did not start in {seat}")?,
            EventKind::Withdrawn => write!(f, "replica {name} is withdrawn from {seat}")?,
            EventKind::Held => f.write_str("nobody is replaced for a while")?,
            EventKind::Drained => write!(f, "replica {name} gets no new requests")?,
            EventKind::Ready => write!(f, "replica {name} gets requests again")?,
            EventKind::Leaving => write!(f, "replica {name} leaves {seat}")?,
            EventKind::Left => write!(f, "replica {name} is gone from {seat}")?,
            EventKind::Ended => write!(f, "replica {name} ended")?,
            EventKind::Standby => write!(f, "replica {name} stands by")?,
        }
        if let Some(before) = &self.before {
            write!(f, " after {before}")?;
        }
        match self.details().as_str() {
            "" => {}
            account => write!(f, ": {account}")?,
        }
        write!(f, "; {} of {} up", self.up, self.wanted)
    }
}

/// A switch of how keys are given out. Displayed, it is the log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingChange {
    /// What was switched.
    pub dial: Setting,
    /// What it was, as it is typed.
    pub from: String,
    /// What it is, as it is typed.
    pub to: String,
    /// How many replicas are up.
    pub up: usize,
    /// How many are wanted.
    pub wanted: usize,
}

/// What can be switched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// The kind of ring.
    Ring,
    /// How far above the mean a load may lie.
    Bound,
}

impl Setting {
    /// The word for it in the list of events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::Bound => "bound",
        }
    }
}

impl fmt::Display for SettingChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dial, to, from) = (self.dial.as_str(), &self.to, &self.from);
        write!(f, "the {dial} is {to}, it was {from}")
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

#[cfg(test)]
impl ReplicaEvent {
    /// One about S2 in seat 2 that tells no more than it must.
    pub(crate) fn for_test(kind: EventKind) -> Self {
        Self {
            kind,
            seat: Some(Seat(2)),
            name: "S2".parse().unwrap(),
            before: None,
            reason: String::new(),
            detected_within: None,
            replaced_after: None,
            saved: None,
            up: 2,
            wanted: 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_read_as_sentences() {
        let down = ReplicaEvent {
            reason: "heartbeat missed 3 times".to_owned(),
            ..ReplicaEvent::for_test(EventKind::Down)
        };
        assert_eq!(
            down.to_string(),
            "replica S2 is down: heartbeat missed 3 times; 2 of 3 up"
        );
        let ended = ReplicaEvent {
            reason: "signal: 9 (SIGKILL)".to_owned(),
            detected_within: Some(Duration::from_micros(1_240)),
            ..ReplicaEvent::for_test(EventKind::Down)
        };
        assert_eq!(
            ended.to_string(),
            "replica S2 is down: signal: 9 (SIGKILL), detected within 1.2 ms; 2 of 3 up"
        );
        let replaced = ReplicaEvent {
            name: "s-k3f9xq".parse().unwrap(),
            before: Some("S2".parse().unwrap()),
            replaced_after: Some(Duration::from_millis(41)),
            saved: Some(12),
            up: 3,
            ..ReplicaEvent::for_test(EventKind::Replaced)
        };
        assert_eq!(
            replaced.to_string(),
            "replica s-k3f9xq took seat 2 after S2: 41 ms after its death, 12 requests saved; 3 of 3 up"
        );
        let again = |saved| ReplicaEvent {
            saved: Some(saved),
            ..ReplicaEvent::for_test(EventKind::Up)
        };
        assert_eq!(again(0).to_string(), "replica S2 is up again; 2 of 3 up");
        assert_eq!(
            again(1).to_string(),
            "replica S2 is up again: 1 request saved; 2 of 3 up"
        );
    }
}
