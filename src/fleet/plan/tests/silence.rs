//! Length of a silence: routing skips a silent replica soon, and the plan replaces it late.

use super::super::*;
use super::bench::*;
use crate::fleet::engine::{EngineEvent, Management, StopMode};
use crate::fleet::events::EventKind;
use crate::orders::{Order, ReplicaState};
use crate::roster::Health;

fn slow_replacement() -> Policy {
    Policy {
        replace_after: 5 * SEC,
        ..policy(Management::Managed)
    }
}

/// Returns `n` replicas that are up, and may be silent for 5 s.
fn up(n: usize) -> Bench {
    let mut bench = Bench::with(slow_replacement(), n);
    for id in bench.started() {
        bench.rises(id);
    }
    bench
}

/// Misses a heartbeat every 200 ms for `time`. The bench keeps the actions of the last step.
fn silent_for(bench: &mut Bench, id: ReplicaId, time: std::time::Duration) {
    let end = bench.now + time;
    while bench.now < end {
        bench.now += 200 * MS;
        bench.misses(id, MissReason::Silent);
    }
}

#[test]
fn routing_skips_a_replica_after_three_misses_and_a_long_silence_replaces_it() {
    let mut bench = up(3);
    silent_for(&mut bench, S2, 400 * MS);
    assert!(bench.did.is_empty());
    silent_for(&mut bench, S2, 200 * MS);
    assert!(bench.published());
    assert_eq!(bench.health(2), Some(Health::Suspect));
    assert_eq!(bench.kinds(), [EventKind::Suspect]);
    let event = bench.events()[0];
    assert_eq!(event.reason, "heartbeat missed 3 times");
    assert_eq!((event.detected_within, event.up), (Some(600 * MS), 2));
    assert_eq!(bench.list(), names("S1 S2 S3"), "it is not dead");
    // The first missed heartbeat was sent at 0; this is all but the last of 5 s.
    silent_for(&mut bench, S2, 4_200 * MS);
    assert_eq!(
        (bench.started(), bench.health(2)),
        (vec![], Some(Health::Suspect))
    );
    silent_for(&mut bench, S2, 200 * MS);
    assert_eq!(bench.health(2), Some(Health::Down));
    assert_eq!(bench.kinds(), [EventKind::Down]);
    assert_eq!(bench.events()[0].reason, "heartbeat missed 25 times");
    assert_eq!(bench.started(), [ReplicaId(4)]);
    assert_eq!(bench.removed(), [], "it may still answer");
    bench.rises(ReplicaId(4));
    assert_eq!(bench.removed(), [(S2, StopMode::Kill)]);
    assert_eq!(bench.list(), names("S1 r1 S3"));
}

#[test]
fn routing_skips_a_silent_replica_before_it_is_dead_however_long_a_miss_takes() {
    let mut bench = up(2);
    let sent = bench.now;
    for health in [Health::Up, Health::Up, Health::Suspect, Health::Down] {
        bench.now += 3 * SEC;
        let why = MissReason::Silent;
        bench.probe(S1, ProbeEvent::Missed { sent, why });
        assert_eq!(bench.health(1), Some(health));
    }
}

#[test]
fn a_replica_that_computed_is_up_again_without_a_successor() {
    let mut bench = up(2);
    silent_for(&mut bench, S1, 2 * SEC);
    assert_eq!(bench.shown(), ["1 S1 silent", "2 S2 up"]);
    bench.probe(S1, ProbeEvent::Answered);
    assert_eq!(
        (bench.kinds(), bench.health(1)),
        (vec![EventKind::Up], Some(Health::Up))
    );
    assert_eq!(bench.started(), []);
    // The next silence begins with its own first miss.
    silent_for(&mut bench, S1, 4_800 * MS);
    assert_eq!(bench.health(1), Some(Health::Suspect));
}

#[test]
fn show_reports_the_length_of_a_silence() {
    let mut bench = up(2);
    silent_for(&mut bench, S1, 2 * SEC);
    let infos = bench.plan.replica_infos(bench.now);
    let reasons: Vec<_> = infos
        .iter()
        .map(|(_, info)| info.reason.as_deref())
        .collect();
    assert_eq!(reasons, [Some("silent for 2.0 s, dead after 5s"), None]);
    let drain = Order::Drain(name("S1"));
    bench.order(drain);
    assert_eq!(
        bench.plan.replica_infos(bench.now)[0].1.state,
        ReplicaState::Drained
    );
}

