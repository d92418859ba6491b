//! Events as lines and as JSON, and the limit of the buffer.

use super::super::events::{EventKind, Setting};
use super::*;
use crate::ring::Seat;

fn setting_change() -> EventBody {
    let change = SettingChange {
        setting: Setting::Bound,
        from: "1.03".to_owned(),
        to: "0".to_owned(),
        up: 3,
        wanted: 3,
    };
    EventBody::Setting(change, Some("127.0.0.1:4711".to_owned()))
}

fn event(what: EventBody) -> Event {
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
    Event {
        seq: 17,
        at,
        body: what,
    }
}

#[test]
fn events_are_one_aligned_line() {
    let line = |what| event(what).to_string();
    assert_eq!(
        line(EventBody::Replica(ReplicaEvent::for_test(
            EventKind::Joined
        ))),
        "17    1970-01-01T00:00:01.500Z seat 2   joined    S2         2/3 up"
    );
    let withdrawn = ReplicaEvent {
        seat: Some(Seat(117)),
        reason: "S2 spoke first".to_owned(),
        name: "s-abcdef".parse().unwrap(),
        ..ReplicaEvent::for_test(EventKind::Withdrawn)
    };
    assert_eq!(
        line(EventBody::Replica(withdrawn)),
        "17    1970-01-01T00:00:01.500Z seat 117 withdrawn s-abcdef   2/3 up  S2 spoke first"
    );
    let replaced = ReplicaEvent {
        before: Some("S1".parse().unwrap()),
        replaced_after: Some(Duration::from_millis(41)),
        ..ReplicaEvent::for_test(EventKind::Replaced)
    };
    assert_eq!(
        line(EventBody::Replica(replaced)),
        "17    1970-01-01T00:00:01.500Z seat 2   replaced  S2         2/3 up  after S1, 41 ms after its death"
    );
    assert_eq!(
        line(setting_change()),
        "17    1970-01-01T00:00:01.500Z seat -   bound     0          3/3 up  after 1.03, by 127.0.0.1:4711"
    );
}

#[test]
fn every_event_has_the_same_fields() {
    let down = ReplicaEvent {
        detected_within: Some(Duration::from_nanos(27_530_448)),
        ..ReplicaEvent::for_test(EventKind::Down)
    };
    let (down, change) = (event(EventBody::Replica(down)), event(setting_change()));
    let fields = |event: &Event| -> Vec<String> {
        let json = event.to_json();
        json.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(fields(&down), fields(&change));
    let json = down.to_json();
    assert_eq!(json["seq"], 17);
    assert_eq!(json["detected_within_ms"], 27.53);
    assert_eq!(json["from"], Value::Null);
    let json = change.to_json();
    assert_eq!(
        (&json["kind"], &json["seat"]),
        (&"bound".into(), &Value::Null)
    );
    assert_eq!((&json["from"], &json["to"]), (&"1.03".into(), &"0".into()));
    assert_eq!(json["by"], "127.0.0.1:4711");
}

#[test]
fn the_journal_drops_the_oldest_and_reports_the_newest() {
    let journal = Journal::default();
    let newest = journal.newest();
    assert!(journal.since(0).is_empty());
    for _ in 0..JOURNAL_EVENTS + 5 {
        journal.push(
            SystemTime::UNIX_EPOCH,
            EventBody::Replica(ReplicaEvent::for_test(EventKind::Up)),
        );
    }
    let all = journal.since(0);
    assert_eq!((all.len(), all[0].seq), (JOURNAL_EVENTS, 6));
    assert_eq!(*newest.borrow(), 1029);
    assert_eq!(journal.since(1027).len(), 2);
    assert!(journal.since(1029).is_empty() && journal.since(u64::MAX).is_empty());
}
