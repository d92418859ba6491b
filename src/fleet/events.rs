//! Events of the fleet: changes of replicas and of the ring's settings, with their log lines.
//!
//! The plan decides what is an event, and the journal adds the time. "detected within" is the time
//! since the replica's last good answer: an upper bound, because the exact time of a death is
//! unknown.

use std::fmt;
use std::time::Duration;

use crate::ring::Seat;
use crate::roster::ReplicaName;

/// The kind of a replica's change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A replica took a seat that was empty.
    Joined,
    /// A replica is suspect: routing skips it until it answers a heartbeat.
    Suspect,
    /// A suspect or silent replica answers again.
    Up,
    /// A replica is dead: it has ended, or was silent for too long.
    Down,
    /// A successor took the seat of a dead replica.
    Replaced,
    /// A fixed backend answers at another address, or another task in its slot.
    Moved,
    /// The heartbeats of a replica that is starting or down fail, for this reason.
    Failing,
    /// A replica did not start.
    Failed,
    /// A successor is not needed, or an `/add` is rolled back.
    Withdrawn,
    /// Many replicas fell silent at once. Perhaps this process is at fault, so replacement is on
    /// hold.
    Held,
    /// A silent task of our own node is killed, so that the orchestrator replaces it.
    Evicted,
    /// A replica gets no new requests, by order.
    Drained,
    /// A replica gets requests again, by order.
    Ready,
    /// The seat of a replica got another weight, by order.
    Weight,
    /// A replica left the ring by order and finishes its requests.
    Leaving,
    /// A replica was removed by order.
    Left,
    /// A replica that was off duty or counted as dead is known to have ended.
    Ended,
    /// A replica without a seat answers and is a standby.
    Standby,
}

impl EventKind {
    /// All kinds.
    pub const ALL: [Self; 18] = [
        Self::Joined,
        Self::Suspect,
        Self::Up,
        Self::Down,
        Self::Replaced,
        Self::Moved,
        Self::Failing,
        Self::Failed,
        Self::Withdrawn,
        Self::Held,
        Self::Evicted,
        Self::Drained,
        Self::Ready,
        Self::Weight,
        Self::Leaving,
        Self::Left,
        Self::Ended,
        Self::Standby,
    ];

    /// Returns the event word of the journal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Suspect => "suspect",
            Self::Up => "up",
            Self::Down => "down",
            Self::Replaced => "replaced",
            Self::Moved => "moved",
            Self::Failing => "failing",
            Self::Failed => "failed",
            Self::Withdrawn => "withdrawn",
            Self::Held => "held",
            Self::Evicted => "evicted",
            Self::Drained => "drained",
            Self::Ready => "ready",
            Self::Weight => "weight",
            Self::Leaving => "leaving",
            Self::Left => "left",
            Self::Ended => "ended",
            Self::Standby => "standby",
        }
    }
}

/// A change of one replica. Displayed, it is the log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaEvent {
    /// Kind of the change.
    pub kind: EventKind,
    /// Seat of the replica; `None` for a standby.
    pub seat: Option<Seat>,
    /// Name of the replica.
    pub name: ReplicaName,
    /// Name of the former replica of the seat, for a successor.
    pub before: Option<ReplicaName>,
    /// Reason, in a phrase; may be empty.
    pub reason: String,
    /// Time since the last good answer, for a death or a silence: it began at most this long ago.
    pub detected_within: Option<Duration>,
    /// Time from the verdict on the dead replica to the successor's first answer, for a successor
    /// or a move.
    pub replaced_after: Option<Duration>,
    /// Number of requests that other replicas served during the seat's incident, at its end. The
    /// plan leaves it empty.
    pub saved: Option<u64>,
    /// Number of replicas that are up after it.
    pub up: usize,
    /// Number of wanted replicas.
    pub wanted: usize,
}

impl ReplicaEvent {
    /// Returns the reason and the figures in one phrase; may be empty.
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
            EventKind::Moved => write!(f, "replica {name} moved")?,
            EventKind::Failing => write!(f, "replica {name} fails its heartbeats")?,
            EventKind::Failed if self.seat.is_none() => {
                write!(f, "replica {name} did not start as a standby")?;
            }
            EventKind::Failed => write!(f, "replica {name} did not start in {seat}")?,
            EventKind::Withdrawn => write!(f, "replica {name} is withdrawn from {seat}")?,
            EventKind::Held => f.write_str("replacement of silent replicas is on hold")?,
            EventKind::Evicted => write!(f, "replica {name} is killed on this node")?,
            EventKind::Drained => write!(f, "replica {name} gets no new requests")?,
            EventKind::Ready => write!(f, "replica {name} gets requests again")?,
            EventKind::Weight => write!(f, "the weight of {name} in {seat} changed")?,
            EventKind::Leaving => write!(f, "replica {name} leaves {seat}")?,
            EventKind::Left => write!(f, "replica {name} was removed from {seat}")?,
            EventKind::Ended => write!(f, "replica {name} ended")?,
            EventKind::Standby => write!(f, "replica {name} is a standby")?,
        }
        if let Some(before) = &self.before {
            write!(f, " after {before}")?;
        }
        match self.details().as_str() {
            "" => {}
            details => write!(f, ": {details}")?,
        }
        write!(f, "; {} of {} up", self.up, self.wanted)
    }
}

/// A change of a setting of the ring. Displayed, it is the log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingChange {
    /// The setting.
    pub setting: Setting,
    /// Former value, as typed.
    pub from: String,
    /// New value, as typed.
    pub to: String,
    /// Number of replicas that are up.
    pub up: usize,
    /// Number of wanted replicas.
    pub wanted: usize,
}

/// A setting that an order can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// The kind of ring.
    Ring,
    /// Limit of a seat's load above the mean.
    Bound,
}

impl Setting {
    /// Returns the event word of the journal.
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
        let (setting, to, from) = (self.setting.as_str(), &self.to, &self.from);
        write!(f, "the {setting} is {to}, it was {from}")
    }
}

/// A duration in milliseconds for people: `0.4 ms`, `41 ms`.
pub(super) struct Millis(pub(super) Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_secs_f64() * 1000.0;
        let digits = usize::from(millis < 10.0);
        write!(f, "{millis:.digits$} ms")
    }
}

#[cfg(test)]
impl ReplicaEvent {
    /// Creates an event of S2 in seat 2 without details.
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
