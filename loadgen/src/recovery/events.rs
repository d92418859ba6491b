//! Times of detection and replacement, from the balancer's journal (`events`). The journal
//! truncates times to milliseconds.

use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use serde_json::Value;

use crate::control::Control;
use crate::outcome::Server;
use crate::timeline::Timeline;

/// Time that the last successor may take after the load, and interval between reads of the journal.
const SUCCESSOR_TIMEOUT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A removed replica and the time of its removal.
#[derive(Debug, Clone)]
pub(super) struct Removal {
    pub(super) seat: Server,
    pub(super) name: String,
    pub(super) at: SystemTime,
    /// Time at which the successor was ready, if the removal itself reported it.
    pub(super) back: Option<SystemTime>,
}

/// Times of one removal, in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub(super) struct KillTimes {
    pub(super) seat: Server,
    pub(super) name: String,
    pub(super) at_ms: f64,
    pub(super) detected_after_ms: Option<f64>,
    pub(super) replaced_after_ms: Option<f64>,
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

/// Returns the journal once every removed replica has a successor, or after 30 s.
///
/// # Errors
/// The control port is unreachable.
pub(super) async fn wait_for_successors(
    control: &Control,
    removals: &[Removal],
) -> anyhow::Result<Value> {
    let start = Instant::now();
    loop {
        let events = control.execute("events").await?;
        let back = |removal: &Removal| {
            removal
                .back
                .or_else(|| event_time(&events, removal, "replaced"))
        };
        if removals.iter().all(|removal| back(removal).is_some())
            || start.elapsed() > SUCCESSOR_TIMEOUT
        {
            return Ok(events);
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Time of the first event `kind` for the removed replica.
fn event_time(events: &Value, removal: &Removal, kind: &str) -> Option<SystemTime> {
    let from = removal.at - Duration::from_millis(1);
    let who = if kind == "replaced" { "before" } else { "name" };
    let mut events = events.as_array()?.iter();
    events.find_map(|event| {
        let time = humantime::parse_rfc3339(event["time"].as_str()?).ok()?;
        let about = event["seat"] == removal.seat && event["kind"] == kind;
        (about && event[who] == removal.name.as_str() && time >= from).then_some(time)
    })
}

/// Returns the times of detection and replacement after the removal.
pub(super) fn kill_times(removal: &Removal, events: &Value, timeline: &Timeline) -> KillTimes {
    let at_ms = timeline.millis_since_start(removal.at);
    let after = |moment: SystemTime| (timeline.millis_since_start(moment) - at_ms).max(0.0);
    let replaced = event_time(events, removal, "replaced").or(removal.back);
    KillTimes {
        seat: removal.seat,
        name: removal.name.clone(),
        at_ms,
        detected_after_ms: event_time(events, removal, "down").map(after),
        replaced_after_ms: replaced.map(after),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_journal_is_read_by_seat_name_and_time() {
        let events = json!([
            {"kind": "down", "name": "S2", "seat": 2, "time": "2026-01-01T00:00:00.900Z"},
            {"kind": "down", "name": "S2", "seat": 2, "time": "2026-01-01T00:00:01.005Z"},
            {"kind": "replaced", "name": "x", "before": "S2", "seat": 2, "time": "2026-01-01T00:00:01.012Z"},
        ]);
        let at = humantime::parse_rfc3339("2026-01-01T00:00:01.000Z").unwrap();
        let removal = Removal {
            seat: 2,
            name: "S2".into(),
            at,
            back: None,
        };
        let after =
            |kind| event_time(&events, &removal, kind).map(|time| time.duration_since(at).unwrap());
        assert_eq!(after("down"), Some(Duration::from_millis(5)));
        assert_eq!(after("replaced"), Some(Duration::from_millis(12)));
        assert_eq!(after("suspect"), None);
        assert_eq!(latest_name(&events, 2), Some("x"));
        assert_eq!(latest_name(&events, 1), None);
    }
}