#[test]
fn an_explained_silence_does_not_count() {
    let slow = Traffic {
        slow: 1,
        in_flight: 1,
        ..Traffic::default()
    };
    let busy = Traffic { slow: 0, ..slow };
    for (traffic, iterative, dies) in [
        (slow, false, false),
        (busy, false, true),
        (busy, true, false),
        (Traffic::default(), true, true),
    ] {
        let mut bench = up(2);
        if iterative {
            bench.probe(S1, ProbeEvent::Iterative);
            assert!(bench.published() && bench.plan.view().members[0].iterative);
        }
        bench.dice.traffic.insert(S1, traffic);
        silent_for(&mut bench, S1, 20 * SEC);
        let during = match (dies, iterative) {
            (true, _) => Health::Down,
            (false, false) => Health::Suspect,
            (false, true) => Health::Up,
        };
        assert_eq!(bench.health(1), Some(during), "{traffic:?} {iterative}");
        let health = if dies { Health::Down } else { Health::Suspect };
        // The explanation is over.
        bench.dice.traffic.clear();
        silent_for(&mut bench, S1, 4_800 * MS);
        assert_eq!(bench.health(1), Some(health), "{traffic:?} {iterative}");
        silent_for(&mut bench, S1, 200 * MS);
        assert_eq!(
            bench.health(1),
            Some(Health::Down),
            "{traffic:?} {iterative}"
        );
    }
}

#[test]
fn bytes_of_a_reply_start_the_clock_again() {
    let mut bench = up(2);
    for replied in 1..10 {
        let traffic = Traffic {
            replied,
            ..Traffic::default()
        };
        bench.dice.traffic.insert(S1, traffic);
        silent_for(&mut bench, S1, 4 * SEC);
        assert_eq!(bench.health(1), Some(Health::Suspect), "{replied}");
    }
    silent_for(&mut bench, S1, 1_200 * MS);
    assert_eq!(bench.health(1), Some(Health::Down));
}

#[test]
fn a_certain_death_of_a_silent_replica_is_final_at_once() {
    let mut bench = up(2);
    silent_for(&mut bench, S1, SEC);
    bench.probe(S1, ProbeEvent::Refused(Refusal::Connection));
    assert_eq!(bench.removed(), [(S1, StopMode::Kill)]);
    assert_eq!(bench.started().len(), 1);
    let mut bench = up(2);
    silent_for(&mut bench, S1, SEC);
    bench.ends(S1);
    assert_eq!(
        (bench.kinds(), bench.started().len()),
        (vec![EventKind::Down], 1)
    );
}

#[test]
fn wrong_answers_replace_at_once_and_are_counted_from_zero_after_a_silence() {
    let mut bench = up(2);
    for _ in 0..3 {
        bench.misses(S1, MissReason::Wrong(500));
    }
    assert_eq!(
        (bench.health(1), bench.started().len()),
        (Some(Health::Down), 1)
    );
    silent_for(&mut bench, S2, SEC);
    for _ in 0..2 {
        bench.misses(S2, MissReason::Wrong(500));
        assert_eq!(bench.health(2), Some(Health::Suspect));
    }
    bench.misses(S2, MissReason::Wrong(500));
    assert_eq!(bench.health(2), Some(Health::Down));
}

#[test]
fn silence_kills_standbys_added_and_draining_replicas_no_sooner() {
    let policy = Policy {
        standbys: 1,
        ..slow_replacement()
    };
    let mut bench = Bench::with(policy, 1);
    for id in bench.started() {
        bench.rises(id);
    }
    silent_for(&mut bench, S2, 4_800 * MS);
    assert_eq!(bench.plan.status().standbys, 1);
    // A silent standby is not promoted.
    bench.ends(S1);
    assert_eq!((bench.promoted(), bench.started().len()), (vec![], 1));
    silent_for(&mut bench, S2, 200 * MS);
    assert_eq!(bench.removed(), [(S2, StopMode::Kill)]);

    let mut bench = up(2);
    bench.rm(1, "S2");
    assert_eq!(bench.draining(), [S2]);
    silent_for(&mut bench, S2, 4_800 * MS);
    assert_eq!(bench.removed(), []);
    silent_for(&mut bench, S2, 200 * MS);
    assert_eq!(bench.removed(), [(S2, StopMode::Kill)]);

    let mut bench = up(1);
    bench.add(2, "a b");
    let group = bench.started();
    bench.rises(group[0]);
    silent_for(&mut bench, group[0], 4_800 * MS);
    assert_eq!(bench.answer(), None);
    bench.rises(group[1]);
    assert_eq!(bench.answer(), Some(Ok(names("S1 a b"))));
    silent_for(&mut bench, group[0], 200 * MS);
    assert_eq!(bench.health(2), Some(Health::Down));
}

