//! Single decisions of the guard at its limits.

use super::*;

/// Returns a guard over two seats. The second replies to `replies` requests at once. The first was
/// sent `sent` requests at the beginning and replies to none.
fn after(sent: u32, replies: u64) -> (SlowGuard, Instant) {
    let (mut guard, begin) = (SlowGuard::default(), Instant::now());
    guard.update(true, &[member(1), member(2)]);
    (0..sent).for_each(|_| guard.record_sent(0, begin));
    for _ in 0..replies {
        guard.record_sent(1, begin);
        guard.record_outcome(1, answer(begin, begin));
    }
    (guard, begin)
}

#[test]
fn the_guard_decides_at_its_limits() {
    let moment = Duration::from_micros(1);
    let verdict = |sent, replies, at| {
        let (mut guard, begin) = after(sent, replies);
        guard.verdict(0, begin + at)
    };
    for later in [Duration::ZERO, 10 * SLOW_AFTER] {
        assert_eq!(
            verdict(MIN_SENT - 1, MIN_REPLIES_ELSEWHERE, later),
            GuardVerdict::Send
        );
        assert_eq!(
            verdict(MIN_SENT, MIN_REPLIES_ELSEWHERE - 1, later),
            GuardVerdict::Send
        );
    }
    let early = verdict(MIN_SENT, MIN_REPLIES_ELSEWHERE, SLOW_AFTER - moment);
    assert!(matches!(early, GuardVerdict::Hold(_)), "{early:?}");
    let late = verdict(MIN_SENT, MIN_REPLIES_ELSEWHERE, SLOW_AFTER);
    assert_eq!(late, GuardVerdict::Avoid { news: true });
    // A reply within 50 ms clears the doubt; a later one makes room for one request.
    let (mut guard, begin) = after(MIN_SENT, MIN_REPLIES_ELSEWHERE);
    assert!(matches!(guard.verdict(0, begin), GuardVerdict::Hold(_)));
    let end = answer(begin, begin + LATE_AFTER + moment);
    assert_eq!(guard.record_outcome(0, end), Relief::Room);
    assert_eq!(
        guard.verdict(0, begin + LATE_AFTER + moment),
        GuardVerdict::Send
    );
    assert_eq!(
        guard.verdict(0, begin + SLOW_AFTER),
        GuardVerdict::Avoid { news: true }
    );
    let (mut guard, begin) = after(MIN_SENT, MIN_REPLIES_ELSEWHERE);
    assert!(matches!(guard.verdict(0, begin), GuardVerdict::Hold(_)));
    assert_eq!(
        guard.record_outcome(0, answer(begin, begin + LATE_AFTER)),
        Relief::Room
    );
    assert_eq!(guard.verdict(0, begin + SLOW_AFTER), GuardVerdict::Send);
}

#[test]
fn requests_that_wait_for_their_clients_are_no_evidence() {
    let (mut guard, begin) = after(MIN_SENT, MIN_REPLIES_ELSEWHERE);
    guard.record_outcome(0, ReplyOutcome::Client);
    assert_eq!(guard.verdict(0, begin + SLOW_AFTER), GuardVerdict::Send);
    // A client that gives up is evidence.
    let (mut guard, begin) = after(MIN_SENT, MIN_REPLIES_ELSEWHERE);
    guard.record_outcome(0, ReplyOutcome::Gone);
    let verdict = guard.verdict(0, begin + SLOW_AFTER);
    assert_eq!(verdict, GuardVerdict::Avoid { news: true });
}

#[test]
fn four_timely_probes_end_slowness_and_a_late_one_restarts_the_count() {
    let (mut guard, begin) = after(MIN_SENT, MIN_REPLIES_ELSEWHERE);
    let mut now = begin + SLOW_AFTER;
    assert_eq!(guard.verdict(0, now), GuardVerdict::Avoid { news: true });
    let mut probe = |took: Duration| {
        assert_eq!(guard.verdict(0, now), GuardVerdict::Send);
        guard.record_sent(0, now);
        assert_eq!(guard.verdict(0, now), GuardVerdict::Avoid { news: false });
        now += took;
        guard.record_outcome(0, answer(now - took, now))
    };
    let (good, bad) = (LATE_AFTER, LATE_AFTER + Duration::from_micros(1));
    for took in [good, good, good, bad, good, good, good] {
        assert_eq!(probe(took), Relief::None);
    }
    assert_eq!(probe(good), Relief::Recovered);
    assert!(!guard.is_slow(0));
}

#[test]
fn a_successor_begins_without_the_evidence_about_its_predecessor() {
    let (mut guard, begin) = after(MIN_SENT, MIN_REPLIES_ELSEWHERE);
    assert_eq!(
        guard.verdict(0, begin + SLOW_AFTER),
        GuardVerdict::Avoid { news: true }
    );
    // A new health of the same replica changes nothing.
    guard.update(true, &[member(1), member(2)]);
    assert!(guard.is_slow(0));
    let successor = SeatInput {
        replica_id: 77,
        ..member(1)
    };
    guard.update(true, &[successor, member(2)]);
    assert!(!guard.is_slow(0));
    // An end for a replica that has left is ignored.
    assert_eq!(
        guard.record_outcome(usize::MAX, ReplyOutcome::Gone),
        Relief::None
    );
}
