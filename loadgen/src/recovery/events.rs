//! Times of detection and replacement, from the balancer's journal (`events`). The journal
//! truncates times to milliseconds.
//!
//! The number of an event decides whether it followed a kill, not its time: a clock that differs
//! moves times, but hides no event.

use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use serde_json::Value;

use crate::control::Control;
use crate::outcome::Server;
use crate::timeline::Timeline;

/// Time that a successor may take, and interval between reads of the journal.
const SUCCESSOR_TIMEOUT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A killed replica and the time of its kill.
#[derive(Debug, Clone)]
pub(super) struct Kill {
    pub(super) seat: Server,
    pub(super) name: String,
    pub(super) at: SystemTime,
    /// Number of the last event before the kill.
    pub(super) last_seq: u64,
}

/// Times of one kill, in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub(super) struct KillTimes {
    pub(super) seat: Server,
    pub(super) name: String,
    pub(super) at_ms: f64,
    pub(super) detected_after_ms: Option<f64>,
    pub(super) replaced_after_ms: Option<f64>,
}

impl KillTimes {
    /// The times in words.
    pub(super) fn outcome(&self) -> String {
        let limit = SUCCESSOR_TIMEOUT.as_secs();
        let detected = match self.detected_after_ms {
            Some(time) => format!("detected after {time:.0} ms"),
            None => format!("the balancer reported no death within {limit} s"),
        };
        let replaced = match self.replaced_after_ms {
            Some(time) => format!("replaced after {time:.0} ms"),
            None => format!("no successor within {limit} s"),
        };
        format!("{detected}, {replaced}")
    }
}

/// Name of the latest replica in `seat`.
pub(super) fn latest_name(events: &Value, seat: Server) -> Option<&str> {
    let mut events = events.as_array()?.iter().rev();
    let last = events.find(|event| {
        let takes = event["kind"] == "joined" || event["kind"] == "replaced";
        takes && event["seat"] == seat
    });
    last?["name"].as_str()
}

/// Number of the latest event; 0 in an empty journal.
pub(super) fn last_seq(events: &Value) -> u64 {
    let last = events.as_array().and_then(|events| events.last());
    last.and_then(|event| event["seq"].as_u64())
        .unwrap_or_default()
}

/// Returns the journal once every killed replica has a successor, or after 30 s.
///
/// # Errors
/// The control port is unreachable.
pub(super) async fn wait_for_successors<'k>(
    control: &Control,
    kills: impl Iterator<Item = &'k Kill> + Clone,
) -> anyhow::Result<Value> {
    let start = Instant::now();
    loop {
        let events = control.execute("events").await?;
        let back = |kill: &Kill| event_time(&events, kill, "replaced");
        if kills.clone().all(|kill| back(kill).is_some()) || start.elapsed() > SUCCESSOR_TIMEOUT {
            return Ok(events);
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Time of the first event `kind` for the killed replica.
fn event_time(events: &Value, kill: &Kill, kind: &str) -> Option<SystemTime> {
    let who = if kind == "replaced" { "before" } else { "name" };
    let mut events = events.as_array()?.iter();
    events.find_map(|event| {
        let about = event["seat"] == kill.seat && event["kind"] == kind;
        let after = event["seq"].as_u64() > Some(kill.last_seq);
        let time = humantime::parse_rfc3339(event["time"].as_str()?).ok()?;
        (about && after && event[who] == kill.name.as_str()).then_some(time)
    })
}

/// Returns the times of detection and replacement after the kill.
pub(super) fn kill_times(kill: &Kill, events: &Value, timeline: &Timeline) -> KillTimes {
    let at_ms = timeline.millis_since_start(kill.at);
    let after = |kind| {
        let time = event_time(events, kill, kind)?;
        Some((timeline.millis_since_start(time) - at_ms).max(0.0))
    };
    KillTimes {
        seat: kill.seat,
        name: kill.name.clone(),
        at_ms,
        detected_after_ms: after("down"),
        replaced_after_ms: after("replaced"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_journal_is_read_by_seat_name_and_number() {
        // The clock of the balancer is a minute behind.
        let events = json!([
            {"seq": 4, "kind": "down", "name": "S2", "seat": 2, "time": "2026-01-01T00:00:01.000Z"},
            {"seq": 5, "kind": "down", "name": "S2", "seat": 2, "time": "2026-01-01T00:00:02.005Z"},
            {"seq": 6, "kind": "replaced", "name": "x", "before": "S2", "seat": 2, "time": "2026-01-01T00:00:02.012Z"},
        ]);
        let parse = |text| humantime::parse_rfc3339(text).unwrap();
        let kill = Kill {
            seat: 2,
            name: "S2".into(),
            at: parse("2026-01-01T00:01:02Z"),
            last_seq: 4,
        };
        let time = |kind| event_time(&events, &kill, kind);
        assert_eq!(time("down"), Some(parse("2026-01-01T00:00:02.005Z")));
        assert_eq!(time("replaced"), Some(parse("2026-01-01T00:00:02.012Z")));
        assert_eq!(time("suspect"), None);
        assert_eq!(latest_name(&events, 2), Some("x"));
        assert_eq!(latest_name(&events, 1), None);
        assert_eq!((last_seq(&events), last_seq(&json!([]))), (6, 0));
    }
}