#[test]
fn a_replica_that_was_found_silent_has_the_same_time_unless_it_ends() {
    for ends in [false, true] {
        let mut bench = Bench::new(slow_replacement(), &[(name("S1"), Some(addr(S1)))]);
        bench.report(EngineEvent::Started {
            id: S1,
            addr: addr(S1),
        });
        bench.after(4_999 * MS);
        assert_eq!(bench.started(), []);
        if ends {
            bench.ends(S1);
        } else {
            bench.after(MS);
        }
        assert_eq!(bench.started().len(), 1);
    }
}

#[test]
fn one_seat_at_a_time_is_replaced_after_a_mass_silence() {
    let mut bench = up(3);
    while bench.now.elapsed() < SEC {
        bench.now += 200 * MS;
        for id in [S1, S2] {
            bench.misses(id, MissReason::Silent);
        }
        if bench.kinds().contains(&EventKind::Held) {
            break;
        }
    }
    assert_eq!(bench.kinds(), [EventKind::Suspect, EventKind::Held]);
    for _ in 0..21 {
        bench.now += 200 * MS;
        for id in [S1, S2] {
            bench.misses(id, MissReason::Silent);
            assert_eq!(bench.started(), []);
        }
    }
    bench.now += 200 * MS;
    bench.misses(S1, MissReason::Silent);
    let one = bench.started();
    assert_eq!(one.len(), 1);
    bench.misses(S2, MissReason::Silent);
    assert_eq!(
        (bench.health(2), bench.started()),
        (Some(Health::Down), vec![])
    );
    bench.rises(one[0]);
    assert_eq!(bench.started().len(), 1);
}

#[test]
fn a_stop_does_not_wait_for_a_silent_replica() {
    let mut bench = up(2);
    silent_for(&mut bench, S1, SEC);
    bench.feed(Input::Stop { leave: false });
    let mut removed = bench.removed();
    removed.sort_by_key(|(id, _)| *id);
    assert_eq!(removed, [(S1, StopMode::Kill), (S2, StopMode::Graceful)]);
}

#[test]
fn a_silent_fixed_backend_is_skipped_and_then_down() {
    let mut bench = Bench::new(
        Policy {
            keeper: Management::External,
            ..slow_replacement()
        },
        &[(name("a"), Some(addr(S1)))],
    );
    bench.rises(S1);
    silent_for(&mut bench, S1, SEC);
    assert_eq!(
        (bench.health(1), bench.shown()),
        (Some(Health::Suspect), vec!["1 a silent".to_owned()])
    );
    silent_for(&mut bench, S1, 4 * SEC);
    assert_eq!(
        (bench.health(1), bench.shown()),
        (Some(Health::Down), vec!["1 a down".to_owned()])
    );
    assert_eq!((bench.started(), bench.removed()), (vec![], vec![]));
    bench.probe(S1, ProbeEvent::Answered);
    assert_eq!(bench.health(1), Some(Health::Up));
}

#[test]
fn a_request_explains_the_silence_of_an_iterative_server_for_thirty_seconds() {
    let mut bench = up(3);
    bench.probe(S2, ProbeEvent::Iterative);
    let traffic = Traffic {
        in_flight: 1,
        ..Traffic::default()
    };
    bench.dice.traffic.insert(S2, traffic);
    silent_for(&mut bench, S2, 29 * SEC);
    assert_eq!(bench.health(2), Some(Health::Up));
    // The silence that counts begins when the explanation ends.
    silent_for(&mut bench, S2, 5 * SEC);
    assert_eq!(bench.health(2), Some(Health::Suspect));
    silent_for(&mut bench, S2, 2 * SEC);
    assert_eq!(bench.health(2), Some(Health::Down));
}
