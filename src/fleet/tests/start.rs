//! Before anything is started: the initial roster, and settings that are refused.

use super::*;

#[test]
fn the_initial_roster_has_all_seats() {
    let binary = PathBuf::from("replica");
    let process = settings(processes(binary, 3));
    let roster = discover(process).unwrap().initial_roster();
    assert_eq!((roster.version, roster.ring.seats().len()), (0, 3));
    assert!(roster.members().is_empty() && roster.watched);
    let fixed = |addr| FleetSettings {
        heartbeat: None,
        ..settings(backends(&[("a", addr)]))
    };
    let roster = discover(fixed("127.0.0.1:1")).unwrap().initial_roster();
    assert_eq!(roster.members()[0].health, Health::Up);
    assert!(!roster.watched);
    let roster = discover(fixed("web.test:1")).unwrap().initial_roster();
    assert!(roster.members().is_empty());
    assert!(roster.watched, "its address may come later");
}

#[test]
fn impossible_settings_are_refused_before_anything_is_started() {
    let fail = |settings: FleetSettings| {
        let discovery = match discover(settings) {
            Ok(discovery) => discovery,
            Err(err) => return err.to_string(),
        };
        let (publisher, _) = roster::channel(1, discovery.initial_roster());
        let (_, receiver) = orders::order_queue();
        let (_, evidence) = mpsc::channel(1);
        let err = crate::fleet::start(discovery, publisher, receiver, evidence).unwrap_err();
        err.to_string()
    };
    let binary = PathBuf::from("/nowhere/replica");
    let missing = settings(processes(binary, 3));
    let sentence = fail(missing.clone());
    assert!(sentence.starts_with("replica binary not found at /nowhere/replica; build it with: "));
    let unwatched = FleetSettings {
        heartbeat: None,
        ..missing
    };
    assert_eq!(
        fail(unwatched),
        "heartbeats can only be off with fixed backends"
    );
    let twins = settings(backends(&[("a", "127.0.0.1:1"), ("a", "127.0.0.1:2")]));
    assert_eq!(fail(twins), "two backends are named a");
}
